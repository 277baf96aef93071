"""The test kit: what it makes is real, what it serves is served, and it is asked for."""

import configparser
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import flask.testing
import pytest
import requests
from conftest import EchoApp
from conftest import bearer
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from jwt_wsgi import InvalidTokenError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import current_payload
from jwt_wsgi import jose
from jwt_wsgi.test_kit import loopback
from jwt_wsgi.test_kit.own_keys import OwnKeys
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import authenticated


def good(middleware: JWTMiddleware, token: str) -> bool:
    try:
        return bool(middleware.verifier.verify(token))
    except InvalidTokenError:
        return False


@pytest.mark.parametrize("algorithm", jose.ALGORITHMS)
def test_every_algorithm_end_to_end(app: EchoApp, algorithm: str) -> None:
    """Four lines protect an app and make a request."""
    issuer = FakeIssuer(algorithm=algorithm)
    visitor = Client(issuer.protect(app))

    assert visitor.get("/", headers=bearer(issuer.token(sub="ada"))).text == "ada"
    assert visitor.get("/", headers=bearer(issuer.wrong_key()())).status_code == 401


def test_a_member_that_is_none_is_left_out() -> None:
    """Of claims and header; the rest is added to the usual."""
    issuer = FakeIssuer(aud="api")
    token = jose.parse(issuer.token(header={"kid": None, "x": 1}, exp=None, org="acme"))

    assert token.header == {"alg": "EdDSA", "typ": "JWT", "x": 1}
    assert (token.claims["aud"], token.claims["org"]) == ("api", "acme")
    assert "exp" not in token.claims


def test_rotation_keeps_or_drops_the_old_keys(app: Any) -> None:
    """As issuers do, or as after a theft."""
    issuer = FakeIssuer()
    old = issuer.token()
    issuer.rotate()
    assert good(issuer.protect(app), old)
    assert good(issuer.protect(app), issuer.token())

    issuer.rotate(keep=False)
    assert not good(issuer.protect(app), old)
    assert len(issuer.jwks()["keys"]) == 1


def test_it_is_served_with_discovery(app: Any) -> None:
    """One discovery, one JWKS; a rotated key is found by one more fetch."""
    with FakeIssuer().serve() as issuer:
        middleware = JWTMiddleware(app, issuer=issuer.issuer)
        assert middleware.warm_up()
        assert good(middleware, issuer.token())
        issuer.rotate()
        assert good(middleware, issuer.token())
        assert issuer.requests == [
            "/.well-known/openid-configuration",
            "/.well-known/jwks.json",
            "/.well-known/jwks.json",
        ]
        assert middleware.health()["ready"]
        middleware.close()


@pytest.mark.parametrize("path", ["", "/", "/realms/x", "/realms/x/"])
def test_an_issuer_with_a_path_is_found(app: Any, path: str) -> None:
    """Its final slash belongs to the identifier and not to the URLs made of it."""
    nameless = FakeIssuer()
    with nameless.serve() as served:
        port = served.url.rpartition(":")[2]
    issuer = FakeIssuer(f"http://127.0.0.1:{port}{path}")
    with issuer.serve(port=int(port)):
        assert good(JWTMiddleware(app, issuer=issuer.issuer), issuer.token())


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What an issuer waited before each answer, in seconds; nobody really waits."""
    seconds: list[float] = []
    clock = SimpleNamespace(time=time.time, sleep=seconds.append)
    monkeypatch.setattr(loopback, "time", clock)
    return seconds


def test_an_outage_and_a_slow_day(app: EchoApp, slept: list[float]) -> None:
    """Held keys serve through both; a cold start in an outage is 503 with Retry-After."""
    with FakeIssuer().serve() as issuer:
        visitor = Client(JWTMiddleware(app, issuer=issuer.issuer))
        token = bearer(issuer.token(sub="ada"))
        assert visitor.get("/", headers=token).text == "ada"
        with issuer.outage():
            assert requests.get(issuer.jwks_uri, timeout=5).status_code == 500
            assert visitor.get("/", headers=token).text == "ada"
            cold = Client(JWTMiddleware(app, issuer=issuer.issuer)).get("/", headers=token)
            assert (cold.status_code, cold.json["code"]) == (503, "keys_unavailable")  # type: ignore[index]
            assert int(cold.headers["Retry-After"]) >= 1
            assert "WWW-Authenticate" not in cold.headers
        with issuer.slow(0.05):
            assert requests.get(issuer.jwks_uri, timeout=5).status_code == 200
            assert slept[-1] == 0.05


def test_the_url_of_an_issuer_that_is_not_served_is_an_error() -> None:
    """The error says how to serve it."""
    with pytest.raises(RuntimeError, match=r"with issuer\.serve"):
        _ = FakeIssuer().jwks_uri


def test_an_unknown_algorithm_is_an_error() -> None:
    """The message lists the known ones."""
    with pytest.raises(ValueError, match=r"'RS265': give one of EdDSA, .*HS512"):
        FakeIssuer(algorithm="RS265")


def test_outages_and_delays_may_be_nested_and_end_in_any_order(slept: list[float]) -> None:
    """The end of the inner one does not end the outer one."""
    issuer = FakeIssuer()
    with issuer.serve():
        with issuer.outage(), issuer.slow(0.05):
            with issuer.outage(), issuer.slow(0.01):
                pass
            answer = requests.get(issuer.jwks_uri, timeout=5)
            assert (answer.status_code, slept[-1]) == (500, 0.05)
        answer = requests.get(issuer.jwks_uri, timeout=5)
        assert (answer.status_code, slept[-1]) == (200, 0.0)
        outage = issuer.outage()
        outage.__enter__()
    outage.__exit__(None, None, None)


def test_a_served_issuer_cannot_be_served_again() -> None:
    """The second server would replace the first one, and its URL, during a test."""
    with FakeIssuer().serve() as issuer:
        with pytest.raises(RuntimeError, match="served already, at http"), issuer.serve():
            pass
        assert requests.get(issuer.jwks_uri, timeout=5).status_code == 200
    with pytest.raises(ZeroDivisionError), issuer.serve():
        raise ZeroDivisionError
    with issuer.serve():
        assert requests.get(issuer.jwks_uri, timeout=5).status_code == 200


def test_a_guarded_app_keeps_its_guard_and_changes_its_issuer(
    app: EchoApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules, audience and environment variables are tested as they are in production."""
    monkeypatch.setenv("JWT_WSGI_REQUIRED_SCOPES", "read")
    guarded = JWTMiddleware(
        app, issuer="https://real.example", jwks_uri="https://real.example/k", audience="api",
        public_paths=["/healthz"],
    )  # fmt: skip
    issuer = FakeIssuer(aud="api", scope="read")
    client = Client(issuer.protect(guarded))

    assert client.get("/", headers=bearer(issuer.token(sub="ada"))).text == "ada"
    assert client.get("/", headers=bearer(issuer.token(aud="x"))).status_code == 401
    assert client.get("/", headers=bearer(issuer.token(scope="write"))).status_code == 403
    real = issuer.token(iss="https://real.example")
    assert client.get("/", headers=bearer(real)).status_code == 401
    assert client.get("/healthz").status_code == 200
    with pytest.raises(TypeError, match="has a middleware with settings"):
        issuer.protect(guarded, audience="x")


def test_a_guarded_app_can_be_served_by_a_shared_secret(app: EchoApp) -> None:
    """Its own key source is hidden by the issuer's."""
    issuer = FakeIssuer(algorithm="HS384")
    guarded = JWTMiddleware(app, issuer="https://real.example", algorithms="ES256")

    client = Client(issuer.protect(guarded))
    assert client.get("/", headers=bearer(issuer.token(sub="ada"))).text == "ada"


def test_authenticated_puts_there_what_the_middleware_would(app: EchoApp) -> None:
    """Whatever the request says; the payload is the request's own."""
    payload = {"sub": "ada", "realm_access": {"roles": ["a"]}}
    client = Client(authenticated(app, payload))

    for _ in range(2):
        assert client.get("/", environ_overrides={"jwt_wsgi.error": "x"}).text == "ada"
        assert app.payload == payload
        assert app.environ is not None
        assert app.environ["jwt_wsgi.header"] == app.payload.header == {"alg": "none", "typ": "JWT"}
        assert "jwt_wsgi.error" not in app.environ
        app.payload["realm_access"]["roles"].append("b")
        app.payload["sub"] = app.environ["jwt_wsgi.header"]["alg"] = "x"
    assert payload == {"sub": "ada", "realm_access": {"roles": ["a"]}}
    Client(authenticated(app, payload, header={"kid": "k"})).get("/")
    assert app.environ["jwt_wsgi.header"] == {"kid": "k"}


def test_authenticated_for_code_without_an_environ(app: EchoApp) -> None:
    """`current_payload` is the payload while the app runs, and None after."""

    def deep_inside(environ: Any, start_response: Any) -> Any:
        assert current_payload() == {"sub": "ada"}
        return app(environ, start_response)

    assert Client(authenticated(deep_inside, {"sub": "ada"})).get("/").text == "ada"
    assert current_payload() is None


def test_authenticated_with_none_is_like_a_public_path(app: EchoApp) -> None:
    """The app finds no payload."""
    assert Client(authenticated(app, None)).get("/").text == "None"
    assert app.environ is not None
    assert app.environ["jwt_wsgi.header"] is None


def test_authenticated_replaces_the_middleware(app: EchoApp, issuer: FakeIssuer) -> None:
    """Its claim headers are still set."""
    guarded = issuer.protect(
        app, claim_headers={"sub": "X-User", "email": "REMOTE_USER"}, required_scopes="read"
    )

    client = Client(authenticated(guarded, {"sub": "ada", "email": "a@b.example"}))
    assert client.get("/", headers={"X-User": "eve"}).text == "ada"
    assert app.environ is not None
    assert (app.environ["HTTP_X_USER"], app.environ["REMOTE_USER"]) == ("ada", "a@b.example")
    assert Client(guarded).get("/").status_code == 401


SUITE = """
def test_it(jwt_issuer):
    from werkzeug.test import Client
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["jwt_wsgi.payload"]["sub"].encode()]
    headers = {"Authorization": f"Bearer {jwt_issuer.token(sub='ada')}"}
    assert Client(jwt_issuer.protect(app)).get("/", headers=headers).text == "ada"
"""


def test_the_keys_of_a_fake_issuer_are_one_object_until_it_rotates() -> None:
    """A remembered token belongs to its key set: with a new one each time, none is found again."""
    issuer = FakeIssuer()
    keys = OwnKeys(issuer)
    first = keys.current()
    assert keys.current() is first

    issuer.rotate()
    assert keys.current() is not first
    assert keys.current() is keys.current()


def check_suite(folder: Path) -> None:
    """Run the suite in this folder in a process of its own: its one test passes."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-c", "/dev/null"]
    command += ["--rootdir", str(folder), "-p", "no:cacheprovider", str(folder)]
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert "1 passed" in run.stdout, run.stdout + run.stderr


@pytest.mark.slow
def test_the_plugin_is_loaded_by_one_line(tmp_path: Path) -> None:
    """One line in the conftest.py of a suite."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["jwt_wsgi.pytest_plugin"]')
    (tmp_path / "test_suite.py").write_text(SUITE)

    check_suite(tmp_path)


def test_the_plugin_does_not_load_itself(request: pytest.FixtureRequest) -> None:
    """It is no entry point of pytest, and is not here either, though the package is installed."""
    metadata = configparser.ConfigParser()
    metadata.read(Path(__file__).parent.parent / "setup.cfg")

    assert "pytest11" not in metadata["options.entry_points"]
    assert not request.config.pluginmanager.has_plugin("jwt_wsgi.pytest_plugin")


SHOP = """
from flask import Flask
from jwt_wsgi.contrib.flask import JWT, current_payload, require

app = Flask("shop")
JWT(app, issuer="https://real.example", audience="api")

@app.get("/orders")
@require(scopes=["orders:read"])
def orders():
    return {"orders of": current_payload["sub"]}
"""


@pytest.mark.slow
def test_the_fixture_takes_an_audience(tmp_path: Path) -> None:
    """A suite overrides one fixture: the blocks of docs/how-to/testing.md, in a suite."""
    page = (Path(__file__).parent.parent / "docs" / "how-to" / "testing.md").read_text()
    section = page.partition("## pytest")[2].partition("## Django")[0]
    conftest, suite = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "test_suite.py").write_text(suite)

    check_suite(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_WSGI_AUDIENCE", "https://production.example"),
        ("JWT_WSGI_REQUIRED_SCOPES", "admin"),
        ("JWT_WSGI_LEEWAY", "soon"),
        ("JWT_WSGI_JWKS_FILE", "/does/not/exist"),
        ("JWT_WSGI_REVOCATION", "redis://production.example"),
    ],
)
@pytest.mark.parametrize("kind", ["own", "provider"])
def test_the_shell_s_settings_do_not_count(
    app: EchoApp, monkeypatch: pytest.MonkeyPatch, name: str, value: str, kind: str
) -> None:
    """A developer has set them for a server; a test means the same on every machine."""
    monkeypatch.setenv(name, value)
    issuer = FakeIssuer() if kind == "own" else FakeIssuer.like("cognito")
    client = Client(issuer.protect(app))

    assert client.get("/", headers=bearer(issuer.token(sub="ada"))).text == "ada"


def test_flask_s_own_test_client_passes_the_guard() -> None:
    """With sessions, `json` and `with client:`, as the app's tests are used to."""
    app = flask.Flask("orders")
    app.secret_key = "x"
    app.add_url_rule("/", "me", lambda: {"sub": current_payload()["sub"]})  # type: ignore[index]
    app.add_url_rule("/session", "session", lambda: flask.session["cart"])

    class OwnClient(flask.testing.FlaskClient):
        pass

    app.test_client_class = OwnClient
    issuer = FakeIssuer()
    client = issuer.protect(app).test_client()
    headers = bearer(issuer.token(sub="ada"))

    assert isinstance(client, OwnClient)
    assert client.get("/").status_code == 401
    with client:
        assert client.get("/", headers=headers).json == {"sub": "ada"}
        assert flask.request.environ["jwt_wsgi.payload"]["sub"] == "ada"
    with client.session_transaction() as session:
        session["cart"] = "full"
    assert client.get("/session", headers=headers).text == "full"
    assert app.test_client().get("/session").status_code == 500  # the app itself is as before


@pytest.mark.parametrize("wrap", [lambda guard: guard, ProxyFix], ids=["wsgi_app", "ProxyFix"])
def test_the_test_client_of_a_guarded_flask_app(wrap: Any) -> None:
    """Through every layer; a second issuer takes the place of the first one."""
    app = flask.Flask("orders")
    app.add_url_rule("/", "me", lambda: {"sub": current_payload()["sub"]})  # type: ignore[index]
    guard: Any = JWTMiddleware(app.wsgi_app, issuer="https://real.example", public_paths="/open")
    app.wsgi_app = wrap(guard)  # type: ignore[method-assign]
    one, two = FakeIssuer("https://one.example"), FakeIssuer("https://two.example")
    for protected, good, bad in (
        (one.protect(app), one, two),
        (two.protect(one.protect(app)), two, one),
        (two.protect(one.protect(flask.Flask("bare"))), two, one),
    ):
        client = protected.test_client()
        assert isinstance(client, flask.testing.FlaskClient)
        assert client.get("/", headers=bearer(bad.token())).status_code == 401
        assert client.get("/", headers=bearer(good.token())).status_code in (200, 404)


def test_a_test_client_of_any_other_app(app: EchoApp) -> None:
    """Werkzeug's; the host is the one that Django allows in tests."""
    issuer = FakeIssuer()
    client = issuer.protect(app).test_client()

    assert client.get("/", headers=bearer(issuer.token(sub="ada"))).text == "ada"
    assert client.get("/").status_code == 401
    assert app.environ is not None
    assert app.environ["HTTP_HOST"] == "testserver"
    client.get("/", base_url="https://shop.example", headers=bearer(issuer.token()))
    assert app.environ["HTTP_HOST"] == "shop.example"


@pytest.mark.slow
def test_the_kit_needs_no_pytest() -> None:
    """It is for unittest, too."""
    code = "import sys, jwt_wsgi.testing; print([m for m in sys.modules if 'pytest' in m])"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_an_app_that_is_guarded_inside_is_not_guarded_twice() -> None:
    """Flask's users wrap ``wsgi_app``; both helpers find the guard there."""
    app = flask.Flask("orders")
    app.add_url_rule("/", "me", lambda: current_payload()["sub"])
    app.add_url_rule("/healthz", "healthz", lambda: "ok")
    app.wsgi_app = JWTMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, issuer="https://real.example", audience="api", public_paths="/healthz"
    )
    issuer = FakeIssuer(aud="api")
    visitor = Client(issuer.protect(app))

    assert visitor.get("/", headers=bearer(issuer.token(sub="ada"))).text == "ada"
    assert visitor.get("/").status_code == 401
    assert visitor.get("/healthz").text == "ok"
    assert Client(authenticated(app, {"sub": "eve"})).get("/").text == "eve"


def test_what_is_protected_follows_a_rotation(app: EchoApp) -> None:
    """As it would over HTTP; a key that was withdrawn is none, remembered token or not."""
    issuer = FakeIssuer()
    visitor = Client(issuer.protect(app))
    old = issuer.token()
    assert [visitor.get("/", headers=bearer(old)).status_code for _ in range(2)] == [200, 200]

    issuer.rotate()
    both = [old, issuer.token()]
    assert [visitor.get("/", headers=bearer(token)).status_code for token in both] == [200, 200]
    issuer.rotate(keep=False)
    assert [visitor.get("/", headers=bearer(token)).status_code for token in both] == [401, 401]
    assert visitor.get("/", headers=bearer(issuer.token())).status_code == 200
