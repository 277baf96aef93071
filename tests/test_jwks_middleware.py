"""Remote keys as users of the middleware meet them: with a real issuer on loopback."""

import base64
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from hashlib import sha256
from hmac import digest
from typing import Any

import pytest
from conftest import EchoApp
from werkzeug.test import Client

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.events import Event
from jwt_wsgi.events import KeyMissed
from jwt_wsgi.testing import FakeIssuer

KEYS = "/.well-known/jwks.json"


@pytest.fixture
def served() -> Iterator[FakeIssuer]:
    with FakeIssuer().serve() as issuer:
        yield issuer


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.slow
def test_import_and_construction_open_no_socket_and_start_no_thread() -> None:
    """No thread, no socket, no name looked up, with a hundred of them."""
    code = """
        import socket, threading
        def never(*_, **__): raise AssertionError("the network")
        socket.socket.connect = socket.getaddrinfo = never
        from jwt_wsgi import JWTMiddleware
        apps = [JWTMiddleware(print, issuer=f"https://i{n}.example") for n in range(100)]
        assert threading.active_count() == 1
    """
    script = "\n".join(line.strip() for line in code.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_warm_up_health_and_close(app: EchoApp, served: FakeIssuer) -> None:
    """Keys before the first request; what is known of them; and the end of all fetching."""
    middleware = JWTMiddleware(app, issuer=served.issuer)
    assert middleware.health()["ready"] is False
    assert served.requests == []

    assert middleware.warm_up(raises=True)
    health = middleware.health()
    assert json.loads(json.dumps(health)) == health
    keys = health["issuers"][served.issuer]
    assert health["ready"] is True
    assert (keys["state"], keys["keys"], keys["kids"]) == ("FRESH", 1, [served.kid])
    fetched = len(served.requests)

    middleware.close()
    visitor = Client(middleware)
    assert visitor.get("/", headers=bearer(served.token())).status_code == 200
    served.rotate()
    assert visitor.get("/", headers=bearer(served.token())).status_code == 503
    assert middleware.health()["issuers"][served.issuer]["state"] == "CLOSED"
    assert len(served.requests) == fetched


def test_no_outage_makes_anybody_unready(app: EchoApp, served: FakeIssuer) -> None:
    """Readiness looks at the keys that are held, not at the last refresh."""
    middleware = JWTMiddleware(app, issuer=served.issuer)
    with served.outage():
        assert not middleware.warm_up(timeout=2)
        with pytest.raises(KeysUnavailableError):
            middleware.warm_up(raises=True)
        assert middleware.health()["ready"] is False
        assert middleware.health()["issuers"][served.issuer]["state"] == "COLD-WAIT"
    keys = next(iter(middleware.verifier.issuers.values())).keys
    boottime = keys._clock
    keys._clock = keys._loader._clock = lambda: boottime() + 61  # the pause is over
    assert keys.warm_up()
    keys._clock = keys._loader._clock = lambda: boottime() + 362
    with served.outage():
        assert keys.current() is not None
        _until(lambda: keys.health()["fails"] == 1)

    assert middleware.health()["ready"] is True
    assert middleware.health()["issuers"][served.issuer]["state"] == "DEGRADED"
    assert middleware.warm_up()


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


BAD_KIDS = {
    "257 characters": "x" * 257,
    "1 MiB": "x" * 2**20,
    "number": 5,
    "list": ["x"],
    "object": {},
    "empty": "",
    "null": None,
    "lone surrogate": "\ud800",
}


@pytest.mark.parametrize("kid", BAD_KIDS.values(), ids=BAD_KIDS)
def test_a_malformed_kid_fetches_nothing(kid: Any, app: EchoApp, served: FakeIssuer) -> None:
    """401 at once, warm or cold."""
    header = part({"alg": "EdDSA", "kid": kid})
    token = ".".join([header, *served.token().split(".")[1:]])
    visitor = Client(JWTMiddleware(app, issuer=served.issuer))

    assert visitor.get("/", headers=bearer(token)).status_code == 401
    assert served.requests == []


@pytest.mark.parametrize("kid", ["\0", "a\nb", "../../etc/passwd", "%0a%0d", "\u202e\u2028", "ä"])
def test_an_odd_kid_is_one_line_of_the_log(
    kid: str, app: EchoApp, served: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked for once and told escaped; it never becomes part of a URL."""
    caplog.set_level("DEBUG", "jwt_wsgi")
    heard: list[Event] = []
    middleware = JWTMiddleware(app, issuer=served.issuer, on_event=heard.append)
    assert middleware.warm_up()
    before = served.requests.count(KEYS)
    token = served.token(header={"kid": kid})
    for _ in range(2):
        assert Client(middleware).get("/", headers=bearer(token)).status_code == 401

    assert served.requests.count(KEYS) == before + 1
    assert [e.kid for e in heard if isinstance(e, KeyMissed)] == [ascii(kid)]
    assert all(r.getMessage().isprintable() and r.getMessage().isascii() for r in caplog.records)


def _mutated(issuer: FakeIssuer, chance: random.Random) -> Iterator[str]:
    """Tokens that are not the issuer's, in every way a seeded die thinks of."""
    odd = [None, True, 0, -1, 1e308, "", "x", [], {}, [[]], "none", "HS256", "RS256", "ES256",
           "EdDSA", "\0", "é" * 50, 2**70, {"a": {"b": []}}, issuer.kid]  # fmt: skip
    names = ["alg", "kid", "typ", "cty", "crit", "jwk", "jku", "x5u", "x5c", "zip", "b64", "enc"]
    _, claims, signature = issuer.token().split(".")
    for _ in range(300):
        header = {"alg": "EdDSA", "kid": issuer.kid} | {
            chance.choice(names): chance.choice(odd) for _ in range(chance.randint(0, 3))
        }
        forged = bytearray(chance.randbytes(chance.choice([0, 1, 32, 63, 64, 65, 200])))
        yield f"{part(header)}.{claims}.{part(bytes(forged))}"
        token = list(f"{part(header)}.{claims}.{signature}")
        token[chance.randrange(len(token) - 90)] = chance.choice("A_-.=\u00e9{~")
        yield "".join(token).encode("latin-1").decode("latin-1")


@pytest.mark.slow
def test_no_forged_token_is_answered_like_an_outage(app: EchoApp, served: FakeIssuer) -> None:
    """Never 503 and never 500 while the issuer is well; 429 when there are too many kids."""
    visitor = Client(JWTMiddleware(app, issuer=served.issuer))
    assert visitor.get("/", headers=bearer(served.token())).status_code == 200
    statuses = {
        visitor.get("/", headers=bearer(token)).status_code
        for token in _mutated(served, random.Random(16))
    }

    assert statuses == {401, 429}
    assert visitor.get("/", headers=bearer(served.token())).status_code == 200


def test_a_published_secret_or_private_key_is_not_used(
    app: EchoApp, served: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared or private key in the set is not used, by whatever algorithm."""
    secret = b"0123456789abcdef0123456789abcdef"
    oct_key = {"kty": "oct", "kid": "s", "alg": "HS256", "k": part(secret)}
    published = {"keys": [*served.jwks()["keys"], oct_key]}
    monkeypatch.setattr(served, "jwks", lambda: published)
    signed = f"{part({'alg': 'HS256', 'kid': 's'})}.{served.token().split('.')[1]}"
    token = f"{signed}.{part(digest(secret, signed.encode(), sha256))}"
    visitor = Client(JWTMiddleware(app, issuer=served.issuer))

    assert visitor.get("/", headers=bearer(token)).status_code == 401
    assert visitor.get("/", headers=bearer(served.token())).status_code == 200


@pytest.mark.parametrize("slow", [0.0, 0.2])
def test_fifty_threads_and_one_process(slow: float, app: EchoApp, served: FakeIssuer) -> None:
    """With real threads: one fetch when cold, one for a new key; nobody is refused."""
    middleware = JWTMiddleware(app, issuer=served.issuer, jwks_uri=served.jwks_uri)

    def at_once(token: str) -> list[int]:
        def ask() -> None:
            start.wait()
            statuses.append(Client(middleware).get("/", headers=bearer(token)).status_code)

        statuses: list[int] = []
        start = threading.Barrier(50)
        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        return statuses

    with served.slow(slow):
        assert at_once(served.token()) == [200] * 50
        assert served.requests == [KEYS]
        served.rotate()
        assert at_once(served.token()) == [200] * 50
        assert served.requests == [KEYS] * 2
