"""Any WSGI app, wrapped without touching its code.

.. code-block:: sh

    JWT_WSGI_APP=myproject.wsgi:application gunicorn jwt_wsgi.wsgi:application

``JWT_WSGI_APP`` is ``module:attribute`` or ``module:factory()``; the settings are the other
``JWT_WSGI_*`` variables.
"""

import os
from typing import TYPE_CHECKING

from werkzeug.utils import import_string

from .errors import ConfigurationError
from .middleware import JWTMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def load_app(spec: str) -> "WSGIApplication":
    """Import the app that ``spec`` names. Raises :class:`ConfigurationError` with the remedy."""
    name = spec.removesuffix("()")
    if ":" not in name:
        raise ConfigurationError(
            [f"JWT_WSGI_APP: {spec!r}: give module:attribute or module:factory()"]
        )
    try:
        found = import_string(name)
    except ImportError as error:
        raise ConfigurationError(
            [f"JWT_WSGI_APP: {spec!r}: cannot be imported: {error}"]
        ) from error
    app: WSGIApplication = found() if name != spec else found
    if not callable(app):
        raise ConfigurationError([f"JWT_WSGI_APP: {spec!r}: is no WSGI application"])
    return app


application = JWTMiddleware(load_app(os.environ.get("JWT_WSGI_APP", "")))
