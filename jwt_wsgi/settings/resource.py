"""Reads the option ``resource``: a URL, or a mapping with more members of its metadata."""

import re
from collections.abc import Callable
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from typing import Final
from typing import NamedTuple

from jwt_wsgi.metadata import SCOPES
from jwt_wsgi.metadata import WRITTEN
from jwt_wsgi.urls import check_url

from .reading import did_you_mean
from .values import read_boolean
from .values import read_identifier
from .values import read_if_json
from .values import read_scopes
from .values import read_text
from .values import read_texts


class Resource(NamedTuple):
    """``url``: the identifier. ``members``: those of its metadata beside what we write."""

    url: str
    members: Mapping[str, Any] = MappingProxyType({})

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes to publish beside those that rules need."""
        found: tuple[str, ...] = self.members.get(SCOPES, ())
        return found


def _read_page(value: object) -> str:
    url = read_identifier(value)
    if problem := check_url(url, allow_http=False):
        raise ValueError(problem)
    return url


#: The members that people read, each also in other languages: ``resource_name#de``.
_FOR_PEOPLE: Final[Mapping[str, Callable[[Any], object]]] = {
    "resource_name": read_text,
    "resource_documentation": _read_page,
    "resource_policy_uri": _read_page,
    "resource_tos_uri": _read_page,
}
#: How each member is read (RFC 9728 section 2).
_MEMBERS: Final[Mapping[str, Callable[[Any], object]]] = {
    **_FOR_PEOPLE,
    SCOPES: read_scopes,
    "authorization_details_types_supported": read_texts,
    "dpop_bound_access_tokens_required": read_boolean,
    "dpop_signing_alg_values_supported": read_texts,
    "tls_client_certificate_bound_access_tokens": read_boolean,
}
_LANGUAGE: Final = "[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*"  # RFC 5646 section 2.1, its usual forms


def read_resource(value: object) -> Resource:
    """Read a URL, or a mapping (as text JSON) of ``resource`` and other members."""
    value = read_if_json(value, dict)
    if not isinstance(value, Mapping):
        return Resource(read_identifier(value))
    if "resource" not in value:
        raise ValueError('give the URL of the API as the member "resource"')
    members: dict[str, Any] = {}
    for name, inner in value.items():
        if name != "resource":
            try:
                members[name] = _reader(name)(inner)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
    return Resource(read_identifier(value["resource"]), MappingProxyType(members))


def _reader(name: object) -> Callable[[Any], object]:
    base, hash_, language = str(name).partition("#")
    known = _FOR_PEOPLE if hash_ else _MEMBERS
    if base in WRITTEN:
        raise ValueError("it follows from the other settings; leave it out")
    if base not in known or (hash_ and not re.fullmatch(_LANGUAGE, language)):
        hint = did_you_mean(base, known)
        raise ValueError(f"the members are resource, {', '.join(_MEMBERS)}{hint}")
    return known[base]
