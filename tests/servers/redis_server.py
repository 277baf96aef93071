"""A real redis-server on loopback, for the tests that need one."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from .running import free_port


class RedisServer:
    """A redis-server without persistence: what it has is gone when it ends."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self) -> None:
        program = shutil.which("redis-server") or "redis-server"
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "no", "--dir", str(self._folder), "--daemonize", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 10
        with Redis.from_url(self.url, socket_timeout=5.0) as client:
            while True:
                try:
                    client.ping()
                except RedisConnectionError:
                    if self._process.poll() is not None or time.monotonic() > until:
                        raise
                    time.sleep(0.01)
                else:
                    return

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It accepts connections, and never answers."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A redis-server for the time of a ``with``; without the program the test is skipped.

    In CI the test fails instead: there the program is installed.
    """
    if not (shutil.which("redis-server") or os.environ.get("CI")):
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()
