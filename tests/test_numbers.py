"""Every figure that the documents state is a constant of the code, or has its test.

What counts as a figure, in README.md and in docs/:

* a number in digits, with or without a unit;
* a number in words from two on, and a part (``half``, ``quarter``) or a multiple (``twice``);
* ``a``, ``an`` or ``one`` before a unit of time, and ``one more``.

Each needs a row in :data:`CLAIMS`, with the word after it. ``SEVERAL`` is the row of a number that
says "more than one": the sentence is as true of three issuers as of two.

No figures: ``one`` elsewhere, ``once``, ``both``, ``first`` and other words for an order; what is
code, a link, a date, or the number of a heading, an item, an RFC or a section; the statuses that
this package answers with. Not walked over, because other tests hold them: code blocks, generated
parts, the table of the benchmarks in gateway.md, and tables under ``docs/development``, whose rows
name their tests. The sources of a provider's page are not ours.
"""

import re
import sys
import time
from typing import Any

import pytest
from django.conf import global_settings
from pages import PAGES
from pages import ROOT

from jwt_wsgi import events
from jwt_wsgi import header_rules
from jwt_wsgi import jose
from jwt_wsgi import request_log
from jwt_wsgi import tenants
from jwt_wsgi.cache import BYTES_PER_TOKEN
from jwt_wsgi.cli import outage
from jwt_wsgi.cli import outage_plot
from jwt_wsgi.cli import terminal
from jwt_wsgi.cli.explain_code import CODES
from jwt_wsgi.contrib import django
from jwt_wsgi.key_sources import freshness
from jwt_wsgi.key_sources import saved_keys
from jwt_wsgi.key_sources.discovery import places
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.keys import MAX_CANDIDATES
from jwt_wsgi.revocation import backchannel
from jwt_wsgi.revocation import redis
from jwt_wsgi.revocation import revocations
from jwt_wsgi.revocation import store
from jwt_wsgi.settings.issuer import MAX_TENANTS
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.settings.values import read_seconds
from jwt_wsgi.test_kit.providers import PROVIDERS
from jwt_wsgi.testing import FakeIssuer

#: Numbers in words.
WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40,
    "fifty": 50, "sixty": 60, "ninety": 90, "hundred": 100, "hundreds": 100, "thousand": 1000,
    "thousands": 1000, "million": 10**6, "millions": 10**6, "dozen": 12, "dozens": 12,
    "half": 0.5, "quarter": 0.25, "tenth": 0.1,
    "twice": 2, "thrice": 3, "double": 2, "a": 1, "an": 1, "one": 1,
}  # fmt: skip
#: Units of time in words: they count after ``a``, ``an`` and ``one``, too.
TIMES = {
    "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400, "month": 30 * 86400,
    "year": 365 * 86400,
}  # fmt: skip
#: Units of numbers in digits.
UNITS = {
    **TIMES, **{f"{name}s": seconds for name, seconds in TIMES.items()}, "s": 1, "h": 3600,
    "ms": 0.001, "µs": 1e-6, "KiB": 1024, "kB": 1000, "bytes": 1, "bits": 1, "characters": 1,
    "requests": 1, "tenants": 1, "more": 1, "%": 1, "GETs": 1, "tokens": 1, "lines": 1,
    "options": 1,
}  # fmt: skip
SETTINGS: Any = Settings.of(issuer="https://issuer.example")
KEYS = Policy()
STALE, LEEWAY = SETTINGS.jwks_max_stale, SETTINGS.leeway
SETUP = (ROOT / "setup.cfg").read_text()


def said(pattern: str, text: str) -> float:
    """The number that a text names at one place, as the pattern finds it."""
    (found,) = set(re.findall(pattern, text, re.MULTILINE))
    return float(read_seconds(found))


PYTHON = said(r"^python_requires = >=(\S+)$", SETUP)
JSON_LOGGER = said(r"^ *python-json-logger>=(\S+)$", SETUP)
ARCHITECTURE = PAGES["docs/development/architecture.md"]
RINGS = len(re.findall(r"^\| (?:first|second) \|", ARCHITECTURE, re.MULTILINE))
SLOW = said(r"issuer\.slow\((\d)\):` every", PAGES["docs/how-to/testing.md"])
LIFE_IN_THE_TUTORIAL = said(r"--exp (\d\w+) ", PAGES["docs/tutorial.md"])
THRESHOLD = said(r"jwt_wsgi_key_fetch_failures\) >= (\d)$", PAGES["docs/how-to/runbook.md"])
LONGEST_PLAIN = said(r"\{1,(\d+)\}", header_rules.PLAIN)
COGNITO = len(PROVIDERS["cognito"].settings["claims"])
PLACES = len(places("https://issuer.example"))
TOKEN = jose.parse(FakeIssuer().token()).claims
LIFE_OF_A_TOKEN = TOKEN["exp"] - TOKEN["iat"]
OUTAGE = outage_plot.END - outage_plot.BEGIN
REMOVED = "test_jwks::test_b11_a_removed_key_dies"
RECOVERY = "test_jwks::test_b10_recovery"

#: Read elsewhere, decided by people, or a figure that a page gives as an approximation.
READ = "read or approximate"
#: More than one.
SEVERAL = "more than one"
#: Page -> figure -> the constant that it is, or the test that holds it.
CLAIMS: dict[str, dict[str, object]] = {
    "README.md": {
        "24 hours": STALE,
        "305 seconds": REMOVED,
        "three seconds": OUTAGE,
        "one second": outage.FRESH,
        "half a minute": READ,  # tests/long/outage_claims.py takes as long
        "3.11": PYTHON,
    },
    "docs/development/architecture.md": {
        "two rings": RINGS,
        "1,200 lines": "test_architecture::test_the_first_ring_has_few_lines",
        "400 lines": "test_architecture::test_no_module_has_more_than_400_lines",
        "40 options": "test_settings::test_options_are_few",
    },
    "docs/development/keys.md": {
        "three": PLACES,
        "three more": PLACES,
        "half of": KEYS.refresh_after / KEYS.max_age,
        "1 s": "test_settings::test_ages_fit_together",
        "30 s": KEYS.cooldown,
    },
    "docs/development/releasing.md": {
        "two builds": SEVERAL,
        "0": READ,
        "0.2": READ,
        "0.1.1": READ,
        "0.1.0": READ,
        "two more": READ,  # a promise about the future
        "six months": READ,
    },
    "docs/explanation/gateway.md": {
        "1.00": READ,  # what "Kept" means
        "0.50": 1 / 2,
        "half as": 1 / 2,
        "20 µs": READ,
        "10th": READ,
        "90th": READ,
        "305 s": REMOVED,
        "2.15": READ,
        "300 s": "test_pages_shown::test_the_page_about_gateways_says_how_long_pyjwt_holds_keys",
        "10 minutes": READ,
        "an hour": READ,
        "5 minutes": READ,
        "24 hours": STALE,
        # Measured by tests/faults/gateways.py, or read in what it measures.
        **dict.fromkeys(("30 s", "254 s", "289 s", "300", "340 s", "2.4", "3.3"), READ),
        **dict.fromkeys(("31", "11", "dozen lines", "six minutes"), READ),
    },
    "docs/explanation/issuer-down.md": {
        "three seconds": OUTAGE,
        "half a minute": READ,
        "1,000 requests": outage.USERS,
        "one second": outage.FRESH,
        "24 hours": STALE,
        "ten minutes": (KEYS.max_age, SETTINGS.jwks_max_age),
        "5 seconds": SETTINGS.jwks_timeout,
        "10 seconds": RECOVERY,
        "15 seconds": RECOVERY,
        "60 seconds": freshness.MAX_RETRY_AFTER,
        "four fetches": freshness.LOOKUPS,
        "one more": "test_jwks::test_b2_healthy_any_traffic",
        "30 seconds": KEYS.cooldown,
        "305 seconds": REMOVED,
    },
    "docs/explanation/performance.md": {
        "4096": SETTINGS.token_cache_size,
        "20 µs": READ,
        "95 µs": READ,
        "two units": READ,
        "0.1": READ,  # results.json, in the four commits that changed it
        "1.4": READ,
        "four whole": READ,
        "2 kB": READ,  # CPython's HASHLIB_GIL_MINSIZE
        "one more": READ,
        "5 ms": sys.getswitchinterval(),
        "thousand keys": "test_rules::test_a_decision_costs_the_same_with_a_thousand_rules",
        "3 KiB": BYTES_PER_TOKEN,
    },
    "docs/explanation/security-model.md": {
        "four in": freshness.LOOKUPS,
        "one more": "test_jwks::test_b2_healthy_any_traffic",
        "30 seconds": KEYS.cooldown,
        "two rings": RINGS,
    },
    "docs/how-to/audit.md": {"1": terminal.EXIT_REFUSED, "2": terminal.EXIT_USAGE},
    "docs/how-to/browser-apps.md": {
        "two headers": SEVERAL,
        "80": "test_origin_check::test_a_listed_host_passes_in_any_case_and_with_a_default_port",
        "443": "test_origin_check::test_a_listed_host_passes_in_any_case_and_with_a_default_port",
    },
    "docs/how-to/claims.md": {
        "two readings": SEVERAL,
        "two issuers": SEVERAL,
        "two users": SEVERAL,
    },
    "docs/how-to/django.md": {"two weeks": global_settings.SESSION_COOKIE_AGE},
    "docs/how-to/keys-on-disk.md": {
        "0600": "test_saved_keys::test_the_file_is_for_this_user_only_and_leaves_nothing_beside_it",
        "an hour": saved_keys.MAX_AGE,
    },
    "docs/how-to/logout.md": {
        "1.0": READ,
        "405": "test_backchannel::test_only_post_is_served",
        "5 seconds": revocations.MARGIN,
        "30 days": revocations.LIFETIME,
        "ten minutes": 2 * revocations.MAX_LEEWAY,
        "an hour": backchannel.MAX_AGE,
        "17,408 bytes": backchannel.MAX_BODY,
    },
    "docs/how-to/logs.md": {
        "a minute": events.Refused.quiet,
        "twenty minutes": events.OUTAGE_QUIET,
        "3.1": JSON_LOGGER,
        "256 characters": request_log._MOST_CHARACTERS,
    },
    "docs/how-to/migrate-from-authlib.md": {
        "ten seconds": "test_migrating::test_authlib_on_flask",
        "30 seconds": LEEWAY,
    },
    "docs/how-to/migrate-from-flask-jwt-extended.md": {
        "422": "test_migrating_tables::test_jwt_extended_errors",
        "a month": "test_migrating_tables::test_a_refresh_token_of_jwt_extended_lives_for_a_month",
    },
    "docs/how-to/migrate-from-pyjwt.md": {
        "five minutes": "test_migrating_tables::test_pyjwt_in_an_outage",
        "24 hours": STALE,
        "2.15": READ,
        "a second": "test_migrating_tables::test_pyjwt_and_the_clock",
        "30 seconds": LEEWAY,
    },
    "docs/how-to/operations.md": {"ten minutes": READ, "30 s": LEEWAY},
    "docs/how-to/own-keys.md": {"a minute": events.FunctionFailed.quiet},
    "docs/how-to/own-store.md": {
        "three methods": len(store._METHODS),
        "three failures": store.BREAKER_FAILURES,
        "quarter of a second": store.BREAKER_PAUSE,
        "two seconds": store.BREAKER_MAX_PAUSE,
        "1970": time.gmtime(0).tm_year,
    },
    "docs/how-to/policy-engine.md": {"a minute": events.FunctionFailed.quiet},
    "docs/how-to/recipes.md": {
        "two issuers": SEVERAL,
        "two people": SEVERAL,
        "two requests": SEVERAL,
    },
    "docs/how-to/revocation.md": {
        "30 s": LEEWAY,
        "305 s": REMOVED,
        "ten minutes": (KEYS.max_age, SETTINGS.jwks_max_age),
        "24 h": STALE,
        "an hour": saved_keys.MAX_AGE,
        "30 days": revocations.LIFETIME,
        "0.25 s": (redis.TIMEOUT / 2, store.BREAKER_PAUSE),
        "0.5 s": redis.TIMEOUT,
        "twice": "test_contrib_redis::test_a_fault_of_the_network_refuses_no_request",
        "three failures": store.BREAKER_FAILURES,
        "2 s": store.BREAKER_MAX_PAUSE,
        "5 s": revocations.MARGIN,
    },
    "docs/how-to/rules.md": {
        "thousand rules": "test_rules::test_a_decision_costs_the_same_with_a_thousand_rules",
        "two paths": SEVERAL,
        "twice": SEVERAL,
    },
    "docs/how-to/runbook.md": {
        "0": READ,
        "24 h": STALE,
        "30 days": revocations.LIFETIME,
        "10 s": RECOVERY,
        "15 s": RECOVERY,
        "60 s": freshness.MAX_RETRY_AFTER,
        "305 s": REMOVED,
        "an hour": saved_keys.MAX_AGE,
        "502": READ,  # of a proxy
    },
    "docs/how-to/several-issuers.md": {
        "10 minutes": SETTINGS.jwks_max_age,
        "five seconds": tenants.REFUSED_FOR,
        "thousands of names": SEVERAL,
        "4,096 tenants": MAX_TENANTS,
        "4,096 more": MAX_TENANTS,
        "two RSA": READ,
        "15 KiB": READ,  # tests/faults/tenants.py measures it
    },
    "docs/how-to/testing.md": {"two seconds": SLOW},
    "docs/index.md": {"three seconds": OUTAGE},
    "docs/providers/adfs.md": {"2016": READ, "two issuers": READ},
    "docs/providers/b2c.md": {"2025": READ},
    "docs/providers/clerk.md": {"a minute": READ},
    "docs/providers/cognito.md": {"two claims": COGNITO},
    "docs/providers/entra.md": {"1.0": READ, "2.0": READ},
    "docs/providers/google.md": {"two spellings": READ},
    "docs/providers/hydra.md": {"2.0": READ},
    "docs/providers/index.md": {"eight at": MAX_CANDIDATES, "five minutes": LIFE_OF_A_TOKEN},
    "docs/providers/okta.md": {"two kinds": READ},
    "docs/providers/zuplo.md": {"two kinds": READ},
    "docs/reference/command-line.md": {
        "0": terminal.EXIT_FINE,
        "1": terminal.EXIT_REFUSED,
        "2": terminal.EXIT_USAGE,
    },
    "docs/reference/metrics.md": {"3": THRESHOLD},
    "docs/reference/refusals.md": {"two places": SEVERAL},
    "docs/reference/refusals/audience_mismatch.md": {"two has": SEVERAL},
    "docs/reference/refusals/not_guarded.md": {"a minute": django._QUIET},
    "docs/reference/refusals/origin_not_allowed.md": {"two values": SEVERAL},
    "docs/reference/refusals/token_expired.md": {"30 seconds": LEEWAY},
    "docs/reference/refusals/token_malformed.md": {"16,384 characters": SETTINGS.max_token_size},
    "docs/reference/refusals/token_not_yet_valid.md": {"30 seconds": LEEWAY},
    "docs/reference/refusals/tokens_multiple.md": {
        "two tokens": SEVERAL,
        "two programs": SEVERAL,
        "two users": SEVERAL,
        "twice": SEVERAL,
    },
    "docs/reference/rules.md": {
        "thousand": "test_rules::test_a_decision_costs_the_same_with_a_thousand_rules",
        "256": LONGEST_PLAIN,
        "twice": SEVERAL,
    },
    "docs/reference/settings.md": {
        "two tokens": SEVERAL,
        "two of them": SEVERAL,
        "0": "test_fail_closed::test_a_check_that_returns_an_empty_value_refuses",
        "a minute": events.FunctionFailed.quiet,
    },
    "docs/tutorial.md": {"3.11": PYTHON, "an hour": LIFE_IN_THE_TUTORIAL},
}
_IN_WORDS = "|".join(word for word in WORDS if word not in ("a", "an", "one"))
_FIGURE = re.compile(
    rf"\b(?:{_IN_WORDS})\b(?:[ -](?:of )?(?:an? )?\w+)?"
    rf"|\b(?:an?|one) (?:{'|'.join(TIMES)})\b|\bone more\b"
    r"|(?<![\w.:-])\d+(?:,\d{3})*(?:\.\d+)*"
    rf"(?:(?:[ -]|(?=%))(?:{'|'.join(UNITS)})(?!\w)|(?:th)?(?!\w))",
    re.IGNORECASE,
)
#: The statuses that this package answers with; 200 and 500 are the app's.
STATUSES = {"200", "500", *(str(code.status) for code in CODES.values() if code.status)}
#: What is no text, and what other tests hold.
NO_TEXT = (
    r"^ *```.*?^ *```$",
    r"<!-- (?P<name>[^\n]+) -->\n.*?<!-- /(?P=name) -->",
    r"<!--[^\n]*?-->",
    r"<https?:[^>]*>",
    r"\]\([^)\s]*\)",
    r"`[^`]*`",
    r"^#+ \d+\.",
    r"^ *\d+\. ",
    r"\b(?:RFC|PEP|section) [\d.]+(?: and [\d.]+)*",
    r"\b20\d\d-\d\d-\d\d\b",
)
OF_OTHER_TESTS = {
    "docs/explanation/gateway.md": (
        r"^\|[^\n]* [\d.]+ \([\d.]+ to [\d.]+\) \|$"
        r"|^\|  \| this middleware \|.*?\n\n"  # tests/faults/gateways.py holds it
    ),
    "docs/development/": r"^\|[^\n]*$",
    "docs/providers/": r"^## Sources\n.*",
}


def text_of(page: str) -> str:
    """The text of a page in which figures are looked for, on one line."""
    text = PAGES[page]
    others = [pattern for part, pattern in OF_OTHER_TESTS.items() if page.startswith(part)]
    for pattern in (*NO_TEXT, *others):
        text = re.sub(pattern, " ", text, flags=re.DOTALL | re.MULTILINE)
    return " ".join(text.split())


def stated(page: str) -> set[str]:
    """The figures of a page: ``24 hours``, ``two rings``."""
    found = (match[0] for match in _FIGURE.finditer(text_of(page)))
    return {figure[0].lower() + figure[1:] for figure in found} - STATUSES


def value_of(figure: str) -> float:
    """``half a minute`` -> 30."""
    first, *others = figure.replace(",", "").split()
    number = WORDS.get(first) or float(first.removesuffix("th"))
    return number * (UNITS.get(others[-1], 1) if others else 1)


@pytest.mark.parametrize("page", PAGES)
def test_every_figure_of_a_page_is_declared(page: str) -> None:
    """A new one needs a row in CLAIMS, and one that is gone leaves none behind."""
    assert stated(page) == set(CLAIMS.get(page, {}))


@pytest.mark.parametrize("page", CLAIMS)
def test_a_declared_figure_is_true(page: str) -> None:
    for figure, holder in CLAIMS[page].items():
        if holder in (READ, SEVERAL):
            continue
        if isinstance(holder, str):
            file, _, test = holder.partition("::")
            assert f"def {test}(" in (ROOT / "tests" / f"{file}.py").read_text(), figure
        else:
            values = holder if isinstance(holder, tuple) else (holder,)
            assert {value_of(figure)} == {*values}, figure


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("It waits two seconds.", {"two seconds"}),
        ("Half of them, twice.", {"half of them", "twice"}),
        ("A tenth of it, in an hour", {"tenth of it", "an hour"}),
        ("one more, after a quarter of a second", {"one more", "quarter of a second"}),
        ("4,096 tenants, 12 and 99.9 %", {"4,096 tenants", "12", "99.9 %"}),
        ("the first one of both, once; a 401, `12`, RFC 6750 section 2.1, [a](5.md)", set()),
        ("ES256, Auth0, UTF-8, 2026-11-28", set()),
    ],
)
def test_what_is_a_figure(text: str, figures: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is none: the rule of this file, by example."""
    monkeypatch.setitem(PAGES, "page", text)

    assert stated("page") == figures


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("half a minute", 30),
        ("quarter of a second", 0.25),
        ("an hour", 3600),
        ("two rings", 2),
        ("4,096 tenants", 4096),
        ("0.25 s", 0.25),
        ("10th", 10),
        ("twice", 2),
    ],
)
def test_the_value_of_a_figure(figure: str, value: float) -> None:
    assert value_of(figure) == value
