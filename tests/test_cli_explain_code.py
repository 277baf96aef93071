"""``jwt-wsgi explain --code``: every code of the log is explained, offline, and has its page."""

import json
import re
from pathlib import Path

import pytest
from pages import ROOT
from test_errors_table import ROWS

from jwt_wsgi import errors
from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.explain_code import CODES
from jwt_wsgi.cli.explain_code import causes
from jwt_wsgi.cli.explain_code import page
from jwt_wsgi.contrib.flask import NotConfiguredError
from jwt_wsgi.events import Refused
from jwt_wsgi.events import Reported
from jwt_wsgi.revocation.backchannel import LogoutReplayedError
from jwt_wsgi.revocation.backchannel import LogoutRequestError
from jwt_wsgi.revocation.backchannel import LogoutUnavailableError


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["explain", *words])
    out, err = capsys.readouterr()
    return status, out + err


@pytest.mark.parametrize("kind", [Refused, Reported])
@pytest.mark.parametrize("code", [*CODES, "logout_audience_mismatch", "logout_token_expired"])
def test_what_the_log_names_can_be_typed(
    code: str,
    kind: type[Refused] | type[Reported],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the settings are: they are not read, and nothing is fetched."""
    monkeypatch.setenv("JWT_WSGI_LEEWAY", "no duration")
    (command,) = re.findall(r"see jwt-wsgi explain (.*)$", str(kind(code, 401)))

    status, text = said(capsys, *command.split())

    meaning = CODES.get(code) or CODES[code.removeprefix("logout_")]
    assert status == 0
    assert meaning.says in text
    assert meaning.remedy in text


def test_every_code_of_the_package_is_known() -> None:
    """Those that classes and answers have in the source, and no others."""
    written = {
        code
        for path in (ROOT / "jwt_wsgi").rglob("*.py")
        for code in re.findall(
            r'^    (?:    )?"?code"?(?:: str)?(?: =|:) "(\w+)"', path.read_text(), re.MULTILINE
        )
    }

    assert {*written, *errors.TOKEN_ERRORS} == set(CODES)


def test_a_code_means_what_its_answer_says() -> None:
    """Status and sentence are those of the answer."""
    others = (
        LogoutRequestError(),
        LogoutReplayedError(),
        LogoutUnavailableError(),
        NotConfiguredError(),
    )
    for error in (*(row[0] for row in ROWS), *others):
        meaning = CODES[error.code]
        assert meaning.status == error.status
        assert meaning.says == (error.details or error.error)
    assert CODES["token_invalid"].status == errors.InvalidTokenError.status
    assert CODES["refused"].status == errors.AuthError.status
    django = (ROOT / "jwt_wsgi" / "contrib" / "django.py").read_text()
    assert f'"details": "{CODES["not_guarded"].says}"' in django
    assert CODES["not_guarded"].status == 503


def test_every_code_has_its_page() -> None:
    folder = ROOT / "docs" / "reference" / "refusals"

    assert {path.stem for path in folder.iterdir()} == set(CODES)
    for code in CODES:
        assert (ROOT / page(code)).read_text().startswith(f"# `{code}`\n")


def test_machines_get_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys, "--code", "issuer_not_trusted", "--json")
    found = json.loads(text)

    assert status == 0
    assert (found["status"], found["says"]) == CODES["issuer_not_trusted"][:2]
    assert [(row["says"], row["remedy"]) for row in found["causes"]] == causes("issuer_not_trusted")
    assert Path(found["page"]) == Path("docs/reference/refusals/issuer_not_trusted.md")


def test_the_kinds_of_failed_fetches_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = said(capsys, "--code", "keys_unavailable")

    assert "\n  connect    No server accepts the connection" in text


@pytest.mark.parametrize("code", ["quota_exceeded", "token_expird", "logout_", "x\n\x1b[31m"])
def test_a_code_of_the_apps_own_is_named_as_such(
    code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = said(capsys, "--code", code)

    assert status == 2
    assert "is misspelled, or a code of your app" in text
    assert text.isascii()
    assert "\x1b" not in text
