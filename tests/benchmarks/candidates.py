"""The libraries: functions that make ``verify(token)``; key loaded, exp, iss and aud checked."""

import json
import os
import subprocess
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

from gate import Verify
from tokens import AUDIENCE
from tokens import ISSUER
from tokens import Mint
from tokens import Published

from jwt_wsgi import JWTMiddleware

CACHE_OFF = {"token_cache_size": 0}


def protected(app, mint: Published, **options) -> JWTMiddleware:
    """Our middleware at default configuration."""
    return JWTMiddleware(app, issuer=ISSUER, jwks=mint.jwks, audience=AUDIENCE, **options)


def no_app(environ, start_response):
    """Answers at once, but for ``/busy``: 20 ms of Python that never gives the GIL away."""
    if environ["PATH_INFO"] == "/busy":
        until = time.perf_counter() + 0.02
        while time.perf_counter() < until:
            pass
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


def ours(mint: Published) -> Verify:
    return protected(no_app, mint).verifier.verify


def ours_cold(mint: Published) -> Verify:
    return protected(no_app, mint, **CACHE_OFF).verifier.verify


def pyjwt(mint: Published) -> Verify:
    import jwt

    key, algorithms = jwt.PyJWK(mint.jwk).key, [mint.algorithm]
    return lambda token: jwt.decode(
        token, key, algorithms=algorithms, audience=AUDIENCE, issuer=ISSUER
    )


def pyjwt_jwks(mint: Published) -> Verify:
    import jwt

    keys, algorithms = jwt.PyJWKSet.from_dict(mint.jwks), [mint.algorithm]

    def verify(token: str) -> object:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        return jwt.decode(token, key, algorithms=algorithms, audience=AUDIENCE, issuer=ISSUER)

    return verify


def _joserfc(key, algorithm: str) -> Verify:
    from joserfc import jwt

    registry = jwt.JWTClaimsRegistry(
        exp={"essential": True},
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
    )

    def verify(token: str) -> object:
        decoded = jwt.decode(token, key, algorithms=[algorithm])
        registry.validate(decoded.claims)
        return decoded.claims

    return verify


def joserfc(mint: Published) -> Verify:
    from joserfc.jwk import import_key

    return _joserfc(import_key(mint.jwk), mint.algorithm)


def joserfc_keyset(mint: Published) -> Verify:
    from joserfc.jwk import KeySet

    return _joserfc(KeySet.import_key_set(mint.jwks), mint.algorithm)


def authlib(mint: Published) -> Verify:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # authlib.jose is deprecated, and still the faster one
        from authlib.jose import JsonWebKey
        from authlib.jose import JsonWebToken
    engine, keys = JsonWebToken([mint.algorithm]), JsonWebKey.import_key_set(mint.jwks)
    options = {
        "exp": {"essential": True},
        "iss": {"essential": True, "value": ISSUER},
        "aud": {"essential": True, "value": AUDIENCE},
    }

    def verify(token: str) -> object:
        claims = engine.decode(token, keys, claims_options=options)
        claims.validate()
        return claims

    return verify


def python_jose(mint: Published) -> Verify:
    from jose import jwk
    from jose import jwt

    key, algorithms = jwk.construct(mint.jwk), [mint.algorithm]
    return lambda token: jwt.decode(
        token, key, algorithms=algorithms, audience=AUDIENCE, issuer=ISSUER
    )


def jwcrypto(mint: Published) -> Verify:
    from jwcrypto import jwk
    from jwcrypto import jwt

    key = jwk.JWK(**mint.jwk)
    wanted = {"iss": ISSUER, "aud": AUDIENCE, "exp": None}

    def verify(token: str) -> object:
        checked = jwt.JWT(jwt=token, key=key, algs=[mint.algorithm], check_claims=wanted)
        return json.loads(checked.claims)

    return verify


def oxyjwt(mint: Published) -> Verify:
    import oxyjwt
    from cryptography.hazmat.primitives import serialization

    pem = mint.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    kind = {"RS": "rsa", "PS": "rsa", "ES": "ec", "Ed": "ed"}[mint.algorithm[:2]]
    key = getattr(oxyjwt.DecodingKey, f"from_{kind}_pem")(pem)
    algorithms = [mint.algorithm]
    return lambda token: oxyjwt.decode(
        token, key, algorithms=algorithms, audience=AUDIENCE, issuer=ISSUER
    )


class NodePeer:
    """A library of Node's, in one Node process for all of them; told what to do line by line."""

    def __init__(self, name: str, mint: Mint) -> None:
        self._name = name
        self._node = _node(json.dumps(mint.jwk), mint.algorithm)
        self._ask([mint.token()] * 3000)  # until V8 has compiled it

    def _ask(self, tokens: list[str]) -> dict:
        self._node.stdin.write(json.dumps({"name": self._name, "tokens": tokens}) + "\n")
        self._node.stdin.flush()
        return json.loads(self._node.stdout.readline())

    def __call__(self, token: str) -> object:
        answer = self._ask([token])
        if answer["refused"]:
            raise ValueError(answer["why"])
        return answer

    def timed(self, tokens: list[str]) -> float:
        """Seconds of CPU for one of these tokens."""
        return self._ask(tokens)["seconds"] / len(tokens)

    def shares(self, token: str) -> bool:
        """Whether two requests with the same token get the same object."""
        return self._ask([token, token])["shared"]


@cache
def _node(jwk: str, algorithm: str) -> "subprocess.Popen[str]":
    modules = os.environ.get("BENCH_NODE", "")
    if not modules:
        raise ModuleNotFoundError("node or npm", name="node")
    script = Path(__file__).parent / "node" / "libraries.mjs"
    return subprocess.Popen(
        ["node", script, modules, jwk, algorithm, ISSUER, AUDIENCE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def node(name: str) -> Callable[[Mint], Verify]:
    return lambda mint: NodePeer(name, mint)


#: Who verifies every token anew. (oxyjwt, a drop-in replacement of PyJWT, is Rust.)
LIBRARIES: dict[str, Callable[[Mint], Verify]] = {
    "ours": ours_cold,
    "oxyjwt": oxyjwt,
    "fast-jwt": node("fast-jwt"),
    "jose (Node)": node("jose"),
    "authlib.jose": authlib,
    "python-jose": python_jose,
    "joserfc": joserfc,
    "joserfc KeySet": joserfc_keyset,
    "PyJWT": pyjwt,
    "PyJWT + JWKS": pyjwt_jwks,
    "jwcrypto": jwcrypto,
}
#: Who was built to see the same token again.
REMEMBERING: dict[str, Callable[[Mint], Verify]] = {
    "ours": ours,
    "fast-jwt + cache": node("fast-jwt + cache"),
    "oxyjwt": oxyjwt,
    "authlib.jose": authlib,
}
