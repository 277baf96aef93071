"""A real gunicorn on loopback, for the time of a test."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

READY_WITHIN = 30.0


class ServerDied(Exception):  # noqa: N818
    """It ended, or never answered; the message is what it said."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def gunicorn(
    app: str, *, cwd: Path, env: Mapping[str, str], workers: int = 2, options: tuple[str, ...] = ()
) -> Iterator[str]:
    """Yield the base URL of a server that answers. Raises :class:`ServerDied` with its output."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", app, "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", str(workers), "--graceful-timeout", "2", *options]
    clean = {name: v for name, v in os.environ.items() if not name.startswith("JWT_WSGI_")}
    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(
            command, cwd=cwd, env=clean | dict(env), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(server, port)
            yield f"http://127.0.0.1:{port}"
        except ServerDied as error:
            output.seek(0)
            raise ServerDied(output.read().decode()) from error
        finally:
            _end(server)


def _wait_for(server: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
        except OSError:
            time.sleep(0.05)
        else:
            time.sleep(0.1)  # the master listens a moment before a worker that fails to boot ends
            return
    raise ServerDied


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
