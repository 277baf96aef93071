"""Credentials for a protected JWKS: a header whose value stands in a file that others replace."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from test_origins import Recording
from test_origins import recording
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Settings
from jwt_wsgi.__main__ import main
from jwt_wsgi.assembly import fetcher
from jwt_wsgi.key_sources.failures import FetchError
from jwt_wsgi.testing import FakeIssuer

ISSUER = FakeIssuer("https://kubernetes.default.svc")


@pytest.fixture
def server() -> Iterator[Recording]:
    with recording() as server:
        server.documents["/jwks"] = ISSUER.jwks()
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def guard(server: Recording, file: Path, **options: Any) -> JWTMiddleware:
    headers = {"X-Key": {"file": str(file), "prefix": "Bearer "}}
    settings = {"jwks_uri": f"{server.url}/jwks", "jwks_headers": headers} | options
    return JWTMiddleware(EchoApp(), issuer=ISSUER.issuer, **settings)


def fetch(guarded: JWTMiddleware) -> None:
    (own,) = guarded.settings.terms
    fetcher(own)(str(own.jwks_uri), etag=None, no_cache=False, timeout=5)


def test_the_page_says_what_is_true(tmp_path: Path) -> None:
    """The block of docs/how-to/protected-jwks.md, with a file that is there."""
    page = Path(__file__).parent.parent / "docs" / "how-to" / "protected-jwks.md"
    (block,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "token").write_text("abc")
    place = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    namespace: dict[str, Any] = {}
    exec(block.replace(place, str(tmp_path / "token")), namespace)

    assert Settings.of(issuer=namespace["kubernetes"]).issuers


def test_a_file_is_read_for_each_fetch(server: Recording, file: Path) -> None:
    """So a token that Kubernetes replaces is the new one at once; white space is no part of it."""
    guarded = guard(server, file)
    assert Client(guarded).get("/", headers=bearer(ISSUER.token(sub="ada"))).text == "ada"
    file.write_text("\ufeff second \n", encoding="utf-8")
    fetch(guarded)

    assert [key for _, key in server.seen] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("text", ["", " \n", "a\nb", "a\r\nX-Admin: yes", "\u00e9", "x" * 20_000])
def test_a_file_that_no_header_can_hold_is_a_failed_fetch(
    server: Recording, file: Path, text: str
) -> None:
    """Nothing is sent, the keys in hand stay, and the error names the header, not the text."""
    guarded = guard(server, file)
    file.write_text(text, encoding="utf-8")

    with pytest.raises(FetchError, match=r"jwks_headers: the file of X-Key") as caught:
        fetch(guarded)
    assert caught.value.kind == "file"
    assert not server.seen
    assert "Admin" not in caught.value.detail


def test_a_file_that_is_gone_is_a_failed_fetch(server: Recording, file: Path) -> None:
    """As any other failure: the keys that are held go on serving."""
    guarded = guard(server, file)
    file.unlink()

    with pytest.raises(FetchError, match=r"the file of X-Key cannot be read \(No such file"):
        fetch(guarded)
    assert not server.seen


@pytest.mark.parametrize("form", ["environment", "object", "JSON of an issuer"])
def test_every_form_of_it(server: Recording, file: Path, form: str) -> None:
    """As JSON in the environment, as objects, and for each issuer its own."""
    headers = {"X-Key": {"file": str(file)}, "X-Other": "plain"}
    beside: Any = {"jwks_uri": f"{server.url}/jwks", "jwks_headers": headers}
    text = {"JWT_WSGI_ISSUER": ISSUER.issuer, "JWT_WSGI_JWKS_URI": beside["jwks_uri"]}
    settings = {
        "environment": lambda: Settings.load(
            {}, environ=text | {"JWT_WSGI_JWKS_HEADERS": json.dumps(headers)}
        ),
        "object": lambda: Settings.of(issuer=Issuer(ISSUER.issuer, **beside)),
        "JSON of an issuer": lambda: Settings.of(
            issuer=json.dumps([{"issuer": ISSUER.issuer} | beside, "https://b.example"])
        ),
    }[form]()

    fetcher(settings.terms[0])(f"{server.url}/jwks", etag=None, no_cache=False, timeout=5)

    assert server.seen == [("/jwks", "first")]


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ({"file": "/does/not/exist"}, "cannot be read"),
        ({"file": 7}, "a text"),
        ({"prefix": "Bearer "}, "file"),
        ({"file": __file__, "prefx": "Bearer "}, "did you mean prefix"),
        ({"file": __file__, "prefix": "a\nb"}, "printable ASCII"),
        ({}, "file"),
        (7, "printable ASCII"),
    ],
)
def test_a_wrong_form_does_not_start(value: Any, remedy: str) -> None:
    """With its remedy, and without what stands in it."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.of(issuer="https://a.example", jwks_headers={"Authorization": value})
    (problem,) = caught.value.problems
    assert problem.startswith("jwks_headers: (a secret)")
    assert remedy in problem


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("given", [False, True])
def test_doctor_names_the_setting(
    server: Recording,
    file: Path,
    status: int,
    given: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the server asks for credentials, and where it refuses those that were sent."""
    server.status = status
    monkeypatch.setenv("JWT_WSGI_ISSUER", ISSUER.issuer)
    monkeypatch.setenv("JWT_WSGI_JWKS_URI", f"{server.url}/jwks")
    if given:
        headers = json.dumps({"X-Key": {"file": str(file)}})
        monkeypatch.setenv("JWT_WSGI_JWKS_HEADERS", headers)

    assert main(["doctor", "--json"]) == 1

    checks = json.loads(capsys.readouterr().out)["checks"]
    (told,) = [check for check in checks if check["name"] == "keys"]
    assert f"status {status}" in told["says"]
    assert "JWT_WSGI_JWKS_HEADERS" in told["remedy"]
    assert ("refuses the credentials" in told["remedy"]) is given
