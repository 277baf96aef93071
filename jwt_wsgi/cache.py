"""Remembers verified tokens: to verify one again takes a tenth of the time.

An entry is made only after the signature has been verified, so made-up tokens take no space. It is
valid while the issuer uses the key set that holds its key, and within the times in its claims. The
application's own checks and revocation are asked at every use, because their result may change.
"""

import json
from functools import cache
from hashlib import sha256
from sys import getsizeof
from typing import Any
from typing import Final

from .claims import Claims
from .claims import lifetime
from .errors import KeysUnavailableError
from .errors import ask
from .jose import Key
from .jose import UnverifiedToken
from .keys import KeySet
from .trusted_issuer import TrustedIssuer
from .verifier import Verifier

#: Bytes of memory that all entries together take at most, for each token that may be kept.
BYTES_PER_TOKEN: Final = 3072
#: Bytes of an entry without payload, claims and header, and its places in dicts.
_BARE_ENTRY: Final = 512
#: Texts in the dict of shared texts at most, for each young token that may be kept.
_TEXTS_PER_TOKEN: Final = 4


class CachingVerifier:
    """A :class:`Verifier` that remembers the last ``size`` tokens it has verified, or half as many.

    There are two generations: a token that is not used while ``size / 2`` others come is forgotten.
    A large token takes the place of several: all together have ``size * BYTES_PER_TOKEN`` bytes. No
    lock is taken: single operations of a dict are enough, and a lost entry costs one verification.
    """

    def __init__(self, verifier: Verifier, size: int) -> None:
        self.issuers = verifier.issuers
        self._verifier = verifier
        self._half = max(1, size // 2)
        self._young: dict[bytes, _Entry] = {}
        self._old: dict[bytes, _Entry] = {}
        #: Texts in the claims of the young ones. Not sys.intern: early Pythons 3.12 keep its texts.
        self._texts: dict[str, str] = {}
        self._bytes = 0

    def verify(self, token: str) -> Claims:
        """As :meth:`Verifier.verify`; every call returns a new copy of the claims."""
        if len(token) > self._verifier.max_token_size:
            return self._verifier.verify(token)  # which refuses it, before it is hashed
        name = sha256(token.encode("utf-8", "surrogatepass")).digest()
        entry = self._young.get(name)
        if entry is None and (entry := self._old.get(name)) is not None:
            self._keep(name, entry, entry.size)
        if entry is not None:
            issuer = entry.issuer
            if (
                entry.starts <= self._verifier.clock() < entry.ends
                and _current(issuer) is entry.keyset  # asking refreshes the keys when they are due
                and self.issuers.get(issuer.identifier) is issuer
            ):
                size = entry.size
                claims = entry.own_claims(self._texts)
                if entry.size != size:  # the claims were built just now
                    self._keep(name, entry, entry.size - size)
                self._verifier.admit(issuer, claims)
                return claims
        issuer, key, verified = self._verifier.authenticate(token)
        can_be_shared = verified.head in self._verifier.heads
        if can_be_shared and (keyset := _keyset_of(issuer, key, verified.header)) is not None:
            entry = _Entry(verified, issuer, keyset)
            self._keep(name, entry, entry.size)
        claims = Claims.of(verified.claims, verified.header)
        self._verifier.admit(issuer, claims)
        return claims

    def _keep(self, name: bytes, entry: "_Entry", more: int) -> None:
        """Keep an entry among the young ones; ``more``: bytes that it adds to them."""
        self._bytes += more
        full = len(self._young) >= self._half and name not in self._young
        if full or self._bytes > self._half * BYTES_PER_TOKEN:
            self._young, self._old, self._bytes = {}, self._young, entry.size
            self._texts = {}
        elif len(self._texts) > self._half * _TEXTS_PER_TOKEN:
            self._texts = {}
        self._young[name] = entry


class _Entry:
    """One verified token. Its claims are built when it comes again: most tokens come once."""

    __slots__ = (
        "claims", "copied", "ends", "header", "issuer", "keyset", "payload", "size", "starts"
    )  # fmt: skip

    def __init__(self, token: UnverifiedToken, issuer: TrustedIssuer, keyset: KeySet) -> None:
        self.issuer, self.header, self.keyset = issuer, token.header, keyset
        self.payload = token.payload
        #: Bytes of memory. Shared texts count for each entry: the others may be dropped first.
        self.size = _BARE_ENTRY + len(token.payload) + 4 * len(token.head)
        self.starts, self.ends = lifetime(
            token.claims, leeway=issuer.leeway, max_age=issuer.max_age
        )
        self.claims: dict[str, Any] | None = None
        self.copied: tuple[str, ...] = ()

    def own_claims(self, texts: dict[str, str]) -> Claims:
        """A copy of the claims for one request. Only texts are shared, which cannot be changed."""
        payload = self.payload  # read first: another thread may drop it below
        if self.claims is None:
            claims = json.loads(payload)
            nested = tuple(name for name, value in claims.items() if _is_nested(value))
            if any(_is_nested(member) for name in nested for member in _members(claims[name])):
                return Claims.of(claims, self.header)  # too deep to copy; built anew each time
            self.copied, self.claims, self.payload = nested, _shared(claims, texts), b""
            self.size += _size(self.claims) + getsizeof(nested) - len(payload)
        own = Claims(self.claims)
        own.header = self.header.copy()
        for name in self.copied:
            own[name] = own[name].copy()
        return own


def _keyset_of(issuer: TrustedIssuer, key: Key, header: dict[str, Any]) -> KeySet | None:
    """The key set that an entry belongs to: the current one, if it still holds the key."""
    source: Any = type(issuer.keys)  # not __class__, which a proxy may answer for what it wraps
    keyset = _current(issuer) if _has_sets(source) else None
    return keyset if isinstance(keyset, KeySet) and key in keyset.candidates(header) else None


def _current(issuer: TrustedIssuer) -> object:
    """The set in use of a source that has ``current()``. Raises :class:`AuthError`."""
    keys: Any = issuer.keys
    return ask(keys.current, blamed=None, outage=KeysUnavailableError)


@cache
def _has_sets(source: type) -> bool:
    """Whether a key source promises to yield keys of its ``current()`` set, and no others.

    :class:`~jwt_wsgi.keys.KeySource` says how. Tokens of other sources are not remembered, because
    such a source may refuse a key that it has yielded before.
    """
    promised = getattr(source, "candidates_are_current", None)
    is_kept = promised is not None and promised is source.candidates  # type: ignore[attr-defined]
    return is_kept and hasattr(source, "current")


def _shared(value: Any, texts: dict[str, str]) -> Any:
    """The same, with the texts that entries have in common kept once: names, ``aud``, roles."""
    if isinstance(value, str):
        return texts.setdefault(value, value)
    if isinstance(value, dict):
        return {_shared(name, texts): _shared(member, texts) for name, member in value.items()}
    return [_shared(member, texts) for member in value] if isinstance(value, list) else value


def _size(value: Any) -> int:
    """Bytes of memory of a JSON value, names and members included."""
    members = (*value, *value.values()) if isinstance(value, dict) else value
    inside = sum(map(_size, members)) if _is_nested(value) else 0
    return getsizeof(value) + inside


def _is_nested(value: object) -> bool:
    return isinstance(value, (list, dict))


def _members(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value
