"""The middleware is found below everything that may stand around it."""

import functools
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import bearer
from flask import Flask
from servers.running import gunicorn
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

import jwt_wsgi
from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.layers import guards
from jwt_wsgi.test_kit.layered import replaced
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import authenticated

ROOT = Path(__file__).parent.parent


class Layer:
    """A middleware that keeps what it wraps under a name of its own."""

    def __init__(self, name: str, inner: Any) -> None:
        setattr(self, name, inner)


@pytest.fixture
def guard(issuer: FakeIssuer, app: Any) -> JWTMiddleware:
    return issuer.protect(app)


def in_flask(guard: JWTMiddleware) -> Flask:
    flask = Flask(__name__)
    flask.wsgi_app = guard  # type: ignore[method-assign]
    return flask


def decorated(guard: JWTMiddleware) -> Any:
    def application(environ: Any, start_response: Any) -> Any:
        return guard(environ, start_response)

    application.__wrapped__ = guard  # type: ignore[attr-defined]  # as functools.wraps does
    return application


def whitenoise(guard: JWTMiddleware) -> Any:
    return pytest.importorskip("whitenoise").WhiteNoise(guard)


def sentry(guard: JWTMiddleware) -> Any:
    wsgi = pytest.importorskip("sentry_sdk.integrations.wsgi")
    return wsgi.SentryWsgiMiddleware(guard)


def opentelemetry(guard: JWTMiddleware) -> Any:
    wsgi = pytest.importorskip("opentelemetry.instrumentation.wsgi")
    return wsgi.OpenTelemetryMiddleware(guard)


STACKS: dict[str, Any] = {
    "the middleware itself": lambda guard: guard,
    "ProxyFix": ProxyFix,
    "Flask": in_flask,
    "ProxyFix in Flask": lambda guard: in_flask(ProxyFix(guard)),
    "Flask behind ProxyFix": lambda guard: ProxyFix(in_flask(guard)),
    "WhiteNoise": whitenoise,
    "Sentry": sentry,
    "OpenTelemetry": opentelemetry,
    "three monitors": lambda guard: ProxyFix(whitenoise(sentry(opentelemetry(guard)))),
    "a gunicorn worker": lambda guard: Layer("wsgi", in_flask(guard)),
    "a decorator": decorated,
    "a mount": lambda guard: DispatcherMiddleware(Flask(__name__), {"/api": guard}),
    "six layers": lambda guard: ProxyFix(Layer("application", Layer("app", ProxyFix(guard)))),
}


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS.keys())
def test_the_middleware_is_found(stack: Any, guard: JWTMiddleware) -> None:
    """Under every name that middlewares and frameworks use."""
    assert guards(stack(guard)) == [guard]


def test_every_middleware_is_found(issuer: FakeIssuer, app: Any) -> None:
    """Each mount may have one, and one may stand in another. The outermost comes first."""
    inner, mounted = issuer.protect(app), JWTMiddleware(app, issuer="https://b.example")
    outer = JWTMiddleware(inner, issuer="https://a.example")

    assert guards(DispatcherMiddleware(outer, {"/b": mounted})) == [outer, mounted, inner]


class Endless:
    """Every look at it makes another one."""

    def __getattr__(self, name: str) -> "Endless":
        return Endless()


class Broken:
    @property
    def app(self) -> Any:
        raise RuntimeError("not in a request")


@pytest.mark.parametrize("app", [None, object(), Flask(__name__), Endless(), Broken()])
def test_the_search_ends_if_there_is_no_middleware(app: Any) -> None:
    """Whatever the object does when its attributes are read."""
    assert guards(app) == []
    with pytest.raises(ConfigurationError, match="no JWTMiddleware"):
        jwt_wsgi.warm_up(app)


def test_the_search_ends_in_a_loop_of_layers(guard: JWTMiddleware) -> None:
    """Two layers may refer to each other."""
    one, two = Layer("app", guard), Layer("app", None)
    one.application, two.app = two, one  # type: ignore[attr-defined]

    assert guards(two) == [guard]
    assert replaced(two, guard, ProxyFix).app.app is ProxyFix


def test_one_recipe_loads_the_keys_in_every_framework(issuer: FakeIssuer, app: Any) -> None:
    """False when the issuer does not answer, and nothing is fetched before."""
    with FakeIssuer().serve() as served:
        stack = ProxyFix(in_flask(JWTMiddleware(app, issuer=served.issuer)))
        assert served.requests == []
        assert jwt_wsgi.warm_up(stack)
        assert len(served.requests) == 2
        with served.outage():
            cold = in_flask(JWTMiddleware(app, issuer=served.issuer))
            assert not jwt_wsgi.warm_up(cold, timeout=0.5)
            both = DispatcherMiddleware(stack, {"/cold": cold})
            assert not jwt_wsgi.warm_up(both, timeout=0.5)


SERVING = {
    name: stack
    for name, stack in STACKS.items()
    if name not in ("a gunicorn worker", "a decorator", "six layers")
}


@pytest.mark.parametrize("stack", SERVING.values(), ids=SERVING.keys())
def test_a_fake_issuer_takes_the_place_of_the_configured_one(stack: Any, app: Any) -> None:
    """The settings of the middleware and every layer around it stay as they are."""
    ours = JWTMiddleware(app, issuer="https://real.example", public_paths="/open")
    served = stack(ours)
    issuer = FakeIssuer("https://fake.example")
    protected = issuer.protect(served)
    client = Client(protected)
    prefix = "/api" if stack is STACKS["a mount"] else ""

    assert client.get(f"{prefix}/x").status_code == 401
    assert client.get(f"{prefix}/open").status_code == 200
    assert client.get(f"{prefix}/x", headers=bearer(issuer.token())).status_code == 200
    if prefix:
        assert client.get("/x").status_code == 404  # the answer of the app beside the mount
    assert guards(served) == [ours]
    assert Client(served).get(f"{prefix}/x", headers=bearer(issuer.token())).status_code == 401
    assert protected.settings.public_paths == ("/open",)


@pytest.mark.parametrize("stack", SERVING.values(), ids=SERVING.keys())
def test_a_test_without_tokens_finds_the_middleware(stack: Any, app: Any) -> None:
    """It is taken off, and what stands around it stays."""
    served = stack(JWTMiddleware(app, issuer="https://real.example", claim_headers={"sub": "X-U"}))
    client = Client(authenticated(served, {"sub": "ada"}))
    prefix = "/api" if stack is STACKS["a mount"] else ""

    answer = client.get(f"{prefix}/x", headers={"X-U": "mallory"})
    assert answer.status_code == 200
    assert app.environ["HTTP_X_U"] == "ada"


def test_a_layer_that_is_a_function_cannot_be_copied(app: Any) -> None:
    """Then the test would ask the real issuer. It says what to do instead."""

    def closed(environ: Any, start_response: Any) -> Any:
        return guard(environ, start_response)

    guard = JWTMiddleware(app, issuer="https://real.example")
    closed.app = guard  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="function closed"):
        FakeIssuer().protect(closed)
    with pytest.raises(TypeError, match="function closed"):
        authenticated(closed, {})


def test_two_middlewares_are_wrapped_one_by_one(app: Any) -> None:
    """Each may trust another issuer, so one fake issuer cannot stand for both."""
    two = [JWTMiddleware(app, issuer=f"https://{name}.example") for name in "ab"]
    both = DispatcherMiddleware(two[0], {"/b": two[1]})
    for wrap in (FakeIssuer().protect, functools.partial(authenticated, payload={})):
        with pytest.raises(TypeError, match="2 JWTMiddlewares"):
            wrap(both)


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["Flask", "Dispatcher"])
def test_one_recipe_under_gunicorn(stack: str, tmp_path: Path) -> None:
    """The keys are fetched before the first request, whatever stands around the middleware."""
    lines = {
        "Flask": "app = Flask('shop')\napp.wsgi_app = ProxyFix(JWTMiddleware(app.wsgi_app))\n",
        "Dispatcher": "app = ProxyFix(DispatcherMiddleware(Flask('shop'),"
        " {'/api': JWTMiddleware(Flask('api'))}))\n",
    }
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\n"
        "from werkzeug.middleware.dispatcher import DispatcherMiddleware\n"
        "from werkzeug.middleware.proxy_fix import ProxyFix\n"
        "from jwt_wsgi import JWTMiddleware\n" + lines[stack]
    )
    (tmp_path / "gunicorn.conf.py").write_text(
        "import jwt_wsgi\n\n\ndef post_worker_init(worker):\n    jwt_wsgi.warm_up(worker.wsgi)\n"
    )
    with FakeIssuer().serve() as issuer:
        env = {"JWT_WSGI_ISSUER": issuer.issuer, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
        with gunicorn("shop:app", cwd=tmp_path, env=env, workers=1) as url:
            before = list(issuer.requests)
            token = bearer(issuer.token())
            assert requests.get(f"{url}/api/x", headers=token, timeout=10).status_code == 404
            assert len(before) == 2
            assert issuer.requests == before
