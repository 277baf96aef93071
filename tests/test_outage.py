"""``python -m jwt_wsgi demo --outage``: its options and its output.

Whether its claims hold takes half a minute: long/outage_claims.py.
"""

import json
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from jwt_wsgi.__main__ import main
from jwt_wsgi.cli import outage
from jwt_wsgi.cli.demo import AUDIENCE
from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize(("failed", "says"), [(1, "1 claim failed; "), (2, "2 claims failed; ")])
def test_the_last_line_counts_the_claims_that_failed(
    failed: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A single one is written without an s."""
    monkeypatch.setattr(outage, "compare", lambda peers: ("the table", ["a claim"] * failed))

    assert main(["demo", "--outage"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith(says)
