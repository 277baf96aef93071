# gunicorn -c gunicorn.conf.py api:application
#
# Yours: `bind`, and how many workers and threads.

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import jwt_wsgi

bind = "127.0.0.1:8000"
workers = 2
threads = 8
# Keys are fetched in the background: leave a slow issuer shorter time than this (jwks_timeout).
timeout = 30
# Tokens have up to 16384 characters (max_token_size); the default would answer 400 from 8190 on.
limit_request_field_size = 17000
# What of a refused upload is thrown away before the connection closes: for so many seconds, and so
# many bytes, at most. nginx has the whole upload already and sends it at once.
discard_seconds = 2.0
discard_bytes = 16 * 1024 * 1024  # as client_max_body_size of nginx.conf


def on_starting(server):
    """Forget the numbers of the last run: a container that starts anew finds its old folder."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.db"):
            path.unlink()


def pre_fork(server, worker):
    """With preload_app: a worker begins with the master's keys, so refresh those that are old.

    The master serves no requests, and nothing else would refresh its keys.
    """
    if server.cfg.preload_app:
        jwt_wsgi.warm_up(server.app.wsgi())


def post_worker_init(worker):
    """Have the keys before the first request; without them the first request tries again."""
    jwt_wsgi.warm_up(worker.wsgi)


def post_request(worker, req, environ, resp):
    """Throw away what is left of an upload that was refused before it was read.

    To close a connection with unread bytes resets it; then nginx loses the answer and says 502.
    """
    body = getattr(environ.get("wsgi.input"), "reader", None)
    unread = getattr(body, "length", 0) or getattr(body, "parser", None)
    if not unread or "gunicorn.socket" not in environ:
        return
    sock, left = environ["gunicorn.socket"], discard_bytes
    deadline = time.monotonic() + discard_seconds
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)  # the answer is complete, and the connection ends
        while left > 0 and (seconds := deadline - time.monotonic()) > 0:
            sock.settimeout(seconds)
            if not (data := sock.recv(65536)):
                break
            left -= len(data)


def child_exit(server, worker):
    """Forget the gauges of a worker that is gone."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)
