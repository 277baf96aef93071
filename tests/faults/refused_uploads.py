"""How refused uploads end: ``python tests/faults/refused_uploads.py [gunicorn|uwsgi|granian...]``.

POST without a token, through the nginx of examples/deploy, to a server of examples/deploy: 60 of
each size, with and without ``Expect: 100-continue``. Prints how many got each status; 401 is
right, and 502 means that the client never sees the refusal. Needs nginx. A script, not collected
by pytest; the exit code is 1 if one is not 401.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import test_deploy
from servers.https_issuer import HTTPSIssuer
from servers.running import free_port
from servers.uploading import upload

SIZES = (20_000, 900_000, 10_000_000)
TIMES = 60


@contextmanager
def granian(_scratch: Path, issuer: HTTPSIssuer) -> Iterator[str]:
    """As its documentation starts it; there is no file for it in examples/deploy."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port)]
    with test_deploy.serve([*command, "api:application"], port, issuer) as url:
        yield url


def main(names: list[str]) -> bool:
    """Measure each server; whether every answer was 401."""
    good = True
    with HTTPSIssuer(aud=test_deploy.AUDIENCE).serve() as issuer:
        for name in names:
            with tempfile.TemporaryDirectory() as scratch:
                server = {
                    "gunicorn": test_deploy.gunicorn,
                    "uwsgi": test_deploy.uwsgi,
                    "granian": granian,
                }[name]
                with test_deploy.behind_nginx(Path(scratch), server, issuer) as (url, _):
                    for size in SIZES:
                        for expect in (False, True):
                            with ThreadPoolExecutor(4) as pool:
                                asked = [
                                    pool.submit(upload, url, size, expect=expect)
                                    for _ in range(TIMES)
                                ]
                            found = Counter(answer.result() for answer in asked)
                            said = ", ".join(f"{n} x {status}" for status, n in found.items())
                            print(f"{name:9} {size:9} {'Expect' if expect else '':6} {said}")
                            good &= set(found) == {"401"}
    return good


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:] or ["gunicorn"]) else 1)
