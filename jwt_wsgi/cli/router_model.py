"""A framework's router as the command ``routes`` sees it: its routes, and what it does with a path.

There is one module for each framework. Each has ``router(app)`` and may import its framework: it
is loaded only for an app of that framework.
"""

import itertools
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from typing import Final
from typing import NamedTuple

from jwt_wsgi import errors

#: Sample values of parameters. The first one that fits is used.
_VALUES: Final = (
    "sample",
    "1",
    "2024",
    "12",
    "2024-01-31",
    "0b0e7a86-0c41-4a6c-9c57-5f0b3f9d1c2e",
    "en",
    "a/b",
    "json",
    "sample.txt",
    "a/b/",
    "",
)
#: A route with many parameters is tried with this many combinations of values.
_MOST_TRIES: Final = 300


class Parameter(NamedTuple):
    """A variable part of a path. ``regex``: what it takes, if that is known.

    ``languages``: of the prefix of Django's ``i18n_patterns``.
    """

    text: str
    regex: str | None = None
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Route:
    """A path of the app and the view that serves it.

    ``methods`` None: the router takes all of them. ``key``: what the router calls the route.
    ``view``: a name for people. ``function``: the view itself, which several routes may have.
    ``note``: what rules do not see of this route.
    """

    pieces: tuple[str | Parameter, ...]
    methods: frozenset[str] | None
    view: str
    function: object
    key: object
    note: str = ""

    @property
    def path(self) -> str:
        """The path for people."""
        return "".join(piece if isinstance(piece, str) else piece.text for piece in self.pieces)

    @property
    def start(self) -> str:
        """The path up to its first variable part."""
        return "".join(itertools.takewhile(lambda piece: isinstance(piece, str), self.pieces))  # type: ignore[arg-type]

    @property
    def without_language(self) -> "Route | None":
        """The route as it would be without the language's prefix; None if it has none."""
        if not any(isinstance(piece, Parameter) and piece.languages for piece in self.pieces):
            return None
        left = [p for p in self.pieces if isinstance(p, str) or not p.languages]
        if isinstance(left[1], str):
            left[:2] = [left[1]]  # "/", the language, "/admin/"
        return Route(tuple(left), self.methods, self.view, self.function, self.key)

    def samples(self) -> Iterator[str]:
        """Sample paths of this route, the most likely first."""
        choices = [_fitting(piece) for piece in self.pieces]
        longest = max(map(len, choices), default=1)
        for position in range(longest):  # the same value everywhere
            yield "".join(choice[min(position, len(choice) - 1)] for choice in choices)
        for values in itertools.islice(itertools.product(*choices), _MOST_TRIES):
            yield "".join(values)


class Router(NamedTuple):
    """``serves(route, method, path)``: whether the router takes this very path for that route."""

    routes: list[Route]
    serves: Callable[[Route, str, str], bool]
    #: Apps that it has mounted: prefix and WSGI app.
    mounts: list[tuple[str, Any]]


def pieces_of(text: str, parameter: str, read: Callable[[re.Match[str]], Parameter]) -> list[Any]:
    """Split a pattern: parts that match ``parameter`` are variable, the rest is literal."""
    found: list[Any] = []
    end = 0
    for match in re.finditer(parameter, text):
        found += [text[end : match.start()], read(match)]
        end = match.end()
    return [piece for piece in [*found, text[end:]] if piece]


def view_name(function: Any) -> str:
    """A view's name for people: module and name of a function, a class or a method."""
    return re.sub(r"[\w.]*<locals>\.", "", errors.name_of(function))


def without_head(methods: Iterable[str]) -> frozenset[str]:
    """Methods without the HEAD that a framework adds to GET."""
    named = frozenset(methods)
    return named - {"HEAD"} if "GET" in named else named


def _fitting(piece: str | Parameter) -> tuple[str, ...]:
    if isinstance(piece, str):
        return (piece,)
    if piece.languages or piece.regex is None:
        return piece.languages or _VALUES
    try:
        fitting = tuple(v for v in _VALUES if re.fullmatch(piece.regex, v))
    except re.error:
        return _VALUES
    return (("", *fitting) if "" in fitting else fitting) or _VALUES
