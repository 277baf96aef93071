"""``python -m jwt_wsgi explain``: at which step a token is refused here, why, and what to do."""

import argparse
import time
from typing import Final

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.errors import printable
from jwt_wsgi.events import MORE
from jwt_wsgi.rules import Token
from jwt_wsgi.settings.loading import Settings

from .explain_causes import no_issuer
from .explain_causes import remedy_of
from .explain_code import CODES
from .explain_code import explain_code
from .explain_decoded import decoded
from .explain_facts import facts
from .explain_steps import Verdict
from .explain_steps import verdict_on
from .hidden_input import read_token
from .terminal import EXIT_FINE
from .terminal import EXIT_REFUSED
from .terminal import FAIL
from .terminal import OK
from .terminal import add_json_flag
from .terminal import add_settings_flags
from .terminal import complain
from .terminal import load_settings
from .terminal import painted
from .terminal import progress
from .terminal import say
from .terminal import show_json
from .terminal import show_lines
from .terminal import warnings_of_settings

_STANDARD_INPUT: Final = "-"


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``explain`` to the command line."""
    parser = commands.add_parser(
        "explain",
        help="at which step a token is refused, why, and what to do",
        description="Judge a token step by step as the middleware would with the configuration of"
        " the environment, and show its header and claims. It never prints the token; what it"
        " shows of it is not verified unless it says so. Without any configuration the token is"
        " only decoded. Exit code 0: accepted, 1: refused, 2: the configuration is wrong.",
        epilog="example: pbpaste | jwt-wsgi explain --path /orders --method POST    (a token, with"
        " or without Bearer, or all headers of the request, as a browser or curl -v shows them)",
    )
    parser.add_argument(
        "token",
        nargs="?",
        default=_STANDARD_INPUT,
        metavar="TOKEN|-",
        help="read from standard input by default; given here it ends up in the history of the"
        " shell and in the list of processes",
    )
    parser.add_argument(
        "--code",
        metavar="CODE",
        help="instead of a token: what this code of the log means, its causes and remedies",
    )
    parser.add_argument("--path", default="/", help="of the request (%(default)s)")
    parser.add_argument("--method", default="GET", help="of the request (%(default)s)")
    parser.add_argument(
        "--no-claims",
        action="store_true",
        help="for shared screens: show only the claims that explain a refusal",
    )
    add_settings_flags(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Explain; exit code 0 if the request passes, 1 if it is refused."""
    if options.code is not None:
        return explain_code(options.code, as_json=options.json)
    if not options.path.startswith("/"):
        return complain("explain", ["--path: it starts with /"], as_json=options.json)
    try:
        with warnings_of_settings():
            settings = _settings(options)
    except ConfigurationError as error:
        return complain("explain", error.problems, as_json=options.json)
    text = read_token() if options.token == _STANDARD_INPUT else options.token
    progress("the issuer is asked only if its keys are needed ...", as_json=options.json)
    with warnings_of_settings() as warnings:
        found = verdict_on(settings, text, method=options.method.upper(), path=options.path)
    if options.json:
        show_json({**found.as_json(claims=not options.no_claims), "warnings": warnings})
    else:
        _show(found, warnings, claims=not options.no_claims)
    return EXIT_REFUSED if found.error else EXIT_FINE


def _settings(options: argparse.Namespace) -> Settings:
    """The settings; those of a middleware that trusts no issuer if nothing is configured.

    Raises :class:`ConfigurationError` with every problem there is.
    """
    try:
        return load_settings(options)
    except ConfigurationError as error:
        if options.app or not error.problems[-1].startswith("issuer: missing"):
            raise
        try:
            return Settings.load({"issuer": no_issuer, "audience": options.audience})
        except ConfigurationError:
            raise error from None


def _show(found: Verdict, warnings: list[str], *, claims: bool) -> None:
    say(f"{printable(found.method)[1:-1]} {printable(found.path, 200)[1:-1]}")
    show_lines(found.lines)
    if found.token is not None:
        say("")
        for name, text in decoded(found.token, time.time(), verified=found.verified, claims=claims):
            say(f"  {name.ljust(10)}  {text}" if text else name, 14)
    say("")
    _show_outcome(found)
    for warning in warnings:
        say(f"warning: {warning}", 9)


def _show_outcome(found: Verdict) -> None:
    if found.case is None or found.cause is None:
        say(f"{painted('accepted', OK)}: the request reaches the app")
        return
    error = found.case.error
    reason = f"{found.status} {error.code}: {error.details or error.error}"
    say(f"{painted('refused', FAIL)}: {reason}", 2)
    if found.cause.sentence:
        say(f"  {found.cause.sentence}", 2)
    for fact in facts(found.case):
        say(f"  {fact}", 4)
    if found.case.token is not None and not found.verified:
        say("  (nothing of this is verified: the signature was not reached, or is wrong)", 2)
    say(f"remedy: {remedy_of(found.cause, found.case)}", 8)
    if error.label in CODES:
        say(f"more: {MORE % {'code': error.label}}", 6)
    if found.rule.token is Token.REPORT:
        say("note: the rule only reports; the request reaches the app all the same")
