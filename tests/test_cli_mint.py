"""`jwt-wsgi mint`: tokens for tests that the middleware accepts, and keys to make more."""

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from jwt_wsgi import jose
from jwt_wsgi.__main__ import main
from jwt_wsgi.testing import FakeIssuer


def minted(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """A token, and what is said beside it."""
    assert main(["mint", *arguments]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert "for tests" in said.err
    return said.out.strip(), said.err


@pytest.mark.parametrize("algorithm", jose.ALGORITHMS)
def test_every_algorithm(
    algorithm: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variable that is printed to standard error is what the app needs to accept the token."""
    token, err = minted(capsys, "--alg", algorithm, "--aud", "api")
    (line,) = [line for line in err.splitlines() if line.startswith("JWT_WSGI_")]
    name, _, value = line.partition("=")
    monkeypatch.setenv(name, value.strip("'"))
    monkeypatch.setenv("JWT_WSGI_ALGORITHMS", algorithm)
    monkeypatch.setattr("sys.stdin", io.StringIO(token))

    assert main(["explain", "--issuer", "https://issuer.example", "--audience", "api"]) == 0


def test_the_given_claims_and_header_members_are_in_the_token(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Claims and header members: JSON where it is JSON, else text; null leaves one out."""
    token, _ = minted(
        capsys, "--iss", "https://i.example", "--sub", "ada", "--aud", "a", "--aud", "b",
        "--claim", "admin=true", "--claim", 'roles=["x"]', "--claim", 'org="42"',
        "--claim", "iat=null", "--claim", "url=http://x/?a=b", "--header", "typ=at+jwt",
        "--kid", "mine",
    )  # fmt: skip
    found = jose.parse(token)
    exp = found.claims.pop("exp")

    assert found.claims == {
        "iss": "https://i.example", "sub": "ada", "aud": ["a", "b"], "admin": True,
        "roles": ["x"], "org": "42", "url": "http://x/?a=b",
    }  # fmt: skip
    assert found.header == {"alg": "EdDSA", "typ": "at+jwt", "kid": "mine"}
    assert exp > 1_700_000_000


@pytest.mark.parametrize(("said", "seconds"), [("1h", 3600), ("-5m", -300)])
def test_exp_sets_the_lifetime_of_the_token(
    said: str, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A negative duration makes an expired token."""
    token, _ = minted(capsys, f"--exp={said}")
    claims = jose.parse(token).claims

    assert claims["exp"] - claims["iat"] == (seconds if seconds > 0 else 300)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "HS512"])
def test_a_key_is_kept_and_used_again(
    algorithm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only its owner can read it, it is never overwritten, and the same key has the same name."""
    key = tmp_path / "key"
    once, _ = minted(capsys, "--alg", algorithm, "--key-out", str(key))
    again, said = minted(capsys, "--alg", algorithm, "--key", str(key), "--claim", "a=1")

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert jose.parse(once).header == jose.parse(again).header
    assert "JWT_WSGI" not in said
    before = key.read_text()
    assert main(["mint", "--alg", algorithm, "--key-out", str(key)]) == 2
    assert "File exists; --key signs with the key that is in it" in capsys.readouterr().err
    assert key.read_text() == before


def test_the_jwks_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To a file that the app reads, the public part only; a private JWK signs as well."""
    file = tmp_path / "jwks.json"
    private = {
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    }  # fmt: skip
    (tmp_path / "key.json").write_text(json.dumps(private))
    minted(capsys, "--key", str(tmp_path / "key.json"), "--jwks-out", str(file))

    (key,) = json.loads(file.read_text())["keys"]
    assert (key["x"], key["kid"]) == (private["x"], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    assert "d" not in key


@pytest.mark.parametrize(
    ("algorithm", "text", "why"),
    [
        ("EdDSA", "no key", "not a private key for EdDSA"),
        ("EdDSA", FakeIssuer(algorithm="ES256").private_key, "EdDSA"),
        ("ES256", FakeIssuer(algorithm="ES384").private_key, "but EC P-384"),
        ("Ed25519", FakeIssuer(algorithm="Ed448").private_key, "but OKP Ed448"),
        ("HS256", "short", "32 bytes at least"),
        ("EdDSA", "{}", "not a private key"),
    ],
    ids=["text", "kind", "curve", "other curve", "short", "JWK"],
)
def test_a_key_that_does_not_fit(
    algorithm: str, text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and no token."""
    (tmp_path / "key").write_text(text)

    assert main(["mint", "--alg", algorithm, "--key", str(tmp_path / "key")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert why in said.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--key", "/no/such/file"], "/no/such/file: No such file"),
        (["--alg", "HS256", "--jwks-out", "/tmp/x"], "no public key"),
        (["--claim", "header=1"], "a claim called header"),
    ],
)
def test_what_cannot_be_made(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line."""
    assert main(["mint", *arguments]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--exp", "soon"], ["--claim", "a"], ["--alg", "none"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As argparse has it."""
    with pytest.raises(SystemExit) as ended:
        main(["mint", *arguments])

    assert ended.value.code == 2


def test_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """Token, kid and JWKS in one object."""
    assert main(["mint", "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)

    assert jose.parse(told["token"]).header["kid"] == told["kid"] == told["jwks"]["keys"][0]["kid"]
