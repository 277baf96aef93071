"""What the commands share: how they read settings, what they print, and their exit codes."""

import argparse
import difflib
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import redirect_stdout
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import NoReturn
from typing import TextIO

from jwt_wsgi.applications import load_app
from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.errors import printable
from jwt_wsgi.events import logger
from jwt_wsgi.layers import guards
from jwt_wsgi.settings.loading import Given
from jwt_wsgi.settings.loading import Settings

EXIT_FINE: Final = 0
EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130  # as shells have it

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"
#: Not checked, or not reached.
NONE: Final = "-"

_COLOURS: Final = {OK: "32", WARN: "33", FAIL: "1;31", NONE: "2"}  # ECMA-48 section 8.3.117
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_NAME_WIDTH: Final = 13


class Line(NamedTuple):
    """The line of one step or check: its outcome, its name, a sentence and the remedy."""

    outcome: str
    name: str
    says: str = ""
    remedy: str = ""


class Parser(argparse.ArgumentParser):
    """Suggests a name for an option or a command that does not exist."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.set_defaults(parser=self)  # the parser of a command replaces it

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in argparse."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = re.findall(r"--[a-z][a-z-]+", options.parser.format_help())
            options.parser.error(f"no such option: {unknown[0]}{_nearest(unknown[0], known)}")
        return options

    def error(self, message: str) -> NoReturn:
        """Print it with a hint, and end with exit code 2."""
        wrong = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        hint = _nearest(wrong[1], re.findall(r"[\w.-]+", wrong[2])) if wrong else ""
        if wrong and hint:
            message = f"there is no {wrong[1]}{hint}"
        self.print_usage(sys.stderr)
        note(f"{self.prog}: error: {message}")
        self.exit(EXIT_USAGE)


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def add_settings_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that override the environment. Other settings are ``JWT_WSGI_*`` only."""
    group = parser.add_argument_group(
        "settings",
        "JWT_WSGI_ISSUER and so on are read as the middleware reads them; what an app gives it by"
        " keyword is known with --app only. The others come before the environment:",
    )
    add_app_flag(group)
    group.add_argument("--issuer", metavar="URL", help="trust this issuer")
    group.add_argument("--audience", metavar="AUD", help="accepted aud; several with commas")
    group.add_argument("--jwks-uri", metavar="URL", help="where its keys are")


def add_app_flag(parser: Any, **more: Any) -> None:
    """Add ``--app``."""
    parser.add_argument(
        "--app",
        metavar="MODULE:APP",
        help="import the app and take the settings of its JWTMiddleware (MODULE:factory() calls)",
        **more,
    )


def add_json_flag(parser: argparse.ArgumentParser, **more: Any) -> None:
    """Add ``--json``."""
    help_ = "for machines; never in colours"
    parser.add_argument("--json", action="store_true", help=help_, **more)


def load_settings(options: argparse.Namespace) -> Settings:
    """Read the settings as the middleware does, the flags first; without those of requests.

    Raises :class:`ConfigurationError` with every problem there is.
    """
    settings, *others = given_settings(options)
    if others:
        note(f"--app: the first of {len(others) + 1} JWTMiddlewares, from the outside, is taken")
    if settings.settings_from_request and not settings.issuers:
        raise ConfigurationError(["issuer: each request brings it here; give --issuer"])
    return replace(settings, settings_from_request=False)


def given_settings(options: argparse.Namespace) -> list[Settings]:
    """Read the settings as they are given, with ``settings_from_request``; raises the same.

    An app has those of each JWTMiddleware in it, the outermost first.
    """
    flags = {
        "issuer": options.issuer,
        "audience": options.audience,
        "jwks_uri": options.jwks_uri,
    }
    if options.app and any(flags.values()):
        raise ConfigurationError(["--app: its settings are taken as they are; give no others"])
    return app_settings(options.app) if options.app else [Settings.load(flags)]


def load_option(name: str, flag: str | None, app: str | None) -> Any:
    """Read one option as the middleware does, whatever is wrong with the others: None if not set.

    ``flag``: what was given for it here, before the environment. ``app``: as ``--app``. Raises
    :class:`ConfigurationError`.
    """
    if app and flag:
        raise ConfigurationError(["--app: its settings are taken as they are; give no others"])
    if app:
        return getattr(app_settings(app)[0], name)
    return Given({name: flag}, os.environ).value(name)


def app_settings(spec: str) -> list[Settings]:
    """Return the settings of each JWTMiddleware in an app, which is imported as gunicorn does.

    Raises :class:`ConfigurationError`, whatever the app raises.
    """
    found = guards(imported_app(spec))
    if not found:
        raise ConfigurationError(
            [f"--app: {printable(spec, 200)}: there is no JWTMiddleware in it"]
        )
    return [guard.settings for guard in found]


def imported_app(spec: str) -> Any:
    """Import the app of ``--app``. Its output goes to standard error.

    Raises :class:`ConfigurationError`, whatever the app raises.
    """
    sys.path.insert(0, str(Path.cwd()))
    with redirect_stdout(sys.stderr):
        return load_app(spec, "--app")


@contextmanager
def warnings_of_settings() -> Iterator[list[str]]:
    """Collect the warnings of our logger inside the ``with`` block, instead of printing them."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    collector, propagate = Collector(logging.WARNING), logger.propagate
    logger.addHandler(collector)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagate


def run_command(run: Callable[[], int]) -> int:
    """Run a command and return its exit code, also after a closed pipe, a full disk or Ctrl-C."""
    _reopen()
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()  # here, because an error at the end of Python is printed
    except OSError as error:
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            note(f"jwt-wsgi: {error.strerror}")
        return EXIT_REFUSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _reopen() -> None:
    """A stream that was closed (``>&-``) is None in Python: it reads and writes nothing."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(null, mode, encoding="utf-8", closefd=False))


def complain(command: str, problems: Iterable[str], *, as_json: bool = False) -> int:
    """Print all problems of the call or the configuration. Returns exit code 2."""
    listed = list(problems)
    if as_json:
        show_json({"problems": listed})
    note(*(f"jwt-wsgi {command}: {problem}" for problem in listed))
    return EXIT_USAGE


def counted(number: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def note(*lines: str) -> None:
    """Print a note on standard error."""
    for line in lines:
        for part in _wrapped(line, 2, sys.stderr):
            print(part, file=sys.stderr, flush=True)


def progress(text: str, *, as_json: bool = False) -> None:
    """Show at a terminal what the command waits for."""
    if sys.stderr.isatty() and not as_json:
        note(text)


def say(text: str, indent: int = 0) -> None:
    """Print for people, wrapped to the terminal if there is one.

    ``indent``: of the lines after the first. Characters that the terminal cannot show are escaped.
    """
    encoding = sys.stdout.encoding or "utf-8"
    for line in _wrapped(text, indent, sys.stdout):
        print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def _wrapped(text: str, indent: int, stream: TextIO) -> list[str]:
    """The lines of ``text``. Colours have no width; words stay whole so that they can be copied."""
    width = _width(stream)
    if width is None:
        return [text]
    lines = [""]
    for word in re.findall(r"\n|\s*\S+", text):
        if word == "\n":
            lines.append("")
        elif len(_COLOUR.sub("", lines[-1] + word)) > width and lines[-1].strip():
            lines.append(" " * indent + word.lstrip())
        else:
            lines[-1] += word
    return lines


def _width(stream: TextIO) -> int | None:
    """Columns of the terminal; None if the stream is none, and then nothing is wrapped."""
    if not stream.isatty():
        return None
    columns = 0
    if not os.environ.get("COLUMNS"):  # shutil reads COLUMNS, but only looks at standard output
        with suppress(OSError):
            columns = os.get_terminal_size(stream.fileno()).columns
    return max(20, columns or shutil.get_terminal_size().columns)


def show_json(value: Any) -> None:
    """Print one line for machines. Objects without a JSON form are shown by ``repr``."""
    print(json.dumps(value, default=repr), flush=True)


def show_lines(lines: Iterable[Line]) -> None:
    """Print each line as soon as it is known, with its remedy below."""
    column = _NAME_WIDTH + 7
    for line in lines:
        head = f"{painted(line.outcome.ljust(5), line.outcome)} {line.name.ljust(_NAME_WIDTH)}"
        say(f"{head} {line.says}".rstrip(), column)
        if line.remedy:
            say(" " * column + f"-> {line.remedy}", column + 3)


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table. If the terminal is too narrow for it, each row becomes a block."""
    table = [list(heads), *map(list, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    width = _width(sys.stdout)
    if width is not None and sum(widths) + 2 * len(widths) > width:
        for row in rows:
            pairs = [(name, cell) for name, cell in zip(heads, row, strict=True) if cell]
            for mark, (name, cell) in zip("-".ljust(len(pairs)), pairs, strict=True):
                say(f"  {mark} {name.ljust(max(map(len, heads)))}  {cell}", 6)
        return
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say(("  " + "  ".join(cells)).rstrip())


def painted(text: str, outcome: str) -> str:
    """``text`` in the colour of its outcome, on a terminal that wants colours."""
    return f"\x1b[{_COLOURS[outcome]}m{text}\x1b[0m" if is_colourful(sys.stdout) else text


def is_colourful(stream: TextIO) -> bool:
    """Whether it is a terminal or FORCE_COLOR is set, and NO_COLOR is not (https://no-color.org).

    The order is that of Python's own tracebacks.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") != "0":
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
