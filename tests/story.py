"""Ten minutes of a noisy day, in the log: what docs/how-to/operations.md shows.

``python tests/story.py`` prints it. The middleware, its keys and the signatures are real; the
clock and the network are not, so that the same story is told every time.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from werkzeug.test import Client

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.event_log import LogHook
from jwt_wsgi.event_log import fan_out
from jwt_wsgi.events import Event
from jwt_wsgi.events import KeyMissed
from jwt_wsgi.events import logger
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.remote import RemoteKeys
from jwt_wsgi.testing import FakeIssuer

ISSUER = "https://login.example.com"
HOUR = 3600


class Day:
    """An API from nine o'clock on, its clock, its network, and who asks for what."""

    def __init__(self) -> None:
        self.now = 9.0 * HOUR
        self.down: FetchError | None = None
        self.lines: list[str] = []
        self.issuer = FakeIssuer(ISSUER, aud="api")
        self._same_key_every_day()
        self._told, self._thread = threading.Event(), threading.Thread()
        emit = fan_out([LogHook(clock=self.clock), self._hear])
        self._keys = RemoteKeys(
            ISSUER,
            fetch=self._fetch,
            policy=Policy(refresh_after=120, max_age=240),
            emit=emit,
            clock=self.clock,
            wall_clock=self.clock,
            random=lambda: 1.0,
            start_thread=self._start,
        )
        middleware = JWTMiddleware(
            _app, issuer=Issuer(ISSUER, keys=self._keys), audience="api", token_cache_size=0
        )
        middleware._emit = emit
        middleware.verifier.clock = self.clock  # type: ignore[union-attr]  # no cache
        self._client = Client(middleware)

    def _start(self, run: Callable[[], None]) -> None:
        """A fetch that a request waits for has an answer after the line that reports it."""
        fetch = self._keys._facts.fetch
        if fetch is None or not fetch.is_lookup or self._keys._facts.fails:
            return run()
        self._told.clear()
        self._thread = threading.Thread(target=lambda: (self._told.wait(10), run()))
        return self._thread.start()

    def _hear(self, event: Event) -> None:
        if isinstance(event, KeyMissed):
            self._told.set()

    def clock(self) -> float:
        return self.now

    def rotate(self) -> None:
        self.issuer.rotate()
        self._same_key_every_day()

    def _same_key_every_day(self) -> None:
        seed = hashlib.sha256(self.issuer.kid.encode()).digest()
        self.issuer._keys[0].private = Ed25519PrivateKey.from_private_bytes(seed)

    def _fetch(self, url: str, **_how: Any) -> Fetched:
        self.now += 0.04
        if self.down:
            self.now += 2.0 if self.down.kind == "timeout" else 0
            raise self.down
        metadata = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"}
        document = self.issuer.jwks() if url.endswith("/jwks") else metadata
        return Fetched(json.dumps(document).encode(), None, self.now)

    def at(self, clock: str) -> None:
        """It is so late; ``09:MM:SS``."""
        hours, minutes, seconds = map(int, clock.split(":"))
        self.now = float(HOUR * hours + 60 * minutes + seconds)

    def token(self, age: float = 0.0, **options: Any) -> str:
        """One that was issued so many seconds ago, for five minutes."""
        issued = int(self.now - age)
        return self.issuer.token(**{"iat": issued, "exp": issued + 300} | options)

    def ask(self, token: str | None = None, request: str = "") -> int:
        """One request, usually with a good token; the status."""
        headers = {"Authorization": f"Bearer {token or self.token()}", "X-Request-ID": request}
        status = self._client.get("/orders", headers=headers).status_code
        if self._thread.ident:
            self._thread.join()
        return status

    def write(self, record: logging.LogRecord) -> bool:
        seconds = int(self.now)
        clock = f"{seconds // HOUR:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        self.lines.append(f"{clock} {record.levelname:7} {record.getMessage()}")
        return False


def _app(_environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [b"orders"]


@contextmanager
def _logged(day: Day) -> Iterator[None]:
    level = logger.level
    logger.addFilter(day.write)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeFilter(day.write)
        logger.setLevel(level)


def tell(day: Day) -> list[str]:
    """What the log says; the INFO line that each refusal has left out, as an operator would."""
    with _logged(day):
        _morning(day)
        _outage(day)
    return [line for line in day.lines if "INFO    refused" not in line]


def _morning(day: Day) -> None:
    day.at("09:00:02")
    assert day.ask() == 200
    day.at("09:00:40")
    for number in range(38):  # an app on some phone that never refreshes its token
        assert day.ask(day.token(2 * HOUR), f"a{number}") == 401
    day.at("09:01:20")
    assert day.ask(day.token(aud="other-api"), "b1") == 401
    day.at("09:01:45")
    assert day.ask(day.token(2 * HOUR), "a38") == 401
    day.at("09:02:30")
    for number in range(250):  # somebody tries kids
        status = day.ask(day.token(header={"kid": f"admin-{number}"}), f"c{number}")
        assert status == (401 if number < 4 else 429)
    day.at("09:03:10")
    day.rotate()
    assert day.ask() == 200
    day.at("09:03:40")
    assert day.ask(day.token(header={"kid": "admin-250"}), "c250") == 401


def _outage(day: Day) -> None:
    day.down = FetchError("timeout", "the deadline is over")
    for clock in ("09:05:11", "09:05:20", "09:05:40"):
        day.at(clock)
        assert day.ask() == 200
    day.at("09:06:40")
    old = day.token()
    day.rotate()  # to a key that nobody can fetch now
    assert day.ask(request="d1") == 503
    assert day.ask(old) == 200
    day.at("09:08:15")
    day.down = None
    assert day.ask() == 200
    day.at("09:09:59")
    assert day.ask(old) == 200


if __name__ == "__main__":
    print("\n".join(tell(Day())))
