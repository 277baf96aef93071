"""``python -m jwt_wsgi routes``: every view of an app, and what the rules ask for it."""

import argparse
import difflib
from pathlib import Path

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.layers import guards

from .route_table import FRAMEWORKS
from .route_table import MARKS
from .route_table import Row
from .route_table import Table
from .route_table import table_of
from .terminal import EXIT_FINE
from .terminal import EXIT_REFUSED
from .terminal import FAIL
from .terminal import WARN
from .terminal import add_app_flag
from .terminal import add_json_flag
from .terminal import complain
from .terminal import counted
from .terminal import imported_app
from .terminal import note
from .terminal import painted
from .terminal import say
from .terminal import show_json

_FRAMEWORKS = " or ".join(", ".join(FRAMEWORKS.values()).rsplit(", ", 1))
_INDENT = 9


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``routes`` to the command line."""
    parser = commands.add_parser(
        "routes",
        help="every view of an app, the rule that decides, and what needs no token",
        description=f"List every view by the app's own router ({_FRAMEWORKS}), with the rule that"
        " decides and what it needs; rows that need no token are in capitals. Warnings say where"
        " the router reads a path differently than the rules. Exit code 1: --check found a"
        " difference, 2: the app does not load.",
        epilog="example: jwt-wsgi routes --app shop.wsgi:application --check routes.txt",
    )
    add_app_flag(parser, required=True)
    file = parser.add_mutually_exclusive_group()
    file.add_argument("--check", metavar="FILE", help="compare the views with this file")
    file.add_argument("--write", metavar="FILE", help="write the views to this file")
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show the views, or write them to a file, or compare them with one."""
    try:
        table = _table(options.app)
        if options.check:
            return _check(table, options)
        if options.write:
            Path(options.write).write_text(_text(table), encoding="utf-8")
            note(f"{options.write}: {counted(len(table.rows), 'row')} written")
        elif options.json:
            show_json({"views": [row.as_json() for row in table.rows], "warnings": table.warnings})
        else:
            _show(table, options.app)
    except (ConfigurationError, OSError, ValueError) as error:
        return complain("routes", _problems(error), as_json=options.json)
    return EXIT_FINE


def _problems(error: Exception) -> tuple[str, ...]:
    if isinstance(error, ConfigurationError):
        return tuple(error.problems)
    if isinstance(error, OSError):
        return (f"{error.filename}: {error.strerror}",)
    return (str(error),)


def _table(spec: str) -> Table:
    app = imported_app(spec)
    if not guards(app):
        problem = (
            f"--app: {spec}: there is no JWTMiddleware in it. If the server wraps it, give the"
            f" wrapped one: JWT_WSGI_APP={spec} jwt-wsgi routes --app jwt_wsgi.wsgi:application"
        )
        raise ConfigurationError([problem])
    table = table_of(app)
    if not table.rows:
        problem = (
            f"--app: {spec}: there is no app of {_FRAMEWORKS} in it. An app that a layer keeps in a"
            " closure cannot be found"
        )
        raise ConfigurationError([problem])
    return table


# --- For people ----------------------------------------------------------------------------------


def _show(table: Table, spec: str) -> None:
    for row in table.rows:
        line = str(row)
        mark = MARKS[row.token]
        say(line.replace(mark, _coloured(mark), 1), _INDENT)
    open_ = [
        f"{count} {mark}"
        for token, mark in MARKS.items()
        if mark.isupper() and (count := table.count(token))
    ]
    frameworks = ", ".join(sorted({row.framework for row in table.rows}))
    total = sum(int(text.split()[0]) for text in open_)
    say("")
    need = "needs" if total == 1 else "need"
    found = f"{total} {need} no token: {', '.join(open_)}" if open_ else "each needs a token"
    say(f"{spec}: {counted(len(table.rows), 'row')} of {frameworks}; {found}")
    for warning in table.warnings:
        say(f"{painted('warn', WARN)} {warning}", 5)


def _coloured(mark: str) -> str:
    return painted(mark, FAIL if mark == "UNGUARDED" else WARN) if mark.isupper() else mark


# --- The committed file --------------------------------------------------------------------------


def _text(table: Table) -> str:
    return "".join(f"{line}\n" for line in _lines(table.rows))


def _lines(rows: list[Row]) -> list[str]:
    return [str(row) for row in rows]


def _check(table: Table, options: argparse.Namespace) -> int:
    file = Path(options.check)
    again = f"jwt-wsgi routes --app {options.app} --write {options.check}"
    if not file.exists():
        raise ValueError(f"{file}: there is no such file; make it: {again}")
    old, new = file.read_text(encoding="utf-8").splitlines(), _lines(table.rows)
    changes = [line for line in difflib.ndiff(old, new) if line[:1] in "+-"]
    if options.json:
        found = {sign: [line[2:] for line in changes if line[0] == sign] for sign in "+-"}
        show_json({"added": found["+"], "removed": found["-"], "warnings": table.warnings})
    elif changes:
        for line in changes:
            say(line, _INDENT + 2)
        note(f"jwt-wsgi routes: {file} differs; if that is right: {again}")
    else:
        say(f"{file}: the same as the app, {counted(len(new), 'row')}")
    return EXIT_REFUSED if changes else EXIT_FINE
