"""What rotations, restarts and strangers cost good requests: ``rotations.py [SCENE...]``.

Real servers: gunicorn, and nginx or HAProxy in front of it. Each scene prints what good requests
got; the scenes that need a program which is not installed are left out, and say so. A script, not
collected by pytest; the exit code is 1 if a goal is missed.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import test_deploy  # noqa: E402
from servers import running  # noqa: E402

from jwt_wsgi.testing import FakeIssuer  # noqa: E402

RATE = 20.0  # requests of good users a second
SECONDS = 20.0
SLOW_HEADERS = 1000

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
def guarded(issuer: FakeIssuer, *options: str, **more: str) -> Iterator[str]:
    """gunicorn with two workers; yields its URL."""
    env = {"JWT_WSGI_ISSUER": issuer.issuer, "JWT_WSGI_AUDIENCE": "api", **more}
    with running.gunicorn(
        "guarded:application", cwd=FOLDER, env=env, threads=4, options=options
    ) as url:
        yield url


def behind(kind: str) -> bool:
    """20 made-up kids a second, of which most are 429: no balancer takes a server out for it."""
    with FakeIssuer(aud="api").serve() as issuer, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        apis = [urlsplit(stack.enter_context(guarded(issuer))).netloc for _ in range(2)]
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
    with FakeIssuer(aud="api").serve() as issuer, guarded(issuer) as url:
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
    print(f"one stranger at a rotation: with the new key {counted(after)}")
    return {status for status, _ in after} == {"200"}


def restart() -> bool:
    """HUP during an outage: all workers are new ones, and the issuer does not answer."""
    good = True
    for snapshot in (False, True):
        with (
            FakeIssuer(aud="api").serve() as issuer,
            tempfile.TemporaryDirectory() as scratch,
        ):
            (Path(scratch) / "keys").mkdir()
            pid = Path(scratch) / "pid"
            secret = os.urandom(24).hex()
            option = f'{{"path": "{scratch}/keys", "secret": "{secret}"}}'
            more = {"JWT_WSGI_JWKS_SNAPSHOT": option} if snapshot else {}
            with guarded(issuer, "--pid", str(pid), **more) as url:
                load = Load(url, issuer.token, bad=str, rate=0.0)
                load.run(3)
                with issuer.outage():
                    os.kill(int(pid.read_text()), signal.SIGHUP)
                    time.sleep(3)
                    before = len(load.good)
                    load.run(10)
            after = load.good[before:]
        print(f"HUP in an outage, {'with' if snapshot else 'without'} snapshot: {counted(after)}")
        good &= not snapshot or {status for status, _ in after} == {"200"}
    return good


def cold() -> bool:
    """Started in an outage: how long after its end the first request is let in."""
    with FakeIssuer(aud="api").serve() as issuer, guarded(issuer) as url:
        with issuer.outage():
            for _ in range(100):
                ask(url, issuer.token())
                time.sleep(0.2)
        began = time.monotonic()
        while ask(url, issuer.token())[0] != "200":
            time.sleep(0.1)
        took = time.monotonic() - began
    print(f"cold recovery: the first 200 after {took:.1f} s (goal: 10 s)")
    return took < 11


def slow_headers() -> bool:
    """1,000 clients that never end their headers, through nginx of examples/deploy."""
    with (
        FakeIssuer(aud=test_deploy.AUDIENCE).serve() as issuer,
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
    print(f"{SLOW_HEADERS} slow headers: {counted(load.good)}; nginx has ended them after 14 s")
    return {status for status, _ in load.good} == {"200"}


SCENES: dict[str, tuple[Callable[[], bool], str]] = {
    "nginx": (lambda: behind("nginx"), "nginx"),
    "haproxy": (lambda: behind("haproxy"), "haproxy"),
    "stranger": (stranger, "gunicorn"),
    "restart": (restart, "gunicorn"),
    "cold": (cold, "gunicorn"),
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
