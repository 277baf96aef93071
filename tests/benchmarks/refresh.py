"""P15: requests while the key set is refreshed, and while the issuer hangs."""

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from candidates import CACHE_OFF
from candidates import no_app
from gate import Verify
from goals import Bound
from goals import Row
from goals import Run
from measure import Figure

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import FakeIssuer

LIFETIME = 1.0
ANSWERS_AFTER = 0.1
TIMEOUT = 1.0
THREADS = 4
DELAYED = 0.010


class Seen(NamedTuple):
    """Of all requests: how many waited too long, and the share that was served."""

    delayed: int
    served: float


@contextmanager
def ours(issuer: FakeIssuer) -> Iterator[Verify]:
    options = {"jwks_refresh_after": LIFETIME, "jwks_max_age": 2 * LIFETIME}
    options |= {"jwks_timeout": TIMEOUT, "jwks_cooldown": LIFETIME}
    app = JWTMiddleware(no_app, issuer=issuer.issuer, **options, **CACHE_OFF)
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
    delayed = {name: Figure(*[seen.delayed] * 3) for name, seen in refreshing.items()}
    served = {name: Figure(*[seen.served] * 3) for name, seen in hanging.items()}
    what = f"requests delayed > {DELAYED * 1000:.0f} ms by refreshes ({THREADS} threads)"
    while_dead = "share served while the end point hangs"
    return [
        Row("P15", what, Bound("<=", 0, ""), delayed.pop("ours"), delayed),
        Row("P15", while_dead, Bound(">=", 0.95, "of all"), served.pop("ours"), served),
    ]


def _scene(open_: Callable, seconds: float) -> tuple[Seen, Seen]:
    # ES256: joserfc warns at every EdDSA verification.
    with FakeIssuer(algorithm="ES256").serve() as issuer, open_(issuer) as verify:
        token = issuer.token()
        verify(token)
        with issuer.slow(ANSWERS_AFTER):
            refreshing = _load(verify, token, seconds)
        with issuer.slow(TIMEOUT * 3):
            time.sleep(LIFETIME)
            hanging = _load(verify, token, seconds)
        return refreshing, hanging


def _load(verify: Verify, token: str, seconds: float) -> Seen:
    """Each thread a request every 5 ms: so few that nobody waits for the CPU or the GIL."""
    waits: list[float | None] = []
    until = time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < until:
            began = time.perf_counter()
            try:
                verify(token)
            except Exception:
                waits.append(None)
            else:
                waits.append(time.perf_counter() - began)
            time.sleep(0.005)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = THREADS * seconds / 0.0055
    good = [wait for wait in waits if wait is not None]
    # A request that hangs is not there to be counted: what was not asked was not served.
    return Seen(sum(wait > DELAYED for wait in good), min(1.0, len(good) / (expected * 0.8)))
