"""The first hour, and the pages about Flask and Django, as a reader types them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT
from pages import blocks
from servers.running import free_port

from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

PAGE = "docs/tutorial.md"
MARKED = {block.mark: block.code for block in blocks(PAGE, "python")}
SESSION = "".join(block.code for block in blocks(PAGE, "console"))
#: The line of the app that the reader replaces before the app is loaded again.
WRAPPED = re.compile(r"^app\.wsgi_app = .*\n", re.MULTILINE)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a reader's shell, in an empty folder with the app of the page."""
    for name, program in (("jwt-wsgi", "-m jwt_wsgi"), ("gunicorn", "-m gunicorn")):
        command = tmp_path / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
        command.chmod(0o755)
    (tmp_path / "orders.py").write_text(MARKED["orders.py"])
    return os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{free_port()}",
    }


def test_every_command_answers_as_shown(tmp_path: Path, env: dict[str, str]) -> None:
    """… stands for lines that are left out. A slow machine needs more than ``sleep 2``."""
    (tmp_path / "changed.py").write_text(WRAPPED.sub(MARKED["rules"], MARKED["orders.py"]))
    typed = "\n".join(re.findall(r"^\$ (.*)$", SESSION, re.MULTILINE))
    typed, count = re.subn(
        r"^(?=kill -HUP)", "mv changed.py orders.py\n", typed, flags=re.MULTILINE
    )
    assert count == 1
    ran = typed_in(tmp_path, env, typed, (200, 403))

    assert re.fullmatch(shown(SESSION), ran, re.DOTALL), ran


@pytest.mark.parametrize("page", ["docs/how-to/flask.md", "docs/how-to/django.md"])
def test_a_page_is_followed_in_an_empty_folder(
    page: str, tmp_path: Path, env: dict[str, str]
) -> None:
    """Its app and nothing else; Django's in a project that ``startproject`` made."""
    code = [block.code for block in blocks(page, "python")]
    if page.endswith("django.md"):
        start = [sys.executable, "-m", "django", "startproject", "project", "."]
        subprocess.run(start, cwd=tmp_path, check=True, timeout=60)
        settings = tmp_path / "project" / "settings.py"
        (tmp_path / "project" / "wsgi.py").write_text(code[0])
        settings.write_text(settings.read_text() + code[1])
        (tmp_path / "project" / "urls.py").write_text(code[2])
    else:
        (tmp_path / "app.py").write_text(code[0])
    (session,) = [block.code for block in blocks(page, "console") if block.mark == "typed"]
    typed = "\n".join(re.findall(r"^\$ (.*)$", session, re.MULTILINE))
    ran = typed_in(tmp_path, env, typed, (200,))

    assert re.fullmatch(shown(session), ran, re.DOTALL), ran


def typed_in(folder: Path, env: dict[str, str], typed: str, awaited: tuple[int, ...]) -> str:
    """What the commands print. ``awaited``: the status that each ``sleep 2`` waits for."""
    port = env["GUNICORN_CMD_ARGS"].rpartition(":")[2]
    typed = re.sub(r"(curl [^\n]*)", r"\1; echo", typed.replace(":8000", f":{port}"))
    typed = typed.replace("curl ", "curl -s ")
    for status in awaited:
        until = (
            f"for _ in $(seq 200); do sleep 0.1; curl -s -i http://127.0.0.1:{port}/orders"
            f' -H "Authorization: Bearer $(cat token)" | grep -q "^HTTP.* {status} " && break; done'
        )
        typed = typed.replace("sleep 2\n", until + "\n", 1)
    ran = subprocess.run(
        ["bash", "-c", typed],
        cwd=folder, env=env, text=True, timeout=60, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return "\n".join(line for line in ran.stdout.splitlines() if line)


def shown(session: str) -> str:
    """The output that a page shows, as a pattern: ``…`` stands for any lines."""
    lines = [line for line in session.splitlines() if not line.startswith("$ ")]
    return "\n".join(".*" if line == "…" else re.escape(line) for line in lines)


def test_the_rules_and_the_tests_of_the_page(tmp_path: Path, env: dict[str, str]) -> None:
    """The line that wraps the app is replaced, and the tests pass."""
    app = (tmp_path / "orders.py").read_text()
    wrapped, count = WRAPPED.subn(MARKED["rules"], app)
    assert count == 1
    (tmp_path / "orders.py").write_text(wrapped)
    (tmp_path / "test_orders.py").write_text(MARKED["test_orders.py"])
    variables = dict(re.findall(r"(JWT_WSGI_\w+)=(\S+)", SESSION))
    (tmp_path / "jwks.json").write_text(json.dumps(FakeIssuer().jwks()))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_orders.py"],
        cwd=tmp_path, env=env | variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout
