"""URLs of issuers and their keys: which ones are accepted, and how they are shown to people."""

import ipaddress
import re
import unicodedata
from string import ascii_letters
from string import digits
from typing import Final
from urllib.parse import unquote
from urllib.parse import urlsplit

from .errors import printable

#: The port of a URL that names none.
DEFAULT_PORTS: Final = {"https": 443, "http": 80}
#: Anything that some program reads as a URL: also ``https:x`` and ``\\\\x``.
_LOOKS_LIKE_A_URL: Final = re.compile(r"\s*(?:https?:|[/\\])|.*:[/\\]", re.IGNORECASE | re.DOTALL)
_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
#: A URL in normal form, as far as a regular expression can check it. RFC 3986 section 3.3
#: without ``;``: Java servers take ``;x`` out of a path, so that ``..;`` becomes a dot segment.
_NORMAL: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://"
    rf"(?:(?P<name>{_LABEL}(?:\.{_LABEL})*)|\[(?P<ipv6>[0-9a-f:]+)\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-F]{2})+)*/?)"
)
#: Characters that must not be percent-encoded: programs disagree on what the encoded form means.
_NEVER_ENCODED: Final = frozenset(
    f"%{ord(char):02X}" for char in f"{ascii_letters}{digits}-._~/\\%?#;"
)
_NOT_NORMAL: Final = (
    "an issuer's URL has a scheme and a host in lower case, no query, fragment, user-info,"
    " backslash, semicolon, empty segment or dot segment, also not percent-encoded, and nothing"
    " else that two programs may read differently (RFC 8414 section 2)"
)


def check_url(url: str, *, allow_http: bool) -> str | None:
    """Say what is wrong with the URL of an issuer or a JWKS, and the remedy; None if nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("https", "http") or not host:
        return "give a URL with https:// and a host"
    if parts.username is not None or parts.password is not None:
        return "a URL with a password in it ends up in logs; leave it out"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "give it in ASCII, percent-encoded"
    if parts.scheme == "http" and not (allow_http or _is_loopback(host)):
        return "give https, or set allow_http for a network you trust"
    return None


def check_discoverable(issuer: str, *, allow_http: bool) -> str | None:
    """Say why the keys of this issuer cannot be discovered, and the remedy; None if they can."""
    problem = check_url(issuer, allow_http=allow_http) or check_issuer(issuer)
    return f"{problem}; or say where its keys are (jwks_uri, jwks, ...)" if problem else None


def check_issuer(issuer: str) -> str | None:
    """Say why an ``iss`` that looks like a URL is not in normal form; None if it is, or is no URL.

    RFC 8414 section 2 allows neither a query nor a fragment. The rest is refused because two
    programs may read it differently: the application compares the text of ``iss``, while a
    client or a server resolves ``..`` and decodes ``%2e``. A default port is accepted: all
    programs read it alike, and some issuers behind a proxy have it in their tokens.
    """
    if not _LOOKS_LIKE_A_URL.match(issuer):
        return None
    found = _NORMAL.fullmatch(issuer)
    return None if found and _is_read_alike(**found.groupdict()) else _NOT_NORMAL


def _is_read_alike(name: str | None, ipv6: str | None, port: str | None, path: str) -> bool:
    """Whether every program finds the same host, port and path in the parts of a normal URL."""
    try:
        if name is None:
            address = ipaddress.IPv6Address(ipv6 or "")
            if address.ipv4_mapped or str(address) != ipv6:  # one spelling (RFC 5952 section 4)
                return False
        elif re.fullmatch("[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]):
            ipaddress.IPv4Address(name)  # not 127.1, 0177.0.0.1 or 0x7f000001
        decoded = unquote(path, errors="strict")
    except ValueError:
        return False
    segments = decoded.removesuffix("/").split("/")[1:]
    return (
        int(port or 0) <= 65535  # noqa: PLR2004
        and _NEVER_ENCODED.isdisjoint(re.findall("%..", path))
        and decoded.isprintable()
        and unicodedata.is_normalized("NFKC", decoded)  # some servers read a fullwidth / as /
        and all(segment.strip(". ") for segment in segments)  # Windows drops final dots and spaces
    )


def shown_url(url: str, limit: int = 80) -> str:
    """The URL for people, quoted and escaped, without what may be secret, and of bounded length.

    Query and fragment are left out. So is everything before the last ``@``, which may be user-info:
    people forget to encode ``/``, ``?`` and ``#`` in a password. An e-mail address, which may be
    an ``iss``, is shown.
    """
    scheme, slashes, user_info, rest = _PARTS.fullmatch(url).groups()  # type: ignore[union-attr]
    if user_info and (scheme or slashes):
        user_info = "...@"
    shown = re.split("[?#]", f"{user_info or ''}{rest}", maxsplit=1)[0]
    return printable(f"{scheme or ''}{slashes}{shown}", limit)


_PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?([/\\]*)(.*@)?(.*)", re.DOTALL)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
