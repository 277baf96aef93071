"""Every number with a unit that the documents state is a constant of the code or has its test.

Not walked over: code blocks and generated parts, which other tests hold; the pages of providers,
made from ``FakeIssuer.like``; ``docs/development``, whose tables name the test of each row.
"""

import re
from typing import Any

import pytest
from pages import PAGES
from pages import ROOT

from jwt_wsgi import request_log
from jwt_wsgi.cache import BYTES_PER_TOKEN
from jwt_wsgi.cli.outage import USERS
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.revocation import backchannel
from jwt_wsgi.revocation import redis
from jwt_wsgi.revocation import revocations
from jwt_wsgi.revocation import store
from jwt_wsgi.settings.issuer import MAX_TENANTS
from jwt_wsgi.settings.loading import Settings

LEFT_OUT = ("docs/providers/", "docs/development/")
#: Seconds, bytes or pieces of a unit.
UNITS = {
    "s": 1, "seconds": 1, "minutes": 60, "h": 3600, "hours": 3600, "days": 86400,
    "ms": 0.001, "µs": 1e-6, "KiB": 1024, "kB": 1000, "bytes": 1, "characters": 1,
    "requests": 1, "tenants": 1, "more": 1, "%": 1, "GETs": 1, "tokens": 1, "lines": 1,
    "options": 1,
}  # fmt: skip
SETTINGS: Any = Settings.of(issuer="https://issuer.example")
KEYS = Policy()
STALE, LEEWAY = SETTINGS.jwks_max_stale, SETTINGS.leeway

#: Read elsewhere, or a figure that the page gives as an approximation of its own measurement.
READ = "read or approximate"
#: Page -> number and unit -> the constant that it is, or the test that holds it.
CLAIMS: dict[str, dict[str, object]] = {
    "README.md": {"24 hours": STALE, "305 seconds": "test_jwks::test_b11_a_removed_key_dies"},
    "docs/explanation/gateway.md": {
        "20 µs": READ,
        "305 s": "test_jwks::test_b11_a_removed_key_dies",
        "300 s": "test_pages_shown::test_the_page_about_gateways_says_how_long_pyjwt_holds_keys",
        "10 minutes": READ,
        "5 minutes": READ,
        "24 hours": STALE,
        # Measured by tests/faults/gateways.py, or read in what it measures.
        **dict.fromkeys(("30 s", "50 tokens", "254 s", "289 s", "340 s"), READ),
    },
    "docs/explanation/issuer-down.md": {
        "1,000 requests": USERS,
        "24 hours": STALE,
        "5 seconds": SETTINGS.jwks_timeout,
        "10 seconds": "test_jwks::test_b10_recovery",
        "15 seconds": "test_jwks::test_b10_recovery",
        "60 seconds": "test_jwks::test_b10_recovery",
        "30 seconds": KEYS.cooldown,
        "305 seconds": "test_jwks::test_b11_a_removed_key_dies",
    },
    "docs/explanation/performance.md": {
        "20 µs": READ,
        "95 µs": READ,
        "2 kB": READ,  # CPython's HASHLIB_GIL_MINSIZE
        "5 ms": READ,  # sys.getswitchinterval()
        "3 KiB": BYTES_PER_TOKEN,
    },
    "docs/explanation/security-model.md": {"30 seconds": KEYS.cooldown},
    "docs/how-to/logout.md": {
        "5 seconds": revocations.MARGIN,
        "30 days": revocations.LIFETIME,
        "17,408 bytes": backchannel.MAX_BODY,
    },
    "docs/how-to/logs.md": {"256 characters": request_log._MOST_CHARACTERS},
    "docs/how-to/migrate-from-authlib.md": {"30 seconds": LEEWAY},
    "docs/how-to/migrate-from-pyjwt.md": {"24 hours": STALE, "30 seconds": LEEWAY},
    "docs/how-to/operations.md": {"30 s": LEEWAY},
    "docs/how-to/revocation.md": {
        "30 s": LEEWAY,
        "305 s": "test_jwks::test_b11_a_removed_key_dies",
        "24 h": STALE,
        "30 days": revocations.LIFETIME,
        "0.25 s": (redis.TIMEOUT / 2, store.BREAKER_PAUSE),
        "2 s": store.BREAKER_MAX_PAUSE,
        "5 s": revocations.MARGIN,
    },
    "docs/how-to/runbook.md": {
        "24 h": STALE,
        "30 days": revocations.LIFETIME,
        "10 s": "test_jwks::test_b10_recovery",
        "15 s": "test_jwks::test_b10_recovery",
        "60 s": "test_jwks::test_b10_recovery",
        "305 s": "test_jwks::test_b11_a_removed_key_dies",
    },
    "docs/how-to/several-issuers.md": {
        "10 minutes": SETTINGS.jwks_max_age,
        "4,096 tenants": MAX_TENANTS,
        "4,096 more": MAX_TENANTS,
        "15 KiB": READ,  # tests/faults/tenants.py measures it
    },
    "docs/reference/refusals/token_expired.md": {"30 seconds": LEEWAY},
    "docs/reference/refusals/token_not_yet_valid.md": {"30 seconds": LEEWAY},
    "docs/reference/refusals/token_malformed.md": {"16,384 characters": SETTINGS.max_token_size},
}
_NUMBER = re.compile(rf"(?<![\w.:-])(\d[\d,]*(?:\.\d+)?)[ -]({'|'.join(UNITS)})(?!\w)")


def stated(page: str) -> set[str]:
    """The numbers with a unit in the text of a page: ``24 hours``."""
    text = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!-- (\S+) -->\n.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    return {f"{number} {unit}" for number, unit in _NUMBER.findall(text)}


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith(LEFT_OUT)])
def test_every_number_of_a_page_is_declared(page: str) -> None:
    """A new one needs a row in CLAIMS, and one that is gone leaves none behind."""
    assert stated(page) == set(CLAIMS.get(page, {}))


@pytest.mark.parametrize("page", CLAIMS)
def test_a_declared_number_is_true(page: str) -> None:
    for claim, holder in CLAIMS[page].items():
        assert claim in stated(page)
        number, _, unit = claim.partition(" ")
        value = float(number.replace(",", "")) * UNITS[unit]
        if isinstance(holder, str) and holder != READ:
            file, _, test = holder.partition("::")
            assert f"def {test}(" in (ROOT / "tests" / f"{file}.py").read_text(), claim
        elif holder != READ:
            values = holder if isinstance(holder, tuple) else (holder,)
            assert all(value == known for known in values), claim
