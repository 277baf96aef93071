"""Remote keys: every rule and every bound of docs/development/keys.md.

:class:`World` is a simulation: its clock moves only when somebody waits, fetches and
concurrent requests are greenlets, and nothing sleeps.
"""

import base64
import gc
import heapq
import itertools
import json
import logging
import os
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from typing import NamedTuple

import greenlet
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from jwt_wsgi import events
from jwt_wsgi.errors import KeyNotKnownYetError
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.event_log import LogHook
from jwt_wsgi.events import Event
from jwt_wsgi.key_sources import system
from jwt_wsgi.key_sources.facts import Facts
from jwt_wsgi.key_sources.facts import KeyFetch
from jwt_wsgi.key_sources.facts import Loaded
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.key_sources.facts import Snapshot
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.fetch import NotModified
from jwt_wsgi.key_sources.freshness import fetch_finished
from jwt_wsgi.key_sources.remote import RemoteKeys
from jwt_wsgi.key_sources.saved_keys import SavedKeysFile
from jwt_wsgi.key_sources.unknown_kids import MAX_KIDS
from jwt_wsgi.keys import KeySet

URI = "https://issuer.example/keys"
NAMES = "abcdef"
DEFAULTS = Policy()
HOUR, DAY = 3600.0, 86400.0


def _jwk(name: str) -> dict[str, Any]:
    public = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "kid": name, "x": x}


JWKS = {name: _jwk(name) for name in NAMES}
OWNERS = {jwk["x"]: name for name, jwk in JWKS.items()}


def document(names: str, **extra: Any) -> bytes:
    return json.dumps({"keys": [JWKS[name] for name in names], **extra}).encode()


def without_kid(names: str) -> bytes:
    members = [{k: v for k, v in JWKS[name].items() if k != "kid"} for name in names]
    return json.dumps({"keys": members}).encode()


def owner(key: Any) -> str:
    raw = base64.urlsafe_b64encode(key.public_key.public_bytes_raw()).rstrip(b"=").decode()
    return OWNERS[raw]


class Get(NamedTuple):
    at: float
    url: str
    etag: str | None
    no_cache: bool
    timeout: float


class Answer(NamedTuple):
    status: int
    waited: float
    retry_after: int = 0


class FakeEvent:
    def __init__(self, world: "World") -> None:
        self._world, self._set, self._sleepers = world, False, []

    def set(self) -> None:
        self._set = True
        for sleeper in self._sleepers:
            self._world.schedule(self._world.now, sleeper)

    def wait(self, timeout: float | None = None) -> bool:
        world = self._world
        assert not world.lock_is_held()
        if not self._set and timeout:
            if greenlet.getcurrent() is world.main:
                world.run_until(world.now + timeout, lambda: self._set)
            else:
                self._sleep(timeout)
        return self._set

    def _sleep(self, timeout: float) -> None:
        me, awake = greenlet.getcurrent(), []

        def wake() -> None:
            if not awake:
                awake.append(True)
                me.switch()

        self._sleepers.append(wake)
        self._world.schedule(self._world.now + timeout, wake)
        self._world.main.switch()


class World:
    """An issuer, a network, a clock and a :class:`RemoteKeys` among them."""

    def __init__(self, names: str = "a", *, policy: Policy = DEFAULTS, **options: Any) -> None:
        self.main = greenlet.getcurrent()
        self.now, self.skew = 1000.0, 0.0
        self.body: bytes = document(names)
        self.error: FetchError | None = None
        self.delay = self.stall = 0.0
        self.etag: str | None = None
        self.jitter = 1.0
        self.threads = True  # False: they never run; None: they cannot be started
        self.gets: list[Get] = []
        self.running = self.most_running = 0
        self.events: list[Event] = []
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._number = itertools.count()
        settings: dict[str, Any] = {"jwks_uri": URI, "fetch": self.fetch} | options
        self.keys = RemoteKeys(
            "https://issuer.example",
            policy=policy,
            emit=self._emit,
            clock=lambda: self.now,
            wall_clock=lambda: self.now + self.skew,
            random=lambda: self.jitter,
            start_thread=self._start_thread,
            make_event=lambda: FakeEvent(self),
            **settings,
        )

    # time

    def schedule(self, at: float, resume: Callable[[], object]) -> None:
        heapq.heappush(self._heap, (at, next(self._number), resume))

    def run_until(self, end: float, stop: Callable[[], bool] = lambda: False) -> None:
        while not stop() and self._heap and self._heap[0][0] <= end:
            at, _, resume = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            resume()
        if not stop():
            self.now = max(self.now, end)

    def sleep(self, seconds: float) -> None:
        assert not self.lock_is_held()
        me = greenlet.getcurrent()
        if me is self.main:
            self.run_until(self.now + seconds)
        else:
            self.schedule(self.now + seconds, me.switch)
            self.main.switch()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do it then, beside everything else; it may wait."""
        self.schedule(self.now + seconds, greenlet.greenlet(action, self.main).switch)

    # the network

    def _start_thread(self, run: Callable[[], None]) -> None:
        if self.threads is None:
            raise RuntimeError("can't start new thread")
        if self.threads:
            self.after(0.0, run)

    def fetch(
        self, url: str, *, etag: str | None, no_cache: bool, timeout: float
    ) -> Fetched | NotModified:
        self.gets.append(Get(self.now, url, etag, no_cache, timeout))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        # What an answer says is decided when the question arrives.
        body, error, tag = self.body, self.error, self.etag
        late = self.delay > timeout
        try:
            self.sleep(self.stall or min(self.delay, timeout))
        finally:
            self.running -= 1
        if late:
            raise FetchError("timeout", "the deadline is over")
        if error:
            raise error
        return NotModified(self.now) if etag and etag == tag else Fetched(body, tag, self.now)

    def fail(self, kind: str = "http", **more: Any) -> None:
        self.error = FetchError(kind, "the issuer is down", **more)

    # what we do

    def lock_is_held(self) -> bool:
        return self.keys._process_lock().locked()

    def fork(self) -> None:
        """As a child finds its parent's source, where no hook has run."""
        self._heap.clear()  # its threads stay behind
        self.running = 0
        self.keys._pid = -1
        self.keys._process_lock._values = {-1: threading.Lock()}
        self.keys._process_lock._values[-1].acquire()  # by a thread that is not here

    def _emit(self, event: Event) -> None:
        assert not self.lock_is_held()
        self.events.append(event)

    def ask(self, kid: str | None = "a", signer: str | None = None, alg: str = "EdDSA") -> Answer:
        """One request with a token of ``signer`` (usually its kid) and what it sees."""
        answer = self._ask({"alg": alg} | ({} if kid is None else {"kid": kid}), signer or kid)
        if greenlet.getcurrent() is self.main:
            self.settle()
        return answer

    def _ask(self, header: dict[str, str], signer: str | None) -> Answer:
        began = self.now
        try:
            for key in self.keys.candidates(header):
                if owner(key) == signer:
                    return Answer(200, self.now - began)
        except (KeysUnavailableError, KeyNotKnownYetError) as error:
            return Answer(error.status, self.now - began, error.retry_after or 0)
        return Answer(401, self.now - began)

    def ask_later(self, seconds: float, *args: Any) -> list[Answer]:
        """The same as another request, beside this one; the list has its answer in the end."""
        answers: list[Answer] = []
        self.after(seconds, lambda: answers.append(self.ask(*args)))
        return answers

    def warm(self, seconds_ago: float = 0.0) -> "World":
        """Load once, forget that, and let so much time pass."""
        assert self.ask().status == 200
        self.settle()
        self.gets.clear()
        self.events.clear()
        self.most_running = 0
        self.now += seconds_ago
        return self

    def settle(self) -> None:
        self.run_until(self.now)

    def count(self, action: Callable[[], Answer]) -> tuple[int, float, int]:
        """Status, seconds waited, GETs started."""
        before = len(self.gets)
        answer = action()
        self.settle()
        return answer.status, round(answer.waited, 6), len(self.gets) - before

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def degrade(self) -> None:
        """A scheduled refresh fails; keys are held, the back-off runs."""
        self.now += 300
        self.fail()
        self.ask()
        self.settle()
        assert self.keys.health()["state"] == "DEGRADED"


# --- The rules of keys.md ----------------------------------------------------------------------


def test_rule_cold_start_fetches_and_waits() -> None:
    """The first request fetches, and waits no longer than its fetch takes."""
    world = World()
    world.delay = 0.3

    assert world.keys.health()["state"] == "COLD"
    assert world.count(world.ask) == (200, 0.3, 1)
    assert world.keys.health()["state"] == "FRESH"


def test_rule_who_waits_nobody_after_a_slow_failure() -> None:
    """After a time-out a new fetch starts, and no request waits for it."""
    world = World()
    world.delay = 60.0
    world.ask()
    world.now += 1.2

    assert world.count(world.ask) == (503, 0.0, 1)


def test_rule_quick_failure_lets_the_request_that_starts_a_fetch_wait() -> None:
    """So the first request after an outage is served, and no other thread is held."""
    world = World()
    world.fail()
    world.ask()
    world.now += 1.2
    world.error, world.delay = None, 1.0
    others = [world.ask_later(0.5) for _ in range(9)]

    assert world.count(world.ask) == (200, 1.0, 1)
    assert [(a.status, a.waited) for (a,) in others] == [(503, 0.0)] * 9


def test_rule_quick_failure_that_becomes_a_black_hole_holds_one_thread_once() -> None:
    """The next failure is a slow one, and then no request waits."""
    world = World()
    world.fail()
    world.ask()
    world.now += 1.2
    world.delay = 60.0

    assert world.count(world.ask) == (503, 5.0, 1)
    world.now += 2.1
    assert world.count(world.ask) == (503, 0.0, 1)


def test_rule_loading_all_requests_share_one_fetch() -> None:
    """A hundred requests share one fetch, and wait from its start."""
    world = World()
    world.delay = 1.0
    others = [world.ask_later(0.5) for _ in range(99)]

    assert world.count(world.ask) == (200, 1.0, 1)
    assert {(a.status, round(a.waited, 6)) for (a,) in others} == {(200, 0.5)}
    assert world.keys.health()["state"] == "FRESH"


def test_rule_who_waits_nobody_joins_after_a_failure() -> None:
    """Nobody joins a fetch that follows a failure."""
    world = World()
    world.delay = 60.0
    world.ask()
    world.now += 1.2
    world.ask()

    assert world.keys.health()["state"] == "LOADING"
    assert world.count(world.ask) == (503, 0.0, 0)


def test_rule_unknown_kid_of_a_cold_process_is_looked_up_too() -> None:
    """The first fetch may have been answered by a cache on the way; the look-up is not."""
    world = World()

    assert world.count(lambda: world.ask("x")) == (401, 0.0, 2)
    assert [get.no_cache for get in world.gets] == [False, True]
    assert world.kinds() == ["KeysLoaded", "KeyMissed", "KeysConfirmed"]
    assert world.count(lambda: world.ask("x")) == (401, 0.0, 0)


def test_rule_failed_load_is_503_for_all_who_waited() -> None:
    """Everybody who waited gets 503, with the rest of the back-off."""
    world = World()
    world.delay = 0.5
    world.fail()
    (other,) = [world.ask_later(0.2)]

    assert world.ask() == Answer(503, 0.5, 1)
    world.settle()
    assert other == [Answer(503, pytest.approx(0.3), 1)]
    assert world.keys.health()["state"] == "COLD-WAIT"


def test_rule_loading_is_waited_for_five_seconds_at_most() -> None:
    """After five seconds from the fetch's start the answer is 503; the fetch goes on."""
    world = World()
    world.stall = 5.5
    late = world.ask_later(4.0)

    assert world.ask() == Answer(503, 5.0, 1)
    world.settle()
    assert late == [Answer(503, 1.0, 1)]
    assert world.keys.health()["state"] == "LOADING"
    world.run_until(world.now + 0.5)
    assert world.keys.health()["state"] == "FRESH"


def test_rule_cold_pause_is_503_at_once() -> None:
    """Within the back-off nobody fetches and nobody waits."""
    world = World()
    world.fail(retry_after=20)
    world.ask()

    assert world.count(world.ask) == (503, 0.0, 0)
    assert world.ask() == Answer(503, 0.0, 20)


@pytest.mark.parametrize(
    ("asked", "rest"), [(None, 1), (-1.0, 1), (0.5, 1), (20.0, 20), (120.0, 60), (1e9, 60)]
)
def test_rule_retry_after_lengthens_the_pause_within_reason(asked: float, rest: int) -> None:
    """`Retry-After` lengthens the pause, to a minute at most, and never shortens it."""
    world = World()
    world.fail(retry_after=asked)

    assert world.ask() == Answer(503, 0.0, rest)


def test_rule_cold_pause_ends() -> None:
    """When the back-off is over the next request fetches."""
    world = World()
    world.fail()
    world.ask()
    world.now += 0.99
    assert world.keys.health()["state"] == "COLD-WAIT"
    world.now += 0.02

    assert world.keys.health()["state"] == "COLD"
    assert world.count(world.ask)[2] == 1


def test_rule_known_kid_is_served_without_lock_or_fetch() -> None:
    """A known kid is served without fetch, wait or lock."""
    world = World().warm()
    world.keys._process_lock().acquire()

    assert [owner(k) for k in world.keys.candidates({"alg": "EdDSA", "kid": "a"})] == ["a"]
    assert world.keys.current() is not None
    assert not world.gets


def test_rule_absent_kid_of_a_token_without_kid() -> None:
    """Its keys have all failed, and one look-up brought no others: 401 without a fetch."""
    world = World()

    assert world.count(lambda: world.ask(None, "x")) == (401, 0.0, 2)
    world.now += 29
    assert world.count(lambda: world.ask(None, "x")) == (401, 0.0, 0)
    world.now += 2
    assert world.count(lambda: world.ask(None, "x")) == (401, 0.0, 1)


def test_rule_unknown_kid_starts_a_fetch_past_every_cache() -> None:
    """A new key is found by the first request that names it, past every cache on the way."""
    world = World()
    world.etag = "1"
    world.warm(1)
    world.body, world.etag, world.delay = document("ab"), "2", 0.4

    assert world.count(lambda: world.ask("b")) == (200, 0.4, 1)
    assert world.gets[0].no_cache
    assert world.gets[0].etag is None
    assert world.kinds() == ["KeyMissed", "KeysChanged"]


def test_rule_unknown_kid_waits_two_seconds_at_most() -> None:
    """A slow issuer costs an unknown kid two seconds, then 429: it has not failed."""
    world = World().warm(1)
    world.delay = 4.0

    assert world.ask("b") == Answer(429, 2.0, 1)
    assert world.ask("a") == Answer(200, 0.0)
    assert world.ask("c") == Answer(429, 0.0, 1)


def test_rule_no_look_up_left_is_429() -> None:
    """Four kids at once are looked up; then the next look-up comes with the next cooldown."""
    world = World().warm(1)
    answers = [world.count(lambda n=n: world.ask(f"x{n}")) for n in range(6)]

    assert answers == [(401, 0.0, 1)] * 4 + [(429, 0.0, 0)] * 2
    assert world.ask("x6") == Answer(429, 0.0, 30)
    world.now += 29.9
    assert world.ask("x7") == Answer(429, 0.0, 1)
    world.now += 0.2
    assert world.count(lambda: world.ask("x8")) == (401, 0.0, 1)
    assert world.ask("x6").status == 401  # the same look-up was for all that had waited
    assert world.ask("x9").status == 429


def test_rule_no_look_up_left_names_when_the_keys_were_fetched() -> None:
    """So that a token that is older than that can be refused for good."""
    world = World().warm(1)
    world.skew = 1e9
    for number in range(4):
        world.ask(f"x{number}")
    last, world.now = world.now, world.now + 7

    with pytest.raises(KeyNotKnownYetError) as caught:
        list(world.keys.candidates({"alg": "EdDSA", "kid": "x5"}))
    assert caught.value.keys_as_of == pytest.approx(last + 1e9)


def test_rule_waiting_kid_is_looked_up_by_the_next_request_of_any_kind() -> None:
    """A request with a known kid starts the look-up that is due, and is not delayed by it."""
    world = World().warm(1)
    for number in range(4):
        world.ask(f"x{number}")
    world.body = document("ab")
    assert world.ask("b").status == 429
    world.now += 29.9
    assert world.count(world.ask) == (200, 0.0, 0)
    world.now += 0.2
    world.delay = 0.5

    world.events.clear()
    assert world.count(world.ask) == (200, 0.0, 1)
    assert world.gets[-1].no_cache
    assert [e.kid for e in world.events if isinstance(e, events.KeyMissed)] == ["'b'"]
    world.run_until(world.now + 0.5)
    assert world.count(lambda: world.ask("b")) == (200, 0.0, 0)


def test_rule_waiting_kid_needs_no_look_up_when_a_refresh_brings_it() -> None:
    """Whatever fetch the key came with, nothing waits for it any more."""
    world = World().warm(1)
    for number in range(4):
        world.ask(f"x{number}")
    assert world.ask("b").status == 429
    world.body = document("ab")
    facts = world.keys._facts
    world.keys._keep(facts._replace(lookups_full_at=world.now + 1000))
    world.now += 301
    world.ask()
    world.settle()

    assert not world.gets[-1].no_cache
    assert world.count(lambda: world.ask("b")) == (200, 0.0, 0)
    assert "b" not in world.keys._unknown
    assert not world.keys._facts.kid_waits


def test_rule_no_look_up_left_for_an_issuer_that_fails_now_and_then() -> None:
    """Look-ups that fail, and those after a failure, take from the same store."""
    world = World().warm(1)
    for number in range(2):
        world.fail()
        assert world.count(lambda n=number: world.ask(f"x{n}")) == (503, 0.0, 1)
        world.error = None
        world.now += 5.1
        assert world.count(lambda n=number: world.ask(f"x{n}")) == (401, 0.0, 1)

    assert world.count(lambda: world.ask("y")) == (429, 0.0, 0)


def test_rule_absent_kid_is_looked_up_once_in_a_cooldown() -> None:
    """Neither more often nor, however often it was asked for, more seldom."""
    world = World().warm(1)
    times = []
    for _ in range(400):
        if world.count(lambda: world.ask("x"))[2]:
            times.append(world.now)
        world.now += 1

    assert {b - a for a, b in itertools.pairwise(times)} == {30}
    assert world.count(lambda: world.ask("y")) == (401, 0.0, 1)  # and it bars no other kid


def test_rule_absent_kid_that_is_published_is_served_after_the_cooldown() -> None:
    """Who guessed the name of the next key delays it by thirty seconds, not by minutes."""
    world = World().warm(1)
    world.ask("b")
    guessed = world.now
    world.now += 1
    world.body = document("ab")
    assert world.count(lambda: world.ask("b")) == (401, 0.0, 0)
    world.now = guessed + 30

    assert world.count(lambda: world.ask("b")) == (200, 0.0, 1)


def test_rule_absent_kid_needs_a_look_up_that_started_after_it_was_asked_for() -> None:
    """A request that joins a fetch whose answer is older than its kid looks up again."""
    world = World().warm(1)
    world.delay = 0.5
    other = world.ask_later(0.0, "x")
    new = world.ask_later(0.2, "b")
    world.after(0.1, lambda: setattr(world, "body", document("ab")))
    world.run_until(world.now + 3)

    assert other == [Answer(401, 0.5)]
    assert [(a.status, round(a.waited, 6)) for a in new] == [(200, 0.8)]


def test_rule_scheduled_refresh_is_due_at_a_time_drawn_by_chance() -> None:
    """At the soft age a set is due; where in its last fifth is drawn by lot."""
    world = World().warm(299.9)
    assert world.keys.health()["state"] == "FRESH"
    world.now += 0.2

    assert world.keys.health()["state"] == "DUE"
    world.jitter = 0.0
    world.ask()
    assert world.keys.health()["due_in"] == pytest.approx(240)


def test_rule_scheduled_refresh_delays_no_request() -> None:
    """The refresh runs behind the request's back; the condition of it is the ETag."""
    world = World()
    world.etag = "1"
    world.warm(301)
    world.delay = 1.0

    assert world.count(world.ask) == (200, 0.0, 1)
    assert world.gets[0].etag == "1"
    assert not world.gets[0].no_cache
    assert world.keys.health()["state"] == "REFRESHING"


def test_rule_idle_check_waits_for_confirmation() -> None:
    """A key removed while nobody asked is not accepted once more."""
    world = World("ab").warm(601)
    world.body, world.delay = document("b"), 0.3
    assert world.keys.health()["state"] == "IDLE"

    assert world.count(lambda: world.ask("a")) == (401, 0.3, 1)
    assert world.ask("b") == Answer(200, 0.0)


def test_rule_idle_check_serves_held_keys_if_the_issuer_fails() -> None:
    """Then it is an outage, and the old set serves."""
    world = World().warm(601)
    world.delay = 60.0

    assert world.count(world.ask) == (200, 5.0, 1)
    assert world.count(world.ask) == (200, 0.0, 0)


def test_rule_unknown_kid_in_an_outage_is_looked_up_after_the_pause() -> None:
    """The request that starts it waits if the last failure was quick."""
    world = World().warm()
    world.degrade()
    world.now += 5.1
    assert world.keys.health()["state"] == "DUE"
    world.delay, world.error, world.body = 1.0, None, document("ab")

    assert world.count(lambda: world.ask("b")) == (200, 1.0, 1)
    assert world.gets[-1].no_cache


def test_rule_unknown_kid_in_an_outage_shortens_the_pause() -> None:
    """It is refused, so the next attempt comes after 5, 10, 15 seconds, not after a minute."""
    world = World().warm()
    world.degrade()
    drive(world, 600, 1.0, lambda _: "a")
    world.now = world.keys._facts.failure.at + 1
    assert world.keys.health()["next_attempt_in"] == pytest.approx(59)

    assert world.ask("b") == Answer(503, 0.0, 14)
    world.now += 14.1
    assert world.count(world.ask)[2] == 1
    world.now += 15.1
    assert world.count(world.ask)[2] == 1
    assert world.keys.health()["next_attempt_in"] == pytest.approx(60)  # nobody is refused now


def test_rule_who_waits_all_again_after_a_silence() -> None:
    """When nobody has tried for long after a slow failure, one fetch is waited for by all."""
    world = World().warm(300)
    world.delay = 60.0
    world.ask()
    world.run_until(world.now + 5)
    assert world.keys.health()["state"] == "DEGRADED"
    world.now += 5.1 + 30
    world.body, world.delay = document("ab"), 1.0
    other = world.ask_later(0.5, "b")

    assert world.count(lambda: world.ask("b")) == (200, 1.0, 1)
    assert other == [Answer(200, 0.5)]


def test_rule_known_kid_during_a_fetch_is_served_at_once() -> None:
    """A known kid does not join a fetch."""
    world = World().warm(1)
    world.delay = 1.5
    seen = world.ask_later(0.5, "a")
    world.ask("x")

    assert seen == [Answer(200, 0.0)]


def test_rule_idle_check_is_shared() -> None:
    """An idle worker's second request waits for the same fetch."""
    world = World().warm(601)
    world.delay = 1.0
    seen = world.ask_later(0.25, "a")

    assert world.count(world.ask) == (200, 1.0, 1)
    assert seen == [Answer(200, 0.75)]


@pytest.mark.parametrize(
    ("body", "error", "delay", "status", "waited"),
    [
        pytest.param("ab", None, 1.0, 200, 0.5, id="found"),
        pytest.param("a", None, 0.7, 401, 0.9, id="absent"),
        pytest.param("a", FetchError("http", ""), 1.0, 503, 0.5, id="failed"),
        pytest.param("ab", None, 3.0, 429, 1.5, id="wait over"),
    ],
)
def test_rule_unknown_kid_during_a_fetch_waits_for_it(
    body: str, error: FetchError | None, delay: float, status: int, waited: float
) -> None:
    """An unknown kid waits for the fetch that runs, two seconds from its start."""
    world = World().warm(301)
    world.body, world.error, world.delay = document(body), error, delay
    seen = world.ask_later(0.5, "b")
    world.ask()
    world.run_until(world.now + 4)

    assert [(a.status, round(a.waited, 6)) for a in seen] == [(status, waited)]
    assert len(world.gets) == (2 if status == 401 else 1)  # absent: it was looked up


def test_rule_unknown_kid_during_a_fetch_may_come_too_late_to_wait() -> None:
    """More than two seconds after the fetch's start an unknown kid is not kept waiting."""
    world = World().warm(301)
    world.delay = 4.0
    world.ask()
    world.run_until(world.now + 2.5)

    assert world.ask("b") == Answer(429, 0.0, 1)


def test_rule_new_set_is_used_at_once() -> None:
    """A kid that was absent is served the moment any fetch brings it."""
    world = World().warm(1)
    world.ask("b")
    assert world.ask("b").status == 401
    world.body = document("ab")
    world.ask("x")

    assert world.count(lambda: world.ask("b")) == (200, 0.0, 0)
    assert list(world.keys._unknown._asked) == ["x"]
    changed = world.events[-1]
    assert isinstance(changed, events.KeysChanged)
    assert (changed.added, changed.removed) == (("b",), ())


def test_rule_same_set_stays_the_object_it_is() -> None:
    """Another order and other white space is no other set: what hangs on it lives on."""
    world = World("ab").warm(301)
    held = world.keys.current()
    world.body = json.dumps({"keys": [JWKS["b"], JWKS["a"]]}, indent=2).encode()
    world.now += 1
    world.ask()
    world.settle()

    assert world.keys.current() is held
    assert world.keys.health()["generation"] == 1
    assert world.kinds() == ["KeysConfirmed"]
    assert world.keys.health()["state"] == "FRESH"


def test_rule_not_modified_renews_the_age() -> None:
    """304 proves freshness; the set and its object stay."""
    world = World()
    world.etag = "1"
    world.warm(301)
    held = world.keys.current()
    world.settle()

    assert world.gets[0].etag == "1"
    assert world.keys.health()["state"] == "FRESH"
    assert world.keys.current() is held
    assert world.keys.health()["age"] == 0


def test_rule_not_modified_without_a_condition_is_a_failure() -> None:
    """Nobody asked whether it changed."""
    world = World(fetch=lambda *_, **__: NotModified(None))

    assert world.ask().status == 503
    assert world.keys.health()["last_error"].startswith("http: status 304")


def test_rule_not_modified_is_not_asked_for_after_a_lost_fetch() -> None:
    """A late fetch may bring another set between a question and its 304."""
    world = World()
    world.etag = "1"
    world.warm(301)
    world.stall, world.etag, world.body = 15.0, "2", document("ab")
    world.ask()  # its answer is the set "ab", 15 s later
    world.run_until(world.now + 13)
    world.stall = 4.0
    world.ask()
    world.run_until(world.now + 3)
    assert world.ask("b").status == 200
    world.run_until(world.now + 2)

    assert [get.etag for get in world.gets] == ["1", None]
    assert world.keys.health()["state"] == "FRESH"


def test_rule_not_modified_for_a_set_we_hold_no_longer_is_a_failure() -> None:
    """The policy does not rely on who asks."""
    old, new = KeySet.parse(document("a")), KeySet.parse(document("ab"))
    fetch = KeyFetch(2, 10.0, "scheduled", may_wait=True, kid="", finished=threading.Event())
    facts = Facts(Snapshot(new, 5.0, 300.0, "2", URI), fetch, started=2, accepted=1)
    after = fetch_finished(facts, fetch, Loaded(old, "1", URI, confirms=old), 11.0, DEFAULTS, 1.0)

    assert after.snapshot is facts.snapshot
    assert (after.fetch, after.fails) == (None, 1)
    assert fetch_finished(
        facts, fetch, Loaded(new, "2", URI, confirms=new), 11.0, DEFAULTS, 1.0
    ).snapshot == facts.snapshot._replace(start=10.0, due=310.0)


def test_rule_absent_kid_counts_from_the_start_of_its_look_up() -> None:
    """What was published while the look-up ran may be refused for one cooldown from then."""
    world = World().warm(1)
    world.delay = 1.5
    began = world.now

    assert world.count(lambda: world.ask("x")) == (401, 1.5, 1)
    world.now = began + 29.9
    assert world.count(lambda: world.ask("x")) == (401, 0.0, 0)
    world.now = began + 30.1
    assert world.count(lambda: world.ask("x")) == (401, 1.5, 1)


def test_rule_absent_kid_even_if_nobody_waited_for_the_end() -> None:
    """A slow issuer is asked no more often for one wrong kid than a fast one."""
    world = World().warm(1)
    world.delay = 3.0
    assert world.ask("x").status == 429
    world.run_until(world.now + 2)

    assert world.count(lambda: world.ask("x")) == (401, 0.0, 0)


def test_rule_failed_refresh_is_503_for_an_unknown_kid_only() -> None:
    """A failed forced fetch is 503 and not 401, and costs the known kid nothing."""
    world = World().warm(1)
    world.fail("dns")

    assert world.ask("b") == Answer(503, 0.0, 5)
    assert world.keys.health()["state"] == "DEGRADED"
    assert world.ask("a") == Answer(200, 0.0)
    assert world.kinds()[:2] == ["KeyMissed", "RefreshFailed"]


def test_rule_lost_fetch_counts_as_failed_at_its_lease() -> None:
    """Name resolution hangs: the thread is given up, and the next request goes on."""
    world = World().warm(301)
    world.stall = 100.0
    world.ask()
    start = world.now
    world.run_until(start + 10)

    assert world.count(world.ask) == (200, 0.0, 0)  # lease 6 s, pause 5 s
    assert world.keys.health()["state"] == "DEGRADED"
    assert world.keys.health()["stuck"] == 1
    assert world.keys.health()["next_attempt_in"] == pytest.approx(1.0)
    assert world.kinds() == ["FetchLost", "RefreshFailed"]


def test_rule_stuck_threads_are_two_at_most() -> None:
    """With two of them alive a new fetch starts every quarter of an hour at most."""
    world = World().warm(301)
    world.stall = 100_000.0
    for _ in range(int(2 * HOUR)):
        world.ask()
        world.run_until(world.now + 1)

    assert len(world.gets) <= 2 + 2 * HOUR / 900 + 1
    assert all(b.at - a.at >= 900 for a, b in itertools.pairwise(world.gets[1:]))


def test_rule_stuck_threads_that_return_end_the_long_pause() -> None:
    """When they are gone the usual back-off is in force, not the quarter of an hour."""
    world = World().warm(301)
    world.stall = 60.0
    recovered_by = world.now + 60 + 72 + 60
    world.fail()
    while world.keys.health()["state"] != "FRESH" and world.now < recovered_by + 100:
        if world.now > 1301 + 60:
            world.stall, world.error = 0.0, None
        world.ask()
        world.run_until(world.now + 1)

    assert world.now <= recovered_by


def test_rule_no_thread_ever_runs_so_fetches_run_inline() -> None:
    """An old uWSGI without --enable-threads is served within eight seconds of its start."""
    world = World()
    world.threads, began = False, world.now
    while world.ask().status == 503:
        world.run_until(world.now + 0.5)

    assert world.now - began <= 8
    assert world.keys.health()["inline"]
    assert world.kinds().count("FetchLost") == 1


def test_rule_late_result_is_accepted_if_newer() -> None:
    """The answer of a lost fetch is still the best there is."""
    world = World().warm(301)
    world.stall, world.body = 9.0, document("ab")
    world.ask()
    world.run_until(world.now + 7)
    world.ask()
    assert world.keys.health()["fails"] == 1
    world.run_until(world.now + 3)

    assert world.keys.health()["state"] == "FRESH"
    assert world.keys.health()["stuck"] == 0
    assert world.ask("b") == Answer(200, 0.0)


def test_rule_late_result_that_is_a_failure_is_ignored() -> None:
    """It was counted when its fetch was lost."""
    world = World().warm(301)
    world.stall = 9.0
    world.fail()
    world.ask()
    world.run_until(world.now + 7)
    world.ask()
    world.run_until(world.now + 3)

    assert world.keys.health()["fails"] == 1


def test_rule_late_result_never_replaces_a_newer_set() -> None:
    """Fetches count in the order of their starts."""
    world = World("a").warm(301)
    world.stall = 30.0
    world.ask()  # its answer, "a", comes in 30 s
    world.run_until(world.now + 7)
    world.stall, world.body = 0.0, document("b")
    world.ask()
    world.run_until(world.now + 7)
    world.ask()
    world.settle()
    assert world.ask("b").status == 200
    world.run_until(world.now + 30)

    assert world.ask("b") == Answer(200, 0.0)
    assert world.keys.health()["generation"] == 2


def test_rule_known_kid_in_an_outage_is_served_without_lock() -> None:
    """In an outage a known kid is served, without lock, wait or fetch."""
    world = World().warm()
    world.degrade()
    world.keys._process_lock().acquire()

    assert [owner(k) for k in world.keys.candidates({"alg": "EdDSA", "kid": "a"})] == ["a"]


def test_rule_unknown_kid_in_an_outage_is_503_at_once() -> None:
    """Who cannot be known is 503 at once, with the rest of the back-off."""
    world = World().warm()
    world.degrade()

    assert world.count(lambda: world.ask("b")) == (503, 0.0, 0)
    assert world.ask("b") == Answer(503, 0.0, 5)


def test_rule_known_kid_in_an_outage_never_waits_for_confirmation() -> None:
    """After a failure nobody waits for confirmation, however old the set is."""
    world = World().warm()
    world.degrade()
    world.now += 6000
    assert world.keys.health()["state"] == "DUE"
    world.delay = 3.0

    assert world.count(world.ask) == (200, 0.0, 1)


def test_rule_expired_keys_are_not_used() -> None:
    """After a day without confirmation keys are no longer used."""
    world = World().warm()
    world.degrade()
    world.now = 1000 + DAY - 0.001
    assert world.keys.ready
    assert world.ask() == Answer(200, 0.0)
    world.settle()
    world.now = 1000 + DAY
    assert not world.keys.ready

    assert world.keys.current() is None
    assert world.ask().status == 503
    assert world.ask().status == 503
    assert world.kinds().count("KeysExpired") == 1


def test_rule_expired_keys_shorten_the_pause() -> None:
    """Now somebody is waiting; the pause of a source nobody waits for is over sooner."""
    world = World().warm()
    world.fail(retry_after=300)
    world.now = 1000 + DAY - 1
    world.ask()
    world.now = 1000 + DAY

    assert world.ask() == Answer(503, 0.0, 10)


def test_rule_expired_keys_are_not_used_while_a_fetch_runs() -> None:
    """The fetch that runs is then one of a cold source."""
    world = World().warm(DAY - 1)
    world.delay = 2.0
    world.fail()

    assert world.ask() == Answer(503, 2.0, 1)
    assert world.keys.health()["state"] == "COLD-WAIT"


def test_rule_expired_keys_are_reported_when_a_request_is_refused() -> None:
    """A machine that slept for thirty hours finds its issuer up, and refuses nobody."""
    world = World().warm(1)
    world.now += 30 * HOUR
    assert world.keys.health()["state"] == "COLD"
    assert world.ask() == Answer(200, 0.0)
    assert "KeysExpired" not in world.kinds()

    world.now += 30 * HOUR
    world.fail()
    assert world.ask().status == 503
    assert world.ask().status == 503
    assert world.kinds().count("KeysExpired") == 1


def with_disk(folder: Path, names: str = "a", *, now: float = 1000.0, **options: Any) -> World:
    """A process with saved keys in a folder."""
    file = SavedKeysFile(
        folder, b"s" * 32, "https://issuer.example", clock=lambda: world.now + world.skew
    )
    world = World(names, saved=file, **options)
    world.now = now
    return world


def test_rule_saved_keys_serve_a_process_that_starts_during_an_outage(tmp_path: Path) -> None:
    """Its first request waits for the fetch that fails, and gets in; others never wait."""
    with_disk(tmp_path).ask()
    world = with_disk(tmp_path, now=1900.0)
    world.fail()
    world.delay = 1.5

    assert world.count(world.ask) == (200, 1.5, 1)
    assert world.count(world.ask) == (200, 0.0, 0)
    assert world.count(lambda: world.ask("b"))[0] == 503
    health = world.keys.health()
    assert (health["state"], health["from_disk"], health["ready"]) == ("DEGRADED", True, True)
    assert (health["age"], health["expires_in"]) == (901.5, 3600 - 901.5)


@pytest.mark.parametrize("trouble", ["failed", "lost", "slow"])
def test_rule_saved_keys_are_one_story_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    """No line says that there are no keys, if saved keys are in use from then on."""
    with_disk(tmp_path).ask()
    world = with_disk(tmp_path, now=1060.0)
    world.fail()
    world.threads = trouble != "lost"
    world.stall = 20.0 if trouble == "slow" else 0.0
    assert world.ask().status == 200
    world.now += 7.0
    assert world.ask().status == 200

    (saved,) = caplog.messages
    assert saved.startswith(f"the keys of {URI} are those saved 6")
    assert saved.endswith(", because no fetch of this process has succeeded yet")
    (first, *_) = [str(event) for event in world.events if "could not be fetched" in str(event)]
    assert "; serving keys 6" in first


def test_rule_saved_keys_that_arrive_are_judged_like_fetched_ones(tmp_path: Path) -> None:
    """An ERROR if none of them fits the accepted algorithms: every token is refused."""
    with_disk(tmp_path).ask()
    world = with_disk(tmp_path, now=1060.0, policy=Policy(algorithms=frozenset({"RS256"})))
    world.fail()
    world.ask()

    assert world.kinds().count("NoKeyFits") == 1


def test_rule_saved_keys_go_when_the_issuer_is_back(tmp_path: Path) -> None:
    """It is asked as in any outage, and its answer replaces them."""
    with_disk(tmp_path, "ab").ask()
    world = with_disk(tmp_path, "bc", now=1100.0)
    world.fail()
    assert world.ask("a").status == 200

    world.error = None
    world.now += 1.1
    world.ask("b")
    assert world.ask("c").status == 200
    assert world.ask("a").status == 401
    assert not world.keys.health()["from_disk"]
    assert {"Recovered", "KeysChanged"} <= {*world.kinds()}


def test_rule_saved_keys_are_read_after_a_failed_first_fetch_only(tmp_path: Path) -> None:
    """Not if the issuer answers, and not when keys that it has given have expired."""
    with_disk(tmp_path, "a").ask()
    world = with_disk(tmp_path, "b", now=1010.0, policy=Policy(max_stale=600.0))
    assert world.ask("a").status == 401
    assert world.ask("b").status == 200

    world.fail()
    world.now += 601
    with_disk(tmp_path, "b", now=world.now - 10).ask("b")
    assert world.ask("b").status == 503


def test_rule_saved_keys_end_at_their_own_age(tmp_path: Path) -> None:
    """Long before jwks_max_stale: a withdrawn key lives no longer."""
    with_disk(tmp_path).ask()
    world = with_disk(tmp_path, now=1000.0 + 3590)
    world.fail()

    assert world.ask().status == 200
    world.now = 1000.0 + 3599.9
    assert world.ask().status == 200
    world.now = 1000.0 + 3600
    assert world.ask().status == 503


@pytest.mark.parametrize("age", [-1.0, 3601.0])
def test_rule_saved_keys_of_the_future_or_too_old_are_not_used(tmp_path: Path, age: float) -> None:
    """Their age is measured with the wall clock, which may have been changed."""
    with_disk(tmp_path).ask()
    world = with_disk(tmp_path)
    world.skew = age
    world.fail()

    assert world.ask().status == 503


def test_rule_saved_keys_where_no_thread_runs_or_a_name_hangs(tmp_path: Path) -> None:
    """A first fetch that is late has failed, for the request that waited for it."""
    with_disk(tmp_path).ask()
    world = with_disk(tmp_path, now=1010.0)
    world.threads = False

    assert world.count(world.ask)[:2] == (200, 5.0)
    assert world.count(world.ask)[:2] == (200, 0.0)


def test_rule_saved_keys_are_saved_at_each_success(tmp_path: Path) -> None:
    """After a 304 as well: the bytes are those that came, the time is that of the last fetch."""
    world = with_disk(tmp_path)
    world.etag = "1"
    world.warm(300)
    world.ask()
    later = with_disk(tmp_path, now=1000.0 + 300 + 3599)
    later.fail()

    assert [get.etag for get in world.gets] == ["1"]
    assert later.ask().status == 200


def test_rule_saved_keys_of_another_place_are_not_used(tmp_path: Path) -> None:
    """The place is known from the settings, or from metadata that were read just now."""
    with_disk(tmp_path, jwks_uri="https://old.example/keys").ask()
    world = with_disk(tmp_path, now=1010.0)
    world.fail()
    assert world.ask().status == 503

    def fetch(url: str, **how: Any) -> Fetched:
        if url.endswith("/.well-known/openid-configuration"):
            found = {"issuer": "https://issuer.example", "jwks_uri": URI}
            return Fetched(json.dumps(found).encode(), None, None)
        raise FetchError("http", "status 500", status=500)

    world = with_disk(tmp_path, now=1010.0, jwks_uri=None, fetch=fetch)
    assert world.ask().status == 503


def test_rule_saved_keys_are_checked_like_any_jwks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An old version may have saved what this one refuses."""
    file = with_disk(tmp_path).keys._loader._saved
    assert file is not None
    file.save(b'{"keys": []}', URI, 1000.0)
    world = with_disk(tmp_path)
    world.fail()

    assert world.ask().status == 503
    assert "is not used" in caplog.text
    assert "are those saved" not in caplog.text


def test_rule_saved_keys_in_a_child_of_a_process_that_had_none(tmp_path: Path) -> None:
    """Each process may read once; a closed one does not."""
    world = with_disk(tmp_path, now=1010.0)
    world.fail()
    assert world.ask().status == 503
    with_disk(tmp_path).ask()
    world.now += 20
    assert world.ask().status == 503

    world.fork()
    world.now += 20
    assert world.ask().status == 200


def test_rule_saved_keys_are_not_read_by_a_closed_process(tmp_path: Path) -> None:
    with_disk(tmp_path).ask()
    world = with_disk(tmp_path, now=1010.0)
    world.keys.close()

    assert world.ask().status == 503


def test_rule_fork_leaves_keys_but_no_fetch() -> None:
    """Keys stay, the fetch does not, and children do not refresh all at once."""
    world = World().warm(200)
    world.delay = 3.0
    world.ask("x")
    world.jitter = 0.5
    world.fork()
    world.delay = 0.5

    assert world.ask("y").status == 401  # its own fetch, not the parent's
    assert len(world.gets) == 2
    assert world.keys.health()["stuck"] == 0
    assert world.keys.health()["pid"] == os.getpid()


def test_rule_fork_draws_a_refresh_time_for_the_child() -> None:
    """Workers of one warm parent would refresh in the same second otherwise."""
    world = World().warm()
    assert world.keys.health()["due_in"] == pytest.approx(300)
    world.jitter = 0.25
    world.fork()
    world.ask("x")

    assert world.keys._facts.snapshot
    world.fork()
    world.jitter = 0.5
    world.keys._lock()
    assert world.keys.health()["due_in"] == pytest.approx(270)


def test_rule_fork_keeps_failures() -> None:
    """A child of a degraded parent is degraded."""
    world = World().warm()
    world.degrade()
    world.fork()

    assert world.count(lambda: world.ask("b")) == (503, 0.0, 0)


def test_rule_closed_fetches_nothing() -> None:
    """Nothing is fetched ever again: known kids are served until the set is dead."""
    world = World().warm(299)
    world.keys.close()
    world.now += 400

    assert world.keys.health()["state"] == "CLOSED"
    assert world.count(world.ask) == (200, 0.0, 0)
    assert world.count(lambda: world.ask("b")) == (503, 0.0, 0)
    world.now += DAY
    assert world.count(world.ask) == (503, 0.0, 0)
    assert not world.keys.warm_up()


def test_rule_closed_is_a_finalising_interpreter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread started now would hang for ever on some Pythons."""
    world = World().warm(301)
    monkeypatch.setattr("sys.is_finalizing", lambda: True)

    assert world.count(world.ask) == (200, 0.0, 0)


@pytest.mark.parametrize("kid", ["a", "x"])
def test_rule_no_thread_so_the_request_fetches_itself(kid: str) -> None:
    """The request that needs the answer fetches it itself."""
    world = World()
    world.threads = None
    world.delay = 0.5
    assert world.count(world.ask) == (200, 0.5, 1)
    world.now += 1

    assert world.count(lambda: world.ask("x")) == (401, 0.5, 1)


def test_rule_no_thread_for_a_scheduled_refresh_runs_it_inline() -> None:
    """Or keys that the issuer has withdrawn would stay in use for a day."""
    world = World("ab").warm(301)
    world.threads, world.delay, world.body = None, 0.5, document("a")

    assert world.count(world.ask) == (200, 0.5, 1)
    assert world.keys.health()["state"] == "FRESH"
    assert world.ask("b").status == 401


# --- What a header asks for --------------------------------------------------------------------


def test_a_known_kid_of_another_algorithm_fetches_nothing() -> None:
    """A mismatch is no reason to believe in a rotation."""
    world = World().warm(1)

    assert world.count(lambda: world.ask("a", alg="ES256")) == (401, 0.0, 0)


@pytest.mark.parametrize("issuer_fails", [False, True])
@pytest.mark.parametrize(("age", "gets"), [(1, 0), (599, 1)], ids=["fresh", "due"])
def test_a_bad_signature_under_a_known_kid_fetches_nothing_more(
    age: float, gets: int, *, issuer_fails: bool
) -> None:
    """Or whoever can send requests could make us fetch. What is due comes with any known kid."""
    world = World().warm(age)
    if issuer_fails:
        world.fail()

    assert world.count(lambda: world.ask("a", signer="x")) == (401, 0.0, gets)


def test_a_token_without_kid_tries_every_key_that_fits() -> None:
    """One that fits is found without any fetch."""
    world = World("abc").warm(1)

    assert world.count(lambda: world.ask(None, "c")) == (200, 0.0, 0)


def test_a_token_without_kid_finds_a_new_key() -> None:
    """When all have failed it goes on as one with an unknown kid."""
    world = World()
    world.body = without_kid("ab")
    assert world.ask(None, "a").status == 200
    world.now += 1
    world.body = without_kid("bc")

    assert world.count(lambda: world.ask(None, "c")) == (200, 0.0, 1)
    assert world.count(lambda: world.ask(None, "a")) == (401, 0.0, 0)


def test_a_token_without_kid_that_fits_nothing_is_fetched_for_once() -> None:
    """Strangers without kid share one penalty."""
    world = World().warm(1)
    asked = [world.count(lambda: world.ask(None, "x")) for _ in range(100)]

    assert sum(n for _, _, n in asked) == 1
    assert {status for status, _, _ in asked} == {401}


def test_the_set_that_came_meanwhile_counts() -> None:
    """A request that saw the old set is not refused once the new one is here."""
    world = World().warm(1)
    world.body = document("ab")
    world.now += 0.5
    world.ask("b")
    world.settle()

    assert world.keys._look_up("b", KeySet.parse(document("c")), world.now).candidates(
        {"alg": "EdDSA", "kid": "b"}
    )


@pytest.mark.parametrize("names", ["", "a"], ids=["cold", "warm"])
@pytest.mark.parametrize("kid", ["b", None])
def test_a_fetch_that_finishes_while_a_request_looks_is_not_repeated(
    kid: str | None, names: str
) -> None:
    """Between its look at the set and its turn the very key may have come: rows 3 and 16."""
    world = World(names or "b")
    if names:
        world.warm(301)
        world.body = document("b")
    world.delay = 1.0
    world.ask_later(0.0, names or "b")
    world.run_until(world.now + 0.9)

    def late() -> FakeEvent:  # what _ask does before its turn
        world.keys._make_event = lambda: FakeEvent(world)
        world.run_until(world.now + 0.2)
        return FakeEvent(world)

    world.keys._make_event = late
    assert world.count(lambda: world.ask(kid, "b"))[::2] == (200, 0)
    assert len(world.gets) == 1


def test_current_drives_refreshes() -> None:
    """A cache of verified tokens that asks for the current set keeps it fresh."""
    world = World().warm(301)

    assert world.keys.current() is not None
    world.settle()
    assert len(world.gets) == 1
    world.now += 601
    world.body = document("b")
    current = world.keys.current()
    assert current is not None
    assert current.kids == ("b",)


def test_max_stale_zero_means_none() -> None:
    """Then a set dies at the hard age."""
    world = World(policy=Policy(max_stale=0)).warm(600)

    assert world.keys.current() is None
    world.fail()
    assert world.ask().status == 503


# --- Documents, events, health -----------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"keys": []}', b'{"keys": [5]}', b'{"keys": {}}', b"\xff\xfe"],
)
def test_a_document_without_keys_replaces_nothing(body: bytes) -> None:
    """Garbage costs a failure, not the keys."""
    world = World().warm(301)
    world.body = body
    world.ask()
    world.settle()

    assert world.keys.health()["state"] == "DEGRADED"
    assert world.keys.health()["last_error"].startswith("document: ")
    assert world.ask() == Answer(200, 0.0)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("x"), "an unexpected error ended the fetch (ValueError); please report it"),
        (MemoryError(), "this process has too little memory"),
    ],
)
def test_a_broken_fetch_function_is_an_outage(error: Exception, words: str) -> None:
    """Whatever it raises, the fetch ends and is counted; the text of the error is not shown."""

    def fetch(*_: Any, **__: Any) -> Fetched:
        raise error

    world = World(fetch=fetch)

    assert world.ask().status == 503
    assert world.keys.health()["last_error"] == f"broken: {words}"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, greenlet.GreenletExit])
def test_a_helper_that_is_killed_wakes_everybody(error: type[BaseException]) -> None:
    """The event is set and the fetch counted as failed."""

    def fetch(*_: Any, **__: Any) -> Fetched:
        raise error

    def start(run: Callable[[], None]) -> None:
        with pytest.raises(error):
            run()

    world = World(fetch=fetch)
    world.keys._start_thread = start

    assert world.ask() == Answer(503, 0.0, 1)
    assert world.keys.health()["fails"] == 1


def test_dropped_and_private_members_are_told_once_a_set() -> None:
    """An operator learns which key is not used; everybody learns of a leak."""
    world = World()
    private = {**JWKS["b"], "d": JWKS["b"]["x"]}
    world.body = json.dumps({"keys": [JWKS["a"], {"kty": "oct"}, private]}).encode()
    world.ask()
    world.now += 301
    world.ask()
    world.settle()

    assert world.kinds() == ["KeysLoaded", "PrivateKeyPublished", "KeyDropped", "KeysConfirmed"]


def test_a_clock_that_is_off_is_told() -> None:
    """Half the tokens refused for their time is the first anybody else would hear of it."""
    world = World()
    world.skew = 45.0
    world.ask()

    told = world.events[-1]
    assert isinstance(told, events.ClockSkewed)
    assert told.seconds == pytest.approx(45.0)
    world.skew = -29.0
    world.now += 301
    world.ask()
    world.settle()
    assert world.kinds().count("ClockSkewed") == 1


def test_an_outage_tells_its_story() -> None:
    """Failure, half of the time used up, three quarters, nine tenths, the end, recovery."""
    world = World().warm()
    world.fail()
    while world.now < 1000 + DAY + 60:
        world.now += 30
        world.ask()
        world.settle()
    world.error = None
    world.now += 40
    world.ask()
    world.settle()

    marks = [e.percent for e in world.events if isinstance(e, events.KeysStale)]
    assert marks == [50, 75, 90]
    assert world.kinds().count("KeysExpired") == 1
    assert world.kinds().count("Recovered") == 1
    assert world.kinds().index("KeysExpired") < world.kinds().index("Recovered")


def test_no_url_is_told_with_what_is_secret_in_it() -> None:
    """A query may hold an API key."""
    world = World(jwks_uri="https://me:word@issuer.example/keys?key=secret#x")
    world.ask()

    assert {e.source for e in world.events} == {"https://...@issuer.example/keys"}


def test_health_and_stats_are_plain() -> None:
    """They go into somebody's JSON, without I/O and without the lock."""
    world = World()
    json.dumps(world.keys.health())
    world.warm(1)
    world.ask("x")
    world.degrade()
    world.ask("y")
    world.keys._process_lock().acquire()
    health, stats = world.keys.health(), world.keys.stats()

    assert json.loads(json.dumps(health)) == health
    assert health["state"] == "DEGRADED"
    assert health["kids"] == ["a"]
    assert (stats["fetch_ok"], stats["fetch_http"]) == (2, 1)
    assert (stats["fetch_cold"], stats["fetch_lookup"], stats["fetch_scheduled"]) == (1, 1, 1)
    assert (
        stats["unknown_kid_lookup"],
        stats["unknown_kid_not_now"],
        stats["unavailable"],
    ) == (1, 1, 1)
    assert stats["fetch_seconds_sum"] >= stats["fetch_seconds_max"] >= 0
    assert health["counters"] == stats


def test_every_fetch_says_how_long_it_took() -> None:
    """Whatever it brought: a slow issuer is seen before it is a dead one."""
    world = World()
    world.delay = 0.25
    for names in ("a", "a", "ab"):
        world.body = document(names)
        world.ask()
        world.sleep(301)

    took = [(type(event).__name__, event.milliseconds) for event in world.events]
    assert took == [("KeysLoaded", 250), ("KeysConfirmed", 250), ("KeysChanged", 250)]
    assert world.keys.stats()["fetch_seconds_sum"] == 0.75


def test_warm_up() -> None:
    """It loads before anybody waits, and says whether it could."""
    world = World()
    world.fail()
    assert not world.keys.warm_up()
    with pytest.raises(KeysUnavailableError):
        world.keys.warm_up(raises=True)
    world.error = None
    world.now += 2
    assert world.keys.warm_up()
    world.gets.clear()

    assert world.keys.warm_up(raises=True)
    assert not world.gets


def test_warm_up_keeps_to_the_back_off() -> None:
    """A readiness probe that calls it ten times a second fetches no more often than requests."""
    world = World()
    world.fail()
    world.gets.clear()
    ends = world.now + 60
    while world.now < ends:
        assert not world.keys.warm_up(0.05)
        world.now += 0.1

    assert 6 <= len(world.gets) <= 10


def test_nothing_happens_at_construction() -> None:
    """A thousand sources are no GET and no thread."""
    threads, gets = threading.active_count(), []
    sources = [
        RemoteKeys("https://i.example", fetch=lambda *a, **_: gets.append(a), emit=gets.append)
        for _ in range(1000)
    ]

    assert (len(sources), gets, threading.active_count()) == (1000, [], threads)


def test_sources_share_nothing() -> None:
    """One issuer's outage is nobody else's."""
    down, up = World(), World()
    down.fail()
    down.ask()

    assert down.ask().status == 503
    assert up.count(up.ask) == (200, 0.0, 1)


def test_a_source_nobody_uses_any_more_is_gone() -> None:
    """The fork hook holds none; tenants come and go."""
    world = World()
    import weakref

    gone = weakref.ref(world.keys)
    del world
    gc.collect()

    assert gone() is None


# --- Bounds ------------------------------------------------------------------------------------


def most_in_window(world: World, seconds: float) -> int:
    """The most GETs that start in a closed window of that length."""
    times, most, first = [g.at for g in world.gets], 0, 0
    for last, at in enumerate(times):
        while at - times[first] > seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def drive(
    world: World, seconds: float, every: float, kid: Callable[[int], str | None]
) -> list[Answer]:
    answers, end = [], world.now + seconds
    for number in itertools.count():
        if world.now >= end:
            return answers
        answers.append(world.ask(kid(number)))
        world.run_until(world.now + every)
    raise AssertionError


def test_b1_one_fetch_at_a_time_three_with_two_stuck() -> None:
    """Whatever happens, the issuer sees at most one of us at a time."""
    world = World().warm()
    world.delay = 1.0
    for n in range(50):
        world.ask_later(n * 0.1, "a" if n % 2 else f"x{n}")
    drive(world, 2000, 7.0, lambda n: "a" if n % 3 else f"x{n}")
    assert world.most_running == 1
    world.stall = 1e6
    drive(world, 4000, 5.0, lambda n: "a" if n % 3 else f"x{n}")

    assert world.most_running <= 3 + 4000 // 900  # and each one more costs a quarter of an hour
    assert most_in_window(world, 60) <= 8


@pytest.mark.slow
@pytest.mark.parametrize(("window", "bound"), [(60, 8), (HOUR, 140), (DAY, 3245)])
def test_b2_healthy_any_traffic(window: float, bound: int) -> None:
    """Time bounds the load on the issuer, traffic does not."""
    world = World().warm()
    world.jitter = 0.0
    every = 1.5 if window <= HOUR else 4.5
    drive(world, min(window * 1.5, DAY), every, lambda n: "a" if n % 2 else f"x{n}")

    assert most_in_window(world, window) <= bound
    world.gets[:] = [get for get in world.gets if get.at > 1000 + 60]
    assert most_in_window(world, 60) <= 4  # after the first minute


@pytest.mark.slow
def test_b3_healthy_known_kids_only() -> None:
    """A day of it is at most 361 GETs, and about 320 with the usual jitter."""
    world = World().warm()
    jitter = itertools.cycle([0.1, 0.3, 0.5, 0.7, 0.9])
    world.keys._random = lambda: next(jitter)
    drive(world, DAY, 2.0, lambda _: "a")

    assert 300 <= len(world.gets) <= 361


def test_b4_ten_thousand_random_kids() -> None:
    """Five GETs in the minute: four at once, and one thirty seconds later."""
    world = World().warm(0.006)
    answers = drive(world, 60, 0.006, lambda n: f"x{n}")

    assert Counter(a.status for a in answers) == {401: 5, 429: 9_995}
    assert len(world.gets) == 5
    assert max(a.waited for a in answers) == 0.0
    assert max(a.retry_after for a in answers) <= 30


def test_b5_one_wrong_kid_for_ever() -> None:
    """A misconfigured client is one GET in thirty seconds, and bars no new key meanwhile."""
    world = World().warm(1)
    drive(world, HOUR, 3.6, lambda _: "x")
    assert sum(g.no_cache for g in world.gets) <= 121

    world.body = document("ab")
    assert world.ask("b") == Answer(200, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("window", "bound", "strangers", "warm"),
    [
        pytest.param(60, 11, True, False, id="B6 1 min"),
        pytest.param(300, 41, True, False, id="B6 5 min"),
        pytest.param(HOUR, 454, True, False, id="B6 1 h"),
        pytest.param(60, 5, False, True, id="B7 1 min"),
        pytest.param(300, 10, False, True, id="B7 5 min"),
        pytest.param(HOUR, 78, False, True, id="B7 1 h"),
        pytest.param(DAY - 400, 1803, False, True, id="B7 24 h"),
        pytest.param(60, 7, True, True, id="B7 1 min, unknown kids"),
        pytest.param(300, 27, True, True, id="B7 5 min, unknown kids"),
        pytest.param(HOUR, 302, True, True, id="B7 1 h, unknown kids"),
        pytest.param(DAY - 400, 7202, True, True, id="B7 24 h, unknown kids"),
    ],
)
def test_b6_b7_outage(window: float, bound: int, *, strangers: bool, warm: bool) -> None:
    """With the shortest pauses that chance can bring, with and without unknown kids."""
    world = World()
    if warm:
        world.warm(300)
    world.jitter = 0.0
    world.fail()
    every = 0.5 if window <= HOUR else 4.0
    drive(world, window, every, lambda n: f"x{n}" if strangers and n % 2 else "a")

    assert len(world.gets) <= bound
    assert len(world.gets) >= bound * 0.55


@pytest.mark.parametrize("trouble", ["delay", "stall"])
@pytest.mark.parametrize(
    ("age", "kid", "most"),
    [
        pytest.param(None, "a", 5.0, id="cold"),
        pytest.param(601, "a", 5.0, id="idle"),
        pytest.param(1, "x", 2.0, id="unknown"),
        pytest.param(301, "x", 2.0, id="due, unknown"),
        pytest.param(301, "a", 0.0, id="due, known"),
    ],
)
def test_b8_no_request_waits_longer(trouble: str, age: float | None, kid: str, most: float) -> None:
    """Under a black hole and under a resolver that hangs; and after a failure nobody waits."""
    world = World() if age is None else World().warm(age)
    setattr(world, trouble, 1000.0)
    first = world.ask(kid)
    strangers = drive(world, 300, 0.5, lambda n: f"x{n}")
    known = drive(world, 300, 0.5, lambda _: "a")

    assert first.waited <= most
    assert max(a.waited for a in known) == 0.0
    assert max(a.waited for a in strangers) <= 2.0
    assert first.waited + sum(a.waited for a in strangers) <= 5.0
    assert not world.keys.health()["inline"]


@pytest.mark.slow
def test_b9_share_of_thread_time() -> None:
    """A flood of unknown kids against a slow issuer holds a thread 7 % of the time."""
    world = World().warm(1)
    world.delay = 1.9
    held, began = 0.0, world.now
    while world.now - began < HOUR:
        held += world.ask(f"x{world.now}").waited
        world.run_until(world.now + 0.1)

    assert held <= 4 * 2.0 + HOUR * 2.0 / 30


def test_b9_an_outage_holds_threads_once() -> None:
    """Sixteen threads against a black hole lose five seconds each, and no more."""
    world = World()
    world.delay = 1000.0
    held: list[Answer] = []

    def thread() -> None:
        while world.now < 1000 + 120:
            held.append(world.ask())
            world.sleep(0.25)

    for _ in range(16):
        world.after(0.0, thread)
    world.run_until(1000 + 130)

    assert sum(a.waited for a in held) <= 16 * 5.0
    assert {a.status for a in held} == {503}


@pytest.mark.slow
@pytest.mark.parametrize("retry_after", [None, 3600.0])
@pytest.mark.parametrize("gap", [0.1, 10.0])
@pytest.mark.parametrize(
    ("warm", "kid", "most"),
    [(False, "a", 10.0), (True, "b", 15.0), (True, "a", 60.0)],
    ids=["cold", "new key", "known keys"],
)
@pytest.mark.parametrize("down", [1.0, 700.0, 5000.0])
def test_b10_recovery(
    *, down: float, warm: bool, kid: str, most: float, gap: float, retry_after: float | None
) -> None:
    """The first 200, or the first fetch if known keys serve, comes soon after any outage."""
    for chance in (0.0, 0.5, 1.0):
        world = World()
        if warm:
            world.warm(300)
        world.jitter = chance
        world.fail(retry_after=retry_after)
        drive(world, down, max(gap, 1.0), lambda _: kid)
        world.error, world.body, back = None, document("ab"), world.now
        while (answer := world.ask(kid)).status != 200 or world.gets[-1].at < back:
            world.run_until(world.now + gap)

        assert answer.waited == 0.0  # the issuer answers at once
        assert world.now - back <= (60.0 if retry_after else most) + gap


def test_b11_a_removed_key_dies() -> None:
    """Within 305 s busy, at once after 600 s idle, after a day in an outage."""
    busy = World("ab").warm()
    busy.body, busy.delay = document("b"), 4.9
    removed = busy.now
    last = max(t for t in range(1, 400) if _accepts_at(busy, removed + t))
    assert last <= 305

    idle = World("ab").warm()
    idle.body = document("b")
    idle.now += 600
    assert idle.ask("a").status == 401

    outage = World("ab").warm()
    outage.body = document("b")
    outage.fail()
    accepted = [t for t in range(0, int(DAY) + 600, 50) if _accepts_at(outage, 1000 + t)]
    assert max(accepted) < DAY


@pytest.mark.parametrize("gap", [250, 299, 350, 400, 599])
def test_b11_a_removed_key_dies_where_few_requests_come(gap: float) -> None:
    """Within 600 s. A later request waits for a fetch, although the last one came 365 s before."""
    longest = 0.0
    for removed in range(0, 600, 20):
        world = World("ab").warm()
        world.delay, began = 4.9, world.now
        world.run_until(began + removed)
        world.body = document("b")
        times = [began + removed + gap * n for n in range(1, 6)]
        accepted = [at for at in times if _accepts_at(world, at)]
        longest = max([longest, *(at - began - removed for at in accepted)])
    assert 305 < longest <= 600

    quiet = World("ab").warm()
    began = quiet.now
    quiet.run_until(began + 235)  # not due yet
    assert quiet.ask("a").status == 200
    quiet.body, quiet.delay = document("b"), 1.0
    quiet.run_until(began + 600)
    answer = quiet.ask("a")
    assert (answer.status, answer.waited) == (401, 1.0)


def _accepts_at(world: World, at: float) -> bool:
    world.run_until(at)
    return world.ask("a").status == 200


def test_b12_a_new_key_used_at_once() -> None:
    """Without an attack nobody fails; under one nobody is logged out, nor refused for long."""
    quiet = World().warm(1)
    quiet.body, quiet.delay = document("ab"), 0.4
    seen = [quiet.ask_later(n * 0.005, "b") for n in range(50)]
    quiet.run_until(quiet.now + 2)
    assert {a.status for (a,) in seen} == {200}
    assert len(quiet.gets) == 1

    flooded = World().warm(1)
    flooded.delay = 0.4
    drive(flooded, 10, 0.1, lambda n: f"x{n}")
    flooded.body, used = document("ab"), flooded.now
    refused = []
    while flooded.now < used + 60:
        flooded.ask(f"x{flooded.now}")
        if (answer := flooded.ask("b")).status != 200:
            refused.append((answer.status, flooded.now))
        flooded.run_until(flooded.now + 0.1)
    assert {status for status, _ in refused} == {429}
    assert max(at for _, at in refused) - used <= 30 + 0.4 + 0.1


@pytest.mark.parametrize("guess", [False, True], ids=["made-up kids", "the next kid"])
def test_b12_one_stranger_at_a_rotation(*, guess: bool) -> None:
    """A kid every five seconds; a key that is published two seconds before its first use."""
    for start in range(20):
        world = World().warm(start)
        began, answers = world.now, []
        for n in range(1200):
            world.run_until(began + n * 0.1)
            if n == 400:
                world.body = document("ab")
            if n % 50 == 0:
                world.ask("b" if guess else f"x{n}")
            if n >= 420:
                answers.append((world.now - began - 40, world.ask("b").status))
        refused = [(at, status) for at, status in answers if status != 200]

        assert all(at <= 30 + 0.1 for at, _ in refused)
        assert {status for _, status in refused} <= ({401, 429} if guess else {429})


def test_b12_beside_one_made_up_kid_in_thirty_seconds() -> None:
    """A new key is served at once, whenever it comes."""
    for published in range(30):
        world = World().warm(1)
        for n in range(200):
            if n % 30 == 0:
                assert world.ask(f"x{n}").status == 401
            if n == 150 + published % 30:
                world.body = document("ab")
                assert world.ask("b") == Answer(200, 0.0)
            world.run_until(world.now + 1)


@pytest.mark.slow
def test_b13_a_fleet_is_so_many_times_one() -> None:
    """Workers that started together do not stay together."""
    fleet = [World() for _ in range(40)]
    jitter = itertools.count()
    for world in fleet:
        world.keys._random = lambda: (next(jitter) * 0.6180339887) % 1.0
    seconds: dict[int, int] = {}
    for world in fleet:
        drive(world, 3000, 1.0, lambda _: "a")
        for get in world.gets[1:]:
            seconds[int(get.at)] = seconds.get(int(get.at), 0) + 1

    assert all(len(w.gets) <= 1 + 1 + 3000 // 240 for w in fleet)
    assert max(seconds.values()) <= 8
    assert max(n for s, n in seconds.items() if s > 2000) <= 6


def test_b14_threads() -> None:
    """One helper runs during a fetch, none after it."""
    before = threading.active_count()
    gate = threading.Event()
    during = []

    def fetch(*_: Any, **__: Any) -> Fetched:
        during.append(threading.active_count())
        gate.wait(5)
        return Fetched(document("a"), None, None)

    keys = RemoteKeys("https://i.example", jwks_uri=URI, fetch=fetch, emit=lambda _: None)
    askers = [threading.Thread(target=keys.current) for _ in range(5)]
    starter = threading.Thread(target=keys.warm_up)
    starter.start()
    for asker in askers:
        asker.start()
    gate.set()
    for thread in [starter, *askers]:
        thread.join(5)
    for thread in threading.enumerate():
        if thread.name == "jwt_wsgi.jwks":
            thread.join(5)

    assert len(during) == 1
    assert threading.active_count() == before


def test_a_warm_up_waits_for_no_thread_whose_fetch_still_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the thread of a finished fetch ends soon."""
    waited: list[int] = []
    monkeypatch.setattr(system, "wait_until_ended", waited.append)
    begun, gate = threading.Event(), threading.Event()

    def fetch(*_: Any, **__: Any) -> Fetched:
        begun.set()
        gate.wait(5)
        return Fetched(document("a"), None, None)

    keys = RemoteKeys("https://i.example", jwks_uri=URI, fetch=fetch, emit=lambda _: None)
    assert not keys.warm_up(0)
    begun.wait(5)
    assert not keys.warm_up(0)
    assert waited == []
    gate.set()
    assert keys.warm_up(5)
    assert len(waited) == 1


def test_a_fetch_in_the_thread_of_the_warm_up_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where no thread can be started, the warm-up fetches itself; its own thread never ends."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    system.wait_until_ended(threading.get_native_id())

    assert slept == []


@pytest.mark.slow
def test_b15_memory_is_bounded() -> None:
    """Of any number of wrong kids 256 are remembered."""
    world = World().warm(1)
    for n in range(2 * MAX_KIDS):
        world.ask(f"{n:0>256}")
    assert len(world.keys._unknown) == MAX_KIDS
    world.now += 31
    world.ask("x")
    assert len(world.keys._unknown) == MAX_KIDS
    gc.collect()
    tracemalloc.start()
    for n in range(10_000):
        world.ask(f"y{n}")
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert grown < 1 << 18
    assert world.keys._facts.lost == frozenset()


def test_b16_requests_do_not_count() -> None:
    """A hundred times the requests are not one GET more."""
    fetched = []
    for requests in (100, 1000, 10_000):
        world = World().warm(1)
        drive(world, 120, 120 / requests, lambda n: f"x{n}")
        fetched.append(len(world.gets))

    assert len(set(fetched)) == 1
    assert fetched[0] <= 4 + 120 / 30


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["error", "stall", "delay"])
def test_b17_log_lines_of_an_outage(trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    """A day of it, strangers included, is at most 150 lines."""
    caplog.set_level(logging.INFO, "jwt_wsgi")
    world = World().warm(300)
    hook, lines = LogHook(clock=lambda: world.now), []

    def emit(event: Event) -> None:
        before = len(caplog.records)
        hook(event)
        lines.extend([world.now] * (len(caplog.records) - before))

    world.keys._emit = emit
    setattr(world, trouble, FetchError("dns", "gone") if trouble == "error" else 1e7)
    drive(world, DAY, 5.0, lambda n: "a" if n % 2 else f"x{n}")

    hours = Counter(int((at - 1000) // HOUR) for at in lines)
    assert 0 < len(caplog.records) <= 150
    assert max(hours.values()) <= 10


def test_b18_no_401_for_a_key_that_was_published() -> None:
    """A key published before the fetch is found by everyone who waits for it."""
    world = World().warm(1)
    world.delay = 1.0
    world.body = document("ab")
    seen = [world.ask_later(n * 0.02, "b") for n in range(50)]
    world.run_until(world.now + 3)

    assert {a.status for (a,) in seen} == {200}


@pytest.mark.slow
def test_b19_no_503_for_a_known_kid_before_max_stale() -> None:
    """A day's outage, strangers and all: nobody with a known kid sees it."""
    world = World().warm()
    world.fail()
    known = [world.ask("a") for n in range(17_279) if not _pass(world, 5.0, n)]

    assert {a.status for a in known} == {200}
    assert max(a.waited for a in known) == 0.0
    assert world.now <= 1000 + DAY


def _pass(world: World, seconds: float, number: int) -> None:
    world.run_until(world.now + seconds)
    if number % 3 == 0:
        world.ask(f"x{number}")
        world.settle()


def test_a_known_kid_costs_two_look_ups_and_a_clock() -> None:
    """No lock, no system call, no allocation of a generator: nothing but these calls."""
    world = World().warm(1)
    header = {"alg": "EdDSA", "kid": "a"}
    assert [owner(key) for key in world.keys.candidates(header)] == ["a"]
    called: list[str] = []

    def note(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            called.append(frame.f_code.co_qualname)
        elif event == "c_call":
            called.append(arg.__qualname__)

    sys.setprofile(note)
    try:
        found = world.keys.candidates(header)
    finally:
        sys.setprofile(None)

    assert [owner(key) for key in found] == ["a"]
    assert called == [
        "RemoteKeys.candidates",
        "World.__init__.<locals>.<lambda>",  # the clock
        "KeySet.candidates",
        *["dict.get"] * 2,  # of the header's kid, and of what was found for it before
        "setprofile",
    ]
