"""The build backend: setuptools, with a source archive that is equal in every build.

The wheels of setuptools are equal already. Its source archives hold the time of the build and the
name of the user.
"""

import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  # everything else that a backend has (PEP 517)

#: The time of all members where SOURCE_DATE_EPOCH is not set: 1980, the earliest in a zip file.
LONG_AGO = 315532800


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Build the source archive (PEP 517), with the time of ``SOURCE_DATE_EPOCH`` in it."""
    name = build_meta.build_sdist(sdist_directory, config_settings)
    normalise(Path(sdist_directory, name), int(os.environ.get("SOURCE_DATE_EPOCH", LONG_AGO)))
    return name


def normalise(archive: Path, mtime: int) -> None:
    """Write the archive again: members sorted by name, all with one time, without a user."""
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
