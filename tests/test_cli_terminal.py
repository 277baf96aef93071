"""The command line as processes: pipes, a pseudo terminal, colours, and readers that leave."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from jwt_wsgi.__main__ import main
from jwt_wsgi.testing import FakeIssuer

COMMAND = [sys.executable, "-W", "error", "-m", "jwt_wsgi"]


def environment(issuer: FakeIssuer, **more: str) -> dict[str, str]:
    own = {"JWT_WSGI_ISSUER": issuer.issuer, "JWT_WSGI_JWKS": json.dumps(issuer.jwks())}
    return {**os.environ, **own, "TERM": "xterm", **more}


def under_a_terminal(
    arguments: list[str], environ: dict[str, str], typed: bytes = b"", columns: int = 200
) -> str:
    """What a person would see; ``typed`` is what is typed when it is asked for."""
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, columns))
    running = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=child, stdout=child, stderr=child, env=environ, start_new_session=True,
    )  # fmt: skip
    os.close(child)
    seen = b""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            data = os.read(parent, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
        if typed and b"token (not shown)" in seen:
            threading.Thread(target=os.write, args=(parent, typed), daemon=True).start()
            typed = b""
    os.close(parent)
    running.wait(10)
    return seen.decode()


@pytest.mark.slow
def test_a_token_through_a_pipe(issuer: FakeIssuer) -> None:
    """Colours are for terminals; exit code 0 for a good token, 1 for a bad one."""
    for token, code, word in ((issuer.token(), 0, "accepted"), (issuer.token(exp=1), 1, "refused")):
        done = subprocess.run(
            [*COMMAND, "explain"], input=token, env=environment(issuer), text=True,
            capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (code, "")
        assert word in done.stdout
        assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_colours_on_a_terminal_only_where_they_are_wanted(issuer: FakeIssuer) -> None:
    """Not with NO_COLOR, and never in JSON."""
    environ = environment(issuer)

    assert "\x1b[32mok" in under_a_terminal(["explain", issuer.token()], environ)
    assert "\x1b" not in under_a_terminal(
        ["explain", issuer.token()], environment(issuer, NO_COLOR="1")
    )
    assert "\x1b" not in under_a_terminal(["explain", "--json", issuer.token()], environ)


def test_colours_that_are_forced(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a pipe, by FORCE_COLOR; NO_COLOR comes first, and JSON has none."""
    for name, value in environment(issuer, FORCE_COLOR="1").items():
        monkeypatch.setenv(name, value)
    main(["explain", issuer.token()])
    assert "\x1b[32mok" in capsys.readouterr().out
    main(["explain", "--json", issuer.token()])
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["explain", issuer.token()])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_token_that_is_pasted_into_a_terminal_is_not_shown(issuer: FakeIssuer) -> None:
    """Neither echoed nor printed."""
    token = issuer.token(sub="ada")
    seen = under_a_terminal(["explain"], environment(issuer), token.encode() + b"\n\n")

    assert "accepted" in seen
    assert not any(part[:24] in seen for part in token.split("."))


def interruptible() -> None:
    """A process that a shell started in the background ignores SIGINT, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


#: Runs a command in a shell's place, and says what is left of the terminal's input, and its modes.
AFTERWARDS = """
import os, select, subprocess, sys, termios
before = termios.tcgetattr(0)
code = subprocess.run([sys.executable, *sys.argv[1:]]).returncode
print("modes", termios.tcgetattr(0) == before)
flags = termios.tcgetattr(0)
flags[3] &= ~termios.ICANON
termios.tcsetattr(0, termios.TCSANOW, flags)
print("left", select.select([0], [], [], 0)[0], "code", code)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spell", "end"),
    [
        ("{}", b"\x04"),
        ("{}\n", b"\x04"),
        ("{}\n", b"\n"),
        ("GET / HTTP/1.1\nHost: x\nAuthorization: Bearer {}\n\nrm -rf body\nmore\n", b""),
        ("wrong\x7f\x7f\x7f\x7f\x7f{}\n", b"\n"),
    ],
    ids=["Ctrl-D", "a line and Ctrl-D", "an empty line", "headers and a body", "backspace"],
)
def test_a_paste_of_many_lines_and_of_any_length(
    issuer: FakeIssuer, spell: str, end: bytes
) -> None:
    """A token of 9 kB, headers with a body: nothing is cut, shown, or left to the shell."""
    token = issuer.token(sub="ada", groups=["staff"] * 900)
    assert len(token) > 8192
    wrapped = "\n".join(token[at : at + 76] for at in range(0, len(token), 76))
    text = spell.format(token if "GET" in spell else wrapped)
    parent, child = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-c", AFTERWARDS, "-m", "jwt_wsgi", "explain", "--no-claims"],
        stdin=child, stdout=child, stderr=child, env=environment(issuer), start_new_session=True,
    )  # fmt: skip
    os.close(child)
    seen = b""
    with suppress(OSError):  # the terminal is gone
        while data := os.read(parent, 65536):
            seen += data
            if b"Ctrl-D: " in seen and text:
                pasted, text = text.encode() + end, ""
                threading.Thread(target=os.write, args=(parent, pasted), daemon=True).start()
    os.close(parent)
    running.wait(10)

    assert b"accepted" in seen
    assert b"modes True" in seen
    assert b"left [] code 0" in seen
    assert b"rm -rf" not in seen
    assert not any(token[at : at + 24].encode() in seen for at in range(0, len(token), 76))


@pytest.mark.slow
def test_ctrl_c_leaves_the_terminal_as_it_was(issuer: FakeIssuer) -> None:
    """Echo is on again."""
    parent, child = pty.openpty()
    before = termios.tcgetattr(child)
    running = subprocess.Popen(
        [*COMMAND, "explain"], stdin=child, stdout=child, stderr=child,
        env=environment(issuer), start_new_session=True, preexec_fn=interruptible,  # noqa: PLW1509
    )  # fmt: skip
    seen = b""
    while b"Ctrl-D: " not in seen:
        seen += os.read(parent, 65536)
    assert termios.tcgetattr(child) != before
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 130

    assert termios.tcgetattr(child) == before
    os.close(child)
    os.close(parent)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["explain", "{}"], ["keys"], ["doctor"]])
def test_everything_fits_into_eighty_columns(issuer: FakeIssuer, arguments: list[str]) -> None:
    """Text wraps between words, and a table that is too wide becomes blocks."""
    token = issuer.token(aud="https://another.example/api")
    line = [argument.format(token) for argument in arguments]
    rotated = {**issuer.jwks()["keys"][0], "kid": "a" * 43}
    environ = environment(issuer, JWT_WSGI_AUDIENCE="https://orders.example/api")
    environ["JWT_WSGI_JWKS"] = json.dumps({"keys": [*issuer.jwks()["keys"], rotated]})
    seen = re.sub("\x1b\\[[0-9;]*m", "", under_a_terminal(line, environ, columns=80))

    assert max(map(len, seen.split("\r\n"))) <= 80
    assert ("a" * 43 in seen) == (arguments == ["keys"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explian"], "there is no explian; did you mean explain?"),
        (["keys"], "issuer: missing;"),
        (["explain", "--app", "no_such_module_of_this_machine:application"], "--app:"),
    ],
)
def test_complaints_wrap_as_well(arguments: list[str], words: str) -> None:
    """They go to standard error, which is the same terminal."""
    own = ("JWT_WSGI_", "COLUMNS", "LINES")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(own)}
    seen = under_a_terminal(arguments, {**environ, "TERM": "xterm"}, columns=60)

    assert words in seen
    assert max(map(len, seen.split("\r\n"))) <= 60


@pytest.mark.slow
def test_a_problem_of_an_issuer_is_indented_below_it() -> None:
    """At the width of a terminal its words stand below each other."""
    own = {"JWT_WSGI_ISSUER": "http://127.0.0.1:1/realms/a", "TERM": "dumb", "COLUMNS": "80"}
    environ = {**os.environ, **own}
    lines = under_a_terminal(["keys"], environ, columns=80).split("\r\n")

    start = next(number for number, line in enumerate(lines) if line.startswith("  problem: "))
    assert lines[start + 1].startswith("    ")
    assert max(map(len, lines)) <= 80


def test_progress_is_shown_at_a_terminal() -> None:
    """On standard error."""
    with FakeIssuer().serve() as issuer:
        environ = {**os.environ, "JWT_WSGI_ISSUER": issuer.issuer, "TERM": "dumb"}
        seen, url = under_a_terminal(["keys"], environ), issuer.url

    assert f"asking '{url}' ..." in seen


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["keys"], ["doctor", "--json"], ["--help"]])
def test_a_closed_pipe_causes_no_traceback(issuer: FakeIssuer, arguments: list[str]) -> None:
    """For instance with ``head``."""
    running = subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(issuer, PYTHONUNBUFFERED=""),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()

    assert running.stderr.read() == b""
    running.stderr.close()
    assert running.wait(20) == 1


@pytest.mark.slow
def test_endless_input_is_refused(issuer: FakeIssuer) -> None:
    """After a million characters."""
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run(
            [*COMMAND, "explain"], stdin=endless, env=environment(issuer), text=True,
            capture_output=True, timeout=30, check=False,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (1, "")
    assert len(done.stdout) < 2000
    assert "token_malformed: 1000000 characters" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", ["explain", "doctor"])
def test_ctrl_c(command: str) -> None:
    """Exit code 130 and no traceback, at the prompt and while the command waits for an issuer."""
    with FakeIssuer().serve() as issuer, issuer.slow(60):
        environ = {**os.environ, "JWT_WSGI_ISSUER": issuer.issuer, "TERM": "dumb"}
        parent, child = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "jwt_wsgi", command],  # a socket is left open, which -W tells
            stdin=child, stdout=child, stderr=child, env=environ, start_new_session=True,
            preexec_fn=interruptible,  # noqa: PLW1509  # it takes no lock
        ) as running:  # fmt: skip
            try:
                os.close(child)
                seen = b""
                while b"token (not shown)" not in seen and b"asking " not in seen:
                    seen += os.read(parent, 65536)
                while command == "doctor" and not issuer.requests:
                    time.sleep(0.01)  # an interrupted connect() leaves a socket to -W error
                running.send_signal(signal.SIGINT)
                code = running.wait(30)  # the issuer would keep it for a minute
                with suppress(OSError):
                    seen += os.read(parent, 65536)
            finally:
                running.kill()
                os.close(parent)

    assert code == 130
    assert b"Traceback" not in seen


@pytest.mark.slow
@pytest.mark.parametrize("typed", [b"\x04", b"\n"])
def test_nothing_is_typed(issuer: FakeIssuer, typed: bytes) -> None:
    """Ctrl-D or an empty line is no token."""
    assert "token_missing" in under_a_terminal(["explain"], environment(issuer), typed)


def test_input_that_is_no_text(issuer: FakeIssuer) -> None:
    """Bytes of a picture are no token, and no traceback."""
    done = subprocess.run(
        [*COMMAND, "explain"], input=b"\xff\xfe\x00\x81", env=environment(issuer),
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (1, b"")


def test_characters_that_a_terminal_cannot_show_are_escaped(issuer: FakeIssuer) -> None:
    """There is no traceback."""
    done = subprocess.run(
        [*COMMAND, "doctor"], env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert b"issuer: missing" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize(
    "command", ["explain", "doctor", "routes", "settings", "keys", "mint", "revoke", "demo"]
)
def test_every_command_helps(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With an example where it has more than one way."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    said = capsys.readouterr().out
    if command not in ("revoke", "demo"):
        assert "example" in said
        assert "jwt-wsgi " + command in said
        assert "--json" in said


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["explian"], "did you mean explain?"),
        (["route"], "did you mean routes?"),
        (["setings"], "did you mean settings?"),
        (["routes", "--app", "x:y", "--chek", "f"], "did you mean --check?"),
        (["keys", "--jwks-url", "x"], "did you mean --jwks-uri?"),
        (["explain", "--no-claim-s", "x"], "did you mean --no-claims?"),
        (["revoke", "tokn"], "did you mean token?"),
        (["revoke", "token", "--jit", "x", "--iss", "x", "--jti", "x"], "did you mean --jti?"),
        (["mint", "--alg", "RS2566"], "did you mean RS256?"),
        (["frobnicate"], "invalid choice"),
        (["keys", "--frobnicate"], "no such option: --frobnicate\n"),
    ],
)
def test_a_word_that_does_not_exist(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What may have been meant is named; exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("words", [["help"], ["help", "explain"]])
def test_help_as_a_word(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Of all commands, or of one."""
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 0
    assert f"usage: jwt-wsgi {' '.join(words[1:])}".strip() in capsys.readouterr().out


def test_the_main_module_has_no_logic_of_its_own() -> None:
    """Each command is a module's function."""
    source = Path(main.__code__.co_filename).read_text()

    assert len(source.splitlines()) < 90


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
@pytest.mark.parametrize("command", ["explain", "doctor", "keys", "mint"])
def test_a_stream_that_is_closed(command: str, closed: str, tmp_path: Path) -> None:
    """Python makes it None; it reads as empty and what is written is gone, without a traceback."""
    env = {"JWT_WSGI_ISSUER": "http://127.0.0.1:9", "PYTHONPATH": os.pathsep.join(sys.path)}
    line = f'exec "$0" -m jwt_wsgi {command} {closed}'
    ran = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stdout + ran.stderr
    assert ran.returncode in (0, 1, 2)


def test_a_full_disk() -> None:
    """One line, exit code 1."""
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    line = 'exec "$0" -m jwt_wsgi mint > /dev/full'
    ran = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "jwt-wsgi: No space left on device"
