"""The routes of a Flask app, by Werkzeug's map of URLs."""

import re
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from .router_model import Parameter
from .router_model import Route
from .router_model import Router
from .router_model import pieces_of


def router(app: Any) -> Router:
    """The views as ``flask routes`` lists them. A redirect to another path serves nothing."""

    def serves(route: Route, method: str, path: str) -> bool:
        rule: Any = route.key
        if app.url_map.host_matching:
            bound = app.url_map.bind(rule.host or "localhost")
        else:
            bound = app.url_map.bind("localhost", subdomain=rule.subdomain or "")
        try:
            return bool(bound.match(path, method, return_rule=True)[0] is rule)
        except (HTTPException, RequestRedirect):
            return False

    routes = [_route(app, rule) for rule in app.url_map.iter_rules() if not rule.build_only]
    return Router(routes, serves, [])


def _route(app: Any, rule: Any) -> Route:
    methods = None if rule.methods is None else frozenset(rule.methods)
    if methods is not None and getattr(rule, "provide_automatic_options", False):
        methods -= {"OPTIONS"}  # Flask answers it itself
    where = rule.host if app.url_map.host_matching else rule.subdomain
    note = f"only on the host {where}; rules do not look at the host" if where else ""

    def parameter(match: re.Match[str]) -> Parameter:
        converter = rule._converters.get(match["name"])  # noqa: SLF001  # there is no other way
        return Parameter(match[0], getattr(converter, "regex", None))

    pieces = pieces_of(rule.rule, r"<(?:[^<>:]+:)?(?P<name>\w+)>", parameter)
    function = app.view_functions.get(rule.endpoint)
    return Route(tuple(pieces), methods, str(rule.endpoint), function, rule, note)
