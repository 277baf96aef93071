"""The few fixtures that many tests share."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import hypothesis
import pytest
from werkzeug.test import Client

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import FakeIssuer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

ROOT = Path(__file__).parent.parent

# In CI the same examples in every run: a failure can be repeated, and nothing depends on chance.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, database=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


def project_files() -> list[str]:
    """Every file of the project: of the checkout, or of the source archive that we run in."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\n") if (ROOT / name).is_file()]
    made = {"__pycache__", "jwt_wsgi.egg-info", "build", "dist", ".venv", "PKG-INFO"}
    found = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return [path.as_posix() for path in found if made.isdisjoint(path.parts)]


#: Seconds that pass between the import of a test file and its first test, at least.
AGE_OF_IMPORTS = 3600.0
#: ``exp`` of tokens that a test file makes at its import.
IN_A_DAY = int(time.time()) + 86_400


class _LaggingClock:
    """``time.time``, behind by ``AGE_OF_IMPORTS`` until the tests are collected."""

    def __init__(self, real: Callable[[], float]) -> None:
        self.real, self.behind = real, AGE_OF_IMPORTS

    def __call__(self) -> float:
        return self.real() - self.behind


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import every test file an hour before its tests run, as a slow machine does.

    A token that a test file makes at its import must live for longer than the whole run takes.
    With this clock a token that lives for five minutes fails its tests on every machine.
    """
    clock = _LaggingClock(time.time)
    time.time = clock
    try:
        return (yield)
    finally:
        time.time = clock.real
        clock.behind = 0.0  # for those that kept the clock itself


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a developer's own server have no effect on a test."""
    for name in [name for name in os.environ if name.startswith("JWT_WSGI_")]:
        monkeypatch.delenv(name)


@pytest.fixture(params=[True, False], ids=["cache", "no cache"])
def with_and_without_a_cache(
    request: pytest.FixtureRequest,
    _no_settings_from_outside: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run the test twice: verified tokens are remembered, and ``token_cache_size=0``."""
    if not request.param:
        monkeypatch.setenv("JWT_WSGI_TOKEN_CACHE_SIZE", "0")


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


def calls(work: Callable[[], object]) -> int:
    """How many functions ``work`` calls, those in C included: its cost on any machine."""
    count = 0

    def heard(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(heard)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
