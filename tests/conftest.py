"""The few fixtures that many tests share."""

import os
from collections.abc import Callable
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any

import pytest
from werkzeug.test import Client

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import FakeIssuer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer has set for a server of his own is no part of a test."""
    for name in [name for name in os.environ if name.startswith("JWT_WSGI_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def issuer() -> FakeIssuer:
    """An issuer with EdDSA keys."""
    return FakeIssuer("https://issuer.example")


class EchoApp:
    """A WSGI app that remembers the environ of its last call and says the payload's ``sub``."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] | None = None

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        self.environ = environ
        body = str((environ["jwt_wsgi.payload"] or {}).get("sub")).encode()
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [body]

    @property
    def payload(self) -> Any:
        """What the app found in its environ."""
        assert self.environ is not None, "the app was not called"
        return self.environ["jwt_wsgi.payload"]


@pytest.fixture
def app() -> EchoApp:
    return EchoApp()


@pytest.fixture
def client(app: EchoApp, issuer: FakeIssuer) -> Callable[..., Client]:
    """Makes a client of ``app`` behind the middleware with the options given."""

    def make(**options: Any) -> Client:
        return Client(
            JWTMiddleware(app, **{"issuer": issuer.issuer, "jwks": issuer.jwks()} | options)
        )

    return make


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
