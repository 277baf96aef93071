"""The routes of a Bottle app, and the WSGI apps that it has mounted."""

import re
from typing import Any
from typing import Final

from bottle import HTTPError  # type: ignore[import-untyped]

from .router_model import Parameter
from .router_model import Route
from .router_model import Router
from .router_model import pieces_of
from .router_model import view_name

_FILTERS: Final = {"int": r"-?\d+", "float": r"-?[\d.]+", "path": r".+?", "default": "[^/]+"}
_PARAMETER: Final = r"<(?P<name>\w*)(?::(?P<filter>\w+)(?::(?P<regex>[^>]*))?)?>|:(?P<old>\w+)"


def router(app: Any) -> Router:
    """The routes as Bottle keeps them: those of mounted Bottle apps stand among them."""
    mounts, routes = [], []
    for route in app.routes:
        if "mountpoint.target" in route.config:
            mount = route.config["mountpoint.prefix"].rstrip("/")
            mounts.append((mount, route.config["mountpoint.target"]))
        else:
            methods = None if route.method == "ANY" else frozenset({route.method})
            pieces = tuple(pieces_of(route.rule, _PARAMETER, _parameter))
            routes.append(Route(pieces, methods, view_name(route.callback), route.callback, route))

    def serves(route: Route, method: str, path: str) -> bool:
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
        try:
            return app.router.match(environ)[0] is route.key
        except HTTPError:
            return False

    return Router(routes, serves, mounts)


def _parameter(match: re.Match[str]) -> Parameter:
    kind = match["filter"] or "default"
    return Parameter(match[0], match["regex"] if kind == "re" else _FILTERS.get(kind))
