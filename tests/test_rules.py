"""Which token a request needs, as a table; and no router reads a path otherwise."""

import time
import warnings
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

import bottle
import flask
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from jwt_wsgi import InsufficientScopeError
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Rules
from jwt_wsgi.rules import Token
from jwt_wsgi.testing import FakeIssuer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyramid's own imports: cgi, pkg_resources
    from pyramid.config import Configurator
    from pyramid.response import Response

PUBLIC = Token.IGNORED


def rules(*listed: Rule) -> Rules:
    return Rules(listed)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a", "/A", False),
        ("/a", "/ab", False),
        ("/a", "/", False),
        ("/a/*", "/a", True),
        ("/a/*", "/a/", True),
        ("/a/*", "/a/b/c", True),
        ("/a/*", "/ab", False),
        ("/a/*", "/", False),
        ("/*", "/", True),
        ("/*", "/x/y", True),
        ("/", "/", True),
        ("/", "/x", False),
        ("/ä/*", "/ä/x".encode().decode("latin-1"), True),
        ("/a/*", "/a//b", False),
        ("/a/*", "//a/b", False),
        ("/a/*", "/a/../b", False),
        ("/a/*", "/a/..", False),
        ("/a/*", "/a/./b", False),
        ("/a/*", "/a/...", True),
        ("/a/*", "/a/.well-known", True),
        ("/a/*", "/a/b\\c", False),
        ("/a/*", "/a/b\0", False),
        ("/a/*", "/a/b;c", False),
        ("/a/*", "a/b", False),
        ("/a/*", "", False),
    ],
)
def test_a_public_pattern(pattern: str, path: str, matches: bool) -> None:
    """Exact or a whole subtree; a path that somebody may read differently matches nothing."""
    found = rules(Rule(pattern, token=PUBLIC)).find("GET", path)

    assert (found.token is PUBLIC) is matches


def test_an_odd_path_needs_what_any_rule_asks_for() -> None:
    """Nobody can say which rule its router will mean, so the conditions of every rule count."""
    found = rules(Rule("/a/*", scopes=frozenset({"s"})), Rule("/*", token=PUBLIC))

    found.find("GET", "/b//c").authorize({"scope": "s"})
    with pytest.raises(InsufficientScopeError):
        found.find("GET", "/b//c").authorize({"scope": "t"})


def test_the_first_match_decides() -> None:
    """The order of the list, not how exact a pattern is."""
    wide, narrow = Rule("/a/*", token=PUBLIC), Rule("/a/b")

    assert rules(wide, narrow).find("GET", "/a/b") is wide
    assert rules(narrow, wide).find("GET", "/a/b") is narrow


def test_no_match_requires_a_token() -> None:
    """Nothing is open that nobody opened."""
    assert rules().find("GET", "/").token is Token.REQUIRED
    assert rules(Rule("/a", token=PUBLIC)).find("GET", "/b").token is Token.REQUIRED


def test_methods() -> None:
    """GET includes HEAD; others only themselves."""
    found = rules(Rule("/a", methods=frozenset({"GET"}), token=PUBLIC))

    assert [found.find(m, "/a").token is PUBLIC for m in ("GET", "HEAD", "POST", "get")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_scopes_are_all_needed() -> None:
    """T33: all of them, by word."""
    rule = Rule("/*", scopes=frozenset({"read", "write"}))
    rule.authorize({"scope": "write read"})

    for scope in ("read", "readwrite", "read,write", ""):
        with pytest.raises(InsufficientScopeError):
            rule.authorize({"scope": scope})


def test_a_decision_costs_the_same_with_a_thousand_rules() -> None:
    """Counted in look-ups, not in time: the index is asked once a segment."""

    class Counting(dict[str, Any]):
        asked = 0

        def get(self, *arguments: Any) -> Any:
            Counting.asked += 1
            return super().get(*arguments)

    counts = []
    for size in (1, 1000):
        found = rules(*(Rule(f"/r{number}/*", token=PUBLIC) for number in range(size)))
        found._exact, found._below = Counting(found._exact), Counting(found._below)
        Counting.asked = 0
        found.find("GET", "/r0/a/b")
        counts.append(Counting.asked)
    assert counts[0] == counts[1]


# --- The routers of real frameworks ------------------------------------------------------------

SECRET = b"the secret"


def flask_app() -> Any:
    app = flask.Flask(__name__)
    app.add_url_rule("/admin", "admin", lambda: SECRET)
    app.add_url_rule("/docs-private/<path:rest>", "private", lambda rest: SECRET)
    app.add_url_rule("/docs/<path:rest>", "docs", lambda rest: b"docs")
    return app


def bottle_app() -> Any:
    app = bottle.Bottle()
    app.route("/admin", callback=lambda: SECRET)
    app.route("/docs-private/<rest:path>", callback=lambda rest: SECRET)
    app.route("/docs/<rest:path>", callback=lambda rest: b"docs")
    return app


def _answer(body: bytes, _request: Any) -> Response:
    return Response(body)


def pyramid_app() -> Any:
    with Configurator() as config:
        for name, path, body in (
            ("admin", "/admin", SECRET),
            ("private", "/docs-private/*rest", SECRET),
            ("docs", "/docs/*rest", b"docs"),
        ):
            config.add_route(name, path)
            config.add_view(partial(_answer, body), route_name=name)
        return config.make_wsgi_app()


def django_app() -> Any:
    import django
    from django.conf import settings as django_settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import re_path

    if not django_settings.configured:
        django_settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
        django.setup()
    globals()["urlpatterns"] = [
        re_path(r"^admin$", lambda _request: HttpResponse(SECRET)),
        re_path(r"^docs-private/", lambda _request: HttpResponse(SECRET)),
        re_path(r"^docs/", lambda _request: HttpResponse(b"docs")),
    ]
    return WSGIHandler()


ISSUER = FakeIssuer()
APPS = {
    make.__name__: ISSUER.protect(make(), public_paths=["/public", "/docs/*"])
    for make in (flask_app, bottle_app, pyramid_app, django_app)
}
HOSTILE = [
    "/docs/../admin", "/docs/..", "/docs/%2e%2e/admin", "/docs/..%2fadmin", "/docs/%2e%2e%2fadmin",
    "/docs//../admin", "//admin", "/docs//admin", "/docs/..;/admin", "/docs;/../admin",
    "/docs\\..\\admin", "/docs/..\\admin", "/docs/%5c..%5cadmin", "/docs/%00/../admin", "/./admin",
    "/docs/./../admin", "/public/../admin", "/public%2f..%2fadmin", "/DOCS/../admin", "/admin/",
    "/docs-private/x", "/docs%2dprivate/x", "/docs%2f..%2fadmin", "/docs/%c0%ae%c0%ae/admin",
    "/docs/%252e%252e/admin", "/docs/%e2%80%ae/../admin", "/docs/.%00./admin", "/admin%20",
    "/admin;x",
]  # fmt: skip


def body_of(app: Any, path: str, script_name: str = "") -> bytes:
    """What a stranger gets; the path decoded as a server does (PEP 3333)."""
    environ = EnvironBuilder().get_environ()
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
    environ["SCRIPT_NAME"] = script_name
    try:
        chunks, _, _ = run_wsgi_app(app, environ, buffered=True)
    except UnicodeDecodeError:  # Pyramid's own answer to a path that is no UTF-8
        return b""
    return b"".join(chunks)


@pytest.mark.parametrize("framework", APPS)
@pytest.mark.parametrize("script_name", ["", "/docs", "/docs/", "/public"])
@pytest.mark.parametrize("path", ["/admin", *HOSTILE])
def test_no_path_walks_around_the_rules(framework: str, script_name: str, path: str) -> None:
    """T40: what a router takes for the protected view is never public."""
    assert SECRET not in body_of(APPS[framework], path, script_name)


def test_the_public_subtree_is_open_all_the_same() -> None:
    """The guard refuses what is odd, not what is public."""
    assert [body_of(app, "/docs/index") for app in APPS.values()] == [b"docs"] * len(APPS)


PIECES = st.sampled_from(
    [
        "docs", "admin", "docs-private", "public", "..", ".", "", "%2e", "%2f", "%5c", "\\", ";",
        "%00", "x",
    ]
)  # fmt: skip


@pytest.mark.parametrize("framework", APPS)
@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(PIECES, min_size=1, max_size=6), joint=st.sampled_from(["/", "//", "%2f"]))
def test_no_mixture_walks_around_them_either(framework: str, pieces: list[str], joint: str) -> None:
    """Whatever is put together from what attackers use."""
    assert SECRET not in body_of(APPS[framework], "/" + joint.join(pieces))


# --- Stricter rules, and what walks around them -------------------------------------------------

FLASK, BOTTLE = flask.Flask(__name__), bottle.Bottle()
FLASK.add_url_rule("/admin", "admin", lambda: b"the secret", methods=["GET", "POST"])
BOTTLE.route("/admin", method=["GET", "POST"], callback=lambda: b"the secret")
STRICT = [
    Rule("/admin/*", methods=frozenset({"GET", "POST"}), scopes=frozenset({"admin"})),
    Rule("/*", token=Token.OPTIONAL),
]


@pytest.mark.parametrize("app", [FLASK, BOTTLE], ids=["flask", "bottle"])
@pytest.mark.parametrize(
    "options", [{"rules": STRICT}, {"required_scopes": "admin"}], ids=["rules", "required_scopes"]
)
@pytest.mark.parametrize("scope", [None, "user"], ids=["anonymous", "user"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin"),
        ("GET", "admin"),  # GET admin HTTP/1.1: uWSGI, waitress; gunicorn with SCRIPT_NAME: /docs
        ("GET", "//admin"),
        ("GET", "///admin"),
        ("GET", "/ad\xffmin"),  # Bottle leaves out what is no UTF-8
        ("post", "/admin"),  # uWSGI hands it on, Werkzeug, Bottle and Django know it as POST
        ("Get", "//admin"),
    ],
)
def test_a_stricter_rule_is_not_walked_around(
    app: Any, options: dict[str, Any], scope: str | None, method: str, path: str
) -> None:
    """What a router takes for /admin needs what /admin needs, however it is spelled."""
    made = {} if scope is None else {"Authorization": f"Bearer {ISSUER.token(scope=scope)}"}
    environ = EnvironBuilder(headers=made).get_environ()
    environ |= {"PATH_INFO": path, "REQUEST_METHOD": method}
    chunks, _, _ = run_wsgi_app(ISSUER.protect(app, **options), environ, buffered=True)

    assert b"the secret" not in b"".join(chunks)


def test_who_has_every_scope_may_spell_a_path_as_they_like() -> None:
    """An odd path is not forbidden."""
    token = ISSUER.token(scope="admin")
    environ = EnvironBuilder(headers={"Authorization": f"Bearer {token}"}).get_environ()
    environ["PATH_INFO"] = "//admin"
    chunks, _, _ = run_wsgi_app(ISSUER.protect(FLASK, rules=STRICT), environ, buffered=True)

    assert b"".join(chunks) == b"the secret"


def test_a_long_path_costs_no_more_than_the_rules() -> None:
    """waitress hands 256 KB on; a quadratic decision took four seconds for them."""
    found = Rules([Rule("/docs/deep/*"), Rule("/*", token=Token.OPTIONAL)])
    began = time.perf_counter()
    rule = found.find("GET", "/a" * 128_000)

    assert time.perf_counter() - began < 0.1
    assert rule.token is Token.OPTIONAL


@pytest.mark.parametrize("rule_path", ["/vault", "/vault/"])
@pytest.mark.parametrize("path", ["/vault", "/vault/"])
def test_a_slash_at_the_end_takes_no_condition_away(rule_path: str, path: str) -> None:
    """Routers that take both for one exist; a rule that asks for more is for both as well."""
    app = flask.Flask(__name__)
    app.add_url_rule(rule_path, "vault", lambda: SECRET, strict_slashes=False)
    protected = ISSUER.protect(app, rules=[Rule(rule_path, scopes=["vault"])])
    headers = {"Authorization": f"Bearer {ISSUER.token(scope='read')}"}

    answer = Client(protected).get(path, headers=headers)

    assert (answer.status_code, answer.json["error"]) == (403, "Insufficient scope")


def test_a_slash_at_the_end_opens_nothing() -> None:
    """A rule that asks for less is for its own path alone."""
    found = rules(Rule("/healthz", token=PUBLIC), Rule("/maybe", token=Token.OPTIONAL))

    assert found.find("GET", "/healthz").token is PUBLIC
    assert found.find("GET", "/healthz/").token is Token.REQUIRED
    assert found.find("GET", "/maybe/").token is Token.REQUIRED
