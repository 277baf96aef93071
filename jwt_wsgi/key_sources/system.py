"""Time, random numbers and threads for remote keys. Tests replace them."""

import os
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from .facts import Finished

#: This clock also runs while the machine sleeps.
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
#: How often it is looked whether a thread has ended, and the seconds from one look to the next.
_LOOKS: Final = 1000
_LOOK_EVERY: Final = 0.001
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


def wait_until_ended(thread: int) -> None:
    """Wait until the operating system has ended a thread that has nothing more to do.

    ``thread``: its native id; 0: there is none. A thread that ends holds a lock of OpenSSL for a
    moment, and ``Thread.join`` returns before that. If the process forks in this moment, the lock
    is never released in the child, and each fetch there hangs. Only Linux shows which threads
    exist; other systems do not wait.
    """
    if thread == threading.get_native_id():
        return
    for _ in range(_LOOKS):
        if not os.path.exists(f"/proc/self/task/{thread}"):  # noqa: PTH110  # it never raises
            return
        time.sleep(_LOOK_EVERY)
