"""The forms of a public key that are accepted, and the messages for texts that are none."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from jwt_wsgi import ConfigurationError
from jwt_wsgi import Settings
from jwt_wsgi.test_kit.signing import SigningKey
from jwt_wsgi.test_kit.signing import read_private

KEY = SigningKey("RS256", "k")
PUBLIC = KEY.private.public_key()
FORM = serialization.PublicFormat.SubjectPublicKeyInfo
PEM = PUBLIC.public_bytes(serialization.Encoding.PEM, FORM).decode()
DER = PUBLIC.public_bytes(serialization.Encoding.DER, FORM)
BARE = base64.b64encode(DER).decode()
CERTIFICATE = base64.b64encode(KEY.certificate()).decode()
LINES = PEM.strip().splitlines()
FRAME = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
ISSUER = "https://issuer.example"

ACCEPTED = {
    "as it is": PEM,
    "literal line feeds": "\\n".join(LINES),
    "literal CR LF": "\\r\\n".join(LINES),
    "escaped twice": "\\\\n".join(LINES),
    "on one line": " ".join(LINES),
    "without any white space": "".join(LINES),
    "indented": "\n".join(f"    {line}" for line in LINES),
    "CR LF": "\r\n".join(LINES),
    "byte order mark": f"\ufeff{PEM}",
    "bare base64": BARE,
    "bare base64 on lines": "\n".join(LINES[1:-1]),
    "bare base64 with literal line feeds": "\\n".join(LINES[1:-1]),
    "a bare certificate": CERTIFICATE,
    "a certificate on one line": f"{FRAME[0]} {CERTIFICATE} {FRAME[1]}",
}  # fmt: skip


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_a_public_key_in_every_form(text: str, tmp_path: Path) -> None:
    """By keyword, from the environment and from a file: the same key."""
    file = tmp_path / "key"
    file.write_text(text, encoding="utf-8")
    for settings in (
        Settings.of(issuer=ISSUER, public_key=text),
        Settings.load({"issuer": ISSUER}, environ={"JWT_WSGI_PUBLIC_KEY": text}),
        Settings.load({"issuer": ISSUER}, environ={"JWT_WSGI_PUBLIC_KEY_FILE": str(file)}),
    ):
        assert settings.public_key is not None
        (found,) = settings.public_key.candidates({"alg": "RS256"})
        assert found.public_key.public_numbers() == PUBLIC.public_numbers()


RECOGNISED = {
    "a path": ("/etc/keys/issuer.pem", "JWT_WSGI_PUBLIC_KEY_FILE"),
    "a relative path": ("keys/issuer.pem", "JWT_WSGI_PUBLIC_KEY_FILE"),
    "a JWK": (json.dumps(KEY.jwk()), "jwks"),
    "a JWKS": (json.dumps({"keys": [KEY.jwk()]}), "jwks"),
    "a URL": ("https://issuer.example/key.pem", "jwks_uri"),
    "an SSH key": ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ host", "ssh-keygen -e -m pkcs8"),
    "quotes": (f'"{PEM.strip()}"', "quotes"),
    "a private key": (KEY.pem(), "private"),
    "a private key on one line": (KEY.pem().replace("\n", "\\n"), "private"),
    "cut": ("\n".join(LINES[:-1]), "END"),
    "rubbish": ("hunter2", "PEM"),
}


@pytest.mark.parametrize(("text", "remedy"), RECOGNISED.values(), ids=RECOGNISED)
def test_a_text_that_is_no_public_key_is_recognised(text: str, remedy: str) -> None:
    """The message names its kind, and does not have its text."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.of(issuer=ISSUER, public_key=text)

    (problem,) = caught.value.problems
    assert problem.startswith("public_key: (a secret): ")
    assert remedy in problem
    assert "hunter2" not in problem
    assert "issuer.pem" not in problem


@pytest.mark.parametrize("text", [BARE, CERTIFICATE, f"\ufeff{PEM}", "\\n".join(LINES)])
def test_a_public_key_in_any_form_is_no_secret(text: str) -> None:
    """Everyone who has the public key could sign with it (RFC 8725 section 2.1)."""
    with pytest.raises(ConfigurationError, match="is not a secret"):
        Settings.of(issuer=ISSUER, secret=text)


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    """Some editors write one at the beginning of a file, and do not show it."""
    secret = "abcdefghijklmnopqrstuvwxyz0123456789"
    file = tmp_path / "secret"
    file.write_text(f"\ufeff{secret}\r\n", encoding="utf-8")
    environ = {"JWT_WSGI_SECRET_FILE": str(file), "JWT_WSGI_ISSUER": ISSUER}

    assert Settings.load({}, environ=environ).secret == secret.encode()
    assert Settings.of(issuer=ISSUER, secret=f"\ufeff{secret}").secret == secret.encode()


@pytest.mark.parametrize(
    "given",
    [
        {"jwks": PEM},
        {"jwks_tls": PEM},
        {"jwks_tls": {"verify": PEM}},
        {"jwks_tls": {"cert": [PEM]}},
        {"jwks_snapshot": {"path": PEM, "secret": "abcdefghijklmnopqrstuvwxyz0123456789"}},
    ],
    ids=["jwks", "jwks_tls", "verify", "cert", "path"],
)
def test_a_key_in_the_place_of_a_path_is_recognised(given: Any) -> None:
    """These take files."""
    with pytest.raises(ConfigurationError, match="it is PEM, not a path") as caught:
        Settings.of(issuer=ISSUER, **given)
    assert LINES[1] not in str(caught.value)


@pytest.mark.parametrize("form", ["\\n", " ", "\r\n"])
def test_a_private_key_for_tests_in_every_form(form: str) -> None:
    """For ``jwt-wsgi mint``, from a variable, too."""
    private: Any = read_private(form.join(KEY.pem().strip().splitlines()), "RS256")

    assert private.private_numbers() == KEY.private.private_numbers()
