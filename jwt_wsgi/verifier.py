"""Verify a token: everything that does not depend on the request."""

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Any
from typing import Final
from typing import Protocol
from typing import TypeAlias

from . import jose
from .claims import Claims
from .errors import AuthError
from .errors import InvalidTokenError
from .errors import KeyNotKnownYetError
from .errors import KeysUnavailableError
from .errors import for_one_request
from .errors import refusal
from .revocation.revocations import Revoked
from .trusted_issuer import TrustedIssuer

#: Characters a token may have, unless the settings say otherwise.
MAX_TOKEN_SIZE: Final = 16384
#: Headers that are remembered; an issuer has one for each of its keys.
MAX_HEADS: Final = 512
MAX_HEAD: Final = 1024  # characters of one that is remembered
MAX_HEAD_MEMBERS: Final = 16  # a dict takes several times the memory of its text


class Issuers(Protocol):
    """The issuers we trust: a mapping, or anything that finds one by its identifier."""

    def get(self, identifier: str, /) -> TrustedIssuer | None:
        """The issuer of this ``iss``, None if we do not trust it.

        Raises :class:`~jwt_wsgi.errors.KeysUnavailableError` if that cannot be known now.
        """

    def values(self) -> Iterable[TrustedIssuer]:
        """The issuers in memory, for loading and reporting their keys."""

    def __iter__(self) -> Iterator[str]:
        """Identifiers of trusted issuers, for messages; a tenants' memory yields none."""

    def __contains__(self, identifier: object, /) -> bool:
        """Whether it is an issuer in memory. Fetches nothing and asks no function."""


#: A result that can be remembered. It is valid while the key is in its set, within the times of the
#: claims.
Verified: TypeAlias = tuple[TrustedIssuer, jose.Key, jose.UnverifiedToken]


class Verifier:
    """Verifies tokens of the issuers it was given. Knows nothing of HTTP or WSGI.

    .. code-block:: python

        claims = middleware.verifier.verify(token)  # or AuthError

    ``accept_bound_tokens``: something in front has checked the proof that goes with a token
    that has ``cnf`` (RFC 9449, RFC 8705). ``revoked(claims)`` is asked at every use of a token.
    ``on_verified`` is called with the issuer of each good signature. ``clock``: seconds since 1970.
    """

    def __init__(
        self,
        issuers: Issuers,
        *,
        max_token_size: int = MAX_TOKEN_SIZE,
        accept_bound_tokens: bool = False,
        revoked: Revoked | None = None,
        on_verified: Callable[[TrustedIssuer], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuers = issuers
        self.clock = clock
        self.max_token_size = max_token_size
        self._accept_bound_tokens = accept_bound_tokens
        self._revoked = revoked
        self._on_verified = on_verified
        #: Headers of tokens that have verified, by their encoded form; requests share them.
        self.heads: dict[bytes, dict[str, Any]] = {}

    def verify(self, token: str) -> Claims:
        """Return the claims of ``token``, or raise the :class:`AuthError` that says why not.

        Raises :class:`InvalidTokenError` for a bad token, and
        :class:`~jwt_wsgi.errors.KeysUnavailableError` or :class:`KeyNotKnownYetError` if its key
        cannot be had now.
        """
        issuer, _key, verified = self.authenticate(token)
        claims = Claims.of(verified.claims, verified.header)
        self.admit(issuer, claims)
        return claims

    def authenticate(self, token: str) -> Verified:
        """Make every check whose result can be remembered. Raises as :meth:`verify`."""
        if len(token) > self.max_token_size:
            raise InvalidTokenError("token_malformed", "the token is too long")
        unverified = jose.parse(token, self.heads)
        header, claims = unverified.header, unverified.claims
        try:
            issuer = self._issuer_of(claims)
            issuer.check_header(header)
            issuer.check_claims(claims, self.clock())  # before keys: costs no fetch, no crypto
            key = self._check_signature(unverified, issuer)
            if unverified.head not in self.heads:
                self._remember_head(unverified)
            if self._on_verified is not None:
                self._on_verified(issuer)
            if "cnf" in claims and not self._accept_bound_tokens:
                raise InvalidTokenError("token_bound", "it has cnf, and came as a bearer token")
        except AuthError as error:
            vars(error)["claimed"] = claimed(header, claims)
            raise
        return issuer, key, unverified

    def admit(self, issuer: TrustedIssuer, claims: Claims) -> None:
        """Make the checks of every use of a token: the application's own, and revocation."""
        try:
            if issuer.own_checks:
                issuer.check_own(claims, self.clock())
            if self._revoked is not None and self._revoked(claims):
                raise InvalidTokenError("token_revoked")
        except AuthError as error:
            vars(error)["claimed"] = claimed(claims.header, claims)
            raise

    def _remember_head(self, token: jose.UnverifiedToken) -> None:
        """Remember the parsed header: the next token of this key has the same one.

        Requests share it, so it is short and holds no lists and objects.
        """
        nested = any(isinstance(value, list | dict) for value in token.header.values())
        if nested or len(token.header) > MAX_HEAD_MEMBERS or len(token.head) > MAX_HEAD:
            return
        if len(self.heads) >= MAX_HEADS:
            self.heads = {}
        self.heads[token.head] = token.header

    def _issuer_of(self, claims: Mapping[str, Any]) -> TrustedIssuer:
        """The unverified ``iss`` only selects from the issuers we trust (RFC 8725 section 3.8)."""
        identifier = claims.get("iss")
        if not isinstance(identifier, str):
            raise InvalidTokenError("issuer_not_trusted", "iss is missing or no string")
        issuer = self.issuers.get(identifier)
        if issuer is None or issuer.identifier != identifier:
            raise InvalidTokenError("issuer_not_trusted", self._why_not_trusted(identifier))
        return issuer

    def _why_not_trusted(self, identifier: str) -> str:
        for other in (identifier.removesuffix("/"), f"{identifier}/"):
            if other in self.issuers:
                return f"iss differs from {other} in its final slash only; configure it as it is"
        known = ", ".join(islice(self.issuers, 5))
        return f"iss is none of {known}" if known else "iss is not a known issuer"

    def _check_signature(self, token: jose.UnverifiedToken, issuer: TrustedIssuer) -> jose.Key:
        algorithm, tried = token.header["alg"], 0
        try:
            for key in issuer.keys.candidates(token.header):
                if not jose.permitted(key, issuer.algorithms):
                    continue
                if jose.verify(algorithm, key, token.signed, token.signature):
                    return key
                tried += 1
        except KeyNotKnownYetError as error:
            raise for_one_request(error.judged(token.claims.get("iat"), issuer.leeway)) from error
        except AuthError as error:
            raise for_one_request(error) from error
        except Exception as error:  # the source does not know the key, or it is broken
            blamed = partial(InvalidTokenError, "key_not_found")
            raise refusal(issuer.keys, error, blamed=blamed, outage=KeysUnavailableError) from error
        if not tried:
            self.heads.pop(token.head, None)  # its key is no longer there
            raise InvalidTokenError("key_not_found", "no key of the issuer fits kid and alg")
        raise InvalidTokenError("signature_invalid", f"keys tried: {tried}")


def claimed(header: Mapping[str, Any], claims: Mapping[str, Any]) -> tuple[object, object, object]:
    """What a refused token says of itself, unverified, for the log."""
    return claims.get("iss"), header.get("alg"), header.get("kid")
