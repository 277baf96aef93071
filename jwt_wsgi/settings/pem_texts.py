"""Reads PEM from variables: with line feeds as letters, or without BEGIN and END."""

import re
from collections.abc import Iterator
from typing import Final

from jwt_wsgi import jose

#: White space, and line feeds that are written as letters.
_BREAKS: Final = re.compile(r"(?:\s|\\+[nr])+")
_FRAME: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
_OTHERS: Final = {
    r"\{": 'it is JSON; give a JWKS as jwks, a single JWK as {"keys": [JWK]}',
    r"https?://": "it is a URL; give that of a JWKS as jwks_uri",
    r"(?:ssh|ecdsa|sk)-\S+ AAAA": "it is an SSH key; make PEM of it: ssh-keygen -e -m pkcs8",
    r"-----BEGIN (?!.*-----END)": "its end is missing: PEM ends with a line -----END …-----",
    r"\S{0,1000}(?:/|\\|\.(?:pem|crt|cer|der|pub|key)$)": "it may be the path of a file; give the"
    " content of the file, or name the file in JWT_WSGI_PUBLIC_KEY_FILE",
}


def plain_pem(text: str) -> str:
    """The first PEM block of ``text`` with lines of 64 characters; ``text`` if there is none."""
    found = _FRAME.search(text)
    body = _BREAKS.sub("", found[2]) if found else ""
    return _framed(found[1], body) if found and _BASE64.fullmatch(body) else text


def public_key(text: str) -> jose.Key:
    """The key of a text in any of these forms.

    Raises :class:`~jwt_wsgi.jose.UnusableKeyError`, or :class:`ValueError` if the text is
    recognised as something else.
    """
    if bare := bare_key(text):
        return bare
    try:
        return jose.import_pem(plain_pem(text))
    except jose.UnusableKeyError:
        for pattern, what in _OTHERS.items():
            if "PRIVATE KEY" not in text and re.match(pattern, text, re.DOTALL):
                raise ValueError(what) from None
        raise


def bare_key(text: str) -> jose.Key | None:
    """The public key in base64 without BEGIN and END, as in Keycloak's console and in ``x5c``."""
    body = _BREAKS.sub("", text)
    return next(_imported(body), None) if _BASE64.fullmatch(body) else None


def _imported(body: str) -> Iterator[jose.Key]:
    for label in ("PUBLIC KEY", "CERTIFICATE"):
        try:
            yield jose.import_pem(_framed(label, body))
        except jose.UnusableKeyError:
            continue


def _framed(label: str, body: str) -> str:
    lines = (body[start : start + 64] for start in range(0, len(body), 64))
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
