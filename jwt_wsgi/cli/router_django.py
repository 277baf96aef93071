"""The routes of a Django project, of Django REST framework among them, by Django's resolver."""

import re
from collections.abc import Iterator
from typing import Any
from typing import Final

from django.conf import settings
from django.urls import Resolver404
from django.urls import URLResolver
from django.urls import get_resolver
from django.urls.resolvers import LocalePrefixPattern
from django.urls.resolvers import RoutePattern
from django.utils import translation
from django.utils.regex_helper import normalize

from .router_model import Parameter
from .router_model import Route
from .router_model import Router
from .router_model import pieces_of
from .router_model import view_name
from .router_model import without_head

_CONVERTER: Final = r"<(?:[^<>:]+:)?(?P<name>\w+)>"

_FIELD: Final = r"%\((?P<name>\w+)\)s"


def router(_app: Any) -> Router:
    """The views of ``ROOT_URLCONF``. One that a middleware sets for a request is not seen."""
    resolver = get_resolver()

    def serves(route: Route, _method: str, path: str) -> bool:
        key: Any = route.key
        text, view, has_language = key
        language = _language_of(path)
        with translation.override(language):
            try:
                match = resolver.resolve(path)
            except Resolver404:
                return False
        named = _below(f"{language}/", text) if has_language else text
        return bool(match.route == named and match.func is view)

    return Router(list(_routes(resolver, "", ["/"])), serves, [])


def _language_of(path: str) -> str:
    """The language that Django's LocaleMiddleware finds in a path, else the usual one."""
    code = path.split("/")[1] if path.startswith("/") else ""
    known = dict(settings.LANGUAGES)
    return code if code in known else str(settings.LANGUAGE_CODE)


def _routes(resolver: Any, text: str, before: list[Any]) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        for pieces in _pieces(entry.pattern):
            here = [*before, *pieces]
            # What Django calls the route of a match, without a language, which changes.
            is_language = isinstance(entry.pattern, LocalePrefixPattern)
            route = text if is_language else _below(text, str(entry.pattern))
            if isinstance(entry, URLResolver):
                yield from _routes(entry, route, here)
                continue
            view, name = entry.callback, view_name(_class_of(entry.callback))
            has_language = any(isinstance(piece, Parameter) and piece.languages for piece in here)
            yield Route(_joined(here), _methods(view), name, view, (route, view, has_language))


def _below(text: str, inner: str) -> str:
    """What Django calls a pattern below another one: without its ``^``."""
    return text + (inner.removeprefix("^") if text else inner)


def _pieces(pattern: Any) -> Iterator[list[Any]]:
    """The pattern in pieces; several where a regular expression or a language gives a choice."""
    if isinstance(pattern, LocalePrefixPattern):
        codes = [code for code, _ in settings.LANGUAGES]
        if not pattern.prefix_default_language:
            yield []
            codes = [code for code in codes if code != settings.LANGUAGE_CODE]
        yield [Parameter("<language>", languages=tuple(codes)), "/"]
    elif isinstance(pattern, RoutePattern):

        def converter(match: re.Match[str]) -> Parameter:
            found = pattern.converters.get(match["name"])
            return Parameter(match[0], getattr(found, "regex", None))

        yield pieces_of(str(pattern), _CONVERTER, converter)
    else:
        regex = str(pattern).replace("(?i)", "").replace(r"\Z", "$")
        try:
            text = normalize(regex)[0][0]
        except (IndexError, ValueError):  # it does not read every expression
            text = ""
        if not text and regex.strip("^$"):
            yield [Parameter(str(pattern), regex.lstrip("^"))]
        else:
            groups = _groups(regex)

            def group(match: re.Match[str]) -> Parameter:
                return Parameter(f"<{match['name'].lstrip('_')}>", groups.get(match["name"]))

            yield pieces_of(text, _FIELD, group)


def _groups(regex: str) -> dict[str, str]:
    """The named groups of a regular expression, each with its pattern."""
    found = {}
    for match in re.finditer(r"\(\?P<(\w+)>", regex):
        depth, end = 1, match.end()
        for token in re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[()]", regex[match.end() :]):
            depth += {"(": 1, ")": -1}.get(token[0], 0)
            if depth == 0:
                end += token.start()
                break
        found[match[1]] = regex[match.end() : end]
    return found


def _joined(pieces: list[Any]) -> tuple[Any, ...]:
    """Texts that stand side by side are one."""
    found: list[Any] = []
    for piece in pieces:
        if found and isinstance(piece, str) and isinstance(found[-1], str):
            found[-1] += piece
        else:
            found.append(piece)
    return tuple(found)


def _class_of(view: Any) -> Any:
    return getattr(view, "cls", None) or getattr(view, "view_class", None) or view


def _methods(view: Any) -> frozenset[str] | None:
    """Of a class-based view those that it has; a function takes every method."""
    actions = getattr(view, "actions", None)
    if actions:
        return without_head(name.upper() for name in actions)
    class_ = _class_of(view)
    if class_ is view or not hasattr(class_, "http_method_names"):
        return None
    named = {name.upper() for name in class_.http_method_names if hasattr(class_, name)}
    return without_head(named) - {"OPTIONS"}  # answered without the view's own code
