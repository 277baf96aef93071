"""What the log says of a request: its id, and what ``log_fields`` names.

The one place where the claims of a token go to the log, and only those that are named.
"""

import json
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any
from typing import Final

from .errors import printable

#: Characters that the log has of a claim or a path.
_MOST_CHARACTERS: Final = 256


def request_facts(environ: Mapping[str, Any], log_fields: Collection[str]) -> dict[str, str]:
    """What a line of a refusal says of the request: its id, its method, the path if it is named."""
    name = environ.get("HTTP_X_REQUEST_ID") or environ.get("HTTP_TRACEPARENT")
    facts = {"request_id": printable(name) if name else ""}
    facts["method"] = printable(environ["REQUEST_METHOD"], 16)
    return facts | _path(environ, log_fields)


def accepted_facts(
    environ: Mapping[str, Any], claims: Mapping[str, Any], log_fields: Collection[str]
) -> dict[str, str]:
    """What an :class:`Accepted` says beyond its issuer: the claims that are named, and the path."""
    facts = {name: _claim(claims, name) for name in log_fields if name != "path"}
    return facts | _path(environ, log_fields)


def _path(environ: Mapping[str, Any], log_fields: Collection[str]) -> dict[str, str]:
    if "path" not in log_fields:
        return {}
    return {"path": printable(environ.get("PATH_INFO") or "/", _MOST_CHARACTERS)}


def _claim(claims: Mapping[str, Any], name: str) -> str:
    """Its value in quotes, JSON where it is no text; ``none``, without quotes, if it is missing."""
    value = claims.get(name)
    if value is None:
        return "none"
    return printable(value if isinstance(value, str) else json.dumps(value), _MOST_CHARACTERS)
