"""When remote keys are fresh, due or expired; which request starts a fetch, and which one waits.

These are pure functions over :class:`~.facts.Facts`: no threads, no I/O, no clock, no random
numbers. :func:`decide` returns what a request does. The functions after it return the facts after
an event. A comment beside the code names each rule, as ``docs/development/keys.md`` does.
:mod:`.remote` calls these functions and runs the fetches.
"""

import math
from enum import Enum
from enum import StrEnum
from typing import Final

from jwt_wsgi.keys import KeySet

from .facts import NEVER
from .facts import Facts
from .facts import Failure
from .facts import Finished
from .facts import KeyFetch
from .facts import Loaded
from .facts import Policy
from .facts import Snapshot
from .failures import FetchError

#: Seconds that a request waits for an unknown kid.
WAIT: Final = 2.0
#: After failures, requests wait again for a fetch that starts so many seconds after the pause.
WAIT_AGAIN_AFTER: Final = 30.0
#: After a failure within this many seconds, the request that starts the next fetch waits for it.
QUICK_FAILURE: Final = 1.0
#: If this many lost threads still run (name resolution can hang for minutes) ...
STUCK_LIMIT: Final = 2
#: ... this many seconds pass from one fetch to the next.
STUCK_PAUSE: Final = 900.0
#: Seconds of pause after each failure in a row: without keys, when requests are being refused,
COLD_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 10.0)
#: with keys, when requests are being refused because their key is a new one,
NEW_KEY_PAUSES: Final = (5.0, 10.0, 15.0)
#: and with keys, when every request is served.
WARM_PAUSES: Final = (5.0, 10.0, 20.0, 40.0, 60.0)
#: Seconds for which an issuer's ``Retry-After`` counts at most.
MAX_RETRY_AFTER: Final = 60.0
#: The most look-ups of unknown kids in a row; one more is allowed in each cooldown.
LOOKUPS: Final = 4


class State(StrEnum):
    """What ``health()`` shows. Derived from the facts and the time, never stored."""

    COLD = "COLD"  # no usable keys; the next request fetches
    LOADING = "LOADING"  # no usable keys; a fetch runs
    COLD_WAIT = "COLD-WAIT"  # no usable keys; the last fetch failed, and the pause is not over
    FRESH = "FRESH"
    DUE = "DUE"  # the next request starts a refresh, and is served
    IDLE = "IDLE"  # due, and so old that the next request waits for the refresh
    REFRESHING = "REFRESHING"  # usable keys, and a fetch runs
    DEGRADED = "DEGRADED"  # usable keys; the last fetch failed, and the pause is not over
    CLOSED = "CLOSED"


class Then(Enum):
    """What a request does next."""

    SERVE = "verify with the held set"
    WAIT = "wait for the fetch that runs"
    ABSENT = "401: the key is not to be found"
    NOT_NOW = "503 or 429: it cannot be known now"


class Start(Enum):
    """Which fetch a request starts."""

    NOTHING = "none"
    SCHEDULED = "one that was due"
    LOOKUP = "one for an unknown kid"


def usable(facts: Facts, now: float, policy: Policy) -> Snapshot | None:
    """Return the snapshot, unless there is none or it has expired."""
    snapshot = facts.snapshot
    return snapshot if snapshot and now - snapshot.start < lifetime(snapshot, policy) else None


def lifetime(snapshot: Snapshot, policy: Policy) -> float:
    """Return the age in seconds from which on these keys are never used."""
    return min(snapshot.lifetime, policy.expires_after)


def earliest(facts: Facts) -> float:
    """When the next fetch may start: after the pause, or later if threads are stuck."""
    pause_ends = facts.lookup_not_before if facts.kid_waits else facts.not_before
    if len(facts.lost) < STUCK_LIMIT:
        return pause_ends
    # Rule: stuck threads.
    return max(pause_ends, max(fetch.start for fetch in facts.lost) + STUCK_PAUSE)


def next_lookup(facts: Facts, policy: Policy) -> float:
    """When the next look-up may start. After a failure the pause is its only limit."""
    if facts.fails:
        return earliest(facts)
    return max(earliest(facts), facts.lookups_full_at - (LOOKUPS - 1) * policy.cooldown)


def may_wait(facts: Facts, now: float) -> bool:
    """Whether requests may wait for a fetch that starts now. Rule: who waits."""
    return not facts.fails or now - earliest(facts) >= WAIT_AGAIN_AFTER


def starter_waits(facts: Facts, now: float) -> bool:
    """Whether the request that starts a fetch now waits for it. Rule: quick failure."""
    was_quick = facts.failure is not None and facts.failure.seconds <= QUICK_FAILURE
    return was_quick or may_wait(facts, now)


def is_idle(facts: Facts, snapshot: Snapshot, now: float, policy: Policy) -> bool:
    """Whether no request came for so long that held keys are confirmed before use."""
    return now - snapshot.start >= policy.max_age and not facts.fails


def fast_path(facts: Facts, policy: Policy) -> tuple[KeySet | None, float]:
    """Return the set for known kids, and until when it is served without asking :func:`decide`.

    Rules: known kid, known kid during a fetch, known kid in an outage, waiting kid, closed.
    """
    if (snapshot := facts.snapshot) is None:
        return None, NEVER
    expires = snapshot.start + lifetime(snapshot, policy)
    if facts.closed:
        return snapshot.keyset, expires
    if facts.fetch is not None:
        idle = math.inf if facts.fails else snapshot.start + policy.max_age
        return snapshot.keyset, min(expires, idle, facts.fetch.start + policy.lease)
    due = NEVER if facts.fails else snapshot.due
    if facts.kid_waits:
        due = min(due, next_lookup(facts, policy))
    return snapshot.keyset, min(expires, max(earliest(facts), due))


def state(facts: Facts, now: float, policy: Policy) -> State:
    """Return the name of the state that follows from the facts and the time."""
    snapshot, pausing = usable(facts, now, policy), now < earliest(facts)
    if facts.closed:
        return State.CLOSED
    if snapshot is None:
        return State.LOADING if facts.fetch else State.COLD_WAIT if pausing else State.COLD
    if facts.fetch:
        return State.REFRESHING
    if facts.fails:
        return State.DEGRADED if pausing else State.DUE
    if is_idle(facts, snapshot, now, policy):
        return State.IDLE
    return State.DUE if now >= snapshot.due else State.FRESH


def decide(
    facts: Facts, now: float, policy: Policy, *, known: bool, absent: bool = False
) -> tuple[Start, Then]:
    """Return which fetch a request starts, and what the request does next.

    ``known``: the key of its token is held. ``absent``: a recent look-up has shown that its kid is
    not published. For any other unknown kid, ``facts.kid_waits`` is set.
    """
    snapshot = usable(facts, now, policy)
    if facts.closed:  # Rule: closed.
        return Start.NOTHING, Then.SERVE if known and snapshot else Then.NOT_NOW
    if snapshot is None:
        return _without_keys(facts, now)
    if known:
        return _known_kid(facts, now, snapshot, policy)
    if absent:  # Rule: absent kid.
        return Start.NOTHING, Then.ABSENT
    return _unknown_kid(facts, now, policy)


def _without_keys(facts: Facts, now: float) -> tuple[Start, Then]:
    if facts.fetch:  # Rule: loading.
        return Start.NOTHING, _wait_if(facts.fetch.may_wait)
    if now < earliest(facts):  # Rule: cold pause.
        return Start.NOTHING, Then.NOT_NOW
    return Start.SCHEDULED, _wait_if(starter_waits(facts, now))  # Rule: cold start.


def _known_kid(facts: Facts, now: float, snapshot: Snapshot, policy: Policy) -> tuple[Start, Then]:
    then = Then.WAIT if is_idle(facts, snapshot, now, policy) else Then.SERVE
    if facts.fetch:  # Rules: known kid during a fetch, idle check.
        return Start.NOTHING, then
    if facts.kid_waits and now >= next_lookup(facts, policy):  # Rule: waiting kid.
        return Start.LOOKUP, then
    if now >= earliest(facts) and (now >= snapshot.due or facts.fails):
        return Start.SCHEDULED, then  # Rules: scheduled refresh, idle check.
    return Start.NOTHING, Then.SERVE  # Rules: known kid, known kid in an outage.


def _unknown_kid(facts: Facts, now: float, policy: Policy) -> tuple[Start, Then]:
    if facts.fetch:  # Rule: unknown kid during a fetch.
        return Start.NOTHING, _wait_if(facts.fetch.may_wait)
    if now < next_lookup(facts, policy):  # Rules: no look-up left, unknown kid in an outage.
        return Start.NOTHING, Then.NOT_NOW
    return Start.LOOKUP, _wait_if(starter_waits(facts, now))  # Rule: unknown kid.


def _wait_if(may_wait: bool) -> Then:  # noqa: FBT001  # reads as a sentence
    return Then.WAIT if may_wait else Then.NOT_NOW


# Events: each function returns the new facts. ``jitter``: a random number from 0 to 1.


def fetch_started(
    facts: Facts,
    now: float,
    start: Start,
    finished: Finished,
    policy: Policy,
    kid: str,
    kids: frozenset[str],
) -> Facts:
    """Add a running fetch to the facts. ``kid``, ``kids``: of a look-up, as in KeyFetch."""
    number, wait = facts.started + 1, may_wait(facts, now)
    if start is not Start.LOOKUP:
        reason = "scheduled" if facts.snapshot else "cold"
        fetch = KeyFetch(number, now, reason, wait, finished)
        return facts._replace(fetch=fetch, started=number)
    # A look-up after a failure is counted as well, so that an issuer that sometimes fails is
    # asked no more often than one that never fails.
    full_at = max(facts.lookups_full_at, now) + policy.cooldown
    return facts._replace(
        fetch=KeyFetch(number, now, "lookup", wait, finished, kid, kids),
        started=number,
        kid_waits=False,
        lookups_full_at=min(full_at, now + LOOKUPS * policy.cooldown),
    )


def time_passed(facts: Facts, now: float, policy: Policy, jitter: float) -> Facts:
    """Give up a fetch that is lost, and keys that have expired."""
    fetch = facts.fetch
    if fetch is not None and now >= (end := fetch.start + policy.lease):  # Rule: lost fetch.
        lost = facts.lost | {fetch}
        inline = facts.inline or not (facts.reported or fetch.thread)  # Rule: no thread.
        facts = facts._replace(lost=lost, inline=inline)
        error = FetchError("lost", "the fetch did not end in time")
        facts = fetch_failed(facts, fetch, error, end, policy, jitter)
    if facts.snapshot is not None and usable(facts, now, policy) is None:  # Rule: expired keys.
        soon = min(facts.not_before, now + COLD_PAUSES[-1])
        facts = facts._replace(snapshot=None, expired=True, kid_waits=False, not_before=soon)
    return facts


def fetch_finished(
    facts: Facts,
    fetch: KeyFetch,
    result: Loaded | FetchError,
    now: float,
    policy: Policy,
    jitter: float,
) -> Facts:
    """Apply the result of a fetch, which may come after the fetch was given up."""
    in_time = fetch is facts.fetch
    facts = facts._replace(lost=facts.lost - {fetch}, reported=True)
    if in_time:
        facts = facts._replace(fetch=None)
    if isinstance(result, Loaded) and fetch.number <= facts.accepted:
        return facts  # the set in use is from a later fetch
    held = facts.snapshot.keyset if facts.snapshot else None
    if isinstance(result, Loaded) and result.confirms in (None, held):
        return fetch_succeeded(facts, fetch, result, now, policy, jitter)
    if not in_time:  # Rule: late result. Its failure was counted when it was given up.
        return facts
    if isinstance(result, Loaded):  # Rule: not modified.
        result = FetchError(
            "http", "status 304 (not modified) for keys that are no longer held", status=304
        )
    return fetch_failed(facts, fetch, result, now, policy, jitter)


def fetch_succeeded(
    facts: Facts, fetch: KeyFetch, loaded: Loaded, now: float, policy: Policy, jitter: float
) -> Facts:
    """Replace the snapshot. Rules: new set, same set, not modified.

    If the new set is equal, the old object stays: the cache of verified tokens refers to it.
    """
    old, keyset = facts.snapshot, loaded.keyset
    same = old is not None and old.keyset.digest == keyset.digest
    if old is not None and same:
        keyset = old.keyset
    due = fetch.start + policy.refresh_after * (0.8 + 0.2 * jitter)
    return facts._replace(
        snapshot=Snapshot(keyset, fetch.start, due, loaded.etag, loaded.uri, loaded.body),
        accepted=fetch.number,
        fails=0,
        not_before=NEVER,
        lookup_not_before=NEVER,
        expired=False,
        success=now,
        generation=facts.generation + (not same),
    )


def fetch_failed(
    facts: Facts, fetch: KeyFetch, error: FetchError, at: float, policy: Policy, jitter: float
) -> Facts:
    """Count the failure, and set the pause. Rules: failed load, failed refresh."""
    fails, warm = facts.fails + 1, usable(facts, at, policy) is not None
    refused = fetch.is_lookup or facts.kid_waits
    retry_after = min(error.retry_after or 0.0, MAX_RETRY_AFTER)

    def pause_after(pauses: tuple[float, ...]) -> float:
        pause = pauses[min(fails, len(pauses)) - 1] * (0.8 + 0.2 * jitter)
        return max(pause, retry_after)  # Rule: retry after.

    lookup_pause = pause_after(NEW_KEY_PAUSES if warm else COLD_PAUSES)
    pause = lookup_pause if refused or not warm else pause_after(WARM_PAUSES)
    return facts._replace(
        fetch=None,
        fails=fails,
        failing_since=facts.failing_since if facts.fails else at,
        not_before=at + pause,
        lookup_not_before=at + lookup_pause,
        failure=Failure(at, error.kind, error.detail, at - fetch.start, pause),
    )


def may_restore(facts: Facts) -> bool:
    """Whether saved keys may be read, once the first fetch has failed. Rule: saved keys."""
    return facts.success is None and not (facts.disk_was_asked or facts.closed)


def restored(facts: Facts, saved: Snapshot | None) -> Facts:
    """Use keys that were saved on disk, if there are any; the failed fetch stays a failure."""
    facts = facts._replace(disk_was_asked=True)
    if saved is None or facts.snapshot is not None:
        return facts
    return facts._replace(snapshot=saved, generation=facts.generation + 1)


def forked(facts: Facts, policy: Policy, jitter: float) -> Facts:
    """Keep keys and failures, drop threads, choose a new refresh time. Rule: fork."""
    facts = facts._replace(fetch=None, lost=frozenset(), reported=False, inline=False)
    facts = facts._replace(disk_was_asked=False)  # by this process
    if (snapshot := facts.snapshot) is None:
        return facts
    due = snapshot.start + policy.refresh_after * (0.8 + 0.2 * jitter)
    return facts._replace(snapshot=snapshot._replace(due=due))
