"""Which token a request needs: rules by path and method; the first one that matches decides.

This module takes a method and a path, no environ, so that it can be read and tested as a table.
The app's router may read them in another way. If it may, every reading must be permitted.
"""

import re
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from typing import Any
from typing import Final
from typing import TypeAlias

from . import claims as claims_
from .claims import MAX_LEEWAY
from .errors import InsufficientAuthError
from .errors import InsufficientScopeError
from .errors import ask

#: Says whether the verified claims permit the request, which it sees as a WSGI environ.
Permits: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
#: What routers read differently in a path that is decoded: an empty segment, a dot segment,
#: ``@@view`` of Pyramid's traversal, a backslash, NUL, ``;``, ``%XX`` that is decoded once more,
#: and a line feed: Pyramid's routes end in ``$``, so ``/admin%0a`` is ``/admin`` to them.
_ODD: Final = re.compile(r"/(?:/|@@|\.\.?(?:/|\Z))|[\\\0\n;]|%[0-9A-Fa-f]{2}")


class Token(StrEnum):
    """What a rule asks of a request's token, the strictest first."""

    REQUIRED = "required"
    #: A missing token passes, a bad one is refused.
    OPTIONAL = "optional"
    #: Every request passes. A refusal is logged, and the app finds it in its environ.
    REPORT = "report"
    #: No token is looked at.
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests to ``path`` (exact, or a whole subtree: ``/docs/*``) and what they need.

    ``methods`` None: all of them; GET includes HEAD. The token needs all of ``scopes``, one of
    ``any_scope``, and the expected ``claims`` (name or path = value, or one of several). The login
    needs one of ``acr_values``, and is at most ``max_age`` seconds old (RFC 9470).

    ``check(claims, environ)`` is called last, with the verified claims and the WSGI environ. Only
    True permits the request: a policy engine without a decision returns None, or an object. If it
    raises LookupError, TypeError or ValueError, the request is refused as well; an
    :class:`AuthError` is the answer; any other error is a 503.

    A rule with ``headers`` (name = value, or several; ``*`` at the end of one stands for any rest)
    decides nothing by itself. Its conditions are added for requests that may have such headers.
    """

    path: str
    methods: Collection[str] | None = None
    token: Token | str = Token.REQUIRED
    scopes: Collection[str] = ()
    any_scope: Collection[str] = ()
    claims: Mapping[Any, Any] = field(default_factory=dict)
    acr_values: Collection[str] = ()
    max_age: float | None = None
    check: Permits | None = None
    headers: Mapping[str, Collection[str]] = field(default_factory=dict)

    def takes(self, method: str) -> bool:
        """Whether the rule is for requests of this method."""
        names = {method, "GET"} if method == "HEAD" else {method}
        return self.methods is None or not names.isdisjoint(self.methods)

    @property
    def parts(self) -> "tuple[Rule, ...]":
        """The rules whose conditions must all be met: this one."""
        return (self,)

    @property
    def scope(self) -> tuple[str, ...]:
        """Scopes that satisfy the rule, for a challenge."""
        if not (self.scopes or self.any_scope):
            return ()
        return (*sorted(self.scopes), *list(self.any_scope)[:1])

    def authorize(
        self,
        claims: Mapping[str, Any],
        request: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raise unless the claims permit the request; ``clock``: seconds since 1970.

        ``request``: the WSGI environ, for ``check``. Raises :class:`InsufficientScopeError`,
        :class:`InsufficientAuthError`, or what ``check`` leads to.
        """
        if self.scopes or self.any_scope:
            granted = claims_.scopes(claims)
            if not granted.issuperset(self.scopes):
                raise InsufficientScopeError("not all of scopes")
            if self.any_scope and granted.isdisjoint(self.any_scope):
                raise InsufficientScopeError("none of any_scope")
        for name, values in self.claims.items():
            if not claims_.has_one_of(claims_.find(claims, name), values):
                raise InsufficientScopeError(f"{name} has no accepted value")
        if self.acr_values or self.max_age is not None:
            self._step_up(claims, clock())
        if self.check is not None:
            permitted = ask(self.check, claims, request, blamed=InsufficientScopeError)
            if permitted is not True:
                raise InsufficientScopeError("the check of the rule did not return True")

    def _step_up(self, claims: Mapping[str, Any], now: float) -> None:
        """Check the login (RFC 9470 section 3). A missing claim refuses the request."""
        missing = ""
        if self.acr_values and claims.get("acr") not in tuple(self.acr_values):
            missing = "acr is none of acr_values"
        if self.max_age is not None:
            auth: Any = claims.get("auth_time")
            # A wrong type, or milliseconds, count as missing. A clock may be ahead.
            if type(auth) not in (int, float) or not now - self.max_age <= auth <= now + MAX_LEEWAY:
                missing = "auth_time is missing or too long ago"
        if missing:
            raise InsufficientAuthError(missing, acr_values=self.acr_values, max_age=self.max_age)


#: No rule matches: a token is needed.
REQUIRE_TOKEN: Final = Rule("/*")


class Rules:
    """An index over rules. Its speed depends on the segments of a path, not on the number of rules.

    The rules are as the settings make them: ``methods``, ``scopes`` and the like are sets and
    tuples.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        rules = [rule for rule in rules if not rule.headers]  # header_rules adds the others
        by_pattern: dict[str, list[int]] = {}
        for order, rule in enumerate(rules):
            by_pattern.setdefault(_pattern(rule), []).append(order)

        def matching(pattern: str) -> tuple[Rule, ...]:
            parts = pattern.removesuffix("/*").split("/")
            above = ("/".join([*parts[:count], "*"]) for count in range(1, len(parts) + 1))
            orders = {order for other in (pattern, *above) for order in by_pattern.get(other, ())}
            return tuple(rules[order] for order in sorted(orders))

        #: Path -> every rule that can match it, in their order.
        self._exact = {path: matching(path) for path in by_pattern if not path.endswith("/*")}
        #: Path of a subtree -> the same, for paths that are in no smaller subtree.
        self._below = {path[:-2]: matching(path) for path in by_pattern if path.endswith("/*")}
        #: The numbers of segments of those paths, the largest first: only these are looked for.
        self._depths = sorted({path.count("/") + 1 for path in self._below}, reverse=True)
        named = {_pattern(rule) for rule in rules if rule.token is Token.REQUIRED}
        #: The base of the path of each: ``/users`` for ``/users``, ``/users/`` and ``/users/*``.
        self._named = {path.removesuffix("*").removesuffix("/") for path in named}
        #: Paths that differ from a rule's in the slash at the end.
        self._twins = {_twin(path) for path in named if not path.endswith("/*")}
        #: Whether the method of a request matters at all.
        self.by_method = any(rule.methods is not None for rule in rules)
        #: The rule of a request for which any rule may be meant. Its challenge names no scope: a
        #: client must not ask for the scopes of all rules.
        self.every: Rule = _AllOf("/*", rules=tuple(_conditions(rules)))

    def find(self, method: str, path: str) -> Rule:
        """The first rule that matches, else :data:`REQUIRE_TOKEN`.

        Routers read some paths differently: ``//admin``, ``admin`` and ``post`` are ``/admin``
        and ``POST`` to Werkzeug. Any rule may be meant there, so the conditions of all count.
        Some routers ignore a slash at the end, or a suffix such as ``.json``: the conditions of
        the path without it then count as well.
        """
        if not (is_plain(path) and method.isupper()):
            return self.every
        rule = self._first(method, path)
        has_twin = "." in path or path in self._twins
        others = self._stricter(rule, method, path) if has_twin else ()
        return together([rule, *others]) if others else rule

    def _first(self, method: str, path: str) -> Rule:
        """The first rule that matches exactly this path, else that of the nearest subtree.

        Segments beyond those of the longest rule are not looked at, so a path of a hundred thousand
        segments takes no longer.
        """
        matching = self._exact.get(path)
        if matching is None and self._depths:
            segments = path.split("/", self._depths[0])
            for depth in self._depths:
                matching = self._below.get("/".join(segments[:depth]))
                if matching is not None:
                    break
        for rule in matching or ():
            if rule.methods is None or rule.takes(method):
                return rule
        return REQUIRE_TOKEN

    def _stricter(self, decided: Rule, method: str, path: str) -> list[Rule]:
        """The rules of the paths that a router may take ``path`` for, if they need a token.

        No rules if the deciding rule names exactly this path: it is meant for it. A rule for a
        subtree that contains ``path`` took part in the decision already.
        """
        readings = [_twin(path)] if path in self._twins else []
        stem, _, suffix = path.removesuffix("/").rpartition(".")
        base = stem.removesuffix("/")
        if suffix.isalnum() and base in self._named:
            readings += [base, f"{base}/"]
        if not readings or _pattern(decided) == path:
            return []
        found = [self._first(method, reading) for reading in readings]
        return [rule for rule in found if rule.token is Token.REQUIRED and not _covers(rule, path)]


@dataclass(frozen=True, slots=True)
class _AllOf(Rule):
    """The conditions of several rules together."""

    rules: tuple[Rule, ...] = ()

    @property
    def parts(self) -> tuple[Rule, ...]:
        return self.rules

    def authorize(self, *arguments: Any, **named: Any) -> None:
        for rule in self.rules:
            rule.authorize(*arguments, **named)


def together(rules: Iterable[Rule]) -> Rule:
    """Combine the rules that may be meant for one request: the strictest token, all conditions."""
    rules = {id(rule): rule for rule in rules}.values()
    token = next(token for token in Token if any(rule.token == token for rule in rules))
    # If a bad token is refused anyway, a rule that only reports adds nothing.
    counts = {token, Token.OPTIONAL} if token is Token.REQUIRED else {token}
    asking = [rule for rule in rules if rule.token in counts and rule is not REQUIRE_TOKEN]
    if not asking:
        return REQUIRE_TOKEN
    if len(asking) == 1 and asking[0].token == token:
        return asking[0]
    return _AllOf(
        path=" and ".join(rule.path for rule in asking),
        token=token,
        scopes=frozenset(name for rule in asking for name in rule.scope),
        rules=tuple(part for rule in asking for part in rule.parts),
    )


def _conditions(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Every condition of these rules, once, so that a thousand rules with one scope are as fast."""
    asking = [rule for rule in rules if rule.token is not Token.REPORT]  # that refuses nothing
    yield Rule("/*", scopes=frozenset().union(*(rule.scopes for rule in asking)))
    for any_scope in dict.fromkeys(tuple(rule.any_scope) for rule in asking if rule.any_scope):
        yield Rule("/*", any_scope=any_scope)
    expected: dict[tuple[str, str], list[Any]] = {}
    for name, values in (item for rule in asking for item in rule.claims.items()):
        alike = expected.setdefault((name, repr(values)), [])  # 1 and True are equal, not alike
        if values not in alike:
            alike.append(values)
            yield Rule("/*", claims={name: values})
    for acr_values, max_age in dict.fromkeys((tuple(r.acr_values), r.max_age) for r in asking):
        yield Rule("/*", acr_values=acr_values, max_age=max_age)
    for check in {id(rule.check): rule.check for rule in asking if rule.check}.values():
        yield Rule("/*", check=check)


def is_plain(path: str) -> bool:
    """Whether every router reads this path alike. Only such a path may do without a token.

    It begins with a slash, has nothing of :data:`_ODD`, and is UTF-8: Bottle leaves out bytes that
    are not, so ``/ad%ffmin`` is ``/admin`` there.
    """
    return path[:1] == "/" and not _ODD.search(path) and (path.isascii() or _is_utf8(path))


def _pattern(rule: Rule) -> str:
    """The rule's path as PATH_INFO has it: UTF-8 that was read as latin-1 (PEP 3333)."""
    return rule.path.encode().decode("latin-1")


def _covers(rule: Rule, path: str) -> bool:
    """Whether the rule is for a subtree that ``path`` is in."""
    pattern = _pattern(rule)
    return pattern.endswith("/*") and f"{path}/".startswith(pattern[:-1])


def _twin(path: str) -> str:
    """The path with a slash at its end, or without."""
    return path[:-1] if path.endswith("/") else f"{path}/"


def _is_utf8(path: str) -> bool:
    try:
        path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return False
    return True
