"""Issuers that a function of yours names: a bounded memory that strangers cannot thrash.

Anybody can put the name of a valid tenant into a token. So what strangers named is kept apart:
it pushes out its like only, never a tenant one of whose tokens has verified. A tenant that comes
back too soon, or while many others load their first keys, is answered 503 and not fetched for.
The function is asked again now and then: who is no tenant any more is refused, and who has other
terms gets these. While it fails, everybody in memory stays what he was.
"""

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from typing import Final
from typing import NamedTuple

from .errors import AuthError
from .errors import ConfigurationError
from .errors import KeysUnavailableError
from .errors import printable
from .events import logger
from .jose import Key
from .key_sources.remote import RemoteKeys
from .process_lock import PerProcess
from .settings.issuer import KEY_SLOT
from .settings.issuer import Issuer
from .trusted_issuer import TrustedIssuer

#: Tenants remembered because somebody named them.
MAX_NAMED: Final = 1024
#: Tenants that load their first keys at the same time.
MAX_LOADING: Final = 4
#: First loads that are remembered, whatever became of the tenant.
MAX_LOADS: Final = 16384
#: Characters of an ``iss`` that is asked for.
MAX_IDENTIFIER: Final = 1024


class _Said(NamedTuple):
    """What the function said of a tenant, and when it is asked again."""

    issuer: Issuer
    until: float


class Tenants:
    """Finds the issuer of a token through ``resolve``, and remembers it with its keys.

    ``resolve(iss)`` returns an :class:`Issuer`, or None for one that is not trusted; ``build``
    makes it ready. ``cooldown``: seconds between first loads of a tenant's keys. ``max_age``:
    seconds after which the function is asked again. ``most``: verified tenants that are kept for
    sure; up to as many again may be. Reading takes no lock, and neither does writing: single
    operations of a dict are enough here.
    """

    def __init__(
        self,
        resolve: Callable[[str], Issuer | None],
        *,
        build: Callable[[Issuer], TrustedIssuer],
        cooldown: float = 30.0,
        max_age: float = 600.0,
        most: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve, self._build = resolve, build
        self._cooldown, self._max_age, self._most, self._clock = cooldown, max_age, most, clock
        self._closed = False
        self._named: dict[str, TrustedIssuer] = {}
        self._proven: dict[str, TrustedIssuer] = {}
        self._proven_before: dict[str, TrustedIssuer] = {}
        self._said: dict[str, _Said] = {}
        #: Which tenants load first keys now, in their order, and when each did last. A child
        #: has none of the threads that load in its parent.
        self._states: PerProcess[tuple[dict[str, list[RemoteKeys]], dict[str, float]]] = PerProcess(
            lambda: ({}, {})
        )

    def get(self, identifier: str, /) -> TrustedIssuer | None:
        """As :class:`~jwt_wsgi.verifier.Issuers`. A tenant whose settings are wrong is a 503."""
        tenant = self._remembered(identifier) or self._named.get(identifier)
        if tenant is None:
            issuer = self._ask(identifier)
            return None if issuer is None else self._named_by_somebody(issuer)
        said = self._said.get(identifier)
        if said is not None and self._clock() < said.until:
            return tenant
        return self._confirmed(tenant, said)

    def proven(self, tenant: TrustedIssuer) -> None:
        """A token of this tenant has verified: no stranger pushes it out any more."""
        identifier = tenant.identifier
        if identifier in self._proven:
            return
        if isinstance(tenant.keys, _FirstLoad):
            tenant = replace(tenant, keys=tenant.keys.source)
        full = self._proven
        if len(full) >= self._most:  # in this order: no reader and no other writer loses it
            gone = self._proven_before.keys() - full.keys()
            self._proven_before = full
            self._proven = {}
            self._forget_said(gone)
        self._proven[identifier] = tenant
        self._named.pop(identifier, None)

    def close(self) -> None:
        """Load no first keys any more."""
        self._closed = True

    def __iter__(self) -> Iterator[str]:
        """None: a thousand tenants are nothing to read, and some of them are not to be told."""
        return iter(())

    def __contains__(self, identifier: object, /) -> bool:
        return identifier in self._proven or identifier in self._proven_before

    def values(self) -> Iterable[TrustedIssuer]:
        """The verified tenants in memory."""
        return ({**self._proven_before, **self._proven}).values()

    def _remembered(self, identifier: str) -> TrustedIssuer | None:
        return self._proven.get(identifier) or self._proven_before.get(identifier)

    def _ask(self, identifier: str) -> Issuer | None:
        if not 0 < len(identifier) <= MAX_IDENTIFIER or not identifier.isprintable():
            return None
        try:
            issuer = self._resolve(identifier)
        except AuthError:
            raise
        except Exception as error:
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            raise KeysUnavailableError(1, f"the function raised {kind}") from error
        if issuer is not None and not isinstance(issuer, Issuer):
            raise KeysUnavailableError(60, "the function returned neither an Issuer nor None")
        return issuer if issuer is not None and issuer.identifier == identifier else None

    def _confirmed(self, tenant: TrustedIssuer, said: _Said | None) -> TrustedIssuer | None:
        """The tenant as the function has it now; while it fails, as it was."""
        name = tenant.identifier
        before = said.issuer if said else None
        if before is not None:  # who comes meanwhile is served, and after a failure we wait
            self._said[name] = _Said(before, self._clock() + self._cooldown)
        try:
            issuer = self._ask(name)
        except KeysUnavailableError as error:
            logger.warning("tenant %s stays as it is: %s", printable(name), error.detail)
            return tenant
        except AuthError:
            self._forget(name)
            raise
        if issuer is None or not _same_keys(issuer, before or issuer):
            self._forget(name)
            return None if issuer is None else self._named_by_somebody(issuer)
        if before is not None and issuer.options != before.options:
            try:
                tenant = replace(self._built(issuer), keys=tenant.keys)
            except KeysUnavailableError:
                self._forget(name)  # wrong settings are no reason to go on by the old ones
                raise
            for memory in (self._proven, self._proven_before, self._named):
                if name in memory:
                    memory[name] = tenant
        self._said[name] = _Said(issuer, self._clock() + self._max_age)
        return tenant

    def _forget(self, identifier: str) -> None:
        for memory in (self._proven, self._proven_before, self._named):
            memory.pop(identifier, None)
        self._said.pop(identifier, None)

    def _forget_said(self, identifiers: Iterable[str]) -> None:
        """What was said of those that are in memory no more."""
        for identifier in identifiers:
            if identifier not in self and identifier not in self._named:
                self._said.pop(identifier, None)

    def _built(self, issuer: Issuer) -> TrustedIssuer:
        try:
            return self._build(issuer)
        except ConfigurationError as error:
            raise KeysUnavailableError(60, f"settings of {issuer!r} are wrong: {error}") from error

    def _named_by_somebody(self, issuer: Issuer) -> TrustedIssuer:
        tenant = self._built(issuer)
        if isinstance(tenant.keys, RemoteKeys):
            tenant = replace(tenant, keys=_FirstLoad(tenant.keys, issuer.identifier, self))
        tenant = self._named.setdefault(issuer.identifier, tenant)
        self._said[issuer.identifier] = _Said(issuer, self._clock() + self._max_age)
        surplus = list(self._named)[:-MAX_NAMED]
        for identifier in surplus:
            self._named.pop(identifier, None)
        self._forget_said(surplus)
        return self._remembered(issuer.identifier) or tenant  # it may have been proven meanwhile

    def first_load(
        self, identifier: str, source: RemoteKeys, header: Mapping[str, Any]
    ) -> tuple[RemoteKeys, tuple[Key, ...]]:
        """The keys, and the source that has them: who comes second waits for the first.

        Raises :class:`KeysUnavailableError` also for a tenant too many, or too soon.
        """
        loading, loads = self._states()
        mine = [source]  # another object each time
        (first,) = found = loading.setdefault(identifier, mine)
        try:
            if not first.ready and identifier not in list(loading)[:MAX_LOADING]:
                raise KeysUnavailableError(1, "too many tenants load their first keys")
            if found is mine and not first.ready:
                self._note_load(identifier, loads)
            return first, tuple(first.candidates(header))
        finally:
            if found is mine:
                loading.pop(identifier, None)

    def _note_load(self, identifier: str, loads: dict[str, float]) -> None:
        """Eviction makes nobody forget when a tenant's keys were loaded last."""
        now = self._clock()
        if self._closed:
            raise KeysUnavailableError(60, "closed")
        if (rest := loads.get(identifier, -self._cooldown) + self._cooldown - now) > 0:
            raise KeysUnavailableError(rest, "the tenant was loaded a moment ago")
        if len(loads) >= MAX_LOADS:
            for name, at in list(loads.items()):
                if now - at >= self._cooldown:
                    loads.pop(name, None)
        if len(loads) >= MAX_LOADS:
            raise KeysUnavailableError(self._cooldown, "too many tenants were loaded lately")
        loads[identifier] = now


class _FirstLoad:
    """The keys of a tenant that somebody named; few tenants load their first ones at once."""

    __slots__ = ("_identifier", "_tenants", "source")

    def __init__(self, source: RemoteKeys, identifier: str, tenants: Tenants) -> None:
        self.source, self._identifier, self._tenants = source, identifier, tenants

    def candidates(self, header: Mapping[str, Any]) -> Iterable[Key]:
        if self.source.ready:
            return self.source.candidates(header)
        self.source, keys = self._tenants.first_load(self._identifier, self.source, header)
        return keys


def _same_keys(one: Issuer, other: Issuer) -> bool:
    """Whether their keys are in the same place, so that those that are held serve on."""
    places = ([issuer.options.get(name) for name in sorted(KEY_SLOT)] for issuer in (one, other))
    return one.keys is other.keys and next(places) == next(places)
