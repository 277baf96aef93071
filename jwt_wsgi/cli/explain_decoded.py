"""The content of a token, for people: its header and its claims, times as dates."""

import json
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Final

from jwt_wsgi import jose
from jwt_wsgi.errors import escaped

from .times import moment

_TIMES: Final = frozenset({"exp", "nbf", "iat", "auth_time", "updated_at"})
_MOST_MEMBERS: Final = 60
_MOST_CHARACTERS: Final = 300  # of one value


def decoded(
    token: jose.UnverifiedToken, now: float, *, verified: bool, claims: bool
) -> Iterator[tuple[str, str]]:
    """Yield the lines: a name, or a heading with an empty text. ``now``: seconds since 1970."""
    note = "verified" if verified else "not verified"
    yield f"header ({note})", ""
    yield from _members(token.header, now)
    if claims:
        yield f"claims ({note})", ""
        yield from _members(token.claims, now)


def _members(members: Mapping[str, Any], now: float) -> Iterator[tuple[str, str]]:
    for name, value in list(members.items())[:_MOST_MEMBERS]:
        text = escaped(json.dumps(value), _MOST_CHARACTERS)
        when = moment("", value, now).removeprefix(" is ") if name in _TIMES else ""
        yield escaped(json.dumps(name)[1:-1], 80), f"{text}, {when}" if when else text
    if len(members) > _MOST_MEMBERS:
        yield "...", f"{len(members) - _MOST_MEMBERS} more"
