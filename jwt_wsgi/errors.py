"""Every way to fail: a wrong setting at start, a refused request later.

An :class:`AuthError` knows its own answer: status, body and challenge. What may be shown to
a client is a constant of ours; ``detail`` is for the operator's log and never leaves.
"""

import math
from collections.abc import Iterable
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar
from typing import Final

#: The stable ``code`` of a refused token -> one sentence a person understands.
#: ASCII without ``"`` and ``\``: it also stands in a challenge (RFC 6750 section 3).
TOKEN_ERRORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "token_malformed": "The token is malformed",
        "token_type_not_allowed": "The token is of a type that is not accepted here",
        "algorithm_not_allowed": "The token is signed with an algorithm that is not accepted here",
        "issuer_not_trusted": "The token does not come from a trusted issuer",
        "key_not_found": "The token is signed with a key that its issuer does not publish",
        "signature_invalid": "The signature of the token is invalid",
        "token_expired": "The token has expired",
        "token_not_yet_valid": "The token is not valid yet",
        "token_too_old": "The token was issued too long ago",
        "audience_mismatch": "The token is not meant for this API",
        "claim_missing": "The token lacks a required claim",
        "claim_invalid": "A claim of the token does not have an accepted value",
        "token_bound": "The token is bound to a key and cannot be used as a plain bearer token",
        "token_revoked": "The token has been revoked",
    }
)


def printable(value: object, limit: int = 64) -> str:
    """``value`` as one ASCII line of ``limit`` characters, whatever a stranger put into it."""
    text = value if isinstance(value, str) else repr(value)
    shown = ascii(text[: limit + 1])  # cut before and after: an escape has up to ten characters
    if len(shown) <= limit + len("''"):
        return shown
    return f"{shown[: limit + 1]}...{shown[0]}"


class ConfigurationError(ValueError):
    """One or more settings are wrong; raised at construction only.

    ``problems`` has one sentence for each: the setting, its value and the remedy.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class AuthError(Exception):
    """A request is refused. Not raised itself: each subclass knows its answer."""

    #: HTTP status of the answer.
    status: ClassVar[int] = 401
    #: The body's ``error``.
    error: ClassVar[str]
    #: Stable name of the reason, for the body, logs and metrics.
    code: str
    #: The body's ``details``; None where ``error`` says it all (then ``code`` stays inside, too).
    details: str | None = None
    #: ``error`` of the challenge (RFC 6750 section 3.1); None: the challenge names no error.
    challenge_error: str | None = None
    #: Members of the challenge beside ``realm`` and ``error``.
    challenge_members: Mapping[str, str] = MappingProxyType({})
    #: Seconds for ``Retry-After``; not None means: our trouble, so no challenge at all.
    retry_after: int | None = None
    #: Scopes that satisfy the request's rule, for the challenges of a published ``resource``.
    scope: tuple[str, ...] = ()
    #: ``iss``, ``alg`` and ``kid`` of the token, whatever they are: it may be anybody's.
    claimed: tuple[object, object, object] = (None, None, None)

    def __init__(self, detail: str = "") -> None:
        """``detail`` is for the log only; text from a token in it must be escaped."""
        self.detail = detail

    def __str__(self) -> str:
        return str(self.detail or self.details or self.error)

    @property
    def token(self) -> dict[str, str]:
        """What a log line may say of the token: ``issuer``, ``algorithm``, ``kid``, escaped."""
        named = zip(("issuer", "algorithm", "kid"), self.claimed, strict=True)
        return {name: printable(value) for name, value in named if value is not None}


class MissingTokenError(AuthError):
    """The request carries no token."""

    error = "No token provided"
    code = "token_missing"


class MalformedHeaderError(AuthError):
    """There are credentials, but not of the form ``Bearer b64token`` (RFC 6750 section 2.1)."""

    error = "Invalid authorization header format"
    code = "header_malformed"

    def __init__(self, detail: str = "", *, bearer: bool) -> None:
        """``bearer``: the scheme is right, so a token was meant and it is malformed."""
        super().__init__(detail)
        self.challenge_error = "invalid_token" if bearer else None


class MultipleTokensError(AuthError):
    """The request carries tokens in more than one place (RFC 6750 section 2)."""

    status = 400
    error = "Multiple tokens provided"
    code = "tokens_multiple"
    challenge_error = "invalid_request"


class InvalidTokenError(AuthError):
    """The token is no good; ``code`` is one of :data:`TOKEN_ERRORS`."""

    error = "Invalid token"
    challenge_error = "invalid_token"

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.details = TOKEN_ERRORS[code]
        super().__init__(detail)


class InsufficientScopeError(AuthError):
    """The token is good but does not permit this request (RFC 6750 section 3.1)."""

    status = 403
    error = "Insufficient scope"
    code = "insufficient_scope"
    details = "The token does not permit this request"
    challenge_error = "insufficient_scope"

    def __init__(self, detail: str = "", *, scope: Iterable[str] = ()) -> None:
        """``scope``: what the request needs, for the challenge; from settings, never a token."""
        super().__init__(detail)
        needed = " ".join(scope)
        self.challenge_members = {"scope": needed} if needed else {}


class InsufficientAuthError(AuthError):
    """The token is good, but the login behind it is too weak or too old (RFC 9470 section 3)."""

    error = "Insufficient authentication"
    code = "insufficient_user_authentication"
    details = "A stronger or more recent login is needed"
    challenge_error = "insufficient_user_authentication"

    def __init__(
        self, detail: str = "", *, acr_values: Iterable[str] = (), max_age: float | None = None
    ) -> None:
        """``acr_values``: any of these would do; ``max_age``: seconds since the login."""
        super().__init__(detail)
        asked = {} if max_age is None else {"max_age": str(int(max_age))}
        accepted = " ".join(acr_values)
        self.challenge_members = {"acr_values": accepted, **asked} if accepted else asked


class KeysUnavailableError(AuthError):
    """The keys of the issuer cannot be had now: our trouble, not the client's.

    Raised by key sources only, and nothing in a token can lead here while the issuer answers.
    """

    status = 503
    error = "Keys unavailable"
    code = "keys_unavailable"
    details = "The keys of the issuer cannot be had at the moment"

    def __init__(self, retry_after: float = 1, detail: str = "") -> None:
        super().__init__(detail)
        self.retry_after = max(1, int(-(-retry_after // 1)))


class KeyNotKnownYetError(AuthError):
    """The token names a key that the issuer has not been asked for, and cannot be asked for now.

    Too many tokens have named unknown keys lately. The client may try again (RFC 6585 section 4).
    ``keys_as_of``: when the known keys were fetched, in seconds since 1970.
    """

    status = 429
    error = "Key not known yet"
    code = "key_not_known_yet"
    details = "The key of the token is not known yet; try again later"

    def __init__(self, retry_after: float, detail: str = "", *, keys_as_of: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after = max(1, math.ceil(retry_after))
        self.keys_as_of = keys_as_of

    def judged(self, issued: object, leeway: float) -> AuthError:
        """Return the refusal of a token with this ``iat``: for good, if the keys are newer.

        The keys that were fetched after a token was issued hold its key, or nobody does.
        """
        if isinstance(issued, int | float) and issued < self.keys_as_of - leeway:
            return InvalidTokenError("key_not_found", "the keys are newer than the token")
        return self


class RevocationUnavailableError(AuthError):
    """Whether the token is revoked cannot be found out now: our trouble, not the client's."""

    status = 503
    error = "Revocation check unavailable"
    code = "revocation_unavailable"
    details = "Whether the token has been revoked cannot be found out at the moment"

    def __init__(self, retry_after: float = 1, detail: str = "") -> None:
        super().__init__(detail)
        self.retry_after = max(1, int(-(-retry_after // 1)))
