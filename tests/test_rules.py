"""Which token a request needs, as a table; and no router reads a path otherwise."""

import itertools
import time
import types
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any
from typing import ClassVar
from urllib.parse import unquote_to_bytes

import bottle
import flask
import pytest
from conftest import IN_A_DAY
from conftest import bearer
from conftest import calls
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from jwt_wsgi import ConfigurationError
from jwt_wsgi import InsufficientScopeError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import KeysUnavailableError
from jwt_wsgi import Settings
from jwt_wsgi.bearer import overrides
from jwt_wsgi.errors import InsufficientAuthError
from jwt_wsgi.events import Reported
from jwt_wsgi.middleware import find_rule
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Rules
from jwt_wsgi.rules import Token
from jwt_wsgi.testing import FakeIssuer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyramid's own imports: cgi, pkg_resources
    from pyramid.config import Configurator
    from pyramid.response import Response

PUBLIC = Token.IGNORED


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


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
        ("/a/*", "/a/@@b", False),
        ("/a/*", "/a/b@@c", True),
        ("/a/*", "/a/%2e", False),
        ("/a/*", "/a/100%", True),
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


def test_a_path_without_a_rule_needs_a_token() -> None:
    """A path is public only if a rule says so."""
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
    """With settings for each request: other test files in this process have Django apps, too."""
    import django
    from django.conf import settings as django_settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.test import override_settings
    from django.urls import re_path

    if not django_settings.configured:
        django_settings.configure(SECRET_KEY="x")
        django.setup()
    urls = types.ModuleType("urls")
    urls.__dict__["urlpatterns"] = [
        re_path(r"^admin$", lambda _request: HttpResponse(SECRET)),
        re_path(r"^docs-private/", lambda _request: HttpResponse(SECRET)),
        re_path(r"^docs/", lambda _request: HttpResponse(b"docs")),
    ]
    with override_settings(MIDDLEWARE=[]):
        handler = WSGIHandler()

    def application(environ: Any, start_response: Any) -> Any:
        with override_settings(ALLOWED_HOSTS=["*"], ROOT_URLCONF=urls):
            return handler(environ, start_response)

    return application


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
def test_no_spelling_of_a_protected_path_is_public(
    framework: str, script_name: str, path: str
) -> None:
    """T40: this is so for each spelling that a router takes for the protected view."""
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
def test_no_combination_of_spellings_is_public(
    framework: str, pieces: list[str], joint: str
) -> None:
    """The spellings are parts that attackers use, combined at random."""
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
def test_no_spelling_of_a_path_avoids_its_stricter_rule(
    app: Any, options: dict[str, Any], scope: str | None, method: str, path: str
) -> None:
    """A path that a router takes for /admin needs what /admin needs."""
    made = {} if scope is None else {"Authorization": f"Bearer {ISSUER.token(scope=scope)}"}
    environ = EnvironBuilder(headers=made).get_environ()
    environ |= {"PATH_INFO": path, "REQUEST_METHOD": method}
    chunks, _, _ = run_wsgi_app(ISSUER.protect(app, **options), environ, buffered=True)

    assert b"the secret" not in b"".join(chunks)


def test_a_token_with_every_scope_may_use_an_odd_path() -> None:
    """An odd path is not forbidden."""
    token = ISSUER.token(scope="admin")
    environ = EnvironBuilder(headers={"Authorization": f"Bearer {token}"}).get_environ()
    environ["PATH_INFO"] = "//admin"
    chunks, _, _ = run_wsgi_app(ISSUER.protect(FLASK, rules=STRICT), environ, buffered=True)

    assert b"".join(chunks) == b"the secret"


def test_a_long_path_costs_no_more_than_the_rules() -> None:
    """waitress hands 256 KB on; what is looked up is as long as the paths of rules are."""

    class Noting(dict[str, Any]):
        asked: ClassVar[list[str]] = []

        def get(self, key: str, *rest: Any) -> Any:
            self.asked.append(key)
            return super().get(key, *rest)

    found = Rules([Rule("/docs/deep/*"), Rule("/*", token=Token.OPTIONAL)])
    assert found.find("GET", "/a" * 128_000).token is Token.OPTIONAL

    short, long = (calls(lambda n=n: found.find("GET", "/a" * n)) for n in (1000, 128_000))
    assert long <= short


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


# --- Second readings: the slash at the end, and a suffix ------------------------------------------

SECOND: dict[str, tuple[list[Rule], str, str]] = {
    "suffix of an exact rule": ([Rule("/users", scopes={"s"})], "/users.json", "s"),
    "of one with a slash": ([Rule("/users/", scopes={"s"})], "/users.json", "s"),
    "of a subtree": ([Rule("/users/*", scopes={"s"})], "/users.json", "s"),
    "and a slash": ([Rule("/users", scopes={"s"})], "/users.json/", "s"),
    "after a slash": ([Rule("/users/", scopes={"s"})], "/users/.json", "s"),
    "upper case": ([Rule("/users", scopes={"s"})], "/users.JSON", "s"),
    "the root": ([Rule("/", scopes={"s"})], "/.json", "s"),
    "not in ASCII": ([Rule("/\xe4", scopes={"s"})], "/\xc3\xa4.json", "s"),
    "below an open subtree": (
        [Rule("/a/me", scopes={"s"}), Rule("/a/*", token=PUBLIC)],
        "/a/me.json",
        "s",
    ),
    "on top of a scope": ([Rule("/a", scopes={"s"}), Rule("/*", scopes={"t"})], "/a.csv", "s t"),
    "no slash": ([Rule("/a/", scopes={"s"}), Rule("/*", scopes={"t"})], "/a", "s t"),
    "a slash": ([Rule("/a", scopes={"s"}), Rule("/*", scopes={"t"})], "/a/", "s t"),
    # A weaker rule for the other spelling takes no condition away.
    "a weaker twin": ([Rule("/a/"), Rule("/a/*", scopes={"t"})], "/a", "t"),
    "a weaker twin of a method": (
        [Rule("/a", methods={"GET"}), Rule("/*", scopes={"t"})],
        "/a/",
        "t",
    ),
}
UNCHANGED: dict[str, tuple[list[Rule], str]] = {
    "favicon": ([Rule("/*", token=PUBLIC)], "/favicon.ico"),
    "static": ([Rule("/static/*", token=PUBLIC), Rule("/*")], "/static/app-1.2.min.css"),
    "an ancestor": ([Rule("/docs/*", token=PUBLIC), Rule("/*")], "/docs/a.csv"),
    "the root": ([Rule("/.env/*", token=PUBLIC), Rule("/*")], "/.env"),
    "no rule that needs a token": (
        [Rule("/a", token="optional"), Rule("/*", token=PUBLIC)],
        "/a.b",
    ),
    "another method": ([Rule("/a", methods={"POST"}), Rule("/*", token=PUBLIC)], "/a.b"),
    "open to this method": (
        [Rule("/a/*", methods={"GET"}, token=PUBLIC), Rule("/a/*"), Rule("/*", token=PUBLIC)],
        "/a.json",
    ),
    "no suffix": ([Rule("/a"), Rule("/*", token=PUBLIC)], "/a.b-c"),
    "two suffixes": ([Rule("/a"), Rule("/*", token=PUBLIC)], "/a.tar.gz"),
    "not the last segment": ([Rule("/a"), Rule("/*", token=PUBLIC)], "/a.b/c"),
    "a rule of its own": ([Rule("/a"), Rule("/a.csv", token=PUBLIC)], "/a.csv"),
    "its own spelling": ([Rule("/a/"), Rule("/a", token=PUBLIC)], "/a"),
    "an index and what is below it": ([Rule("/a", token=PUBLIC), Rule("/a/*")], "/a"),
}


@pytest.mark.parametrize(("listed", "path", "scopes"), SECOND.values(), ids=SECOND)
def test_a_second_reading_adds_what_its_rule_asks(
    listed: list[Rule], path: str, scopes: str
) -> None:
    """DRF's /users.json is its /users/; many routers take /users/ for /users."""
    rule = rules(*listed).find("GET", path)

    assert rule.token is Token.REQUIRED
    assert " ".join(rule.scope) == scopes
    rule.authorize({"scope": scopes})
    for scope in scopes.split():
        with pytest.raises(InsufficientScopeError):
            rule.authorize({"scope": scopes.replace(scope, "")})


@pytest.mark.parametrize(("listed", "path"), UNCHANGED.values(), ids=UNCHANGED)
def test_a_dot_alone_changes_nothing(listed: list[Rule], path: str) -> None:
    """Only a rule that names the second reading itself, and needs a token, counts."""
    assert rules(*listed).find("GET", path).token is PUBLIC


def test_a_challenge_names_the_scopes_of_both_readings() -> None:
    """A client that asks its issuer for them may come back."""
    listed = [Rule("/users/*", scopes=["admin"]), Rule("/*", scopes=["read"], any_scope=["a", "b"])]
    client = Client(ISSUER.protect(hello, rules=listed))

    refused = client.get("/users.json", headers=bearer(ISSUER.token(scope="read b")))
    assert refused.headers["WWW-Authenticate"].endswith('scope="a admin read"')
    good = bearer(ISSUER.token(scope="admin read b"))
    assert client.get("/users.json", headers=good).status_code == 200


# --- Methods that a request names -----------------------------------------------------------------

NAMED: list[tuple[dict[str, str], set[str]]] = [
    ({}, set()),
    ({"QUERY_STRING": ""}, set()),
    ({"QUERY_STRING": "a=_method&payment_method=card&method=x&b=%20"}, set()),
    ({"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"}, {"DELETE"}),
    ({"HTTP_X_METHOD_OVERRIDE": "delete"}, {"DELETE"}),
    ({"HTTP_X_HTTP_METHOD": " Put "}, {"PUT"}),
    ({"HTTP_X_METHOD": "PATCH", "HTTP_X_HTTP_METHOD": "POST"}, {"PATCH", "POST"}),
    ({"HTTP_X_METHOD": "POST, DELETE"}, {""}),
    ({"HTTP_X_METHOD": ""}, {""}),
    ({"HTTP_X_METHOD": "PURGE"}, {""}),
    ({"QUERY_STRING": "_method=DELETE"}, {"DELETE"}),
    ({"QUERY_STRING": "a=b&_method=delete"}, {"DELETE"}),
    ({"QUERY_STRING": "a=b;_method=delete"}, {"DELETE"}),
    ({"QUERY_STRING": "_method=PUT&_method=POST"}, {"PUT", "POST"}),
    ({"QUERY_STRING": "%5fmethod=%44ELETE"}, {"DELETE"}),
    ({"QUERY_STRING": "_method=%20put"}, {"PUT"}),
    ({"QUERY_STRING": "_method="}, {""}),
    ({"QUERY_STRING": "_method=x"}, {""}),
    ({"QUERY_STRING": "_method=po%C5%BFt"}, {"POST"}),  # its upper case is ASCII
    ({"QUERY_STRING": "__METHOD_OVERRIDE__=PUT"}, {"PUT"}),
    ({"QUERY_STRING": "_method_override=PUT"}, {"PUT"}),
    ({"QUERY_STRING": "_HttpMethod=PATCH"}, {"PATCH"}),
    ({"QUERY_STRING": "__method__=put"}, {"PUT"}),
    ({"QUERY_STRING": "X-HTTP-Method-Override=PUT"}, {"PUT"}),
    ({"QUERY_STRING": "x-http-method=PUT"}, {"PUT"}),
]


@pytest.mark.parametrize(("environ", "methods"), NAMED, ids=[str(environ) for environ, _ in NAMED])
def test_the_methods_that_a_request_names(environ: dict[str, str], methods: set[str]) -> None:
    """By a header or in its query; empty text stands for what is no method of HTTP."""
    assert set(overrides(environ)) == methods


def test_thousands_of_made_up_methods_are_looked_up_once() -> None:
    """Each look-up reads the whole path, which may be long, too: one request took seconds."""
    query = "&".join(f"_method={number}" for number in range(5000))

    assert overrides({"QUERY_STRING": f"{query}&_method=PUT"}) == ["", "PUT"]


BY_METHOD = [
    Rule("/a", methods={"GET"}, token=PUBLIC),
    Rule("/a", methods={"PUT"}, token=Token.OPTIONAL, scopes={"o"}),
    Rule("/a", methods={"PATCH"}, token=Token.REPORT, scopes={"r"}),
    Rule("/a", methods={"POST"}, scopes={"w"}),
    Rule("/b", scopes={"b"}),
]


@pytest.mark.parametrize(
    ("method", "named", "token", "scopes"),
    [
        ("GET", "GET", PUBLIC, ""),
        ("GET", "HEAD", PUBLIC, ""),
        ("GET", "PUT", Token.OPTIONAL, "o"),
        ("GET", "PATCH", Token.REPORT, "r"),
        ("PUT", "PATCH", Token.OPTIONAL, "o"),
        ("GET", "POST", Token.REQUIRED, "w"),
        ("POST", "GET", Token.REQUIRED, "w"),
        ("PUT", "POST", Token.REQUIRED, "o w"),
        ("PATCH", "POST", Token.REQUIRED, "w"),
        ("GET", "DELETE", Token.REQUIRED, ""),
        ("DELETE", "GET", Token.REQUIRED, ""),
        ("GET", "PURGE", Token.REQUIRED, "b o w"),
        ("PURGE", "GET", Token.REQUIRED, ""),
    ],
)
def test_a_request_is_judged_under_both_methods(
    method: str, named: str, token: Token, scopes: str
) -> None:
    """The strictest token, and the conditions of both; of every rule, where no method is named."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/a", "HTTP_X_METHOD": named}
    rule = find_rule(rules(*BY_METHOD), environ)

    assert rule.token is token
    asked = {scope for part in rule.parts for scope in part.scopes}
    assert asked == set(scopes.split())
    rule.authorize({"scope": scopes})


def test_without_rules_of_a_method_the_method_does_not_matter() -> None:
    """Nothing is read that decides nothing."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "HTTP_X_METHOD": "PURGE"}

    assert find_rule(rules(Rule("/a", token=PUBLIC)), environ).token is PUBLIC


def test_a_virtual_root_may_be_in_front_of_any_path() -> None:
    """Pyramid's traversal reads X-Vhm-Root from the client, if no proxy removes it."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_VHM_ROOT": ""}
    rule = find_rule(rules(Rule("/admin/*", scopes={"s"}), Rule("/*", token=PUBLIC)), environ)

    assert rule.token is Token.REQUIRED
    with pytest.raises(InsufficientScopeError):
        rule.authorize({})


# --- The rule that is made of all rules -----------------------------------------------------------


def test_a_thousand_rules_with_one_condition_cost_what_one_does() -> None:
    """The rule of an odd path is made at the start, of distinct conditions."""
    asked: dict[str, Any] = {
        "any_scope": ("x", "y"),
        "claims": {"role": ("a",)},
        "acr_values": ("gold",),
        "max_age": 300.0,
    }
    many = [Rule(f"/r{n}/*", scopes=frozenset({f"s{n}"}), **asked) for n in range(1000)]

    assert len(Rules(many).every.parts) == len(Rules(many[:1]).every.parts) == 4


def test_the_rule_of_all_rules_asks_for_each_condition() -> None:
    """What one of them lacks is refused, whichever it is; what only reports asks for nothing."""
    odd = rules(
        Rule("/a", scopes=["s"], any_scope=["x", "y"], claims={"n": (1,), "role": ("a",)}),
        Rule("/b", scopes=["t"], any_scope=["y", "z"], claims={"n": (True, 1)}),
        Rule("/c", acr_values=["gold", "tin"]),
        Rule("/d", acr_values=["gold"], max_age=60),
        Rule("/e", token=Token.REPORT, scopes=["r"], claims={"never": ("x",)}, max_age=0),
        Rule("/f", claims={"m": (1,)}),
        Rule("/g", claims={"m": (1.0,)}),
    ).find("GET", "//")
    good = {
        "scope": "s t y", "n": 1, "role": "a", "acr": "gold", "auth_time": time.time(), "m": 1,
    }  # fmt: skip
    odd.authorize(good)

    for wrong in (
        {"scope": "s y"}, {"scope": "t y"}, {"scope": "s t x"}, {"scope": "s t z"}, {"n": True},
        {"role": "b"}, {"acr": "tin"}, {"acr": None}, {"auth_time": 1}, {"m": True},
    ):  # fmt: skip
        with pytest.raises((InsufficientScopeError, InsufficientAuthError)):
            odd.authorize(good | wrong)


def test_expected_values_1_and_true_are_two_conditions() -> None:
    """1 == True in Python, but not in a token."""
    odd = rules(Rule("/a", claims={"n": (1,)}), Rule("/b", claims={"n": (True,)})).find("GET", "//")

    for n in (1, True):
        with pytest.raises(InsufficientScopeError):
            odd.authorize({"n": n})
    odd.authorize({"n": [1, True]})


def test_the_challenge_of_an_odd_path_names_no_scopes() -> None:
    """Nobody knows which rule is meant, and a client must not ask for the scopes of all."""
    client = Client(
        ISSUER.protect(hello, rules=[Rule("/a", scopes=["s"]), Rule("/b", scopes=["t"])])
    )
    environ = {"PATH_INFO": "//a"}

    refused = client.get("/", headers=bearer(ISSUER.token()), environ_overrides=environ)
    assert refused.status_code == 403
    assert "scope=" not in refused.headers["WWW-Authenticate"]


# --- Every reading of a path must be permitted ----------------------------------------------------

ADMIN = [
    "/admin", "//admin", "///admin", "/./admin", "/x/../admin", "/admin/../admin", "/admin/",
    "admin", "/admin//", "\\admin", "/x/..;y/admin", "/admin;x", "/admin\0", "//x/../admin",
    "/../admin",
]  # fmt: skip
SCOPED = {
    "no other rule": [Rule("/admin/*", scopes={"admin"})],
    "a weaker rule": [Rule("/admin/*", scopes={"admin"}), Rule("/*", scopes={"read"})],
    "public otherwise": [Rule("/admin/*", scopes={"admin"}), Rule("/*", token=PUBLIC)],
    "exact": [Rule("/admin", scopes={"admin"}), Rule("/admin/", scopes={"admin"})],
}


@pytest.mark.parametrize("listed", SCOPED.values(), ids=SCOPED)
@pytest.mark.parametrize("path", ADMIN, ids=ascii)
def test_no_spelling_of_a_path_avoids_its_scope(listed: list[Rule], path: str) -> None:
    """However a path is spelled that some router takes for /admin, its scope is needed."""
    rule = rules(*listed).find("GET", path)

    assert rule.token is Token.REQUIRED
    rule.authorize({"scope": "admin read"})
    with pytest.raises(InsufficientScopeError):
        rule.authorize({"scope": "read"})


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/admin/*", "//admin/../x"),  # Werkzeug: /admin/../x
        ("/admin/*", "admin/../../x"),
        ("/admin/", "/admin//"),
        ("/admin/", "/x/../admin/"),
        ("/admin", "/x/../admin"),
    ],
)
def test_one_reading_is_enough(pattern: str, path: str) -> None:
    """Whichever of them a router takes."""
    with pytest.raises(InsufficientScopeError):
        rules(Rule(pattern, scopes={"admin"})).find("GET", path).authorize({})


def traversal_app() -> Any:
    """Pyramid's traversal ignores empty segments and climbs."""
    with Configurator(root_factory=lambda _request: {"admin": {}, "docs": {}}) as config:
        config.add_view(lambda context, request: Response(SECRET if request.context == {} else b""))
        return config.make_wsgi_app()


@pytest.mark.parametrize("make", [flask_app, bottle_app, pyramid_app, traversal_app])
@pytest.mark.parametrize("path", [*ADMIN, "/admin/x"], ids=ascii)
def test_no_router_serves_it_without_its_scope(make: Any, path: str) -> None:
    """A token alone does not do, whatever the framework makes of the path."""
    app = ISSUER.protect(make(), rules=[Rule("/admin/*", scopes=["admin"])])
    environ = EnvironBuilder(headers=bearer(ISSUER.token(scope="read"))).get_environ()

    chunks, _, _ = run_wsgi_app(app, environ | {"PATH_INFO": path}, buffered=True)

    assert SECRET not in b"".join(chunks)


# --- What a rule asks of a token ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "claims", "passes"),
    [
        ({"any_scope": ["a", "b"]}, {"scope": "b c"}, True),
        ({"any_scope": ["a", "b"]}, {"scope": "c"}, False),
        ({"any_scope": ["a", "b"]}, {}, False),
        ({"scopes": ["r"], "any_scope": ["a", "b"]}, {"scope": "a"}, False),
        ({"scopes": ["r"], "any_scope": ["a", "b"]}, {"scp": ["r", "b"]}, True),
        ({"scopes": ["r"]}, {"scope": 5}, False),
        ({"claims": {"realm.roles": ["admin"]}}, {"realm": {"roles": ["admin"]}}, True),
        ({"claims": {"realm.roles": ["admin"]}}, {"realm": {"roles": "admins"}}, False),
        ({"claims": {"realm.roles": ["admin"]}}, {}, False),
        ({"claims": {"r": ["a", "b"]}}, {"r": "b"}, True),
        ({"claims": {"https://e.example/r": "a"}}, {"https://e.example/r": ["a"]}, True),
        ({"claims": {"n": 1}}, {"n": True}, False),
    ],
)  # fmt: skip
def test_scopes_and_roles_are_403(rule: dict[str, Any], claims: Any, passes: bool) -> None:
    """All of scopes, one of any_scope, every claim by name or dotted path."""
    client = Client(ISSUER.protect(hello, rules=[{"path": "/*"} | rule]))
    answer = client.get("/", headers=bearer(ISSUER.token(**claims)))

    assert answer.status_code == (200 if passes else 403)
    if not passes:
        assert answer.json["code"] == "insufficient_scope"
        wanted = [*rule.get("scopes", []), *rule.get("any_scope", [])[:1]]
        scope = f', scope="{" ".join(wanted)}"' if wanted else ""
        assert answer.headers["WWW-Authenticate"].endswith(scope or 'request"')


def now(less: float = 0, kind: Callable[[float], float] = float) -> Callable[[], float]:
    """The time of the test, not that of the import; ``less``: seconds ago."""
    return lambda: kind(time.time() - less)


@pytest.mark.parametrize(
    ("claims", "passes"),
    [
        ({"acr": "gold", "auth_time": now(10)}, True),
        ({"acr": "platinum", "auth_time": now(kind=int)}, True),
        ({"acr": "gold", "auth_time": now(400)}, False),
        ({"acr": "tin", "auth_time": now()}, False),
        ({"acr": ["gold"], "auth_time": now()}, False),
        ({"acr": {"gold": 1}, "auth_time": now()}, False),
        ({"acr": 5, "auth_time": now()}, False),
        ({"auth_time": now()}, False),
        ({"acr": "gold"}, False),
        *(({"acr": "gold", "auth_time": wrong}, False) for wrong in ("1", True, [1], {}, 10**30)),
    ],
    ids=itertools.count(),
)
def test_step_up_is_a_challenge_of_rfc_9470(claims: dict[str, Any], passes: bool) -> None:
    """401 with acr_values and max_age; what is missing or of a wrong type is not enough."""
    rule = {"path": "/*", "acr_values": ["gold", "platinum"], "max_age": "5m"}
    claims = {name: value() if callable(value) else value for name, value in claims.items()}
    answer = Client(ISSUER.protect(hello, rules=[rule])).get(
        "/", headers=bearer(ISSUER.token(**claims))
    )

    assert answer.status_code == (200 if passes else 401)
    if not passes:
        assert answer.json["code"] == "insufficient_user_authentication"
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer realm="api", error="insufficient_user_authentication", error_description='
            '"A stronger or more recent login is needed", acr_values="gold platinum", max_age="300"'
        )


def test_the_age_of_a_login_is_exact() -> None:
    """max_age seconds pass, one more does not."""
    rule = Rule("/*", max_age=60)
    rule.authorize({"auth_time": 940}, clock=lambda: 1000.0)
    with pytest.raises(InsufficientAuthError):
        rule.authorize({"auth_time": 939}, clock=lambda: 1000.0)


def test_optional_refuses_a_bad_token() -> None:
    """And one without the rule's scopes; nobody at all is welcome."""
    rule = Rule("/*", token=Token.OPTIONAL, scopes=["read"])
    client = Client(ISSUER.protect(hello, rules=[rule]))

    statuses = [
        client.get("/", headers=headers).status_code
        for headers in (
            {}, bearer(ISSUER.token(exp=1)), bearer(ISSUER.token()), bearer("a b"),
            bearer(ISSUER.token(scope="read")),
        )
    ]  # fmt: skip
    assert statuses == [200, 401, 403, 401, 200]


REPORTED = {
    "missing": ({}, "token_missing"),
    "scheme": ({"Authorization": "Basic eDp5"}, "header_malformed"),
    "malformed": (bearer("a b"), "header_malformed"),
    "two places": (bearer("x") | {"X-Token": "y"}, "tokens_multiple"),
    "expired": (bearer(ISSUER.token(exp=1, scope="s")), "token_expired"),
    "forged": (bearer(ISSUER.wrong_key()(scope="s", exp=IN_A_DAY)), "signature_invalid"),
    "scope": (bearer(ISSUER.token(exp=IN_A_DAY)), "insufficient_scope"),
    "step-up": (
        bearer(ISSUER.token(scope="s", org="x", exp=IN_A_DAY)),
        "insufficient_user_authentication",
    ),
    "no header": (bearer(ISSUER.token(scope="s", acr="a", org={}, exp=IN_A_DAY)), "claim_invalid"),
    "size": (bearer("x" * 20_000), "token_malformed"),
    "503": (bearer(ISSUER.token(iss="https://down.example", exp=IN_A_DAY)), "keys_unavailable"),
}


@pytest.mark.parametrize(("headers", "code"), REPORTED.values(), ids=REPORTED)
def test_report_lets_everything_pass_and_tells(
    headers: dict[str, str], code: str, app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The app is called with no payload and the error; one event, one line, nothing else."""

    class Down:
        def candidates(self, header: Any) -> Any:
            raise KeysUnavailableError(5)

    heard: list[Any] = []
    middleware = JWTMiddleware(
        app,
        issuer=[
            Issuer(ISSUER.issuer, jwks=ISSUER.jwks()),
            Issuer("https://down.example", keys=Down()),
        ],
        rules=[Rule("/*", token="report", scopes=["s"], acr_values=["a"])],
        token_from="header header:X-Token",
        claim_headers="unique|org=X-Org",
        on_event=heard.append,
    )
    if code == "header_malformed" and "Basic" in headers["Authorization"]:
        code = "token_missing"  # another place is listed
    forged = {"jwt_wsgi.error": 1, "HTTP_X_ORG": "evil"}

    answer = Client(middleware).get("/", headers=headers, environ_overrides=forged)

    assert (answer.status_code, answer.text) == (200, "None")
    assert "WWW-Authenticate" not in answer.headers
    assert app.environ["jwt_wsgi.error"].code == code
    assert app.environ["jwt_wsgi.header"] is None
    assert "HTTP_X_ORG" not in app.environ
    assert [type(event) for event in heard] == [Reported]
    assert heard[0].code == code
    assert [r.message for r in caplog.records if r.message.startswith("would have refused")]


def test_report_accepts_what_is_good(app: Any) -> None:
    """As required does: payload, no error."""
    client = Client(ISSUER.protect(app, rules=[{"path": "/*", "token": "report"}]))

    assert client.get("/", headers=bearer(ISSUER.token(sub="ada"))).text == "ada"
    assert "jwt_wsgi.error" not in app.environ


# --- Rules as text, and rules that make no sense --------------------------------------------------

TEXT = (
    '[{"path": "/docs/*", "methods": "get", "token": "ignored"}, {"path": "/a", "max_age": "5m"}]'
)
MEANT = (
    Rule("/docs/*", methods=frozenset({"GET"}), token=PUBLIC),
    Rule("/a", max_age=300.0),
)


def test_rules_from_the_environment_and_from_a_file(tmp_path: Any) -> None:
    """JWT_WSGI_RULES and JWT_WSGI_RULES_FILE mean what Rule means."""
    path = tmp_path / "rules.json"
    path.write_text(TEXT + "\n")
    base = {"JWT_WSGI_ISSUER": "https://issuer.example"}

    for environ in ({"JWT_WSGI_RULES": TEXT}, {"JWT_WSGI_RULES_FILE": str(path)}):
        assert Settings.load({}, environ=base | environ).rules == MEANT
    assert Settings.of(issuer="https://issuer.example", rules=MEANT).rules == MEANT


WRONG: list[tuple[Any, str, str]] = [
    ([{"path": "/a", "scope": ["x"]}], "rules[0].scope", "no such member; did you mean scopes?"),
    ([{"path": "a"}], "rules[0].path", "a path starts with /"),
    ([{"path": "/a*"}], "rules[0].path", "only in /*"),
    ([{"methods": "GET"}], "rules[0]", '"path"'),
    ([5], "rules[0]", "a rule is a Rule"),
    ([Rule("/a", token="maybe")], "rules[0].token", "required, optional"),
    ([Rule("/a", token=PUBLIC, scopes=["x"])], "rules[0]", "can have no conditions"),
    ([Rule("/a", token=PUBLIC, max_age=60.0)], "rules[0]", "can have no conditions"),
    ([Rule("/a//b", token=PUBLIC)], "rules[0]", "it can never match"),
    ([Rule("/a/*"), Rule("/a/b")], "rules[1]", "rule 0 (/a/*) decides first"),
    ([Rule("/a/*"), Rule("/a")], "rules[1]", "it can never match"),
    ([Rule("/*"), Rule("/a/*", methods=["GET"])], "rules[1]", "it can never match"),
    ([Rule("/a", methods=["GET"]), Rule("/a", methods=["HEAD"])], "rules[1]", "rule 0"),
    ([Rule("/a", methods=["GET"]), Rule("/a", methods=["GET", "HEAD"])], "rules[1]", "rule 0"),
    (
        [Rule("/a/*", methods="G"), Rule("/*", methods="P"), Rule("/a", methods=["G", "P"])],
        "rules[2]",
        "rule 1",
    ),
    ("{}", "rules", "JSON of another kind"),
    ('[{"path": ', "rules", "looks like JSON"),
    ('[{"path": "/a", "scopes": ["admin"], "scopes": ["x"]}]', "rules", "duplicate members"),
]  # fmt: skip


@pytest.mark.parametrize(("listed", "place", "remedy"), WRONG, ids=range(len(WRONG)))
def test_a_rule_that_makes_no_sense_never_starts(listed: Any, place: str, remedy: str) -> None:
    """With its position and the remedy."""
    with pytest.raises(ConfigurationError) as caught:
        JWTMiddleware(hello, issuer="https://issuer.example", rules=listed)

    (problem,) = caught.value.problems
    assert problem.startswith(f"{place}: ")
    assert remedy in problem


def test_every_problem_of_every_rule_at_once() -> None:
    """A person mends them in one go, in the environment, too."""
    text = '[{"path": "a", "scop": 1, "token": "x"}, {"path": "/b", "max_age": "soon"}, 7]'
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({}, environ={"JWT_WSGI_RULES": text, "JWT_WSGI_ISSUER": "https://i.example"})

    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        "JWT_WSGI_RULES[0].path", "JWT_WSGI_RULES[0].scop", "JWT_WSGI_RULES[0].token",
        "JWT_WSGI_RULES[1].max_age", "JWT_WSGI_RULES[2]",
    ]  # fmt: skip


def test_methods_that_are_left_over_can_match() -> None:
    """Only a rule all of whose methods are taken is hidden; GET takes HEAD, HEAD not GET."""
    Settings.of(
        issuer="https://issuer.example",
        rules=[Rule("/a", methods=["HEAD"]), Rule("/a", methods=["GET"]), Rule("/a")],
    )


def test_rules_beside_shorthands_show_the_rules_to_write() -> None:
    """The rules in the message can be pasted, and have the same effect."""
    short: dict[str, Any] = {"public_paths": "/a /b/*", "optional": True, "required_scopes": "r"}
    with pytest.raises(ConfigurationError) as caught:
        Settings.of(issuer="https://issuer.example", rules=[Rule("/c")], **short)

    shown = caught.value.problems[0].partition("written as rules, these are ")[2]
    pasted = Settings.of(issuer="https://issuer.example", rules=shown)
    assert pasted.rules == Settings.of(issuer="https://issuer.example", **short).request_rules
