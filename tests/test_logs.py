"""What a log has of a request: for JSON loggers, structlog, Sentry, and an audit trail."""

import io
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from test_events import SAMPLES
from werkzeug.test import Client

from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi import events
from jwt_wsgi.event_log import LogHook
from jwt_wsgi.event_log import record_fields
from jwt_wsgi.events import Event
from jwt_wsgi.events import logger
from jwt_wsgi.testing import FakeIssuer

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "logs.md"
NOISY = "/a\n'b status=200\x1b[31m" + "x" * 5000


@pytest.fixture(autouse=True)
def _the_loggers_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    before = [(each, each.level, list(each.handlers), each.propagate) for each in (root, logger)]
    yield
    for each, level, handlers, propagate in before:
        each.setLevel(level)
        each.handlers[:] = handlers
        each.propagate, each.disabled = propagate, False


def get(issuer: FakeIssuer, token: str | None, path: str = "/orders", **options: Any) -> int:
    guarded = issuer.protect(EchoApp(), **options)
    headers = {} if token is None else bearer(token)
    return Client(guarded).get(path, headers=headers).status_code


def test_an_audit_trail_has_the_claims_that_are_asked_for(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """One INFO line for each request, with no other claim in it."""
    caplog.set_level(logging.INFO)
    token = issuer.token(
        sub="ada", jti="j-1", client_id="shop", act={"sub": "admin"}, email="ada@x.example"
    )
    for _ in range(2):
        assert get(issuer, token, log_fields="sub jti client_id act path") == 200

    first, second = caplog.records
    assert (
        first.getMessage()
        == second.getMessage()
        == (
            "accepted a token of https://issuer.example sub='ada' jti='j-1' client_id='shop'"
            " act='{\"sub\": \"admin\"}' path='/orders'"
        )
    )
    assert {n: v for n, v in vars(first).items() if n.startswith("jwt_wsgi_")} == {
        "jwt_wsgi_event": "Accepted",
        "jwt_wsgi_issuer": "https://issuer.example",
        "jwt_wsgi_algorithm": "EdDSA",
        "jwt_wsgi_sub": "'ada'",
        "jwt_wsgi_jti": "'j-1'",
        "jwt_wsgi_client_id": "'shop'",
        "jwt_wsgi_act": '\'{"sub": "admin"}\'',
        "jwt_wsgi_path": "'/orders'",
    }
    assert "ada@x.example" not in caplog.text


def test_who_acts_for_whom_is_in_the_event_and_in_the_log(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 8693 section 4.1: the user, the client, the actor and the actor before it."""
    caplog.set_level(logging.INFO)
    seen: list[Any] = []
    act = {"sub": "agent-7", "act": {"sub": "agent-3"}}
    token = issuer.token(sub="ada", client_id="assistant", act=act)
    assert get(issuer, token, log_fields="sub client_id act", on_event=seen.append) == 200
    assert get(issuer, issuer.token(sub="ada"), log_fields="client_id act") == 200

    (event,) = seen
    assert (event.sub, event.client_id) == ("'ada'", "'assistant'")
    assert event.act == '\'{"sub": "agent-7", "act": {"sub": "agent-3"}}\''
    assert 'client_id=\'assistant\' act=\'{"sub": "agent-7"' in caplog.text
    assert "client_id=none act=none" in caplog.text


@pytest.mark.parametrize(
    ("act", "status"),
    [
        ({"sub": "agent-7"}, 200),
        ({"sub": "agent-7", "act": {"sub": "agent-3"}}, 200),
        ({"sub": "agent-3", "act": {"sub": "agent-7"}}, 401),
        ({"sub": ["agent-3", "agent-7"]}, 200),
        ({"sub": "AGENT-7"}, 401),
        ({"act": {"sub": "agent-7"}}, 401),
        ([{"sub": "agent-7"}], 401),
        ("agent-7", 401),
        ('{"sub": "agent-7"}', 401),
        ({}, 401),
        (None, 401),
    ],
    ids=str,
)
def test_the_actor_can_be_asked_for(issuer: FakeIssuer, act: Any, status: int) -> None:
    """claims={"act.sub": …}: who acts now, not who acted before; in a rule it is a 403."""
    token = issuer.token(sub="ada", act=act)
    rules = [Rule("/*", claims={"act.sub": "agent-7"})]

    assert get(issuer, token, claims={"act.sub": "agent-7"}) == status
    assert get(issuer, token, rules=rules) == (200 if status == 200 else 403)


def test_an_actor_that_can_be_read_in_two_ways_is_refused(issuer: FakeIssuer) -> None:
    """A claim that is called ``act.sub`` cannot stand for the member of ``act``."""
    claims: dict[str, Any] = {"act.sub": "agent-7"}
    hidden = issuer.token(sub="ada", act={"sub": "agent-3"}, **claims)

    assert get(issuer, hidden, claims=claims) == 401
    assert get(issuer, hidden, claims={("act", "sub"): "agent-7"}) == 401
    assert get(issuer, hidden, rules=[Rule("/*", claims=claims)]) in (401, 403)


@pytest.mark.parametrize("log_fields", [None, "path"])
def test_no_claim_is_logged_that_was_not_asked_for(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture, log_fields: str | None
) -> None:
    """Not even at DEBUG, and no hook gets it."""
    caplog.set_level(logging.DEBUG)
    heard: list[Event] = []
    options = {"log_fields": log_fields} if log_fields else {}
    assert get(issuer, issuer.token(sub="ada-7"), on_event=heard.append, **options) == 200

    assert "ada-7" not in caplog.text + repr(heard)
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


def test_a_claim_that_is_missing_does_not_hide_the_request(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """``none`` stands in no quotes, so that no value can look like it."""
    caplog.set_level(logging.INFO)
    assert get(issuer, issuer.token(jti="none"), log_fields=["jti", "client_id"]) == 200

    (record,) = caplog.records
    assert record.getMessage().endswith(" jti='none' client_id=none")


def test_a_refusal_has_the_path_if_it_is_asked_for(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """And never its query; without the option it has none."""
    assert get(issuer, None, "/orders/7?token=secret", log_fields="path") == 401
    assert get(issuer, None, "/orders/7?token=secret") == 401

    asked, usual = caplog.records
    assert asked.getMessage() == (
        "refused 401 token_missing method='GET' path='/orders/7'"
        "; see jwt-wsgi explain --code token_missing"
    )
    assert vars(asked)["jwt_wsgi_path"] == "'/orders/7'"
    assert "method='GET'; see" in usual.getMessage()
    assert "secret" not in caplog.text


def test_values_are_escaped_and_cut(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    """A path and a claim cannot look like a line or a field of their own."""
    caplog.set_level(logging.INFO)
    token = issuer.token(sub=NOISY)
    guarded = issuer.protect(EchoApp(), log_fields=["sub", "path"])
    environ = {"HTTP_AUTHORIZATION": f"Bearer {token}", "REQUEST_METHOD": "GET"}
    guarded({**environ, "PATH_INFO": NOISY}, lambda *_: None)  # type: ignore[dict-item, arg-type]
    guarded({"REQUEST_METHOD": "GET", "PATH_INFO": NOISY}, lambda *_: None)  # type: ignore[arg-type]

    for record in caplog.records:
        message = record.getMessage()
        assert message.isascii()
        assert message.isprintable()
        assert len(message) < 1000
        assert r"path='/a\n\'b status=200\x1b[31mxxx" in message
    assert len(caplog.records) == 2


def samples() -> Iterator[tuple[Event, dict[str, object]]]:
    for event in SAMPLES:
        yield event, record_fields(event)


def ready_config() -> dict[str, Any]:
    """The configuration of the page."""
    (block,) = re.findall(r"```python\n(LOGGING = .*?)```", PAGE.read_text(), re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), namespace)
    found: dict[str, Any] = namespace["LOGGING"]
    return found


def test_a_json_logger_has_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    """With the ``dictConfig`` of the page, as it is, and python-json-logger."""
    pytest.importorskip("pythonjsonlogger")
    logging.config.dictConfig(ready_config())
    logger.setLevel(logging.DEBUG)
    told = list(samples())
    for event, _ in told:
        LogHook()(event)

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == len(told)
    for line, (event, fields) in zip(lines, told, strict=True):
        assert line["message"] == str(event)
        assert line["name"] == "jwt_wsgi"
        assert {name: line[name] for name in fields} == fields


def test_structlog_has_every_field() -> None:
    """Through the formatter of the page, which adds the attributes of a record."""
    pytest.importorskip("structlog")
    (block,) = re.findall(r"```python\n(import structlog\n.*?)```", PAGE.read_text(), re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), namespace)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(namespace["formatter"])
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    told = list(samples())
    for event, _ in told:
        LogHook()(event)

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == len(told)
    for line, (event, fields) in zip(lines, told, strict=True):
        assert line["event"] == str(event)
        assert {name: line[name] for name in fields} == fields


def test_sentry_groups_by_event() -> None:
    """Two outages are one issue, a private key that is published is another."""
    sentry_sdk = pytest.importorskip("sentry_sdk")
    from sentry_sdk.integrations.logging import LoggingIntegration

    sent: list[Any] = []
    client = sentry_sdk.Client(
        dsn="https://key@127.0.0.1/1",
        before_send=lambda event, _: sent.append(event),
        default_integrations=False,
        integrations=[LoggingIntegration()],
    )
    with sentry_sdk.isolation_scope() as isolation, sentry_sdk.new_scope() as scope:
        isolation.set_client(client)
        scope.set_client(client)
        hook = LogHook()
        hook(events.KeysUnavailable("https://a.example"))
        hook(events.KeysUnavailable("https://b.example"))
        hook(events.PrivateKeyPublished("https://a.example", "'k'"))
    client.close(timeout=0)

    first, second, other = [event["logentry"]["message"] for event in sent]
    assert first == second != other
    assert sent[1]["extra"]["jwt_wsgi_source"] == "https://b.example"


def test_settings_of_two_requests_are_two_audit_trails(
    caplog: pytest.LogCaptureFixture, issuer: FakeIssuer
) -> None:
    """The option may come with a request, as every other text."""
    caplog.set_level(logging.INFO)
    middleware = JWTMiddleware(
        EchoApp(), issuer=issuer.issuer, jwks=issuer.jwks(), settings_from_request=True
    )
    for value in ("sub", "jti"):
        Client(middleware).get(
            "/",
            headers=bearer(issuer.token(sub="ada", jti="j")),
            environ_base={"jwt_wsgi.log_fields": value},
        )

    assert [record.getMessage().split(" ", 5)[-1] for record in caplog.records] == [
        "sub='ada'",
        "jti='j'",
    ]
