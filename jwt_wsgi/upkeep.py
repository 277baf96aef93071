"""What operators do with the keys of a middleware: load, report on them, stop fetching.

``warm_up``, ``health`` and ``close`` are optional methods of a :class:`~jwt_wsgi.keys.KeySource`.
"""

import time
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import Protocol

from .errors import KeysUnavailableError
from .key_sources.arrival import fits_any
from .key_sources.file import FileKeys
from .key_sources.remote import RemoteKeys
from .keys import KeySet
from .settings.issuer import Required
from .tenants import Tenants
from .trusted_issuer import TrustedIssuer
from .urls import shown_url
from .verifier import Issuers

#: Seconds to wait for one of several issuers before waiting for the next one.
_TURN: Final = 0.05


class LoadsKeys(Protocol):
    """A key source that can load its keys before a request needs them."""

    def warm_up(self, timeout: float, *, raises: bool) -> bool:
        """Load the keys. Return whether they are there within ``timeout`` seconds.

        ``raises``: raise :class:`KeysUnavailableError` instead of returning False.
        """


class ReportsHealth(Protocol):
    """A key source that reports on its keys."""

    def health(self) -> dict[str, Any]:
        """Return a dict for JSON, whose ``ready`` says whether there are keys; without I/O."""


class Closes(Protocol):
    """A key source that can be closed."""

    def close(self) -> None:
        """End all fetching."""


def warm_up(issuers: Issuers, required: Required, timeout: float, *, raises: bool) -> bool:
    """Load all keys at once; True if the required ones are there within ``timeout`` seconds.

    Held keys are refreshed as by a request, so those past ``jwks_max_age`` are confirmed first.
    There is no wait for an issuer that has failed, and none once the required issuers have keys.
    If no key of an issuer fits its accepted algorithms, its keys count as missing, because every
    token would be refused. ``raises``: :class:`KeysUnavailableError` instead of False; it names
    each issuer without keys.
    """
    known = {issuer.identifier: issuer for issuer in issuers.values()}
    sources = _having(issuers, "warm_up")
    missing = {name for name, keys in sources.items() if not keys.warm_up(0, raises=False)}

    def ready() -> dict[str, bool]:
        return {name: name not in missing and not _why_unfit(known[name]) for name in known}

    until = time.monotonic() + timeout
    waiting = [name for name in sources if name in missing and _counts(name, required)]
    while not _enough(found := ready(), required) and waiting:
        if (left := until - time.monotonic()) <= 0:
            break
        turn, began = left if len(waiting) == 1 else min(left, _TURN), time.monotonic()
        name = waiting.pop(0)
        if sources[name].warm_up(turn, raises=False):
            missing.remove(name)
        elif time.monotonic() - began > turn / 2:  # it is loading; others return at once
            waiting.append(name)
    if raises and not _enough(found, required):
        wrong = [name for name in known if not found[name] and _counts(name, required)]
        problems = [_why_unfit(known[name]) or _why(name, sources[name]) for name in wrong]
        raise KeysUnavailableError(detail="; ".join(problems))
    return _enough(found, required)


def _counts(name: str, required: Required) -> bool:
    return name in required if isinstance(required, frozenset) else True


def _enough(ready: Mapping[str, bool], required: Required) -> bool:
    """Whether all required issuers are ready. ``ready``: identifier -> whether it is."""
    if isinstance(required, frozenset):
        return all(ready[name] for name in required)
    return any(ready.values()) if required == "any" else all(ready.values())


def _why(name: str, keys: Any) -> str:
    """Why a source has no keys. A source of the app need not raise."""
    try:
        keys.warm_up(0, raises=True)
    except KeysUnavailableError as error:
        return error.detail
    return f"{shown_url(name)}: its key source has no keys"


def _why_unfit(issuer: TrustedIssuer) -> str:
    """What is wrong if no held key fits an accepted algorithm; empty otherwise."""
    if not isinstance(issuer.keys, RemoteKeys | FileKeys | KeySet):  # a key source of the app
        return ""
    keyset = issuer.keys.current()
    if keyset is None or fits_any(keyset, issuer.algorithms):
        return ""
    accepted = ", ".join(sorted(issuer.algorithms))
    named = shown_url(issuer.identifier)
    return f"{named}: none of {len(keyset)} keys fits the accepted algorithms ({accepted})"


def health(issuers: Issuers, required: Required) -> dict[str, Any]:
    """Return what is known of each issuer, without I/O; ``ready`` counts those ``required``."""
    known = {identifier: keys.health() for identifier, keys in _having(issuers, "health").items()}
    ready = {
        issuer.identifier: not (isinstance(issuer.keys, KeySet) and _why_unfit(issuer))
        for issuer in issuers.values()
    }
    ready |= {identifier: keys["ready"] for identifier, keys in known.items()}
    return {"ready": _enough(ready, required), "issuers": known}


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
