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
from werkzeug.test import Client
from werkzeug.test import TestResponse

from jwt_wsgi.contrib.authlib import UNVERIFIED
from jwt_wsgi.contrib.authlib import VerifiedTokenValidator
from jwt_wsgi.contrib.flask import current_payload
from jwt_wsgi.testing import FakeIssuer

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
    """In a view and in a stream; nobody where there is none."""
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
    client = Client(issuer.protect(flask_app(), forward_token=False))

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
