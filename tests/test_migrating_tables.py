"""The tables of the pages that lead here: each row is tried, with the library that it is about.

What the pages run as a whole is in test_migrating.py.
"""

import inspect
import json
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from flask.testing import FlaskClient
from test_migrating import AUDIENCE
from test_migrating import BAD_SIGNATURE_AT_AUTHLIB
from test_migrating import DJANGO
from test_migrating import PROFILE
from test_migrating import blocks
from test_migrating import flask_client
from test_migrating import page_text
from test_migrating import pem
from test_migrating import statuses
from werkzeug.test import Client

import jwt_wsgi
from jwt_wsgi import AuthError
from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi import user_id
from jwt_wsgi.contrib.flask import require
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.settings.options import OPTIONS
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import MemoryStore

AUTHLIB, PYJWT = "migrate-from-authlib", "migrate-from-pyjwt"
JWT_EXTENDED, SIMPLEJWT = "migrate-from-flask-jwt-extended", "migrate-from-simplejwt"
REQUIRED = pytest.mark.skipif(find_spec("flask_jwt_extended") is None, reason="not installed")


def table(page: str) -> dict[str, list[str]]:
    """The rows of the page's tables: the first cell -> the others."""
    lines = re.findall(r"^\| (.*) \|$", page_text(page), re.MULTILINE)
    rows = [re.split(r"(?<!\\) \| ", line) for line in lines]
    heads = ("there", "what changes")
    return {row[0]: row[1:] for row in rows if row[0] not in heads}


ROUTES = "test_authlib_and_the_routes_keys_and_outages_of_the_page"
#: Page -> row, by its first cell -> the test that tries both sides of it.
HELD_BY: dict[str, dict[str, str]] = {
    AUTHLIB: {
        "`@require_oauth()` on each view": ROUTES,
        "`@require_oauth(optional=True)`": "test_authlib_optional",
        '`@require_oauth("a b")`: both scopes': "test_authlib_scopes",
        '`@require_oauth(["a", "b"])`: one of them': "test_authlib_scopes",
        "`groups=`, `roles=`, `entitlements=`; 401 if missing": "test_authlib_groups",
        "`current_token`, `request.oauth_token`": "test_authlib_names",
        "`issuer`, `resource_server`": "test_authlib_names",
        "`get_jwks`": "test_places_of_keys",
        "a route without the decorator": ROUTES,
        "a token of a key that the issuer has just rotated to": ROUTES,
        "the issuer is down, and no keys are held": ROUTES,
        "a token that expired ten seconds ago": "test_authlib_on_flask",
        "a token without `typ`": "test_authlib_on_flask",
        "a token bound to a key (`cnf`)": "test_authlib_on_flask",
        "what the client gets": "test_what_the_client_of_authlib_gets",
    },
    PYJWT: {
        "a route without the decorator": "test_a_route_that_nobody_thought_of",
        "the issuer is down, the keys are older than five minutes": "test_pyjwt_in_an_outage",
        "the first tokens of a key that the issuer has just rotated to": "test_pyjwt_at_a_rotation",
        "a token without `exp`": "test_what_is_stricter",
        "a clock that is off by a second": "test_pyjwt_and_the_clock",
        "a token bound to a key (`cnf`), a logout token": "test_what_is_stricter",
        "what the client gets": "test_what_the_client_of_pyjwt_gets",
    },
    JWT_EXTENDED: {
        "`@jwt_required()` on each view": "test_jwt_extended_routes",
        "`@jwt_required(optional=True)`": "test_jwt_extended_routes",
        "`@jwt_required(fresh=True)`": "test_jwt_extended_fresh",
        "`get_jwt()`, `get_jwt_identity()`": "test_flask",
        "`JWT_PUBLIC_KEY` / `JWT_SECRET_KEY`": "test_places_of_keys",
        "`JWT_DECODE_ISSUER`, `JWT_DECODE_AUDIENCE`, `JWT_DECODE_LEEWAY`": (
            "test_jwt_extended_terms"
        ),
        "`JWT_TOKEN_LOCATION`, `JWT_HEADER_NAME`, `JWT_ACCESS_COOKIE_NAME`": (
            "test_jwt_extended_cookies"
        ),
        "`JWT_COOKIE_CSRF_PROTECT`, the `csrf` claim": "test_jwt_extended_cookies",
        "`token_in_blocklist_loader`": "test_revocation",
        "`user_lookup_loader`": "test_jwt_extended_users",
        "`unauthorized_loader`, `JWT_ERROR_MESSAGE_KEY`": "test_jwt_extended_errors",
        "422 for a token that is malformed": "test_jwt_extended_errors",
    },
    SIMPLEJWT: {
        "`JWTAuthentication`, which looks the user up": "test_users_of_django",
        "`request.auth` (an `AccessToken`)": "test_simplejwt_views",
        "the admin and pages with sessions": "test_simplejwt_public_paths",
        "`request.user.id` (the claim of `USER_ID_CLAIM`)": "test_simplejwt_views",
        "`JWK_URL`": "test_places_of_keys",
        "`SIGNING_KEY` / `VERIFYING_KEY`": "test_places_of_keys",
        "`TOKEN_TYPE_CLAIM`": "test_simplejwt_tokens",
        "`JTI_CLAIM`": "test_simplejwt_tokens",
        "the blacklist app": "test_revocation",
        "Django's test client": "test_simplejwt_views",
    },
}


@pytest.mark.parametrize("page", HELD_BY)
def test_every_row_has_its_test(page: str) -> None:
    """A new row needs a test, and one that is gone leaves none behind."""
    assert [*table(page)] == [*HELD_BY[page]]
    tests = "".join(
        inspect.getsource(module)
        for module in (sys.modules["test_migrating"], sys.modules[__name__])
    )
    for test in HELD_BY[page].values():
        assert f"def {test}(" in tests


def code(page: str, row: str, number: int = 0) -> str:
    """The code in the right column of a row."""
    return re.findall(r"`(.*?)`", table(page)[row][0])[number].replace("\\|", "|")


def options_of(page: str, row: str, number: int = 0) -> dict[str, Any]:
    """The setting that the right column names: ``name=value``."""
    found: dict[str, Any] = eval(f"dict({code(page, row, number)})")
    assert set(found) <= set(OPTIONS)
    return found


# --- Authlib -----------------------------------------------------------------------------------


def authlib_clients(issuer: FakeIssuer, more: str, *, rules: str) -> list[FlaskClient]:
    """The app of the page before and after: ``more`` is added there, ``rules`` here."""
    page = blocks(AUTHLIB, issuer)
    after = page["after"].replace("rules=[", f"rules=[{rules}, ")
    assert after != page["after"]
    route = '\n@app.get("/more")\ndef more():\n    return {}\n'
    return [
        flask_client(page["before"] + route.replace("\ndef", f"\n{more}\ndef")),
        flask_client(after + route),
    ]


def asked(client: Any, token: str | None, path: str = "/more") -> int:
    status: int = client.get(path, headers=bearer(token) if token else {}).status_code
    return status


def test_authlib_optional() -> None:
    """A missing token passes, a bad one does not: there, and here by the rule of the row."""
    rule = code(AUTHLIB, "`@require_oauth(optional=True)`")
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        given = "@require_oauth(optional=True)"
        clients = authlib_clients(issuer, given, rules=rule.replace("path", '"/more"'))
        for token, status in (
            (None, 200),
            (issuer.token(**PROFILE), 200),
            (issuer.token(**PROFILE | {"exp": 1}), 401),
        ):
            assert [asked(client, token) for client in clients] == [status, status]


@pytest.mark.parametrize(
    ("row", "number", "statuses_"),
    [
        ('`@require_oauth("a b")`: both scopes', 1, [403, 403, 200, 403]),
        ('`@require_oauth(["a", "b"])`: one of them', 0, [200, 200, 200, 403]),
    ],
)
def test_authlib_scopes(row: str, number: int, statuses_: list[int]) -> None:
    """The decorator of the row, and its rule."""
    (decorator,) = re.findall(r"^`(.*?)`", row)
    rule = code(AUTHLIB, row, number).replace("path", '"/more"')
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        tokens = [issuer.token(**PROFILE | {"scope": s}) for s in ("a", "b", "b a", "c")]
        clients = authlib_clients(issuer, decorator, rules=rule)
        found = [[asked(client, token) for token in tokens] for client in clients]

    assert found == [statuses_, statuses_]


def test_authlib_scopes_of_a_view() -> None:
    """The decorator of ours that the row has beside the rule."""
    given = code(AUTHLIB, '`@require_oauth("a b")`: both scopes')
    page = blocks(AUTHLIB, issuer := FakeIssuer(algorithm="RS256"))
    after = page["after"].replace('@require(scopes=["read"])', given)
    assert after != page["after"]
    namespace: dict[str, Any] = {"__name__": "page", "require": require}
    exec(after, namespace)
    client = issuer.protect(namespace["app"]).test_client()
    tokens = [issuer.token(**PROFILE | {"scope": s}) for s in ("a", "a b")]

    assert statuses(client, *tokens) == [403, 200]


@pytest.mark.parametrize("claim", ["groups", "roles", "entitlements"])
def test_authlib_groups(claim: str) -> None:
    """401 there and 403 here."""
    row = "`groups=`, `roles=`, `entitlements=`; 401 if missing"
    assert f"`{claim}=`" in row
    assert table(AUTHLIB)[row][0].endswith("; 403")
    rule = code(AUTHLIB, row).replace("path", '"/more"').replace("groups", claim)
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        tokens = [issuer.token(**PROFILE | {claim: [name]}) for name in ("admins", "guests")]
        clients = authlib_clients(issuer, f'@require_oauth({claim}=["admins"])', rules=rule)
        found = [[asked(client, token) for token in tokens] for client in clients]

    assert found == [[200, 401], [200, 403]]


def test_authlib_names() -> None:
    """What the row names is there, and the blocks of the page, which are run, use it."""
    from authlib.integrations.flask_oauth2 import current_token
    from authlib.oauth2.rfc9068 import JWTBearerTokenValidator

    page = blocks(AUTHLIB, FakeIssuer())
    assert current_token is not None
    parameters = inspect.signature(JWTBearerTokenValidator.__init__).parameters
    for there, here in (
        ("`current_token`, `request.oauth_token`", ("current_payload()", "request.jwt")),
        ("`issuer`, `resource_server`", ("issuer", "audience")),
    ):
        assert table(AUTHLIB)[there][0] == ", ".join(f"`{name}`" for name in here)
    assert "current_token[" in page["before"]
    assert "current_payload()" in page["after"]
    assert "request.oauth_token[" in page["before views"]
    assert "request.jwt[" in page["after views"]
    assert {"issuer", "resource_server"} <= set(parameters)
    assert {"issuer", "audience"} <= set(OPTIONS)


def test_what_the_client_of_authlib_gets() -> None:
    """One sentence for every reason there; here the reason."""
    row = table(AUTHLIB)["what the client gets"]
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        page = blocks(AUTHLIB, issuer)
        bad = [
            issuer.token(**PROFILE | {"exp": 1}),
            issuer.token(**PROFILE | {"aud": "https://other.example"}),
            issuer.wrong_key()(**PROFILE),
        ]
        before, after = (flask_client(page[when]) for when in ("before", "after"))
        there = [before.get("/orders", headers=bearer(token)) for token in bad]
        here = [after.get("/orders", headers=bearer(token)) for token in bad]

    assert row == ["`invalid_token` and one sentence for every reason", CLIENT_GETS]
    assert [answer.status_code for answer in there] == [401, 401, BAD_SIGNATURE_AT_AUTHLIB]
    refused = [answer for answer in there if answer.status_code != 500]
    assert {answer.json["error"] for answer in refused} == {"invalid_token"}
    assert len({answer.data for answer in refused}) == 1
    check_own_answers(here, "token_expired", "audience_mismatch", "signature_invalid")


#: What the pages say of our answers.
CLIENT_GETS = "a stable `code`, a sentence, an RFC 6750 challenge"


def check_own_answers(answers: list[Any], *codes: str) -> None:
    assert [answer.json["code"] for answer in answers] == [*codes]
    assert len({answer.json["details"] for answer in answers}) == len(codes)
    for answer in answers:
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


# --- Where keys are ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "row", "names"),
    [
        (AUTHLIB, "`get_jwks`", ["jwks_uri", "jwks"]),
        (JWT_EXTENDED, "`JWT_PUBLIC_KEY` / `JWT_SECRET_KEY`", ["public_key", "secret"]),
        (SIMPLEJWT, "`JWK_URL`", ["issuer", "jwks_uri"]),
        (SIMPLEJWT, "`SIGNING_KEY` / `VERIFYING_KEY`", ["secret", "public_key"]),
    ],
)
def test_places_of_keys(app: EchoApp, page: str, row: str, names: list[str]) -> None:
    """The options of the row, each with a token of that key; the issuer's own are found."""
    assert re.findall(r"`(\w+)`", table(page)[row][0]) == names
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        shared = FakeIssuer(issuer.issuer, algorithm="HS256")
        given: dict[str, dict[str, Any]] = {
            "issuer": {},
            "jwks_uri": {"jwks_uri": issuer.jwks_uri},
            "jwks": {"jwks": issuer.jwks()},
            "public_key": {"public_key": pem(issuer)},
            "secret": {"secret": shared.secret},
        }
        for name in {"issuer", *names}:
            guarded = Client(JWTMiddleware(app, issuer=issuer.issuer, **given[name]))
            token = (shared if name == "secret" else issuer).token()
            assert asked(guarded, token, "/") == 200, name


def known_to_jwt_extended(row: str) -> bool:
    """Whether Flask-JWT-Extended reads all settings that a row names."""
    from flask import Flask
    from flask_jwt_extended import JWTManager

    app = Flask("there")
    JWTManager(app)
    named = re.findall(r"JWT_[A-Z_]+", row)
    return all(name in app.config for name in named)


@REQUIRED
@pytest.mark.parametrize("row", [row for row in HELD_BY[JWT_EXTENDED] if "JWT_" in row])
def test_the_settings_of_jwt_extended_exist(row: str) -> None:
    assert known_to_jwt_extended(row)


# --- PyJWT -------------------------------------------------------------------------------------


def pyjwt_apps(issuer: FakeIssuer) -> tuple[FlaskClient, FlaskClient, Any]:
    """The apps of the page, before and after, and PyJWT's client in the one before."""
    page, names = blocks(PYJWT, issuer), dict[str, Any](__name__="page")
    exec(page["before"], names)
    return names["app"].test_client(), flask_client(page["after"]), names["jwks"]


def age(jwks: Any, seconds: float) -> None:
    """Make the key set that PyJWT holds older."""
    held = jwks.jwk_set_cache.jwk_set_with_timestamp
    held.timestamp -= seconds


@pytest.mark.parametrize(("seconds", "status"), [(290, 200), (310, 401)])
def test_pyjwt_in_an_outage(seconds: float, status: int) -> None:
    """Its keys are good for five minutes; ours serve on."""
    with FakeIssuer(algorithm="RS256", aud=AUDIENCE).serve() as issuer:
        before, after, jwks = pyjwt_apps(issuer)
        token = issuer.token()
        assert statuses(before, token) == statuses(after, token) == [200]
        age(jwks, seconds)
        with issuer.outage():
            assert (statuses(before, token), statuses(after, token)) == ([status], [200])


def test_pyjwt_at_a_rotation() -> None:
    """A fresh set is not fetched again for a new key. Once it is old, the key is found."""
    with FakeIssuer(algorithm="RS256", aud=AUDIENCE).serve() as issuer:
        before, after, jwks = pyjwt_apps(issuer)
        statuses(before, issuer.token())
        statuses(after, issuer.token())
        issuer.rotate()
        token = issuer.token()
        assert (statuses(before, token), statuses(after, token)) == ([401], [200])
        age(jwks, 310)
        assert statuses(before, token) == [200]


@pytest.mark.parametrize("claims", [{"iat": 2}, {"nbf": 2}, {"exp": -2}], ids=str)
def test_pyjwt_and_the_clock(claims: dict[str, int]) -> None:
    """Seconds of difference refuse a token there."""
    with FakeIssuer(algorithm="RS256", aud=AUDIENCE).serve() as issuer:
        before, after, _ = pyjwt_apps(issuer)
        now = int(time.time())
        token = issuer.token(**{name: now + by for name, by in claims.items()})

        assert (statuses(before, token), statuses(after, token)) == ([401], [200])


def test_what_the_client_of_pyjwt_gets() -> None:
    row = table(PYJWT)["what the client gets"]
    with FakeIssuer(algorithm="RS256", aud=AUDIENCE).serve() as issuer:
        before, after, _ = pyjwt_apps(issuer)
        bad = [issuer.token(exp=1), issuer.token(aud="other"), issuer.wrong_key()()]
        there = [before.get("/orders", headers=bearer(token)) for token in bad]
        here = [after.get("/orders", headers=bearer(token)) for token in bad]

    assert row == ["PyJWT's own sentence", CLIENT_GETS]
    assert there[0].json == {"error": "Signature has expired"}
    check_own_answers(here, "token_expired", "audience_mismatch", "signature_invalid")


# --- Flask-JWT-Extended ------------------------------------------------------------------------


def extended(issuer: FakeIssuer, more: str = "", when: str = "before") -> FlaskClient:
    """The app of the page with more code."""
    names: dict[str, Any] = {"__name__": "page", "PUBLIC_KEY": pem(issuer)}
    exec(blocks(JWT_EXTENDED, issuer)[when] + more, names)
    client: FlaskClient = names["app"].test_client()
    return client


@REQUIRED
def test_jwt_extended_routes() -> None:
    """A new route is open there, and needs a token here. An optional token must be good."""
    assert code(JWT_EXTENDED, "`@jwt_required(optional=True)`") == 'Rule(path, token="optional")'
    new = '\n@app.get("/new")\ndef new():\n    return {}\n'
    with FakeIssuer(algorithm="RS256", aud=AUDIENCE).serve() as issuer:
        before, after = (extended(issuer, new, when) for when in ("before", "after"))
        assert (asked(before, None, "/new"), asked(after, None, "/new")) == (200, 401)
        for token, status in ((None, 200), (issuer.token(), 200), (issuer.token(exp=1), 401)):
            assert [asked(client, token, "/news") for client in (before, after)] == [status] * 2


@REQUIRED
def test_jwt_extended_fresh(app: EchoApp) -> None:
    """A login of long ago is not enough: 401 there; here with the challenge of RFC 9470."""
    row = "`@jwt_required(fresh=True)`"
    issuer = FakeIssuer(algorithm="RS256", aud=AUDIENCE)
    there = extended(
        issuer, '\n@app.get("/more")\n@jwt_required(fresh=True)\ndef more():\n    return {}\n'
    )
    assert [asked(there, issuer.token(fresh=fresh)) for fresh in (True, False)] == [200, 401]

    rule, own = (eval(code(JWT_EXTENDED, row, n), {"Rule": Rule, "path": "/*"}) for n in (0, 2))
    assert code(JWT_EXTENDED, row, 1) == "auth_time"
    client = Client(issuer.protect(app, audience=AUDIENCE, rules=[rule]))
    now = int(time.time())
    old = client.get("/", headers=bearer(issuer.token(auth_time=now - 400)))
    assert asked(client, issuer.token(auth_time=now), "/") == 200
    assert old.status_code == 401
    assert 'error="insufficient_user_authentication"' in old.headers["WWW-Authenticate"]
    client = Client(issuer.protect(app, audience=AUDIENCE, rules=[own]))
    assert [asked(client, issuer.token(fresh=fresh), "/") for fresh in (True, False)] == [200, 403]


@REQUIRED
def test_jwt_extended_terms() -> None:
    """The three settings of the page's app, and their options, of which one is required."""
    row = "`JWT_DECODE_ISSUER`, `JWT_DECODE_AUDIENCE`, `JWT_DECODE_LEEWAY`"
    assert table(JWT_EXTENDED)[row] == ["`issuer` (required), `audience`, `leeway`"]
    with pytest.raises(ConfigurationError, match="issuer"):
        JWTMiddleware(lambda *_: [], audience=AUDIENCE)
    now = int(time.time())
    with FakeIssuer(algorithm="RS256", aud=AUDIENCE).serve() as issuer:
        before, after = (extended(issuer, when=when) for when in ("before", "after"))
        for claims, status in (
            ({"exp": now - 10}, 200),
            ({"exp": now - 60}, 401),
            ({"iss": "https://other.example"}, 401),
        ):
            token = issuer.token(scope="read", **claims)
            assert (statuses(before, token)[0] in (401, 422)) == (status == 401)
            assert statuses(after, token) == [status]


@REQUIRED
def test_jwt_extended_cookies(app: EchoApp) -> None:
    """The cookie of its default name is read; of another page it does not count for a POST."""
    from flask import Flask
    from flask_jwt_extended import JWTManager
    from flask_jwt_extended import create_access_token

    there = Flask("there")
    there.config.update(JWT_SECRET_KEY="s" * 32, JWT_TOKEN_LOCATION=["headers", "cookies"])
    JWTManager(there)
    assert there.config["JWT_COOKIE_CSRF_PROTECT"]
    with there.app_context():
        made = create_access_token("ada")
    assert "csrf" in jwt_wsgi.jose.parse(made).claims

    row = "`JWT_TOKEN_LOCATION`, `JWT_HEADER_NAME`, `JWT_ACCESS_COOKIE_NAME`"
    options, issuer = options_of(JWT_EXTENDED, row), FakeIssuer()
    name = there.config["JWT_ACCESS_COOKIE_NAME"]
    assert options["token_from"] == ["header", f"cookie:{name}"]
    assert there.config["JWT_HEADER_NAME"] == "Authorization"
    client = Client(issuer.protect(app, **options))
    assert asked(client, issuer.token(), "/") == 200
    client.set_cookie(name, issuer.token())
    assert client.get("/").status_code == 200
    for origin, status in (("http://localhost", 200), ("https://evil.example", 401), (None, 401)):
        headers = {"Origin": origin} if origin else {}
        assert client.post("/", headers=headers).status_code == status


def test_jwt_extended_users() -> None:
    """The key of a user."""
    shown = [code(JWT_EXTENDED, "`user_lookup_loader`", number) for number in range(3)]
    payload = {"iss": "https://issuer.example", "sub": "ada"}
    names = {"user_id": user_id, "current_payload": lambda: payload}

    assert eval(shown[0], names) == "https://issuer.example|ada"
    assert shown[1] == "iss|sub"
    assert eval(shown[2], names) == "ada"


@REQUIRED
def test_jwt_extended_errors() -> None:
    """Answers of one's own, and the status of what is no token at all."""
    from flask_jwt_extended import JWTManager

    row = "`unauthorized_loader`, `JWT_ERROR_MESSAGE_KEY`"
    assert code(JWT_EXTENDED, row) == "responder="
    for loader in ("unauthorized_loader", "token_in_blocklist_loader", "user_lookup_loader"):
        assert callable(getattr(JWTManager, loader))

    def own(error: AuthError, status: int) -> tuple[int, list[tuple[str, str]], bytes]:
        return status, [("Content-Type", "text/plain")], error.label.encode()

    issuer = FakeIssuer(algorithm="RS256")
    client = Client(issuer.protect(lambda *_: [], responder=own))
    assert client.get("/").data == b"token_missing"
    refused = extended(issuer, "\napp.config['JWT_ERROR_MESSAGE_KEY'] = 'why'\n")
    assert "why" in refused.get("/orders").json
    assert statuses(extended(issuer), "no.token.it") == [422]
    answer = client.get("/", headers=bearer("no.token.it"))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@REQUIRED
def test_a_refresh_token_of_jwt_extended_lives_for_a_month() -> None:
    from flask import Flask
    from flask_jwt_extended import JWTManager

    app = Flask("there")
    JWTManager(app)

    assert app.config["JWT_REFRESH_TOKEN_EXPIRES"].days == 30
    assert "an access token that lives for a month" in page_text(JWT_EXTENDED)


@pytest.mark.parametrize(
    ("page", "row"),
    [(JWT_EXTENDED, "`token_in_blocklist_loader`"), (SIMPLEJWT, "the blacklist app")],
)
def test_revocation(app: EchoApp, page: str, row: str) -> None:
    """A function, or a store; the URL of a Redis is one."""
    issuer = FakeIssuer()
    client = Client(issuer.protect(app, revocation="redis://127.0.0.1:9/0"))  # nothing is there
    assert asked(client, issuer.token(jti="1"), "/") == 503
    assert code(page, row) == "revocation="
    assert {"function", "Redis"} <= set(re.findall(r"function|Redis", table(page)[row][0]))
    for given in (lambda claims: claims["jti"] == "1", MemoryStore()):
        client = Client(issuer.protect(app, revocation=given))
        if isinstance(given, MemoryStore):
            Revocations(given).revoke_token(issuer.issuer, "1")
        assert [asked(client, issuer.token(jti=jti), "/") for jti in "12"] == [401, 200]


# --- simplejwt ---------------------------------------------------------------------------------


def test_simplejwt_public_paths(app: EchoApp) -> None:
    """The admin needs no token of ours."""
    row = "the admin and pages with sessions"
    assert code(SIMPLEJWT, row) == "public_paths"
    client = Client(FakeIssuer().protect(app, public_paths=["/admin/*"]))

    assert (asked(client, None, "/admin/login"), asked(client, None, "/orders")) == (200, 401)


@pytest.mark.parametrize(
    ("row", "good", "bad"),
    [
        ("`TOKEN_TYPE_CLAIM`", {"token_type": "access"}, {"token_type": "refresh"}),
        ("`JTI_CLAIM`", {"jti": "1"}, {"jti": None}),
    ],
)
def test_simplejwt_tokens(
    app: EchoApp, row: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    """With the option of the row the bad one is refused; without it, it is not."""
    issuer = FakeIssuer()
    options = options_of(SIMPLEJWT, row)
    guarded, careless = Client(issuer.protect(app, **options)), Client(issuer.protect(app))
    tokens = issuer.token(**good), issuer.token(**bad)

    assert [asked(guarded, token, "/") for token in tokens] == [200, 401]
    assert [asked(careless, token, "/") for token in tokens] == [200, 200]


VIEWS = """
from rest_framework.response import Response
from rest_framework.views import APIView

class Orders(APIView):
    def get(self, request):
        plain = getattr(request._request, "jwt", None)
        return Response({
            "auth": type(request.auth).__mro__[-2].__name__, "id": str(request.user.id),
            "sub": request.auth["sub"], "plain": plain and plain["sub"],
        })
"""
NAMES = """
import rest_framework_simplejwt, rest_framework_simplejwt.settings as there
from rest_framework_simplejwt import authentication, tokens, token_blacklist
from rest_framework.test import APIClient
for name in ("ISSUER", "JTI_CLAIM", "JWK_URL", "SIGNING_KEY", "TOKEN_TYPE_CLAIM", "USER_ID_CLAIM",
             "VERIFYING_KEY"):
    assert name in there.DEFAULTS, name
assert authentication.JWTAuthentication.get_user and tokens.AccessToken
assert there.DEFAULTS["TOKEN_TYPE_CLAIM"] == "token_type" and there.DEFAULTS["JTI_CLAIM"] == "jti"
answer = eval(page["client"], {"APIClient": APIClient})
assert answer.status_code == 200, answer.content
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("rest_framework_simplejwt") is None, reason="not installed")
@pytest.mark.parametrize("when", ["before", "after"])
def test_simplejwt_views(when: str) -> None:
    """What a view finds, there and here; the names of the left column; and the test client."""
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        found = blocks(SIMPLEJWT, issuer)
        settings = found[f"{when} settings"] + (
            'MIDDLEWARE = ["jwt_wsgi.contrib.django.request_jwt"]\n' if when == "after" else ""
        )
        page = {
            "when": when,
            "settings": settings,
            "views": VIEWS,
            "requests": [bearer(issuer.token(**PROFILE))],
            "client": code(SIMPLEJWT, "Django's test client"),
        }
        user = f"{issuer.issuer}|ada"
        told = subprocess.run(
            [sys.executable, "-c", DJANGO + (NAMES if when == "after" else "")],
            input=json.dumps(page), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert told.returncode == 0, told.stderr
    status, answer = json.loads(told.stdout)
    here = {"auth": "dict", "id": user, "sub": "ada", "plain": "ada"}
    there = {"auth": "Token", "id": "ada", "sub": "ada", "plain": None}

    assert status == 200
    assert answer == (there if when == "before" else here)
