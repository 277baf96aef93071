"""What the log says when a key set arrives: keys that are not used, and no key that fits."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from test_jwks import JWKS
from test_jwks import World

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.cli.doctor_checks import examine
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.events import Event
from jwt_wsgi.events import KeyDropped
from jwt_wsgi.events import NoKeyFits
from jwt_wsgi.events import PrivateKeyPublished
from jwt_wsgi.key_sources.arrival import MAX_DROPPED_REPORTED
from jwt_wsgi.key_sources.arrival import arrived
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.key_sources.file import FileKeys
from jwt_wsgi.keys import KeySet
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.testing import FakeIssuer

ES = FakeIssuer(algorithm="ES256").jwks()["keys"][0] | {"kid": "es"}
BROKEN = ES | {"kid": "broken", "y": ES["x"]}
PRIVATE = ES | {"kid": "leaked", "d": "AAAA"}
WRONG_CURVE = "its x and y are not a point of the curve P-256"


def test_a_key_that_fails_only_when_it_is_built_is_reported_when_the_set_arrives() -> None:
    """And not later, when a token names it."""
    world = World()
    world.body = json.dumps({"keys": [JWKS["a"], BROKEN]}).encode()
    world.ask()

    dropped = [event for event in world.events if isinstance(event, KeyDropped)]
    assert [(event.kid, event.reason) for event in dropped] == [("'broken'", WRONG_CURVE)]


def test_private_keys_are_reported_before_the_limit_of_reports_is_reached() -> None:
    """They come first, however many other members of the set cannot be used."""
    many = [BROKEN | {"kid": f"broken-{number}"} for number in range(2 * MAX_DROPPED_REPORTED)]
    found = list(arrived("s", KeySet.of({"keys": [ES, *many, PRIVATE]}), {"ES256"}))

    assert found[0] == PrivateKeyPublished("s", "'leaked'")
    assert len(found) == MAX_DROPPED_REPORTED


def test_a_key_for_encryption_is_no_event() -> None:
    """Keycloak publishes one beside each signature key; nothing is wrong with it."""
    world = World()
    world.body = json.dumps({"keys": [JWKS["a"], ES | {"use": "enc"}]}).encode()
    world.ask()

    assert [event for event in world.events if isinstance(event, KeyDropped)] == []


def test_a_set_that_fits_no_algorithm_is_an_error_when_it_arrives() -> None:
    """An event at the first load and at a change, none at a confirmation. It is not ready."""
    world = World(policy=Policy(algorithms=frozenset({"ES256", "RS256"})))
    world.ask()
    assert world.kinds()[:2] == ["KeysLoaded", "NoKeyFits"]
    assert world.keys.health()["ready"] is False
    world.now += 301
    world.ask()
    world.settle()
    assert world.kinds().count("NoKeyFits") == 1

    (event,) = [event for event in world.events if isinstance(event, NoKeyFits)]
    assert event.level == logging.ERROR
    assert str(event).endswith(
        "none of its keys (1) fits the accepted algorithms ('ES256', 'RS256'); no token is accepted"
    )
    world.body = json.dumps({"keys": [ES]}).encode()
    world.now += 301
    world.ask()
    world.settle()
    assert world.kinds().count("NoKeyFits") == 1
    assert world.keys.health()["ready"] is True


@pytest.mark.parametrize("source", ["served", "inline", "file"])
def test_every_place_says_that_no_key_fits(
    source: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The log, ``doctor``, ``warm_up`` and ``health`` agree."""
    with FakeIssuer(algorithm="ES256").serve() as issuer:
        (tmp_path / "keys.json").write_text(json.dumps(issuer.jwks()))
        where: dict[str, Any] = {
            "served": {}, "inline": {"jwks": issuer.jwks()},
            "file": {"jwks": tmp_path / "keys.json"},
        }[source]  # fmt: skip
        settings = Settings.of(issuer=issuer.issuer, algorithms="RS256", audience="api", **where)
        guarded = JWTMiddleware(lambda *_: [], settings)

        assert not guarded.warm_up(timeout=20.0)
        with pytest.raises(KeysUnavailableError, match="fits the accepted algorithms"):
            guarded.warm_up(timeout=20.0, raises=True)
        assert not guarded.health()["ready"]
        lines = [line for line in examine(settings, [], None, quiet=True) if line.name == "keys"]
        guarded.close()

    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "none of its keys (1) fits the accepted algorithms ('RS256')" in errors[0]
    assert [line.outcome for line in lines] == ["fail"]


def test_a_set_that_fits_is_ready_wherever_it_is(tmp_path: Path) -> None:
    """``health`` of a file and of an inline set is ready."""
    issuer = FakeIssuer(algorithm="ES256")
    (tmp_path / "keys.json").write_text(json.dumps(issuer.jwks()))
    for jwks in (issuer.jwks(), tmp_path / "keys.json"):
        guarded = JWTMiddleware(lambda *_: [], issuer=issuer.issuer, jwks=jwks, audience="api")
        assert guarded.health()["ready"]


def test_the_keys_of_a_file_are_reported_at_the_start_and_at_a_change(tmp_path: Path) -> None:
    """The same events as for a set that was fetched."""
    path, events, now = tmp_path / "keys.json", [], 0.0
    path.write_text(json.dumps({"keys": [ES, BROKEN]}))
    found: list[Event] = events
    keys = FileKeys(path, emit=found.append, algorithms={"ES256"}, clock=lambda: now)
    assert [str(event) for event in found] == [f"key 'broken' of {path} is not used: {WRONG_CURVE}"]

    path.write_text(json.dumps({"keys": [ES | {"kid": "new"}, PRIVATE]}))
    os.utime(path, (1, 1))
    now = 2.0
    keys.current()
    assert [type(event) for event in found][2:] == [PrivateKeyPublished]


def test_the_keys_of_an_inline_set_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Once, when the middleware is made."""
    JWTMiddleware(lambda *_: [], issuer="https://a.example", jwks={"keys": [ES, PRIVATE]})

    assert "PUBLISHES THE PRIVATE KEY 'leaked'" in caplog.text
