"""The RFCs' own figures: what they say verifies does, and what we refuse we refuse on purpose.

RFC 7515 appendix A and E, RFC 7520 section 4, RFC 7797 section 4, RFC 8037 appendix A. Their
payloads are mostly no claims sets, so a figure stands first of all against ``jose.verify``.
"""

import base64
import json
from typing import Any
from typing import NamedTuple

import pytest
from conftest import EchoApp
from cryptography.hazmat.primitives.asymmetric import ed25519
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import InvalidTokenError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import jose
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.test_kit.signing import SigningKey


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- RFC 7515 appendix A --------------------------------------------------------------------

JOE = b64(b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}')
CLAIMS = {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}
SECRET_A1 = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
N_A2 = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
    "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX"
    "ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5"
    "IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
)
RSA_A2 = {"kty": "RSA", "n": N_A2, "e": "AQAB"}
EC_A3 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
EC_A4 = {
    "kty": "EC",
    "crv": "P-521",
    "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
    "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
}
HS256_A1 = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
RS256_A2 = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W"
    "2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS"
    "jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"
    "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
ES256_A3 = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
ES512_A4 = (
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7Xdt"
    "AG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
)
UNSECURED_A5 = f"eyJhbGciOiJub25lIn0.{JOE}."
SIGNATURES_A6 = [
    {"protected": "eyJhbGciOiJSUzI1NiJ9", "header": {"kid": "2010-12-29"}, "signature": RS256_A2},
    {
        "protected": "eyJhbGciOiJFUzI1NiJ9",
        "header": {"kid": "e9bc097a-ce51-4036-9562-d2ade882db0d"},
        "signature": ES256_A3,
    },
]
#: Appendix E: must be rejected, for its crit.
CRIT_E = b64(
    b'{"alg":"none",\r\n "crit":["http://example.com/UNDEFINED"],\r\n'
    b' "http://example.com/UNDEFINED":true\r\n}'
)

# --- RFC 7520 section 4 ---------------------------------------------------------------------

FRODO = b64(
    "It\u2019s a dangerous business, Frodo, going out your door. You step onto the road, and if you"
    " don't keep your feet, there\u2019s no knowing where you might be swept off to.".encode()
)
N_33 = (
    "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_"
    "AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpP"
    "e7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg"
    "_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"
)
RSA_33 = {"kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "n": N_33, "e": "AQAB"}
EC_31 = {
    "kty": "EC",
    "kid": "bilbo.baggins@hobbiton.example",
    "use": "sig",
    "crv": "P-521",
    "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
    "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
}
SECRET_35 = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"
KID_35 = "018c0ae5-4d9b-471b-bfd6-eef314bc7037"
RS256_41 = (
    "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83"
    "xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJ"
    "Dt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12"
    "podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"
)
PS384_42 = (
    "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6"
    "O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqi"
    "VJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_"
    "jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"
)
ES512_43 = (
    "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJ"
    "AQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"
)
HEADER_41 = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9"
HEADER_42 = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9"
HEADER_43 = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9"
HEADER_44 = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9"
HS256_44 = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"
HS256_46 = "bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20"
HS256_47 = "xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk"
RS256_48 = (
    "MIsjqtVlOpa71KE-Mss8_Nq2YH4FGhiocsqrgi5NvyG53uoimic1tcMdSg-qptrzZc7CG6Svw2Y13TDIqHzTUrL_"
    "lR2ZFcryNFiHkSw129EghGpwkpxaTn_THJTCglNbADko1MZBCdwzJxwqZc-1RlpO2HibUYyXSwO97BSe0_evZKdj"
    "vvKSgsIqjytKSeAMbhMBdMma622_BG5t4sdbuCHtFjp9iJmkio47AIwqkZV1aIZsv33uPUqBBCXbYoQJwt7mxPft"
    "HmNlGoOSMxR_3thmXTCm4US-xiNOyhbm8afKK64jU6_TPtQHiJeQJxz9G3Tx-083B745_AfYOnlC9w"
)
ES512_48 = (
    "ARcVLnaJJaUWG8fG-8t5BREVAuTY8n8YHjwDO1muhcdCoFZFFjfISu0Cdkn9Ybdlmi54ho0x924DUz8sK7ZXkhc7"
    "AFM8ObLfTvNCrqcI3Jkl2U5IX3utNhODH6v7xgy1Qahsn0fyb4zSAkje8bAWz4vIfj5pCMYxxm4fgV3q7ZYhm5eD"
)

# --- RFC 7797 section 4, RFC 8037 appendix A ------------------------------------------------

#: {"alg":"HS256","b64":false,"crit":["b64"]}
HEADER_7797 = "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19"
HS256_7797 = "A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY"
ED_PRIVATE = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
ED = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
ED_SIGNED = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
EDDSA_A4 = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
#: Appendix A.6: for key agreement.
X25519 = {
    "kty": "OKP",
    "crv": "X25519",
    "kid": "Bob",
    "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08",
}


def secret(text: str) -> jose.Key:
    return jose.secret_key(unb64(text))


class Figure(NamedTuple):
    """What an RFC signed; ``refused``: why ``jose.parse`` does not take it as a compact JWS."""

    algorithm: str
    key: jose.Key
    signed: str
    signature: str
    refused: str | None = None


NO_CLAIMS = "its payload is not a JSON object, so it is a JWS but no JWT (RFC 7519 section 7.2)"
NO_HEADER = "its header is not protected, and a compact JWS has no other"
CRIT = "it has crit, and we understand no extension (RFC 7515 section 4.1.11, RFC 7797 section 7)"

FIGURES = {
    "7515 A.1": Figure(
        "HS256", secret(SECRET_A1), f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}", HS256_A1
    ),
    "7515 A.2": Figure("RS256", jose.import_jwk(RSA_A2), f"eyJhbGciOiJSUzI1NiJ9.{JOE}", RS256_A2),
    "7515 A.3": Figure("ES256", jose.import_jwk(EC_A3), f"eyJhbGciOiJFUzI1NiJ9.{JOE}", ES256_A3),
    "7515 A.4": Figure(
        "ES512", jose.import_jwk(EC_A4), "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA", ES512_A4, NO_CLAIMS
    ),
    "7520 4.1": Figure(
        "RS256", jose.import_jwk(RSA_33), f"{HEADER_41}.{FRODO}", RS256_41, NO_CLAIMS
    ),
    "7520 4.2": Figure(
        "PS384", jose.import_jwk(RSA_33), f"{HEADER_42}.{FRODO}", PS384_42, NO_CLAIMS
    ),
    "7520 4.3": Figure(
        "ES512", jose.import_jwk(EC_31), f"{HEADER_43}.{FRODO}", ES512_43, NO_CLAIMS
    ),
    # 4.5 is 4.4 with its content detached, 4.8 has 4.4 as its third signature.
    "7520 4.4": Figure("HS256", secret(SECRET_35), f"{HEADER_44}.{FRODO}", HS256_44, NO_CLAIMS),
    "7520 4.6": Figure(
        "HS256", secret(SECRET_35), f"eyJhbGciOiJIUzI1NiJ9.{FRODO}", HS256_46, NO_CLAIMS
    ),
    "7520 4.7": Figure("HS256", secret(SECRET_35), f".{FRODO}", HS256_47, NO_HEADER),
    "7520 4.8, first": Figure(
        "RS256", jose.import_jwk(RSA_33), f"eyJhbGciOiJSUzI1NiJ9.{FRODO}", RS256_48, NO_CLAIMS
    ),
    "7520 4.8, second": Figure("ES512", jose.import_jwk(EC_31), f".{FRODO}", ES512_48, NO_HEADER),
    "7797 4.2": Figure("HS256", secret(SECRET_A1), f"{HEADER_7797}.$.02", HS256_7797, CRIT),
    "8037 A.5": Figure("EdDSA", jose.import_jwk(ED), ED_SIGNED, EDDSA_A4, NO_CLAIMS),
}

#: Never taken as a token, whatever its signatures are worth.
OTHER_FORMS = {
    "7515 A.6, JSON": json.dumps({"payload": JOE, "signatures": SIGNATURES_A6}),
    "7515 A.7, flattened JSON": json.dumps({"payload": JOE, **SIGNATURES_A6[1]}),
    "7515 E, crit": f"{CRIT_E}.RkFJTA.",
    "7520 4.5, detached": f"{HEADER_44}..{HS256_44}",
    "7520 4.6, flattened JSON": json.dumps(
        {
            "payload": FRODO,
            "protected": "eyJhbGciOiJIUzI1NiJ9",
            "header": {"kid": KID_35},
            "signature": HS256_46,
        }
    ),
    "7520 4.7, flattened JSON": json.dumps(
        {"payload": FRODO, "header": {"alg": "HS256", "kid": KID_35}, "signature": HS256_47}
    ),
    "7520 4.8, JSON": json.dumps(
        {
            "payload": FRODO,
            "signatures": [
                {"protected": "eyJhbGciOiJSUzI1NiJ9", "signature": RS256_48},
                {"header": {"alg": "ES512"}, "signature": ES512_48},
                {"protected": HEADER_44, "signature": HS256_44},
            ],
        }
    ),
    "7797 4.2, detached": f"{HEADER_7797}..{HS256_7797}",
}


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_a_signature_of_an_rfc_verifies(figure: Figure) -> None:
    """With the RFC's key, and over nothing else; every byte of it counts."""
    signed, signature = figure.signed.encode(), unb64(figure.signature)

    assert jose.verify(figure.algorithm, figure.key, signed, signature)
    assert not jose.verify(figure.algorithm, figure.key, signed + b" ", signature)
    for place in range(len(signature)):
        changed = bytearray(signature)
        changed[place] ^= 1
        assert not jose.verify(figure.algorithm, figure.key, signed, bytes(changed))


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_a_figure_is_a_token_if_it_is_a_jwt(figure: Figure) -> None:
    """Its claims are read; what is refused though its signature is good says why in the table."""
    compact = f"{figure.signed}.{figure.signature}"
    if figure.refused:
        with pytest.raises(InvalidTokenError) as caught:
            jose.parse(compact)
        assert caught.value.code == "token_malformed"
        return
    token = jose.parse(compact)

    assert token.claims == CLAIMS
    assert token.header["alg"] == figure.algorithm
    assert (token.signed, token.signature) == (figure.signed.encode(), unb64(figure.signature))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("7515 A.1", {"secret": "base64:" + base64.b64encode(unb64(SECRET_A1)).decode()}),
        ("7515 A.2", {"jwks": {"keys": [RSA_A2, EC_A3]}}),
        ("7515 A.3", {"jwks": {"keys": [RSA_A2, EC_A3]}}),
    ],
)
def test_the_tokens_of_rfc_7515_are_accepted_until_they_expire(
    app: EchoApp, name: str, options: dict[str, Any]
) -> None:
    """They pass the whole verifier in 2011, and no longer one second after their exp."""
    now = 1300819379.0
    verifier = JWTMiddleware(app, issuer="joe", leeway=0, token_cache_size=0, **options).verifier
    verifier.clock = lambda: now
    token = f"{FIGURES[name].signed}.{FIGURES[name].signature}"

    assert verifier.verify(token) == CLAIMS
    now += 1
    with pytest.raises(InvalidTokenError) as caught:
        verifier.verify(token)
    assert caught.value.code == "token_expired"


def test_an_unsecured_token_is_refused(app: EchoApp) -> None:
    """RFC 7515 A.5, RFC 7519 section 6.1: ``none`` is no algorithm here, and cannot become one."""
    middleware = JWTMiddleware(app, issuer="joe", jwks={"keys": [RSA_A2]})

    with pytest.raises(InvalidTokenError) as caught:
        middleware.verifier.verify(UNSECURED_A5)
    assert caught.value.code == "algorithm_not_allowed"
    with pytest.raises(ConfigurationError, match="none"):
        JWTMiddleware(app, issuer="joe", jwks={"keys": [RSA_A2]}, algorithms="none")


@pytest.mark.parametrize("text", OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_only_the_compact_form_with_its_payload_is_a_token(app: EchoApp, text: str) -> None:
    """JSON serialisations, detached content and critical extensions are 401 (T15, T18, T19)."""
    keys = {"keys": [RSA_A2, EC_A3, RSA_33, EC_31]}
    visitor = Client(JWTMiddleware(app, issuer="joe", jwks=keys))

    with pytest.raises(InvalidTokenError) as caught:
        jose.parse(text)
    assert caught.value.code == "token_malformed"
    assert visitor.get("/", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    assert app.environ is None


def test_ed25519_and_hmac_sign_as_the_rfcs_do() -> None:
    """RFC 8037 A.4, RFC 7515 A.1: the tokens of FakeIssuer are made by the book."""
    ed, hs = SigningKey("EdDSA", "a"), SigningKey("HS256", "a")
    ed.private = ed25519.Ed25519PrivateKey.from_private_bytes(unb64(ED_PRIVATE))
    hs.private = unb64(SECRET_A1)

    assert b64(ed.sign(ED_SIGNED.encode())) == EDDSA_A4
    assert b64(hs.sign(FIGURES["7515 A.1"].signed.encode())) == HS256_A1
    assert ed.jwk()["x"] == ED["x"]  # appendix A.2: the public key of that private one


def test_keys_for_agreement_verify_nothing() -> None:
    """RFC 8037 A.6: an X25519 key beside a good one is not used, and alone is no set."""
    keys = KeySet.of({"keys": [X25519, ED]})

    assert keys.candidates({"alg": "EdDSA", "kid": "Bob"}) == ()
    assert len(keys.candidates({"alg": "EdDSA"})) == 1
    with pytest.raises(DocumentError):
        KeySet.of({"keys": [X25519]})
