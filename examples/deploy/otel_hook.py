"""A hook for OpenTelemetry's metrics, of the events you want; yours to change.

    app = JWTMiddleware(app, on_event=otel_hook(metrics.get_meter("api")))

The span of the request is there, too: ``trace.get_current_span()`` inside a hook is the one that
an instrumentation of your WSGI server began, as long as it stands outside the middleware.
"""

from opentelemetry import trace

from jwt_wsgi import events


def otel_hook(meter):
    accepted = meter.create_counter("jwt_wsgi.accepted", description="Requests let through")
    refused = meter.create_counter("jwt_wsgi.refused", description="Requests that we answered")
    fetches = meter.create_counter("jwt_wsgi.key_fetch_failures", description="Failed fetches")

    def hook(event):
        match event:
            case events.Accepted():
                accepted.add(1, {"issuer": event.issuer, "algorithm": event.algorithm})
            case events.Refused():
                # Only bounded values: a client chooses issuer, kid and request_id.
                refused.add(1, {"code": event.code, "status": event.status})
                trace.get_current_span().set_attribute("jwt_wsgi.code", event.code)
            case events.RefreshFailed():
                fetches.add(1, {"source": event.source, "kind": event.kind})

    return hook
