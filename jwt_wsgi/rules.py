"""Which token a request needs: rules by path and method, first match decides.

Takes a method and a path, no environ, so that it can be read and tested as a table.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from typing import Final

from . import claims as claims_
from .errors import InsufficientScopeError


class Token(StrEnum):
    """What a rule asks of a request's token."""

    REQUIRED = "required"
    #: A missing token passes, a bad one is refused.
    OPTIONAL = "optional"
    #: No token is looked at.
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests to ``path`` (exact, or a whole subtree: ``/docs/*``) and what they need.

    ``methods`` None: all of them; GET includes HEAD. ``scopes``: all are needed.
    """

    path: str
    methods: frozenset[str] | None = None
    token: Token = Token.REQUIRED
    scopes: frozenset[str] = frozenset()

    def takes(self, method: str) -> bool:
        """Whether requests of this method are the rule's."""
        if self.methods is None or method in self.methods:
            return True
        return method == "HEAD" and "GET" in self.methods

    def authorize(self, claims: Mapping[str, Any]) -> None:
        """Raise :class:`InsufficientScopeError` unless the claims permit the request."""
        if not self.scopes <= claims_.scopes(claims):
            raise InsufficientScopeError(scope=sorted(self.scopes))


#: No rule matches: a token is needed.
REQUIRE_TOKEN: Final = Rule("/*")


class Rules:
    """An index over rules: a decision costs the segments of the path, not the rules there are."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._exact: dict[str, list[tuple[int, Rule]]] = {}
        self._below: dict[str, list[tuple[int, Rule]]] = {}
        for order, rule in enumerate(rules):
            # PATH_INFO is UTF-8 read as latin-1 (PEP 3333), so the index is, too.
            path = rule.path.encode().decode("latin-1")
            index = self._below if path.endswith("/*") else self._exact
            index.setdefault(path.removesuffix("/*"), []).append((order, rule))

    def find(self, method: str, path: str) -> Rule:
        """The first rule that matches, else :data:`REQUIRE_TOKEN`."""
        if not (self._exact or self._below):
            return REQUIRE_TOKEN
        matches = list(self._exact.get(path, ()))
        cut = len(path)
        while cut >= 0:  # /a/b/c, /a/b, /a and the root
            matches += self._below.get(path[:cut], ())
            cut = path.rfind("/", 0, cut)
        plain = is_plain(path)
        fitting = [
            (order, rule)
            for order, rule in matches
            if rule.takes(method) and (plain or rule.token is Token.REQUIRED)
        ]
        return min(fitting, key=_order)[1] if fitting else REQUIRE_TOKEN


def is_plain(path: str) -> bool:
    """Whether every router reads this path alike, so that it may need less than a token.

    No empty segment inside, no dot segment, and none of backslash, NUL and ``;``.
    """
    if not path.startswith("/") or "//" in path or any(sign in path for sign in "\\\0;"):
        return False
    return "/." not in path or {".", ".."}.isdisjoint(path.split("/"))


def _order(match: tuple[int, Rule]) -> int:
    return match[0]
