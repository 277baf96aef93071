"""Redis as a store, through redis-py: ``pip install 'jwt-wsgi[redis]'``.

.. code-block:: python

    app = JWTMiddleware(app, revocation="redis://redis.internal:6379/0")

What is revoked is what Redis remembers: give it persistence (``appendonly yes``) and a
``maxmemory-policy`` of ``noeviction``, or a restart and a full memory let revoked tokens in.
"""

import math
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

#: What a URL cannot change: bytes stay bytes, and a dead Redis costs one time-out, not several.
_FIXED: Final = {"decode_responses": False, "retry_on_timeout": False}


class RedisStore:
    """A :class:`~jwt_wsgi.revocation.store.Store`. ``client``: best made by :meth:`from_url`.

    Raises ValueError for a client without ``socket_timeout``, which would hang with its Redis,
    and for one with ``decode_responses``. A client of your own may retry; then it takes longer.
    """

    def __init__(self, client: Any) -> None:
        options = getattr(getattr(client, "connection_pool", None), "connection_kwargs", {})
        if options.get("decode_responses"):
            raise ValueError("the client has decode_responses=True; a store returns bytes")
        if options and not options.get("socket_timeout"):
            raise ValueError("the client has no socket_timeout; give it one, in seconds")
        self._client: Any = client

    @classmethod
    def from_url(cls, url: str, timeout: float = 0.25) -> "RedisStore":
        """Make a store of a ``redis://``, ``rediss://`` or ``unix://`` URL; connects later.

        ``timeout`` in seconds, for connecting to an address and for an answer; there are no
        retries. It does not bound the look-up of a host's name. Raises ValueError and TypeError
        for what is no such URL.
        """
        client = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            max_connections=1000,  # as many as a gevent worker of gunicorn serves at once
            protocol=2,  # no HELLO: one round trip less to a new connection
        )
        pool: Any = client.connection_pool
        if not url.startswith("unix:"):  # or a firewall that forgets idle connections is an outage
            pool.connection_kwargs.setdefault("socket_keepalive", True)
        pool.connection_kwargs.update(_FIXED, retry=Retry(NoBackoff(), 0))
        pool.connection_class(**pool.connection_kwargs)  # raises for an unknown option
        return cls(client)

    def read_entries(self, keys: Sequence[str], /) -> list[bytes | None]:
        """Return the value of each key, or None, in one round trip."""
        values: list[bytes | None] = self._client.mget(keys)
        return values

    def write_entry(self, key: str, value: bytes, timeout: float | None, /) -> None:
        """Write the value, in place of any other; ``timeout`` in seconds, None: for ever."""
        self._client.set(key, value, ex=_seconds(timeout))

    def add_entry(self, key: str, value: bytes, timeout: float | None, /) -> bool:
        """Write the value if there is none; False if there is one. One atomic command."""
        return bool(self._client.set(key, value, ex=_seconds(timeout), nx=True))

    def scan_entries(self, prefix: str, /) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, which has no ``*``, ``?`` and ``[``."""
        return (key.decode() for key in self._client.scan_iter(match=f"{prefix}*", count=1000))


def _seconds(timeout: float | None) -> int | None:
    return None if timeout is None else max(1, math.ceil(timeout))
