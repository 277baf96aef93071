"""What restarts of processes cost good requests in an outage: ``restarts.py [SCENE...]``.

Real servers: gunicorn and uWSGI, with an https issuer that answers nothing but 500 while processes
are started anew. Each scene is played without a remedy, with the keys on disk (``jwks_snapshot``)
and, under gunicorn, with ``preload_app`` as the page about operations has it.
It prints how many good requests were refused, and how many that were, without a remedy, when it
was measured first. The last scene, pre_fork, has no outage. The scenes that need a program which
is not installed are left out, and say so. A script, not collected by pytest; the exit code is 1 if
a goal is missed.
"""

import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rotations import FOLDER
from rotations import RATE
from rotations import Load
from rotations import ask
from rotations import counted
from rotations import guarded
from servers import running
from servers.https_issuer import HTTPSIssuer
from test_servers import written

SECONDS = 12.0  # of load after the restart
PROGRAMS = Path(sys.executable).parent
NOTHING, DISK, PRELOAD = "no remedy", "keys on disk", "preload_app"
MAX_AGE = 4.0  # jwks_max_age in the scene of pre_fork, in seconds


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def master(scratch: Path) -> int:
    return int((scratch / "pid").read_text())


def gunicorn(
    environment: Mapping[str, str], scratch: Path, *options: str
) -> AbstractContextManager[str]:
    return guarded(environment, "--pid", str(scratch / "pid"), *options)


def recycling(
    environment: Mapping[str, str], scratch: Path, *options: str
) -> AbstractContextManager[str]:
    return gunicorn(environment, scratch, "--max-requests", "50", *options)


@contextmanager
def uwsgi(environment: Mapping[str, str], scratch: Path) -> Iterator[str]:
    """As ``uwsgi.ini`` of examples/deploy: each process loads the app for itself."""
    port = running.free_port()
    command = [str(PROGRAMS / "uwsgi"), "--need-app", "--master", "--die-on-term", "--lazy-apps"]
    command += ["--http-socket", f"127.0.0.1:{port}", "--processes", "2", "--threads", "4"]
    command += ["--disable-logging", "--listen", "64", "--module", "guarded:application"]
    command += ["--pidfile", str(scratch / "pid")]
    env = {"JWT_WSGI_AUDIENCE": "api", **environment}
    with running.running(command, port, cwd=FOLDER, env=env) as url:
        yield url


def reload(scratch: Path) -> None:
    os.kill(master(scratch), signal.SIGHUP)


def kill_a_worker(scratch: Path) -> None:
    os.kill(children(master(scratch))[0], signal.SIGKILL)


def nothing(scratch: Path) -> None:
    """The server replaces its workers by itself."""


#: The master has keys, and nothing refreshes them.
WITHOUT = """
import jwt_wsgi

preload_app = True


def when_ready(server):
    jwt_wsgi.warm_up(server.app.wsgi())
"""


class Scene(NamedTuple):
    """``restart``: is called in the outage; ``before``: what was refused without a remedy."""

    start: Callable[..., AbstractContextManager[str]]
    restart: Callable[[Path], None]
    before: str


SCENES = {
    "HUP": Scene(gunicorn, reload, "198 of 200"),
    "max_requests": Scene(recycling, nothing, "321 of 362"),
    "kill -9": Scene(gunicorn, kill_a_worker, "114 of 241"),
    "uWSGI reload": Scene(uwsgi, reload, "159 of 159"),
}


def preloading(scratch: Path) -> tuple[str, str]:
    """The options for gunicorn: the master has the keys, and refreshes them before each fork."""
    (scratch / "conf.py").write_text(written("gunicorn-preload"))
    return "--config", str(scratch / "conf.py")


def snapshot(folder: Path) -> dict[str, str]:
    """The setting that keeps the keys on disk, in a new folder."""
    folder.mkdir()
    option = {"path": str(folder), "secret": secrets.token_hex(32)}
    return {"JWT_WSGI_JWKS_SNAPSHOT": json.dumps(option)}


def play(name: str, remedy: str) -> bool:
    """Play one scene and print its line; whether no request was refused, if there is a remedy."""
    scene = SCENES[name]
    with tempfile.TemporaryDirectory() as folder, HTTPSIssuer(aud="api").serve() as issuer:
        scratch = Path(folder)
        saved = snapshot(scratch / "keys") if remedy == DISK else {}
        options = preloading(scratch) if remedy == PRELOAD else ()
        with scene.start(issuer.environment | saved, scratch, *options) as url:
            load = Load(url, issuer.token, bad=str, rate=0.0)
            load.run(1.5)  # both processes have keys
            warm = len(load.good)
            with issuer.outage():
                scene.restart(scratch)
                load.run(SECONDS)
    answers = load.good[warm:]
    refused = sum(status == "503" for status, _ in answers)
    before = f"; before: {scene.before}" if remedy == NOTHING else ""
    print(
        f"{name:12} {remedy:12} {refused:3} of {len(answers)} refused ({counted(answers)}{before})",
        flush=True,
    )
    return remedy == NOTHING or refused == 0


def waits(url: str, token: str, seconds: float) -> list[float]:
    """How many seconds each of so many good requests takes."""

    def one() -> float:
        began = time.monotonic()
        assert ask(url, token)[0] == "200"
        return time.monotonic() - began

    with ThreadPoolExecutor(32) as pool:
        answers = []
        for _ in range(int(seconds * RATE)):
            answers.append(pool.submit(one))
            time.sleep(1 / RATE)
        return [answer.result() for answer in answers]


def pre_fork() -> bool:
    """A worker is killed when the master's keys are older than ``jwks_max_age``."""
    slow = {}
    for title in ("without", "with"):
        with tempfile.TemporaryDirectory() as name, HTTPSIssuer(aud="api").serve() as issuer:
            scratch = Path(name)
            options = preloading(scratch)
            if title == "without":
                (scratch / "conf.py").write_text(WITHOUT)
            environment = issuer.environment | {"JWT_WSGI_JWKS_MAX_AGE": f"{MAX_AGE}s"}
            with gunicorn(environment, scratch, *options) as url, issuer.slow(1.0):
                waits(url, issuer.token(), MAX_AGE + 2)
                kill_a_worker(scratch)
                found = waits(url, issuer.token(), SECONDS)
        slow[title] = sum(wait > 0.5 for wait in found)
        print(
            f"respawned worker {title:7} pre_fork: {slow[title]:3} of {len(found)} waited for a"
            f" fetch, {max(found):.2f} s at most (before: 1 to 3 s)"
        )
    return slow["with"] == 0


def main(names: list[str]) -> bool:
    """Play the scenes; whether every goal is reached."""
    good = True
    for name in names or [*SCENES, "pre_fork"]:
        if name == "pre_fork":
            good &= pre_fork()
        elif name.startswith("uWSGI") and not (PROGRAMS / "uwsgi").exists():
            print(f"{name}: left out, uWSGI is not installed: pip install -e '.[servers]'")
        else:
            remedies = (NOTHING, DISK) if name.startswith("uWSGI") else (NOTHING, DISK, PRELOAD)
            good &= all(play(name, remedy) for remedy in remedies)
    return good


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
