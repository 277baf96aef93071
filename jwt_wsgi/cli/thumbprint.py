"""The thumbprint of a key (RFC 7638)."""

import base64
import hashlib
import json
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any
from typing import Final

from jwt_wsgi.jwk_form import normal
from jwt_wsgi.test_kit.signing import base64url

#: The members that a thumbprint covers (RFC 7638 section 3.2, RFC 8037 section 2).
_THUMBPRINT: Final[Mapping[str, tuple[str, ...]]] = {
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The SHA-256 thumbprint of RFC 7638, or a certificate's SHA-256; empty if there is neither."""
    jwk = normal(jwk)
    names = _THUMBPRINT.get(jwk["kty"], ()) if isinstance(jwk.get("kty"), str) else ()
    if names and all(isinstance(jwk.get(name), str) for name in names):
        text = json.dumps({name: jwk[name] for name in names}, separators=(",", ":"))
        return base64url(hashlib.sha256(text.encode()).digest())
    try:
        return "x5c:" + hashlib.sha256(base64.b64decode(jwk["x5c"][0])).hexdigest()
    except (LookupError, TypeError, Base64Error, ValueError):
        return ""
