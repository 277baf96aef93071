"""Does a token get through to the running app? One request with a token that nobody made.

That it is refused as a token shows the whole way: server, proxies, and the middleware behind
them. ``No token provided`` shows that something on the way swallowed the header.
"""

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from socket import SHUT_RDWR
from socket import socket
from threading import Timer
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import urlsplit

from jwt_wsgi.bearer import place
from jwt_wsgi.errors import TOKEN_ERRORS
from jwt_wsgi.errors import InvalidTokenError
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.errors import MalformedHeaderError
from jwt_wsgi.errors import MissingTokenError
from jwt_wsgi.errors import escaped
from jwt_wsgi.strict_json import json_object
from jwt_wsgi.urls import shown_url

from .terminal import FAIL
from .terminal import OK
from .terminal import WARN
from .terminal import Line

TIMEOUT: Final = 10.0  # seconds, for one step of the connection
_MAX_BODY: Final = 65536
_SWALLOWED: Final = (
    "Something in front of the app swallows the header. Apache with mod_wsgi:"
    " WSGIPassAuthorization On; Apache with FastCGI: CGIPassAuth On; nginx:"
    " proxy_set_header Authorization $http_authorization."
)


class Answer(NamedTuple):
    """What came back. ``code``: of our JSON body; ``challenge``: all of ``WWW-Authenticate``."""

    status: int
    error: str
    code: str
    challenge: str
    location: str


def live_check(url: str, spec: str) -> Line:
    """Ask ``url``; ``spec`` is the first of the option ``token_from``."""
    name, value = _carried(spec, made_up_token())
    try:
        answer = _ask(url, {name: value, "Accept": "application/json"})
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or type(error).__name__
        return Line(FAIL, "app", f"TLS: {escaped(why, 120)}", "Mend its certificate.")
    except (OSError, ValueError, http.client.HTTPException) as error:
        told = f"it cannot be asked ({type(error).__name__})"
        return Line(FAIL, "app", told, "Give the URL of the running app, with http:// or https://.")
    return judge(answer, name)


def _carried(spec: str, token: str) -> tuple[str, str]:
    """The request header that brings a token to a place of ``token_from``: its name and value."""
    environ: dict[str, str] = {}
    where = place(spec, len(token))
    where.write(environ, token)
    return where.key.removeprefix("HTTP_").replace("_", "-").title(), environ[where.key]


def made_up_token() -> str:
    """A JWT in form: no issuer's, and signed by nobody."""
    parts = ({"alg": "EdDSA", "typ": "JWT"}, {"iss": "https://doctor.invalid", "exp": 4102444800})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, b"A" * 86]).decode()


def judge(answer: Answer, header: str) -> Line:
    """What an answer says of the way that ``header`` took."""
    ours = {*TOKEN_ERRORS, InvalidTokenError.code, KeysUnavailableError.code}
    if answer.code in ours or ("invalid_token" in answer.challenge and not answer.error):
        code = answer.code if answer.code in ours else "invalid_token"
        return Line(OK, "app", f"{header} arrives: refused with {code}")
    if answer.status < 400:  # noqa: PLR2004
        return _not_refused(answer)
    if answer.error == MalformedHeaderError.error:
        told = f"{header} arrives changed: {answer.status} {answer.error}"
        return Line(FAIL, "app", told, "Something in front of the app rewrites the header.")
    if answer.error == MissingTokenError.error or _names_no_error(answer.challenge):
        return Line(FAIL, "app", f"{header} does not arrive: {answer.status}", _SWALLOWED)
    told = f"{answer.status} that is not the middleware's"
    return Line(FAIL, "app", told, "Something else answers: look at the URL and what is in front.")


def _names_no_error(challenge: str) -> bool:
    """RFC 6750 section 3.1: a request without a token gets no error code."""
    return challenge.startswith("Bearer") and "error=" not in challenge


def _not_refused(answer: Answer) -> Line:
    if answer.location:
        told = f"{answer.status}, a redirect to {shown_url(answer.location, 200)}"
        return Line(WARN, "app", told, "Give the URL that it leads to.")
    remedy = "Give a URL that needs a token; if this one should, the middleware is not in its way."
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
        with _hung_up_on(connection.sock):
            connection.request("GET", target, headers=dict(headers))
            response = connection.getresponse()
            body = _object(response.read(_MAX_BODY))
        told = {name: str(body.get(name, "")) for name in ("error", "code")}
        challenge = response.headers.get("WWW-Authenticate", "")
        location = response.headers.get("Location", "")
        return Answer(response.status, **told, challenge=challenge, location=location)
    finally:
        connection.close()


@contextmanager
def _hung_up_on(connected: socket) -> Iterator[None]:
    """An app that sends a byte now and then would otherwise keep us for hours."""
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
