"""Rules with headers: what requests need in addition, by values that a client wrote.

A rule with ``headers`` never decides about a request by itself. It adds its conditions to those of
the rule that does, so that no header makes a request need less. A header takes such a rule away
only if its value can be read in one way and is none of the rule's.
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

#: A value that every program reads alike. Two headers that a server has joined have a comma, and
#: what is encoded has ``%`` or ``=?``; an empty value says nothing.
PLAIN: Final = "[A-Za-z0-9._/:@+~-]{1,256}"
_PLAIN: Final = re.compile(PLAIN)
#: The rule of a request, given an index of rules.
Find: TypeAlias = Callable[[Rules, Any], Rule]


def rule_finder(rules: Sequence[Rule], find: Find) -> Callable[[Any], Rule]:
    """Return a function that finds the rule of a WSGI environ, with what its headers add.

    ``find`` finds the rule of a request by every method and path that the app may take it for.
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
    """Whether no header says for sure that the request is not one of this rule's."""
    return not any(
        is_another(environ.get(environ_key(name), ""), patterns)
        for name, patterns in rule.headers.items()
    )


def is_another(value: str, patterns: Collection[str]) -> bool:
    """Whether a header has one plain value, and it is none of ``patterns``.

    A pattern is a value, or the beginning of one and ``*``. Upper and lower case are the same: an
    app may compare without regard to it.
    """
    if not _PLAIN.fullmatch(value):
        return False
    found = value.lower()
    return not any(
        found.startswith(pattern[:-1].lower()) if pattern[-1] == "*" else found == pattern.lower()
        for pattern in patterns
    )
