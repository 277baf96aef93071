"""The benchmarks' gate: nobody is timed who lets a forgery in. Timing itself is never tested."""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from jwt_wsgi.errors import InvalidTokenError

BENCHMARKS = Path(__file__).with_name("benchmarks")


class Parts(NamedTuple):
    gate: ModuleType
    tokens: ModuleType
    candidates: ModuleType


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    """The benchmarks' modules, which are scripts beside each other and no package."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import candidates
    import gate
    import tokens

    yield Parts(gate, tokens, candidates)
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_our_verifier_passes_the_gate(parts: Parts, algorithm: str) -> None:
    """We take part in every algorithm of the table, with the cache and without."""
    mint = parts.tokens.Mint(algorithm)
    parts.gate.check(parts.candidates.ours(mint), mint)
    parts.gate.check(parts.candidates.ours_cold(mint), mint)


@pytest.mark.parametrize(
    ("forgery", "code"),
    [
        ("bad signature", "signature_invalid"),
        ("expired", "token_expired"),
        ("wrong iss", "issuer_not_trusted"),
        ("wrong aud", "audience_mismatch"),
    ],
)
def test_a_candidate_that_accepts_a_forgery_is_not_timed(
    parts: Parts, forgery: str, code: str
) -> None:
    """The gate names the forgery, whichever it is."""
    mint, notes = parts.tokens.Mint("EdDSA"), []
    honest = parts.candidates.ours(mint)

    def careless(token: str) -> object:
        try:
            return honest(token)
        except InvalidTokenError as error:
            if error.code != code:
                raise
            return token

    admitted = parts.gate.admitted({"careless": lambda _: careless}, mint, notes)
    assert admitted == {}
    assert notes == [f"careless: REFUSED BY THE GATE, it accepts: {forgery}"]


def test_a_candidate_that_refuses_everything_is_not_timed(parts: Parts) -> None:
    """A refusal of everything is fast, and no verification either."""
    mint, notes = parts.tokens.Mint("EdDSA"), []
    assert parts.gate.admitted({"closed": lambda _: json.loads}, mint, notes) == {}
    assert "closed: does not do EdDSA" in notes[0]


@pytest.mark.slow
def test_the_command_prints_a_row_of_the_table_for_every_goal_it_is_asked_for() -> None:
    """One command; what it prints is rows of figures, whoever is not installed."""
    command = [sys.executable, BENCHMARKS / "run.py", "--smoke", "P4", "P12", "P13"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(" | ") for line in told.splitlines() if line.startswith("| P")]
    assert {row[0] for row in rows} == {"| P4", "| P10", "| P12", "| P13"}
    assert all(re.fullmatch(r"yes \||\*\*NO\*\* \||shown \|", row[-1]) for row in rows)
    assert sum(re.match(r"\*\*-?[\d.]+\*\* \(", row[3]) is not None for row in rows) >= 6


def test_instructions_are_not_counted_without_valgrind(tmp_path: Path) -> None:
    """The command says what is missing, and that is no failure."""
    command = [sys.executable, BENCHMARKS / "instructions.py"]
    ran = subprocess.run(
        command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "skipped: valgrind is not installed (apt-get install valgrind)\n"


def test_every_row_of_instructions_is_answered_as_it_says(parts: Parts) -> None:
    """No row measures another answer than its name promises."""
    import instructions

    work = instructions.minted(2)
    for row in (instructions.BARE, instructions.SIGNATURE, *instructions.ROWS):
        instructions.ask(row, 2, work)


def test_the_page_has_the_table_of_the_kept_results(parts: Parts) -> None:
    """What docs/explanation/performance.md says was measured, and is what results.json keeps."""
    import report

    page = report.SHOWN.read_text()
    assert report.MARKS[0] in page
    assert report.updated(page) == page
    assert "| the same token again, EdDSA |" in report.summary()


def test_node_is_started_as_the_scenes_start_everybody(parts: Parts) -> None:
    """With an issuer, the age of its keys and a folder for saved keys."""
    import outage_node

    from jwt_wsgi.cli import outage

    started = inspect.signature(outage_node.contestant("jose", BENCHMARKS))
    ours = inspect.signature(outage.ours)

    assert len(started.parameters) == len(ours.parameters)
