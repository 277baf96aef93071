"""Remote keys: an immutable key set that short-lived fetches replace as a whole.

First the policy, pure and without threads or time of its own: :func:`decide` is the table of
states and events. Then the mechanism, :class:`RemoteKeys`, which only walks it. State is never
stored; it follows from the data. The lock is never held across I/O, logging or a callback.
"""

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
from dataclasses import field
from enum import Enum
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import TypeAlias
from urllib.parse import urlsplit

from . import events
from .discovery import Located
from .discovery import locate
from .errors import KeysUnavailableError
from .events import Emit
from .events import Event
from .events import printable
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
BACKOFF_JITTER: Final = (0.8, 1.2)
SOFT_JITTER: Final = (0.8, 1.0)
MAX_RETRY_AFTER: Final = 300.0
PENALTY: Final = (30.0, 300.0)  # one wrong kid, again and again: doubling
MAX_PENALTIES: Final = 256
REDISCOVER_AFTER: Final = 86400.0
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
        """What does not fit together, each with its remedy."""
        told = []
        if not 1 <= self.refresh_after <= self.max_age:
            told.append("jwks_refresh_after: from 1 s to jwks_max_age")
        if self.max_stale and self.max_stale < self.max_age:
            told.append("jwks_max_stale: at least jwks_max_age; 0 for no stale keys at all")
        if self.cooldown < 1:
            told.append("jwks_cooldown: at least 1 s, or strangers could make us fetch at will")
        if not 0.1 <= self.timeout <= 60:  # noqa: PLR2004
            told.append("jwks_timeout: from 0.1 s to 60 s, and below your server's time-out")
        return told

    @property
    def dead_after(self) -> float:
        """The age at which keys are used no longer, whatever happens."""
        return max(self.max_stale, self.max_age)


class Snapshot(NamedTuple):
    """A key set and when it was true: ``start`` of the fetch that brought or confirmed it."""

    keyset: KeySet
    start: float
    soft: float
    etag: str | None
    uri: str


@dataclass(eq=False, slots=True)
class Flight:
    """One fetch under way, and the event that its end sets."""

    start: float
    forced: bool
    hopeful: bool
    # Looked up at call time: gevent may patch threading after this module was imported.
    ended: threading.Event = field(default_factory=lambda: threading.Event())  # noqa: PLW0108
    ok: bool | None = None


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


class Facts(NamedTuple):
    """Everything a decision depends on. ``age`` None: no usable set."""

    now: float
    age: float | None = None
    due: bool = False
    flight: Flight | None = None
    fails: int = 0
    not_before: float = NEVER
    forced_end: float = NEVER
    closed: bool = False


Decision: TypeAlias = tuple[Start, Then]


def decide(
    facts: Facts, policy: Policy, *, known: bool, final: bool = False, penalised: bool = False
) -> Decision:
    """The table of KEYS 7.4. ``known``: a key for the token is in hand.

    ``final``: the set was fetched after the token arrived; ``penalised``: its kid missed lately.
    """
    if facts.closed:  # 29
        serve = known and facts.age is not None
        return Start.NOTHING, Then.SERVE if serve else Then.UNAVAILABLE
    if facts.age is None:
        return _cold(facts)
    if known:
        return _known(facts, idle=is_idle(facts, policy))
    return _unknown(facts, policy, final=final, penalised=penalised)


def is_idle(facts: Facts, policy: Policy) -> bool:
    """Nobody asked for so long that held keys are confirmed before use."""
    return facts.age is not None and facts.age >= policy.max_age and not facts.fails


def is_hopeful(facts: Facts) -> bool:
    """A flight that starts now may be waited for: nothing failed, or nobody tried lately."""
    return not facts.fails or facts.now - facts.not_before >= HOPE_AFTER


def _cold(facts: Facts) -> Decision:
    if facts.flight:  # 2
        return Start.NOTHING, _wait_if(facts.flight.hopeful)
    if facts.now < facts.not_before:  # 6
        return Start.NOTHING, Then.UNAVAILABLE
    return Start.SCHEDULED, _wait_if(is_hopeful(facts))  # 1


def _known(facts: Facts, *, idle: bool) -> Decision:
    then = Then.WAIT if idle else Then.SERVE
    if facts.flight:  # 14, 14i
        return Start.NOTHING, then
    if facts.now >= facts.not_before and (facts.due or facts.fails):  # 13, 13i
        return Start.SCHEDULED, then
    return Start.NOTHING, Then.SERVE  # 8, 22


def _unknown(facts: Facts, policy: Policy, *, final: bool, penalised: bool) -> Decision:
    if facts.flight:  # 15
        return Start.NOTHING, _wait_if(facts.flight.hopeful)
    if facts.fails and facts.now < facts.not_before:  # 23
        return Start.NOTHING, Then.UNAVAILABLE
    if facts.fails:  # 13u
        return Start.SCHEDULED, _wait_if(is_hopeful(facts))
    if final:  # 9
        return Start.NOTHING, Then.ABSENT
    if penalised or facts.now - facts.forced_end < policy.cooldown:  # 11
        return Start.NOTHING, Then.ABSENT
    return Start.FORCED, Then.WAIT  # 10


def _wait_if(hopeful: bool) -> Then:  # noqa: FBT001  # reads as a sentence
    return Then.WAIT if hopeful else Then.UNAVAILABLE


def backoff(fails: int, *, warm: bool) -> float:
    """Seconds until the next attempt after that many failures in a row, without jitter."""
    steps = WARM_BACKOFF if warm else COLD_BACKOFF
    return steps[min(fails, len(steps)) - 1]


class Penalties:
    """Kids that a forced fetch did not bring: each is not fetched for again for a while."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}

    def holds(self, kid: str, now: float) -> bool:
        return now < self._until.get(kid, (NEVER, 0.0))[0]

    def add(self, kid: str, now: float) -> None:
        until, delay = self._until.pop(kid, (NEVER, PENALTY[0] / 2))
        if until <= now:
            delay = min(2 * delay, PENALTY[1])
            until = now + delay
        self._until[kid] = until, delay
        if len(self._until) > MAX_PENALTIES:
            del self._until[next(iter(self._until))]

    def clear(self) -> None:
        self._until.clear()

    def __len__(self) -> int:
        return len(self._until)


# --- Mechanism ---------------------------------------------------------------------------------


class Loaded(NamedTuple):
    """What a flight brought: a set, or the confirmation of the one it asked about."""

    keyset: KeySet
    etag: str | None
    uri: str
    date: float | None
    confirmed: bool


def _boottime() -> float:
    """Seconds that also pass while the machine sleeps: 24 h must be 24 h."""
    return time.clock_gettime(_CLOCK)


#: From the system: a fork needs no new seed.
_UNIFORM: Final = random.SystemRandom().uniform
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _start_thread(run: Callable[[], None]) -> None:
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
        uniform: Callable[[float, float], float] = _UNIFORM,
        start_thread: Callable[[Callable[[], None]], None] = _start_thread,
    ) -> None:
        self._issuer, self._jwks_uri = issuer, jwks_uri
        self._source = _told(jwks_uri or issuer)
        self._fetch, self.policy, self._emit = fetch, policy, emit
        self._leeway, self._allow_http, self._max_keys = leeway, allow_http, max_keys
        self._clock, self._wall_clock = clock, wall_clock
        self._uniform, self._start_thread = uniform, start_thread
        self._snapshot: Snapshot | None = None
        self._located: tuple[Located, float] | None = None
        self._fails, self._failing_since = 0, 0.0
        self._not_before = self._forced_end = NEVER
        self._closed = False
        self._penalties = Penalties()
        self._generation = 0
        self._stale_told = 0
        self._last_success: float | None = None
        self._last_failure: tuple[float, str] | None = None
        self._stats: Counter[str] = Counter()
        self._of_this_process()
        ourselves = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _after_fork(ourselves()))

    def _of_this_process(self) -> None:
        """What must not survive a fork: a lock somebody held, a thread that is not here."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._lost: set[Flight] = set()
        self._completed = self._inline = False

    # -- reading --

    def candidates(self, header: Mapping[str, Any]) -> Iterator[Key]:
        """Yield the keys that fit, after what fetching the table allows.

        A signature that fails under a known kid fetches nothing; a token without kid whose
        candidates all fail goes on as one with an unknown kid.
        """
        arrival = self._clock()
        kid: str | None = header.get("kid")
        tried: KeySet | None = None
        if self._holds(arrival, header, kid):
            tried = self._resolve(arrival, kid, known=True)
            yield from tried.find(header) if tried else ()
            if kid is not None:
                return
        found = self._resolve(arrival, kid or "", known=False)
        if found is not None and found is not tried:
            yield from found.find(header)

    def current(self) -> KeySet | None:
        """The set in use now, or None; asking for it refreshes it as any request does."""
        now = self._clock()
        return self._resolve(now, None, known=True) if self._usable(now) else None

    def _holds(self, now: float, header: Mapping[str, Any], kid: str | None) -> bool:
        snapshot = self._usable(now)
        if snapshot is None:
            return False
        return kid in snapshot.keyset if kid is not None else bool(snapshot.keyset.find(header))

    def _usable(self, now: float) -> Snapshot | None:
        snapshot = self._snapshot
        if snapshot is None or now - snapshot.start >= self.policy.dead_after:
            return None
        return snapshot

    def _is_steady(self, snapshot: Snapshot, now: float) -> bool:
        """Rows 8, 14 and 22: nothing to do for a known kid, and no lock needed to see it."""
        if self._closed:
            return True
        if (flight := self._flight) is not None:
            asleep = now - snapshot.start >= self.policy.max_age and not self._fails
            return now < flight.start + self._lease and not asleep
        return now < (self._not_before if self._fails else snapshot.soft)

    @property
    def _lease(self) -> float:
        return self.policy.timeout + LEASE_SLACK

    def _resolve(self, arrival: float, kid: str | None, *, known: bool) -> KeySet | None:
        """The set to verify with; None: the key is not to be found. Raises KeysUnavailableError."""
        snapshot = self._usable(arrival)
        if known and snapshot is not None and self._is_steady(snapshot, arrival):
            return snapshot.keyset
        if self._pid != os.getpid():  # uWSGI runs no fork hooks
            self._after_fork()
        now = self._clock()
        told: list[Event] = []
        with self._lock:
            self._reap(now, told)
            facts = self._facts(now)
            snapshot = self._snapshot
            start, then = decide(
                facts,
                self.policy,
                known=known,
                final=snapshot is not None and snapshot.start >= arrival,
                penalised=self._penalties.holds(kid or "", now),
            )
            if start is not Start.NOTHING:
                self._begin(facts, forced=start is Start.FORCED)
            flight = self._flight
        self._tell(told)
        if start is not Start.NOTHING and flight is not None:
            if start is Start.FORCED:
                self._emit(events.KeyMissed(self._source, printable(kid or "")))
            self._launch(flight, told_cold=facts.age is None)
        return self._outcome(then, flight, kid, facts=facts, known=known)

    def _outcome(
        self, then: Then, flight: Flight | None, kid: str | None, *, facts: Facts, known: bool
    ) -> KeySet | None:
        if then is Then.WAIT and flight is not None:
            patience = WAIT if facts.age is not None and not known else self.policy.timeout
            left = flight.start + patience - self._clock()
            flight.ended.wait(max(0.0, left))
            if not flight.ok and (facts.age is None or not known):
                then = Then.UNAVAILABLE
            elif flight.ok and flight.forced and not known:
                self._punish(kid or "")
        if then is Then.UNAVAILABLE:
            raise self._unavailable()
        snapshot = self._snapshot
        return None if then is Then.ABSENT or snapshot is None else snapshot.keyset

    def _punish(self, kid: str) -> None:
        """Row 18: a fetch for this kid did not bring it."""
        with self._lock:
            if self._snapshot is not None and kid not in self._snapshot.keyset:
                self._penalties.add(kid, self._clock())

    def _unavailable(self) -> KeysUnavailableError:
        self._stats["unavailable"] += 1
        self._emit(events.KeysUnavailable(self._source))
        rest = self._not_before - self._clock() if self._fails else 1.0
        why = self._last_failure[1] if self._last_failure else "no answer yet"
        return KeysUnavailableError(rest, f"keys of {self._source}: {why}")

    # -- flights; what is called "with the lock" neither blocks nor calls out --

    def _facts(self, now: float) -> Facts:
        snapshot = self._usable(now)
        return Facts(
            now=now,
            age=None if snapshot is None else now - snapshot.start,
            due=snapshot is not None and now >= snapshot.soft,
            flight=self._flight,
            fails=self._fails,
            not_before=self._not_before,
            forced_end=self._forced_end,
            closed=self._closed or sys.is_finalizing(),
        )

    def _begin(self, facts: Facts, *, forced: bool) -> None:
        self._flight = Flight(facts.now, forced=forced, hopeful=is_hopeful(facts))

    def _reap(self, now: float, told: list[Event]) -> None:
        """Rows 20 and 25: a flight that did not report in time, keys that were not confirmed."""
        flight = self._flight
        if flight is not None and now >= flight.start + self._lease:
            self._lost.add(flight)
            self._inline = not self._completed
            told.append(events.FlightLost(self._source, self._inline))
            self._failed(flight, now, FetchError("lost", "the fetch did not report back"), told)
            if len(self._lost) >= STUCK_LIMIT:
                self._not_before = max(self._not_before, now + STUCK_PAUSE)
        if self._snapshot is not None and self._usable(now) is None:
            self._snapshot = None
            told.append(events.KeysExpired(self._source))

    def _launch(self, flight: Flight, *, told_cold: bool) -> None:
        if self._inline:
            self._fly(flight)
            return
        try:
            self._start_thread(lambda: self._fly(flight))
        except RuntimeError as error:  # 30: no thread to be had
            if told_cold or flight.forced:
                self._fly(flight)
            else:
                self._land(flight, FetchError("lost", f"no thread to be had ({error})"))

    def _fly(self, flight: Flight) -> None:
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

    def _load(self, flight: Flight) -> Loaded:
        def left() -> float:
            seconds = flight.start + self.policy.timeout - self._clock()
            if seconds <= 0:
                raise FetchError("timeout", "the deadline is over")
            return seconds

        located = self._locate(left)
        held = self._snapshot
        etag = held.etag if held and held.uri == located.jwks_uri and not flight.forced else None
        answer = located.document
        if answer is None:
            try:
                found = self._fetch(
                    located.jwks_uri, etag=etag, no_cache=flight.forced, timeout=left()
                )
            except FetchError as error:
                if error.status in (404, 410):
                    self._rediscover()
                raise
            if not isinstance(found, Fetched):
                if held is None or etag is None:
                    raise FetchError("http", "status 304 without a condition", status=304)
                return Loaded(held.keyset, etag, located.jwks_uri, found.date, confirmed=True)
            answer = found
        keyset = KeySet.parse(answer.body, max_keys=self._max_keys)
        same = held is not None and held.keyset.digest == keyset.digest
        if same and held is not None:
            keyset = held.keyset
        return Loaded(keyset, answer.etag, located.jwks_uri, answer.date, confirmed=same)

    def _locate(self, left: Callable[[], float]) -> Located:
        if self._jwks_uri is not None:
            return Located(self._jwks_uri, "jwks_uri")
        remembered = self._located
        if remembered is not None and self._clock() - remembered[1] < REDISCOVER_AFTER:
            return remembered[0]
        try:
            located = locate(
                self._issuer,
                fetch=self._fetch,
                left=left,
                first=remembered is None,
                allow_http=self._allow_http,
            )
        except FetchError:
            if remembered is None:
                raise
            return remembered[0]
        self._located = located._replace(document=None), self._clock()
        if remembered is None or remembered[0].jwks_uri != located.jwks_uri:
            told = _told(located.jwks_uri)
            self._emit(events.KeysFound(self._source, told, located.found_by))
        return located

    def _rediscover(self) -> None:
        if self._located is not None:
            self._located = self._located[0], NEVER

    def _land(self, flight: Flight, result: Loaded | FetchError) -> None:
        """Rows 3, 4, 16 to 19 and 21: the end of a flight, in time or late."""
        told: list[Event] = []
        with self._lock:
            now = self._clock()
            late = flight is not self._flight
            self._lost.discard(flight)
            self._completed = True
            self._count(result, flight)
            if isinstance(result, Loaded):
                self._succeeded(flight, now, result, told)
            elif not late:  # the failure of a lost flight was counted when it was lost
                self._failed(flight, now, result, told)
            if not late:
                self._flight = None
            flight.ok = isinstance(result, Loaded)
        flight.ended.set()
        self._tell(told)

    def _succeeded(self, flight: Flight, now: float, loaded: Loaded, told: list[Event]) -> None:
        old = self._snapshot
        if flight.forced:
            self._forced_end = now
        if old is not None and flight.start <= old.start:
            return  # an older answer that came late: the newer set stays
        if loaded.confirmed and (old is None or loaded.keyset is not old.keyset):
            return  # the set it confirms is no longer the one we hold
        self._last_success = now
        if self._fails:
            told.append(events.Recovered(self._source, now - self._failing_since))
        self._fails, self._not_before, self._stale_told = 0, NEVER, 0
        soft = flight.start + self.policy.refresh_after * self._uniform(*SOFT_JITTER)
        self._snapshot = Snapshot(loaded.keyset, flight.start, soft, loaded.etag, loaded.uri)
        self._tell_success(old, loaded, int(1000 * (now - flight.start)), told)

    def _tell_success(
        self, old: Snapshot | None, loaded: Loaded, milliseconds: int, told: list[Event]
    ) -> None:
        keyset = loaded.keyset
        if loaded.confirmed:
            told.append(events.KeysConfirmed(self._source))
        else:
            self._generation += 1
            self._penalties.clear()
            if old is None:
                told.append(events.KeysLoaded(self._source, keyset.kids, milliseconds))
            else:
                now, before = set(keyset.kids), set(old.keyset.kids)
                added, removed = tuple(sorted(now - before)), tuple(sorted(before - now))
                told.append(events.KeysChanged(self._source, added, removed, keyset.digest))
            for kid, reason, private in keyset.dropped:
                told.append(
                    events.PrivateKeyPublished(self._source, kid)
                    if private
                    else events.KeyDropped(self._source, kid, reason)
                )
        skew = 0.0 if loaded.date is None else self._wall_clock() - loaded.date
        if abs(skew) > max(self._leeway, 1.0):
            told.append(events.ClockSkewed(self._source, skew))

    def _failed(self, flight: Flight, now: float, error: FetchError, told: list[Event]) -> None:
        self._fails += 1
        if self._fails == 1:
            self._failing_since = now
        if flight.forced:
            self._forced_end = now
        snapshot = self._usable(now)
        pause = backoff(self._fails, warm=snapshot is not None) * self._uniform(*BACKOFF_JITTER)
        pause = max(pause, min(error.retry_after or 0.0, MAX_RETRY_AFTER))
        self._not_before = now + pause
        self._last_failure = now, f"{error.kind}: {error.detail}"
        if self._flight is flight:
            self._flight = None
        age = None if snapshot is None else now - snapshot.start
        milliseconds = int(1000 * (now - flight.start))
        told.append(
            events.RefreshFailed(
                self._source, error.kind, error.detail, milliseconds, self._fails, age, pause
            )
        )
        if age is not None:
            self._warn_of_staleness(age, told)

    def _warn_of_staleness(self, age: float, told: list[Event]) -> None:
        limit = self.policy.dead_after
        reached = max((mark for mark in STALE_MARKS if age >= limit * mark / 100), default=0)
        if reached > self._stale_told:
            self._stale_told = reached
            told.append(events.KeysStale(self._source, reached, limit - age))

    def _count(self, result: Loaded | FetchError, flight: Flight) -> None:
        kind = result.kind if isinstance(result, FetchError) else "ok"
        self._stats[f"fetch_{kind}"] += 1
        self._stats["fetch_forced" if flight.forced else "fetch_scheduled"] += 1

    def _tell(self, told: list[Event]) -> None:
        for event in told:
            self._emit(event)

    # -- what operators do --

    def warm_up(self, timeout: float = 5.0, *, raises: bool = False) -> bool:
        """Load the keys before serving; True if they are here within ``timeout`` seconds.

        ``raises``: raise :class:`KeysUnavailableError` instead of returning False.
        """
        if self._usable(self._clock()) is None:
            self._fly_now(timeout)
        if not self.ready and raises:
            raise self._unavailable()
        return self.ready

    def refresh(self) -> bool:
        """Fetch now, whatever cooldown and back-off say; True if the issuer answered (row 27)."""
        return self._fly_now(self.policy.timeout)

    def _fly_now(self, patience: float) -> bool:
        if self._pid != os.getpid():
            self._after_fork()
        now, told = self._clock(), list[Event]()
        with self._lock:
            self._reap(now, told)
            facts = self._facts(now)
            new = facts.flight is None and not facts.closed
            if new:
                self._begin(facts._replace(fails=0), forced=True)
            flight = self._flight
        self._tell(told)
        if flight is None:
            return False
        if new:
            self._launch(flight, told_cold=True)
        flight.ended.wait(patience)
        return bool(flight.ok)

    def purge(self) -> None:
        """Forget every key, at once: the answer to a stolen signing key (row 28)."""
        with self._lock:
            self._snapshot = None
            self._not_before = NEVER
            self._fails = 0
            self._flight = None
            self._penalties.clear()

    def close(self) -> None:
        """Fetch nothing ever again; held keys go on serving (row 29)."""
        self._closed = True

    @property
    def ready(self) -> bool:
        """Whether there is a usable set. A refresh that failed makes nobody unready."""
        return self._usable(self._clock()) is not None

    def health(self) -> dict[str, Any]:
        """What is known, as a plain dict; no I/O and no lock. Times in seconds."""
        now, snapshot = self._clock(), self._snapshot
        usable = self._usable(now)
        facts = self._facts(now)
        return {
            "state": self.state(facts),
            "ready": usable is not None,
            "keys": 0 if usable is None else len(usable.keyset),
            "kids": [] if usable is None else list(usable.keyset.kids[:20]),
            "sha256": None if usable is None else usable.keyset.digest,
            "generation": self._generation,
            "age": facts.age,
            "soft_in": None if snapshot is None else snapshot.soft - now,
            "dead_in": None if snapshot is None else snapshot.start + self.policy.dead_after - now,
            "last_success_ago": None if self._last_success is None else now - self._last_success,
            "last_failure_ago": None if self._last_failure is None else now - self._last_failure[0],
            "last_error": None if self._last_failure is None else self._last_failure[1],
            "fails": self._fails,
            "next_attempt_in": max(0.0, self._not_before - now) if self._fails else None,
            "in_flight": facts.flight is not None,
            "stuck": len(self._lost),
            "inline": self._inline,
            "pid": self._pid,
        }

    def state(self, facts: Facts | None = None) -> str:
        """The state of KEYS 7.3, derived from the data."""
        facts = facts or self._facts(self._clock())
        waiting = facts.now < facts.not_before
        if facts.closed:
            return "CLOSED"
        if facts.age is None:
            return "COLD-FLIGHT" if facts.flight else "COLD-WAIT" if waiting else "COLD"
        if facts.flight:
            return "REFRESHING"
        if facts.fails and waiting:
            return "DEGRADED"
        if is_idle(facts, self.policy):
            return "IDLE"
        return "DUE" if facts.due or facts.fails else "FRESH"

    def stats(self) -> dict[str, int]:
        """Counters since the start of this process's parent."""
        return dict(self._stats)

    def _after_fork(self) -> None:
        """Row 26: keys and failures stay; lock, flight and the next refresh's moment do not."""
        self._of_this_process()
        if (snapshot := self._snapshot) is not None:
            soft = snapshot.start + self.policy.refresh_after * self._uniform(*SOFT_JITTER)
            self._snapshot = snapshot._replace(soft=soft)


def _after_fork(keys: RemoteKeys | None) -> None:
    if keys is not None:
        keys._after_fork()  # noqa: SLF001  # the hook holds no strong reference


def _told(url: str) -> str:
    """A URL as people may read it in a log: without user-info and query."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, query="", fragment="").geturl()
