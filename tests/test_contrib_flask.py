"""Flask, and Authlib's ResourceProtector on Flask, against the real ones."""

import subprocess
import sys
from typing import Any

import pytest
from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.integrations.flask_oauth2 import current_token
from conftest import bearer
from flask import Flask
from flask import stream_with_context
from flask.cli import FlaskGroup
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client
from werkzeug.test import TestResponse

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import warm_up
from jwt_wsgi.contrib.authlib import UNVERIFIED
from jwt_wsgi.contrib.authlib import VerifiedTokenValidator
from jwt_wsgi.contrib.flask import JWT
from jwt_wsgi.contrib.flask import current_payload
from jwt_wsgi.contrib.flask import require
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import authenticated

require_oauth = ResourceProtector()
require_oauth.register_token_validator(VerifiedTokenValidator())


def flask_app() -> Flask:
    app = Flask(__name__)

    def told() -> dict[str, Any]:
        return {"token": current_token["sub"], "scopes": current_token.get("scope")}

    app.add_url_rule("/any", "any", require_oauth(told))
    app.add_url_rule("/one", "one", require_oauth("a")(told))
    app.add_url_rule("/both", "both", require_oauth("a b")(told))
    app.add_url_rule("/either", "either", require_oauth(["a", "b"])(told))
    app.add_url_rule("/mixed", "mixed", require_oauth(["a b", "c"])(told))
    app.add_url_rule("/open", "open", require_oauth("a")(told))
    app.add_url_rule("/who", "who", lambda: {"sub": current_payload["sub"]})
    app.add_url_rule("/anyone", "anyone", lambda: {"somebody": bool(current_payload)})

    @app.get("/stream")
    def stream() -> Any:
        return stream_with_context(current_payload["sub"] for _ in range(2)), 200

    return app


@pytest.fixture(scope="module")
def client(issuer: FakeIssuer) -> Client:
    app = flask_app()
    return Client(issuer.protect(app, public_paths=["/open", "/anyone"]))


def get(client: Client, issuer: FakeIssuer, path: str, **claims: Any) -> TestResponse:
    return client.get(path, headers=bearer(issuer.token(sub="ada", **claims)))


def test_current_payload_is_that_of_the_request(client: Client, issuer: FakeIssuer) -> None:
    """In a view and in a stream. Without a token it is false."""
    assert get(client, issuer, "/who").json == {"sub": "ada"}
    assert get(client, issuer, "/stream").text == "adaada"
    assert client.get("/anyone").json == {"somebody": False}


def test_a_test_client_without_the_middleware_brings_a_payload() -> None:
    """As the docstring says; without one it stands for None."""
    client = flask_app().test_client()
    environ = {"jwt_wsgi.payload": {"sub": "ada"}}

    assert client.get("/who", environ_base=environ).json == {"sub": "ada"}
    assert client.get("/anyone").json == {"somebody": False}


def test_current_payload_needs_a_request() -> None:
    """Flask's own error, which says so."""
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        current_payload["sub"]


@pytest.mark.parametrize(
    ("path", "good", "bad", "told"),
    [
        pytest.param("/any", ["", "x"], [], "", id="no scope"),
        pytest.param("/one", ["a", "x a"], ["", "b", "ab"], "a", id="one"),
        pytest.param("/both", ["a b", "b x a"], ["", "a", "b"], "a b", id="a b: all of"),
        pytest.param("/either", ["a", "b"], ["", "x"], "a", id="[a, b]: any of"),
        pytest.param("/mixed", ["a b", "c"], ["", "a", "b"], "a b", id="[a b, c]"),
    ],
)
def test_what_scopes_mean_to_require_oauth(
    client: Client, issuer: FakeIssuer, path: str, good: list[str], bad: list[str], told: str
) -> None:
    """A text: all of its words; a list: any of its texts. The challenge names the first one."""
    for scope in good:
        answer = get(client, issuer, path, scope=scope)
        assert (answer.status_code, answer.json) == (200, {"token": "ada", "scopes": scope})
    for scope in bad:
        answer = get(client, issuer, path, scope=scope)
        assert answer.status_code == 403
        assert answer.json is not None
        assert answer.json["error"] == "insufficient_scope"
        challenge = (
            'Bearer realm="api", error="insufficient_scope", '
            f'error_description="The token does not permit this request", scope="{told}"'
        )
        assert answer.headers.getlist("WWW-Authenticate") == [challenge]


def test_scopes_may_be_a_list_or_scp(client: Client, issuer: FakeIssuer) -> None:
    """Where the middleware finds scopes, Authlib does too."""
    assert get(client, issuer, "/both", scope=["a", "b"]).status_code == 200
    assert get(client, issuer, "/both", scp=["a", "b"]).status_code == 200


def test_what_was_not_verified_is_refused(client: Client, issuer: FakeIssuer) -> None:
    """A public path: nobody has looked at the token, be it good or bad."""
    for token in (issuer.token(scope="a"), issuer.wrong_key()(scope="a")):
        answer = client.get("/open", headers=bearer(token))
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == (
            f'Bearer realm="api", error="invalid_token", error_description="{UNVERIFIED}"'
        )
    assert client.get("/open").status_code == 401


def test_authlib_wants_the_header_itself(issuer: FakeIssuer) -> None:
    """As the docstring says: what takes it away makes every request a 401, never a pass."""
    client = Client(issuer.protect(flask_app(), token_from={"forward": False}))

    assert get(client, issuer, "/who").json == {"sub": "ada"}
    assert get(client, issuer, "/one", scope="a").status_code == 401


def test_without_the_middleware_everything_is_refused(issuer: FakeIssuer) -> None:
    """Forgotten, it lets nobody in; and a payload of the request before is not seen."""
    app = flask_app()
    assert get(Client(issuer.protect(app)), issuer, "/one", scope="a").status_code == 200

    assert get(Client(app), issuer, "/one", scope="a").status_code == 401


@pytest.mark.slow
def test_authlib_jose_is_never_imported() -> None:
    """It warns at import, and goes away in Authlib 2."""
    code = (
        "import jwt_wsgi.contrib.authlib, authlib.integrations.flask_oauth2, sys;"
        "sys.exit('authlib.jose' in sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# --- The extension -------------------------------------------------------------------------------


def shop(**config: Any) -> Flask:
    """An app as a factory makes it."""
    app = Flask("shop")
    app.config.update(config)

    @app.get("/open")
    @app.get("/any")
    @require()
    def anybody() -> dict[str, Any]:
        return {"sub": current_payload["sub"]}

    @app.get("/orders")
    @require(scopes=["orders:read", "orders:write"])
    def orders() -> list[int]:
        return [1]

    @app.get("/admin")
    @require(claims={"realm_access.roles": ["admin", "owner"]})
    def admin() -> str:
        return "admin"

    return app


@pytest.fixture
def settings_of(issuer: FakeIssuer) -> dict[str, Any]:
    """What stands in `app.config`."""
    return {
        "JWT_WSGI_ISSUER": issuer.issuer,
        "JWT_WSGI_JWKS": issuer.jwks(),
        "JWT_WSGI_PUBLIC_PATHS": ["/open"],
        "JWT_WSGI_REALM": "shop",
    }


def test_the_extension_guards_a_factory_s_app(
    settings_of: dict[str, Any], issuer: FakeIssuer
) -> None:
    """From `app.config`; Flask's own test client stays."""
    app = shop(**settings_of)
    JWT().init_app(app)
    client = app.test_client()

    assert client.get("/any").status_code == 401
    good = client.get("/any", headers=bearer(issuer.token(sub="ada")))
    assert (good.status_code, good.json) == (200, {"sub": "ada"})


def test_keywords_come_before_the_configuration_and_that_before_the_environment(
    settings_of: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As keywords come before the environment elsewhere."""
    monkeypatch.setenv("JWT_WSGI_REALM", "environment")
    monkeypatch.setenv("JWT_WSGI_LEEWAY", "7")
    one, two = shop(**settings_of), shop(**settings_of)
    JWT(one)
    JWT(two, realm="keyword")

    first, second = (app.extensions["jwt_wsgi"].settings for app in (one, two))
    assert (first.realm, second.realm) == ("shop", "keyword")
    assert (first.leeway, second.leeway) == (7, 7)


def test_one_extension_serves_several_apps(settings_of: dict[str, Any]) -> None:
    """Each has settings and keys of its own; twice the same app is a mistake."""
    jwt = JWT()
    one, two = shop(**settings_of), shop(**settings_of | {"JWT_WSGI_ISSUER": "https://b.example"})
    jwt.init_app(one)
    jwt.init_app(two)

    found = [app.extensions["jwt_wsgi"].settings.issuers[0].identifier for app in (one, two)]
    assert found == [settings_of["JWT_WSGI_ISSUER"], "https://b.example"]
    with pytest.raises(RuntimeError, match="guarded already"):
        jwt.init_app(one)


@pytest.mark.parametrize(
    ("path", "claims", "status"),
    [
        ("/any", {}, 200),
        ("/orders", {"scope": "orders:write orders:read"}, 200),
        ("/orders", {"scope": "orders:read"}, 403),
        ("/admin", {"realm_access": {"roles": ["owner"]}}, 200),
        ("/admin", {"realm_access": {"roles": ["user"]}}, 403),
        ("/admin", {}, 403),
    ],
)
def test_a_view_asks_for_more(
    settings_of: dict[str, Any],
    issuer: FakeIssuer,
    path: str,
    claims: dict[str, Any],
    status: int,
) -> None:
    """All scopes, one value of each claim."""
    app = shop(**settings_of)
    JWT(app)

    answer = app.test_client().get(path, headers=bearer(issuer.token(sub="ada", **claims)))

    assert answer.status_code == status


def test_a_view_answers_as_a_rule_does(
    settings_of: dict[str, Any], issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """The same status, headers and body, and a line in the log."""
    scopes = ["orders:read", "orders:write"]
    by_view = shop(**settings_of)
    JWT(by_view)
    by_rule = Flask("ruled")
    del settings_of["JWT_WSGI_PUBLIC_PATHS"]
    by_rule.config.update(settings_of, JWT_WSGI_RULES=[{"path": "/orders", "scopes": scopes}])
    JWT(by_rule)
    poor = bearer(issuer.token(scope="orders:read"))

    one, two = (app.test_client().get("/orders", headers=poor) for app in (by_view, by_rule))

    assert (one.status_code, one.data) == (two.status_code, two.data)
    assert sorted(one.headers) == sorted(two.headers)
    assert caplog.text.count("refused 403 insufficient_scope") == 2


def test_a_403_of_a_view_names_the_scopes_of_the_rule_as_well(
    settings_of: dict[str, Any], issuer: FakeIssuer
) -> None:
    """Else the client would come back without the one that the rule needs."""
    app = shop(**settings_of, JWT_WSGI_REQUIRED_SCOPES="base")
    JWT(app)

    answer = app.test_client().get("/orders", headers=bearer(issuer.token(scope="base")))

    assert answer.headers["WWW-Authenticate"].endswith('scope="base orders:read orders:write"')


def test_a_view_on_a_public_path_still_asks(settings_of: dict[str, Any]) -> None:
    """Nobody has looked at a token there."""
    app = shop(**settings_of)
    JWT(app)

    answer = app.test_client().get("/open")

    assert (answer.status_code, answer.json) == (401, {"error": "No token provided"})
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="shop"'


def test_without_any_setting_nothing_is_served(caplog: pytest.LogCaptureFixture) -> None:
    """Commands run; every request is a 503, and nothing is ever ready."""
    app = shop()
    JWT(app)
    client = app.test_client()

    assert "every request is answered 503" in caplog.text
    for path in ("/any", "/open", "/nowhere"):
        answer = client.get(path)
        assert (answer.status_code, (answer.json or {})["code"]) == (503, "not_configured")
    assert client.head("/any").data == b""
    assert not app.extensions["jwt_wsgi"].health()["ready"]
    for load in (app.extensions["jwt_wsgi"].warm_up, lambda: warm_up(app)):
        with pytest.raises(ConfigurationError, match="JWT_WSGI_ISSUER"):
            load()
    command = FlaskGroup(create_app=lambda: app)
    assert "/orders" in app.test_cli_runner().invoke(command, args=["routes"]).output


@pytest.mark.parametrize(
    "config",
    [
        {"JWT_WSGI_AUDIENCE": "api"},
        {"JWT_WSGI_ISSUER": "https://a.example", "JWT_WSGI_LEEWAY": "soon"},
        {"JWT_WSGI_ISUER": "https://a.example"},
    ],
)
def test_a_wrong_setting_is_an_error_when_the_app_is_made(config: dict[str, Any]) -> None:
    """Only if nothing at all is set, every request is answered 503 instead."""
    with pytest.raises(ConfigurationError):
        JWT(shop(**config))


def test_a_wrong_requirement_is_an_error_when_the_view_is_decorated() -> None:
    """It fails where it is written."""
    with pytest.raises(ConfigurationError, match="scope"):
        require(scopes=["two words"])
    with pytest.raises(ConfigurationError, match="claim"):
        require(claims={"role": None})


def test_a_view_that_asks_needs_the_middleware() -> None:
    """Forgotten, it serves nothing."""
    app = shop()
    app.testing = True

    with pytest.raises(RuntimeError, match="did not pass JWTMiddleware"):
        app.test_client().get("/any")


@pytest.mark.parametrize("where", ["wsgi_app", "below ProxyFix", "outside"])
def test_a_view_asks_behind_any_guard(issuer: FakeIssuer, where: str) -> None:
    """The extension is one way to wrap an app; `@require` works with each of them."""
    app = shop()
    options: Any = {"issuer": issuer.issuer, "jwks": issuer.jwks(), "realm": "shop"}
    if where == "outside":
        client = Client(JWTMiddleware(app, **options | {"realm": "api"}))
    else:
        guard: Any = JWTMiddleware(app.wsgi_app, **options)
        app.wsgi_app = guard if where == "wsgi_app" else ProxyFix(guard)  # type: ignore[method-assign]
        client = app.test_client()

    good = client.get("/any", headers=bearer(issuer.token(sub="ada")))
    poor = client.get("/orders", headers=bearer(issuer.token(scope="orders:read")))

    assert (good.status_code, good.json) == (200, {"sub": "ada"})
    assert (poor.status_code, (poor.json or {})["code"]) == (403, "insufficient_scope")
    realm = "api" if where == "outside" else "shop"
    assert poor.headers["WWW-Authenticate"].startswith(f'Bearer realm="{realm}"')


@pytest.mark.parametrize("scope", ["a", "b"])
def test_an_asynchronous_view_asks_too(
    settings_of: dict[str, Any], issuer: FakeIssuer, scope: str
) -> None:
    """Flask runs it as it runs every async view."""
    app = shop(**settings_of)
    JWT(app)

    @app.get("/async")
    @require(scopes=["a"])
    async def asynchronous() -> dict[str, Any]:
        return {"sub": current_payload["sub"]}

    answer = app.test_client().get("/async", headers=bearer(issuer.token(sub="ada", scope=scope)))
    assert answer.status_code == (200 if scope == "a" else 403)


def test_an_app_that_is_wrapped_already_is_not_wrapped_again(
    settings_of: dict[str, Any], issuer: FakeIssuer
) -> None:
    """Two guards would ask twice; whoever wrote the first one forgot it."""
    app = shop(**settings_of)
    app.wsgi_app = JWTMiddleware(app.wsgi_app, issuer=issuer.issuer)  # type: ignore[method-assign]

    with pytest.raises(RuntimeError, match="guarded already"):
        JWT(app)


def test_a_guarded_app_may_be_mounted_in_it(settings_of: dict[str, Any]) -> None:
    """The mount has a guard of its own, and the app gets one."""
    app, mounted = shop(**settings_of), shop(**settings_of)
    JWT(mounted)
    mounts: Any = DispatcherMiddleware(app.wsgi_app, {"/mounted": mounted})
    app.wsgi_app = mounts  # type: ignore[method-assign]
    JWT(app)

    assert app.test_client().get("/any").status_code == 401


@pytest.mark.parametrize(
    "environ",
    [
        {"JWT_WSGI_PORT": "tcp://10.0.0.1:80", "JWT_WSGI_SERVICE_HOST": "10.0.0.1"},
        {"JWT_WSGI_APP": "shop:app"},
        {"JWT_WSGI_SERVICE_PORT_HTTP": "80"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_what_is_no_setting_of_ours_does_not_count(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes sets such names for a service called jwt-wsgi."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    app = shop(**environ)
    JWT(app)

    answer = app.test_client().get("/any")
    assert (answer.status_code, (answer.json or {})["code"]) == (503, "not_configured")


def test_a_setting_that_is_none_is_an_error() -> None:
    """`os.environ.get` returns None for a name that is missing in production."""
    with pytest.raises(ConfigurationError, match="issuer: missing"):
        JWT(shop(JWT_WSGI_ISSUER=None))


@pytest.mark.parametrize("how", ["protect", "authenticated", "environ_base"])
def test_an_app_without_settings_has_its_tests(issuer: FakeIssuer, how: str) -> None:
    """What has passed a guard outside is served: the factory needs no issuer in tests."""
    app = shop()
    JWT().init_app(app)
    payload = {"sub": "ada", "scope": "orders:read orders:write"}
    headers, environ = bearer(issuer.token(**payload)), {"jwt_wsgi.payload": payload}

    if how == "environ_base":
        answer = app.test_client().get("/orders", environ_base=environ)
    elif how == "authenticated":
        answer = Client(authenticated(app, payload)).get("/orders")
    else:
        client = issuer.protect(app, public_paths=["/open"]).test_client()
        answer = client.get("/orders", headers=headers)
        assert client.get("/orders").status_code == 401
        assert client.get("/orders", headers=bearer(issuer.token(sub="eve"))).status_code == 403
    assert (answer.status_code, answer.json) == (200, [1])
    assert app.test_client().get("/orders").status_code == 503
