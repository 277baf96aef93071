"""The command line of revocation, told wrong things; with a store it is in test_contrib_redis."""

import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from test_cli_terminal import under_a_terminal
from werkzeug.test import Client

from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.revoke import date
from jwt_wsgi.cli.revoke import described
from jwt_wsgi.cli.terminal import load_option
from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.revocation.revocations import LIFETIME
from jwt_wsgi.revocation.revocations import Entry
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.revocation.store import StoreError
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import MemoryStore

STORE = ["--store", "redis://127.0.0.1:1"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param([], "token|subject|session|list", id="nothing"),
        pytest.param(["key"], "invalid choice", id="another word"),
        pytest.param(["subject", "--sub", "a"], "--iss", id="no iss"),
        pytest.param(
            ["session", "--iss", "i", "--sid", "a", "--for", "soon"], "duration", id="for soon"
        ),
        pytest.param(
            ["session", "--iss", "i", "--sid", "a", "--for", "0"], "more than", id="for 0"
        ),
        pytest.param(
            ["session", "--iss", "i", "--sid", "a", "--for", "99999d"], "3650d", id="for ever"
        ),
        pytest.param(
            ["token", "--iss", "i", "--jti", "a", "--for", "1h", "--expires", "4000000000"],
            "not allowed with",
            id="two times",
        ),
        pytest.param(
            ["subject", "--iss", "i", "--sub", "a", "--not-before", "2026-01-31T12:00:00"],
            "time zone",
            id="no zone",
        ),
        pytest.param(
            ["subject", "--iss", "i", "--sub", "a", "--not-before", "yesterday"],
            "seconds",
            id="no time",
        ),
    ],
)
def test_a_usage_that_argparse_refuses(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the remedy."""
    with pytest.raises(SystemExit) as caught:
        main(["revoke", *STORE, *arguments])

    assert caught.value.code == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(["list"], "give --store redis://", id="no store"),
        pytest.param(
            [*STORE, "token", "--iss", "i"], "--jti: give both --iss and --jti", id="no jti"
        ),
        pytest.param(
            [*STORE, "token", "--jti", "i"], "--iss: give both --iss and --jti", id="no iss"
        ),
        pytest.param(["--store", "", "list"], "begins with redis://", id="an empty store"),
        pytest.param(["--store", "http://x", "list"], "begins with redis://", id="another store"),
        pytest.param(
            [*STORE, "token", "--iss", "", "--jti", "a"], "must not be empty", id="an empty iss"
        ),
        pytest.param(
            [*STORE, "subject", "--iss", "i", "--sub", "a", "--not-before", "1800000000000"],
            "not milliseconds",
            id="milliseconds",
        ),
    ],
)
def test_a_usage_that_makes_no_sense(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line with the remedy, before anything is asked of a store."""
    assert main(["revoke", *arguments]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("jwt-wsgi revoke: ")
    assert said.err.count("\n") == 1
    assert why in said.err


def test_where_the_store_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the option, else as the middleware reads it: the variable, its JSON, its file, the app."""
    secret = tmp_path / "store"
    secret.write_text("redis://127.0.0.1:3\n")
    (tmp_path / "revoking.py").write_text(
        "from jwt_wsgi import JWTMiddleware\n"
        "app = JWTMiddleware(print, issuer='https://i.example', revocation='redis://127.0.0.1:5')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def port(flag: str | None = None, app: str | None = None, **environ: str) -> int:
        with monkeypatch.context() as patched:
            for name, value in environ.items():
                patched.setenv(f"JWT_WSGI_REVOCATION{name}", value)
            store = load_option("revocation", flag, app).store
        found: int = store._client.connection_pool.connection_kwargs["port"]
        return found

    variable = {"": "redis://127.0.0.1:2"}
    assert port("redis://127.0.0.1:1", **variable) == 1
    assert port(**variable) == 2
    assert port(_FILE=str(secret)) == 3
    assert port(**{"": '{"store": "redis://127.0.0.1:4", "fail_open": true}'}) == 4
    assert port(app="revoking:app", **variable) == 5
    with pytest.raises(ConfigurationError, match=r"JWT_WSGI_REVOCATION_FILE: .* cannot be read"):
        port(_FILE=str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="--app: its settings are taken as they are"):
        port("redis://127.0.0.1:1", "revoking:app")


def test_what_else_is_wrong_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the machine that revokes the other settings of the app may be missing, or wrong."""
    monkeypatch.setenv("JWT_WSGI_LEEWAY", "soon")

    assert main(["revoke", *STORE, "list"]) == 1  # nobody listens there
    assert "the store failed" in capsys.readouterr().err


def test_a_complaint_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """As every other command has it."""
    assert main(["revoke", "--json", "list"]) == 2

    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem.startswith("revocation: give --store redis://")


STORE_OF_APP = MemoryStore()
ISSUER = FakeIssuer("https://i.example")
app = ISSUER.protect(EchoApp(), revocation=STORE_OF_APP)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Any]]:
    """What is revoked now in the store of an app that ``--app`` finds; empty at first."""
    STORE_OF_APP._entries.clear()
    monkeypatch.setattr("jwt_wsgi.cli.terminal.load_app", lambda *_: app)

    def entries() -> list[Any]:
        return [entry.as_json() for entry in Revocations(STORE_OF_APP).entries() if entry]

    return entries


def revoke(
    monkeypatch: pytest.MonkeyPatch, *arguments: str, typed: str = "", code: int = 0
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert main(["revoke", "--app", "shop:app", *arguments]) == code


@pytest.mark.parametrize("form", ["{}", "Bearer {}\n", "Authorization: Bearer {}\r\n"])
def test_a_token_is_revoked_by_itself(
    form: str,
    held: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On standard input: its iss, its jti and its exp are taken from it, and it is not printed."""
    token = ISSUER.token(jti="j-1", exp=4000000000, sub="ada")
    client = Client(app)
    assert client.get("/", headers=bearer(token)).status_code == 200
    revoke(monkeypatch, "token", typed=form.format(token))

    said = capsys.readouterr()
    assert said.out.startswith("revoked: token 'j-1' of 'https://i.example', until 2096-")
    assert token not in said.out + said.err
    assert token.split(".")[2] not in said.out + said.err
    assert held() == [
        {"kind": "token", "iss": "https://i.example", "jti": "j-1", "expires": 4000000300}
    ]
    assert client.get("/", headers=bearer(token)).status_code == 401


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        pytest.param("", "no token", id="nothing"),
        pytest.param("not.a.token", "cannot be read", id="no token"),
        pytest.param({"jti": None}, "it has no jti; revoke its subject", id="no jti"),
        pytest.param({"jti": ["a"]}, "it has no jti; revoke its subject", id="a list"),
        pytest.param({"iss": None}, "it has no iss", id="no iss"),
    ],
)
def test_a_token_that_cannot_be_revoked_by_itself(
    typed: Any,
    why: str,
    held: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, and what to do instead."""
    given = typed if isinstance(typed, str) else FakeIssuer().token(**({"jti": "a"} | typed))
    revoke(monkeypatch, "token", typed=given, code=2)

    said = capsys.readouterr()
    assert why in said.err
    assert said.out == ""
    assert held() == []


def test_a_token_without_a_usable_exp_stays_revoked_for_the_usual_time(
    held: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a flag comes before the exp of the token.

    The token is not verified, so its exp may be changed, and the real token may live longer.
    """
    for number, (claims, flags) in enumerate(
        [
            ({"exp": None}, []),
            ({"exp": 1e300}, []),
            ({"exp": 4e9}, ["--for", "30d"]),
            ({"exp": 1e9}, []),
            ({"exp": time.time() + 5}, []),
        ]
    ):
        revoke(monkeypatch, "token", *flags, typed=FakeIssuer().token(jti=f"j{number}", **claims))

    times = [entry["expires"] - time.time() for entry in held()]
    assert times == pytest.approx([LIFETIME] * 5, abs=60)


@pytest.mark.parametrize(
    "what",
    [
        ["token", "--iss", "https://i.example", "--jti", "j-1"],
        ["subject", "--iss", "https://i.example", "--sub", "ada"],
        ["session", "--iss", "https://i.example", "--sid", "s-1"],
    ],
    ids=["token", "subject", "session"],
)
def test_what_was_revoked_by_mistake_is_good_again(
    what: list[str],
    held: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``--undo`` takes the entry away; where there is none, exit code 1 says so."""
    revoke(monkeypatch, *what)
    revoke(monkeypatch, what[0], "--iss", "https://other.example", *what[3:])
    assert len(held()) == 2
    capsys.readouterr()
    revoke(monkeypatch, *what, "--undo")
    assert capsys.readouterr().out == f"no longer revoked: {what[0]} '{what[-1]}' of '{what[2]}'\n"
    assert [entry["iss"] for entry in held()] == ["https://other.example"]

    revoke(monkeypatch, *what, "--undo", code=1)
    assert "was not revoked" in capsys.readouterr().err


def test_a_token_is_good_again_by_itself(
    held: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With ``--undo`` as without it; for machines, too."""
    token = FakeIssuer("https://i.example").token(jti="j-1")
    revoke(monkeypatch, "token", typed=token)
    capsys.readouterr()
    revoke(monkeypatch, "token", "--undo", "--json", typed=token)

    assert json.loads(capsys.readouterr().out) == {
        "kind": "token",
        "iss": "https://i.example",
        "jti": "j-1",
        "undone": True,
    }
    assert held() == []


def test_a_store_that_cannot_forget(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store of your own needs ``remove_entry`` for that."""

    class Writing:
        read_entries = write_entry = add_entry = staticmethod(lambda *_: [None])

    with pytest.raises(StoreError, match="remove_entry"):
        Revocations(Writing()).undo("token", "https://i", "a")  # type: ignore[arg-type]


@pytest.mark.slow
def test_at_a_terminal_the_token_is_not_shown(tmp_path: Path) -> None:
    """Nothing is echoed, and a prompt says what is waited for."""
    token = FakeIssuer("https://i.example").token(jti="j-1")
    (tmp_path / "shop.py").write_text("from test_revoke import app\n")
    path = f"{Path(__file__).parent}:{Path(__file__).parent.parent}:{tmp_path}"
    arguments = ["revoke", "--app", "shop:app", "token"]
    seen = under_a_terminal(arguments, {**os.environ, "PYTHONPATH": path}, token.encode() + b"\n\n")

    assert "token (not shown)" in seen
    assert "revoked: token 'j-1' of 'https://i.example'" in seen
    assert token[:30] not in seen


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", None),
        ("1800000000", 1800000000),
        ("1800000000.5", 1800000000.5),
        ("2026-01-31T12:00:00Z", 1769860800),
        ("2026-01-31T13:00:00+01:00", 1769860800),
    ],
)
def test_how_a_time_is_said(text: str, seconds: float | None) -> None:
    """Seconds since 1970, ISO 8601 with its zone, or now."""
    assert date(text) == seconds


def test_what_stands_in_an_entry_is_escaped() -> None:
    """A terminal obeys what is printed to it."""
    line = described(Entry("token", "https://i\x1b[2J", "a\nb", 0))

    assert line.isascii()
    assert line.isprintable()
