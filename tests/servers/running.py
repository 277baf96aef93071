"""A real server on loopback, for the time of a ``with``."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from http.client import HTTPConnection
from http.client import HTTPException
from itertools import cycle
from pathlib import Path
from socketserver import BaseServer
from time import monotonic
from time import sleep

READY_WITHIN = 30.0


class ServerDied(Exception):  # noqa: N818
    """It ended, or never answered; the message is what it said."""


#: Ports that the kernel does not choose by itself. A worker of pytest-xdist has a thousand of its
#: own, and begins somewhere among them, because other test runs may be on this machine.
_ports = cycle(
    10_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 20 * 1000 + number % 1000
    for number in range(os.getpid(), os.getpid() + 1000)
)


@contextmanager
def in_a_thread(server: BaseServer) -> Iterator[str]:
    """Serve with a server of this process, in a thread; yields its URL."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]!s}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """A port where nothing listens, and where nothing will by chance until the caller does."""
    for port in _ports:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("unreachable")


def as_user(command: list[str]) -> list[str]:
    """Apache and nginx serve nothing as root, and another user may not reach this Python."""
    if os.getuid():
        return command
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", *command]


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    *,
    cwd: Path,
    env: Mapping[str, str],
    listener: socket.socket | None = None,
) -> Iterator[str]:
    """Yield the base URL of a server that answers.

    ``listener``: a socket that it inherits and that listens already. Raises :class:`ServerDied`
    with its output when it does not start, or has ended by the end of the ``with``. An exception
    inside the ``with`` gets its output as a note.
    """
    outside = {name: v for name, v in os.environ.items() if not name.startswith("JWT_WSGI_")}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        log = Path(scratch) / "output"
        # gunicorn keeps its control socket there: not in the home of who runs the tests.
        outside["XDG_RUNTIME_DIR"] = scratch
        with log.open("wb") as output:
            server = subprocess.Popen(
                [part.replace("{scratch}", scratch) for part in command],
                cwd=cwd,
                env=outside | dict(env),
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()] if listener else [],
                start_new_session=True,
            )
        if listener:
            listener.close()
        try:
            if not _answers(server, port):
                with suppress(subprocess.TimeoutExpired):
                    server.wait(2)  # so that all it has to say is said
                raise ServerDied(log.read_text())
            yield f"http://127.0.0.1:{port}"
            if server.poll() is not None:
                raise ServerDied(log.read_text())
        except ServerDied:
            raise
        except Exception as error:
            error.add_note(f"the server said:\n{log.read_text()}")
            raise
        finally:
            _end(server)


@contextmanager
def gunicorn(
    app: str,
    *,
    cwd: Path,
    env: Mapping[str, str],
    worker_class: str = "sync",
    workers: int = 2,
    threads: int = 1,
    preload: bool = False,
    options: tuple[str, ...] = (),
) -> Iterator[str]:
    """A gunicorn; else as :func:`running`."""
    # It inherits a socket that listens already: no port to lose to another process, and the
    # first request waits in the queue for a worker, or is reset when the server ends.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "gunicorn", app, "--graceful-timeout", "2"]
        command += ["--worker-class", worker_class, "--workers", str(workers)]
        command += ["--threads", str(threads), *(["--preload"] if preload else []), *options]
        command += ["--bind", f"fd://{listener.fileno()}"]
        port = listener.getsockname()[1]
        with running(command, port, cwd=cwd, env=env, listener=listener) as url:
            yield url


def _answers(server: "subprocess.Popen[bytes]", port: int) -> bool:
    """Whether a worker answers anything at all; a server that ends refuses or resets."""
    until = monotonic() + READY_WITHIN
    while monotonic() < until:
        connection = HTTPConnection("127.0.0.1", port, timeout=until - monotonic())
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            connection.getresponse().read()
        except ConnectionRefusedError:
            if server.poll() is not None:
                return False
            sleep(0.02)
        except (OSError, HTTPException):
            return False
        else:
            return True
        finally:
            connection.close()
    return False


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)  # workers that a master left behind
