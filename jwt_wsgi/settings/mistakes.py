"""Finds values that are valid in form but can never match, because of a common mistake.

Each function raises ValueError with the mistake and the correction.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from jwt_wsgi.urls import DEFAULT_PORTS

_QUOTES: Final = ('""', "''", "\u201c\u201d", "\u2018\u2019")
#: Placeholders of templates, shells and manuals.
_PLACEHOLDER: Final = (
    r"\$\{[^}]*\}|\$\([^)]*\)|\{\{[^}]*\}\}|%[A-Z][A-Z_]{3,}%|<[\w .-]+>|\$[A-Z][A-Z0-9_]+"
)
#: Placeholders in a URL or an identifier.
_IN_AN_IDENTIFIER: Final = re.compile(rf"{_PLACEHOLDER}|\{{[^{{}}]*\}}|\bYOUR(?:[-_][A-Z]+)+")
_SEVERAL: Final = re.compile(r"https?://[^,;\s]*[,;\s]+(?:https?://|$)")
_METADATA: Final = re.compile(
    r"/\.well-known/(?:openid-configuration|oauth-authorization-server)(?:/|$)"
)
_GUID: Final = "[0-9a-f]{8}-[0-9a-f-]{27}"
#: Values that look like an issuer but are the iss of no token, and the correct form.
_ENTRA: Final = "https://login.microsoftonline.com/TENANT-ID/v2.0"
_NEVER_AN_ISS: Final = {
    r"https://(?:login\.microsoftonline\.com|sts\.windows\.net)/(?:common|organizations|consumers)"
    r"(?:/.*)?": f"it stands for many tenants; give {_ENTRA}, or a function for many tenants",
    rf"https://login\.microsoftonline\.com/{_GUID}(?:/|/v2\.0/)?": f"Entra's iss is {_ENTRA},"
    " without a slash behind it, or https://sts.windows.net/TENANT-ID/ in v1 tokens",
    rf"https://sts\.windows\.net/{_GUID}": "Entra's iss of v1 tokens ends with a slash",
    r"https://[\w-]+(?:\.[a-z]{2})?\.auth0\.com": "Auth0's iss ends with a slash",
}


def check_quotes(text: str) -> None:
    """Refuse a text in quotes: ``docker --env-file`` and ini files do not remove them."""
    if len(text) > 1 and text[0] + text[-1] in _QUOTES:
        raise ValueError("it is in quotes, which would become part of the value; leave them out")


def check_filled_in(text: str) -> None:
    """Refuse an identifier or a URL with a placeholder in it."""
    if found := _IN_AN_IDENTIFIER.search(text):
        raise ValueError(f"{found[0][:40]} is a placeholder that nothing has filled in")


def check_value(value: object) -> None:
    """Refuse an expected value that is a placeholder, or in quotes."""
    if isinstance(value, str):
        check_quotes(value)
        if re.fullmatch(_PLACEHOLDER, value):
            raise ValueError(f"{value[:40]} is a placeholder that nothing has filled in")


def check_issuer_text(issuer: str) -> None:
    """Refuse a text that cannot be the ``iss`` of a token."""
    check_quotes(issuer)
    check_filled_in(issuer)
    if _SEVERAL.search(issuer):
        raise ValueError('it is one issuer; several are a list, as text a JSON array ["…", "…"]')
    if _METADATA.search(issuer):
        raise ValueError(
            "it is the URL of a metadata document; take the value of its member 'issuer' instead"
        )
    if issuer.endswith(("/.well-known/jwks.json", "/.well-known/jwks")):
        raise ValueError("it is the URL of keys; give it as jwks_uri, and the iss as issuer")
    for pattern, why in _NEVER_AN_ISS.items():
        if re.fullmatch(pattern, issuer):
            raise ValueError(f"no token has this iss: {why}")


def check_jwks_uri(uri: str) -> None:
    """Refuse the URL of metadata, which is not that of keys."""
    check_filled_in(uri)
    if _METADATA.search(uri):
        raise ValueError(
            "it is the URL of metadata; leave it out, so that the keys are discovered, or give"
            " their member jwks_uri"
        )


def check_origin(origin: str) -> None:
    """Refuse an origin that is not spelled as browsers do (Fetch standard 3.2, RFC 6454)."""
    check_filled_in(origin)
    if "*" in origin:
        raise ValueError(f"{origin}: * cannot be a part of an origin; list the origins one by one")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s*@]+", origin):
        raise ValueError(f"{origin}: an origin is scheme://host or scheme://host:port, or *")
    if (written := _by_a_browser(origin)) != origin:
        raise ValueError(f"{origin}: browsers send {written}; write it exactly like that")


def _by_a_browser(origin: str) -> str:
    parts = urlsplit(origin)
    host, port = parts.hostname or "", parts.port
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    shown = f"[{ipaddress.IPv6Address(host)}]" if ":" in host else host
    is_default = port in (None, DEFAULT_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{shown}" + ("" if is_default else f":{port}")
