"""Count the machine instructions of one request: ``python tests/benchmarks/instructions.py``.

Times on a busy machine differ by tens of per cent from run to run; instructions do not. Each row is
measured by two processes under ``valgrind --tool=callgrind`` that differ in nothing but the number
of requests: the difference of their totals, divided by the difference of their counts, is one
request, without imports and first calls. The same request to the bare app is subtracted.

``--package PATH`` (as often as you like) measures other checkouts beside this one, with the same
keys, tokens and requests, through their public API only.
"""

import argparse
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
ISSUER = "https://issuer.example.com/tenant"
AUDIENCE = "https://api.example.com"
DAY = 86400
#: Requests of the two processes of a row; the first ones pay for imports and warm caches.
COUNTS = (100, 500)
BARE, SIGNATURE = "bare app", "signature alone"
#: The rows of the table: the status that each request must have.
ROWS = {
    "remembered token": "200 OK",
    "new token": "200 OK",
    "no token": "401 Unauthorized",
    "bad signature": "401 Unauthorized",
    "expired token": "401 Unauthorized",
}
#: Where a signature is verified, what that alone costs is subtracted, too.
SIGNED = ("new token", "bad signature")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--package", type=Path, action="append", help="a checkout (default: this one)"
    )
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        row, count, work = options.child
        logging.getLogger("jwt_wsgi").addHandler(logging.NullHandler())  # nothing on stderr
        ask(row, int(count), json.loads(Path(work).read_text()))
        return 0
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (apt-get install valgrind)")
        return 0
    packages = options.package or [REPOSITORY]
    print("| request | " + " | ".join(f"{path}" for path in packages) + " |")
    print("|---|" + "---:|" * len(packages))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "work.json")
        work.write_text(json.dumps(minted(max(COUNTS))))
        baselines = [instructions((BARE, path), work) for path in packages]
        signature = instructions((SIGNATURE, packages[0]), work)
        print(row_of(BARE, baselines))
        print(row_of(SIGNATURE, [signature] * len(packages)))
        for row in options.rows:
            beyond = signature if row in SIGNED else 0
            costs = [
                instructions((row, path), work) - bare - beyond
                for path, bare in zip(packages, baselines, strict=True)
            ]
            print(row_of(row + " (beyond its signature)" * bool(beyond), costs), flush=True)
    return 0


def row_of(name: str, costs: list[int]) -> str:
    return f"| {name} | " + " | ".join(f"{cost:,}" for cost in costs) + " |"


def instructions(what: tuple[str, Path], work: Path) -> int:
    """Instructions of one request of that row to that checkout."""
    with ThreadPoolExecutor() as pool:
        low, high = pool.map(lambda count: total(*what, count, work), COUNTS)
    return round((high - low) / (COUNTS[1] - COUNTS[0]))


def total(row: str, package: Path, count: int, work: Path) -> int:
    """Instructions of one whole process. Raises :class:`RuntimeError` if it fails."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-W", "ignore", __file__, "--child", row, str(count), str(work)]
    env = {name: text for name, text in os.environ.items() if not name.startswith("JWT_WSGI_")}
    env |= {"PYTHONPATH": str(package.resolve()), "PYTHONHASHSEED": "0"}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    collected = re.search(r"Collected : (\d+)", ran.stderr)
    if ran.returncode or collected is None:
        raise RuntimeError(f"{row} of {package} failed:\n{ran.stderr}")
    return int(collected[1])


def minted(count: int) -> dict[str, Any]:
    """What every process is given: keys and tokens, made once, outside of the measurement."""
    from jwt_wsgi.testing import FakeIssuer

    issuer = FakeIssuer(ISSUER, algorithm="RS256")
    now = int(time.time())

    def token(number: int, sign: Callable[..., str] = issuer.token, **claims: object) -> str:
        usual = {
            "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + DAY,
            "jti": f"8c1f7a52-35fb-4a7e-9d0f-{number:012d}",
            "sub": "auth|5f7c8ec7c33c6c004bbafe82", "client_id": "0oa2hl2inow5Uqc6c357",
            "scope": "openid profile read:orders write:orders",
            "roles": ["customer", "order-manager"], "groups": ["staff", "emea"],
            "email": "somebody@example.com",
        }  # fmt: skip
        return sign(header={"typ": "at+jwt"}, **(usual | claims))

    forge = issuer.wrong_key()
    return {
        "jwks": issuer.jwks(),
        BARE: [token(0)],
        SIGNATURE: [token(number) for number in range(count)],
        "remembered token": [token(0)],
        "new token": [token(number) for number in range(count)],
        "no token": [""],
        "bad signature": [token(number, forge) for number in range(count)],
        "expired token": [token(0, exp=now - DAY)],
    }


def ask(row: str, count: int, work: dict[str, Any]) -> None:
    """One process: ``count`` requests, and nothing else that depends on ``count``."""
    tokens = [work[row][number % len(work[row])] for number in range(max(COUNTS))]
    guarded = protected(work["jwks"])
    if row == SIGNATURE:
        verify_alone(count, tokens, work["jwks"])
        return
    app = no_app if row == BARE else guarded
    for token in tokens[:count]:
        status = requested(app, token)
        if status != ROWS.get(row, "200 OK"):
            raise RuntimeError(f"{row} was answered with {status}")


def protected(jwks: dict[str, Any]) -> Callable[..., Any]:
    from jwt_wsgi import JWTMiddleware

    return JWTMiddleware(no_app, issuer=ISSUER, audience=AUDIENCE, jwks=jwks)


def no_app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


def requested(app: Callable[..., Any], token: str) -> str:
    """One request with a fresh environ and a fresh string; returns the status."""
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/orders/17", "QUERY_STRING": "",
        "SERVER_NAME": "api.example.com", "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7", "HTTP_HOST": "api.example.com", "HTTP_ACCEPT": "*/*",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "https", "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }  # fmt: skip
    if token:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    statuses = []
    for _ in app(environ, lambda status, *_: statuses.append(status)):
        pass
    return str(statuses[0])


def verify_alone(count: int, tokens: list[str], jwks: dict[str, Any]) -> None:
    """Nothing but ``public_key.verify``, everything decoded before."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256
    from joserfc.jwk import RSAKey

    member = jwks["keys"][0]
    public_key = RSAKey.import_key({name: member[name] for name in ("kty", "n", "e")}).public_key
    scheme, hash_ = PKCS1v15(), SHA256()
    parts = [token.rpartition(".") for token in tokens]
    calls = [(urlsafe_b64decode(last + "=="), first.encode()) for first, _, last in parts]
    for signature, signed in calls[:count]:
        public_key.verify(signature, signed, scheme, hash_)


if __name__ == "__main__":
    sys.exit(main())
