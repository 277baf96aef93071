"""A fake issuer for your tests: real keys, real signatures, only the trust is fake.

.. code-block:: python

    issuer = FakeIssuer("https://issuer.example")
    client = Client(issuer.protect(app))
    client.get("/", headers={"Authorization": f"Bearer {issuer.token(sub='ada')}"})

For tests of the app alone, in which tokens play no part: :func:`authenticated`. A fixture for
pytest: :mod:`jwt_wsgi.pytest_plugin`.

Not for production: whoever has the object has the private keys.
"""

import base64
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Unpack
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwk

from . import current
from . import jose
from .claims import Claims
from .injection import Injection
from .keys import KeySet
from .middleware import JWTMiddleware
from .settings.issuer import KEY_SLOT
from .settings.issuer import Issuer
from .settings.table import Options
from .settings.values import read_secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

_HASHES: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES: Final = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
    "ES256K": ec.SECP256K1(),
}


class _SigningKey:
    """A private key and how it signs; the counterpart of one row of ``jose.ALGORITHMS``."""

    def __init__(self, algorithm: str, kid: str, private: object = None) -> None:
        self.algorithm, self.kid = algorithm, kid
        self.private: Any = _generate(algorithm) if private is None else private

    def sign(self, data: bytes) -> bytes:
        """Sign ``data`` as RFC 7518 section 3 and RFC 8037 say."""
        algorithm, key = self.algorithm, self.private
        if algorithm.startswith("HS"):
            return hmac.digest(key, data, f"sha{algorithm[2:]}")
        if algorithm.startswith("Ed"):
            return bytes(key.sign(data))
        hash_ = _HASHES[algorithm[2:5]]
        if algorithm.startswith("ES"):
            size = (key.curve.key_size + 7) // 8
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hash_)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if algorithm.startswith("PS"):
            scheme: Any = padding.PSS(padding.MGF1(hash_), hash_.digest_size)
        else:
            scheme = padding.PKCS1v15()
        return bytes(key.sign(data, scheme, hash_))

    def jwk(self) -> dict[str, Any]:
        """The public JWK (RFC 7517)."""
        kinds: dict[str, Any] = {"RS": jwk.RSAKey, "PS": jwk.RSAKey, "ES": jwk.ECKey}
        kind = kinds.get(self.algorithm[:2], jwk.OKPKey)
        public = kind(self.private.public_key(), self.private.public_key()).as_dict(private=False)
        return {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm}


def _generate(algorithm: str) -> object:
    if algorithm.startswith("HS"):
        return secrets.token_bytes(64)
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    if algorithm.startswith("Ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def _read_private(text: str, algorithm: str) -> object:
    if algorithm.startswith("HS"):
        secret = read_secret(text)
        if len(secret) < jose.SECRET_SIZES[algorithm]:
            raise ValueError(f"{algorithm} needs {jose.SECRET_SIZES[algorithm]} bytes at least")
        return secret
    try:
        if text.lstrip().startswith("{"):
            private: Any = jwk.import_key(json.loads(text)).private_key
        else:
            private = serialization.load_pem_private_key(text.encode(), None)
        key = jose.import_jwk(_SigningKey(algorithm, "", private).jwk())
    except Exception as error:
        raise ValueError(
            f"it is no private key for {algorithm} ({type(error).__name__})"
        ) from error
    row = jose.ALGORITHMS[algorithm]
    if (key.kty, key.crv) != (row.kty, row.crv):
        raise ValueError(f"it is no key for {algorithm}, but {key.kty} {key.crv}".rstrip())
    return private


class FakeIssuer:
    """An issuer of tokens for tests. Nothing needs to be said; everything can be.

    ``issuer``: its identifier, the ``iss`` of its tokens. ``algorithm``: any of
    :data:`jwt_wsgi.jose.ALGORITHMS`, else ValueError. ``claims``: claims of every token, for
    instance ``aud``.
    """

    def __init__(
        self, issuer: str | None = None, *, algorithm: str = "EdDSA", **claims: object
    ) -> None:
        if algorithm not in jose.ALGORITHMS:
            raise ValueError(f"algorithm: {algorithm!r}: give one of {', '.join(jose.ALGORITHMS)}")
        self._named = issuer
        self._claims = claims
        self.algorithm = algorithm
        self._number = 0
        self._keys: list[_SigningKey] = []
        self._server: _Server | None = None
        self.rotate()

    @property
    def issuer(self) -> str:
        """The identifier; while it is served and was not given one, the server's URL."""
        if self._named is not None:
            return self._named
        return self._server.url if self._server else "https://issuer.example"

    @property
    def kid(self) -> str:
        """The name of the key that signs now."""
        return self._keys[0].kid

    @property
    def secret(self) -> str:
        """With HS256, HS384, HS512: the shared secret, as the option ``secret`` takes it."""
        return "base64:" + base64.b64encode(self._keys[0].private).decode()

    def token(self, *, header: Mapping[str, Any] | None = None, **claims: object) -> str:
        """Make a signed token that is good for five minutes, unless the claims say otherwise.

        ``header`` and ``claims`` are added to the usual ones; a member that is None is left out.
        """
        return self._token(self._keys[0], header, claims)

    def wrong_key(self) -> Callable[..., str]:
        """A :meth:`token` that signs with a key of its own under the current ``kid``."""
        impostor = _SigningKey(self.algorithm, self.kid)

        def token(*, header: Mapping[str, Any] | None = None, **claims: object) -> str:
            return self._token(impostor, header, claims)

        return token

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on; ``keep`` False: no longer publish the old ones."""
        self._number += 1
        key = _SigningKey(self.algorithm, f"key-{self._number}")
        self._keys = [key, *self._keys] if keep else [key]

    def load_key(self, text: str) -> None:
        """Sign with this key from now on, and publish no other: a private PEM or JWK, or a secret.

        Raises :class:`ValueError` if it is none, or none for the algorithm.
        """
        self._number += 1
        private = _read_private(text, self.algorithm)
        self._keys = [_SigningKey(self.algorithm, f"key-{self._number}", private)]

    @property
    def private_key(self) -> str:
        """The key that signs now, as :meth:`load_key` takes it: PEM (PKCS 8), or the secret."""
        if self.algorithm.startswith("HS"):
            return self.secret
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        private = self._keys[0].private
        return bytes(private.private_bytes(*form, serialization.NoEncryption())).decode()

    def jwks(self) -> dict[str, Any]:
        """The public keys, the current one first (RFC 7517 section 5)."""
        if self.algorithm.startswith("HS"):
            return {"keys": []}
        return {"keys": [key.jwk() for key in self._keys]}

    def protect(self, app: "WSGIApplication", **options: Unpack[Options]) -> JWTMiddleware:
        """Wrap ``app`` so that it trusts this issuer and its keys, rotated or not; no network.

        An app that a :class:`JWTMiddleware` guards already, around it or as Flask's ``wsgi_app``,
        is guarded as before, by all the middleware's settings; only the issuer is this one. It
        takes no ``options`` then.
        """
        if guard := _guard_of(app):
            if options:
                raise TypeError("the app has settings already; give options to it, or an app bare")
            return JWTMiddleware(guard.app, replace(guard.settings, issuer=(self._trusted(),)))
        wired: Options = {"issuer": self._trusted(), "algorithms": self.algorithm}
        if not KEY_SLOT.isdisjoint(options):  # other keys than ours
            wired["issuer"] = self.issuer
        return JWTMiddleware(app, **(wired | options))

    def _trusted(self) -> Issuer:
        """What makes somebody accept the tokens."""
        if self.algorithm.startswith("HS"):
            return Issuer(self.issuer, secret=self.secret, algorithms=self.algorithm)
        return Issuer(self.issuer, keys=_OwnKeys(self), algorithms=self.algorithm)

    @contextmanager
    def serve(self, port: int = 0) -> "Iterator[FakeIssuer]":
        """Serve discovery and JWKS on loopback for the time of the ``with``; yields itself.

        Once at a time, else RuntimeError. ``port`` 0: any that is free.
        """
        if self._server is not None:
            raise RuntimeError(f"the issuer is served already, at {self._server.url}")
        self._server = _Server(self, port)
        try:
            yield self
        finally:
            server, self._server = self._server, None
            server.stop()

    @property
    def url(self) -> str:
        """Where it is served."""
        return self._running.url

    @property
    def jwks_uri(self) -> str:
        """Where the keys are served."""
        return f"{self.url}/.well-known/jwks.json"

    @property
    def requests(self) -> list[str]:
        """The paths that were asked for since it is served."""
        return self._running.requests

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Answer everything with 500 for the time of the ``with``."""
        server = self._running
        before, server.broken = server.broken, True
        try:
            yield
        finally:
            server.broken = before

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Answer everything so much later for the time of the ``with``."""
        server = self._running
        before, server.delay = server.delay, seconds
        try:
            yield
        finally:
            server.delay = before

    @property
    def _running(self) -> "_Server":
        if self._server is None:
            raise RuntimeError("the issuer is not served; use it inside `with issuer.serve():`")
        return self._server

    def _token(
        self, key: _SigningKey, header: Mapping[str, Any] | None, claims: Mapping[str, object]
    ) -> str:
        now = int(time.time())
        usual = {"iss": self.issuer, "sub": "somebody", "iat": now, "exp": now + 300}
        members = {"alg": self.algorithm, "typ": "JWT", "kid": key.kid, **(header or {})}
        signed = f"{_part(members)}.{_part(usual | self._claims | dict(claims))}"
        return f"{signed}.{_base64url(key.sign(signed.encode()))}"

    def _document(self, path: str) -> dict[str, Any] | None:
        base = urlsplit(self.issuer).path.rstrip("/") if self._named else ""
        metadata = {"issuer": self.issuer, "jwks_uri": self.jwks_uri}
        return {
            f"{base}/.well-known/openid-configuration": metadata,
            f"/.well-known/oauth-authorization-server{base}": metadata,
            "/.well-known/jwks.json": self.jwks(),
        }.get(path)


def _guard_of(app: "WSGIApplication") -> JWTMiddleware | None:
    """The middleware around an app, or inside of it, where Flask's users put it."""
    found: Any = app if isinstance(app, JWTMiddleware) else getattr(app, "wsgi_app", None)
    return found if isinstance(found, JWTMiddleware) else None


def authenticated(
    app: "WSGIApplication",
    payload: Mapping[str, Any] | None,
    *,
    header: Mapping[str, Any] | None = None,
) -> "WSGIApplication":
    """FOR TESTS ONLY: ``app`` finds ``payload`` in every request, and no token is looked at.

    .. code-block:: python

        client = Client(authenticated(app, {"sub": "ada"}))

    What the app sees is what :class:`JWTMiddleware` would put there, a copy for each request, by
    :func:`~jwt_wsgi.current_payload`, too; ``payload`` None: as on a public path. A
    :class:`JWTMiddleware` around ``app`` is taken off, and its ``claim_headers``,
    ``remote_user_claim`` and ``keep_token`` still hold. Tests of who may do what belong to
    :meth:`FakeIssuer.protect`: rules are not asked here.
    """
    guard = _guard_of(app)
    injection = guard._injection if guard else Injection(claim_headers={})  # noqa: SLF001  # its other half
    inner = guard.app if guard else app
    told = {"alg": "none", "typ": "JWT"} if header is None else header

    def let_everybody_in(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> "Iterable[bytes]":
        injection.clear(environ)
        if payload is not None:
            claims = Claims.of(deepcopy(dict(payload)), deepcopy(dict(told)))
            injection.inject(environ, claims, token="for-tests-only")  # noqa: S106  # it is none
        return current.serve(inner, environ, start_response)

    return let_everybody_in


def _part(members: Mapping[str, object]) -> str:
    told = {name: value for name, value in members.items() if value is not None}
    return _base64url(json.dumps(told).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _OwnKeys:
    """The keys of an issuer as a key source, without any network."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self._issuer = issuer
        self._made_of: object = None
        self._keyset = KeySet([])

    def current(self) -> KeySet:
        """The set of now; the same object until the issuer rotates."""
        keys = self._issuer._keys  # noqa: SLF001  # a new list with each rotation
        if keys is not self._made_of:
            self._keyset, self._made_of = KeySet.of(self._issuer.jwks()), keys
        return self._keyset

    def candidates(self, header: Mapping[str, Any]) -> "Iterable[jose.Key]":
        """As :class:`~jwt_wsgi.keys.KeySource`."""
        return self.current().candidates(header)

    candidates_are_current = candidates


class _Server(ThreadingHTTPServer):
    """The issuer's endpoints on loopback."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, issuer: FakeIssuer, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.issuer = issuer
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[str] = []
        self.broken = False
        self.delay = 0.0
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is part of many a test."""

    def server_bind(self) -> None:
        """Bind without the reverse look-up of the host's name that http.server makes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        time.sleep(self.server.delay)
        document = self.server.issuer._document(self.path)  # noqa: SLF001  # its own server
        status = 500 if self.server.broken else 200 if document is not None else 404
        body = json.dumps(document if status == 200 else {"error": status}).encode()  # noqa: PLR2004
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        """Say nothing."""
