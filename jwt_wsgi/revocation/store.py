"""A store of bytes that processes share, and a breaker that spares a failing store.

A store is any object with the three methods of :class:`Store`. No cache library uses these names,
so that a cache, which may unpickle what it reads, is never taken for a store.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Final
from typing import NamedTuple
from typing import Protocol
from typing import TypeGuard

from jwt_wsgi.errors import name_of
from jwt_wsgi.process_lock import ProcessLock

#: After this many failures in a row, the store is not used for a while.
BREAKER_FAILURES: Final = 3
#: Seconds of the first pause. They double with each further failure.
BREAKER_PAUSE: Final = 0.25
#: The longest pause, in seconds.
BREAKER_MAX_PAUSE: Final = 2.0
_METHODS: Final = ("read_entries", "write_entry", "add_entry")


class Store(Protocol):
    """Values by key, shared by all users of the store. Every method may raise any error.

    ``timeout``: seconds after which the value expires; None: the store decides. A store may also
    have ``scan_entries(prefix)``, which yields the keys that begin with ``prefix``; without it
    what is revoked cannot be listed. It may have ``remove_entry(key)``, which deletes the value and
    returns whether there was one; without it nothing can be undone. It may have ``read_time()``,
    which returns the seconds since 1970 by its clock; without it each host that revokes uses its
    own clock, which may be wrong. ``of_one_process = True``: it is the memory of one process.

    Values must be returned as the same bytes. Never unpickle them: an attacker who can write to the
    store could run code in every worker.
    """

    def read_entries(self, keys: Sequence[str], /) -> Sequence[bytes | None]:
        """Return the value of each key, in their order; None where there is none."""

    def write_entry(self, key: str, value: bytes, timeout: int | None, /) -> object:
        """Write the value, in place of any other."""

    def add_entry(self, key: str, value: bytes, timeout: int | None, /) -> bool:
        """Write the value if there is none; False if there is one. Atomic."""


def is_store(value: object) -> TypeGuard[Store]:
    """Whether ``value`` has the methods of a store. Nothing else is checked."""
    return all(callable(getattr(value, name, None)) for name in _METHODS)


class StoreError(Exception):
    """The store did not keep a value, or lacks a method."""


class _Trouble(NamedTuple):
    """Failures in a row. All times are of the breaker's clock, in seconds."""

    first: float
    last: float
    failures: int = 1
    #: How long the store is not used, and until when; 0 before the first pause.
    pause: float = 0.0
    until: float = 0.0


class Breaker:
    """Decides whether a store may be used, after its last answers.

    The third failure in a row opens the breaker: for :data:`BREAKER_PAUSE` seconds the store is
    not asked, then one caller asks it. If that fails, the pause doubles, up to
    :data:`BREAKER_MAX_PAUSE`. An answer closes the breaker. So one lost reply stops nothing, and
    few callers wait for a store that hangs.

    A failure counts only if its attempt began after the previous failure: many attempts that one
    short fault breaks at the same time are one failure. ``clock``: seconds from any moment on,
    never going back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = ProcessLock()
        self._trouble: _Trouble | None = None

    def now(self) -> float:
        """The time at which an attempt begins, for :meth:`failed`."""
        return self._clock()

    def wait(self) -> float:
        """Seconds until the store may be used. 0: now; an open breaker returns 0 to one caller."""
        if self._trouble is None:
            return 0.0
        with self._lock():
            now, trouble = self._clock(), self._trouble
            if trouble is None or not trouble.pause:
                return 0.0
            if now < trouble.until:
                return trouble.until - now
            # Others wait for this caller's result. If it never comes, another caller tries.
            self._trouble = trouble._replace(until=now + BREAKER_MAX_PAUSE)
            return 0.0

    def failed(self, began: float) -> bool:
        """The attempt that began at ``began`` failed; True if it is the first failure in a row."""
        with self._lock():
            now, before = self._clock(), self._trouble
            if before is None:
                self._trouble = _Trouble(first=now, last=now)
                return True
            if began < before.last:
                return False
            failures, pause = before.failures + 1, 0.0
            if failures >= BREAKER_FAILURES:
                pause = min(before.pause * 2, BREAKER_MAX_PAUSE) or BREAKER_PAUSE
            self._trouble = _Trouble(before.first, now, failures, pause, now + pause)
            return False

    def answered(self) -> float | None:
        """Note that the store answered. Return the seconds since its first failure, or None."""
        if self._trouble is None:
            return None
        with self._lock():
            trouble, self._trouble = self._trouble, None
            return self._clock() - trouble.first if trouble else None


#: What the errors of Python and of redis-py mean, by the name of their class.
_MEANINGS: Final = {
    "ConnectionError": "there is no connection to the store",
    "TimeoutError": "the store did not answer in time",
}


def why_it_failed(error: Exception) -> str:
    """Why a store failed, for the log: a sentence, without the text of the error."""
    kind = type(error)
    return _MEANINGS.get(kind.__name__, f"the store raised {name_of(kind)}")
