"""Protected resource metadata: where it is, what it says, who may read it (RFC 9728)."""

import json
from collections.abc import Callable
from typing import Any
from wsgiref.validate import validator

import pytest
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client
from werkzeug.test import TestResponse

from jwt_wsgi import ConfigurationError
from jwt_wsgi import InsufficientScopeError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi import Settings
from jwt_wsgi.metadata import WELL_KNOWN
from jwt_wsgi.metadata import Metadata
from jwt_wsgi.metadata import audiences
from jwt_wsgi.metadata import metadata_url
from jwt_wsgi.metadata import paths
from jwt_wsgi.metadata import resource_problem
from jwt_wsgi.testing import FakeIssuer

RESOURCE = "https://api.example/mcp"
ISSUERS = ["https://b.example/", "https://A.example", "https://c.example/realm?x=1"]


def ask(method: str = "GET", path: str = f"{WELL_KNOWN}/mcp", **request: Any) -> TestResponse:
    app = Metadata(RESOURCE, issuers=ISSUERS, scopes={"write", "read"}, max_age=60)
    return Client(validator(app)).open(path, method=method, buffered=True, **request)


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        # The two examples of RFC 9728 section 3.1.
        ("https://resource.example.com", f"https://resource.example.com{WELL_KNOWN}"),
        (
            "https://resource.example.com/resource1",
            f"https://resource.example.com{WELL_KNOWN}/resource1",
        ),
        ("https://h.example/", f"https://h.example{WELL_KNOWN}"),
        ("https://h.example:8443/a/b", f"https://h.example:8443{WELL_KNOWN}/a/b"),
        ("https://h.example/a/", f"https://h.example{WELL_KNOWN}/a/"),
        ("https://h.example?k=v", f"https://h.example{WELL_KNOWN}?k=v"),
        ("https://h.example/?k=v", f"https://h.example{WELL_KNOWN}?k=v"),
        ("https://h.example/a?k=v/", f"https://h.example{WELL_KNOWN}/a?k=v/"),
        ("https://h.example/%C3%A4", f"https://h.example{WELL_KNOWN}/%C3%A4"),
        ("http://[::1]:8000/a", f"http://[::1]:8000{WELL_KNOWN}/a"),
    ],
)
def test_the_well_known_string_goes_between_host_and_path(resource: str, url: str) -> None:
    """RFC 9728 section 3: only a slash that is the whole path goes; a query stays behind."""
    assert metadata_url(resource) == url


@pytest.mark.parametrize(
    ("resource", "served"),
    [
        ("https://h.example", {""}),
        ("https://h.example/", {""}),
        ("https://h.example/?k=v", {""}),
        ("https://h.example/a/b", {"", "/a/b"}),
        ("https://h.example/a/", {"", "/a/", "/a"}),
        ("https://h.example/a?k=/v", {"", "/a"}),
        # PEP 3333: the bytes of the decoded path, read as latin-1.
        ("https://h.example/%C3%A4%2Fb", {"", "/\xc3\xa4/b"}),
    ],
)
def test_it_is_served_with_the_path_and_without(resource: str, served: set[str]) -> None:
    """As PATH_INFO has them; nothing else below the well-known path is ours."""
    assert paths(resource) == {WELL_KNOWN + path for path in served}


def test_the_url_leads_to_one_of_the_paths() -> None:
    """What a challenge names is what a server will hand us, percent-encoding or not."""
    seen = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ["PATH_INFO"])
        start_response("204 No Content", [])
        return []

    for resource in ("https://h.example", RESOURCE, "https://h.example/%C3%A4/b%20c/?k=v"):
        Client(app).get(metadata_url(resource))
        assert seen[-1] in paths(resource)


@pytest.mark.parametrize(
    ("resource", "meant"),
    [
        ("https://h.example", {"https://h.example", "https://h.example/"}),
        ("https://h.example/", {"https://h.example", "https://h.example/"}),
        ("https://h.example/a", {"https://h.example/a"}),
        ("https://h.example/a/", {"https://h.example/a/"}),
        ("https://h.example/?k=v", {"https://h.example/?k=v"}),
    ],
)
def test_an_origin_is_the_same_with_a_slash(resource: str, meant: set[str]) -> None:
    """RFC 3986 section 6.2.3; below the origin every character counts."""
    assert set(audiences(resource)) == meant


@pytest.mark.parametrize(
    "resource",
    [
        "https://api.example",
        "https://api.example/",
        "https://api.example:8443/mcp?tenant=a",
        "https://api.example/%C3%A4/~a/b;c=d",
        "http://127.0.0.1:8000/mcp",
        "http://[::1]:8000/mcp",
        "http://localhost/mcp",
    ],
)
def test_a_resource_is_an_https_url(resource: str) -> None:
    """http is for loopback (RFC 9728 section 1.2)."""
    assert resource_problem(resource) is None


@pytest.mark.parametrize(
    ("resource", "remedy"),
    [
        ("", "https://"),
        ("api.example", "https://"),
        ("/mcp", "https://"),
        ("urn:example:mcp", "https://"),
        ("https:///mcp", "host"),
        ("https://[api.example", "not a URL"),
        ("https://api.example:x/", "not a URL"),
        ("http://api.example/mcp", "allow_http"),
        ("https://me@api.example/", "leave it out"),
        ("https://me:secret@api.example/", "leave it out"),
        ("https://api.example/mcp#a", "fragment"),
        ("https://api.example/mcp#", "fragment"),
        ("https://api.example/ä", "percent-encoded"),
        ("https://api.example/a b", "percent-encoded"),
        ("https://api.example/a\r\nX: y", "percent-encoded"),
        ('https://api.example/a"b', "percent-encode"),
        ("https://api.example/a\\b", "percent-encode"),
        ("https://api.example/%zz", "percent-encode"),
        ("https://api.example/*", "and *"),
        ("https://API.example/mcp", "lower case"),
        ("HTTPS://api.example/mcp", "lower case"),
        ("https://api.example:443/mcp", "default port"),
        ("https://api.example:/mcp", "default port"),
        ("http://127.0.0.1:80/mcp", "default port"),
        ("https://api.example/a/../b", ".."),
        ("https://api.example/%2E%2e/b", ".."),
        ("https://api.example/.", ".."),
    ],
)
def test_anything_else_is_told_what_to_do(resource: str, remedy: str) -> None:
    """One sentence with the remedy; no password is repeated in it."""
    problem = resource_problem(resource)

    assert problem is not None
    assert remedy in problem
    assert "secret" not in problem


def test_http_off_loopback_needs_allow_http() -> None:
    """Nothing else is accepted with it."""
    assert resource_problem("http://api.internal/mcp", allow_http=True) is None
    assert resource_problem("http://api.internal/mcp#a", allow_http=True)


def test_the_document() -> None:
    """Issuers verbatim and in their order, scopes sorted, tokens in the header only."""
    answer = ask()

    assert answer.status == "200 OK"
    assert answer.json == {
        "resource": RESOURCE,
        "authorization_servers": ISSUERS,
        "scopes_supported": ["read", "write"],
        "bearer_methods_supported": ["header"],
    }
    assert list(answer.json["authorization_servers"]) == ISSUERS
    assert dict(answer.headers) == {
        "Content-Type": "application/json",
        "Content-Length": str(len(answer.data)),
        "Cache-Control": "public, max-age=60",
        "Access-Control-Allow-Origin": "*",
    }


def test_what_is_empty_is_left_out() -> None:
    """RFC 9728 section 3.2: no member with zero elements."""
    assert Metadata(RESOURCE, issuers=[]).document == {
        "resource": RESOURCE,
        "bearer_methods_supported": ["header"],
    }


def test_an_issuer_of_any_letters_comes_back_as_it_was() -> None:
    """JSON says it in ASCII, and whoever reads JSON gets the same string."""
    app = Metadata(RESOURCE, issuers=['https://ä.example/"\\'])

    body = Client(app).get(WELL_KNOWN).data

    assert body.isascii()
    assert json.loads(body)["authorization_servers"] == ['https://ä.example/"\\']


def test_head_is_get_without_the_body() -> None:
    """The same status and headers (RFC 9110 section 9.3.2)."""
    get, head = ask(), ask("HEAD")

    assert (head.status, list(head.headers)) == (get.status, list(get.headers))
    assert head.data == b""


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="plain"),
        pytest.param(
            {"Origin": "https://spa.example", "Access-Control-Request-Method": "GET"},
            id="preflight",
        ),
    ],
)
def test_options_lets_every_script_ask(headers: dict[str, str]) -> None:
    """A browser's preflight passes, with the header that MCP clients send."""
    answer = ask("OPTIONS", headers=headers)

    assert (answer.status, answer.data) == ("204 No Content", b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert "MCP-Protocol-Version" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Access-Control-Max-Age"] == "60"
    assert "Content-Length" not in answer.headers  # RFC 9110 section 8.6: none with 204
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW", "get"])
def test_other_methods_are_told_which_there_are(method: str) -> None:
    """405 with Allow and a JSON body; a script may read it, and no cache keeps it for long."""
    app = Metadata(RESOURCE, issuers=ISSUERS)
    told: list[Any] = []

    body = app({"REQUEST_METHOD": method}, lambda *answer: told.append(answer))

    ((status, headers),) = told
    assert status == "405 Method Not Allowed"
    assert json.loads(b"".join(body)) == {"error": "Method not allowed"}
    assert dict(headers) == {
        "Content-Type": "application/json",
        "Content-Length": str(len(body[0])),
        "Allow": "GET, HEAD, OPTIONS",
        "Access-Control-Allow-Origin": "*",
    }


def test_one_answer_cannot_change_the_next() -> None:
    """A server or a middleware around us may append to the list of headers that it is given."""
    app = Metadata(RESOURCE, issuers=ISSUERS)
    told: list[list[tuple[str, str]]] = []

    for _ in range(2):
        app({"REQUEST_METHOD": "GET"}, lambda _status, headers: told.append(headers))
        told[-1].append(("X-Added", "1"))

    assert told[0] == told[1]


# --- Through the middleware ---------------------------------------------------------------------

Clients = Callable[..., Client]
URL = f"https://api.example{WELL_KNOWN}/mcp"


@pytest.fixture
def mcp(client: Clients) -> Client:
    """An app that is a resource, with a scope to be had and a public path."""
    return client(resource=RESOURCE, required_scopes=["tools", "read"], public_paths=["/healthz"])


@pytest.mark.parametrize("path", [WELL_KNOWN, f"{WELL_KNOWN}/mcp", f"{WELL_KNOWN}/mcp?a=b"])
def test_it_needs_no_token_and_says_what_the_settings_say(
    mcp: Client, issuer: FakeIssuer, app: EchoApp, path: str
) -> None:
    """Issuer and scopes are those of the settings; even a bad token does not matter."""
    for headers in ({}, {"Authorization": "Basic x"}, bearer(issuer.token(exp=1))):
        answer = mcp.get(path, headers=headers)
        assert answer.json == {
            "resource": RESOURCE,
            "authorization_servers": [issuer.issuer],
            "scopes_supported": ["read", "tools"],
            "bearer_methods_supported": ["header"],
        }
    assert app.environ is None, "the app has no part in it"


@pytest.mark.parametrize(
    "path",
    [
        f"{WELL_KNOWN}/",
        f"{WELL_KNOWN}/other",
        f"{WELL_KNOWN}/mcp/",
        f"{WELL_KNOWN}x",
        f"/mcp{WELL_KNOWN}",
        f"//{WELL_KNOWN}",
        "/.well-known/oauth-authorization-server",
        "/mcp",
    ],
)
def test_no_path_beside_the_metadata_is_public(mcp: Client, path: str) -> None:
    """Each path is compared as a whole."""
    assert mcp.get("/", environ_overrides={"PATH_INFO": path}).status_code == 401


def test_the_mount_point_does_not_count(mcp: Client) -> None:
    """PATH_INFO alone decides, as with rules: SCRIPT_NAME can come from a client's header."""
    for script, path, status in (
        ("", f"{WELL_KNOWN}/mcp", 200),
        ("/mounted", f"{WELL_KNOWN}/mcp", 200),
        (WELL_KNOWN, "/mcp", 401),
        (f"{WELL_KNOWN}/mcp", "", 401),
    ):
        place = {"SCRIPT_NAME": script, "PATH_INFO": path}
        assert mcp.get("/", environ_overrides=place).status_code == status


def test_without_a_resource_no_metadata_is_served(client: Clients) -> None:
    """The path is the app's own, and challenges do not name it."""
    answer = client(required_scopes=["read"]).get(WELL_KNOWN)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_every_challenge_says_where_it_is(mcp: Client, issuer: FakeIssuer) -> None:
    """With the scopes of the rule (RFC 9728 section 5.1, RFC 6750 section 3)."""
    found = f'scope="read tools", resource_metadata="{URL}"'
    expired = 'error="invalid_token", error_description="The token has expired"'
    weak = 'error_description="The token does not permit this request"'
    rows = [
        ({}, 401, found),
        ({"Authorization": "Basic x"}, 401, found),
        ({"Authorization": "Bearer a b"}, 401, f'error="invalid_token", {found}'),
        (bearer(issuer.token(aud=RESOURCE, exp=1)), 401, f"{expired}, {found}"),
        (bearer(issuer.token(aud=RESOURCE)), 403, f'error="insufficient_scope", {weak}, {found}'),
    ]

    for headers, status, challenge in rows:
        answer = mcp.get("/mcp", headers=headers)
        assert answer.status_code == status
        assert answer.headers.get_all("WWW-Authenticate") == [f'Bearer realm="api", {challenge}']


def test_the_resource_is_an_audience(client: Clients, issuer: FakeIssuer) -> None:
    """Beside those of the setting audience; nothing below, above or beside it is one."""
    mcp = client(resource=RESOURCE, audience="other")

    for aud, status in {
        RESOURCE: 200,
        "other": 200,
        f"{RESOURCE}/": 401,
        "https://api.example": 401,
        f"{RESOURCE}/a": 401,
    }.items():
        assert mcp.get("/", headers=bearer(issuer.token(aud=aud))).status_code == status
    assert mcp.get("/", headers=bearer(issuer.token())).status_code == 401


def test_an_origin_is_an_audience_with_and_without_its_slash(
    client: Clients, issuer: FakeIssuer
) -> None:
    """Which of the two a client asks for is up to its URL library."""
    for resource in ("https://api.example", "https://api.example/"):
        mcp = client(resource=resource)
        for aud in ("https://api.example", "https://api.example/"):
            assert mcp.get("/", headers=bearer(issuer.token(aud=aud))).status_code == 200


def test_scopes_are_those_of_all_rules_and_a_challenge_has_those_of_its_own(
    client: Clients,
) -> None:
    """A client can see what there is, and is asked for no more than this request needs."""
    rules = [
        Rule("/a", scopes=["write", "read"]),
        Rule("/b", any_scope=["admin", "owner"]),
        Rule("/open", token="ignored"),
    ]
    mcp = client(resource=RESOURCE, rules=rules)

    assert mcp.get(WELL_KNOWN).json["scopes_supported"] == ["admin", "owner", "read", "write"]
    for path, scope in {"/a": 'scope="read write", ', "/b": 'scope="admin", ', "/c": ""}.items():
        challenge = f'Bearer realm="api", {scope}resource_metadata="{URL}"'
        assert mcp.get(path).headers["WWW-Authenticate"] == challenge


def test_more_members_are_published(client: Clients) -> None:
    """RFC 9728 section 2: as they were given, beside what follows from the other settings."""
    more = {
        "resource_name": "Orders",
        "resource_name#de": "Bestellungen",
        "resource_documentation": "https://docs.example/orders",
        "resource_policy_uri": "https://docs.example/policy",
        "resource_tos_uri": "https://docs.example/terms",
        "dpop_bound_access_tokens_required": True,
        "dpop_signing_alg_values_supported": ["ES256"],
        "tls_client_certificate_bound_access_tokens": False,
        "authorization_details_types_supported": ["payment"],
    }
    mcp = client(resource={"resource": RESOURCE, **more}, required_scopes="read")
    found = dict(mcp.get(WELL_KNOWN).json or {})

    assert {name: found.pop(name) for name in more} == more
    assert found.keys() == {
        "resource", "authorization_servers", "scopes_supported", "bearer_methods_supported"
    }  # fmt: skip


def test_more_scopes_are_published_than_those_that_rules_need(client: Clients) -> None:
    """Those that views ask for; a challenge still has those of its own rule only."""
    resource = {"resource": RESOURCE, "scopes_supported": ["write", "read"]}
    mcp = client(resource=resource, required_scopes="read")

    assert mcp.get(WELL_KNOWN).json["scopes_supported"] == ["read", "write"]
    assert 'scope="read",' in mcp.get("/mcp").headers["WWW-Authenticate"]


def test_the_mapping_can_be_text(app: EchoApp) -> None:
    """JWT_WSGI_RESOURCE as a JSON object."""
    text = json.dumps({"resource": RESOURCE, "scopes_supported": "a b", "resource_name": "x"})
    mcp = Client(JWTMiddleware(app, issuer="https://a.example", resource=text))

    assert mcp.get(WELL_KNOWN).json["scopes_supported"] == ["a", "b"]


def test_offline_access_is_never_published(
    client: Clients, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the metadata nor in a challenge; a WARNING at start names the option."""
    resource = {"resource": RESOURCE, "scopes_supported": ["offline_access", "read"]}
    mcp = client(resource=resource, required_scopes=["offline_access", "write"])
    warnings = [r.getMessage() for r in caplog.records if "offline_access" in r.getMessage()]

    assert mcp.get(WELL_KNOWN).json["scopes_supported"] == ["read", "write"]
    for headers in ({}, bearer(issuer.token(aud=RESOURCE))):
        challenge = mcp.get("/", headers=headers).headers["WWW-Authenticate"]
        assert 'scope="write"' in challenge
    assert [warning.partition(":")[0] for warning in warnings] == ["required_scopes", "resource"]
    caplog.clear()
    client(resource=RESOURCE, required_scopes=["write"])
    assert not caplog.records


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ({}, 'the member "resource"'),
        ({"resource_name": "x"}, 'the member "resource"'),
        ({"resource": "api.example"}, "https://"),
        ({"resource": f"{RESOURCE}#a"}, "fragment"),
        ({"resource": RESOURCE, "resource_nam": "x"}, "did you mean resource_name?"),
        ({"resource": RESOURCE, "authorization_servers": ["x"]}, "leave it out"),
        ({"resource": RESOURCE, "bearer_methods_supported": ["query"]}, "leave it out"),
        ({"resource": RESOURCE, "signed_metadata": "x"}, "the members are"),
        ({"resource": RESOURCE, "resource_name": ""}, "resource_name: give a text"),
        ({"resource": RESOURCE, "resource_name": 7}, "resource_name: give a text"),
        ({"resource": RESOURCE, "resource_name#": "x"}, "the members are"),
        ({"resource": RESOURCE, "resource_name#d e": "x"}, "the members are"),
        ({"resource": RESOURCE, "scopes_supported#de": ["x"]}, "the members are"),
        ({"resource": RESOURCE, "resource_documentation": "javascript:x"}, "https://"),
        ({"resource": RESOURCE, "resource_tos_uri": "http://docs.example"}, "https"),
        ({"resource": RESOURCE, "scopes_supported": ["a b"]}, "a scope is"),
        ({"resource": RESOURCE, "scopes_supported": []}, "at least one"),
        ({"resource": RESOURCE, "dpop_bound_access_tokens_required": 3}, "true"),
        ("{", "JSON"),
    ],
    ids=str,
)
def test_wrong_members_are_errors_at_start(value: Any, remedy: str) -> None:
    """With the member and the remedy."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.of(issuer="https://a.example", resource=value)
    assert remedy in str(caught.value)


def test_a_403_names_all_scopes_that_the_request_needs(client: Clients, issuer: FakeIssuer) -> None:
    """Those of the rule, and those that its check asks for; without one a client would lose it."""

    def check(claims: Any, _environ: Any) -> bool:
        raise InsufficientScopeError(scope=["delete", "read"])

    guarded = client(rules=[Rule("/*", scopes=["read", "write"], check=check)])
    answer = guarded.get("/", headers=bearer(issuer.token(scope="read write")))

    assert answer.status_code == 403
    assert 'scope="read write delete"' in answer.headers["WWW-Authenticate"]


def test_several_issuers_are_named_in_their_order(app: EchoApp) -> None:
    """The resource is an audience of each, beside what an issuer has of its own."""
    b, a = FakeIssuer("https://b.example/"), FakeIssuer("https://a.example")
    both = [Issuer(b.issuer, jwks=b.jwks(), audience="own"), Issuer(a.issuer, jwks=a.jwks())]
    mcp = Client(JWTMiddleware(app, issuer=both, resource=RESOURCE))

    assert mcp.get(WELL_KNOWN).json["authorization_servers"] == [b.issuer, a.issuer]
    for token in (b.token(aud=RESOURCE), b.token(aud="own"), a.token(aud=RESOURCE)):
        assert mcp.get("/", headers=bearer(token)).status_code == 200
    assert mcp.get("/", headers=bearer(a.token(aud="own"))).status_code == 401


def test_issuers_that_a_function_names_are_not_told(app: EchoApp) -> None:
    """They are nobody's business, and there is no list of them; the rest is as ever."""
    mcp = Client(JWTMiddleware(app, issuer=lambda _: None, resource=RESOURCE))

    assert mcp.get(WELL_KNOWN).json == Metadata(RESOURCE, issuers=[]).document
    assert URL in mcp.get("/").headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("places", "methods"),
    [("header", ["header"]), ("header cookie:session", ["header"]), ("cookie:session", None)],
)
def test_clients_are_told_of_the_header_only_where_it_counts(
    places: str, methods: list[str] | None, app: EchoApp
) -> None:
    """RFC 9728 section 2: there is no name for a cookie or a header of another name."""
    middleware = JWTMiddleware(app, issuer=ISSUERS[0], resource=RESOURCE, token_from=places)
    found = Client(middleware).get(WELL_KNOWN).json

    assert found.get("bearer_methods_supported") == methods
