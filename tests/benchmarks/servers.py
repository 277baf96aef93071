"""Real servers on loopback, the CPU time they use, and wrk, which asks them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from tokens import Published

HERE = Path(__file__).parent
READY_WITHIN = 30.0


class Server(NamedTuple):
    """A server that answers, and its first process."""

    name: str
    url: str
    pid: int

    def cpu(self) -> float:
        """Seconds of CPU that its processes have used, kernel time included."""
        return sum(_cpu(pid) for pid in processes(self.pid))


def processes(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found


def _cpu(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def served(
    name: str,
    command: Sequence[str | Path],
    port: int,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server for the time of the ``with``, on the first CPU; wrk has the second."""
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command],
        env={**os.environ, **(env or {})},
        cwd=HERE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait(process, port)
        yield Server(name, f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait(process: "subprocess.Popen[str]", port: int) -> None:
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and process.poll() is None:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/", headers={"Connection": "close"})
            connection.getresponse().read()
        except (OSError, HTTPException):
            time.sleep(0.05)
        else:
            return
    process.terminate()
    raise RuntimeError(f"the server does not answer: {process.communicate()[1][-500:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def gunicorn(
    name: str, mint: Published, worker: str, *options: str, app: str = "http_app"
) -> Iterator[Server]:
    """One of :data:`middlewares.MIDDLEWARES`, or ``bare`` and its name, under gunicorn."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", f"{app}:application"]
    command += ["--threads", "4"] if worker == "gthread" else []
    command += ["--bind", f"127.0.0.1:{port}", "--worker-class", worker, "--log-level", "error"]
    with tempfile.TemporaryDirectory() as scratch:
        # gunicorn keeps its control socket there: not in the home of who runs this.
        env = {
            "BENCH_APP": name.partition(" (")[0],
            "BENCH_JWK": json.dumps(mint.jwk),
            "XDG_RUNTIME_DIR": scratch,
        }
        with served(name, [*command, *options], port, env) as server:
            yield server


class Burst(NamedTuple):
    """What wrk saw: answers, and the latencies (seconds) that half and 99 % of them kept."""

    answers: int
    median: float
    p99: float


def burst(server: Server, tokens: Path, *, seconds: float, **wrk: object) -> Burst:
    """Ask the server for so long; the keywords are those of :func:`asking`.

    No answers are not an error: on a busy machine wrk may not have started by then.
    """
    with asking(server, tokens, **wrk) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)  # its own durations are whole seconds
        output, errors = process.communicate()
    if process.returncode == -signal.SIGINT:  # it had no CPU yet, and has not asked
        return Burst(0, 0.0, 0.0)
    told = re.search(r"(\d+) requests in", output)
    if "Non-2xx" in output or process.returncode or not told:
        raise RuntimeError(f"{server.name}: {output[-400:]} {errors}")
    return Burst(int(told[1]), _latency(output, "50"), _latency(output, "99"))


@contextmanager
def asking(
    server: Server, tokens: Path, *, start: int = 0, connections: int = 16, path: str = "/"
) -> Iterator["subprocess.Popen[str]"]:
    """Wrk at work, its process, with the tokens of a file, one a line, from ``start`` on."""
    command = ["taskset", "-c", "1", "wrk", "--latency", "-t1", f"-c{connections}", "-d1m"]
    command += ["-s", HERE / "wrk.lua", server.url + path, "--", tokens, str(start)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _latency(output: str, percent: str) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)", output, re.MULTILINE)
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[found[2]]


def missing_tools() -> str:
    """What a benchmark over HTTP needs and is not here; empty if nothing."""
    return ", ".join(tool for tool in ("wrk", "taskset") if not shutil.which(tool))
