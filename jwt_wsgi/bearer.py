"""Where the token of a request stands, and the grammar it must have (RFC 6750 section 2.1)."""

from typing import TYPE_CHECKING
from typing import Final

from .errors import InvalidTokenError
from .errors import MalformedHeaderError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


# credentials = "Bearer" 1*SP b64token
# b64token    = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
_B64TOKEN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
#: Room for the scheme and spaces; no more of a longer header is looked at.
_SCHEME_ROOM: Final = 64


def from_header(environ: "WSGIEnvironment", *, max_size: int, lenient: bool = False) -> str | None:
    """The bearer token of ``Authorization``; None if there is no such header or it is empty.

    ``lenient``: credentials of another scheme are no token, instead of a malformed one.
    Raises :class:`MalformedHeaderError`, or ``token_malformed`` for a token over ``max_size``
    characters.
    """
    value: str = environ.get("HTTP_AUTHORIZATION", "")
    if not value:
        return None
    scheme, _, rest = value[: max_size + _SCHEME_ROOM].partition(" ")
    if scheme.lower() != "bearer":
        if lenient:
            return None
        raise MalformedHeaderError("the scheme is not Bearer", bearer=False)
    token = rest.lstrip(" ")
    if len(token) > max_size or len(value) > max_size + _SCHEME_ROOM:
        raise InvalidTokenError("token_malformed", f"longer than {max_size} characters")
    if not is_b64token(token):
        raise MalformedHeaderError("Bearer is not followed by one b64token", bearer=True)
    return token


def is_b64token(text: str) -> bool:
    """Whether ``text`` is one b64token and nothing else, in time linear and small."""
    body = text.encode("ascii", "replace").rstrip(b"=")
    return bool(body) and not body.translate(None, _B64TOKEN)
