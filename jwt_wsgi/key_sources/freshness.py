"""When remote keys are fresh, due or dead; who may fetch, and who waits: the policy, pure.

No thread, no I/O, no clock and no chance of its own. :class:`Facts` is all that counts,
:func:`decide` is the table of states and events (its numbers are the rows), the functions after
it say what an event makes of the facts, and :func:`news` what is worth telling of that.
:mod:`.jwks` is the mechanism that asks.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final
from typing import NamedTuple
from typing import Protocol

from jwt_wsgi import events
from jwt_wsgi.events import Event
from jwt_wsgi.keys import KeySet

from .fetch import FetchError

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
    took = int(1000 * (now - new.start))
    if old and old.keyset is new.keyset:
        yield events.KeysConfirmed(source, took)
        return
    kids = set(new.keyset.kids)
    if old is None:
        yield events.KeysLoaded(source, new.keyset.kids, took)
    else:
        gone = set(old.keyset.kids)
        added, removed = tuple(sorted(kids - gone)), tuple(sorted(gone - kids))
        yield events.KeysChanged(source, added, removed, new.keyset.digest, took)
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
