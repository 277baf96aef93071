"""Which token a request needs: rules by path and method, first match decides.

Takes a method and a path, no environ, so that it can be read and tested as a table.
"""

import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from typing import Any
from typing import Final

from . import claims as claims_
from .errors import InsufficientAuthError
from .errors import InsufficientScopeError

#: Seconds that a login may lie in the future: the most that ``leeway`` can be.
_SKEW: Final = 300.0


class Token(StrEnum):
    """What a rule asks of a request's token."""

    REQUIRED = "required"
    #: A missing token passes, a bad one is refused.
    OPTIONAL = "optional"
    #: Everything passes; what would have been refused is logged, and told to the app.
    REPORT = "report"
    #: No token is looked at.
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests to ``path`` (exact, or a whole subtree: ``/docs/*``) and what they need.

    ``methods`` None: all of them; GET includes HEAD. The token needs all of ``scopes``, one of
    ``any_scope``, and the expected ``claims`` (name or dotted path = value, or one of several);
    its login one of ``acr_values`` and at most ``max_age`` seconds of age (RFC 9470).
    """

    path: str
    methods: Collection[str] | None = None
    token: Token | str = Token.REQUIRED
    scopes: Collection[str] = ()
    any_scope: Collection[str] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)
    acr_values: Collection[str] = ()
    max_age: float | None = None

    def takes(self, method: str) -> bool:
        """Whether requests of this method are the rule's."""
        if self.methods is None or method in self.methods:
            return True
        return method == "HEAD" and "GET" in self.methods

    @property
    def scope(self) -> tuple[str, ...]:
        """Scopes that are enough, for a challenge."""
        if not (self.scopes or self.any_scope):
            return ()
        return (*sorted(self.scopes), *list(self.any_scope)[:1])

    def authorize(self, claims: Mapping[str, Any], clock: Callable[[], float] = time.time) -> None:
        """Raise unless the claims permit the request; ``clock``: seconds since 1970.

        Raises :class:`InsufficientScopeError` or :class:`InsufficientAuthError`.
        """
        if self.scopes or self.any_scope:
            granted = claims_.scopes(claims)
            if not granted.issuperset(self.scopes):
                raise InsufficientScopeError("not all of scopes", scope=self.scope)
            if self.any_scope and granted.isdisjoint(self.any_scope):
                raise InsufficientScopeError("none of any_scope", scope=self.scope)
        for name, values in self.claims.items():
            if not claims_.has_one_of(claims_.find(claims, name), values):
                raise InsufficientScopeError(f"{name} has no accepted value", scope=self.scope)
        if self.acr_values or self.max_age is not None:
            self._step_up(claims, clock())

    def _step_up(self, claims: Mapping[str, Any], now: float) -> None:
        """RFC 9470 section 3: what is missing is not enough."""
        missing = ""
        if self.acr_values and claims.get("acr") not in tuple(self.acr_values):
            missing = "acr is none of acr_values"
        if self.max_age is not None:
            login: Any = claims.get("auth_time")
            # Of a wrong type, or in milliseconds, it is as good as missing.
            if type(login) not in (int, float) or not now - self.max_age <= login <= now + _SKEW:
                missing = "auth_time is missing or too long ago"
        if missing:
            raise InsufficientAuthError(missing, acr_values=self.acr_values, max_age=self.max_age)


#: No rule matches: a token is needed.
REQUIRE_TOKEN: Final = Rule("/*")


class Rules:
    """An index over rules: a decision costs the segments of the path, not the rules there are.

    Rules as the settings make them: ``methods``, ``scopes`` and the like are sets and tuples.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        # PATH_INFO is UTF-8 read as latin-1 (PEP 3333), so the index is, too.
        patterns = [rule.path.encode().decode("latin-1") for rule in rules]
        by_pattern: dict[str, list[int]] = {}
        for order, pattern in enumerate(patterns):
            by_pattern.setdefault(pattern, []).append(order)

        def matching(pattern: str) -> tuple[Rule, ...]:
            covering = (pattern, *(f"{base}/*" for base in _bases(pattern.removesuffix("/*"))))
            orders = {order for other in covering for order in by_pattern.get(other, ())}
            twins = by_pattern.get(_twin(pattern), ())  # many routers take both for one
            orders |= {order for order in twins if rules[order].token is Token.REQUIRED}
            return tuple(rules[order] for order in sorted(orders))

        exact = [path for path in by_pattern if not path.endswith("/*")]
        #: Path -> every rule that can match it, in their order.
        self._exact = {path: matching(path) for path in (*exact, *map(_twin, exact))}
        #: The same for all paths below it that have no entry nearer to them.
        self._below = {path[:-2]: matching(path) for path in by_pattern if path.endswith("/*")}
        #: How many segments those paths have, and no other number is looked for; nearest first.
        self._depths = sorted({path.count("/") + 1 for path in self._below}, reverse=True)
        self._every = _EveryRule("/*", rules=tuple(rules))

    def find(self, method: str, path: str) -> Rule:
        """The first rule that matches, else :data:`REQUIRE_TOKEN`.

        Where routers differ (``//admin``, ``admin``, ``post``: Werkzeug knows them as ``/admin``
        and ``POST``), nobody can say which rule is meant: the conditions of every rule count.
        """
        if not self._every.rules:
            return REQUIRE_TOKEN
        if not (is_plain(path) and method.isupper()):
            return self._every
        matching = self._exact.get(path)
        for rule in self._nearest(path) if matching is None else matching:
            if rule.methods is None or rule.takes(method):
                return rule
        return REQUIRE_TOKEN

    def _nearest(self, path: str) -> tuple[Rule, ...]:
        """The rules of the nearest subtree that ``path`` is in.

        A path of a hundred thousand segments costs no more than the rules have.
        """
        if not self._depths:
            return ()
        segments = path.split("/", self._depths[0])
        for depth in self._depths:
            if (matching := self._below.get("/".join(segments[:depth]))) is not None:
                return matching
        return ()


@dataclass(frozen=True, slots=True)
class _EveryRule(Rule):
    """A token is required, and it needs whatever any rule asks for."""

    rules: tuple[Rule, ...] = ()

    def authorize(self, claims: Mapping[str, Any], clock: Callable[[], float] = time.time) -> None:
        for rule in self.rules:
            if rule.token is not Token.REPORT:  # it asks for nothing yet
                rule.authorize(claims, clock)


def is_plain(path: str) -> bool:
    """Whether every router reads this path alike, so that it may need less than a token.

    No empty segment inside, no dot segment, none of backslash, NUL, line feed and ``;``, and
    UTF-8: Bottle leaves out what is none, so ``/ad%ffmin`` is ``/admin`` there.
    """
    if path[:1] != "/" or "//" in path or "\\" in path or "\0" in path or ";" in path:
        return False
    if "\n" in path:  # Pyramid's routes end in ``$``: to them /admin%0a is /admin
        return False
    if "/." in path and not {".", ".."}.isdisjoint(path.split("/")):
        return False
    return path.isascii() or _is_utf8(path)


def _twin(path: str) -> str:
    """The path with a slash at its end, or without."""
    return path[:-1] if path.endswith("/") else f"{path}/"


def _is_utf8(path: str) -> bool:
    try:
        path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return False
    return True


def _bases(path: str) -> Iterator[str]:
    """/a/b/c, /a/b, /a and the root, which is the empty text."""
    parts = path.split("/")
    while parts:
        yield "/".join(parts)
        parts.pop()
