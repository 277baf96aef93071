"""The app that a fake issuer protects, with a test client."""

import sys
from copy import copy
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request

from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.settings.loading import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: Django allows this host in tests, whatever ALLOWED_HOSTS says; its own client asks it, too.
_BASE_URL: Final = "http://testserver"
_WHOLE_REQUESTS: Final = (EnvironBuilder, Request, dict)


class ProtectedApp(JWTMiddleware):
    """A middleware for tests. ``whole``: the app as the test passed it.

    A Flask object has a test client of its own, with its sessions and extensions.
    """

    def __init__(self, app: "WSGIApplication", settings: Settings, whole: object) -> None:
        super().__init__(app, settings)
        self.whole: Any = whole.whole if isinstance(whole, ProtectedApp) else whole

    def test_client(self, *args: Any, **options: Any) -> Any:
        """Make Flask's test client for a Flask app, Django's for a Django app, else Werkzeug's.

        Its requests pass this middleware. ``args`` and ``options`` are those of the client.
        Django's may be of another class: ``client_class=APIClient``.
        """
        if not hasattr(self.whole, "test_client"):
            if "django.core.handlers.wsgi" in sys.modules:
                from .django_client import django_client  # noqa: PLC0415  # needs Django
                from .django_client import handler_in  # noqa: PLC0415

                if handler := handler_in(self.app):
                    return django_client(self, handler, *args, **options)
            return _Client(self, *args, **options)
        app = copy(self.whole)  # the app itself stays as it is
        app.wsgi_app = self
        return app.test_client(*args, **options)


class _Client(Client):
    def open(self, *args: Any, **options: Any) -> TestResponse:
        """Send a request, as Werkzeug's client does."""
        if not (args and isinstance(args[0], _WHOLE_REQUESTS)):
            options.setdefault("base_url", _BASE_URL)
        return super().open(*args, **options)
