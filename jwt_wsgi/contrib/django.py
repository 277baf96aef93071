"""Django: a guarded ``wsgi.py``, ``request.jwt``, ``request.user`` and system checks.

.. code-block:: python

    # wsgi.py: instead of the function of this name in django.core.wsgi
    from jwt_wsgi.contrib.django import get_wsgi_application

    application = get_wsgi_application()

    # settings.py, at its end
    WSGI_APPLICATION = "project.wsgi.application"  # so that `runserver` is guarded, too
    INSTALLED_APPS += ["jwt_wsgi.contrib.django.JWTConfig"]  # the checks
    MIDDLEWARE.insert(0, "jwt_wsgi.contrib.django.request_jwt")  # request.jwt
    JWT_WSGI = {"issuer": "https://my-api.zuplo.com/__zuplo/issuer", "public_paths": ["/healthz"]}

Each of these works without the others. Options that are not in ``JWT_WSGI`` are read from the
environment.
``request_user`` in ``MIDDLEWARE``, in place of ``request_jwt`` or behind Django's
``AuthenticationMiddleware``, also sets ``request.user`` to a :class:`TokenUser`, without a session.

The guard wraps the WSGI application. Django under an ASGI server does not pass through it:
there ``request_jwt`` and ``request_user`` answer 503, and the checks fail.

=================  ===============================================================================
``jwt_wsgi.E001``  an option is wrong or missing; one message for each
``jwt_wsgi.E002``  ``JWT_WSGI`` is not a dict
``jwt_wsgi.E003``  ``WSGI_APPLICATION`` cannot be imported
``jwt_wsgi.E004``  ``JWT_WSGI`` is set, but ``WSGI_APPLICATION`` verifies no tokens
``jwt_wsgi.E005``  the project is served by ASGI, which is not guarded, as well
``jwt_wsgi.W001``  the app is installed, but ``JWT_WSGI`` is not set and nothing verifies tokens
``jwt_wsgi.W002``  neither ``request_jwt`` nor ``request_user`` is in ``MIDDLEWARE``
``jwt_wsgi.W003``  ``RemoteUserMiddleware`` keeps users logged in after their token has expired
=================  ===============================================================================
"""

import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from importlib import import_module
from typing import Any
from typing import Final

from django.apps import AppConfig
from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core import wsgi
from django.core.exceptions import ImproperlyConfigured
from django.core.servers.basehttp import get_internal_wsgi_application
from django.http import HttpResponse
from django.http import JsonResponse

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.events import logger
from jwt_wsgi.injection import PAYLOAD
from jwt_wsgi.injection import user_id
from jwt_wsgi.layers import guards
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.settings.loading import Settings

#: Seconds between two log lines about requests that did not pass the guard.
_QUIET: Final = 60.0
_HERE: Final = f"{__name__}."
_REMOTE_USER: Final = (
    "django.contrib.auth.middleware.RemoteUserMiddleware",
    "django.contrib.auth.middleware.PersistentRemoteUserMiddleware",
)
_WRAP: Final = (
    "In wsgi.py, take get_wsgi_application from jwt_wsgi.contrib.django, and name its"
    " application in WSGI_APPLICATION; or, if the server wraps it, silence this check."
)


def get_wsgi_application() -> JWTMiddleware:
    """Django's WSGI application, guarded with the options of the setting ``JWT_WSGI``.

    Raises :class:`~jwt_wsgi.errors.ConfigurationError` with every wrong option.
    """
    application = wsgi.get_wsgi_application()
    return JWTMiddleware(application, **getattr(settings, "JWT_WSGI", {}))


# --- request.jwt and request.user ----------------------------------------------------------------


class TokenUser:
    """The user that a verified token names, with what Django and DRF expect of a user.

    No database is used and nothing is saved. ``payload`` holds the claims. A token user has no
    permission and no group of Django and is never staff: the claims say what it may do. Every name
    that code may take for a key (``pk``, ``id``, ``username``, ``str(user)``) is
    :func:`~jwt_wsgi.user_id`; use :meth:`get_short_name` to display a user. An empty payload makes
    an anonymous user.
    """

    is_staff: Final = False
    is_superuser: Final = False

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.payload = payload

    @property
    def is_authenticated(self) -> bool:
        """Whether there is a token."""
        return bool(self.payload)

    @property
    def is_anonymous(self) -> bool:
        """Whether there is none."""
        return not self.payload

    @property
    def is_active(self) -> bool:
        """As :attr:`is_authenticated`: an issuer gives no tokens to users that it has disabled."""
        return bool(self.payload)

    @property
    def pk(self) -> str | None:
        """``iss|sub``, or None without ``sub``. DRF's throttles count by it."""
        return user_id(self.payload)

    id = pk

    @property
    def username(self) -> str:
        """``iss|sub``, or an empty text."""
        return self.pk or ""

    def get_username(self) -> str:
        """As :attr:`username`."""
        return self.username

    def get_short_name(self) -> str:
        """The ``sub`` alone, to display it. It is no key: two issuers may use it for two users."""
        return self.payload.get("sub") or ""

    get_full_name = get_short_name

    @property
    def groups(self) -> Any:
        """No groups: an empty manager where ``django.contrib.auth`` is installed, else ``()``."""
        if not apps.is_installed("django.contrib.auth"):
            return ()
        from django.contrib.auth.models import Group  # noqa: PLC0415  # needs the installed app
        from django.db.models.manager import EmptyManager  # noqa: PLC0415

        return EmptyManager(Group)

    def has_perm(self, perm: str, obj: object = None) -> bool:  # noqa: ARG002  # Django's names
        """False: see the class."""
        return False

    def has_perms(self, perm_list: Any, obj: object = None) -> bool:  # noqa: ARG002
        """Whether no permission is asked for."""
        return not list(perm_list)

    def has_module_perms(self, app_label: str) -> bool:  # noqa: ARG002
        """False: see the class."""
        return False

    def get_user_permissions(self, obj: object = None) -> set[str]:  # noqa: ARG002
        """No permissions."""
        return set()

    get_group_permissions = get_all_permissions = get_user_permissions

    def _key(self) -> tuple[object, object]:
        return self.payload.get("iss"), self.pk

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenUser) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return self.username


def request_jwt(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Django middleware: ``request.jwt`` is the verified payload, or None on a public path.

    A request that did not pass the guard is answered 503 and logged as an ERROR: it came through
    another application, for example ASGI's. Requests of Django's test client are let through.
    """

    def middleware(request: Any) -> Any:
        if not _passed_the_guard(request):
            return _refused()
        request.jwt = request.META.get(PAYLOAD)
        return get_response(request)

    return middleware


def request_user(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Django middleware: as :func:`request_jwt`, and ``request.user`` is a :class:`TokenUser`.

    Without a token, a user that another middleware has set stays; if there is none, the user is
    anonymous. No session is read or made.
    """

    def middleware(request: Any) -> Any:
        if request.jwt or not hasattr(request, "user"):
            user = TokenUser(request.jwt or {})

            async def auser() -> TokenUser:
                return user

            request.user, request.auser = user, auser
        return get_response(request)

    return request_jwt(middleware)


def _passed_the_guard(request: Any) -> bool:
    """Whether the middleware has set its result in the environ, None included. Clients cannot.

    Django's test client calls no WSGI application. It marks its requests itself.
    """
    return PAYLOAD in request.META or hasattr(request, "_dont_enforce_csrf_checks")


_last_line: list[float] = []


def _refused() -> HttpResponse:
    now = time.monotonic()
    if not _last_line or now - _last_line[0] >= _QUIET:
        _last_line[:] = [now]
        logger.error(
            "a request reached Django without passing JWTMiddleware and was refused with 503: the"
            " server runs an application that is not guarded (ASGI, or a wsgi.py without"
            " jwt_wsgi.contrib.django.get_wsgi_application)"
        )
    body = {
        "error": "Not guarded",
        "details": "The server runs this application without its JWT middleware",
        "code": "not_guarded",
    }
    return JsonResponse(body, status=503, headers={"Cache-Control": "no-store"})


# --- The checks ----------------------------------------------------------------------------------


class JWTConfig(AppConfig):
    """The app that registers the checks."""

    name = __name__
    label = "jwt_wsgi"

    def ready(self) -> None:
        """Register them for ``manage.py check`` and every command that checks first."""
        checks.register(check_project, checks.Tags.security)
        if apps.is_installed("drf_spectacular"):  # OpenAPI: the scheme of our tokens
            import_module("jwt_wsgi.contrib.spectacular")


def check_project(**_: Any) -> list[checks.CheckMessage]:
    """Find settings that accept requests without a token, or keep sessions for weeks."""
    return [*(check_options() or check_application()), *_check_asgi(), *_check_middleware()]


def check_options(**_: Any) -> list[checks.CheckMessage]:
    """Check that the settings load, if ``JWT_WSGI`` is set."""
    options = getattr(settings, "JWT_WSGI", None)
    if options is None:
        return []
    if not isinstance(options, dict):
        hint = 'For example JWT_WSGI = {"issuer": "https://…"}; {}: all from the environment.'
        return [checks.Error("JWT_WSGI is not a dict.", hint=hint, id="jwt_wsgi.E002")]
    try:
        Settings.load(options)
    except ConfigurationError as error:
        return [checks.Error(problem, id="jwt_wsgi.E001") for problem in error.problems]
    return []


def check_application(**_: Any) -> list[checks.CheckMessage]:
    """Import ``WSGI_APPLICATION``, and check that it verifies tokens."""
    try:
        application = get_internal_wsgi_application()
    except ConfigurationError as error:
        return [checks.Error(problem, id="jwt_wsgi.E001") for problem in error.problems]
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="jwt_wsgi.E003")]
    if guards(application):
        return []
    if _is_set():
        problem = (
            "WSGI_APPLICATION is not wrapped in JWTMiddleware: it serves without verifying tokens."
        )
        return [checks.Error(problem, hint=_WRAP, id="jwt_wsgi.E004")]
    problem = "JWT_WSGI is not set, and WSGI_APPLICATION verifies no tokens: nothing is guarded."
    hint = 'Set JWT_WSGI = {"issuer": "https://…"} ({}: all from the environment). ' + _WRAP
    return [checks.Warning(problem, hint=hint, id="jwt_wsgi.W001")]


def _check_asgi() -> Iterator[checks.CheckMessage]:
    by = "daphne is in INSTALLED_APPS" if apps.is_installed("daphne") else ""
    if getattr(settings, "ASGI_APPLICATION", None):
        by = "ASGI_APPLICATION is set"
    if by and _is_guarded():
        yield checks.Error(
            f"{by}: an ASGI server (runserver with daphne, uvicorn) serves this project, and"
            " only its WSGI application is guarded.",
            hint="Serve the project by WSGI (gunicorn) and remove it. If only other parts are"
            " served by ASGI, keep jwt_wsgi.contrib.django.request_jwt in MIDDLEWARE, which"
            " refuses every request that did not pass the guard, and silence this check.",
            id="jwt_wsgi.E005",
        )


def _check_middleware() -> Iterator[checks.CheckMessage]:
    if not _is_guarded():
        return
    if not any(name.startswith(_HERE) for name in settings.MIDDLEWARE):
        yield checks.Warning(
            "MIDDLEWARE has neither request_jwt nor request_user: request.jwt is not set, and a"
            " request that did not pass the guard is not noticed.",
            hint='Add "jwt_wsgi.contrib.django.request_jwt" to MIDDLEWARE, as the first one.',
            id="jwt_wsgi.W002",
        )
    for name in set(_REMOTE_USER).intersection(settings.MIDDLEWARE):
        yield checks.Warning(
            f"{name} makes a session cookie of a token: the user stays logged in when the token"
            " has expired (SESSION_COOKIE_AGE, two weeks), and REMOTE_USER opens the admin.",
            hint="Use jwt_wsgi.contrib.django.request_user: it sets request.user for one request.",
            id="jwt_wsgi.W003",
        )


def _is_set() -> bool:
    return getattr(settings, "JWT_WSGI", None) is not None


def _is_guarded() -> bool:
    """Whether ``JWT_WSGI`` or the environment configures a guard for this project."""
    if _is_set():
        return True
    try:
        return bool(guards(get_internal_wsgi_application()))
    except (ConfigurationError, ImproperlyConfigured):  # reported by check_application
        return False
