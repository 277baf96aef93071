"""Reads the option ``jwks_headers``: header values, and files that hold a value."""

import re
from collections.abc import Mapping
from typing import Any
from typing import Final

from jwt_wsgi.key_sources.headers import HeaderFile

from .reading import check_members
from .values import FIELD_NAME
from .values import read_existing_file
from .values import read_mapping

#: Headers that a fetch sets itself. All others, also User-Agent and Accept, may be given.
_OF_FETCHES: Final = frozenset({
    "accept-encoding", "content-length", "if-match", "if-modified-since", "if-none-match", "range",
    "te", "transfer-encoding",
})  # fmt: skip


def read_headers(value: object) -> dict[str, str | HeaderFile]:
    headers = read_mapping(value)
    for name in headers:
        if not re.fullmatch(FIELD_NAME, name):
            raise ValueError("a header's name is an HTTP token")
        if name.lower() in _OF_FETCHES:
            raise ValueError(f"{name}: a fetch sets this header itself; leave it out")
    return {
        name: _file(given) if isinstance(given, Mapping) else _text(given)
        for name, given in headers.items()
    }


def _text(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\x20-\x7e]*", value):
        raise ValueError("a header's value is printable ASCII, or an object with file and prefix")
    return value


def _file(members: Mapping[Any, Any]) -> HeaderFile:
    check_members(members, HeaderFile._fields)
    if "file" not in members:
        raise ValueError('give {"file": PATH}, and "prefix" beside it if there is one')
    return HeaderFile(read_existing_file(members["file"]), _text(members.get("prefix", "")))
