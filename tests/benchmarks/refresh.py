"""P15: requests while the key set is refreshed, and while the issuer hangs."""

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import NamedTuple

from candidates import CACHE_OFF
from candidates import no_app
from gate import Verify
from goals import Bound
from goals import Row
from goals import Run
from measure import exactly

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.key_sources.fetch import HTTPFetch
from jwt_wsgi.key_sources.remote import RemoteKeys
from jwt_wsgi.testing import FakeIssuer

LIFETIME = 1.0
ANSWERS_AFTER = 0.1
TIMEOUT = 1.0
THREADS = 4
#: Seconds between two requests of a thread, and after which one is delayed, or given up.
EVERY, DELAYED, LATE = 0.005, 0.010, 0.25


class Seen(NamedTuple):
    """Of all requests: how many waited too long, and the share that was served in time."""

    delayed: int
    served: float


@contextmanager
def ours(issuer: FakeIssuer) -> Iterator[Verify]:
    # As with the defaults (300 s, 600 s, 5 s): a refresh is due long before keys are too old.
    policy = Policy(LIFETIME, 4 * LIFETIME, cooldown=LIFETIME, timeout=TIMEOUT)
    keys = RemoteKeys(issuer.issuer, fetch=HTTPFetch(), policy=policy, emit=lambda _event: None)
    app = JWTMiddleware(no_app, issuer=Issuer(issuer.issuer, keys=keys), **CACHE_OFF)
    try:
        yield app.verifier.verify
    finally:
        app.close()


@contextmanager
def pyjwk_client(issuer: FakeIssuer) -> Iterator[Verify]:
    import jwt

    client = jwt.PyJWKClient(issuer.jwks_uri, lifespan=LIFETIME, timeout=TIMEOUT)
    algorithms = [issuer.algorithm]

    def verify(token: str) -> object:
        key = client.get_signing_key_from_jwt(token).key
        return jwt.decode(token, key, algorithms=algorithms, issuer=issuer.issuer)

    yield verify


@contextmanager
def by_hand(issuer: FakeIssuer) -> Iterator[Verify]:
    """What people write: fetch again when the held set is old."""
    import requests
    from joserfc import jwt
    from joserfc.jwk import KeySet

    held: list = [None, 0.0]

    def verify(token: str) -> object:
        if time.monotonic() - held[1] > LIFETIME:
            document = requests.get(issuer.jwks_uri, timeout=TIMEOUT).json()
            held[:] = KeySet.import_key_set(document), time.monotonic()
        return jwt.decode(token, held[0], algorithms=[issuer.algorithm])

    yield verify


CANDIDATES = {"ours": ours, "PyJWKClient": pyjwk_client, "joserfc + requests by hand": by_hand}


def rows(run: Run) -> list[Row]:
    """One row for the refresh, one for the outage; the same paced load for everybody."""
    refreshing, hanging = {}, {}
    for name, open_ in CANDIDATES.items():
        try:
            refreshing[name], hanging[name] = _scene(open_, 3.0 if run.quick else 5.0)
        except ImportError as error:
            run.notes.append(f"{name}: not installed ({error})")
    delayed = {name: exactly(seen.delayed) for name, seen in refreshing.items()}
    served = {name: exactly(seen.served) for name, seen in hanging.items()}
    what = f"requests delayed > {DELAYED * 1000:.0f} ms by refreshes ({THREADS} threads), EdDSA"
    while_dead = f"share served within {LATE} s while the end point hangs, EdDSA"
    return [
        Row("P15", what, Bound("<=", 0, ""), delayed.pop("ours"), delayed),
        Row("P15", while_dead, Bound(">=", 0.95, "of all"), served.pop("ours"), served),
    ]


def _scene(open_: Callable, seconds: float) -> tuple[Seen, Seen]:
    with FakeIssuer().serve() as issuer, open_(issuer) as verify:
        token = issuer.token()
        verify(token)
        with issuer.slow(ANSWERS_AFTER):
            refreshing = _load(verify, token, seconds)
        with issuer.slow(TIMEOUT * 3):
            time.sleep(LIFETIME)
            hanging = _load(verify, token, seconds)
        return refreshing, hanging


def _load(verify: Verify, token: str, seconds: float) -> Seen:
    """Each thread has its timetable, so few requests that nobody waits for the CPU or the GIL.

    Who hangs makes the next ones of its thread late: they count as not served, as users see it,
    and are not asked any more, for whoever asked has gone.
    """
    waits: list[float] = []
    delays: list[float] = []
    count = round(seconds / EVERY)

    def work() -> None:
        start = time.monotonic()
        for number in range(count):
            due = start + number * EVERY
            if time.monotonic() - due > LATE:
                continue
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            with suppress(Exception):
                verify(token)
                now = time.monotonic()
                waits.append(now - began)
                delays.append(now - due)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    in_time = sum(delay < LATE for delay in delays)
    return Seen(sum(wait > DELAYED for wait in waits), in_time / (THREADS * count))
