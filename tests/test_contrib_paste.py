"""Paste: the filter by its entry points, under real pserve and gunicorn."""

import os
import sys
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import bearer
from paste.deploy import loadapp
from servers.running import ServerDied
from servers.running import free_port
from servers.running import gunicorn
from servers.running import running
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.contrib.paste import filter_app_factory
from jwt_wsgi.contrib.paste import filter_factory
from jwt_wsgi.testing import FakeIssuer

APP = """
def main(global_conf, **settings):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str((environ["jwt_wsgi.payload"] or {}).get("sub")).encode()]
    return app
"""
INI = """
[DEFAULT]
debug = false
{default}

[pipeline:main]
pipeline = jwt app

[filter:jwt]
use = egg:jwt-wsgi
issuer = {issuer}
leeway = 10s
realm = shop
public_paths = /healthz /docs/*
{more}

[app:app]
paste.app_factory = paste_test_app:main

[server:main]
use = egg:waitress#main
listen = 127.0.0.1:{port}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "paste_test_app.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(folder: Path, issuer: str, port: int = 0, more: str = "", default: str = "") -> str:
    text = INI.format(issuer=issuer, port=port, more=more, default=default)
    (folder / "app.ini").write_text(text)
    return f"config:{folder / 'app.ini'}"


def test_an_ini_file_wraps_an_app(folder: Path) -> None:
    """`egg:jwt-wsgi` is found; texts become options."""
    app = loadapp(write(folder, "https://issuer.example"))

    assert isinstance(app, JWTMiddleware)
    assert app.settings.realm == "shop"
    assert app.settings.public_paths == ("/healthz", "/docs/*")
    assert app.settings.leeway == 10
    assert Client(app).get("/healthz").text == "None"
    assert Client(app).get("/").status_code == 401


def test_an_app_section_may_filter_with_it(folder: Path) -> None:
    """`filter-with` and `filter-app` use the two entry points."""
    app_options = "paste.app_factory = paste_test_app:main\n"
    options = "use = egg:jwt-wsgi\nissuer = https://a.example\nrealm = shop\n"
    text = f"[app:main]\n{app_options}filter-with = jwt\n[filter:jwt]\n{options}"
    (folder / "with.ini").write_text(text)
    text = f"[filter-app:main]\n{options}next = app\n[app:app]\n{app_options}"
    (folder / "app.ini").write_text(text)

    for name in ("with", "app"):
        app = loadapp(f"config:{folder / name}.ini")
        assert (type(app), app.settings.realm) == (JWTMiddleware, "shop")


def test_wrong_options_do_not_load(folder: Path) -> None:
    """All of them are named at once."""
    with pytest.raises(ConfigurationError) as caught:
        loadapp(write(folder, "http://plain.example", more="optional = perhaps\nissuer_ = x"))

    assert [word in str(caught.value) for word in ("optional", "issuer_", "issuer:")] == [True] * 3


def test_a_name_in_default_does_not_load(folder: Path) -> None:
    """Paste drops the filter's own value then, and a scope that is needed would be lost."""
    section = "required_scopes = read"
    with pytest.raises(ConfigurationError, match=r"^required_scopes: \[DEFAULT\] has this name"):
        loadapp(write(folder, "https://a.example", more=section, default=section))


def test_the_factories_are_functions() -> None:
    """Without any file: what a filter makes is the middleware."""

    def app(_environ: object, _start: object) -> list[bytes]:
        return []

    options = {"issuer": "https://issuer.example"}

    assert filter_factory(None, **options)(app).app is app
    assert filter_app_factory(app, None, **options).app is app


@pytest.fixture(scope="module")
def served() -> FakeIssuer:
    with FakeIssuer().serve() as issuer:
        yield issuer


def statuses(url: str, issuer: FakeIssuer) -> list[tuple[int, bytes]]:
    """Of a public path, of no token, of a good one."""
    told = []
    asked = [("/healthz", {}), ("/", {}), ("/", bearer(issuer.token(sub="ada")))]
    for path, headers in asked:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request("GET", path, headers={"Connection": "close"} | headers)
        answer = connection.getresponse()
        told.append((answer.status, answer.read()))
        connection.close()
    return told


EXPECTED = [(200, b"None"), (401, b'{"error": "No token provided"}'), (200, b"ada")]


def path_of(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}


@pytest.mark.slow
def test_pserve_serves_it(folder: Path, served: FakeIssuer) -> None:
    """waitress, as Pyramid's projects have it."""
    port = free_port()
    write(folder, served.issuer, port)
    command = [str(Path(sys.executable).parent / "pserve"), "app.ini"]

    with running(command, port, cwd=folder, env=path_of(folder)) as url:
        assert statuses(url, served) == EXPECTED


@pytest.mark.slow
def test_gunicorn_serves_it(folder: Path, served: FakeIssuer) -> None:
    """`gunicorn --paste`."""
    write(folder, served.issuer)

    with gunicorn("--paste=app.ini", cwd=folder, env=path_of(folder), workers=1) as url:
        assert statuses(url, served) == EXPECTED


@pytest.mark.slow
def test_a_wrong_option_never_starts_serving(folder: Path) -> None:
    """The server ends, and says which."""
    write(folder, "", 0)
    command = [str(Path(sys.executable).parent / "pserve"), "app.ini"]

    with (
        pytest.raises(ServerDied, match="issuer: ''"),
        running(command, free_port(), cwd=folder, env=path_of(folder)),
    ):
        pass
