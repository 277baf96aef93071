"""``python -m jwt_wsgi mint``: tokens and keys for tests, without any network."""

import argparse
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from typing import Final

from jwt_wsgi import jose
from jwt_wsgi.settings.values import read_seconds
from jwt_wsgi.testing import FakeIssuer

from .terminal import EXIT_FINE
from .terminal import add_json_flag
from .terminal import complain
from .terminal import note
from .terminal import say
from .terminal import show_json
from .thumbprint import thumbprint

_EXAMPLE: Final = """\
example, a token and an app that accepts it:
  jwt-wsgi mint --iss https://issuer.example --aud api --sub ada --jwks-out jwks.json > token
  export JWT_WSGI_ISSUER=https://issuer.example JWT_WSGI_AUDIENCE=api JWT_WSGI_JWKS_FILE=jwks.json
  jwt-wsgi explain < token

A value of --claim and --header that is JSON is taken as JSON (admin=true, roles=["a", "b"],
'org="42"' for the text), anything else as text; null leaves the member out (--claim exp=null).
"""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``mint`` to the command line."""
    parser = commands.add_parser(
        "mint",
        help="tokens and keys for tests",
        description="Print a signed token for tests. Without --key it is signed with a key made"
        " for it, whose public part (a JWKS) goes to standard error or --jwks-out.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--alg", choices=jose.ALGORITHMS, default="EdDSA", help="(%(default)s)")
    parser.add_argument("--iss", default="https://issuer.example", help="(%(default)s)")
    parser.add_argument("--sub", help="(somebody)")
    parser.add_argument("--aud", action="append", help="may be given several times")
    parser.add_argument(
        "--exp",
        type=lifetime,
        default="5m",
        metavar="DURATION",
        help="valid for 90s, 5m, 1h (%(default)s); --exp=-5m: expired 5 minutes ago",
    )
    parser.add_argument("--claim", action="append", type=member, metavar="NAME=VALUE", default=[])
    parser.add_argument("--header", action="append", type=member, metavar="NAME=VALUE", default=[])
    _add_key_flags(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def _add_key_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="private key, PEM or JWK; for HS* the secret"
    )
    parser.add_argument("--kid", help="name of the key (its RFC 7638 thumbprint)")
    parser.add_argument(
        "--key-out", type=Path, metavar="FILE", help="write the private key, for --key next time"
    )
    parser.add_argument("--jwks-out", type=Path, metavar="FILE", help="write the public JWKS")


def lifetime(text: str) -> float:
    """Read a duration in seconds, negative for the past. Raises ArgumentTypeError."""
    try:
        seconds = read_seconds(text.removeprefix("-"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return -seconds if text.startswith("-") else seconds


def member(text: str) -> tuple[str, Any]:
    """``name=value``; the value is JSON or else text. Raises ArgumentTypeError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError("give name=value")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def run(options: argparse.Namespace) -> int:
    """Print a token. Exit code 0, or 2 if a file or a key cannot be used."""
    issuer = FakeIssuer(options.iss, algorithm=options.alg)
    try:
        if options.key is not None:
            issuer.load_key(options.key.read_text(encoding="utf-8"))
        kid = options.kid or _name(issuer)
        jwks = {"keys": [{**key, "kid": kid} for key in issuer.jwks()["keys"]]}
        claims = _claims(options)
        notes = list(_write(options, issuer, jwks))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, FileExistsError):
            why = f"{why}; --key signs with the key that is in it"
        return complain(
            "mint", [f"{getattr(error, 'filename', None) or 'key'}: {why}"], as_json=options.json
        )
    token = issuer.token(header={"kid": kid, **dict(options.header)}, **claims)
    if options.json:
        show_json({"token": token, "jwks": jwks, "kid": kid})
    else:
        say(token)
    note("for tests only: anyone who has its key can make more such tokens", *notes)
    return EXIT_FINE


def _name(issuer: FakeIssuer) -> str | None:
    """The thumbprint. A shared secret has none, because a digest would help to guess it."""
    keys = issuer.jwks()["keys"]
    return thumbprint(keys[0]) if keys else None


def _claims(options: argparse.Namespace) -> dict[str, Any]:
    claims: dict[str, Any] = {"exp": int(time.time() + options.exp)}
    if options.exp < 0:
        claims["iat"] = claims["exp"] - 300
    if options.sub is not None:
        claims["sub"] = options.sub
    if options.aud:
        claims["aud"] = options.aud[0] if len(options.aud) == 1 else options.aud
    claims |= dict(options.claim)
    if unsaid := {"header", "self"} & claims.keys():
        raise ValueError(f"a claim called {unsaid.pop()} cannot be made here")
    return claims


def _write(options: argparse.Namespace, issuer: FakeIssuer, jwks: dict[str, Any]) -> Iterable[str]:
    """Write the result. The settings for a new key go to standard error."""
    if options.key_out is not None:
        _create(options.key_out, issuer.private_key)
    if options.jwks_out is not None:
        if not jwks["keys"]:
            raise ValueError(f"{options.alg} has no public key, so no JWKS; use JWT_WSGI_SECRET")
        options.jwks_out.write_text(json.dumps(jwks, indent=2) + "\n", encoding="utf-8")
    elif options.key is None and jwks["keys"]:
        yield f"JWT_WSGI_JWKS='{json.dumps(jwks)}'"
    if options.key is None and not jwks["keys"]:
        yield f"JWT_WSGI_SECRET={issuer.secret}"


def _create(path: Path, text: str) -> None:
    """Create a file that only this user can read. An existing file is not overwritten."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
