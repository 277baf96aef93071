"""The command line: ``python -m jwt_wsgi`` or ``jwt-wsgi``. Each command is a module's function.

Exit codes: 0 fine, 1 refused or failed, 2 usage or a wrong configuration.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from .cli import doctor
from .cli import explain
from .cli import keys
from .cli import mint
from .cli import revoke
from .cli import routes
from .cli import settings
from .cli import terminal

EXIT_REFUSED = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return terminal.guarded(partial(_run, arguments))


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
    demo = commands.add_parser(
        "demo",
        help="an authorization server and an app behind the middleware, with curl lines to paste",
        description="Start an authorization server on loopback and, under gunicorn, an app behind"
        " the middleware; print curl lines that show what is let through and what is refused.",
    )
    demo.add_argument("app", nargs="?", default="jwt_wsgi.cli.demo:echo", metavar="MODULE:APP")
    demo.add_argument("--port", type=int, default=8000, help="of the app (%(default)s)")
    demo.add_argument(
        "--issuer-port", type=int, default=8001, help="of the authorization server (%(default)s)"
    )
    demo.add_argument(
        "--outage",
        action="store_true",
        help="instead, rotate, attack and kill an issuer under load, beside PyJWT: a table in a"
        " quarter of a minute; exit code 1 if a claim does not hold",
    )
    demo.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.svg",
        help="with --outage: draw the time line of one, too",
    )
    terminal.add_json_flag(demo)
    demo.set_defaults(run=_demo)
    for command in (explain, doctor, routes, settings, keys, mint, revoke):
        command.add_command(commands)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from .cli import demo  # noqa: PLC0415  # only this command needs its imports
    from .cli import outage  # noqa: PLC0415
    from .cli import outage_plot  # noqa: PLC0415

    try:
        if options.outage:
            failed = outage.run(as_json=options.json)
            if options.plot:
                outage_plot.write(options.plot)
            return EXIT_REFUSED if failed else 0
        demo.run(options.app, options.port, options.issuer_port, as_json=options.json)
    except demo.DemoError as error:
        print(f"jwt-wsgi demo: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


if __name__ == "__main__":
    sys.exit(main())
