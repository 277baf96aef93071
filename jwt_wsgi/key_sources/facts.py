"""The state of the keys of one source: its settings (:class:`Policy`), and :class:`Facts`.

Facts are immutable and replaced as a whole. :mod:`.freshness` derives decisions from them.
"""

import math
from dataclasses import dataclass
from typing import Final
from typing import NamedTuple
from typing import Protocol

from jwt_wsgi.keys import KeySet

#: A fetch that has not finished this many seconds after its deadline is lost.
LEASE_SLACK: Final = 1.0
NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Policy:
    """How long keys are fresh, due and stale, in seconds, and the accepted algorithms."""

    refresh_after: float = 300.0
    max_age: float = 600.0
    max_stale: float = 86400.0
    cooldown: float = 30.0
    timeout: float = 5.0
    #: The accepted values of ``alg``; empty: any.
    algorithms: frozenset[str] = frozenset()

    @property
    def expires_after(self) -> float:
        """The age in seconds from which on keys are never used."""
        return max(self.max_stale, self.max_age)

    @property
    def lease(self) -> float:
        """How many seconds after its start a fetch that has not finished is lost."""
        return self.timeout + LEASE_SLACK


class Finished(Protocol):
    """The methods of :class:`threading.Event` that are used."""

    def set(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Snapshot(NamedTuple):
    """A key set. ``start``: when the fetch began that brought or confirmed it."""

    keyset: KeySet
    start: float
    due: float
    etag: str | None
    uri: str
    body: bytes = b""  # the fetched document, if keys are saved on disk
    lifetime: float = math.inf  # seconds from ``start``, if that is less than the policy's


@dataclass(eq=False, slots=True)
class KeyFetch:
    """One fetch of the keys. ``reason``: cold, scheduled or lookup (for an unknown kid)."""

    number: int
    start: float
    reason: str
    may_wait: bool  # requests that arrive while it runs may wait for it
    finished: Finished
    kid: str = ""  # of a look-up: the kid that it was started for
    kids: frozenset[str] = frozenset()  # of a look-up: all kids that were waiting at its start
    thread: int = 0  # the native id of the thread that runs it; 0: it does not run yet
    ok: bool = False

    @property
    def is_lookup(self) -> bool:
        """A look-up bypasses every HTTP cache. A kid that it does not bring is absent."""
        return self.reason == "lookup"


class Loaded(NamedTuple):
    """The result of a fetch. ``confirms``: the set that a 304 has confirmed."""

    keyset: KeySet
    etag: str | None
    uri: str
    date: float | None = None
    confirms: KeySet | None = None
    body: bytes = b""


class Failure(NamedTuple):
    """How the last failed fetch ended."""

    at: float
    kind: str
    detail: str
    seconds: float
    pause: float

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class Facts(NamedTuple):
    """All facts that decisions depend on. They are replaced as a whole."""

    snapshot: Snapshot | None = None
    fetch: KeyFetch | None = None  # the fetch that runs
    lost: frozenset[KeyFetch] = frozenset()  # given up; their threads may still run
    started: int = 0  # number of the last fetch that started
    accepted: int = 0  # results of fetches up to this number are ignored
    fails: int = 0  # in a row
    failing_since: float = 0.0
    not_before: float = NEVER  # when the pause after a failure ends
    lookup_not_before: float = NEVER  # when it ends while requests are refused for a new key
    kid_waits: bool = False  # a request named an unknown kid, and no look-up has started since
    lookups_full_at: float = NEVER  # when all look-ups are available again
    success: float | None = None
    failure: Failure | None = None
    generation: int = 0
    disk_was_asked: bool = False  # saved keys are read at most once
    reported: bool = False  # a fetch of this process has finished, so threads do run
    inline: bool = False  # threads do not run: the request that starts a fetch runs it itself
    expired: bool = False  # keys have expired, and no request has been refused since
    closed: bool = False
