"""Key sources, and the immutable key set that they find a token's keys in.

A key source is any object with ``candidates(header)``. The verifier tries what it yields, in
order, until a signature verifies. A source that yields nothing has no key for the token.
"""

import hashlib
import json
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import islice
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import Protocol

from . import jose
from .errors import printable
from .jwk_form import NOT_FOR_SIGNATURES
from .jwk_form import normal
from .key_sources.document_kind import why_no_jwks
from .strict_json import json_object

#: Keys tried for one token without ``kid``, or under a ``kid`` that several keys share.
MAX_CANDIDATES: Final = 8
#: Keys of one set; a set with more of them is refused as a whole.
MAX_KEYS: Final = 1024
#: What a public key never has (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class KeySource(Protocol):
    """An object that yields keys: a set, a file, a remote JWKS, or one of your own.

    A source may also have these; each is used where it is there:

    * ``current()`` returns the :class:`KeySet` in use now, or None;
    * ``candidates_are_current = candidates``, in the body of its class, promises that this method
      yields keys of ``current()`` and no others. Verified tokens are then remembered while
      ``current()`` is the same object. A subclass with a ``candidates`` of its own does not
      inherit the promise: its method may refuse a key that it has yielded before.
    * ``warm_up(timeout, *, raises)`` loads keys, and returns whether they are there within
      ``timeout`` seconds; ``raises``: raise :class:`~jwt_wsgi.errors.KeysUnavailableError` instead;
    * ``health()`` returns a dict for JSON whose ``ready`` says whether it has keys; without I/O;
    * ``close()`` ends all fetching.
    """

    def candidates(self, header: Mapping[str, Any]) -> Iterable[jose.Key]:
        """Yield the keys that may have signed a token with this JOSE header, best first.

        ``header["alg"]`` is an allowed algorithm and ``header["kid"]``, if there, a string
        of 1 to 256 characters; neither is verified. Raises
        :class:`~jwt_wsgi.errors.KeysUnavailableError` if the keys cannot be found out now.
        """


class DocumentError(ValueError):
    """The whole document is not a usable JWKS; the message says why."""


class Dropped(NamedTuple):
    """A member of a set that is not used. ``kid``: escaped. ``private``: it has a private part."""

    kid: str
    reason: str
    private: bool = False


class KeySet:
    """An immutable JWKS (RFC 7517 section 5). Bad members are dropped, the rest is used.

    A key is built when a token first needs it, so a set of a thousand keys delays no request.
    """

    __slots__ = ("_any_kid", "_by_kid", "_digest", "_found", "_members", "dropped")

    def __init__(
        self,
        members: Iterable["_Member"],
        dropped: Iterable[Dropped] = (),
        *,
        any_kid: bool = False,
    ) -> None:
        self._members = tuple(members)
        self._any_kid = any_kid
        self.dropped = tuple(dropped)
        self._digest: str | None = None
        self._by_kid: dict[str, list[_Member]] = {}
        #: The keys found for a kid and an alg. Only hits are kept, so made-up kids do not fill it.
        self._found: dict[tuple[str | None, str], tuple[jose.Key, ...]] = {}
        for member in self._members:
            if member.kid is not None:
                self._by_kid.setdefault(member.kid, []).append(member)

    @classmethod
    def parse(cls, document: bytes | str) -> "KeySet":
        """Read a JWKS. Raises :class:`DocumentError` unless it holds one usable key at least."""
        try:
            data = document.encode() if isinstance(document, str) else document
            return cls.of(json_object(data))
        except ValueError as error:
            raise DocumentError(why_no_jwks(document, error)) from error

    @classmethod
    def of(cls, jwks: Mapping[str, Any]) -> "KeySet":
        """Make a set of a parsed JWKS. Raises :class:`DocumentError` as :meth:`parse`."""
        listed = jwks.get("keys")
        if not isinstance(listed, list):
            raise DocumentError('it has no "keys" list')
        if len(listed) > MAX_KEYS:
            raise DocumentError(f"it has {len(listed)} keys, more than {MAX_KEYS}")
        read = [_Member.of(jwk) for jwk in listed]
        members = [member for member in read if isinstance(member, _Member)]
        keyset = cls(members, [dropped for dropped in read if isinstance(dropped, Dropped)])
        if not any(member.key() for member in keyset._members):  # built until one is usable
            reasons = "; ".join(f"{d.kid}: {d.reason}" for d in keyset.unusable()[:5])
            raise DocumentError(f"it has no usable key ({reasons or 'it is empty'})")
        return keyset

    @classmethod
    def single(cls, key: jose.Key) -> "KeySet":
        """One key without a name, for tokens of any ``kid``: a PEM key, a shared secret."""
        return cls([_Member(None, key.kty, key.crv, None, None, key)], any_kid=True)

    def current(self) -> "KeySet":
        """Return this set, which never changes: a key set is also a key source."""
        return self

    def candidates(self, header: Mapping[str, Any]) -> tuple[jose.Key, ...]:
        """The keys that fit ``kid``, ``alg``, ``kty``, ``crv``, ``use`` and ``key_ops``."""
        found = self._found.get((header.get("kid"), header["alg"]))
        return self._find(header) if found is None else found

    candidates_are_current = candidates

    def _find(self, header: Mapping[str, Any]) -> tuple[jose.Key, ...]:
        kid = header.get("kid")
        members: Sequence[_Member] = self._members
        if kid is not None and not self._any_kid:
            members = self._by_kid.get(kid, ())
        fitting = dict.fromkeys(member for member in members if member.fits(header["alg"]))
        # Broken keys, and keys that are listed twice, do not count towards MAX_CANDIDATES.
        built = filter(None, (member.key() for member in fitting))
        keys = tuple(islice(built, MAX_CANDIDATES))
        if keys and not (self._any_kid and kid is not None):  # with any_kid, clients choose the kid
            self._found[kid, header["alg"]] = keys
        return keys

    @property
    def kids(self) -> tuple[str, ...]:
        """The ``kid`` of each key that has one."""
        return tuple(self._by_kid)

    @property
    def digest(self) -> str:
        """SHA-256 of the set: equal sets have equal digests, however they are written down."""
        if self._digest is None:
            texts = sorted({member.canonical for member in self._members})
            self._digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
        return self._digest

    def __contains__(self, kid: object) -> bool:
        return kid in self._by_kid

    def __len__(self) -> int:
        return len(set(self._members))  # the same key twice counts once

    def unusable(self) -> tuple[Dropped, ...]:
        """Every member that is not used. All keys are built, which shows the broken ones."""
        broken = [member for member in dict.fromkeys(self._members) if member.key() is None]
        return (*self.dropped, *(Dropped(_name(member.kid), member.why) for member in broken))


_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class _Member:
    """One JWK that looks usable. Its key is built at first use, and then kept."""

    __slots__ = ("_canonical", "_jwk", "_key", "alg", "crv", "kid", "kty", "why")

    def __init__(
        self,
        kid: str | None,
        kty: str,
        crv: str,
        alg: str | None,
        jwk: Mapping[str, Any] | None,
        key: jose.Key | None = None,
    ) -> None:
        self.kid, self.kty, self.crv, self.alg = kid, kty, crv, alg
        self._jwk, self._key, self.why = jwk, key, ""
        self._canonical: str | None = None

    @classmethod
    def of(cls, jwk: object) -> "_Member | Dropped":
        """Check a member, without arithmetic on its key. A bad member is dropped, not the set."""
        if not isinstance(jwk, dict):
            return Dropped(_name(None), "it is not a JSON object")
        jwk = normal(jwk)
        kid, kty, alg = jwk.get("kid"), jwk.get("kty"), jwk.get("alg")
        name = _name(kid)
        if not _PRIVATE.isdisjoint(jwk):
            return Dropped(name, "it holds a private or secret key", private=True)
        if kty not in ("RSA", "EC", "OKP"):
            return Dropped(name, "its kty is not one that verifies tokens")
        if "kid" in jwk and (not isinstance(kid, str) or not 0 < len(kid) <= jose.MAX_KID_SIZE):
            return Dropped(name, f"its kid is not a string of 1 to {jose.MAX_KID_SIZE} characters")
        if jwk.get("use", "sig") != "sig":
            return Dropped(name, NOT_FOR_SIGNATURES)
        if "key_ops" in jwk and not _may_verify(jwk["key_ops"]):
            return Dropped(name, "its key_ops do not hold verify")
        row = jose.ALGORITHMS.get(alg) if isinstance(alg, str) else None
        if "alg" in jwk and (row is None or row.kty != kty):
            return Dropped(name, "its alg is not a signature algorithm of its kty")
        member = cls(kid, kty, "" if kty == "RSA" else jwk.get("crv", ""), alg, jwk)
        if not member.crv and kty != "RSA" and (key := member.key()):  # one that has only x5c
            member.crv = key.crv
        if not isinstance(member.crv, str) or (kty, member.crv) not in jose.KINDS:
            return Dropped(name, member.why or "its crv is not one that verifies tokens")
        return member

    def fits(self, algorithm: str) -> bool:
        """Whether this key may verify that algorithm (RFC 8725 section 3.1)."""
        row = jose.ALGORITHMS[algorithm]
        fits_kind = self.kty == row.kty and self.crv in row.crvs
        return fits_kind and (self.alg in (None, algorithm) or self.alg in row.aliases)

    def key(self) -> jose.Key | None:
        if self._key is None and self._jwk is not None and not self.why:
            try:
                self._key = jose.import_jwk(self._jwk)
            except jose.UnusableKeyError as error:
                self.why = str(error)
        return self._key

    @property
    def canonical(self) -> str:
        """One text for equal members."""
        if self._canonical is None:
            try:
                self._canonical = _encode(self._jwk)
            except (TypeError, ValueError):  # a set that is written in Python may be no JSON
                self._canonical = repr(sorted((self._jwk or {}).items(), key=repr))
        return self._canonical

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Member) and self.canonical == other.canonical

    def __hash__(self) -> int:
        return hash(self.canonical)  # by kid alone, all keys without kid would have the same hash


def _name(kid: object) -> str:
    return "(without kid)" if kid is None else printable(kid)


def _may_verify(key_ops: object) -> bool:
    return isinstance(key_ops, Sequence) and not isinstance(key_ops, str) and "verify" in key_ops
