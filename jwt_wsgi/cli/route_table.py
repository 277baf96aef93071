"""Every view of an app, what the rules ask for it, and where router and rules differ."""

import inspect
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from functools import cached_property
from importlib import import_module
from typing import Any
from typing import Final

from jwt_wsgi import assembly
from jwt_wsgi.layers import Layer
from jwt_wsgi.layers import layers
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.rules import REQUIRE_TOKEN
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Rules
from jwt_wsgi.rules import Token
from jwt_wsgi.rules import together
from jwt_wsgi.settings.rule_texts import rule_as_json

from .router_model import Route
from .router_model import Router
from .rule_words import atoms
from .rule_words import conditions
from .rule_words import needs
from .rule_words import place

#: The class of each framework's app, and its name; ``router_flask`` reads the router of Flask.
FRAMEWORKS: Final = {
    "flask.app.Flask": "Flask",
    "django.core.handlers.wsgi.WSGIHandler": "Django",
    "pyramid.router.Router": "Pyramid",
    "bottle.Bottle": "Bottle",
    "falcon.app.App": "Falcon",
}
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UNGUARDED: Final = "unguarded"
#: The marks of rows. Those that need no token are in capitals.
MARKS: Final = {
    UNGUARDED: "UNGUARDED",
    Token.IGNORED: "PUBLIC",
    Token.OPTIONAL: "OPTIONAL",
    Token.REPORT: "REPORT",
    Token.REQUIRED: "token",
}


@dataclass(frozen=True)
class Row:
    """A path, methods that need the same there (none: all), and the rule; None: unguarded.

    ``value``: the part of the path's requests that this row is about, if it is not the usual one.
    """

    path: str
    methods: tuple[str, ...]
    rule: Rule | None
    view: str
    framework: str
    value: str = ""

    @property
    def token(self) -> str:
        """Whether a token is required, optional or ignored, as a word."""
        return UNGUARDED if self.rule is None else Token(self.rule.token)

    @property
    def shown_path(self) -> str:
        """The path, with the value it is about."""
        return f"{self.path} as {self.value}" if self.value else self.path

    def __str__(self) -> str:
        methods = ",".join(self.methods) or "any"
        line = f"{MARKS[self.token]:8} {methods} {self.shown_path} -> {self.view}"
        if self.rule is None:
            return line
        more = "; ".join(conditions(self.rule))
        return f"{line} ({place(self.rule)}{f': {more}' if more else ''})"

    def as_json(self) -> dict[str, Any]:
        """For machines: the rule as the JSON form of the option ``rules`` has it."""
        parts = self.rule.parts if self.rule not in (None, REQUIRE_TOKEN) else ()
        return {
            "token": str(self.token),
            "methods": list(self.methods),
            "path": self.shown_path,
            "view": self.view,
            "framework": self.framework,
            "rules": [rule_as_json(part) for part in parts],
        }


class Guarded:
    """One router, the middlewares in front of it, and what they require of requests."""

    def __init__(self, framework: str, router: Router, layer: Layer) -> None:
        self.framework, self.router, self.prefix = framework, router, layer.prefix
        self._guards = [(guard, len(lost)) for guard, lost in layer.guards]
        self._indexes = [Rules(guard.settings.request_rules) for guard, _ in self._guards]

    @cached_property
    def rules(self) -> list[tuple[Rule, str]]:
        """Every rule in front, each with its path as the router has it, without what is mounted."""
        found = []
        for guard, lost in self._guards:
            below = self.prefix[lost:]
            for rule in guard.settings.request_rules:
                if rule.path.startswith(f"{below}/") and not rule.headers:
                    found += [(rule, rule.path[len(below) :])]
        return found

    @cached_property
    def methods(self) -> list[str]:
        """The usual methods, and those that rules name."""
        named = {method for rule, _ in self.rules for method in rule.methods or ()}
        return [*_METHODS, *sorted(named.difference(_METHODS))]

    def decide(self, method: str, path: str) -> Rule | None:
        """The rule of a request at the middlewares in front; None if there are none."""
        whole = (self.prefix + path).encode().decode("latin-1")
        found = [
            index.find(method, whole[lost:])
            for index, (_, lost) in zip(self._indexes, self._guards, strict=True)
        ]
        return together(found) if found else None

    def serves(self, route: Route, path: str) -> bool:
        """Whether the router takes this path for that route."""
        return self.router.serves(route, self.method_of(route), path)

    def method_of(self, route: Route) -> str:
        """The first method of a route."""
        return next((m for m in self.methods if m in (route.methods or {m})), "GET")


@dataclass
class Table:
    """All rows, sorted by path, and the warnings."""

    rows: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def count(self, token: str) -> int:
        """The rows with that mark."""
        return sum(row.token == token for row in self.rows)


def table_of(app: Any) -> Table:
    """Read every router in ``app``. No rows: there is none of a known framework."""
    table, used = Table(), set[object]()
    routers = list(_routers(layers(app)))
    for guarded in routers:
        for route in guarded.router.routes:
            rows, sample = _rows(guarded, route)
            table.rows += rows
            used |= {_name(part) for row in rows if row.rule for part in row.rule.parts}
            if sample is not None:
                table.warnings += _differences(guarded, route, sample)
            else:
                path = guarded.prefix + route.path
                table.warnings.append(
                    f"{path}: no path was found that the router takes for it; its rule is a guess"
                )
        table.warnings += _views_with_several_paths(guarded)
    guards = {id(guard): guard for router in routers for guard, _ in router._guards}.values()  # noqa: SLF001
    for guard in guards if table.rows else ():
        table.rows += _own_rows(guard)
        table.warnings += _of_guard(guard, used)
    table.rows = sorted({str(row): row for row in table.rows}.values(), key=_order)
    table.warnings = list(dict.fromkeys(table.warnings))
    return table


def _order(row: Row) -> tuple[object, ...]:
    return row.path, row.value, row.methods, str(row)


def _routers(found: Iterable[Layer]) -> Iterator[Guarded]:
    """The routers of the layers. Flask and Bottle are reached by a method that may be wrapped."""
    known = [layer for layer in found if _framework_of(layer.app)]
    reached = {id(getattr(layer.app, "__self__", None)) for layer in known}
    for layer in known:
        app = getattr(layer.app, "__self__", layer.app)
        if app is layer.app and id(app) in reached:
            continue
        framework = _framework_of(app)
        router = import_module(f".router_{framework.lower()}", __package__).router(app)
        yield Guarded(framework, router, layer)
        for prefix, inner in router.mounts:
            inside = Layer(inner, layer.prefix + prefix, layer.guards)
            yield from _routers(layers(inside))


def _framework_of(app: object) -> str:
    """The framework of an app; empty if it is of none that is known."""
    if inspect.ismethod(app):
        app = app.__self__
    names = (f"{class_.__module__}.{class_.__qualname__}" for class_ in type(app).__mro__)
    return next((FRAMEWORKS[name] for name in names if name in FRAMEWORKS), "")


# --- Rows ----------------------------------------------------------------------------------------


def _rows(guarded: Guarded, route: Route) -> tuple[list[Row], str | None]:
    """The rows of a route, and a path that the router takes for it, if one was found."""
    sample = next((path for path in route.samples() if guarded.serves(route, path)), None)
    usual = sample if sample is not None else next(route.samples())
    rows, seen = [], set()
    for path, value in ((usual, ""), *_special_paths(guarded, route, usual)):
        for methods, rule in _by_methods(guarded, route, path):
            if (methods, _key(rule)) not in seen:
                seen.add((methods, _key(rule)))
                shown = guarded.prefix + route.path
                rows.append(Row(shown, methods, rule, route.view, guarded.framework, value))
    return rows, sample


def _special_paths(guarded: Guarded, route: Route, usual: str) -> Iterator[tuple[str, str]]:
    """Paths of this route for which another rule may decide, each with a name.

    These are paths that a rule names, and other spellings that need less.
    """
    segments = usual.split("/")
    for _, named in guarded.rules:
        base = named.removesuffix("/*")
        if not (base.startswith(route.start) or route.start.startswith(f"{base}/")):
            continue
        rest = "/".join(segments[base.count("/") + 1 :])
        tries = [f"{base}/{rest}", f"{base}/sample", base] if named.endswith("/*") else [base]
        for path in tries:
            if path and path != usual and guarded.serves(route, path):
                yield path, guarded.prefix + named
                break
    method = guarded.method_of(route)
    here = guarded.decide(method, usual)
    if here is None:
        return
    for other in _spellings(usual):
        there = guarded.decide(method, other)
        if there and not atoms(here) <= atoms(there) and guarded.serves(route, other):
            yield other, guarded.prefix + other


def _by_methods(
    guarded: Guarded, route: Route, path: str
) -> Iterator[tuple[tuple[str, ...], Rule | None]]:
    """The methods of a route in groups that one rule decides; none: all methods."""
    named = route.methods
    if named is not None and "GET" in named:
        named |= {"HEAD"}
    methods = guarded.methods if named is None else sorted(named)
    groups: dict[object, list[str]] = defaultdict(list)
    rules = {}
    for method in methods:
        rule = guarded.decide(method, path)
        groups[_key(rule)].append(method)
        rules[_key(rule)] = rule
    for key, group in groups.items():
        if named is None and len(groups) == 1:
            yield (), rules[key]
            continue
        shown = [m for m in group if m != "HEAD" or "GET" not in group or named is None]
        yield tuple(sorted(shown)), rules[key]


def _key(rule: Rule | None) -> object:
    """A key that is equal for equal rules."""
    return None if rule is None else (place(rule), atoms(rule))


def _name(rule: Rule) -> object:
    """A key of a rule. Its identity would not do: shorthands create new rules at each access."""
    return rule.path, rule.methods


def _own_rows(guard: JWTMiddleware) -> Iterator[Row]:
    metadata = assembly.metadata(guard.settings)
    for path in metadata.paths if metadata else ():
        rule = Rule(path, token=Token.IGNORED)
        yield Row(path, ("GET",), rule, "metadata of the option resource (RFC 9728)", "jwt_wsgi")
    if logout := assembly.logout_path(guard.settings):
        rule = Rule(logout, token=Token.IGNORED)
        yield Row(logout, ("POST",), rule, "logouts of your issuers (revocation)", "jwt_wsgi")


# --- Warnings ------------------------------------------------------------------------------------


def _differences(guarded: Guarded, route: Route, sample: str) -> Iterator[str]:
    path, method = guarded.prefix + route.path, guarded.method_of(route)
    if route.note:
        yield f"{path}: {route.note}"
    here = guarded.decide(method, sample)
    if here is None:
        return
    for other in _spellings(sample):
        there = guarded.decide(method, other)
        if there and atoms(there) != atoms(here) and guarded.serves(route, other):
            yield (
                f"{path}: the router serves {guarded.prefix}{other} as well, where {needs(there)};"
                f" here {needs(here)}"
            )
    if (plain := route.without_language) is not None:
        named = next(plain.samples())
        there = guarded.decide(method, named)
        if there and not atoms(there) <= atoms(here):
            yield (
                f"{path}: i18n_patterns; the rule of {guarded.prefix}{plain.path} does not count"
                f" there: {needs(here)}"
            )
    yield from _below_exact_rules(guarded, route, sample)


def _spellings(path: str) -> list[str]:
    """Other paths that a router may take for this one."""
    whole = path.removesuffix("/")
    slash = whole if path.endswith("/") and whole else f"{whole}/"
    return [slash, f"{whole}.json", f"{whole}.json/", f"{path}x", f"{path}/x", path.upper()]


def _below_exact_rules(guarded: Guarded, route: Route, sample: str) -> Iterator[str]:
    """Warn of an exact rule with conditions that the paths below it do not have."""
    for rule, named in guarded.rules:
        base = named.removesuffix("/")
        if named.endswith("/*") or rule.token != Token.REQUIRED or not base:
            continue
        if not sample.startswith(f"{base}/") or sample.removesuffix("/") == base:
            continue
        for method in guarded.methods:
            here = guarded.decide(method, sample)
            if not rule.takes(method) or method not in (route.methods or {method}) or here is None:
                continue
            is_wider = not here.path.startswith(rule.path.removesuffix("/"))
            if is_wider and not atoms(rule) <= atoms(here):
                yield (
                    f"{guarded.prefix}{route.path}: rule {rule.path} is exact and does not count"
                    f" below its path; here {needs(here)}"
                )
                break


def _views_with_several_paths(guarded: Guarded) -> Iterator[str]:
    by_view: dict[int, list[Route]] = defaultdict(list)
    for route in guarded.router.routes:
        if route.function is not None:
            by_view[id(route.function)].append(route)
    for routes in by_view.values():
        first = routes[0]
        for other in routes[1:]:
            methods = (first.methods or {*guarded.methods}) & (other.methods or {*guarded.methods})
            for method in sorted(methods):
                one, two = (guarded.decide(method, next(r.samples())) for r in (first, other))
                if one and two and atoms(one) != atoms(two):
                    paths = " and ".join(guarded.prefix + r.path for r in (first, other))
                    yield (
                        f"{first.view}: {method} {paths} are one view and need different things:"
                        f" {needs(one)}; {needs(two)}"
                    )
                    break


def _of_guard(guard: JWTMiddleware, used: set[object]) -> Iterator[str]:
    if guard.settings.settings_from_request:
        yield "settings_from_request: requests bring rules of their own, which are not shown here"
    for rule in guard.settings.request_rules:
        if _name(rule) not in used and rule.path != "/*" and not rule.headers:
            yield f"rule {rule.path}: no view of the app is there"
