"""Rules with headers: conditions that are added because of headers, which clients write.

A rule with ``headers`` never decides about a request by itself. It adds its conditions to those of
the rule that does, so that no header makes a request need less. It is left out only if a header has
a value that can be read in one way, and that is none of the rule's values.
"""

import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from typing import Final
from typing import TypeAlias

from .bearer import environ_key
from .rules import REQUIRE_TOKEN
from .rules import Rule
from .rules import Rules
from .rules import together

#: A value that every program reads alike: not empty, without a comma (a server may have joined two
#: headers), and without ``%`` or ``=?`` (it may be encoded).
PLAIN: Final = "[A-Za-z0-9._/:@+~-]{1,256}"
_PLAIN: Final = re.compile(PLAIN)
#: The rule of a request, given an index of rules.
Find: TypeAlias = Callable[[Rules, Any], Rule]


def rule_finder(rules: Sequence[Rule], find: Find) -> Callable[[Any], Rule]:
    """Return a function that finds the rule of a WSGI environ, with what its headers add.

    ``find`` does the same without headers: see :func:`~.middleware.find_rule`.
    """
    by_path = Rules(rules)
    adding = [(rule, Rules([replace(rule, headers={})])) for rule in rules if rule.headers]
    if not adding:
        return partial(find, by_path)

    def found(environ: Mapping[str, Any]) -> Rule:
        decided = find(by_path, environ)
        more = [
            rule
            for rule, index in adding
            if _may_be_meant(rule, environ) and find(index, environ) is not REQUIRE_TOKEN
        ]
        return together([decided, *more]) if more else decided

    return found


def _may_be_meant(rule: Rule, environ: Mapping[str, Any]) -> bool:
    """Whether the rule may be for this request: no header excludes it with certainty."""
    return not any(
        matches_none(environ.get(environ_key(name), ""), patterns)
        for name, patterns in rule.headers.items()
    )


def matches_none(value: str, patterns: Collection[str]) -> bool:
    """Whether a header has one plain value, and it matches none of ``patterns``.

    A pattern is a value, or the beginning of one and ``*``. Upper and lower case are the same,
    because an app may ignore the case.
    """
    if not _PLAIN.fullmatch(value):
        return False
    found = value.lower()
    return not any(
        found.startswith(pattern[:-1].lower()) if pattern[-1] == "*" else found == pattern.lower()
        for pattern in patterns
    )
