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
            login = claims_.numeric_date(claims, "auth_time")
            if login is None or now - login > self.max_age:
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
            return tuple(rules[order] for order in sorted(orders))

        #: Path -> every rule that can match it, in their order.
        self._exact = {path: matching(path) for path in by_pattern if not path.endswith("/*")}
        #: The same for all paths below it that have no entry nearer to them.
        self._below = {path[:-2]: matching(path) for path in by_pattern if path.endswith("/*")}

    def find(self, method: str, path: str) -> Rule:
        """The first rule that matches, else :data:`REQUIRE_TOKEN`."""
        matching, cut = self._exact.get(path), len(path)
        while matching is None and cut >= 0:
            matching = self._below.get(path[:cut])
            cut = path.rfind("/", 0, cut)
        for rule in matching or ():
            if rule.methods is not None and not rule.takes(method):
                continue
            if rule.token is Token.REQUIRED or is_plain(path):
                return rule
        return REQUIRE_TOKEN


def is_plain(path: str) -> bool:
    """Whether every router reads this path alike, so that it may need less than a token.

    No empty segment inside, no dot segment, and none of backslash, NUL and ``;``.
    """
    if not path.startswith("/") or "//" in path or any(sign in path for sign in "\\\0;"):
        return False
    return "/." not in path or {".", ".."}.isdisjoint(path.split("/"))


def _bases(path: str) -> Iterator[str]:
    """/a/b/c, /a/b, /a and the root, which is the empty text."""
    cut = len(path)
    while cut >= 0:
        yield path[:cut]
        cut = path.rfind("/", 0, cut)
