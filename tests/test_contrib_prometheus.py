"""Metrics: counted with the real client, bounded, and added up over the workers of gunicorn."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
import requests
from conftest import EchoApp
from conftest import bearer
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from prometheus_client import generate_latest
from servers.running import free_port
from servers.running import running
from test_events import SAMPLES
from werkzeug.test import Client
from werkzeug.utils import import_string

from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi import events
from jwt_wsgi.contrib.prometheus import OTHER
from jwt_wsgi.contrib.prometheus import metrics
from jwt_wsgi.testing import FakeIssuer

DEPLOY = Path(__file__).parent.parent / "examples" / "deploy"
SOURCE = {"source": "https://i"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def page(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def test_requests_are_counted_by_what_was_verified(
    app: EchoApp, registry: CollectorRegistry
) -> None:
    """Accepted by issuer and algorithm; refused and only reported by code and status."""
    issuer = FakeIssuer()
    rules = [Rule("/tried", token="report")]
    client = Client(issuer.protect(app, on_event=metrics(registry), rules=rules))
    for path in ("/", "/", "/tried"):
        client.get(path, headers=bearer(issuer.token()))
    stranger = issuer.token(iss="https://evil.example", exp=1)
    for path in ("/", "/", "/", "/tried"):
        client.get(path, headers=bearer(stranger))
    client.get("/", headers=bearer(issuer.token(exp=1)))

    value = registry.get_sample_value
    accepted = {"issuer": issuer.issuer, "algorithm": "EdDSA"}
    untrusted = {"code": "issuer_not_trusted", "status": "401"}
    assert value("jwt_wsgi_accepted_total", accepted) == 3
    assert value("jwt_wsgi_refused_total", untrusted) == 3
    assert value("jwt_wsgi_refused_total", {"code": "token_expired", "status": "401"}) == 1
    assert value("jwt_wsgi_reported_total", untrusted) == 1
    assert "evil" not in page(registry)


def test_every_event_is_counted_somewhere(registry: CollectorRegistry) -> None:
    """A new one about keys is, too, by its name; of the others only recovery is a mere word."""
    hook = metrics(registry)
    for event in SAMPLES:
        before = page(registry)
        hook(event)
        assert page(registry) != before or isinstance(event, events.RevocationRecovered), event


def test_fetches_and_their_failures(registry: CollectorRegistry) -> None:
    """How often, with what outcome, how long, how many in a row, and when it last went well."""
    hook, value = metrics(registry), registry.get_sample_value
    hook(events.KeysLoaded("https://i", ("a",), 500))
    hook(events.RefreshFailed("https://i", "timeout", "x", 3000, 1, 1.0, 5.0))
    hook(events.RefreshFailed("https://i", "timeout", "x", 3000, 2, 1.0, 5.0))
    assert value("jwt_wsgi_key_fetch_failures", SOURCE) == 2
    before = time.time()
    hook(events.KeysConfirmed("https://i", 250))

    assert value("jwt_wsgi_key_fetch_failures", SOURCE) == 0
    assert (value("jwt_wsgi_keys_confirmed_timestamp_seconds", SOURCE) or 0) >= before
    for outcome, count in {"loaded": 1, "timeout": 2, "confirmed": 1}.items():
        assert value("jwt_wsgi_key_fetches_total", SOURCE | {"outcome": outcome}) == count
    failed = SOURCE | {"outcome": "failed"}
    assert value("jwt_wsgi_key_fetch_seconds_sum", failed) == 6
    confirmed = SOURCE | {"outcome": "confirmed"}
    assert value("jwt_wsgi_key_fetch_seconds_sum", confirmed) == 0.25
    assert value("jwt_wsgi_key_fetch_seconds_bucket", failed | {"le": "2.5"}) == 0


@pytest.mark.parametrize(("limit", "apart"), [(0, 0), (3, 3), (100, 50)])
def test_a_function_that_names_issuers_does_not_fill_the_registry(
    registry: CollectorRegistry, limit: int, apart: int
) -> None:
    """Tenants beyond the limit are counted together; none is lost."""
    hook = metrics(registry, max_issuers=limit)
    for number in [*range(50), *range(50)]:
        hook(events.Accepted(f"https://{number}.example", "ES256"))
        hook(events.KeysUnavailable(f"https://{number}.example"))

    told = re.findall(r'jwt_wsgi_accepted_total\{.*issuer="(.*?)".*\} (\d+)', page(registry))
    assert len([issuer for issuer, _ in told if issuer != OTHER]) == apart
    assert sum(int(count) for _, count in told) == 100
    assert len(re.findall(r"jwt_wsgi_key_events_total\{", page(registry))) == len(told)


def test_one_hook_serves_several_middlewares(registry: CollectorRegistry) -> None:
    """A second one of the same registry is refused by the client, which says why."""
    metrics(registry)

    with pytest.raises(ValueError, match="Duplicated timeseries"):
        metrics(registry)


@pytest.mark.slow
def test_all_workers_of_gunicorn_are_on_one_page(tmp_path: Path) -> None:
    """With the configuration in examples/: whoever answers, the page has the numbers of all."""
    port, shared = free_port(), tmp_path / "metrics"
    shared.mkdir()
    (shared / "counter_1.db").write_text("of a run before")
    text = (DEPLOY / "gunicorn.conf.py").read_text()
    (tmp_path / "gunicorn.conf.py").write_text(text.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    command = [sys.executable, "-m", "gunicorn", "-c", str(tmp_path / "gunicorn.conf.py")]
    with FakeIssuer().serve() as issuer:
        env = {"JWT_WSGI_ISSUER": issuer.issuer, "PROMETHEUS_MULTIPROC_DIR": str(shared)}
        with running([*command, "api:application"], port, cwd=DEPLOY, env=env) as url:

            def shown(pattern: str) -> int:
                text = requests.get(f"{url}/metrics", timeout=10).text
                return int(sum(map(float, re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE))))

            loaded = r'jwt_wsgi_key_fetches_total\{.*"loaded".*\}'
            until = time.monotonic() + 10
            while shown(loaded) < 2 and time.monotonic() < until:
                time.sleep(0.05)
            assert not (shared / "counter_1.db").exists()
            assert shown(loaded) == 2  # each worker its own, before any request
            for number in range(40):
                token = issuer.token() if number % 4 else issuer.token(exp=1)
                requests.get(f"{url}/", headers=bearer(token), timeout=10)
            accepted, refused = r"jwt_wsgi_accepted_total\{.*\}", r"jwt_wsgi_refused_total\{.*\}"
            expired = r'jwt_wsgi_refused_total\{code="token_expired",status="401"\}'
            assert (shown(accepted), shown(expired)) == (30, 10)
            assert shown(refused) == 11  # the helper's first request had no token

            (gone, *_) = [int(path.stem.split("_")[1]) for path in shared.glob("counter_*.db")]
            os.kill(gone, signal.SIGKILL)
            while (shared / f"gauge_livemax_{gone}.db").exists() and time.monotonic() < until + 10:
                time.sleep(0.05)
            assert not (shared / f"gauge_livemax_{gone}.db").exists()
            assert shown(accepted) == 30  # what it had counted stays


def test_the_recipe_for_opentelemetry(app: EchoApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted by its own SDK, and the span of the request knows why it was refused."""
    monkeypatch.syspath_prepend(DEPLOY)
    otel_hook = import_string("otel_hook:otel_hook")
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("api")
    tracer = TracerProvider().get_tracer("api")
    issuer = FakeIssuer()
    client = Client(issuer.protect(app, on_event=otel_hook(meter)))

    client.get("/", headers=bearer(issuer.token()))
    with tracer.start_as_current_span("GET /") as span:
        client.get("/", headers=bearer(issuer.token(exp=1)))
    with FakeIssuer().serve() as down, down.outage():
        url = down.url
        JWTMiddleware(app, issuer=url, on_event=otel_hook(meter)).warm_up()

    counted = {
        (metric.name, *sorted(point.attributes.items()), point.value)
        for resource in reader.get_metrics_data().resource_metrics  # type: ignore[union-attr]
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points  # type: ignore[union-attr]
    }
    assert counted == {
        ("jwt_wsgi.accepted", ("algorithm", "EdDSA"), ("issuer", issuer.issuer), 1),
        ("jwt_wsgi.refused", ("code", "token_expired"), ("status", 401), 1),
        ("jwt_wsgi.key_fetch_failures", ("kind", "http"), ("source", url), 1),
    }
    assert span.attributes["jwt_wsgi.code"] == "token_expired"  # type: ignore[attr-defined]
