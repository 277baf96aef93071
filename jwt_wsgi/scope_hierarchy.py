"""Scopes that include others: a token with ``admin`` may have ``read`` without naming it."""

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias

from .claims import Claims

#: A scope -> every scope that it includes, directly or through another one.
Included: TypeAlias = Mapping[str, tuple[str, ...]]


def included(hierarchy: Mapping[str, Collection[str]]) -> Included:
    """Everything that each scope includes. Raises ValueError if a scope includes itself."""
    found: dict[str, tuple[str, ...]] = {}
    for top in hierarchy:
        reached, waiting = set[str](), [top]
        while waiting:
            new = set(hierarchy.get(waiting.pop(), ())) - reached
            reached |= new
            waiting += new
        if top in reached:
            raise ValueError(f"{top} includes itself, directly or through another scope")
        found[top] = tuple(sorted(reached))
    return found


def granting(claims: Any, includes: Included | None) -> Any:
    """Return the claims with ``includes``, so that :func:`~.claims.scopes` adds included scopes.

    The signed claims are not changed. A mapping that the application's own verifier has returned
    is copied first.
    """
    if not includes or not isinstance(claims, Mapping):
        return claims
    own = claims if type(claims) is Claims else Claims(claims)
    own.includes = includes
    return own
