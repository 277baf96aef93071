"""The token of the goals (12 claims, 2 lists, some 974 characters with RS256) and its forgeries."""

import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import import_key

from jwt_wsgi.testing import FakeIssuer

ISSUER = "https://issuer.example.com/tenant"
AUDIENCE = "https://api.example.com"
KID = "2026-11-key1"
DAY = 86400


class Published:
    """What the world knows of an issuer: one algorithm, one public key."""

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        self.jwk = jwk
        self.algorithm: str = jwk["alg"]
        self.jwks = {"keys": [jwk]}
        self.public_key: Any = import_key({k: v for k, v in jwk.items() if k != "alg"}).public_key


class Mint(Published):
    """The issuer itself: makes good tokens and forgeries."""

    def __init__(self, algorithm: str) -> None:
        self._fake = FakeIssuer(ISSUER, algorithm=algorithm)
        self._wrong_key = self._fake.wrong_key()
        super().__init__(self._fake.jwks()["keys"][0] | {"kid": KID})

    def token(
        self,
        number: int = 0,
        *,
        sign: Callable[..., str] | None = None,
        header: Mapping[str, object] | None = None,
        **claims: object,
    ) -> str:
        """A good token that no other ``number`` makes, unless the claims say otherwise."""
        named = {"typ": "at+jwt", "kid": KID, **(header or {})}
        return (sign or self._fake.token)(header=named, **(self.claims(number) | claims))

    def claims(self, number: int = 0) -> dict[str, Any]:
        """What a good token says."""
        now = int(time.time())
        return {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + DAY,
            "jti": f"8c1f7a52-35fb-4a7e-9d0f-{number:012d}",
            "sub": "auth|5f7c8ec7c33c6c004bbafe82",
            "client_id": "0oa2hl2inow5Uqc6c357",
            "scope": "openid profile read:orders write:orders",
            "roles": ["customer", "order-manager"],
            "groups": ["staff", "emea"],
            "email": "somebody@example.com",
        }

    def tokens(self, count: int, **claims: object) -> list[str]:
        """So many good tokens, each of them another."""
        return [self.token(number, **claims) for number in range(count)]

    def forgeries(self) -> dict[str, str]:
        """What nobody may accept: what is wrong -> the token."""
        return {
            "bad signature": self.token(sign=self._wrong_key),
            "expired": self.token(exp=int(time.time()) - DAY),
            "wrong iss": self.token(iss="https://evil.example.com"),
            "wrong aud": self.token(aud="https://other.example.com"),
        }

    def unknown_kid(self) -> str:
        return self.token(header={"kid": "2026-11-keyX"})

    def raw(self, token: str) -> tuple:
        """The arguments of one bare ``public_key.verify``: everything decoded beforehand."""
        signed, _, encoded = token.rpartition(".")
        signature, data = urlsafe_b64decode(encoded + "=="), signed.encode()
        match self.algorithm:
            case "RS256":
                return signature, data, padding.PKCS1v15(), SHA256()
            case "PS256":
                return signature, data, padding.PSS(padding.MGF1(SHA256()), 32), SHA256()
            case "ES256":
                r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
                return encode_dss_signature(r, s), data, ec.ECDSA(SHA256())
        return signature, data


def fresh(token: str, count: int) -> list[tuple[str]]:
    """The same token as ``count`` strings of their own, as requests bring them."""
    data = token.encode()
    return [(data.decode(),) for _ in range(count)]
