"""The command line: ``python -m jwt_wsgi`` or ``jwt-wsgi``. Each command is a module of ``cli``.

Exit codes: 0 fine, 1 refused or failed, 2 usage or a wrong configuration.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

from .cli import demo_command
from .cli import doctor
from .cli import explain
from .cli import keys
from .cli import mint
from .cli import revoke
from .cli import routes
from .cli import settings
from .cli import terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return terminal.run_command(partial(_run, arguments))


def _run(arguments: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["help"]:  # help, help explain
        words = [*words[1:], "--help"]
    options = _parser().parse_args(words)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = terminal.Parser(
        prog="jwt-wsgi", description="JWT authentication for any WSGI app, in one line."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('jwt-wsgi')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (demo_command, explain, doctor, routes, settings, keys, mint, revoke):
        command.add_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
