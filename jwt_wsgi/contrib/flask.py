"""Flask: an extension, a decorator for views, and the payload of the request.

.. code-block:: python

    from jwt_wsgi.contrib.flask import JWT, current_payload, require

    app = Flask(__name__)
    app.config["JWT_WSGI_ISSUER"] = "https://login.example.com/"
    app.config["JWT_WSGI_AUDIENCE"] = "https://api.example.com"
    JWT(app)

    @app.get("/orders")
    @require(scopes=["orders:read"])
    def orders():
        return {"sub": current_payload["sub"]}

With a factory: ``jwt = JWT()`` in a module, and ``jwt.init_app(app)`` in the factory. A keyword of
``JWT()`` comes before ``app.config["JWT_WSGI_<NAME>"]``, which comes before the environment.

``current_payload`` is a proxy. On public paths and for anonymous optional requests it is false, so
test ``if current_payload:``, not ``is None``. As JSON return ``dict(current_payload)``.
Outside of a request Flask raises its usual RuntimeError. In tests of an app without settings, give
the test client ``environ_base={"jwt_wsgi.payload": {…}}``, or take
:meth:`jwt_wsgi.testing.FakeIssuer.protect`.
"""

import os
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from functools import wraps
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import ParamSpec
from typing import TypeVar
from typing import Unpack

from flask import Flask
from flask import current_app
from flask import request
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from jwt_wsgi.errors import AuthError
from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.errors import MissingTokenError
from jwt_wsgi.errors import UnavailableError
from jwt_wsgi.events import logger
from jwt_wsgi.injection import PAYLOAD
from jwt_wsgi.injection import needed_scopes
from jwt_wsgi.layers import guards
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.responses import DEFAULT_REALM
from jwt_wsgi.responses import Responses
from jwt_wsgi.rules import Rule
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.settings.loading import is_setting
from jwt_wsgi.settings.options import PREFIX
from jwt_wsgi.settings.options import Options

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

_P = ParamSpec("_P")
_R = TypeVar("_R")

_EXTENSION: Final = "jwt_wsgi"


def _payload() -> Any:
    return request.environ.get(PAYLOAD)


#: The verified payload, or None.
current_payload: Any = LocalProxy(_payload)


class JWT:
    """Wraps ``app.wsgi_app`` in a :class:`~jwt_wsgi.JWTMiddleware`.

    The app's test client and commands work as before. ``options`` are the keywords of the
    middleware. One object serves any number of apps.
    """

    def __init__(self, app: Flask | None = None, **options: Unpack[Options]) -> None:
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Guard ``app``, with its ``app.config``. The middleware is ``app.extensions["jwt_wsgi"]``.

        Raises :class:`~jwt_wsgi.ConfigurationError` with every wrong option, and RuntimeError if
        the app is guarded already. If nothing at all is set (no keyword, no ``JWT_WSGI_*`` in
        ``app.config`` or in the environment) it logs a WARNING instead, and every request is
        answered 503 ``not_configured``: so ``flask routes`` and tests run without an issuer.
        """
        if _EXTENSION in app.extensions or isinstance(app.wsgi_app, JWTMiddleware):
            raise RuntimeError("JWT: this app is guarded already")
        options = _from_config(app.config) | self._options
        if options or any(map(is_setting, os.environ)):
            guard: JWTMiddleware | _NotConfigured = JWTMiddleware(app.wsgi_app, **options)
        else:
            guard = _NotConfigured(app.wsgi_app)
            logger.warning("%s: no JWT_WSGI_* setting; every request is answered 503", app.name)
        app.extensions[_EXTENSION] = guard
        app.wsgi_app = guard  # type: ignore[method-assign]


def require(
    *, scopes: Collection[str] = (), claims: Mapping[str, Any] | None = None
) -> Callable[[Callable[_P, _R]], Callable[_P, _R | Response]]:
    """Decorate a view: the token must have all ``scopes`` and the expected ``claims``.

    The answers are those of a :class:`~jwt_wsgi.Rule`: 403 with the missing scopes, and 401 if
    there is no token (a public path). Without arguments a token is enough. ``claims``: name or
    dotted path = value, or several values of which one must be there. If there are several issuers,
    name ``iss`` beside ``sub``: two issuers may use one ``sub`` for two people. Write the decorator
    below ``@app.get(…)``, because Flask serves the function that ``@app.get`` gets. Raises
    :class:`~jwt_wsgi.ConfigurationError` at once for arguments that a rule cannot have. A view
    raises RuntimeError for a request that has passed no :class:`JWTMiddleware`.
    """
    written = {"path": "/*", "scopes": list(scopes), "claims": dict(claims or {})}
    given = {name: value for name, value in written.items() if value}
    (rule,) = Settings.of(issuer="https://none.invalid", rules=[given]).rules

    def decorate(view: Callable[_P, _R]) -> Callable[_P, _R | Response]:
        @wraps(view)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R | Response:
            try:
                _authorize(rule)
            except AuthError as error:
                vars(error)["scope"] = needed_scopes(request.environ, rule.scope)
                return _refusal(error)
            served: _R = current_app.ensure_sync(view)(*args, **kwargs)  # it may be asynchronous
            return served

        return guarded

    return decorate


def _authorize(rule: Rule) -> None:
    if PAYLOAD not in request.environ:  # a client cannot set that name
        raise RuntimeError("require: this request did not pass JWTMiddleware; is there JWT(app)?")
    payload = _payload()
    if payload is None:
        raise MissingTokenError
    rule.authorize(payload, request.environ)


def _refusal(error: AuthError) -> Response:
    """The answer of the app's middleware, or a plain one if that is outside of the app."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        for guard in guards(current_app.wsgi_app):
            return guard.refuse(error, environ, start_response)
        return _plain(error, environ, start_response)

    return Response.from_app(answer, request.environ)


def _plain(
    error: AuthError, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    return Responses(realm=DEFAULT_REALM).answer(error).send(environ, start_response, ())


def _from_config(config: Mapping[str, Any]) -> Options:
    """Options that an app's configuration holds, under the names that the environment has."""
    found: Any = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in config.items()
        if is_setting(name)
    }
    options: Options = found
    return options


class NotConfiguredError(UnavailableError):
    """No issuer is configured."""

    error = "Not configured"
    code = "not_configured"
    details = "This API has no issuer to trust"


class _NotConfigured:
    """Replaces a middleware without settings: answers 503 to every request, is never ready.

    A request is served only if it has passed a :class:`JWTMiddleware` outside of the app, for
    instance that of a test.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self.app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if PAYLOAD in environ:  # a client cannot set that name
            return self.app(environ, start_response)
        return _plain(NotConfiguredError(), environ, start_response)

    def warm_up(self, timeout: float = 5.0, *, raises: bool = False) -> bool:  # noqa: ARG002
        """Raise :class:`ConfigurationError`: there is no issuer."""
        raise ConfigurationError(['issuer: missing; set app.config["JWT_WSGI_ISSUER"]'])

    def health(self) -> dict[str, Any]:
        """Never ready."""
        return {"ready": False, "issuers": {}}

    def close(self) -> None:
        """Do nothing."""
