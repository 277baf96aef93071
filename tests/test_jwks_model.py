"""Remote keys against a small model of docs/development/keys.md, in random histories.

    JWT_WSGI_TEST_PROFILE=long pytest tests/test_jwks_model.py      2,000 histories of 200 steps

The model is written from the table, with none of the code's words: plain numbers and sets.
"""

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
COLD, NEW_KEY, WARM = (1, 2, 4, 8, 10), (5, 10, 15), (5, 10, 20, 40, 60)
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
        self.start = self.due = 0.0
        self.fails, self.seconds = 0, 0.0  # failures in a row, and how long the last one took
        self.pause_end = self.new_key_pause_end = -math.inf
        self.waiting: set[str] = set()
        self.refused = False  # some kid was named since the last look-up started
        self.absent: dict[str, float] = {}
        self.lookups, self.counted = 4.0, 1000.0  # how many are left, and when that was so
        self.fetch: dict[str, Any] | None = None
        self.stuck: list[dict[str, Any]] = []
        self.number = self.accepted = self.gets = 0
        self.mode, self.published, self.closed = "up", frozenset("a"), False

    def alive(self) -> bool:
        return self.names is not None and self.now - self.start < DAY

    def gate(self) -> float:
        stuck = max(f["start"] for f in self.stuck) + 900 if len(self.stuck) >= 2 else -math.inf
        return max(self.new_key_pause_end if self.refused else self.pause_end, stuck)

    def lookup_allowed(self) -> bool:
        if self.now < self.gate():
            return False
        left = min(4.0, self.lookups + (self.now - self.counted) / COOLDOWN)
        return bool(self.fails) or left >= 1 - 1e-9

    def may_wait(self) -> bool:
        return not self.fails or self.now - self.gate() >= 30

    def start_fetch(self, *, lookup: bool = False) -> dict[str, Any]:
        seconds, _, ok = MODES[self.mode]
        self.number += 1
        self.gets += 1
        self.fetch = fetch = {
            "number": self.number,
            "start": self.now,
            "end": self.now + seconds,
            "lookup": lookup,
            "may_wait": self.may_wait(),
            "starter_waits": self.may_wait() or self.seconds <= 1.0,
            "kids": set(),
            "names": self.published if ok else None,
        }
        if lookup:
            self.absent = {kid: end for kid, end in self.absent.items() if self.now < end}
            fetch["kids"] = self.waiting | set(self.absent)
            self.waiting, self.refused = set(), False
            left = min(4.0, self.lookups + (self.now - self.counted) / COOLDOWN)
            self.lookups, self.counted = max(0.0, left - 1), self.now
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
            self.names, self.start = names, fetch["start"]
            self.due = self.start + SOFT * (0.8 + 0.2 * self.jitter)
            self.accepted, self.fails = fetch["number"], 0
            self.pause_end = self.new_key_pause_end = -math.inf
            self.waiting -= names
            self.refused = bool(self.waiting)
            for kid in fetch["kids"] - self.waiting:
                self.absent[kid] = fetch["start"] + COOLDOWN
            self.absent = {kid: end for kid, end in self.absent.items() if kid not in names}

    def fail(self, fetch: dict[str, Any], at: float) -> None:
        self.fails += 1
        self.seconds = at - fetch["start"]
        warm = self.names is not None and at - self.start < DAY

        def pause(steps: tuple[int, ...]) -> float:
            return at + steps[min(self.fails, len(steps)) - 1] * (0.8 + 0.2 * self.jitter)

        self.new_key_pause_end = pause(NEW_KEY if warm else COLD)
        refused = fetch["lookup"] or self.refused or not warm
        self.pause_end = self.new_key_pause_end if refused else pause(WARM)

    def look(self) -> None:
        """What a request that is not on the fast path finds out."""
        fetch = self.fetch
        if fetch and self.now >= fetch["start"] + LEASE:
            self.fetch = None
            self.stuck.append(fetch)
            self.fail(fetch, fetch["start"] + LEASE)
        if self.names is not None and not self.alive():
            self.names = None
            self.refused = False
            self.pause_end = min(self.pause_end, self.now + 10)

    def wait(self, fetch: dict[str, Any], until: float) -> bool:
        """Whether the fetch brought a set in time."""
        if until > self.now and "over" not in fetch:
            self.pass_time(until - self.now, fetch)
        return "over" in fetch and self.names is not None and self.accepted >= fetch["number"]

    def ask(self, kid: str | None, signer: str) -> int:
        cold, deadline = not self.alive(), self.now + 2.0
        known = not cold and (kid is None or kid in self.names)
        names = self.known() if known else self.names if not cold else None
        if names is None:
            names = self.first_set()
            deadline += 3.0 if cold else 0.0
        if names is None:
            return 503
        if kid is None or known or kid in names:
            if signer in names and kid in (None, signer):
                return 200
            if kid is not None:
                return 401
        return self.look_up(kid or "", signer, names, deadline)

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
        if names is None:
            return self.first_set()
        if not fetch and self.refused and self.lookup_allowed():
            fetch = self.start_fetch(lookup=True)
        elif not fetch and self.now >= self.gate() and (self.fails or self.now >= self.due):
            fetch = self.start_fetch()
        if not (fetch and idle):
            return names  # it arrives behind the request's back
        self.wait(fetch, fetch["start"] + DEADLINE)
        return self.names if self.alive() else None

    def first_set(self) -> frozenset[str] | None:
        self.look()
        if self.closed:
            return None
        fetch = self.fetch
        waits = bool(fetch and fetch["may_wait"])
        if not fetch and self.now >= self.gate():
            fetch = self.start_fetch()
            waits = fetch["starter_waits"]
        if fetch and waits:
            self.wait(fetch, fetch["start"] + DEADLINE)
        return self.names if self.alive() else None

    def look_up(self, kid: str, signer: str, tried: frozenset[str], deadline: float) -> int:
        while True:
            self.look()
            if self.closed or self.names is None:
                return 503
            if self.names != tried and (kid in self.names or not kid):
                return 200 if signer in self.names and kid in ("", signer) else 401
            if self.now < self.absent.get(kid, -math.inf):
                return 401
            fetch = self.fetch
            if not (fetch and kid in fetch["kids"]):
                self.waiting.add(kid)
                self.absent.pop(kid, None)
                self.refused = True
            waits = bool(fetch and fetch["may_wait"])
            if not fetch and self.lookup_allowed():
                fetch = self.start_fetch(lookup=True)
                waits = fetch["starter_waits"]
            if not (fetch and waits and self.wait(fetch, min(fetch["start"] + 2.0, deadline))):
                return 503 if self.fails or not self.alive() else 429
            if kid in self.names or not kid:
                if signer in self.names and kid in ("", signer):
                    return 200
                if kid:
                    return 401
            if kid in fetch["kids"]:
                return 401
            tried = self.names


class Histories(RuleBasedStateMachine):
    """Do the same to both, and compare all that can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.world = Model(), World()
        self.the_issuer_becomes("up")
        self.born = 0  # GETs of the parents: the bounds are those of a process
        self.history: list[tuple[float, frozenset[str]]] = [(0.0, frozenset("a"))]
        self.asked: list[tuple[float, str | None]] = []

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

    @rule(kid=st.sampled_from("abcuvwxyz"), forged=st.booleans())
    def a_request_comes(self, kid: str, *, forged: bool) -> None:
        self._ask(kid, "nobody" if forged else kid)

    @rule(signer=st.sampled_from(["a", "b", "c", "nobody"]))
    def a_request_without_kid_comes(self, signer: str) -> None:
        self._ask(None, signer)

    @rule()
    def the_process_forks(self) -> None:
        world, model = self.world, self.model
        world.fork()
        world.keys._lock()
        self.born = len(world.gets)
        model.fetch, model.stuck = None, []
        model.due = model.start + SOFT * (0.8 + 0.2 * model.jitter)

    @rule()
    @precondition(lambda self: self.world.now > 300_000)
    def the_operator_closes(self) -> None:
        self.world.keys.close()
        self.model.closed = True

    def _ask(self, kid: str | None, signer: str) -> None:
        world, model, began = self.world, self.model, self.world.now
        facts = world.keys._facts
        self.asked.append((began, kid))
        answer = world.ask(kid, signer)
        assert answer.status == model.ask(kid, signer)
        model.pass_time(0.0)
        assert abs(answer.waited - (model.now - began)) < 1e-6
        self._bounds(kid, signer, answer, facts, began)

    def _bounds(self, kid: str | None, signer: str, answer: Any, facts: Any, began: float) -> None:
        """B8, B11, B12, B19: not by the model's leave but by themselves."""
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
        if answer.status == 401 and kid is not None and signer == kid and not known:
            # B12: it was named before it was published, and that is no cooldown ago.
            missing = [at for at, end, names in self._times() if kid not in names]
            ends = [end for _, end, names in self._times() if kid not in names]
            assert any(end >= began - COOLDOWN for end in ends)
            assert any(at <= max(ends) and name == kid for at, name in self.asked)
            assert missing
        if answer.status == 429:
            assert not self.world.keys._facts.fails
            assert not known

    def _times(self) -> list[tuple[float, float, frozenset[str]]]:
        """From when to when the issuer published which names."""
        ends = [*(at for at, _ in self.history[1:]), math.inf]
        return [(at, end, names) for (at, names), end in zip(self.history, ends, strict=True)]

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
        assert facts.kid_waits == model.refused
        for ours, theirs in (
            (facts.not_before, model.pause_end),
            (facts.lookup_not_before, model.new_key_pause_end),
        ):
            assert abs(ours - theirs) < 1e-6 or ours == theirs or facts.snapshot is None
        assert not world.lock_is_held()

    @invariant()
    def the_bounds_hold(self) -> None:
        """B1, B2, B4: of the GETs that traffic made."""
        world = self.world
        assert world.running <= 1 + len(world.keys._facts.lost)
        own = world.gets[self.born :]
        last_minute = [g for g in own if g.at > world.now - 60]
        assert len(last_minute) <= 11 + 6  # a cold outage that ends in a flood
        assert len(world.keys._unknown) <= 256


TestHistories = pytest.mark.slow(Histories.TestCase)
TestHistories.settings = settings(
    max_examples=2000 if LONG else 200,
    stateful_step_count=200 if LONG else 100,
    deadline=None,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)
