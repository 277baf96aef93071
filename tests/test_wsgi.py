"""gunicorn jwt_wsgi.wsgi:application, without gunicorn."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"app"]


def factory():
    return app


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


@pytest.mark.parametrize("app", ["wrapped_by_name:app", "wrapped_by_name:factory()"])
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
        ("no_such_module:app", "cannot be imported"),
        ("wrapped_by_name:nothing", "cannot be imported"),
        ("wrapped_by_name:number", "no WSGI application"),
    ],
)
def test_a_wrong_name_is_told(monkeypatch: pytest.MonkeyPatch, app: str, remedy: str) -> None:
    """With the variable, its value and the remedy."""
    with pytest.raises(ConfigurationError, match=f"JWT_WSGI_APP: '{app}': .*{remedy}"):
        load(monkeypatch, app)
