"""The built wheel, installed somewhere else and tried from another directory."""

import configparser
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import project_files

from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent

TRY = """
import json, sys
from importlib.metadata import entry_points, version
import jwt_wsgi
from jwt_wsgi import JWTMiddleware
app = JWTMiddleware(lambda e, s: [], issuer="https://issuer.example", jwks=json.loads(sys.argv[1]))
answer = []
body = app({"REQUEST_METHOD": "GET"}, lambda status, headers: answer.append(status))
scripts = [e.value for e in entry_points(group="console_scripts") if e.name == "jwt-wsgi"]
print(json.dumps({
    "file": jwt_wsgi.__file__,
    "version": version("jwt-wsgi"),
    "scripts": scripts,
    "answer": [*answer, body[0].decode()],
}))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout: what it holds, and nothing that was made in it."""
    folder = tmp_path_factory.mktemp("source") / "src"
    for name in project_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_what_ships(wheel: Path) -> None:
    """The package with its types and its licence, and neither tests nor examples."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}

    assert {"jwt_wsgi/py.typed", "jwt_wsgi/middleware.py"} <= set(names)
    assert len(tops) == 2, tops
    assert any(name.endswith("/LICENSE") for name in names)


def test_the_metadata_names_the_licence_and_the_authors(wheel: Path) -> None:
    """The licence as an SPDX expression, which tools compare; the authors as in LICENSE."""
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = archive.read(name).decode().partition("\n\n")[0].splitlines()

    assert "License-Expression: MIT" in metadata
    (author,) = [line.partition(": ")[2] for line in metadata if line.startswith("Author: ")]
    assert author in (ROOT / "LICENSE").read_text()


def test_the_source_archive_is_whole_and_the_same_in_every_build(
    source: Path, tmp_path: Path
) -> None:
    """Every file of the checkout is in it, so its tests run; two builds are equal byte by byte."""
    archives = []
    for number in range(2):
        subprocess.run(
            [sys.executable, "-m", "build", "-s", "-n", "-o", tmp_path / str(number), source],
            env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
            capture_output=True,
            check=True,
        )
        (archive,) = (tmp_path / str(number)).glob("*.tar.gz")
        archives.append(archive.read_bytes())
        for path in source.rglob("*"):
            os.utime(path, (number, number))  # a later build, of files that were checked out anew

    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert set(project_files()) - names - {"MANIFEST.in"} == set()
    assert archives[0] == archives[1]


def test_the_wheel_is_the_same_whoever_builds_it(source: Path, tmp_path: Path) -> None:
    """Two builds of one time are equal byte by byte, also with another umask."""
    wheels = []
    for umask, mode in ((0o022, 0o644), (0o077, 0o600)):
        copy = tmp_path / f"{umask:o}"
        shutil.copytree(source, copy)
        for path in copy.rglob("*"):
            path.chmod(mode if path.is_file() else mode | 0o111)
        subprocess.run(
            [sys.executable, "-m", "build", "-w", "-n", "-o", copy / "dist", copy],
            env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
            umask=umask,
            capture_output=True,
            check=True,
        )
        (built,) = (copy / "dist").glob("*.whl")
        wheels.append(built.read_bytes())

    assert wheels[0] == wheels[1]


def test_the_wheel_works_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    """Installed apart from the checkout: version, entry point, and a first 401."""
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, wheel],
        check=True,
    )
    tried = subprocess.run(
        [sys.executable, "-c", TRY, json.dumps(FakeIssuer().jwks())],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(tried.stdout)
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")

    assert told["file"].startswith(str(target))
    assert told["version"] == metadata["metadata"]["version"]
    assert "jwt_wsgi.__main__:main" in told["scripts"]
    assert told["answer"] == ["401 Unauthorized", '{"error": "No token provided"}']


def test_the_changelog_knows_the_version() -> None:
    """One home per fact, and the two that people read agree."""
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")

    assert f"## {metadata['metadata']['version']} " in (ROOT / "CHANGELOG.md").read_text()
