"""Headers and client certificates for an issuer's server go to that server's origin only."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from servers.running import in_a_thread
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Settings
from jwt_wsgi.__main__ import main
from jwt_wsgi.assembly import fetcher
from jwt_wsgi.testing import FakeIssuer

#: Some CA certificates.
CA = str(DEFAULT_CA_BUNDLE_PATH)

SECRET = "hunter2-hunter2"


class Recording(ThreadingHTTPServer):
    """Serves documents by path and remembers the header X-Key of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.documents: dict[str, Any] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.status = 200


class _Handler(BaseHTTPRequestHandler):
    server: Recording

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("X-Key")))
        document = self.server.documents.get(self.path)
        body = json.dumps(document).encode()
        self.send_response(404 if document is None else self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def recording() -> Iterator[Recording]:
    server = Recording()
    with in_a_thread(server):
        yield server


@pytest.fixture
def home() -> Iterator[Recording]:
    with recording() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[Recording]:
    with recording() as server:
        yield server


def publish(issuer_at: Recording, keys_at: Recording, issuer: FakeIssuer) -> str:
    """Metadata on one server, keys on another; returns the issuer's identifier."""
    metadata = {"issuer": issuer_at.url, "jwks_uri": f"{keys_at.url}/jwks"}
    issuer_at.documents["/.well-known/openid-configuration"] = metadata
    keys_at.documents["/jwks"] = issuer.jwks()
    return issuer_at.url


def test_headers_stay_home_where_discovery_names_another_origin(
    home: Recording, elsewhere: Recording, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys are fetched there, without them; one WARNING says what to do."""
    name = publish(home, elsewhere, issuer)
    guarded = JWTMiddleware(EchoApp(), issuer=name, jwks_headers={"X-Key": SECRET})
    for _ in range(2):
        token = issuer.token(iss=name, sub="ada")
        assert Client(guarded).get("/", headers=bearer(token)).text == "ada"
        guarded.verifier.issuers.get(name).keys.warm_up(5)

    assert home.seen == [("/.well-known/openid-configuration", SECRET)]
    assert elsewhere.seen == [("/jwks", None)]
    warnings = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "set jwks_uri" in warnings[0]
    assert elsewhere.url in warnings[0]
    assert SECRET not in caplog.text


def test_headers_go_to_jwks_uri_if_that_is_configured(
    home: Recording, elsewhere: Recording, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Then that is the origin they are for."""
    name = publish(home, elsewhere, issuer)
    trusted = Issuer(name, jwks_uri=f"{elsewhere.url}/jwks", jwks_headers={"X-Key": SECRET})
    guarded = JWTMiddleware(EchoApp(), issuer=[trusted, "https://other.example"])
    token = issuer.token(iss=name, sub="ada")
    assert Client(guarded).get("/", headers=bearer(token)).text == "ada"

    assert (home.seen, elsewhere.seen) == ([], [("/jwks", SECRET)])
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_tenant_s_server_gets_the_headers_of_its_own_issuer_only(
    home: Recording, elsewhere: Recording, issuer: FakeIssuer
) -> None:
    """What a function says of one tenant is not said to another."""
    first, second = publish(home, home, issuer), publish(elsewhere, elsewhere, issuer)
    tenants = {
        first: Issuer(first, jwks_headers={"X-Key": SECRET}),
        second: Issuer(second, jwks_headers={"X-Key": "another"}),
    }
    client = Client(JWTMiddleware(EchoApp(), issuer=tenants.get))
    for name in tenants:
        token = issuer.token(iss=name, sub="ada")
        assert client.get("/", headers=bearer(token)).text == "ada"

    assert {key for _, key in home.seen} == {SECRET}
    assert {key for _, key in elsewhere.seen} == {"another"}


@pytest.mark.parametrize("name", ["jwks_headers", "jwks_tls"])
@pytest.mark.parametrize("issuers", [["https://a.example", "https://b.example"], lambda iss: None])
def test_with_several_issuers_each_has_its_own(name: str, issuers: Any) -> None:
    """On the middleware they would go to everybody."""
    value: Any = {"jwks_headers": {"X-Key": SECRET}, "jwks_tls": CA}[name]
    with pytest.raises(ConfigurationError, match=f"{name}: give it to the one issuer"):
        Settings.of(issuer=issuers, **{name: value})


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://keys.example/jwks", True),
        ("https://KEYS.example:443/jwks", True),
        ("http://keys.example/jwks", False),
        ("https://keys.example:8443/jwks", False),
        ("https://keys.example.evil.example/jwks", False),
        ("https://evil.example/keys.example", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, same: bool) -> None:
    """RFC 6454 section 4; the client certificate has the same rule as the headers."""
    settings = Settings.of(
        issuer="https://keys.example",
        jwks_headers={"X-Key": SECRET},
        jwks_tls={"cert": __file__},
    )
    (own,) = settings.terms

    assert fetcher(own).withholds(url) is not same


def test_doctor_says_that_headers_stay_home(
    home: Recording,
    elsewhere: Recording,
    issuer: FakeIssuer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whether the keys can be had without them or not."""
    monkeypatch.setenv("JWT_WSGI_ISSUER", publish(home, elsewhere, issuer))
    monkeypatch.setenv("JWT_WSGI_JWKS_HEADERS", f"X-Key={SECRET}")
    for expected in (0, 1):
        assert main(["doctor", "--json"]) == expected
        (told,) = [
            check
            for check in json.loads(capsys.readouterr().out)["checks"]
            if check["name"] == "headers"
        ]
        assert told["outcome"] == "warn"
        assert elsewhere.url in told["says"]
        assert "JWT_WSGI_JWKS_URI" in told["remedy"]
        elsewhere.documents.clear()
    assert not [key for _, key in elsewhere.seen if key]
