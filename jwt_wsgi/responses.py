"""An error becomes an answer: challenge (RFC 6750 section 3), JSON body, CORS headers."""

import json
import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import TypeAlias
from wsgiref.util import is_hop_by_hop

from .errors import OFFLINE_ACCESS
from .errors import TOKEN_ERRORS
from .errors import AuthError
from .errors import InsufficientScopeError
from .errors import InvalidTokenError
from .errors import MalformedHeaderError
from .errors import MissingTokenError
from .errors import MultipleTokensError
from .errors import OriginNotAllowedError
from .errors import class_code
from .errors import name_of
from .errors import whole_seconds
from .events import Emit
from .events import FunctionFailed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment


#: ``responder(error, status)`` returns ``(status, headers, body)``: a number from 200 to 599 of an
#: answer with a body, pairs of text, and bytes. ``status`` is that of the standard answer. The
#: challenge, ``Retry-After``, ``Cache-Control: no-store`` and ``Content-Length`` are added to it.
#: If it raises, or returns anything else, the standard answer is sent.
Responder: TypeAlias = Callable[[AuthError, int], tuple[int, Iterable[tuple[str, str]], bytes]]
_Given: TypeAlias = tuple[int, list[tuple[str, str]], bytes]

DEFAULT_REALM: Final = "api"
#: Characters of a value in a challenge; servers and proxies have little room for headers.
MAX_VALUE: Final = 2048
_MEMBER: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_TEXT: Final = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6750 section 3
_LIST: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.1
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 section 5.5, PEP 3333
#: Headers that a responder cannot set, beside those that belong to the server (PEP 3333).
_OURS: Final = frozenset(
    {"www-authenticate", "retry-after", "cache-control", "content-length", "status"}
)
_JSON: Final = ("Content-Type", "application/json")
_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}
_NUMBERS: Final = (int, HTTPStatus)  # by type: a bool is an int, too
_SERVER_ERRORS: Final = 500
_LAST_STATUS: Final = 599
_CHALLENGE_ERRORS: Final = (None, "invalid_token", "invalid_request")
_NO_BODY: Final = (204, 205, 304)


class Answer(NamedTuple):
    """An answer of ours, ready for any request."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def send(
        self,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
        cors_origins: Collection[str],
    ) -> list[bytes]:
        """Send it; HEAD gets no body (RFC 9110 section 9.3.2)."""
        cors = cors_headers(environ.get("HTTP_ORIGIN", ""), cors_origins)
        start_response(self.status, [*self.headers, *cors])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]


class Responses:
    """Turns errors into answers, as the settings ask.

    ``details`` false: no ``details``, no ``error_description``, and instead of the reason the code
    of the error's class. All invalid tokens then have the same answer, because most are refused
    before their signature is checked: a reason would tell anyone which issuers exist here. A 503 or
    429 stays as it is, although it shows that the issuer exists: a 401 would log users out while
    the keys of their issuer are not available, or while requests name many unknown keys.

    ``responder``: see :data:`Responder`. ``emit`` gets an event when it fails.
    """

    def __init__(
        self,
        *,
        realm: str,
        details: bool = True,
        resource_metadata: str | None = None,
        responder: Responder | None = None,
        emit: Emit | None = None,
    ) -> None:
        self._realm = realm if _fits("realm", realm) else DEFAULT_REALM
        self._details = details
        self._resource_metadata = resource_metadata
        self._responder = responder
        self._emit = emit
        #: What was made of standard errors: at most one for each, and for each rule's scope.
        self._made: dict[object, Answer] = {}

    def answer(self, error: AuthError) -> Answer:
        """The whole answer. It is remembered only if all its text comes from our own tables."""
        key = None if self._responder is not None else _standard(error)
        if key is None:
            return self._answer(error)
        if self._resource_metadata is not None:
            key = (*key, error.scope)
        answer = self._made.get(key)
        if answer is None:
            answer = self._made[key] = self._answer(error)
        return answer

    def _answer(self, error: AuthError) -> Answer:
        standard = status_of(error)
        own = None if self._responder is None else self._ask(self._responder, error, standard)
        status, headers, body = own or (standard, [_JSON], self.json_body(error))
        headers += [("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        is_for_now = error.retry_after is not None or standard >= _SERVER_ERRORS
        no_token_helps = is_for_now or isinstance(error, OriginNotAllowedError)
        if HTTPStatus.UNAUTHORIZED in (standard, status) or not no_token_helps:
            headers.append(("WWW-Authenticate", self.challenge(error)))
        if error.retry_after is not None or HTTPStatus.SERVICE_UNAVAILABLE in (standard, status):
            headers.append(("Retry-After", str(whole_seconds(error.retry_after))))
        return Answer(f"{status} {_PHRASES.get(status, 'Unknown')}", tuple(headers), body)

    def _ask(self, responder: Responder, error: AuthError, status: int) -> _Given | None:
        """The responder's answer; None, and one ERROR a minute, if it has none that can be sent."""
        failure = "returned no (status, headers, body) that can be sent"
        try:
            given = _checked(responder(error, status))
        except Exception as raised:
            given, failure = None, f"raised {name_of(type(raised))}"
        if given is None and self._emit is not None:
            self._emit(FunctionFailed(name_of(responder), failure, "the standard answer is sent"))
        return given

    def json_body(self, error: AuthError) -> bytes:
        """The documented JSON object."""
        body: dict[str, object] = {"error": error.error}
        if error.details is not None:
            if self._details:
                body["details"] = error.details
            body["code"] = error.code if self._details else class_code(type(error))
        return json.dumps(body, default=str).encode()  # str: a translation may be a lazy object

    def challenge(self, error: AuthError) -> str:
        """``WWW-Authenticate`` (RFC 6750 section 3), without what cannot stand in it."""
        members: dict[str, object] = {"realm": self._realm}
        if error.challenge_error is not None:
            members["error"] = error.challenge_error
            if self._details and error.details is not None:
                members["error_description"] = error.details
        if isinstance(error.challenge_members, Mapping):
            members = members | dict(error.challenge_members) | members  # realm and error stay
        names_scope = error.challenge_error == InsufficientScopeError.challenge_error
        own = members.get("scope", "")
        if names_scope and isinstance(own, str):  # a check may ask for more than the rule
            members["scope"] = _scope_list([*error.scope, *(own.split(" ") if own else [])])
        elif self._resource_metadata is not None:
            members.setdefault("scope", _scope_list(error.scope))
        if self._resource_metadata is not None:  # RFC 9728 section 5.1
            members["resource_metadata"] = self._resource_metadata
        fit = [f'{name}="{value}"' for name, value in members.items() if _fits(name, value)]
        return "Bearer " + ", ".join(fit)


def status_of(error: AuthError) -> int:
    """The status of its answer: the error's own, if it is that of an error, else 401."""
    status = error.status
    is_error = type(status) in _NUMBERS and 400 <= status <= _LAST_STATUS  # noqa: PLR2004
    return int(status) if is_error else 401


#: What is in no answer, or comes from the rule of the request.
_NOT_SAID: Final = frozenset({"detail", "claimed", "failure", "scope", "rule"})
#: Errors whose answer is the same for every request, and the attributes that instances may have.
_STANDARD: Final = {
    MissingTokenError: _NOT_SAID,
    MalformedHeaderError: _NOT_SAID | {"challenge_error"},
    MultipleTokensError: _NOT_SAID,
    InvalidTokenError: _NOT_SAID | {"code", "details"},
}


def _standard(error: AuthError) -> tuple[object, ...] | None:
    """What distinguishes its answer from other standard ones; None if it is not a standard one.

    A standard answer is of a class in :data:`_STANDARD`, and its text is from our own tables only.
    """
    kind = type(error)
    may_have = _STANDARD.get(kind)
    if may_have is None or not may_have.issuperset(error.__dict__):
        return None
    code, named = error.code, error.challenge_error
    if kind is InvalidTokenError:
        known = type(code) is str and code in TOKEN_ERRORS  # a subclass of str may have any __eq__
        return (code, named) if known and error.details is TOKEN_ERRORS[code] else None
    return (code, named) if named in _CHALLENGE_ERRORS else None


def _fits(name: object, value: object) -> bool:
    """Whether a member may stand in a challenge: a short name, a value of its allowed characters.

    A list of scopes with one unfit member does not fit: the rest would seem to be enough.
    """
    if not isinstance(name, str) or not isinstance(value, str) or len(value) > MAX_VALUE:
        return False
    grammar = _LIST if name in ("scope", "acr_values") else _TEXT
    return bool(_MEMBER.fullmatch(name) and grammar.fullmatch(value))


def _scope_list(scopes: Iterable[str]) -> str:
    return " ".join(scope for scope in dict.fromkeys(scopes) if scope != OFFLINE_ACCESS)


def _is_ours(header: str) -> bool:
    return header.lower() in _OURS or is_hop_by_hop(header)


def _checked(given: Any) -> _Given | None:
    """What a responder returned, without the headers that are ours; None if it cannot be sent."""
    try:
        status, pairs, body = given
        headers = [(name, value) for name, value in pairs]
        sendable = all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers)
    except (TypeError, ValueError):
        return None
    number = type(status) in _NUMBERS and 200 <= status <= _LAST_STATUS  # noqa: PLR2004
    if not (sendable and number and status not in _NO_BODY and isinstance(body, bytes)):
        return None
    return int(status), [pair for pair in headers if not _is_ours(pair[0])], body


def cors_headers(origin: str, allowed: Collection[str]) -> list[tuple[str, str]]:
    """What lets a script of an allowed origin read our answer (Fetch standard section 3.2).

    An origin that is named may read it with credentials as well: a browser hides the answer to
    ``fetch(..., {credentials: "include"})`` otherwise. ``*`` is sent as it is, never as what the
    client sent: uWSGI hands a line feed on in a header.
    """
    if not allowed:
        return []
    headers = [("Vary", "Origin")]
    named = origin != "*" and origin in allowed
    if named or (origin and "*" in allowed):
        headers.append(("Access-Control-Allow-Origin", origin if named else "*"))
        headers.append(("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After"))
    if named:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    return headers
