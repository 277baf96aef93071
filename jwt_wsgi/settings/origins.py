"""Reads the options about web pages: whose scripts may read answers, and which may ask at all."""

import re
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import NamedTuple

from jwt_wsgi.origin_check import AllowedOrigins

from .mistakes import check_filled_in
from .mistakes import check_origin
from .reading import check_members
from .request_values import read_paths
from .values import read_boolean
from .values import read_if_json
from .values import read_texts

_HOST: Final = re.compile(r"(?:[a-z0-9_.-]*[a-z0-9]|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?")


class CORS(NamedTuple):
    """Whose scripts may read our own answers, and whether preflights need no token."""

    origins: tuple[str, ...] = ()
    skip_preflight: bool = False


def read_cors(value: object) -> CORS:
    """Read a list of origins (or ``*``), or a mapping of ``origins`` and ``skip_preflight``."""
    value = read_if_json(value, dict)
    if not isinstance(value, Mapping):
        return CORS(_read_origins(value))
    check_members(value, CORS._fields)
    if not value:
        raise ValueError(f"give at least one of {', '.join(CORS._fields)}")
    origins = value.get("origins")
    return CORS(
        () if origins is None else _read_origins(origins),
        read_boolean(value.get("skip_preflight", False)),
    )


def read_allowed_origins(value: object) -> AllowedOrigins:
    """Read a list of origins, or a mapping of ``origins``, ``hosts`` and ``paths``."""
    value = read_if_json(value, dict)
    if not isinstance(value, Mapping):
        return AllowedOrigins(_read_own_origins(value))
    check_members(value, AllowedOrigins._fields)
    if "origins" not in value:
        raise ValueError('give "origins" as well; [] refuses every request that has an Origin')
    given: dict[str, Any] = {name: inner for name, inner in value.items() if inner is not None}
    return AllowedOrigins(
        () if given.get("origins") in ([], ()) else _read_own_origins(given.get("origins")),
        _read_hosts(given["hosts"]) if "hosts" in given else (),
        read_paths(given["paths"]) if "paths" in given else (),
    )


def _read_origins(value: object) -> tuple[str, ...]:
    origins = read_texts(value)
    for origin in origins:
        if origin != "*":
            check_origin(origin)
    return origins


def _read_own_origins(value: object) -> tuple[str, ...]:
    if "*" in (origins := _read_origins(value)):
        raise ValueError("*: it would allow what the option refuses; leave the option out")
    return origins


def _read_hosts(value: object) -> tuple[str, ...]:
    hosts = read_texts(value)
    for host in hosts:
        check_filled_in(host)
        if not _HOST.fullmatch(host):
            why = "give host or host:port in lower case, without a scheme; IPv6 in brackets"
            raise ValueError(f"{host}: {why}")
        try:
            check_origin(f"http://{host}")
            check_origin(f"https://{host}")
        except ValueError as error:
            why = "give it as browsers write it, without a default port"
            raise ValueError(f"{host}: {why}") from error
    return hosts
