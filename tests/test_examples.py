"""Every example runs under real gunicorn, with real HTTP and real signatures."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import bearer
from servers.gunicorn import gunicorn

from jwt_wsgi.testing import FakeIssuer

EXAMPLES = Path(__file__).parent.parent / "examples"
#: file -> (what gunicorn runs, settings beside the issuer)
RUNS: dict[str, tuple[str, dict[str, str]]] = {
    "flask_app": ("flask_app:app", {}),
    "django_app": ("django_app:app", {}),
    "pyramid_app": ("pyramid_app:app", {}),
    "bottle_app": ("bottle_app:app", {}),
    "falcon_app": ("falcon_app:app", {}),
    "plain_app": ("plain_app:app", {}),
    "untouched_app": (
        "jwt_wsgi.wsgi:application",
        {
            "JWT_WSGI_APP": "untouched_app:app",
            "JWT_WSGI_PUBLIC_PATHS": "/healthz",
            "PYTHONPATH": str(EXAMPLES),
        },
    ),
}


@pytest.fixture(scope="module")
def served() -> Iterator[FakeIssuer]:
    """An issuer with an endpoint on loopback."""
    with FakeIssuer(aud="https://api.example").serve() as issuer:
        yield issuer


@pytest.fixture(scope="module", params=RUNS)
def url(request: pytest.FixtureRequest, served: FakeIssuer) -> Iterator[str]:
    """Each example under gunicorn, in turn."""
    app, settings = RUNS[request.param]
    env = {"JWT_WSGI_ISSUER": served.issuer, "JWT_WSGI_AUDIENCE": "https://api.example"}
    with gunicorn(app, cwd=EXAMPLES, env=env | settings) as url:
        yield url


def get(url: str, token: str | None = None, **headers: str) -> requests.Response:
    return requests.get(url, headers=(bearer(token) if token else {}) | headers, timeout=10)


def test_every_example_is_run() -> None:
    """A new file in examples/ needs its row."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == RUNS.keys()


def test_a_good_token_is_granted_access_with_its_payload(url: str, served: FakeIssuer) -> None:
    """The protected route answers with the claims, nested ones included."""
    answer = get(f"{url}/protected", served.token(sub="ada", roles=["a", "ä"], org={"id": 1}))

    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert told["message"] == "Access granted"
    assert (told["user"]["sub"], told["user"]["roles"]) == ("ada", ["a", "ä"])
    assert told["user"]["org"] == {"id": 1}
    assert told["user"]["iss"] == served.issuer


def test_no_token_no_access(url: str) -> None:
    """The documented 401, byte for byte."""
    answer = get(f"{url}/protected")

    assert (answer.status_code, answer.text) == (401, '{"error": "No token provided"}')
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert answer.headers["Content-Type"] == "application/json"


def test_bad_tokens_are_told_why(url: str, served: FakeIssuer) -> None:
    """Expired, forged, and no bearer token at all."""
    expired = get(f"{url}/protected", served.token(exp=1)).json()
    forged = get(f"{url}/protected", served.wrong_key()()).json()
    basic = get(f"{url}/protected", Authorization="Basic ZGVtbzpkZW1v").json()

    assert expired == {
        "error": "Invalid token",
        "details": "The token has expired",
        "code": "token_expired",
    }
    assert forged["code"] == "signature_invalid"
    assert basic == {"error": "Invalid authorization header format"}


def test_the_public_route_is_public(url: str, served: FakeIssuer) -> None:
    """Even with a bad token."""
    assert get(f"{url}/healthz").json() == {"status": "ok"}
    assert get(f"{url}/healthz", served.token(exp=1)).json() == {"status": "ok"}


def test_unknown_paths_need_a_token_first(url: str, served: FakeIssuer) -> None:
    """A stranger does not learn which paths there are; with a token the app's own 404 answers."""
    assert get(f"{url}/nowhere").status_code == 401
    assert get(f"{url}/nowhere", served.token()).status_code == 404


def test_head_has_no_body(url: str) -> None:
    """And the length that GET would have."""
    answer = requests.head(f"{url}/protected", timeout=10)

    assert answer.status_code == 401
    assert answer.headers["Content-Length"] == "30"
    assert answer.content == b""


@pytest.mark.parametrize(
    ("variable", "value"), [("JWT_WSGI_ISSUER", ""), ("JWT_WSGI_LEEWAY", "soon")]
)
def test_a_wrong_setting_never_starts_serving(variable: str, value: str) -> None:
    """gunicorn gives up, and its output names the setting."""
    env = os.environ | {"JWT_WSGI_ISSUER": "https://issuer.example", variable: value}
    command = [sys.executable, "-m", "gunicorn", "plain_app:app", "--bind", "127.0.0.1:0"]

    ended = subprocess.run(
        command, cwd=EXAMPLES, env=env, capture_output=True, text=True, timeout=30, check=False
    )

    assert ended.returncode != 0
    assert f"{variable}: {value!r}" in ended.stderr
