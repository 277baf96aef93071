"""An error becomes an answer: challenge (RFC 6750 section 3), JSON body, CORS headers."""

import json
from collections.abc import Callable
from collections.abc import Collection
from http import HTTPStatus
from typing import TYPE_CHECKING
from typing import NamedTuple

from .errors import AuthError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment


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
    """Makes answers of errors, in the words the settings ask for."""

    def __init__(
        self,
        *,
        realm: str,
        details: bool = True,
        unavailable_status: int = 503,
        resource_metadata: str | None = None,
        responder: Callable[[AuthError], tuple[str, bytes]] | None = None,
    ) -> None:
        self._realm = realm
        self._details = details
        self._unavailable_status = unavailable_status
        self._resource_metadata = resource_metadata
        self._responder = responder
        self._made: dict[object, Answer] = {}

    def answer(self, error: AuthError) -> Answer:
        """The whole answer; a responder replaces the body, never the challenge."""
        own = type(error).__module__ != AuthError.__module__  # it may name its caller
        if own or error.retry_after is not None or self._responder is not None:
            return self._answer(error)
        # All of these come from the code and from settings: there are few.
        same = error.code, error.challenge_error, error.scope, *error.challenge_members.values()
        answer = self._made.get(same)
        if answer is None:
            answer = self._made[same] = self._answer(error)
        return answer

    def _answer(self, error: AuthError) -> Answer:
        status = self.status(error)
        content_type, body = (self._responder or self.json_body)(error)
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        if error.retry_after is None:
            headers.append(("WWW-Authenticate", self.challenge(error)))
        else:
            headers.append(("Retry-After", str(error.retry_after)))
        return Answer(f"{status} {HTTPStatus(status).phrase}", tuple(headers), body)

    def status(self, error: AuthError) -> int:
        """The error's own status, unless a gateway in front insists on another for 503."""
        return (
            self._unavailable_status
            if error.status == HTTPStatus.SERVICE_UNAVAILABLE
            else error.status
        )

    def json_body(self, error: AuthError) -> tuple[str, bytes]:
        """The documented JSON object."""
        body = {"error": error.error}
        if error.details is not None:
            if self._details:
                body["details"] = error.details
            body["code"] = error.code
        return "application/json", json.dumps(body).encode()

    def challenge(self, error: AuthError) -> str:
        """``WWW-Authenticate`` (RFC 6750 section 3); made of our words, so nothing to escape."""
        members = {"realm": self._realm}
        if error.challenge_error is not None:
            members["error"] = error.challenge_error
            if self._details and error.details is not None:
                members["error_description"] = error.details
        members |= error.challenge_members
        if self._resource_metadata is not None:  # RFC 9728 section 5.1
            if error.scope:
                members.setdefault("scope", " ".join(error.scope))
            members["resource_metadata"] = self._resource_metadata
        return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in members.items())


def cors_headers(origin: str, allowed: Collection[str]) -> list[tuple[str, str]]:
    """What lets a script of an allowed origin read our answer (Fetch standard section 3.2).

    ``*`` is said as it is, never as what the client sent: uWSGI hands a line feed on in a header.
    """
    if not allowed:
        return []
    headers = [("Vary", "Origin")]
    if origin and (origin in allowed or "*" in allowed):
        headers += [
            ("Access-Control-Allow-Origin", "*" if "*" in allowed else origin),
            ("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After"),
        ]
    return headers
