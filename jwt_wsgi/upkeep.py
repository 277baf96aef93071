"""What operators do with the keys of a middleware: load, report on them, stop fetching."""

import time
from typing import Any

from .key_sources.remote import RemoteKeys
from .tenants import Tenants
from .verifier import Issuers


def warm_up(issuers: Issuers, timeout: float, *, raises: bool) -> bool:
    """Load all keys at once; True if they are here within ``timeout`` seconds altogether."""
    sources = _remote(issuers)
    for keys in sources.values():
        keys.warm_up(0)
    until = time.monotonic() + timeout
    return all(
        keys.warm_up(max(0.0, until - time.monotonic()), raises=raises) for keys in sources.values()
    )


def health(issuers: Issuers, *, named_later: bool) -> dict[str, Any]:
    """What is known, without I/O. ``named_later``: nothing can be waited for before it is met."""
    known = {identifier: keys.health() for identifier, keys in _remote(issuers).items()}
    ready = named_later or all(keys["ready"] for keys in known.values())
    return {"ready": ready, "issuers": known}


def close(issuers: Issuers) -> None:
    """Stop fetching keys for good."""
    if isinstance(issuers, Tenants):
        issuers.close()
    for keys in _remote(issuers).values():
        keys.close()


def _remote(issuers: Issuers) -> dict[str, RemoteKeys]:
    return {
        issuer.identifier: issuer.keys
        for issuer in issuers.values()
        if isinstance(issuer.keys, RemoteKeys)
    }
