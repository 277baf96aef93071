"""Every threat of the catalogue is a row of ``ATTACKS``, or a test named in ``ELSEWHERE``.

A row is a value of the Authorization header and the answer it must get, through a whole call:
validator, middleware, validator, app, with the keys of a remote issuer that counts its requests.
"""

import io
import json
import logging
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import NamedTuple
from wsgiref.validate import validator

import forge
import pytest
from conftest import IN_A_DAY
from conftest import EchoApp
from fault_issuer import fault_server
from fault_issuer import says
from forge import claims
from forge import token
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.errors import TOKEN_ERRORS
from jwt_wsgi.event_log import LogHook
from jwt_wsgi.events import Refused
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.settings.issuer import Issuer
from jwt_wsgi.testing import FakeIssuer

# --- What a refused request gets -----------------------------------------------------------------

Expected = tuple[int, dict[str, str], str]
MALFORMED_HEADER = {"error": "Invalid authorization header format"}
ANSWERS: dict[str, Expected] = {
    code: (
        401,
        {"error": "Invalid token", "details": text, "code": code},
        f'Bearer realm="api", error="invalid_token", error_description="{text}"',
    )
    for code, text in TOKEN_ERRORS.items()
} | {
    "no token": (401, {"error": "No token provided"}, 'Bearer realm="api"'),
    "other scheme": (401, MALFORMED_HEADER, 'Bearer realm="api"'),
    "no b64token": (401, MALFORMED_HEADER, 'Bearer realm="api", error="invalid_token"'),
    "two tokens": (
        400,
        {"error": "Multiple tokens provided"},
        'Bearer realm="api", error="invalid_request"',
    ),
    "insufficient_scope": (
        403,
        {
            "error": "Insufficient scope",
            "details": "The token does not permit this request",
            "code": "insufficient_scope",
        },
        (
            'Bearer realm="api", error="insufficient_scope",'
            ' error_description="The token does not permit this request", scope="read write"'
        ),
    ),
}
#: What is refused for one of these has been looked up or computed; anything else costs no fetch.
NEEDS_KEYS = {"key_not_found", "signature_invalid", "token_bound", "insufficient_scope"}
HEADERS = {"Content-Type", "Content-Length", "Cache-Control", "WWW-Authenticate"}


class Attack(NamedTuple):
    id: str
    header: str | Callable[[], str]  # the whole value, or what makes it
    code: str
    rfc: str
    options: dict[str, Any] = {}  # noqa: RUF012  # read, never changed


def rows(
    name: str,
    code: str,
    rfc: str,
    variants: dict[str, Any],
    /,
    make: Callable[[Any], str] = lambda variant: variant,
    **options: Any,
) -> list[Attack]:
    """A row for each variant; ``make`` turns it into a token."""

    def header(variant: Any) -> Callable[[], str]:
        return lambda: f"Bearer {make(variant)}"

    return [
        Attack(f"{name}: {key}", header(variant), code, rfc, options)
        for key, variant in variants.items()
    ]


def named(*variants: Any) -> dict[str, Any]:
    return {f"{number} {ascii(variant)[:40]}": variant for number, variant in enumerate(variants)}


def cut(text: str, place: int, change: Callable[[str], str]) -> str:
    """A token with one of its three segments changed."""
    parts = text.split(".")
    parts[place] = change(parts[place])
    return ".".join(parts)


def spare_bits(segment: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(segment) % 4 > 1, "no spare bits here"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) + 1]


def until(good: Callable[[str], bool]) -> str:
    """A token that is like this; members of no meaning differ until it is."""
    made = (token({"x": "y" * n}, {"x": "y" * n}) for n in range(200))
    return next(filter(good, made))


KID = "EdDSA"
STRANGER = FakeIssuer(forge.ISSUER)
STRANGER_EC = FakeIssuer(forge.ISSUER, algorithm="ES256")
STRANGERS_JWK = STRANGER.jwks()["keys"][0]
HEAD = '"alg":"EdDSA","kid":"EdDSA"'
BASE = '"iss":"https://issuer.example","sub":"mallory"'
LATER = "99999999999"
API = "https://api.example"


def by_header(more: str) -> str:
    """A good token but for this in the text of its header."""
    return token(f"{{{HEAD},{more}}}".encode())


def by_claims(more: str) -> str:
    """A good token but for this in the text of its claims, which have no exp otherwise."""
    return token(payload=f"{{{BASE},{more}}}".encode())


def by_stranger(header: dict[str, Any]) -> str:
    return token(header, sign=STRANGER._keys[0].sign)


SIGNATURE_AND_ALGORITHM = [
    *rows("T01 alg none, signed", "algorithm_not_allowed", "RFC 8725 3.2",
          named("none", "None", "NONE", "nOnE", "", "null"), lambda alg: token({"alg": alg})),
    *rows("T01 alg none, empty signature", "algorithm_not_allowed", "RFC 7518 3.6",
          named("none", "None", "NONE", "nOnE"), lambda alg: token({"alg": alg}, sign=b"")),
    *rows("T01 empty signature", "signature_invalid", "RFC 7518 3.6",
          named("EdDSA", "ES256", "RS256"), lambda alg: token(alg=alg, sign=b"")),
    *rows("T02 public key as secret", "algorithm_not_allowed", "RFC 8725 3.1",
          forge.confusion_secrets(),
          lambda secret: token({"alg": "HS256"}, sign=forge.hmac_signer(secret))),
    *rows("T02 PEM as secret", "algorithm_not_allowed", "RFC 8725 3.1", named("HS384", "HS512"),
          lambda alg: token({"alg": alg, "kid": "RS256"},
                            sign=forge.hmac_signer(forge.confusion_secrets()["RS256 PEM"], alg))),
    *rows("T02 HMAC under a public algorithm", "signature_invalid", "RFC 8725 3.1",
          named("RS256", "ES256", "EdDSA"),
          lambda alg: token(alg=alg, sign=forge.hmac_signer(
              forge.confusion_secrets()[f"{alg} PEM"]))),
    *rows("T03 published secret", "algorithm_not_allowed", "RFC 7518 6.4", named("HS256"),
          lambda alg: token({"alg": alg, "kid": "oct"}, sign=forge.hmac_signer(forge.SECRET))),
    *rows("T03 published secret, other alg", "key_not_found", "RFC 7518 6.4",
          named("EdDSA", "ES256", "RS256"), lambda alg: token({"alg": alg, "kid": "oct"})),
    *rows("T04 good, but not listed", "algorithm_not_allowed", "RFC 8725 3.1",
          named("RS256", "ES384", "EdDSA"), lambda alg: token(alg=alg), algorithms="ES256"),
    *rows("T04 name like a listed one", "algorithm_not_allowed", "RFC 8725 3.1",
          named("es256", "ES", "ES256 ", " ES256", "ES256,RS256", "ES2567", "\0ES256", "S256"),
          lambda alg: token({"alg": alg}, alg="ES256"), algorithms="ES256"),
    *rows("T04 opt-in that nobody asked for", "algorithm_not_allowed", "RFC 8812 3.2",
          named("ES256K", "Ed448"), lambda alg: token(alg=alg)),
    *rows("T05 JWK of another alg", "key_not_found", "RFC 8725 3.1",
          named("RS512", "PS256", "RS384"), lambda alg: token({"kid": "RS256"}, alg=alg)),
    *rows("T05 alg of another kty", "key_not_found", "RFC 8725 3.1",
          named("ES256", "EdDSA", "ES384"),
          lambda alg: token({"kid": "RSA without alg"}, alg=alg)),
    *rows("T06 alg no string", "token_malformed", "RFC 7515 4.1.1",
          named(["EdDSA"], [], {}, {"EdDSA": 1}, None, 0, 1, True, False, ..., ["none"]),
          lambda alg: token({"alg": alg})),
    *(row for alg in ("ES256", "ES384", "ES512") for row in rows(
          f"T07 {alg}", "signature_invalid", "RFC 7518 3.4", forge.ecdsa_forgeries(alg),
          lambda sign, alg=alg: token(alg=alg, sign=sign))),
    *rows("T08 PKCS #1", "signature_invalid", "RFC 8017 8.2.2", forge.pkcs1_forgeries(),
          lambda sign: token(alg="RS256", sign=sign)),
    *rows("T08 e is 3", "signature_invalid", "RFC 8017 8.2.2", {"forged": forge.bleichenbacher},
          lambda sign: token({"kid": "e is 3"}, alg="RS256", sign=sign)),
    *rows("T09 PSS", "signature_invalid", "RFC 7518 3.5", forge.pss_forgeries(),
          lambda sign: token({"alg": "PS256", "kid": "RSA without alg"}, sign=sign)),
    *rows("T10 EdDSA", "signature_invalid", "RFC 8032 5.1.7", forge.eddsa_forgeries(),
          lambda sign: token(sign=sign)),
    *rows("T10 key of another curve", "key_not_found", "RFC 8037 3.1", named("X25519", "Ed448"),
          lambda kid: token(key=kid)),
    *rows("T10 point of small order", "key_not_found", "RFC 8725 3.4",
          {"neutral": b"\1" + bytes(63), "zeros": bytes(64)},
          lambda made: token({"kid": "small order"}, sign=made)),
    *rows("T11 curve of another alg", "key_not_found", "RFC 7518 3.4",
          named(("ES384", "P-256 without alg"), ("ES256", "ES384"), ("ES256", "ES256K"),
                ("ES512", "ES256"), ("ES384", "ES512")),
          lambda pair: token(alg=pair[0], key=pair[1])),
    *rows("T12 weak key", "key_not_found", "RFC 7518 3.3",
          {kid: (kid, sign) for kid, sign in forge.WEAK_SIGNERS.items()},
          lambda pair: token({"kid": pair[0]}, alg="RS256", sign=pair[1])),
    *rows("T13 padding", "token_malformed", "RFC 7515 2", named("=", "==", "==="),
          lambda more: token() + more),
    *rows("T13 padding inside", "no b64token", "RFC 7515 2", {"header": 0, "payload": 1},
          lambda place: cut(token(), place, lambda segment: segment + "=")),
    *rows("T13 spare bits", "token_malformed", "RFC 4648 3.5",
          {"header": 0, "payload": 1, "signature": 2},
          lambda place: cut(until(lambda made: len(made.split(".")[place]) % 4 > 1), place,
                            spare_bits)),
    *rows("T13 standard alphabet", "token_malformed", "RFC 7515 2", {"signature": 2},
          lambda place: cut(until(lambda made: {"-", "_"} <= set(made.split(".")[2])), place,
                            lambda segment: segment.replace("-", "+").replace("_", "/"))),
    *rows("T13 inserted character", "no b64token", "RFC 7515 2",
          named("\n", "\r\n", " ", "\t", "%", "\0", "\xff", "!", ":", "*", "'"),
          lambda sign: cut(token(), 2, lambda segment: segment[:9] + sign + segment[9:])),
    *rows("T13 a letter more", "token_malformed", "RFC 7515 2", {"header": 0, "signature": 2},
          lambda place: cut(token(), place,
                            lambda segment: segment + "A" * (-len(segment) % 4 + 1))),
    *rows("T13 a bit of another", "signature_invalid", "RFC 7515 5.2",
          named(*range(0, 64, 9)), lambda byte: token(sign=lambda data: bytes(
              value ^ (index == byte) for index, value in enumerate(forge.signer(KID)(data))))),
]  # fmt: skip


def jwe(**header: Any) -> str:
    """Five parts; nobody may even look at what they say."""
    inner = forge.part({"alg": "none"}) + "." + forge.part(claims()) + "."
    return ".".join([forge.part(header), "AAAA", "AAAA", forge.part(inner.encode()), "AAAA"])


JSON_TROUBLE = {
    "a list": b'["alg"]', "a string": b'"alg"', "a number": b"5", "null": b"null", "true": b"true",
    "nothing": b"", "no JSON": b"alg", "an open brace": b"{", "trailing": b"{} x", "two": b"{}{}",
    "a vertical tab in front": b'\v{"alg":"EdDSA"}', "single quotes": b"{'alg':'EdDSA'}",
    "a comment": b'{"alg":"EdDSA"/**/}', "a comma more": b'{"alg":"EdDSA",}',
    **{coding: '{"alg":"EdDSA","kid":"EdDSA"}'.encode(coding)
       for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig")},
    "latin-1": '{"alg":"EdDSA","x":"ä"}'.encode("latin-1"),
    "overlong UTF-8": b'{"alg":"EdDSA","x":"\xc0\xae"}',
    "surrogate in UTF-8": b'{"alg":"EdDSA","x":"\xed\xa0\x80"}',
    "NUL": b'{"alg":"EdDSA"}\0',
}  # fmt: skip
MEMBER_TROUBLE = {
    "NaN": '"x":NaN', "Infinity": '"x":Infinity', "-Infinity": '"x":-Infinity',
    "1e400": '"x":1e400',
    "5000 digits": '"x":' + "9" * 5000, "-5000 digits": '"x":-' + "9" * 5000,
    "duplicate": '"x":1,"x":1', "escaped duplicate": r'"x":1,"\u0078":1',
    "duplicate inside": '"x":{"y":1,"y":2}', "lone surrogate": r'"x":"\ud800"',
    "lone low surrogate": r'"x":"\uDFFF"', "surrogate as a name": r'"\ud800":1',
    "40 deep": '"x":' + "[" * 40 + "]" * 40,
    "40 objects deep": '"x":' + '{"x":' * 40 + "1" + "}" * 40,
    "1500 deep": '"x":' + "[" * 1500 + "]" * 1500, "1500 open": '"x":' + "[" * 1500,
    "control character": '"x":"\1"', "octal": '"x":010', "hexadecimal": '"x":0x10',
}  # fmt: skip
STRUCTURE_AND_HEADER = [
    *rows("T14 segments", "token_malformed", "RFC 7515 7.1",
          named("a", "a.b", ".", "..", "...", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c.d.e",
                "a.b.c.d.e.f", "." * 16_000, "a" * 16_000, "a.b." * 4000)),
    *rows("T14 million of dots", "token_malformed", "RFC 7515 7.1",
          {"dots": "." * 1_000_000, "letters": "a" * 1_000_000, "both": "a." * 500_000}),
    *rows("T14 dots within a generous limit", "token_malformed", "RFC 7515 7.1",
          {"dots": "." * 999_999, "both": "a." * 499_999}, max_token_size=1_000_000),
    *rows("T15 JSON serialisation", "no b64token", "RFC 7515 7.2",
          {"flattened": json.dumps({"protected": "e30", "payload": "e30", "signature": "AA"}),
           "general": json.dumps({"payload": "e30", "signatures": []}),
           "mixture": '{"' + "a.b." + '":"","protected":"e30","payload":"e30","signature":"AA"}'}),
    *rows("T15 JSON serialisation, encoded", "token_malformed", "RFC 7515 7.2",
          {"flattened": forge.part({"protected": "e30", "payload": "e30", "signature": "AA"})}),
    *rows("T16 JWE", "token_malformed", "RFC 7516 7.1",
          {"with a plain JWT inside": {"alg": "dir", "enc": "A128GCM", "cty": "JWT"},
           "RSA": {"alg": "RSA-OAEP", "enc": "A256GCM"},
           "zip": {"alg": "dir", "enc": "A128GCM", "zip": "DEF"},
           "p2c": {"alg": "PBES2-HS512+A256KW", "enc": "A128GCM", "p2c": 2**31, "p2s": "AAAA"}},
          lambda header: jwe(**header)),
    *rows("T16 alg of a JWE", "algorithm_not_allowed", "RFC 7518 4.1",
          named("dir", "RSA-OAEP", "RSA1_5", "PBES2-HS512+A256KW", "ECDH-ES", "A128KW"),
          lambda alg: token({"alg": alg, "enc": "A128GCM", "zip": "DEF", "p2c": 2**31})),
    *rows("T17 header", "token_malformed", "RFC 8725 3.7", JSON_TROUBLE, token),
    *rows("T17 member of the header", "token_malformed", "RFC 8725 3.7", MEMBER_TROUBLE, by_header),
    *rows("T17 header too large", "token_malformed", "RFC 7515 4",
          {"100,000 deep": '"x":' + "[" * 100_000 + "]" * 100_000, "9 KB": f'"x":"{"x" * 9000}"'},
          by_header, max_token_size=1_000_000),
    *rows("T17 two algs", "token_malformed", "RFC 7515 4", named('"alg":"none"', '"alg":"EdDSA"'),
          by_header),
    *rows("T18 crit", "token_malformed", "RFC 7515 4.1.11",
          named(["exp"], [], ["alg"], ["x", "x"], ["b64"], [["a"]], [{}], [1], [None], 5, None,
                True,
                False, 0, "", "exp", {}, {"exp": 1}),
          lambda crit: token({"crit": crit, "exp": 1, "x": 1})),
    *rows("T19 b64", "token_malformed", "RFC 7797 7", named(False, True, None, 0, "false", [], {}),
          lambda b64: token({"b64": b64})),
    *rows("T19 b64 and crit", "token_malformed", "RFC 7797 6", named(False, True),
          lambda b64: token({"b64": b64, "crit": ["b64"]})),
    *rows("T19 raw payload", "no b64token", "RFC 7797 5.2", {"JSON": '{"sub":"mallory"}'},
          lambda raw: cut(token({"b64": False, "crit": ["b64"]}), 1, lambda _: raw)),
    *rows("T20 key in the header, our kid", "signature_invalid", "RFC 8725 3.10",
          {"jwk": {"jwk": STRANGERS_JWK}, "jwk, no kid": {"jwk": STRANGERS_JWK, "kid": ...},
           "jku": {"jku": "https://evil.example/jwks"}, "x5u": {"x5u": "https://evil.example/x"},
           "x5c": {"x5c": ["AAAA"]}, "all of no type": {"jwk": 1, "jku": [], "x5u": {}, "x5c": 0}},
          by_stranger),
    *rows("T20 key in the header, its kid", "key_not_found", "RFC 8725 3.10",
          {"jwk": {"jwk": STRANGERS_JWK, "kid": "stranger"},
           "jku": {"jku": "https://evil.example/jwks", "kid": "stranger"}}, by_stranger),
    *rows("T21 kid", "key_not_found", "RFC 8725 3.10",
          named("../../etc/passwd", "/dev/null", "https://evil.example/jwks", "file:///etc/passwd",
                "' OR 1=1 --", "EdDSA'--", "key\r\nSet-Cookie: a=b", "\x1b[31mred", "\0", "EdDSA\0",
                "${jndi:ldap://evil.example}", "%s%n%x", "{0.__class__}", '"><script>', '"', "\\",
                "\u202e", "\N{GRINNING FACE}" * 64, "x" * 256, " EdDSA", "eddsa", "EdDSA ",
                "__proto__",
                "\n2026-01-01 CRITICAL root logged in"),
          lambda kid: token({"kid": kid})),
    *rows("T21 kid of no form", "token_malformed", "RFC 7515 4.1.4",
          named({}, {"EdDSA": 1}, [], ["EdDSA"], 5, True, None, "", "x" * 257, "x" * 5000),
          lambda kid: token({"kid": kid})),
    *rows("T21 kid of 100 KB", "token_malformed", "RFC 7515 4.1.4", {"long": "x" * 100_000},
          lambda kid: token({"kid": kid})),
    *rows("T43 long line", "algorithm_not_allowed", "RFC 8725 3.10",
          named("\N{GRINNING FACE}" * 64, "\u202e" * 200, "\0" * 200, "'" * 200, "\\" * 200),
          lambda text: token({"alg": text, "kid": text, "typ": text})),
    *rows("T22 unknown kid, good signature", "key_not_found", "RFC 7517 4.5",
          named("nobody", "key-1"),
          lambda kid: token({"kid": kid})),
    *rows("T22 kid of another good key", "signature_invalid", "RFC 7517 4.5", {"P-256": "ES256"},
          lambda kid: token(alg="ES256", key=kid, sign=STRANGER_EC._keys[0].sign)),
    *rows("T24 another kind of JWT", "token_type_not_allowed", "RFC 8725 3.11",
          named("dpop+jwt", "logout+jwt", "secevent+jwt", "application/logout+jwt", "DPoP+JWT",
                "APPLICATION/SECEVENT+JWT", "token-introspection+jwt", "oauth-authz-req+jwt",
                "entity-statement+jwt", "kb+jwt"),
          lambda typ: token({"typ": typ})),
    *rows("T24 not the typ asked for", "token_type_not_allowed", "RFC 9068 4",
          named("JWT", "at+jwt2", "xat+jwt", "", ..., "at+jwt ", "id+jwt"),
          lambda typ: token({"typ": typ}), token_types="at+jwt"),
    *rows("T24 typ no string", "token_malformed", "RFC 7515 4.1.9", named(5, None, ["at+jwt"], {}),
          lambda typ: token({"typ": typ})),
]  # fmt: skip

NO_DATE = {
    "a string": '"x"', "digits": f'"{LATER}"', "empty": '""', "true": "true", "false": "false",
    "null": "null", "a list": f"[{LATER}]", "an object": "{}", "beyond 2^53": "9007199254740994",
    "1e300": "1e300", "10^400": "1" + "0" * 400, "-10^400": "-1" + "0" * 400,
    "milliseconds": "1800000000000", "the year 10000": "253402300800",
}  # fmt: skip
NO_NUMBER = {"NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity", "1e400": "1e400"}
OTHER_ISSUERS = named(
    "https://issuer.example/", "https://issuer.example.evil", "https://issuer.exampl",
    "https://issuer", "http://issuer.example", "HTTPS://ISSUER.EXAMPLE", "https://Issuer.example",
    "https://issuer.example ", " https://issuer.example", "https://issuer.example\0",
    "https://issuer.example#", "https://issuer.example@evil.example", "https://issu\u0435r.example",
    "https://i\u017fsuer.example", "//issuer.example", "", ["https://issuer.example"],
    {"https://issuer.example": 1}, [["https://issuer.example"]], 5, True, None, ...,
    "x" * 5000, "\r\nSet-Cookie: a=b",
)  # fmt: skip
OTHER_AUDIENCES = named(
    ..., "https://api.exampl", "https://api.example/", "https://api.example.evil", "api.example",
    "h", "", "HTTPS://API.EXAMPLE", {API: 1}, [[API]], [{API: 1}], [], None, 5, True, ["x"],
    [API, 5],
    [None, API], [f"{API} x"], f"{API} x", f"{API},x", "*", "https://api.example/*",
)  # fmt: skip
OUTSIDE = named(
    "https://api.example.evil/v1", "https://api.example.evil/", "https://api.example@evil.example/v1",
    "https://api.example/v1x", "https://api.example/v1/../admin", "https://api.example/v1/..",
    "https://api.example/v1/%2e%2e/admin", "https://api.example/v1/.%2E/admin",
    "https://api.example/v1/..%2fadmin", "https://api.example/v1/..%5Cadmin", "https://api.example/v",
    "https://api.example/v1/..\\admin", "https://api.example/v1/.\t./admin", "http://api.example/v1/x",
    "https://api.example/V1/x", "https://api.example//v1/x", "https://api.example:443/v1/x",
)  # fmt: skip
CLAIMS = [
    *(row for name, first in (("exp", ""), ("nbf", f'"exp":{LATER},'), ("iat", f'"exp":{LATER},'))
      for row in [
        *rows(f"T25 {name}", "claim_invalid", "RFC 7519 2", NO_DATE,
              lambda value, name=name, first=first: by_claims(f'{first}"{name}":{value}')),
        *rows(f"T25 {name}", "token_malformed", "RFC 8259 6", NO_NUMBER,
              lambda value, name=name, first=first: by_claims(f'{first}"{name}":{value}'))]),
    *rows("T25 iat, max_token_age", "claim_invalid", "RFC 7519 4.1.6", NO_DATE,
          lambda value: by_claims(f'"exp":{LATER},"iat":{value}'), max_token_age=3600),
    *rows("T26 no iat", "claim_missing", "RFC 7519 4.1.6", {"absent": {"iat": ...}},
          lambda changed: token(payload=changed), max_token_age=3600),
    *rows("T26 iat too long ago", "token_too_old", "RFC 7519 4.1.6", named(0, -1, 1.5),
          lambda iat: token(payload={"iat": iat}), max_token_age=3600),
    *rows("T26 no exp", "claim_missing", "RFC 8725 3.8", {"absent": {"exp": ...}},
          lambda changed: token(payload=changed)),
    *rows("T26 exp long ago", "token_expired", "RFC 7519 4.1.4",
          named(0, -1, 1, 0.0, -1e11, 1e-300),
          lambda exp: token(payload={"exp": exp})),
    *rows("T26 exp beyond the leeway", "token_expired", "RFC 7519 4.1.4", named(31, 32, 3600),
          lambda ago: token(payload={"exp": time.time() - ago})),
    *rows("T27 5000 digits", "token_malformed", "RFC 8259 9",
          named("exp", "nbf", "iat", "x", "aud"),
          lambda name: token(payload=f'{{{BASE},"{name}":{"9" * 5000}}}'.encode())),
    *rows("T28 iss", "issuer_not_trusted", "RFC 8725 3.8", OTHER_ISSUERS,
          lambda iss: token(payload={"iss": iss})),
    *rows("T29 aud", "audience_mismatch", "RFC 7519 4.1.3", OTHER_AUDIENCES,
          lambda aud: token(payload={"aud": aud}), audience=API),
    *rows("T29 aud outside the subtree", "audience_mismatch", "RFC 8725 3.9", OUTSIDE,
          lambda aud: token(payload={"aud": aud}), audience=f"{API}/v1/*"),
    *rows("T31 aud, and no audience configured", "audience_mismatch", "RFC 7519 4.1.3",
          named(API, [API], [], "", None), lambda aud: token(payload={"aud": aud})),
    *rows("T32 payload", "token_malformed", "RFC 7519 7.2", JSON_TROUBLE,
          lambda data: token(payload=data)),
    *rows("T32 member of the payload", "token_malformed", "RFC 7519 7.2", MEMBER_TROUBLE,
          lambda more: by_claims(f'"exp":{LATER},{more}')),
    *rows("T32 500 KB", "token_malformed", "RFC 7519 7.2", {"string": "x" * 500_000},
          lambda text: token(payload={"x": text})),
    *rows("T32 100,000 deep", "token_malformed", "RFC 7519 7.2",
          {"lists": "[" * 100_000 + "]" * 100_000, "open": "[" * 500_000,
           "objects": '{"x":' * 100_000 + "1" + "}" * 100_000},
          lambda text: by_claims(f'"exp":{LATER},"x":{text}'), max_token_size=1_000_000),
    *rows("T32 sub and jti", "claim_invalid", "RFC 7519 4.1.2",
          named(5, True, None, ["x"], {"x": 1}), lambda sub: token(payload={"sub": sub})),
    *rows("T33 scope", "insufficient_scope", "RFC 6749 3.3",
          named(5, True, None, {}, {"read": 1, "write": 1}, [], ["read", 5], ["read write"], "read",
                "readwrite", "read,write", "read\twrite", "read\nwrite", "read\xa0write", "", " ",
                "READ WRITE", "read write2", "xread write", ["read", ["write"]], ...),
          lambda scope: token(payload={"scope": scope}), required_scopes="read write"),
    *rows("T33 scp beside scope", "insufficient_scope", "RFC 8693 4.2", named("read", [], 5, None),
          lambda scope: token(payload={"scope": scope, "scp": ["read", "write"]}),
          required_scopes="read write"),
    *rows("T34 cnf", "token_bound", "RFC 9449 7.2",
          named({"jkt": "x"}, {"x5t#S256": "x"}, {}, None, [], "x", 0, False),
          lambda cnf: token(payload={"cnf": cnf})),
]  # fmt: skip

GOOD = token(payload={"exp": IN_A_DAY})
JOINED = {
    "comma": f"{GOOD},Bearer {GOOD}", "comma and space": f"{GOOD}, Bearer {GOOD}",
    "two tokens": f"{GOOD} {GOOD}", "comma, token": f"{GOOD},{GOOD}", "semicolon": f"{GOOD};",
    "quotes": f'"{GOOD}"', "parameter": f'token="{GOOD}"', "realm": f'{GOOD}, realm="api"',
    "space behind": f"{GOOD} ", "Bearer twice": f"Bearer {GOOD}", "angle brackets": f"<{GOOD}>",
    "spaces": "   ", "padding alone": "==", "padding inside": f"a={GOOD}",
}  # fmt: skip
HTTP = [
    *(Attack(f"T36 joined: {name}", f"Bearer {rest}", "no b64token", "RFC 9110 11.6.2")
      for name, rest in JOINED.items()),
    *(Attack(f"T36 no token: {value!a}", value, "no b64token", "RFC 6750 2.1")
      for value in ("Bearer", "Bearer ", "bearer", "BEARER  ")),
    *(Attack(f"T36 other scheme: {name}", value, "other scheme", "RFC 9110 11.4") for name, value in
      {"Basic": "Basic dXNlcjpwYXNz", "Basic, Bearer": f"Basic x, Bearer {GOOD}",
       "no scheme": GOOD, "comma": f"Bearer,{GOOD}", "colon": f"Bearer: {GOOD}",
       "DPoP": f"DPoP {GOOD}",
       "Bearers": f"Bearers {GOOD}", "equals": f"Bearer={GOOD}", "Token": f"Token {GOOD}",
       "Basic \xff": "Basic \xff", "nothing but spaces": "  "}.items()),
    *(Attack(f"T37 white space: {sign!a}", f"Bearer{sign}{GOOD}", "other scheme",
             "RFC 9110 11.4")
      for sign in ("\t", "\v", "\f", "\r", "\n", "\r\n ", "\x1c", "\x1d", "\x1e", "\x1f", "\x85",
                   "\xa0", "\0", "")),
    *(Attack(f"T37 space and {sign!a}", f"Bearer {sign}{GOOD}", "no b64token",
             "RFC 6750 2.1")
      for sign in ("\t", "\v", "\f", "\r", "\n", "\x1c", "\x1f", "\x85", "\xa0", "\0")),
    *(Attack(f"T37 in front: {sign!a}", f"{sign}Bearer {GOOD}", "other scheme",
             "RFC 9110 11.4") for sign in (" ", "\t", "\0", "\xa0", "\ufeff")),
    *(Attack(f"T38 {sign!a} behind", f"Bearer {GOOD}{sign}", "no b64token", "RFC 6750 2.1")
      for sign in ("\0", "\r", "\n", "\r\n", "\r\nX-Evil: 1", "\xff", "\x80", "\u20ac", "\ud800",
                   "\x7f", "\x1b[2J")),
    *(Attack(f"T38 {size} characters of {sign!a}",
             lambda sign=sign, size=size: "Bearer " + sign * size, "token_malformed",
             "RFC 9110 5.4")
      for size in (16_500, 100_000, 1_000_000, 10_000_000) for sign in "a. \0\xff"),
    *(Attack(f"T38 {size} of another scheme", lambda size=size: "x" * size, "other scheme",
             "RFC 9110 5.4") for size in (16_500, 10_000_000)),
    Attack("T38 empty header", "", "no token", "RFC 6750 3"),
]  # fmt: skip
ATTACKS = SIGNATURE_AND_ALGORITHM + STRUCTURE_AND_HEADER + CLAIMS + HTTP


# --- The whole call ------------------------------------------------------------------------------


class Published(FakeIssuer):
    """Publishes good keys beside everything a careless issuer does."""

    def jwks(self) -> dict[str, Any]:
        return {"keys": forge.PUBLISHED}


@pytest.fixture(scope="module")
def published() -> Iterator[FakeIssuer]:
    with Published().serve() as issuer:
        yield issuer


def door(app: Any, published: FakeIssuer, **options: Any) -> JWTMiddleware:
    """A cold process of the app, whose keys have to be fetched."""
    options = {"issuer": forge.ISSUER, "jwks_uri": published.jwks_uri} | options
    return JWTMiddleware(validator(app), **options)


class Got(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]
    environ: dict[str, Any]


def knock(middleware: Any, header: str | None = None, **environ: Any) -> Got:
    """One request between two validators of WSGI; nothing may escape."""
    asked = EnvironBuilder(path="/private").get_environ() | environ
    if header is not None:
        asked["HTTP_AUTHORIZATION"] = header
    seen: list[dict[str, Any]] = []

    def spied(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ)
        return middleware(environ, start_response)

    chunks, status, headers = run_wsgi_app(validator(spied), asked, buffered=True)
    assert len(headers) == len(set(headers.keys()))
    body = b"".join(chunks)
    is_json = headers["Content-Type"] == "application/json"
    return Got(int(status[:3]), json.loads(body) if is_json else body, dict(headers), seen[0])


def assert_refused(got: Got, code: str, app: EchoApp) -> None:
    status, body, challenge = ANSWERS[code]
    assert (got.status, got.body) == (status, body)
    assert got.headers["WWW-Authenticate"] == challenge
    assert set(got.headers) == HEADERS
    assert (got.headers["Cache-Control"], app.environ) == ("no-store", None)
    assert got.environ["jwt_wsgi.payload"] is None
    assert got.environ["jwt_wsgi.header"] is None


def assert_quiet(lines: Iterable[str], header: str) -> None:
    """Each is one short line of ASCII, and no part of the token is in it."""
    secret = [word for word in re.split(r"[ .]", header[:100_000]) if len(word) > 20]
    for line in lines:
        assert line.isascii()
        assert line.isprintable()
        assert len(line) <= 1024
        assert not any(word in line for word in secret)


@pytest.mark.usefixtures("with_and_without_a_cache")
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # no guard of ours: T12
@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(attack, marks=[pytest.mark.slow] * ("10000000" in attack.id), id=attack.id)
        for attack in ATTACKS
    ],
)
def test_an_attack_is_refused(
    attack: Attack, published: FakeIssuer, app: EchoApp, caplog: pytest.LogCaptureFixture
) -> None:
    """The documented answer and nothing more, without a fetch where none is due."""
    caplog.set_level(logging.DEBUG, "jwt_wsgi")
    header = attack.header if isinstance(attack.header, str) else attack.header()
    middleware, fetched = door(app, published, **attack.options), len(published.requests)

    got = knock(middleware, header)

    assert_refused(got, attack.code, app)
    # A cold process looks an unknown kid up past every cache once it has the first set.
    assert len(published.requests) - fetched in ((1, 2) if attack.code in NEEDS_KEYS else (0,))
    assert_quiet([record.getMessage() for record in caplog.records], header)


def test_a_row_says_what_it_is() -> None:
    """Its threat, a name of its own, an answer that is documented, and the RFC it follows."""
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS)
    for attack in ATTACKS:
        assert re.match(r"T\d\d ", attack.id)
        assert re.fullmatch(r"RFC \d{4}( \d+(\.\d+)*)?", attack.rfc)
        assert attack.code in ANSWERS


ACCEPTED = {
    "T23 unknown members": lambda: token({"nonce": "x", "ver": 1, "x": {"y": [None]}, "iss": 5}),
    "T23 jwk, jku, x5u": lambda: token({"jwk": {}, "jku": "https://evil.example", "x5u": 5}),
    "T23 x5c of 4 KB": lambda: token({"x5c": ["A" * 4096]}),
    "T23 no typ": token,
    **{f"T23 typ {typ}": lambda typ=typ: token({"typ": typ})
       for typ in ("JWT", "jwt", "at+jwt", "application/at+JWT", "", "x")},
    **{f"T11 T48 {alg} beside bad keys": lambda alg=alg: token(alg=alg)
       for alg in forge.GOOD_ALGORITHMS},
    **{f"T05 {alg}, JWK without alg": lambda alg=alg: rsa(alg)
       for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")},
    "T05 ES256, JWK without alg": lambda: token({"kid": "P-256 without alg"}, alg="ES256"),
    "T51 EC twin": lambda: token({"kid": "twins"}, alg="ES256"),
    "T51 RSA twin": lambda: token({"kid": "twins"}, alg="RS256"),
    "T52 no kid": lambda: token({"kid": ...}),
    "T27 4000 digits that nobody asked for": lambda: token(payload={"x": 10**4000}),
    "T27 10^400 in a claim": lambda: token(payload={"x": [10**400, -(10**400)]}),
    "T32 32 deep": lambda: by_claims(f'"exp":{LATER},"x":' + "[" * 31 + "]" * 31),
    "T32 pairs of surrogates": lambda: by_claims(rf'"exp":{LATER},"x":"\ud83d\ude00"'),
    "T32 NUL in a string": lambda: by_claims(rf'"exp":{LATER},"x":"\u0000"'),
    "T25 fractions": lambda: token(payload={"exp": time.time() + 0.5, "nbf": time.time() - 0.5}),
    "T25 exponent": lambda: by_claims('"exp":1e11'),
}  # fmt: skip


def rsa(alg: str) -> str:
    return token({"alg": alg, "kid": "RSA without alg"}, sign=forge.signer(alg))


@pytest.mark.usefixtures("with_and_without_a_cache")
@pytest.mark.parametrize("made", ACCEPTED.values(), ids=ACCEPTED)
def test_unusual_but_valid_tokens_and_key_sets_are_accepted(
    made: Callable[[], str], published: FakeIssuer, app: EchoApp
) -> None:
    """RFC 7515 section 4: unknown members are ignored. One bad key does not affect the others."""
    every = door(app, published, algorithms=[*forge.GOOD_ALGORITHMS, *("RS384", "RS512"),
                                             *("PS256", "PS384", "PS512")])  # fmt: skip
    got = knock(every, f"Bearer {made()}")

    assert got.status == 200
    assert got.environ["jwt_wsgi.payload"]["iss"] == forge.ISSUER


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEARER", "Bearer   "])
def test_a_scheme_of_any_case_and_some_spaces_is_bearer(
    scheme: str, published: FakeIssuer, app: EchoApp
) -> None:
    """T37: RFC 9110 section 11.1, RFC 6750 section 2.1."""
    assert knock(door(app, published), f"{scheme} {GOOD}").status == 200


@pytest.mark.usefixtures("with_and_without_a_cache")
@pytest.mark.parametrize("iat", ["0", "-1", "0.5", "1", "4102444800"])
def test_iat_may_be_any_date(iat: str, published: FakeIssuer, app: EchoApp) -> None:
    """T25: without ``max_token_age`` it is not judged; one that is not a date is refused above."""
    made = by_claims(f'"exp":{LATER},"iat":{iat}')

    assert knock(door(app, published), f"Bearer {made}").status == 200


def test_hs_algorithms_and_secrets_are_refused_beside_public_keys(
    published: FakeIssuer, app: EchoApp
) -> None:
    """T02, T04: no option can make a public key serve as a shared secret."""
    for more in ({"algorithms": "HS256"}, {"algorithms": "ES256 HS256"}, {"algorithms": "none"},
                 {"secret": "x" * 64}, {"algorithms": []}):  # fmt: skip
        with pytest.raises(ConfigurationError):
            door(app, published, **more)


def test_required_checks_cannot_be_switched_off(app: EchoApp) -> None:
    """T31: an issuer must be set, and no option switches off the checks of exp and iss."""
    with pytest.raises(ConfigurationError, match="issuer: missing"):
        JWTMiddleware(app)
    for name in ("verify", "verify_exp", "verify_signature", "options", "verify_iss"):
        with pytest.raises(ConfigurationError, match="no such option"):
            JWTMiddleware(app, issuer=forge.ISSUER, **{name: False})  # type: ignore[call-overload]


@pytest.mark.usefixtures("with_and_without_a_cache")
def test_the_only_key_of_a_set_does_not_serve_another_kid(app: EchoApp, issuer: FakeIssuer) -> None:
    """T22: a good signature by the only key in the set, under a kid that it does not have."""
    middleware = issuer.protect(validator(app))

    assert_refused(knock(middleware, f"Bearer {issuer.token(header={'kid': 'x'})}"),
                   "key_not_found", app)  # fmt: skip
    assert knock(middleware, f"Bearer {issuer.token(header={'kid': None})}").status == 200


def test_nothing_that_a_header_names_is_fetched(app: EchoApp) -> None:
    """T20: jku and x5u point at a server that waits; nobody comes."""
    with fault_server(says("200 OK", json.dumps(STRANGER.jwks()).encode())) as evil:
        for kid in ("stranger", KID):
            header = {"jku": evil.url, "x5u": evil.url, "iss": evil.url, "kid": kid}
            made = by_stranger(header | {"jwk": STRANGERS_JWK})
            with Published().serve() as published:
                assert knock(door(app, published), f"Bearer {made}").status == 401
                assert set(published.requests) == {"/.well-known/jwks.json"}
        assert evil.heads == []


@pytest.mark.usefixtures("with_and_without_a_cache")
def test_two_instances_share_no_keys(app: EchoApp) -> None:
    """T30: not even if both have a key with the same kid."""
    one, other = FakeIssuer("https://a.example"), FakeIssuer("https://b.example")
    doors = {issuer: issuer.protect(validator(app)) for issuer in (one, other)}
    assert one.kid == other.kid
    for issuer, middleware in doors.items():
        assert knock(middleware, f"Bearer {issuer.token()}").status == 200
    app.environ = None

    for issuer, stranger in ((one, other), (other, one)):
        made = stranger.token(iss=issuer.issuer)
        assert_refused(knock(doors[issuer], f"Bearer {made}"), "signature_invalid", app)
        assert_refused(
            knock(doors[issuer], f"Bearer {stranger.token()}"), "issuer_not_trusted", app
        )


@pytest.mark.usefixtures("with_and_without_a_cache")
def test_a_remembered_result_is_for_the_whole_token(published: FakeIssuer, app: EchoApp) -> None:
    """T35: after a good token, the same header and claims under another signature are refused."""
    middleware = door(app, published)
    payload = claims()
    good, forged = token(payload=payload), by_stranger({"kid": KID})
    forged = f"{good.rpartition('.')[0]}.{forged.rpartition('.')[2]}"
    for _ in range(3):
        assert knock(middleware, f"Bearer {good}").status == 200
        app.environ = None
        assert_refused(knock(middleware, f"Bearer {forged}"), "signature_invalid", app)
        assert_refused(knock(middleware, f"Bearer {good[:-4]}AAAA"), "signature_invalid", app)


FORGED = {
    "HTTP_JWT_WSGI_PAYLOAD": "x", "HTTP_JWT_WSGI.PAYLOAD": "x", "HTTP_X_JWT_PAYLOAD": "x",
    "HTTP_JWT_WSGI__PAYLOAD": "x", "HTTP_REMOTE_USER": "root", "HTTP_X_REMOTE_USER": "root",
    "HTTP_AUTH_TYPE": "Bearer", "HTTP_X_USER": "root",
}  # fmt: skip


@pytest.mark.usefixtures("with_and_without_a_cache")
@pytest.mark.parametrize("options", [{"public_paths": "/*"}, {"optional": True}, {}], ids=repr)
def test_no_header_of_a_request_sets_a_result(
    options: dict[str, Any], published: FakeIssuer, app: EchoApp
) -> None:
    """T39: values that an outer instance or the server left under our keys are removed as well."""
    left = {f"jwt_wsgi.{name}": {"sub": "root"} for name in ("payload", "header", "error")}
    got = knock(door(app, published, **options), **FORGED, **left)

    assert got.status == (200 if options else 401)
    assert got.environ["jwt_wsgi.payload"] is None
    assert got.environ["jwt_wsgi.header"] is None
    assert "REMOTE_USER" not in got.environ
    assert "jwt_wsgi.error" not in got.environ


@pytest.mark.usefixtures("with_and_without_a_cache")
def test_an_inner_instance_does_not_use_the_result_of_an_outer_one(app: EchoApp) -> None:
    """T39: the inner instance refuses a token that is valid for the outer issuer only."""
    outer, inner = FakeIssuer("https://outer.example"), FakeIssuer("https://inner.example")
    both = outer.protect(validator(inner.protect(validator(app), optional=True)))

    got = knock(both, f"Bearer {outer.token()}")

    assert got.status == 401
    assert got.environ["jwt_wsgi.payload"] is None
    assert app.environ is None


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_X_ORIGINAL_URL": "/public"}, {"HTTP_X_REWRITE_URL": "/public"},
        {"HTTP_X_FORWARDED_URI": "/public"}, {"HTTP_X_FORWARDED_PREFIX": "/public"},
        {"HTTP_X_FORWARDED_PATH": "/public"}, {"HTTP_REFERER": "/public"},
        {"HTTP_X_HTTP_METHOD_OVERRIDE": "OPTIONS"}, {"REQUEST_METHOD": "OPTIONS"},
        {"SCRIPT_NAME": "/public"}, {"HTTP_SCRIPT_NAME": "/public"}, {"HTTP_PATH_INFO": "/public"},
        {"QUERY_STRING": "/public"}, {"REQUEST_URI": "/public"}, {"RAW_URI": "/public"},
        {"PATH_TRANSLATED": "/public"}, {"HTTP_ORIGIN": "https://a.example"},
        {"PATH_INFO": "/public/../private"}, {"PATH_INFO": "//public"}, {"PATH_INFO": "/PUBLIC"},
        {"PATH_INFO": "/public;/private"}, {"PATH_INFO": "/public\\..\\private"},
        {"PATH_INFO": "/public\0"}, {"PATH_INFO": "/publicly"}, {"PATH_INFO": "/public/./x"},
    ],
    ids=repr,
)  # fmt: skip
def test_headers_and_odd_paths_never_make_a_request_need_less(
    environ: dict[str, str], published: FakeIssuer, app: EchoApp
) -> None:
    """T40: they can only add conditions."""
    middleware = door(
        app, published, public_paths=["/public", "/public/*"], cors={"skip_preflight": True}
    )

    assert_refused(knock(middleware, **environ), "no token", app)


@pytest.mark.slow
def test_a_script_name_from_a_client_makes_no_path_public_behind_gunicorn(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    """T40: gunicorn takes it from a header of a loopback peer, and removes it from the path."""
    (tmp_path / "guarded.py").write_text(
        "from jwt_wsgi import JWTMiddleware\n"
        "def inner(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [repr(sorted(n for n in environ if 'jwt_wsgi' in n.lower())).encode()]\n"
        f"app = JWTMiddleware(inner, issuer={issuer.issuer!r}, jwks={issuer.jwks()!r},\n"
        "                    public_paths='/docs/*')\n"
    )
    asked = [
        ("/docs/admin", "SCRIPT_NAME: /docs", 401), ("/docs/admin", "X-A: /docs", 200),
        ("/admin", "PATH_INFO: /docs", 401), ("/admin", "X-Forwarded-Prefix: /docs", 401),
        ("/docs/x", "jwt_wsgi.payload: x", 200), ("/docs/x", "Jwt_Wsgi.Payload: x", 200),
    ]  # fmt: skip
    with gunicorn(tmp_path) as ask:
        for path, header, status in asked:
            line, _, body = ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n")
            assert f" {status} " in line, (path, header)
            ours = ["jwt_wsgi.header", "jwt_wsgi.payload", "jwt_wsgi.rule"]
            assert status == 401 or body == repr(ours)


@contextmanager
def gunicorn(folder: Path) -> Iterator[Callable[[str], tuple[str, str, str]]]:
    """Serves ``guarded:app`` of the folder; yields what sends a raw request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}",
                   "guarded:app"]  # fmt: skip
        with subprocess.Popen(
            command, cwd=folder, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL
        ) as server:

            def ask(head: str) -> tuple[str, str, str]:
                with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                    connection.sendall(f"{head}Connection: close\r\n\r\n".encode("latin-1"))
                    got = b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")
                line, _, rest = got.partition("\r\n")
                head, _, body = rest.partition("\r\n\r\n")
                chunk = re.fullmatch(r"[0-9A-F]+\r\n(.*)\r\n0\r\n\r\n", body)
                return line, head, chunk[1] if chunk else body

            try:
                yield ask
            finally:
                server.terminate()


ELSEWHERE_IN_A_REQUEST = {
    "query": {"QUERY_STRING": f"access_token={GOOD}&token={GOOD}&jwt={GOOD}&auth_token={GOOD}"},
    "cookie": {"HTTP_COOKIE": f"access_token={GOOD}; token={GOOD}; Authorization=Bearer {GOOD}"},
    "body": {
        "REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "wsgi.input": io.BytesIO(f"access_token={GOOD}".encode()), "CONTENT_LENGTH": "20",
    },
    **{
        name: {f"HTTP_{name}": f"Bearer {GOOD}"}
        for name in ("X_AUTHORIZATION", "PROXY_AUTHORIZATION", "X_ACCESS_TOKEN", "AUTH_ORIZATION",
                     "X_FORWARDED_ACCESS_TOKEN", "X_FORWARDED_AUTHORIZATION", "X_JWT_ASSERTION",
                     "REDIRECT_HTTP_AUTHORIZATION", "AUTHORIZATION_", "SEC_WEBSOCKET_PROTOCOL")
    },
    "no header": {"AUTHORIZATION": f"Bearer {GOOD}", "REDIRECT_HTTP_AUTHORIZATION": "x"},
}  # fmt: skip


@pytest.mark.parametrize("environ", ELSEWHERE_IN_A_REQUEST.values(), ids=ELSEWHERE_IN_A_REQUEST)
def test_a_token_in_another_place_is_ignored(
    environ: dict[str, Any], published: FakeIssuer, app: EchoApp
) -> None:
    """T41: RFC 6750 section 2.3, RFC 9700 section 4.3.2. It is not even read."""
    assert_refused(knock(door(app, published), **environ), "no token", app)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "a\nSet-Cookie: evil=1", "a\r\n\r\n<script>", "\xff", "x" * 9000],
)
def test_no_answer_contains_text_of_the_client(
    origin: str, published: FakeIssuer, app: EchoApp, caplog: pytest.LogCaptureFixture
) -> None:
    """T42: not even the Origin, in which uWSGI may pass on a line feed."""
    caplog.set_level(logging.DEBUG, "jwt_wsgi")
    marker = secrets.token_hex(8)
    loud = {
        "HTTP_ORIGIN": origin + marker, "HTTP_X_REQUEST_ID": marker * 99 + "\r\n\x1b[2J",
        "HTTP_HOST": marker, "PATH_INFO": f"/{marker}", "QUERY_STRING": marker,
    }  # fmt: skip
    middleware = door(app, published, cors="*")
    for header in (None, f"Basic {marker}", f"Bearer {marker}", f"Bearer {token({'kid': marker})}",
                   f"Bearer {token({'alg': marker, 'typ': marker})}",
                   f"Bearer {token(payload={'iss': marker})}"):  # fmt: skip
        got = knock(middleware, header, **loud)

        assert got.status == 401
        assert got.headers["Access-Control-Allow-Origin"] == "*"
        assert marker not in f"{got.body}{got.headers}"
    assert_quiet([record.getMessage() for record in caplog.records], GOOD)


@pytest.mark.parametrize("realm", ['a"b', "a\\b", "a\nb", "a\r\nX: y", "ä", "\0", ""])
def test_a_realm_that_needs_escaping_is_a_configuration_error(
    realm: str, published: FakeIssuer, app: EchoApp
) -> None:
    """T42: so nothing in our challenges has to be escaped."""
    with pytest.raises(ConfigurationError, match="realm"):
        door(app, published, realm=realm)


@pytest.mark.slow
def test_twenty_thousand_refusals_are_a_few_lines(
    published: FakeIssuer, app: EchoApp, caplog: pytest.LogCaptureFixture
) -> None:
    """T43: through the whole middleware, a different stranger each time."""
    caplog.set_level(logging.WARNING, "jwt_wsgi")
    middleware, base = door(app, published), EnvironBuilder().get_environ()
    heads = [attack.header if isinstance(attack.header, str) else attack.header()
             for attack in ATTACKS if not (attack.id.startswith(("T14", "T38")) or attack.options)
             and attack.code not in NEEDS_KEYS]  # fmt: skip
    for number in range(20_000):
        asked = base | {"HTTP_AUTHORIZATION": heads[number % len(heads)],
                        "HTTP_X_REQUEST_ID": f"{number}\n"}  # fmt: skip
        assert b'"error"' in b"".join(middleware(asked, lambda *_: lambda _data: None))

    lines = [record.getMessage() for record in caplog.records]
    assert 5 < len(lines) <= 2 * len(TOKEN_ERRORS)
    assert_quiet(lines, GOOD)


@pytest.mark.slow
def test_a_million_refusals_of_a_day_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """T43: at most one a code and minute, however many; told with their number."""
    caplog.set_level(logging.WARNING, "jwt_wsgi")
    now = 0.0
    hook, codes = LogHook(clock=lambda: now), [*TOKEN_ERRORS, "token_missing", "header_malformed"]
    refusals = [
        Refused(code, 401, "i" * 67, "a" * 67, "k" * 67, "r" * 67, "d" * 99) for code in codes
    ]
    for number in range(1_000_000):
        now = number * 600 / 1_000_000
        hook(refusals[number % len(refusals)])

    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 10 * len(codes)
    assert_quiet(lines, GOOD)
    told = sum(int(found[1]) for line in lines if (found := re.search(r"; (\d+) more like", line)))
    assert 900_000 * 0.99 < told < 1_000_000


@pytest.mark.slow
def test_optional_refuses_every_bad_token(published: FakeIssuer, app: EchoApp) -> None:
    """T47: each attack with a token is refused as before; other schemes count as no token."""
    doors: dict[str, JWTMiddleware] = {}
    for attack in ATTACKS:
        if attack.id.startswith("T38 1000"):
            continue
        options = attack.options | {"optional": True}
        middleware = doors.setdefault(repr(options), door(app, published, **options))
        got = knock(
            middleware, attack.header if isinstance(attack.header, str) else attack.header()
        )
        if attack.code in ("other scheme", "no token"):
            assert (got.status, app.payload) == (200, None)
            app.environ = None
        else:
            too_many = {429} if attack.code in NEEDS_KEYS else set()  # unknown kids
            assert got.status in {ANSWERS[attack.code][0], *too_many}, attack.id
            assert app.environ is None


def test_a_flood_of_unknown_kids_fetches_little_and_delays_nobody(app: EchoApp) -> None:
    """T58: through the whole middleware; tokens of known kids are served meanwhile."""
    with Published().serve() as published:
        middleware = door(app, published)
        assert knock(middleware, f"Bearer {GOOD}").status == 200
        for number in range(300):
            got = knock(middleware, f"Bearer {token({'kid': f'x{number}'})}").status
            assert got == (401 if number < 4 else 429)
            assert knock(middleware, f"Bearer {GOOD}").status == 200

        assert len(published.requests) <= 1 + 4


@pytest.mark.usefixtures("with_and_without_a_cache")
def test_tokens_of_held_keys_are_accepted_in_an_outage(app: EchoApp) -> None:
    """T59: an unknown key leads to 503 without a challenge, and never to acceptance."""
    with Published().serve() as published, published.outage():
        got = knock(door(app, published), f"Bearer {GOOD}")
        assert (got.status, got.body["code"]) == (503, "keys_unavailable")
        assert "WWW-Authenticate" not in got.headers
        assert app.environ is None
    with Published().serve() as published:
        middleware = door(app, published)
        assert knock(middleware, f"Bearer {GOOD}").status == 200
        app.environ = None
        with published.outage():
            assert knock(middleware, f"Bearer {token({'kid': 'x'})}").status in (401, 503)
            assert app.environ is None
            assert knock(middleware, f"Bearer {GOOD}").status == 200


@pytest.mark.usefixtures("with_and_without_a_cache")
def test_a_token_of_a_new_key_is_accepted_at_once(app: EchoApp) -> None:
    """T62: the first token of a new key starts a fetch."""
    with FakeIssuer().serve() as issuer:
        middleware = JWTMiddleware(validator(app), issuer=issuer.issuer)
        assert knock(middleware, f"Bearer {issuer.token()}").status == 200
        issuer.rotate()
        assert knock(middleware, f"Bearer {issuer.token()}").status == 200


def test_a_fetch_sends_no_data_of_the_client(app: EchoApp) -> None:
    """T64: it has no credentials, no cookie, and no part of the token."""
    jwks = says("200 OK\nSet-Cookie: a=b", json.dumps({"keys": forge.PUBLISHED}).encode())
    with fault_server(jwks) as server:
        middleware = JWTMiddleware(validator(app), issuer=forge.ISSUER, jwks_uri=server.url)
        got = knock(middleware, f"Bearer {GOOD}", HTTP_COOKIE="session=s3cret")
        assert got.status == 200
        assert knock(middleware, f"Bearer {token({'kid': 'strange'})}").status == 401

    asked = "".join(server.heads)
    assert len(server.heads) == 2
    for secret in ("Authorization", "Cookie", "s3cret", "strange", *GOOD.split(".")):
        assert secret not in asked


# --- Rules, several issuers, claim headers, cookies ----------------------------------------------


@pytest.mark.usefixtures("with_and_without_a_cache")
def test_several_issuers_share_nothing(app: EchoApp) -> None:
    """T30, T02: the unverified iss chooses keys and algorithms, and only that issuer's."""
    one, other = FakeIssuer("https://a.example"), FakeIssuer("https://b.example")
    shared = FakeIssuer("https://c.example", algorithm="HS256")
    issuers = [Issuer(issuer.issuer, jwks=issuer.jwks()) for issuer in (one, other)]
    issuers.append(Issuer(shared.issuer, secret=shared.secret))
    middleware = JWTMiddleware(validator(app), issuer=issuers)
    for issuer in (one, other, shared):
        assert knock(middleware, f"Bearer {issuer.token()}").status == 200
    app.environ = None

    for made, code in (
        (other.token(iss=one.issuer), "signature_invalid"),
        (one.token(iss=other.issuer), "signature_invalid"),
        (one.token(iss=shared.issuer), "algorithm_not_allowed"),
        (shared.token(iss=one.issuer), "algorithm_not_allowed"),
        (one.token(iss="https://d.example"), "issuer_not_trusted"),
        (one.token(iss=[one.issuer, other.issuer]), "issuer_not_trusted"),
    ):
        assert_refused(knock(middleware, f"Bearer {made}"), code, app)


#: What people write as the function of `issuer=`: anything below this prefix is a tenant.
REALMS = "https://login.example.com/realms/"
#: An `iss` whose text has the prefix, while the client that fetches its keys goes elsewhere.
NOT_BELOW = {
    "dots": f"{REALMS}../uploads/eve",
    "dots and a fragment": f"{REALMS}../uploads/a.png#",
    "dots in the end": f"{REALMS}x/../../uploads",
    "encoded dots": f"{REALMS}%2e%2e/uploads/eve",
    "mixed dots": f"{REALMS}.%2E/uploads/eve",
    "an encoded slash": f"{REALMS}..%2fuploads%2feve",
    "a backslash": f"{REALMS}..\\uploads\\eve",
    "a parameter": f"{REALMS}..;/uploads/eve",
    "a query": f"{REALMS}x?next=",
    "a fragment": f"{REALMS}x#",
    "an empty segment": f"{REALMS}/eve",
}


@pytest.mark.parametrize("name", NOT_BELOW.values(), ids=NOT_BELOW)
@pytest.mark.parametrize("has_keys", [True, False])
def test_an_iss_that_resolves_to_another_path_never_reaches_the_function(
    name: str, app: EchoApp, *, has_keys: bool
) -> None:
    """T30: an attacker serves keys at that path, and the function only compares a prefix."""
    stranger, asked = FakeIssuer(name), []

    def resolve(iss: str) -> Issuer | None:
        asked.append(iss)
        keys = {"jwks": stranger.jwks()} if has_keys else {}
        return Issuer(iss, **keys) if iss.startswith(REALMS) else None

    middleware = JWTMiddleware(validator(app), issuer=resolve)
    got = knock(middleware, f"Bearer {stranger.token()}")

    assert_refused(got, "issuer_not_trusted", app)
    assert asked == []


def test_a_realm_below_the_prefix_is_accepted(app: EchoApp) -> None:
    """A space in its name is `%20`."""
    realm = FakeIssuer(f"{REALMS}My%20Realm")
    middleware = JWTMiddleware(
        validator(app), issuer=lambda iss: Issuer(iss, jwks=realm.jwks()) if iss else None
    )
    assert knock(middleware, f"Bearer {realm.token()}").status == 200


INJECTING: dict[str, Any] = {
    "claim_headers": {"sub": ["X-User", "REMOTE_USER"], "roles": "X-Roles"},
    "rules": [
        Rule("/public/*", token=Token.IGNORED),
        Rule("/optional/*", token=Token.OPTIONAL),
        Rule("/report/*", token=Token.REPORT),
        Rule("/any/*", any_scope=frozenset({"read", "write"})),
    ],
}


@pytest.mark.usefixtures("with_and_without_a_cache")
@pytest.mark.parametrize("path", ["/public/x", "/optional/x", "/report/x"])
def test_no_header_of_a_request_counts_as_a_claim(
    path: str, published: FakeIssuer, app: EchoApp
) -> None:
    """T39: claim headers in any spelling, and REMOTE_USER, are set by the middleware only."""
    forged = {"HTTP_X_USER": "root", "HTTP_X_ROLES": "x", "REMOTE_USER": "root", "AUTH_TYPE": "x"}
    bad = None if path == "/optional/x" else f"Bearer {token({'alg': 'none'})}"
    for header in (None, bad):
        got = knock(door(app, published, **INJECTING), header, PATH_INFO=path, **forged)

        assert got.status == 200
        assert forged.keys().isdisjoint(got.environ)
        assert got.environ["jwt_wsgi.payload"] is None


@pytest.mark.usefixtures("with_and_without_a_cache")
@pytest.mark.parametrize("sub", ["root\r\nX-Admin: 1", "a\nb", "\0", "a\x1b[2J", "\u2028", "\x85"])
def test_no_claim_becomes_another_header(sub: str, published: FakeIssuer, app: EchoApp) -> None:
    """T39: control characters of a claim are refused, and nothing of it is in the environ."""
    made = token(payload={"sub": sub, "roles": ["x"]})
    got = knock(door(app, published, **INJECTING), f"Bearer {made}")

    assert_refused(got, "claim_invalid", app)
    assert {"HTTP_X_USER", "HTTP_X_ROLES", "REMOTE_USER", "AUTH_TYPE"}.isdisjoint(got.environ)


@pytest.mark.usefixtures("with_and_without_a_cache")
@pytest.mark.parametrize("scope", ["", "readwrite", "xread", 5, ["x"], {"read": 1}, None, ...])
def test_any_scope_compares_whole_scopes(scope: Any, published: FakeIssuer, app: EchoApp) -> None:
    """T33: a part of a scope is not enough."""
    made = token(payload={"scope": scope})
    got = knock(door(app, published, **INJECTING), f"Bearer {made}", PATH_INFO="/any/x")

    assert (got.status, got.body["code"], app.environ) == (403, "insufficient_scope", None)


@pytest.mark.slow
def test_a_report_rule_passes_every_attack_without_claims(
    published: FakeIssuer, app: EchoApp
) -> None:
    """T47: the app finds the error, and neither a payload nor a user."""
    middleware = door(app, published, **INJECTING)
    for attack in ATTACKS:
        if attack.options or attack.id.startswith("T38 1000"):
            continue
        header = attack.header if isinstance(attack.header, str) else attack.header()
        got = knock(middleware, header, PATH_INFO="/report/x", REMOTE_USER="root")
        assert (attack.id, got.status, app.payload) == (attack.id, 200, None)
        assert "REMOTE_USER" not in got.environ
        too_many = {"Key not known yet"} if attack.code in NEEDS_KEYS else set()  # unknown kids
        told = got.environ["jwt_wsgi.error"].error
        assert told in {ANSWERS[attack.code][1]["error"], *too_many}


COOKIE = {"HTTP_COOKIE": f"session={GOOD}"}
POST = COOKIE | {"REQUEST_METHOD": "POST", "HTTP_HOST": "api.example"}


@pytest.mark.usefixtures("with_and_without_a_cache")
@pytest.mark.parametrize(
    ("environ", "code"),
    [
        (COOKIE, None),
        (COOKIE | {"HTTP_UPGRADE": "websocket"}, "no token"),
        (POST, "no token"),
        (POST | {"REQUEST_METHOD": "DELETE"}, "no token"),
        (POST | {"HTTP_ORIGIN": "https://evil.example"}, "no token"),
        (POST | {"HTTP_ORIGIN": "null"}, "no token"),
        (POST | {"HTTP_ORIGIN": "http://api.example.evil"}, "no token"),
        (POST | {"HTTP_ORIGIN": "https://api.example"}, "no token"),
        (POST | {"HTTP_ORIGIN": "http://api.example:8080"}, "no token"),
        (POST | {"HTTP_ORIGIN": ""}, "no token"),
        (POST | {"HTTP_SEC_FETCH_SITE": "same-site"}, "no token"),
        (POST | {"HTTP_SEC_FETCH_SITE": "cross-site"}, "no token"),
        (POST | {"HTTP_SEC_FETCH_SITE": "none"}, "no token"),
        (POST | {"HTTP_SEC_FETCH_SITE": "same-origin, cross-site"}, "no token"),
        (POST | {"HTTP_REFERER": "http://api.example/"}, "no token"),
        (POST | {"HTTP_SEC_FETCH_SITE": "same-origin"}, None),
        (POST | {"HTTP_ORIGIN": "http://api.example"}, None),
        ({"HTTP_COOKIE": f"session={GOOD}; session=x"}, "two tokens"),
        ({"HTTP_COOKIE": f"session=x; session={GOOD}"}, "two tokens"),
        (COOKIE | {"HTTP_AUTHORIZATION": f"Bearer {GOOD}"}, "two tokens"),
        ({"HTTP_COOKIE": f"Session={GOOD}; xsession={GOOD}; session"}, "no token"),
        ({"HTTP_COOKIE": "session=x" + "y" * 100_000}, "token_malformed"),
        ({"HTTP_COOKIE": "session=;" * 10_000}, "no token"),
    ],
    ids=range(23),
)
def test_a_cookie_counts_for_pages_of_the_same_origin_only(
    environ: dict[str, str], code: str | None, published: FakeIssuer, app: EchoApp
) -> None:
    """T41: RFC 6265bis section 8.8.1. A second token in another place is an error."""
    got = knock(door(app, published, token_from="header, cookie:session"), **environ)

    if code is None:
        assert got.status == 200
    else:
        assert_refused(got, code, app)


# --- The index -----------------------------------------------------------------------------------

PAGE = Path(__file__).parent.parent / "docs" / "development" / "threats.md"
ROW = re.compile(r"^\| (T\d\d) \|(.*)\|$", re.MULTILINE)


def defined_in(file: str) -> list[str]:
    source = (Path(__file__).parent / f"{file}.py").read_text()
    return re.findall(r"^def (test_\w+)\(", source, re.MULTILINE)


def test_every_threat_of_the_page_has_its_test() -> None:
    """A threat is in the table, or the page names tests that are there; most are both."""
    threats = {number: row.split(" | ") for number, row in ROW.findall(PAGE.read_text())}
    tabled = {attack.id[:3] for attack in ATTACKS}
    tests = " ".join(row[-1] for row in threats.values())
    named = set(re.findall(r"`(test_\w+::test_\w+)`", tests))
    files = {name.partition("::")[0] for name in named}

    assert sorted(threats) == [f"T{number:02}" for number in range(1, len(threats) + 1)]
    assert {number for number, row in threats.items() if "the table" in row[-1]} == tabled
    assert all("the table" in row[-1] or "`test_" in row[-1] for row in threats.values())
    assert not named - {f"{file}::{test}" for file in files for test in defined_in(file)}


def test_every_number_that_is_cited_is_on_the_page() -> None:
    """In the package and in the tests."""
    page = {number for number, _ in ROW.findall(PAGE.read_text())}
    root = PAGE.parent.parent.parent
    sources = [*(root / "jwt_wsgi").rglob("*.py"), *(root / "tests").rglob("*.py")]
    cited = {number for path in sources for number in re.findall(r"\bT\d\d\b", path.read_text())}

    assert cited <= page
