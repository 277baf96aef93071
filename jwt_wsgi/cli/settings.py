"""``python -m jwt_wsgi settings``: every setting, its source, the rules, relaxed checks."""

import argparse
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Final

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.errors import name_of
from jwt_wsgi.errors import printable
from jwt_wsgi.origin_check import AllowedOrigins
from jwt_wsgi.rules import REQUIRE_TOKEN
from jwt_wsgi.rules import Rule
from jwt_wsgi.settings.issuer import ISSUER_OPTIONS
from jwt_wsgi.settings.issuer import Issuer
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.settings.options import OPTIONS
from jwt_wsgi.settings.origins import CORS
from jwt_wsgi.settings.reading import written
from jwt_wsgi.settings.request_values import Places
from jwt_wsgi.settings.resource import Resource
from jwt_wsgi.settings.rule_texts import rule_as_json
from jwt_wsgi.urls import shown_url

from .relaxed_checks import relaxed_checks
from .rule_words import needs
from .terminal import EXIT_FINE
from .terminal import WARN
from .terminal import add_json_flag
from .terminal import add_settings_flags
from .terminal import complain
from .terminal import counted
from .terminal import given_settings
from .terminal import painted
from .terminal import say
from .terminal import show_json
from .terminal import warnings_of_settings

_HIDDEN: Final = "(set, not shown)"
_DEFAULT: Final = "default"
_WIDTH: Final = max(map(len, OPTIONS))


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``settings`` to the command line."""
    parser = commands.add_parser(
        "settings",
        help="every effective setting and where it comes from, the rules, the relaxed checks",
        description="List every setting with its value and its source, the rules in their order,"
        " and every setting that accepts more than a valid token. Secrets are never shown. Without"
        " --app, what an app gives by keyword is not seen; of several JWTMiddlewares in an app"
        " all are shown, the outermost first. Exit code 2: the configuration does not load.",
        epilog="example: jwt-wsgi settings --app shop.wsgi:application",
    )
    add_settings_flags(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show the settings."""
    with warnings_of_settings() as said:
        try:
            all_settings = given_settings(options)
        except ConfigurationError as error:
            return complain("settings", error.problems, as_json=options.json)
    by_flag = "keyword" if options.app else "command line"
    relaxed = [sentence for one in all_settings for sentence in relaxed_checks(one)]
    said = [warning for warning in said if not warning.endswith(tuple(relaxed))]
    if options.json:
        show_json(
            {
                "middlewares": [_as_json(one, by_flag) for one in all_settings],
                "warnings": said,
            }
        )
        return EXIT_FINE
    for number, one in enumerate(all_settings, 1):
        if len(all_settings) > 1:
            say(f"JWTMiddleware {number} of {len(all_settings)}, from the outside")
            say("")
        _show(one, by_flag)
        if number < len(all_settings):
            say("")
    for warning in said:
        say(f"  {painted('warn', WARN)} {warning}", 7)
    return EXIT_FINE


def _as_json(settings: Settings, by_flag: str) -> dict[str, Any]:
    heads = ("option", "value", "source")
    rows = _rows(settings, by_flag)
    return {
        "settings": [dict(zip(heads, row, strict=True)) for row in rows],
        "issuers": _own_terms(settings),
        "rules": [rule_as_json(rule) for rule in settings.request_rules],
        "relaxed_checks": list(relaxed_checks(settings)),
    }


# --- Values --------------------------------------------------------------------------------------


def _rows(settings: Settings, by_flag: str) -> list[tuple[str, str, str]]:
    return [(name, *_row(settings, name, by_flag)) for name in OPTIONS]


def _row(settings: Settings, name: str, by_flag: str) -> tuple[str, str]:
    """The value of an option and its source."""
    value = getattr(settings, name)
    source = settings.sources.get(name)
    if source is None and (value in (None, (), {}) or isinstance(value, CORS)):
        return OPTIONS[name].default.replace("**required**", "-"), _DEFAULT
    source = by_flag if source == "keyword" else source
    return _shown(name, value), source or _DEFAULT


def _shown(name: str, value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    return _HIDDEN if OPTIONS[name].secret and value else _text(value)


def _text(value: Any) -> str:
    """A value in words: durations with their unit, functions by their name."""
    if value is None or value in ((), {}):
        return "-"
    if isinstance(value, Issuer):
        return shown_url(value.identifier, 200)[1:-1]
    if isinstance(value, str):
        return shown_url(value, 200)[1:-1] if "://" in value else printable(value, 200)[1:-1]
    if isinstance(value, bool | int | float):
        return written(value)
    if isinstance(value, Mapping):
        pairs = (f"{key} {_text(member)}" for key, member in value.items())
        return ", ".join(pairs)
    if isinstance(value, Places) and not value.forward:
        return f"{_text(tuple(value))}; not forwarded"
    if isinstance(value, Resource):
        return _text({"resource": value.url, **value.members} if value.members else value.url)
    if isinstance(value, CORS | AllowedOrigins):
        return _text({name: given for name, given in value._asdict().items() if given})
    if isinstance(value, Collection):
        members = list(value)
        if any(isinstance(member, Rule) for member in members):
            return f"{counted(len(members), 'rule')}, below"
        return ", ".join(map(_text, members))
    return name_of(value)


def _own_terms(settings: Settings) -> list[dict[str, Any]]:
    """What single issuers have instead of the common settings."""
    found = []
    for issuer in settings.issuers:
        own = {n: _shown(n, v) for n, v in issuer.reading.values.items() if n in ISSUER_OPTIONS}
        if issuer.keys is not None:
            own["keys"] = name_of(issuer.keys)
        found.append({"issuer": _text(issuer), "settings": own})
    return found if any(row["settings"] for row in found) else []


# --- For people ----------------------------------------------------------------------------------


def _show(settings: Settings, by_flag: str) -> None:
    rows = _rows(settings, by_flag)
    for head, is_default in (("Set", False), ("Defaults", True)):
        say(head)
        for name, value, source in rows:
            if (source == _DEFAULT) is is_default:
                by = "" if is_default else f"  ({source})"
                say(f"  {name.ljust(_WIDTH)} {value}{by}", _WIDTH + 3)
        say("")
    for own in _own_terms(settings):
        say(f"Only of {own['issuer']}")
        for name, value in own["settings"].items():
            say(f"  {name.ljust(_WIDTH)} {value}", _WIDTH + 3)
        say("")
    say("Rules: the first one that matches decides")
    for line in _rule_lines(settings.request_rules):
        say(line, 5)
    say("")
    relaxed = list(relaxed_checks(settings))
    say("Relaxed checks" if relaxed else "Relaxed checks: none")
    for sentence in relaxed:
        say(f"  {painted('open', WARN)} {sentence}", 7)


def _rule_lines(rules: Collection[Rule]) -> Iterator[str]:
    for number, rule in enumerate(rules, 1):
        methods = "any" if rule.methods is None else ",".join(sorted(rule.methods))
        patterns = (f"{name} {' or '.join(values)}" for name, values in rule.headers.items())
        added = f" with {' and '.join(patterns)}, in addition" if rule.headers else ""
        yield f"{number:>3}  {methods} {rule.path}{added}: {needs(rule)}"
    every = [rule for rule in rules if rule.path == "/*" and rule.methods is None]
    if all(rule.headers for rule in every):
        yield f"  -  everything else: {needs(REQUIRE_TOKEN)}"
