"""`jwt-wsgi keys`: each key with its name and thumbprint, and the reason why one is skipped."""

import base64
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from fault_issuer import fault_server
from fault_issuer import says
from test_cli_doctor import issuer_of
from test_cli_doctor import serving
from test_keys import certificate

from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.thumbprint import thumbprint
from jwt_wsgi.testing import FakeIssuer

Keys = Callable[..., tuple[int, Any]]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Keys:
    """Run the command; returns the exit code and the first report."""

    def run(*arguments: str, **variables: str) -> tuple[int, Any]:
        for name, value in variables.items():
            monkeypatch.setenv(f"JWT_WSGI_{name}", value)
        code = main(["keys", *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)[0]

    return run


def test_thumbprints_of_the_rfcs() -> None:
    """RFC 7638 section 3.1 and RFC 8037 appendix A.3."""
    rsa = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS"
        "oc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0"
        "_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4"
        "vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
    }
    okp = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}

    assert thumbprint(rsa) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert thumbprint(okp) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert thumbprint({"kty": "oct", "k": "c2VjcmV0"}) == ""


def test_every_reason_to_skip_a_key(keys: Keys) -> None:
    """A document of good and bad members: the good are used, each bad one says why."""
    good, (rsa,) = FakeIssuer().jwks()["keys"][0], FakeIssuer(algorithm="RS256").jwks()["keys"]
    bad: dict[str, Any] = {
        "it is not a JSON object": "text",
        "it holds a private or secret key": {**good, "d": "c2VjcmV0"},
        "its kty is not one that verifies tokens": {"kty": "oct", "kid": "o"},
        "its use is not sig": {**good, "use": "enc"},
        "its key_ops do not hold verify": {**good, "key_ops": ["sign"]},
        "its alg is not a signature algorithm of its kty": {**good, "alg": "RSA-OAEP"},
        "its crv is not one that verifies tokens": {**good, "crv": "X25519"},
        "its kid is not a string of 1 to 256 characters": {**good, "kid": 5},
        "its x is not a key of the curve Ed25519": {**good, "x": "AA"},
        "a point of small order": {**good, "x": "A" * 43},
        "it fits none of the accepted algorithms": rsa,
    }
    with issuer_of(serving({"keys": [good, *bad.values()]})) as url:
        code, report = keys(ISSUER=url, ALGORITHMS="EdDSA")

    assert code == 0
    assert [row["reason"] for row in report["keys"]] == ["", *bad]
    assert [row["used"] for row in report["keys"]] == [True] + [False] * len(bad)
    assert [row["private"] for row in report["keys"]].count(True) == 1
    assert report["keys"][0] == {
        "kid": "key-1", "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
        "thumbprint": thumbprint(good), "reason": "", "private": False, "used": True,
    }  # fmt: skip
    assert "c2VjcmV0" not in json.dumps(report)


def test_a_key_that_has_a_certificate_only(keys: Keys, tmp_path: Path) -> None:
    """Its digest stands where the thumbprint would."""
    issuer = FakeIssuer(algorithm="ES256")
    der = certificate(issuer._keys[0].private)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [{"kty": "EC", "kid": "c", "x5c": [der]}]}))

    code, report = keys(str(file))

    assert code == 0
    digest = hashlib.sha256(base64.b64decode(der)).hexdigest()
    assert report["keys"][0]["thumbprint"] == f"x5c:{digest}"


@pytest.mark.parametrize("end", ["", "/jwks"])
def test_an_issuer_or_a_url_that_nobody_configured(
    keys: Keys, issuer: FakeIssuer, end: str
) -> None:
    """Both are found out by asking; no header that is meant for the configured one is sent."""
    with issuer_of(serving(issuer.jwks())) as url:
        code, report = keys(
            url + end, ISSUER="https://other.example", JWKS_HEADERS="X-Key=secret-of-other"
        )

    assert code == 0
    assert report["found_by"] == ("jwks_uri" if end else "OpenID Connect discovery")
    assert report["source"] == f"{url}/jwks"


def test_headers_go_to_the_configured_issuer_only(keys: Keys) -> None:
    """A secret header reaches the issuer it was configured for, and no other address."""
    body = json.dumps(FakeIssuer().jwks()).encode()
    with fault_server(says("200 OK", body)) as server:
        ours = {"ISSUER": "https://other.example", "JWKS_URI": server.url}
        keys(**ours, JWKS_HEADERS="X-Key=secret-of-other")
        keys(server.url)

    assert "secret-of-other" in server.heads[0]
    assert len(server.heads) > 1
    assert not any("secret-of-other" in head for head in server.heads[1:])


def test_a_configured_issuer_by_its_name(keys: Keys, issuer: FakeIssuer) -> None:
    """On its own terms."""
    code, report = keys(issuer.issuer, ISSUER=issuer.issuer, JWKS=json.dumps(issuer.jwks()))

    assert (code, report["source"]) == (0, "jwks")


def test_sets_that_were_parsed_before_are_reported(keys: Keys, issuer: FakeIssuer) -> None:
    """Inline, one PEM, a shared secret: what is known of them, and nothing of the secret."""
    inline = {"keys": [*issuer.jwks()["keys"], {**issuer.jwks()["keys"][0], "use": "enc"}]}
    code, report = keys("--issuer", issuer.issuer, JWKS=json.dumps(inline))
    assert (code, [row["reason"] for row in report["keys"]]) == (0, ["", "its use is not sig"])
    assert report["keys"][0]["crv"] == "Ed25519"


def test_a_file_that_is_configured(keys: Keys, issuer: FakeIssuer, tmp_path: Path) -> None:
    """By its path."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(issuer.jwks()))
    code, report = keys(ISSUER=issuer.issuer, JWKS_FILE=str(file))

    assert (code, report["source"], report["keys"][0]["kid"]) == (0, str(file), "key-1")


def test_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The app would not start with it."""
    monkeypatch.setenv("JWT_WSGI_JWKS_FILE", str(tmp_path))

    assert main(["keys", "--issuer", "https://i.example"]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_one_pem(keys: Keys, issuer: FakeIssuer) -> None:
    """A key for tokens of any kid."""
    pem = (
        issuer._keys[0]
        .private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    code, report = keys(ISSUER=issuer.issuer, PUBLIC_KEY=pem.decode())

    assert (code, report["keys"][0]["kid"], report["keys"][0]["kty"]) == (0, "(any)", "OKP")


def test_a_shared_secret(keys: Keys, issuer: FakeIssuer) -> None:
    """That there is one; no digest of it, which would help guessing."""
    code, report = keys(ISSUER=issuer.issuer, SECRET="correct horse battery staple 1234")

    assert (code, report["keys"][0]["kty"], report["keys"][0]["thumbprint"]) == (0, "oct", "")
    assert "xxx" not in json.dumps(report)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not strict JSON"),
        ('{"keys": []}', "no usable key"),
        ('{"keys": 5}', 'no "keys" list'),
    ],
)
def test_a_file_that_is_no_jwks(keys: Keys, tmp_path: Path, text: str, why: str) -> None:
    """Exit code 1."""
    (tmp_path / "jwks.json").write_text(text)

    code, report = keys(str(tmp_path / "jwks.json"))

    assert code == 1
    assert why in report["problem"]


def test_a_url_with_a_secret_in_its_query(keys: Keys) -> None:
    """It is not printed."""
    code, report = keys(ISSUER="https://i.example", JWKS_URI="http://127.0.0.1:1/jwks?code=hush")

    assert code == 1
    assert "hush" not in json.dumps(report)


def test_an_issuer_that_cannot_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """The problem is told in words."""
    assert main(["keys", "--issuer", "http://127.0.0.1:1"]) == 1
    assert "problem: connect" in capsys.readouterr().out


def test_keys_are_shown_as_a_table(
    issuer: FakeIssuer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters in a kid are escaped."""
    hostile = {**issuer.jwks()["keys"][0], "kid": "a\x1b[2J\n", "use": "enc"}
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [*issuer.jwks()["keys"], hostile]}))

    assert main(["keys", str(file)]) == 0
    said = capsys.readouterr().out
    assert "1 of 2 keys used" in said
    assert "\x1b" not in said
    assert len(said.splitlines()) == 4


OWN_KEYS = """
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.keys import KeySet

KEYS = KeySet.of({jwks})

class Asked:
    def candidates(self, header):
        return KEYS.candidates(header)

class Listed(Asked):
    def current(self):
        return KEYS

class Down(Asked):
    def current(self):
        raise KeysUnavailableError(5, "the database is down")

def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]

asked = JWTMiddleware(app, issuer=Issuer("http://127.0.0.1:1", keys=Asked()))
listed = JWTMiddleware(app, issuer=Issuer("http://127.0.0.1:1", keys=Listed()))
down = JWTMiddleware(app, issuer=Issuer("http://127.0.0.1:1", keys=Down()))
"""


@pytest.fixture
def own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer: FakeIssuer) -> FakeIssuer:
    """The module `own_keys` has apps whose keys come from a source of their own."""
    (tmp_path / "own_keys.py").write_text(OWN_KEYS.format(jwks=issuer.jwks()))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_keys", raising=False)
    return issuer


def test_a_key_source_of_the_app_s_own_is_asked_itself(keys: Keys, own_keys: FakeIssuer) -> None:
    """The issuer is not asked over the network, where nobody listens; the source lists its keys."""
    code, report = keys("--app", "own_keys:listed")

    assert (code, report["problem"], report["source"]) == (0, "", "keys (own_keys.Listed)")
    assert [row["kid"] for row in report["keys"]] == [own_keys.kid]


def test_a_key_source_that_lists_nothing_is_no_failure(keys: Keys, own_keys: FakeIssuer) -> None:
    """Without current() it is asked for each token only, and nothing is known before."""
    code, report = keys("--app", "own_keys:asked")

    assert (code, report["problem"], report["listed"]) == (0, "", False)
    assert report["keys"] == []


def test_a_key_source_that_fails_is_a_problem(keys: Keys, own_keys: FakeIssuer) -> None:
    """Told by the type of its error: the text may hold anything."""
    code, report = keys("--app", "own_keys:down")

    assert (code, report["problem"]) == (1, "own: it raised jwt_wsgi.errors.KeysUnavailableError")


@pytest.mark.parametrize(
    ("app", "code", "outcome", "says"),
    [
        ("listed", 0, "ok", "1 usable, from keys (own_keys.Listed)"),
        ("asked", 0, "-", "keys (own_keys.Asked) is called for each token; it lists no keys"),
        ("down", 1, "fail", "keys (own_keys.Down): own: it raised"),
    ],
)
def test_doctor_asks_a_key_source_of_the_app_s_own(
    own_keys: FakeIssuer,
    capsys: pytest.CaptureFixture[str],
    app: str,
    code: int,
    outcome: str,
    says: str,
) -> None:
    """As `keys` does."""
    assert main(["doctor", "--json", "--app", f"own_keys:{app}"]) == code
    checks = json.loads(capsys.readouterr().out)["checks"]
    (told,) = [check for check in checks if check["name"] == "keys"]

    assert told["outcome"] == outcome
    assert says in told["says"]
