"""Which tokens are revoked, and what happens while that cannot be found out."""

import json
import math
import pickle
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from test_store import Clock

from jwt_wsgi.errors import InvalidTokenError
from jwt_wsgi.errors import RevocationUnavailableError
from jwt_wsgi.errors import name_of
from jwt_wsgi.events import Event
from jwt_wsgi.events import RevocationFailed
from jwt_wsgi.events import RevocationRecovered
from jwt_wsgi.revocation.revocations import CLAIMS
from jwt_wsgi.revocation.revocations import LIFETIME
from jwt_wsgi.revocation.revocations import MARGIN
from jwt_wsgi.revocation.revocations import MAX_LEEWAY
from jwt_wsgi.revocation.revocations import PREFIX
from jwt_wsgi.revocation.revocations import Entry
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.revocation.revocations import checker
from jwt_wsgi.revocation.revocations import guarded
from jwt_wsgi.revocation.store import BREAKER_FAILURES
from jwt_wsgi.revocation.store import BREAKER_PAUSE
from jwt_wsgi.revocation.store import StoreError
from jwt_wsgi.testing import MemoryStore

ISSUER = "https://issuer.example"
NOW = 1_800_000_000.0
#: What a token has of what an entry may name.
TOKEN = {"iss": ISSUER, "jti": "token-1", "sub": "ada", "sid": "session-1", "iat": NOW - 60}


class Recorder(MemoryStore):
    """Remembers what it was asked, and raises or hangs when told to."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock=clock or Clock())
        self.asked: list[tuple[str, ...]] = []
        self.timeouts: list[Any] = []
        self.broken: Exception | None = None
        self.hang: Any = lambda: None

    def read_entries(self, keys: Sequence[str], /) -> list[bytes | None]:
        self.asked.append(tuple(keys))
        self.hang()
        if self.broken:
            raise self.broken
        return super().read_entries(keys)

    def write_entry(self, key: str, value: bytes, timeout: Any, /) -> None:
        self.timeouts.append(timeout)
        super().write_entry(key, value, timeout)

    def add_entry(self, key: str, value: bytes, timeout: Any, /) -> bool:
        self.timeouts.append(timeout)
        return super().add_entry(key, value, timeout)


class Set:
    """Revocations with clocks that stand still, and what they told."""

    def __init__(self, **options: Any) -> None:
        self.clock, self.elapsed = Clock(NOW), Clock()
        self.store = Recorder(self.clock)
        self.events: list[Event] = []
        self.it = Revocations(
            options.pop("store", self.store),
            emit=self.events.append,
            clock=self.clock,
            elapsed=self.elapsed,
            **options,
        )

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.elapsed.now += seconds


# --- What is revoked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revoke", "changed", "revoked"),
    [
        pytest.param(lambda r: None, {}, False, id="nothing"),
        pytest.param(lambda r: r.revoke_token(ISSUER, "token-1"), {}, True, id="this token"),
        pytest.param(lambda r: r.revoke_token(ISSUER, "token-2"), {}, False, id="another"),
        pytest.param(lambda r: r.revoke_token("https://b", "token-1"), {}, False, id="of another"),
        pytest.param(lambda r: r.revoke_token(ISSUER, "token-1"), {"iat": None}, True, id="no iat"),
        pytest.param(
            lambda r: r.revoke_token(ISSUER, "token-1"),
            {"iat": math.inf},
            True,
            id="iat without end",
        ),
        pytest.param(lambda r: r.revoke_token(ISSUER, "ada"), {}, False, id="a sub is no jti"),
        pytest.param(lambda r: r.revoke_token(ISSUER, "7"), {"jti": 7}, True, id="a number"),
        pytest.param(lambda r: r.revoke_session(ISSUER, "session-1"), {}, True, id="this session"),
        pytest.param(lambda r: r.revoke_session(ISSUER, "s"), {}, False, id="another session"),
        pytest.param(lambda r: r.revoke_session("https://b", "session-1"), {}, False, id="of b"),
        pytest.param(
            lambda r: r.revoke_session(ISSUER, "session-1"), {"sid": None}, False, id="no session"
        ),
        pytest.param(lambda r: r.revoke_session(ISSUER, "12"), {"sid": 12}, True, id="sid 12"),
        pytest.param(lambda r: r.revoke_subject(ISSUER, "ada"), {}, True, id="this subject"),
        pytest.param(lambda r: r.revoke_subject(ISSUER, "bob"), {}, False, id="another subject"),
        pytest.param(lambda r: r.revoke_subject("https://b", "ada"), {}, False, id="ada of b"),
    ],
)
def test_an_entry_is_for_what_it_names(revoke: Any, changed: Any, revoked: bool) -> None:
    """Of one issuer: a token, the tokens of a subject, or a session."""
    a = Set()
    revoke(a.it)
    claims = {name: value for name, value in (TOKEN | changed).items() if value is not None}

    assert a.it.is_revoked(claims) is revoked
    assert a.it(claims) is revoked


@pytest.mark.parametrize(
    ("claims", "revoked"),
    [
        ({"iat": NOW - 1}, True),
        ({"iat": NOW - 0.001}, True),
        ({"iat": NOW}, False),
        ({"iat": int(NOW)}, False),
        ({"iat": NOW + 1}, False),
        ({}, True),
        ({"iat": True}, True),
        ({"iat": f"{NOW + 1}"}, True),
        ({"iat": [NOW + 1]}, True),
        ({"iat": None}, True),
        ({"iat": math.nan}, True),
    ],
)
def test_a_subject_is_revoked_up_to_a_time(claims: dict[str, Any], revoked: bool) -> None:
    """Tokens issued before it, and those that do not say when."""
    a = Set()
    a.it.revoke_subject(ISSUER, "ada", NOW)

    assert a.it.is_revoked({"iss": ISSUER, "sub": "ada"} | claims) is revoked


def test_a_token_without_names_is_not_looked_up() -> None:
    """No entry can be for it, so a store that is down is no reason to refuse it."""
    a = Set()
    a.store.broken = TimeoutError()

    assert not a.it.is_revoked({"iss": ISSUER})
    assert a.store.asked == []
    with pytest.raises(RevocationUnavailableError):
        a.it.is_revoked(TOKEN)
    assert not a.it.is_revoked({"iss": ISSUER})


def test_a_token_asks_for_three_keys_at_most() -> None:
    """In one round trip."""
    a = Set()
    assert not a.it.is_revoked(TOKEN | {"aud": "x", "scope": "y"})

    (keys,) = a.store.asked
    assert len(keys) == len(set(keys)) == 3


# --- Keys and values ---------------------------------------------------------------------------


def test_nothing_in_a_claim_reaches_the_entry_of_another() -> None:
    """A key is a hash over parts with ends, so it has one form whatever they hold."""
    parts = ["a", "b", "ab", "", ":", "a:b", '","', "a\0b", "a\nb", "\ud800", "ä", "x" * 5000, "*"]
    keys = {
        Entry(kind, issuer, name, NOW).key for kind in CLAIMS for issuer in parts for name in parts
    }

    assert len(keys) == len(CLAIMS) * len(parts) ** 2
    assert {len(key) for key in keys} == {len(PREFIX) + 64}
    assert all(key.startswith(PREFIX) and key.isascii() and key.isprintable() for key in keys)


@pytest.mark.parametrize(
    "entry",
    [
        Entry("token", ISSUER, "a", NOW),
        Entry("session", ISSUER, '"\n\ud800', NOW),
        Entry("subject", ISSUER, "ä", NOW, not_before=NOW - 5.5),
    ],
    ids=lambda entry: entry.kind,
)
def test_a_value_is_json_with_a_version(entry: Entry) -> None:
    """And reads back as what it was."""
    value = entry.to_bytes()

    assert json.loads(value)["v"] == 1
    assert value.isascii()
    assert Entry.from_bytes(entry.key, value) == entry


GOOD = {"v": 1, "kind": "subject", "iss": ISSUER, "sub": "ada", "expires": NOW, "not_before": 0}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"1", id="a number"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{", id="half"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\xfe\xff", id="no text"),
        pytest.param(pickle.dumps(GOOD), id="a pickle"),
        pytest.param(json.dumps(GOOD), id="text, no bytes"),
        *(
            pytest.param(json.dumps(GOOD | changed).encode(), id=json.dumps(changed))
            for changed in (
                {"v": 2},
                {"kind": "token"},
                {"kind": "issuer"},
                {"kind": []},
                {"iss": "https://b"},
                {"sub": "bob"},
                {"sub": None},
                {"expires": "soon"},
                {"expires": -1},
                {"not_before": None},
                {"not_before": "0"},
                {"not_before": math.nan},
                {"not_before": 1e300},
            )
        ),
        pytest.param(
            json.dumps({k: v for k, v in GOOD.items() if k != "not_before"}).encode(), id="no time"
        ),
    ],
)
def test_a_value_that_cannot_be_read_is_no_answer(value: Any) -> None:
    """It counts as a failure of the check, not as: not revoked."""
    claims = {"iss": ISSUER, "sub": "ada", "iat": NOW}
    key = Entry("subject", ISSUER, "ada", NOW).key
    closed, opened = Set(), Set(fail_open=True)
    for a in (closed, opened):
        a.store.write_entry(key, json.dumps(GOOD).encode(), None)
        assert not a.it.is_revoked(claims)
        a.store.write_entry(key, value, None)

    with pytest.raises(RevocationUnavailableError):
        closed.it.is_revoked(claims)
    assert not opened.it.is_revoked(claims)
    assert [type(event) for event in closed.events + opened.events] == [RevocationFailed] * 2


def test_a_value_that_cannot_be_read_is_the_trouble_of_its_token_alone() -> None:
    """The store answers: others are served, and what another entry says of the token counts."""
    a = Set(fail_open=True)
    a.store.write_entry(Entry("token", ISSUER, "token-1", NOW).key, b"?", None)
    assert not a.it.is_revoked(TOKEN | {"jti": "token-2"})
    assert not a.events

    a.it.revoke_session(ISSUER, "session-1")
    assert a.it.is_revoked(TOKEN)
    a.it.revoke_token(ISSUER, "token-1")  # and what is added anew can be read
    assert a.it.is_revoked({"iss": ISSUER, "jti": "token-1"})


# --- How long ----------------------------------------------------------------------------------


def test_an_entry_outlives_its_tokens_and_then_goes() -> None:
    """A token's until it has expired by every clock, another's for the time that was given."""
    a = Set()
    a.it.revoke_token(ISSUER, "token-1", NOW + 600)
    a.it.revoke_session(ISSUER, "session-1", lifetime=3600)
    a.it.revoke_subject(ISSUER, "ada", NOW + 100, lifetime=7200)
    a.it.revoke_token(ISSUER, "token-2")
    a.it.revoke_token(ISSUER, "token-3", NOW - 1000)

    assert a.store.timeouts == [600 + MAX_LEEWAY, 3600, 7300, LIFETIME, 1]
    assert all(type(timeout) is int for timeout in a.store.timeouts)
    token = {"iss": ISSUER, "jti": "token-1"}
    a.pass_time(600 + MAX_LEEWAY - 1)
    assert a.it.is_revoked(token)
    a.pass_time(1)
    assert not a.it.is_revoked(token)


def test_a_later_revocation_never_shortens_an_earlier_one() -> None:
    """An earlier time or a shorter lifetime, given later, changes nothing."""
    a = Set()
    a.it.revoke_subject(ISSUER, "ada", NOW, lifetime=3600)
    entry = a.it.revoke_subject(ISSUER, "ada", NOW - 1000, lifetime=60)
    assert (entry.not_before, entry.expires) == (NOW, NOW + 3600)
    assert a.it.is_revoked({"iss": ISSUER, "sub": "ada", "iat": NOW - 1})

    entry = a.it.revoke_subject(ISSUER, "ada", NOW + 10, lifetime=7200)
    assert (entry.not_before, entry.expires) == (NOW + 10, NOW + 7210)
    assert a.it.is_revoked({"iss": ISSUER, "sub": "ada", "iat": NOW + 1})
    assert list(a.it.entries()) == [entry]
    assert a.store.timeouts[-1] == 7210


@pytest.mark.parametrize(
    ("revoke", "why"),
    [
        (lambda r: r.revoke_token("", "a"), "iss and jti must not be empty"),
        (lambda r: r.revoke_subject(ISSUER, ""), "iss and sub must not be empty"),
        (lambda r: r.revoke_session(ISSUER, ""), "iss and sid must not be empty"),
        (lambda r: r.revoke_token(ISSUER, "a", NOW * 1000), "not milliseconds"),
        (lambda r: r.revoke_token(ISSUER, "a", math.nan), "not milliseconds"),
        (lambda r: r.revoke_subject(ISSUER, "a", NOW * 1000), "not milliseconds"),
        (lambda r: r.revoke_session(ISSUER, "a", lifetime=NOW * 1000), "not milliseconds"),
    ],
    ids=["iss", "sub", "sid", "exp in ms", "exp NaN", "not_before in ms", "lifetime in ms"],
)
def test_revocations_with_wrong_values_are_refused(revoke: Any, why: str) -> None:
    """An unset variable of a shell, or a time in milliseconds, would revoke nothing or for ever."""
    a = Set()

    with pytest.raises(ValueError, match=why):
        revoke(a.it)
    assert a.store.timeouts == []


class Forgetful(MemoryStore):
    """As a cache whose back end is away: no error, and nothing kept."""

    def add_entry(self, key: str, value: bytes, timeout: Any, /) -> bool:
        return False

    def write_entry(self, key: str, value: bytes, timeout: Any, /) -> None:
        pass


def test_a_store_that_keeps_nothing_is_told() -> None:
    """Who revokes a token learns whether it is revoked."""
    with pytest.raises(StoreError, match="did not keep"):
        Revocations(Forgetful()).revoke_token(ISSUER, "a")


def test_a_store_of_ones_own_needs_three_methods() -> None:
    """Without scan_entries it works, and its entries cannot be listed."""

    class Own:
        def __init__(self) -> None:
            self.held: dict[str, bytes] = {}

        def read_entries(self, keys: Sequence[str], /) -> list[bytes | None]:
            return [self.held.get(key) for key in keys]

        def write_entry(self, key: str, value: bytes, timeout: int | None, /) -> None:
            self.held[key] = value

        def add_entry(self, key: str, value: bytes, timeout: int | None, /) -> bool:
            return self.held.setdefault(key, value) is value

    it = Revocations(Own())
    it.revoke_token(ISSUER, "token-1")
    it.revoke_token(ISSUER, "token-1", lifetime=1.5)

    assert it.is_revoked(TOKEN)
    assert not it.is_revoked(TOKEN | {"jti": "token-2"})
    with pytest.raises(StoreError, match="cannot list"):
        list(it.entries())


def test_the_entries_can_be_listed() -> None:
    """Those that cannot be read count, too; those that have expired do not."""
    a = Set()
    entries = [
        a.it.revoke_token(ISSUER, "a"),
        a.it.revoke_subject(ISSUER, "b"),
        a.it.revoke_session(ISSUER, "c"),
    ]
    a.it.revoke_session(ISSUER, "d", lifetime=10)
    a.store.write_entry(f"{PREFIX}broken", b"?", None)
    a.store.write_entry("another", b"?", None)
    a.pass_time(20)

    assert list(a.it.entries()) == [*entries, None]
    assert [entry.as_json() for entry in entries][:2] == [
        {"kind": "token", "iss": ISSUER, "jti": "a", "expires": NOW + LIFETIME},
        {
            "kind": "subject",
            "iss": ISSUER,
            "sub": "b",
            "expires": NOW + MARGIN + LIFETIME,
            "not_before": NOW + MARGIN,
        },
    ]


# --- A store in trouble ------------------------------------------------------------------------


def test_a_store_that_fails_is_503_and_not_asked_for_a_while() -> None:
    """From the third failure on; then one request asks, and all is well or not."""
    a = Set()
    a.store.broken = ConnectionError("no route to ada's token-1")
    for _ in range(BREAKER_FAILURES):
        with pytest.raises(RevocationUnavailableError) as caught:
            a.it.is_revoked(TOKEN)
        assert (caught.value.retry_after, caught.value.detail) == (
            1,
            "there is no connection to the store",
        )
    assert len(a.store.asked) == BREAKER_FAILURES

    for _ in range(100):
        with pytest.raises(RevocationUnavailableError) as caught:
            a.it.is_revoked(TOKEN)
    assert caught.value.detail == "the store failed a moment ago and is not used"
    assert caught.value.retry_after == 1
    assert len(a.store.asked) == BREAKER_FAILURES

    a.pass_time(BREAKER_PAUSE)
    with pytest.raises(RevocationUnavailableError):
        a.it.is_revoked(TOKEN)
    assert len(a.store.asked) == BREAKER_FAILURES + 1
    a.pass_time(2 * BREAKER_PAUSE)
    a.store.broken = None
    assert not a.it.is_revoked(TOKEN)
    assert not a.it.is_revoked(TOKEN)
    assert len(a.store.asked) == BREAKER_FAILURES + 3
    assert a.events[-1] == RevocationRecovered(3 * BREAKER_PAUSE)
    firsts = [event.first for event in a.events if isinstance(event, RevocationFailed)]
    assert firsts == [True] + [False] * 103


def test_one_failure_refuses_one_request() -> None:
    """The next one asks the store again, and what is revoked stays so."""
    a = Set()
    a.it.revoke_token(ISSUER, "token-1")
    a.store.broken = TimeoutError()
    with pytest.raises(RevocationUnavailableError):
        a.it.is_revoked(TOKEN)

    a.store.broken = None
    assert a.it.is_revoked(TOKEN)
    assert not a.it.is_revoked(TOKEN | {"jti": "token-2"})


def test_with_fail_open_a_failure_passes_and_is_reported() -> None:
    """Every time, as an event for metrics; the log says it once."""
    a = Set(fail_open=True)
    a.it.revoke_token(ISSUER, "token-1")
    asked = len(a.store.asked)
    a.store.broken = TimeoutError()

    for _ in range(BREAKER_FAILURES + 1):
        assert not a.it.is_revoked(TOKEN)
    assert len(a.store.asked) == asked + BREAKER_FAILURES
    failure = RevocationFailed("the store did not answer in time", passed=True)
    assert a.events == [
        RevocationFailed("the store did not answer in time", passed=True, first=True),
        *[failure] * (BREAKER_FAILURES - 1),
        RevocationFailed("the store failed a moment ago and is not used", passed=True),
    ]
    assert a.events[0].is_first
    assert not a.events[1].is_first
    assert "UNCHECKED" in str(a.events[0])

    a.pass_time(BREAKER_PAUSE)
    a.store.broken = None
    assert a.it.is_revoked(TOKEN)


def test_a_store_that_hangs_keeps_one_request_waiting() -> None:
    """The others are answered meanwhile: no lock is held while a store is asked."""
    a = Set()
    a.store.broken = TimeoutError()
    for _ in range(BREAKER_FAILURES):
        with pytest.raises(RevocationUnavailableError):
            a.it.is_revoked(TOKEN)
    a.pass_time(BREAKER_PAUSE)
    hangs, go = threading.Event(), threading.Event()
    a.store.hang = lambda: (hangs.set(), go.wait(10))
    asked = len(a.store.asked)

    def ask() -> str:
        with pytest.raises(RevocationUnavailableError) as caught:
            a.it.is_revoked(TOKEN)
        return caught.value.detail

    with ThreadPoolExecutor(8) as pool:
        slow = pool.submit(ask)
        assert hangs.wait(10)
        others = [pool.submit(ask) for _ in range(50)]
        told = {other.result(timeout=10) for other in others}
        assert not slow.done()
        go.set()
        assert slow.result(timeout=10) == "the store did not answer in time"
    assert told == {"the store failed a moment ago and is not used"}
    assert len(a.store.asked) == asked + 1


def test_what_cannot_be_asked_for_is_no_failure_of_the_store() -> None:
    """A claim of no use is the trouble of its token alone."""
    a = Set()
    with pytest.raises(RevocationUnavailableError) as caught:
        a.it.is_revoked({"iss": ISSUER, "sid": object()})

    assert caught.value.detail == "the token's claims cannot be looked up"
    assert not a.it.is_revoked(TOKEN)


def test_an_answer_with_too_few_values_is_a_failure() -> None:
    """A store that returns fewer values than it was asked for has not answered."""

    class Short(MemoryStore):
        def read_entries(self, keys: Sequence[str], /) -> list[bytes | None]:
            return []

    with pytest.raises(RevocationUnavailableError):
        Set(store=Short()).it.is_revoked(TOKEN)


# --- A function of one's own -------------------------------------------------------------------


def test_a_function_of_ones_own_decides() -> None:
    """By the truth of what it returns."""
    check = guarded(lambda claims: claims["jti"] == "token-1")

    assert check(TOKEN) is True
    assert check(TOKEN | {"jti": "token-2"}) is False
    assert guarded(lambda claims: {}.get("x"))(TOKEN) is False  # type: ignore[arg-type, return-value]


def test_a_function_that_raises_fails_closed() -> None:
    """503 for that token, the types in the log, and for the next token it is asked again."""
    events: list[Event] = []
    asked: list[Any] = []

    def once(claims: Any) -> bool:
        asked.append(claims)
        return len(asked) / (len(asked) - 1) > 0

    check = guarded(once, emit=events.append)
    with pytest.raises(RevocationUnavailableError) as caught:
        check(TOKEN)

    why = f"{name_of(once)} raised builtins.ZeroDivisionError"
    assert caught.value.detail == why
    assert caught.value.retry_after == 1
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert events == [RevocationFailed(why, passed=False)]
    assert check(TOKEN) is True


@pytest.mark.parametrize("fail_open", [False, True])
def test_a_token_that_a_function_cannot_read_is_refused(fail_open: bool) -> None:
    """That is no outage: with ``fail_open`` it would pass unchecked."""
    events: list[Event] = []
    check = guarded(lambda claims: claims["jti"] == "x", fail_open=fail_open, emit=events.append)
    with pytest.raises(InvalidTokenError) as caught:
        check({"iss": ISSUER})

    assert caught.value.code == "claim_invalid"
    assert caught.value.failure is not None
    assert caught.value.failure[1] == "raised builtins.KeyError"
    assert not events
    assert check(TOKEN) is False


def test_a_function_that_raises_passes_with_fail_open() -> None:
    """With an event; but an AuthError is an answer, not a failure."""
    events: list[Event] = []

    def answers(_claims: Any) -> bool:
        raise InvalidTokenError("claim_invalid")

    def fails(_claims: Any) -> bool:
        return 1 / 0 > 0

    assert guarded(fails, fail_open=True, emit=events.append)(TOKEN) is False
    why = f"{name_of(fails)} raised builtins.ZeroDivisionError"
    assert events == [RevocationFailed(why, passed=True)]
    with pytest.raises(InvalidTokenError):
        guarded(answers, fail_open=True, emit=events.append)(TOKEN)
    assert len(events) == 1


@pytest.mark.parametrize(
    ("own", "stored", "revoked"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_a_function_and_a_store_may_both_say_so(own: bool, stored: bool, revoked: bool) -> None:
    """What either revokes is revoked."""
    store = MemoryStore()
    if stored:
        Revocations(store).revoke_token(ISSUER, "token-1")
    check = checker(lambda _: own, store)

    assert check is not None
    assert check(TOKEN) is revoked


def test_a_store_or_a_function_is_enough_for_revocation() -> None:
    """If neither is configured, there is no check."""
    store = MemoryStore()
    Revocations(store).revoke_token(ISSUER, "token-1")
    by_store, by_function = checker(None, store), checker(lambda _: True)

    assert by_store is not None
    assert by_function is not None
    assert by_store(TOKEN)
    assert by_function(TOKEN)
    assert checker(None) is None
