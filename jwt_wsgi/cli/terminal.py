"""What the commands share: how they read settings, what they print, and their exit codes."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import TextIO

from jwt_wsgi.applications import load_app
from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.errors import printable
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
#: Not looked at, or not reached.
NONE: Final = "-"

_COLOURS: Final = {OK: "32", WARN: "33", FAIL: "1;31", NONE: "2"}  # ECMA-48 section 8.3.117
_NAME_WIDTH: Final = 13


class Line(NamedTuple):
    """One step or one check: how it went, what it is called, what it says and what to do."""

    outcome: str
    name: str
    says: str = ""
    remedy: str = ""


def add_settings_flags(parser: argparse.ArgumentParser) -> None:
    """Add what overrides the environment; everything else is ``JWT_WSGI_*`` alone."""
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
    """Read the settings as the middleware does, the flags first.

    Raises :class:`ConfigurationError` with every problem there is.
    """
    flags = {
        "issuer": options.issuer,
        "audience": options.audience,
        "jwks_uri": options.jwks_uri,
    }
    if options.app and any(flags.values()):
        raise ConfigurationError(["--app: its settings are taken as they are; give no others"])
    settings = app_settings(options.app) if options.app else Settings.load(flags)
    if not settings.issuers:
        raise ConfigurationError(["issuer: each request brings it here; give --issuer"])
    return replace(settings, settings_from_request=False)


def load_option(name: str, flag: str | None, app: str | None) -> Any:
    """Read one option as the middleware does, whatever is wrong with the others: None if not set.

    ``flag``: what was given for it here, before the environment. ``app``: as ``--app``. Raises
    :class:`ConfigurationError`.
    """
    if app and flag:
        raise ConfigurationError(["--app: its settings are taken as they are; give no others"])
    return getattr(app_settings(app), name) if app else Given({name: flag}, os.environ).value(name)


def app_settings(spec: str) -> Settings:
    """Return the settings of the first JWTMiddleware in an app, which is imported as gunicorn does.

    Raises :class:`ConfigurationError`, whatever the app raises.
    """
    sys.path.insert(0, str(Path.cwd()))
    found = guards(load_app(spec, "--app"))
    if not found:
        raise ConfigurationError(
            [f"--app: {printable(spec, 200)}: there is no JWTMiddleware in it"]
        )
    return found[0].settings


def guarded(run: Callable[[], int]) -> int:
    """Run a command; a reader that has seen enough, a full disk and Ctrl-C are no tracebacks."""
    _reopen()
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()  # now, and not when Python ends, which would tell of it
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
    """Tell what is wrong with the way it was called, all of it; returns exit code 2."""
    listed = list(problems)
    if as_json:
        show_json({"problems": listed})
    note(*(f"jwt-wsgi {command}: {problem}" for problem in listed))
    return EXIT_USAGE


def note(*lines: str) -> None:
    """Tell people something beside the result, on standard error."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def progress(text: str, *, as_json: bool = False) -> None:
    """Say what is waited for, to a person at a terminal."""
    if sys.stderr.isatty() and not as_json:
        note(text)


def say(text: str) -> None:
    """Print one line for people; what the terminal has no sign for is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def show_json(value: Any) -> None:
    """Print one line for machines."""
    say(json.dumps(value))


def show_lines(lines: Iterable[Line]) -> None:
    """Print each as soon as it is known, its remedy below it."""
    for line in lines:
        head = f"{painted(line.outcome.ljust(5), line.outcome)} {line.name.ljust(_NAME_WIDTH)}"
        say(f"{head} {line.says}".rstrip())
        if line.remedy:
            say(" " * (_NAME_WIDTH + 7) + f"-> {line.remedy}")


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as they need to be; the last one may be longer than the line."""
    table = [list(heads), *map(list, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say(("  " + "  ".join(cells)).rstrip())


def painted(text: str, outcome: str) -> str:
    """``text`` in the colour of its outcome, on a terminal that wants colours."""
    return f"\x1b[{_COLOURS[outcome]}m{text}\x1b[0m" if is_colourful(sys.stdout) else text


def is_colourful(stream: TextIO) -> bool:
    """Whether it is a terminal and colours are not switched off (https://no-color.org)."""
    unwanted = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not unwanted
