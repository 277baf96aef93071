"""Every way to fail: a wrong setting at start, a refused request later.

An :class:`AuthError` knows its own answer: status, body and challenge. What a client reads is
constant text; ``detail`` is for the operator's log and is never sent.
"""

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any
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


#: The same codes as a tuple: ``in`` works for anything, also for what cannot be hashed.
_CODES: Final = tuple(TOKEN_ERRORS)
#: Characters that a log line has of an error's ``detail``.
MAX_DETAIL: Final = 500
_LONGEST_WAIT: Final = 86400  # seconds
_LONGEST_AGE: Final = 10**10  # seconds; more is no age of a login


def escaped(text: str, limit: int) -> str:
    """``text`` as one line of printable ASCII; what is beyond ``limit`` characters becomes dots."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown = text[: limit + 1].encode("unicode_escape").decode("ascii")  # cut before the work
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


def printable(value: object, limit: int = 64) -> str:
    """``value`` in single quotes, as one ASCII line of about ``limit`` characters.

    Quotes and backslashes inside are escaped, so no value can look like the end of itself and
    the begin of another field.
    """
    text = value if isinstance(value, str) else repr(value)
    shown = text[: limit + 1].encode("unicode_escape").decode("ascii").replace("'", "\\'")
    return f"'{shown}'" if len(shown) <= limit else f"'{shown[:limit]}...'"


def name_of(thing: object) -> str:
    """Where a function or class is defined: ``module.qualname``; of other objects, their class's.

    For the log: the name is the programmer's, and nothing of a token is in it.
    """
    while isinstance(thing, partial):
        thing = thing.func
    named = thing if isinstance(getattr(thing, "__qualname__", None), str) else type(thing)
    return escaped(f"{named.__module__}.{getattr(named, '__qualname__', '?')}", 200)


def _rebuilt(cls: type[Exception], args: tuple[object, ...]) -> Exception:
    return cls.__new__(cls, *args)


class Portable:
    """An exception that pickling and copying keep whole, whatever its ``__init__`` takes.

    Python would call ``__init__`` again, with ``args``: with the message alone, or with nothing.
    """

    args: tuple[object, ...]

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (type(self), self.args), vars(self)


class ConfigurationError(Portable, ValueError):
    """One or more settings are wrong; raised at construction only.

    ``problems`` has one sentence for each: the setting, its value and the remedy.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class AuthError(Portable, Exception):
    """A request is refused. A check of your own may raise it, or a subclass with other words.

    The class attributes are what an answer says; an instance may have its own. Text that a header
    cannot hold is left out of the challenge, and a ``status`` below 400 is answered as 401.
    """

    #: HTTP status of the answer.
    status: int = 401
    #: The body's ``error``.
    error: str = "Request refused"
    #: Stable name of the reason. Logs and metrics have the class's, which is of a bounded set.
    code: str = "refused"
    #: The body's ``details``; None where ``error`` says it all (then the body has no ``code``).
    details: str | None = None
    #: ``error`` of the challenge (RFC 6750 section 3.1); None: the challenge names no error.
    challenge_error: str | None = None
    #: Members of the challenge beside ``realm`` and ``error``.
    challenge_members: Mapping[str, str] = MappingProxyType({})
    #: Seconds for ``Retry-After``.
    retry_after: int | None = None
    #: Scopes that satisfy the request's rule, for the challenges of a published ``resource``.
    scope: tuple[str, ...] = ()
    #: The path of the rule that decided, as it is configured; empty where no rule was asked.
    rule: str = ""
    #: ``iss``, ``alg`` and ``kid`` of the token, unverified.
    claimed: tuple[object, object, object] = (None, None, None)
    #: The application's function that could not decide, and what it did: ``raised TYPE``.
    failure: tuple[str, str] | None = None

    def __init__(self, detail: str = "") -> None:
        """``detail`` is for the log only; text from a token in it should be escaped."""
        self.detail = detail

    def __str__(self) -> str:
        return str(self.detail or self.details or self.error)

    @property
    def label(self) -> str:
        """The code for logs and metrics: one of :data:`TOKEN_ERRORS`, else the class's."""
        own = type(self).code
        return own if self.code == own or self.code not in _CODES else self.code

    @property
    def facts(self) -> dict[str, str]:
        """What a log line may say, escaped: the token's own words, the rule and the ``detail``."""
        named = zip(("issuer", "algorithm", "kid"), self.claimed, strict=True)
        found = {name: printable(value) for name, value in named if value is not None}
        rule = {"rule": printable(self.rule, 200)} if self.rule else {}
        return {**found, **rule, "detail": escaped(str(self.detail), MAX_DETAIL)}


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
    """The token is refused; ``code`` is one of :data:`TOKEN_ERRORS`.

    With ``error_details=False`` the answer has the class's own code instead.
    """

    error = "Invalid token"
    code = "token_invalid"
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
        needed = _spaced(scope)
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
        has_age = max_age is not None and 0 <= max_age <= _LONGEST_AGE
        asked = {"max_age": str(int(max_age or 0))} if has_age else {}
        accepted = _spaced(acr_values)
        self.challenge_members = {"acr_values": accepted, **asked} if accepted else asked


class UnavailableError(AuthError):
    """The request cannot be decided now, and the client is not at fault: it may come again.

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
    """The keys of the issuer cannot be had now.

    Raised by key sources only, and nothing in a token can lead here while the issuer answers.
    """

    error = "Keys unavailable"
    code = "keys_unavailable"
    details = "The keys of the issuer cannot be had at the moment"


class RevocationUnavailableError(UnavailableError):
    """Whether the token is revoked cannot be found out now."""

    error = "Revocation check unavailable"
    code = "revocation_unavailable"
    details = "Whether the token has been revoked cannot be found out at the moment"


def whole_seconds(value: object) -> int:
    """A number of seconds as ``Retry-After`` has it: 1 to 86,400; 1 for anything but a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 1
    return math.ceil(min(max(1, value), _LONGEST_WAIT))  # in this order NaN becomes 1


def blames_the_token(error: Exception) -> bool:
    """Whether an error of an application's function means that it cannot read this token.

    A claim is missing or of another type than expected. An OSError is an outage, whatever else it
    is: a service that answers with an error page raises a JSON error that is a ValueError as well.
    """
    return isinstance(error, LookupError | TypeError | ValueError) and not isinstance(
        error, OSError
    )


_CLAIM_INVALID: Final = partial(InvalidTokenError, "claim_invalid")


def ask(
    function: Callable[..., Any],
    *arguments: object,
    read: Callable[[Any], Any] | None = None,
    blamed: Callable[[str], AuthError] | None = _CLAIM_INVALID,
    outage: Callable[[float, str], AuthError] = UnavailableError,
) -> Any:
    """Call a function of the application; what it raises becomes a refusal.

    An :class:`AuthError` is raised as it is, anything else as :func:`refusal` says. ``read`` makes
    the result of what was returned, whose own methods may raise as well.
    """
    try:
        returned = function(*arguments)
        return returned if read is None else read(returned)
    except AuthError:
        raise
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

    ``blamed(detail)`` makes it where the function could not read the token; None: the function was
    asked about no token. Otherwise ``outage(1, detail)`` makes it. Log lines name the function and
    the type; the error's text may hold a secret or a claim.
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
        self.retry_after = whole_seconds(retry_after)
        self.keys_as_of = keys_as_of

    def judged(self, issued: object, leeway: float) -> AuthError:
        """Return the refusal of a token with this ``iat``: for good, if the keys are newer.

        If a token was issued before the keys were fetched, they hold its key, or it has none.
        """
        if isinstance(issued, int | float) and issued < self.keys_as_of - leeway:
            return InvalidTokenError("key_not_found", "the keys are newer than the token")
        return self
