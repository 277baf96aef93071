"""`python -m jwt_wsgi demo`: what it prints works when pasted, and it ends cleanly."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers.running import free_port

from jwt_wsgi.__main__ import main

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent / "examples"


@contextmanager
def demo(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run the demo and yield it with what it printed up to its last curl line."""
    ports = ["--port", str(free_port()), "--issuer-port", str(free_port())]
    running = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "jwt_wsgi", "demo", *arguments, *ports],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=EXAMPLES,
        start_new_session=True,
    )
    try:
        assert running.stdout is not None
        printed = ""
        while "/public\n" not in printed and '/public"' not in printed:
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


def test_what_there_is_for_machines() -> None:
    """One line of JSON: where everything is, and requests with the status of their answers."""
    with demo("--json") as (_, printed):
        told = json.loads(printed)
        for request in told["requests"]:
            *before, last = request["commands"]
            answer = run("\n".join([*before, last.replace("curl -i", "curl -si")]))
            assert answer.split()[1] == str(request["status"])
    assert told["app"].startswith("http://127.0.0.1:")


def test_an_app_of_the_users_is_protected() -> None:
    """MODULE:APP from the current directory."""
    with demo("untouched_app:app") as (_, printed):
        url = re.search(r"http://\S+?(?=/orders)", printed)[0]  # type: ignore[index]
        assert '{"error": "No token provided"}' in run(f"curl -si {url}/protected")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_it(number: signal.Signals) -> None:
    """Exit code 0, no traceback, and nobody listens any more."""
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
    assert "JWT_WSGI_APP: 'no_such_module:app': there is no module 'no_such_module'" in ended.stderr
    assert "gunicorn" in ended.stderr


def test_usage_is_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    """As argparse has it."""
    with pytest.raises(SystemExit) as ended:
        main(["unknown"])

    assert ended.value.code == 2
    assert "demo" in capsys.readouterr().err
