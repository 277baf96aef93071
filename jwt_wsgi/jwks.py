"""Remote keys: an immutable key set that short-lived fetches replace as a whole.

First the policy, pure, without threads, time or chance of its own: :class:`Facts` is all that
counts, :func:`decide` is the table of states and events, and the functions after it say what
an event makes of the facts. Then the mechanism, :class:`RemoteKeys`, which asks the policy and
runs the fetches. Its lock is held over the exchange of one tuple, never across I/O or a callback.
"""

import math
import os
import random
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import Protocol
from urllib.parse import urlsplit

from . import events
from .discovery import Located
from .discovery import locate
from .errors import KeysUnavailableError
from .errors import printable
from .events import Emit
from .events import Event
from .fetch import Fetch
from .fetch import Fetched
from .fetch import FetchError
from .jose import Key
from .keys import DocumentError
from .keys import KeySet

WAIT: Final = 2.0  # seconds that a request waits for an unknown kid, from the flight's start
HOPE_AFTER: Final = 30.0  # nobody tried for so long: the next flight may be waited for again
LEASE_SLACK: Final = 1.0  # beyond its deadline a flight is lost
STUCK_LIMIT: Final = 2  # lost threads still alive (name resolution can hang for minutes)
STUCK_PAUSE: Final = 900.0
COLD_BACKOFF: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # somebody is waiting
WARM_BACKOFF: Final = (5.0, 10.0, 20.0, 40.0, 60.0)  # nobody is
MAX_RETRY_AFTER: Final = 300.0
PENALTY: Final = (30.0, 300.0)  # one wrong kid, again and again: doubling
MAX_PENALTIES: Final = 256
REDISCOVER_AFTER: Final = 86400.0
MOST_TOLD: Final = 20  # dropped members of one set
STALE_MARKS: Final = (50, 75, 90)  # percent of max_stale
NEVER: Final = float("-inf")


# --- Policy ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Policy:
    """How long keys are fresh, due, stale; all in seconds."""

    refresh_after: float = 300.0
    max_age: float = 600.0
    max_stale: float = 86400.0
    cooldown: float = 30.0
    timeout: float = 5.0

    def problems(self) -> list[str]:
        """What does not fit together, each with its remedy. NaN fits nowhere."""
        told = []
        if not 1 <= self.max_age < math.inf:
            told.append("jwks_max_age: at least 1 s")
        elif not 1 <= self.refresh_after <= self.max_age:
            told.append("jwks_refresh_after: from 1 s to jwks_max_age")
        if self.max_stale != 0 and not self.max_age <= self.max_stale < math.inf:
            told.append("jwks_max_stale: at least jwks_max_age; 0 for no stale keys at all")
        if not 1 <= self.cooldown < math.inf:
            told.append("jwks_cooldown: at least 1 s, or strangers could make us fetch at will")
        if not 0.1 <= self.timeout <= 60:  # noqa: PLR2004
            told.append("jwks_timeout: from 0.1 s to 60 s, and below your server's time-out")
        return told

    @property
    def dead_after(self) -> float:
        """The age at which keys are used no longer, whatever happens."""
        return max(self.max_stale, self.max_age)

    @property
    def lease(self) -> float:
        """How long after its start a flight that did not report back is lost."""
        return self.timeout + LEASE_SLACK


class Ended(Protocol):
    """What we need of a :class:`threading.Event`."""

    def set(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Snapshot(NamedTuple):
    """A key set and when it was true: ``start`` of the fetch that brought or confirmed it."""

    keyset: KeySet
    start: float
    soft: float
    etag: str | None
    uri: str


@dataclass(eq=False, slots=True)
class Flight:
    """One fetch under way. ``reason``: cold, scheduled, forced (unknown kid) or manual."""

    serial: int
    start: float
    reason: str
    hopeful: bool
    kid: str
    ended: Ended
    began: bool = False  # its thread does run
    ok: bool = False

    @property
    def forced(self) -> bool:
        return self.reason == "forced"


class Loaded(NamedTuple):
    """What a flight brought; ``confirms``: the set that a 304 says is still the one."""

    keyset: KeySet
    etag: str | None
    uri: str
    date: float | None = None
    confirms: KeySet | None = None


class Failure(NamedTuple):
    """How the last failed flight ended."""

    at: float
    kind: str
    detail: str
    seconds: float
    pause: float


class Facts(NamedTuple):
    """Everything that decides, replaced as a whole; the states of KEYS 7.3 follow from it."""

    snapshot: Snapshot | None = None
    flight: Flight | None = None
    lost: frozenset[Flight] = frozenset()  # over, though their threads may be alive
    departed: int = 0  # serial of the last flight
    accepted: int = 0  # results of flights up to this one change nothing any more
    fails: int = 0
    failing_since: float = 0.0
    not_before: float = NEVER
    forced_end: float = NEVER
    success: float | None = None
    failure: Failure | None = None
    generation: int = 0
    reported: bool = False  # some flight of this process came back: threads do run here
    inline: bool = False
    closed: bool = False


class Then(Enum):
    """What a request does next."""

    SERVE = "verify with the set in hand"
    WAIT = "wait for the flight"
    ABSENT = "the key is not to be found: 401"
    UNAVAILABLE = "it cannot be known: 503"


class Start(Enum):
    """What is started."""

    NOTHING = "nothing"
    SCHEDULED = "a scheduled flight"
    FORCED = "a flight for an unknown kid"


def usable(facts: Facts, now: float, policy: Policy) -> Snapshot | None:
    """The snapshot, unless there is none or it is dead."""
    snapshot = facts.snapshot
    return snapshot if snapshot and now - snapshot.start < policy.dead_after else None


def earliest(facts: Facts) -> float:
    """When the next flight may start: after the back-off, and later while threads are stuck."""
    if len(facts.lost) < STUCK_LIMIT:
        return facts.not_before
    return max(facts.not_before, max(flight.start for flight in facts.lost) + STUCK_PAUSE)


def is_hopeful(facts: Facts, now: float) -> bool:
    """A flight that starts now may be waited for (rule W)."""
    return not facts.fails or now - earliest(facts) >= HOPE_AFTER


def is_idle(facts: Facts, snapshot: Snapshot, now: float, policy: Policy) -> bool:
    """Nobody asked for so long that held keys are confirmed before use."""
    return now - snapshot.start >= policy.max_age and not facts.fails


def calm(facts: Facts, policy: Policy) -> tuple[KeySet | None, float]:
    """The set for known kids, and until when it is served without a thought: rows 8, 14, 22, 29."""
    if (snapshot := facts.snapshot) is None:
        return None, NEVER
    dead = snapshot.start + policy.dead_after
    if facts.closed:
        return snapshot.keyset, dead
    if facts.flight is not None:
        hard = math.inf if facts.fails else snapshot.start + policy.max_age
        return snapshot.keyset, min(dead, hard, facts.flight.start + policy.lease)
    return snapshot.keyset, min(dead, max(earliest(facts), NEVER if facts.fails else snapshot.soft))


def state(facts: Facts, now: float, policy: Policy) -> str:
    """The name of KEYS 7.3 for all this."""
    snapshot, waiting = usable(facts, now, policy), now < earliest(facts)
    if facts.closed:
        return "CLOSED"
    if snapshot is None:
        return "COLD-FLIGHT" if facts.flight else "COLD-WAIT" if waiting else "COLD"
    if facts.flight:
        return "REFRESHING"
    if facts.fails:
        return "DEGRADED" if waiting else "DUE"
    if is_idle(facts, snapshot, now, policy):
        return "IDLE"
    return "DUE" if now >= snapshot.soft else "FRESH"


def decide(
    facts: Facts,
    now: float,
    policy: Policy,
    *,
    known: bool,
    final: bool = False,
    penalised: bool = False,
) -> tuple[Start, Then]:
    """The table of KEYS 7.4; numbers are its rows. ``known``: a key for the token is in hand.

    ``final``: the set was fetched after the token arrived; ``penalised``: its kid missed lately.
    """
    snapshot = usable(facts, now, policy)
    if facts.closed:  # 29
        return Start.NOTHING, Then.SERVE if known and snapshot else Then.UNAVAILABLE
    if snapshot is None:
        return _cold(facts, now)
    if known:
        return _known(facts, now, snapshot, policy)
    return _unknown(
        facts, now, barred=penalised or now - facts.forced_end < policy.cooldown, final=final
    )


def _cold(facts: Facts, now: float) -> tuple[Start, Then]:
    if facts.flight:  # 2
        return Start.NOTHING, _wait_if(facts.flight.hopeful)
    if now < earliest(facts):  # 6
        return Start.NOTHING, Then.UNAVAILABLE
    return Start.SCHEDULED, _wait_if(is_hopeful(facts, now))  # 1


def _known(facts: Facts, now: float, snapshot: Snapshot, policy: Policy) -> tuple[Start, Then]:
    then = Then.WAIT if is_idle(facts, snapshot, now, policy) else Then.SERVE
    if facts.flight:  # 14, 14i
        return Start.NOTHING, then
    if now >= earliest(facts) and (now >= snapshot.soft or facts.fails):  # 13, 13i
        return Start.SCHEDULED, then
    return Start.NOTHING, Then.SERVE  # 8, 22


def _unknown(facts: Facts, now: float, *, barred: bool, final: bool) -> tuple[Start, Then]:
    if facts.flight:  # 15
        return Start.NOTHING, _wait_if(facts.flight.hopeful)
    early = now < earliest(facts)
    if facts.fails:  # 23, 13u
        return (
            (Start.NOTHING, Then.UNAVAILABLE)
            if early
            else (Start.SCHEDULED, _wait_if(is_hopeful(facts, now)))
        )
    if final or barred or early:  # 9, 11
        return Start.NOTHING, Then.ABSENT
    return Start.FORCED, Then.WAIT  # 10


def _wait_if(hopeful: bool) -> Then:  # noqa: FBT001  # reads as a sentence
    return Then.WAIT if hopeful else Then.UNAVAILABLE


# What an event makes of the facts. ``luck``: from 0 to 1, the one thing that is not decided.


def departed(facts: Facts, now: float, reason: str, ended: Ended, kid: str = "") -> Facts:
    """Rows 1, 10, 13, 27: a flight starts. What an operator started may be waited for."""
    hopeful = reason == "manual" or is_hopeful(facts, now)
    flight = Flight(facts.departed + 1, now, reason, hopeful, kid, ended)
    return facts._replace(flight=flight, departed=flight.serial)


def overdue(facts: Facts, now: float, policy: Policy, luck: float) -> Facts:
    """Rows 20 and 25: what the clock alone has done since somebody looked."""
    flight = facts.flight
    if flight is not None and now >= (over := flight.start + policy.lease):
        lost = facts.lost | {flight}
        facts = facts._replace(
            lost=lost, inline=facts.inline or not (facts.reported or flight.began)
        )
        facts = failed(
            facts, flight, FetchError("lost", "it did not report back"), over, policy, luck
        )
    if facts.snapshot is not None and usable(facts, now, policy) is None:
        soon = now + COLD_BACKOFF[-1]
        facts = facts._replace(snapshot=None, not_before=min(facts.not_before, soon))
    return facts


def landed(
    facts: Facts,
    flight: Flight,
    result: Loaded | FetchError,
    now: float,
    policy: Policy,
    luck: float,
) -> Facts:
    """Rows 3, 4, 16, 17, 19, 21: a flight reports back, in time or late."""
    in_time = flight is facts.flight
    facts = facts._replace(lost=facts.lost - {flight}, reported=True)
    if in_time:
        facts = facts._replace(flight=None)
    if isinstance(result, Loaded) and flight.serial <= facts.accepted:
        return facts  # the set in hand is of a later flight, or this one began before a purge
    held = facts.snapshot.keyset if facts.snapshot else None
    if isinstance(result, Loaded) and result.confirms in (None, held):
        return succeeded(facts, flight, result, now, policy, luck)
    if not in_time:  # it was counted when it was lost
        return facts
    if isinstance(result, Loaded):
        result = FetchError("http", "status 304 for a set we hold no longer", status=304)
    return failed(facts, flight, result, now, policy, luck)


def succeeded(
    facts: Facts, flight: Flight, loaded: Loaded, now: float, policy: Policy, luck: float
) -> Facts:
    """Swap the snapshot; an equal set goes on as the object it is, with all that hangs on it."""
    old, keyset = facts.snapshot, loaded.keyset
    same = old is not None and old.keyset.digest == keyset.digest
    if old is not None and same:
        keyset = old.keyset
    soft = flight.start + policy.refresh_after * (0.8 + 0.2 * luck)
    return facts._replace(
        snapshot=Snapshot(keyset, flight.start, soft, loaded.etag, loaded.uri),
        accepted=flight.serial,
        fails=0,
        not_before=NEVER,
        forced_end=now if flight.forced else facts.forced_end,
        success=now,
        generation=facts.generation + (not same),
    )


def failed(
    facts: Facts, flight: Flight, error: FetchError, at: float, policy: Policy, luck: float
) -> Facts:
    """Rows 4 and 19: count it, and wait before the next."""
    fails, warm = facts.fails + 1, usable(facts, at, policy) is not None
    pause = backoff(fails, warm=warm) * (0.8 + 0.4 * luck)
    pause = max(pause, min(error.retry_after or 0.0, MAX_RETRY_AFTER))
    return facts._replace(
        flight=None,
        fails=fails,
        failing_since=facts.failing_since if facts.fails else at,
        not_before=at + pause,
        forced_end=at if flight.forced else facts.forced_end,
        failure=Failure(at, error.kind, error.detail, at - flight.start, pause),
    )


def backoff(fails: int, *, warm: bool) -> float:
    """Seconds until the next attempt after that many failures in a row, without jitter."""
    steps = WARM_BACKOFF if warm else COLD_BACKOFF
    return steps[min(fails, len(steps)) - 1]


def forked(facts: Facts, policy: Policy, luck: float) -> Facts:
    """Row 26: keys and failures stay, threads do not; each child refreshes at a time of its own."""
    facts = facts._replace(flight=None, lost=frozenset(), reported=False, inline=False)
    if (snapshot := facts.snapshot) is None:
        return facts
    soft = snapshot.start + policy.refresh_after * (0.8 + 0.2 * luck)
    return facts._replace(snapshot=snapshot._replace(soft=soft))


def purged(facts: Facts) -> Facts:
    """Row 28: no key is left, and a flight that began before may not bring them back."""
    lost = facts.lost | {facts.flight} if facts.flight else facts.lost
    return facts._replace(
        snapshot=None, flight=None, lost=lost, accepted=facts.departed, not_before=NEVER
    )


def news(source: str, before: Facts, after: Facts, now: float, policy: Policy) -> Iterator[Event]:
    """What is worth telling of the step from one to the other."""
    old, new = before.snapshot, after.snapshot
    failure = None if after.failure is before.failure else after.failure
    if failure and failure.kind == "lost" and (after.fails == 1 or after.inline > before.inline):
        yield events.FlightLost(source, after.inline)
    if failure:
        age = failure.at - old.start if old else None
        yield events.RefreshFailed(
            source, *failure[1:3], int(1000 * failure.seconds), after.fails, age, failure.pause
        )
        if age is not None:
            yield from _staleness(source, before, age, policy)
    if old and not new:
        yield events.KeysExpired(source)
    if new and after.accepted != before.accepted:
        if before.fails:
            yield events.Recovered(source, now - before.failing_since)
        yield from _arrival(source, old, new, now)


def _staleness(source: str, before: Facts, age: float, policy: Policy) -> Iterator[Event]:
    def mark(seconds: float) -> int:
        return max((m for m in STALE_MARKS if seconds >= policy.dead_after * m / 100), default=0)

    last = before.failure.at if before.failure and before.fails else NEVER
    told = mark(last - before.snapshot.start) if before.snapshot else 0
    if mark(age) > told:
        yield events.KeysStale(source, mark(age), policy.dead_after - age)


def _arrival(source: str, old: Snapshot | None, new: Snapshot, now: float) -> Iterator[Event]:
    if old and old.keyset is new.keyset:
        yield events.KeysConfirmed(source)
        return
    kids = set(new.keyset.kids)
    if old is None:
        yield events.KeysLoaded(source, new.keyset.kids, int(1000 * (now - new.start)))
    else:
        gone = set(old.keyset.kids)
        added, removed = tuple(sorted(kids - gone)), tuple(sorted(gone - kids))
        yield events.KeysChanged(source, added, removed, new.keyset.digest)
    leaks_first = sorted(new.keyset.dropped, key=lambda dropped: not dropped.private)
    for kid, reason, private in leaks_first[:MOST_TOLD]:
        told = events.PrivateKeyPublished(source, kid) if private else None
        yield told or events.KeyDropped(source, kid, reason)


class Penalties:
    """Kids that a forced fetch did not bring: each is not fetched for again for a while."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}

    def hold(self, kid: str, now: float) -> bool:
        return now < self._until.get(kid, (NEVER, 0.0))[0]

    def add(self, kid: str, now: float) -> None:
        _, delay = self._until.pop(kid, (NEVER, PENALTY[0] / 2))
        delay = min(2 * delay, PENALTY[1])
        self._until[kid] = now + delay, delay
        if len(self._until) > MAX_PENALTIES:
            del self._until[next(iter(self._until))]

    def clear(self) -> None:
        self._until.clear()

    def __len__(self) -> int:
        return len(self._until)


# --- Mechanism ---------------------------------------------------------------------------------


def _boottime() -> float:
    """Seconds that also pass while the machine sleeps: 24 h must be 24 h."""
    return time.clock_gettime(_CLOCK)


_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


_CHANCE: Final = random.SystemRandom().random  # needs no seed after a fork


def _make_event() -> Ended:
    return threading.Event()


def _start_thread(run: Callable[[], None]) -> None:
    # Looked up at the call: gevent may patch after import, and after a source was made.
    threading.Thread(target=run, name="jwt_wsgi.jwks", daemon=True).start()


class RemoteKeys:
    """The keys of one issuer, fetched when a request needs them.

    A request whose key is held never waits for the network; only the first one after
    ``max_age`` of silence does, so that a revoked key does not wake up with the worker.
    """

    def __init__(
        self,
        issuer: str,
        *,
        jwks_uri: str | None = None,
        fetch: Fetch,
        policy: Policy = Policy(),  # frozen
        emit: Emit,
        leeway: float = 30.0,
        allow_http: bool = False,
        max_keys: int = 1024,
        clock: Callable[[], float] = _boottime,
        wall_clock: Callable[[], float] = time.time,
        random: Callable[[], float] = _CHANCE,
        start_thread: Callable[[Callable[[], None]], None] = _start_thread,
        make_event: Callable[[], Ended] = _make_event,
    ) -> None:
        self._issuer, self._jwks_uri = issuer, jwks_uri
        self._source = _told(jwks_uri or issuer)
        self._fetch, self.policy, self._emit = fetch, policy, emit
        self._leeway, self._allow_http, self._max_keys = leeway, allow_http, max_keys
        self._clock, self._wall_clock, self._random = clock, wall_clock, random
        self._start_thread, self._make_event = start_thread, make_event
        self._located: tuple[Located, float] | None = None
        self._penalties = Penalties()
        self._stats: Counter[str] = Counter()
        self._maxima: dict[str, float] = {}
        self._pid = os.getpid()
        self._locks = {self._pid: threading.Lock()}
        self._keep(Facts())
        _sources.add(self)

    def _keep(self, facts: Facts) -> None:
        self._facts = facts
        self._calm = calm(facts, self.policy)

    # -- reading --

    def candidates(self, header: Mapping[str, Any]) -> Iterator[Key]:
        """Yield the keys that fit, after what fetching the table allows.

        A signature that fails under a known kid fetches nothing; a token without kid whose
        candidates all fail goes on as one with an unknown kid.
        """
        arrival = self._clock()
        kid: str | None = header.get("kid")
        tried, calm_until = self._calm
        if arrival >= calm_until:
            tried = self._held(arrival)
        if tried is not None and (kid in tried if kid is not None else tried.find(header)):
            if arrival >= calm_until:
                tried = self._in_use(arrival)
            if tried is not None:
                yield from tried.find(header)
                if kid is not None:
                    return
        found = self._seek(arrival, kid or "", tried)
        if found is not tried:
            yield from found.find(header)

    def current(self) -> KeySet | None:
        """The set in use now, or None; asking for it refreshes it as a request of a known kid."""
        now = self._clock()
        keyset, calm_until = self._calm
        return keyset if now < calm_until else self._in_use(now)

    def _held(self, now: float) -> KeySet | None:
        snapshot = usable(self._facts, now, self.policy)
        return snapshot.keyset if snapshot else None

    def _in_use(self, now: float) -> KeySet | None:
        """For a known kid: rows 8, 13, 14, 22. What was held goes on if the issuer fails."""
        if self._held(now) is None:
            return None
        then, flight, _ = self._ask(now, known=True)
        if then is Then.WAIT and flight is not None:
            self._wait(flight, self.policy.timeout)
        return self._held(self._clock())

    def _seek(self, arrival: float, kid: str, tried: KeySet | None) -> KeySet:
        """For anything else: rows 1 to 6, 9 to 11, 15, 23. Raises KeysUnavailableError."""
        then, flight, cold = self._ask(arrival, kid, known=False, tried=tried)
        if then is Then.WAIT and flight is not None:
            patience = self.policy.timeout if cold else min(WAIT, self.policy.timeout)
            then = Then.SERVE if self._wait(flight, patience) else Then.UNAVAILABLE
        keyset = self._held(self._clock())  # also where it is ABSENT: it may have come just now
        if then is Then.UNAVAILABLE or keyset is None:
            raise self._unavailable()
        return keyset

    def _ask(
        self, arrival: float, kid: str = "", *, known: bool, tried: KeySet | None = None
    ) -> tuple[Then, Flight | None, bool]:
        """Ask the policy and start what it says; also whether no set was usable.

        ``tried``: where the caller looked. A flight may have landed since, with the very key.
        """
        lock, luck, ended, now = self._lock(), self._random(), self._make_event(), self._clock()
        with lock:
            before = self._facts
            facts = self._overdue(before, now, luck)
            snapshot = facts.snapshot
            if snapshot is not None and snapshot.keyset is not tried:
                known = known or not kid or kid in snapshot.keyset
            start, then = decide(
                facts,
                now,
                self.policy,
                known=known,
                final=snapshot is not None and snapshot.start >= arrival,
                penalised=self._penalties.hold(kid, now),
            )
            if start is not Start.NOTHING:
                facts = departed(facts, now, _reason(start, snapshot), ended, kid)
            self._keep(facts)
        self._count_miss(start, then, known=known or snapshot is None)
        self._go_on(before, facts, now)
        return then, facts.flight, snapshot is None

    def _overdue(self, facts: Facts, now: float, luck: float) -> Facts:
        facts = overdue(facts, now, self.policy, luck)
        return facts._replace(closed=True) if sys.is_finalizing() else facts

    def _wait(self, flight: Flight, patience: float) -> bool:
        began = self._clock()
        flight.ended.wait(max(0.0, flight.start + patience - began))
        self._stats["waits"] += 1
        self._maximum("wait_seconds_max", self._clock() - began)
        return flight.ok

    def _unavailable(self) -> KeysUnavailableError:
        facts = self._facts
        self._stats["unavailable"] += 1
        self._emit(events.KeysUnavailable(self._source))
        rest = 1.0 if facts.flight else earliest(facts) - self._clock()
        failure = facts.failure
        why = f"{failure.kind}: {failure.detail}" if failure else "no answer yet"
        return KeysUnavailableError(max(1.0, rest), f"keys of {self._source}: {why}")

    def _lock(self) -> threading.Lock:
        """The lock of this process. A fork leaves one behind that somebody may hold for ever.

        The hook below is not enough: uWSGI runs none. ``setdefault`` lets one thread win.
        """
        pid = os.getpid()
        if pid == self._pid:
            return self._locks[pid]
        lock, luck = self._locks.setdefault(pid, threading.Lock()), self._random()
        with lock:
            if pid != self._pid:
                self._keep(forked(self._facts, self.policy, luck))
                self._pid = pid
        return lock

    # -- flights --

    def _go_on(self, before: Facts, facts: Facts, now: float) -> None:
        """Launch what was decided and tell what happened, now that no lock is held.

        A thread goes first: a hook that is slow, or ends its request, takes no flight along.
        """
        flight = facts.flight if facts.departed != before.departed else None
        if flight is not None and not facts.inline:
            self._launch(flight)
        for event in news(self._source, before, facts, now, self.policy):
            self._emit(event)
        if flight is not None and flight.forced:
            self._emit(events.KeyMissed(self._source, printable(flight.kid)))
        if flight is not None and facts.inline:
            self._fly(flight)

    def _launch(self, flight: Flight) -> None:
        try:
            self._start_thread(lambda: self._fly(flight))
        except RuntimeError as error:  # 30: no thread to be had
            if flight.reason == "scheduled":
                self._land(flight, FetchError("lost", f"no thread to be had ({error})"))
            else:
                self._fly(flight)

    def _fly(self, flight: Flight) -> None:
        flight.began = True
        result: Loaded | FetchError = FetchError("lost", "the fetch was ended from outside")
        try:
            result = self._load(flight)
        except FetchError as error:
            result = error
        except DocumentError as error:
            result = FetchError("document", str(error))
        except Exception as error:  # a bug of a fetch function is an outage, not a dead refresh
            result = FetchError("broken", type(error).__name__)
        finally:
            self._land(flight, result)

    def _land(self, flight: Flight, result: Loaded | FetchError) -> None:
        lock, luck, now = self._lock(), self._random(), self._clock()
        with lock:
            before = self._facts
            facts = landed(before, flight, result, now, self.policy, luck)
            if facts.generation != before.generation:
                self._penalties.clear()
            if flight.forced and _missed(flight, facts):  # 18
                self._penalties.add(flight.kid, now)
            self._keep(facts)
            flight.ok = facts.snapshot is not None and facts.accepted >= flight.serial
        flight.ended.set()
        self._count_flight(flight, result, now)
        self._go_on(before, facts, now)
        self._check_clock(result)

    def _load(self, flight: Flight) -> Loaded:
        located = self._locate(flight)
        answer, facts = located.document, self._facts
        held, etag = facts.snapshot, None
        # After a failure the whole set is asked for: it may be the condition that fails.
        if held and held.uri == located.jwks_uri and _is_routine(flight) and not facts.fails:
            etag = held.etag
        if answer is None:
            found = self._get(located.jwks_uri, etag, flight)
            if not isinstance(found, Fetched):
                if held is None or etag is None:
                    raise FetchError("http", "status 304 without a condition", status=304)
                return Loaded(held.keyset, etag, held.uri, found.date, confirms=held.keyset)
            answer = found
        keyset = KeySet.parse(answer.body, max_keys=self._max_keys)
        _ = keyset.digest  # made here, not where the lock is held
        return Loaded(keyset, answer.etag, located.jwks_uri, answer.date)

    def _get(self, url: str, etag: str | None, flight: Flight) -> Any:
        try:
            return self._fetch(
                url, etag=etag, no_cache=not _is_routine(flight), timeout=self._left(flight)
            )
        except FetchError as error:
            if error.status in (404, 410) and self._located is not None:
                self._located = self._located[0], NEVER  # ask again where they are
            raise

    def _left(self, flight: Flight, share: float = 1.0) -> float:
        seconds = flight.start + share * self.policy.timeout - self._clock()
        if seconds <= 0:
            raise FetchError("timeout", "the deadline is over")
        return seconds

    def _locate(self, flight: Flight) -> Located:
        if self._jwks_uri is not None:
            return Located(self._jwks_uri, "jwks_uri")
        remembered, read = self._located or (None, NEVER)
        if remembered is not None and self._clock() - read < REDISCOVER_AFTER:
            return remembered
        try:
            located = locate(
                self._issuer,
                fetch=self._fetch,
                # Half of the time is left for the keys, should only the metadata be out of reach.
                left=lambda: self._left(flight, 0.5 if remembered else 1.0),
                remembered=remembered,
                allow_http=self._allow_http,
                no_cache=not _is_routine(flight),
            )
        except FetchError:
            if remembered is None:
                raise
            return remembered
        self._located = located._replace(document=None), self._clock()
        if remembered is None or remembered.jwks_uri != located.jwks_uri:
            self._emit(events.KeysFound(self._source, _told(located.jwks_uri), located.found_by))
        return located

    def _check_clock(self, result: Loaded | FetchError) -> None:
        if isinstance(result, Loaded) and result.date is not None:
            skew = self._wall_clock() - result.date
            if abs(skew) > max(self._leeway, 1.0):  # a Date has whole seconds
                self._emit(events.ClockSkewed(self._source, skew))

    # -- what operators do --

    def warm_up(self, timeout: float = 5.0, *, raises: bool = False) -> bool:
        """Load the keys before serving; True if they are here within ``timeout`` seconds.

        Costs nothing when they are, and keeps to the back-off when they were not to be had, so
        that a readiness probe may call it. ``raises``: :class:`KeysUnavailableError`, not False.
        """
        if not self.ready:
            _, flight, _ = self._ask(self._clock(), known=True)
            if flight is not None:
                flight.ended.wait(min(timeout, self.policy.lease))
        if raises and not self.ready:
            raise self._unavailable()
        return self.ready

    def refresh(self) -> bool:
        """Fetch now, whatever cooldown and back-off say; True if the issuer answered (row 27)."""
        lock, luck, ended, now = self._lock(), self._random(), self._make_event(), self._clock()
        with lock:
            before = self._facts
            facts = self._overdue(before, now, luck)
            if not (facts.closed or facts.flight):
                facts = departed(facts, now, "manual", ended)
            self._keep(facts)
        self._go_on(before, facts, now)
        if facts.flight is None:
            return False
        facts.flight.ended.wait(self.policy.timeout)
        return facts.flight.ok

    def purge(self) -> None:
        """Forget every key, at once: the answer to a stolen signing key (row 28).

        Not for a signal handler, which may have interrupted whoever holds the lock.
        """
        with self._lock():
            self._keep(purged(self._facts))
            self._penalties.clear()

    def close(self) -> None:
        """Fetch nothing ever again; held keys go on serving (row 29)."""
        with self._lock():
            self._keep(self._facts._replace(closed=True))

    @property
    def ready(self) -> bool:
        """Whether there is a usable set. A refresh that failed makes nobody unready."""
        return self._held(self._clock()) is not None

    @property
    def state(self) -> str:
        """The state of KEYS 7.3, derived from the data."""
        return state(self._facts, self._clock(), self.policy)

    def health(self) -> dict[str, Any]:
        """What is known, as a plain dict; no I/O and no lock. Times in seconds."""
        now, facts, policy = self._clock(), self._facts, self.policy
        snapshot, failure = usable(facts, now, policy), facts.failure
        return {
            "state": state(facts, now, policy),
            "ready": snapshot is not None,
            "keys": len(snapshot.keyset) if snapshot else 0,
            "kids": list(snapshot.keyset.kids[:20]) if snapshot else [],
            "sha256": snapshot.keyset.digest if snapshot else None,
            "generation": facts.generation,
            "age": now - snapshot.start if snapshot else None,
            "soft_in": snapshot.soft - now if snapshot else None,
            "dead_in": snapshot.start + policy.dead_after - now if snapshot else None,
            "last_success_ago": None if facts.success is None else now - facts.success,
            "last_failure_ago": now - failure.at if failure else None,
            "last_error": f"{failure.kind}: {failure.detail}" if failure else None,
            "fails": facts.fails,
            "next_attempt_in": max(0.0, earliest(facts) - now) if facts.fails else None,
            "in_flight": facts.flight is not None,
            "stuck": len(facts.lost),
            "inline": facts.inline,
            "pid": self._pid,
        }

    def stats(self) -> dict[str, int | float]:
        """Counters since this source was made, those of the parent included."""
        return {**self._stats, **self._maxima}

    def _count_miss(self, start: Start, then: Then, *, known: bool) -> None:
        if known:
            return
        outcome = "forced" if start is Start.FORCED else then.name.lower()
        self._stats[f"miss_{outcome}"] += 1

    def _count_flight(self, flight: Flight, result: Loaded | FetchError, now: float) -> None:
        kind = result.kind if isinstance(result, FetchError) else "ok"
        self._stats[f"fetch_{kind}"] += 1
        self._stats[f"fetch_{flight.reason}"] += 1
        self._maximum("fetch_seconds_max", now - flight.start)

    def _maximum(self, name: str, seconds: float) -> None:
        self._maxima[name] = max(seconds, self._maxima.get(name, 0.0))


def _is_routine(flight: Flight) -> bool:
    """Whether an answer out of a cache on the way will do: not where a new key is looked for."""
    return flight.reason in ("cold", "scheduled")


def _reason(start: Start, snapshot: Snapshot | None) -> str:
    if start is Start.FORCED:
        return "forced"
    return "scheduled" if snapshot else "cold"


def _missed(flight: Flight, facts: Facts) -> bool:
    arrived = facts.accepted == flight.serial and facts.snapshot is not None
    return arrived and flight.kid not in (facts.snapshot.keyset if facts.snapshot else ())


def _told(url: str) -> str:
    """A URL as people may read it in a log: without user-info and query."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, query="", fragment="").geturl()


#: Every source of this process, for the fork hook; there is no unregistering a hook.
_sources: Final["weakref.WeakSet[RemoteKeys]"] = weakref.WeakSet()


def _after_fork() -> None:
    for source in list(_sources):
        source._pid = 0  # noqa: SLF001
        source._locks.clear()  # noqa: SLF001
        source._lock()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
