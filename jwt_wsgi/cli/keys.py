"""``python -m jwt_wsgi keys``: which keys would be used, and why one is skipped."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from jwt_wsgi import assembly
from jwt_wsgi import jose
from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.key_sources.failures import FetchError
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.settings.options import PREFIX
from jwt_wsgi.strict_json import json_object
from jwt_wsgi.urls import check_url
from jwt_wsgi.urls import shown_url

from .key_report import Report
from .key_report import of_file
from .key_report import of_url
from .key_report import report_of
from .terminal import EXIT_FINE
from .terminal import EXIT_REFUSED
from .terminal import FAIL
from .terminal import add_json_flag
from .terminal import add_settings_flags
from .terminal import complain
from .terminal import load_settings
from .terminal import painted
from .terminal import progress
from .terminal import say
from .terminal import show_json
from .terminal import show_table

#: Settings that apply to a URL that is not configured. Headers and certificates do not.
_FETCHING: Final = ("JWKS_TLS", "JWKS_TIMEOUT", "ALLOW_HTTP")


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``keys`` to the command line."""
    parser = commands.add_parser(
        "keys",
        help="which keys would be used, and why one is skipped",
        description="List the keys of every configured issuer, or of ISSUER, a JWKS URL or a"
        " file: which are used and why one is skipped. Exit code 1 if an issuer has no usable key.",
        epilog="example: jwt-wsgi keys https://issuer.example    (a URL that is not configured"
        " gets no headers and no client certificate of yours)",
    )
    parser.add_argument("source", nargs="?", metavar="ISSUER|URL|FILE")
    add_settings_flags(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the keys; exit code 0 if every issuer has one to use."""
    try:
        reports = list(_reports(options))
    except ConfigurationError as error:
        return complain("keys", error.problems, as_json=options.json)
    if options.json:
        show_json([report.as_json() for report in reports])
    else:
        for report in reports:
            _show(report)
    return EXIT_FINE if all(report.usable for report in reports) else EXIT_REFUSED


def _reports(options: argparse.Namespace) -> Iterable[Report]:
    # os.path raises no error for a URL that is too long for a file name.
    if options.source is not None and os.path.isfile(options.source):  # noqa: PTH113
        return [of_file(options.source, Path(options.source), jose.DEFAULT_ALGORITHMS)]
    if options.source is not None:
        return [_named(options)]
    settings = load_settings(options)
    return [_asked(own, options) for own in settings.terms]


def _asked(own: Settings, options: argparse.Namespace) -> Report:
    progress(f"asking {shown_url(own.issuers[0].identifier, 200)} ...", as_json=options.json)
    return report_of(own)


def _named(options: argparse.Namespace) -> Report:
    """Return what ISSUER or URL has, on the terms it is configured with, if it is."""
    try:
        terms = load_settings(options).terms
    except ConfigurationError:
        terms = ()
    for own in terms:
        if own.issuers[0].identifier == options.source:
            return _asked(own, options)
    return _unconfigured(options)


def _unconfigured(options: argparse.Namespace) -> Report:
    """Look at an address that is not configured: a JWKS if it answers with one."""
    names = {PREFIX + name + end for name in _FETCHING for end in ("", "_FILE")}
    environ = {name: text for name, text in os.environ.items() if name in names}
    own = Settings.load({"issuer": "https://issuer.invalid"}, environ=environ)
    fetch, name = assembly.fetcher(own), options.source
    if problem := check_url(name, allow_http=own.allow_http):
        raise ConfigurationError([f"{shown_url(name, 200)}: {problem}"])
    progress(f"asking {shown_url(name, 200)} ...", as_json=options.json)
    try:
        answer = fetch(name, etag=None, no_cache=True, timeout=own.jwks_timeout)
        is_jwks = isinstance(answer, Fetched) and "keys" in json_object(answer.body)
    except (FetchError, ValueError):
        is_jwks = False
    return of_url(name, own, fetch, name if is_jwks else None, jose.DEFAULT_ALGORITHMS)


def _show(report: Report) -> None:
    by = f" (found by {report.found_by})" if report.found_by else ""
    used = f"{len(report.used)} of {len(report.rows)} keys used"
    if not report.listed:
        used = "keys are asked for with each token, so none are known"
    say(f"{shown_url(report.issuer, 200)}: {used}, from {report.source}{by}")
    if report.problem:
        say(f"  {painted('problem', FAIL)}: {report.problem}", 4)
    if report.rows:
        heads = ("kid", "kty", "crv", "alg", "use", "thumbprint", "used")
        show_table(heads, [(*row[:6], row.reason or "yes") for row in report.rows])
