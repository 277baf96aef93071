"""Remote keys: an immutable key set. Short fetches, each in its own thread, replace it.

:mod:`.freshness` decides; this module runs the fetches. It holds no lock during I/O and callbacks.
"""

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Final

from jwt_wsgi import events
from jwt_wsgi.claims import LEEWAY
from jwt_wsgi.errors import AuthError
from jwt_wsgi.errors import KeyNotKnownYetError
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.errors import printable
from jwt_wsgi.events import Emit
from jwt_wsgi.jose import Key
from jwt_wsgi.keys import KeySet
from jwt_wsgi.process_lock import ProcessLock

from . import freshness
from . import reports
from . import system
from .facts import Facts
from .facts import Finished
from .facts import KeyFetch
from .facts import Loaded
from .facts import Policy
from .failures import FetchError
from .fetch import Fetch
from .freshness import Start
from .freshness import Then
from .loading import Loader
from .saved_keys import SavedKeysFile
from .unknown_kids import UnknownKids


class RemoteKeys:
    """The keys of one issuer, fetched when a request needs them.

    A request whose key is held never waits for the network. The one exception is the first request
    after ``max_age`` seconds without any, so that an idle process does not accept a revoked key.

    ``jwks_uri``: the URL of the keys; None: it is in the issuer's metadata. ``leeway``: the seconds
    by which clocks may differ without an event. ``clock``: monotonic seconds; ``wall_clock``:
    seconds since 1970; ``random``: a number from 0 to 1. ``saved``: the file of the last JWKS.
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
        clock: Callable[[], float] = system.boottime,
        wall_clock: Callable[[], float] = time.time,
        random: Callable[[], float] = system.chance,
        start_thread: Callable[[Callable[[], None]], None] = system.start_thread,
        make_event: Callable[[], Finished] = system.make_event,
        saved: SavedKeysFile | None = None,
    ) -> None:
        self._loader = Loader(
            issuer,
            jwks_uri,
            fetch=fetch,
            emit=emit,
            allow_http=allow_http,
            clock=clock,
            saved=saved,
        )
        self._source = self._loader.source
        self.policy, self._emit, self._leeway = policy, emit, leeway
        self._patience = min(freshness.WAIT, policy.timeout)
        self._clock, self._wall_clock, self._random = clock, wall_clock, random
        self._start_thread, self._make_event = start_thread, make_event
        self._unknown = UnknownKids()
        self._counters = reports.Counters()
        self._pid, self._thread = os.getpid(), 0  # the native id of the last fetch's thread
        self._process_lock = ProcessLock()
        self._keep(Facts())
        _sources.add(self)

    def _keep(self, facts: Facts) -> None:
        self._facts = facts
        self._fast_path = freshness.fast_path(facts, self.policy)

    # -- What a request does --

    def candidates(self, header: Mapping[str, Any]) -> Iterable[Key]:
        """Yield the keys that fit. If a fetch is needed and allowed, it comes first.

        A wrong signature under a known kid causes no fetch. If a token has no kid and all held
        keys fail, it is treated like a token with an unknown kid.
        """
        keyset, until = self._fast_path
        if keyset is not None and self._clock() < until:
            found = keyset.candidates(header)
            if found and "kid" in header:
                return found
        return self._slow_path(header)

    candidates_are_current = candidates

    def _slow_path(self, header: Mapping[str, Any]) -> Iterator[Key]:
        arrival = self._clock()
        kid: str | None = header.get("kid")
        keyset, until = self._fast_path
        if arrival >= until:
            keyset = self._held(arrival)
        deadline = arrival + (self.policy.timeout if keyset is None else self._patience)
        known = keyset is not None and (kid in keyset if kid else keyset.candidates(header))
        if known and arrival >= until:
            keyset = self._in_use()
        if keyset is None and (keyset := self._in_use()) is None:
            raise self._not_now()
        if known or kid is None or kid in keyset:
            yield from keyset.candidates(header)
            if kid is not None:
                return
        while (found := self._look_up(kid or "", keyset, deadline)) is not keyset:
            yield from found.candidates(header)
            if kid is not None:
                return
            keyset = found

    def current(self) -> KeySet | None:
        """Return the set in use now, or None. A due refresh is started, as for a request."""
        now = self._clock()
        keyset, until = self._fast_path
        if now < until:
            return keyset
        return None if self._held(now) is None else self._in_use()

    def _held(self, now: float) -> KeySet | None:
        snapshot = freshness.usable(self._facts, now, self.policy)
        return snapshot.keyset if snapshot else None

    def _in_use(self) -> KeySet | None:
        """Return the set after a fetch that is due, or the held set if the fetch fails."""
        then, fetch = self._ask()
        if then is Then.WAIT and fetch is not None:
            self._wait(fetch, fetch.start + self.policy.timeout)
        keyset = self._held(self._clock())
        if keyset is None and (fetch or self._facts.fails):  # the fetch failed, or is slow
            self._restore()
            keyset = self._held(self._clock())
        return keyset

    def _look_up(self, kid: str, tried: KeySet, deadline: float) -> KeySet:
        """Return a set with a kid that is not in ``tried``, or ``tried`` if the kid is absent.

        Raises :class:`KeysUnavailableError` or :class:`KeyNotKnownYetError`.
        """
        while True:
            then, fetch = self._ask(kid, tried)
            settled = then in (Then.SERVE, Then.ABSENT)
            if then is Then.WAIT and fetch is not None:
                if not self._wait(fetch, min(fetch.start + self._patience, deadline)):
                    raise self._not_now()
                # A fetch that started before this request named its kid proves nothing about it.
                settled = kid in fetch.kids
            keyset = self._held(self._clock())
            if keyset is None or then is Then.NOT_NOW:
                raise self._not_now()
            if settled or kid in keyset or (not kid and keyset is not tried):
                return keyset

    def _ask(
        self, kid: str | None = None, tried: KeySet | None = None
    ) -> tuple[Then, KeyFetch | None]:
        """Decide what this request does, and start the fetch that was decided on.

        ``kid``: an unknown kid, which is not in ``tried``; None for a known kid. Since the caller
        looked, a fetch may have finished and brought the key.
        """
        lock, jitter, finished = self._lock(), self._random(), self._make_event()
        now = self._clock()
        with lock:
            before = self._facts
            facts = self._time_passed(before, now, jitter)
            held = facts.snapshot.keyset if facts.snapshot else None
            known = kid is None or (held is not None and _may_have(held, kid, tried))
            absent = kid is not None and self._unknown.is_absent(kid, now)
            if kid is not None and held is not None and not (known or absent or facts.closed):
                facts = self._kid_asked(facts, kid)
            start, then = freshness.decide(facts, now, self.policy, known=known, absent=absent)
            if start is not Start.NOTHING:
                lookup = start is Start.LOOKUP
                named, kids = self._unknown.start_lookup(now) if lookup else ("", frozenset())
                facts = freshness.fetch_started(
                    facts, now, start, finished, self.policy, named, kids
                )
            self._keep(facts)
        facts = self._or_saved(before, facts)
        if not known and held is not None:
            outcome = "lookup" if start is Start.LOOKUP else then.name.lower()
            self._counters.count(f"unknown_kid_{outcome}")
        self._go_on(before, facts, now)
        return then, facts.fetch

    def _kid_asked(self, facts: Facts, kid: str) -> Facts:
        if facts.fetch is not None and kid in facts.fetch.kids:
            return facts  # a look-up runs that was started after this kid was named
        self._unknown.ask(kid)
        return facts if facts.kid_waits else facts._replace(kid_waits=True)

    def _time_passed(self, facts: Facts, now: float, jitter: float) -> Facts:
        facts = freshness.time_passed(facts, now, self.policy, jitter)
        return facts._replace(closed=True) if sys.is_finalizing() else facts

    def _wait(self, fetch: KeyFetch, until: float) -> bool:
        """Wait for the fetch. True if it brought a set in time."""
        began = self._clock()
        fetch.finished.wait(max(0.0, until - began))
        self._counters.count("waits")
        self._counters.time("wait_seconds", self._clock() - began)
        return fetch.ok

    def _not_now(self) -> AuthError:
        """Return the refusal of a request whose key cannot be known now.

        It is 503 if the issuer fails. Otherwise too many requests have named unknown kids, and the
        answer is 429: clients must not be able to cause a 503, because load balancers and alarms
        treat it as a broken server.
        """
        facts, now = self._facts, self._clock()
        snapshot = freshness.usable(facts, now, self.policy)
        if snapshot is None or facts.fails or facts.closed:
            return self._unavailable(facts, now)
        self._counters.count("not_known_yet")
        wait = 1.0 if facts.fetch else freshness.next_lookup(facts, self.policy) - now
        keys_as_of = self._wall_clock() - (now - snapshot.start)
        why = "the fetch takes long" if facts.fetch else "too many unknown kids"
        return KeyNotKnownYetError(wait, f"keys of {self._source}: {why}", keys_as_of=keys_as_of)

    def _unavailable(self, facts: Facts, now: float) -> KeysUnavailableError:
        self._counters.count("unavailable")
        if facts.expired:  # Rule: expired keys. Reported when the first request is refused.
            with self._lock():
                expired = self._facts.expired
                self._keep(self._facts._replace(expired=False))
            if expired:
                self._emit(events.KeysExpired(self._source))
        self._emit(events.KeysUnavailable(self._source))
        retry_after = 1.0 if facts.fetch else freshness.earliest(facts) - now
        why = facts.failure or "no answer yet"
        return KeysUnavailableError(max(1.0, retry_after), f"keys of {self._source}: {why}")

    def _lock(self) -> threading.Lock:
        """Return the lock of this process. After a fork, the facts are adapted first."""
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
        """Run the fetch that was decided on and report events, after the lock was released.

        The thread is started first, so that a slow or failing event hook cannot delay the fetch.
        """
        fetch = facts.fetch if facts.started != before.started else None
        if fetch is not None and not facts.inline:
            self._launch(fetch)
        for event in reports.changes(self._source, before, facts, now, self.policy):
            self._emit(event)
        if fetch is not None and fetch.is_lookup and not facts.fails:
            self._emit(events.KeyMissed(self._source, printable(fetch.kid)))
        if fetch is not None and facts.inline:
            self._run(fetch)

    def _launch(self, fetch: KeyFetch) -> None:
        try:
            self._start_thread(lambda: self._run(fetch))
        except RuntimeError:  # Rule: no thread. The request itself fetches.
            self._run(fetch)

    def _run(self, fetch: KeyFetch) -> None:
        fetch.thread = self._thread = threading.get_native_id()
        result: Loaded | FetchError = FetchError("lost", "the thread of the fetch was stopped")
        try:
            result = self._loader.result(fetch, lambda: self._facts, self.policy.timeout)
        finally:
            self._finish(fetch, result)

    def _finish(self, fetch: KeyFetch, result: Loaded | FetchError) -> None:
        lock, jitter, now = self._lock(), self._random(), self._clock()
        with lock:
            before = self._facts
            facts = freshness.fetch_finished(before, fetch, result, now, self.policy, jitter)
            if facts.snapshot is not None and facts.accepted == fetch.number:
                keyset, cooldown = facts.snapshot.keyset, self.policy.cooldown
                waits = self._unknown.settle(fetch, keyset, now, cooldown)
                facts = facts._replace(kid_waits=waits)
            self._keep(facts)
            fetch.ok = facts.snapshot is not None and facts.accepted >= fetch.number
        facts = self._or_saved(before, facts)
        fetch.finished.set()
        self._counters.count_fetch(fetch, result, now)
        self._go_on(before, facts, now)
        if skewed := reports.clock_skewed(self._source, result, self._wall_clock(), self._leeway):
            self._emit(skewed)
        if isinstance(result, Loaded) and facts.snapshot and facts.accepted == fetch.number:
            self._loader.save(facts.snapshot)

    def _or_saved(self, before: Facts, facts: Facts) -> Facts:
        """Return ``facts`` with saved keys if a failure is new, so that its event knows of them."""
        if facts.failure is before.failure or facts.snapshot is not None:
            return facts
        self._restore()
        return facts._replace(snapshot=self._facts.snapshot)

    def _restore(self) -> None:
        """Rule: saved keys."""
        if freshness.may_restore(self._facts):
            saved = self._loader.restore()
            with self._lock():
                self._keep(freshness.restored(self._facts, saved))
            for event in reports.restored(self._source, saved, self.policy):
                self._emit(event)

    # -- What operators do --

    def warm_up(self, timeout: float = 5.0, *, raises: bool = False) -> bool:
        """Load the keys before serving. True if they are loaded within ``timeout`` seconds.

        It does nothing if they are loaded, and fetches no more often than requests do, so that a
        readiness probe may call it. The thread of the fetch has ended when it returns, so that the
        process may fork. ``raises``: :class:`KeysUnavailableError` instead of False.
        """
        if not self.ready and (fetch := self._ask()[1]) is not None:
            fetch.finished.wait(min(timeout, self.policy.lease))
        if self._facts.fetch is None:
            system.wait_until_ended(self._thread)
            self._thread = 0
        if raises and not self.ready:
            raise self._not_now()
        return self.ready

    def close(self) -> None:
        """Start no more fetches. The keys that are held stay in use until they expire."""
        with self._lock():
            self._keep(self._facts._replace(closed=True))

    @property
    def ready(self) -> bool:
        """Whether there is a usable set. A failed refresh does not change that."""
        return self._held(self._clock()) is not None

    def health(self) -> dict[str, Any]:
        """Return the state as a dict for JSON, without I/O or the lock. Times in seconds."""
        own = {"pid": self._pid, "counters": self.stats()}
        return reports.health(self._facts, self._clock(), self.policy) | own

    def stats(self) -> dict[str, int | float]:
        """Return counters since this source was made. A forked child starts with its parent's."""
        return self._counters.values()


def _may_have(held: KeySet, kid: str, tried: KeySet | None) -> bool:
    """Whether the key can be in ``held``. Without a kid, it can be in any set but ``tried``."""
    return kid in held or (not kid and held is not tried)


#: Every source of this process, for the fork hook; a hook cannot be unregistered.
_sources: Final["weakref.WeakSet[RemoteKeys]"] = weakref.WeakSet()


def _after_fork() -> None:
    for source in list(_sources):
        source._pid = 0  # noqa: SLF001
        source._process_lock.forget()  # noqa: SLF001
        source._lock()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
