"""The recipes for monitors, as the page has them, with the real packages, in a process of its own.

Sentry and OpenTelemetry keep one client and one provider for a whole process.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "how-to" / "monitoring.md").read_text()
SENTRY, HOOK, OPENTELEMETRY = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
pytestmark = pytest.mark.slow

#: An app, a fake issuer in the place of the configured one, and requests with and without a token.
BEFORE = """
import json
def app(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        raise ZeroDivisionError
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"orders"]
"""
AFTER = """
from werkzeug.test import Client
from jwt_wsgi.testing import FakeIssuer
issuer = FakeIssuer("https://issuer.example")
token = issuer.token(sub="ada", email="ada@x.example")
client = Client(issuer.protect(app))
client.get("/orders")
client.get("/orders", headers={"Authorization": f"Bearer {token}"})
try:
    client.get("/broken", headers={"Authorization": f"Bearer {token}"})
except ZeroDivisionError:
    pass
"""
SPANS = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
"""
TELL_SPANS = (
    "print(json.dumps([dict(span.attributes) for span in exporter.get_finished_spans()]))\n"
)


def run(*parts: str, **environ: str) -> Any:
    """The JSON that a program prints."""
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(parts)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_sentry_knows_whose_request_it_was() -> None:
    """And has neither the token nor another claim, in no local variable either."""
    pytest.importorskip("sentry_sdk")
    keep = """
sent = []
def keep(event, hint):
    sent.append(event)
"""
    init = 'sentry_sdk.init(dsn="https://key@127.0.0.1/1", before_send=keep,'
    init += " auto_enabling_integrations=False, "
    recipe = SENTRY.replace("sentry_sdk.init(", init)
    assert recipe != SENTRY
    after = AFTER + 'print(json.dumps({"token": token, "sent": sent}, default=str))\n'
    told = run(BEFORE, keep, recipe, after)

    (event,) = [event for event in told["sent"] if "exception" in event]
    assert event["user"] == {"id": "https://issuer.example|ada"}
    assert event["exception"]["values"][-1]["type"] == "ZeroDivisionError"
    everything = json.dumps(told["sent"])
    assert told["token"][:40] not in everything
    assert told["token"].split(".")[1][:40] not in everything
    assert "ada@x.example" not in everything


def test_sentry_knows_it_in_a_framework() -> None:
    """The second recipe, in Flask."""
    pytest.importorskip("sentry_sdk")
    app = """
import json
from flask import Flask
from werkzeug.test import Client
from jwt_wsgi.testing import FakeIssuer
"""
    use = """
app = Flask("shop")
app.before_request(tell_sentry)
seen = []
sentry_sdk.set_user = seen.append
app.get("/orders")(lambda: "orders")
issuer = FakeIssuer()
client = Client(issuer.protect(app.wsgi_app))
client.get("/orders", headers={"Authorization": f"Bearer {issuer.token(sub='ada')}"})
print(json.dumps(seen))
"""
    assert run(app, HOOK, use) == [{"id": "https://issuer.example|ada"}]


def test_opentelemetry_outside_has_a_span_of_every_request() -> None:
    """With the attributes of the stable conventions."""
    pytest.importorskip("opentelemetry.instrumentation.wsgi")
    spans = run(
        BEFORE, OPENTELEMETRY.replace("\n\ndef with_user", SPANS + "\n\ndef with_user", 1), AFTER,
        TELL_SPANS, OTEL_SEMCONV_STABILITY_OPT_IN="http",
    )  # fmt: skip
    wanted = ("http.request.method", "url.path", "http.response.status_code", "error.type")
    facts = [tuple(span.get(name) for name in (*wanted, "enduser.id")) for span in spans]

    assert facts == [
        ("GET", "/orders", 401, "token_missing", None),
        ("GET", "/orders", 200, None, "https://issuer.example|ada"),
        ("GET", "/broken", None, "ZeroDivisionError", "https://issuer.example|ada"),
    ]


def test_opentelemetry_inside_has_no_span_of_a_refused_request() -> None:
    """As the page says."""
    pytest.importorskip("opentelemetry.instrumentation.wsgi")
    imports = OPENTELEMETRY[: OPENTELEMETRY.index("\n\ndef with_user")]
    inside = 'app = JWTMiddleware(OpenTelemetryMiddleware(app), issuer="https://issuer.example")'
    spans = run(
        BEFORE, imports, SPANS, inside, AFTER, TELL_SPANS, OTEL_SEMCONV_STABILITY_OPT_IN="http"
    )

    assert [span["url.path"] for span in spans] == ["/orders", "/broken"]
