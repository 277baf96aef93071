"""docs/development/keys.md, the code of remote keys and the names of its tests say the same."""

import re
from pathlib import Path

import test_jwks
import test_jwks_fork

from jwt_wsgi.key_sources.freshness import State

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/development/keys.md").read_text()
CODE = [path.read_text() for path in (ROOT / "jwt_wsgi/key_sources").glob("*.py")]
NAMES = [*vars(test_jwks), *vars(test_jwks_fork)]
TESTS = {name for name in NAMES if name.startswith("test_")}


def _table(heading: str) -> list[list[str]]:
    """The rows of the one table of a section of the page, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


RULES = {row[0]: re.findall(r"`(test_\w+)`", row[-1]) for row in _table("Rules")}
BOUNDS = {row[0]: re.findall(r"`(test_\w+)`", row[-1]) for row in _table("Bounds")}


def _rule_of(test: str) -> str | None:
    """The rule whose name a test has; of several the longest."""
    named = [rule for rule in RULES if f"{test}_".startswith(f"test_rule_{_slug(rule)}_")]
    return max(named, key=len, default=None)


def _slug(rule: str) -> str:
    return re.sub(r"\W", "_", rule)


def test_the_states_of_the_page_are_those_that_health_shows() -> None:
    assert [row[0].strip("`") for row in _table("States")] == [state.value for state in State]


def test_the_rules_of_the_page_are_those_of_the_code() -> None:
    named = [rules for text in CODE for rules in re.findall(r"\bRules?: ([^.\n]+)\.", text)]

    assert {rule for rules in named for rule in rules.split(", ")} == set(RULES)


def test_every_rule_has_its_tests_and_every_test_its_rule() -> None:
    of_rules = {test for test in TESTS if test.startswith("test_rule_")}

    assert all(RULES.values())
    assert {test for tests in RULES.values() for test in tests} == of_rules
    assert [(test, rule) for rule in RULES for test in RULES[rule] if _rule_of(test) != rule] == []


def test_every_bound_has_its_tests_and_every_test_its_bound() -> None:
    of_bounds = {test for test in TESTS if re.match(r"test_b\d+_", test)}

    assert [*BOUNDS] == [f"B{number}" for number in range(1, 20)]
    assert all(BOUNDS.values())
    assert {test for tests in BOUNDS.values() for test in tests} == of_bounds
    assert all(f"_{bound.lower()}_" in test for bound, tests in BOUNDS.items() for test in tests)
