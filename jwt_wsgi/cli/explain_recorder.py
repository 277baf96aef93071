"""Replaces a middleware's verifier, and records how many of its steps a token passed."""

from typing import TYPE_CHECKING
from typing import Final

from jwt_wsgi.claims import Claims

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwt_wsgi.verifier import Verifier

#: The step at which the verifier refuses a token with this code; "claims" for the other codes.
_STEP_OF_CODE: Final = {
    "token_malformed": "form",
    "issuer_not_trusted": "issuer",
    "algorithm_not_allowed": "header",
    "token_type_not_allowed": "header",
    "key_not_found": "key",
    "keys_unavailable": "key",
    "signature_invalid": "signature",
    "token_bound": "binding",
}
#: The same for a verified token. Other codes are those of the app's own checks: "checks".
_STEP_AFTER_SIGNATURE: Final = {
    "token_revoked": "revocation",
    "revocation_unavailable": "revocation",
}


class Recorder:
    """Calls the real verifier, and records the step that the last token reached."""

    def __init__(self, verifier: "Verifier") -> None:
        self._verifier, self.issuers = verifier, verifier.issuers
        #: The token that the middleware has read; None if it has read none.
        self.token: str | None = None
        self._step_of: Callable[[str], str] = lambda _code: "credentials"

    def verify(self, token: str) -> "Claims":
        """As :meth:`Verifier.verify`."""
        self.token = token
        self._step_of = lambda code: _STEP_OF_CODE.get(code, "claims")
        issuer, _key, verified = self._verifier.authenticate(token)
        self._step_of = lambda code: _STEP_AFTER_SIGNATURE.get(code, "checks")
        claims = Claims.of(verified.claims, verified.header)
        self._verifier.admit(issuer, claims)
        self._step_of = lambda _code: "access"
        return claims

    def step_of(self, code: str) -> str:
        """The step at which the request was refused with ``code``; the last one for no code."""
        return self._step_of(code)
