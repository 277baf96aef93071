"""The command line of revocation, told wrong things; with a store it is in test_contrib_redis."""

import json
from pathlib import Path

import pytest

from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.revoke import date
from jwt_wsgi.cli.revoke import described
from jwt_wsgi.cli.terminal import load_option
from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.revocation.revocations import Entry

STORE = ["--store", "redis://127.0.0.1:1"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param([], "token|subject|session|list", id="nothing"),
        pytest.param(["key"], "invalid choice", id="another word"),
        pytest.param(["token", "--iss", "i"], "--jti", id="no jti"),
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
