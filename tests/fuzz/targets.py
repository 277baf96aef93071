"""What is fuzzed, and what must hold whatever comes: four functions of bytes, and their seeds.

Each raises only if the package is wrong. They know nothing of the fuzzer, so that the normal
tests run every seed and every past finding through them.
"""

import base64
import json
import math
import re
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import unquote

from jwt_wsgi import ConfigurationError
from jwt_wsgi import InvalidTokenError
from jwt_wsgi import MalformedHeaderError
from jwt_wsgi import assembly
from jwt_wsgi import jose
from jwt_wsgi.bearer import place
from jwt_wsgi.bearer import reader
from jwt_wsgi.claims import scopes
from jwt_wsgi.errors import TOKEN_ERRORS
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.rules import Rules
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.settings.options import OPTIONS
from jwt_wsgi.settings.options import PREFIX
from jwt_wsgi.testing import FakeIssuer

FAR: Final = 4_102_444_800  # 2100: a corpus kept on disk does not expire
MAX_SIZE: Final = 4096
PLACES: Final = [place("header", MAX_SIZE)]
#: credentials = "Bearer" 1*SP b64token (RFC 6750 section 2.1), the scheme in any case.
CREDENTIALS: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")

#: By the first byte of an input; the cheap ones, because every input is signed.
ISSUERS: Final = [FakeIssuer("https://i", algorithm=name) for name in ("HS256", "EdDSA", "ES256")]
#: On other terms each, so that every check of claims is reached.
TERMS: Final[list[Any]] = [
    {},
    {"audience": ["api", "https://a.example/v1/*"], "required_scopes": "read"},
    {"audience": "*", "claims": {"a.b": ["x", 1], "c": True}, "required_claims": "jti a.c"},
]
MIDDLEWARE: Final = [
    issuer.protect(lambda *_: [], max_token_size=MAX_SIZE, **terms)
    for issuer, terms in zip(ISSUERS, TERMS, strict=True)
]


class Target(NamedTuple):
    """One parser under fire. ``json_from``: where an input's JSON starts; None: it has none."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    json_from: int | None


def header(data: bytes) -> None:
    """The header parser reads exactly the language of RFC 6750; a request is never a 500."""
    value = data.decode("latin-1")
    expected = CREDENTIALS.fullmatch(value)
    try:
        token = reader(PLACES)({"HTTP_AUTHORIZATION": value}, False)
    except MalformedHeaderError:
        assert not expected, "a header of the grammar is malformed"
    except InvalidTokenError as error:
        assert error.code == "token_malformed"
        assert len(value) > MAX_SIZE, "no long header is too long"
    else:
        assert token == (expected[1] if expected else None)
        assert expected or not value
    _ask(value)


def token(data: bytes) -> None:
    """Refused by ``InvalidTokenError``, or right in everything that a second look can see.

    An input that starts with a byte of 0 to 2 is a header and claims, parted by a newline and
    signed here, so that what lies behind the signature is reached; any other is the token.
    """
    index = data[0] if data else 255
    signed = index < len(ISSUERS)
    text = _sign(ISSUERS[index], data[1:]) if signed else data.decode("utf-8", "surrogateescape")
    verifier = MIDDLEWARE[index if signed else len(text) % 3].verifier
    try:
        claims = verifier.verify(text)
    except InvalidTokenError as error:
        assert error.code in TOKEN_ERRORS
        str(error).encode("utf-8")  # a log can hold it
        assert all(fact.isascii() and len(fact) < 1000 for fact in error.facts.values())
        assert not signed or error.code != "signature_invalid"
    else:
        _look_again(text, claims, claims.header)
        scopes(claims)
        assert verifier.verify(text) == claims  # as it is remembered


def jwks(data: bytes) -> None:
    """No set (``DocumentError``), or one whose every key is public, of its kind and of a size."""
    try:
        keyset = KeySet.parse(data)
    except DocumentError as error:
        str(error).encode("ascii")
        return
    kids = (None, "no such kid", *keyset.kids[:8])
    for name, algorithm in jose.ALGORITHMS.items():
        for kid in kids:
            for key in keyset.candidates({"alg": name} | ({} if kid is None else {"kid": kid})):
                assert kid != "no such kid" or kid in keyset
                assert key.kty == algorithm.kty != "oct"
                assert key.crv in algorithm.crvs
                assert key.kty != "RSA" or 2048 <= key.public_key.key_size <= 8192
                assert not jose.verify(name, key, b"x", bytes(64))
    assert keyset.digest == KeySet.parse(data).digest
    for dropped in keyset.unusable():
        (dropped.kid + dropped.reason).encode("ascii")


def settings(data: bytes) -> None:
    """Settings, or a ``ConfigurationError`` that tells no secret; then a middleware can be made."""
    environ, request = _environ(data)
    try:
        read = Settings.load({}, environ=environ, request=request)
    except ConfigurationError as error:
        assert str(error)
        return
    assert 0 <= read.leeway <= 300
    policy = read.policy
    assert 1 <= policy.refresh_after <= policy.max_age <= policy.expires_after
    assert 0.1 <= policy.timeout <= 60
    symmetric = set(jose.SECRET_SIZES) & set(read.algorithms)
    assert not symmetric or read.secret
    Rules(read.request_rules).find("GET", "/")
    assembly.verifier(read, lambda _event: None)
    assembly.metadata(read)
    repr(read)


def _ask(authorization: str) -> None:
    """One request with that header: a refusal in JSON, unless it carries the one good token."""
    answer: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_AUTHORIZATION": authorization}
    body = b"".join(MIDDLEWARE[0](environ, lambda *args: answer.extend(args)))
    if not answer:  # the app was called; it says nothing
        assert environ["jwt_wsgi.payload"]["iss"] == "https://i"
        return
    status, headers = answer
    assert status == "401 Unauthorized"
    assert json.loads(body)["error"]
    assert dict(headers)["WWW-Authenticate"].startswith('Bearer realm="api"')
    assert environ["jwt_wsgi.payload"] is None
    assert "".join(map("".join, headers)).isprintable()


def _sign(issuer: FakeIssuer, data: bytes) -> str:
    head, _, body = data.partition(b"\n")
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, body))
    signature = issuer._keys[0].sign(signed)
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def _look_again(text: str, claims: Mapping[str, Any], head: Mapping[str, Any]) -> None:
    """What RFC 7515 and 7519 ask of an accepted token, by another reader than ours."""
    parts = [part + "=" * (-len(part) % 4) for part in text.split(".")]
    assert len(parts) == 3
    assert json.loads(base64.urlsafe_b64decode(parts[0])) == head
    assert json.loads(base64.urlsafe_b64decode(parts[1])) == claims
    assert head["alg"] in ("HS256", "EdDSA", "Ed25519", "ES256")
    assert not {"crit", "b64"} & head.keys()
    assert isinstance(head.get("kid", ""), str)
    assert claims["iss"] == "https://i"
    assert "cnf" not in claims
    if head["alg"] == "HS256":
        assert "aud" not in claims
    elif head["alg"] != "ES256":
        aud = claims["aud"]
        assert any(map(_is_ours, [aud] if isinstance(aud, str) else aud))
    for name, sign in (("exp", 1), ("nbf", -1)):
        date = claims.get(name, FAR * sign)
        assert type(date) in (int, float)
        assert math.isfinite(date)
        assert (date - time.time()) * sign > -31


def _is_ours(aud: str) -> bool:
    path = unquote(re.split(r"[?#]", aud)[0]).replace("\\", "/")
    below = f"{aud}/".startswith("https://a.example/v1/")
    return aud == "api" or (below and {".", ".."}.isdisjoint(path.split("/")))


def _environ(data: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Lines ``name=value``; ``@name=`` is a file's content, ``.name=`` an environ key's."""
    environ, request = {"JWT_WSGI_ISSUER": "https://i"}, {}
    for number, line in enumerate(data.split(b"\x1e")):
        name, _, raw = line.partition(b"=")
        key = name.decode("ascii", "replace").lstrip("@.")
        value = raw.decode("utf-8", "surrogateescape")
        if name.startswith(b".") and key in OPTIONS and OPTIONS[key].text:
            request[key] = value
        elif name.startswith(b"@"):
            path = FILES / str(number % 8)
            path.write_bytes(raw)
            environ[f"{PREFIX}{key.upper()}_FILE"] = str(path)
        elif not any(word in key for word in ("file", "cert", "verify")):
            environ[PREFIX + key.upper()] = value  # no path of the fuzzer's is opened
    return environ, request


FILES: Final = Path(tempfile.mkdtemp(prefix="jwt_wsgi_fuzz_"))


def _header_seeds() -> Iterable[bytes]:
    yield from (b"", b"Bearer abc", b"bearer  a.b-c_d~e+f/g==", b"Basic YTpi", b"Bearer a b")
    yield from (b"Bearer a,Bearer b", b"Bearer =", b"BEARER\tabc", b"Bearer \xff", b"Bearer a\n")
    yield b"Bearer " + ISSUERS[0].token(exp=FAR).encode()
    yield b"Bearer" + b" " * 70 + b"a" * (MAX_SIZE - 70)


#: For each of the terms something good, and something near it.
CLAIMS: Final[list[dict[str, Any]]] = [
    {},
    {"aud": ["x", "api"], "scope": "read"},
    {"aud": "https://a.example/v1/x/%2e%2e/y", "scp": ["read"]},
    {"aud": "https://a.example/v1/%2E%2e%5cx", "scope": "read write"},
    {"a": {"b": ["y", 1], "c": 0}, "c": True, "jti": "a"},
    {"a.b": "x", "a.c": [], "c": 1, "jti": ""},
]


def _token_seeds() -> Iterable[bytes]:
    for index, issuer in enumerate(ISSUERS):
        yield issuer.token(exp=FAR).encode()
        head = json.dumps({"alg": issuer.algorithm, "kid": issuer.kid, "typ": "JWT"}).encode()
        for more in (*CLAIMS, {"nbf": 1}, {"cnf": {}}, {"sub": "\U0001f600", "a": [[]]}):
            body = json.dumps({"iss": "https://i", "exp": FAR, **more}).encode()
            yield bytes([index]) + head + b"\n" + body
    yield b'\0{"alg":"HS256","crit":["b64"],"b64":false}\n{"exp":1e999}'
    yield b'\0{"alg":"HS256"}\n{"a":' + b"[" * 1500 + b"]" * 1500 + b"}"
    yield b'\1{"alg":"none"}\n{"exp":NaN,"exp":"1"}'


def _jwks_seeds() -> Iterable[bytes]:
    names = ["RS256", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed448"]
    members = [FakeIssuer(algorithm=name).jwks()["keys"][0] for name in names]
    yield from (json.dumps({"keys": [member]}).encode() for member in members)
    yield json.dumps({"keys": members}).encode() + b"\n"
    yield json.dumps({"keys": [{**members[1], "key_ops": ["verify"]}, {"kty": "oct"}]}).encode()
    yield json.dumps({"keys": [{"kty": "EC", "x5c": [CERTIFICATE]}]}).encode()
    yield b'{"keys":[]}'


def _settings_seeds() -> Iterable[bytes]:
    examples = {
        "audience": "api https://a.example/*",
        "jwks": json.dumps(FakeIssuer(algorithm="EdDSA").jwks()),
        "secret": "base64:" + "A" * 88,
        "algorithms": "ES256,RS256",
        "leeway": "1.5m",
        "claims": '{"org":["a",1,true],"x.y":"z"}',
        "cors": "https://a.example:8443",
        "jwks_headers": "X-Key=abc",
        "public_paths": "/docs/*,/healthz",
        "required_scopes": '["read","write"]',
        "optional": "yes",
        "max_token_size": "1000",
        "jwks_max_age": "10m",
        "jwks_uri": "https://[::1]:8080/x",
        "port_80_tcp": "tcp://10.0.0.1",
        "leewya": "5",
    }
    for name, value in examples.items():
        yield f"{name}={value}".encode()
        yield f"@{name}={value}\n".encode()
        yield f".{name}={value}".encode()
    yield "\x1e".join(f"{name}={value}" for name, value in examples.items()).encode()


#: Of an EC key, made once: a JWK that carries nothing else.
CERTIFICATE: Final = (
    "MIIBBjCBraADAgECAgEBMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMMAXgwIBcNMjYwMTAxMDAwMDAwWhgPMjA5OTAxMD"
    "EwMDAwMDBaMAwxCjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASNtXGvaK8GDRduGXBxZH+sTVyT"
    "9xPCwRkDpCXU9uFq1wmOBTwLkMpblCKr8zjMcBVXO1W66guPkFNNsXRfxOP+MAoGCCqGSM49BAMCA0gAMEUCIHidoY"
    "h4RmBAsyIXtPG2jHZP0TyFGOP1z+hqUJBk+Uu8AiEAgSsojOQxyzcgTiH+U1E0TXVH+pt5eo/e99d2AUrXAjs="
)

TARGETS: Final[Mapping[str, Target]] = {
    "header": Target(header, _header_seeds, None),
    "token": Target(token, _token_seeds, 1),
    "jwks": Target(jwks, _jwks_seeds, 0),
    "settings": Target(settings, _settings_seeds, None),
}
