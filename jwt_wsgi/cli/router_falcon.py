"""The routes of a Falcon app, its sinks and its static files, by Falcon's own inspection."""

import re
from typing import Any
from typing import Final

from falcon import inspect

from .router_model import Parameter
from .router_model import Route
from .router_model import Router
from .router_model import pieces_of

_CONVERTERS: Final = {"int": r"\d+", "path": r".+", "uuid": r"[0-9a-f-]{36}"}
_FIELD: Final = r"\{\w+(?::(?P<converter>\w+)(?:\([^}]*\))?)?\}"


def router(app: Any) -> Router:
    """Resources with the methods that they have; a sink takes its prefix anywhere."""
    routes = []
    for info in inspect.inspect_routes(app):
        methods = frozenset(m.method for m in info.methods if not m.internal)
        pieces = tuple(pieces_of(info.path, _FIELD, _parameter))
        routes.append(Route(pieces, methods, info.class_name, info.path, info.path))
    sinks = inspect.inspect_sinks(app)
    routes += [_prefix(sink.prefix, None, f"sink {sink.name}") for sink in sinks]
    static = inspect.inspect_static_routes(app)
    files = frozenset({"GET"})
    routes += [_prefix(one.prefix, files, f"files of {one.directory}") for one in static]
    prefixes = {route.key for route in routes if isinstance(route.key, re.Pattern)}

    def serves(route: Route, _method: str, path: str) -> bool:
        whole = path
        if app.req_options.strip_url_path_trailing_slash and len(path) > 1:
            whole = path.removesuffix("/")
        found = app._router.find(whole)  # noqa: SLF001  # as Falcon calls a custom router
        if found is not None and found[0] is not None:
            return bool(found[-1] == route.key)
        return route.key in prefixes and bool(route.key.match(whole))  # type: ignore[attr-defined]

    return Router(routes, serves, [])


def _parameter(match: re.Match[str]) -> Parameter:
    return Parameter(match[0], _CONVERTERS.get(match["converter"] or "", r"[^/]+"))


def _prefix(text: str, methods: frozenset[str] | None, view: str) -> Route:
    """A sink's prefix may be a regular expression."""
    pattern = re.compile(text)
    pieces = (text if text.startswith("/") else f"/{text}", Parameter("*", r".*"))
    return Route(pieces, methods, view, pattern, pattern)
