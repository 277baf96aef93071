"""Events: what happened, one frozen dataclass for each kind.

A hook is any callable that takes one :class:`Event`. No event holds a token, and none but
:class:`Accepted` holds claims. Text from a client is escaped and cut by :func:`printable`.
"""

import logging
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields
from types import MappingProxyType
from typing import Any
from typing import ClassVar
from typing import Final
from typing import TypeAlias

from .errors import printable

logger: Final = logging.getLogger("jwt_wsgi")
#: Seconds after which an outage repeats its line: a day of it stays under 150 lines.
OUTAGE_QUIET: Final = 1200.0
#: What ``log_fields`` may name: claims, and the path of a request.
LOG_FIELDS: Final = ("sub", "jti", "client_id", "act", "path")
MOST_LISTED: Final = 20  # names of a list that a line shows
MORE: Final = "jwt-wsgi explain --code %(code)s"  # where a refusal is explained


def _listed(kids: Sequence[str]) -> str:
    shown = ", ".join(map(printable, kids[:MOST_LISTED])) or "none"
    return shown if len(kids) <= MOST_LISTED else f"{shown} ... ({len(kids)} in all)"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Subclasses have its fields, its log level and its log line."""

    #: The line, with the names of :meth:`words` in it. All events of a class have the same one, so
    #: that a tool which groups log records by template groups them by kind of event.
    template: ClassVar[str]
    level: ClassVar[int] = logging.INFO
    #: Level of a line that comes within ``quiet`` seconds of the last one with the same ``key``.
    quiet_level: ClassVar[int] = logging.DEBUG
    quiet: ClassVar[float] = 0.0
    #: Facts that a line has as ``name=value`` if they are known: name -> field.
    named: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: Events of one class are repetitions of each other if they are equal in these fields.
    repeats_by: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> Hashable:
        """Events with one key are repetitions of each other."""
        return type(self).__name__, *(getattr(self, name) for name in self.repeats_by)

    @property
    def is_first(self) -> bool:
        """True if it is logged at full level although a similar line was logged a moment ago."""
        return False

    @property
    def loudness(self) -> int:
        """The level of this one event; :attr:`level` is that of its class."""
        return self.level

    def fields(self) -> dict[str, Any]:
        """The names and values of its fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def words(self) -> dict[str, Any]:
        """The values for the template: the fields, and ``named``: some of them in one text."""
        known = self.fields()
        lists = {name: _listed(kids) for name, kids in known.items() if isinstance(kids, tuple)}
        facts = [f" {label}={known[name]}" for label, name in self.named.items() if known[name]]
        return {**known, **lists, "named": "".join(facts), **self.more_words()}

    def more_words(self) -> dict[str, Any]:
        """What a subclass adds to :meth:`words`."""
        return {}

    def __str__(self) -> str:
        return self.template % self.words()


@dataclass(frozen=True, slots=True)
class Accepted(Event):
    """A request reached the application with a verified token.

    The claims and the path are those that ``log_fields`` names, in quotes and escaped; empty
    otherwise. A claim that the token does not have is ``none``, without quotes.
    """

    template = "accepted a token of %(issuer)s%(named)s"
    named = MappingProxyType({name: name for name in LOG_FIELDS})
    issuer: str
    algorithm: str
    sub: str = ""
    jti: str = ""
    client_id: str = ""
    act: str = ""
    path: str = ""
    level: ClassVar[int] = logging.DEBUG

    @property
    def loudness(self) -> int:
        """INFO with claims: an audit trail has a line for every such request."""
        return logging.INFO if self.sub or self.jti or self.client_id or self.act else self.level


@dataclass(frozen=True, slots=True)
class _Verdict(Event):
    """A request without a valid token. ``issuer``, ``algorithm``, ``kid``: escaped, unverified.

    ``method``: that of the request, escaped. ``rule``: the path of the rule that decided, as it is
    configured. ``path``: that of the request, in quotes and escaped, if ``log_fields`` names it.
    """

    named = MappingProxyType(
        {"method": "method", "rule": "rule", "iss": "issuer", "alg": "algorithm", "kid": "kid"}
        | {"request": "request_id", "path": "path"}
    )
    code: str
    status: int
    issuer: str = ""
    algorithm: str = ""
    kid: str = ""
    request_id: str = ""
    detail: str = ""
    path: str = ""
    method: str = ""
    rule: str = ""
    level: ClassVar[int] = logging.WARNING
    quiet_level: ClassVar[int] = logging.INFO
    quiet: ClassVar[float] = 60.0
    repeats_by = ("code",)

    def more_words(self) -> dict[str, Any]:
        return {"detail": f" ({self.detail})" if self.detail else ""}


@dataclass(frozen=True, slots=True)
class Refused(_Verdict):
    """The middleware refused a request."""

    template = "refused %(status)d %(code)s%(detail)s%(named)s; see " + MORE


@dataclass(frozen=True, slots=True)
class Reported(_Verdict):
    """A refused request reached the application all the same, because its rule only reports."""

    template = "would have refused %(status)d %(code)s%(detail)s%(named)s; see " + MORE


@dataclass(frozen=True, slots=True)
class LogoutArrived(Event):
    """An issuer logged a user out. ``revoked``: the kinds of entries that are in the store now."""

    template = "a logout of %(issuer)s arrived and is in the store (%(revoked)s)"
    issuer: str
    revoked: str


@dataclass(frozen=True, slots=True)
class FunctionFailed(Event):
    """A function of the application (a check, a key source, a responder) did not do its work.

    ``failure``: ``raised TYPE``, or what it returned; never the text of an error, which may hold a
    secret or a claim. ``outcome``: what became of the request.
    """

    template = "%(function)s %(failure)s: %(outcome)s"
    function: str
    failure: str
    outcome: str
    level: ClassVar[int] = logging.ERROR
    quiet: ClassVar[float] = 60.0
    repeats_by = ("function",)


@dataclass(frozen=True, slots=True)
class KeysEvent(Event):
    """Something about the keys of one issuer; ``source`` is its URL, for people."""

    source: str
    repeats_by: ClassVar[tuple[str, ...]] = ("source",)


@dataclass(frozen=True, slots=True)
class KeysFound(KeysEvent):
    """Discovery said where the keys are."""

    template = "keys of %(source)s from %(jwks_uri)s (found by %(found_by)s)"
    jwks_uri: str
    found_by: str


@dataclass(frozen=True, slots=True)
class KeysLoaded(KeysEvent):
    """This process has fetched its first key set of an issuer."""

    template = "keys of %(source)s loaded in %(milliseconds)d ms: %(kids)s"
    kids: tuple[str, ...]
    milliseconds: int


@dataclass(frozen=True, slots=True)
class KeysChanged(KeysEvent):
    """A refresh brought a different set. Its ``digest`` is the same in every process.

    ``milliseconds``: how long the fetch took; 0 for a file.
    """

    template = "keys of %(source)s changed: added %(added)s, removed %(removed)s, now %(digest).12s"
    added: tuple[str, ...]
    removed: tuple[str, ...]
    digest: str
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class KeysConfirmed(KeysEvent):
    """A refresh brought the same set again."""

    template = "keys of %(source)s confirmed"
    milliseconds: int = 0
    level: ClassVar[int] = logging.DEBUG


@dataclass(frozen=True, slots=True)
class RefreshFailed(KeysEvent):
    """A fetch failed. ``age``: seconds since the held keys were confirmed, None without keys."""

    template = (
        "keys of %(source)s could not be fetched (%(kind)s: %(detail)s, after %(milliseconds)d ms,"
        " failure %(fails)d in a row); %(held)s, next attempt in %(next_attempt_in).0f s"
    )
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

    def more_words(self) -> dict[str, Any]:
        held = "no keys held" if self.age is None else f"serving keys {self.age:.0f} s old"
        return {"held": held}


@dataclass(frozen=True, slots=True)
class Recovered(KeysEvent):
    """A fetch succeeded after failures; ``seconds`` since the first of them."""

    template = "keys of %(source)s can be fetched again, after %(seconds).0f s"
    seconds: float


@dataclass(frozen=True, slots=True)
class KeysUnavailable(KeysEvent):
    """A request was answered 503 because its key could not be had."""

    template = "a request was refused with 503: its key of %(source)s cannot be had now"
    level: ClassVar[int] = logging.ERROR
    quiet: ClassVar[float] = OUTAGE_QUIET


@dataclass(frozen=True, slots=True)
class KeysStale(KeysEvent):
    """An outage has used up 50, 75 or 90 percent of ``jwks_max_stale``."""

    template = (
        "keys of %(source)s are not confirmed: %(percent)d %% of their time is over, and they can"
        " be used for %(seconds_left).0f s more"
    )
    percent: int
    seconds_left: float
    level: ClassVar[int] = logging.ERROR


@dataclass(frozen=True, slots=True)
class KeysExpired(KeysEvent):
    """Held keys were not confirmed within ``jwks_max_stale``, and a request was refused for it."""

    template = "keys of %(source)s are too old to be used; its requests are refused with 503"
    level: ClassVar[int] = logging.CRITICAL


@dataclass(frozen=True, slots=True)
class KeyMissed(KeysEvent):
    """A token named a key that is not in the set, and a look-up was started for it."""

    template = "a token names the unknown key %(kid)s of %(source)s; fetching its keys"
    kid: str
    quiet: ClassVar[float] = 30.0


@dataclass(frozen=True, slots=True)
class MemberEvent(KeysEvent):
    """Something about one member of a set. If two sets alternate, it is logged once an hour."""

    kid: str
    quiet: ClassVar[float] = 3600.0
    repeats_by = ("source", "kid")


@dataclass(frozen=True, slots=True)
class KeyDropped(MemberEvent):
    """A member of the set is not used, and why."""

    template = "key %(kid)s of %(source)s is not used: %(reason)s"
    reason: str
    level: ClassVar[int] = logging.WARNING


@dataclass(frozen=True, slots=True)
class PrivateKeyPublished(MemberEvent):
    """A fetched set holds a private key. Anyone who has read the set can make tokens."""

    template = "%(source)s PUBLISHES THE PRIVATE KEY %(kid)s; it is not used, replace it"
    level: ClassVar[int] = logging.ERROR


@dataclass(frozen=True, slots=True)
class NoKeyFits(KeysEvent):
    """A set arrived, and none of its keys fits an accepted algorithm: every token is refused."""

    template = (
        "%(source)s: none of its keys (%(count)d) fits the accepted algorithms (%(algorithms)s);"
        " no token is accepted"
    )
    count: int
    algorithms: tuple[str, ...]
    level: ClassVar[int] = logging.ERROR
    quiet: ClassVar[float] = 3600.0


@dataclass(frozen=True, slots=True)
class FetchLost(KeysEvent):
    """A fetch did not finish in time. ``inline``: threads do not seem to run in this process."""

    template = "a fetch of the keys of %(source)s was lost%(hint)s"
    inline: bool
    level: ClassVar[int] = logging.WARNING
    quiet: ClassVar[float] = OUTAGE_QUIET

    def more_words(self) -> dict[str, Any]:
        hint = "; no threads run here (uWSGI: --enable-threads), fetching inline"
        return {"hint": hint if self.inline else ""}


@dataclass(frozen=True, slots=True)
class ClockSkewed(KeysEvent):
    """Our clock and the issuer's differ by more than the leeway. ``seconds``: ours minus theirs."""

    template = "our clock is %(seconds)+.0f s off that of %(source)s (+: ahead); check NTP"
    seconds: float
    level: ClassVar[int] = logging.WARNING
    quiet: ClassVar[float] = 3600.0


@dataclass(frozen=True, slots=True)
class RevocationFailed(Event):
    """It could not be found out whether a token is revoked, and its request was refused or passed.

    ``reason``: what failed, or that the store is not asked after failures; never the text of an
    error. ``first``: the previous check worked.
    """

    template = "revocation could not be checked (%(reason)s); the request %(outcome)s"
    reason: str
    passed: bool
    first: bool = False
    level: ClassVar[int] = logging.ERROR
    quiet: ClassVar[float] = OUTAGE_QUIET

    @property
    def is_first(self) -> bool:
        return self.first

    def more_words(self) -> dict[str, Any]:
        return {"outcome": "passes UNCHECKED" if self.passed else "is refused with 503"}


@dataclass(frozen=True, slots=True)
class RevocationRecovered(Event):
    """The store answers again; ``seconds`` since its first failure."""

    template = "revocation can be checked again, after %(seconds).0f s"
    seconds: float


Hook: TypeAlias = Callable[[Event], object]
Emit: TypeAlias = Callable[[Event], None]
