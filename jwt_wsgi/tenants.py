"""Issuers that a function of yours names: a bounded memory that strangers cannot thrash.

Anybody can put the name of a valid tenant into a token. So what strangers named is kept apart:
it pushes out its like only, never a tenant one of whose tokens has verified. A tenant that comes
back too soon, or while many others load their first keys, is answered 503 and not fetched for.
"""

import os
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from typing import Final

from .errors import ConfigurationError
from .errors import KeysUnavailableError
from .issuer import TrustedIssuer
from .jose import Key
from .jwks import RemoteKeys
from .terms import Issuer

#: Tenants remembered because somebody named them.
MAX_NAMED: Final = 1024
#: Tenants that load their first keys at the same time.
MAX_LOADING: Final = 4
#: First loads that are remembered, whatever became of the tenant.
MAX_LOADS: Final = 16384
#: Characters of an ``iss`` that is asked for.
MAX_IDENTIFIER: Final = 1024


class Tenants:
    """Finds the issuer of a token through ``resolve``, and remembers it with its keys.

    ``resolve(iss)`` returns an :class:`Issuer`, or None for one that is not trusted; ``build``
    makes it ready. ``cooldown``: seconds between first loads of a tenant's keys. ``most``:
    verified tenants that are kept for sure; up to as many again may be. Reading takes no lock,
    and neither does writing: single operations of a dict are enough here.
    """

    def __init__(
        self,
        resolve: Callable[[str], Issuer | None],
        *,
        build: Callable[[Issuer], TrustedIssuer],
        cooldown: float = 30.0,
        most: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve, self._build = resolve, build
        self._cooldown, self._most, self._clock = cooldown, most, clock
        self._named: dict[str, TrustedIssuer] = {}
        self._proven: dict[str, TrustedIssuer] = {}
        self._proven_before: dict[str, TrustedIssuer] = {}
        self._loads: dict[str, float] = {}
        self._loading: dict[int, dict[str, object]] = {}

    def get(self, identifier: str, /) -> TrustedIssuer | None:
        """As :class:`~jwt_wsgi.verifier.Issuers`. A tenant whose settings are wrong is a 503."""
        for memory in (self._proven, self._proven_before, self._named):
            if (tenant := memory.get(identifier)) is not None:
                return tenant
        if not 0 < len(identifier) <= MAX_IDENTIFIER or not identifier.isprintable():
            return None
        issuer = self._resolve(identifier)
        if issuer is None or issuer.identifier != identifier:
            return None
        return self._named_by_somebody(issuer)

    def proven(self, tenant: TrustedIssuer) -> None:
        """A token of this tenant has verified: no stranger pushes it out any more."""
        identifier = tenant.identifier
        if identifier in self._proven:
            return
        if isinstance(tenant.keys, _FirstLoad):
            tenant = replace(tenant, keys=tenant.keys.source)
        if len(self._proven) >= self._most:
            self._proven, self._proven_before = {}, self._proven
        self._proven[identifier] = tenant
        self._named.pop(identifier, None)

    def __iter__(self) -> Iterator[str]:
        yield from (*self._proven, *self._proven_before)

    def __contains__(self, identifier: object, /) -> bool:
        return identifier in self._proven or identifier in self._proven_before

    def values(self) -> Iterable[TrustedIssuer]:
        """The verified tenants in memory."""
        return ({**self._proven_before, **self._proven}).values()

    def _named_by_somebody(self, issuer: Issuer) -> TrustedIssuer:
        try:
            tenant = self._build(issuer)
        except ConfigurationError as error:
            raise KeysUnavailableError(60, f"settings of {issuer!r} are wrong: {error}") from error
        if isinstance(tenant.keys, RemoteKeys):
            self._check_cooldown(issuer.identifier)
            tenant = replace(tenant, keys=_FirstLoad(tenant.keys, issuer.identifier, self))
        tenant = self._named.setdefault(issuer.identifier, tenant)
        for surplus in list(self._named)[:-MAX_NAMED]:
            self._named.pop(surplus, None)
        return tenant

    def _check_cooldown(self, identifier: str) -> None:
        """Eviction makes nobody forget when a tenant's keys were loaded last."""
        now = self._clock()
        if (rest := self._loads.get(identifier, -self._cooldown) + self._cooldown - now) > 0:
            raise KeysUnavailableError(rest, "the tenant was loaded a moment ago")

    def begin(self, identifier: str) -> "dict[str, object]":
        """Note a first load, unless there are too many; the result forgets it when it is over."""
        loading = self._loading.setdefault(os.getpid(), {})  # a fork's child has none of them
        if identifier not in loading and len(loading) >= MAX_LOADING:
            raise KeysUnavailableError(1, "too many tenants load their first keys")
        now = self._clock()
        if len(self._loads) >= MAX_LOADS:
            recent = list(self._loads.items())
            self._loads = {name: at for name, at in recent if now - at < self._cooldown}
            if len(self._loads) >= MAX_LOADS:
                raise KeysUnavailableError(self._cooldown, "too many tenants were loaded lately")
        loading[identifier] = self._loads[identifier] = now
        return loading


class _FirstLoad:
    """The keys of a tenant that somebody named; few tenants load their first ones at once."""

    __slots__ = ("_identifier", "_tenants", "source")

    def __init__(self, source: RemoteKeys, identifier: str, tenants: Tenants) -> None:
        self.source, self._identifier, self._tenants = source, identifier, tenants

    def candidates(self, header: Mapping[str, Any]) -> Iterable[Key]:
        if self.source.ready:
            return self.source.candidates(header)
        loading = self._tenants.begin(self._identifier)
        try:
            return tuple(self.source.candidates(header))
        finally:
            loading.pop(self._identifier, None)
