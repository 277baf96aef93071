"""What processes share about revoked tokens: a store of bytes, and a breaker for one that fails.

A store is any object with the three methods of :class:`Store`. Their names are their own: a cache
of another library, which may unpickle what it reads, has none of them and is never taken for one.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Final
from typing import Protocol
from typing import TypeGuard

from jwt_wsgi.process_lock import ProcessLock

#: Seconds for which a store that failed is not asked.
BREAKER_PAUSE: Final = 5.0
_METHODS: Final = ("read_entries", "write_entry", "add_entry")


class Store(Protocol):
    """Values by key, shared by all that use the same store; every method may raise anything.

    ``timeout``: seconds after which the value is gone; None: as the store likes. A store may also
    have ``scan_entries(prefix)``, which yields the keys that begin with ``prefix``; without it
    what is revoked cannot be listed. Values must come back as the bytes they were; never unpickle
    them: who can write to the store could run code in every worker.
    """

    def read_entries(self, keys: Sequence[str], /) -> Sequence[bytes | None]:
        """Return the value of each key, in their order; None where there is none."""

    def write_entry(self, key: str, value: bytes, timeout: int | None, /) -> object:
        """Write the value, in place of any other."""

    def add_entry(self, key: str, value: bytes, timeout: int | None, /) -> bool:
        """Write the value if there is none; False if there is one. Atomic."""


def is_store(value: object) -> TypeGuard[Store]:
    """Whether ``value`` has the methods of a store. It is asked for nothing else."""
    return all(callable(getattr(value, name, None)) for name in _METHODS)


class StoreError(Exception):
    """The store did not keep what it was given."""


class Breaker:
    """After a failure the store is not asked for :data:`BREAKER_PAUSE` seconds; then by one caller.

    So a store that hangs costs its time-out once in that time, in each process. ``clock``:
    seconds from any moment on, never going back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = ProcessLock()
        #: When it failed first, and when it may be asked again; None: it answers.
        self._failing: tuple[float, float] | None = None

    def wait(self) -> float:
        """Seconds until the store may be asked; 0: now, and by the caller alone if it failed."""
        if self._failing is None:
            return 0.0
        with self._lock():
            now, failing = self._clock(), self._failing
            if failing is None:
                return 0.0
            if now < failing[1]:
                return failing[1] - now
            self._failing = failing[0], now + BREAKER_PAUSE
            return 0.0

    def failed(self) -> bool:
        """The store did not answer; True if it did before."""
        with self._lock():
            now, before = self._clock(), self._failing
            self._failing = (before[0] if before else now), now + BREAKER_PAUSE
            return before is None

    def answered(self) -> float | None:
        """The store answered; the seconds since it first did not, None if it did before."""
        if self._failing is None:
            return None
        with self._lock():
            failing, self._failing = self._failing, None
            return self._clock() - failing[0] if failing else None
