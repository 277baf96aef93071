"""The health and the events of the keys of one source."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any
from typing import Final

from jwt_wsgi import events
from jwt_wsgi.events import Event

from .arrival import arrived
from .arrival import fits_any
from .facts import NEVER
from .facts import Facts
from .facts import KeyFetch
from .facts import Loaded
from .facts import Policy
from .facts import Snapshot
from .failures import FetchError
from .freshness import earliest
from .freshness import lifetime
from .freshness import state
from .freshness import usable

#: Percent of ``jwks_max_stale`` at which an outage is reported again.
STALE_MARKS: Final = (50, 75, 90)


class Counters:
    """Counts since the source was made, and sums and maxima of seconds."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}

    def count(self, name: str) -> None:
        self._counts[name] += 1

    def time(self, name: str, seconds: float) -> None:
        self._seconds[f"{name}_sum"] = self._seconds.get(f"{name}_sum", 0.0) + seconds
        self._seconds[f"{name}_max"] = max(seconds, self._seconds.get(f"{name}_max", 0.0))

    def count_fetch(self, fetch: KeyFetch, result: Loaded | FetchError, now: float) -> None:
        self.count(f"fetch_{result.kind if isinstance(result, FetchError) else 'ok'}")
        self.count(f"fetch_{fetch.reason}")
        self.time("fetch_seconds", now - fetch.start)

    def values(self) -> dict[str, int | float]:
        return {**self._counts, **self._seconds}


def clock_skewed(
    source: str, result: Loaded | FetchError, wall_clock: float, leeway: float
) -> Event | None:
    """Return an event if the issuer's clock and ours differ by more than the leeway (seconds)."""
    if not isinstance(result, Loaded) or result.date is None:
        return None
    skew = wall_clock - result.date
    within = abs(skew) <= max(leeway, 1.0)  # a Date has whole seconds
    return None if within else events.ClockSkewed(source, skew)


def health(facts: Facts, now: float, policy: Policy) -> dict[str, Any]:
    """Return the state for JSON. Times are seconds from now or until now."""
    snapshot, failure = usable(facts, now, policy), facts.failure
    return {
        "state": state(facts, now, policy).value,
        "ready": snapshot is not None and fits_any(snapshot.keyset, policy.algorithms),
        "from_disk": snapshot is not None and snapshot.lifetime < math.inf,
        "keys": len(snapshot.keyset) if snapshot else 0,
        "kids": list(snapshot.keyset.kids[:20]) if snapshot else [],
        "sha256": snapshot.keyset.digest if snapshot else None,
        "generation": facts.generation,
        "age": now - snapshot.start if snapshot else None,
        "due_in": snapshot.due - now if snapshot else None,
        "expires_in": snapshot.start + lifetime(snapshot, policy) - now if snapshot else None,
        "last_success_ago": None if facts.success is None else now - facts.success,
        "last_failure_ago": now - failure.at if failure else None,
        "last_error": str(failure) if failure else None,
        "fails": facts.fails,
        "next_attempt_in": max(0.0, earliest(facts) - now) if facts.fails else None,
        "fetching": facts.fetch is not None,
        "stuck": len(facts.lost),
        "inline": facts.inline,
    }


def changes(
    source: str, before: Facts, after: Facts, now: float, policy: Policy
) -> Iterator[Event]:
    """Yield the events for a change from ``before`` to ``after``. ``source``: for the log."""
    old, new = before.snapshot, after.snapshot
    failure = None if after.failure is before.failure else after.failure
    if failure and failure.kind == "lost" and (after.fails == 1 or after.inline > before.inline):
        yield events.FetchLost(source, after.inline)
    if failure:
        held = old or new  # new: saved keys, which were read because of this failure
        age = failure.at - held.start if held else None
        milliseconds = int(1000 * failure.seconds)
        yield events.RefreshFailed(
            source, failure.kind, failure.detail, milliseconds, after.fails, age, failure.pause
        )
        if old and age is not None:
            yield from _staleness(source, before, age, policy)
    if new and after.accepted != before.accepted:
        if before.fails:
            yield events.Recovered(source, now - before.failing_since)
        yield from _accepted_set(source, old, new, now, policy)


def _staleness(source: str, before: Facts, age: float, policy: Policy) -> Iterator[Event]:
    def mark(seconds: float) -> int:
        reached = (m for m in STALE_MARKS if seconds >= end * m / 100)
        return max(reached, default=0)

    end = lifetime(before.snapshot, policy) if before.snapshot else policy.expires_after

    last_failure = before.failure.at if before.failure and before.fails else NEVER
    reported = mark(last_failure - before.snapshot.start) if before.snapshot else 0
    if mark(age) > reported:
        yield events.KeysStale(source, mark(age), end - age)


def restored(source: str, saved: Snapshot | None, policy: Policy) -> Iterator[Event]:
    """Yield the events of keys that were saved on disk; none without keys."""
    if saved is not None:
        yield from arrived(source, saved.keyset, policy.algorithms)


def _accepted_set(
    source: str, old: Snapshot | None, new: Snapshot, now: float, policy: Policy
) -> Iterator[Event]:
    milliseconds = int(1000 * (now - new.start))
    if old and old.keyset is new.keyset:
        yield events.KeysConfirmed(source, milliseconds)
        return
    if old is None:
        yield events.KeysLoaded(source, new.keyset.kids, milliseconds)
    else:
        kids, old_kids = set(new.keyset.kids), set(old.keyset.kids)
        added, removed = tuple(sorted(kids - old_kids)), tuple(sorted(old_kids - kids))
        yield events.KeysChanged(source, added, removed, new.keyset.digest, milliseconds)
    yield from arrived(source, new.keyset, policy.algorithms)
