"""Which web pages may send requests, and to which host: the headers ``Origin`` and ``Host``.

A page of any website can send requests to a server that its browser reaches. With DNS rebinding it
can also read the answers: the page's own name then leads to that server. Checks of ``Origin`` and
``Host`` prevent both. The decision depends on path, ``Origin`` and ``Host`` only.
"""

import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import TypeAlias

from .errors import OriginNotAllowedError
from .errors import printable
from .rules import REQUIRE_TOKEN
from .rules import Rule
from .rules import Rules

#: The refusal of a request; None if it may go on.
OriginCheck: TypeAlias = Callable[[Mapping[str, Any]], OriginNotAllowedError | None]
_DEFAULT_PORT: Final = re.compile(r":(?:80|443)\Z")


class AllowedOrigins(NamedTuple):
    """What is allowed. ``origins``: as browsers write them (RFC 6454 section 6.2).

    ``hosts``: in lower case, without a default port; empty: ``Host`` is not checked. ``paths``: the
    paths to check, exact or subtrees, as in rules; empty: every path.
    """

    origins: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


def problem(allowed: AllowedOrigins, origin: str | None, host: str | None) -> str | None:
    """Say what is not allowed, for the log; None if nothing is.

    ``origin`` and ``host``: the headers as the server passes them on; None: not sent. A request
    without ``Origin`` passes: no browser sent it, or a browser that need not send ``Origin``. A
    value must be equal to a listed origin byte for byte. So ``null``, an empty value, another case
    and two values that the server has joined are refused: no browser sends such a value for a
    listed origin. The case of ``Host`` and a default port have no meaning (RFC 9110 section 4.2.3).
    """
    if origin is not None and origin not in allowed.origins:
        return f"Origin {printable(origin)} is not listed"
    if allowed.hosts and _DEFAULT_PORT.sub("", (host or "").lower()) not in allowed.hosts:
        return f"Host {printable(host or '')} is not listed"
    return None


def origin_check(allowed: AllowedOrigins | None) -> OriginCheck | None:
    """The check of a middleware; None if everything is allowed.

    A path that a router may read as one of ``paths`` is checked as well. ``X-Forwarded-Host`` and
    similar headers are ignored, because any client can send them.
    """
    if allowed is None:
        return None
    named = Rules([Rule(path) for path in allowed.paths])

    def check(environ: Mapping[str, Any]) -> OriginNotAllowedError | None:
        path = environ.get("PATH_INFO") or "/"
        is_elsewhere = allowed.paths and named.find("GET", path) is REQUIRE_TOKEN
        if is_elsewhere and "HTTP_X_VHM_ROOT" not in environ:  # Pyramid puts it before the path
            return None
        found = problem(allowed, environ.get("HTTP_ORIGIN"), environ.get("HTTP_HOST"))
        return OriginNotAllowedError(found) if found else None

    return check
