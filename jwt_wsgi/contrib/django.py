"""Django: a guarded ``wsgi.py``, ``request.jwt`` and system checks.

.. code-block:: python

    # wsgi.py: instead of the function of this name in django.core.wsgi
    from jwt_wsgi.contrib.django import get_wsgi_application

    application = get_wsgi_application()

    # settings.py
    WSGI_APPLICATION = "project.wsgi.application"  # so that `runserver` is guarded, too
    INSTALLED_APPS = ["jwt_wsgi.contrib.django.JWTConfig"]  # the checks
    MIDDLEWARE = ["jwt_wsgi.contrib.django.request_jwt"]  # request.jwt
    JWT_WSGI = {"issuer": "https://my-api.zuplo.com/__zuplo/issuer", "public_paths": ["/healthz"]}

Each of these works without the others. What ``JWT_WSGI`` does not say comes from the environment.

================  ===================================================================
``jwt_wsgi.E001``  an option is wrong or missing; one message for each
``jwt_wsgi.E002``  ``JWT_WSGI`` is no dict
``jwt_wsgi.E003``  ``WSGI_APPLICATION`` cannot be imported (``check --deploy``)
``jwt_wsgi.W001``  ``WSGI_APPLICATION`` verifies no tokens (``check --deploy``)
================  ===================================================================
"""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import Final

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core import wsgi
from django.core.exceptions import ImproperlyConfigured
from django.core.servers.basehttp import get_internal_wsgi_application

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.settings.loading import Settings

_NOT_WRAPPED: Final = checks.Warning(
    "WSGI_APPLICATION is not wrapped in JWTMiddleware: it serves without verifying tokens.",
    hint="In wsgi.py, take get_wsgi_application from jwt_wsgi.contrib.django, and name its"
    " application in WSGI_APPLICATION; or, if the server wraps it, silence this check.",
    id="jwt_wsgi.W001",
)


def get_wsgi_application() -> JWTMiddleware:
    """Django's WSGI application, guarded with the options of the setting ``JWT_WSGI``.

    Raises :class:`~jwt_wsgi.errors.ConfigurationError` with every wrong option.
    """
    application = wsgi.get_wsgi_application()
    return JWTMiddleware(application, **getattr(settings, "JWT_WSGI", {}))


def request_jwt(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Django middleware: ``request.jwt`` is the verified payload, or None."""

    def middleware(request: Any) -> Any:
        request.jwt = request.META.get("jwt_wsgi.payload")
        return get_response(request)

    return middleware


class JWTConfig(AppConfig):
    """The app that registers the checks."""

    name = __name__
    label = "jwt_wsgi"

    def ready(self) -> None:
        """Register them."""
        checks.register(check_options, checks.Tags.security)
        checks.register(check_application, checks.Tags.security, deploy=True)


def check_options(**_: Any) -> list[checks.CheckMessage]:
    """``JWT_WSGI`` and the environment give settings that load; not asked without ``JWT_WSGI``."""
    options = getattr(settings, "JWT_WSGI", None)
    if options is None:
        return []
    if not isinstance(options, dict):
        hint = 'For example JWT_WSGI = {"issuer": "https://…"}; {}: all from the environment.'
        return [checks.Error("JWT_WSGI is no dict.", hint=hint, id="jwt_wsgi.E002")]
    try:
        Settings.load(options)
    except ConfigurationError as error:
        return [checks.Error(problem, id="jwt_wsgi.E001") for problem in error.problems]
    return []


def check_application(**_: Any) -> list[checks.CheckMessage]:
    """What ``WSGI_APPLICATION`` names verifies tokens; asked by ``check --deploy`` only.

    For it runs wsgi.py, which may warm up or fail, and no ``migrate`` should wait for that.
    """
    try:
        application = get_internal_wsgi_application()
    except ConfigurationError as error:
        return [checks.Error(problem, id="jwt_wsgi.E001") for problem in error.problems]
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="jwt_wsgi.E003")]
    guarded = any(isinstance(layer, JWTMiddleware) for layer in _layers(application))
    return [] if guarded else [_NOT_WRAPPED]


def _layers(application: Any) -> Iterator[Any]:
    """An application and what it wraps, under the two names that WSGI middlewares use."""
    while application is not None:
        yield application
        application = getattr(application, "app", getattr(application, "application", None))
