"""The build backend: setuptools, with a source archive and a wheel that are equal in every build.

The source archives of setuptools hold the time of the build and the name of the user. Its wheels
hold the modes of the files, which depend on the umask of the user.
"""

import gzip
import io
import os
import stat
import tarfile
import zipfile
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


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel (PEP 517), with one mode for all of its files."""
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    normalise_modes(Path(wheel_directory, name))
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


def normalise_modes(wheel: Path) -> None:
    """Write the wheel again: every member is a file that all may read."""
    plain = io.BytesIO()
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(plain, "w") as new:
        for member in old.infolist():
            content = old.read(member)
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            new.writestr(member, content)
    wheel.write_bytes(plain.getvalue())
