"""Verified tokens, remembered: the verifier's one method, at a tenth of the price.

An entry is made by a signature that verified, so a stranger fills nothing. It is good while the
issuer's key set is the one that holds its key, and between the times that its claims name.
What may change from one use to the next (own checks, revocation) is asked at every use.
"""

import json
from functools import cache
from hashlib import sha256
from typing import Any
from typing import Final

from .claims import Claims
from .claims import lifetime
from .jose import Key
from .jose import UnverifiedToken
from .keys import KeySet
from .trusted_issuer import TrustedIssuer
from .verifier import Verifier

#: Bytes of payloads that are kept, for each token that may be.
BYTES_PER_TOKEN: Final = 2048


class CachingVerifier:
    """A :class:`Verifier` that remembers the last ``size`` tokens it has verified, or half as many.

    Two generations: what is not used while ``size / 2`` others come is forgotten. No lock is
    taken: single operations of a dict are enough, and a lost entry costs one verification.
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
        """As :meth:`Verifier.verify`; every call returns claims of its own."""
        name = sha256(token.encode("utf-8", "surrogatepass")).digest()
        entry = self._young.get(name)
        if entry is None and (entry := self._old.get(name)) is not None:
            self._keep(name, entry)
        if entry is not None:
            issuer = entry.issuer
            keys: Any = issuer.keys  # it has current(), or there would be no entry
            if (
                entry.starts <= self._verifier.clock() < entry.ends
                and keys.current() is entry.keyset  # asking refreshes the keys when they are due
                and self.issuers.get(issuer.identifier) is issuer
            ):
                claims = entry.own_claims(self._texts)
                self._verifier.admit(issuer, claims)
                return claims
        issuer, key, verified = self._verifier.authenticate(token)
        can_be_shared = verified.head in self._verifier.heads
        if can_be_shared and (keyset := _keyset_of(issuer, key, verified.header)) is not None:
            self._keep(name, _Entry(verified, issuer, keyset))
        claims = Claims.of(verified.claims, verified.header)
        self._verifier.admit(issuer, claims)
        return claims

    def _keep(self, name: bytes, entry: "_Entry") -> None:
        self._bytes += entry.size
        if len(self._young) >= self._half or self._bytes > self._half * BYTES_PER_TOKEN:
            self._young, self._old, self._bytes = {}, self._young, entry.size
            self._texts = {}
        self._young[name] = entry


class _Entry:
    """One verified token. Its claims are built when it comes again: most tokens come once."""

    __slots__ = (
        "claims", "copied", "ends", "header", "issuer", "keyset", "payload", "size", "starts"
    )  # fmt: skip

    def __init__(self, token: UnverifiedToken, issuer: TrustedIssuer, keyset: KeySet) -> None:
        self.issuer, self.header, self.keyset = issuer, token.header, keyset
        self.payload, self.size = token.payload, len(token.payload)
        self.starts, self.ends = lifetime(
            token.claims, leeway=issuer.leeway, max_age=issuer.max_age
        )
        self.claims: dict[str, Any] | None = None
        self.copied: tuple[str, ...] = ()

    def own_claims(self, texts: dict[str, str]) -> Claims:
        """Claims that no other request has, down to their last list, but for ``texts``."""
        payload = self.payload  # before the question: another thread may drop it after it
        if self.claims is None:
            claims = json.loads(payload)
            nested = tuple(name for name, value in claims.items() if _is_nested(value))
            if any(_is_nested(member) for name in nested for member in _members(claims[name])):
                return Claims.of(claims, self.header)  # too deep to copy; built anew each time
            self.copied, self.claims, self.payload = nested, _shared(claims, texts), b""
        own = Claims(self.claims)
        own.header = self.header.copy()
        for name in self.copied:
            own[name] = own[name].copy()
        return own


def _keyset_of(issuer: TrustedIssuer, key: Key, header: dict[str, Any]) -> KeySet | None:
    """The set that an entry lives and dies with: the one of now, if the key is in it still."""
    keys: Any = issuer.keys
    source: Any = type(keys)  # not keys.__class__, which a proxy may answer for what it wraps
    keyset: KeySet | None = keys.current() if _has_sets(source) else None
    if keyset is None or key not in keyset.find(header):
        return None
    return keyset


@cache
def _has_sets(source: type) -> bool:
    """Whether a key source yields what is in its ``current()`` set, and nothing else.

    It promises that (:class:`~jwt_wsgi.keys.KeySource`). Of the tokens of any other source nothing
    is remembered: it may refuse a key that it has yielded before.
    """
    promised = getattr(source, "candidates_are_current", None)
    return promised is not None and promised is source.candidates  # type: ignore[attr-defined]


def _shared(value: Any, texts: dict[str, str]) -> Any:
    """The same, with the texts that entries have in common kept once: names, ``aud``, roles."""
    if isinstance(value, str):
        return texts.setdefault(value, value)
    if isinstance(value, dict):
        return {_shared(name, texts): _shared(member, texts) for name, member in value.items()}
    return [_shared(member, texts) for member in value] if isinstance(value, list) else value


def _is_nested(value: object) -> bool:
    return isinstance(value, (list, dict))


def _members(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value
