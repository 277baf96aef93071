"""``jwt-wsgi demo``: its options. The demos are in :mod:`.demo` and :mod:`.outage`."""

import argparse
import sys
from pathlib import Path

from .terminal import EXIT_FINE
from .terminal import EXIT_REFUSED
from .terminal import EXIT_USAGE
from .terminal import add_json_flag


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``demo`` to the command line."""
    parser = commands.add_parser(
        "demo",
        help="an authorization server and an app behind the middleware, with curl lines to paste",
        description="Start an authorization server on loopback and, under gunicorn, an app behind"
        " the middleware; print curl lines that show what is let through and what is refused.",
    )
    parser.add_argument("app", nargs="?", default="jwt_wsgi.cli.demo:echo", metavar="MODULE:APP")
    parser.add_argument("--port", type=int, default=8000, help="of the app (%(default)s)")
    parser.add_argument(
        "--issuer-port", type=int, default=8001, help="of the authorization server (%(default)s)"
    )
    parser.add_argument(
        "--outage",
        action="store_true",
        help="instead, rotate, attack and kill an issuer under load, beside PyJWT: a table in"
        " half a minute; exit code 1 if a claim does not hold",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.svg",
        help="with --outage: draw the time line of one, too",
    )
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show one of the two demonstrations."""
    from . import demo  # noqa: PLC0415  # only this command needs its imports
    from . import outage  # noqa: PLC0415
    from . import outage_plot  # noqa: PLC0415

    try:
        if options.plot and not options.outage:
            raise demo.DemoError("--plot needs --outage")
        if options.outage:
            failed = outage.run(as_json=options.json)
            if options.plot:
                outage_plot.write(options.plot)
            return EXIT_REFUSED if failed else EXIT_FINE
        demo.run(options.app, options.port, options.issuer_port, as_json=options.json)
    except demo.DemoError as error:
        print(f"jwt-wsgi demo: {error}", file=sys.stderr)
        return EXIT_USAGE
    return EXIT_FINE
