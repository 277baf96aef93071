"""What happened, as frozen facts: one class for each kind of event.

A hook is any callable that takes one :class:`Event`. Labels are bounded: no event carries a
token or a claim, and what came from a stranger is escaped and cut by :func:`printable`.
"""

import logging
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from typing import Final
from typing import TypeAlias

from .errors import printable

logger: Final = logging.getLogger("jwt_wsgi")

#: After the first line of its kind, an outage repeats itself this often (seconds), so that
#: a day of it stays under 150 lines, even while tokens name keys that do not exist.
OUTAGE_QUIET: Final = 1200.0


def _listed(kids: Sequence[str]) -> str:
    return ", ".join(map(printable, kids[:20])) + (" ..." if len(kids) > 20 else "")  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Event:
    """A fact; subclasses say what it is, how loud, and how to tell it in one line."""

    level: ClassVar[int] = logging.INFO
    #: Level of a line that comes within ``quiet`` seconds of the last one with the same ``key``.
    quiet_level: ClassVar[int] = logging.DEBUG
    quiet: ClassVar[float] = 0.0

    @property
    def key(self) -> Hashable:
        """Events with one key are repetitions of each other."""
        return type(self).__name__

    @property
    def is_first(self) -> bool:
        """True if it is logged at full level although a similar line was logged a moment ago."""
        return False


@dataclass(frozen=True, slots=True)
class Accepted(Event):
    """A request reached the application with a verified token."""

    issuer: str
    algorithm: str
    level: ClassVar[int] = logging.DEBUG

    def __str__(self) -> str:
        return f"accepted a token of {self.issuer}"


@dataclass(frozen=True, slots=True)
class _Verdict(Event):
    """Not good enough. ``issuer``, ``algorithm``, ``kid``: escaped, unverified."""

    verb: ClassVar[str]
    code: str
    status: int
    issuer: str = ""
    algorithm: str = ""
    kid: str = ""
    request_id: str = ""
    detail: str = ""
    level: ClassVar[int] = logging.WARNING
    quiet_level: ClassVar[int] = logging.INFO
    quiet: ClassVar[float] = 60.0

    @property
    def key(self) -> Hashable:
        return type(self).__name__, self.code

    def __str__(self) -> str:
        facts = {
            "iss": self.issuer,
            "alg": self.algorithm,
            "kid": self.kid,
            "request": self.request_id,
        }
        told = "".join(f" {name}={value}" for name, value in facts.items() if value)
        return f"{self.verb} {self.status} {self.code}{self.detail and f' ({self.detail})'}{told}"


@dataclass(frozen=True, slots=True)
class Refused(_Verdict):
    """A request was answered by us."""

    verb: ClassVar[str] = "refused"


@dataclass(frozen=True, slots=True)
class Reported(_Verdict):
    """A request that would have been refused reached the application, as its rule says."""

    verb: ClassVar[str] = "would have refused"


@dataclass(frozen=True, slots=True)
class FunctionFailed(Event):
    """A function of the application (a check, a key source, a responder) did not do its work.

    ``failure``: ``raised TYPE``, or what it returned; never the text of an error, which may hold a
    secret or a claim. ``outcome``: what became of the request.
    """

    function: str
    failure: str
    outcome: str
    level: ClassVar[int] = logging.ERROR
    quiet: ClassVar[float] = 60.0

    @property
    def key(self) -> Hashable:
        return type(self).__name__, self.function

    def __str__(self) -> str:
        return f"{self.function} {self.failure}: {self.outcome}"


@dataclass(frozen=True, slots=True)
class KeysEvent(Event):
    """Something about the keys of one issuer; ``source`` is its URL, for people."""

    source: str

    @property
    def key(self) -> Hashable:
        return type(self).__name__, self.source


@dataclass(frozen=True, slots=True)
class KeysFound(KeysEvent):
    """Discovery said where the keys are."""

    jwks_uri: str
    found_by: str

    def __str__(self) -> str:
        return f"keys of {self.source} from {self.jwks_uri} (found by {self.found_by})"


@dataclass(frozen=True, slots=True)
class KeysLoaded(KeysEvent):
    """The first key set of this process is here."""

    kids: tuple[str, ...]
    milliseconds: int

    def __str__(self) -> str:
        count = f"{len(self.kids)} key{'' if len(self.kids) == 1 else 's'}"
        return f"{count} of {self.source} loaded in {self.milliseconds} ms: {_listed(self.kids)}"


@dataclass(frozen=True, slots=True)
class KeysChanged(KeysEvent):
    """A refresh brought another set; ``digest`` names it, equal in every process that has it.

    ``milliseconds``: how long the fetch took; 0 for a file.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    digest: str
    milliseconds: int = 0

    def __str__(self) -> str:
        parts = [
            f"{verb} {_listed(kids)}"
            for verb, kids in (("added", self.added), ("removed", self.removed))
            if kids
        ]
        told = ", ".join(parts) or "other keys under the same names"
        return f"keys of {self.source} changed: {told} (now {self.digest[:12]})"


@dataclass(frozen=True, slots=True)
class KeysConfirmed(KeysEvent):
    """A refresh brought the set we have."""

    milliseconds: int = 0
    level: ClassVar[int] = logging.DEBUG

    def __str__(self) -> str:
        return f"keys of {self.source} confirmed"


@dataclass(frozen=True, slots=True)
class RefreshFailed(KeysEvent):
    """A fetch failed. ``age``: seconds since the held keys were confirmed, None without keys."""

    kind: str
    detail: str
    milliseconds: int
    fails: int
    age: float | None
    next_attempt_in: float
    level: ClassVar[int] = logging.WARNING
    quiet: ClassVar[float] = OUTAGE_QUIET

    @property
    def is_first(self) -> bool:
        return self.fails == 1

    def __str__(self) -> str:
        held = "no keys held" if self.age is None else f"serving keys {self.age:.0f} s old"
        return (
            f"keys of {self.source} could not be fetched ({self.kind}: {self.detail},"
            f" after {self.milliseconds} ms, failure {self.fails} in a row); {held},"
            f" next attempt in {self.next_attempt_in:.0f} s"
        )


@dataclass(frozen=True, slots=True)
class Recovered(KeysEvent):
    """A fetch succeeded after failures; ``seconds`` since the first of them."""

    seconds: float

    def __str__(self) -> str:
        return f"keys of {self.source} can be fetched again, after {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True)
class KeysUnavailable(KeysEvent):
    """A request was answered 503 because its key could not be had."""

    level: ClassVar[int] = logging.ERROR
    quiet: ClassVar[float] = OUTAGE_QUIET

    def __str__(self) -> str:
        return f"a request was refused with 503: its key of {self.source} cannot be had now"


@dataclass(frozen=True, slots=True)
class KeysStale(KeysEvent):
    """An outage has used up 50, 75 or 90 percent of ``jwks_max_stale``."""

    percent: int
    seconds_left: float
    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        left = f"{self.seconds_left / 3600:.1f} h"
        return (
            f"keys of {self.source} stay in use without confirmation for {left} more"
            f" ({self.percent} % of the time is over)"
        )


@dataclass(frozen=True, slots=True)
class KeysExpired(KeysEvent):
    """Held keys were not confirmed within ``jwks_max_stale``, and a request was refused for it."""

    level: ClassVar[int] = logging.CRITICAL

    def __str__(self) -> str:
        return f"keys of {self.source} are too old to be used; its requests are refused with 503"


@dataclass(frozen=True, slots=True)
class KeyMissed(KeysEvent):
    """A token named a key that is not in the set, and a look-up was started for it."""

    kid: str
    quiet: ClassVar[float] = 30.0

    def __str__(self) -> str:
        return f"a token names key {self.kid}, new to us, of {self.source}; fetching its keys"


@dataclass(frozen=True, slots=True)
class MemberEvent(KeysEvent):
    """Something about one member of a set. A set that goes to and fro repeats it: once an hour."""

    kid: str
    quiet: ClassVar[float] = 3600.0

    @property
    def key(self) -> Hashable:
        return type(self).__name__, self.source, self.kid


@dataclass(frozen=True, slots=True)
class KeyDropped(MemberEvent):
    """A member of the set is not used, and why."""

    reason: str
    level: ClassVar[int] = logging.WARNING

    def __str__(self) -> str:
        return f"key {self.kid} of {self.source} is not used: {self.reason}"


@dataclass(frozen=True, slots=True)
class PrivateKeyPublished(MemberEvent):
    """A member of a fetched set holds a secret; everybody who read it can mint tokens."""

    level: ClassVar[int] = logging.ERROR

    def __str__(self) -> str:
        return f"{self.source} PUBLISHES THE PRIVATE KEY {self.kid}; it is not used, replace it"


@dataclass(frozen=True, slots=True)
class NoKeyFits(KeysEvent):
    """A set arrived, and none of its keys fits an accepted algorithm: every token is refused."""

    count: int
    algorithms: tuple[str, ...]
    level: ClassVar[int] = logging.ERROR
    quiet: ClassVar[float] = 3600.0

    def __str__(self) -> str:
        keys = "its only key does not fit" if self.count == 1 else f"none of {self.count} keys fits"
        accepted = ", ".join(self.algorithms)
        return f"{self.source}: {keys} the accepted algorithms ({accepted}); no token is accepted"


@dataclass(frozen=True, slots=True)
class FetchLost(KeysEvent):
    """A fetch did not finish in time. ``inline``: threads do not seem to run in this process."""

    inline: bool
    level: ClassVar[int] = logging.WARNING
    quiet: ClassVar[float] = OUTAGE_QUIET

    def __str__(self) -> str:
        hint = "; threads do not seem to run here (uWSGI: --enable-threads), fetching inline"
        return f"a fetch of the keys of {self.source} was lost{hint if self.inline else ''}"


@dataclass(frozen=True, slots=True)
class ClockSkewed(KeysEvent):
    """Our clock and the issuer's differ by more than the leeway. ``seconds``: ours minus theirs."""

    seconds: float
    level: ClassVar[int] = logging.WARNING
    quiet: ClassVar[float] = 3600.0

    def __str__(self) -> str:
        side = "ahead of" if self.seconds > 0 else "behind"
        return f"our clock is {abs(self.seconds):.0f} s {side} that of {self.source}; check NTP"


@dataclass(frozen=True, slots=True)
class RevocationFailed(Event):
    """It could not be found out whether a token is revoked, and its request was refused or passed.

    ``reason``: the type of the error, or that the store rests. ``first``: it worked before.
    """

    reason: str
    passed: bool
    first: bool = False
    level: ClassVar[int] = logging.ERROR
    quiet: ClassVar[float] = OUTAGE_QUIET

    @property
    def is_first(self) -> bool:
        return self.first

    def __str__(self) -> str:
        outcome = "passes UNCHECKED" if self.passed else "is refused with 503"
        return f"revocation could not be checked ({self.reason}); the request {outcome}"


@dataclass(frozen=True, slots=True)
class RevocationRecovered(Event):
    """The store answers again; ``seconds`` since it first did not."""

    seconds: float

    def __str__(self) -> str:
        return f"revocation can be checked again, after {self.seconds:.0f} s"


Hook: TypeAlias = Callable[[Event], object]
Emit: TypeAlias = Callable[[Event], None]
