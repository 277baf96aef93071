"""The normal form of a public JWK, and what is wrong with its members (RFC 7517, RFC 7518).

More spellings are accepted here than in tokens: only the issuer chooses how its keys are written,
but a client chooses how its token is written.
"""

import re
from collections.abc import Mapping
from typing import Any
from typing import Final

MAX_MEMBER_SIZE: Final = 2048  # characters of n, e, x and y; an n of 8,192 bits has 1,366
MAX_CERTIFICATE_SIZE: Final = 16384  # characters of a certificate in x5c
#: The members that make up a public key (RFC 7518 section 6, RFC 8037 section 2).
MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "RSA": frozenset({"n", "e"}),
    "EC": frozenset({"crv", "x", "y"}),
    "OKP": frozenset({"crv", "x"}),
}
#: Why a key is not used that is published for another purpose: nothing is wrong with it.
NOT_FOR_SIGNATURES: Final = "its use is not sig"
_NUMBERS: Final = ("n", "e", "x", "y")
#: Members that are lists. Some serialisers write an empty list instead of leaving the member out.
_LISTS: Final = frozenset({"key_ops", "x5c", "oth"})
_NO_SPACE: Final = str.maketrans("", "", " \t\r\n")
_TO_URL: Final = str.maketrans("+/", "-_")
_TO_STANDARD: Final = str.maketrans("-_", "+/")
_STANDARD: Final = re.compile(r"[+/]")
_URL: Final = re.compile(r"[-_]")
#: Without padding, and with zeros in the last character's spare bits (RFC 7515 section 2).
_BASE64URL: Final = re.compile(
    r"(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?", re.ASCII
)


def normal(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The same key without empty members, and with its numbers in base64url.

    A member is empty if it is ``null``, or an empty list where a list belongs; an empty string is
    kept. Padding, white space and the standard alphabet of base64 are replaced. A value that mixes
    both alphabets stays as it is, and :func:`problem` refuses it.
    """
    found = {
        name: value
        for name, value in jwk.items()
        if value is not None
        and not (name in _LISTS and isinstance(value, list | tuple) and not value)
    }
    for name in _NUMBERS:
        if isinstance(found.get(name), str):
            found[name] = _base64url(found[name])
    if isinstance(found.get("x5c"), list | tuple):
        found["x5c"] = [_base64(text) if isinstance(text, str) else text for text in found["x5c"]]
    return found


def problem(jwk: Mapping[str, Any]) -> str:
    """Say which member of a JWK in normal form is wrong, and why; empty if none is.

    Members may be missing if there is a certificate. ``jwk["kty"]`` is one of :data:`MEMBERS`.
    """
    names = sorted(MEMBERS[jwk["kty"]])
    if "x5c" in jwk and not jwk.keys() >= MEMBERS[jwk["kty"]]:
        return _wrong_certificate(jwk["x5c"])
    if missing := [name for name in names if name not in jwk]:
        return f"its {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    for name in names:
        if why := _wrong(jwk[name], is_number=name in _NUMBERS):
            return f"its {name} {why}"
    return ""


def why_no_key(jwk: Mapping[str, Any]) -> str:
    """Say what is wrong with members that are valid one by one but make no key together."""
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if kty == "EC":
        return f"its x and y are not a point of the curve {crv}"
    if kty == "OKP":
        return f"its x is not a key of the curve {crv}"
    return "its n and e are not an RSA key"


def _wrong(value: object, *, is_number: bool) -> str:
    if not isinstance(value, str):
        return "is not a string"
    if not value:
        return "is empty"
    if len(value) > MAX_MEMBER_SIZE:
        return f"is longer than {MAX_MEMBER_SIZE} characters"
    if is_number and _STANDARD.search(value) and _URL.search(value):
        return "mixes two alphabets of base64"
    return "is not base64url" if is_number and not _BASE64URL.fullmatch(value) else ""


def _wrong_certificate(x5c: object) -> str:
    """Say what is wrong with the first certificate, which has the key (RFC 7517 section 4.7)."""
    if not isinstance(x5c, list) or not isinstance(x5c[0], str):
        return "its x5c is not a list of certificates"
    too_long = len(x5c[0]) > MAX_CERTIFICATE_SIZE
    return f"its x5c is longer than {MAX_CERTIFICATE_SIZE} characters" if too_long else ""


def _base64url(text: str) -> str:
    bare = text.translate(_NO_SPACE)
    if len(bare) % 4 == 0:  # only then are signs at the end padding
        bare = bare.removesuffix("=").removesuffix("=")
    return bare if _URL.search(bare) else bare.translate(_TO_URL)


def _base64(text: str) -> str:
    """The standard alphabet with padding, which certificates have (RFC 7517 section 4.7)."""
    bare = _base64url(text)
    standard = bare if _STANDARD.search(bare) else bare.translate(_TO_STANDARD)
    return standard + "=" * (-len(standard) % 4)
