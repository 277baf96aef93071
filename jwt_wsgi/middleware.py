"""The WSGI middleware. :meth:`JWTMiddleware.authenticate` has all steps of a request, in order."""

import os
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from typing import Unpack

from . import assembly
from . import current
from . import upkeep
from .applications import app_problem
from .bearer import overrides
from .bearer import place
from .bearer import reader
from .errors import MAX_DETAIL
from .errors import AuthError
from .errors import ConfigurationError
from .errors import MissingTokenError
from .errors import escaped
from .event_log import LogHook
from .event_log import fan_out
from .events import Accepted
from .events import FunctionFailed
from .events import Refused
from .events import Reported
from .events import logger
from .header_rules import rule_finder
from .injection import ERROR
from .injection import HEADER
from .injection import Injection
from .key_sources.shared import SharedKeys
from .origin_check import origin_check
from .request_log import accepted_facts
from .request_log import request_facts
from .responses import Responses
from .responses import status_of
from .rules import REQUIRE_TOKEN
from .rules import Rule
from .rules import Rules
from .rules import Token
from .rules import together
from .settings.loading import Given
from .settings.loading import Settings
from .settings.options import Options
from .variants import Variants

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment


class JWTMiddleware:
    """Lets requests with a verified bearer token through to ``app``, and answers the others.

    .. code-block:: python

        app = JWTMiddleware(app, issuer="https://my-api.zuplo.com/__zuplo/issuer")

    The verified claims are in ``environ["jwt_wsgi.payload"]``, the JOSE header is in
    ``environ["jwt_wsgi.header"]``. Not for ASGI applications, opaque tokens, or logins.

    Options are keywords, else ``JWT_WSGI_<NAME>`` in the process environment; they are listed
    in :class:`~jwt_wsgi.settings.options.Table`. A :class:`Settings` may be given instead. Raises
    :class:`ConfigurationError` that names every wrong setting. Nothing is fetched here.
    """

    _shared: SharedKeys | None = None

    def __init__(
        self,
        app: "WSGIApplication",
        settings: Settings | None = None,
        **options: Unpack[Options],
    ) -> None:
        if settings is not None and options:
            raise ConfigurationError(["settings: give it or keywords, not both"])
        if settings is not None and settings.settings_from_request:
            # Each request's settings are made of keywords again, so ``settings`` would be ignored.
            raise ConfigurationError(["settings_from_request: give keywords instead of Settings"])
        if problem := app_problem(app):
            raise ConfigurationError([f"app: {problem}"])
        self.app = app
        self._variants: Variants | None = None
        if settings is None:
            given = Given(options, os.environ)
            settings = given.settings()
            if settings.settings_from_request:
                self._variants = Variants(given, partial(_Variant, self), self.refuse)
        self.settings = settings
        self._log: LogHook = getattr(self, "_log", None) or LogHook()
        self._emit = fan_out((self._log, *self.settings.on_event))
        self._origin_check = origin_check(self.settings.allowed_origins)
        rules = self.settings.request_rules
        self._rule_of = rule_finder(rules, find_rule) if rules else None
        places = [place(p, self.settings.max_token_size) for p in self.settings.token_from]
        self._read_token = reader(places)
        self._not_forwarded = [] if self.settings.forward_token else places
        self._injection = Injection(self.settings.claim_headers or {})
        self._responses = Responses(
            realm=self.settings.realm,
            details=self.settings.error_details,
            responder=self.settings.responder,
            emit=self._emit,
            resource_metadata=assembly.resource_metadata(self.settings),
        )
        self._warned = False  # of a preflight that was refused
        #: ``verifier.verify(token)`` returns the claims, a mapping, or raises an ``AuthError``. It
        #: may be replaced by any object with this method, but not with ``settings_from_request``;
        #: ``warm_up``, ``health`` and ``close`` are still about the configured issuers.
        self.verifier = assembly.verifier(self.settings, self._emit, self._shared)
        self._issuers = self.verifier.issuers
        self._around = assembly.around_verify(self.settings, self._issuers)
        self._pages = assembly.pages(self.settings, self._issuers, self._emit)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Serve one request (PEP 3333). Errors of the app are not caught."""
        if self._variants is not None:
            return self._variants(environ, start_response)
        if self._origin_check and (foreign := self._origin_check(environ)):
            return self.refuse(foreign, environ, start_response)
        if page := self._pages.get(environ.get("PATH_INFO", "")):
            return page(environ, start_response)
        rule = self._rule_of(environ) if self._rule_of else REQUIRE_TOKEN
        try:
            self.authenticate(environ, rule)
        except AuthError as error:
            if rule is not REQUIRE_TOKEN:  # else no rule matched
                vars(error).update(scope=rule.scope, rule=rule.path)
            if rule.token is not Token.REPORT:
                return self.refuse(error, environ, start_response)
            environ[ERROR] = error
            self._report(Reported, error, environ)
        for where in self._not_forwarded:
            where.remove(environ)
        return current.serve(self.app, environ, start_response)

    def authenticate(self, environ: "WSGIEnvironment", rule: Rule) -> None:
        """Put the verified claims into ``environ``, or raise the :class:`AuthError` to answer."""
        self._injection.clear(environ, rule)
        skips = self.settings.cors.skip_preflight and is_preflight(environ)
        if rule.token is Token.IGNORED or skips:
            return
        optional = rule.token is Token.OPTIONAL
        token = self._read_token(environ, optional)
        if token is None:
            if optional:
                return
            raise MissingTokenError
        verify, around = self.verifier.verify, self._around
        claims = around(environ, verify, token) if around else verify(token)
        rule.authorize(claims, environ)
        self._injection.inject(environ, claims)
        if self.settings.on_event or self.settings.log_fields:
            named = claims.get("iss", ""), (environ[HEADER] or {}).get("alg", "")
            more = accepted_facts(environ, claims, self.settings.log_fields)
            self._emit(Accepted(*(escaped(str(name), MAX_DETAIL) for name in named), **more))

    def warm_up(self, timeout: float = 5.0, *, raises: bool = False) -> bool:
        """Load the keys before serving; True if they are loaded within ``timeout`` seconds.

        If there are several issuers, the keys of one are enough, unless ``ready`` in the option
        ``issuer`` says otherwise. A readiness probe may call it: it does nothing if the keys are
        loaded, and asks an issuer that does not answer no more often than requests would.
        ``raises``: raise :class:`~jwt_wsgi.errors.KeysUnavailableError`, which names each issuer
        without keys, instead of returning False.
        """
        return upkeep.warm_up(self._issuers, self.settings.ready, timeout, raises=raises)

    def health(self) -> dict[str, Any]:
        """What is known of the keys of each issuer, without any I/O: for a readiness probe.

        ``ready``: as :meth:`warm_up`. If a function names the issuers, ``ready`` is True, and the
        issuers of verified tokens are listed.
        """
        return upkeep.health(self._issuers, self.settings.ready)

    def close(self) -> None:
        """Stop fetching keys for good. Keys that are held stay in use."""
        upkeep.close(self._issuers)
        if self._variants is not None:
            self._variants.close()

    def refuse(
        self, error: AuthError, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> list[bytes]:
        """Answer a request with a refusal, and log it. With ``error`` bound, it is a WSGI app."""
        if not self._warned and isinstance(error, MissingTokenError) and is_preflight(environ):
            self._warned = True
            logger.warning("a CORS preflight was refused; the option cors can let them through")
        self._report(Refused, error, environ)
        answer = self._responses.answer(error)
        return answer.send(environ, start_response, self.settings.cors.origins)

    def _report(
        self, kind: type[Refused | Reported], error: AuthError, environ: "WSGIEnvironment"
    ) -> None:
        label = error.label
        if error.failure is not None:
            self._emit(FunctionFailed(*error.failure, f"{status_of(error)} {label}"))
        if not self.settings.on_event and self._log.passes_over(kind, (kind.__name__, label)):
            return
        more = request_facts(environ, self.settings.log_fields)
        self._emit(kind(label, status_of(error), **more, **error.facts))


class _Variant(JWTMiddleware):
    """A middleware with the settings of requests; it shares the log and the keys of others."""

    def __init__(self, outer: JWTMiddleware, settings: Settings, shared: SharedKeys) -> None:
        # With a log of its own, each made-up Host would be a new WARNING.
        self._shared, self._log = shared, outer._log  # noqa: SLF001
        super().__init__(outer.app, assembly.of_request(settings, outer.verifier))


def find_rule(rules: Rules, environ: "WSGIEnvironment") -> Rule:
    """The rule of a request. It counts every method and path that the app may take it for."""
    if "HTTP_X_VHM_ROOT" in environ:  # Pyramid's traversal puts it in front of the path
        return rules.every
    path = environ.get("PATH_INFO") or "/"
    rule = rules.find(environ["REQUEST_METHOD"], path)
    others = overrides(environ) if rules.by_method else ()
    return together([rule, *(rules.find(name, path) for name in others)]) if others else rule


def is_preflight(environ: "WSGIEnvironment") -> bool:
    """Whether a request is only a browser's question for permission (Fetch standard 3.2.2).

    It is not if it names another method: the app may treat it as a request of that method.
    """
    signs = ("HTTP_ORIGIN", "HTTP_ACCESS_CONTROL_REQUEST_METHOD")
    is_options = environ["REQUEST_METHOD"] == "OPTIONS" and all(sign in environ for sign in signs)
    return is_options and not overrides(environ)
