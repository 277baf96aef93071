"""What the README shows is what happens: commands are typed, and answer as shown.

What holds for every page, the README among them, is in test_pages.py.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import bearer
from servers.running import free_port
from servers.running import gunicorn
from werkzeug.test import Client

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import FakeIssuer

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"(?:<!-- ([^\n]*) -->\n)?```(\w+)\n(.*?)```", TEXT, re.DOTALL)


def blocks(language: str) -> list[str]:
    return [code for _, found, code in BLOCKS if found == language]


def test_the_first_block_is_an_app_of_one_line() -> None:
    """It builds, and nothing is public."""
    namespace: dict[str, Any] = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), namespace)

    assert isinstance(namespace["app"], JWTMiddleware)
    assert namespace["app"].settings.public_paths == ()
    assert "\napp = JWTMiddleware(app, issuer=" in blocks("python")[0]


def test_the_table_of_the_test_kit_says_what_works() -> None:
    """Every piece of code in it runs, on an issuer that is served."""
    (table,) = re.findall(r"\| you want \| say \|\n\|.*?\n(.*?)\n\n", TEXT, re.DOTALL)
    cells = [row.split("|")[2] for row in table.split("\n")]
    pieces = [code for cell in cells for code in re.findall(r"`(.*?)`", cell)]
    guarded = JWTMiddleware(lambda *_: [], issuer="https://issuer.example")
    with FakeIssuer().serve() as issuer:
        names = {"issuer": issuer, "guarded_app": guarded, "FakeIssuer": FakeIssuer}
        for code in pieces:
            if code == "with issuer.serve():":  # as we do
                continue
            exec(code + (" pass" if code.endswith(":") else ""), names)

    assert len(pieces) == 10
    assert issuer.kid == "key-3"  # it was rotated twice


@pytest.mark.slow
def test_the_curls_answer_as_shown() -> None:
    """The two of the first screen, against the demo's app under gunicorn."""
    shown = blocks("console")[0]
    commands = re.findall(r"^\$ (curl .*)\n(.*)$", shown, re.MULTILINE)
    with FakeIssuer().serve() as issuer:
        env = {"JWT_WSGI_APP": "jwt_wsgi.cli.demo:echo", "JWT_WSGI_ISSUER": issuer.issuer}
        with gunicorn("jwt_wsgi.wsgi:application", cwd=ROOT, env=env) as url:
            answers = [
                subprocess.run(
                    ["sh", "-c", command.replace("http://127.0.0.1:8000", url)],
                    env=os.environ | {"TOKEN": issuer.token(iss=issuer.issuer, sub="demo")},
                    capture_output=True, text=True, check=True, timeout=30,
                ).stdout
                for command, _ in commands
            ]  # fmt: skip

    assert len(commands) == 2
    assert answers[0] == commands[0][1]
    start, end = commands[1][1].split("…")
    told = json.loads(answers[1])
    assert (told["message"], told["user"]["sub"]) == ("Access granted", "demo")
    assert start.startswith('{"message": "Access granted", "user": {')
    assert end == "}}"


@pytest.mark.slow
def test_the_commands_say_what_is_shown(tmp_path: Path) -> None:
    """As a reader would type them; … stands for whatever comes there."""
    (shown,) = [code for mark, _, code in BLOCKS if mark == "command-line"]
    command = tmp_path / "jwt-wsgi"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m jwt_wsgi "$@"\n')
    command.chmod(0o755)
    typed = "\n".join(re.findall(r"^\$ (.*)$", shown, re.MULTILINE))
    ran = subprocess.run(
        ["sh", "-c", typed], cwd=tmp_path, text=True, timeout=30, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    said = re.sub(r"^\$ .*\n", "", shown, flags=re.MULTILINE)

    assert ran.returncode == 1
    assert re.fullmatch(re.escape(said).replace("…", ".*?"), ran.stdout, re.DOTALL), ran.stdout


@pytest.mark.slow
def test_a_token_of_ones_own(tmp_path: Path) -> None:
    """As a reader would type it, beside the examples."""
    (typed,) = [code for mark, _, code in BLOCKS if mark == "own-token"]
    programs = Path(sys.executable).parent
    typed = typed.replace("jwt-wsgi mint", f"{sys.executable} -m jwt_wsgi mint")
    typed = typed.replace(":8000", f":{(port := free_port())}")
    (tmp_path / "flask_app.py").write_text((ROOT / "examples" / "flask_app.py").read_text())
    ran = subprocess.run(
        ["sh", "-c", typed], cwd=tmp_path, text=True, timeout=30, check=False, capture_output=True,
        env=os.environ | {
            "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}",
        },
    )  # fmt: skip

    assert json.loads(ran.stdout)["user"]["aud"] == "api", ran.stderr


@pytest.mark.slow
def test_the_gunicorn_lines_serve(tmp_path: Path) -> None:
    """Both ways to start: an app that wraps itself, and one that is wrapped by name."""
    lines = [
        code for mark, kind, code in BLOCKS if kind == "sh" and not mark and "gunicorn" in code
    ]
    assert len(lines) == 2
    (tmp_path / "myproject").mkdir()
    (tmp_path / "myproject" / "wsgi.py").write_text(
        "from jwt_wsgi.cli.demo import echo as application"
    )
    with FakeIssuer().serve() as issuer:
        for line in lines:
            variables = dict(re.findall(r"(\w+)=(\S+)", line))
            app = line.split()[-1]
            env = variables | {
                "JWT_WSGI_ISSUER": issuer.issuer,
                "PYTHONPATH": f"{ROOT / 'examples'}:{tmp_path}",
            }
            with gunicorn(app, cwd=ROOT, env=env) as url:
                good = requests.get(f"{url}/protected", headers=bearer(issuer.token()), timeout=10)
                assert good.json()["message"] == "Access granted"
                assert requests.get(f"{url}/protected", timeout=10).status_code == 401


def test_the_setup_lines_are_those_that_are_run() -> None:
    """CI takes the test command from the README; the demo command differs in its end only."""
    marked = {mark: code.strip() for mark, _, code in BLOCKS if mark.endswith("-command")}
    venv, install, tests = marked["test-command"].split(" && ")
    demo_venv, demo_install, demo = marked["demo-command"].split(" && ")

    assert (venv, demo_venv) == ("python3 -m venv .venv",) * 2
    assert install.replace("test", "demo") == demo_install
    assert tests == ".venv/bin/pytest -n 2 --dist loadfile --cov"
    assert demo == ".venv/bin/python -m jwt_wsgi demo"
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.slow
def test_the_demo_line_runs_from_a_clone(tmp_path: Path) -> None:
    """On a machine with nothing but Python: environment, installation, and a demo that answers."""
    (line,) = [code.strip() for mark, _, code in BLOCKS if mark == "demo-command"]
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in listed:
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    port = free_port()
    running = subprocess.Popen(
        ["sh", "-c", f"{line} --port {port} --issuer-port {free_port()}"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        while line := running.stdout.readline():
            if line.startswith(f"curl -i http://127.0.0.1:{port}/public"):
                break
        answer = requests.get(f"http://127.0.0.1:{port}/orders", timeout=10)
        assert answer.json() == {"error": "No token provided"}
    finally:
        os.killpg(running.pid, signal.SIGINT)
        try:
            out, _ = running.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            out, _ = running.communicate()
    assert out.strip() == "stopped"


@pytest.mark.slow
def test_the_probes_for_kubernetes() -> None:
    """Unready without keys, ready with them, and still ready when the issuer is gone."""
    (code,) = [code for name, _, code in BLOCKS if name == "readiness"]
    (probes,) = blocks("yaml")
    paths = re.findall(r"path: (\S+?)[,}]", probes)
    assert f"public_paths={json.dumps(paths)}" in TEXT

    with FakeIssuer().serve() as issuer:
        namespace: dict[str, Any] = {}
        exec(compile(code, "README.md", "exec"), namespace)
        probed = JWTMiddleware(namespace["readyz"], issuer=issuer.issuer, public_paths=paths)
        namespace["middleware"] = probed
        client = Client(probed)
        with issuer.outage():
            assert client.get("/readyz").status_code == 503
            asked = len(issuer.requests)
            assert client.get("/readyz").status_code == 503
            assert len(issuer.requests) == asked  # the back-off holds
        time.sleep(1.3)
        assert client.get("/readyz").status_code == 200
        with issuer.outage():
            assert client.get("/readyz").status_code == 200


def test_the_variables_that_publish_a_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client is told leads to the issuer."""
    (line,) = [code for code in blocks("sh") if "JWT_WSGI_RESOURCE" in code]
    for name, value in re.findall(r"(\w+)=(\S+)", line):
        monkeypatch.setenv(name, value)
    client = Client(JWTMiddleware(lambda *_: []))

    challenge = client.get("/mcp").headers["WWW-Authenticate"]
    metadata = client.get("/.well-known/oauth-protected-resource/mcp").json

    assert "https://api.example.com/.well-known/oauth-protected-resource/mcp" in challenge
    assert metadata["authorization_servers"] == ["https://login.example.com"]
