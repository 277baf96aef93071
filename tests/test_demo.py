"""`python -m jwt_wsgi demo`: what it prints works when pasted, and it ends cleanly."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers.running import free_port
from werkzeug.test import Client

from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.demo import DemoIssuer

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent / "examples"


@contextmanager
def demo(
    *arguments: str, cwd: Path = EXAMPLES, last: str = "/public", **variables: str
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run the demo and yield it with what it printed up to the line with ``last``."""
    ports = ["--port", str(free_port()), "--issuer-port", str(free_port())]
    running = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "jwt_wsgi", "demo", *arguments, *ports],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | variables,
        start_new_session=True,
    )
    try:
        assert running.stdout is not None
        printed = ""
        while last not in printed:
            line = running.stdout.readline()
            assert line, running.communicate()[1]
            printed += line
        yield running, printed
    finally:
        running.terminate()
        try:
            running.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()


def pasted(printed: str) -> list[str]:
    """The blocks of commands, each as a person would paste it."""
    blocks = printed.split("\n# ")[1:]
    return [block.partition("\n")[2].replace("curl -i", "curl -si") for block in blocks]


def run(command: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


def test_every_printed_line_works_when_pasted() -> None:
    """Three kinds of 401, 200 with the payload (twice), and the public path."""
    with demo() as (_, printed):
        answers = [run(command) for command in pasted(printed)]

    statuses = [int(re.match(r"HTTP/1.1 (\d+)", answer)[1]) for answer in answers]  # type: ignore[index]
    assert statuses == [401, 401, 401, 200, 200, 200]
    assert '{"error": "No token provided"}' in answers[0]
    assert '{"error": "Invalid authorization header format"}' in answers[1]
    assert '"code": "signature_invalid"' in answers[2]
    for granted in answers[3:5]:
        assert '{"message": "Access granted", "user": {"iss": ' in granted


def test_the_demo_prints_json() -> None:
    """One line: the URLs, and requests with the status of their answers."""
    with demo("--json") as (_, printed):
        told = json.loads(printed)
        for request in told["requests"]:
            *before, last = request["commands"]
            answer = run("\n".join([*before, last.replace("curl -i", "curl -si")]))
            assert answer.split()[1] == str(request["status"])
    assert told["app"].startswith("http://127.0.0.1:")


def test_an_app_of_the_users_is_protected() -> None:
    """MODULE:APP from the current directory."""
    with demo("untouched_app:app", last="Bearer ey") as (_, printed):
        url = re.search(r"http://\S+?(?=/orders)", printed)[0]  # type: ignore[index]
        assert '{"error": "No token provided"}' in run(f"curl -si {url}/protected")


GUARDED = """
from jwt_wsgi import JWTMiddleware

def bare(environ, start_response):
    claims = environ["jwt_wsgi.payload"]
    start_response("200 OK", [("X-Guards", str(environ.get("HTTP_X_GUARDS")))])
    return [claims["iss"].encode()]

app = JWTMiddleware(
    bare, issuer="https://issuer.example", audience="https://orders.example",
    rules=[{"path": "/hello", "token": "ignored"}, {"path": "/admin", "scopes": ["write"]}],
)
"""


def test_nothing_of_the_shell_counts_and_a_guarded_app_is_guarded_once(tmp_path: Path) -> None:
    """It trusts the demo's issuer by its own rules; a public line that it lacks is not printed."""
    (tmp_path / "guarded.py").write_text(GUARDED)
    (tmp_path / "gunicorn.conf.py").write_text("raise SystemExit('read')")
    shell = {
        "JWT_WSGI_LEEWAY": "soon",
        "JWT_WSGI_PUBLIC_PATHS": "/*",
        "GUNICORN_CMD_ARGS": "--no-such-option",
        "http_proxy": "http://127.0.0.1:1",
    }
    with demo("guarded:app", "--json", cwd=tmp_path, last="}]}", **shell) as (_, printed):
        told = json.loads(printed)
        bodies = [
            run("\n".join(request["commands"]).replace("curl -", "curl --noproxy '*' -s"))
            for request in told["requests"]
        ]
        token = re.findall(r"Bearer (ey[\w.-]+)", printed)[-1]
        credentials = f"-H 'Authorization: Bearer {token}'"
        forbidden = run(f"curl --noproxy '*' -si {told['app']}/admin {credentials}")

    assert [int(body.split()[1]) for body in bodies] == [401, 401, 401, 200, 200]
    assert "/public" not in printed
    assert bodies[-1].endswith(told["issuer"])
    assert forbidden.split()[1] == "403"


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_demo_that_is_killed_leaves_nothing_behind() -> None:
    """SIGKILL cannot be caught: gunicorn notices that its standard input ends."""
    with demo() as (running, printed):
        ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", printed)}
        running.kill()
        running.wait(15)
        for port in ports:
            until = time.monotonic() + 30
            while answers(port):
                assert time.monotonic() < until, f"port {port} still answers"
                time.sleep(0.1)


def test_the_issuer_answers_for_its_own_host_only() -> None:
    """A page in a browser can let its own name lead to loopback (DNS rebinding)."""
    client = Client(DemoIssuer("http://127.0.0.1:8001"))
    path = "/.well-known/jwks.json"

    assert client.get(path, headers={"Host": "127.0.0.1:8001"}).status_code == 200
    for host in ("evil.example:8001", "127.0.0.1", ""):
        assert client.get(path, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_processes_of_the_demo(number: signal.Signals) -> None:
    """Exit code 0, no traceback, and no port is in use any more."""
    with demo() as (running, printed):
        ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", printed)}
        running.send_signal(number)
        out, err = running.communicate(timeout=15)

    assert (running.returncode, out.strip()) == (0, "stopped")
    assert "Traceback" not in err
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_taken_port_is_a_clear_message(capsys: pytest.CaptureFixture[str]) -> None:
    """It names the port and the option, with exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert main(["demo", "--port", str(port)]) == 2

    error = capsys.readouterr().err
    assert (
        error == f"jwt-wsgi demo: port {port}: address already in use; choose another with --port\n"
    )


def test_an_app_that_cannot_be_imported_is_named() -> None:
    """gunicorn's own message says which, and the demo ends with exit code 2."""
    ports = ["--port", str(free_port()), "--issuer-port", str(free_port())]
    ended = subprocess.run(
        [sys.executable, "-m", "jwt_wsgi", "demo", "no_such_module:app", *ports],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )

    assert ended.returncode == 2
    assert "MODULE:APP: 'no_such_module:app': there is no module 'no_such_module'" in ended.stderr
    assert "gunicorn" in ended.stderr


def test_usage_is_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    """As argparse has it."""
    with pytest.raises(SystemExit) as ended:
        main(["unknown"])

    assert ended.value.code == 2
    assert "demo" in capsys.readouterr().err
