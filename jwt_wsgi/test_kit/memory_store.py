"""A store of revoked tokens for tests, and for an app with one process."""

import math
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

from jwt_wsgi.process_lock import ProcessLock
from jwt_wsgi.revocation.store import StoreError


class MemoryStore:
    """A :class:`~jwt_wsgi.revocation.store.Store` for one process: other workers do not see it.

    ``max_entries``: one more raises :class:`~jwt_wsgi.revocation.store.StoreError`, because a
    store that forgets an entry lets a revoked token in again. ``clock``: seconds from any moment
    on, never going back.
    """

    #: No other process can read what is written here.
    of_one_process = True

    def __init__(
        self, max_entries: int = 100_000, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_entries, self._clock = max_entries, clock
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._lock = ProcessLock()

    def read_entries(self, keys: Sequence[str], /) -> list[bytes | None]:
        """Return the value of each key, or None."""
        return [self._read(key) for key in keys]

    def write_entry(self, key: str, value: bytes, timeout: float | None, /) -> None:
        """Write the value, in place of any other; ``timeout`` in seconds, None: for ever."""
        with self._lock():
            self._put(key, value, timeout)

    def add_entry(self, key: str, value: bytes, timeout: float | None, /) -> bool:
        """Write the value if there is none; False if there is one."""
        with self._lock():
            if self._read(key) is not None:
                return False
            self._put(key, value, timeout)
            return True

    def remove_entry(self, key: str, /) -> bool:
        """Forget the value; False if there is none."""
        with self._lock():
            there = self._read(key) is not None
            self._entries.pop(key, None)
            return there

    def scan_entries(self, prefix: str, /) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``."""
        return (key for key in list(self._entries) if key.startswith(prefix))

    def _read(self, key: str) -> bytes | None:
        value, expires = self._entries.get(key, (None, 0.0))
        return value if self._clock() < expires else None

    def _put(self, key: str, value: bytes, timeout: float | None) -> None:
        now = self._clock()
        if key not in self._entries and len(self._entries) >= self._max_entries:
            alive = {k: entry for k, entry in self._entries.items() if now < entry[1]}
            if len(alive) >= self._max_entries:
                raise StoreError(f"the store is full, with {self._max_entries} entries")
            self._entries = alive
        self._entries[key] = value, math.inf if timeout is None else now + timeout
