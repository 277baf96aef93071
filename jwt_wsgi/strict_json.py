"""JSON that every reader reads alike (RFC 8259), for tokens, JWKS, metadata and settings.

Refused are duplicate members, NaN, numbers and nesting beyond a bound, and lone surrogates. The
bounds are checked before the work that they bound, because anyone can write such documents.
"""

import json
import math
from typing import Any
from typing import Final

#: Levels of nested objects and arrays. The parser calls itself for each level: in a thread with
#: a small stack, some thousand levels end the process.
MAX_DEPTH: Final = 32
#: Digits of an integer, for which ``int`` takes quadratic time. It is the limit that Python has,
#: too, unless the app has switched it off.
MAX_DIGITS: Final = 4300
_BOM: Final = b"\xef\xbb\xbf"


class MalformedError(ValueError):
    """The input breaks a rule; the message names the rule and repeats nothing of the input."""


_TO_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def check_depth(data: bytes) -> None:
    """Refuse what is nested deeper than :data:`MAX_DEPTH`, in linear time, without recursion.

    Raises :class:`MalformedError`. Any parser of JSON may then read ``data`` in any thread.
    """
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:  # so few brackets cannot be deeper
        return
    # Without escapes, every second part between quotes is outside of strings. Of the brackets
    # there, each round removes the innermost pairs, which is one level.
    outside = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    brackets = b"".join(outside).translate(_TO_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise MalformedError(f"JSON is nested deeper than {MAX_DEPTH}, or a bracket is missing")


def json_value(data: bytes) -> Any:
    """Parse one strict JSON value in UTF-8. Raises :class:`ValueError` for anything else.

    White space around it is fine (RFC 8259 section 2), because editors end a document with a
    newline. So is one byte order mark in front of everything (section 8.1).
    """
    return _parsed(data.removeprefix(_BOM))


def json_object(data: bytes) -> dict[str, Any]:
    """As :func:`json_value`, and it must be an object."""
    return compact_object(data.removeprefix(_BOM))


def compact_object(data: bytes) -> dict[str, Any]:
    """As :func:`json_object`, without a byte order mark: for tokens (RFC 7515 section 3)."""
    value = _parsed(data)
    if not isinstance(value, dict):
        raise MalformedError("not one JSON object")
    return value


def _parsed(data: bytes) -> Any:
    check_depth(data)
    text = data.strip(b" \t\n\r").decode("utf-8")
    decoder = _decoder if len(text) <= MAX_DIGITS else _counting_decoder
    value, end = decoder.raw_decode(text)
    if end != len(text):
        raise MalformedError("not one JSON value")
    if "\\" in text and ("\\ud" in text or "\\uD" in text):
        # A lone surrogate raises here, and not later in the app that prints it.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two members counts (RFC 8259 section 4)."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("duplicate members in JSON")
    return members


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise MalformedError("a number in JSON is too large")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise MalformedError("a number in JSON is too large")
    return number


def _no_constant(name: str) -> float:
    raise MalformedError(f"{name} is not JSON")


_RULES: Final[dict[str, Any]] = {
    "object_pairs_hook": _without_duplicates,
    "parse_float": _finite,
    "parse_constant": _no_constant,
}
_decoder: Final = json.JSONDecoder(**_RULES)
#: Looks at every integer. In a text that is shorter than the bound, no integer can be too long.
_counting_decoder: Final = json.JSONDecoder(**_RULES, parse_int=_integer)
