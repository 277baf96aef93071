"""What must be shared between processes goes through one store, and it holds bytes only.

A store is any object with the three methods of :class:`Store`. Nothing in it is ever unpickled:
whoever can write to it could otherwise run code in every worker.
"""

import math
import time
from collections.abc import Callable
from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from typing import Any
from typing import Final
from typing import Protocol
from typing import cast

from jwt_wsgi.process_lock import ProcessLock

#: Seconds that a store which failed is left alone.
REST: Final = 5.0
_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_METHODS: Final = ("get", "set", "add")
#: Packages with objects of this shape whose values come out of ``pickle.loads``; the client
#: libraries of memcached unpickle by a flag that stands beside the value in the cache.
_PICKLING: Final = (
    "cachelib.memcached",
    "diskcache",
    "django.core.cache",
    "flask_caching",
    "memcache",
    "pylibmc",
)
#: What no serializer but a pass-through one returns as it was: JSON, and 0 as pickle writes it,
#: alone and as cachelib's Redis back end marks it.
_PROBES: Final = (b"{}", b"\x80\x04K\x00.", b"!\x80\x04K\x00.")
_REMEDY: Final = (
    "use jwt_wsgi.revocation.redis.RedisStore, or give it a serializer whose methods return the"
    " bytes they get"
)


class Store(Protocol):
    """Values by key, shared by whoever has the same store; all three may raise anything.

    ``timeout``: seconds after which the value is gone; None: as the store likes. A store may
    also have ``get_many(*keys)``, which is then used for one round trip instead of several,
    and ``scan(prefix)``, the keys there are, without which its entries cannot be listed.
    """

    def get(self, key: str, /) -> bytes | None:
        """Return the value, or None."""

    def set(self, key: str, value: bytes, timeout: int | None, /) -> object:
        """Put the value in place of any other."""

    def add(self, key: str, value: bytes, timeout: int | None, /) -> bool:
        """Put the value if there is none; False if there is one. Atomic."""


class StoreError(Exception):
    """The store did not keep what it was given."""


class Breaker:
    """After a failure nobody asks for :data:`REST` seconds, then one does and the others wait.

    So a store that hangs costs its time-out once in that time, in each process. ``clock``:
    seconds from anywhere, going forward.
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
            self._failing = failing[0], now + REST
            return 0.0

    def failed(self) -> bool:
        """The store did not answer; True if it did before."""
        with self._lock():
            now, before = self._clock(), self._failing
            self._failing = (before[0] if before else now), now + REST
            return before is None

    def answered(self) -> float | None:
        """The store answered; the seconds since it first did not, None if it did before."""
        if self._failing is None:
            return None
        with self._lock():
            failing, self._failing = self._failing, None
            return self._clock() - failing[0] if failing else None


class MemoryStore:
    """A :class:`Store` for one process: other workers do not see what is in it.

    ``max_entries``: one more raises :class:`StoreError`, since to forget one of those it has
    would be to let a revoked token in again. ``clock``: seconds from anywhere, going forward.
    """

    def __init__(
        self, max_entries: int = 100_000, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_entries, self._clock = max_entries, clock
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._lock = ProcessLock()

    def get(self, key: str, /) -> bytes | None:
        """Return the value, or None."""
        value, expires = self._entries.get(key, (None, 0.0))
        return value if self._clock() < expires else None

    def set(self, key: str, value: bytes, timeout: float | None, /) -> None:
        """Put the value in place of any other; ``timeout`` in seconds, None: for ever."""
        with self._lock():
            self._put(key, value, timeout)

    def add(self, key: str, value: bytes, timeout: float | None, /) -> bool:
        """Put the value if there is none; False if there is one."""
        with self._lock():
            if self.get(key) is not None:
                return False
            self._put(key, value, timeout)
            return True

    def scan(self, prefix: str, /) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``."""
        return (key for key in list(self._entries) if key.startswith(prefix))

    def _put(self, key: str, value: bytes, timeout: float | None) -> None:
        now = self._clock()
        if key not in self._entries and len(self._entries) >= self._max_entries:
            alive = {k: entry for k, entry in self._entries.items() if now < entry[1]}
            if len(alive) >= self._max_entries:
                raise StoreError(f"the store is full, with {self._max_entries} entries")
            self._entries = alive
        self._entries[key] = value, math.inf if timeout is None else now + timeout


def store_of(value: object) -> Store:
    """Return the store that a setting names: a URL of Redis, or an object that is one.

    Connects to nothing. Raises ValueError with the remedy, without any part of the URL: it may
    hold a password.
    """
    if isinstance(value, str):
        return _redis(value)
    if problem := check_store(value):
        raise ValueError(problem)
    return cast("Store", value)


def _redis(url: str) -> Store:
    if not url.startswith(_SCHEMES):
        raise ValueError(
            f"give a URL that begins with {', '.join(_SCHEMES)}, or an object with get, set and add"
        )
    try:
        contrib = import_module(".redis", __package__)  # redis-py is an extra
    except ImportError as error:
        raise ValueError("it needs redis-py: pip install 'jwt-wsgi[redis]'") from error
    try:
        store: Store = contrib.RedisStore.from_url(url)
    except Exception as error:
        why = "it is no URL that redis-py takes: redis://[[user]:password@]host[:port][/number]"
        raise ValueError(f"{why} ({type(error).__name__})") from None
    return store


def check_store(store: object) -> str | None:
    """Say in a sentence why ``store`` cannot be used, None if it can. Asks it for nothing.

    Refused is what lacks a method, and what unpickles what it reads: cachelib's back ends unless
    their ``serializer`` passes bytes through, Django's caches, Flask-Caching, diskcache.
    """
    missing = [name for name in _METHODS if not callable(getattr(store, name, None))]
    if missing:
        hint = "; wrap a redis-py client: jwt_wsgi.revocation.redis.RedisStore(client)"
        return f"it has no {', '.join(missing)}{hint if _is_of(store, ('redis',)) else ''}"
    if _is_of(store, _PICKLING):
        return f"it unpickles what it reads, so who can write to it could run code; {_REMEDY}"
    serializer = getattr(store, "serializer", None)
    if serializer is not None and not _passes_through(serializer):
        return (
            "its serializer changes what it reads (cachelib's unpickle it, so who can write to"
            f" the store could run code); {_REMEDY}"
        )
    return None


def _is_of(store: object, packages: tuple[str, ...]) -> bool:
    names = (f"{cls.__module__}." for cls in type(store).__mro__)
    return any(name.startswith(f"{package}.") for name in names for package in packages)


def _passes_through(serializer: Any) -> bool:
    """Whether bytes stay what they are. ``dump`` and ``load`` are for cachelib's files."""
    try:
        return all(_same(serializer, probe) for probe in _PROBES)
    except Exception:
        return False


def _same(serializer: Any, probe: bytes) -> bool:
    if serializer.dumps(probe) != probe or serializer.loads(probe) != probe:
        return False
    if not hasattr(serializer, "load"):
        return True
    written = BytesIO()
    serializer.dump(probe, written)
    return written.getvalue() == probe and serializer.load(BytesIO(probe)) == probe
