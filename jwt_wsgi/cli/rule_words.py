"""What a rule needs, in words, and as conditions that can be compared."""

import json
from collections.abc import Hashable
from typing import Final

from jwt_wsgi.errors import name_of
from jwt_wsgi.rules import REQUIRE_TOKEN
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token

TOKENS: Final = {
    Token.REQUIRED: "a token is required",
    Token.OPTIONAL: "a token is optional",
    Token.REPORT: "a token is checked, and every request passes",
    Token.IGNORED: "no token is looked at",
}


def needs(rule: Rule) -> str:
    """A rule as a sentence."""
    return ", with ".join([TOKENS[Token(rule.token)], *conditions(rule)])


def conditions(rule: Rule) -> list[str]:
    """The conditions for a valid token."""
    found = []
    for part in rule.parts:
        if part.scopes:
            plural = "s" if len(part.scopes) > 1 else ""
            found.append(f"scope{plural} {' '.join(sorted(part.scopes))}")
        if part.any_scope:
            found.append(f"one of the scopes {' '.join(sorted(part.any_scope))}")
        for name, values in part.claims.items():
            written = (json.dumps(value, default=repr) for value in values)
            found.append(f"{name} {' or '.join(written)}")
        if part.acr_values:
            found.append(f"acr {' or '.join(part.acr_values)}")
        if part.max_age is not None:
            found.append(f"a login of {part.max_age:g} s at most")
        if part.check is not None:
            found.append(f"the permission of {name_of(part.check)}")
    return list(dict.fromkeys(found))


def atoms(rule: Rule) -> frozenset[Hashable]:
    """The conditions of a rule as a set of values: a stricter rule has a superset.

    The token adds one value for each step of strictness.
    """
    strictness = list(Token)[::-1].index(Token(rule.token))
    found: set[Hashable] = set(range(1, strictness + 1))
    for part in rule.parts:
        found |= {("scope", scope) for scope in part.scopes}
        found |= {("claim", name, repr(values)) for name, values in part.claims.items()}
        for name in ("any_scope", "acr_values"):
            if wanted := getattr(part, name):
                found.add((name, tuple(sorted(wanted))))
        if part.max_age is not None:
            found.add(("max_age", part.max_age))
        if part.check is not None:
            found.add(("check", part.check))
    return frozenset(found)


def place(rule: Rule) -> str:
    """The name of a rule: its path, or the paths of all rules that are combined."""
    return "no rule" if rule is REQUIRE_TOKEN else f"rule {rule.path}"
