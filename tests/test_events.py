"""The log: one line a fact, never a flood, and nothing of a stranger's unescaped."""

import dataclasses
import logging
from typing import Any

import pytest

from jwt_wsgi import events
from jwt_wsgi.errors import printable
from jwt_wsgi.event_log import LogHook
from jwt_wsgi.event_log import fan_out
from jwt_wsgi.events import Event
from jwt_wsgi.events import Refused
from jwt_wsgi.events import logger

SAMPLES: list[Event] = [
    events.Accepted("https://i", "EdDSA"),
    Refused("token_expired", 401),
    events.Reported("token_expired", 401),
    events.FunctionFailed("shop.check", "raised builtins.KeyError", "401 claim_invalid"),
    events.KeysFound("https://i", "https://i/jwks", "convention"),
    events.KeysLoaded("https://i", ("a", "b"), 5),
    events.KeysChanged("https://i", ("a",), (), "0" * 64),
    events.KeysConfirmed("https://i"),
    events.RefreshFailed("https://i", "connect", "refused", 3, 1, None, 1.0),
    events.RefreshFailed("https://i", "connect", "refused", 3, 2, 310.0, 5.0),
    events.Recovered("https://i", 12.0),
    events.KeysUnavailable("https://i"),
    events.KeysStale("https://i", 50, 43200.0),
    events.KeysExpired("https://i"),
    events.KeyMissed("https://i", "'x'"),
    events.KeyDropped("https://i", "'x'", "its use is not sig"),
    events.PrivateKeyPublished("https://i", "'x'"),
    events.NoKeyFits("https://i", 1, ("ES256", "RS256")),
    events.NoKeyFits("https://i", 2, ("ES256", "RS256")),
    events.FetchLost("https://i", inline=True),
    events.FetchLost("https://i", inline=False),
    events.ClockSkewed("https://i", 90.0),
    events.ClockSkewed("https://i", -90.0),
    events.RevocationFailed("builtins.TimeoutError", passed=False, first=True),
    events.RevocationFailed("the store failed and rests", passed=True),
    events.RevocationRecovered(12.0),
]


@pytest.mark.parametrize("event", SAMPLES, ids=range(len(SAMPLES)))
def test_every_event_is_one_line_and_cannot_be_changed(event: Event) -> None:
    """A frozen dataclass that tells itself."""
    assert "\n" not in str(event)
    assert str(event)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, dataclasses.fields(event)[-1].name, "x")


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            Refused("token_expired", 401, "'https://i'", "'ES256'", "'k'", "'r-1'", "5 s ago"),
            "refused 401 token_expired (5 s ago) iss='https://i' alg='ES256' kid='k' request='r-1'",
        ),
        (Refused("missing", 401), "refused 401 missing"),
        (events.KeysLoaded("https://i", ("a",), 5), "1 key of https://i loaded in 5 ms: 'a'"),
        (
            events.KeysLoaded("https://i", ("a", "b"), 5),
            "2 keys of https://i loaded in 5 ms: 'a', 'b'",
        ),
        (
            events.KeysChanged("https://i", ("a", "b"), ("c",), "f" * 64),
            "keys of https://i changed: added 'a', 'b', removed 'c' (now ffffffffffff)",
        ),
        (
            events.KeysChanged("https://i", (), (), "f" * 64),
            "keys of https://i changed: other keys under the same names (now ffffffffffff)",
        ),
    ],
)
def test_how_they_are_told(event: Event, told: str) -> None:
    """First what happened, then why, then what to look for elsewhere."""
    assert str(event) == told


def test_a_thousand_new_keys_are_one_line_of_twenty() -> None:
    """And it says that there are more."""
    told = str(events.KeysLoaded("https://i", tuple(map(str, range(1000))), 5))

    assert told.startswith("1000 keys")
    assert told.endswith("'18', '19' ...")


def test_every_kind_of_event_is_sampled_here() -> None:
    """A new one needs its line."""

    def kinds(cls: type) -> set[str]:  # by name: a dataclass with slots is made twice
        return {cls.__name__}.union(*(kinds(sub) for sub in cls.__subclasses__()))

    assert {type(event).__name__ for event in SAMPLES} == kinds(Event) - {
        "Event",
        "KeysEvent",
        "_Verdict",
        "MemberEvent",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc", "'abc'"),
        ("a\nb\x1b[31m", r"'a\nb\x1b[31m'"),
        ("\ud800", r"'\ud800'"),
        ("x" * 64, "'" + "x" * 64 + "'"),
        ("x" * 65, "'" + "x" * 64 + "...'"),
        ("\U0001f600" * 65, "'" + r"\U0001f600" * 6 + r"\U00...'"),
        ("'" * 100, "'" + r"\'" * 32 + "...'"),
        ("a'b\"c\\", r"""'a\'b"c\\'"""),
        (5, "'5'"),
        (["x" * 1000], None),
    ],
)
def test_what_a_stranger_wrote_is_escaped_and_cut(value: Any, text: str | None) -> None:
    """T21, T43: one ASCII line of bounded length."""
    shown = printable(value)

    assert shown.isascii()
    assert "\n" not in shown
    assert len(shown) <= 64 + len("''...")
    assert text is None or shown == text


@pytest.mark.slow
def test_a_million_refusals_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """One WARNING a code and minute, with the count of the silent ones."""
    now = 0.0
    hook = LogHook(clock=lambda: now)
    for number in range(100_000):
        now = number * 180 / 100_000
        hook(Refused("token_expired", 401, kid=f"'{number}'"))

    lines = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 3
    assert lines[1].endswith("; 33333 more like it in the last 60 s")


def test_kinds_of_repetition_are_forgotten_before_they_fill_memory() -> None:
    """Sources are bounded, and so is what is remembered of them."""
    hook = LogHook()
    for number in range(5000):
        hook(events.KeysUnavailable(f"https://{number}"))

    assert len(hook._last) <= LogHook.MOST_KEYS


def test_a_hook_that_raises_is_told_once_and_breaks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others still hear everything."""
    heard: list[Event] = []

    def broken(_event: Event) -> None:
        raise ZeroDivisionError

    emit = fan_out([broken, heard.append])
    for event in SAMPLES[:3]:
        emit(event)

    assert heard == SAMPLES[:3]
    assert len(caplog.records) == 1


def test_a_log_that_is_broken_itself_breaks_nothing() -> None:
    """E8: a logging handler that raises costs lines, not requests."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("no space left on device")

    heard: list[Event] = []
    handler = Broken()
    logger.addHandler(handler)
    try:
        emit = fan_out([LogHook(), heard.append])
        for event in SAMPLES:
            emit(event)
    finally:
        logger.removeHandler(handler)

    assert heard == SAMPLES


def test_a_set_that_goes_to_and_fro_tells_of_each_member_once_an_hour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two nodes of a cache with two sets are no flood; two members are two lines."""
    now = [0.0]
    hook = LogHook(clock=lambda: now[0])
    for _ in range(120):
        hook(events.KeyDropped("https://i", "'x'", "its use is not sig"))
        hook(events.KeyDropped("https://i", "'y'", "its use is not sig"))
        hook(events.PrivateKeyPublished("https://i", "'x'"))
        now[0] += 30.0

    assert [r.levelname for r in caplog.records if r.levelno >= logging.WARNING] == [
        "WARNING", "WARNING", "ERROR",
    ]  # fmt: skip
