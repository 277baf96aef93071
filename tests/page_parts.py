"""The parts of pages that the code generates: tables, and lists of commands and refusals."""

import argparse
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import story
from prometheus_client import CollectorRegistry

from jwt_wsgi import JWTMiddleware
from jwt_wsgi import errors
from jwt_wsgi import events
from jwt_wsgi.__main__ import _parser
from jwt_wsgi.cli.explain_causes import CAUSES
from jwt_wsgi.cli.remedies import FETCH_REMEDIES
from jwt_wsgi.cli.remedies import REFUSAL_REMEDIES
from jwt_wsgi.contrib.prometheus import metrics

ROOT = Path(__file__).parent.parent


def example(name: str) -> str:
    return f"```python\n{(ROOT / 'examples' / name).read_text()}```\n"


def day() -> str:
    """The log of a noisy day."""
    return "```text\n" + "\n".join(story.tell(story.Day())) + "\n```\n"


def authenticate() -> str:
    """The real methods, as they stand in the source."""
    methods = JWTMiddleware.__call__, JWTMiddleware.authenticate
    return "\n\n".join(textwrap.dedent(inspect.getsource(method)) for method in methods)


def metric_rows() -> str:
    """The metrics that there are, with their labels."""
    registry = CollectorRegistry()
    metrics(registry)
    rows = ["| metric | labels | meaning |", "|---|---|---|"]
    for metric in registry._collector_to_names:
        name = metric._name + ("_total" if metric._type == "counter" else "")  # type: ignore[attr-defined]
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # type: ignore[attr-defined]
        rows.append(f"| `{name}` | {labels} | {metric._documentation} |")  # type: ignore[attr-defined]
    return "\n".join(rows) + "\n"


# --- Refusals ----------------------------------------------------------------------------------


def codes() -> str:
    rows = ["| `code` | `details` |", "|---|---|"]
    rows += [f"| [`{code}`](#{code}) | {said} |" for code, said in errors.TOKEN_ERRORS.items()]
    return "\n".join(rows) + "\n"


def refusals() -> str:
    """A section for each code: the answer, the causes that ``explain`` recognises, the remedy."""
    kinds = {kind.code: kind for kind in _subclasses(errors.AuthError)}
    parts = []
    for code, remedy in REFUSAL_REMEDIES.items():
        kind = kinds.get(code, errors.InvalidTokenError)
        said = errors.TOKEN_ERRORS.get(code) or kind.details or kind.error
        parts.append(f"### `{code}`\n\nStatus {kind.status}. {said}.\n\n{_plain(remedy)}\n")
        rows = [row for row in CAUSES if row.code == code and row.sentence]
        if rows:
            parts.append("| what `explain` recognises | what to do |\n|---|---|")
            parts += [
                f"| {_plain(row.sentence)} | {_plain(row.remedy or remedy)} |" for row in rows
            ]
            parts.append("")
        if code == "keys_unavailable":
            parts.append("| kind of failure in the log | what to do |\n|---|---|")
            parts += [f"| `{kind}` | {_plain(text)} |" for kind, text in FETCH_REMEDIES.items()]
            parts.append("")
    return "\n".join(parts)


def _subclasses(kind: type[errors.AuthError]) -> Iterator[type[errors.AuthError]]:
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield below
            yield from _subclasses(below)


def _plain(text: str) -> str:
    """A sentence of a command as Markdown shows it, in a table as well."""
    said = text.replace("{place}", "the header Authorization: Bearer TOKEN")
    return re.sub(r"([\\*|<_\[\]])", r"\\\1", said)


# --- Events ------------------------------------------------------------------------------------


def event_rows() -> str:
    rows = ["| event | level | fields | meaning |", "|---|---|---|---|"]
    for name, kind in vars(events).items():
        public = inspect.isclass(kind) and issubclass(kind, events.Event) and name[0] != "_"
        if public and not kind.__subclasses__() and kind is not events.Event:
            level = events.logging.getLevelName(kind.level)
            known = ", ".join(f"`{field.name}`" for field in fields(kind))
            meaning = re.sub(r"``", "`", (kind.__doc__ or "").partition("\n\n")[0])
            rows.append(f"| `{name}` | {level} | {known} | {' '.join(meaning.split())} |")
    return "\n".join(rows) + "\n"


# --- Command line ------------------------------------------------------------------------------


def command_line() -> str:
    """A section for each command, with the options that its parser knows."""
    return "\n".join(_commands(_parser(), "jwt-wsgi"))


def _commands(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: choice.help for choice in action._choices_actions}
            for word, command in action.choices.items():
                yield from _command(command, f"{name} {word}", summaries.get(word) or "")


def _command(parser: argparse.ArgumentParser, name: str, summary: str) -> Iterator[str]:
    level = "#" * (name.count(" ") + 1)
    said = " ".join((parser.description or f"{summary}.").split())
    yield f"{level} `{name}`\n\n{_plain(said[:1].upper() + said[1:])}\n"
    rows = [row for row in map(_option, parser._actions) if row]
    if rows:
        yield "| argument | default | meaning |\n|---|---|---|"
        yield from rows
        yield ""
    yield from _commands(parser, name)


def _option(action: argparse.Action) -> str:
    if isinstance(action, (argparse._SubParsersAction, argparse._HelpAction)):
        return ""
    metavar: Any = action.metavar or (action.dest.upper() if not action.choices else "NAME")
    value = "" if action.nargs == 0 else str(metavar)
    shown = ", ".join(f"{option} {value}".strip() for option in action.option_strings) or value
    shown = shown.replace("|", "\\|")
    meaning = (action.help or "").replace("(%(default)s)", "").replace("%%", "%").strip()
    if action.choices:
        meaning = f"{meaning} One of {', '.join(map(str, action.choices))}.".strip()
    default = "" if action.default in (None, False, argparse.SUPPRESS, []) else action.default
    return f"| `{shown}` | {default and f'`{default}`'} | {_plain(meaning)} |"
