"""What tenants cost, and how many are refused: ``python tests/faults/tenants.py``.

A function names the tenants. First, the memory of a tenant with two RSA keys of its own: what
Python allocates, and what the process takes, which has OpenSSL's keys in it. Then 10,000 tenants
whose issuers are all up, each asking twice in a burst, with the usual limit and with a higher one:
how many good requests are refused. No sockets. A script, not collected by pytest; the exit code is
1 if a goal is missed.
"""

import json
import resource
import sys
import tracemalloc
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import KeysUnavailableError
from jwt_wsgi import assembly
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.testing import FakeIssuer

#: docs/how-to/several-issuers.md says about 15 KiB.
MOST_KIB = 17.0
IN_MEMORY = 2000
ACTIVE = 10_000


def find(iss: str) -> Issuer:
    return Issuer(iss, jwks_uri=f"{iss}/jwks", audience="api")


def guarded(keys: Iterable[Mapping[str, Any]], max_tenants: int) -> JWTMiddleware:
    """A middleware whose tenants all publish these keys."""
    body = json.dumps({"keys": list(keys)}).encode()

    def fetch(url: str, **_: Any) -> Fetched:
        return Fetched(body, None, None)

    assembly.fetcher = lambda _: fetch  # type: ignore[assignment]
    issuer = {"function": find, "max_tenants": max_tenants}
    return JWTMiddleware(print, issuer=issuer, token_cache_size=0)


def tokens_of(issuer: FakeIssuer, number: int) -> list[str]:
    return [issuer.token(iss=f"https://t{n}.example", aud="api") for n in range(number)]


def memory() -> bool:
    """Print what a tenant takes; whether it is no more than is documented."""
    one, other = FakeIssuer(algorithm="RS256"), FakeIssuer(algorithm="RS256")
    other.rotate(keep=False)  # another kid
    app = guarded(one.jwks()["keys"] + other.jwks()["keys"], IN_MEMORY)
    tokens = tokens_of(one, IN_MEMORY)
    app.verifier.verify(tokens[0])
    most = 0.0
    for measure in (process_bytes, python_bytes):
        begin = len(app.verifier.issuers.values())
        before = measure()
        for token in tokens[begin : begin + IN_MEMORY // 2]:
            app.verifier.verify(token)
        used = measure() - before
        held = len(app.verifier.issuers.values()) - begin
        kib = used / held / 1024
        most = max(most, kib)
        print(f"{measure.__name__:14} {kib:6.1f} KiB a tenant, {held} tenants", flush=True)
        tracemalloc.stop()
    return most <= MOST_KIB


def python_bytes() -> int:
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def process_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def burst(max_tenants: int) -> int:
    """Print how many good requests of all tenants are refused, and return it."""
    issuer = FakeIssuer()
    app, tokens, refused = guarded(issuer.jwks()["keys"], max_tenants), tokens_of(issuer, ACTIVE), 0
    for token in tokens * 2:
        try:
            app.verifier.verify(token)
        except KeysUnavailableError:
            refused += 1
    print(
        f"{ACTIVE} tenants, max_tenants {max_tenants}: {refused} of {2 * ACTIVE} refused"
        " (before: 41 %, and the limit could not be set)",
        flush=True,
    )
    return refused


def main() -> bool:
    """Measure all; whether every goal is reached."""
    small = memory()
    burst(4096)
    return small and burst(ACTIVE) == 0


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
