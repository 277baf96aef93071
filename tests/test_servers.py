"""Real servers: the same four scenes under each, and how often the issuer is asked.

``python tests/test_servers.py`` runs them all and prints the table; pytest runs those that differ
most. The issuers are https ones. Times are scaled: a cooldown of one second, a deadline of two and
a half; the issuer takes 0.3 s to answer. Keys are due after twenty, which no scene lasts but on a
very slow machine; its bounds count the time it took.
"""

import http.client
import itertools
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from servers.https_issuer import HTTPSIssuer
from servers.running import as_user
from servers.running import free_port
from servers.running import gunicorn
from servers.running import running

from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

OPERATIONS = Path(__file__).parent.parent / "docs/how-to/operations.md"
APPS = Path(__file__).parent / "servers" / "apps"
PROGRAMS = Path(sys.executable).parent
COOLDOWN, REFRESH_AFTER = 1.0, 20.0
#: Of the four scenes.
SCALED = {
    "TEST_COOLDOWN": f"{COOLDOWN}",
    "JWT_WSGI_JWKS_MAX_AGE": f"{2 * REFRESH_AFTER}s",
    "JWT_WSGI_JWKS_TIMEOUT": "2.5s",
}
#: Of tests that count fetches whatever time they take: none is due before they are over.
AGELESS = {
    "JWT_WSGI_JWKS_MAX_AGE": "2h",
    "JWT_WSGI_JWKS_TIMEOUT": "20s",
}


class Server(NamedTuple):
    """How one is started; ``processes`` that each may fetch for themselves.

    ``warm``: fetches before the first request, None if the first request fetches.
    """

    name: str
    app: str
    arguments: tuple[str, ...]
    processes: int = 2
    warm: int | None = None

    @property
    def program(self) -> str:
        return self.arguments[0]


def _gunicorn(title: str, *options: str) -> Iterator[Server]:
    yield Server(f"gunicorn {title}", "cold", ("gunicorn", *options))
    yield Server(f"gunicorn {title} --preload", "cold", ("gunicorn", "--preload", *options))
    warmed = ("gunicorn", "--preload", *options)
    yield Server(f"gunicorn {title} --preload, warmed", "warmed", warmed, warm=1)


def _uwsgi(title: str, app: str, *options: str, warm: int | None = None) -> Server:
    command = ("uwsgi", "--need-app", "--master", "--die-on-term", "--listen", "64")
    command += ("--disable-logging", "--http-socket", "127.0.0.1:{port}", "--processes", "2")
    return Server(f"uWSGI {title}", app, (*command, "--module", app, *options), warm=warm)


def _granian(workers: int) -> Server:
    command = ("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}")
    command += ("--no-ws", "--workers", str(workers), "--blocking-threads", "8")
    return Server(f"granian {workers} x 8", "cold", (*command, "cold:application"), workers)


GTHREAD = ("--worker-class", "gthread", "--threads", "8")
SERVERS = [
    *_gunicorn("sync x 2", "--workers", "2"),
    *_gunicorn("gthread 2 x 8", "--workers", "2", *GTHREAD),
    *_gunicorn("gevent x 2", "--workers", "2", "--worker-class", "gevent"),
    _uwsgi("2 processes", "cold"),
    _uwsgi("2 processes, warmed before the fork", "warmed", warm=1),
    _uwsgi("--lazy-apps, 2 x 8", "cold", "--lazy-apps", "--threads", "8"),
    _uwsgi("threads off", "cold", "--set", "enable-threads=false"),
    Server(
        "waitress 8 threads",
        "cold",
        ("waitress-serve", "--listen=127.0.0.1:{port}", "--threads=8", "cold:application"),
        processes=1,
    ),
    Server(
        "cheroot 8 threads",
        "cold",
        ("cheroot", "--bind", "127.0.0.1:{port}", "--threads", "8", "cold:application"),
        processes=1,
    ),
    _granian(1),
    _granian(2),
    Server(
        "mod_wsgi daemon 2 x 8",
        "cold",
        (
            "mod_wsgi-express", "start-server", "cold.py", "--port", "{port}",
            "--processes", "2", "--threads", "8", "--server-root", "{scratch}/apache",
            "--log-to-terminal",
        ),
    ),
]  # fmt: skip


#: One of each way to start processes and to serve threads: a scene lasts seven seconds.
USUAL = {
    "gunicorn sync x 2",
    "gunicorn gthread 2 x 8 --preload, warmed",
    "gunicorn gevent x 2 --preload",
    "uWSGI 2 processes, warmed before the fork",
    "uWSGI --lazy-apps, 2 x 8",
    "uWSGI threads off",
    "waitress 8 threads",
    "granian 2 x 8",
    "mod_wsgi daemon 2 x 8",
}


def start(
    server: Server, issuer: FakeIssuer, times: Mapping[str, str] = AGELESS
) -> AbstractContextManager[str]:
    """Run it with the issuer's keys in its environment."""
    program, *options = server.arguments
    env = {"JWT_WSGI_ISSUER": issuer.issuer, "JWT_WSGI_JWKS_URI": issuer.jwks_uri, **times}
    env |= issuer.environment if isinstance(issuer, HTTPSIssuer) else {}
    env |= {"PYTHONPATH": os.pathsep.join([str(APPS), os.environ.get("PYTHONPATH", "")])}
    if program == "gunicorn":
        return gunicorn(f"{server.app}:application", cwd=APPS, env=env, options=tuple(options))
    port = free_port()
    command = [
        str(PROGRAMS / program),
        *(part.format(port=port, scratch="{scratch}") for part in options),
    ]
    if program == "mod_wsgi-express":
        command = as_user(command)
    return running(command, port, cwd=APPS, env=env)


class Asked(NamedTuple):
    """What a crowd of requests got, how long the slowest and all of them took, who answered."""

    statuses: Counter[tuple[str, int]]
    slowest: float
    seconds: float
    processes: set[int | None]


def ask(
    url: str, requests: list[tuple[str, str]], connections: int = 24, *, patience: float = 20.0
) -> Asked:
    """Send all of them, so many at a time; each is a name to count by and a token."""

    def one(request: tuple[str, str]) -> tuple[str, int, float, int | None]:
        name, token = request
        began = time.monotonic()
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=patience)
        try:
            headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
            connection.request("GET", "/", headers=headers)
            response = connection.getresponse()
            pid = json.loads(response.read()).get("pid")
        finally:
            connection.close()
        return name, response.status, time.monotonic() - began, pid

    began = time.monotonic()
    with ThreadPoolExecutor(connections) as pool:
        answers = list(pool.map(one, requests))
    statuses = Counter((name, status) for name, status, _, _ in answers)
    pids = {a[3] for a in answers} - {None}
    return Asked(statuses, max(a[2] for a in answers), time.monotonic() - began, pids)


_numbers = itertools.count()


def known(issuer: FakeIssuer, count: int) -> list[tuple[str, str]]:
    return [("known", issuer.token())] * count


def strange(issuer: FakeIssuer, count: int) -> list[tuple[str, str]]:
    """Made-up kids, each another one."""
    kids = [f"stranger-{next(_numbers)}" for _ in range(count)]
    return [("strange", issuer.token(header={"kid": kid})) for kid in kids]


def mixed(issuer: FakeIssuer, count: int) -> list[tuple[str, str]]:
    pairs = zip(known(issuer, count // 2), strange(issuer, count // 2), strict=True)
    return list(itertools.chain.from_iterable(pairs))


class Row(NamedTuple):
    """How often the issuer was asked in each scene, and what may be at most."""

    server: str
    cold: int
    flood: int
    flood_bound: int
    rotation: int
    outage: int
    outage_bound: int
    slowest: float


def scenes(server: Server) -> Row:
    """Cold start, unknown kids, rotation, outage. Every answer is checked."""
    with HTTPSIssuer().serve() as issuer, issuer.slow(0.3):

        def fetches() -> int:
            nonlocal seen
            new, seen = len(issuer.requests) - seen, len(issuer.requests)
            return new

        seen = 0
        with start(server, issuer, SCALED) as url:
            if server.warm is not None:
                assert len(issuer.requests) == server.warm
            crowd = ask(url, known(issuer, 100), 40)
            assert crowd.statuses == {("known", 200): 100}
            cold = fetches()
            assert cold == server.warm or (server.warm is None and 1 <= cold <= server.processes)

            began = time.monotonic()
            crowd = ask(url, mixed(issuer, 600))
            assert crowd.statuses.keys() <= {("known", 200), ("strange", 401), ("strange", 429)}
            assert crowd.statuses["known", 200] == 300
            flood, flood_bound = fetches(), bound(server, time.monotonic() - began)
            assert 1 <= flood <= flood_bound

            time.sleep(COOLDOWN)  # what strangers keep busy is over
            began = time.monotonic()
            issuer.rotate()
            crowd = ask(url, known(issuer, 50))
            assert crowd.statuses == {("known", 200): 50}
            rotation = fetches()
            assert 1 <= rotation <= bound(server, time.monotonic() - began)

            time.sleep(COOLDOWN)
            began = time.monotonic()
            with issuer.slow(60):  # it accepts, and never answers
                crowd = ask(url, mixed(issuer, 300))
            assert crowd.statuses["known", 200] == 150
            later = {("strange", 429), ("strange", 503)}
            assert crowd.statuses.keys() <= {("known", 200), ("strange", 401), *later}
            assert sum(crowd.statuses[kind] for kind in later) > 0
            outage, outage_bound = fetches(), bound(server, time.monotonic() - began)
            assert 1 <= outage <= outage_bound
            return Row(
                server.name, cold, flood, flood_bound, rotation, outage, outage_bound, crowd.slowest
            )


def bound(server: Server, seconds: float) -> int:
    """Four look-ups at once, one more each cooldown, and the scheduled refreshes, per process."""
    lookups, scheduled = 4 + seconds // COOLDOWN, seconds // (0.8 * REFRESH_AFTER)
    return server.processes * int(2 + lookups + scheduled)


def installed(server: Server) -> bool:
    """Whether it can run here; in CI all must."""
    return (PROGRAMS / server.program).exists() or bool(os.environ.get("CI"))


@pytest.mark.parametrize("name", sorted(USUAL))
def test_the_four_scenes(name: str) -> None:
    """A cold start, many unknown kids, a rotation and an outage, under a real server."""
    (server,) = [server for server in SERVERS if server.name == name]
    if not installed(server):
        pytest.skip("pip install -e '.[servers]', as CONTRIBUTING.md says")
    scenes(server)


def test_the_test_of_the_test() -> None:
    """A lock held across a fetch hangs under gevent and --preload, and this test sees it."""
    server = Server("canary", "naive", ("gunicorn", "--preload", "--worker-class", "gevent"))
    with (
        FakeIssuer().serve() as issuer,
        issuer.slow(0.3),
        start(server, issuer) as url,
        pytest.raises(TimeoutError),
    ):
        ask(url, known(issuer, 4), 4, patience=4.0)
    # As long as nobody is concurrent all is well: a test with one client sees nothing.
    with FakeIssuer().serve() as issuer, issuer.slow(0.3), start(server, issuer) as url:
        assert ask(url, known(issuer, 4), 1).statuses == {("known", 200): 4}


def written(recipe: str) -> str:
    """The code of a recipe on the page about operations."""
    marked = rf"<!-- {recipe} -->\n```python\n(.*?)```"
    (code,) = re.findall(marked, OPERATIONS.read_text(), re.DOTALL)
    return code


@pytest.mark.parametrize(
    ("recipe", "options", "fetches"),
    [("gunicorn", (), 2), ("gunicorn-preload", (), 1), ("gunicorn-preload", GTHREAD, 1)],
    ids=["post_worker_init", "pre_fork", "pre_fork, gthread"],
)
def test_a_recipe_for_gunicorn(
    recipe: str, options: tuple[str, ...], fetches: int, tmp_path: Path
) -> None:
    """The keys are here before the first request; no request fetches any more."""
    (tmp_path / "gunicorn.conf.py").write_text(written(recipe))
    conf = ("--config", str(tmp_path / "gunicorn.conf.py"), "--workers", "2", *options)
    _answers_warm(Server(recipe, "cold", ("gunicorn", *conf)), fetches)


def test_the_recipe_for_uwsgi(tmp_path: Path) -> None:
    """Each process after the fork, which no hook of Python's sees there."""
    code = "from cold import application\n" + written("uwsgi")
    (tmp_path / "postfork.py").write_text(code)
    server = _uwsgi("@postfork", "postfork", "--pythonpath", str(tmp_path))
    if not installed(server):
        pytest.skip("pip install -e '.[servers]', as CONTRIBUTING.md says")
    _answers_warm(server, 2)


def _answers_warm(server: Server, fetches: int) -> None:
    with HTTPSIssuer().serve() as issuer, start(server, issuer) as url:
        until = time.monotonic() + 20  # the second worker may be slower than the first to answer
        while len(issuer.requests) < fetches and time.monotonic() < until:
            time.sleep(0.02)
        assert len(issuer.requests) == fetches
        assert ask(url, known(issuer, 40)).statuses == {("known", 200): 40}
        assert len(issuer.requests) == fetches


def test_a_reload_under_load(tmp_path: Path) -> None:
    """SIGHUP replaces the workers and no request sees it; each new one fetches once."""
    pid = tmp_path / "pid"
    options = ("--workers", "2", *GTHREAD, "--pid", str(pid))
    server = Server("reload", "cold", ("gunicorn", *options))
    with HTTPSIssuer().serve() as issuer, start(server, issuer) as url:
        old = ask(url, known(issuer, 40)).processes
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(ask, url, known(issuer, 1500), 8)
            time.sleep(0.3)
            os.kill(int(pid.read_text()), signal.SIGHUP)
            assert load.result().statuses == {("known", 200): 1500}
        new, until = old, time.monotonic() + 20
        while new & old and time.monotonic() < until:
            crowd = ask(url, known(issuer, 20))
            assert crowd.statuses == {("known", 200): 20}
            new = crowd.processes
        assert new.isdisjoint(old)
        assert len(issuer.requests) <= 4


def test_workers_that_come_and_go() -> None:
    """With --max-requests each worker that is started fetches once, and no more."""
    options = ("--workers", "2", "--max-requests", "50")
    server = Server("recycling", "cold", ("gunicorn", *options))
    with HTTPSIssuer().serve() as issuer, start(server, issuer) as url:
        crowd = ask(url, known(issuer, 300), 4)
        assert crowd.statuses == {("known", 200): 300}
        assert 4 <= len(issuer.requests) == len(crowd.processes)


def main() -> None:
    print(
        "| server | cold start | strangers | (at most) | rotation | outage | (at most) | slowest |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for server in filter(installed, SERVERS):
        row = scenes(server)
        print(f"| {' | '.join(map(str, row[:-1]))} | {row.slowest:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
