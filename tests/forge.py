"""What an attacker makes: tokens taken apart and put together again, keys that are none.

One set of keys for all: RSA keys are dear to make. ``PUBLISHED`` is the JWKS of an issuer whose
good keys stand beside everything a bad or careless one publishes.
"""

import base64
import copy
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric import utils

from jwt_wsgi.testing import FakeIssuer

ISSUER: Final = "https://issuer.example"
GOOD_ALGORITHMS: Final = ("RS256", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed448")
ISSUERS: Final = {alg: FakeIssuer(ISSUER, algorithm=alg) for alg in GOOD_ALGORITHMS}
PRIVATE: Final[dict[str, Any]] = {alg: of._keys[0].private for alg, of in ISSUERS.items()}
PUBLIC: Final[dict[str, Any]] = {alg: private.public_key() for alg, private in PRIVATE.items()}
RSA: Final = PRIVATE["RS256"].private_numbers()
N: Final = RSA.public_numbers.n
WEAK: Final = rsa.generate_private_key(65537, 1024)
CUBE: Final = rsa.generate_private_key(3, 2048)
SECRET: Final = b"a secret that was published with the public keys"

Sign = Callable[[bytes], bytes]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8 or 1, "big"))


def part(value: Any) -> str:
    """One segment of a token: text and bytes as they are, anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b64(raw)


def _member(alg: str, kid: str, /, **more: Any) -> dict[str, Any]:
    jwk = ISSUERS[alg].jwks()["keys"][0] | {"kid": kid} | more
    return {name: value for name, value in jwk.items() if value is not None}


def _rsa_member(kid: str, n: int, e: int) -> dict[str, Any]:
    return {"kty": "RSA", "kid": kid, "n": number(n), "e": number(e)}


PUBLISHED: Final[list[Any]] = [
    None,
    "a string",
    {"kty": "AKP", "kid": "ml-dsa", "alg": "ML-DSA-44", "pub": "AAAA"},
    {"kty": "oct", "kid": "oct", "alg": "HS256", "k": b64(SECRET)},
    _rsa_member("1024 bits", WEAK.public_key().public_numbers().n, 65537),
    _rsa_member("e is 1", N, 1),
    _rsa_member("even", N - 1, 65537),
    _rsa_member("6 bits", 35, 5),
    _rsa_member("e is 3", CUBE.public_key().public_numbers().n, 3),
    {"kty": "OKP", "crv": "Ed25519", "kid": "small order", "x": b64(b"\1" + bytes(31))},
    _member("EdDSA", "X25519", crv="X25519", alg=None),
    _member("ES256", "for encryption", use="enc"),
    _member("ES256", "not to verify", key_ops=["sign"], use=None),
    _member("ES256", "for another alg", alg="ES384"),
    _member("EdDSA", "private", d="AAAA"),
    _member("ES256", "twins"),
    _member("RS256", "twins"),
    _member("RS256", "RSA without alg", alg=None),
    _member("ES256", "P-256 without alg", alg=None),
    *(_member(alg, alg) for alg in ISSUERS),
]


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": ISSUER, "sub": "mallory", "exp": now + 300, "iat": now} | more


def token(
    header: Any = None,
    payload: Any = None,
    *,
    alg: str = "EdDSA",
    key: str | None = None,
    sign: Sign | bytes | None = None,
) -> str:
    """A token by the key of that name, unless the header, the payload or the signature differ.

    ``header`` and ``payload``: members that differ (None: left out), or bytes instead of all.
    """
    if not isinstance(header, bytes):
        members = {"alg": alg, "kid": key or alg} | (header or {})
        header = {name: value for name, value in members.items() if value is not ...}
    if not isinstance(payload, bytes):
        members = claims() | (payload or {})
        payload = {name: value for name, value in members.items() if value is not ...}
    signed = f"{part(header)}.{part(payload)}"
    made = sign if isinstance(sign, bytes) else (sign or signer(key or alg))(signed.encode())
    return f"{signed}.{b64(made)}"


def signer(name: str) -> Sign:
    """How the key of that name signs; any algorithm of RSA has the same, which is dear to make."""
    if name[:2] not in ("RS", "PS"):
        return ISSUERS[name if name in ISSUERS else "EdDSA"]._keys[0].sign
    key = copy.copy(ISSUERS["RS256"]._keys[0])
    key.algorithm = name if name[2:].isdigit() else "RS256"
    return key.sign


def hmac_signer(secret: bytes, alg: str = "HS256") -> Sign:
    return lambda data: hmac.digest(secret, data, f"sha{alg[2:]}")


def spki(key: Any, encoding: ser.Encoding) -> bytes:
    return key.public_bytes(encoding, ser.PublicFormat.SubjectPublicKeyInfo)


def confusion_secrets() -> dict[str, bytes]:
    """T02: everything that a public key may look like when it is taken for a secret."""
    openssh = (ser.Encoding.OpenSSH, ser.PublicFormat.OpenSSH)
    found = {}
    for alg in ("RS256", "ES256", "EdDSA"):
        key, jwk = PUBLIC[alg], ISSUERS[alg].jwks()["keys"][0]
        pem = spki(key, ser.Encoding.PEM)
        member = jwk["n"] if alg == "RS256" else jwk["x"]
        found |= {
            f"{alg} PEM": pem,
            f"{alg} PEM without its last line feed": pem.rstrip(),
            f"{alg} DER": spki(key, ser.Encoding.DER),
            f"{alg} SSH": key.public_bytes(*openssh),
            f"{alg} JWK": json.dumps(jwk).encode(),
            f"{alg} JWK, compact": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
            f"{alg} JWKS": json.dumps({"keys": [jwk]}).encode(),
            f"{alg} {'n' if alg == 'RS256' else 'x'}": base64.urlsafe_b64decode(member + "=="),
            f"{alg} {'n' if alg == 'RS256' else 'x'} as text": member.encode(),
        }
    pkcs1 = ser.PublicFormat.PKCS1
    found["RS256 PKCS#1 PEM"] = PUBLIC["RS256"].public_bytes(ser.Encoding.PEM, pkcs1)
    found["RS256 PKCS#1 DER"] = PUBLIC["RS256"].public_bytes(ser.Encoding.DER, pkcs1)
    x962 = (ser.Encoding.X962, ser.PublicFormat.UncompressedPoint)
    return found | {"ES256 point": PUBLIC["ES256"].public_bytes(*x962), "nothing": b""}


# --- ECDSA (T07) ---------------------------------------------------------------------------------

_SIZES: Final = {"ES256": 32, "ES384": 48, "ES512": 66}
_ORDERS: Final = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
    "ES512": int(
        "01" + "f" * 64 + "fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16
    ),
}


def ecdsa_forgeries(alg: str) -> dict[str, Sign]:
    size, order, good = _SIZES[alg], _ORDERS[alg], signer(alg)

    def raw(r: int, s: int) -> bytes:
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def of(change: Callable[[int, int], bytes]) -> Sign:
        def sign(data: bytes) -> bytes:
            made = good(data)
            r, s = int.from_bytes(made[:size], "big"), int.from_bytes(made[size:], "big")
            return change(r, s)

        return sign

    return {
        "r and s are 0": of(lambda _r, _s: raw(0, 0)),
        "r is 0": of(lambda _r, s: raw(0, s)),
        "s is 0": of(lambda r, _s: raw(r, 0)),
        "r is n": of(lambda _r, s: raw(order, s)),
        "s is n": of(lambda r, _s: raw(r, order)),
        "all ones": of(lambda _r, _s: b"\xff" * (2 * size)),
        "r and s are 1": of(lambda _r, _s: raw(1, 1)),
        "swapped": of(lambda r, s: raw(s, r)),
        "DER": of(utils.encode_dss_signature),
        "a byte short": of(lambda r, s: raw(r, s)[:-1]),
        "a byte long": of(lambda r, s: raw(r, s) + b"\0"),
        "both a byte longer": of(lambda r, s: b"\0" + raw(r, s)[:size] + b"\0" + raw(r, s)[size:]),
        "a zero before s": of(lambda r, s: raw(r, s)[:size] + b"\0" + raw(r, s)[size:]),
        "r alone": of(lambda r, s: raw(r, s)[:size]),
        "empty": of(lambda _r, _s: b""),
        "4000 bytes": of(lambda r, s: raw(r, s) * (2000 // size)),
    }


# --- RSA (T08, T09) ------------------------------------------------------------------------------

_SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")
_SHA256_INFO_WITHOUT_NULL: Final = bytes.fromhex("302f300b0609608648016503040201 0420")
_SHA1_INFO: Final = bytes.fromhex("3021300906052b0e03021a05000414")


def raw_rsa(encoded: bytes) -> bytes:
    """The private operation on whatever bytes."""
    return pow(int.from_bytes(encoded, "big"), RSA.d, N).to_bytes(256, "big")


def _emsa(info: bytes, digest: bytes, *, kind: int = 1, fill: bytes = b"\xff") -> bytes:
    pad = 256 - 3 - len(info) - len(digest)
    return b"\0" + bytes([kind]) + fill * pad + b"\0" + info + digest


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _cube_root(value: int) -> int:
    low, high = 0, 1 << (value.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < value else (low, middle)
    return low


def bleichenbacher(data: bytes) -> bytes:
    """The forgery of 2006: for e = 3, with rubbish behind the hash instead of padding before it."""
    head = b"\0\1" + b"\xff" * 8 + b"\0" + _SHA256_INFO + _sha256(data)
    root = _cube_root(int.from_bytes(head + bytes(256 - len(head)), "big"))
    assert (root**3).to_bytes(256, "big").startswith(head)
    return root.to_bytes(256, "big")


def identity_rsa(data: bytes) -> bytes:
    """For e = 1 the signature is what it should decrypt to."""
    return _emsa(_SHA256_INFO, _sha256(data))


#: T12: a signature that each of the weak keys would verify, as far as it can sign.
WEAK_SIGNERS: Final[dict[str, Sign]] = {
    "1024 bits": lambda data: WEAK.sign(data, padding.PKCS1v15(), hashes.SHA256()),
    "e is 1": identity_rsa,
    "even": signer("RS256"),
    "6 bits": lambda _: b"\1",
}


def pkcs1_forgeries() -> dict[str, Sign]:
    good, crypto = signer("RS256"), hashes.SHA256()

    def made(encode: Callable[[bytes], bytes]) -> Sign:
        return lambda data: raw_rsa(encode(_sha256(data)))

    pss = padding.PSS(padding.MGF1(crypto), 32)
    short = b"\0\1" + b"\xff" * 8 + b"\0" + _SHA256_INFO
    return {
        "rubbish behind the hash": made(lambda d: (short + d).ljust(256, b"\x55")),
        "block type 0": made(lambda d: _emsa(_SHA256_INFO, d, kind=0, fill=b"\0")),
        "block type 2": made(lambda d: _emsa(_SHA256_INFO, d, kind=2)),
        "padding of another byte": made(lambda d: _emsa(_SHA256_INFO, d, fill=b"\xfe")),
        "the hash without DigestInfo": made(lambda d: _emsa(b"", d)),
        "DigestInfo without NULL": made(lambda d: _emsa(_SHA256_INFO_WITHOUT_NULL, d)),
        "SHA-1": lambda data: raw_rsa(_emsa(_SHA1_INFO, hashlib.sha1(data).digest())),
        "SHA-512": lambda data: PRIVATE["RS256"].sign(data, padding.PKCS1v15(), hashes.SHA512()),
        "PSS": lambda data: PRIVATE["RS256"].sign(data, pss, crypto),
        "not reduced": lambda data: (int.from_bytes(good(data), "big") + N).to_bytes(257, "big"),
        "negative": lambda data: (N - int.from_bytes(good(data), "big")).to_bytes(256, "big"),
        "a byte short": lambda data: good(data)[1:],
        "a zero in front": lambda data: b"\0" + good(data),
        "a zero behind": lambda data: good(data) + b"\0",
        "0": lambda _: bytes(256),
        "1": lambda _: bytes(255) + b"\1",
        "n - 1": lambda _: (N - 1).to_bytes(256, "big"),
        "n": lambda _: N.to_bytes(256, "big"),
        "empty": lambda _: b"",
    }


def pss_forgeries() -> dict[str, Sign]:
    sha256, sha1 = hashes.SHA256(), hashes.SHA1()  # a forger's choice

    def pss(salt: int, mask: Any = sha256, hash_: Any = sha256) -> Sign:
        scheme = padding.PSS(padding.MGF1(mask), salt)
        return lambda data: PRIVATE["RS256"].sign(data, scheme, hash_)

    def trailer(data: bytes) -> bytes:
        good = int.from_bytes(pss(32)(data), "big")
        encoded = pow(good, 65537, N).to_bytes(256, "big")
        return raw_rsa(encoded[:-1] + b"\xcc")

    return {
        **{f"salt of {size}": pss(size) for size in (0, 1, 20, 31, 33, 64, 222)},
        "MGF1 of SHA-1": pss(32, sha1),
        "MGF1 of SHA-512": pss(32, hashes.SHA512()),
        "SHA-1": pss(20, sha1, sha1),
        "SHA-512": pss(64, hashes.SHA512(), hashes.SHA512()),
        "trailer 0xcc": trailer,
        "PKCS #1": signer("RS256"),
    }


# --- EdDSA (T10) ---------------------------------------------------------------------------------

_L: Final = 2**252 + 27742317777372353535851937790883648493


def eddsa_forgeries() -> dict[str, Sign]:
    good = signer("EdDSA")

    def of(change: Callable[[bytes, int], bytes]) -> Sign:
        def sign(data: bytes) -> bytes:
            made = good(data)
            return change(made[:32], int.from_bytes(made[32:], "little"))

        return sign

    return {
        "S + L": of(lambda r, s: r + (s + _L).to_bytes(32, "little")),
        "S + 2 L": of(lambda r, s: r + (s + 2 * _L).to_bytes(32, "little")),
        "L - S": of(lambda r, s: r + (_L - s).to_bytes(32, "little")),
        "S is 0": of(lambda r, _s: r + bytes(32)),
        "zeros": of(lambda _r, _s: bytes(64)),
        "R is neutral, S is 0": of(lambda _r, _s: b"\1" + bytes(63)),
        "swapped": of(lambda r, s: s.to_bytes(32, "little") + r),
        "a byte short": of(lambda r, s: (r + s.to_bytes(32, "little"))[:-1]),
        "a byte long": of(lambda r, s: r + s.to_bytes(33, "little")),
        "R alone": of(lambda r, _s: r),
        "empty": of(lambda _r, _s: b""),
        "114 bytes, as Ed448": of(lambda r, s: (r + s.to_bytes(32, "little")).ljust(114, b"\0")),
    }
