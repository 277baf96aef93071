"""Reads the token of a request, and the other methods that the request names.

The grammar of a token is that of RFC 6750 section 2.1.
"""

import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Final
from typing import NamedTuple
from typing import TypeAlias
from urllib.parse import unquote_plus

from .errors import InvalidTokenError
from .errors import MalformedHeaderError
from .errors import MultipleTokensError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


# credentials = "Bearer" 1*SP b64token
# b64token    = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
_B64TOKEN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
#: Characters for the scheme and spaces. The rest of a longer header is not read.
_SCHEME_ROOM: Final = 64
#: White space that is removed around a cookie's name and value. Other kinds stay, as in browsers:
#: another host of the domain may set a cookie whose name is a no-break space and ``__Host-…``.
_SPACE: Final = " \t"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 section 9.2.1
#: RFC 9110 section 9.3, and RFC 5789.
_METHODS: Final = _SAFE | {"POST", "PUT", "PATCH", "DELETE", "CONNECT"}
#: Headers that middleware in front of a router takes for the method: Flask's documentation has
#: the first, Microsoft's and IBM's interfaces the others.
_METHOD_HEADERS: Final = frozenset(
    f"HTTP_X_{end}" for end in ("HTTP_METHOD_OVERRIDE", "METHOD_OVERRIDE", "HTTP_METHOD", "METHOD")
)
#: Parameters of a query that do the same: ``_method`` (Rails, Symfony, TurboGears, Pecan),
#: ``__METHOD_OVERRIDE__`` (a Flask recipe), ``_HttpMethod``, and those headers' names.
_METHOD_PARAMETER: Final = re.compile(
    r"[&;](?:_+(?:http_?)?method_*|[\w-]*method[-_]?override_*|x-(?:http-)?method)=([^&;]*)",
    re.IGNORECASE,
)


#: ``read(environ, lenient)`` returns the token or None; ``lenient``: credentials of another
#: scheme are no token, instead of a malformed one. Raises :class:`MalformedHeaderError`, or
#: ``token_malformed`` for a token that is too long.
Read: TypeAlias = "Callable[[WSGIEnvironment, bool], str | None]"


class Place(NamedTuple):
    """A place where a token may stand.

    ``key``: of the environ. ``values(environ)``: all values there, as they were sent.
    ``remove(environ)``: take the token out. ``write(environ, token)``: put a token there as a
    client sends it, and replace one that is there.
    """

    key: str
    values: "Callable[[WSGIEnvironment], list[str]]"
    read: Read
    remove: "Callable[[WSGIEnvironment], None]"
    write: "Callable[[WSGIEnvironment, str], None]"


def place(spec: str, max_size: int) -> Place:
    """Make a place of ``header``, ``header:NAME`` or ``cookie:NAME``.

    ``max_size``: the most characters of a token.
    """
    kind, _, name = spec.partition(":")
    if kind == "cookie":
        return _cookie(name, max_size)
    return _header(environ_key(name or "Authorization"), max_size, bare=bool(name))


def environ_key(header: str) -> str:
    """The environ key of a request header (PEP 3333); ``-`` and ``_`` give the same key."""
    return "HTTP_" + header.upper().replace("-", "_")


def reader(places: Sequence[Place]) -> Read:
    """Return a function that reads the token of a request from these places.

    It raises :class:`MultipleTokensError` if two places have a token (RFC 6750 section 2), and
    otherwise what ``read`` of a place raises.
    """

    def read(environ: "WSGIEnvironment", _lenient: bool) -> str | None:  # noqa: FBT001
        found = [token for place in places if (token := place.read(environ, True)) is not None]
        if len(found) > 1:
            raise MultipleTokensError
        return found[0] if found else None

    return places[0].read if len(places) == 1 else read


def _header(key: str, max_size: int, *, bare: bool) -> Place:
    """Make a place for ``Bearer b64token``. ``bare``: the b64token alone is accepted as well."""

    def values(environ: "WSGIEnvironment") -> list[str]:
        return [environ[key]] if environ.get(key) else []

    def read(environ: "WSGIEnvironment", lenient: bool) -> str | None:  # noqa: FBT001
        value: str = environ.get(key, "")
        if not value:
            return None
        scheme, space, rest = value[: max_size + _SCHEME_ROOM].partition(" ")
        if bare and not space:
            return _checked(value, max_size)
        if scheme.lower() != "bearer":
            if lenient:
                return None
            raise MalformedHeaderError("the scheme is not Bearer", bearer=False)
        token = rest.lstrip(" ")
        if len(value) > max_size + _SCHEME_ROOM:
            raise InvalidTokenError("token_malformed", f"longer than {max_size} characters")
        return _checked(token, max_size)

    def remove(environ: "WSGIEnvironment") -> None:
        if bare or environ.get(key, "").lstrip().lower().startswith("bearer"):
            environ.pop(key, None)

    def write(environ: "WSGIEnvironment", token: str) -> None:
        environ[key] = token if bare else f"Bearer {token}"

    return Place(key, values, read, remove, write)


def _cookie(name: str, max_size: int) -> Place:
    """Make a place for a cookie. Browsers also send it with requests from pages of other sites."""
    key = "HTTP_COOKIE"

    def values(environ: "WSGIEnvironment") -> list[str]:
        return [value for other, value in _cookies(environ) if other == name]

    def read(environ: "WSGIEnvironment", _lenient: bool) -> str | None:  # noqa: FBT001
        found = values(environ)
        if not any(found) or not cookie_counts(environ):
            return None
        if len(found) > 1:  # another host of the same domain can add one
            raise MultipleTokensError
        return _checked(found[0], max_size)

    def remove(environ: "WSGIEnvironment") -> None:
        pairs = [pair.strip(_SPACE) for pair in environ.pop(key, "").split(";")]
        if kept := [pair for pair in pairs if pair and pair.split("=")[0].rstrip(_SPACE) != name]:
            environ[key] = "; ".join(kept)

    def write(environ: "WSGIEnvironment", token: str) -> None:
        remove(environ)
        others = environ.get(key)
        environ[key] = f"{others}; {name}={token}" if others else f"{name}={token}"

    return Place(key, values, read, remove, write)


def overrides(environ: "WSGIEnvironment") -> Sequence[str]:
    """Other methods that an app may take the request for, in upper case.

    Headers and the query name them; the body is never read. An empty string stands for all values
    that are not HTTP methods, because an app may take them for any method. No method is repeated: a
    query has room for thousands, and rules are searched for each.
    """
    named = environ.keys() & _METHOD_HEADERS
    values = [environ[name] for name in named] if named else []
    if query := environ.get("QUERY_STRING"):
        if "%" in query:
            query = unquote_plus(query)
        if "method" in query.lower():
            values += _METHOD_PARAMETER.findall(f"&{query}")
    if not values:
        return ()
    methods = {value.strip().upper() for value in values}
    return sorted({method if method in _METHODS else "" for method in methods})


def _cookies(environ: "WSGIEnvironment") -> Iterator[tuple[str, str]]:
    """cookie-string = cookie-pair *( ";" SP cookie-pair ) (RFC 6265 section 4.2.1)."""
    for pair in environ.get("HTTP_COOKIE", "").split(";"):
        name, equals, value = pair.partition("=")
        if equals:
            yield name.strip(_SPACE), value.strip(_SPACE)


def cookie_counts(environ: "WSGIEnvironment") -> bool:
    """Whether a cookie counts as a token: the request is safe, or a page of this origin sent it.

    Browsers send cookies with cross-site requests as well (RFC 6265bis section 8.8.1). A request
    that names another method, or opens a WebSocket, is not safe. If ``Sec-Fetch-Site`` is present,
    it alone decides: the browser knows the public origin. Behind a TLS proxy we see another origin,
    which ``http`` pages of the same host have as well.
    """
    is_safe = environ["REQUEST_METHOD"] in _SAFE and "HTTP_UPGRADE" not in environ
    if is_safe and not overrides(environ):
        return True
    if (site := environ.get("HTTP_SEC_FETCH_SITE")) is not None:
        return str(site) == "same-origin"
    own = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST') or ' '}"
    return str(environ.get("HTTP_ORIGIN", "")).lower() == own.lower()


def _checked(token: str, max_size: int) -> str:
    if len(token) > max_size:
        raise InvalidTokenError("token_malformed", f"longer than {max_size} characters")
    body = token.encode("ascii", "replace").rstrip(b"=")
    if not body or body.translate(None, _B64TOKEN):  # in time linear and small
        raise MalformedHeaderError("Bearer is not followed by one b64token", bearer=True)
    return token
