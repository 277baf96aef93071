"""Remote keys against a small model of KEYS section 7, in random histories.

    JWT_WSGI_TEST_PROFILE=long pytest tests/test_jwks_model.py      2,000 histories of 200 steps

The model is written from the table, with none of the code's words: plain numbers and sets.
"""

import itertools
import math
import os
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule
from test_jwks import DAY
from test_jwks import World
from test_jwks import document

from jwt_wsgi.key_sources.fetch import FetchError

#: Not an option of the package: how long these tests run.
LONG = os.environ.get("JWT_WSGI_TEST_PROFILE") == "long"
SOFT, HARD, COOLDOWN, DEADLINE, LEASE = 300.0, 600.0, 30.0, 5.0, 6.0
COLD, WARM = (1, 2, 4, 8, 16, 30), (5, 10, 20, 40, 60)
#: How the issuer is: seconds until an answer, whether our deadline sees that, what it is.
MODES = {
    "up": (0.05, True, True),
    "slow": (0.7, True, True),
    "slower": (3.3, True, True),
    "down": (0.05, True, False),
    "slowly down": (1.3, True, False),
    "black hole": (DEADLINE, True, False),
    "resolver hangs": (9.4, False, True),
    "resolver hangs long": (70.3, False, False),
}


class Model:
    """Every number by itself, and one method a paragraph."""

    def __init__(self) -> None:
        self.now, self.jitter = 1000.0, 1.0
        self.names: frozenset[str] | None = None
        self.start = self.soft = 0.0
        self.fails, self.not_before, self.forced_end = 0, -math.inf, -math.inf
        self.penalty: dict[str, tuple[float, float]] = {}
        self.fetch: dict[str, Any] | None = None
        self.stuck: list[dict[str, Any]] = []
        self.number = self.accepted = self.gets = 0
        self.mode, self.published, self.closed = "up", frozenset("a"), False

    def alive(self) -> bool:
        return self.names is not None and self.now - self.start < DAY

    def gate(self) -> float:
        stuck = max(f["start"] for f in self.stuck) + 900 if len(self.stuck) >= 2 else -math.inf
        return max(self.not_before, stuck)

    def may_wait(self) -> bool:
        return not self.fails or self.now - self.gate() >= 30

    def start_fetch(self, *, forced: bool = False, kid: str = "") -> dict[str, Any]:
        seconds, _, ok = MODES[self.mode]
        self.number += 1
        self.gets += 1
        self.fetch = fetch = {
            "number": self.number,
            "start": self.now,
            "end": self.now + seconds,
            "forced": forced,
            "may_wait": self.may_wait(),
            "kid": kid,
            "names": self.published if ok else None,
        }
        return fetch

    def pass_time(self, seconds: float, until: dict[str, Any] | None = None) -> None:
        end = self.now + seconds
        while not (until and "over" in until):
            fetches = [f for f in (self.fetch, *self.stuck) if f and f["end"] <= end]
            if not fetches:
                self.now = end
                return
            fetch = min(fetches, key=lambda f: (f["end"], f["number"]))
            self.now = max(self.now, fetch["end"])
            self.finish(fetch)

    def finish(self, fetch: dict[str, Any]) -> None:
        in_time = fetch is self.fetch
        self.fetch = None if in_time else self.fetch
        self.stuck = [f for f in self.stuck if f is not fetch]
        fetch["over"] = True
        names = fetch["names"]
        if names is None:
            if in_time:
                self.fail(fetch, self.now)
        elif fetch["number"] > self.accepted:
            if names != self.names:
                self.penalty.clear()
            self.names, self.start = names, fetch["start"]
            self.soft = self.start + SOFT * (0.8 + 0.2 * self.jitter)
            self.accepted, self.fails, self.not_before = fetch["number"], 0, -math.inf
            if fetch["forced"]:
                self.forced_end = self.now
                if fetch["kid"] not in names:
                    _, delay = self.penalty.get(fetch["kid"], (0, 15.0))
                    delay = min(2 * delay, 300.0)
                    self.penalty[fetch["kid"]] = (self.now + delay, delay)

    def fail(self, fetch: dict[str, Any], at: float) -> None:
        self.fails += 1
        warm = self.names is not None and at - self.start < DAY
        steps = WARM if warm else COLD
        pause = steps[min(self.fails, len(steps)) - 1] * (0.8 + 0.4 * self.jitter)
        self.not_before = at + pause
        if fetch["forced"]:
            self.forced_end = at

    def look(self) -> None:
        """What a request that cannot be served without a thought finds out."""
        fetch = self.fetch
        if fetch and self.now >= fetch["start"] + LEASE:
            self.fetch = None
            self.stuck.append(fetch)
            self.fail(fetch, fetch["start"] + LEASE)
        if self.names is not None and not self.alive():
            self.names = None
            self.not_before = min(self.not_before, self.now + 30)

    def wait(self, fetch: dict[str, Any], budget: float) -> bool:
        """Whether the fetch brought a set in time."""
        left = fetch["start"] + budget - self.now
        if left > 0 and "over" not in fetch:
            self.pass_time(left, fetch)
        return "over" in fetch and self.names is not None and self.accepted >= fetch["number"]

    def ask(self, kid: str | None, signer: str) -> int:
        arrival, tried = self.now, None
        if self.alive() and (kid is None or kid in self.names):
            tried = self.known()
            if tried is not None:
                if signer in tried and kid in (None, signer):
                    return 200
                if kid is not None:
                    return 401
        status = self.unknown(kid or "", arrival)
        if status == 503:
            return 503
        return 200 if self.names and signer in self.names and kid in (None, signer) else 401

    def idle(self) -> bool:
        return self.now - self.start >= HARD and not self.fails

    def known(self) -> frozenset[str] | None:
        names, fetch = self.names, self.fetch
        if self.closed:
            return names
        if fetch and self.now < fetch["start"] + LEASE and not self.idle():
            return names
        self.look()
        names, idle, fetch = self.names, self.idle(), self.fetch
        if not fetch and self.now >= self.gate() and (self.fails or self.now >= self.soft):
            fetch = self.start_fetch()
        if not (fetch and idle):
            return names  # it arrives behind the request's back
        self.wait(fetch, DEADLINE)
        return self.names if self.alive() else None

    def unknown(self, kid: str, arrival: float) -> int:
        if self.closed:
            self.look()
            return 503
        self.look()
        cold, fetch = self.names is None, self.fetch
        if not fetch:
            if self.now < self.gate():
                return 401 if not (cold or self.fails) else 503
            blocked = (
                self.start >= arrival
                or self.now < self.penalty.get(kid, (0, 0))[0]
                or self.now - self.forced_end < COOLDOWN
            )
            if not cold and not self.fails and blocked:
                return 401
            forced = not cold and not self.fails
            fetch = self.start_fetch(forced=forced, kid=kid if forced else "")
        if not fetch["may_wait"]:
            return 503
        return 401 if self.wait(fetch, DEADLINE if cold else 2.0) else 503


class Histories(RuleBasedStateMachine):
    """Do the same to both, and compare all that can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.world = Model(), World()
        self.the_issuer_becomes("up")
        self.born = 0  # GETs of the parents: the bounds are those of a process
        self.meant: list[float] = []  # GETs that follow a purge
        self.history: list[tuple[float, frozenset[str]]] = [(0.0, frozenset("a"))]

    @rule(
        seconds=st.sampled_from(
            [
                0.013,
                0.9,
                1.7,
                4.9,
                6.1,
                13.0,
                29.9,
                30.1,
                61.0,
                239.0,
                301.0,
                601.0,
                7201.0,
                90_001.0,
            ]
        )
    )
    def some_time_passes(self, seconds: float) -> None:
        self.time_passes(seconds)

    def time_passes(self, seconds: float) -> None:
        self.world.run_until(self.world.now + seconds)
        self.model.pass_time(seconds)

    @rule(mode=st.sampled_from(["up", "up", *MODES]))
    def the_issuer_changes(self, mode: str) -> None:
        self.the_issuer_becomes(mode)

    def the_issuer_becomes(self, mode: str) -> None:
        world, (seconds, seen, ok) = self.world, MODES[mode]
        self.model.mode = mode
        world.delay = (60.0 if mode == "black hole" else seconds) if seen else 0.0
        world.stall = 0.0 if seen else seconds
        world.error = None if ok or mode == "black hole" else FetchError("http", "down")

    @rule(names=st.sets(st.sampled_from("abcd"), min_size=1))
    def the_issuer_publishes(self, names: set[str]) -> None:
        self.time_passes(0.003)
        self.world.body = document("".join(sorted(names)))
        self.model.published = frozenset(names)
        self.history.append((self.world.now, frozenset(names)))
        self.time_passes(0.003)

    @rule(jitter=st.sampled_from([0.0, 0.5, 1.0]))
    def jitter_turns(self, jitter: float) -> None:
        self.model.jitter = self.world.jitter = jitter

    @rule(kid=st.sampled_from(["a", "b", "c", "x", "y"]), forged=st.booleans())
    def somebody_asks(self, kid: str, *, forged: bool) -> None:
        self._ask(kid, "nobody" if forged else kid)

    @rule(signer=st.sampled_from(["a", "b", "c", "nobody"]))
    def somebody_asks_without_kid(self, signer: str) -> None:
        self._ask(None, signer)

    @rule()
    def the_process_forks(self) -> None:
        world, model = self.world, self.model
        world.fork()
        world.keys._lock()
        self.born = len(world.gets)
        model.fetch, model.stuck = None, []
        model.soft = model.start + SOFT * (0.8 + 0.2 * model.jitter)

    @rule()
    @precondition(lambda self: self.world.now > 100_000)
    def the_operator_purges(self) -> None:
        self.meant.append(self.world.now)
        self.world.keys.purge()
        model = self.model
        if model.fetch:
            model.stuck.append(model.fetch)
        model.fetch, model.names, model.not_before = None, None, -math.inf
        model.accepted = model.number
        model.penalty.clear()

    @rule()
    @precondition(lambda self: self.world.now > 300_000)
    def the_operator_closes(self) -> None:
        self.world.keys.close()
        self.model.closed = True

    def _ask(self, kid: str | None, signer: str) -> None:
        world, model, began = self.world, self.model, self.world.now
        facts = world.keys._facts
        answer = world.ask(kid, signer)
        assert answer.status == model.ask(kid, signer)
        model.pass_time(0.0)
        assert abs(answer.waited - (model.now - began)) < 1e-6
        self._bounds(kid, signer, answer, facts, began)

    def _bounds(self, kid: str | None, signer: str, answer: Any, facts: Any, began: float) -> None:
        """B8, B11, B18, B19: not by the model's leave but by themselves."""
        snapshot = facts.snapshot
        held = snapshot is not None and began - snapshot.start < DAY
        idle = held and began - snapshot.start >= HARD and not facts.fails
        known = held and kid is not None and kid in snapshot.keyset
        assert answer.waited <= (DEADLINE if idle or not held else 2.0) + 1e-6
        if facts.fails and known:
            assert answer.waited == 0.0
        if known and signer == kid and not idle:
            assert answer.status == 200  # B19
        if answer.status == 200:
            since = snapshot if held and not idle else self.world.keys._facts.snapshot
            assert signer in self._published_since(since.start)  # B11
        if (
            answer.status == 401
            and kid is not None
            and signer == kid
            and not self.world.keys._facts.fails
        ):
            current = self.world.keys._facts.snapshot
            assert kid not in self._published_at(current.start)  # B18

    def _published_at(self, moment: float) -> frozenset[str]:
        return [names for at, names in self.history if at <= moment][-1]

    def _published_since(self, moment: float) -> frozenset[str]:
        return self._published_at(moment).union(*(n for at, n in self.history if at >= moment))

    @invariant()
    def both_agree(self) -> None:
        world, model, facts = self.world, self.model, self.world.keys._facts
        assert abs(world.now - model.now) < 1e-6
        assert len(world.gets) == model.gets
        assert facts.fails == model.fails
        assert (facts.snapshot and frozenset(facts.snapshot.keyset.kids)) == model.names
        assert (facts.fetch is None) == (model.fetch is None)
        assert len(facts.lost) == len(model.stuck)
        assert (
            abs(facts.not_before - model.not_before) < 1e-6 or facts.not_before == model.not_before
        )
        assert not world.lock_is_held()

    @invariant()
    def the_bounds_hold(self) -> None:
        """B1, B2, B4: of the GETs that traffic made."""
        world = self.world
        assert world.running <= 1 + len(world.keys._facts.lost)
        own = world.gets[self.born :]
        routine = [g.at for g in own if not any(abs(g.at - at) < 1e-6 for at in self.meant)]
        forced = [g.at for g in own if g.no_cache and g.at in routine]
        for earlier, later in itertools.pairwise(forced):
            assert later - earlier >= COOLDOWN or self.meant
        last_minute = [at for at in routine if at > world.now - 60]
        assert len(last_minute) <= 7 or self.meant
        assert len(world.keys._penalties) <= 256


TestHistories = pytest.mark.slow(Histories.TestCase)
TestHistories.settings = settings(
    max_examples=2000 if LONG else 200,
    stateful_step_count=200 if LONG else 100,
    deadline=None,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)
