"""Remote keys: an immutable key set that short fetches in threads of their own replace.

This is the mechanism: it asks :mod:`.freshness` what to do, and runs the fetches. Its lock is held
while one tuple takes the place of another, never during I/O or a callback.
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
from jwt_wsgi.process_lock import ProcessLock

from . import freshness
from . import reports
from .facts import Facts
from .facts import Finished
from .facts import KeyFetch
from .facts import Loaded
from .facts import Policy
from .fetch import Fetch
from .fetch import FetchError
from .freshness import Penalties
from .freshness import Start
from .freshness import State
from .freshness import Then
from .loading import Loader

#: It also runs while the machine sleeps: 24 h must be 24 h.
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_RANDOM: Final = random.SystemRandom().random  # needs no new seed after a fork


def _boottime() -> float:
    return time.clock_gettime(_CLOCK)


def _make_event() -> Finished:
    return threading.Event()


def _start_thread(run: Callable[[], None]) -> None:
    # Looked up at the call: gevent may patch after import, and after a source was made.
    threading.Thread(target=run, name="jwt_wsgi.jwks", daemon=True).start()


class RemoteKeys:
    """The keys of one issuer, fetched when a request needs them.

    A request whose key is held never waits for the network. The one exception is the first request
    after ``max_age`` seconds without any, so that an idle process does not accept a revoked key.

    ``jwks_uri``: where the keys are; None: the issuer's metadata is asked. ``leeway``: seconds by
    which the issuer's clock may differ from ours before that is reported. ``clock``: seconds,
    going forward; ``wall_clock``: seconds since 1970; ``random``: from 0 to 1.
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
        random: Callable[[], float] = _RANDOM,
        start_thread: Callable[[Callable[[], None]], None] = _start_thread,
        make_event: Callable[[], Finished] = _make_event,
    ) -> None:
        self._loader = Loader(
            issuer,
            jwks_uri,
            fetch=fetch,
            emit=emit,
            allow_http=allow_http,
            max_keys=max_keys,
            clock=clock,
        )
        self._source = self._loader.source
        self.policy, self._emit, self._leeway = policy, emit, leeway
        self._clock, self._wall_clock, self._random = clock, wall_clock, random
        self._start_thread, self._make_event = start_thread, make_event
        self._penalties = Penalties()
        self._stats: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._pid = os.getpid()
        self._process_lock = ProcessLock()
        self._keep(Facts())
        _sources.add(self)

    def _keep(self, facts: Facts) -> None:
        self._facts = facts
        self._fast_path = freshness.fast_path(facts, self.policy)

    # -- What a request asks --

    def candidates(self, header: Mapping[str, Any]) -> Iterable[Key]:
        """Yield the keys that fit, after the fetch that the rules allow, if any.

        A signature that fails under a known kid fetches nothing. A token without kid goes on as
        one with an unknown kid when all held keys have failed.
        """
        keyset, until = self._fast_path
        if keyset is not None and self._clock() < until:
            found = keyset.find(header)
            if found and "kid" in header:
                return found
        return self._slow_path(header)

    def _slow_path(self, header: Mapping[str, Any]) -> Iterator[Key]:
        arrival = self._clock()
        kid: str | None = header.get("kid")
        tried, until = self._fast_path
        if arrival >= until:
            tried = self._held(arrival)
        if tried is not None and (kid in tried if kid is not None else tried.find(header)):
            if arrival >= until:
                tried = self._in_use(arrival)
            if tried is not None:
                yield from tried.find(header)
                if kid is not None:
                    return
        found = self._look_for(kid or "", arrival, tried)
        if found is not tried:
            yield from found.find(header)

    def current(self) -> KeySet | None:
        """Return the set in use now, or None; it is refreshed as by a request with a known kid."""
        now = self._clock()
        keyset, until = self._fast_path
        return keyset if now < until else self._in_use(now)

    def _held(self, now: float) -> KeySet | None:
        snapshot = freshness.usable(self._facts, now, self.policy)
        return snapshot.keyset if snapshot else None

    def _in_use(self, now: float) -> KeySet | None:
        """Return the set for a known kid; if the issuer fails, the one that was held."""
        if self._held(now) is None:
            return None
        then, fetch, _ = self._ask(now, known=True)
        if then is Then.WAIT and fetch is not None:
            self._wait(fetch, self.policy.timeout)
        return self._held(self._clock())

    def _look_for(self, kid: str, arrival: float, tried: KeySet | None) -> KeySet:
        """Return the set for an unknown kid, or for any while there is none.

        Raises :class:`KeysUnavailableError`.
        """
        then, fetch, cold = self._ask(arrival, kid, known=False, tried=tried)
        if then is Then.WAIT and fetch is not None:
            patience = self.policy.timeout if cold else min(freshness.WAIT, self.policy.timeout)
            then = Then.SERVE if self._wait(fetch, patience) else Then.UNAVAILABLE
        keyset = self._held(self._clock())  # also where it is ABSENT: it may have come just now
        if then is Then.UNAVAILABLE or keyset is None:
            raise self._unavailable()
        return keyset

    def _ask(
        self, arrival: float, kid: str = "", *, known: bool, tried: KeySet | None = None
    ) -> tuple[Then, KeyFetch | None, bool]:
        """Ask the policy and start what it says; also return whether no set was usable.

        ``tried``: where the caller looked. A fetch may have finished since, with the very key.
        """
        lock, jitter, finished, now = (
            self._lock(),
            self._random(),
            self._make_event(),
            self._clock(),
        )
        with lock:
            before = self._facts
            facts = self._time_passed(before, now, jitter)
            snapshot = facts.snapshot
            if snapshot is not None and snapshot.keyset is not tried:
                known = known or not kid or kid in snapshot.keyset
            start, then = freshness.decide(
                facts,
                now,
                self.policy,
                known=known,
                final=snapshot is not None and snapshot.start >= arrival,
                penalised=self._penalties.hold(kid, now),
            )
            if start is not Start.NOTHING:
                reason = start.name.lower() if snapshot else "cold"
                facts = freshness.fetch_started(facts, now, reason, finished, kid)
            self._keep(facts)
        if not (known or snapshot is None):
            self._count_unknown_kid(start, then)
        self._go_on(before, facts, now)
        return then, facts.fetch, snapshot is None

    def _time_passed(self, facts: Facts, now: float, jitter: float) -> Facts:
        facts = freshness.time_passed(facts, now, self.policy, jitter)
        return facts._replace(closed=True) if sys.is_finalizing() else facts

    def _wait(self, fetch: KeyFetch, patience: float) -> bool:
        """Wait until so many seconds after the fetch's start; True if it brought a set."""
        began = self._clock()
        fetch.finished.wait(max(0.0, fetch.start + patience - began))
        self._stats["waits"] += 1
        self._time("wait_seconds", self._clock() - began)
        return fetch.ok

    def _unavailable(self) -> KeysUnavailableError:
        facts = self._facts
        self._stats["unavailable"] += 1
        self._emit(events.KeysUnavailable(self._source))
        retry_after = 1.0 if facts.fetch else freshness.earliest(facts) - self._clock()
        failure = facts.failure
        why = f"{failure.kind}: {failure.detail}" if failure else "no answer yet"
        return KeysUnavailableError(max(1.0, retry_after), f"keys of {self._source}: {why}")

    def _lock(self) -> threading.Lock:
        """Return the lock of this process, after what a fork makes of the facts."""
        lock, pid = self._process_lock(), os.getpid()
        if pid != self._pid:
            jitter = self._random()
            with lock:
                if pid != self._pid:
                    self._keep(freshness.forked(self._facts, self.policy, jitter))
                    self._pid = pid
        return lock

    # -- Fetches --

    def _go_on(self, before: Facts, facts: Facts, now: float) -> None:
        """Run what was decided and report what happened, now that the lock is free.

        The thread is started first: a hook that is slow, or that ends its request, delays no fetch.
        """
        fetch = facts.fetch if facts.started != before.started else None
        if fetch is not None and not facts.inline:
            self._launch(fetch)
        for event in reports.changes(self._source, before, facts, now, self.policy):
            self._emit(event)
        if fetch is not None and fetch.for_unknown_kid:
            self._emit(events.KeyMissed(self._source, printable(fetch.kid)))
        if fetch is not None and facts.inline:
            self._run(fetch)

    def _launch(self, fetch: KeyFetch) -> None:
        try:
            self._start_thread(lambda: self._run(fetch))
        except RuntimeError as error:  # Rule: no thread.
            if fetch.reason == "scheduled":
                self._finish(fetch, FetchError("lost", f"no thread to be had ({error})"))
            else:
                self._run(fetch)

    def _run(self, fetch: KeyFetch) -> None:
        fetch.running = True
        result: Loaded | FetchError = FetchError("lost", "the fetch was ended from outside")
        try:
            result = self._loader.load(fetch, lambda: self._facts, self.policy.timeout)
        except FetchError as error:
            result = error
        except DocumentError as error:
            result = FetchError("document", str(error))
        except Exception as error:  # a bug of a fetch function is an outage, not the end of fetches
            result = FetchError("broken", type(error).__name__)
        finally:
            self._finish(fetch, result)

    def _finish(self, fetch: KeyFetch, result: Loaded | FetchError) -> None:
        lock, jitter, now = self._lock(), self._random(), self._clock()
        with lock:
            before = self._facts
            facts = freshness.fetch_finished(before, fetch, result, now, self.policy, jitter)
            if facts.generation != before.generation:
                self._penalties.clear()
            if fetch.for_unknown_kid and _missed(fetch, facts):
                self._penalties.add(fetch.kid, now)
            self._keep(facts)
            fetch.ok = facts.snapshot is not None and facts.accepted >= fetch.number
        fetch.finished.set()
        self._count_fetch(fetch, result, now)
        self._go_on(before, facts, now)
        self._check_clock(result)

    def _check_clock(self, result: Loaded | FetchError) -> None:
        if isinstance(result, Loaded) and result.date is not None:
            skew = self._wall_clock() - result.date
            if abs(skew) > max(self._leeway, 1.0):  # a Date has whole seconds
                self._emit(events.ClockSkewed(self._source, skew))

    # -- What operators do --

    def warm_up(self, timeout: float = 5.0, *, raises: bool = False) -> bool:
        """Load the keys before serving; True if they are here within ``timeout`` seconds.

        Costs nothing when they are here, and fetches no more often than requests would, so that a
        readiness probe may call it. ``raises``: :class:`KeysUnavailableError` instead of False.
        """
        if not self.ready:
            _, fetch, _ = self._ask(self._clock(), known=True)
            if fetch is not None:
                fetch.finished.wait(min(timeout, self.policy.lease))
        if raises and not self.ready:
            raise self._unavailable()
        return self.ready

    def purge(self) -> None:
        """Forget every key at once: the answer to a stolen signing key.

        Not for a signal handler: the thread it interrupts may hold the lock.
        """
        with self._lock():
            self._keep(freshness.purged(self._facts))
            self._penalties.clear()

    def close(self) -> None:
        """Start no fetch any more; held keys go on serving."""
        with self._lock():
            self._keep(self._facts._replace(closed=True))

    @property
    def ready(self) -> bool:
        """Whether there is a usable set. A refresh that failed changes nothing in it."""
        return self._held(self._clock()) is not None

    @property
    def state(self) -> State:
        """The state, as :meth:`health` shows it."""
        return freshness.state(self._facts, self._clock(), self.policy)

    def health(self) -> dict[str, Any]:
        """Return what is known as a plain dict, without I/O and without the lock; in seconds."""
        now, facts, policy = self._clock(), self._facts, self.policy
        snapshot, failure = freshness.usable(facts, now, policy), facts.failure
        next_attempt = max(0.0, freshness.earliest(facts) - now)
        return {
            "state": freshness.state(facts, now, policy).value,
            "ready": snapshot is not None,
            "keys": len(snapshot.keyset) if snapshot else 0,
            "kids": list(snapshot.keyset.kids[:20]) if snapshot else [],
            "sha256": snapshot.keyset.digest if snapshot else None,
            "generation": facts.generation,
            "age": now - snapshot.start if snapshot else None,
            "due_in": snapshot.due - now if snapshot else None,
            "expires_in": snapshot.start + policy.expires_after - now if snapshot else None,
            "last_success_ago": None if facts.success is None else now - facts.success,
            "last_failure_ago": now - failure.at if failure else None,
            "last_error": f"{failure.kind}: {failure.detail}" if failure else None,
            "fails": facts.fails,
            "next_attempt_in": next_attempt if facts.fails else None,
            "fetching": facts.fetch is not None,
            "stuck": len(facts.lost),
            "inline": facts.inline,
            "pid": self._pid,
            "counters": self.stats(),
        }

    def stats(self) -> dict[str, int | float]:
        """Return counters since this source was made, in a child those of its parent included."""
        return {**self._stats, **self._seconds}

    def _count_unknown_kid(self, start: Start, then: Then) -> None:
        outcome = "fetched" if start is Start.UNKNOWN_KID else then.name.lower()
        self._stats[f"unknown_kid_{outcome}"] += 1

    def _count_fetch(self, fetch: KeyFetch, result: Loaded | FetchError, now: float) -> None:
        kind = result.kind if isinstance(result, FetchError) else "ok"
        self._stats[f"fetch_{kind}"] += 1
        self._stats[f"fetch_{fetch.reason}"] += 1
        self._time("fetch_seconds", now - fetch.start)

    def _time(self, name: str, seconds: float) -> None:
        self._seconds[f"{name}_sum"] = self._seconds.get(f"{name}_sum", 0.0) + seconds
        self._seconds[f"{name}_max"] = max(seconds, self._seconds.get(f"{name}_max", 0.0))


def _missed(fetch: KeyFetch, facts: Facts) -> bool:
    brought = facts.accepted == fetch.number and facts.snapshot is not None
    return brought and fetch.kid not in (facts.snapshot.keyset if facts.snapshot else ())


#: Every source of this process, for the fork hook; a hook cannot be unregistered.
_sources: Final["weakref.WeakSet[RemoteKeys]"] = weakref.WeakSet()


def _after_fork() -> None:
    for source in list(_sources):
        source._pid = 0  # noqa: SLF001
        source._process_lock.forget()  # noqa: SLF001
        source._lock()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
