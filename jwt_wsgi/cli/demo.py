"""``python -m jwt_wsgi demo``: Authlib's authorization server and an app behind the middleware.

Both run on loopback, to try them out. They are not for production.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import ExitStack
from http import HTTPStatus
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import NoReturn
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749 import OAuth2Payload
from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc.jwk import ECKey
from joserfc.jwk import KeySet
from werkzeug.serving import BaseWSGIServer
from werkzeug.serving import WSGIRequestHandler
from werkzeug.serving import make_server
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response

from .demo_app import PUBLIC_PATH
from .demo_app import VARIABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

AUDIENCE: Final = "https://api.example"
CLIENT: Final = "demo"
SECRET: Final = "demo"  # noqa: S105  # of a demo server on loopback
READY_WITHIN: Final = 20.0  # seconds


class DemoError(Exception):
    """The demo cannot run. The message holds the remedy."""


# --- The authorization server ------------------------------------------------------------------


class _Client(ClientMixin):  # type: ignore[misc]
    """The one client."""

    def get_client_id(self) -> str:
        return CLIENT

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(word for word in (scope or "").split() if word in ("read", "write"))

    def check_client_secret(self, secret: str) -> bool:
        return secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return endpoint == "token" and method == "client_secret_basic"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"


class _Payload(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, request: Request) -> None:
        self._form = request.form

    @property
    def data(self) -> Mapping[str, str]:
        return self._form

    @property
    def datalist(self) -> Mapping[str, list[str]]:
        return defaultdict(list, self._form.lists())


class _Request(OAuth2Request):  # type: ignore[misc]
    def __init__(self, request: Request) -> None:
        # Authlib insists on https; this server speaks to loopback only.
        super().__init__(request.method, request.url.replace("http:", "https:", 1))
        self.headers = request.headers
        self.payload = _Payload(request)
        self._form = request.form

    @property
    def form(self) -> Any:
        return self._form


class _Generator(JWTBearerTokenGenerator):  # type: ignore[misc]
    """Authlib's access tokens (RFC 9068), signed with a key of this run."""

    def __init__(self, issuer: str, keys: KeySet) -> None:
        super().__init__(issuer, alg="ES256")
        self._keys = keys

    def get_jwks(self) -> KeySet:
        return self._keys

    def get_audiences(self, *_who_and_what: object) -> str:
        return AUDIENCE


class DemoIssuer(AuthorizationServer):  # type: ignore[misc]
    """Authlib's authorization server as a WSGI app: metadata, JWKS and a token endpoint."""

    def __init__(self, issuer: str) -> None:
        super().__init__(scopes_supported=["read", "write"])
        self.issuer = issuer
        self._keys = KeySet([ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})])
        self.register_grant(ClientCredentialsGrant)
        self.register_token_generator("default", _Generator(issuer, self._keys))

    def query_client(self, client_id: str) -> _Client | None:
        return _Client() if client_id == CLIENT else None

    def save_token(self, token: object, request: object) -> None:
        """Save nothing: a JWT contains all its data."""

    def create_oauth2_request(self, request: Request) -> _Request:
        return _Request(request)

    def handle_response(
        self, status: int, body: object, headers: Iterable[tuple[str, str]]
    ) -> Response:
        return Response(json.dumps(body), status, dict(headers))

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nothing is connected to the signals."""

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        request = Request(environ)
        answers: dict[str, Callable[[Request], Response]] = {
            "/.well-known/openid-configuration": self._metadata,
            "/.well-known/oauth-authorization-server": self._metadata,
            "/.well-known/jwks.json": self._jwks,
            "/token": self._token,
        }
        answer = answers.get(request.path, _not_found)
        if environ.get("HTTP_HOST") != urlsplit(self.issuer).netloc:
            answer = _misdirected  # a page that resolves its own name to loopback (DNS rebinding)
        return answer(request)(environ, start_response)

    def _metadata(self, _request: Request) -> Response:
        return _json(
            {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/.well-known/jwks.json",
                "token_endpoint": f"{self.issuer}/token",
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": [],
            }
        )

    def _jwks(self, _request: Request) -> Response:
        return _json(self._keys.as_dict(private=False))

    def _token(self, request: Request) -> Response:
        response: Response = self.create_token_response(request)
        return response


def _not_found(_request: Request) -> Response:
    return Response("Not Found", 404)


def _misdirected(_request: Request) -> Response:
    return Response("This server answers for its own host only", 421)


def _json(value: object) -> Response:
    return Response(json.dumps(value), content_type="application/json")


# --- The protected app -------------------------------------------------------------------------


def echo(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    """Answer with what the middleware found."""
    payload = environ["jwt_wsgi.payload"]
    granted = {"message": "Access granted", "user": payload}
    body = json.dumps({"status": "ok"} if payload is None else granted).encode() + b"\n"
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


# --- Running both ------------------------------------------------------------------------------


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  # its name there
        """Log nothing, so that the terminal stays readable."""


def run(app: str, port: int, issuer_port: int, *, as_json: bool = False) -> None:
    """Serve until SIGINT or SIGTERM. Raises :class:`DemoError` if serving is impossible.

    ``app``: ``module:attribute`` of a WSGI app, as in ``JWT_WSGI_APP``. ``as_json``: print the URLs
    and the examples as one line of JSON.
    """
    if find_spec("gunicorn") is None:
        raise DemoError("gunicorn is missing; run: pip install gunicorn")
    for number, option in ((port, "--port"), (issuer_port, "--issuer-port")):
        _check_free(number, option)
    issuer = f"http://127.0.0.1:{issuer_port}"
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with ExitStack() as cleanup:
        try:
            server = make_server(
                "127.0.0.1", issuer_port, DemoIssuer(issuer), threaded=True, request_handler=_Quiet
            )
            cleanup.callback(_stop_server, server)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            gunicorn = _start_gunicorn(app, port, issuer)
            cleanup.callback(_stop_gunicorn, gunicorn)
            _wait_until_ready(gunicorn, port)
            printed = _announced(f"http://127.0.0.1:{port}", issuer, as_json=as_json)
            print(printed, flush=True)
            gunicorn.wait()
            raise DemoError("gunicorn has ended; its messages are above")
        except KeyboardInterrupt:
            if not as_json:
                print("\nstopped", flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):  # later signals must not interrupt the clean-up
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _check_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = (error.strerror or "cannot be bound").lower()
            raise DemoError(f"port {port}: {why}; choose another with {option}") from error


def _start_gunicorn(app: str, port: int, issuer: str) -> "subprocess.Popen[bytes]":
    """Start gunicorn, without settings of the shell or of ``./gunicorn.conf.py``."""
    own = {
        VARIABLE: json.dumps({"app": app, "issuer": issuer, "audience": AUDIENCE}),
        "JWT_WSGI_ISSUER": issuer,  # for an app with a middleware that reads them
        "JWT_WSGI_AUDIENCE": AUDIENCE,
    }
    for name in ("NO_PROXY", "no_proxy"):  # loopback is reached without the shell's proxy
        own[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))
    others = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    command = [sys.executable, "-m", "gunicorn", "jwt_wsgi.cli.demo_app:application()"]
    command += ["--config", "python:jwt_wsgi.cli.demo_gunicorn", "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", "2", "--log-level", "warning"]
    return subprocess.Popen(command, env=others | own, stdin=subprocess.PIPE)


def _is_setting(name: str) -> bool:
    return name.startswith("JWT_WSGI_") or name == "GUNICORN_CMD_ARGS"


def _wait_until_ready(gunicorn: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until:
        if gunicorn.poll() is not None:
            raise DemoError("gunicorn did not start; its messages are above")
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise DemoError(f"gunicorn did not answer within {READY_WITHIN:.0f} s")


def _stop_gunicorn(gunicorn: "subprocess.Popen[bytes]") -> None:
    gunicorn.terminate()
    try:
        gunicorn.wait(5)
    except subprocess.TimeoutExpired:
        gunicorn.kill()
        gunicorn.wait()
    finally:
        if gunicorn.stdin is not None:
            gunicorn.stdin.close()


def _stop_server(server: BaseWSGIServer) -> None:
    server.shutdown()
    server.server_close()


class Example(NamedTuple):
    """A request to try: its title, the status of its answer, and the lines to paste."""

    about: str
    status: int
    commands: tuple[str, ...]


def _examples(url: str, issuer: str) -> Iterator[Example]:
    token = _fetch_token(issuer)
    tampered = token[:-8] + ("A" * 8 if token[-8:] != "A" * 8 else "B" * 8)
    fetch = (
        f"TOKEN=$(curl -s -u {CLIENT}:{SECRET} -d grant_type=client_credentials -d scope=read"
        f" {issuer}/token | {sys.executable} -c"
        """ 'import json, sys; print(json.load(sys.stdin)["access_token"])')"""
    )

    def ask(credentials: str) -> str:
        return f'curl -i {url}/orders -H "Authorization: {credentials}"'

    yield Example("No token: 401", 401, (f"curl -i {url}/orders",))
    yield Example("Something that is not a bearer token: 401", 401, (ask("Basic ZGVtbzpkZW1v"),))
    yield Example("A token whose signature does not fit: 401", 401, (ask(f"Bearer {tampered}"),))
    about = "A token of the authorization server: 200, and the app has its payload"
    yield Example(about, 200, (fetch, ask("Bearer $TOKEN")))
    about = "The same, with the token in the line"
    yield Example(about, 200, (ask(f"Bearer {token}"),))
    if _status(url + PUBLIC_PATH) == HTTPStatus.OK:  # the user's own app may not have this path
        command = f"curl -i {url}{PUBLIC_PATH}"
        yield Example("A public path: 200 without a token", 200, (command,))


def _announced(url: str, issuer: str, *, as_json: bool) -> str:
    examples = list(_examples(url, issuer))
    if as_json:
        requests = [example._asdict() for example in examples]
        return json.dumps({"app": url, "issuer": issuer, "requests": requests})
    blocks = ["\n".join([f"# {e.about}", *e.commands]) for e in examples]
    head = f"An app behind jwt_wsgi is at {url}, its authorization server at {issuer}."
    parts = [f"{head} Ctrl-C ends both.\nPaste these into another terminal.", *blocks]
    return "\n" + "\n\n".join(parts) + "\n"


def _fetch_token(issuer: str) -> str:
    basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310  # loopback
        f"{issuer}/token",
        b"grant_type=client_credentials&scope=read",
        {"Authorization": f"Basic {basic}"},
    )
    with _open(request, timeout=5) as answer:
        token: str = json.load(answer)["access_token"]
    return token


def _status(url: str) -> int:
    """The status of the answer to a GET without a token; 0 if there is none."""
    try:
        with _open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


#: Loopback is reached without the shell's proxy.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
