"""Private keys that sign tokens for tests: the counterpart of :mod:`jwt_wsgi.jose`."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from joserfc import jwk

from jwt_wsgi import jose
from jwt_wsgi.settings.pem_texts import plain_pem
from jwt_wsgi.settings.values import read_secret

_HASHES: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES: Final = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
    "ES256K": ec.SECP256K1(),
}


_BEGIN: Final = datetime(2020, 1, 1, tzinfo=UTC)
_END: Final = datetime(2120, 1, 1, tzinfo=UTC)


class SigningKey:
    """A private key and how it signs; the counterpart of one row of ``jose.ALGORITHMS``."""

    def __init__(self, algorithm: str, kid: str, private: object = None) -> None:
        self.algorithm, self.kid = algorithm, kid
        self.private: Any = _generate(algorithm) if private is None else private

    def sign(self, data: bytes) -> bytes:
        """Sign ``data`` (RFC 7518 section 3, RFC 8037)."""
        algorithm, key = self.algorithm, self.private
        if algorithm.startswith("HS"):
            return hmac.digest(key, data, f"sha{algorithm[2:]}")
        if algorithm.startswith("Ed"):
            return bytes(key.sign(data))
        hash_ = _HASHES[algorithm[2:5]]
        if algorithm.startswith("ES"):
            size = (key.curve.key_size + 7) // 8
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hash_)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if algorithm.startswith("PS"):
            scheme: Any = padding.PSS(padding.MGF1(hash_), hash_.digest_size)
        else:
            scheme = padding.PKCS1v15()
        return bytes(key.sign(data, scheme, hash_))

    def pem(self) -> str:
        """The private key as PEM (PKCS 8)."""
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return bytes(self.private.private_bytes(*form, serialization.NoEncryption())).decode()

    def token(self, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
        """A compact JWS (RFC 7515 section 3.1); a member that is None is left out."""
        signed = f"{token_part(header)}.{token_part(claims)}"
        return f"{signed}.{base64url(self.sign(signed.encode()))}"

    def certificate(self) -> bytes:
        """A certificate of its own public key, DER, as ``x5c`` has it (RFC 7517 section 4.7)."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "for tests only")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
        builder = builder.public_key(self.private.public_key())
        builder = builder.not_valid_before(_BEGIN).not_valid_after(_END)
        signed = builder.sign(self.private, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.DER)

    def jwk(self) -> dict[str, Any]:
        """The public JWK (RFC 7517)."""
        kinds: dict[str, Any] = {"RS": jwk.RSAKey, "PS": jwk.RSAKey, "ES": jwk.ECKey}
        kind = kinds.get(self.algorithm[:2], jwk.OKPKey)
        public = kind(self.private.public_key(), self.private.public_key()).as_dict(private=False)
        return {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm}


def _generate(algorithm: str) -> object:
    if algorithm.startswith("HS"):
        return secrets.token_bytes(64)
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    if algorithm.startswith("Ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def read_private(text: str, algorithm: str) -> object:
    if algorithm.startswith("HS"):
        secret = read_secret(text)
        if len(secret) < jose.SECRET_SIZES[algorithm]:
            raise ValueError(f"{algorithm} needs {jose.SECRET_SIZES[algorithm]} bytes at least")
        return secret
    try:
        if text.lstrip().startswith("{"):
            private: Any = jwk.import_key(json.loads(text)).private_key
        else:
            private = serialization.load_pem_private_key(plain_pem(text).encode(), None)
        key = jose.import_jwk(SigningKey(algorithm, "", private).jwk())
    except Exception as error:
        raise ValueError(f"it is not a private key for {algorithm}") from error
    row = jose.ALGORITHMS[algorithm]
    if key.kty != row.kty or key.crv not in row.crvs:
        raise ValueError(f"it is not a key for {algorithm}, but {key.kty} {key.crv}".rstrip())
    return private


def token_part(members: Mapping[str, object]) -> str:
    """A header or payload in a token: JSON in base64url. A member that is None is left out."""
    present = {name: value for name, value in members.items() if value is not None}
    return base64url(json.dumps(present).encode())


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def thumbprint(certificate: bytes, algorithm: str) -> str:
    """``x5t`` (SHA-1) or ``x5t#S256`` of a DER certificate (RFC 7515 sections 4.1.7, 4.1.8)."""
    return base64url(hashlib.new(algorithm, certificate, usedforsecurity=False).digest())
