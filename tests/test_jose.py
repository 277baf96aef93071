"""Strict parsing, quiet verifying, careful importing."""

import base64
import hmac
import json
import tracemalloc
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric import utils
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from jwt_wsgi import InvalidTokenError
from jwt_wsgi import jose
from jwt_wsgi import strict_json
from jwt_wsgi.keys import KeySet
from jwt_wsgi.testing import FakeIssuer

ALGORITHMS = list(jose.ALGORITHMS)
ISSUERS = {
    algorithm: FakeIssuer("https://i.example", algorithm=algorithm) for algorithm in ALGORITHMS
}


def b64(data: bytes | dict[str, Any]) -> str:
    raw = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(header: Any = None, payload: Any = None, signature: str = "AAAA") -> str:
    head = {"alg": "EdDSA"} if header is None else header
    body = {} if payload is None else payload
    return f"{b64(head)}.{b64(body)}.{signature}"


def keyset(algorithm: str) -> KeySet:
    issuer = ISSUERS[algorithm]
    if algorithm.startswith("HS"):
        secret = base64.b64decode(issuer.secret.removeprefix("base64:"))
        return KeySet.single(jose.secret_key(secret))
    return KeySet.of(issuer.jwks())


def verified(text: str, keys: KeySet, algorithm: str | None = None) -> bool:
    parsed = jose.parse(text)
    header = parsed.header if algorithm is None else parsed.header | {"alg": algorithm}
    return any(
        jose.verify(header["alg"], key, parsed.signed, parsed.signature)
        for key in keys.candidates(header)
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_verifies_its_own_signature(algorithm: str) -> None:
    """And another key's never; without a warning, as all tests here."""
    assert verified(ISSUERS[algorithm].token(), keyset(algorithm))
    assert not verified(ISSUERS[algorithm].wrong_key()(), keyset(algorithm))


@pytest.mark.parametrize("signed_as", ALGORITHMS)
@pytest.mark.parametrize("verified_as", ALGORITHMS)
def test_a_signature_is_good_for_its_own_algorithm_only(signed_as: str, verified_as: str) -> None:
    """Key confusion in every direction: no key of another kind is even a candidate."""
    names = {"EdDSA", "Ed25519"}
    same = signed_as == verified_as or {signed_as, verified_as} == names
    same = same or (signed_as, verified_as) == ("Ed448", "EdDSA")  # the issuer's terms decide

    assert verified(ISSUERS[signed_as].token(), keyset(signed_as), verified_as) is same


def test_a_public_key_is_not_used_as_a_secret() -> None:
    """T02: a token signed by HMAC with the text of a public key finds no key at all."""
    public = json.dumps(ISSUERS["RS256"].jwks()["keys"][0]).encode()
    signed = token({"alg": "HS256", "kid": ISSUERS["RS256"].kid}).rpartition(".")[0]
    forged = f"{signed}.{b64(hmac.digest(public, signed.encode(), 'sha256'))}"

    assert keyset("RS256").candidates(jose.parse(forged).header) == ()


def test_a_key_of_another_kind_verifies_nothing() -> None:
    """T05, T11: whatever a key source of somebody's own yields; both would verify otherwise."""
    token_ = jose.parse(ISSUERS["ES256"].token())
    (key,) = keyset("ES256").candidates(token_.header)
    disguised = jose.Key("RSA", "", b"s" * 32)

    assert jose.verify("ES256", key, token_.signed, token_.signature)
    assert not jose.verify("ES256K", key, token_.signed, token_.signature)
    assert not jose.verify("none", key, token_.signed, token_.signature)
    assert not jose.verify("HS256", disguised, b"x", hmac.digest(b"s" * 32, b"x", "sha256"))


@pytest.mark.parametrize("declared", ["EdDSA", "Ed25519", None])
@pytest.mark.parametrize("named", ["EdDSA", "Ed25519"])
def test_eddsa_has_two_names(declared: str | None, named: str) -> None:
    """RFC 9864: a JWK of one name serves tokens of the other, and so does one without alg."""
    member = ISSUERS["EdDSA"].jwks()["keys"][0] | {"alg": declared}
    if declared is None:
        del member["alg"]

    assert verified(ISSUERS["EdDSA"].token(), KeySet.of({"keys": [member]}), named)


MALFORMED = {
    "nothing": "",
    "one part": "a",
    "two parts": "a.b",
    "four parts": token() + ".x",
    "five parts (JWE)": "a.b.c.d.e",
    "dots": "." * 1000,
    "empty header": f".{b64({})}.AAAA",
    "empty payload": f"{b64({'alg': 'ES256'})}..AAAA",
    "JSON serialisation": json.dumps({"payload": "x", "signatures": []}),
    "header no object": token(b"[]"),
    "header a string": token(b'"alg"'),
    "header no JSON": token(b"x"),
    "payload a list": token(payload=b"[]"),
    "payload null": token(payload=b"null"),
    "payload trailing": token(payload=b"{} x"),
    "payload leading no-break space": token(payload="\xa0{}".encode()),
    "payload trailing NUL": token(payload=b"{}\0"),
    "duplicate members": token(payload=b'{"sub":"a","sub":"b"}'),
    "duplicate alg": token(b'{"alg":"ES256","alg":"none"}'),
    "NaN": token(payload=b'{"exp":NaN}'),
    "Infinity": token(payload=b'{"exp":-Infinity}'),
    "1e400": token(payload=b'{"exp":1e400}'),
    "5000 digits": token(payload=b'{"exp":' + b"9" * 5000 + b"}"),
    "UTF-16": token('{"alg":"ES256"}'.encode("utf-16")),
    "UTF-32": token('{"alg":"ES256"}'.encode("utf-32-le")),
    "BOM": token(b'\xef\xbb\xbf{"alg":"ES256"}'),
    "not UTF-8": token(payload=b'{"sub":"\xff"}'),
    "lone surrogate": token(payload=b'{"sub":"\\ud800"}'),
    "deep": token(payload=b'{"a":' + b"[" * 40 + b"]" * 40 + b"}"),
    "very deep": token(payload=b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "deep header": token(b'{"alg":"ES256","a":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "no alg": token({}),
    "alg list": token({"alg": ["ES256"]}),
    "alg null": token({"alg": None}),
    "alg object": token({"alg": {}}),
    "typ number": token({"alg": "ES256", "typ": 5}),
    "kid number": token({"alg": "ES256", "kid": 5}),
    "kid null": token({"alg": "ES256", "kid": None}),
    "kid empty": token({"alg": "ES256", "kid": ""}),
    "kid long": token({"alg": "ES256", "kid": "x" * 257}),
    "kid list": token({"alg": "ES256", "kid": ["x"]}),
    "header long": token({"alg": "ES256", "x5c": ["x" * 9000]}),
    "crit": token({"alg": "ES256", "crit": ["exp"]}),
    "crit empty": token({"alg": "ES256", "crit": []}),
    "crit number": token({"alg": "ES256", "crit": 5}),
    "crit null": token({"alg": "ES256", "crit": None}),
    "b64": token({"alg": "ES256", "b64": False}),
    "padding": token(signature="AA=="),
    "standard alphabet": token(signature="+/+/"),
    "white space": token(signature="AA AA"),
    "newline": token(signature="AAAA\n"),
    "spare bits": token(signature="AB"),
    "spare bits of three": token(signature="AAB"),
    "one character": token(signature="A"),
    "not ASCII": token(signature="é"),
    "surrogate": token(signature="\ud800"),
    "NUL": token(signature="\0AAA"),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_token_is_malformed(text: str) -> None:
    """One error, whatever a library would have said."""
    with pytest.raises(InvalidTokenError) as caught:
        jose.parse(text)

    assert caught.value.code == "token_malformed"


def test_unknown_header_members_are_fine() -> None:
    """RFC 7515 section 4: ignored; so are jwk, jku, x5u and a long x5c."""
    header = {"nonce": "x", "ver": 1, "jku": "https://evil.example", "jwk": {"kty": "oct"}}
    text = ISSUERS["ES256"].token(header=header | {"x5c": ["A" * 3000], "typ": "AT+JWT"})

    assert verified(text, keyset("ES256"))


@pytest.mark.parametrize("space", ["", "\n", "\r\n", " \t\r\n "])
def test_white_space_around_a_document_is_fine(space: str) -> None:
    """RFC 8259 section 2: editors and frameworks end a document with a newline."""
    assert strict_json.json_object(f'{space}{{"keys": [1]}}{space}'.encode()) == {"keys": [1]}


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\xa0", "\u2003", "\0"])
def test_other_white_space_is_refused(space: str) -> None:
    """Only the four characters of RFC 8259 are accepted."""
    for text in (f"{space}{{}}", f"{{}}{space}", f"{{}}\n{space}"):
        with pytest.raises(ValueError):
            strict_json.json_object(text.encode())


def test_a_million_dots_cost_no_time() -> None:
    """T14: the parts are counted, not made: a list of a million would take 8 MB and more."""
    for text in ("." * 1_000_000, "a" * 1_000_000, "a.b." * 250_000):
        tracemalloc.start()
        try:
            with pytest.raises(InvalidTokenError):
                jose.parse(text)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 5 * len(text)


def test_ecdsa_signatures_have_one_form() -> None:
    """T07: R and S of full length; no DER, no zeros, none beyond the order."""
    private = ec.generate_private_key(ec.SECP256R1())
    key = jose.Key("EC", "P-256", private.public_key())
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    der = private.sign(b"data", ec.ECDSA(jose._SHA256))
    r, s = utils.decode_dss_signature(der)
    good = r.to_bytes(32, "big") + s.to_bytes(32, "big")

    assert jose.verify("ES256", key, b"data", good)
    for bad in (der, good[:-1], good + b"\0", b"", bytes(64), good[32:] + good[:32]):
        assert not jose.verify("ES256", key, b"data", bad)
    assert not jose.verify("ES256", key, b"data", good[:32] + b"\0" + good[32:])
    for r2, s2 in ((0, s), (r, 0), (order, s), (r, order), (r + 1, s)):
        raw = r2.to_bytes(33, "big")[-32:] + s2.to_bytes(33, "big")[-32:]
        assert not jose.verify("ES256", key, b"data", raw)


def test_pss_salts_are_as_long_as_the_hash() -> None:
    """T09: RFC 7518 section 3.5."""
    from cryptography.hazmat.primitives.asymmetric import padding

    private = rsa.generate_private_key(65537, 2048)
    key = jose.Key("RSA", "", private.public_key())
    for salt, good in ((32, True), (0, False), (31, False), (222, False)):
        scheme = padding.PSS(padding.MGF1(jose._SHA256), salt)
        assert jose.verify("PS256", key, b"x", private.sign(b"x", scheme, jose._SHA256)) is good


def test_eddsa_signatures_are_not_malleable() -> None:
    """T10: S plus the order of the group is refused."""
    private = ed25519.Ed25519PrivateKey.generate()
    key = jose.Key("OKP", "Ed25519", private.public_key())
    signature = private.sign(b"x")
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order

    assert jose.verify("EdDSA", key, b"x", signature)
    assert not jose.verify("EdDSA", key, b"x", signature[:32] + s.to_bytes(32, "little"))
    assert not jose.verify("EdDSA", key, b"x", signature + b"\0")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_malformed_or_parsed(text: str) -> None:
    """Nothing but the one error comes out."""
    try:
        jose.parse(text)
    except InvalidTokenError as error:
        assert error.code == "token_malformed"
