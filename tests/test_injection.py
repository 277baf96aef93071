"""What the application is told, and what nobody but us can tell it."""

import json
import re
import socket
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import EchoApp
from conftest import bearer
from servers.running import gunicorn
from servers.running import in_a_thread
from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import NotFound
from werkzeug.middleware.http_proxy import ProxyMiddleware
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import InvalidTokenError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi import Settings
from jwt_wsgi import user_id
from jwt_wsgi.testing import FakeIssuer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyramid's own imports: cgi, pkg_resources
    from pyramid.authentication import RemoteUserAuthenticationPolicy
    from pyramid.authorization import ACLAuthorizationPolicy
    from pyramid.config import Configurator
    from pyramid.response import Response

ISSUER = FakeIssuer()


def told(app: EchoApp, claim: str, **claims: Any) -> Any:
    """What X-Claim is in the app's environ, or the code of the refusal."""
    visitor = Client(ISSUER.protect(app, claim_headers={claim: "X-Claim"}))
    answer = visitor.get("/", headers=bearer(ISSUER.token(**claims)) | {"X-Claim": "forged"})
    if answer.status_code != 200:
        return answer.json["code"]
    assert app.environ is not None
    return app.environ.get("HTTP_X_CLAIM")


@pytest.mark.parametrize(
    ("claims", "value"),
    [
        ({"c": "ada"}, "ada"),
        ({"c": "Ada Lovelace"}, "Ada Lovelace"),
        ({"c": ""}, ""),
        ({"c": 5}, "5"),
        ({"c": -1.5}, "-1.5"),
        ({"c": True}, "true"),
        ({"c": False}, "false"),
        ({"c": ["a", "b", 3, True]}, "a b 3 true"),
        ({"c": []}, ""),
        ({"c": None}, None),
        ({}, None),
        ({"c": "Zoë"}, "Zoë".encode().decode("latin-1")),
        ({"c": "\u0645\u06cc\u200c\u062e"}, "\u0645\u06cc\u200c\u062e".encode().decode("latin-1")),
        ({"c": {"a": 1}}, "claim_invalid"),
        ({"c": ["a", None]}, "claim_invalid"),
        ({"c": ["a", ["b"]]}, "claim_invalid"),
        ({"c": ["a b", "c"]}, "claim_invalid"),
        ({"c": ["", "admin"]}, "claim_invalid"),
        ({"c": " admin"}, "claim_invalid"),
        ({"c": "admin "}, "claim_invalid"),
        *(({"c": f"a{sign}X: 1"}, "claim_invalid") for sign in "\r\n\0\t\x7f\x85\u2028\u2029"),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_claim_as_a_header(app: EchoApp, claims: dict[str, Any], value: str | None) -> None:
    """What a header cannot say is refused, never mended; a forged one never survives."""
    assert told(app, "c", **claims) == value


def test_a_claim_by_its_path(app: EchoApp) -> None:
    """Dotted, where there is one reading of it, or as a list."""
    both = {"realm.roles": "x", "realm": {"roles": ["a"]}}
    assert told(app, "realm.roles", realm={"roles": ["a", "b"]}) == "a b"
    assert told(app, "realm.roles", **both) == "claim_invalid"
    assert told(app, '["realm", "roles"]', **both) == "a"
    assert told(app, '["realm.roles"]', **both) == "x"
    assert told(app, "realm.roles", realm="x") is None


FORGED = {
    "HTTP_X_USER": "root", "REMOTE_USER": "root", "AUTH_TYPE": "Basic",
    "jwt_wsgi.payload": {"sub": 1}, "jwt_wsgi.header": {}, "jwt_wsgi.error": "x",
}  # fmt: skip
RULES = [
    {"path": "/public", "token": "ignored"},
    {"path": "/optional", "token": "optional"},
    {"path": "/report", "token": "report"},
]


@pytest.mark.parametrize("path", ["/public", "/optional", "/report", "/preflight", "/refused"])
def test_headers_of_the_client_are_removed_on_every_path(app: EchoApp, path: str) -> None:
    """Also on public paths, where no token is verified."""
    middleware = ISSUER.protect(
        app,
        rules=RULES,
        claim_headers={"sub": ["X-User", "REMOTE_USER"]},
        cors={"skip_preflight": True},
    )
    asked = {"Origin": "https://spa.example", "Access-Control-Request-Method": "POST"}
    environ = dict(FORGED)

    Client(middleware).open(
        path,
        method="OPTIONS",
        headers=asked if path == "/preflight" else {},
        environ_overrides=environ,
    )

    if path == "/refused":
        assert app.environ is None
        return
    assert app.environ is not None
    left = {name: app.environ[name] for name in FORGED if app.environ.get(name) is not None}
    assert left.keys() <= {"jwt_wsgi.error"}
    assert left.get("jwt_wsgi.error") != "x"


def test_if_one_claim_cannot_be_a_header_none_is_written(app: EchoApp) -> None:
    """This holds for a rule that only reports as well."""
    middleware = ISSUER.protect(
        app, rules=[{"path": "/*", "token": "report"}],
        claim_headers={"sub": ["X-User", "REMOTE_USER"], "bad": "X-Bad"},
    )  # fmt: skip
    Client(middleware).get("/", headers=bearer(ISSUER.token(sub="ada", bad={})))

    assert app.environ is not None
    assert app.environ["jwt_wsgi.error"].code == "claim_invalid"
    assert app.environ["jwt_wsgi.payload"] is None
    assert not {"HTTP_X_USER", "REMOTE_USER", "AUTH_TYPE"} & app.environ.keys()


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"name": "ada"}, "ada"),
        ({"name": 42}, "42"),
        ({"name": ""}, "claim_missing"),
        ({"name": None}, "claim_missing"),
        ({}, "claim_missing"),
        ({"name": ["ada"]}, "claim_invalid"),
        ({"name": {}}, "claim_invalid"),
        ({"name": "a\nb"}, "claim_invalid"),
    ],
)
def test_remote_user(app: EchoApp, claims: dict[str, Any], user: str) -> None:
    """One name with AUTH_TYPE, or no request."""
    visitor = Client(ISSUER.protect(app, claim_headers={"name": "REMOTE_USER"}))
    answer = visitor.get("/", headers=bearer(ISSUER.token(**claims)))

    if answer.status_code == 200:
        assert app.environ is not None
        assert (app.environ["REMOTE_USER"], app.environ["AUTH_TYPE"]) == (user, "Bearer")
    else:
        assert answer.json["code"] == user


# --- Several issuers ------------------------------------------------------------------------------

OTHER = FakeIssuer("https://other.example")
BOTH = [Issuer(issuer.issuer, jwks=issuer.jwks(), audience="api") for issuer in (ISSUER, OTHER)]
#: Settings with which tokens of more than one issuer are accepted.
SEVERAL: dict[str, dict[str, Any]] = {
    "a list": {"issuer": BOTH},
    "a function": {"issuer": lambda iss: next((i for i in BOTH if i.identifier == iss), None)},
    "requests": {"issuer": BOTH[0], "settings_from_request": True},
}


def user_of(app: EchoApp, source: str, token: str, key: str = "REMOTE_USER", **options: Any) -> Any:
    """The user's name in the app's environ, or the code of the refusal."""
    given: dict[str, Any] = {"issuer": BOTH} | options
    middleware = JWTMiddleware(app, claim_headers={source: key}, **given)
    answer = Client(middleware).get("/", headers=bearer(token))
    if answer.status_code != 200:
        return answer.json["code"]
    assert app.environ is not None
    return app.environ.get(key if key == "REMOTE_USER" else "HTTP_X_USER")


@pytest.mark.parametrize("several", SEVERAL)
@pytest.mark.parametrize("header", ["REMOTE_USER", "X-User"])
def test_a_user_name_that_two_issuers_may_share_is_a_configuration_error(
    several: str, header: str
) -> None:
    """The error names the claim, and both ways to say which user is meant."""
    with pytest.raises(ConfigurationError) as caught:
        JWTMiddleware(
            EchoApp(), claim_headers={"sub": header, "iss": "X-Issuer"}, **SEVERAL[several]
        )

    (problem,) = caught.value.problems
    assert problem.startswith("claim_headers: sub: two issuers may use the same value for two")
    assert "iss|sub" in problem
    assert "unique|sub" in problem


@pytest.mark.parametrize("several", ["a list", "a function"])
@pytest.mark.parametrize("source", ["iss|sub", "unique|email", "iss"])
def test_what_tells_users_apart_starts(app: EchoApp, source: str, several: str) -> None:
    """With its issuer, unique by the operator's word, or the issuer itself."""
    token = OTHER.token(sub="ada", email="ada@acme.example", aud="api")
    told = {"iss|sub": f"{OTHER.issuer}|ada", "unique|email": "ada@acme.example"}

    assert user_of(app, source, token, **SEVERAL[several]) == told.get(source, OTHER.issuer)


def test_users_of_two_issuers_have_different_names(app: EchoApp) -> None:
    """An issuer has no |, so the first one in the name ends it."""
    users = [
        (issuer, name) for issuer in (ISSUER, OTHER)
        for name in ("ada", "|ada", f"{OTHER.issuer}|ada", f"{ISSUER.issuer}|ada", "auth0|ada")
    ]  # fmt: skip
    tokens = [issuer.token(sub=name, aud="api") for issuer, name in users]

    names = {user_of(app, "iss|sub", token) for token in tokens}
    assert len(names) == len(users)
    assert f"{OTHER.issuer}|auth0|ada" in names


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"sub": "a\nb"}, "claim_invalid"),
        ({"sub": "a\r\nX-Admin: yes"}, "claim_invalid"),
        ({"sub": "a\0"}, "claim_invalid"),
        ({"sub": "ada "}, "claim_invalid"),
        ({"sub": ""}, "claim_missing"),
        ({"sub": None}, "claim_missing"),
    ],
)
def test_a_name_with_its_issuer_is_a_name(app: EchoApp, claims: dict[str, Any], code: str) -> None:
    """Nothing that ends a header's line, no name that is empty."""
    assert user_of(app, "iss|sub", ISSUER.token(aud="api", **claims)) == code


def test_a_header_with_its_issuer(app: EchoApp) -> None:
    """By any name of a claim; without the claim there is no header."""
    token = ISSUER.token(aud="api", realm={"roles": ["a", "b"]})

    for source in ("iss|realm.roles", 'iss|["realm", "roles"]'):
        assert user_of(app, source, token, "X-User") == f"{ISSUER.issuer}|a b"
    assert user_of(app, "iss|realm.roles", ISSUER.token(aud="api"), "X-User") is None


def test_an_issuer_with_the_separator_in_it(app: EchoApp) -> None:
    """It does not start, and a function's is refused: where would its name end?"""
    odd = FakeIssuer("acme|org")
    issuers = [*BOTH, Issuer("acme|org", jwks=odd.jwks(), audience="api")]
    token = odd.token(aud="api")

    with pytest.raises(ConfigurationError, match=r"claim_headers: 'acme\|org' has a |"):
        JWTMiddleware(app, issuer=issuers, claim_headers={"iss|sub": "X-User"})
    assert user_of(app, "iss|sub", token, issuer=lambda _: issuers[-1]) == "claim_invalid"
    assert user_of(app, "unique|sub", token, issuer=issuers) == "somebody"


def test_the_id_of_a_user_is_what_the_header_says(app: EchoApp) -> None:
    """One form for all: no issuer's user has the id of another issuer's."""
    claims = [
        {"iss": issuer.issuer, "sub": name}
        for issuer in (ISSUER, OTHER)
        for name in ("ada", "|ada", f"{OTHER.issuer}|ada")
    ]

    ids = [user_id(one) for one in claims]
    assert len(set(ids)) == len(ids)
    assert ids[0] == user_of(app, "iss|sub", ISSUER.token(sub="ada", aud="api"))
    for no_user in (
        None,
        {},
        {"iss": "https://a.example"},
        {"iss": "https://a.example", "sub": ""},
    ):
        assert user_id(no_user) is None
    with pytest.raises(InvalidTokenError, match=r"iss has a \|"):
        user_id({"iss": "acme|org", "sub": "ada"})


@pytest.mark.parametrize("several", SEVERAL)
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"claims": {"sub": "ada"}}, "claims: sub: two issuers"),
        ({"claims": {"act.sub": "agent"}}, "claims: act.sub: two issuers"),
        ({"rules": [Rule("/admin", claims={"sub": "ada"})]}, "rules: '/admin': sub: two issuers"),
    ],
    ids=["claims", "actor", "rules"],
)
def test_a_permission_by_sub_names_the_issuer(
    several: str, options: dict[str, Any], problem: str
) -> None:
    """Another issuer may give the same `sub` to another user."""
    with pytest.raises(ConfigurationError, match=problem):
        JWTMiddleware(EchoApp(), **SEVERAL[several], **options)

    both = {"sub": "ada", "iss": OTHER.issuer}
    JWTMiddleware(EchoApp(), **SEVERAL[several], rules=[Rule("/admin", claims=both)])
    JWTMiddleware(EchoApp(), issuer="https://one.example", **options)


def test_the_page_is_run() -> None:
    """Every block of Python in docs/how-to/claims.md starts."""
    page = (Path(__file__).parent.parent / "docs" / "how-to" / "claims.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}

    for block in blocks:
        exec(block, namespace)
    assert len(blocks) == 4
    assert namespace["guarded"].settings.claim_headers == {
        "iss|sub": ("REMOTE_USER",),
        "unique|email": ("X-Email",),
    }


@pytest.mark.parametrize("source", ["iss|", "unique|", "iss|[]", 'iss|["a", 7]', "iss|[a"])
def test_a_source_without_a_claim_does_not_start(source: str) -> None:
    """As with any name of a claim."""
    with pytest.raises(ConfigurationError, match="claim_headers"):
        Settings.of(issuer="https://issuer.example", claim_headers={source: "X-User"})


@pytest.mark.parametrize(
    "headers", ["sub=Content-Length", "sub=Host", "sub=X User", {"sub": 5}, "a=X-A, b=x_a",
                "sub=Authorization"],
)  # fmt: skip
def test_a_header_that_must_not_be_written(headers: Any) -> None:
    """Not Host, not Content-*, not the token's own, and none twice."""
    with pytest.raises(ConfigurationError, match="claim_headers"):
        Settings.of(issuer="https://issuer.example", claim_headers=headers)


# --- Real frameworks ------------------------------------------------------------------------------


APPS = Path(__file__).parent / "servers" / "apps"


def ask(url: str, *lines: str) -> dict[str, Any]:
    """GET with exactly these header lines; a client would mend them."""
    where = urlsplit(url)
    request = ["GET /x HTTP/1.0", f"Host: {where.netloc}", "Connection: close", *lines, "", ""]
    with socket.create_connection((where.hostname, where.port), 10) as connection:
        connection.sendall("\r\n".join(request).encode())
        answer = connection.makefile("rb").read()
    told: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return told


@pytest.fixture(scope="module", params=["told_flask", "told_django", "told_pyramid"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each framework under gunicorn, which here lets X_User through, as uWSGI does."""
    env = {
        "JWT_WSGI_ISSUER": ISSUER.issuer,
        "JWT_WSGI_JWKS": json.dumps(ISSUER.jwks()),
        "JWT_WSGI_OPTIONAL": "yes",
        "JWT_WSGI_CLAIM_HEADERS": '{"sub": ["X-User", "REMOTE_USER"]}',
        "JWT_WSGI_TOKEN_FROM": '{"forward": false}',
    }
    options = ("--header-map", "dangerous")
    app = f"{request.param}:application"
    with gunicorn(app, cwd=APPS, env=env, workers=1, options=options) as running:
        yield running


SPOOFS = ("X-User: root", "X_User: root", "x-user: root", "Remote-User: root", "REMOTE_USER: root")


@pytest.mark.slow
def test_the_framework_knows_the_user(url: str) -> None:
    """Django's RemoteUserMiddleware logs the user in, Flask and Pyramid have the name."""
    told = ask(url, f"Authorization: Bearer {ISSUER.token(sub='ada')}", *SPOOFS)

    assert told == {
        "sub": "ada", "user": "ada", "x_user": "ada", "authorization": False, "error": None,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("spoof", SPOOFS)
def test_a_client_cannot_set_the_user_by_a_header(url: str, spoof: str) -> None:
    """In no spelling of the header's name."""
    assert ask(url, spoof) == {
        "sub": None, "user": None, "x_user": None, "authorization": False, "error": None,
    }  # fmt: skip


# --- A proxy in the place of the app --------------------------------------------------------------


def proxy(received: dict[str, str]) -> Callable[..., list[bytes]]:
    """What a WSGI proxy sends upstream: every HTTP_* as a header (werkzeug's http_proxy)."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        received.update(EnvironHeaders(environ))
        start_response("200 OK", [])
        return []

    return app


def test_what_an_upstream_sees() -> None:
    """The claims, and neither the token nor what a client made up."""
    received: dict[str, str] = {}
    middleware = ISSUER.protect(
        proxy(received), claim_headers="sub=X-User, roles=X-Roles", token_from={"forward": False}
    )
    token = ISSUER.token(sub="ada", roles=["a", "b"])
    Client(middleware).get("/", headers=bearer(token) | {"X-User": "root", "X-Other": "kept"})

    assert {"X-User": "ada", "X-Roles": "a b", "X-Other": "kept"}.items() <= received.items()
    assert "Authorization" not in received
    assert token not in str(received)


def test_a_real_proxy_forwards_it(served_upstream: tuple[str, list[dict[str, str]]]) -> None:
    """werkzeug's ProxyMiddleware behind us, a real upstream behind that."""
    target, received = served_upstream
    proxied = ProxyMiddleware(NotFound(), {"/x": {"target": target}})
    middleware = ISSUER.protect(proxied, claim_headers="sub=X-User", token_from={"forward": False})

    answer = Client(middleware).get(
        "/x/y", headers=bearer(ISSUER.token(sub="ada")) | {"X-User": "r"}
    )

    assert answer.status_code == 200
    assert received[0]["X-User"] == "ada"
    assert "Authorization" not in received[0]


@pytest.fixture
def served_upstream() -> Iterator[tuple[str, list[dict[str, str]]]]:
    received: list[dict[str, str]] = []

    class Upstream(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(dict(self.headers))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Upstream) as server, in_a_thread(server) as url:
        yield url, received


def remote_user_policy() -> Any:
    """Pyramid 1's way, which Pyramid 2 still has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Configurator() as config:
            config.set_authorization_policy(ACLAuthorizationPolicy())
            config.set_authentication_policy(RemoteUserAuthenticationPolicy())
            config.add_route("home", "/")
            config.add_view(
                lambda request: Response(f"{request.authenticated_userid}"), route_name="home"
            )
            return config.make_wsgi_app()


def test_pyramids_remote_user_policy() -> None:
    """RemoteUserAuthenticationPolicy."""
    visitor = Client(
        ISSUER.protect(remote_user_policy(), claim_headers="sub=REMOTE_USER", optional=True)
    )

    assert visitor.get("/", headers=bearer(ISSUER.token(sub="ada"))).text == "ada"
    assert visitor.get("/", environ_overrides={"REMOTE_USER": "root"}).text == "None"
