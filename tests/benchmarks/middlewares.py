"""The middlewares: each a function that makes a bare app and the same app behind authentication."""

import io
import sys
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import candidates
from candidates import CACHE_OFF
from candidates import no_app
from candidates import protected
from gate import Verify
from tokens import AUDIENCE
from tokens import ISSUER
from tokens import Published

App = Callable[..., Any]


class Pair(NamedTuple):
    """An app without and with authentication, for the same request."""

    bare: App
    guarded: App


def ours(mint: Published) -> Pair:
    return Pair(no_app, protected(no_app, mint))


def ours_cold(mint: Published) -> Pair:
    return Pair(no_app, protected(no_app, mint, **CACHE_OFF))


def by_hand(make: Callable[[Published], Verify]) -> Callable[[Published], Pair]:
    """What people write around a library: a dozen lines, one header, one answer."""

    def pair(mint: Published) -> Pair:
        verify = make(mint)

        def guarded(environ, start_response):
            scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
            try:
                if scheme.lower() != "bearer":
                    raise ValueError("no token")
                environ["payload"] = verify(token)
            except Exception:
                body = b'{"error": "Invalid token"}'
                headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
                start_response("401 Unauthorized", [*headers, ("WWW-Authenticate", "Bearer")])
                return [body]
            return no_app(environ, start_response)

        return Pair(no_app, guarded)

    return pair


def pyjwk_client(mint: Published) -> Verify:
    """PyJWT + PyJWKClient as it is used, without the network: it "fetches" from memory, once."""
    import jwt

    class Client(jwt.PyJWKClient):
        def fetch_data(self):
            if self.jwk_set_cache is not None:
                self.jwk_set_cache.put(mint.jwks)
            return mint.jwks

    client, algorithms = Client("https://issuer.example.com/jwks", lifespan=86400), [mint.algorithm]

    def verify(token: str) -> object:
        key = client.get_signing_key_from_jwt(token).key
        return jwt.decode(token, key, algorithms=algorithms, audience=AUDIENCE, issuer=ISSUER)

    return verify


def flask_authlib(mint: Published) -> Pair:
    """Flask + Authlib's ResourceProtector with its RFC 9068 validator."""
    from authlib.integrations.flask_oauth2 import ResourceProtector
    from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
    from joserfc.jwk import KeySet

    class Validator(JWTBearerTokenValidator):
        def get_jwks(self):
            return keys

    keys = KeySet.import_key_set(mint.jwks)
    app, protector = _flask(), ResourceProtector()
    protector.register_token_validator(Validator(issuer=ISSUER, resource_server=AUDIENCE))
    app.add_url_rule("/guarded", "guarded", protector()(_ok))
    return Pair(app.wsgi_app, _at("/guarded", app.wsgi_app))


def flask_jwt_extended(mint: Published) -> Pair:
    from flask_jwt_extended import JWTManager
    from flask_jwt_extended import jwt_required

    app = _flask()
    app.config |= {
        "JWT_ALGORITHM": mint.algorithm,
        "JWT_PUBLIC_KEY": _pem(mint),
        "JWT_DECODE_AUDIENCE": AUDIENCE,
        "JWT_DECODE_ISSUER": ISSUER,
        "JWT_TOKEN_LOCATION": ["headers"],
    }
    JWTManager(app)
    app.add_url_rule("/guarded", "guarded", jwt_required()(_ok))
    return Pair(app.wsgi_app, _at("/guarded", app.wsgi_app))


def rest_simplejwt(mint: Published) -> Pair:
    """Django REST + simplejwt, stateless. It has one key a process: that of the last call."""
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application

    if not settings.configured:
        _configure_django(settings)
    app = get_wsgi_application()
    from rest_framework_simplejwt import state
    from rest_framework_simplejwt.backends import TokenBackend

    state.token_backend = TokenBackend(mint.algorithm, None, _pem(mint), AUDIENCE, ISSUER)
    return Pair(_at("/bare", app), _at("/guarded", app))


def _configure_django(settings) -> None:
    settings.configure(
        ROOT_URLCONF="middlewares_urls",
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="benchmark" * 6,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
        MIDDLEWARE=[],
        LOGGING_CONFIG=None,
        SIMPLE_JWT={"USER_ID_CLAIM": "sub", "TOKEN_TYPE_CLAIM": None},
    )


def _flask():
    import flask

    app = flask.Flask("benchmark")
    app.add_url_rule("/", "bare", _ok)
    return app


def _ok():
    return "ok"


def _at(path: str, app: App) -> App:
    """The app, asked for that path whatever the request says."""

    def at(environ, start_response):
        environ["PATH_INFO"] = path
        return app(environ, start_response)

    return at


def _pem(mint: Published) -> str:
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return mint.public_key.public_bytes(serialization.Encoding.PEM, form).decode()


MIDDLEWARES: dict[str, Callable[[Published], Pair]] = {
    "ours": ours,
    "ours, cache off": ours_cold,
    "oxyjwt by hand": by_hand(candidates.oxyjwt),
    "authlib.jose by hand": by_hand(candidates.authlib),
    "joserfc by hand": by_hand(candidates.joserfc_keyset),
    "PyJWT + PyJWKClient by hand": by_hand(pyjwk_client),
    "Flask + ResourceProtector": flask_authlib,
    "Flask-JWT-Extended": flask_jwt_extended,
    "DRF + simplejwt": rest_simplejwt,
}


def environ(token: str | None) -> dict[str, Any]:
    """What a server makes of ``GET /`` with that token."""
    made = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_USER_AGENT": "benchmark",
        "HTTP_ACCEPT": "*/*",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    return made if token is None else made | {"HTTP_AUTHORIZATION": f"Bearer {token}"}


_TEMPLATE = environ(None)


def ask(app: App, token: str | None) -> str:
    """One request, as a server makes it: status of the answer, body read and closed."""
    request, statuses = _TEMPLATE.copy(), []
    if token is not None:
        request["HTTP_AUTHORIZATION"] = "Bearer " + token

    def start_response(status, headers, exc_info=None):
        statuses.append(status)

    answer = app(request, start_response)
    for _ in answer:
        pass
    close = getattr(answer, "close", None)
    if close is not None:
        close()
    return statuses[0]


def as_verify(app: App) -> Verify:
    """For the gate: an app that answers anything but 200 has refused."""

    def verify(token: str) -> object:
        status = ask(app, token)
        if not status.startswith("200"):
            raise ValueError(status)
        return status

    return verify
