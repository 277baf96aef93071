"""Any WSGI app, wrapped without touching its code.

.. code-block:: sh

    JWT_WSGI_APP=myproject.wsgi:application gunicorn jwt_wsgi.wsgi:application

``JWT_WSGI_APP`` is ``module:attribute``, ``module:factory()`` or ``module:factory("prod")``; the
settings are the other ``JWT_WSGI_*`` variables.
"""

import os

from .applications import load_app
from .middleware import JWTMiddleware

application = JWTMiddleware(load_app(os.environ.get("JWT_WSGI_APP", ""), "JWT_WSGI_APP"))
