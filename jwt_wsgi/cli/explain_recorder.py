"""Replaces a middleware's verifier, and records how many of its steps a token passed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Final

from jwt_wsgi.claims import Claims

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwt_wsgi.trusted_issuer import TrustedIssuer
    from jwt_wsgi.verifier import Issuers
    from jwt_wsgi.verifier import Verifier

#: The step at which the verifier refuses a token with this code; "claims" for the other codes.
STEP_OF_CODE: Final = {
    "token_malformed": "form",
    "issuer_not_trusted": "issuer",
    "algorithm_not_allowed": "header",
    "token_type_not_allowed": "header",
    "key_not_found": "key",
    "key_not_known_yet": "key",
    "keys_unavailable": "key",
    "signature_invalid": "signature",
    "token_bound": "binding",
}
#: The same for a verified token. Other codes are those of the app's own checks: "checks".
_STEP_AFTER_SIGNATURE: Final = {
    "token_revoked": "revocation",
    "revocation_unavailable": "revocation",
}


class _Issuers:
    """The issuers of a verifier; ``found`` is the one that it has asked for last."""

    def __init__(self, issuers: "Issuers") -> None:
        self._issuers, self.values = issuers, issuers.values
        self.found: TrustedIssuer | None = None

    def get(self, identifier: str, /) -> "TrustedIssuer | None":
        self.found = self._issuers.get(identifier)
        return self.found

    def __iter__(self) -> Iterator[str]:
        return iter(self._issuers)

    def __contains__(self, identifier: object, /) -> bool:
        return identifier in self._issuers


class Recorder:
    """Calls the real verifier, and records the step that the last token reached."""

    def __init__(self, verifier: "Verifier") -> None:
        self._verifier = verifier
        self._issuers = verifier.issuers = _Issuers(verifier.issuers)
        #: The token that the middleware has read; None if it has read none.
        self.token: str | None = None
        self._step_of: Callable[[str], str] = lambda _code: "credentials"

    @property
    def issuer(self) -> "TrustedIssuer | None":
        """The issuer of the token; None if it is not known."""
        return self._issuers.found

    def verify(self, token: str) -> "Claims":
        """As :meth:`Verifier.verify`."""
        self.token = token
        self._step_of = self._step_of_verifier
        issuer, _key, verified = self._verifier.authenticate(token)
        self._step_of = lambda code: _STEP_AFTER_SIGNATURE.get(code, "checks")
        claims = Claims.of(verified.claims, verified.header)
        self._verifier.admit(issuer, claims)
        self._step_of = lambda _code: "access"
        return claims

    def step_of(self, code: str) -> str:
        """The step at which the request was refused with ``code``; the last one for no code."""
        return self._step_of(code)

    def _step_of_verifier(self, code: str) -> str:
        step = STEP_OF_CODE.get(code, "claims")
        # A function that names the issuers may fail: then there is no issuer whose key is missing.
        return "issuer" if step == "key" and self.issuer is None else step
