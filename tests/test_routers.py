"""Rules against the routers of real frameworks, which read more of a request than a rule does.

Every app here has views that its rules protect. Without the middleware, each attack reaches one of
them; behind it, none does.
"""

import types
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import unquote_to_bytes

import bottle
import django
import falcon
import flask
import pytest
from conftest import IN_A_DAY
from django.conf import settings as django_settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import override_settings
from django.urls import include
from django.urls import path as route
from django.urls import re_path
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.testing import FakeIssuer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyramid's own imports: cgi, pkg_resources
    from pyramid.config import Configurator
    from pyramid.response import Response

ISSUER = FakeIssuer()
SECRET = b"the secret"
#: /admin and /vault are secret, /users is to be read by everybody and written with a scope.
RULES = [
    Rule("/admin/*", scopes={"admin"}),
    Rule("/vault", scopes={"vault"}),
    Rule("/vault/reveal/*", scopes={"vault"}),
    Rule("/inner/", scopes={"vault"}),
    Rule("/users/*", methods={"GET"}, token=Token.OPTIONAL),
    Rule("/users/*", scopes={"write"}),
    Rule("/*", token=Token.OPTIONAL),
]
METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]


def answer(name: str, method: str) -> bytes:
    """What the view of that name answers; to OPTIONS always the same (``skip_preflight``)."""
    reads = method in {"GET", "HEAD"}
    if method == "OPTIONS":
        return b"open"
    return SECRET if name in {"admin", "vault"} or (name == "users" and not reads) else b"open"


def overriding(app: Any) -> Any:
    """What people put in front of their router: Flask's documentation has the header."""

    def inner(environ: Any, start_response: Any) -> Any:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        named = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE") or query.get("_method", [""])[0]
        if named.upper() in METHODS:
            environ["REQUEST_METHOD"] = named.upper()
        return app(environ, start_response)

    return inner


def flask_app() -> Any:
    app = flask.Flask(__name__)
    app.url_map.strict_slashes = False
    for name in ("admin", "vault", "users"):
        app.add_url_rule(
            f"/{name}",
            name,
            lambda name=name: answer(name, flask.request.method),
            methods=METHODS,
            provide_automatic_options=False,
        )
    app.add_url_rule("/docs/<path:rest>", "docs", lambda rest: b"open")
    return app


def bottle_app() -> Any:
    app = bottle.Bottle()
    for name in ("admin", "vault", "users"):
        app.route(
            [f"/{name}", f"/{name}/"],
            method=METHODS,
            callback=lambda name=name: answer(name, bottle.request.method),
        )
    app.route("/docs/<rest:path>", callback=lambda rest: b"open")
    return app


def falcon_app() -> Any:
    class Resource:
        def __init__(self, name: str) -> None:
            self.name = name

        def on_get(self, request: Any, response: Any, **_fields: str) -> None:
            response.data = answer(self.name, request.method)

        on_post = on_put = on_delete = on_get

    app = falcon.App()
    app.req_options.strip_url_path_trailing_slash = True
    for name in ("admin", "vault", "users"):
        app.add_route(f"/{name}", Resource(name))
    app.add_route("/docs/{rest:path}", Resource("docs"))
    return app


def pyramid_app() -> Any:
    with Configurator() as config:
        for name in ("admin", "vault", "users", "docs"):
            for suffix in ("", "/"):
                config.add_route(name + suffix, f"/{name}{suffix}")
                config.add_view(
                    lambda request, name=name: Response(answer(name, request.method)),
                    route_name=name + suffix,
                )
        return config.make_wsgi_app()


def traversal_app() -> Any:
    class Node(dict[str, Any]):
        name = "root"

    def node(name: str, **children: Any) -> Node:
        made = Node(children)
        made.name = name
        return made

    def view(context: Any, request: Any) -> Response:
        return Response(answer(context.name, request.method))

    tree = node("root", **{name: node(name) for name in ("admin", "vault", "users", "docs")})
    with Configurator(root_factory=lambda _request: tree) as config:
        config.add_view(view, context=Node)
        config.add_view(view, context=Node, name="reveal")
        return config.make_wsgi_app()


class Django(WSGIHandler):
    """Django with URLs of its own: several of them in one process."""

    def __init__(self, *patterns: Any) -> None:
        super().__init__()
        self.urls = types.ModuleType("urls")
        self.urls.__dict__["urlpatterns"] = list(patterns)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with override_settings(ALLOWED_HOSTS=["*"], REST_FRAMEWORK=REST, ROOT_URLCONF=self.urls):
            return super().__call__(environ, start_response)


REST = {"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []}


def django_app() -> Any:
    if not django_settings.configured:
        django_settings.configure(SECRET_KEY="x")
        django.setup()
    with override_settings(MIDDLEWARE=[]):
        return Django(
            *(
                re_path(
                    rf"^{name}/?$",
                    lambda request, name=name: HttpResponse(answer(name, request.method)),
                )
                for name in ("admin", "vault", "users")
            ),
            re_path(r"^docs/", lambda _request: HttpResponse(b"open")),
        )


def rest_app() -> Any:
    """DRF's DefaultRouter: every view has a second path with a suffix."""
    django_app()
    with override_settings(REST_FRAMEWORK=REST):
        from rest_framework.renderers import BaseRenderer
        from rest_framework.response import Response as RestResponse
        from rest_framework.routers import DefaultRouter
        from rest_framework.urlpatterns import format_suffix_patterns
        from rest_framework.viewsets import ViewSet

        class Raw(BaseRenderer):
            media_type, format = "text/plain", "txt"

            def render(self, data: Any, *_rest: Any, **_more: Any) -> bytes:
                return data if isinstance(data, bytes) else b"open"

        class Json(Raw):
            media_type, format = "application/json", "json"

        def viewset(name: str) -> Any:
            def view(_self: Any, request: Any, **_fields: Any) -> RestResponse:
                return RestResponse(answer(name, request.method))

            def detail(_self: Any, request: Any, pk: str, **_fields: Any) -> RestResponse:
                # /vault is an exact rule, and /vault/1/ another path: no rule guards it.
                open_ = name == "vault"
                return RestResponse(
                    f"item {pk}".encode() if open_ else answer(name, request.method)
                )

            members = {"renderer_classes": [Raw, Json], "list": view, "create": view}
            return type(name, (ViewSet,), members | {"destroy": detail, "retrieve": detail})

        router = DefaultRouter()
        for name in ("admin", "vault", "users", "docs"):
            router.register(name, viewset(name), basename=name)
        inner = [route("", viewset("vault").as_view({"get": "list"}))]
        return Django(
            route("inner/", include(format_suffix_patterns(inner))),
            route("", include(router.urls)),
        )


APPS: dict[str, Any] = {
    make.__name__.removesuffix("_app"): overriding(make())
    for make in (
        flask_app, bottle_app, falcon_app, pyramid_app, traversal_app, django_app, rest_app,
    )
}  # fmt: skip
GUARDED = {
    name: ISSUER.protect(app, rules=RULES, cors={"skip_preflight": True})
    for name, app in APPS.items()
}
WEAK = f"Bearer {ISSUER.token(scope='read', exp=IN_A_DAY)}"
STRONG = f"Bearer {ISSUER.token(scope='admin vault write', exp=IN_A_DAY)}"


def body_of(app: Any, method: str, url: str, more: Mapping[str, str], token: str = "") -> bytes:
    """What one request gets; the path decoded as a server does (PEP 3333)."""
    path, _, query = url.partition("?")
    environ = EnvironBuilder().get_environ()
    environ |= {"REQUEST_METHOD": method, "QUERY_STRING": query, **more}
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
    if token:
        environ["HTTP_AUTHORIZATION"] = token
    try:
        chunks, _, _ = run_wsgi_app(app, environ, buffered=True)
    except UnicodeDecodeError:  # Pyramid's own answer to a path that is no UTF-8
        return b""
    return b"".join(chunks)


PREFLIGHT = {
    "HTTP_ORIGIN": "https://a.example",
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST",
}
TO_POST = {"HTTP_X_HTTP_METHOD_OVERRIDE": "POST"}
EVERY = sorted(APPS)
ATTACKS: list[tuple[list[str], str, str, Mapping[str, str]]] = [
    (EVERY, "GET", "/users/", TO_POST),
    (EVERY, "GET", "/users/", {"HTTP_X_HTTP_METHOD_OVERRIDE": "post"}),
    (EVERY, "GET", "/users/?_method=POST", {}),
    (EVERY, "GET", "/users/?a=1&_method=post&b=2", {}),
    (EVERY, "GET", "/users/?%5Fm%65thod=P%4fST", {}),
    (EVERY, "GET", "/users/?_method=POST&_method=GET", {}),
    (EVERY, "HEAD", "/users/", TO_POST),
    (EVERY, "OPTIONS", "/users/", TO_POST | PREFLIGHT),
    (EVERY, "OPTIONS", "/users/?_method=POST", PREFLIGHT),
    (EVERY, "OPTIONS", "/admin/?_method=POST", PREFLIGHT),
    (["flask", "bottle", "falcon", "pyramid", "traversal", "django"], "GET", "/vault/", {}),
    (["rest"], "GET", "/admin.json", {}),
    (["rest"], "GET", "/admin.json/", {}),
    (["rest"], "GET", "/vault.json", {}),
    (["rest"], "GET", "/vault.txt/", {}),
    (["rest"], "GET", "/vault/", {}),
    (["rest"], "GET", "/inner/.json", {}),
    (["rest"], "GET", "/inner/.json/", {}),
    (["rest"], "POST", "/users.json", {}),
    (["rest"], "GET", "/users.json", TO_POST),
    (["rest"], "GET", "/users.json?_method=post", {}),
    (["traversal"], "GET", "/", {"HTTP_X_VHM_ROOT": "/admin"}),
    (["traversal"], "GET", "/reveal", {"HTTP_X_VHM_ROOT": "/vault"}),
    (["traversal"], "GET", "/vault/@@", {}),
    (["traversal"], "GET", "/vault/@@reveal", {}),
    (["traversal"], "GET", "/vault/@@reveal/x", {}),
    (["flask", "falcon", "traversal"], "GET", "//admin", {}),
    (["bottle"], "GET", "/ad%ffmin", {}),
]


@pytest.mark.parametrize(
    ("framework", "method", "url", "more"),
    [
        (framework, method, url, more)
        for frameworks, method, url, more in ATTACKS
        for framework in frameworks
    ],
)
def test_no_router_contradicts_a_rule(
    framework: str, method: str, url: str, more: Mapping[str, str]
) -> None:
    """The router alone serves the secret; behind the rules, only with the scopes they ask for."""
    assert body_of(APPS[framework], method, url, more) == SECRET
    assert SECRET not in body_of(GUARDED[framework], method, url, more)
    assert SECRET not in body_of(GUARDED[framework], method, url, more, WEAK)
    assert body_of(GUARDED[framework], method, url, more, STRONG) == SECRET


@pytest.mark.parametrize("framework", APPS)
def test_what_is_open_stays_open(framework: str) -> None:
    """The same paths for everybody, without a token, as before."""
    for url in ("/users/", "/users/?q=_method", "/users/?payment_method=card", "/users/?q=100%25"):
        assert body_of(GUARDED[framework], "GET", url, {}) == b"open"
    if framework == "rest":
        assert body_of(GUARDED[framework], "GET", "/users.json", {}) == b"open"


PIECES = st.sampled_from(
    [
        "admin", "vault", "users", "inner", "docs", "reveal", "@@", "@@reveal", "..", ".", "",
        "%2e", "%2f", "%5c", ";", "%00", "%252e", "x", "1", "%0a", "++view++reveal",
    ]
)  # fmt: skip
ENDINGS = st.sampled_from(
    ["", "/", "//", ".json", ".json/", ".txt", ".JSON", ".", "./", "/.json", "/.json/", "%20",
     ".json.json", ";x", "%0a", "/x"]
)  # fmt: skip
NAMES = st.sampled_from([*METHODS, "HEAD", "post", "Get", "PATCH", "X", " POST", "POST, GET", ""])
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_METHOD_OVERRIDE", "HTTP_X_HTTP_METHOD",
            "HTTP_X_METHOD",
        ]
    ),
    NAMES,
    max_size=2,
) | st.dictionaries(
    st.sampled_from(
        [
            "HTTP_X_VHM_ROOT", "HTTP_X_ORIGINAL_URL", "HTTP_X_REWRITE_URL", "SCRIPT_NAME",
            "HTTP_X_FORWARDED_PREFIX", "HTTP_X_SCRIPT_NAME", "HTTP_X_VHM_HOST",
        ]
    ),
    st.sampled_from(["/admin", "/vault", "/", "", "/docs", "/users", "/docs/.."]),
    max_size=2,
)  # fmt: skip
QUERIES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["?", "?a=1&", "?_method=GET&", "?a=%26"]),
    st.sampled_from(["_method=", "%5Fmethod=", "_METHOD=", "x_method=", "format="]),
    NAMES.map(lambda name: name.replace(" ", "%20")) | st.sampled_from(["json", "%50OST"]),
)


@pytest.mark.slow
@pytest.mark.parametrize("framework", APPS)
@settings(max_examples=400, deadline=None)
@given(
    method=NAMES.filter(lambda name: name.isalpha()),
    pieces=st.lists(PIECES, min_size=1, max_size=4),
    ending=ENDINGS,
    query=st.just("") | QUERIES,
    more=HEADERS,
    preflight=st.booleans(),
)
def test_no_mixture_of_them_does(
    framework: str,
    method: str,
    pieces: list[str],
    ending: str,
    query: str,
    more: dict[str, str],
    preflight: bool,
) -> None:
    """Whatever is put together from what attackers use, without a token and with a weak one."""
    url = "/" + "/".join(pieces) + ending + query
    more |= PREFLIGHT if preflight else {}

    for token in ("", WEAK):
        assert SECRET not in body_of(GUARDED[framework], method, url, more, token)


# --- What docs/reference/rules.md says that rules do not see -------------------------------------


def test_a_sink_of_falcon_takes_more_than_its_prefix() -> None:
    """The reason for a rule of the subtree that asks, and for rights in the app."""

    def sink(_request: Any, response: Any, **_fields: str) -> None:
        response.data = SECRET

    app = falcon.App()
    app.add_sink(sink, "/vault")
    guarded = ISSUER.protect(app, rules=[Rule("/vault/*"), Rule("/*", token=Token.OPTIONAL)])

    assert body_of(guarded, "GET", "/vault/x", {}) != SECRET
    assert body_of(guarded, "GET", "/vaulted", {}) == SECRET


def test_an_exact_rule_does_not_guard_the_items_below_its_path() -> None:
    """DRF's router adds /vault/1/ to /vault/: a rule for both is one for a subtree."""
    exact = [Rule("/vault/"), Rule("/*", token=Token.OPTIONAL)]
    whole = [Rule("/vault/*"), Rule("/*", token=Token.OPTIONAL)]
    app = APPS["rest"]

    assert body_of(ISSUER.protect(app, rules=exact), "GET", "/vault/", {}) != SECRET
    assert body_of(ISSUER.protect(app, rules=exact), "GET", "/vault/1/", {}) == b"item 1"
    assert body_of(ISSUER.protect(app, rules=whole), "GET", "/vault/1/", {}) != b"item 1"


def test_a_view_of_traversal_takes_what_follows_its_name() -> None:
    """So a rule for a view is one for a subtree."""
    exact = [Rule("/vault/reveal"), Rule("/*", token=Token.OPTIONAL)]
    whole = [Rule("/vault/reveal/*"), Rule("/*", token=Token.OPTIONAL)]
    app = traversal_app()

    assert body_of(ISSUER.protect(app, rules=exact), "GET", "/vault/reveal", {}) != SECRET
    assert body_of(ISSUER.protect(app, rules=exact), "GET", "/vault/reveal/x", {}) == SECRET
    assert body_of(ISSUER.protect(app, rules=whole), "GET", "/vault/reveal/x", {}) != SECRET
