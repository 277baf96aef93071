"""The table of ``demo --outage``, as a sceptic runs it: our claims hold, and it can say so if not.

Half a minute: ``pytest tests/long/outage_claims.py``. What it does without its scenes is in
test_outage.py.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from jwt_wsgi.__main__ import main
from jwt_wsgi.cli import outage

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/explanation/issuer-down.md").read_text()


def cells(text: str) -> list[list[str]]:
    return [re.split(r" *\| *", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]


def test_every_claim_holds_and_the_readme_says_nothing_else() -> None:
    """The command as a sceptic runs it; the page's figures, but for those a machine decides."""
    command = [sys.executable, "-W", "error", "-m", "jwt_wsgi", "demo", "--outage"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stderr) == (0, "")
    (shown,) = re.findall(r"<!-- outage -->\n\n(.*?)\n\n<!-- /outage -->", PAGE, re.DOTALL)
    ours, readmes = ([[row[0], row[1], row[-1]] for row in cells(t)] for t in (done.stdout, shown))
    assert len(ours) == 15
    assert [[row[0], row[-1]] for row in ours] == [[row[0], row[-1]] for row in readmes]
    bounded = ("at most", "below")  # a slow machine gives the schedule time for one more
    assert [row[1] for row in ours if not row[-1].startswith(bounded)] == [
        row[1] for row in readmes if not row[-1].startswith(bounded)
    ]


def test_a_claim_that_fails_is_said_and_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """PyJWT in our place, and fewer of everything."""
    for name, value in {
        "ours": outage.pyjwt,
        "UNKNOWN_KIDS": 100,
        "USERS": 50,
        "STALL": 1.2,
    }.items():
        monkeypatch.setattr(outage, name, value)

    assert main(["demo", "--outage"]) == 1

    said = capsys.readouterr().out
    assert "FAILED: dead issuer: users served: 0 %, not 100 %" in said
    assert "FAILED: slow issuer: slowest user" in said
    assert "FAILED: rotation, used at once: refused: 50, not 0" in said
    assert "every claim holds" not in said
