"""The build backend: setuptools, whose source archive is made the same in every build.

Its wheels are already. The archive would hold the time of the build and the user who made it.
"""

import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  # everything else that a backend has (PEP 517)

#: 1980, for files whose time nobody has set.
LONG_AGO = 315532800


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Build the source archive (PEP 517), with the time of ``SOURCE_DATE_EPOCH`` in it."""
    name = build_meta.build_sdist(sdist_directory, config_settings)
    normalise(Path(sdist_directory, name), int(os.environ.get("SOURCE_DATE_EPOCH", LONG_AGO)))
    return name


def normalise(archive: Path, mtime: int) -> None:
    """Write the archive anew: members by name, of one time, of no user."""
    plain = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            executable = member.isdir() or member.mode & 0o100
            member.mode = 0o755 if executable else 0o644
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = mtime
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    archive.write_bytes(gzip.compress(plain.getvalue(), mtime=mtime))
