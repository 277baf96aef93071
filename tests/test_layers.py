"""The middleware is found below everything that may stand around it."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import jwt_wsgi
from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.layers import guards
from jwt_wsgi.testing import FakeIssuer


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


STACKS: dict[str, Any] = {
    "the middleware itself": lambda guard: guard,
    "ProxyFix": ProxyFix,
    "Flask": in_flask,
    "ProxyFix in Flask": lambda guard: in_flask(ProxyFix(guard)),
    "Flask behind ProxyFix": lambda guard: ProxyFix(in_flask(guard)),
    "WhiteNoise": lambda guard: Layer("application", guard),
    "OpenTelemetry": lambda guard: Layer("wsgi", guard),
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
def test_where_there_is_none_the_search_ends(app: Any) -> None:
    """Whatever the object does when it is looked at."""
    assert guards(app) == []
    with pytest.raises(ConfigurationError, match="no JWTMiddleware"):
        jwt_wsgi.warm_up(app)


def test_a_loop_ends(guard: JWTMiddleware) -> None:
    """Two layers may know each other."""
    one, two = Layer("app", guard), Layer("app", None)
    one.application, two.app = two, one  # type: ignore[attr-defined]

    assert guards(two) == [guard]


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
