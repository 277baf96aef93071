"""Time, random numbers and threads for remote keys. Tests replace them."""

import random
import threading
import time
from collections.abc import Callable
from typing import Final

from .facts import Finished

#: This clock also runs while the machine sleeps.
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
chance: Final = random.SystemRandom().random  # needs no new seed after a fork


def boottime() -> float:
    """Monotonic seconds."""
    return time.clock_gettime(_CLOCK)


def make_event() -> Finished:
    """Make the event that says that a fetch has finished."""
    return threading.Event()


def start_thread(run: Callable[[], None]) -> None:
    """Run a fetch in a new thread. Raises RuntimeError if no thread can be started."""
    # Looked up at the call: gevent may patch after import, and after a source was made.
    threading.Thread(target=run, name="jwt_wsgi.jwks", daemon=True).start()
