"""gunicorn jwt_wsgi.wsgi:application, without gunicorn."""

import functools
import importlib
import re
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import falcon
import pytest
from bottle import Bottle
from flask import Flask
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.errors import printable

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"app"]


def factory():
    return app


def needs(name, debug=True):
    assert (name, debug) == ("prod", False)
    return app


def nobody():
    pass


def broken():
    raise RuntimeError("no database")


def buggy():
    return number.config  # a mistake of the app's own


class shop:
    app = staticmethod(app)


async def asgi(scope, receive, send):
    pass


number = 5
"""


@pytest.fixture(autouse=True)
def _myproject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrapped_by_name.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("JWT_WSGI_ISSUER", "https://issuer.example")
    monkeypatch.setenv("JWT_WSGI_PUBLIC_PATHS", "/open")


def load(monkeypatch: pytest.MonkeyPatch, app: str) -> Any:
    monkeypatch.setenv("JWT_WSGI_APP", app)
    sys.modules.pop("jwt_wsgi.wsgi", None)
    return importlib.import_module("jwt_wsgi.wsgi").application


@pytest.mark.parametrize(
    "app",
    [
        "wrapped_by_name:app",
        "wrapped_by_name:factory()",
        'wrapped_by_name:needs("prod", debug=False)',
        "wrapped_by_name:shop.app",
    ],
)
def test_an_app_is_wrapped_by_name(monkeypatch: pytest.MonkeyPatch, app: str) -> None:
    """An attribute, or what a factory returns."""
    application = load(monkeypatch, app)

    assert isinstance(application, JWTMiddleware)
    assert Client(application).get("/open").text == "app"
    assert Client(application).get("/").status_code == 401


@pytest.mark.parametrize(
    ("app", "remedy"),
    [
        ("", "give module:attribute"),
        ("wrapped_by_name", "give module:attribute"),
        ("no_such_module:app", "there is no module 'no_such_module'"),
        ("wrapped_by_name:nothing", "it has no 'nothing'"),
        ("wrapped_by_name:number", "an object of int, which cannot be called"),
        ("wrapped_by_name:factory", "is it a factory that must be called?"),
        ("wrapped_by_name:needs()", "it cannot be imported: TypeError: "),
        ("wrapped_by_name:needs(number)", "a call with literals"),
        ("wrapped_by_name:needs('prod'", "a call with literals"),
        ("wrapped_by_name:asgi", "it is an ASGI application"),
        ("wrapped_by_name:broken()", "RuntimeError: 'no database'"),
        ("wrapped_by_name:nobody()", "it is None"),
        ("wrapped_by_name:buggy()", "AttributeError: "),
        ("wrapped_by_name:brokn()", "it has no 'brokn'; did you mean broken?"),
        ("wrapped_by_name:broken(**{})", "a call with literals"),
    ],
)
def test_a_wrong_name_is_reported(monkeypatch: pytest.MonkeyPatch, app: str, remedy: str) -> None:
    """In one sentence, with the variable, its value and what is wrong with it."""
    with pytest.raises(ConfigurationError, match=re.escape(remedy)) as caught:
        load(monkeypatch, app)

    (problem,) = caught.value.problems
    assert problem.startswith(f"JWT_WSGI_APP: {printable(app, 200)}: ")
    assert "\n" not in problem


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class AsgiFramework:
    """Starlette's `__call__` is a coroutine function, others return an awaitable."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any: ...


def create_app(config: Any = None) -> Any: ...


class WsgiClass:
    """An instance for each request (PEP 3333)."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Any: ...


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        (None, "it is None, which cannot be called"),
        ("myproject:app", "it is an object of str, which cannot be called"),
        (asgi, "it is an ASGI application"),
        (AsgiObject(), "it is an ASGI application"),
        (AsgiFramework(), "as an ASGI application does"),
        (create_app, "'create_app' takes other arguments; is it a factory"),
        (lambda: None, "is it a factory"),
    ],
)
def test_an_object_that_is_no_wsgi_application_is_an_error(app: Any, problem: str) -> None:
    """The message says what it is. Without the check every request would be a 500."""
    with pytest.raises(ConfigurationError, match=f"^app: .*{re.escape(problem)}"):
        JWTMiddleware(app, issuer="https://a.example")


@pytest.mark.parametrize(
    "app",
    [
        WsgiClass,
        pytest.param(lambda environ, start_response: [], id="function"),
        pytest.param(lambda *args: [], id="any arguments"),
        functools.partial(lambda prefix, environ, start_response: [], "/api"),
        Flask(__name__),
        Flask(__name__).wsgi_app,
        Bottle(),
        falcon.App(),
        mock.Mock(),
        pytest.param(max, id="no signature"),
    ],
)
def test_whatever_takes_two_arguments_is_wrapped(app: Any) -> None:
    """A class, a partial, frameworks' objects and methods, and what hides its signature."""
    JWTMiddleware(app, issuer="https://a.example")
