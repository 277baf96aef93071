"""What a tenant costs: ``python tests/faults/tenant_memory.py [TENANTS]``.

Verifies one token of each tenant that a function names, each with two RSA keys of its own, and
prints the memory of the process before and after: what Python allocates, and the whole process,
which has OpenSSL's keys in it. No sockets. A script, not collected by pytest.
"""

import json
import resource
import sys
import tracemalloc
from typing import Any

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import assembly
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.testing import FakeIssuer


def main(number: int) -> None:
    one, other = FakeIssuer("https://t.example", alg="RS256"), FakeIssuer(alg="RS256", kid="b")
    body = json.dumps({"keys": one.jwks()["keys"] + other.jwks()["keys"]}).encode()
    assembly.fetcher = lambda _: fetch  # type: ignore[assignment]

    def fetch(url: str, **_: Any) -> Fetched:
        return Fetched(body, None, None)

    def find(iss: str) -> Issuer:
        return Issuer(iss, jwks_uri=f"{iss}/jwks", audience="api")

    issuer = {"function": find, "max_tenants": number}
    app = JWTMiddleware(print, issuer=issuer, token_cache_size=0)
    tokens = [one.token(iss=f"https://t{n}.example", aud="api") for n in range(number)]
    app.verifier.verify(tokens[0])
    for measure in (process_bytes, python_bytes):
        begin = len(app.verifier.issuers.values())
        before = measure()
        for token in tokens[begin : begin + number // 2]:
            app.verifier.verify(token)
        used = measure() - before
        held = len(app.verifier.issuers.values()) - begin
        print(f"{measure.__name__:14} {used / held / 1024:6.1f} KiB a tenant, {held} tenants")
        tracemalloc.stop()


def python_bytes() -> int:
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def process_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1000)
