"""One GET of a JSON document, limited in time and size.

By default ``requests`` has no total deadline and no size limit, follows redirects, sends passwords
of ``~/.netrc`` and decompresses every response. Here it does none of that. No module but this one,
``failures`` and ``tls`` imports ``requests``.
"""

import io
import math
import socket
import ssl
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from http.client import HTTPResponse
from typing import Any
from typing import Final
from typing import Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError
from urllib3.exceptions import HTTPError
from urllib3.exceptions import NameResolutionError
from urllib3.exceptions import NewConnectionError
from urllib3.poolmanager import PoolManager

from jwt_wsgi.events import logger
from jwt_wsgi.urls import DEFAULT_PORTS
from jwt_wsgi.urls import check_url
from jwt_wsgi.urls import shown_url

from .content_encoding import whole
from .failures import FetchError
from .failures import failure
from .failures import words_of
from .headers import HeaderFile
from .headers import values_of
from .tls import client_context

CONNECT_TIMEOUT: Final = 2.0  # seconds; half a second was too short between regions
READ_TIMEOUT: Final = 3.0  # seconds, for one read
MAX_BYTES: Final = 1_048_576  # of a document, after decompression
#: Kubernetes answers 406 unless Accept has application/jwk-set+json (RFC 7517 section 8.5.1).
_USUAL: Final = {
    "Accept": "application/jwk-set+json, application/json;q=0.9, */*;q=0.1",
    "User-Agent": "jwt-wsgi",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete document. ``date``: the issuer's clock when it answered, seconds since 1970."""

    body: bytes
    etag: str | None
    date: float | None


@dataclass(frozen=True, slots=True)
class NotModified:
    """A 304: the document with the ``etag`` of the request is still current."""

    date: float | None


class Fetch(Protocol):
    """A function that fetches a document. Tests replace it."""

    def __call__(
        self, url: str, *, etag: str | None, no_cache: bool, timeout: float
    ) -> Fetched | NotModified:
        """GET ``url`` within ``timeout`` seconds in all. Raises :class:`FetchError`."""


@dataclass(frozen=True, slots=True)
class HTTPFetch:
    """Fetches with ``requests``, within limits.

    ``verify``: a CA bundle, instead of the default (:mod:`.tls`). ``cert``: a client certificate.
    ``headers`` and ``cert`` are sent only to the origin of the URL ``home``. The first time that
    they are left out, a WARNING is logged.
    """

    max_bytes: int = MAX_BYTES
    verify: str | None = None
    cert: str | tuple[str, str] | None = None
    headers: Mapping[str, str | HeaderFile] = field(default_factory=dict)
    home: str = ""
    allow_http: bool = False
    _warned: list[str] = field(default_factory=list, compare=False, repr=False)

    def __call__(
        self, url: str, *, etag: str | None, no_cache: bool, timeout: float
    ) -> Fetched | NotModified:
        """GET ``url``, as :class:`Fetch`. Only name resolution can take longer than ``timeout``."""
        if problem := check_url(url, allow_http=self.allow_http):
            raise FetchError("url", problem)
        deadline = time.monotonic() + timeout
        withheld = self.withholds(url)
        if withheld and not self._warned:
            self._warned.append(url)
            logger.warning(
                "%s is not of the origin of %s: jwks_headers and the certificate of jwks_tls are"
                " not sent there; set jwks_uri if they should be",
                shown_url(url),
                shown_url(self.home),
            )
        try:
            context = self._context(url, None if withheld else self.cert)
            for_proxy = context if withheld or not self.cert else self._context(url, None)
            with _Session() as session:
                session.mount("https://", _Adapter(deadline, context, for_proxy))
                session.mount("http://", _Adapter(deadline, context, for_proxy))
                with session.get(
                    url,
                    headers=_request_headers(
                        {} if withheld else values_of(self.headers), etag, no_cache=no_cache
                    ),
                    timeout=(min(CONNECT_TIMEOUT, timeout), min(READ_TIMEOUT, timeout)),
                    stream=True,
                    allow_redirects=False,
                ) as response:
                    return self._read(response, conditional=etag is not None)
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            raise failure(error) from error

    def withholds(self, url: str) -> bool:
        """Whether there are headers or a certificate that must not be sent to ``url``."""
        return bool(self.headers or self.cert) and _origin(url) != _origin(self.home)

    def _context(self, url: str, cert: str | tuple[str, str] | None) -> ssl.SSLContext | None:
        if urlsplit(url).scheme != "https":
            return None
        try:
            return client_context(self.verify, cert)
        except OSError as error:
            why = "the CA certificates or the client certificate cannot be loaded"
            raise FetchError("tls", why + words_of([error])) from error

    def _read(self, response: requests.Response, *, conditional: bool) -> Fetched | NotModified:
        status, date = response.status_code, _origin_clock(response.headers)
        if status == HTTPStatus.NOT_MODIFIED and conditional:
            return NotModified(date)
        if status != HTTPStatus.OK:
            raise _refusal(response)
        read = partial(response.raw.read, decode_content=False)
        body = whole(read, response.headers.get("Content-Encoding", ""), self.max_bytes)
        return Fetched(body, response.headers.get("ETag"), date)


def _request_headers(own: Mapping[str, str], etag: str | None, *, no_cache: bool) -> dict[str, str]:
    """Add our default headers to ``own``. Those that the fetch depends on cannot be replaced."""
    lower = {name.lower() for name in own}
    usual = {name: text for name, text in _USUAL.items() if name.lower() not in lower}
    headers = {**own, **usual, "Accept-Encoding": "identity"}
    if etag is not None:
        headers["If-None-Match"] = etag
    if no_cache:
        headers["Cache-Control"] = "no-cache"
    return headers


def _origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port (RFC 6454 section 4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme)


class _Session(requests.Session):
    """A session without passwords of ``~/.netrc``, and without redirects."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = _no_auth  # with auth set, requests does not read netrc; proxies are still used

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: else requests reads the whole body of a 3xx, even without redirects."""


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Adapter(HTTPAdapter):
    """Connections that are read only until ``deadline``, the proxy's answer included.

    ``context``: of TLS with the server; ``for_proxy``: of TLS with a proxy, which does not get our
    client certificate. requests and urllib3 add no certificates of certifi to them.
    """

    def __init__(
        self, deadline: float, context: ssl.SSLContext | None, for_proxy: ssl.SSLContext | None
    ) -> None:
        self._deadline, self._context, self._for_proxy = deadline, context, for_proxy
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
        _limit(self.poolmanager, self._deadline)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, *args, **kwargs)
        # Not what requests makes of REQUESTS_CA_BUNDLE: that is in the context already.
        return host, {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, *_args: Any, **_kwargs: Any) -> None:
        """Leave it to the context; requests would add certifi's certificates."""
        conn.cert_reqs = "CERT_REQUIRED"

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        kwargs |= {"ssl_context": self._context, "proxy_ssl_context": self._for_proxy}
        manager = super().proxy_manager_for(*args, **kwargs)
        _limit(manager, self._deadline)
        return manager


def _limit(manager: PoolManager, deadline: float) -> None:
    class Response(_response_class(deadline)):  # type: ignore[misc]
        pass

    def connect(connection: HTTPConnection) -> socket.socket:
        return _connect(connection, deadline)

    class Plain(HTTPConnection):
        response_class, _new_conn = Response, connect

    class Secure(HTTPSConnection):
        response_class, _new_conn = Response, connect

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def _connect(connection: HTTPConnection, deadline: float) -> socket.socket:
    """Try the host's addresses in turn, until the deadline. urllib3 has a time-out for each."""
    try:
        found = socket.getaddrinfo(
            connection.host.strip("[]"), connection.port, type=socket.SOCK_STREAM
        )
    except (socket.gaierror, UnicodeError) as error:
        raise NameResolutionError(connection.host, connection, socket.gaierror(error)) from error
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, address in found:
        if (left := deadline - time.monotonic()) <= 0:
            failure = TimeoutError()
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(CONNECT_TIMEOUT, left))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    if isinstance(failure, TimeoutError):
        raise ConnectTimeoutError(connection, "no address answered in time") from failure
    raise NewConnectionError(connection, "no address can be reached") from failure


def _response_class(deadline: float) -> type[HTTPResponse]:
    class Response(HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            unlimited, self.fp = self.fp, io.BufferedReader(_DeadlineReader(sock, deadline))
            unlimited.close()

    return Response


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until the deadline, also if the peer sends single bytes slowly."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline is over")
        self._sock.settimeout(min(READ_TIMEOUT, left))
        read: Callable[[Any], int | None] = self._raw.readinto
        return read(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _refusal(response: requests.Response) -> FetchError:
    status = response.status_code
    if location := response.headers.get("Location", "") if 300 <= status < 400 else "":  # noqa: PLR2004
        detail = f"status {status}, a redirect to {_host(location)}, which is not followed"
        return FetchError("redirect", detail, status=status)
    asked = response.headers.get("Retry-After") if status in (429, 503) else None
    return FetchError("http", f"status {status}", status=status, retry_after=_delay(asked))


def _host(location: str) -> str:
    try:
        return ascii((urlsplit(location).hostname or "the same host")[:64])
    except ValueError:
        return "a broken URL"


def _delay(text: str | None) -> float | None:
    """Seconds of a ``Retry-After`` (RFC 9110 section 10.2.3). None if it is absent or invalid."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:12])
    moment = _moment(text)
    return None if moment is None else max(0.0, moment - time.time())


def _moment(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _origin_clock(headers: Mapping[str, str]) -> float | None:
    """The issuer's clock at the answer: ``Date``, plus the ``Age`` that it spent in caches."""
    date, age = _moment(headers.get("Date")), headers.get("Age", "0")
    if date is None or not math.isfinite(date):
        return None
    return date + (float(age[:9]) if age.isascii() and age.isdigit() else 0.0)
