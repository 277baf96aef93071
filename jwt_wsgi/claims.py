"""The claims of a token, and the checks that need no key (RFC 7519 section 4.1).

A check is a function ``(claims, now)`` that raises
:class:`~jwt_wsgi.errors.InvalidTokenError`. A check of the application may also return False.
"""

import json
import math
import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from functools import lru_cache
from functools import reduce
from types import MappingProxyType
from typing import Any
from typing import Final
from typing import TypeAlias
from unicodedata import normalize
from urllib.parse import unquote

from .errors import InvalidTokenError

Check: TypeAlias = Callable[[Mapping[str, Any], float], object]

#: Seconds that clocks may differ, unless the settings say otherwise.
LEEWAY: Final = 30.0
#: The most seconds that the settings may say.
MAX_LEEWAY: Final = 300.0
#: The last second of the year 9999. A date beyond it was written in milliseconds, or is not a date.
MAX_DATE: Final = 253_402_300_799
_MIN_DATE: Final = -MAX_DATE
_NUMBERS: Final = (int, float)  # by type: a bool is an int, too


class Claims(dict[str, Any]):
    """The verified claims: a dict that only this request holds. ``header`` is the JOSE header.

    ``includes``: scope -> all that it includes, where the settings say so.
    """

    __slots__ = ("header", "includes")

    header: dict[str, Any]
    includes: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, claims: Mapping[str, Any], header: Mapping[str, Any]) -> "Claims":
        """Copies of both, one level deep."""
        own = cls(claims)
        own.header = dict(header)
        return own


def claim_checks(
    *,
    leeway: float,
    max_age: float | None = None,
    audience: Collection[str] = (),
    required: Collection[str] = (),
    expected: Mapping[str, Collection[Any]] = MappingProxyType({}),
) -> tuple[Check, ...]:
    """Every check that needs no key, in the order of use. ``leeway``, ``max_age``: seconds."""
    checks: list[Check] = [check_times(leeway)]
    if max_age is not None:
        checks.append(check_age(max_age, leeway))
    if "*" not in audience:
        checks.append(check_audience(audience))
    checks.append(check_strings)
    if named := {**dict.fromkeys(required), **expected}:
        checks.append(check_named(named))
    return tuple(checks)


def numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate as it stands, seconds since 1970; None if absent (RFC 7519 section 2).

    Raises ``claim_invalid`` for anything but a number up to :data:`MAX_DATE`: for a bool, a
    string, a list, milliseconds. A negative number is a date before 1970.
    """
    value: Any = claims.get(name)
    if type(value) not in _NUMBERS:
        if name not in claims:
            return None
        raise InvalidTokenError("claim_invalid", f"{name} is not a number of seconds")
    if not _MIN_DATE <= value <= MAX_DATE:
        raise InvalidTokenError("claim_invalid", f"{name} is not a date; are these milliseconds?")
    return value  # type: ignore[no-any-return]


def check_times(leeway: float) -> Check:
    """Check ``exp``, which is required, and ``nbf``; ``leeway`` in seconds.

    ``iat`` must be a date where it is present (RFC 7519 section 4.1.6); any date passes.
    """

    def check(claims: Mapping[str, Any], now: float) -> None:
        expires, begins = numeric_date(claims, "exp"), numeric_date(claims, "nbf")
        if expires is None:
            raise InvalidTokenError("claim_missing", "exp is missing")
        if now - leeway >= expires:
            raise InvalidTokenError("token_expired", f"{now - expires:.0f} s ago")
        if begins is not None and now + leeway < begins:
            raise InvalidTokenError("token_not_yet_valid", f"for {begins - now:.0f} s more")
        numeric_date(claims, "iat")

    return check


def lifetime(
    claims: Mapping[str, Any], *, leeway: float, max_age: float | None
) -> tuple[float, float]:
    """From when until when the checks of times accept these claims, in seconds since 1970.

    The claims must have passed these checks once.
    """
    starts, ends = claims.get("nbf", -math.inf), claims["exp"]
    if max_age is not None:
        starts, ends = max(starts, claims["iat"]), min(ends, claims["iat"] + max_age)
    return starts - leeway, ends + leeway


def check_age(max_age: float, leeway: float) -> Check:
    """Check ``iat``, which is required: at most ``max_age`` seconds ago, not in the future."""

    def check(claims: Mapping[str, Any], now: float) -> None:
        issued = numeric_date(claims, "iat")
        if issued is None:
            raise InvalidTokenError("claim_missing", "iat is missing")
        if now - leeway > issued + max_age:
            raise InvalidTokenError("token_too_old", f"issued {now - issued:.0f} s ago")
        if now + leeway < issued:
            raise InvalidTokenError("token_not_yet_valid", f"issued in {issued - now:.0f} s")

    return check


def check_strings(claims: Mapping[str, Any], _now: float) -> None:
    """Check that ``sub`` and ``jti`` are strings, if present (RFC 7519 4.1.2 and 4.1.7)."""
    for name in ("sub", "jti"):
        if not isinstance(claims.get(name, ""), str):
            raise InvalidTokenError("claim_invalid", f"{name} is not a string")


def check_named(expected: Mapping[str, Collection[Any] | None]) -> Check:
    """Check that each named claim is equal to one of its values, or is a list that holds one.

    None: any value but null is accepted. Names are read as :func:`find` does.
    """

    def check(claims: Mapping[str, Any], _now: float) -> None:
        for name, values in expected.items():
            found = find(claims, name)
            if found is None:
                raise InvalidTokenError("claim_missing", f"{name} is missing")
            if values is not None and not has_one_of(found, values):
                raise InvalidTokenError("claim_invalid", f"{name} has no accepted value")

    return check


def check_audience(audience: Collection[str]) -> Check:
    """Check that ``aud`` names one of ``audience`` (RFC 7519 section 4.1.3).

    Without a configured audience, a token that has ``aud`` was issued for another API and is
    refused.
    """
    exact = frozenset(value for value in audience if not value.endswith("/*"))
    below = tuple(value.removesuffix("/*") for value in audience if value.endswith("/*"))

    def check(claims: Mapping[str, Any], _now: float) -> None:
        values = claims.get("aud", [])
        if isinstance(values, str):
            if values in exact:
                return
            values = [values]
        elif not audience and "aud" not in claims:
            return
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InvalidTokenError("audience_mismatch", "aud is not a string or a list of strings")
        if exact.isdisjoint(values) and not any(_is_below(value, below) for value in values):
            remedy = "" if audience else "; set audience to the value this API is known by"
            raise InvalidTokenError("audience_mismatch", f"aud names no accepted audience{remedy}")

    return check


def find(claims: Mapping[str, Any], name: str) -> object:
    """The value of a claim; None if there is none. No name leads into a list.

    ``name``: a name; or a dotted path, in which any dot may belong to a name; or the text of a JSON
    array of names from the top down, which is exact. Raises ``claim_invalid`` if a dotted path
    leads to two values: an attacker who can choose a name in the token could hide one of them.
    """
    if name.startswith("["):
        return reduce(_member, _parts(name), claims)
    found = list(_readings(claims, name)) if "." in name else [claims.get(name)]
    if len(found) > 1:
        raise InvalidTokenError("claim_invalid", f"{name} can be read in two ways")
    return found[0] if found else None


_parts: Final = lru_cache(1024)(json.loads)  # the settings have few of these names


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _readings(value: Any, name: str) -> Iterator[object]:
    """Every value that a dotted path leads to.

    The work is bounded: each object is asked once for each dot, and the settings limit the dots.
    """
    for first, rest in _splits(name) if isinstance(value, Mapping) else ():
        if first in value:
            yield from [value[first]] if rest is None else _readings(value[first], rest)


@lru_cache(1024)
def _splits(name: str) -> list[tuple[str, str | None]]:
    """The name as a whole, and cut at each of its dots."""
    return [(name, None), *((name[: n.start()], name[n.end() :]) for n in re.finditer(r"\.", name))]


def has_one_of(found: object, values: Collection[object]) -> bool:
    """Whether ``found`` is equal to one of ``values`` or a list that holds one."""
    members = found if isinstance(found, list) else [found]
    return any(_equal(member, value) for member in members for value in values)


def scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes of the token: ``scope`` (RFC 8693 section 4.2), else ``scp``; string or list.

    A value of any other type grants nothing. Scopes that these include are in the result as well.
    """
    value = claims.get("scope", claims.get("scp"))
    names = value.split(" ") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return frozenset()
    includes: Mapping[str, tuple[str, ...]] = getattr(claims, "includes", {})
    return frozenset(names).union(*(includes.get(name, ()) for name in names)) - {""}


def _equal(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)  # 1 == True


def _is_below(value: str, bases: Collection[str]) -> bool:
    return any(
        value == base or (value.startswith(base + "/") and _is_plain(value)) for base in bases
    )


def _is_plain(url: str) -> bool:
    """Whether the URL stays below its base: no dot segments, however encoded, no controls.

    Java servers take ``;x`` out of a segment; others decode twice, or read a wide dot as a dot.
    """
    path = normalize("NFKC", unquote(re.split("[?#]", url)[0])).replace("\\", "/")
    return path.isprintable() and "%" not in path and {".", ".."}.isdisjoint(re.split("[/;]", path))
