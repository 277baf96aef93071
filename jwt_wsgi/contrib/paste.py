"""Paste Deploy: the middleware as a filter in an ini file, for ``pserve`` and ``gunicorn --paste``.

.. code-block:: ini

    [filter:jwt]
    use = egg:jwt-wsgi
    issuer = https://my-api.zuplo.com/__zuplo/issuer
    public_paths = /healthz

    [pipeline:main]
    pipeline = jwt app

Every option is one of the middleware's, with values as in the environment. Options that are not in
the file are read from the environment. Wrong options raise
:class:`~jwt_wsgi.errors.ConfigurationError` when the file is loaded. So does an option's name in
``[DEFAULT]`` or on the command line of ``pserve``, because Paste would hide the filter's own value.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.settings.options import OPTIONS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def filter_app_factory(
    app: "WSGIApplication", global_conf: Mapping[str, str] | None, **local_conf: Any
) -> JWTMiddleware:
    """``paste.filter_app_factory``: the app with the middleware around it."""
    hidden = sorted(OPTIONS.keys() & (global_conf or {}).keys())
    if hidden:
        raise ConfigurationError(
            f"{name}: [DEFAULT] has this name, so Paste hides it from the filter; rename it there"
            for name in hidden
        )
    return JWTMiddleware(app, **local_conf)


def filter_factory(
    global_conf: Mapping[str, str] | None, **local_conf: Any
) -> Callable[["WSGIApplication"], JWTMiddleware]:
    """``paste.filter_factory``: a function that wraps an app in the middleware."""
    return lambda app: filter_app_factory(app, global_conf, **local_conf)
