"""The WSGI middleware: one request is one straight line, :meth:`JWTMiddleware.authenticate`."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Unpack

from . import bearer
from .errors import AuthError
from .errors import ConfigurationError
from .errors import MissingTokenError
from .events import Accepted
from .events import LogHook
from .events import Refused
from .events import fan_out
from .events import logger
from .events import printable
from .jwks import RemoteKeys
from .responses import Responses
from .rules import Rules
from .rules import Token
from .settings import Options
from .settings import Settings
from .settings import request_settings
from .verifier import Verifier

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

PAYLOAD: Final = "jwt_wsgi.payload"
HEADER: Final = "jwt_wsgi.header"
#: What only we may set; whatever stands there before us is removed.
RESULTS: Final = (PAYLOAD, HEADER, "jwt_wsgi.token", "jwt_wsgi.error")
#: Distinct settings from requests, each with its own keys; a server has few of them.
MAX_VARIANTS: Final = 16


class JWTMiddleware:
    """Lets requests with a verified bearer token through to ``app``, and answers the others.

    .. code-block:: python

        app = JWTMiddleware(app, issuer="https://my-api.zuplo.com/__zuplo/issuer")

    The verified claims are in ``environ["jwt_wsgi.payload"]``, the JOSE header is in
    ``environ["jwt_wsgi.header"]``. Not for ASGI applications, opaque tokens, or logins.

    Options are keywords, else ``JWT_WSGI_<NAME>`` in the process environment; they are listed
    in :class:`~jwt_wsgi.settings.Settings`. A :class:`Settings` may be given instead. Raises
    :class:`ConfigurationError` that names every wrong setting. Nothing is fetched here.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        settings: Settings | None = None,
        **options: Unpack[Options],
    ) -> None:
        if settings is not None and options:
            raise ConfigurationError(["settings: give it or keywords, not both"])
        self.app = app
        self.settings = settings or Settings.load(dict(options))
        self._options = options
        self._variants: dict[frozenset[tuple[str, str]], JWTMiddleware] = {}
        self._emit = fan_out((LogHook(), *self.settings.on_event))
        self._rules = Rules(self.settings.rules())
        self._responses = Responses(
            realm=self.settings.realm,
            details=self.settings.error_details,
            unavailable_status=self.settings.unavailable_status,
            responder=self.settings.responder,
        )
        self._told_preflight = False
        #: ``verifier.verify(token)`` returns the claims or raises an ``AuthError``.
        self.verifier = Verifier(
            self.settings.trusted_issuers(self._emit),
            max_token_size=self.settings.max_token_size,
            accept_bound_tokens=self.settings.bound_tokens == "accept",
        )

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Serve one request (PEP 3333). The app is called outside the ``try``: not our errors."""
        if self.settings.settings_from_request:
            return self._variant(request_settings(environ))(environ, start_response)
        try:
            self.authenticate(environ)
        except AuthError as error:
            return self._refuse(error, environ, start_response)
        return self.app(environ, start_response)

    def authenticate(self, environ: "WSGIEnvironment") -> None:
        """Put the verified claims into ``environ``, or raise the :class:`AuthError` to answer."""
        for key in RESULTS:
            environ.pop(key, None)
        environ[PAYLOAD] = environ[HEADER] = None
        rule = self._rules.find(environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/")
        if rule.token is Token.IGNORED or (self.settings.skip_preflight and is_preflight(environ)):
            return
        optional = rule.token is Token.OPTIONAL
        token = bearer.from_header(environ, max_size=self.settings.max_token_size, lenient=optional)
        if token is None:
            if optional:
                return
            raise MissingTokenError
        claims = self.verifier.verify(token)
        rule.authorize(claims)
        environ[PAYLOAD], environ[HEADER] = claims, claims.header
        if self.settings.on_event:
            self._emit(Accepted(claims["iss"], claims.header["alg"]))

    def warm_up(self, timeout: float = 5.0, *, raises: bool = False) -> bool:
        """Load the keys before serving; True if they are all here within ``timeout`` seconds.

        Costs nothing when they are, and asks no more often than requests would when the issuer
        does not answer: a readiness probe may call it. ``raises``: raise
        :class:`~jwt_wsgi.errors.KeysUnavailableError` instead of returning False, for those who
        would rather not start.
        """
        warm = [keys.warm_up(timeout, raises=raises) for keys in self._remote_keys()]
        return all(warm)

    def health(self) -> dict[str, Any]:
        """What is known of the keys of each issuer, without any I/O: for a readiness probe."""
        issuers = {
            identifier: issuer.keys.health()
            for identifier, issuer in self.verifier.issuers.items()
            if isinstance(issuer.keys, RemoteKeys)
        }
        return {"ready": all(keys["ready"] for keys in issuers.values()), "issuers": issuers}

    def close(self) -> None:
        """Fetch nothing ever again. Keys that are held go on serving."""
        for keys in self._remote_keys():
            keys.close()
        for variant in self._variants.values():
            variant.close()

    def _remote_keys(self) -> list[RemoteKeys]:
        sources = (issuer.keys for issuer in self.verifier.issuers.values())
        return [keys for keys in sources if isinstance(keys, RemoteKeys)]

    def _refuse(
        self, error: AuthError, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> list[bytes]:
        if not self._told_preflight and is_preflight(environ):
            self._told_preflight = True
            logger.warning("a CORS preflight was refused; skip_preflight=True lets them through")
        answer = self._responses.answer(error)
        self._emit(
            Refused(
                error.code,
                self._responses.status(error),
                request_id=_request_id(environ),
                detail=error.detail,
                **error.token,
            )
        )
        return answer.send(environ, start_response, self.settings.cors_origins)

    def _variant(self, found: dict[str, str]) -> "JWTMiddleware":
        """The middleware with the settings that the server put into this request."""
        key = frozenset(found.items())
        if key not in self._variants:
            if len(self._variants) >= MAX_VARIANTS:
                logger.error("more than %d different settings from requests", MAX_VARIANTS)
                raise ConfigurationError([f"more than {MAX_VARIANTS} settings from requests"])
            settings = Settings.load(dict(self._options), request=found)
            variant = JWTMiddleware(self.app, replace(settings, settings_from_request=False))
            self._variants.setdefault(key, variant)
        return self._variants[key]


def is_preflight(environ: "WSGIEnvironment") -> bool:
    """Whether a browser asks for permission (Fetch standard section 3.2.2), and nothing else."""
    return (
        environ["REQUEST_METHOD"] == "OPTIONS"
        and "HTTP_ORIGIN" in environ
        and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
    )


def _request_id(environ: "WSGIEnvironment") -> str:
    """What names this request in other logs, escaped: a client may have sent it."""
    name = environ.get("HTTP_X_REQUEST_ID") or environ.get("HTTP_TRACEPARENT")
    return printable(name) if name else ""
