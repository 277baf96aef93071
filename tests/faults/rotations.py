"""What rotations, recoveries and strangers cost good requests: ``rotations.py [SCENE...]``.

Real servers: gunicorn, and nginx or HAProxy in front of it; the issuer is an https one. Each scene
prints what good requests got, and what they got before the rules of today; the scenes that need a
program which is not installed are left out, and say so. Restarts in an outage: restarts.py. A
script, not collected by pytest; the exit code is 1 if a goal is missed.
"""

import json
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import test_deploy  # noqa: E402
from fault_issuer import fault_server  # noqa: E402
from fault_issuer import says  # noqa: E402
from servers import running  # noqa: E402
from servers.https_issuer import HTTPSIssuer  # noqa: E402
from servers.https_issuer import certified  # noqa: E402

RATE = 20.0  # requests of good users a second
SECONDS = 20.0
SLOW_HEADERS = 1000
PROCESSES = 15  # whose recovery is measured
OUTAGE = 60.0  # seconds, long enough for the longest pause between two fetches
#: A fetch and the gap to the next request, in seconds: what comes on top of each goal.
MARGIN = 1.5

NGINX = """
events {{ worker_connections 1024; }}
http {{
    {paths}
    access_log off;
    upstream api {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://api;
            proxy_next_upstream error timeout http_503;
            add_header X-Served-By $upstream_addr always;
        }}
    }}
}}
"""
HAPROXY = """
defaults
    mode http
    timeout connect 2s
    timeout client 20s
    timeout server 20s
frontend front
    bind 127.0.0.1:{port}
    default_backend api
backend api
    http-response set-header X-Served-By %s
    default-server observe layer7 error-limit 10 on-error mark-down check inter 60s
    {servers}
"""


def ask(url: str, token: str) -> tuple[str, str]:
    """One request; what it got, and who served it."""
    try:
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.get(url, headers=headers, timeout=20)
    except requests.RequestException as error:
        return type(error).__name__, ""
    return str(answer.status_code), answer.headers.get("X-Served-By", "")


class Load:
    """Good requests at a steady rate, and made-up kids beside them, until it is left."""

    def __init__(
        self, url: str, token: Callable[[], str], *, bad: Callable[[int], str], rate: float
    ):
        self.url, self.token, self.bad, self.rate = url, token, bad, rate
        self.good: list[tuple[str, str]] = []
        self.strange: list[tuple[str, str]] = []

    def run(self, seconds: float) -> None:
        """Send for so long, on a schedule that no slow answer delays."""
        began, sent, strange = time.monotonic(), 0, 0
        with ThreadPoolExecutor(64) as pool:
            good, bad = [], []
            while (now := time.monotonic() - began) < seconds:
                while sent < now * RATE:
                    good.append(pool.submit(ask, self.url, self.token()))
                    sent += 1
                while strange < now * self.rate:
                    bad.append(pool.submit(ask, self.url, self.bad(strange)))
                    strange += 1
                time.sleep(0.005)
            self.good += [answer.result() for answer in good]
            self.strange += [answer.result() for answer in bad]


def counted(answers: list[tuple[str, str]]) -> str:
    return ", ".join(f"{n} x {what}" for what, n in sorted(Counter(a[0] for a in answers).items()))


@contextmanager
def guarded(
    environment: Mapping[str, str], *options: str, workers: int = 2, preload: bool = False
) -> Iterator[str]:
    """gunicorn; yields its URL."""
    with running.gunicorn(
        "guarded:application",
        cwd=FOLDER,
        env={"JWT_WSGI_AUDIENCE": "api", **environment},
        workers=workers,
        threads=4,
        preload=preload,
        options=options,
    ) as url:
        yield url


def first_200(urls: list[str], token: Callable[[], str], within: float) -> list[float]:
    """Ask each of them until it answers 200; after how many seconds, the quickest first.

    It gives up after ``within`` seconds, and that is the number then.
    """
    began = time.monotonic()

    def seconds(url: str) -> float:
        while (now := time.monotonic() - began) < within and ask(url, token())[0] != "200":
            time.sleep(0.2)
        return now

    with ThreadPoolExecutor(len(urls)) as pool:
        return sorted(pool.map(seconds, urls))


def recovered(what: str, seconds: list[float], goal: float, before: str) -> bool:
    """Print when the first 200 came in each process; whether all came in time."""
    print(
        f"{what}: the first 200 after {seconds[0]:.1f} to {seconds[-1]:.1f} s in {len(seconds)}"
        f" processes (goal: {goal:.0f} s, a fetch and the gap; before: {before})"
    )
    return seconds[-1] <= goal + MARGIN


@contextmanager
def processes(environment: Mapping[str, str]) -> Iterator[list[str]]:
    """So many gunicorns with one worker each."""
    with ExitStack() as stack:
        yield [stack.enter_context(guarded(environment, workers=1)) for _ in range(PROCESSES)]


def behind(kind: str) -> bool:
    """20 made-up kids a second, of which most are 429: no balancer takes a server out for it."""
    with HTTPSIssuer(aud="api").serve() as issuer, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        apis = [urlsplit(stack.enter_context(guarded(issuer.environment))).netloc for _ in range(2)]
        port, conf = running.free_port(), folder / "conf"
        if kind == "nginx":
            paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            text = NGINX.format(
                port=port,
                paths=" ".join(f"{name}_temp_path {folder}/{name};" for name in paths),
                servers=" ".join(f"server {api} max_fails=1 fail_timeout=10s;" for api in apis),
            )
            command = ["nginx", "-e", "stderr", "-c", str(conf), "-p", str(folder)]
            command += ["-g", f"daemon off; pid {folder}/pid;"]
        else:
            servers = "\n    ".join(f"server s{n} {api}" for n, api in enumerate(apis))
            text = HAPROXY.format(port=port, servers=servers)
            command = ["haproxy", "-db", "-f", str(conf)]
        conf.write_text(text)
        url = stack.enter_context(
            running.running(running.as_user(command), port, cwd=folder, env={})
        )
        load = Load(
            url,
            issuer.token,
            bad=lambda n: issuer.token(header={"kid": f"made-up-{n}"}),
            rate=20.0,
        )
        load.run(SECONDS)
    last = {by for _, by in load.good[-int(RATE * 5) :]}
    print(f"{kind}: held keys {counted(load.good)}; made-up kids {counted(load.strange)}")
    print(f"{kind}: servers in use in the last five seconds: {len(last)} of 2")
    good = {status for status, _ in load.good} == {"200"} and len(last) == 2
    return good and {status for status, _ in load.strange} <= {"401", "429"}


def stranger() -> bool:
    """A new key 2 s before its first use, and one made-up kid every 5 s all the time."""
    with HTTPSIssuer(aud="api").serve() as issuer, guarded(issuer.environment) as url:
        load = Load(
            url,
            issuer.token,
            bad=lambda n: issuer.token(header={"kid": f"made-up-{n}"}),
            rate=0.2,
        )
        load.run(15)
        old = issuer.token()
        issuer.rotate()
        load.token, new = (lambda: old), issuer.token
        load.run(2)
        before = len(load.good)
        load.token = new
        load.run(30)
        after = load.good[before:]
    print(
        f"one stranger at a rotation: with the new key {counted(after)}"
        " (before: 802 of 1,198 were 401, for 18 to 22 s)"
    )
    return {status for status, _ in after} == {"200"}


def guessed() -> bool:
    """A stranger names the next key each second, before it is published and after that."""
    with HTTPSIssuer(aud="api").serve() as issuer, guarded(issuer.environment) as url:
        wrong = issuer.token(header={"kid": "key-2"})
        load = Load(url, issuer.token, bad=lambda n: wrong, rate=1.0)
        load.run(10)
        before = len(load.good)
        issuer.rotate()
        assert issuer.kid == "key-2"
        load.run(45)
    after = load.good[before:]
    refused = [n for n, (status, _) in enumerate(after) if status != "200"]
    seconds = (max(refused, default=-1) + 1) / RATE
    print(
        f"the next key is guessed: with the new key {counted(after)}, the last refusal"
        f" {seconds:.1f} s after it was published (goal: 30 s, a fetch and the gap; before: 296 s)"
    )
    return seconds <= 30 + MARGIN


def cold() -> bool:
    """Started in an outage: how long after its end each process answers 200."""
    with (
        HTTPSIssuer(aud="api").serve() as issuer,
        processes(issuer.environment) as urls,
    ):
        with issuer.outage():
            first_200(urls, issuer.token, OUTAGE)
        seconds = first_200(urls, issuer.token, 100)
    return recovered("cold", seconds, 10, "13 to 30 s")


def new_key() -> bool:
    """A key that is new in an outage: how long after its end each process answers 200."""
    with (
        HTTPSIssuer(aud="api").serve() as issuer,
        processes(issuer.environment) as urls,
    ):
        first_200(urls, issuer.token, 30)
        issuer.rotate()
        with issuer.outage():
            first_200(urls, issuer.token, OUTAGE)
        seconds = first_200(urls, issuer.token, 100)
    return recovered("new key", seconds, 15, "up to 64 s")


def retry_after() -> bool:
    """The issuer says once that it is away for an hour, to processes without keys."""
    issuer = HTTPSIssuer("https://issuer.example", aud="api")
    _, context = certified()
    down = says("503 Service Unavailable\nRetry-After: 3600")
    with fault_server(down, context) as server:
        environment = issuer.environment | {"JWT_WSGI_JWKS_URI": server.url}
        with processes(environment) as urls:
            first_200(urls, issuer.token, 2)
            server.answer = says("200 OK", json.dumps(issuer.jwks()).encode())
            seconds = first_200(urls, issuer.token, 100)
    return recovered("Retry-After: 3600", seconds, 60, "up to 290 s")


def slow_headers() -> bool:
    """1,000 clients that never end their headers, through nginx of examples/deploy."""
    with (
        HTTPSIssuer(aud=test_deploy.AUDIENCE).serve() as issuer,
        tempfile.TemporaryDirectory() as scratch,
        test_deploy.behind_nginx(Path(scratch), test_deploy.gunicorn, issuer) as (url, _),
        ExitStack() as stack,
    ):
        address = (urlsplit(url).hostname, urlsplit(url).port)
        for _ in range(SLOW_HEADERS):
            sock = stack.enter_context(socket.create_connection(address))
            sock.sendall(b"GET /orders HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        load = Load(f"{url}/orders", issuer.token, bad=str, rate=0.0)
        load.run(8)
        time.sleep(6)
        sock.settimeout(5)
        sock.recv(1)  # 408 or the end, else a time-out that fails this scene
    print(
        f"{SLOW_HEADERS} slow headers: {counted(load.good)}; nginx has ended them after 14 s"
        " (before: every request was refused)"
    )
    return {status for status, _ in load.good} == {"200"}


SCENES: dict[str, tuple[Callable[[], bool], str]] = {
    "nginx": (lambda: behind("nginx"), "nginx"),
    "haproxy": (lambda: behind("haproxy"), "haproxy"),
    "stranger": (stranger, "gunicorn"),
    "guessed": (guessed, "gunicorn"),
    "cold": (cold, "gunicorn"),
    "new_key": (new_key, "gunicorn"),
    "retry_after": (retry_after, "gunicorn"),
    "slow_headers": (slow_headers, "nginx"),
}


def main(names: list[str]) -> bool:
    """Play the scenes; whether every goal is reached."""
    good = True
    for name in names or SCENES:
        scene, program = SCENES[name]
        if program != "gunicorn" and not shutil.which(program):
            print(f"{name}: left out, {program} is not installed")
            continue
        good &= scene()
    return good


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
