"""Reads the options about requests: paths, places of a token, headers.

Each function takes a raw value and returns the checked one, or raises ValueError.
"""

import re
from collections.abc import Mapping

from jwt_wsgi.bearer import environ_key
from jwt_wsgi.injection import UNIQUE
from jwt_wsgi.injection import WITH_ISSUER
from jwt_wsgi.injection import variable
from jwt_wsgi.scope_hierarchy import Included
from jwt_wsgi.scope_hierarchy import included

from .reading import check_members
from .values import FIELD_NAME
from .values import read_boolean
from .values import read_claim_name
from .values import read_if_json
from .values import read_mapping
from .values import read_scopes
from .values import read_text
from .values import read_texts


def read_paths(value: object) -> tuple[str, ...]:
    return tuple(read_path(path) for path in read_texts(value))


def read_path(value: object) -> str:
    path = read_text(value)
    if not path.startswith("/"):
        raise ValueError(f"{path}: a path starts with /")
    if "?" in path:
        raise ValueError(f"{path}: a path has no query")
    if "*" in path.removesuffix("/*"):
        raise ValueError(f"{path}: * is allowed only in /* at the end, for a whole subtree")
    return path


def read_realm(value: object) -> str:
    realm = read_text(value)
    if not re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", realm):
        raise ValueError('give printable ASCII without " and \\, because it is sent in a header')
    return realm


class Places(tuple[str, ...]):  # noqa: SLOT001  # a subclass of tuple cannot have slots
    """Where the token may stand. ``forward``: whether the app finds it there as well."""

    forward: bool = True


def read_token_from(value: object) -> Places:
    """Read one place or several, or a mapping of ``places`` and ``forward``."""
    value = read_if_json(value, dict)
    if not isinstance(value, Mapping):
        return Places(_read_places(value))
    check_members(value, ("places", "forward"))
    places = Places(_read_places(value.get("places", "header")))
    places.forward = read_boolean(value.get("forward", True))
    return places


def read_scope_includes(value: object) -> Included:
    """Read a mapping of a scope to those that it includes; returns all of them, for each."""
    hierarchy = read_mapping(value, lambda name: " ".join(read_scopes(name)))
    for name in hierarchy:
        if " " in name:
            raise ValueError(f"{name}: give one scope, and those that it includes behind it")
    return included({name: read_scopes(inner) for name, inner in hierarchy.items()})


def _read_places(value: object) -> tuple[str, ...]:
    places = read_texts(value)
    for spec in places:
        # A header's and a cookie's name are RFC 9110 tokens; Content-* is no HTTP_* in WSGI.
        named = rf"(header:(?!(?i:content-))|cookie:){FIELD_NAME}"
        if spec != "header" and not re.fullmatch(named, spec):
            raise ValueError(f"{spec}: give header, header:NAME or cookie:NAME")
    spelled = {spec if spec != "header" else "header:authorization" for spec in places}
    if len({s if s.startswith("cookie") else environ_key(s) for s in spelled}) < len(places):
        raise ValueError("a place is listed twice")
    return places


def _read_source(value: object) -> str:
    """The name of a claim, with an optional prefix."""
    for prefix in (WITH_ISSUER, UNIQUE):
        if isinstance(value, str) and value.startswith(prefix):
            return prefix + read_claim_name(value.removeprefix(prefix))
    return read_claim_name(value)


def read_claim_headers(value: object) -> dict[str, tuple[str, ...]]:
    headers = {
        claim: tuple(names) if isinstance(names, list | tuple) else (names,)
        for claim, names in read_mapping(value, _read_source).items()
    }
    every = [name for names in headers.values() for name in names]
    for name in every:
        allowed = rf"(?!(?i:content-|host$)){FIELD_NAME}"
        if not isinstance(name, str) or not re.fullmatch(allowed, name):
            raise ValueError("give claim=Header; a header is an HTTP token, no Host, no Content-*")
    if not all(headers.values()) or len({variable(name) for name in every}) < len(every):
        raise ValueError("give each claim its own header, or several; in WSGI - and _ are the same")
    return headers
