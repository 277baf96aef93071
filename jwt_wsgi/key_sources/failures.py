"""Why a document could not be fetched: a kind for metrics, and a sentence for the log."""

import socket
import ssl
from typing import Final

import requests
from urllib3.exceptions import ConnectTimeoutError
from urllib3.exceptions import NameResolutionError
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import ReadTimeoutError
from urllib3.exceptions import SSLError

from jwt_wsgi.errors import escaped
from jwt_wsgi.portable import Portable


class FetchError(Portable, Exception):
    """The document could not be fetched.

    ``kind`` is one of these labels: http, timeout, dns, tls, connect, too_big, encoding, redirect,
    url, file, lost, broken, discovery, document. ``detail`` is for the operator's log. It holds no
    query, no password and no part of a body. ``retry_after``: the seconds in the ``Retry-After`` of
    a 429 or 503.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.status = status
        self.retry_after = retry_after

    def at(self, url: str) -> "FetchError":
        """The same error, with the URL that was asked for. ``url``: as the log may show it."""
        detail = f"GET {url}: {self.detail}"
        return FetchError(self.kind, detail, status=self.status, retry_after=self.retry_after)


#: The first row that fits is used. requests and urllib3 wrap one error in another.
_KINDS: Final[tuple[tuple[tuple[type[BaseException], ...], str, str], ...]] = (
    ((requests.exceptions.SSLError, SSLError), "tls", "the TLS handshake failed"),
    ((NameResolutionError,), "dns", "the host name cannot be resolved"),
    ((NewConnectionError,), "connect", "no connection to the host"),
    ((ConnectTimeoutError,), "timeout", "no connection to the host in time"),
    ((requests.Timeout, ReadTimeoutError, TimeoutError), "timeout", "no complete answer in time"),
    ((requests.exceptions.ProxyError,), "connect", "the proxy did not connect to the host"),
    ((ConnectionRefusedError,), "connect", "no connection to the host"),
    ((ConnectionError,), "broken", "the connection ended before the answer was complete"),
)


def failure(error: BaseException) -> FetchError:
    """Translate an error of ``requests``."""
    causes = _causes(error)
    for types, kind, words in _KINDS:
        if any(isinstance(cause, types) for cause in causes):
            return FetchError(kind, words + words_of(causes))
    return FetchError("broken", "the answer is not a complete HTTP response")


def words_of(causes: list[BaseException]) -> str:
    """The message of OpenSSL or the operating system, in brackets. It holds no secret."""
    for cause in causes:
        said = None
        if isinstance(cause, ssl.SSLError):
            said = getattr(cause, "verify_message", "") or cause.reason
        elif isinstance(cause, OSError) and not isinstance(cause, socket.gaierror | TimeoutError):
            said = cause.strerror
        if isinstance(said, str) and said:
            words = said.replace("_", " ").lower() if said.isupper() else said
            return f" ({escaped(words, 160)})"
    return ""


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inside = (getattr(error, "reason", None), *error.args)
        error = next((one for one in inside if isinstance(one, BaseException)), error.__cause__)
    return found
