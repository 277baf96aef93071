"""``python -m jwt_wsgi revoke``: adds entries to a store of revoked tokens, removes and lists them.

The store is that of ``--store`` or ``--app``, else that of ``JWT_WSGI_REVOCATION`` or
``JWT_WSGI_REVOCATION_FILE``, which keep a password out of the shell's history.
"""

import argparse
import re
import time
from collections.abc import Callable
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final

from jwt_wsgi import jose
from jwt_wsgi.claims import MAX_DATE
from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.errors import InvalidTokenError
from jwt_wsgi.errors import printable
from jwt_wsgi.revocation.revocations import CLAIMS
from jwt_wsgi.revocation.revocations import LIFETIME
from jwt_wsgi.revocation.revocations import MARGIN
from jwt_wsgi.revocation.revocations import TIMED
from jwt_wsgi.revocation.revocations import Entry
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.revocation.store import Store
from jwt_wsgi.settings.values import read_seconds

from .explain_request import token_in
from .hidden_input import read_token
from .terminal import EXIT_FINE
from .terminal import EXIT_REFUSED
from .terminal import add_app_flag
from .terminal import add_json_flag
from .terminal import complain
from .terminal import load_option
from .terminal import note
from .terminal import say
from .terminal import show_json

_MOST: Final = 3650 * 86400.0  # ten years


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``revoke`` to the command line."""
    parser = commands.add_parser(
        "revoke",
        help="revoke a token, the tokens of a subject or a session; list what is revoked",
        description="Revoke tokens for every process that uses the same store.",
    )
    _add_common(parser, None)
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, argparse.SUPPRESS)  # before or after the word, as people type it
    kinds = parser.add_subparsers(required=True, metavar="token|subject|session|list")
    token = _add_kind(kinds, common, "token", _token, "one token: itself on stdin, or its jti")
    until = token.add_mutually_exclusive_group()
    until.add_argument("--expires", type=date, metavar="TIME", help="exp of the token")
    _add_lifetime(until)
    subject = _add_kind(kinds, common, "subject", _subject, "the tokens that a subject has now")
    subject.add_argument(
        "--not-before",
        type=date,
        metavar="TIME",
        help="tokens issued from then on are valid: 2026-01-31T12:00:00Z, seconds since 1970, or"
        f" now (default): {MARGIN:g} s after the present moment, by the clock of the store",
    )
    _add_lifetime(subject)
    _add_lifetime(_add_kind(kinds, common, "session", _session, "the tokens of a session, by sid"))
    listing = kinds.add_parser("list", parents=[common], help="what is revoked")
    listing.set_defaults(run=run, act=_list)


def _add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--store", default=default, metavar="URL", help="redis://… (else JWT_WSGI_REVOCATION)"
    )
    add_app_flag(parser, default=default)
    add_json_flag(parser, default=default or False)


def _add_kind(
    kinds: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
    kind: str,
    act: "Act",
    words: str,
) -> argparse.ArgumentParser:
    parser = kinds.add_parser(kind, parents=[common], help=words, description=f"Revoke {words}.")
    # A token on standard input holds both.
    needed = kind != "token"
    parser.add_argument("--iss", required=needed, help="issuer of the tokens")
    parser.add_argument(f"--{CLAIMS[kind]}", required=needed, dest="name")
    parser.add_argument(
        "--undo", action="store_true", help="remove the entry: what it revoked is valid again"
    )
    parser.set_defaults(run=run, act=act, kind=kind)
    return parser


def _add_lifetime(parser: Any) -> None:
    parser.add_argument(
        "--for",
        type=lifetime,
        dest="lifetime",
        metavar="DURATION",
        help="how long it stays revoked, 90s, 10m, 1h, 7d: as long as tokens live, at least (30d)",
    )


def run(options: argparse.Namespace) -> int:
    """Run. Exit code 0; 1 if the store fails; 2 if the call or the configuration is wrong."""
    act: Act = options.act
    try:
        return act(Revocations(_store(options)), options)
    except ConfigurationError as error:
        return complain("revoke", error.problems, as_json=options.json)
    except ValueError as error:
        return complain("revoke", [str(error)], as_json=options.json)
    except Exception as error:  # a foreign error, of whatever client library
        return _failed(f"the store failed: {error} ({type(error).__name__})", options)


def _store(options: argparse.Namespace) -> Store:
    revocation = load_option("revocation", options.store, options.app)
    if revocation is None or revocation.store is None:
        why = "this command cannot reach the memory of another process"
        remedy = "give --store redis://…, or set JWT_WSGI_REVOCATION"
        raise ConfigurationError([f"revocation: {remedy}; {why}"])
    store: Store = revocation.store
    return store


def _failed(problem: str, options: argparse.Namespace) -> int:
    complain("revoke", [problem], as_json=options.json)
    return EXIT_REFUSED


def date(text: str) -> float | None:
    """Read a time as seconds since 1970; None for ``now``. Raises ArgumentTypeError."""
    if text == "now":
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("give 2026-01-31T12:00:00Z or seconds") from error
    if when.tzinfo is None:
        raise argparse.ArgumentTypeError("say in which time zone: 2026-01-31T12:00:00Z")
    return when.timestamp()


def lifetime(text: str) -> float:
    """Read a duration as seconds. Raises ArgumentTypeError."""
    try:
        seconds = read_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not 0 < seconds <= _MOST:
        raise argparse.ArgumentTypeError("give more than 0 s, and at most 3650d")
    return seconds


def _token(revocations: Revocations, options: argparse.Namespace) -> int:
    if options.iss is None and options.name is None:
        _read_token(options)
    for name, value in (("iss", options.iss), ("jti", options.name)):
        if value is None:
            raise ValueError(f"--{name}: give both --iss and --jti, or the token on standard input")
    if options.undo:
        return _undo(revocations, options)
    lifetime_ = options.lifetime or LIFETIME
    entry = revocations.revoke_token(options.iss, options.name, options.expires, lifetime=lifetime_)
    return _say(entry, options)


def _read_token(options: argparse.Namespace) -> None:
    """Read ``iss``, ``jti`` and ``exp`` from the token itself, which is not verified.

    Raises ValueError, without any part of the token.
    """
    text = re.sub(r"(?i)^\s*authorization:", "", read_token())
    if not text.strip():
        raise ValueError("no token: give it on standard input, or --iss and --jti")
    try:
        claims = jose.parse(token_in(text)).claims
    except InvalidTokenError as error:
        raise ValueError("the token cannot be read: is it the whole of a JWT?") from error
    options.iss, options.name = _name(claims, "iss"), _name(claims, "jti")
    if options.iss is None:
        raise ValueError("it has no iss, and so no middleware accepts it")
    if options.name is None:
        raise ValueError("it has no jti; revoke its subject (--sub) or its session (--sid)")
    expires: Any = claims.get("exp")
    # A forged exp must not make the entry end too early: the real token could be used again.
    counts = type(expires) in (int, float) and time.time() + LIFETIME < expires <= MAX_DATE
    if counts and options.expires is None and options.lifetime is None:
        options.expires = expires


def _name(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim as text for the command line; None if it is missing or cannot be a name."""
    value = claims.get(name)
    return str(value) if type(value) in (str, int) and value != "" else None


def _undo(revocations: Revocations, options: argparse.Namespace) -> int:
    """Remove an entry. Exit code 1 if there was none."""
    kind, issuer, name = options.kind, options.iss, options.name
    what = f"{kind} {printable(name, 256)} of {printable(issuer, 256)}"
    # A logout of a session also revokes tokens of the subject without sid. This undoes it, too.
    kinds = (kind, "sessionless") if kind == "subject" else (kind,)
    undone = [revocations.undo(each, issuer, name) for each in kinds]
    if not any(undone):
        return _failed(f"{what} was not revoked", options)
    if options.json:
        show_json({"kind": kind, "iss": issuer, CLAIMS[kind]: name, "undone": True})
    else:
        say(f"no longer revoked: {what}")
    return EXIT_FINE


def _subject(revocations: Revocations, options: argparse.Namespace) -> int:
    if options.undo:
        return _undo(revocations, options)
    entry = revocations.revoke_subject(
        options.iss, options.name, options.not_before, lifetime=options.lifetime or LIFETIME
    )
    if options.not_before is not None:
        return _say(entry, options)
    clock = "store" if revocations.uses_clock_of_store else "host"
    if options.json:
        show_json(entry.as_json() | {"clock": clock})
        return EXIT_FINE
    owner = {"store": "the store", "host": "this host"}[clock]
    say(f"revoked: {described(entry)} (by the clock of {owner}, and {MARGIN:g} s more)")
    return EXIT_FINE


def _session(revocations: Revocations, options: argparse.Namespace) -> int:
    if options.undo:
        return _undo(revocations, options)
    lifetime_ = options.lifetime or LIFETIME
    entry = revocations.revoke_session(options.iss, options.name, lifetime=lifetime_)
    return _say(entry, options)


def _list(revocations: Revocations, options: argparse.Namespace) -> int:
    found = list(revocations.entries())
    entries = sorted(
        (entry for entry in found if entry), key=lambda entry: (entry.expires, entry.key)
    )
    if options.json:
        show_json([entry.as_json() for entry in entries])
    else:
        say("\n".join(map(described, entries)) or "nothing is revoked")
    if unreadable := len(found) - len(entries):
        note(f"jwt-wsgi revoke: {unreadable} entries cannot be read")
        return EXIT_REFUSED
    return EXIT_FINE


def _say(entry: Entry, options: argparse.Namespace) -> int:
    if options.json:
        show_json(entry.as_json())
    else:
        say(f"revoked: {described(entry)}")
    return EXIT_FINE


def described(entry: Entry) -> str:
    """One line for people, with all parts escaped."""
    what = f"{entry.kind} {printable(entry.name, 256)} of {printable(entry.issuer, 256)}"
    if entry.kind in TIMED:
        what += f", tokens issued before {_when(entry.not_before)}"
    return f"{what}, until {_when(entry.expires)}"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


Act = Callable[[Revocations, argparse.Namespace], int]
