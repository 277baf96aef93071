"""Probes, a suspend and wrong clocks: ``python tests/faults/probes_and_clocks.py``.

Prints three figures. How long readiness probes take where one of two issuers never answers. How
often a suspend of 30 hours is reported as refused requests, and how many are refused, while the
issuer is up. And which tokens a host whose clock is 40 s behind revokes in a real Redis, for which
redis-server is needed. A script, not collected by pytest; the exit code is 1 if a goal is missed.
"""

import logging
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from servers.redis_server import RedisServer  # noqa: E402
from werkzeug.test import Client  # noqa: E402

from jwt_wsgi import JWTMiddleware  # noqa: E402
from jwt_wsgi.revocation.revocations import Revocations  # noqa: E402
from jwt_wsgi.settings.revocation import store_of  # noqa: E402
from jwt_wsgi.testing import FakeIssuer  # noqa: E402

PROBES = 20
LONGEST_PROBE = 0.5  # seconds
SUSPEND = 30 * 3600.0  # seconds
BEHIND = 40.0  # seconds


def app(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


def probes() -> bool:
    """The second issuer takes connections and never answers."""
    with FakeIssuer().serve() as issuer, socket.create_server(("127.0.0.1", 0)) as silent:
        never = f"http://127.0.0.1:{silent.getsockname()[1]}"
        middleware = JWTMiddleware(app, issuer=[never, issuer.issuer], audience="api")
        is_ready = middleware.warm_up()
        times = []
        for _ in range(PROBES):
            begun = time.monotonic()
            is_ready &= middleware.warm_up(1.0)
            times.append(time.monotonic() - begun)
        middleware.close()
    print(f"probes beside an issuer that never answers: ready {is_ready}, {max(times):.2f} s each")
    return is_ready and max(times) < LONGEST_PROBE


class Criticals(logging.Handler):
    """Counts CRITICAL lines."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.levelno >= logging.CRITICAL


def suspend() -> bool:
    """All clocks go on by 30 hours; the next request is served by a fetch."""
    with FakeIssuer().serve() as issuer:
        middleware = JWTMiddleware(app, issuer=issuer.issuer, audience="api")
        middleware.warm_up()
        keys: Any = middleware.verifier.issuers.get(issuer.issuer).keys  # type: ignore[union-attr]
        now = keys._clock
        keys._clock = keys._loader._clock = lambda: now() + SUSPEND
        said = Criticals()
        logging.getLogger("jwt_wsgi").addHandler(said)
        headers = {"Authorization": f"Bearer {issuer.token(aud='api')}"}
        statuses = [Client(middleware).get("/", headers=headers).status_code for _ in range(PROBES)]
        middleware.close()
    refused = len(statuses) - statuses.count(200)
    print(f"after a suspend of 30 h: {refused} of {len(statuses)} refused, {said.count} CRITICAL")
    return refused == said.count == 0


def wrong_clock() -> bool:
    """A subject is revoked on a host whose clock is behind; its token was issued 20 s ago."""
    claims = {"iss": "https://issuer.example", "sub": "ada", "iat": time.time() - BEHIND / 2}
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder))
        try:
            host = Revocations(store_of(redis.url), clock=lambda: time.time() - BEHIND)
            host.revoke_subject(claims["iss"], "ada")
            is_revoked = Revocations(store_of(redis.url)).is_revoked(claims)
        finally:
            redis.kill()
    print(f"revoked by a clock 40 s behind: the token of 20 s ago is refused: {is_revoked}")
    return is_revoked


if __name__ == "__main__":
    checks = [probes, suspend]
    if shutil.which("redis-server"):
        checks.append(wrong_clock)
    else:
        print("skipped: redis-server is not installed")
    met = [check() for check in checks]  # all of them, also after a missed goal
    sys.exit(not all(met))
