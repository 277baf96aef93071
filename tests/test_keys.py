"""Key sets: one broken member spoils nothing, and nothing secret is ever used."""

import base64
import datetime as dt
import json
import os
import random
import warnings
from pathlib import Path
from typing import Any

import pytest
from conftest import calls
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from jwt_wsgi import jose
from jwt_wsgi.events import Event
from jwt_wsgi.events import KeysChanged
from jwt_wsgi.events import KeysConfirmed
from jwt_wsgi.events import Recovered
from jwt_wsgi.events import RefreshFailed
from jwt_wsgi.key_sources.file import FileKeys
from jwt_wsgi.keys import MAX_KEYS
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.testing import FakeIssuer

GOOD = FakeIssuer(algorithm="ES256").jwks()["keys"][0] | {"kid": "good"}
ED = FakeIssuer(algorithm="EdDSA").jwks()["keys"][0]
RSA = FakeIssuer(algorithm="RS256").jwks()["keys"][0]


def number(value: int) -> str:
    return (
        base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8 or 1, "big"))
        .rstrip(b"=")
        .decode()
    )


def raw(value: int, size: int = 32) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(size, "little")).rstrip(b"=").decode()


def certificate(private: Any) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = dt.datetime.now(dt.UTC)
    hash_ = None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(private, hash_)
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


_P = 2**255 - 19
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
SMALL_ORDER = {
    f"small order {index}{' signed' if sign else ''}": {
        "kty": "OKP", "crv": "Ed25519", "x": raw(y | sign << 255)
    }
    for index, y in enumerate([0, 1, _P - 1, _P, _P + 1, _Y8, _P - _Y8])
    for sign in (0, 1)
}  # fmt: skip

BAD: dict[str, Any] = {
    "null": None,
    "a string": "key",
    "empty": {},
    "kty unknown": {"kty": "AKP", "pub": "x"},
    "kty list": GOOD | {"kty": ["EC"]},
    "kty object": GOOD | {"kty": {}},
    "oct": {"kty": "oct", "k": "AAAA"},
    "private EC": GOOD | {"d": "AAAA"},
    "private RSA": RSA | {"d": "AAAA", "p": "AA"},
    "private OKP": ED | {"d": "AAAA"},
    "use enc": GOOD | {"use": "enc"},
    "use list": GOOD | {"use": ["sig"]},
    "key_ops sign": GOOD | {"key_ops": ["sign"]},
    "key_ops string": GOOD | {"key_ops": "verify"},
    "alg other": GOOD | {"alg": "RS256"},
    "alg encryption": RSA | {"alg": "RSA-OAEP"},
    "alg list": GOOD | {"alg": ["ES256"]},
    "alg none": GOOD | {"alg": "none"},
    "kid number": GOOD | {"kid": 5},
    "kid empty": GOOD | {"kid": ""},
    "kid long": GOOD | {"kid": "x" * 257},
    "crv unknown": GOOD | {"crv": "P-999"},
    "crv missing": {"kty": "EC", "x": GOOD["x"], "y": GOOD["y"]},
    "crv number": GOOD | {"crv": 256},
    "crv list": GOOD | {"crv": ["P-256"]},
    "crv of another": GOOD | {"crv": "P-384"},
    "off the curve": GOOD | {"y": GOOD["x"]},
    "y missing": {name: GOOD[name] for name in ("kty", "crv", "x")},
    "x number": GOOD | {"x": 5},
    "x rubbish": GOOD | {"x": "!!"},
    "x giant": GOOD | {"x": "A" * 800_000 + GOOD["x"]},
    "OKP short": ED | {"x": "AAAA"},
    "X25519": ED | {"crv": "X25519"},
    "RSA n missing": {"kty": "RSA", "e": "AQAB"},
    "RSA n rubbish": RSA | {"n": "!!"},
    "RSA 1024": RSA
    | {"n": number(rsa.generate_private_key(65537, 1024).public_key().public_numbers().n)},
    "RSA even": RSA | {"n": number(2**2048 + 2)},
    "RSA e 1": RSA | {"e": number(1)},
    "RSA e even": RSA | {"e": number(65536)},
    "RSA e giant": RSA | {"e": number(2**2000 + 1)},
    "RSA n giant": RSA | {"n": number(2**20000 + 1)},
    "x5c rubbish": {"kty": "RSA", "x5c": ["!!"]},
    "x5c string": {"kty": "RSA", "x5c": "AAAA"},
    "x5c empty": {"kty": "EC", "x5c": []},
    **SMALL_ORDER,
}


@pytest.mark.parametrize("member", BAD.values(), ids=BAD)
def test_a_bad_member_is_dropped_and_the_others_are_used(member: Any) -> None:
    """The reason for the bad one is named."""
    keyset = KeySet.of({"keys": [member, GOOD]})

    assert len(keyset.candidates({"alg": "ES256", "kid": "good"})) == 1
    assert len(keyset.unusable()) == 1
    assert keyset.unusable()[0].reason
    for alg in jose.ALGORITHMS:
        assert len(keyset.candidates({"alg": alg})) == (alg == "ES256")


_P448 = 2**448 - 2**224 - 1


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [0, 1, _P448 - 1, _P448, _P448 + 1], ids=range(5))
def test_a_point_of_ed448_of_small_order_is_no_key(y: int, sign: int) -> None:
    """RFC 8725 section 3.4: anybody can make a signature that such a point verifies."""
    member = {"kty": "OKP", "crv": "Ed448", "kid": "weak", "x": raw(y | sign << 455, 57)}
    keyset = KeySet.of({"keys": [member, GOOD]})

    assert keyset.candidates({"alg": "Ed448", "kid": "weak"}) == ()
    assert [dropped.reason for dropped in keyset.unusable()] == ["a point of small order"]


@pytest.mark.parametrize("member", BAD.values(), ids=BAD)
def test_a_set_of_bad_members_only_is_refused(member: Any) -> None:
    """Then the held keys stay in use."""
    with pytest.raises(DocumentError, match="no usable key"):
        KeySet.of({"keys": [member]})


def test_a_document_may_end_its_last_line() -> None:
    """As every editor and ``jq`` write it; before and after, white space is JSON's."""
    document = json.dumps({"keys": [GOOD]})

    assert len(KeySet.parse(f"{document}\n")) == len(KeySet.parse(f"\r\n\t {document} ")) == 1
    with pytest.raises(DocumentError):
        KeySet.parse(f"{document}\n{document}")


def test_a_short_rsa_key_is_refused_before_a_library_warns(
    recwarn: pytest.WarningsRecorder,
) -> None:
    """T12, T46: a reason in our words, and nothing on the standard error of a worker."""
    warnings.simplefilter("always")
    for n in (BAD["RSA 1024"]["n"], "AAAA" * 60 + BAD["RSA 1024"]["n"]):
        with pytest.raises(jose.UnusableKeyError, match="1024 bits"):
            jose.import_jwk(RSA | {"n": n})

    assert not recwarn.list


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    "odd",
    [{"z": {1}}, {"z": b"x"}, {"z": dt.date(2026, 1, 1)}, {5: "x", "z": "y"}, {"z": ITSELF}],
    ids=repr,
)
def test_a_set_written_in_python_may_hold_what_is_no_json(odd: Any) -> None:
    """Where it does not matter for the key, it does not matter."""
    keyset = KeySet.of({"keys": [ED | odd, ED, GOOD]})

    assert len(keyset) == 3
    reordered = dict(reversed((ED | odd).items()))
    assert keyset.digest == KeySet.of({"keys": [GOOD, ED, reordered]}).digest
    assert len(keyset.candidates({"alg": "EdDSA"})) == 2


def test_private_and_shared_keys_in_a_set_are_reported() -> None:
    """The event says that the issuer publishes them."""
    private = {"private EC", "private RSA", "private OKP", "oct"}
    keyset = KeySet.of({"keys": [*(BAD[name] for name in sorted(private)), BAD["null"], GOOD]})

    assert [dropped.private for dropped in keyset.dropped] == [True] * 4 + [False]


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_each_member_of_a_private_key_is_noticed_alone(member: str) -> None:
    """RFC 7518 section 6: whoever reads one prime of an RSA key can sign with it."""
    leaked = RSA | {"kid": "leaked", member: "AAAA"}
    keyset = KeySet.of({"keys": [leaked, GOOD]})

    assert [(dropped.kid, dropped.private) for dropped in keyset.dropped] == [("'leaked'", True)]
    assert keyset.candidates({"alg": "RS256", "kid": "leaked"}) == ()


@pytest.mark.parametrize(
    "document",
    [
        "", "{}", "[]", "null", '"x"', "5", "<html>", '{"keys":', '{"keys":[]}', '{"keys":{}}',
        '{"keys":null}', '\ufeff{"keys":[]}', '{"keys":[],"keys":[]}', '{"keys":[NaN]}',
        '{"keys":' + "[" * 100_000 + "]" * 100_000 + "}", '{"keys":[' + "9" * 10_000 + "]}",
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_no_jwks_is_refused_whole(document: str) -> None:
    """Whatever the JSON library would have raised."""
    with pytest.raises(DocumentError):
        KeySet.parse(document)
    with pytest.raises(DocumentError):
        KeySet.parse(document.encode("utf-16"))


#: So many damaged documents; a hundred thousand on request.
MUTATIONS = 100_000 if os.environ.get("JWT_WSGI_TEST_PROFILE") == "long" else 4_000


def _damaged(document: bytes, chance: random.Random) -> bytes:
    """One to four bytes overwritten, cut out, doubled or moved."""
    data = bytearray(document)
    for _ in range(chance.randint(1, 4)):
        at, to = chance.randrange(len(data)), chance.randrange(len(data))
        piece = data[at : at + chance.choice([1, 1, 1, 8, 40])]
        match chance.randrange(4):
            case 0:
                data[at] = chance.choice(b'{}[]",:0-9eE.\\ \x00\xff' + chance.randbytes(4))
            case 1 if len(data) > 60:
                del data[at : at + len(piece)]
            case 2:
                data[to:to] = piece
            case _:
                data[to : to + len(piece)] = piece
    return bytes(data)


@pytest.mark.slow
def test_no_document_raises_anything_else() -> None:
    """A set with a usable key, or the one error; whatever was damaged where."""
    chance = random.Random(10)
    document = json.dumps({"keys": [GOOD, ED, RSA, BAD["x5c rubbish"], BAD["oct"]]}).encode()
    whole = refused = 0
    for _ in range(MUTATIONS):
        try:
            keyset = KeySet.parse(_damaged(document, chance))
        except DocumentError:
            refused += 1
        else:
            whole += 1
            keyset.digest, keyset.unusable()
            assert len(keyset) >= 1

    assert min(whole, refused) > MUTATIONS / 10


def test_too_many_keys_are_refused() -> None:
    """It is a bound on work, not a cut."""
    members = [GOOD | {"kid": str(index)} for index in range(MAX_KEYS + 1)]

    assert len(KeySet.of({"keys": members[1:]})) == MAX_KEYS
    with pytest.raises(DocumentError, match=f"more than {MAX_KEYS}"):
        KeySet.of({"keys": members})


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        pytest.param(rsa.generate_private_key(65537, 2048), "RS256", id="RSA"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), "ES384", id="EC"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), "EdDSA", id="OKP"),
    ],
)
def test_a_key_may_carry_only_its_certificate(private: Any, algorithm: str) -> None:
    """x5c serves where the key's own members are missing."""
    kty = jose.ALGORITHMS[algorithm].kty
    keyset = KeySet.of({"keys": [{"kty": kty, "kid": "a", "x5c": [certificate(private)]}]})

    (key,) = keyset.candidates({"alg": algorithm, "kid": "a"})
    assert key.public_key == private.public_key()


def rsa_numbers(bits: int, e: int) -> rsa.RSAPublicNumbers:
    """A public key of so many bits, which nobody can sign with."""
    return rsa.RSAPublicNumbers(e, 2 ** (bits - 1) + 1)


@pytest.mark.parametrize(
    ("bits", "e", "reason"),
    [
        (8192, 65537, None),
        (8192, 2**32 + 1, None),  # 33 bits
        (8193, 65537, "8193 bits"),
        (12288, 65537, "12288 bits"),
        (2048, 2**33 + 1, "weak RSA modulus or exponent"),
        (2048, 2**63 + 1, "weak RSA modulus or exponent"),
    ],
)
def test_an_rsa_key_has_a_size_at_which_verifying_is_cheap(
    bits: int, e: int, reason: str | None
) -> None:
    """A forged token without kid makes eight of them work. JWK and PEM have one bound."""
    numbers = rsa_numbers(bits, e)
    pem = numbers.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    jwk = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    for import_ in (lambda: jose.import_jwk(jwk), lambda: jose.import_pem(pem.decode())):
        if reason is None:
            assert import_().public_key.public_numbers() == numbers
        else:
            with pytest.raises(jose.UnusableKeyError, match=reason):
                import_()


@pytest.mark.parametrize(
    "member",
    [
        RSA | {"n": "A" * 2049},
        RSA | {"e": "A" * 2049},
        GOOD | {"x": "A" * 2049},
        GOOD | {"y": "A" * 2049},
        ED | {"x": "A" * 2049},
        {"kty": "RSA", "x5c": ["A" * 16385]},
        {"kty": "EC", "x5c": ["A" * 16385, "A"]},
        {"kty": "OKP", "crv": "Ed25519", "x5c": ["A" * 16385]},
    ],
    ids=lambda member: f"{member['kty']} {max(member, key=lambda name: len(str(member[name])))}",
)
def test_a_long_member_is_refused_before_it_is_decoded(
    member: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document of a megabyte may be one member."""
    for name in ("_base64url", "b64decode", "joserfc_jwk", "x509"):
        monkeypatch.setattr(jose, name, None)  # to use it would be another reason
    with pytest.raises(jose.UnusableKeyError, match="is longer than"):
        jose.import_jwk(member)


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [
        ("RS256", ("e",)),
        ("RS256", ("n",)),
        ("ES256", ("crv",)),
        ("ES256", ("crv", "x")),
        ("ES256", ("x", "y")),
        ("EdDSA", ("crv",)),
        ("EdDSA", ("x",)),
    ],
)
def test_a_certificate_completes_a_key_that_has_some_of_its_members(
    algorithm: str, members: tuple[str, ...]
) -> None:
    """An issuer may publish ``e`` beside ``x5c`` and leave ``n`` to the certificate."""
    issuer = FakeIssuer(algorithm=algorithm)
    private = issuer._keys[0].private
    jwk = issuer.jwks()["keys"][0]
    partial = {name: jwk[name] for name in ("kty", *members)}
    keyset = KeySet.of({"keys": [partial | {"kid": "a", "x5c": [certificate(private)]}]})

    (key,) = keyset.candidates({"alg": algorithm, "kid": "a"})
    assert key.public_key == private.public_key()


@pytest.mark.parametrize(
    "member",
    [
        {"kty": "RSA"},
        {"kty": "OKP"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "EC", "crv": "P-384"},
    ],
    ids=str,
)
def test_a_certificate_holds_the_key_that_the_jwk_says(member: dict[str, Any]) -> None:
    """T11, T51: one of P-256 under another name is no candidate, for no algorithm."""
    x5c = [certificate(ec.generate_private_key(ec.SECP256R1()))]
    keyset = KeySet.of({"keys": [member | {"kid": "a", "x5c": x5c}, GOOD]})

    assert not any(keyset.candidates({"alg": alg, "kid": "a"}) for alg in jose.ALGORITHMS)
    assert [dropped.reason for dropped in keyset.unusable()] == [
        "its certificate holds a key of another kind"
    ]


def test_a_token_with_an_unknown_kid_finds_no_key() -> None:
    """T22: not even in a set of one key. A token without kid finds every key that fits."""
    keyset = KeySet.of({"keys": [GOOD]})

    assert keyset.candidates({"alg": "ES256", "kid": "other"}) == ()
    assert len(keyset.candidates({"alg": "ES256"})) == 1


def test_a_key_serves_the_algorithm_it_was_published_for() -> None:
    """T05: a JWK with alg serves that one, though another would fit its kind."""
    keyset = KeySet.of({"keys": [RSA | {"kid": "a"}]})

    assert keyset.candidates({"alg": "RS256", "kid": "a"})
    for other in ("RS384", "RS512", "PS256"):
        assert not keyset.candidates({"alg": other, "kid": "a"})


def test_keys_may_share_a_kid() -> None:
    """T51: kty and crv decide; of one kind, all are tried; the same key twice counts once."""
    other = FakeIssuer(algorithm="ES256").jwks()["keys"][0]
    twins = [member | {"kid": "a"} for member in (GOOD, RSA, other, GOOD)]
    keyset = KeySet.of({"keys": twins})

    assert len(keyset) == 3
    assert len(keyset.candidates({"alg": "ES256", "kid": "a"})) == 2
    assert len(keyset.candidates({"alg": "RS256", "kid": "a"})) == 1
    assert keyset.digest == KeySet.of({"keys": twins[:3]}).digest


def test_at_most_eight_keys_are_tried() -> None:
    """A token without kid cannot make us verify a thousand times."""
    keys = [
        member | {"kid": f"k{index}"}
        for index in range(20)
        for member in [FakeIssuer(algorithm="EdDSA").jwks()["keys"][0]]
    ]

    assert len(KeySet.of({"keys": keys}).candidates({"alg": "EdDSA"})) == 8


def test_a_broken_key_does_not_count_among_the_eight_that_are_tried() -> None:
    """A key that cannot be made is not tried."""
    broken = [GOOD | {"kid": "a", "x": GOOD["y"], "z": number} for number in range(8)]
    keyset = KeySet.of({"keys": [*broken, GOOD | {"kid": "a"}]})

    assert len(keyset.candidates({"alg": "ES256", "kid": "a"})) == 1
    assert len(keyset.candidates({"alg": "ES256"})) == 1


def test_a_thousand_keys_without_names_cost_no_time() -> None:
    """T53: they are told apart by what they are, not compared in pairs."""
    nameless = {name: value for name, value in GOOD.items() if name != "kid"}

    def count(size: int) -> None:
        assert len(KeySet.of({"keys": [nameless | {"z": n} for n in range(size)]})) == size

    assert calls(lambda: count(1024)) < 5 * calls(lambda: count(256))


def test_a_pem_key_and_a_secret_serve_any_kid() -> None:
    """They have no name of their own."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    secret = KeySet.single(jose.secret_key(b"x" * 32))

    assert KeySet.single(jose.import_pem(pem)).candidates({"alg": "ES256", "kid": "any"})
    assert secret.candidates({"alg": "HS256", "kid": "any"})
    assert not secret.candidates({"alg": "ES256", "kid": "any"})


def test_a_pem_may_be_a_certificate_but_not_private() -> None:
    """The remedy says which half to give."""
    private = ec.generate_private_key(ec.SECP256R1())
    lines = certificate(private)
    pem = f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"
    secret = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()

    assert jose.import_pem(pem).crv == "P-256"
    with pytest.raises(jose.UnusableKeyError, match="private"):
        jose.import_pem(secret)


def test_equal_sets_have_equal_digests() -> None:
    """Order and white space do not matter, a changed key does."""
    one = KeySet.of({"keys": [GOOD, ED]})
    other = KeySet.parse(json.dumps({"keys": [dict(reversed(ED.items())), GOOD]}, indent=8))

    assert one.digest == other.digest
    assert one.digest != KeySet.of({"keys": [GOOD]}).digest


def test_a_thousand_keys_are_built_when_asked_for() -> None:
    """Only the first is built to see that the set is usable."""
    members = [GOOD | {"kid": str(index)} for index in range(1000)]

    keyset = KeySet.of({"keys": members})

    assert sum(member._key is not None for member in keyset._members) == 1
    assert keyset.candidates({"alg": "ES256", "kid": "999"})
    assert sum(member._key is not None for member in keyset._members) == 2


def test_a_key_is_imported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is looked up, and also when it turns out to be broken."""
    imported: list[Any] = []
    import_jwk = jose.import_jwk

    def counting(member: Any) -> Any:
        imported.append(member["kid"])
        return import_jwk(member)

    monkeypatch.setattr(jose, "import_jwk", counting)
    broken = GOOD | {"kid": "broken", "x": GOOD["y"], "y": GOOD["y"]}
    keyset = KeySet.of({"keys": [GOOD, broken, ED | {"kid": "ed"}, RSA | {"kid": "rsa"}]})
    for _ in range(3):
        for alg in ("ES256", "EdDSA", "RS256"):
            keyset.candidates({"alg": alg})
            for kid in ("good", "broken", "ed", "rsa"):
                keyset.candidates({"alg": alg, "kid": kid})
        assert len(keyset.unusable()) == 1

    assert sorted(imported) == ["broken", "ed", "good", "rsa"]


def test_very_large_numbers_are_refused_by_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """T12: before a library does arithmetic with them."""
    import_key = jose.joserfc_jwk.import_key

    def guarded(member: dict[str, str]) -> Any:
        assert all(len(text) < 1000 for text in member.values()), "a giant reaches the library"
        return import_key(member)

    monkeypatch.setattr(jose.joserfc_jwk, "import_key", guarded)
    giants = [RSA | {"n": "_" * 900_000}, GOOD | {"x": "_" * 900_000, "y": "_" * 900_000}]
    reasons = [bad.reason for bad in KeySet.of({"keys": [*giants, GOOD]}).unusable()]

    assert len(reasons) == 2
    assert not [reason for reason in reasons if "not a usable JWK" in reason], "a library refused"


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """Within a second; a broken change is an event, and the keys before it stay."""
    now, heard = 0.0, list[Event]()
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [GOOD]}))
    source = FileKeys(str(path), emit=heard.append, clock=lambda: now)
    es, ed = {"alg": "ES256", "kid": "good"}, {"alg": "EdDSA", "kid": ED["kid"]}
    assert source.candidates(es)
    assert not source.candidates(ed)

    path.write_text(json.dumps({"keys": [ED]}))
    assert not source.candidates(ed)
    now = 1.0
    assert source.candidates(ed)
    assert not source.candidates(es)
    assert [type(event) for event in heard] == [KeysChanged]

    path.write_text("<html>")
    now = 2.0
    assert source.candidates(ed)
    path.unlink()
    now = 3.0
    assert source.candidates(ed)
    assert [type(event) for event in heard[1:]] == [RefreshFailed, RefreshFailed]

    path.write_text(json.dumps({"keys": [GOOD]}))
    now = 4.0
    assert source.candidates(es)


@pytest.mark.parametrize("broken", ["<html>", None], ids=["no JWKS", "no file"])
def test_a_file_that_stays_broken_counts_every_failed_look(
    tmp_path: Path, broken: str | None
) -> None:
    """As a fetch does, so that an alert on it fires; the log has it once, and the end of it."""
    times, heard = iter(range(0, 1000, 10)), list[Event]()
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [GOOD]}))
    source = FileKeys(str(path), emit=heard.append, clock=lambda: float(next(times)))
    path.write_text(broken) if broken else path.unlink()
    for _ in range(3):
        assert source.candidates({"alg": "ES256", "kid": "good"})
    failed = [event for event in heard if isinstance(event, RefreshFailed)]
    assert [(event.fails, event.age, event.is_first) for event in failed] == [
        (1, 10.0, True),
        (2, 20.0, False),
        (3, 30.0, False),
    ]
    assert failed == heard

    path.write_text(json.dumps({"keys": [GOOD]}))
    for _ in range(2):
        assert source.candidates({"alg": "ES256", "kid": "good"})
    assert heard[3:] == [Recovered(str(path), 30.0), KeysConfirmed(str(path))]


def test_a_slow_look_at_the_file_does_not_bring_replaced_keys_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread has read the file and is interrupted; another one looks after the next change."""
    now, parse = 0.0, KeySet.parse
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [RSA]}))
    source = FileKeys(str(path), emit=lambda _: None, clock=lambda: now)

    def interrupted(*args: Any, **options: Any) -> KeySet:
        nonlocal now
        monkeypatch.setattr(KeySet, "parse", parse)
        path.write_text(json.dumps({"keys": [GOOD, ED]}))
        now = 2.0
        source.current()
        return parse(*args, **options)

    path.write_text(json.dumps({"keys": [ED]}))
    monkeypatch.setattr(KeySet, "parse", interrupted)
    now = 1.0
    source.current()
    now = 3.0

    assert source.candidates({"alg": "ES256", "kid": "good"})


def test_a_look_at_the_file_that_fails_is_not_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a hook of the application's raises."""
    now, path = 0.0, tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [ED]}))

    def raising(_event: Event) -> None:
        raise ZeroDivisionError

    source = FileKeys(str(path), emit=raising, clock=lambda: now)
    for number, keys in enumerate(([GOOD], [GOOD, ED]), 1):
        path.write_text(json.dumps({"keys": keys}))
        now = float(number)
        with pytest.raises(ZeroDivisionError):
            source.current()

    assert len(source.current()) == 2
