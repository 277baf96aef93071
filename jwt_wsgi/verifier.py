"""From a token to verified claims: everything that does not depend on the request."""

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from . import jose
from .claims import Claims
from .errors import AuthError
from .errors import InvalidTokenError
from .events import printable
from .issuer import TrustedIssuer


class Issuers(Protocol):
    """The issuers we trust: a mapping, or anything that finds one by its identifier."""

    def get(self, identifier: str, /) -> TrustedIssuer | None:
        """The issuer of this ``iss``, None if we do not trust it.

        Raises :class:`~jwt_wsgi.errors.KeysUnavailableError` if that cannot be known now.
        """

    def values(self) -> Iterable[TrustedIssuer]:
        """Those in memory, for whoever looks after their keys."""

    def __iter__(self) -> Iterator[str]:
        """Identifiers of some that we trust, for people."""

    def __contains__(self, identifier: object, /) -> bool:
        """Whether it is one of those, at no cost."""


class Verifier:
    """Verifies tokens of the issuers it was given. Knows nothing of HTTP or WSGI.

    .. code-block:: python

        claims = middleware.verifier.verify(token)  # or AuthError

    ``accept_bound_tokens``: something in front has checked the proof that goes with a token
    that has ``cnf`` (RFC 9449, RFC 8705). ``on_verified`` is told the issuer of each good
    signature. ``clock`` returns seconds since 1970.
    """

    def __init__(
        self,
        issuers: Issuers,
        *,
        max_token_size: int = 16384,
        accept_bound_tokens: bool = False,
        on_verified: Callable[[TrustedIssuer], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuers = issuers
        self._max_token_size = max_token_size
        self._accept_bound_tokens = accept_bound_tokens
        self._on_verified = on_verified
        self._clock = clock

    def verify(self, token: str) -> Claims:
        """Return the claims of ``token``, or raise the :class:`AuthError` that says why not.

        Raises :class:`InvalidTokenError` for a bad token and
        :class:`~jwt_wsgi.errors.KeysUnavailableError` if its key cannot be had now.
        """
        if len(token) > self._max_token_size:
            raise InvalidTokenError("token_malformed", "the token is too long")
        unverified = jose.parse(token)
        try:
            return self._verify(unverified)
        except AuthError as error:
            error.token = facts(unverified)
            raise

    def _verify(self, token: jose.UnverifiedToken) -> Claims:
        issuer = self._issuer_of(token)
        issuer.check_header(token.header)
        issuer.check_claims(token.claims, self._clock())  # before keys: costs no fetch, no crypto
        self._check_signature(token, issuer)
        if self._on_verified is not None:
            self._on_verified(issuer)
        if "cnf" in token.claims and not self._accept_bound_tokens:
            raise InvalidTokenError("token_bound", "it has cnf and came as a plain bearer token")
        return Claims(token.claims, token.header)

    def _issuer_of(self, token: jose.UnverifiedToken) -> TrustedIssuer:
        """The unverified ``iss`` only selects from the issuers we trust (RFC 8725 section 3.8)."""
        identifier = token.claims.get("iss")
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
        return f"iss is none of {', '.join(islice(self.issuers, 5))}"

    def _check_signature(self, token: jose.UnverifiedToken, issuer: TrustedIssuer) -> None:
        algorithm, tried = token.header["alg"], 0
        for key in issuer.keys.candidates(token.header):
            if jose.verify(algorithm, key, token.signed, token.signature):
                return
            tried += 1
        if not tried:
            raise InvalidTokenError("key_not_found", "no key of the issuer fits kid and alg")
        raise InvalidTokenError("signature_invalid", f"{tried} keys tried")


def facts(token: jose.UnverifiedToken) -> dict[str, str]:
    """What a log line may say of a token that is not verified: escaped and cut."""
    named = {
        "issuer": token.claims.get("iss"),
        "algorithm": token.header.get("alg"),
        "kid": token.header.get("kid"),
    }
    return {name: printable(value) for name, value in named.items() if value is not None}
