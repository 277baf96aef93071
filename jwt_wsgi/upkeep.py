"""What operators do with the keys of a middleware: load, report on them, stop fetching.

A key source is asked for what it has: ``warm_up``, ``health`` and ``close`` are optional members
of :class:`~jwt_wsgi.keys.KeySource`.
"""

import time
from typing import Any

from .tenants import Tenants
from .verifier import Issuers


def warm_up(issuers: Issuers, timeout: float, *, raises: bool) -> bool:
    """Load all keys at once; True if they are here within ``timeout`` seconds altogether.

    Raises :class:`~jwt_wsgi.errors.KeysUnavailableError` instead of returning False if ``raises``.
    """
    sources = _having(issuers, "warm_up").values()
    for keys in sources:
        keys.warm_up(0, raises=False)
    until = time.monotonic() + timeout
    return all(keys.warm_up(max(0.0, until - time.monotonic()), raises=raises) for keys in sources)


def health(issuers: Issuers, *, named_later: bool) -> dict[str, Any]:
    """Return what is known, without I/O. ``named_later``: a function names the issuers.

    Those cannot be waited for before a token names them.
    """
    known = {identifier: keys.health() for identifier, keys in _having(issuers, "health").items()}
    ready = named_later or all(keys["ready"] for keys in known.values())
    return {"ready": ready, "issuers": known}


def close(issuers: Issuers) -> None:
    """Stop fetching keys for good."""
    if isinstance(issuers, Tenants):
        issuers.close()
    for keys in _having(issuers, "close").values():
        keys.close()


def _having(issuers: Issuers, method: str) -> dict[str, Any]:
    """The key sources of all issuers that have this method."""
    return {
        issuer.identifier: issuer.keys
        for issuer in issuers.values()
        if callable(getattr(issuer.keys, method, None))
    }
