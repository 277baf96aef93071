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
from jwt_wsgi.cli.explain_code import CODES
from jwt_wsgi.cli.explain_code import causes
from jwt_wsgi.cli.remedies import FETCH_REMEDIES
from jwt_wsgi.contrib.flask import NotConfiguredError
from jwt_wsgi.contrib.prometheus import metrics
from jwt_wsgi.responses import Responses
from jwt_wsgi.settings.options import OPTIONS
from jwt_wsgi.settings.options import PREFIX

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


def setting_rows() -> str:
    """Every option: its variable, its default, its meaning."""
    rows = ["| option | environment | default | meaning |", "|---|---|---|---|"]
    for name, row in OPTIONS.items():
        variable = f"`{PREFIX}{name.upper()}`" if row.text else "keyword only"
        rows.append(f"| `{name}` | {variable} | {row.default} | {row.meaning} |")
    return "\n".join(rows) + "\n"


# --- Refusals ----------------------------------------------------------------------------------


def codes() -> str:
    """Every code, with a link to its page."""
    rows = ["| `code` | status | meaning |", "|---|---|---|"]
    rows += [
        f"| [`{code}`](refusals/{code}.md) | {meaning.status} | {meaning.says} |"
        for code, meaning in CODES.items()
    ]
    return "\n".join(rows) + "\n"


def refusal(code: str) -> str:
    """The page of one code: the answer, the line of the log, the causes and the remedies."""
    parts = [f"**{CODES[code].says}.** {_plain(CODES[code].remedy)}", ""]
    if rows := causes(code):
        parts += ["| what `explain` recognises | what to do |", "|---|---|"]
        parts += [f"| {_plain(says)} | {_plain(remedy)} |" for says, remedy in rows]
        parts.append("")
    if code == "keys_unavailable":
        parts += ["| kind of failure in the log | what to do |", "|---|---|"]
        parts += [f"| `{kind}` | {_plain(text)} |" for kind, text in FETCH_REMEDIES.items()]
        parts.append("")
    return "\n".join(parts + _answer(code))


#: Headers of an answer that its page shows.
_SHOWN = ("WWW-Authenticate", "Retry-After")
_ERRORS = (
    errors.AuthError(),
    errors.MissingTokenError(),
    errors.MalformedHeaderError(bearer=True),
    errors.MultipleTokensError(),
    errors.OriginNotAllowedError("Origin 'https://other.example' is not listed"),
    errors.InsufficientScopeError(scope=["read"]),
    errors.InsufficientAuthError(acr_values=["mfa"], max_age=300.0),
    errors.UnavailableError(),
    errors.KeysUnavailableError(),
    errors.RevocationUnavailableError(),
    errors.KeyNotKnownYetError(1),
    NotConfiguredError(),
    *map(errors.InvalidTokenError, errors.TOKEN_ERRORS),
)


def _answer(code: str) -> list[str]:
    """What the client gets, and the line of the log, if the middleware refuses with this code."""
    if code == errors.InvalidTokenError.code:
        responses, error = Responses(realm="api", details=False), _ERRORS[-1]
    else:
        responses, error = Responses(realm="api"), {e.code: e for e in _ERRORS}.get(code)
    if error is None:
        return []
    answer = responses.answer(error)
    shown = [f"{name}: {value}" for name, value in answer.headers if name in _SHOWN]
    sent = [f"HTTP/1.1 {answer.status}", *shown, "", answer.body.decode()]
    parts = ["## The answer", "", "```text", *sent, "```", ""]
    if code == error.label and code != NotConfiguredError.code:
        detail = error.detail if code == "origin_not_allowed" else ""
        line = events.Refused(code, error.status, method="'GET'", detail=detail)
        parts += ["## In the log", "", "```text", f"WARNING {line}", "```", ""]
    return parts


def _plain(text: str) -> str:
    """A sentence of a command as Markdown shows it, in a table as well."""
    return re.sub(r"([\\*|<_\[\]])", r"\\\1", text)


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
