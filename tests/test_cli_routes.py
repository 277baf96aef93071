"""`jwt-wsgi routes`: every view by the framework's own router, with the rule that decides."""

import json
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bottle
import django
import falcon
import flask
import pytest
from django.conf import settings as django_settings
from django.conf.urls.i18n import i18n_patterns
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import override_settings
from django.urls import include
from django.urls import path as route
from django.urls import re_path
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from jwt_wsgi import Rule
from jwt_wsgi.__main__ import main
from jwt_wsgi.testing import FakeIssuer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyramid's own imports: cgi, pkg_resources
    from pyramid.config import Configurator

ISSUER = FakeIssuer()
RULES = [
    Rule("/healthz", token="ignored"),
    Rule("/orders/*", methods=["GET"], token="optional"),
    Rule("/orders/*", scopes=["orders:write"]),
]
Routes = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module", autouse=True)
def _django() -> None:
    """Settings are made once a process: another module may have done it."""
    if not django_settings.configured:
        django_settings.configure(SECRET_KEY="x")
        django.setup()


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Routes:
    """Run the command on an app; returns the exit code and all that it prints."""

    def run(app: Any, *arguments: str) -> tuple[int, str]:
        module = types.ModuleType("shop")
        module.__dict__["app"] = app
        monkeypatch.setitem(sys.modules, "shop", module)
        monkeypatch.setattr(sys, "path", list(sys.path))
        code = main(["routes", "--app", "shop:app", *arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def views_of(routes: Routes, app: Any) -> dict[str, str]:
    """The mark of each row, by its methods and its path. No two rows have the same ones."""
    code, out = routes(app, "--json")
    assert code == 0
    rows = json.loads(out)["views"]
    marks = {f"{'|'.join(row['methods']) or 'any'} {row['path']}": row["token"] for row in rows}
    assert len(marks) == len(rows)
    return marks


def warnings_of(routes: Routes, app: Any) -> str:
    """The warnings, one a line. None is there twice."""
    found = json.loads(routes(app, "--json")[1])["warnings"]
    assert len(set(found)) == len(found)
    return "\n".join(found)


def flask_app() -> Any:
    app = flask.Flask("shop", static_folder=None)
    app.add_url_rule("/healthz", "health", lambda: "ok")
    app.add_url_rule("/orders/<int:number>", "order", lambda number: "", methods=["GET", "POST"])
    app.add_url_rule("/", "home", lambda: "")
    return app


# --- The frameworks ------------------------------------------------------------------------------


def test_the_views_of_flask(routes: Routes) -> None:
    """One line for each view and group of methods that needs the same; open ones in capitals."""
    code, out = routes(ISSUER.protect(flask_app(), rules=RULES))

    assert code == 0
    assert out.splitlines() == [
        "token    GET / -> home (no rule)",
        "PUBLIC   GET /healthz -> health (rule /healthz)",
        "OPTIONAL GET /orders/<int:number> -> order (rule /orders/*)",
        "token    POST /orders/<int:number> -> order (rule /orders/*: scope orders:write)",
        "",
        "shop:app: 4 rows of Flask; 2 need no token: 1 PUBLIC, 1 OPTIONAL",
    ]


def test_json_for_machines(routes: Routes) -> None:
    """The same, with the rule as the JSON form of `rules` has it."""
    _, out = routes(ISSUER.protect(flask_app(), rules=RULES), "--json")

    assert json.loads(out)["views"][3] == {
        "token": "required",
        "methods": ["POST"],
        "path": "/orders/<int:number>",
        "view": "order",
        "framework": "Flask",
        "rules": [{"path": "/orders/*", "scopes": ["orders:write"]}],
    }


def test_a_rule_for_one_value_of_a_parameter(routes: Routes) -> None:
    """The view of all users is also that of /users/me, which is public here; `int` takes no me."""
    app = flask.Flask("shop", static_folder=None)
    app.add_url_rule("/users/<name>", "user", lambda name: "")
    app.add_url_rule("/teams/<int:number>", "team", lambda number: "")
    app.add_url_rule("/files/<path:rest>", "files", lambda rest: "")
    public = ["/users/me", "/teams/me", "/files/open/*"]

    assert views_of(routes, ISSUER.protect(app, public_paths=public)) == {
        "GET /users/<name>": "required",
        "GET /users/<name> as /users/me": "ignored",
        "GET /teams/<int:number>": "required",
        "GET /files/<path:rest>": "required",
        "GET /files/<path:rest> as /files/open/*": "ignored",
    }


def test_the_views_of_bottle(routes: Routes) -> None:
    """With those of mounted apps."""
    app, inner = bottle.Bottle(), bottle.Bottle()
    app.get("/healthz", callback=lambda: "")
    app.route("/orders/<number:int>", ["GET", "POST"], callback=lambda number: "")
    inner.get("/orders", callback=lambda: "")
    app.mount("/v2/", inner)
    app.mount("/flask/", flask_app())

    assert views_of(routes, ISSUER.protect(app, rules=RULES)) == {
        "GET /healthz": "ignored",
        "GET /orders/<number:int>": "optional",
        "POST /orders/<number:int>": "required",
        "GET /v2/orders": "required",
        "GET /flask/": "required",
        "GET /flask/healthz": "required",
        "GET|POST /flask/orders/<int:number>": "required",
    }


def test_the_views_of_falcon(routes: Routes) -> None:
    """Sinks as well: they take their prefix anywhere."""

    class Orders:
        def on_get(self, request: Any, response: Any, number: int) -> None: ...

        def on_post(self, request: Any, response: Any, number: int) -> None: ...

    app = falcon.App()
    app.add_route("/orders/{number:int}", Orders())
    app.add_sink(lambda request, response: None, "/healthz")
    guarded = ISSUER.protect(app, rules=RULES)

    assert views_of(routes, guarded) == {
        "GET /orders/{number:int}": "optional",
        "POST /orders/{number:int}": "required",
        "any /healthz*": "ignored",
    }
    assert "the router serves /healthzx as well" in warnings_of(routes, guarded)


def test_the_views_of_pyramid(routes: Routes) -> None:
    """Routes, and views that traversal finds below any resource."""
    with Configurator() as config:
        config.add_route("order", "/orders/{number:\\d+}")
        config.add_view(lambda request: None, route_name="order", request_method="GET")
        config.add_view(lambda request: None, route_name="order", request_method="POST")
        config.add_view(lambda request: None, name="edit")
        app = ISSUER.protect(config.make_wsgi_app(), rules=RULES)

    assert views_of(routes, app) == {
        "GET /orders/{number}": "optional",
        "POST /orders/{number}": "required",
        "any /*/edit": "required",
        "GET|HEAD /*/edit as /orders/*": "optional",
        "DELETE|OPTIONS|PATCH|POST|PUT /*/edit as /orders/*": "required",
    }
    assert "traversal" in warnings_of(routes, app)


class Django:
    """The settings of a project for as long as a test needs them."""

    def __init__(self, patterns: list[Any], **more: Any) -> None:
        urls = types.ModuleType("urls")
        urls.__dict__["urlpatterns"] = patterns
        self.settings = override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[], **more)

    def __enter__(self) -> WSGIHandler:
        self.settings.enable()
        return WSGIHandler()

    def __exit__(self, *_: object) -> None:
        self.settings.disable()


def view(_request: Any, **_more: Any) -> HttpResponse:
    return HttpResponse()


def test_the_views_of_django(routes: Routes) -> None:
    """Function views take every method, class-based ones theirs; regular expressions in short."""
    from django.views import View

    class Order(View):
        def get(self, request: Any) -> None: ...

        def post(self, request: Any) -> None: ...

    patterns = [
        route("healthz", view),
        route("orders/", include([route("<int:number>", Order.as_view())])),
        re_path(r"^archive/(?P<year>[0-9]{4})/$", view),
    ]
    with Django(patterns) as app:
        assert views_of(routes, ISSUER.protect(app, rules=RULES)) == {
            "any /healthz": "ignored",
            "GET /orders/<int:number>": "optional",
            "POST /orders/<int:number>": "required",
            "any /archive/<year>/": "required",
        }


def test_the_views_of_django_rest_framework(routes: Routes) -> None:
    """Each action of a router with its methods, and the paths with a suffix."""
    with Django([]) as app:
        patterns = sys.modules["django.conf"].settings.ROOT_URLCONF.urlpatterns
        patterns += rest_router().urls
        views = views_of(routes, ISSUER.protect(app, rules=[Rule("/users/", scopes=["r"])]))

    assert views["GET|POST /users/"] == "required"
    assert views["DELETE|GET /users/<pk>/"] == "required"
    assert views["GET|POST /users.<format>"] == "required"


def rest_router() -> Any:
    with override_settings(
        REST_FRAMEWORK={"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []}
    ):
        from rest_framework.routers import DefaultRouter
        from rest_framework.viewsets import ViewSet

        def act(self: Any, request: Any, **_fields: Any) -> None: ...

        members = dict.fromkeys(("list", "create", "retrieve", "destroy"), act)
        router = DefaultRouter()
        router.register("users", type("Users", (ViewSet,), members), basename="users")
        return router


# --- What stands around them ---------------------------------------------------------------------


def test_layers_and_mounts(routes: Routes) -> None:
    """The rules see what is left of a path behind a mount; what no middleware guards is shown."""
    inner = flask.Flask("inner", static_folder=None)
    inner.add_url_rule("/healthz", "health", lambda: "")
    outside = flask.Flask("outside", static_folder=None)
    outside.add_url_rule("/", "home", lambda: "")
    guarded = flask.Flask("guarded", static_folder=None)
    guarded.add_url_rule("/x", "x", lambda: "")
    guarded.wsgi_app = ISSUER.protect(guarded.wsgi_app)  # type: ignore[method-assign]
    app = DispatcherMiddleware(
        outside, {"/api": ISSUER.protect(ProxyFix(inner), rules=RULES), "/own": guarded}
    )

    assert views_of(routes, app) == {
        "GET /": "unguarded",
        "GET /api/healthz": "ignored",
        "GET /own/x": "required",
    }
    assert "UNGUARDED GET / -> home" in routes(app)[1].replace("  ", " ")


def test_an_app_without_a_guard_or_without_a_router(
    routes: Routes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and the remedy."""
    code, out = routes(ISSUER.protect(lambda environ, start_response: []))
    assert code == 2
    assert "no app of Flask, Django, Pyramid, Bottle or Falcon" in out

    code, out = routes(flask_app())
    assert code == 2
    assert "there is no JWTMiddleware in it" in out
    assert "JWT_WSGI_APP=shop:app jwt-wsgi routes --app jwt_wsgi.wsgi:application" in out

    with pytest.raises(SystemExit, match="2"):
        main(["routes"])
    assert "--app" in capsys.readouterr().err


# --- The committed file --------------------------------------------------------------------------


def test_one_row_is_counted_in_the_singular(routes: Routes) -> None:
    """The last line is a sentence for every number."""
    app = flask.Flask("shop", static_folder=None)
    app.add_url_rule("/", "home", lambda: "")

    assert "shop:app: 1 row of Flask; each needs a token\n" in routes(ISSUER.protect(app))[1]
    public = ISSUER.protect(app, public_paths=["/"])
    assert "shop:app: 1 row of Flask; 1 needs no token: 1 PUBLIC\n" in routes(public)[1]


def test_a_view_that_becomes_public_is_seen(routes: Routes, tmp_path: Path) -> None:
    """`--write` makes the file; `--check` is silent while it is true, and 1 when it is not."""
    file = tmp_path / "routes.txt"
    app = flask_app()
    guarded = ISSUER.protect(app, public_paths=["/healthz", "/docs/*"])

    assert routes(guarded, "--write", str(file))[0] == 0
    assert routes(guarded, "--check", str(file)) == (0, f"{file}: the same as the app, 3 rows\n")

    app.add_url_rule("/docs/internal", "internal", lambda: "")
    code, out = routes(guarded, "--check", str(file))
    assert code == 1
    assert "+ PUBLIC   GET /docs/internal -> internal (rule /docs/*)" in out
    assert "  token" not in out
    assert f"jwt-wsgi routes --app shop:app --write {file}" in out

    code, out = routes(guarded, "--check", str(file), "--json")
    assert code == 1
    assert json.loads(out.splitlines()[0])["added"] == [
        "PUBLIC   GET /docs/internal -> internal (rule /docs/*)"
    ]


def test_a_file_that_is_missing(routes: Routes, tmp_path: Path) -> None:
    """Is no difference: exit code 2 says how to make it."""
    file = tmp_path / "routes.txt"
    code, out = routes(ISSUER.protect(flask_app()), "--check", str(file))

    assert code == 2
    assert "--write" in out


# --- Where router and rules read a path differently ----------------------------------------------


def test_a_slash_at_the_end(routes: Routes) -> None:
    """Flask without strict slashes serves /healthz/, where the exact rule does not count."""
    app = flask_app()
    assert warnings_of(routes, ISSUER.protect(app, rules=RULES)) == ""

    app = flask.Flask("shop", static_folder=None)
    app.url_map.strict_slashes = False
    app.add_url_rule("/healthz", "health", lambda: "ok")
    said = warnings_of(routes, ISSUER.protect(app, public_paths=["/healthz"]))
    assert "/healthz: the router serves /healthz/ as well, where a token is required" in said


def test_a_prefix(routes: Routes) -> None:
    """Falcon's sink takes /vaulted for /vault, and so does a pattern of Django without an end."""
    app = falcon.App()
    app.add_sink(lambda request, response: None, "/vault")
    rules = [Rule("/vault/*"), Rule("/*", token="optional")]
    said = warnings_of(routes, ISSUER.protect(app, rules=rules))
    assert "the router serves /vaultx as well, where a token is optional" in said

    with Django([re_path("^vault", view)]) as project:
        views = views_of(routes, ISSUER.protect(project, rules=rules))
        assert views == {"any /vault": "required", "any /vault as /vaultx": "optional"}
        said = warnings_of(routes, ISSUER.protect(project, rules=rules))
    assert "the router serves /vaultx as well, where a token is optional" in said


def test_a_pattern_that_ignores_case(routes: Routes) -> None:
    """The router serves spellings that the rule does not name."""
    rules = [Rule("/vault/*"), Rule("/*", token="optional")]
    with Django([re_path("(?i)^vault/$", view)]) as project:
        said = warnings_of(routes, ISSUER.protect(project, rules=rules))
    assert "the router serves /VAULT/ as well, where a token is optional" in said


def test_prefixes_of_languages(routes: Routes) -> None:
    """A rule for /admin/* is none for /de/admin/."""
    languages = {"LANGUAGES": [("en", "English"), ("de", "German")], "USE_I18N": True}
    rules = [Rule("/admin/*", scopes=["admin"]), Rule("/*", token="optional")]
    patterns = i18n_patterns(route("admin/", view))
    with Django(patterns, **languages) as project:
        guarded = ISSUER.protect(project, rules=rules)
        assert views_of(routes, guarded) == {"any /<language>/admin/": "optional"}
        said = warnings_of(routes, guarded)
    assert "/<language>/admin/: i18n_patterns; the rule of /admin/ does not count there" in said

    rules = [Rule("/de/admin/*", scopes=["admin"]), Rule("/*", token="optional")]
    patterns = i18n_patterns(route("admin/", view), prefix_default_language=False)
    with Django(patterns, LANGUAGE_CODE="en", **languages) as project:
        assert views_of(routes, ISSUER.protect(project, rules=rules)) == {
            "any /admin/": "optional",
            "any /<language>/admin/": "required",
        }


def test_an_exact_rule_and_routes_below_it(routes: Routes) -> None:
    """DRF's router adds /users/<pk>/ to /users/: a rule for both is one for a subtree."""
    with Django(rest_router().urls) as project:
        exact = [Rule("/users/", scopes=["users"])]
        said = warnings_of(routes, ISSUER.protect(project, rules=exact))
        assert "/users/<pk>/: rule /users/ is exact and does not count below its path" in said

        whole = [Rule("/users/*", scopes=["users"])]
        assert "is exact" not in warnings_of(routes, ISSUER.protect(project, rules=whole))


def test_a_view_with_two_paths(routes: Routes) -> None:
    """Of which a rule knows one."""
    app = flask.Flask("shop", static_folder=None)
    app.add_url_rule("/admin", "admin", lambda: "")
    app.add_url_rule("/old/admin", "admin")
    rules = [Rule("/admin/*", scopes=["admin"])]
    said = warnings_of(routes, ISSUER.protect(app, rules=rules))

    assert "admin: GET /admin and /old/admin are one view and need different things" in said


def test_hosts_and_rules_without_a_view(routes: Routes) -> None:
    """Rules do not look at the host; a public path that is not there may be a typing error."""
    app = flask.Flask("shop", static_folder=None)
    app.url_map.host_matching = True
    for method in ("GET", "POST"):
        app.add_url_rule("/", method, lambda: "", host="admin.example", methods=[method])
    said = warnings_of(routes, ISSUER.protect(app, public_paths=["/healthz"]))

    assert "/: only on the host admin.example; rules do not look at the host" in said
    assert "rule /healthz: no view of the app is there" in said
    rules = [Rule("/", scopes=["home"]), Rule("/*", scopes=["rest"])]
    said = warnings_of(routes, ISSUER.protect(app, rules=rules))
    assert "rule /*" not in said  # the last rule is for whatever the others leave


def test_regular_expressions_below_others(routes: Routes) -> None:
    """Django leaves out the ``^`` of a pattern that stands below another one."""
    inner = [re_path(r"^(?P<key>[-:\w]+)/$", view)]
    languages = {"LANGUAGES": [("en", "English"), ("de", "German")], "USE_I18N": True}
    patterns = [
        route("a/", include([re_path("^", include(inner))])),
        *i18n_patterns(re_path(r"^b/$", view), re_path("^c/", include(inner))),
    ]
    with Django(patterns, **languages) as project:
        guarded = ISSUER.protect(project)
        assert list(views_of(routes, guarded)) == [
            "any /<language>/b/", "any /<language>/c/<key>/", "any /a/<key>/"
        ]  # fmt: skip
        assert warnings_of(routes, guarded) == ""


def test_values_that_fit_a_regular_expression(routes: Routes) -> None:
    """One for each parameter, with brackets and alternatives in their expressions."""
    groups = r"(?P<path>.+/|)_r/(?P<a>[0-9]+)/(?P<b>20\d\d)/(?P<c>(?:x|(?:\d))+)"
    with Django([re_path(f"^{groups}/$", view), re_path("^(?P<x>([)]|1))/$", view)]) as project:
        guarded = ISSUER.protect(project)
        assert list(views_of(routes, guarded)) == [
            "any /<path>_r/<a>/<b>/<c>/",
            "any /^(?P<x>([)]|1))/$",  # Django's own function gives it up
        ]
        assert warnings_of(routes, guarded).count("no path was found") == 1


def test_a_route_that_no_tried_path_reaches(routes: Routes) -> None:
    """Then what decides is a guess, and it says so."""
    with Django([re_path(r"^code/(?P<code>[A-Z]{3}-\d{3})/$", view)]) as project:
        said = warnings_of(routes, ISSUER.protect(project))

    assert "/code/<code>/: no path was found that the router takes for it" in said


def test_what_an_app_prints_is_no_part_of_the_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An app that prints while it is imported does so beside the result."""
    (tmp_path / "chatty_app.py").write_text(
        "print('hello')\n"
        "from flask import Flask\n"
        "from jwt_wsgi.testing import FakeIssuer\n"
        "app = FakeIssuer().protect(Flask('chatty', static_folder=None))\n"
        "app.app.add_url_rule('/', 'home', lambda: '')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for command in ("routes", "settings"):
        sys.modules.pop("chatty_app", None)
        assert main([command, "--app", "chatty_app:app", "--json"]) == 0
        captured = capsys.readouterr()
        assert json.loads(captured.out)
        assert captured.err == "hello\n"


def permits(_claims: Any, _environ: Any) -> bool:
    return True


def test_the_check_of_a_rule(routes: Routes) -> None:
    """A function of the app's own is named; claims named by a path are shown as one."""
    rules = [Rule("/orders/*", check=permits, claims={("https://x.example/roles",): "admin"})]
    guarded = ISSUER.protect(flask_app(), rules=rules)
    name = f"{__name__}.permits"

    assert f'["https://x.example/roles"] "admin"; the permission of {name})' in routes(guarded)[1]
    row = json.loads(routes(guarded, "--json")[1])["views"][2]
    assert row["rules"][0]["check"] == name
