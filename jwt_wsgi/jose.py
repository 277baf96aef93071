"""Parse tokens, import keys, verify signatures. No other module verifies with JOSE libraries.

joserfc imports the points of curves; ``cryptography`` does the rest, because joserfc warns at
every EdDSA verification and at short RSA keys, and its algorithm lists and header limits are not
ours (RFC 7515, 7517, 7518, 8037).
"""

import binascii
import hmac
from base64 import b64decode
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from dataclasses import field
from types import MappingProxyType
from typing import Any
from typing import Final
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwk as joserfc_jwk

from .errors import InvalidTokenError
from .jwk_form import MEMBERS
from .jwk_form import problem
from .jwk_form import why_no_key
from .strict_json import MalformedError
from .strict_json import compact_object

MAX_HEADER_SIZE: Final = 8192  # characters of the encoded JOSE header; room for an x5c chain
MAX_KID_SIZE: Final = 256
#: RFC 7518 section 3.3 asks for 2,048. The time to verify grows with the square of the size, and
#: with the exponent: a forged token without kid makes several keys work.
RSA_BITS: Final = range(2048, 8193)
RSA_EXPONENT_BITS: Final = 33  # 2**32 + 1 is the largest in use

_NO_HEADS: Final[Mapping[bytes, dict[str, Any]]] = MappingProxyType({})
_REASONS: Final = {UnicodeEncodeError: "not ASCII", binascii.Error: "not base64url"}


class UnusableKeyError(Exception):
    """This key cannot verify tokens; the message says why, in our words."""


class UnverifiedToken(NamedTuple):
    """A parsed token. Nothing in it may be trusted before its signature is verified."""

    header: dict[str, Any]
    claims: dict[str, Any]
    payload: bytes  # the claims as JSON
    signed: bytes
    signature: bytes
    head: bytes  # the header as it was sent


@dataclass(frozen=True, slots=True)
class Key:
    """A public key (or, with ``kty`` oct, a shared secret) and what its JWK says of it."""

    kty: str
    crv: str
    public_key: PublicKeyTypes | bytes = field(repr=False)  # with oct it is the secret itself


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One signature algorithm: the keys it fits and how it verifies (RFC 7518 section 3)."""

    kty: str
    crvs: AbstractSet[str]
    #: Raises, whatever the library raises, unless the signature is good.
    verify: Callable[[Any, bytes, bytes], None]
    #: What the ``alg`` of a JWK may be instead of the name (RFC 9864 gave EdDSA two more names).
    aliases: AbstractSet[str] = frozenset()


def parse(token: str, heads: Mapping[bytes, dict[str, Any]] = _NO_HEADS) -> UnverifiedToken:
    """Parse a compact JWS strictly (RFC 7515 section 3.1).

    ``heads``: parsed headers of verified tokens, by their encoded form; these are not parsed again.
    Raises :class:`InvalidTokenError` ``token_malformed`` for anything else, however broken.
    """
    try:
        encoded = token.encode("ascii")
        signed, dot, signature = encoded.rpartition(b".")
        head, second_dot, payload = signed.partition(b".")
        if not (dot and second_dot) or b"." in payload:
            raise MalformedError("a compact JWS has three parts")
        header = heads.get(head) or _header(head)
        json_ = _base64url(payload)
        claims = compact_object(json_)
        return UnverifiedToken(header, claims, json_, signed, _base64url(signature), head)
    except Exception as error:  # RecursionError, UnicodeError, ...: a token must not cause a 500
        known = isinstance(error, MalformedError)
        reason = str(error) if known else _REASONS.get(type(error), "not JSON in UTF-8")
        raise InvalidTokenError("token_malformed", reason) from error


def verify(algorithm: str, key: Key, signed: bytes, signature: bytes) -> bool:
    """Whether ``key`` fits the algorithm and has made this ``signature`` over ``signed``."""
    try:
        row = ALGORITHMS[algorithm]
        if key.kty != row.kty or key.crv not in row.crvs:  # a key source may yield any key
            return False  # RFC 8725 section 3.1
        row.verify(key.public_key, signature, signed)
    except Exception:  # any error of a library means that the signature is not valid
        return False
    return True


def import_jwk(member: Mapping[str, Any]) -> Key:
    """Make a key of one public JWK; ``x5c`` is used if the key's own members are missing.

    ``member`` has the form of :func:`~jwt_wsgi.jwk_form.normal`. Raises :class:`UnusableKeyError`,
    however broken it is.
    """
    try:
        kty = member["kty"]
        if why := problem(member):
            raise UnusableKeyError(why)
        if not MEMBERS[kty] <= member.keys():
            return _certified(member)
        # A copy with just these members: joserfc refuses keys for metadata it does not know.
        public = {name: member[name] for name in ("kty", *MEMBERS[kty])}
        if kty == "RSA":
            return _rsa(public["n"], public["e"])
        return _key(joserfc_jwk.import_key(public).public_key)
    except UnusableKeyError:
        raise
    except Exception as error:
        raise UnusableKeyError(why_no_key(member)) from error


def import_pem(text: str) -> Key:
    """Make a key of a PEM public key or certificate. Raises :class:`UnusableKeyError`."""
    data = text.encode("utf-8", "replace")
    try:
        if b"PRIVATE KEY" in data:
            raise UnusableKeyError("it is a private key; give the public one")
        if b"BEGIN CERTIFICATE" in data:
            return _key(x509.load_pem_x509_certificate(data).public_key())
        return _key(serialization.load_pem_public_key(data))
    except UnusableKeyError:
        raise
    except Exception as error:
        raise UnusableKeyError("it is neither a PEM public key nor a certificate") from error


def secret_key(secret: bytes) -> Key:
    """Make a key of a shared secret (RFC 7518 section 3.2)."""
    return Key("oct", "", secret)


def _header(encoded: bytes) -> dict[str, Any]:
    """Parse a header (RFC 7515 section 4): known members are checked, others are ignored."""
    if len(encoded) > MAX_HEADER_SIZE:
        raise MalformedError(f"the header is longer than {MAX_HEADER_SIZE} characters")
    header = compact_object(_base64url(encoded))
    if "crit" in header:  # section 4.1.11: unknown extensions are refused, and we know none
        raise MalformedError("the header has crit")
    if "b64" in header:  # RFC 7797 section 7: not in JWTs
        raise MalformedError("the header has b64")
    if not isinstance(header.get("alg"), str):
        raise MalformedError("alg is missing or no string")
    if not isinstance(header.get("typ", ""), str):
        raise MalformedError("typ is not a string")
    kid = header.get("kid", "-")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_SIZE:
        raise MalformedError(f"kid is not a string of 1 to {MAX_KID_SIZE} characters")
    return header


# base64url without padding (RFC 7515 section 2); the last character's spare bits must be zero, or
# one token would have several spellings.
_PLUS, _SLASH, _EQUALS = b"+/="  # of base64, not of base64url
_PADDING: Final = (b"", None, b"==", b"=")
_LAST: Final = (b"", b"", frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))


def _base64url(segment: bytes) -> bytes:
    rest = len(segment) & 3
    padded = _PADDING[rest]
    if padded is None or (rest and segment[-1] not in _LAST[rest]):
        raise MalformedError("not base64url")
    if _PLUS in segment or _SLASH in segment or _EQUALS in segment:
        raise MalformedError("not base64url")
    standard = segment.replace(b"-", b"+").replace(b"_", b"/")
    return binascii.a2b_base64(standard + padded, strict_mode=True)


_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"} | {
    "secp256k1": "secp256k1"
}


def _certified(member: Mapping[str, Any]) -> Key:
    """Take the key of the first certificate (RFC 7517 section 4.7); the JWK must name its kind."""
    try:
        der = b64decode(member["x5c"][0], validate=True)
        public_key = x509.load_der_x509_certificate(der).public_key()
    except Exception as error:
        raise UnusableKeyError("its x5c holds no certificate that can be read") from error
    key = _key(public_key)
    if key.kty != member["kty"] or (member.get("crv") or key.crv) != key.crv:
        raise UnusableKeyError("its certificate holds a key of another kind")
    return key


def _rsa(n: str, e: str) -> Key:
    exponent, modulus = (int.from_bytes(_base64url(text.encode()), "big") for text in (e, n))
    numbers = rsa.RSAPublicNumbers(exponent, modulus)
    _check_rsa(numbers)  # before any arithmetic: megabits would cost CPU just to import
    return Key("RSA", "", numbers.public_key())


def _key(public_key: object) -> Key:
    """Wrap a public key, or raise if it is of no kind, size or shape we accept."""
    match public_key:
        case rsa.RSAPublicKey():
            _check_rsa(public_key.public_numbers())
            return Key("RSA", "", public_key)
        case ec.EllipticCurvePublicKey() if public_key.curve.name in _CURVES:
            return Key("EC", _CURVES[public_key.curve.name], public_key)
        case ed25519.Ed25519PublicKey():
            _check_order(public_key.public_bytes_raw(), _SMALL_ORDER_25519)
            return Key("OKP", "Ed25519", public_key)
        case ed448.Ed448PublicKey():
            _check_order(public_key.public_bytes_raw(), _SMALL_ORDER_448)
            return Key("OKP", "Ed448", public_key)
    raise UnusableKeyError("a key of this kind verifies no token")


def _check_rsa(numbers: rsa.RSAPublicNumbers) -> None:
    if numbers.n.bit_length() not in RSA_BITS:
        raise UnusableKeyError(f"an RSA modulus of {numbers.n.bit_length()} bits (2048 to 8192)")
    odd = numbers.n & numbers.e & 1
    if not odd or numbers.e < 3 or numbers.e.bit_length() > RSA_EXPONENT_BITS:  # noqa: PLR2004
        raise UnusableKeyError("a weak RSA modulus or exponent")


# Points of small order: a signature that such a key verifies can be made without a private key.
# By their y coordinate, canonical or not; the sign of x, the topmost bit, is cut off.
_P25519: Final = 2**255 - 19
_Y8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
_SMALL_ORDER_25519: Final = frozenset({0, 1, _P25519 - 1, _P25519, _P25519 + 1, _Y8, _P25519 - _Y8})
_P448: Final = 2**448 - 2**224 - 1
_SMALL_ORDER_448: Final = frozenset({0, 1, _P448 - 1, _P448, _P448 + 1})


def _check_order(raw: bytes, small: frozenset[int]) -> None:
    y = int.from_bytes(raw, "little") & ~(1 << (len(raw) * 8 - 1))
    if y in small:
        raise UnusableKeyError("a point of small order")


def _rsa_pkcs1(hash_: hashes.HashAlgorithm) -> Callable[[rsa.RSAPublicKey, bytes, bytes], None]:
    scheme = padding.PKCS1v15()
    return lambda key, signature, signed: key.verify(signature, signed, scheme, hash_)


def _rsa_pss(hash_: hashes.HashAlgorithm) -> Callable[[rsa.RSAPublicKey, bytes, bytes], None]:
    # RFC 7518 section 3.5: the salt is as long as the hash, nothing else.
    scheme = padding.PSS(padding.MGF1(hash_), hash_.digest_size)
    return lambda key, signature, signed: key.verify(signature, signed, scheme, hash_)


def _ecdsa(
    hash_: hashes.HashAlgorithm, size: int
) -> Callable[[ec.EllipticCurvePublicKey, bytes, bytes], None]:
    scheme = ec.ECDSA(hash_)

    def verify(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> None:
        if len(signature) != 2 * size:  # RFC 7518 section 3.4: R and S, each of full length
            raise ValueError(len(signature))
        r = int.from_bytes(signature[:size], "big")
        s = int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(r, s), signed, scheme)

    return verify


def _eddsa(
    key: ed25519.Ed25519PublicKey | ed448.Ed448PublicKey, signature: bytes, signed: bytes
) -> None:
    key.verify(signature, signed)


def _hmac(name: str) -> Callable[[bytes, bytes, bytes], None]:
    def verify(secret: bytes, signature: bytes, signed: bytes) -> None:
        if not hmac.compare_digest(hmac.digest(secret, signed, name), signature):
            raise ValueError(name)

    return verify


_SHA256, _SHA384, _SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()

#: Every supported algorithm. The settings say which of them a token may use.
ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "EdDSA": Algorithm("OKP", {"Ed25519", "Ed448"}, _eddsa, {"Ed25519", "Ed448"}),
    "Ed25519": Algorithm("OKP", {"Ed25519"}, _eddsa, {"EdDSA"}),
    "ES256": Algorithm("EC", {"P-256"}, _ecdsa(_SHA256, 32)),
    "ES384": Algorithm("EC", {"P-384"}, _ecdsa(_SHA384, 48)),
    "ES512": Algorithm("EC", {"P-521"}, _ecdsa(_SHA512, 66)),
    "PS256": Algorithm("RSA", {""}, _rsa_pss(_SHA256)),
    "PS384": Algorithm("RSA", {""}, _rsa_pss(_SHA384)),
    "PS512": Algorithm("RSA", {""}, _rsa_pss(_SHA512)),
    "RS256": Algorithm("RSA", {""}, _rsa_pkcs1(_SHA256)),
    "RS384": Algorithm("RSA", {""}, _rsa_pkcs1(_SHA384)),
    "RS512": Algorithm("RSA", {""}, _rsa_pkcs1(_SHA512)),
    "ES256K": Algorithm("EC", {"secp256k1"}, _ecdsa(_SHA256, 32)),
    "Ed448": Algorithm("OKP", {"Ed448"}, _eddsa, {"EdDSA"}),
    "HS256": Algorithm("oct", {""}, _hmac("sha256")),
    "HS384": Algorithm("oct", {""}, _hmac("sha384")),
    "HS512": Algorithm("oct", {""}, _hmac("sha512")),
}
#: The kinds of keys that these algorithms use: (kty, crv).
KINDS: Final = frozenset((row.kty, crv) for row in ALGORITHMS.values() for crv in row.crvs)
#: Bytes a shared secret needs at least: as many as its hash (RFC 7518 section 3.2).
SECRET_SIZES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
#: Known, but accepted only where the settings name them: few issuers use them.
_OPT_IN: Final = frozenset({"ES256K", "Ed448"})
#: Accepted unless the settings say otherwise.
DEFAULT_ALGORITHMS: Final = tuple(n for n in ALGORITHMS if n not in {*SECRET_SIZES, *_OPT_IN})


def permitted(key: Key, algorithms: Collection[str]) -> bool:
    """Whether settings with these ``algorithms`` accept the key's curve.

    ``EdDSA`` means Ed25519 and Ed448 (RFC 8037 section 3.1). Keys on Ed448 are accepted only if
    ``algorithms`` names Ed448.
    """
    return key.crv != "Ed448" or "Ed448" in algorithms
