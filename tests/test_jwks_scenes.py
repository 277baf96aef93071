"""Remote keys in simulated situations: cold start, rotation, outage, restart, slow hooks.

Those that a row or a bound of test_jwks already is are not repeated here.
"""

import itertools
import json
import time
from typing import Any

import greenlet
import pytest
from test_jwks import DAY
from test_jwks import HOUR
from test_jwks import JWKS
from test_jwks import Answer
from test_jwks import World
from test_jwks import document
from test_jwks import drive

from jwt_wsgi import events
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.events import Event
from jwt_wsgi.events import KeyMissed
from jwt_wsgi.key_sources import system
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.fetch import NotModified


def crowd(world: World, kids: list[str], seconds: float = 10.0) -> list[Answer]:
    """As many requests at once, and what they got in the end."""
    answers = [world.ask_later(0.0, kid) for kid in kids]
    world.run_until(world.now + seconds)
    return [answer for (answer,) in answers]


# --- Cold start --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_hundred_at_once_are_one_fetch() -> None:
    """And one look-up for the unknown kid that a hundred others named while it ran."""
    world = World()
    world.delay = 0.3
    answers = crowd(world, ["a"] * 100 + ["x"] * 100)

    assert [a.status for a in answers] == [200] * 100 + [401] * 100
    assert ([get.no_cache for get in world.gets], world.most_running) == ([False, True], 1)
    assert world.count(lambda: world.ask("x")) == (401, 0.0, 0)


def test_without_keys_the_attempts_are_at_most_ten_seconds_apart() -> None:
    """At 0, 1, 3, 7, 15 s and then every 10 s; all learn at once when to return."""
    world = World()
    world.jitter = 0.5
    world.fail("connect")
    answers = drive(world, 120, 0.05, lambda _: "a")

    times = [get.at - 1000.0 for get in world.gets]
    pauses = [0.9, 1.8, 3.6, 7.2, *[9.0] * 11]
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx(pauses, abs=0.051)
    assert {a.status for a in answers} == {503}
    assert max(a.waited for a in answers) == 0.0
    assert min(a.retry_after for a in answers) >= 1
    failed = [event for event in world.events if isinstance(event, events.RefreshFailed)]
    assert [event.fails for event in failed] == list(range(1, len(times) + 1))  # none is uncounted


def test_c5b_after_a_silence_the_first_request_is_waited_for_again() -> None:
    """A black hole, a minute of silence, and the issuer is back: 200, not 503."""
    world = World()
    world.delay = 1000.0
    drive(world, 60, 0.5, lambda _: "a")
    world.run_until(world.now + 60)
    world.delay = 0.2

    assert world.count(world.ask) == (200, 0.2, 1)


def test_after_three_failures_the_fourth_attempt_serves_every_request() -> None:
    """The fourth attempt serves everybody from its end on; recovery is told once."""
    world = World()
    world.fail(status=500)
    answers = []
    while not answers or answers[-1].status != 200:
        if len(world.gets) == 3:
            world.error = None
        answers.append(world.ask())
        world.run_until(world.now + 0.05)

    assert len(world.gets) == 4
    assert world.now - world.gets[-1].at <= 0.1 + 0.05
    assert world.kinds().count("Recovered") == 1
    assert drive(world, 5, 0.1, lambda _: "a")[0].status == 200


def test_a_killed_request_does_not_end_the_fetch_that_it_started() -> None:
    """The request that started the fetch is killed while it waits; the others are served."""
    world = World()
    world.delay = 0.3
    leader = greenlet.greenlet(world.ask, world.main)
    world.schedule(world.now, lambda: leader.switch("a"))
    world.run_until(world.now + 0.1)
    leader.throw(greenlet.GreenletExit)
    answers = crowd(world, ["a"] * 20)

    assert {a.status for a in answers} == {200}
    assert len(world.gets) == 1


# --- Scheduled refreshes -----------------------------------------------------------------------


def test_all_requests_after_an_idle_time_wait_for_one_fetch() -> None:
    """All wait for one fetch; if the issuer is a black hole, once, and are served all the same."""
    for trouble, waited in ((0.3, 0.3), (1000.0, 5.0)):
        world = World().warm(601)
        world.delay = trouble
        answers = crowd(world, ["a"] * 10)

        assert {(a.status, round(a.waited, 6)) for a in answers} == {(200, waited)}
        assert len(world.gets) == 1
        assert world.ask() == Answer(200, 0.0)


def test_one_fetch_serves_both() -> None:
    """The set becomes due while a fetch for an unknown kid runs: that one renews it."""
    world = World().warm(299.9)
    world.delay = 0.5
    strange = world.ask_later(0.0, "x")
    known = [world.ask_later(0.05 * n, "a") for n in range(20)]
    world.run_until(world.now + 2)

    assert [a.status for a in strange] == [401]
    assert {a for (a,) in known} == {Answer(200, 0.0)}
    assert len(world.gets) == 1
    assert world.keys.health()["state"] == "FRESH"


def test_an_issuer_that_breaks_on_conditions() -> None:
    """A cache that fails for If-None-Match costs one failure, not the way back to health."""
    world = World()

    def fetch(url: str, *, etag: str | None, **_: Any) -> Fetched | NotModified:
        world.gets.append(etag)  # type: ignore[arg-type]
        if etag is not None:
            raise FetchError("http", "status 412", status=412)
        return Fetched(document("a"), '"tag"', None)

    world.keys._loader._fetch = fetch
    world.ask()
    world.now += 301
    world.ask()
    assert world.keys.health()["state"] == "DEGRADED"
    world.now += 10
    world.ask()

    assert world.keys.health()["state"] == "FRESH"
    assert world.gets == [None, '"tag"', None]


# --- Outage ------------------------------------------------------------------------------------


def test_unknown_kids_cause_no_fetch_in_an_outage() -> None:
    """200 of them: not a fetch, 503 at once; known kids see nothing of it."""
    world = World().warm()
    world.degrade()
    world.gets.clear()
    answers = [world.ask(f"x{n}") for n in range(200)]

    assert {(a.status, a.waited) for a in answers} == {(503, 0.0)}
    assert world.gets == []
    assert world.ask() == Answer(200, 0.0)


def test_an_issuer_that_fails_every_second_time_is_asked_at_most_twice_as_often() -> None:
    """Failures never add up, nobody sees them, and the issuer is asked at most twice as often."""
    world = World().warm()
    numbers = itertools.count()
    real, fails = world.fetch, set()

    def flapping(url: str, **more: Any) -> Fetched | NotModified:
        if next(numbers) % 2 == 0:
            world.gets.append(world.now)  # type: ignore[arg-type]
            raise FetchError("http", "status 500", status=500)
        return real(url, **more)

    world.keys._loader._fetch = flapping
    answers = []
    for _ in range(int(4 * HOUR / 5)):
        answers.append(world.ask())
        fails.add(world.keys.health()["fails"])
        world.run_until(world.now + 5)

    assert set(answers) == {Answer(200, 0.0)}
    assert fails == {0, 1}
    assert len(world.gets) <= 2 * (1 + 4 * HOUR / 240)


def test_only_elapsed_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock may jump by ten years; sleep of the machine counts as time."""
    world = World().warm(100)
    for years in (10, -10):
        world.skew = years * 365 * DAY
        assert world.count(world.ask) == (200, 0.0, 0)
        assert world.keys.health()["state"] == "FRESH"
        assert world.keys.health()["age"] == 100.0

    monkeypatch.setattr(time, "clock_gettime", lambda clock: 7.0 if clock == 7 else -1.0)
    assert time.CLOCK_BOOTTIME == 7  # Linux: it also counts while the machine sleeps
    assert system.boottime() == 7.0


# --- Rotation and revocation -------------------------------------------------------------------


def test_a_key_that_is_published_before_it_is_used_costs_no_fetch() -> None:
    """A rotation by the book is not noticed by anybody, and costs no fetch of its own."""
    world = World().warm()
    world.etag = '"1"'
    drive(world, 100, 5.0, lambda _: "a")
    world.body, world.etag = document("ab"), '"2"'
    drive(world, 320, 5.0, lambda _: "a")
    answers = drive(world, 320, 5.0, lambda n: "b" if n % 2 else "a")

    assert set(answers) == {Answer(200, 0.0)}
    assert len(world.gets) <= 1 + 740 // 240
    assert world.keys.stats()["fetch_scheduled"] == len(world.gets)


def test_a_key_that_is_used_before_it_is_published_is_served_within_the_cooldown() -> None:
    """401 until then and at most 30 s more, without a restart."""
    world = World().warm(1)
    began = world.now
    world.after(5.0, lambda: setattr(world, "body", document("ab")))
    served = []
    for _ in range(400):
        if world.ask("b").status == 200:
            served.append(world.now - began)
        world.run_until(world.now + 0.1)

    assert 5.0 <= served[0] <= 35.0
    assert len(served) >= 40


def test_one_fetch_follows_when_all_keys_are_replaced() -> None:
    """One fetch, by the first token of a new key; old ones are looked up once more and refused."""
    world = World("ab").warm(1)
    world.body = document("cd")

    assert world.count(lambda: world.ask("c")) == (200, 0.0, 1)
    assert [world.ask(kid).status for kid in "abcdab"] == [401, 401, 200, 200, 401, 401]
    assert len(world.gets) == 3


def test_another_key_under_the_same_kid_is_found_at_the_next_refresh() -> None:
    """It is found at the next refresh; bad signatures fetch nothing before that."""
    world = World("a").warm(1)
    world.body = json.dumps({"keys": [{**JWKS["b"], "kid": "a"}]}).encode()

    assert [world.count(lambda: world.ask("a", "b")) for _ in range(50)] == [(401, 0.0, 0)] * 50
    assert world.ask("a", "a").status == 200
    world.now += 300
    world.ask("a", "b")
    assert world.ask("a", "b").status == 200
    assert world.ask("a", "a").status == 401
    assert len(world.gets) == 1


def test_a_cache_with_an_old_answer_hides_no_new_key() -> None:
    """It answers 304 to whoever sends the old ETag, or does not say no-cache."""
    world = World()
    world.etag = '"1"'
    world.warm(1)

    def cache(url: str, *, etag: str | None, no_cache: bool, timeout: float) -> Any:
        fresh = no_cache and etag is None
        return Fetched(document("ab"), '"2"', None) if fresh else NotModified(None)

    world.keys._loader._fetch = cache
    assert world.ask("b").status == 200


# --- What a hook may do ------------------------------------------------------------------------


def test_a_hook_that_blocks_delays_no_fetch() -> None:
    """Five seconds in a hook take nothing from a fetch, and no known kid waits for it."""
    world = World().warm(1)
    world.delay, world.body = 0.5, document("ab")

    def slow(event: Event) -> None:
        assert not world.lock_is_held()
        world.events.append(event)
        world.sleep(5.0)

    world.keys._emit = slow
    strange, known = world.ask_later(0.0, "b"), [world.ask_later(0.3 * n, "a") for n in range(40)]
    world.run_until(world.now + 30)

    assert [a.status for a in strange] == [200]
    assert {a for (a,) in known} == {Answer(200, 0.0)}
    assert {"KeyMissed", "KeysChanged"} <= set(world.kinds())
    assert world.keys.health()["fails"] == 0


def test_a_hook_that_ends_its_request_ends_no_fetch() -> None:
    """A server that kills the request in the middle of a hook ends no fetch."""
    world = World().warm(1)
    world.body = document("ab")

    def killed(event: Event) -> None:
        if isinstance(event, KeyMissed):
            raise greenlet.GreenletExit

    world.keys._emit = killed
    with pytest.raises(greenlet.GreenletExit):
        world.ask("b")
    world.settle()

    assert world.count(lambda: world.ask("b")) == (200, 0.0, 0)


# --- What operators do -------------------------------------------------------------------------


@pytest.mark.parametrize("patience", [1e9, float("inf")])
def test_warm_up_does_not_outlast_the_lease(patience: float) -> None:
    """However long it may take, a fetch that is lost is not waited for."""
    world = World()
    world.stall = 1e6

    assert not world.keys.warm_up(patience)
    assert world.now - 1000.0 <= 6.0


def test_a_set_with_a_thousand_bad_members_is_no_flood() -> None:
    """Twenty lines, the one about a secret first."""
    world = World()
    secret = {**JWKS["b"], "d": JWKS["b"]["x"]}
    members = [JWKS["a"], *[{"kty": "OKP", "kid": f"{n}"} for n in range(1000)], secret]
    world.body = json.dumps({"keys": members}).encode()
    world.ask()

    assert world.kinds()[:2] == ["KeysLoaded", "PrivateKeyPublished"]
    assert world.kinds().count("KeyDropped") == 19


def test_a_warning_says_what_how_old_and_when_next() -> None:
    """What happened, to which host, since when, how old the keys are, when it is tried again."""
    world = World().warm(300)
    world.jitter = 0.5
    world.fail("dns")
    world.ask()

    (told,) = [str(e) for e in world.events if isinstance(e, events.RefreshFailed)]
    assert told == (
        "keys of https://issuer.example/keys could not be fetched (dns: the issuer is down, after"
        " 0 ms, failure 1 in a row); serving keys 300 s old, next attempt in 4 s"
    )
    with pytest.raises(KeysUnavailableError, match="dns: the issuer is down"):
        list(world.keys.candidates({"alg": "EdDSA", "kid": "x"}))
