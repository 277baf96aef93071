"""Logouts that an identity provider sends: OpenID Connect Back-Channel Logout 1.0, a WSGI app.

The provider posts a logout token. Its signature is verified with the keys of its issuer, its claims
by terms of their own, and what it names becomes an entry in the store of revoked tokens. Every
process that uses the store refuses those tokens from then on.
"""

import hashlib
import json
import math
import re
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from urllib.parse import parse_qsl

from jwt_wsgi.claims import MAX_LEEWAY
from jwt_wsgi.claims import claim_checks
from jwt_wsgi.errors import AuthError
from jwt_wsgi.errors import InvalidTokenError
from jwt_wsgi.errors import UnavailableError
from jwt_wsgi.errors import name_of
from jwt_wsgi.events import Emit
from jwt_wsgi.events import LogoutArrived
from jwt_wsgi.events import Refused
from jwt_wsgi.request_log import request_facts
from jwt_wsgi.trusted_issuer import TrustedIssuer
from jwt_wsgi.verifier import MAX_TOKEN_SIZE
from jwt_wsgi.verifier import Verifier

from .revocations import LIFETIME
from .revocations import Revocations
from .store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

#: The member of ``events`` that makes a JWT a logout token (section 2.4).
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
#: Accepted ``typ`` values. Section 2.4 recommends the first one; the others are those of providers
#: that are older than it. The claim ``events`` distinguishes a logout token from other JWTs.
TYPES: Final = frozenset({"logout+jwt", "jwt", ""})
#: Bytes of a request's body at most: a token, and the other members of the form.
MAX_BODY: Final = MAX_TOKEN_SIZE + 1024
#: Members of the form at most.
_MAX_FIELDS: Final = 16
#: Seconds from ``iat`` for which a logout token is accepted, however late its ``exp`` is. It bounds
#: how long a ``jti`` must be remembered.
MAX_AGE: Final = 3600.0
#: Seconds for which a ``jti`` is remembered: until its token is refused for its age.
_REMEMBERED: Final = math.ceil(MAX_AGE + 2 * MAX_LEEWAY)
#: What the keys of those entries begin with; they are no entries of revoked tokens.
_SEEN: Final = "{jwt_wsgi:logout}:1:"
_FORM: Final = "application/x-www-form-urlencoded"
_PARAMETERS: Final = frozenset({"", "charset=utf-8", 'charset="utf-8"'})
_LENGTH: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class LogoutRequestError(AuthError):
    """The request holds no logout token that could be verified."""

    status = 400
    error = "Invalid logout request"
    code = "logout_malformed"
    details = "Not a POST of a form with one logout_token"


class LogoutReplayedError(LogoutRequestError):
    """The logout token was used before (section 2.6, step 8)."""

    code = "logout_replayed"
    details = "The logout token was used before"


class LogoutUnavailableError(UnavailableError):
    """The store failed, so the user is not logged out."""

    error = "Logout unavailable"
    code = "logout_unavailable"
    details = "The logout cannot be kept at the moment; send it again"


class LogoutReceiver:
    """Takes the logout tokens of ``issuers``, and writes what they revoke to ``store``.

    ``path``: where it is served, for the log. ``client_ids``: the accepted ``aud`` values.
    ``details`` false: answers say nothing of reasons. Refusals are events whose code begins with
    ``logout_``.
    """

    def __init__(
        self,
        path: str,
        issuers: Iterable[TrustedIssuer],
        client_ids: Collection[str],
        store: Store,
        *,
        details: bool = True,
        emit: Emit,
        log_fields: Collection[str] = (),
    ) -> None:
        by_name = {issuer.identifier: issuer for issuer in issuers}
        self._lifetimes = {name: lifetime_of(issuer) for name, issuer in by_name.items()}
        self._verifier = Verifier(
            {name: _terms(issuer, client_ids) for name, issuer in by_name.items()}
        )
        self._store, self._revocations = store, Revocations(store)
        self._path, self._details, self._emit, self._log_fields = path, details, emit, log_fields

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        """Answer one request (PEP 3333), as section 2.8 says; its path is not looked at.

        200: the logout is in the store. 400: the request is refused, and nothing has changed. 429
        and 503: it cannot be decided or kept now, and the provider may send it again.
        """
        method = environ["REQUEST_METHOD"]
        if method != "POST":
            body = self._refuse(LogoutRequestError("not POST"), environ, start_response, 405)
            return [] if method == "HEAD" else body
        try:
            self._receive(environ)
        except AuthError as error:
            status = 400 if error.retry_after is None else error.status
            return self._refuse(error, environ, start_response, status)
        return _answer(start_response, 200, {})

    def _receive(self, environ: "WSGIEnvironment") -> None:
        claims = self._verifier.verify(logout_token(environ))
        try:
            self._revoke(claims)
        except AuthError:
            raise
        except Exception as error:  # a foreign error, of whatever client library
            raise LogoutUnavailableError(1, name_of(type(error))) from error

    def _revoke(self, claims: Mapping[str, Any]) -> None:
        """Write the entries, then remember ``jti``: a token whose entries failed may come again.

        Two requests with one token at the same time may both pass; the second changes nothing.
        """
        issuer: str = claims["iss"]
        parts = json.dumps([issuer, claims["jti"]]).encode()
        key = _SEEN + hashlib.sha256(parts).hexdigest()
        (seen,) = self._store.read_entries([key])
        if seen is not None:
            raise LogoutReplayedError
        entries = self._revocations.log_out(
            issuer,
            subject=claims.get("sub"),
            sid=claims.get("sid"),
            issued=claims["iat"],
            lifetime=self._lifetimes[issuer],
        )
        self._store.add_entry(key, b"1", _REMEMBERED)
        self._emit(LogoutArrived(issuer, ", ".join(entry.kind for entry in entries)))

    def _refuse(
        self,
        error: AuthError,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
        status: int,
    ) -> list[bytes]:
        vars(error)["rule"] = self._path
        code = f"logout_{error.label.removeprefix('logout_')}"  # apart from those of API requests
        more = request_facts(environ, self._log_fields)
        self._emit(Refused(code, status, **more, **error.facts))
        late = error.retry_after is not None
        body = {"error": "temporarily_unavailable" if late else "invalid_request"}
        if self._details and error.details is not None:
            body["error_description"] = str(error.details)
        headers = [("Allow", "POST")] if status == HTTPStatus.METHOD_NOT_ALLOWED else []
        headers += [("Retry-After", str(error.retry_after))] if late else []
        return _answer(start_response, status, body, headers)


def lifetime_of(issuer: TrustedIssuer) -> float:
    """Seconds for which an entry stays: as long as a token of the issuer may be accepted.

    At least :data:`~.revocations.LIFETIME`; longer where ``max_token_age`` is. It is never
    shorter: another API that uses the store may accept older tokens than this one.
    """
    return max(LIFETIME, (issuer.max_age or 0.0) + 2 * MAX_LEEWAY)


def _terms(issuer: TrustedIssuer, client_ids: Collection[str]) -> TrustedIssuer:
    """The issuer with its keys and algorithms, and the terms of logout tokens."""
    checks = claim_checks(
        leeway=issuer.leeway,
        max_age=MAX_AGE,
        audience=client_ids,
        required=("iat", "jti", "events"),
    )
    return replace(
        issuer, token_types=TYPES, checks=(*checks, check_logout), own_checks=(), max_age=MAX_AGE
    )


def check_logout(claims: Mapping[str, Any], _now: float) -> None:
    """Check what makes a JWT a logout token (sections 2.4 and 2.6), beside times and ``aud``."""
    if "nonce" in claims:
        raise InvalidTokenError("claim_invalid", "nonce is present, as in an ID token")
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise InvalidTokenError("claim_invalid", "events holds no back-channel logout")
    for name in ("jti", "sub", "sid"):
        value = claims.get(name, "absent")
        if not isinstance(value, str) or not value:
            raise InvalidTokenError("claim_invalid", f"{name} is empty or no string")
    if "sub" not in claims and "sid" not in claims:
        raise InvalidTokenError("claim_missing", "sub and sid are missing")


def check_no_logout(claims: Mapping[str, Any], _now: float) -> None:
    """Refuse a logout token in the place of an access token, whatever its ``typ`` (section 4.1)."""
    events = claims.get("events")
    if isinstance(events, dict) and EVENT in events:
        raise InvalidTokenError("token_type_not_allowed", "it is a logout token")


def logout_token(environ: "WSGIEnvironment") -> str:
    """Return the logout token in the body of a POST (section 2.5). Raises LogoutRequestError.

    Nothing is read of a body that has no length, is longer than :data:`MAX_BODY`, or is no form.
    """
    media, _, parameters = environ.get("CONTENT_TYPE", "").lower().partition(";")
    if media.strip() != _FORM or parameters.strip() not in _PARAMETERS:
        raise LogoutRequestError(f"Content-Type is not {_FORM}")
    if "HTTP_TRANSFER_ENCODING" in environ or "HTTP_CONTENT_ENCODING" in environ:
        raise LogoutRequestError("the body is chunked or compressed")
    length = environ.get("CONTENT_LENGTH", "")
    if not _LENGTH.fullmatch(length) or not 0 < int(length) <= MAX_BODY:
        raise LogoutRequestError(f"Content-Length is not from 1 to {MAX_BODY}")
    try:
        body = _read(environ["wsgi.input"], int(length))
        members = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except (OSError, ValueError) as error:
        raise LogoutRequestError(f"the body cannot be read: {name_of(type(error))}") from error
    tokens = [value for name, value in members if name == "logout_token"]
    if len(tokens) != 1:
        raise LogoutRequestError(f"{len(tokens)} members are called logout_token")
    return tokens[0]


def _read(source: Any, length: int) -> bytes:
    """Read so many bytes. Raises ValueError where there are fewer."""
    body = b""
    while len(body) < length:
        part: bytes = source.read(length - len(body))
        if not part:
            raise ValueError("the body is shorter than its Content-Length")
        body += part
    return body


def _answer(
    start_response: "StartResponse",
    status: int,
    members: Mapping[str, str],
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    body = json.dumps(members).encode()
    own = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    phrase = HTTPStatus(status).phrase
    start_response(f"{status} {phrase}", [*own, ("Cache-Control", "no-store"), *headers])
    return [body]
