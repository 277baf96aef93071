"""Metrics for Prometheus, through its own client: ``pip install prometheus_client``.

.. code-block:: python

    from jwt_wsgi.contrib.prometheus import metrics

    app = JWTMiddleware(app, on_event=metrics())

Serve the registry as usual, with ``prometheus_client.make_wsgi_app()``. In gunicorn's
multi-process mode set ``PROMETHEUS_MULTIPROC_DIR`` and end workers with ``mark_process_dead``
(examples/deploy/gunicorn.conf.py).

Labels are bounded: they come from the settings and from tables of this package, never from an
unverified token. ``issuer`` is the verified one; ``source`` is where its keys come from.
"""

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client import CollectorRegistry
from prometheus_client import Counter
from prometheus_client import Gauge
from prometheus_client import Histogram

from jwt_wsgi import events
from jwt_wsgi.events import Event
from jwt_wsgi.events import Hook

#: The label of all issuers beyond ``max_issuers``.
OTHER: Final = "other"
#: The most functions of the application with their own label.
MAX_FUNCTIONS: Final = 100
#: Seconds; the default of ``jwks_timeout`` is 5.
BUCKETS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def metrics(registry: CollectorRegistry = REGISTRY, *, max_issuers: int = 100) -> Hook:
    """Make a hook that counts events in ``registry``; several middlewares may share it.

    ``max_issuers``: how many values of ``issuer``, and of ``source``, have a label of their own in
    each process; all others are counted as ``other``. Raises ValueError if the registry has these
    metrics already: make one hook, and share it.
    """
    issuer, source = _bounded(max_issuers), _bounded(max_issuers)
    requests, keys = _requests(registry, issuer), _keys(registry, source)

    def hook(event: Event) -> None:
        if isinstance(event, events.KeysEvent):
            keys(event)
        else:
            requests(event)

    return hook


def _bounded(limit: int) -> Callable[[str], str]:
    """Return a function that passes the first ``limit`` values, and ``other`` for the rest."""
    known: set[str] = set()

    def label(value: str) -> str:
        if value in known:
            return value
        if len(known) >= limit:
            return OTHER
        known.add(value)
        return value

    return label


def _requests(registry: CollectorRegistry, issuer: Callable[[str], str]) -> Hook:
    def counter(name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"jwt_wsgi_{name}", meaning, labels, registry=registry)

    accepted = counter("accepted", "Requests with a verified token.", "issuer", "algorithm")
    refused = counter("refused", "Requests that the middleware refused.", "code", "status")
    reported = counter("reported", "Requests that a rule only reports.", "code", "status")
    failures = counter("revocation_failures", "Revocation could not be checked.", "outcome")
    functions = counter("function_failures", "A function of yours raised.", "function")
    logouts = counter("logouts", "Logouts of issuers that are in the store.", "issuer")
    function = _bounded(MAX_FUNCTIONS)

    def hook(event: Event) -> None:
        match event:
            case events.Accepted():
                accepted.labels(issuer(event.issuer), event.algorithm).inc()
            case events.Refused():
                refused.labels(event.code, event.status).inc()
            case events.Reported():
                reported.labels(event.code, event.status).inc()
            case events.FunctionFailed():
                functions.labels(function(event.function)).inc()
            case events.RevocationFailed():
                failures.labels("passed" if event.passed else "refused").inc()
            case events.LogoutArrived():
                logouts.labels(issuer(event.issuer)).inc()

    return hook


def _keys(
    registry: CollectorRegistry, source: Callable[[str], str]
) -> Callable[[events.KeysEvent], None]:
    fetches = Counter(
        "jwt_wsgi_key_fetches",
        "Fetches of keys: loaded, changed, confirmed, or the kind of failure.",
        ("source", "outcome"),
        registry=registry,
    )
    seconds = Histogram(
        "jwt_wsgi_key_fetch_seconds",
        "How long fetches took.",
        ("source", "outcome"),
        registry=registry,
        buckets=BUCKETS,
    )
    failures = Gauge(
        "jwt_wsgi_key_fetch_failures",
        "Failed fetches in a row, of the worst process.",
        ("source",),
        registry=registry,
        multiprocess_mode="livemax",
    )
    confirmed = Gauge(
        "jwt_wsgi_keys_confirmed_timestamp_seconds",
        "When any process last fetched the keys, in seconds since 1970.",
        ("source",),
        registry=registry,
        multiprocess_mode="max",
    )
    others = Counter(
        "jwt_wsgi_key_events",
        "Other events of keys, by their name.",
        ("source", "event"),
        registry=registry,
    )

    def hook(event: events.KeysEvent) -> None:
        where = source(event.source)
        if isinstance(event, events.KeysLoaded | events.KeysChanged | events.KeysConfirmed):
            outcome = type(event).__name__.removeprefix("Keys").lower()
            fetches.labels(where, outcome).inc()
            confirmed.labels(where).set(time.time())
            failures.labels(where).set(0)
            seconds.labels(where, outcome).observe(event.milliseconds / 1000)
        elif isinstance(event, events.RefreshFailed):
            fetches.labels(where, event.kind).inc()
            failures.labels(where).set(event.fails)
            seconds.labels(where, "failed").observe(event.milliseconds / 1000)
        else:
            others.labels(where, type(event).__name__).inc()

    return hook
