"""Finds out whether tokens reach the running app: sends a few requests with made-up tokens.

A refusal of the token shows that it reached the middleware, through the server and all proxies.
``No token provided`` shows that a server or proxy removed the header.
"""

import http.client
import json
import re
import ssl
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from http import HTTPStatus
from socket import SHUT_RDWR
from socket import gaierror
from socket import socket
from threading import Timer
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import SplitResult
from urllib.parse import urlsplit

from jwt_wsgi.bearer import place
from jwt_wsgi.errors import TOKEN_ERRORS
from jwt_wsgi.errors import InvalidTokenError
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.errors import MalformedHeaderError
from jwt_wsgi.errors import MissingTokenError
from jwt_wsgi.errors import escaped
from jwt_wsgi.errors import printable
from jwt_wsgi.strict_json import json_object
from jwt_wsgi.test_kit.signing import token_part
from jwt_wsgi.urls import DEFAULT_PORTS
from jwt_wsgi.urls import shown_url

from .terminal import FAIL
from .terminal import OK
from .terminal import WARN
from .terminal import Line

TIMEOUT: Final = 10.0  # seconds, for one step of the connection
_MAX_BODY: Final = 65536
_SHORT: Final = 256  # characters of a token that every server takes
#: Paths of login pages, of frameworks and of identity providers.
_LOGIN: Final = re.compile(
    r"/(log[-_]?in|sign[-_]?in|log[-_]?on|sso|saml2?|auth|oauth2?|authorize|accounts)(/|$|\.)",
    re.IGNORECASE,
)
_REMOVED_HEADER: Final = (
    "A server or proxy in front of the app removes the header. Apache with mod_wsgi:"
    " WSGIPassAuthorization On; Apache with FastCGI: CGIPassAuth On; nginx:"
    " proxy_set_header Authorization $http_authorization."
)


class Answer(NamedTuple):
    """An answer. ``error``, ``code``: in the body. ``challenge``: all of ``WWW-Authenticate``."""

    status: int
    error: str
    code: str
    challenge: str
    location: str


def live_checks(url: str, spec: str, max_token_size: int) -> Iterator[Line]:
    """Ask ``url`` with a short token, and then with one of ``max_token_size`` characters.

    ``spec`` is the first place of the option ``token_from``.
    """
    try:
        answer, header = _answer(url, spec, _SHORT)
    except ssl.SSLError as error:  # before ValueError: some SSL errors are both
        why = escaped(getattr(error, "verify_message", "") or error.reason or "it failed", 120)
        yield Line(FAIL, "app", f"TLS: {why}", "Have its certificate replaced.")
    except ValueError:
        yield Line(
            FAIL, "app", "it is not a URL", "Give the URL of the running app, with https://."
        )
    except (OSError, http.client.HTTPException) as error:
        yield Line(FAIL, "app", *_no_answer(error, urlsplit(url)))
    else:
        line = judge(answer, header)
        yield line
        if line.outcome == OK:
            yield _long_token(url, spec, max_token_size)


def _no_answer(error: Exception, url: SplitResult) -> tuple[str, str]:
    """Why there is no answer, and the remedy."""
    if isinstance(error, ConnectionRefusedError):
        port = url.port or DEFAULT_PORTS[url.scheme]
        refused = f"{escaped(url.hostname or '', 100)}:{port} refuses the connection"
        return refused, "Start the app, or look at its port and at the address it is bound to."
    if isinstance(error, gaierror):
        host = printable(url.hostname, 100)
        return f"the host {host} has no address", "Look at its name, and at this machine's DNS."
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:.0f} s", "Look at firewalls, and at the server's log."
    if isinstance(error, ConnectionError | http.client.HTTPException):
        return "it does not answer in HTTP", "Look at the port, and at http:// or https://."
    why = escaped(getattr(error, "strerror", None) or "it failed", 120)
    return f"it cannot be reached: {why}", "Look at the address and at the network."


def _long_token(url: str, spec: str, most: int) -> Line:
    """Whether the largest token that the middleware accepts also reaches the app."""
    size, refused = most, ""
    while size > _SHORT:
        try:
            answer, header = _answer(url, spec, size)
            if judge(answer, header).outcome == OK:
                break
            refused = refused or f"gets {answer.status}"
        except (OSError, http.client.HTTPException):
            refused = refused or "gets no answer"
        size //= 2
    if not refused:
        return Line(OK, "token size", f"a token of {most} characters arrives")
    return Line(
        WARN,
        "token size",
        f"a token of {most} characters {refused}, one of {max(size, _SHORT)} arrives",
        "Raise the limit of headers in front (gunicorn --limit-request-field_size, uWSGI"
        " --buffer-size, nginx large_client_header_buffers), or lower JWT_WSGI_MAX_TOKEN_SIZE.",
    )


def _answer(url: str, spec: str, size: int) -> tuple["Answer", str]:
    """The answer to a made-up token of about ``size`` characters, and its header's name."""
    name, value = _carried(spec, made_up_token(size))
    return _ask(url, {name: value, "Accept": "application/json"}), name


def _carried(spec: str, token: str) -> tuple[str, str]:
    """The name and value of the request header for a place of ``token_from``."""
    environ: dict[str, str] = {}
    where = place(spec, len(token))
    where.write(environ, token)
    return where.key.removeprefix("HTTP_").replace("_", "-").title(), environ[where.key]


def made_up_token(size: int = 0) -> str:
    """A token in the form of a JWT, without a real signature. ``size``: its most characters."""
    claims = {"iss": "https://doctor.invalid", "exp": 4102444800}
    head = token_part({"alg": "EdDSA", "typ": "JWT"})
    room = (size - len(head) - 88) * 3 // 4 - len(json.dumps({**claims, "pad": ""}))
    return f"{head}.{token_part({**claims, 'pad': 'x' * max(0, room)})}.{'A' * 86}"


def judge(answer: Answer, header: str) -> Line:
    """Whether ``header`` reached the app, judged by the answer."""
    ours = {*TOKEN_ERRORS, InvalidTokenError.code, KeysUnavailableError.code}
    if answer.code in ours or ("invalid_token" in answer.challenge and not answer.error):
        code = answer.code if answer.code in ours else "invalid_token"
        return Line(OK, "app", f"{header} arrives: refused with {code}")
    if answer.status < 400:  # noqa: PLR2004
        return _not_refused(answer)
    if answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        says = "407: a proxy before the app asks for a password"
        return Line(FAIL, "app", says, "Run it on a machine that reaches the app without a proxy.")
    if answer.error == MalformedHeaderError.error:
        says = f"{header} arrives changed: {answer.status} {answer.error}"
        return Line(FAIL, "app", says, "A server or proxy in front of the app rewrites the header.")
    if answer.error == MissingTokenError.error or _names_no_error(answer.challenge):
        return Line(FAIL, "app", f"{header} does not arrive: {answer.status}", _REMOVED_HEADER)
    says = f"{answer.status} that is not the middleware's"
    return Line(FAIL, "app", says, "Another program answers: look at the URL and at proxies.")


def _names_no_error(challenge: str) -> bool:
    """RFC 6750 section 3.1: a request without a token gets no error code."""
    return challenge.startswith("Bearer") and "error=" not in challenge


def _not_refused(answer: Answer) -> Line:
    if answer.location:
        says = f"{answer.status}, a redirect to {shown_url(answer.location, 200)}"
        if _LOGIN.search(urlsplit(answer.location).path):
            remedy = "Put the middleware in front of the layer that redirects to a login page."
            return Line(FAIL, "app", f"a login page answers: {says}", remedy)
        return Line(WARN, "app", says, "Give the URL that the redirect leads to.")
    remedy = "Give a URL that needs a token; if this one should, the middleware does not guard it."
    return Line(FAIL, "app", f"{answer.status}: a made-up token is let through", remedy)


def _ask(url: str, headers: Mapping[str, str]) -> Answer:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("no URL")
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.connect()
        with _time_limit(connection.sock):
            connection.request("GET", target, headers=dict(headers))
            response = connection.getresponse()
            body = _object(response.read(_MAX_BODY))
        named = {name: str(body.get(name, "")) for name in ("error", "code")}
        challenge = response.headers.get("WWW-Authenticate", "")
        location = response.headers.get("Location", "")
        return Answer(response.status, **named, challenge=challenge, location=location)
    finally:
        connection.close()


@contextmanager
def _time_limit(connected: socket) -> Iterator[None]:
    """Close the connection after a while: an app may send single bytes for hours."""
    timer = Timer(2 * TIMEOUT, connected.shutdown, [SHUT_RDWR])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _object(body: bytes) -> dict[str, Any]:
    try:
        return json_object(body)
    except ValueError:
        return {}
