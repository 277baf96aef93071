# gunicorn -c gunicorn.conf.py api:application
#
# Yours: `bind`, and how many workers and threads.

import os
from pathlib import Path

bind = "127.0.0.1:8000"
workers = 2
threads = 8
# Keys are fetched in the background: leave a slow issuer shorter time than this (jwks_timeout).
timeout = 30
# Tokens have up to 16384 characters (max_token_size); the default would answer 400 from 8190 on.
limit_request_field_size = 17000


def on_starting(server):
    """Forget the numbers of the last run: a container that starts anew finds its old folder."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        for path in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db"):
            path.unlink()


def post_worker_init(worker):
    """Have the keys before the first request; without them the first request tries again."""
    worker.wsgi.warm_up()  # Flask: worker.wsgi.wsgi_app.warm_up()


def child_exit(server, worker):
    """Forget the gauges of a worker that is gone."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)
