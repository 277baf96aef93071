"""Redis as a store, through redis-py: ``pip install redis``.

.. code-block:: python

    app = JWTMiddleware(app, revocation="redis://redis.internal:6379/0")

Redis must not lose entries. Configure persistence (``appendonly yes``) and the ``maxmemory-policy``
``noeviction``; otherwise revoked tokens are accepted again after a restart or if memory is full.
"""

import math
import socket
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

#: Seconds that a store made of a URL may take, both attempts together.
TIMEOUT: Final = 0.5
#: Options that a URL cannot change: values stay bytes, and redis-py itself tries once.
_FIXED: Final = {"decode_responses": False, "retry_on_timeout": False}
#: TCP keep-alive, in seconds, so that a firewall does not drop the connection as idle. The first
#: one has another name on macOS, and a system may lack any of them.
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}

_Answer = TypeVar("_Answer")


class RedisStore:
    """A :class:`~jwt_wsgi.revocation.store.Store`. ``client``: best made by :meth:`from_url`.

    Each command is tried twice, the second time on a new connection: a firewall, a proxy or a new
    primary may have dropped the connection of the first attempt.

    Raises ValueError for a client without ``socket_timeout``, which would hang with its Redis,
    and for one with ``decode_responses``. A client of your own may have retries of its own; then
    each of the two attempts takes longer.
    """

    def __init__(self, client: Any) -> None:
        pool = getattr(client, "connection_pool", None)  # a client of a cluster has none
        options = getattr(pool, "connection_kwargs", {})
        if options.get("decode_responses"):
            raise ValueError("the client has decode_responses=True; a store returns bytes")
        if options and not options.get("socket_timeout"):
            raise ValueError("the client has no socket_timeout; give it one, in seconds")
        self._client: Any = client
        self._pool: Any = pool

    @classmethod
    def from_url(cls, url: str, timeout: float = TIMEOUT) -> "RedisStore":
        """Make a store of a ``redis://``, ``rediss://`` or ``unix://`` URL; connects later.

        ``timeout``: seconds for a command. Each of its two attempts waits at most half of it for a
        connection, and half of it for an answer. The look-up of a host's name is not bounded.
        Raises ValueError and TypeError for what is no such URL.
        """
        client = Redis.from_url(
            url,
            socket_timeout=timeout / 2,
            socket_connect_timeout=timeout / 2,
            max_connections=1000,  # as many as a gevent worker of gunicorn serves at once
            protocol=2,  # no HELLO: one round trip less to a new connection
        )
        pool: Any = client.connection_pool
        if not url.startswith("unix:"):
            pool.connection_kwargs.setdefault("socket_keepalive", True)
            pool.connection_kwargs.setdefault("socket_keepalive_options", _keepalive_options())
        pool.connection_kwargs.update(_FIXED, retry=Retry(NoBackoff(), 0))
        pool.connection_class(**pool.connection_kwargs)  # raises for an unknown option
        return cls(client)

    def read_entries(self, keys: Sequence[str], /) -> list[bytes | None]:
        """Return the value of each key, or None, in one round trip."""
        values: list[bytes | None] = self._twice(lambda: self._client.mget(keys))
        return values

    def write_entry(self, key: str, value: bytes, timeout: float | None, /) -> None:
        """Write the value, in place of any other; ``timeout`` in seconds, None: for ever."""
        self._twice(lambda: self._client.set(key, value, ex=_seconds(timeout)))

    def add_entry(self, key: str, value: bytes, timeout: float | None, /) -> bool:
        """Write the value if there is none; False if there is one. One atomic command.

        False also where the first attempt wrote it, and only its reply was lost.
        """
        return bool(
            self._twice(lambda: self._client.set(key, value, ex=_seconds(timeout), nx=True))
        )

    def remove_entry(self, key: str, /) -> bool:
        """Forget the value; False if there is none, also where only the first reply was lost."""
        return bool(self._twice(lambda: self._client.delete(key)))

    def scan_entries(self, prefix: str, /) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, which has no ``*``, ``?`` and ``[``."""
        return (key.decode() for key in self._client.scan_iter(match=f"{prefix}*", count=1000))

    def read_time(self) -> float:
        """Return the seconds since 1970 by the clock of Redis (``TIME``)."""
        seconds, microseconds = self._twice(self._client.time)
        return float(seconds) + float(microseconds) / 1e6

    def _twice(self, command: Callable[[], _Answer]) -> _Answer:
        """Try the command; if no answer comes, close the idle connections and try once more."""
        try:
            return command()
        except (RedisConnectionError, RedisTimeoutError):
            if self._pool is not None:
                self._pool.disconnect(inuse_connections=False)
            return command()


def _keepalive_options() -> dict[int, int]:
    """The keep-alive options that this system has, by number, and their values."""
    return {
        getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)
    }


def _seconds(timeout: float | None) -> int | None:
    return None if timeout is None else max(1, math.ceil(timeout))
