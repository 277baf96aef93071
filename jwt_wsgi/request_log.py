"""The log fields of a request: its id, and the fields that ``log_fields`` names.

Only here do claims of a token reach the log, and only those that ``log_fields`` names.
"""

import json
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any
from typing import Final

from .errors import printable

#: The most characters of a claim or a path in the log.
_MOST_CHARACTERS: Final = 256


def request_facts(environ: Mapping[str, Any], log_fields: Collection[str]) -> dict[str, str]:
    """The fields of a refused request: its id, its method, and the path if it is named."""
    name = environ.get("HTTP_X_REQUEST_ID") or environ.get("HTTP_TRACEPARENT")
    facts = {"request_id": printable(name) if name else ""}
    facts["method"] = printable(environ["REQUEST_METHOD"], 16)
    return facts | _path(environ, log_fields)


def accepted_facts(
    environ: Mapping[str, Any], claims: Mapping[str, Any], log_fields: Collection[str]
) -> dict[str, str]:
    """The fields of an :class:`Accepted` besides the issuer: the named claims, and the path."""
    facts = {name: _claim(claims, name) for name in log_fields if name != "path"}
    return facts | _path(environ, log_fields)


def _path(environ: Mapping[str, Any], log_fields: Collection[str]) -> dict[str, str]:
    if "path" not in log_fields:
        return {}
    return {"path": printable(environ.get("PATH_INFO") or "/", _MOST_CHARACTERS)}


def _claim(claims: Mapping[str, Any], name: str) -> str:
    """The value in quotes, as JSON unless it is text. ``none`` without quotes if it is missing."""
    value = claims.get(name)
    if value is None:
        return "none"
    return printable(value if isinstance(value, str) else json.dumps(value), _MOST_CHARACTERS)
