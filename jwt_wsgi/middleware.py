"""The WSGI middleware: one request is one straight line, :meth:`JWTMiddleware.authenticate`."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Unpack

from . import assembly
from . import current
from . import upkeep
from .bearer import place
from .bearer import reader
from .errors import AuthError
from .errors import ConfigurationError
from .errors import MissingTokenError
from .errors import printable
from .events import Accepted
from .events import FunctionFailed
from .events import LogHook
from .events import Refused
from .events import Reported
from .events import fan_out
from .events import logger
from .injection import ERROR
from .injection import Injection
from .responses import Responses
from .responses import status_of
from .rules import Rule
from .rules import Rules
from .rules import Token
from .settings.issuer import settled
from .settings.table import Options
from .settings.table import Settings
from .settings.table import request_settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

#: Distinct settings from requests, each with its own keys; a server has few of them.
MAX_VARIANTS: Final = 16


class JWTMiddleware:
    """Lets requests with a verified bearer token through to ``app``, and answers the others.

    .. code-block:: python

        app = JWTMiddleware(app, issuer="https://my-api.zuplo.com/__zuplo/issuer")

    The verified claims are in ``environ["jwt_wsgi.payload"]``, the JOSE header is in
    ``environ["jwt_wsgi.header"]``. Not for ASGI applications, opaque tokens, or logins.

    Options are keywords, else ``JWT_WSGI_<NAME>`` in the process environment; they are listed
    in :class:`~jwt_wsgi.settings.table.Settings`. A :class:`Settings` may be given instead. Raises
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
        if settings is not None and settings.settings_from_request:
            # Each request's settings are read anew, from keywords first: none of these would count.
            raise ConfigurationError(["settings_from_request: give keywords instead of Settings"])
        self.app = app
        self._options = settled(options)
        self.settings = settings or Settings.load(self._options)
        self._variants: dict[frozenset[tuple[str, str]], JWTMiddleware] = {}
        self._log = LogHook()
        self._emit = fan_out((self._log, *self.settings.on_event))
        self._rules = Rules(self.settings.request_rules)
        self._places = [place(p, self.settings.max_token_size) for p in self.settings.token_from]
        self._read_token = reader(self._places)
        self._injection = Injection(
            claim_headers=self.settings.claim_headers or {},
            remote_user_claim=self.settings.remote_user_claim,
            keep_token=self.settings.keep_token,
        )
        self._metadata = assembly.metadata(self.settings)
        self._responses = Responses(
            realm=self.settings.realm,
            details=self.settings.error_details,
            responder=self.settings.responder,
            emit=self._emit,
            resource_metadata=self._metadata.url if self._metadata else None,
        )
        self._told_preflight = False
        #: ``verifier.verify(token)`` returns the claims or raises an ``AuthError``.
        self.verifier = assembly.verifier(self.settings, self._emit)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Serve one request (PEP 3333). The app is called outside the ``try``: not our errors."""
        if self.settings.settings_from_request:
            return self._variant(request_settings(environ))(environ, start_response)
        if self._metadata and environ.get("PATH_INFO") in self._metadata.paths:
            return self._metadata(environ, start_response)
        rule = self._rules.find(environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/")
        try:
            self.authenticate(environ, rule)
        except AuthError as error:
            error.scope = rule.scope
            if rule.token is not Token.REPORT:
                return self._refuse(error, environ, start_response)
            environ[ERROR] = error
            self._tell(Reported, error, environ)
        if not self.settings.forward_token:
            for where in self._places:
                where.remove(environ)
        return current.serve(self.app, environ, start_response)

    def authenticate(self, environ: "WSGIEnvironment", rule: Rule) -> None:
        """Put the verified claims into ``environ``, or raise the :class:`AuthError` to answer."""
        self._injection.clear(environ)
        if rule.token is Token.IGNORED or (self.settings.skip_preflight and is_preflight(environ)):
            return
        optional = rule.token is Token.OPTIONAL
        token = self._read_token(environ, optional)
        if token is None:
            if optional:
                return
            raise MissingTokenError
        claims = self.verifier.verify(token)
        rule.authorize(claims)
        self._injection.inject(environ, claims, token)
        if self.settings.on_event:
            self._emit(Accepted(claims["iss"], claims.header["alg"]))

    def warm_up(self, timeout: float = 5.0, *, raises: bool = False) -> bool:
        """Load the keys before serving; True if they are all here within ``timeout`` seconds.

        Costs nothing when they are, and asks no more often than requests would when the issuer
        does not answer: a readiness probe may call it. ``raises``: raise
        :class:`~jwt_wsgi.errors.KeysUnavailableError` instead of returning False, for those who
        would rather not start.
        """
        return upkeep.warm_up(self.verifier.issuers, timeout, raises=raises)

    def health(self) -> dict[str, Any]:
        """What is known of the keys of each issuer, without any I/O: for a readiness probe.

        Where a function names the issuers, the ones that were met; none of them is waited for.
        """
        return upkeep.health(self.verifier.issuers, named_later=callable(self.settings.issuer))

    def close(self) -> None:
        """Fetch nothing ever again. Keys that are held go on serving."""
        upkeep.close(self.verifier.issuers)
        for variant in self._variants.values():
            variant.close()

    def _refuse(
        self, error: AuthError, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> list[bytes]:
        if not self._told_preflight and is_preflight(environ):
            self._told_preflight = True
            logger.warning("a CORS preflight was refused; skip_preflight=True lets them through")
        self._tell(Refused, error, environ)
        answer = self._responses.answer(error)
        return answer.send(environ, start_response, self.settings.cors_origins)

    def _tell(
        self, kind: type[Refused | Reported], error: AuthError, environ: "WSGIEnvironment"
    ) -> None:
        label = error.label
        if error.failure is not None:
            self._emit(FunctionFailed(*error.failure, f"{status_of(error)} {label}"))
        if not self.settings.on_event and self._log.passes_over(kind, (kind.__name__, label)):
            return
        name = environ.get("HTTP_X_REQUEST_ID") or environ.get("HTTP_TRACEPARENT")
        request_id = printable(name) if name else ""
        self._emit(kind(label, status_of(error), request_id=request_id, **error.facts))

    def _variant(self, found: dict[str, str]) -> "JWTMiddleware":
        """The middleware with the settings that the server put into this request."""
        key = frozenset(found.items())
        if key not in self._variants:
            if len(self._variants) >= MAX_VARIANTS:
                logger.error("more than %d different settings from requests", MAX_VARIANTS)
                raise ConfigurationError([f"more than {MAX_VARIANTS} settings from requests"])
            settings = Settings.load(self._options, request=found)
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
