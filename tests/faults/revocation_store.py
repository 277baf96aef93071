"""What a broken Redis costs good requests: ``python tests/faults/revocation_store.py [NAME...]``.

gunicorn with 2 workers of 8 threads guards an app whose revocation store is a real redis-server
behind a TCP proxy; 40 requests a second with a good token. Prints how many were refused in each
scene, and how long after the end of the fault the last one was. Needs redis-server. A script, not
collected by pytest; the exit code is 1 if a goal is missed.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from servers.redis_server import RedisServer  # noqa: E402
from servers.running import gunicorn  # noqa: E402
from servers.tcp_proxy import TCPProxy  # noqa: E402

from jwt_wsgi.testing import FakeIssuer  # noqa: E402

RATE = 40.0  # requests a second
FAULT_AT = 2.0  # seconds after the load began
FROZEN = 10.0  # seconds


class Scene:
    """The servers of one scene, and how the fault begins. ``end``: when the fault was over."""

    def __init__(self, folder: Path) -> None:
        (folder / "one").mkdir()
        (folder / "two").mkdir()
        self.redis, self.other = RedisServer(folder / "one"), RedisServer(folder / "two")
        self.proxy = TCPProxy(self.redis.port)
        self.end = 0.0

    def lost_reply(self) -> None:
        self.proxy.lose_replies(1)

    def late_reply(self) -> None:
        self.proxy.delay_reply(0.4)

    def reset(self) -> None:
        self.proxy.reset()

    def forgotten(self) -> None:
        self.proxy.forget()

    def new_primary(self) -> None:
        self.proxy.target = self.other.port
        self.proxy.forget()
        self.redis.kill()

    def restarted(self) -> None:
        self.redis.kill()
        self.redis.start()

    def frozen(self) -> None:
        with self.redis.silent():
            time.sleep(FROZEN)


#: Name -> the fault, and the seconds after its end within which requests may be refused; None:
#: no request may be refused at all.
SCENES: dict[str, tuple[Callable[[Scene], None], float | None]] = {
    "lost reply": (Scene.lost_reply, None),
    "late reply": (Scene.late_reply, None),
    "reset": (Scene.reset, None),
    "forgotten": (Scene.forgotten, None),
    "new primary": (Scene.new_primary, None),
    "restarted": (Scene.restarted, 2.0),
    "frozen": (Scene.frozen, 2.0),
}


def load(url: str, token: str, until: Callable[[], float]) -> list[tuple[float, int]]:
    """Ask until ``until()`` (seconds of the clock); when each request began, and its status."""
    address = urlsplit(url).netloc

    def ask() -> tuple[float, int]:
        began = time.monotonic()
        connection = HTTPConnection(address, timeout=30)
        try:
            connection.request("GET", "/orders", headers={"Authorization": f"Bearer {token}"})
            return began, connection.getresponse().status
        finally:
            connection.close()

    answers = []
    with ThreadPoolExecutor(64) as pool:
        begin, number = time.monotonic(), 0
        while time.monotonic() < until():
            time.sleep(max(0.0, begin + number / RATE - time.monotonic()))
            answers.append(pool.submit(ask))
            number += 1
    return [answer.result() for answer in answers]


def play(name: str) -> bool:
    """Play one scene and print its line; whether the goal was reached."""
    fault, goal = SCENES[name]
    issuer = FakeIssuer(aud="api")
    with tempfile.TemporaryDirectory() as scratch:
        scene = Scene(Path(scratch))
        jwks = Path(scratch) / "jwks.json"
        jwks.write_text(json.dumps(issuer.jwks()))
        env = {
            "JWT_WSGI_ISSUER": issuer.issuer,
            "JWT_WSGI_AUDIENCE": "api",
            "JWT_WSGI_JWKS": str(jwks),
        }
        try:
            with (
                scene.proxy,
                gunicorn(
                    "guarded:application",
                    cwd=FOLDER,
                    env=env | {"JWT_WSGI_REVOCATION": f"redis://127.0.0.1:{scene.proxy.port}/0"},
                    worker_class="gthread",
                    threads=8,
                ) as url,
                ThreadPoolExecutor(1) as pool,
            ):
                begin = time.monotonic()
                finish = [begin + 600]
                token = issuer.token(jti="1", sub="ada")
                answers = pool.submit(load, url, token, lambda: finish[0])
                time.sleep(FAULT_AT)
                fault(scene)
                end = time.monotonic()
                finish[0] = end + 6
                found = answers.result()
        finally:
            scene.redis.kill()
            scene.other.kill()
    refused = [began for began, status in found if status != 200]
    last = max(refused, default=end) - end
    reached = not refused if goal is None else last <= goal
    late = f"last one {last:+5.2f} s after the end" if refused else ""
    verdict = "ok" if reached else "MISSED"
    print(f"{name:12} refused {len(refused):4} of {len(found):4}  {verdict:6} {late}", flush=True)
    return reached


if __name__ == "__main__":
    results = [play(name) for name in sys.argv[1:] or SCENES]
    sys.exit(0 if all(results) else 1)
