"""The routes and views of a Pyramid app, by Pyramid's introspection."""

import re
from typing import Any
from typing import Final

from pyramid.interfaces import IRoutesMapper

from .router_model import Parameter
from .router_model import Route
from .router_model import Router
from .router_model import pieces_of
from .router_model import view_name
from .router_model import without_head

_FIELD: Final = r"\{(?P<name>\w+)(?::(?P<regex>(?:[^{}]|\{[^{}]*\})+))?\}|\*(?P<rest>\w+)$"
_TRAVERSAL: Final = "traversal finds this view below any resource, and rules see the path only"


def router(app: Any) -> Router:
    """Views with a route, and those that traversal finds, which stand below ``/*``."""
    mapper = app.registry.queryUtility(IRoutesMapper)
    known = {route.name: route for route in mapper.get_routes()} if mapper else {}
    routes = []
    for item in app.registry.introspector.get_category("views") or ():
        view = item["introspectable"]
        methods = _methods(view, known)
        if view.get("route_name") in known:
            mapped = known[view["route_name"]]
            pattern = "/" + mapped.pattern.lstrip("/")
            pieces = tuple(pieces_of(pattern, _FIELD, _parameter))
            routes.append(Route(pieces, methods, _name(view), view["callable"], mapped))
        elif not view.get("route_name") and not _is_of_errors(view):
            end = f"/{view['name']}" if view.get("name") else ""
            pieces = ("/", Parameter("*", ".+"), end) if end else ("/", Parameter("*", ".*"))
            routes.append(Route(pieces, methods, _name(view), view["callable"], end, _TRAVERSAL))

    def serves(route: Route, _method: str, path: str) -> bool:
        first = next((one for one in known.values() if one.match(path) is not None), None)
        if isinstance(route.key, str):  # by traversal, if no route takes it
            return first is None and path.rstrip("/").endswith(route.key)
        return first is route.key

    return Router(routes, serves, [])


def _methods(view: Any, known: Any) -> frozenset[str] | None:
    """Those of the view's predicate, else those of its route's."""
    methods = view.get("request_methods")
    if methods is None and view.get("route_name") in known:
        predicates = known[view["route_name"]].predicates
        named = [p.val for p in predicates if type(p).__name__ == "RequestMethodPredicate"]
        methods = named[0] if named else None
    if methods is None:
        return None
    return without_head([methods] if isinstance(methods, str) else methods)


def _name(view: Any) -> str:
    attribute = f".{view['attr']}" if view.get("attr") else ""
    return view_name(view["callable"]) + attribute


def _is_of_errors(view: Any) -> bool:
    """A view of exceptions, Pyramid's own among them, answers no path."""
    context = view.get("context")
    is_error = isinstance(context, type) and issubclass(context, BaseException)
    return is_error or "Exception" in getattr(context, "__name__", "")


def _parameter(match: re.Match[str]) -> Parameter:
    if match["rest"]:
        return Parameter(match[0], ".*")
    return Parameter(f"{{{match['name']}}}", match["regex"] or "[^/]+")
