"""The errors: a wrong setting at start, a refused request later.

An :class:`AuthError` holds its own answer: status, body and challenge. The text for clients is
constant. ``detail`` is for the operator's log and is never sent.
"""

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any
from typing import Final

from .portable import Portable
from .portable import own_copy

#: The stable ``code`` of a refused token -> one sentence for people.
#: ASCII without ``"`` and ``\``: it is also sent in a challenge (RFC 6750 section 3).
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


#: The same codes as a tuple, so that ``in`` also works for values that cannot be hashed.
_CODES: Final = tuple(TOKEN_ERRORS)
#: The most characters of an error's ``detail`` in a log line.
MAX_DETAIL: Final = 500
#: A scope about the client's session at its issuer (OpenID Connect Core 1.0 section 11). No API
#: needs it, so that neither metadata nor challenges name it.
OFFLINE_ACCESS: Final = "offline_access"
_LONGEST_WAIT: Final = 86400  # seconds
_LONGEST_AGE: Final = 10**10  # seconds; no login is older


def escaped(text: str, limit: int) -> str:
    """``text`` as one line of printable ASCII, cut after ``limit`` characters."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown = text[: limit + 1].encode("unicode_escape").decode("ascii")  # cut before the work
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


def printable(value: object, limit: int = 64) -> str:
    """``value`` in single quotes, as one ASCII line of about ``limit`` characters.

    Quotes and backslashes inside are escaped, so that no value can end its field early and add
    another one.
    """
    text = value if isinstance(value, str) else repr(value)
    shown = text[: limit + 1].encode("unicode_escape").decode("ascii").replace("'", "\\'")
    return f"'{shown}'" if len(shown) <= limit else f"'{shown[:limit]}...'"


def name_of(thing: object) -> str:
    """The ``module.qualname`` of a function or class; of any other object, that of its class.

    It is safe in the log, because no part of a token is in such a name.
    """
    while isinstance(thing, partial):
        thing = thing.func
    named = thing if isinstance(getattr(thing, "__qualname__", None), str) else type(thing)
    return escaped(f"{named.__module__}.{getattr(named, '__qualname__', '?')}", 200)


class ConfigurationError(Portable, ValueError):
    """One or more settings are wrong. Raised at construction only.

    ``problems`` has one sentence for each: the setting, its value and the remedy.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class AuthError(Portable, Exception):
    """A request is refused. A check of your own may raise it, or a subclass with other texts.

    The class attributes make up the answer; an instance may override them. Text that a header
    cannot hold is left out of the challenge. A ``status`` below 400 is answered as 401.

    The middleware writes what it adds (``scope``, ``rule``, ``claimed``) into ``vars(error)``: a
    class of the application may let none of its attributes be set.
    """

    #: HTTP status of the answer.
    status: int = 401
    #: The body's ``error``.
    error: str = "Request refused"
    #: Stable name of the reason. Logs and metrics use the class's, so that the set is bounded.
    code: str = "refused"
    #: The body's ``details``. None: the body has neither ``details`` nor ``code``.
    details: str | None = None
    #: ``error`` of the challenge (RFC 6750 section 3.1); None: the challenge names no error.
    challenge_error: str | None = None
    #: Members of the challenge beside ``realm`` and ``error``.
    challenge_members: Mapping[str, str] = MappingProxyType({})
    #: Seconds for ``Retry-After``.
    retry_after: int | None = None
    #: Scopes that satisfy the request's rule, for the challenges of a published ``resource``.
    scope: tuple[str, ...] = ()
    #: The path of the rule that decided, as configured. Empty if no rule was applied.
    rule: str = ""
    #: ``iss``, ``alg`` and ``kid`` of the token, unverified.
    claimed: tuple[object, object, object] = (None, None, None)
    #: The application's function that failed, and the error: ``raised TYPE``.
    failure: tuple[str, str] | None = None

    def __init__(self, detail: str = "") -> None:
        """``detail`` is for the log only; text from a token in it should be escaped."""
        self.detail = detail

    def __str__(self) -> str:
        return str(self.detail or self.details or self.error)

    @property
    def label(self) -> str:
        """The code for logs and metrics: one of :data:`TOKEN_ERRORS`, else the class's."""
        own = class_code(type(self))
        return own if self.code == own or self.code not in _CODES else self.code

    @property
    def facts(self) -> dict[str, str]:
        """The fields of a log line, escaped: ``claimed``, the rule and the ``detail``."""
        named = zip(("issuer", "algorithm", "kid"), self.claimed, strict=True)
        found = {name: printable(value) for name, value in named if value is not None}
        rule = {"rule": printable(self.rule, 200)} if self.rule else {}
        return {**found, **rule, "detail": escaped(str(self.detail), MAX_DETAIL)}


def class_code(cls: type[AuthError]) -> str:
    """The constant code of a class; if its code is a property, the constant code of a base."""
    own: object = cls.code
    if isinstance(own, str):
        return own
    codes = (vars(base).get("code") for base in cls.__mro__)
    return next(code for code in codes if isinstance(code, str))


class MissingTokenError(AuthError):
    """The request carries no token."""

    error = "No token provided"
    code = "token_missing"


class MalformedHeaderError(AuthError):
    """The credentials do not have the form ``Bearer b64token`` (RFC 6750 section 2.1)."""

    error = "Invalid authorization header format"
    code = "header_malformed"

    def __init__(self, detail: str = "", *, bearer: bool) -> None:
        """``bearer``: the scheme is Bearer, so the token is what is malformed."""
        super().__init__(detail)
        self.challenge_error = "invalid_token" if bearer else None


class MultipleTokensError(AuthError):
    """The request carries tokens in more than one place (RFC 6750 section 2)."""

    status = 400
    error = "Multiple tokens provided"
    code = "tokens_multiple"
    challenge_error = "invalid_request"


class InvalidTokenError(AuthError):
    """The token is refused; ``code`` is one of :data:`TOKEN_ERRORS`.

    With ``error_details=False`` the answer has the code of the class instead.
    """

    error = "Invalid token"
    code = "token_invalid"
    challenge_error = "invalid_token"

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.details = TOKEN_ERRORS[code]
        super().__init__(detail)


class OriginNotAllowedError(AuthError):
    """A page that is not listed sent the request, or it was sent to a name that is not listed.

    Its answer has no challenge: credentials would change nothing.
    """

    status = 403
    error = "Origin not allowed"
    code = "origin_not_allowed"
    details = "Requests from this origin, or for this host, are not served here"


class InsufficientScopeError(AuthError):
    """The token is valid but does not permit this request (RFC 6750 section 3.1)."""

    status = 403
    error = "Insufficient scope"
    code = "insufficient_scope"
    details = "The token does not permit this request"
    challenge_error = "insufficient_scope"

    def __init__(self, detail: str = "", *, scope: Iterable[str] = ()) -> None:
        """``scope``: the scopes that the request needs, for the challenge. Never from a token."""
        super().__init__(detail)
        needed = _spaced(scope)
        self.challenge_members = {"scope": needed} if needed else {}


class InsufficientAuthError(AuthError):
    """The token is valid, but the login was too weak or too long ago (RFC 9470 section 3)."""

    error = "Insufficient authentication"
    code = "insufficient_user_authentication"
    details = "A stronger or more recent login is needed"
    challenge_error = "insufficient_user_authentication"

    def __init__(
        self, detail: str = "", *, acr_values: Iterable[str] = (), max_age: float | None = None
    ) -> None:
        """``acr_values``: any one of these is enough. ``max_age``: seconds since the login."""
        super().__init__(detail)
        has_age = max_age is not None and 0 <= max_age <= _LONGEST_AGE
        asked = {"max_age": str(int(max_age or 0))} if has_age else {}
        accepted = _spaced(acr_values)
        self.challenge_members = {"acr_values": accepted, **asked} if accepted else asked


class UnavailableError(AuthError):
    """The request cannot be decided now. It is not the client's fault, and it may try again.

    A check of your own may raise it, for instance when its database is down.
    """

    status = 503
    error = "Temporarily unavailable"
    code = "temporarily_unavailable"
    details = "It cannot be decided at the moment whether the request is permitted"

    def __init__(self, retry_after: float = 1, detail: str = "") -> None:
        """``retry_after``: seconds until the client should try again; at least 1, at most a day."""
        super().__init__(detail)
        self.retry_after = whole_seconds(retry_after)


class KeysUnavailableError(UnavailableError):
    """The keys of the issuer are not available now.

    Only key sources raise it. While the issuer answers, no token can cause it.
    """

    error = "Keys unavailable"
    code = "keys_unavailable"
    details = "The keys of the issuer cannot be had at the moment"


class RevocationUnavailableError(UnavailableError):
    """It cannot be found out now whether the token is revoked."""

    error = "Revocation check unavailable"
    code = "revocation_unavailable"
    details = "Whether the token has been revoked cannot be found out at the moment"


def whole_seconds(value: object) -> int:
    """Seconds for ``Retry-After``: a whole number from 1 to 86,400; 1 if ``value`` is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 1
    return math.ceil(min(max(1, value), _LONGEST_WAIT))  # in this order NaN becomes 1


def blames_the_token(error: Exception) -> bool:
    """Whether an error of an application's function means that it cannot read this token.

    Then a claim is missing or has an unexpected type. An OSError is always an outage, also if it is
    a ValueError as well: a service that answers with an error page causes such a JSON error.
    """
    return isinstance(error, LookupError | TypeError | ValueError) and not isinstance(
        error, OSError
    )


_CLAIM_INVALID: Final = partial(InvalidTokenError, "claim_invalid")


def for_one_request(error: AuthError) -> AuthError:
    """Return a copy of an error that the application raised, and empty the error's traceback.

    The application may make one error and raise it for many requests, in several threads. Its
    traceback would grow with each of them and hold their tokens, and its ``rule`` and ``claimed``
    would be those of the latest request.

    An error that cannot be copied is returned itself: it must not lose its answer.
    """
    return own_copy(BaseException.with_traceback(error, None))


def ask(
    function: Callable[..., Any],
    *arguments: object,
    read: Callable[[Any], Any] | None = None,
    blamed: Callable[[str], AuthError] | None = _CLAIM_INVALID,
    outage: Callable[[float, str], AuthError] = UnavailableError,
) -> Any:
    """Call a function of the application. An error that it raises becomes a refusal.

    An :class:`AuthError` keeps its answer; :func:`refusal` translates any other error. ``read``
    converts the returned value, whose methods may raise as well.
    """
    try:
        returned = function(*arguments)
        return returned if read is None else read(returned)
    except AuthError as error:
        raise for_one_request(error) from error
    except Exception as error:
        raise refusal(function, error, blamed=blamed, outage=outage) from error


def refusal(
    function: object,
    error: Exception,
    *,
    blamed: Callable[[str], AuthError] | None = _CLAIM_INVALID,
    outage: Callable[[float, str], AuthError] = UnavailableError,
) -> AuthError:
    """Return the refusal of a request for which a function of the application raised ``error``.

    ``blamed(detail)`` makes the refusal if the function could not read the token; None: the
    function does not read a token. Otherwise ``outage(1, detail)`` makes it. Log lines name the
    function and the error's type only, because its text may hold a secret or a claim.
    """
    failure = name_of(function), f"raised {name_of(type(error))}"
    detail = " ".join(failure)
    if blamed is not None and blames_the_token(error):
        refused = blamed(detail)
    else:
        refused = outage(1, detail)
    refused.failure = failure
    return refused


def _spaced(values: Iterable[str]) -> str:
    return values if isinstance(values, str) else " ".join(values)


class KeyNotKnownYetError(AuthError):
    """The token names an unknown key, and the issuer cannot be asked for it now.

    Too many recent tokens have named unknown keys. The client may try again (RFC 6585 section 4).
    ``keys_as_of``: when the known keys were fetched, in seconds since 1970.
    """

    status = 429
    error = "Key not known yet"
    code = "key_not_known_yet"
    details = "The key of the token is not known yet; try again later"

    def __init__(self, retry_after: float, detail: str = "", *, keys_as_of: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after = whole_seconds(retry_after)
        self.keys_as_of = keys_as_of

    def judged(self, issued: object, leeway: float) -> AuthError:
        """Return the refusal of a token with this ``iat``. If the keys are newer, it is a 401.

        The keys were fetched after the token was issued, so they would contain its key.
        """
        if isinstance(issued, int | float) and issued < self.keys_as_of - leeway:
            return InvalidTokenError("key_not_found", "the keys are newer than the token")
        return self
