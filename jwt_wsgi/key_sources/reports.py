"""Which events tell operators what became of the keys of one source."""

from collections.abc import Iterator
from typing import Final

from jwt_wsgi import events
from jwt_wsgi.events import Event

from .facts import NEVER
from .facts import Facts
from .facts import Policy
from .facts import Snapshot

#: Dropped members of one set that are reported; the others are in ``jwt-wsgi keys``.
MAX_DROPPED_REPORTED: Final = 20
#: Percent of ``jwks_max_stale`` at which an outage is reported again.
STALE_MARKS: Final = (50, 75, 90)


def changes(
    source: str, before: Facts, after: Facts, now: float, policy: Policy
) -> Iterator[Event]:
    """Yield the events for the step from ``before`` to ``after``; ``source``: a URL for people."""
    old, new = before.snapshot, after.snapshot
    failure = None if after.failure is before.failure else after.failure
    if failure and failure.kind == "lost" and (after.fails == 1 or after.inline > before.inline):
        yield events.FetchLost(source, after.inline)
    if failure:
        age = failure.at - old.start if old else None
        milliseconds = int(1000 * failure.seconds)
        yield events.RefreshFailed(
            source, failure.kind, failure.detail, milliseconds, after.fails, age, failure.pause
        )
        if age is not None:
            yield from _staleness(source, before, age, policy)
    if old and not new:
        yield events.KeysExpired(source)
    if new and after.accepted != before.accepted:
        if before.fails:
            yield events.Recovered(source, now - before.failing_since)
        yield from _accepted_set(source, old, new, now)


def _staleness(source: str, before: Facts, age: float, policy: Policy) -> Iterator[Event]:
    def mark(seconds: float) -> int:
        reached = (m for m in STALE_MARKS if seconds >= policy.expires_after * m / 100)
        return max(reached, default=0)

    last_failure = before.failure.at if before.failure and before.fails else NEVER
    reported = mark(last_failure - before.snapshot.start) if before.snapshot else 0
    if mark(age) > reported:
        yield events.KeysStale(source, mark(age), policy.expires_after - age)


def _accepted_set(source: str, old: Snapshot | None, new: Snapshot, now: float) -> Iterator[Event]:
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
    private_first = sorted(new.keyset.dropped, key=lambda dropped: not dropped.private)
    for kid, reason, private in private_first[:MAX_DROPPED_REPORTED]:
        if private:
            yield events.PrivateKeyPublished(source, kid)
        else:
            yield events.KeyDropped(source, kid, reason)
