"""Declares options in a table, and reads raw values with it."""

import difflib
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import field
from dataclasses import fields
from pathlib import Path
from typing import Any
from typing import NamedTuple

from jwt_wsgi.errors import printable
from jwt_wsgi.portable import Portable


class Option(NamedTuple):
    """One option: how a raw value is read, and its text in the documentation.

    ``parse`` returns the checked value, or raises ValueError with the expected form.
    """

    parse: Callable[[Any], object]
    meaning: str
    default: str
    #: False: the value is a Python object, so it can be given as a keyword only.
    text: bool = True
    #: True: its value is in no message and in no ``repr``.
    secret: bool = False


def option(
    parse: Callable[[Any], object],
    meaning: str,
    default: Any = None,
    *,
    shown: str = "",
    text: bool = True,
    secret: bool = False,
) -> Any:
    """Declare a field of a dataclass as an option. ``shown``: the default, in the documentation."""
    if not shown:
        shown = "-" if default in (None, (), {}) else written(default)
    row = Option(parse, meaning, shown, text, secret)
    return field(default=default, repr=not secret, metadata={"option": row})


def written(default: object) -> str:
    """A value as the documentation shows it. A float is a duration in seconds."""
    if isinstance(default, float):
        units = (("h", 3600), ("m", 60), ("s", 1))
        return next(f"{default / size:g}{unit}" for unit, size in units if not default % size)
    return str(default).lower()


def options_of(table: Any) -> dict[str, Option]:
    """Return the options of a dataclass: name -> option."""
    return {row.name: row.metadata["option"] for row in fields(table) if "option" in row.metadata}


class Reading(NamedTuple):
    """The result of reading options: values by name, and problems by name.

    A contradiction with an option that could not be read is not reported, because the unread value
    may be its only cause.
    """

    values: dict[str, Any]
    problems: dict[str, list[str]]

    def over(self, other: "Reading") -> "Reading":
        """Combine two readings. If both have an option, that of this one is used."""
        hidden = self.values.keys() | self.problems.keys()
        seen = [{k: v for k, v in part.items() if k not in hidden} for part in other]
        return Reading(seen[0] | self.values, seen[1] | self.problems)

    @property
    def sentences(self) -> list[str]:
        """All problems."""
        return [sentence for found in self.problems.values() for sentence in found]


class SeveralProblemsError(Portable, ValueError):
    """A value with several problems: each is a position inside the value, and a sentence."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{place}: {problem}" for place, problem in self.problems))


def read(options: Mapping[str, Option], given: Mapping[str, tuple[str, object]]) -> Reading:
    """Read what is given: name -> (place, raw value); every name is one of ``options``."""
    reading = Reading({}, {})
    for name, (place, raw) in given.items():
        try:
            _check_utf8(raw)
            reading.values[name] = options[name].parse(raw)
        except SeveralProblemsError as error:
            found = [f"{place}{inside}: {problem}" for inside, problem in error.problems]
            reading.problems[name] = found
        except ValueError as error:
            reading.problems[name] = [f"{place}: {_shown(options[name], raw)}: {error}"]
    return reading


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" if a known name is similar to ``name``, else an empty text.

    ``ISSUER`` and ``JWT_WSGI_ISSUER`` count as spellings of ``issuer``.
    """
    folded = {one.casefold(): one for one in known}
    written_ = name.casefold()
    for text in (written_, written_.removeprefix("jwt_wsgi_")):
        if near := difflib.get_close_matches(text, folded, n=1, cutoff=0.85):
            return f"; did you mean {folded[near[0]]}?"
    return ""


def check_members(members: Iterable[Any], known: Collection[str]) -> None:
    """Check the names of the members of a mapping. Raises ValueError for one that is not known."""
    for name in members:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise ValueError(f"its members are {', '.join(known)}{hint}")


def _check_utf8(value: object) -> None:
    """Bytes of the environment that are not UTF-8 are lone surrogates in Python (PEP 383)."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("it is not UTF-8") from error


def _shown(row: Option, raw: Any) -> str:
    if isinstance(raw, Path):
        return printable(str(raw), 200)
    if row.secret:
        return "(a secret)"
    if isinstance(raw, str) and raw.lstrip().startswith(("[", "{")):
        return "(JSON)"  # it may hold a secret somewhere, and so may objects
    members = raw if isinstance(raw, list | tuple) else [raw]
    return "(objects)" if any(isinstance(m, Mapping) for m in members) else printable(raw, 80)
