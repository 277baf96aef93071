"""Remote keys: every order in which two fetches and three readers can meet.

A run is a list of steps; each reader and each fetch is a greenlet that goes on exactly when
its step says so. Every order that is possible is tried, from a cold, a due and an idle source.
"""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import greenlet
import pytest
from test_jwks import URI
from test_jwks import document
from test_jwks import owner

from jwt_wsgi.errors import KeyNotKnownYetError
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.events import Event
from jwt_wsgi.events import KeyMissed
from jwt_wsgi.key_sources.facts import KeyFetch
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.remote import RemoteKeys
from jwt_wsgi.keys import KeySet

#: The kid each reader asks for: held from the start, published meanwhile, nobody's.
READERS = {"read a": "a", "read b": "b", "read x": "x"}
LEASE = 6.001 + 36.0  # the fetch is lost, and the longest back-off of one failure is over
BODIES = {1: document("ab"), 2: document("abc")}
SETS = {number: KeySet.parse(body) for number, body in BODIES.items()}


class Signal:
    """An event whose waiters are woken one after the other, in their order."""

    def __init__(self, stage: "Stage") -> None:
        self._stage, self._set = stage, False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        stage = self._stage
        if not self._set and timeout:
            until = stage.now + timeout
            while not self._set and stage.now < until:
                stage.pause(self)
        return self._set


class Stage:
    """One run: ``fates`` says which fetches succeed.

    ``split``: a reader is one that may be overtaken between its look at the set and its turn.
    """

    def __init__(self, age: float | None, fates: tuple[bool, bool], *, split: bool = False) -> None:
        self.main = greenlet.getcurrent()
        self.now = 1000.0
        self.split = split
        self.readers = {n: k for n, k in READERS.items() if not split or k != "x"}
        self.looked: dict[str, greenlet.greenlet] = {}
        self.fates = dict(enumerate(fates, 1))
        self.ready: dict[int, greenlet.greenlet] = {}  # launched fetches, not begun
        self.started: dict[int, greenlet.greenlet] = {}
        self.running: dict[int, greenlet.greenlet] = {}
        self.waiting: list[tuple[greenlet.greenlet, Signal]] = []
        self.answers: dict[str, int] = {}
        self.waited: dict[str, float] = {}
        self.first = 0
        self.body = document("a")
        self.keys = RemoteKeys(
            "https://issuer.example",
            jwks_uri=URI,
            fetch=self._now if age is not None else self._fetch,
            emit=self._emit,
            clock=lambda: self.now,
            wall_clock=lambda: self.now,
            random=lambda: 0.5,
            start_thread=self._start,
            make_event=self._make_event,
        )
        if age is not None:
            self.keys._start_thread = lambda run: run()
            assert self.keys.warm_up()
            self.keys._start_thread, self.keys._loader._fetch = self._start, self._fetch
            self.now += age
            self.first = 1
        self.brought: list[int] = []
        self.seen = self.keys._facts

    def _make_event(self) -> Signal:
        """What a request does last before its turn."""
        me = greenlet.getcurrent()
        if self.split and me is not self.main:
            self.looked[f"turn of {len(self.waited)}"] = me
            self.main.switch()
        return Signal(self)

    def _emit(self, event: Event) -> None:
        self._check_lock()
        snapshot = self.keys._facts.snapshot
        if isinstance(event, KeyMissed) and snapshot:
            assert event.kid.strip("'") not in snapshot.keyset

    def _now(self, *_: Any, **__: Any) -> Fetched:
        return Fetched(self.body, None, None)

    def _start(self, run: Any) -> None:
        self._check_lock()
        self.ready[self._last] = greenlet.greenlet(run, self.main)

    @property
    def _last(self) -> int:
        """Number of the last fetch that started, from one."""
        return self.keys._facts.started - self.first

    def _fetch(self, *_: Any, **__: Any) -> Fetched:
        me, number = greenlet.getcurrent(), self._last  # the last one, if it is flown inline
        number = next((n for n, fetch in self.started.items() if fetch is me), number)
        self.running[number] = me
        self._check_lock()
        self.main.switch()
        if not self.fates.get(number, True):
            raise FetchError("http", "down")
        self.brought.append(number)
        return Fetched(BODIES.get(number, BODIES[2]), None, None)

    def pause(self, signal: Signal) -> None:
        self._check_lock()
        self.waiting.append((greenlet.getcurrent(), signal))
        self.main.switch()

    # steps

    def possible(self) -> Iterator[str]:
        yield from (name for name in self.readers if name not in self.waited)
        yield from self.looked
        yield from (f"start {number}" for number in self.ready)
        yield from (f"end {number}" for number in self.running)
        if self.keys._facts.fetch is not None:
            yield "lease"

    def do(self, step: str) -> None:
        self.now += 0.001 if self.split else 0.0  # who came first is known by the clock
        if step in self.looked:
            self.looked.pop(step).switch()
        elif step in READERS:
            self.waited[step] = 0.0
            greenlet.greenlet(self._read, self.main).switch(step)
        elif step.startswith("start"):
            number = int(step[6:])
            self.started[number] = self.ready.pop(number)
            self.started[number].switch()
        elif step == "lease":
            self.now += LEASE
        else:
            self.running.pop(int(step[4:])).switch()
        self._wake()
        self._check()

    def _read(self, name: str) -> None:
        began, kid = self.now, READERS[name]
        try:
            header = {"alg": "EdDSA", "kid": kid}
            found = any(owner(key) == kid for key in self.keys.candidates(header))
            self.answers[name] = 200 if found else 401
        except (KeysUnavailableError, KeyNotKnownYetError) as error:
            self.answers[name] = error.status
        self.waited[name] = self.now - began

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for sleeper, _ in waiting:
            sleeper.switch()

    def finish(self) -> None:
        """Whatever is under way comes to its end."""
        for step in list(self.looked):
            self.do(step)
        while self.ready:
            self.do(f"start {min(self.ready)}")
        for number in list(self.running):
            self.do(f"end {number}")
        self.now += LEASE
        self._wake()
        self._check()

    # what is always true

    def _check_lock(self) -> None:
        assert not self.keys._process_lock().locked()

    def _check(self) -> None:
        self._check_lock()
        before, now = self.seen, self.keys._facts
        assert now.accepted >= before.accepted
        assert now.started - now.accepted >= 0
        if before.snapshot:
            assert now.snapshot
            assert now.snapshot.start >= before.snapshot.start
        threads = len(self.running) + len(self.ready)
        assert threads <= 1 + len(now.lost)
        assert len(now.lost) <= 2
        assert all(isinstance(fetch, KeyFetch) for fetch in now.lost)
        self.seen = now


def replay(begin: Callable[[], Stage], steps: tuple[str, ...]) -> Stage:
    stage = begin()
    for step in steps:
        stage.do(step)
    return stage


def orders(
    begin: Callable[[], Stage], leases: int, steps: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Stage]]:
    """Every complete run, depth first; ``leases``: fetches that are given up in it."""
    stage = replay(begin, steps)
    possible = [s for s in stage.possible() if s != "lease" or steps.count("lease") < leases]
    for step in possible:
        yield from orders(begin, leases, (*steps, step))
    if not possible:
        yield steps, stage


def check_end(age: float | None, stage: Stage) -> None:
    stage.finish()
    assert set(stage.answers) == set(stage.readers)
    assert not stage.waiting
    assert stage.answers.get("read x", 401) in (401, 429, 503)
    if age is not None and age < 600:
        assert stage.answers["read a"] == 200
        assert stage.split or stage.waited["read a"] == 0.0
    if age is not None:  # idle waits, but an outage of the issuer is nobody's 503
        assert stage.answers["read a"] == 200
    snapshot = stage.keys._facts.snapshot
    if stage.brought:  # the set of the fetch that started last among those that brought one
        assert snapshot
        assert snapshot.keyset.digest == SETS[min(max(stage.brought), 2)].digest
    else:
        assert (snapshot is None) == (age is None)
    assert not stage.keys._facts.lost


def check_recovery(stage: Stage) -> None:
    """Whatever came before: when the issuer answers, a request or two later all is well."""
    stage.fates, stage.split = {}, False
    stage.now += 1000.0
    for _ in range(2):
        stage.waited.clear()
        stage.answers.clear()
        stage.do("read a")
        stage.finish()
    assert stage.keys.ready
    assert stage.answers == {"read a": 200}
    assert stage.keys._facts.fails == 0


@pytest.mark.slow
@pytest.mark.parametrize("fates", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("age", [None, 301.0, 601.0], ids=["cold", "due", "idle"])
def test_every_order(age: float | None, fates: tuple[bool, bool]) -> None:
    """No order loses a reader, a lock, a newer set or the way back to health."""
    runs = 0
    for _, stage in orders(lambda: Stage(age, fates), leases=1):
        check_end(age, stage)
        check_recovery(stage)
        runs += 1

    assert runs > 100


@pytest.mark.parametrize("age", [None, 301.0, 601.0], ids=["cold", "due", "idle"])
def test_every_order_in_which_a_request_is_overtaken(age: float | None) -> None:
    """And nobody fetches for a key that came between a request's look at the set and its turn."""
    runs = 0
    for _, stage in orders(lambda: Stage(age, (True, True), split=True), leases=1):
        check_end(age, stage)
        check_recovery(stage)
        runs += 1

    assert runs > 100
