"""A real OpenID provider logs a user out of two workers: ``python tests/faults/real_logouts.py``.

npm's ``oidc-provider``, gunicorn with two workers, and redis-server. A user logs in, calls the API
in both workers, and logs out at the provider, which posts its logout token to one worker. Prints
what happened when; the exit code is 1 if a worker still serves the user a second after the logout.
Needs node 20, npm and redis-server. ``OIDC_PROVIDER``: a folder where ``npm install oidc-provider``
was run; else it is installed into a temporary one. A script, not collected by pytest.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs
from urllib.parse import urljoin
from urllib.parse import urlsplit

import requests

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from servers.redis_server import RedisServer  # noqa: E402
from servers.running import free_port  # noqa: E402
from servers.running import gunicorn  # noqa: E402

from jwt_wsgi import jose  # noqa: E402

PATH = "/logout/backchannel"
CLIENT = ("shop", "of this run only")
GOAL = 1.0  # seconds
WORKER = """
import logging, os

from jwt_wsgi import JWTMiddleware

logging.basicConfig(level=logging.INFO)


def app(environ, start_response):
    start_response("200 OK", [("X-Worker", str(os.getpid()))])
    return [b"in"]


application = JWTMiddleware(app, public_paths=["/livez"])
"""


def say(text: str) -> None:
    print(f"{datetime.now(UTC).isoformat(timespec='milliseconds')[:-6]}Z {text}", flush=True)


@contextmanager
def provider(folder: Path, port: int, logouts: str, *, sid: bool) -> Iterator[str]:
    """Run the provider for the time of a ``with``."""
    packages = Path(os.environ.get("OIDC_PROVIDER") or folder)
    if not (packages / "node_modules" / "oidc-provider").is_dir():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "oidc-provider@9"],
                       cwd=packages, check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    script = folder / "logout_provider.mjs"
    script.write_text((FOLDER / "logout_provider.mjs").read_text())
    if packages != folder and not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(packages.resolve() / "node_modules")
    command = ["node", "--no-warnings", str(script), str(port), logouts, json.dumps(sid)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while True:
            try:
                requests.get(f"{issuer}/jwks", timeout=5).raise_for_status()
            except requests.ConnectionError:
                if process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                break
        yield issuer
    finally:
        process.kill()
        process.wait()


def form_of(page: str, **more: str) -> tuple[str, dict[str, str]]:
    """Return where a form is sent, and its hidden members."""
    action = re.search(r'<form[^>]*action="([^"]+)"', page)
    assert action, page
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return action[1], {**dict(hidden), **more}


def log_in(browser: requests.Session, issuer: str) -> dict[str, str]:
    """Log in with the authorization code flow; returns the tokens."""
    asked = {"client_id": "shop", "response_type": "code", "scope": "openid read"}
    where = f"{issuer}/auth"
    answer = browser.get(where, params=asked, allow_redirects=False, timeout=10)
    for _ in range(12):
        if answer.is_redirect:
            where = urljoin(where, answer.headers["Location"])
            if where.startswith("http://127.0.0.1:1/callback"):
                break
            answer = browser.get(where, allow_redirects=False, timeout=10)
        else:
            action, members = form_of(answer.text, login="ada", password="any")
            where = urljoin(where, action)
            answer = browser.post(where, data=members, allow_redirects=False, timeout=10)
    code = parse_qs(urlsplit(where).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code}
    form["redirect_uri"] = "http://127.0.0.1:1/callback"
    granted = requests.post(f"{issuer}/token", data=form, auth=CLIENT, timeout=10)
    granted.raise_for_status()
    return dict(granted.json())


def log_out(browser: requests.Session, issuer: str, id_token: str) -> None:
    """Log out at the provider, and of all its clients."""
    where = f"{issuer}/session/end"
    asked = browser.get(where, params={"id_token_hint": id_token}, timeout=10)
    action, members = form_of(asked.text, logout="yes")
    browser.post(urljoin(where, action), data=members, timeout=10).raise_for_status()


class Worker(Thread):
    """Asks one worker again and again, until it refuses."""

    def __init__(self, connection: HTTPConnection, name: str, header: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.connection, self.name, self.header = connection, name, header
        self.served = self.refused_at = 0.0
        self.stopped = False

    def run(self) -> None:
        while not self.stopped:
            self.connection.request("GET", "/", headers=self.header)
            answer = self.connection.getresponse()
            answer.read()
            if answer.status == 401:
                self.refused_at = time.monotonic()
                say(f"worker {self.name}: 401 after {self.served:.0f} times 200")
                return
            assert answer.status == 200, answer.status
            self.served += 1
            time.sleep(0.005)


def workers(url: str, header: dict[str, str]) -> list[Worker]:
    """One connection to each of the two workers."""
    at, found = urlsplit(url), dict[str, Worker]()
    for _ in range(200):
        connection = HTTPConnection(at.hostname or "", at.port, timeout=10)
        connection.request("GET", "/", headers=header)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        name = answer.headers["X-Worker"]
        if name in found:
            connection.close()
        found.setdefault(name, Worker(connection, name, header))
        if len(found) == 2:
            return list(found.values())
    raise AssertionError("all connections are to one worker")


def scene(folder: Path, *, sid: bool) -> bool:
    """Log in, call both workers, log out; whether both refuse in time."""
    folder.mkdir()
    (folder / "guarded_worker.py").write_text(WORKER)
    redis, port = RedisServer(folder), free_port()
    env = {
        "JWT_WSGI_ISSUER": f"http://127.0.0.1:{port}",
        "JWT_WSGI_AUDIENCE": "urn:api",
        "JWT_WSGI_REVOCATION": json.dumps(
            {"store": redis.url, "backchannel_logout": {"path": PATH, "client_id": "shop"}}
        ),
    }
    options = ("--worker-class", "gthread", "--threads", "4", "--keep-alive", "60")
    try:
        with (
            gunicorn("guarded_worker", cwd=folder, env=env, options=options) as url,
            provider(folder, port, url + PATH, sid=sid) as issuer,
            closing(requests.Session()) as browser,
        ):
            return _logged_out_in_time(browser, issuer, url)
    finally:
        redis.kill()


def _logged_out_in_time(browser: requests.Session, issuer: str, url: str) -> bool:
    tokens = log_in(browser, issuer)
    claims = jose.parse(tokens["access_token"]).claims
    say(f"ada is logged in; her access token has {', '.join(claims)}")
    asked = workers(url, {"Authorization": f"Bearer {tokens['access_token']}"})
    for worker in asked:
        worker.start()
    time.sleep(0.3)
    say("ada logs out at the provider")
    log_out(browser, issuer, tokens["id_token"])
    done = time.monotonic()
    say("the provider says that she is logged out")
    late = []
    for worker in asked:
        worker.join(GOAL)
        worker.stopped = True
        worker.join()
        worker.connection.close()
        late.append(worker.refused_at - done if worker.refused_at else float("inf"))
        print(f"  worker {worker.name}: {late[-1] * 1000:+.0f} ms")
    return max(late) <= GOAL


def main() -> int:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        met = []
        for sid in (True, False):
            print(f"-- logout tokens {'with' if sid else 'without'} sid")
            met.append(scene(Path(scratch) / f"{sid}", sid=sid))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
