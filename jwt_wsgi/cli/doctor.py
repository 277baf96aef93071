"""``python -m jwt_wsgi doctor``: what is wrong with the configuration, its issuers and the way.

One line a check, with its remedy. Nothing is changed; each issuer is asked as the middleware
would ask it, and with ``--url`` the running app is sent a token that nobody made.
"""

import argparse
from collections.abc import Iterator

from jwt_wsgi.errors import ConfigurationError

from .doctor_checks import examine
from .doctor_live import live_check
from .terminal import EXIT_FINE
from .terminal import EXIT_REFUSED
from .terminal import EXIT_USAGE
from .terminal import FAIL
from .terminal import Line
from .terminal import add_json_flag
from .terminal import add_settings_flags
from .terminal import load_settings
from .terminal import show_json
from .terminal import show_lines
from .terminal import warnings_of_settings


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``doctor`` to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="is the configuration good, are the issuers there, does the token get through",
        description="Check the configuration of the environment, every issuer (discovery, TLS,"
        " keys, clock) and, with --url, the running app. Exit code 0: nothing is wrong, 1:"
        " something is, 2: the configuration does not load.",
        epilog="example: jwt-wsgi doctor --url https://api.example/orders",
    )
    parser.add_argument(
        "--url",
        help="of the running app, a path that needs a token: send a made-up one and see whether"
        " it arrives",
    )
    add_settings_flags(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the checks and tell each as soon as it is made."""
    with warnings_of_settings() as unknown:
        try:
            settings = load_settings(options)
        except ConfigurationError as error:
            return _told(_broken(error, options.url), options, EXIT_USAGE)
    return _told(examine(settings, unknown, options.url, quiet=options.json), options, EXIT_REFUSED)


def _broken(error: ConfigurationError, url: str | None) -> Iterator[Line]:
    """The app can be asked all the same: its configuration is another machine's."""
    yield from (Line(FAIL, "settings", problem) for problem in error.problems)
    if url is not None:
        yield live_check(url, "header")


def _told(lines: Iterator[Line], options: argparse.Namespace, code: int) -> int:
    told: list[Line] = []

    def noted() -> Iterator[Line]:
        for line in lines:
            told.append(line)
            yield line

    if options.json:
        show_json({"checks": [line._asdict() for line in noted()]})
    else:
        show_lines(noted())
    return code if any(line.outcome == FAIL for line in told) else EXIT_FINE
