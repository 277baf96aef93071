"""allowed_origins: which pages may send requests, and by which name of this server."""

import logging
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from servers.running import in_a_thread
from werkzeug.serving import make_server
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Settings
from jwt_wsgi.origin_check import AllowedOrigins
from jwt_wsgi.origin_check import problem
from jwt_wsgi.testing import FakeIssuer

Make = Callable[..., Client]
PAGE = "https://spa.example"
EVIL = "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST"}
BODY = {
    "error": "Origin not allowed",
    "details": "Requests from this origin, or for this host, are not served here",
    "code": "origin_not_allowed",
}
LISTED = AllowedOrigins(
    ("https://spa.example", "http://localhost:3000", "http://[::1]:3000", "capacitor://localhost"),
    ("api.example", "localhost:8000", "[::1]:8000", "[::1]"),
)


@pytest.mark.parametrize(
    "origin", [None, *LISTED.origins], ids=lambda origin: str(origin).replace("/", "")
)
def test_a_listed_origin_passes_and_so_does_a_request_without_one(origin: str | None) -> None:
    """A client that is no browser sends no Origin; a browser sends none with many GETs."""
    assert problem(LISTED, origin, "api.example") is None


@pytest.mark.parametrize(
    "origin",
    [
        EVIL,
        "",
        "null",
        "*",
        "HTTPS://spa.example",
        "https://SPA.example",
        "http://spa.example",
        "https://spa.example:443",
        "https://spa.example/",
        "https://spa.example.",
        " https://spa.example",
        "https://spa.example ",
        "https://spa.example:8443",
        "https://sub.spa.example",
        "https://spa.example.evil.example",
        "https://spa.example@evil.example",
        "https://spa.example,https://spa.example",
        "https://spa.example, https://evil.example",
        "https://spa.example https://evil.example",
        "https://spa.example\x00",
        "https://sp\xe4.example",
        "http://localhost",
        "http://localhost:3000.evil.example",
        "http://127.0.0.1:3000",
        "http://[0:0:0:0:0:0:0:1]:3000",
        "http://[::1]",
        "spa.example",
        "https:spa.example",
    ],
)
def test_any_other_value_is_refused(origin: str) -> None:
    """Byte for byte: duplicates are joined by servers, and null is what any sandbox can send."""
    assert "Origin" in (problem(LISTED, origin, "api.example") or "")


@pytest.mark.parametrize(
    "host",
    [
        "api.example",
        "API.Example",
        "api.example:443",
        "api.example:80",
        "localhost:8000",
        "[::1]:8000",
        "[::1]",
        "[::1]:80",
    ],
)
def test_a_listed_host_passes_in_any_case_and_with_a_default_port(host: str) -> None:
    """RFC 9110 section 4.2.3; the scheme outside of a TLS proxy is not known, so both ports."""
    assert problem(LISTED, None, host) is None


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "api.example.",
        "api.example:",
        "api.example:8000",
        "api.example:0443",
        "api.example:443:443",
        "api.example,api.example",
        "api.example, evil.example",
        "user@api.example",
        "sub.api.example",
        "api.example.evil.example",
        " api.example",
        "localhost",
        "localhost:3000",
        "127.0.0.1:8000",
        "[0:0:0:0:0:0:0:1]:8000",
        "::1",
        "[::1]:3000",
        "api.example\n",
        "https://api.example",
    ],
)
def test_any_other_host_is_refused(host: str | None) -> None:
    """With DNS rebinding, Host is a name of the attacker's. Without Host it names no host."""
    assert "Host" in (problem(LISTED, None, host) or "")


def test_without_hosts_the_name_does_not_matter() -> None:
    """Only what is configured is checked."""
    assert problem(AllowedOrigins((PAGE,)), PAGE, "anything") is None
    assert problem(AllowedOrigins((), ("api.example",)), PAGE, "api.example") is not None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "post", "X"])
def test_a_foreign_page_is_refused_before_anything_else(
    app: EchoApp, client: Make, issuer: FakeIssuer, method: str
) -> None:
    """With a valid token, on public paths, for every method; the answer has no challenge."""
    visitor = client(allowed_origins=PAGE, public_paths=["/healthz"])
    for path, headers in (("/", bearer(issuer.token())), ("/healthz", {}), ("/", {})):
        answer = visitor.open(path, method=method, headers=[*headers.items(), ("Origin", EVIL)])

        assert answer.status_code == 403
        assert answer.text == "" if method == "HEAD" else answer.json == BODY
        assert "WWW-Authenticate" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
    assert app.environ is None


def test_a_listed_page_and_no_page_are_served(client: Make, issuer: FakeIssuer) -> None:
    """They need a token as before."""
    visitor = client(allowed_origins=[PAGE])
    good = bearer(issuer.token())

    assert visitor.get("/", headers=good).status_code == 200
    assert visitor.get("/", headers={**good, "Origin": PAGE}).status_code == 200
    assert visitor.get("/", headers={"Origin": PAGE}).status_code == 401


def test_a_preflight_of_a_foreign_page_is_refused_whatever_lets_preflights_through(
    app: EchoApp, client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """The browser then never sends the request. That of a listed page goes on as before."""
    options: Any = {"allowed_origins": PAGE, "cors": {"origins": PAGE, "skip_preflight": True}}
    visitor = client(**options)

    assert visitor.options("/", headers={**PREFLIGHT, "Origin": EVIL}).status_code == 403
    assert app.environ is None
    assert visitor.options("/", headers={**PREFLIGHT, "Origin": PAGE}).status_code == 200
    assert not [r for r in caplog.records if "preflight" in r.getMessage()]


def test_the_metadata_of_a_resource_are_refused_as_well(client: Make) -> None:
    """A page that may not call the API does not need them."""
    visitor = client(allowed_origins=PAGE, resource="https://api.example/mcp")
    path = "/.well-known/oauth-protected-resource"

    assert visitor.get(path).status_code == 200
    assert visitor.get(path, headers={"Origin": PAGE}).status_code == 200
    assert visitor.get(path, headers={"Origin": EVIL}).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/mcp", "/mcp/x", "/mcp/", "//mcp", "/x/../mcp", "/%6dcp", "/m%63p;x", "/mcp.json", "/mcp\\"],
)
def test_every_reading_of_a_named_path_is_guarded(client: Make, path: str) -> None:
    """A path that a router may take for a named one is checked as well."""
    visitor = client(allowed_origins={"origins": [PAGE], "paths": ["/mcp", "/mcp/*"]})
    environ = {"PATH_INFO": path}

    assert visitor.get("/", environ_overrides=environ, headers={"Origin": EVIL}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/healthz", "/mcpx", "/mc", "/api/mcp"])
def test_other_paths_are_not_checked(client: Make, path: str) -> None:
    """Their answers do not change."""
    visitor = client(allowed_origins={"origins": [PAGE], "paths": ["/mcp", "/mcp/*"]})

    assert visitor.get(path, headers={"Origin": EVIL}).status_code == 401


def test_a_path_that_pyramid_puts_together_is_guarded(client: Make) -> None:
    """X-Vhm-Root: what the app sees is not PATH_INFO."""
    visitor = client(allowed_origins={"origins": [PAGE], "paths": ["/mcp"]})

    answer = visitor.get("/x", headers={"Origin": EVIL, "X-Vhm-Root": "/mcp"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Forwarded-Server", "Forwarded", "X-Host", "X-Original-Host"]
)
def test_headers_that_any_client_can_write_are_ignored(
    client: Make, issuer: FakeIssuer, name: str
) -> None:
    """Neither in favour of a request nor against it: only Host itself counts."""
    visitor = client(allowed_origins={"origins": [], "hosts": ["api.example"]})
    good = bearer(issuer.token())

    evil = {**good, "Host": "evil.example", name: "api.example"}
    assert visitor.get("/", headers=evil).status_code == 403
    assert visitor.get("/", headers={**good, "Host": "api.example", name: EVIL}).status_code == 200


def test_no_host_at_all_is_refused(app: EchoApp, issuer: FakeIssuer) -> None:
    """HTTP/1.0 may leave it out; then nothing says which server was meant."""
    guarded = issuer.protect(app, allowed_origins={"origins": [], "hosts": ["api.example"]})
    environ: Any = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "api.example"}
    seen: list[str] = []

    guarded(environ, lambda status, _headers: seen.append(status))

    assert (seen, app.environ) == (["403 Forbidden"], None)


@pytest.mark.parametrize("origins", [[PAGE, PAGE], [PAGE, EVIL], [EVIL, PAGE], [""]], ids=str)
def test_two_origins_on_the_wire_are_refused(
    app: EchoApp, issuer: FakeIssuer, origins: list[str]
) -> None:
    """A server joins them with a comma. An empty one is sent, too."""
    guarded = issuer.protect(app, allowed_origins=PAGE)
    server = make_server("127.0.0.1", 0, guarded)
    with in_a_thread(server), closing(HTTPConnection(*server.server_address)) as connection:
        connection.putrequest("GET", "/")
        connection.putheader("Authorization", f"Bearer {issuer.token()}")
        for origin in origins:
            connection.putheader("Origin", origin)
        connection.endheaders()
        assert connection.getresponse().status == 403
    assert app.environ is None


def test_the_log_says_what_was_not_listed(client: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Escaped and cut: a stranger wrote it."""
    caplog.set_level(logging.INFO)
    visitor = client(allowed_origins=PAGE)
    visitor.get("/", headers={"Origin": "https://e\tvil.example/" + "x" * 500})

    (line,) = [r.getMessage() for r in caplog.records if "origin_not_allowed" in r.getMessage()]
    assert "\\t" in line
    assert "x" * 100 not in line


def test_the_details_can_be_left_out(client: Make) -> None:
    """error_details=False: the code stays, as for every other refusal."""
    answer = client(allowed_origins=PAGE, error_details=False).get("/", headers={"Origin": EVIL})

    assert answer.json == {"error": "Origin not allowed", "code": "origin_not_allowed"}


def test_settings_of_a_request_count(app: EchoApp, issuer: FakeIssuer) -> None:
    """The server may say for each site which pages it has."""
    guarded = JWTMiddleware(app, issuer=issuer.issuer, settings_from_request=True)
    environ = {"jwt_wsgi.allowed_origins": PAGE}
    for origin, status in ((EVIL, 403), (PAGE, 401)):
        answer = Client(guarded).get("/", environ_overrides=environ, headers={"Origin": origin})
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("*", "leave the option out"),
        ("null", "scheme://host"),
        ("https://spa.example/", "scheme://host"),
        ("https://Spa.example", "browsers send https://spa.example"),
        ("https://spa.example:443", "browsers send https://spa.example"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "browsers send http://[::1]:3000"),
        ("https://*.spa.example", "cannot be a part"),
        ([], "at least one"),
        ({}, '"origins" as well'),
        ({"hosts": ["a.example"]}, '"origins" as well'),
        ({"origins": None}, "at least one"),
        ({"origins": [PAGE], "host": ["a.example"]}, "its members are origins, hosts, paths"),
        ({"origins": [PAGE], "hosts": []}, "at least one"),
        ({"origins": [PAGE], "hosts": ["https://a.example"]}, "without a scheme"),
        ({"origins": [PAGE], "hosts": ["A.example"]}, "in lower case"),
        ({"origins": [PAGE], "hosts": ["a.example."]}, "give host or host:port"),
        ({"origins": [PAGE], "hosts": ["a.example:443"]}, "without a default port"),
        ({"origins": [PAGE], "hosts": ["a.example:80"]}, "without a default port"),
        ({"origins": [PAGE], "hosts": ["a.example:99999"]}, "browsers write it"),
        ({"origins": [PAGE], "hosts": ["::1"]}, "IPv6 in brackets"),
        ({"origins": [PAGE], "hosts": ["[0:0:0:0:0:0:0:1]"]}, "browsers write it"),
        ({"origins": [PAGE], "hosts": ["*.a.example"]}, "give host or host:port"),
        ({"origins": [PAGE], "hosts": ["${HOST}"]}, "placeholder"),
        ({"origins": [PAGE], "paths": ["mcp"]}, "starts with /"),
        ({"origins": [PAGE], "paths": []}, "at least one"),
    ],
    ids=str,
)
def test_a_value_that_can_never_match_is_an_error_at_start(value: Any, remedy: str) -> None:
    """With its remedy."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.of(issuer="https://a.example", allowed_origins=value)
    assert remedy in str(caught.value)
    assert str(caught.value).startswith("allowed_origins: ")


def test_an_origin_of_cors_that_is_refused_is_an_error() -> None:
    """Its scripts could read answers to requests that are never served. With paths it may be so."""
    own: dict[str, Any] = {"issuer": "https://a.example", "cors": [PAGE, "*"]}
    with pytest.raises(ConfigurationError, match=f"cors: {PAGE}: allowed_origins refuses"):
        Settings.of(**own, allowed_origins=EVIL)
    Settings.of(**own, allowed_origins=PAGE)
    Settings.of(**own, allowed_origins={"origins": [EVIL], "paths": ["/mcp"]})


@pytest.mark.parametrize(
    ("value", "remedy"),
    [({}, "at least one"), ({"origin": PAGE}, "its members are"), ({"skip_preflight": 7}, "true")],
    ids=str,
)
def test_wrong_members_of_cors(value: Any, remedy: str) -> None:
    """The mapping form of cors."""
    with pytest.raises(ConfigurationError, match="cors: ") as caught:
        Settings.of(issuer="https://a.example", cors=value)
    assert remedy in str(caught.value)
