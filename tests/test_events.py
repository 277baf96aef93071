"""The log: one line a fact, never a flood, and nothing of a stranger's unescaped."""

import dataclasses
import logging
import re
from pathlib import Path
from typing import Any

import pytest

import jwt_wsgi
from jwt_wsgi import events
from jwt_wsgi.errors import printable
from jwt_wsgi.event_log import LogHook
from jwt_wsgi.event_log import fan_out
from jwt_wsgi.event_log import record_fields
from jwt_wsgi.events import Event
from jwt_wsgi.events import Refused
from jwt_wsgi.events import logger

SAMPLES: list[Event] = [
    events.Accepted("https://i", "EdDSA"),
    events.Accepted("https://i", "EdDSA", "'ada'", "'j-1'", "none", path="'/orders'"),
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
    events.RevocationFailed("the store did not answer in time", passed=False, first=True),
    events.RevocationFailed("the store failed and rests", passed=True),
    events.RevocationRecovered(12.0),
    events.LogoutArrived("https://i", "session, sessionless"),
]


SEE = "; see jwt-wsgi explain --code {}"


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
            "refused 401 token_expired (5 s ago) iss='https://i' alg='ES256' kid='k' request='r-1'"
            + SEE.format("token_expired"),
        ),
        (Refused("missing", 401), "refused 401 missing" + SEE.format("missing")),
        (
            Refused("missing", 401, issuer="'i'", method="'GET'", rule="'/a/*'"),
            "refused 401 missing method='GET' rule='/a/*' iss='i'" + SEE.format("missing"),
        ),
        (events.KeysLoaded("https://i", ("a",), 5), "keys of https://i loaded in 5 ms: 'a'"),
        (
            events.KeysLoaded("https://i", ("a", "b"), 5),
            "keys of https://i loaded in 5 ms: 'a', 'b'",
        ),
        (
            events.KeysChanged("https://i", ("a", "b"), ("c",), "f" * 64),
            "keys of https://i changed: added 'a', 'b', removed 'c', now ffffffffffff",
        ),
        (
            events.KeysChanged("https://i", (), (), "f" * 64),
            "keys of https://i changed: added none, removed none, now ffffffffffff",
        ),
    ],
)
def test_how_they_are_told(event: Event, told: str) -> None:
    """First what happened, then why, then what to look for elsewhere."""
    assert str(event) == told


def test_a_thousand_new_keys_are_one_line_of_twenty() -> None:
    """And it says that there are more."""
    told = str(events.KeysLoaded("https://i", tuple(map(str, range(1000))), 5))

    assert told.endswith("'18', '19' ... (1000 in all)")


@pytest.mark.parametrize("event", SAMPLES, ids=range(len(SAMPLES)))
def test_every_event_is_a_record_with_its_own_template_and_fields(
    event: Event, caplog: pytest.LogCaptureFixture
) -> None:
    """So that Sentry groups by event, and a JSON logger has its facts without parsing the line."""
    caplog.set_level(logging.DEBUG)
    LogHook()(event)
    (record,) = caplog.records

    assert record.msg == type(event).template + "%(more)s"
    assert record.getMessage() == str(event)
    own = {name: value for name, value in vars(record).items() if name.startswith("jwt_wsgi_")}
    assert own["jwt_wsgi_event"] == type(event).__name__
    assert own == record_fields(event)
    assert not own.keys() & vars(logging.makeLogRecord({})).keys()


def test_a_record_has_no_field_without_a_value() -> None:
    """So the fields of a refusal are the facts that are known."""
    assert record_fields(Refused("token_missing", 401)) == {
        "jwt_wsgi_event": "Refused", "jwt_wsgi_code": "token_missing", "jwt_wsgi_status": 401
    }  # fmt: skip


def test_no_two_kinds_of_events_have_one_template() -> None:
    """Or an outage and a leaked key would be one issue there."""
    templates = {type(event).__name__: type(event).template for event in SAMPLES}

    assert len(set(templates.values())) == len(templates)


def test_no_warning_has_a_template_without_words() -> None:
    """As of ``"%s"`` alone: two different warnings would be one issue of Sentry."""
    package = Path(jwt_wsgi.__file__).parent
    sources = {path.name: path.read_text() for path in package.rglob("*.py")}
    call = re.compile(r'logger\.(?:log|debug|info|warning|error|exception)\(\s*"(%s)+"')

    assert [name for name, source in sources.items() if call.search(source)] == []


def test_the_fields_of_a_record_are_bounded_and_escaped() -> None:
    """No value can look like the end of itself and the begin of another field."""
    kids = tuple(f"a\n'jwt_wsgi_status=200 {number}" + "x" * 1000 for number in range(1000))
    fields = record_fields(events.KeysLoaded("https://i\n" + "x" * 1000, kids, 5))
    texts = [fields["jwt_wsgi_source"], *fields["jwt_wsgi_kids"]]  # type: ignore[misc]

    assert len(texts) == 21
    for text in texts:
        assert isinstance(text, str)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 600
    assert texts[1].startswith("'a\\n\\'jwt_wsgi_status=200 0x")
    assert texts[1].endswith("...'")


def test_a_line_that_stands_for_others_says_how_many(caplog: pytest.LogCaptureFixture) -> None:
    """In the field ``jwt_wsgi_repeated``, too."""
    times = iter((0.0, 1.0, 2.0, 61.0))
    hook = LogHook(clock=lambda: next(times))
    for _ in range(4):
        hook(Refused("token_expired", 401))

    last = caplog.records[-1]
    assert last.getMessage().endswith("; 2 more like it in the last 61 s")
    assert vars(last)["jwt_wsgi_repeated"] == 2


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
    """A logging handler that raises costs lines, not requests."""

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
