"""Revocation of tokens. It is checked for each request, after all other checks of the token.

.. code-block:: python

    revocations = Revocations(RedisStore.from_url("redis://redis.internal:6379/0"))
    revocations.revoke_subject("https://issuer.example", "ada")  # all tokens of ada until now

An entry is for one token (``jti``), for the tokens that a subject got before a time (all of them,
or those without ``sid``), or for a session (``sid``), always of one issuer. Not for opaque tokens,
and no substitute for tokens that live for minutes: an entry must outlive every token it is for.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import Final
from typing import TypeAlias

from jwt_wsgi.claims import MAX_DATE
from jwt_wsgi.claims import MAX_LEEWAY
from jwt_wsgi.errors import AuthError
from jwt_wsgi.errors import RevocationUnavailableError
from jwt_wsgi.errors import blames_the_token
from jwt_wsgi.errors import for_one_request
from jwt_wsgi.errors import name_of
from jwt_wsgi.errors import refusal
from jwt_wsgi.events import Emit
from jwt_wsgi.events import Event
from jwt_wsgi.events import RevocationFailed
from jwt_wsgi.events import RevocationRecovered
from jwt_wsgi.portable import Portable
from jwt_wsgi.strict_json import check_depth

from .store import Breaker
from .store import Store
from .store import StoreError
from .store import why_it_failed

#: A function that returns whether the token with these verified claims is revoked.
Revoked: TypeAlias = Callable[[Mapping[str, Any]], bool]

#: Prefix of every key. The braces put all keys of a token into one slot of a Redis Cluster.
PREFIX: Final = "{jwt_wsgi:revoked}:1:"
#: Seconds that an entry stays unless a lifetime is given: 30 days, which is the
#: longest that Auth0 lets an access token live, and much longer than others do.
LIFETIME: Final = 30 * 86400.0
#: A subject's tokens are valid again if issued this many seconds after the revocation: the
#: issuer's clock, which sets ``iat``, may be ahead of the clock of the store.
MARGIN: Final = 5.0
#: The claim that names what an entry is for.
CLAIMS: Final[Mapping[str, str]] = {
    "token": "jti",
    "subject": "sub",
    "session": "sid",
    "sessionless": "sub",  # a logout of one session: it may be that of a token without sid
}
#: Kinds of entries that are for tokens issued before a time.
TIMED: Final = frozenset({"subject", "sessionless"})


@dataclass(frozen=True, slots=True)
class Entry:
    """What is revoked: ``kind`` is a key of :data:`CLAIMS`, ``name`` the value of its claim.

    Times are seconds since 1970: ``expires``, when the entry may be forgotten; ``not_before``,
    for the kinds in :data:`TIMED`, the ``iat`` from which on tokens are valid.
    """

    kind: str
    issuer: str
    name: str
    expires: float
    not_before: float = math.inf

    @property
    def key(self) -> str:
        """Its key in a store."""
        return _key(self.kind, self.issuer, self.name)

    def revokes(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token with these claims, to which ``key`` belongs, is revoked."""
        if self.kind not in TIMED:
            return True
        issued: Any = claims.get("iat")
        return not (isinstance(issued, int | float) and self.not_before <= issued <= MAX_DATE)

    def as_json(self) -> dict[str, Any]:
        """The entry as JSON has it; ``not_before`` for the kinds in :data:`TIMED` only."""
        found = {"kind": self.kind, "iss": self.issuer, CLAIMS[self.kind]: self.name}
        times = {"expires": self.expires, "not_before": self.not_before}
        return found | {name: when for name, when in times.items() if math.isfinite(when)}

    def to_bytes(self) -> bytes:
        """The value in a store: JSON with a version, never a pickle."""
        return json.dumps({"v": 1} | self.as_json()).encode()

    @classmethod
    def from_bytes(cls, key: str, value: object) -> "Entry":
        """Read a value of a store. Raises ValueError, KeyError or TypeError if it is invalid."""
        if not isinstance(value, bytes):
            raise TypeError("a store returns bytes")
        check_depth(value)
        found = json.loads(value)
        if found["v"] != 1:
            raise ValueError("an entry of another version")
        kind = found["kind"]
        not_before = _date(found["not_before"]) if kind in TIMED else math.inf
        entry = cls(
            kind, found["iss"], found[CLAIMS[kind]], _date(found["expires"]), not_before=not_before
        )
        if entry.key != key:
            raise ValueError("an entry that belongs to another key")
        return entry

    def joined(self, other: "Entry") -> "Entry":
        """Combine two entries: all that either revokes, until the later expiry."""
        return replace(
            self,
            expires=max(self.expires, other.expires),
            not_before=max(self.not_before, other.not_before),
        )


def _key(kind: str, issuer: object, name: object) -> str:
    """A key of fixed form, so that no value of a claim can produce the key of another."""
    # JSON separates the parts. A number becomes the text that a command line would have.
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (issuer, name)]
    return PREFIX + hashlib.sha256(json.dumps([kind, *parts]).encode()).hexdigest()


class _NoAnswerError(Portable, Exception):
    """There is no answer of the store. ``first``: it is the first failure in a row."""

    def __init__(self, why: str, retry_after: float = 1, *, first: bool = False) -> None:
        super().__init__(why)
        self.why, self.retry_after, self.first = why, retry_after, first


def _ignore(_event: Event) -> None:
    pass


class Revocations:
    """Entries in a :class:`~jwt_wsgi.revocation.store.Store`, and whether one is for a token.

    ``fail_open``: while the store fails, tokens count as not revoked. ``clock`` returns seconds
    since 1970, ``elapsed`` monotonic seconds. The methods that add an entry return it
    as it is now, and raise the errors of the store; ``lifetime`` (seconds) must be at least as
    long as the tokens live. An entry that is there is only extended, so it stays revoked.

    Times of entries are by the clock of the store, if it has ``read_time()``: the clock of a host
    that revokes may be wrong, and hosts may disagree.
    """

    def __init__(
        self,
        store: Store,
        *,
        fail_open: bool = False,
        emit: Emit = _ignore,
        clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._fail_open, self._emit = store, fail_open, emit
        self._clock = clock
        self._breaker = Breaker(elapsed)

    def is_revoked(self, claims: Mapping[str, Any]) -> bool:
        """Ask the store for at most three keys.

        Raises :class:`RevocationUnavailableError` if it does not answer, or what it answers
        cannot be read, unless ``fail_open``.
        """
        issuer = claims.get("iss")
        named = {kind: claims[c] for kind, c in CLAIMS.items() if claims.get(c) is not None}
        if "session" in named:
            named.pop("sessionless", None)
        try:
            keys = [_key(kind, issuer, name) for kind, name in named.items()]
            unreadable = None
            for key, value in zip(keys, self._ask(keys), strict=True):
                try:
                    if value is not None and Entry.from_bytes(key, value).revokes(claims):
                        return True
                except Exception as error:  # the other entries may be readable, and enough
                    unreadable = error
        except Exception as error:
            return _unavailable(error, passes=self._fail_open, emit=self._emit)
        if unreadable is not None:
            return _unavailable(unreadable, passes=self._fail_open, emit=self._emit)
        return False

    __call__ = is_revoked

    def revoke_token(
        self, issuer: str, jti: str, expires: float | None = None, *, lifetime: float = LIFETIME
    ) -> Entry:
        """Revoke one token until it has expired. ``expires``: its ``exp``; unknown: ``lifetime``.

        Only for issuers whose ``jti`` is unique, as RFC 7519 section 4.1.7 asks.
        """
        known = None if expires is None else _date(expires) + MAX_LEEWAY
        now = self._now("token", issuer, jti)
        until = now + lifetime if known is None else known
        return self._write(Entry("token", issuer, jti, until), now)

    def revoke_subject(
        self,
        issuer: str,
        subject: str,
        not_before: float | None = None,
        *,
        lifetime: float = LIFETIME,
    ) -> Entry:
        """Revoke the tokens of ``subject`` with an ``iat`` before ``not_before``, or without one.

        ``not_before``: seconds since 1970, by the clock of the issuer; None: :data:`MARGIN` from
        now, so that a token issued until then is revoked as well.
        """
        return self._revoke_before("subject", issuer, subject, not_before, lifetime)

    def revoke_session(self, issuer: str, sid: str, *, lifetime: float = LIFETIME) -> Entry:
        """Revoke every token with this ``sid`` (OpenID Connect Back-Channel Logout 1.0)."""
        now = self._now("session", issuer, sid)
        return self._write(Entry("session", issuer, sid, now + lifetime), now)

    def log_out(
        self, issuer: str, *, subject: str | None, sid: str | None, issued: float, lifetime: float
    ) -> list[Entry]:
        """Revoke what a verified message of ``issuer`` logs out; whatever protocol brought it.

        With ``sid``, its tokens and, if the subject is known, those of the subject that name no
        session: they may be of this one. Else all tokens of the subject. ``issued``: when the
        message was issued, by the clock of the issuer; tokens issued more than :data:`MARGIN` later
        are good. So a message that comes again revokes nothing more. Returns the entries.
        """
        entries = []
        if sid is not None:
            entries.append(self.revoke_session(issuer, sid, lifetime=lifetime))
        if subject is not None:
            kind = "subject" if sid is None else "sessionless"
            before = issued + MARGIN
            entries.append(self._revoke_before(kind, issuer, subject, before, lifetime))
        return entries

    def _revoke_before(
        self, kind: str, issuer: str, subject: str, not_before: float | None, lifetime: float
    ) -> Entry:
        known = None if not_before is None else _date(not_before)
        now = self._now(kind, issuer, subject)
        begins = now + MARGIN if known is None else known
        entry = Entry(kind, issuer, subject, max(now, begins) + lifetime, not_before=begins)
        return self._write(entry, now)

    def undo(self, kind: str, issuer: str, name: str) -> bool:
        """Take an entry away; False if there is none. ``kind``: a key of :data:`CLAIMS`.

        Raises :class:`StoreError` if the store has no ``remove_entry(key)``.
        """
        remove = getattr(self._store, "remove_entry", None)
        if remove is None:
            raise StoreError("this store cannot forget an entry: it has no remove_entry(key)")
        return bool(remove(_key(kind, issuer, name)))

    def entries(self) -> Iterator[Entry | None]:
        """Yield every entry, None for one that cannot be read.

        Raises :class:`StoreError` if the store has no ``scan_entries(prefix)``.
        """
        scan = getattr(self._store, "scan_entries", None)
        if scan is None:
            raise StoreError("this store cannot list its keys: it has no scan_entries(prefix)")
        for key in scan(PREFIX):
            (value,) = self._store.read_entries([key])
            if value is not None:  # it may have expired just now
                yield _readable(key, value)

    def _ask(self, keys: list[str]) -> list[object]:
        if not keys:
            return []
        if wait := self._breaker.wait():
            raise _NoAnswerError("the store failed a moment ago and is not used", wait)
        began = self._breaker.now()
        try:
            values: list[object] = list(self._store.read_entries(keys))
        except Exception as error:
            first = self._breaker.failed(began)
            raise _NoAnswerError(why_it_failed(error), first=first) from error
        seconds = self._breaker.answered()
        if seconds is not None:
            self._emit(RevocationRecovered(seconds))
        return values

    @property
    def uses_clock_of_store(self) -> bool:
        """Whether the store has a clock; else the clock of this host counts."""
        return hasattr(self._store, "read_time")

    def _now(self, kind: str, issuer: str, name: str) -> float:
        """Seconds since 1970. Raises ValueError if the issuer or the name is empty."""
        if not (issuer and name):
            raise ValueError(f"iss and {CLAIMS[kind]} must not be empty")
        if not self.uses_clock_of_store:
            return self._clock()
        found: float = self._store.read_time()  # type: ignore[attr-defined]
        return found

    def _write(self, entry: Entry, now: float) -> Entry:
        """Add the entry, or extend the one that is there. Of two at once, one may be lost."""
        _date(entry.expires)
        if not self._store.add_entry(entry.key, entry.to_bytes(), _timeout(entry, now)):
            held = self._held(entry.key)
            entry = entry.joined(held) if held else entry
            self._store.write_entry(entry.key, entry.to_bytes(), _timeout(entry, now))
        if self._held(entry.key) is None:
            raise StoreError("the store did not keep the entry")
        return entry

    def _held(self, key: str) -> Entry | None:
        (value,) = self._store.read_entries([key])
        return _readable(key, value)


def checker(
    revoked: Revoked | None,
    store: Store | None = None,
    *,
    fail_open: bool = False,
    emit: Emit = _ignore,
) -> Revoked | None:
    """Return one function that combines ``revoked`` and the entries of ``store``, or None."""
    checks: list[Revoked] = []
    if revoked is not None:
        checks.append(guarded(revoked, fail_open=fail_open, emit=emit))
    if store is not None:
        checks.append(Revocations(store, fail_open=fail_open, emit=emit))
    if len(checks) > 1:
        return lambda claims: any(check(claims) for check in checks)
    return checks[0] if checks else None


def guarded(revoked: Revoked, *, fail_open: bool = False, emit: Emit = _ignore) -> Revoked:
    """Wrap a function of the app: its errors become 503, or "not revoked" with ``fail_open``.

    An :class:`AuthError` of its own passes through. A token that the function cannot read is
    refused (:func:`~jwt_wsgi.errors.blames_the_token`), also with ``fail_open``: that is no outage.
    There is no breaker, because the function may raise for one token only.
    """

    def check(claims: Mapping[str, Any]) -> bool:
        try:
            return bool(revoked(claims))
        except AuthError as error:
            raise for_one_request(error) from error
        except Exception as error:
            if blames_the_token(error):
                raise refusal(revoked, error) from error
            return _unavailable(error, passes=fail_open, emit=emit, function=revoked)

    return check


def _unavailable(error: Exception, *, passes: bool, emit: Emit, function: object = None) -> bool:
    """Accept the token or raise. The log names the type of an error, never its text."""
    facts = error
    if not isinstance(facts, _NoAnswerError):
        raised = f"{name_of(function)} raised {name_of(type(error))}"
        facts = _NoAnswerError(raised if function else "the token's claims cannot be looked up")
    emit(RevocationFailed(facts.why, passes, first=facts.first))
    if passes:
        return False
    raise RevocationUnavailableError(facts.retry_after, facts.why) from error


def _timeout(entry: Entry, now: float) -> int:
    # Always a whole number above 0, which every store understands alike.
    return max(1, math.ceil(entry.expires - now))


def _readable(key: str, value: object) -> Entry | None:
    try:
        return Entry.from_bytes(key, value)
    except Exception:
        return None


def _date(seconds: float) -> float:
    if not 0 <= seconds <= MAX_DATE:
        raise ValueError("give seconds since 1970, and not milliseconds")
    return seconds
