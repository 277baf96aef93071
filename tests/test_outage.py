"""`python -m jwt_wsgi demo --outage`: our claims hold, and the table can say that they do not."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from jwt_wsgi.__main__ import main
from jwt_wsgi.cli import outage
from jwt_wsgi.cli.demo import AUDIENCE
from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parent.parent / "docs/explanation/issuer-down.md").read_text()


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
    for name, value in {"ours": outage.pyjwt, "STRANGERS": 100, "USERS": 50, "STALL": 1.2}.items():
        monkeypatch.setattr(outage, name, value)

    assert main(["demo", "--outage"]) == 1

    said = capsys.readouterr().out
    assert "FAILED: dead issuer: users served: 0 %, not 100 %" in said
    assert "FAILED: slow issuer: slowest user" in said
    assert "FAILED: rotation, used at once: refused: 50, not 0" in said
    assert "every claim holds" not in said


def test_without_pyjwt_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is of the extra."""
    monkeypatch.setattr(outage, "find_spec", lambda name: None)

    assert main(["demo", "--outage"]) == 2
    assert "pip install pyjwt" in capsys.readouterr().err


def test_the_table_for_machines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON object, and nothing beside it on standard output."""

    def scenes(contestant: object, progress: Callable[[str], None]) -> Iterator[outage.Fact]:
        progress("a scene")
        worse = 0 if contestant is outage.ours else 5
        yield outage.Fact("refused", worse, "0", lambda n: n == 0)

    monkeypatch.setattr(outage, "scenes", scenes)

    assert main(["demo", "--outage", "--json"]) == 0
    told = capsys.readouterr()
    (fact,) = json.loads(told.out)["facts"]
    ours, theirs = fact["measured"].values()
    assert (fact["name"], fact["claim"], fact["holds"]) == ("refused", "0", True)
    assert (ours, theirs) == (0, 5)
    assert "a scene" in told.err


def test_nothing_of_the_shell_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of the shell would change what is compared."""
    monkeypatch.setenv("JWT_WSGI_LEEWAY", "soon")
    fake = FakeIssuer(algorithm="ES256", aud=AUDIENCE)
    with fake.serve() as issuer, outage.ours(issuer, None, None) as ask:
        assert ask(issuer.token())
