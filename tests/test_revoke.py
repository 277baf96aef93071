"""The command line of revocation, told wrong things; with a store it is in test_contrib_redis."""

from pathlib import Path

import pytest

from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.revoke import date
from jwt_wsgi.cli.revoke import named_store
from jwt_wsgi.cli.revoke import told
from jwt_wsgi.revocation.redis import RedisStore
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


def test_where_the_store_is_named(tmp_path: Path) -> None:
    """By the option, else by the variable, else in the file that another names."""
    secret = tmp_path / "store"
    secret.write_text("redis://127.0.0.1:3\n")
    environ = {
        "JWT_WSGI_STORE": "redis://127.0.0.1:2",
        "JWT_WSGI_STORE_FILE": str(secret),
    }

    def port(text: str | None, environ: dict[str, str]) -> int:
        store = named_store(text, environ)
        assert isinstance(store, RedisStore)
        found: int = store._client.connection_pool.connection_kwargs["port"]
        return found

    assert port("redis://127.0.0.1:1", environ) == 1
    assert port(None, environ) == 2
    del environ["JWT_WSGI_STORE"]
    assert port(None, environ) == 3
    with pytest.raises(ValueError, match="JWT_WSGI_STORE_FILE cannot be read"):
        named_store(None, {"JWT_WSGI_STORE_FILE": str(tmp_path / "none")})


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
    line = told(Entry("token", "https://i\x1b[2J", "a\nb", 0))

    assert line.isascii()
    assert line.isprintable()
