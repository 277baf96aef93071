"""FakeIssuer: what it makes is real, and what it serves is served."""

from typing import Any

import pytest
import requests
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import InvalidTokenError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import jose
from jwt_wsgi.testing import FakeIssuer


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


def test_an_outage_and_a_slow_day(app: EchoApp) -> None:
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
            assert requests.get(issuer.jwks_uri, timeout=5).elapsed.total_seconds() >= 0.05


def test_unserved_it_says_so() -> None:
    """Instead of an address that nobody listens at."""
    with pytest.raises(RuntimeError, match=r"with issuer\.serve"):
        _ = FakeIssuer().jwks_uri
