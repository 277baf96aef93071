"""A trusted issuer, ready for use: its identifier, its keys, and the checks of its tokens."""

from collections.abc import Coroutine
from collections.abc import Generator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Final

from .claims import Check
from .errors import InvalidTokenError
from .errors import ask
from .keys import KeySource

#: ``typ`` values registered for JWTs that are not access tokens (IANA media types, RFC 8725
#: section 3.11): a proof, a logout token or an event must not serve as an access token.
OTHER_KINDS: Final = frozenset(
    """
    dpop+jwt logout+jwt secevent+jwt token-introspection+jwt oauth-authz-req+jwt
    entity-statement+jwt trust-mark+jwt resolve-response+jwt trust-mark-delegation+jwt
    trust-mark-status-response+jwt explicit-registration-response+jwt jwk-set+jwt
    oauth-client-attestation+jwt oauth-client-attestation-pop+jwt client-authentication+jwt
    kb+jwt dc+sd-jwt vc+sd-jwt vc+jwt vp+jwt openid4vci-proof+jwt key-attestation+jwt
    statuslist+jwt passport txntoken+jwt oauth-id-jag+jwt rat+jwt
    """.split()  # noqa: SIM905  # a list would fill a page
)


#: What a call of an async function, or of one with ``yield``, returns before it has done anything.
_NOT_RUN: Final = (Coroutine, Generator)


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer with its keys and its terms.

    ``token_types`` empty: any but :data:`OTHER_KINDS`. ``checks`` need no key and are made in
    their order. ``own_checks`` are the application's: they see verified claims, and are made at
    every use of a token. ``leeway`` and ``max_age`` are the seconds that the checks use.
    """

    identifier: str
    keys: KeySource
    algorithms: frozenset[str]
    token_types: frozenset[str]
    checks: Sequence[Check]
    own_checks: Sequence[Check] = ()
    leeway: float = 0.0
    max_age: float | None = None

    def check_header(self, header: Mapping[str, Any]) -> None:
        """Refuse algorithms and kinds of tokens that are not accepted."""
        if header["alg"] not in self.algorithms:
            raise InvalidTokenError("algorithm_not_allowed", _allowed("alg", self.algorithms))
        kind = media_type(header.get("typ", ""))
        if self.token_types:
            if kind not in self.token_types:
                raise InvalidTokenError("token_type_not_allowed", _allowed("typ", self.token_types))
        elif kind in OTHER_KINDS:
            raise InvalidTokenError("token_type_not_allowed", "typ is that of another kind of JWT")

    def check_claims(self, claims: Mapping[str, Any], now: float) -> None:
        """Make every check; the first that fails names the reason. ``now``: seconds since 1970."""
        for check in self.checks:
            check(claims, now)

    def check_own(self, claims: Mapping[str, Any], now: float) -> None:
        """Make the application's checks. One that returns False, 0 or an empty value refuses, too.

        If one raises any error but an AuthError, see :func:`~jwt_wsgi.errors.refusal`.
        """
        for check in self.own_checks:
            if ask(check, claims, now, read=_refuses):
                raise InvalidTokenError("claim_invalid", "a check of this API's own refused it")


def _refuses(verdict: object) -> bool:
    return verdict is not None and (not verdict or isinstance(verdict, _NOT_RUN))


def media_type(typ: str) -> str:
    """``typ`` for comparison: without regard to case and ``application/`` (RFC 7515 4.1.9)."""
    return typ.lower().removeprefix("application/")


def _allowed(name: str, values: frozenset[str]) -> str:
    return f"{name} is none of {' '.join(sorted(values))}"
