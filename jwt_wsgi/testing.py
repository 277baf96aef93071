"""A fake issuer for your tests. Its keys and signatures are real; it needs no network.

.. code-block:: python

    issuer = FakeIssuer("https://issuer.example")
    client = Client(issuer.protect(app))
    client.get("/", headers={"Authorization": f"Bearer {issuer.token(sub='ada')}"})

For tests of the app without tokens: :func:`authenticated`. A fixture for pytest:
:mod:`jwt_wsgi.pytest_plugin`. Not for production: the object holds the private keys.
"""

import base64
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from copy import copy
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import Unpack
from urllib.parse import urlsplit

from . import current
from . import jose
from .claims import Claims
from .injection import Injection
from .scope_hierarchy import granting
from .settings.issuer import KEY_SLOT
from .settings.issuer import Issuer
from .settings.loading import Settings
from .settings.options import Options
from .test_kit.layered import LayeredMiddleware
from .test_kit.layered import guard_of
from .test_kit.layered import replaced
from .test_kit.loopback import Server
from .test_kit.memory_store import MemoryStore as MemoryStore  # noqa: PLC0414  # its public name
from .test_kit.own_keys import OwnKeys
from .test_kit.protected import ProtectedApp
from .test_kit.providers import PROVIDERS
from .test_kit.shape import fill
from .test_kit.shape import filled_values
from .test_kit.signing import SigningKey
from .test_kit.signing import read_private
from .test_kit.signing import thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment


class FakeIssuer:
    """An issuer of tokens for tests. Every argument has a default.

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
        self._keys: list[SigningKey] = []
        self._server: Server | None = None
        self.rotate()

    @property
    def issuer(self) -> str:
        """The identifier. If none was given, it is the server's URL while the issuer is served."""
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

    @staticmethod
    def like(provider: str, **values: str) -> "FakeProvider":
        """Make an issuer in the shape of a provider: its tokens, its keys, its metadata.

        ``provider``: a name in :data:`jwt_wsgi.test_kit.providers.PROVIDERS`; ``values``: yours for
        the placeholders that it has there, for instance ``app``. Raises :class:`ValueError`.

        .. code-block:: python

            cognito = FakeIssuer.like("cognito", app="my-client")
            client = Client(cognito.protect(app))  # with the settings that its documents ask for
        """
        return FakeProvider(provider, values)

    def token(self, *, header: Mapping[str, Any] | None = None, **claims: object) -> str:
        """Make a signed token that is valid for five minutes, unless the claims say otherwise.

        ``header`` and ``claims`` are added to the usual ones; a member that is None is left out.
        """
        return self._token(self._keys[0], header, claims)

    def wrong_key(self) -> Callable[..., str]:
        """Return a :meth:`token` that signs with another key under the current ``kid``."""
        impostor = SigningKey(self.algorithm, self.kid)

        def token(*, header: Mapping[str, Any] | None = None, **claims: object) -> str:
            return self._token(impostor, header, claims)

        return token

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on. ``keep`` False: the old keys are no longer published."""
        self._number += 1
        key = SigningKey(self.algorithm, self._kid())
        self._keys = [key, *self._keys] if keep else [key]

    def load_key(self, text: str) -> None:
        """Sign with the key in ``text`` from now on, and publish only its public half.

        ``text``: a private key as PEM or JWK, or a shared secret. Raises :class:`ValueError` if it
        is no such key, or not one for the algorithm.
        """
        self._number += 1
        private = read_private(text, self.algorithm)
        self._keys = [SigningKey(self.algorithm, self._kid(), private)]

    def _kid(self) -> str:
        return f"key-{self._number}"

    @property
    def private_key(self) -> str:
        """The key that signs now, as :meth:`load_key` takes it: PEM (PKCS 8), or the secret."""
        if self.algorithm.startswith("HS"):
            return self.secret
        return self._keys[0].pem()

    def jwks(self) -> dict[str, Any]:
        """The public keys, the current one first (RFC 7517 section 5)."""
        if self.algorithm.startswith("HS"):
            return {"keys": []}
        return {"keys": [key.jwk() for key in self._keys]}

    def protect(self, app: "WSGIApplication", **options: Unpack[Options]) -> ProtectedApp:
        """Wrap ``app`` so that it trusts this issuer, also after :meth:`rotate`; no network.

        The variables ``JWT_WSGI_*`` of the shell are not read. ``protect(app).test_client()`` is
        Flask's or Django's own client, or Werkzeug's for any other app.

        If ``app`` contains a :class:`JWTMiddleware`, in any layer (:mod:`.layers`), its settings
        and the layers around it stay, and only the issuer is replaced by this one. ``options``
        are not allowed then. Raises :class:`TypeError` if there are several middlewares, or if a
        layer cannot be copied (a function).
        """
        if guard := guard_of(app):
            if options:
                raise TypeError("the app has a middleware with settings; change the options there")
            settings = replace(guard.settings, issuer=(self._trusted(),))
            return LayeredMiddleware(app, guard, settings)
        wired: Options = {"issuer": self._trusted(), "algorithms": self.algorithm}
        if not KEY_SLOT.isdisjoint(options):  # other keys than ours
            wired["issuer"] = self.issuer
        return ProtectedApp(app, Settings.of(**(wired | options)), app)

    def _trusted(self) -> Issuer:
        """The issuer as a middleware is configured with it."""
        if self.algorithm.startswith("HS"):
            return Issuer(self.issuer, secret=self.secret, algorithms=self.algorithm)
        return Issuer(self.issuer, keys=OwnKeys(self), algorithms=self.algorithm)

    @contextmanager
    def serve(self, port: int = 0) -> "Iterator[FakeIssuer]":
        """Serve metadata and JWKS on loopback inside the ``with`` block; yields the issuer itself.

        ``port`` 0: any free port. Raises RuntimeError if the issuer is served already.
        """
        if self._server is not None:
            raise RuntimeError(f"the issuer is served already, at {self._server.url}")
        self._server = Server(self._document, port)
        try:
            yield self
        finally:
            server, self._server = self._server, None
            server.stop()

    @property
    def url(self) -> str:
        """The URL of the server."""
        return self._running.url

    @property
    def jwks_uri(self) -> str:
        """The URL of the JWKS on the server."""
        return f"{self.url}/.well-known/jwks.json"

    @property
    def requests(self) -> list[str]:
        """The paths of all requests since the server started."""
        return self._running.requests

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Answer every request with 500 inside the ``with`` block."""
        server = self._running
        before, server.broken = server.broken, True
        try:
            yield
        finally:
            server.broken = before

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Answer every request ``seconds`` late inside the ``with`` block."""
        server = self._running
        before, server.delay = server.delay, seconds
        try:
            yield
        finally:
            server.delay = before

    @property
    def _running(self) -> Server:
        if self._server is None:
            raise RuntimeError("the issuer is not served; use it inside `with issuer.serve():`")
        return self._server

    def _token(
        self, key: SigningKey, header: Mapping[str, Any] | None, claims: Mapping[str, object]
    ) -> str:
        now = int(time.time())
        usual = {"iss": self.issuer, "sub": "somebody", "iat": now, "exp": now + 300}
        members = {"alg": self.algorithm, "kid": key.kid, **self._header(), **(header or {})}
        return key.token(members, usual | self._claims | dict(claims))

    def _header(self) -> Mapping[str, Any]:
        return {"typ": "JWT"}

    def _document(self, path: str) -> dict[str, Any] | None:
        base = urlsplit(self.issuer).path.rstrip("/") if self._named else ""
        metadata = {"issuer": self.issuer, "jwks_uri": self.jwks_uri}
        return {
            f"{base}/.well-known/openid-configuration": metadata,
            f"/.well-known/oauth-authorization-server{base}": metadata,
            "/.well-known/jwks.json": self.jwks(),
        }.get(path)


class FakeProvider(FakeIssuer):
    """The result of :meth:`FakeIssuer.like`. ``token()`` makes a token that an API accepts.

    It is an access token, or an ID token where the provider has no access tokens that can be
    verified. ``provider``: the name of the provider; ``values``: the values of its placeholders.
    """

    def __init__(self, provider: str, values: Mapping[str, str]) -> None:
        if provider not in PROVIDERS:
            raise ValueError(f"provider: {provider!r}: give one of {', '.join(PROVIDERS)}")
        self.provider = PROVIDERS[provider]
        self.values = filled_values(self.provider, values)
        super().__init__(self.values["issuer"], algorithm=self.provider.algorithm)

    @property
    def issuer(self) -> str:
        """The issuer identifier that the provider really uses."""
        return self.values["issuer"]

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword options of :class:`JWTMiddleware` that the provider's documents call for."""
        return self._filled(self.provider.settings)

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """The documents that the provider publishes on the internet, by URL."""
        row, usual = self.provider, {"issuer": "{issuer}", "jwks_uri": "{jwks_uri}"}
        found = {self.values["jwks_uri"]: self.jwks()}
        if url := row.metadata_uri.format_map(self.values):
            found[url] = self._filled({**usual, **row.metadata})
        return found

    def protect(self, app: "WSGIApplication", **options: Unpack[Options]) -> ProtectedApp:
        """As :meth:`FakeIssuer.protect`, with :attr:`settings` as defaults for ``options``."""
        if guard_of(app) is None:
            own: Any = {k: v for k, v in self.settings.items() if k not in {"issuer", *KEY_SLOT}}
            options = own | options
        return super().protect(app, **options)

    def id_token(self, *, header: Mapping[str, Any] | None = None, **claims: object) -> str:
        """Make an ID token. Raises :class:`ValueError` if the provider has none."""
        if self.provider.id_token is None:
            raise ValueError(f"{self.provider.title} has no ID tokens")
        return super()._token(self._keys[0], header, self._filled(self.provider.id_token) | claims)

    def other(self, kind: str) -> "FakeProvider":
        """Make the same provider, with the same keys, for another customer.

        ``kind``: what differs, for instance ``tenant`` or ``app``. Raises :class:`KeyError` for a
        kind that the provider does not have.
        """
        other = copy(self)
        changed = {**self.values, **self.provider.others[kind]}
        known = {name: changed[name] for name in self.provider.values}
        other.values = filled_values(self.provider, known)
        return other

    def jwks(self) -> dict[str, Any]:
        """The public keys as the provider publishes them."""
        keys = [self._jwk(key) for key in self._keys]
        if self.provider.encrypts:
            keys.append({**keys[0], "kid": f"{self.kid}-enc", "use": "enc", "alg": "RSA-OAEP"})
        return {"keys": keys, **self._filled(self.provider.jwks)}

    def _kid(self) -> str:
        return self.provider.kid.format(number=self._number)

    def _jwk(self, key: SigningKey) -> dict[str, Any]:
        left_out = {"use", "alg"} - set(self.provider.jwk)
        made = {name: value for name, value in key.jwk().items() if name not in left_out}
        more = {"issuer": self.issuer, "nbf": 1493763266, "key_ops": ["verify"], "ext": True}
        if "x5c" in self.provider.jwk:
            der = key.certificate()
            more |= {"x5t": thumbprint(der, "sha1"), "x5t#S256": thumbprint(der, "sha256")}
            more |= {"x5c": [base64.b64encode(der).decode()]}
        return made | {name: more[name] for name in self.provider.jwk if name in more}

    def _token(
        self, key: SigningKey, header: Mapping[str, Any] | None, claims: Mapping[str, object]
    ) -> str:
        shape = self.provider.access_token or self.provider.id_token or {}
        return super()._token(key, header, self._filled(shape) | dict(claims))

    def _header(self) -> Mapping[str, Any]:
        return self._filled(self.provider.header)

    def _filled(self, shape: Mapping[str, Any]) -> dict[str, Any]:
        return dict(fill(shape, {**self.values, "kid": self.kid}, int(time.time())))


def authenticated(
    app: "WSGIApplication",
    payload: Mapping[str, Any] | None,
    *,
    header: Mapping[str, Any] | None = None,
) -> "WSGIApplication":
    """FOR TESTS ONLY: ``app`` finds ``payload`` in every request. Tokens are ignored.

    .. code-block:: python

        client = Client(authenticated(app, {"sub": "ada"}))

    Each request gets its own copy of ``payload``, where :class:`JWTMiddleware` would put it, and
    through :func:`~jwt_wsgi.current_payload`. ``payload`` None: as on a public path. If ``app``
    contains a :class:`JWTMiddleware`, it is replaced: its ``claim_headers`` are still set, and the
    layers around it stay. Rules are not applied; to test them, use :meth:`FakeIssuer.protect`.
    Raises :class:`TypeError` like that method.
    """
    guard = guard_of(app)
    injection = guard._injection if guard else Injection({})  # noqa: SLF001  # of this package
    inner = guard.app if guard else app
    jose_header = {"alg": "none", "typ": "JWT"} if header is None else header

    def app_without_tokens(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> "Iterable[bytes]":
        injection.clear(environ)
        if payload is not None:
            claims = Claims.of(deepcopy(dict(payload)), deepcopy(dict(jose_header)))
            includes = guard.settings.scope_includes if guard else None
            injection.inject(environ, granting(claims, includes))
        return current.serve(inner, environ, start_response)

    return replaced(app, guard, app_without_tokens) if guard else app_without_tokens
