"""``python -m jwt_wsgi doctor``: checks the configuration, the issuers and the running app.

Each check prints one line with its remedy, and changes nothing. Keys are fetched as the middleware
fetches them. With ``--url``, made-up tokens are sent to the running app.
"""

import argparse
from collections.abc import Iterator

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.verifier import MAX_TOKEN_SIZE

from .doctor_checks import examine
from .doctor_live import live_checks
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
        help="check the configuration, the issuers, and whether a token reaches the app",
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
    """Make the checks, and show each result at once."""
    with warnings_of_settings() as unknown:
        try:
            settings = load_settings(options)
        except ConfigurationError as error:
            return _shown(_broken(error, options.url), options, EXIT_USAGE)
    return _shown(
        examine(settings, unknown, options.url, quiet=options.json), options, EXIT_REFUSED
    )


def _broken(error: ConfigurationError, url: str | None) -> Iterator[Line]:
    """The problems. The app is still tested: it may run elsewhere with other settings."""
    yield from (Line(FAIL, "settings", problem) for problem in error.problems)
    if url is not None:
        yield from live_checks(url, "header", MAX_TOKEN_SIZE)


def _shown(lines: Iterator[Line], options: argparse.Namespace, code: int) -> int:
    made: list[Line] = []

    def noted() -> Iterator[Line]:
        for line in lines:
            made.append(line)
            yield line

    if options.json:
        show_json({"checks": [line._asdict() for line in noted()]})
    else:
        show_lines(noted())
    return code if any(line.outcome == FAIL for line in made) else EXIT_FINE
