"""The built wheel, installed somewhere else and tried from another directory."""

import configparser
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

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
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in files:
        if (ROOT / name).is_file():
            target = folder / "src" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, "src"],
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
