"""How issuers write their keys and documents: what says nothing, odd base64, byte order marks."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed448
from test_keys import certificate

from jwt_wsgi import JWTMiddleware
from jwt_wsgi import jose
from jwt_wsgi.cli.thumbprint import thumbprint
from jwt_wsgi.errors import InvalidTokenError
from jwt_wsgi.key_sources.arrival import fits_any
from jwt_wsgi.key_sources.file import FileKeys
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.strict_json import json_object
from jwt_wsgi.testing import FakeIssuer

EC = FakeIssuer(algorithm="ES256").jwks()["keys"][0] | {"kid": "ec"}
RSA = FakeIssuer(algorithm="RS256").jwks()["keys"][0] | {"kid": "rsa"}
OKP = FakeIssuer(algorithm="EdDSA").jwks()["keys"][0] | {"kid": "okp"}
SECRET_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]


def of(*keys: Any) -> KeySet:
    return KeySet.of({"keys": list(keys)})


def reason(jwk: Any) -> str:
    (dropped,) = of(jwk, OKP | {"kid": "good"}).unusable()
    return dropped.reason


# --- Members that say nothing --------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SECRET_MEMBERS, "use", "alg", "key_ops", "x5c", "x5t", "x5u"])
def test_null_members_of_a_jwk_are_ignored(name: str) -> None:
    """Some serialisers write every member. The key is used, and no private key is reported."""
    keyset = of(RSA | {name: None})

    assert keyset.candidates({"alg": "RS256", "kid": "rsa"})
    assert keyset.unusable() == ()
    assert keyset.digest == of({n: v for n, v in RSA.items() if n != name}).digest


def test_a_kid_that_is_null_is_no_kid() -> None:
    """The key serves tokens without kid, as any key without one."""
    assert of(RSA | {"kid": None}).candidates({"alg": "RS256"})


@pytest.mark.parametrize("name", ["key_ops", "x5c", "oth"])
def test_empty_lists_in_a_jwk_are_ignored(name: str) -> None:
    """This is so for the three members that are lists."""
    for empty in ([], ()):
        keyset = of(RSA | {name: empty})
        assert keyset.candidates({"alg": "RS256", "kid": "rsa"})
        assert keyset.unusable() == ()


@pytest.mark.parametrize("name", SECRET_MEMBERS)
def test_an_empty_text_is_not_null(name: str) -> None:
    """A private member that is an empty text is reported like any private key."""
    (dropped,) = of(RSA | {name: ""}, OKP).unusable()

    assert dropped.private


@pytest.mark.parametrize("name", ["use", "alg", "kid"])
def test_an_empty_string_in_a_required_member_is_an_error(name: str) -> None:
    """The key is dropped, with a reason."""
    assert reason(RSA | {name: ""})


# --- Base64 of members ---------------------------------------------------------------------------


def padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def standard(text: str) -> str:
    return text.replace("-", "+").replace("_", "/")


def wrapped(text: str) -> str:
    return "\r\n".join(text[at : at + 20] for at in range(0, len(text), 20)) + "\n"


def with_both(alphabet: str) -> dict[str, Any]:
    """A key whose members hold both characters by which the alphabets differ."""
    while True:
        jwk = FakeIssuer(algorithm=alphabet).jwks()["keys"][0]
        name = "n" if jwk["kty"] == "RSA" else "x"
        if "-" in jwk[name] and "_" in jwk[name]:
            return jwk | {"kid": "a"}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize(
    "change",
    [padded, standard, wrapped, lambda text: wrapped(padded(standard(text)))],
    ids=["padded", "standard", "wrapped", "all of it"],
)
def test_base64_of_members_has_one_normal_form(algorithm: str, change: Any) -> None:
    """The key is used, and its digest and thumbprint are those of the right spelling."""
    right = with_both(algorithm)
    names = {"n", "e", "x", "y"} & right.keys()
    odd = right | {name: change(right[name]) for name in names}
    keyset = of(odd)

    assert keyset.candidates({"alg": algorithm, "kid": "a"}) == of(right).candidates(
        {"alg": algorithm, "kid": "a"}
    )
    assert keyset.unusable() == ()
    assert keyset.digest == of(right).digest
    assert thumbprint(odd) == thumbprint(right)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("x", lambda x: "+_" + x[2:], "its x mixes two alphabets of base64"),
        ("x", lambda x: x[:9] + "=" + x[9:], "its x is not base64url"),
        ("x", lambda x: x + "==", "its x is not base64url"),
        ("x", lambda x: x[:-1] + "B", "its x is not base64url"),
        ("x", lambda x: "!" + x[1:], "its x is not base64url"),
        ("x", lambda x: "é" + x[1:], "its x is not base64url"),
        ("y", lambda y: y[:-1] + "\v", "its y is not base64url"),
        ("y", lambda y: "", "its y is empty"),
        ("y", lambda y: 5, "its y is not a string"),
        ("y", lambda y: None, "its y is missing"),
        ("x", lambda x: "A" * 2049, "its x is longer than 2048 characters"),
        ("y", lambda y: EC["x"], "its x and y are not a point of the curve P-256"),
    ],
    ids=range(12),
)
def test_a_wrong_member_is_named(name: str, value: Any, words: str) -> None:
    """In a sentence, without the name of a Python class."""
    assert reason(EC | {name: value(EC[name])}) == words


@pytest.mark.parametrize(
    ("jwk", "words"),
    [
        (RSA | {"n": "+_" + RSA["n"][2:]}, "its n mixes two alphabets of base64"),
        (RSA | {"e": "A"}, "its e is not base64url"),
        (RSA | {"e": "AQAB===="}, "its e is not base64url"),
        ({"kty": "RSA", "e": "AQAB"}, "its n is missing"),
        ({"kty": "RSA", "kid": "a"}, "its e and n are missing"),
        (OKP | {"x": "AAAA"}, "its x is not a key of the curve Ed25519"),
        ({"kty": "RSA", "x5c": "AAAA"}, "its x5c is not a list of certificates"),
        ({"kty": "RSA", "x5c": [5]}, "its x5c is not a list of certificates"),
        ({"kty": "RSA", "x5c": ["AAAA"]}, "its x5c holds no certificate that can be read"),
        ({"kty": "RSA", "x5c": ["!!"]}, "its x5c holds no certificate that can be read"),
        (EC | {"crv": None}, "its crv is missing"),
    ],
    ids=range(11),
)
def test_a_wrong_member_is_named_for_every_kind_of_key(jwk: Any, words: str) -> None:
    """The reason is the member and what is wrong with it."""
    assert reason(jwk) == words


@pytest.mark.parametrize(
    "change", [padded, wrapped, lambda t: t.translate(str.maketrans("+/=", "-_=")).rstrip("=")]
)
def test_a_certificate_is_read_however_its_base64_is_written(change: Any) -> None:
    """RFC 7517 section 4.7 has the standard alphabet; some issuers write the other one."""
    private = ec.generate_private_key(ec.SECP256R1())
    keyset = of({"kty": "EC", "kid": "a", "x5c": [change(certificate(private))]})

    (key,) = keyset.candidates({"alg": "ES256", "kid": "a"})
    assert key.public_key == private.public_key()


def test_tokens_keep_to_base64url() -> None:
    """What a sender writes has one spelling only."""
    issuer = FakeIssuer(algorithm="RS256")
    token = issuer.token()
    for other in (f"{token}=", token[:-4] + "\n" + token[-4:], token[:-2] + "+A"):
        with pytest.raises(InvalidTokenError):
            jose.parse(other)


# --- White space, and byte order marks -----------------------------------------------------------


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("space", [b" ", b"\n", b"\r\n\t ", b" " * 60])
@pytest.mark.parametrize("cache", [0, 100])
def test_white_space_around_the_json_of_a_token(space: bytes, cache: int) -> None:
    """RFC 7515 section 3 allows it. A token that comes again reads the same from the cache."""
    issuer = FakeIssuer()
    head = json.dumps({"alg": "EdDSA", "kid": "key-1"}).encode()
    claims = {"iss": issuer.issuer, "exp": 4102444800, "aud": "api", "roles": ["a"]}
    payload = space + json.dumps(claims).encode() + space
    signed = f"{encoded(space + head + space)}.{encoded(payload)}"
    token = f"{signed}.{encoded(sign(issuer, signed.encode()))}"
    guard = JWTMiddleware(
        lambda _e, _s: [], issuer=issuer.issuer, jwks=issuer.jwks(), audience="api",
        token_cache_size=cache,
    )  # fmt: skip

    assert [dict(guard.verifier.verify(token)) for _ in range(3)] == [claims] * 3


def sign(issuer: FakeIssuer, signed: bytes) -> bytes:
    return issuer._keys[0].sign(signed)


@pytest.mark.parametrize(
    "space", ["\x0b", "\x0c", "\xa0", "\u2003", "\ufeff", "\0", "\ufeff ", " \ufeff"]
)
def test_anything_else_around_the_json_of_a_token_is_refused(space: str) -> None:
    """RFC 8259 section 2 names four characters; a byte order mark is for documents."""
    sound = (b'{"alg":"EdDSA"}', b"{}")
    for place in (0, 1):
        for side in (0, 1):
            parts = list(sound)
            text = parts[place].decode()
            parts[place] = (f"{space}{text}" if side else f"{text}{space}").encode()
            with pytest.raises(InvalidTokenError):
                jose.parse(".".join([*map(encoded, parts), encoded(b"x")]))


BOM = b"\xef\xbb\xbf"


def test_a_byte_order_mark_before_a_document() -> None:
    """RFC 8259 section 8.1 lets readers ignore it; editors of one system write it."""
    document = BOM + json.dumps({"keys": [EC]}).encode()

    assert KeySet.parse(document).kids == ("ec",)
    assert KeySet.parse(document.decode()).kids == ("ec",)
    assert json_object(BOM + b' {"a": 1}\n') == {"a": 1}


@pytest.mark.parametrize(
    "broken", [BOM + BOM + b"{}", b" " + BOM + b"{}", b"{}" + BOM, BOM], ids=range(4)
)
def test_one_byte_order_mark_at_the_very_beginning(broken: bytes) -> None:
    """Nowhere else and no second one."""
    with pytest.raises(ValueError):
        json_object(broken)


def test_a_byte_order_mark_in_a_file_of_keys(tmp_path: Path) -> None:
    """The mark says nothing of the keys."""
    path = tmp_path / "keys.json"
    path.write_bytes(BOM + json.dumps({"keys": [EC]}).encode())

    assert FileKeys(path, emit=print).current().kids == ("ec",)


def test_utf_16_is_still_no_json() -> None:
    """RFC 8259 section 8.1: UTF-8, and nothing else."""
    with pytest.raises(DocumentError):
        KeySet.parse(json.dumps({"keys": [EC]}).encode("utf-16"))


# --- EdDSA with Ed448 ----------------------------------------------------------------------------


def ed448_token(alg: str, key_alg: str | None = None) -> tuple[dict[str, Any], str]:
    """A JWKS with one key on Ed448, and a token signed by it."""
    private = ed448.Ed448PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed448", "kid": "k",
           "x": encoded(private.public_key().public_bytes_raw())}  # fmt: skip
    jwk |= {"alg": key_alg} if key_alg else {}
    head = encoded(json.dumps({"alg": alg, "kid": "k"}).encode())
    claims = {"iss": "https://issuer.example", "exp": 4102444800, "aud": "api"}
    signed = f"{head}.{encoded(json.dumps(claims).encode())}"
    return {"keys": [jwk]}, f"{signed}.{encoded(private.sign(signed.encode()))}"


def judged(algorithms: Any, alg: str, key_alg: str | None = None) -> str:
    jwks, token = ed448_token(alg, key_alg)
    guard = JWTMiddleware(
        lambda _e, _s: [], issuer="https://issuer.example", jwks=jwks, audience="api",
        algorithms=algorithms,
    )  # fmt: skip
    try:
        guard.verifier.verify(token)
    except InvalidTokenError as error:
        return error.code
    return "accepted"


@pytest.mark.parametrize(
    ("algorithms", "alg", "verdict"),
    [
        ("EdDSA,Ed448", "EdDSA", "accepted"),
        ("EdDSA,Ed448", "Ed448", "accepted"),
        ("Ed448", "Ed448", "accepted"),
        ("Ed448", "EdDSA", "algorithm_not_allowed"),
        ("EdDSA", "EdDSA", "key_not_found"),
        ("EdDSA,ES256K", "EdDSA", "key_not_found"),
        (None, "EdDSA", "key_not_found"),
        ("EdDSA,Ed25519", "Ed25519", "key_not_found"),
    ],
)
def test_eddsa_with_a_key_on_ed448_by_opt_in(algorithms: Any, alg: str, verdict: str) -> None:
    """RFC 8037 has one name for both curves; the settings must name EdDSA and Ed448."""
    assert judged(algorithms, alg) == verdict
    assert judged(algorithms, alg, "EdDSA") == verdict


def test_a_key_on_ed25519_is_not_used_for_ed448() -> None:
    """The narrow name has one curve (RFC 9864 section 2.2)."""
    assert of(OKP).candidates({"alg": "Ed448", "kid": "okp"}) == ()
    assert of(OKP).candidates({"alg": "EdDSA", "kid": "okp"}) != ()


def test_whether_a_set_fits_knows_of_the_opt_in() -> None:
    """A set of keys on Ed448 alone fits EdDSA only where Ed448 is accepted, too."""
    keyset = KeySet.of(ed448_token("EdDSA")[0])

    assert not fits_any(keyset, {"EdDSA", "RS256"})
    assert fits_any(keyset, {"EdDSA", "Ed448"})
