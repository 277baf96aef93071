"""What operators do with the keys of a middleware: load, report on them, stop fetching.

A key source is asked for what it has: ``warm_up``, ``health`` and ``close`` are optional members
of :class:`~jwt_wsgi.keys.KeySource`.
"""

import time
from typing import Any
from typing import Protocol

from .errors import KeysUnavailableError
from .key_sources.arrival import fits_any
from .key_sources.file import FileKeys
from .key_sources.remote import RemoteKeys
from .keys import KeySet
from .tenants import Tenants
from .trusted_issuer import TrustedIssuer
from .urls import shown_url
from .verifier import Issuers


class LoadsKeys(Protocol):
    """A key source that can load its keys before a request needs them."""

    def warm_up(self, timeout: float, *, raises: bool) -> bool:
        """Whether the keys are there within ``timeout`` seconds.

        ``raises``: raise :class:`KeysUnavailableError` instead of returning False.
        """


class ReportsHealth(Protocol):
    """A key source that says what it has."""

    def health(self) -> dict[str, Any]:
        """Return a dict for JSON, whose ``ready`` says whether there are keys; without I/O."""


class Closes(Protocol):
    """A key source that can be closed."""

    def close(self) -> None:
        """End all fetching."""


def warm_up(issuers: Issuers, timeout: float, *, raises: bool) -> bool:
    """Load all keys at once; True if they are here within ``timeout`` seconds altogether.

    Where no key fits the accepted algorithms of its issuer, every token is refused, so that counts
    as no keys. ``raises``: :class:`KeysUnavailableError` instead of False.
    """
    sources = _having(issuers, "warm_up").values()
    for keys in sources:
        keys.warm_up(0, raises=False)
    until = time.monotonic() + timeout
    loaded = [keys.warm_up(max(0.0, until - time.monotonic()), raises=raises) for keys in sources]
    unfit = [problem for issuer in issuers.values() if (problem := _unfit(issuer))]
    if unfit and raises:
        raise KeysUnavailableError(detail="; ".join(unfit))
    return all(loaded) and not unfit


def _unfit(issuer: TrustedIssuer) -> str:
    """What is wrong if no key that is here fits an accepted algorithm; empty otherwise."""
    if not isinstance(issuer.keys, RemoteKeys | FileKeys | KeySet):  # not asked of an app's own
        return ""
    keyset = issuer.keys.current()
    if keyset is None or fits_any(keyset, issuer.algorithms):
        return ""
    accepted = ", ".join(sorted(issuer.algorithms))
    named = shown_url(issuer.identifier)
    return f"{named}: none of {len(keyset)} keys fits the accepted algorithms ({accepted})"


def health(issuers: Issuers, *, named_later: bool) -> dict[str, Any]:
    """Return what is known, without I/O. ``named_later``: a function names the issuers.

    Those cannot be waited for before a token names them.
    """
    known = {identifier: keys.health() for identifier, keys in _having(issuers, "health").items()}
    ready = named_later or all(keys["ready"] for keys in known.values())
    unfit = any(_unfit(one) for one in issuers.values() if isinstance(one.keys, KeySet))
    ready = ready and not unfit
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
