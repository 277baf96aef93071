"""Remote keys: an immutable key set that short-lived fetches replace as a whole.

This is the mechanism: it asks :mod:`.freshness` what to do, and runs the fetches. Its lock is held
over the exchange of one tuple, never across I/O or a callback.
"""

import os
import random
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Final

from jwt_wsgi import events
from jwt_wsgi.claims import LEEWAY
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.errors import printable
from jwt_wsgi.events import Emit
from jwt_wsgi.jose import Key
from jwt_wsgi.keys import MAX_KEYS
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.urls import shown_url

from .discovery import Located
from .discovery import locate
from .fetch import Fetch
from .fetch import Fetched
from .fetch import FetchError
from .freshness import NEVER
from .freshness import REDISCOVER_AFTER
from .freshness import WAIT
from .freshness import Ended
from .freshness import Facts
from .freshness import Flight
from .freshness import Loaded
from .freshness import Penalties
from .freshness import Policy
from .freshness import Snapshot
from .freshness import Start
from .freshness import Then
from .freshness import calm
from .freshness import decide
from .freshness import departed
from .freshness import earliest
from .freshness import forked
from .freshness import landed
from .freshness import news
from .freshness import overdue
from .freshness import purged
from .freshness import state
from .freshness import usable


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
        policy: Policy = Policy(),  # noqa: B008  # frozen
        emit: Emit,
        leeway: float = LEEWAY,
        allow_http: bool = False,
        max_keys: int = MAX_KEYS,
        clock: Callable[[], float] = _boottime,
        wall_clock: Callable[[], float] = time.time,
        random: Callable[[], float] = _CHANCE,
        start_thread: Callable[[Callable[[], None]], None] = _start_thread,
        make_event: Callable[[], Ended] = _make_event,
    ) -> None:
        self._issuer, self._jwks_uri = issuer, jwks_uri
        self._source = shown_url(jwks_uri or issuer, 256)[1:-1]
        self._fetch, self.policy, self._emit = fetch, policy, emit
        self._leeway, self._allow_http, self._max_keys = leeway, allow_http, max_keys
        self._clock, self._wall_clock, self._random = clock, wall_clock, random
        self._start_thread, self._make_event = start_thread, make_event
        self._located: tuple[Located, float] | None = None
        self._penalties = Penalties()
        self._stats: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._pid = os.getpid()
        self._locks = {self._pid: threading.Lock()}
        self._keep(Facts())
        _sources.add(self)

    def _keep(self, facts: Facts) -> None:
        self._facts = facts
        self._calm = calm(facts, self.policy)

    # -- reading --

    def candidates(self, header: Mapping[str, Any]) -> Iterable[Key]:
        """Yield the keys that fit, after what fetching the table allows.

        A signature that fails under a known kid fetches nothing; a token without kid whose
        candidates all fail goes on as one with an unknown kid.
        """
        keyset, calm_until = self._calm
        if keyset is not None and self._clock() < calm_until:
            found = keyset.find(header)
            if found and "kid" in header:
                return found
        return self._look(header)

    def _look(self, header: Mapping[str, Any]) -> Iterator[Key]:
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
        self._time("wait_seconds", self._clock() - began)
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
            found = shown_url(located.jwks_uri, 256)[1:-1]
            self._emit(events.KeysFound(self._source, found, located.found_by))
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
            "counters": self.stats(),
        }

    def stats(self) -> dict[str, int | float]:
        """Counters since this source was made, those of the parent included; times in seconds."""
        return {**self._stats, **self._seconds}

    def _count_miss(self, start: Start, then: Then, *, known: bool) -> None:
        if known:
            return
        outcome = "forced" if start is Start.FORCED else then.name.lower()
        self._stats[f"miss_{outcome}"] += 1

    def _count_flight(self, flight: Flight, result: Loaded | FetchError, now: float) -> None:
        kind = result.kind if isinstance(result, FetchError) else "ok"
        self._stats[f"fetch_{kind}"] += 1
        self._stats[f"fetch_{flight.reason}"] += 1
        self._time("fetch_seconds", now - flight.start)

    def _time(self, name: str, seconds: float) -> None:
        self._seconds[f"{name}_sum"] = self._seconds.get(f"{name}_sum", 0.0) + seconds
        self._seconds[f"{name}_max"] = max(seconds, self._seconds.get(f"{name}_max", 0.0))


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


#: Every source of this process, for the fork hook; there is no unregistering a hook.
_sources: Final["weakref.WeakSet[RemoteKeys]"] = weakref.WeakSet()


def _after_fork() -> None:
    for source in list(_sources):
        source._pid = 0  # noqa: SLF001
        source._locks.clear()  # noqa: SLF001
        source._lock()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
