"""Rules as they are configured: read from objects or JSON, written as JSON, and checked."""

import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final

from jwt_wsgi.bearer import environ_key
from jwt_wsgi.errors import name_of
from jwt_wsgi.errors import printable
from jwt_wsgi.header_rules import PLAIN
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.rules import is_plain

from .reading import SeveralProblemsError
from .reading import did_you_mean
from .request_values import read_path
from .values import FIELD_NAME
from .values import read_age
from .values import read_expected
from .values import read_function
from .values import read_json
from .values import read_mapping
from .values import read_scopes
from .values import read_texts


def read_methods(value: object) -> frozenset[str]:
    return frozenset(method.upper() for method in read_texts(value))


def read_token(value: object) -> Token:
    if not isinstance(value, str) or value not in list(Token):
        raise ValueError(f"give one of: {', '.join(Token)}")
    return Token(value)


def read_rule_headers(value: object) -> dict[str, tuple[str, ...]]:
    """Names of headers, each with a value or several, which may end in ``*``."""
    headers = {name: read_texts(inner) for name, inner in read_mapping(value).items()}
    for name in headers:
        if not re.fullmatch(rf"(?!(?i:content-)){FIELD_NAME}", name):
            raise ValueError(f"{name}: a header's name is an HTTP token, and not Content-*")
    if len({environ_key(name) for name in headers}) < len(headers):
        raise ValueError("a header is named twice; in WSGI - and _, and any case, are the same")
    for pattern in [pattern for patterns in headers.values() for pattern in patterns]:
        if not re.fullmatch(rf"{PLAIN}\*?", pattern):
            why = "a value has letters, digits and . _ / : @ + ~ -, and * at its end only"
            raise ValueError(f"{printable(pattern)}: {why}")
    return headers


#: How each member of a rule is read.
_RULE: Final[Mapping[str, Callable[[Any], object]]] = {
    "path": read_path,
    "methods": read_methods,
    "token": read_token,
    "scopes": lambda value: frozenset(read_scopes(value)),
    "any_scope": read_scopes,
    "claims": read_expected,
    "acr_values": read_scopes,
    "max_age": read_age,
    "check": read_function,
    "headers": read_rule_headers,
}


def read_rules(value: Any) -> tuple[Rule, ...]:
    """Rules, or objects with the same members. Raises with all problems of all rules."""
    if isinstance(value, str):
        value = read_json(value, list)
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise ValueError("give a list of rules, or a JSON array of objects")  # noqa: TRY004
    rules, problems = [], []
    for position, raw in enumerate(value):
        members, wrong = _rule(raw)
        problems += [(f"[{position}]{name}", problem) for name, problem in wrong]
        rules.append(Rule(**members))
    if not problems:
        problems = [(f"[{position}]", problem) for position, problem in rule_problems(rules)]
    if problems:
        raise SeveralProblemsError(problems)
    return tuple(rules)


def _rule(raw: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    if type(raw) is Rule:  # other members of a subclass would have no effect
        given = {name: getattr(raw, name) for name in _RULE}
        absent: dict[str, tuple[object, ...]] = dict.fromkeys(_RULE, (None, (), {}, frozenset()))
        absent["methods"] = (None,)  # an empty set of methods is an error, not every method
        raw = {name: member for name, member in given.items() if member not in absent[name]}
    if not isinstance(raw, Mapping) or "path" not in raw:
        return {"path": "/"}, [("", 'a rule is a Rule, or an object with "path" and more')]
    members: dict[str, Any] = {"path": "/"}
    wrong = []
    for name, value in raw.items():
        try:
            if name not in _RULE:
                raise ValueError(f"no such member{did_you_mean(str(name), _RULE)}")
            members[name] = _RULE[name](value)
        except ValueError as error:
            wrong.append((f".{name}", f"{printable(value, 80)}: {error}"))
    return members, wrong


def rule_as_json(rule: Rule) -> dict[str, Any]:
    """A rule in the JSON form of ``rules``. A function is shown by its name."""
    members = {name: getattr(rule, name) for name in _RULE if getattr(rule, name)}
    if rule.check is not None:
        members["check"] = name_of(rule.check)
    if rule.token is Token.REQUIRED:
        del members["token"]
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in members.items()
    }


def rule_problems(rules: Sequence[Rule]) -> Iterator[tuple[int, str]]:
    """Rules that contradict themselves or can never match: position and sentence."""
    for position, rule in enumerate(rules):
        base = rule.path.removesuffix("/*") or "/"
        hider = _hidden_by(rule, rules[:position])
        if rule.headers:
            if rule.token is not Token.REQUIRED:
                why = "a rule with headers can only ask for more; leave token out"
                yield position, f"{rule.path}: {why}"
            continue
        if rule.token is Token.IGNORED and _has_conditions(rule):
            yield position, f"{rule.path}: tokens are ignored here, so it can have no conditions"
        if rule.token is not Token.REQUIRED and not is_plain(base):
            why = "//, a dot segment, @@, %XX, a backslash, NUL, a line feed and ; need a token"
            yield position, f"{rule.path}: it can never match; {why}"
        elif hider is not None:
            why = f"rule {hider} ({rules[hider].path}) decides first; put it above"
            yield position, f"{rule.path}: it can never match, because {why}"


def _hidden_by(rule: Rule, earlier: Sequence[Rule]) -> int | None:
    """The position of the earlier rule after which this one can match nothing, if any."""
    left = None if rule.methods is None else set(rule.methods)
    for position, other in enumerate(earlier):
        if other.headers or not _covers(other.path, rule.path):
            continue
        if other.methods is None:
            return position
        if left is not None:
            left -= {*other.methods, *_included(other.methods)}
            if not left:
                return position
    return None


def _included(methods: Collection[str]) -> tuple[str, ...]:
    return ("HEAD",) if "GET" in methods else ()


def _covers(pattern: str, path: str) -> bool:
    """Whether ``pattern`` matches every path that ``path`` matches. Both may be subtrees."""
    if not pattern.endswith("/*"):
        return pattern == path
    return f"{path.removesuffix('/*')}/".startswith(pattern[:-1])


def _has_conditions(rule: Rule) -> bool:
    named = rule.scopes or rule.any_scope or rule.claims or rule.acr_values
    return bool(named) or rule.max_age is not None or rule.check is not None
