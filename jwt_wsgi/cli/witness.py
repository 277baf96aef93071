"""Stands in the place of a middleware's verifier, and notes how far a token came in it."""

from typing import TYPE_CHECKING
from typing import Final

from jwt_wsgi.claims import Claims

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwt_wsgi.verifier import Verifier

#: Where the verifier's own part of the line ends for a code.
_ENDS_AT: Final = {
    "token_malformed": "form",
    "issuer_not_trusted": "issuer",
    "algorithm_not_allowed": "header",
    "token_type_not_allowed": "header",
    "key_not_found": "key",
    "keys_unavailable": "key",
    "signature_invalid": "signature",
    "token_bound": "binding",
}
#: Where the part after it ends; any other code there is an own check's.
_ADMITS_AT: Final = {"token_revoked": "revocation", "revocation_unavailable": "revocation"}


class Witness:
    """The real verifier, and how far a token came in it."""

    def __init__(self, verifier: "Verifier") -> None:
        self._verifier, self.issuers = verifier, verifier.issuers
        #: What it was asked for, None if it was not.
        self.token: str | None = None
        self._ends: Callable[[str], str] = lambda _code: "credentials"

    def verify(self, token: str) -> "Claims":
        """As :meth:`Verifier.verify`."""
        self.token = token
        self._ends = lambda code: _ENDS_AT.get(code, "claims")
        issuer, _key, verified = self._verifier.authenticate(token)
        self._ends = lambda code: _ADMITS_AT.get(code, "checks")
        claims = Claims.of(verified.claims, verified.header)
        self._verifier.admit(issuer, claims)
        self._ends = lambda _code: "access"
        return claims

    def ended_at(self, code: str) -> str:
        """The step at which ``code`` was raised; with the empty text the last one."""
        return self._ends(code)
