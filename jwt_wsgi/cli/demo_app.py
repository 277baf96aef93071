"""The app of the demo behind the middleware, as gunicorn's workers load it."""

import json
import os
from dataclasses import replace
from typing import Any
from typing import Final

from jwt_wsgi.applications import load_app
from jwt_wsgi.layers import guards
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.settings.issuer import KEY_SLOT
from jwt_wsgi.settings.issuer import Issuer
from jwt_wsgi.settings.loading import Settings

#: The environment variable that passes ``app``, ``issuer`` and ``audience`` as JSON.
VARIABLE: Final = "DEMO_OF_JWT_WSGI"
PUBLIC_PATH: Final = "/public"


def application() -> JWTMiddleware:
    """Guard the app. If it has a :class:`JWTMiddleware`, only the issuer is replaced.

    Raises :class:`ConfigurationError` as :func:`~jwt_wsgi.applications.load_app` does.
    """
    demo = json.loads(os.environ[VARIABLE])
    app = load_app(demo["app"], "MODULE:APP")
    issuer = Issuer(demo["issuer"], audience=demo["audience"], algorithms="ES256")
    if not (found := guards(app)):
        return JWTMiddleware(app, Settings.of(issuer=issuer, public_paths=[PUBLIC_PATH]))
    no_keys: dict[str, Any] = dict.fromkeys(KEY_SLOT)  # of its own issuer
    return JWTMiddleware(found[0].app, replace(found[0].settings, issuer=(issuer,), **no_keys))
