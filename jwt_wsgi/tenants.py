"""Issuers that a function names: a bounded memory that made-up tokens cannot exhaust.

Any client can write the ``iss`` of a real tenant into a token. So there are two memories: a tenant
that was only named by a token never pushes out a tenant whose token was verified. A few
tenants load their first keys at a time; the others are answered 503 and load later.

A function of ``iss`` alone is asked again after ``max_age``. If it returns None, the tenant is
refused; if it returns other terms or other keys, these are used. While it fails, the tenants in
memory stay as they are.

A function that sees the request as well is asked for each request, because its answer may be right
for this request only. Keys are remembered, and what was made of an answer is used for equal ones.
"""

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import Final

from .claims import Claims
from .errors import AuthError
from .errors import ConfigurationError
from .errors import InvalidTokenError
from .errors import KeysUnavailableError
from .errors import ask
from .events import Emit
from .events import FunctionFailed
from .events import logger
from .jose import Key
from .key_sources.remote import RemoteKeys
from .process_lock import PerProcess
from .process_lock import ProcessLock
from .recent import Recent
from .scope_hierarchy import Included
from .scope_hierarchy import granting
from .settings.issuer import FETCH_OPTIONS
from .settings.issuer import KEY_SLOT
from .settings.issuer import Issuer
from .trusted_issuer import TrustedIssuer
from .urls import check_issuer
from .urls import shown_url

#: Tenants remembered because a token named them, and names that are remembered as refused.
MAX_NAMED: Final = 1024
#: Seconds for which a name that the function has refused is not asked for again.
REFUSED_FOR: Final = 5.0
#: Tenants that load their first keys at the same time.
MAX_LOADING: Final = 4
#: The most first loads that are remembered, also of tenants that are no longer in memory. If more
#: tenants may be kept, the limit is four times their number.
MAX_LOADS: Final = 16384
#: Characters of an ``iss`` that is asked for.
MAX_IDENTIFIER: Final = 1024
#: The value of ``until`` of a tenant that is not yet, or no longer, in memory.
NOT_HELD: Final = float("-inf")


@dataclass(slots=True, eq=False)
class _Tenant:
    """The function's answer, what was made of it, and when the function is asked again."""

    issuer: Issuer
    trusted: TrustedIssuer
    until: float = NOT_HELD


#: The environ of the request whose token is being verified.
_request: Final[ContextVar[Mapping[str, Any] | None]] = ContextVar("_request", default=None)


class Tenants:
    """Finds the issuer of a token through ``resolve``, and remembers it with its keys.

    ``resolve(iss)`` returns an :class:`Issuer`, or None for one that is not trusted; ``build``
    makes it ready. ``cooldown``: seconds between first loads of a tenant's keys. ``max_age``:
    seconds after which the function is asked again. ``most``: at least as many verified tenants
    are kept, and at most twice as many. ``sees_request``: the function is ``resolve(iss, environ)``
    and is asked for each request; see :func:`verified_with`. ``emit`` gets its failures.

    Reading takes no lock. Writing takes one for a few lines, never while ``resolve`` or ``build``
    runs. An answer replaces only the tenant that was in memory when the function was asked.
    """

    def __init__(
        self,
        resolve: Callable[..., Issuer | None],
        *,
        build: Callable[[Issuer], TrustedIssuer],
        cooldown: float,
        max_age: float,
        most: int,
        sees_request: bool,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve, self._build, self._emit = resolve, build, emit
        self.sees_request = sees_request
        self._cooldown, self._max_age, self._clock = cooldown, max_age, clock
        self._max_loads = max(MAX_LOADS, 4 * most)
        self._closed = False
        self._lock = ProcessLock()
        self._proven: Recent[_Tenant] = Recent(most)
        self._named: Recent[_Tenant] = Recent(MAX_NAMED // 2)
        #: Until when the function is not asked for a name that it has refused.
        self._refused: Recent[float] = Recent(MAX_NAMED // 2)
        #: The tenants that load their first keys now, in their order, and when each tenant did so
        #: last. A forked child has none of its parent's threads.
        self._loads: PerProcess[tuple[dict[str, list[_FirstKeys]], dict[str, float]]] = PerProcess(
            lambda: ({}, {})
        )

    def get(self, identifier: str, /) -> TrustedIssuer | None:
        """As :class:`~jwt_wsgi.verifier.Issuers`.

        Raises :class:`InvalidTokenError` for an ``iss`` that looks like a URL and is not in
        normal form, and :class:`KeysUnavailableError` if the function fails or the settings of
        the tenant are wrong.
        """
        if self.sees_request:
            return self._ask_for_request(identifier)
        now, held = self._clock(), self._held(identifier)
        if held is None:
            refused = self._is_refused(identifier) or not _may_be_asked(identifier)
            return None if refused else self._ask(identifier, None)
        if now < held.until:
            return held.trusted
        with self._lock():
            if now < held.until or self._held(identifier) is not held:
                return held.trusted  # another request asks, or has asked
            held.until = now + self._cooldown  # until then all are served if the function fails
        return self._ask(identifier, held)

    def proven(self, trusted: TrustedIssuer) -> None:
        """Note that a token of this tenant was verified: made-up tokens no longer push it out.

        A tenant that the function has replaced while the request was served does not come back. A
        tenant that made-up tokens have pushed out meanwhile does.
        """
        name, keys = trusted.identifier, trusted.keys
        held = self._proven.young.get(name)
        if held is not None and held.trusted is trusted and not isinstance(keys, _FirstKeys):
            return
        with self._lock():
            held = self._held(name)
            if held is None and isinstance(keys, _FirstKeys) and not self._is_refused(name):
                held = keys.tenant if keys.tenant.until != NOT_HELD else None
            if held is None or held.trusted is not trusted:
                return
            if isinstance(keys, _FirstKeys):
                held.trusted = replace(trusted, keys=keys.source)
            self._named.pop(name)
            self._proven.put(name, held)

    def close(self) -> None:
        """Stop loading first keys, and stop refreshing the keys of tenants that were only named."""
        self._closed = True
        for tenant in self._named.all():
            if isinstance(tenant.trusted.keys, _FirstKeys):
                tenant.trusted.keys.source.close()

    def __iter__(self) -> Iterator[str]:
        """Yield nothing: there are too many tenants to read, and none may learn of the others."""
        return iter(())

    def __contains__(self, identifier: object, /) -> bool:
        return isinstance(identifier, str) and self._proven.get(identifier) is not None

    def values(self) -> Iterable[TrustedIssuer]:
        """The verified tenants in memory."""
        return [tenant.trusted for tenant in self._proven.all()]

    def _held(self, name: str) -> _Tenant | None:
        return self._proven.get(name) or self._named.get(name)

    def _is_refused(self, name: str) -> bool:
        return self._clock() < (self._refused.get(name) or 0.0)

    def _ask(self, name: str, before: _Tenant | None) -> TrustedIssuer | None:
        """Ask the function. ``before``: the tenant in memory, which is its last answer."""
        try:
            issuer = self._answer(name)
            after = self._made(issuer, before) if issuer is not None else None
        except KeysUnavailableError as error:
            if before is None:
                raise
            self._report(name, error)
            return before.trusted
        except AuthError:
            self._hold(name, before, None)
            raise
        except ConfigurationError as error:
            self._hold(name, before, None)
            raise _wrong_settings(name, error) from error
        held = self._hold(name, before, after, refused_for=REFUSED_FOR)
        return held.trusted if held is not None else None

    def _ask_for_request(self, name: str) -> TrustedIssuer | None:
        """Ask the function about the request that is being authenticated.

        The request is judged by this answer alone. A refusal, an error, or the answer that another
        request gets at the same time changes nothing for it, and a refusal takes nothing out of
        memory: a client could send a token of a tenant to an API that does not trust it.
        """
        request = _request.get()
        if request is None:
            raise KeysUnavailableError(detail="the function sees requests, and there is no request")
        issuer = self._answer(name, request) if _may_be_asked(name) else None
        if issuer is None:
            return None
        before = self._held(name)
        try:
            after = self._made(issuer, before)
        except ConfigurationError as error:
            raise _wrong_settings(name, error) from error
        if after is not before:
            self._hold(name, before, after)
        return after.trusted

    def _answer(self, name: str, *request: Mapping[str, Any]) -> Issuer | None:
        issuer: Any = ask(self._resolve, name, *request, blamed=None, outage=KeysUnavailableError)
        if issuer is not None and not isinstance(issuer, Issuer):
            raise KeysUnavailableError(60, "the function returned neither an Issuer nor None")
        return issuer if issuer is not None and issuer.identifier == name else None

    def _report(self, name: str, error: AuthError) -> None:
        """Report that the function could not answer for a tenant that is held."""
        outcome = f"tenant {shown_url(name)} stays as it is"
        if error.failure is not None:
            self._emit(FunctionFailed(*error.failure, outcome))
        else:
            logger.warning("%s: %s", outcome, error.detail)

    def _made(self, issuer: Issuer, before: _Tenant | None) -> _Tenant:
        """Make a tenant of the answer. Raises :class:`ConfigurationError`."""
        if before is not None and _same_terms(issuer, before.issuer):
            return before
        tenant = _Tenant(issuer, self._build(issuer))
        if before is not None and _same_keys(issuer, before.issuer):
            tenant.trusted = replace(tenant.trusted, keys=before.trusted.keys)
        elif isinstance(tenant.trusted.keys, RemoteKeys):
            keys = _FirstKeys(tenant.trusted.keys, tenant, self)
            tenant.trusted = replace(tenant.trusted, keys=keys)
        return tenant

    def _hold(
        self,
        name: str,
        before: _Tenant | None,
        after: _Tenant | None,
        refused_for: float = 0.0,
    ) -> _Tenant | None:
        """Replace ``before`` by ``after`` in memory; None: no tenant. Return the tenant there now.

        Nothing changes if another request was faster: its answer has replaced ``before``, or was
        that there is no such tenant. ``refused_for``: seconds.
        """
        with self._lock():
            held = self._held(name)
            if held is None:  # a new name, or made-up tokens have pushed it out meanwhile
                late = self._is_refused(name) or (before is not None and before.until == NOT_HELD)
            else:
                late = held is not before
            if late:
                return held
            if before is not None:
                before.until = NOT_HELD
            if after is None:
                self._proven.pop(name)
                self._named.pop(name)
                self._refused.put(name, self._clock() + refused_for)
                return None
            after.until = self._clock() + self._max_age
            if held is None:
                self._named.put(name, after)
            else:
                (self._proven if name in self else self._named).swap(name, after)
            return after

    # -- loading first keys --

    def first_load(
        self, asking: "_FirstKeys", header: Mapping[str, Any]
    ) -> tuple[RemoteKeys, Iterable[Key]]:
        """Return the source of the keys, and the keys. A second request waits for the first one.

        Raises :class:`KeysUnavailableError` as the source does; and if the tenant has loaded within
        the cooldown, if :data:`MAX_LOADING` others are loading, or if the keys were replaced.
        """
        name = asking.tenant.issuer.identifier
        loading, loads = self._loads()
        mine = [asking]  # another object for each request
        (found,) = held = loading.setdefault(name, mine)
        first = found.source
        try:
            if not _same_keys(found.tenant.issuer, asking.tenant.issuer):
                raise KeysUnavailableError(1, "the function has replaced the keys that are loading")
            if not first.ready and name not in list(loading)[:MAX_LOADING]:
                raise KeysUnavailableError(1, "too many tenants load their first keys")
            if held is mine and not first.ready:
                self._note_load(name, loads)
            return first, tuple(first.candidates(header))
        finally:
            if held is mine:
                loading.pop(name, None)
            if self._closed:
                first.close()

    def _note_load(self, name: str, loads: dict[str, float]) -> None:
        """Note the time of the load: a tenant that is pushed out and named again has to wait."""
        now = self._clock()
        if self._closed:
            raise KeysUnavailableError(60, "closed")
        if (rest := loads.get(name, -self._cooldown) + self._cooldown - now) > 0:
            raise KeysUnavailableError(rest, "the tenant was loaded a moment ago")
        if len(loads) >= self._max_loads:
            for other, at in list(loads.items()):
                if now - at >= self._cooldown:
                    loads.pop(other, None)
        if len(loads) >= self._max_loads:
            raise KeysUnavailableError(self._cooldown, "too many tenants were loaded lately")
        loads[name] = now


class _FirstKeys:
    """The keys of a tenant before its first verified token. Few tenants load them at a time."""

    __slots__ = ("_tenants", "source", "tenant")

    def __init__(self, source: RemoteKeys, tenant: _Tenant, tenants: Tenants) -> None:
        self.source, self.tenant, self._tenants = source, tenant, tenants

    def candidates(self, header: Mapping[str, Any]) -> Iterable[Key]:
        if self.source.ready:
            return self.source.candidates(header)
        self.source, keys = self._tenants.first_load(self, header)
        return keys


def verified_with(
    request: Mapping[str, Any],
    verify: Callable[[str], Claims],
    token: str,
    includes: Included | None = None,
) -> Claims:
    """Return ``verify(token)``; a function that sees the request is asked with ``request``.

    ``includes``: what scopes include.

    The request is forgotten afterwards: it must not decide about a later token.
    """
    mark = _request.set(request)
    try:
        claims = verify(token)
    finally:
        _request.reset(mark)
    verified: Claims = granting(claims, includes)
    return verified


def _wrong_settings(name: str, error: ConfigurationError) -> KeysUnavailableError:
    return KeysUnavailableError(60, f"settings of tenant {shown_url(name)} are wrong: {error}")


def _may_be_asked(name: str) -> bool:
    """Whether the function may see this ``iss``, which it may pass on to a database or a log."""
    if not 0 < len(name) <= MAX_IDENTIFIER or not name.isprintable():
        return False
    if problem := check_issuer(name):
        raise InvalidTokenError("issuer_not_trusted", problem)
    return True


def _same_terms(one: Issuer, other: Issuer) -> bool:
    """Whether both are configured alike."""
    return one.keys is other.keys and one.options == other.options


def _same_keys(one: Issuer, other: Issuer) -> bool:
    """Whether both have their keys in the same place. The keys in memory then stay in use."""
    places = (
        [issuer.options.get(name) for name in sorted(KEY_SLOT | FETCH_OPTIONS)]
        for issuer in (one, other)
    )
    return one.keys is other.keys and next(places) == next(places)
