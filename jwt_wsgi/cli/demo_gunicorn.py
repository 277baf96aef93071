"""gunicorn's configuration in the demo, instead of ``./gunicorn.conf.py``.

The demo holds the other end of gunicorn's standard input. When the demo ends, in whatever way (it
may be killed), the input ends, and a worker tells gunicorn to stop.
"""

import os
import signal
import threading


def post_fork(_server: object, _worker: object) -> None:
    """Watch the standard input in each worker; gunicorn calls this there."""
    threading.Thread(target=_stop_at_the_end_of_input, daemon=True).start()


def _stop_at_the_end_of_input() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getppid(), signal.SIGTERM)
