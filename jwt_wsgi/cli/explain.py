"""``python -m jwt_wsgi explain``: at which step a token is refused here, why, and what to do."""

import argparse
import getpass
import sys
from typing import Final

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.errors import printable
from jwt_wsgi.rules import Token

from .refusals import facts
from .remedies import remedy
from .terminal import EXIT_FINE
from .terminal import EXIT_REFUSED
from .terminal import FAIL
from .terminal import OK
from .terminal import add_json_flag
from .terminal import add_settings_flags
from .terminal import complain
from .terminal import load_settings
from .terminal import note
from .terminal import painted
from .terminal import progress
from .terminal import say
from .terminal import show_json
from .terminal import show_lines
from .walk import Walk
from .walk import walk

_STANDARD_INPUT: Final = "-"
_MOST: Final = 1_000_000  # characters; no server takes headers of that size
_TERMINAL_LINE: Final = 4095  # characters; a terminal cuts what is longer


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``explain`` to the command line."""
    parser = commands.add_parser(
        "explain",
        help="at which step a token is refused, why, and what to do",
        description="Walk a token through the configuration of the environment, step by step, as"
        " the middleware would. It never prints the token; what it shows of it is not verified"
        " unless it says so. Exit code 0: accepted, 1: refused, 2: the configuration is wrong.",
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
    parser.add_argument("--path", default="/", help="of the request (%(default)s)")
    parser.add_argument("--method", default="GET", help="of the request (%(default)s)")
    add_settings_flags(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Explain; exit code 0 if the request passes, 1 if it is refused."""
    try:
        settings = load_settings(options)
    except ConfigurationError as error:
        return complain("explain", error.problems, as_json=options.json)
    if not options.path.startswith("/"):
        return complain("explain", ["--path: it starts with /"], as_json=options.json)
    text = _read() if options.token == _STANDARD_INPUT else options.token
    progress("asking the issuer, if its keys are needed ...", as_json=options.json)
    found = walk(settings, text, method=options.method.upper(), path=options.path)
    if options.json:
        show_json(found.as_json())
    else:
        _show(found)
    return EXIT_REFUSED if found.error else EXIT_FINE


def _read() -> str:
    """Standard input; from a terminal without echo, so that the token stays off the screen."""
    if not sys.stdin.isatty():
        try:
            return sys.stdin.read(_MOST)
        except UnicodeDecodeError:
            return "\ufffd"
    try:
        text = getpass.getpass("token (not shown): ")
    except EOFError:
        return ""
    if len(text) >= _TERMINAL_LINE:
        note(f"note: a terminal cuts lines at {_TERMINAL_LINE} characters; pipe the token instead")
    return text


def _show(found: Walk) -> None:
    say(f"{printable(found.method)[1:-1]} {printable(found.path, 200)[1:-1]}")
    show_lines(found.lines)
    if found.case is None:
        say(f"\n{painted('accepted', OK)}: the request reaches the app")
        return
    error = found.case.error
    say(
        f"\n{painted('refused', FAIL)}: {found.status} {error.code}: {error.details or error.error}"
    )
    for fact in facts(found.case):
        say(f"  {fact}")
    if found.case.token is not None and not found.verified:
        say("  (nothing of this is verified: the signature was not reached, or is wrong)")
    say(f"remedy: {remedy(error.code)}")
    if found.rule.token is Token.REPORT:
        say("note: the rule only reports; the request reaches the app all the same")
