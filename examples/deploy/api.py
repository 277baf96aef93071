"""What the configurations beside this file serve: an API, and what operators ask it for."""

import json
import logging
import os

from prometheus_client import CollectorRegistry
from prometheus_client import make_wsgi_app
from prometheus_client import multiprocess

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.contrib.prometheus import metrics

# Time, level and process in each line. INFO: the line that says that an outage is over has it.
logging.basicConfig(
    level=logging.INFO, format="%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"
)


def api(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/metrics":
        return metrics_page()(environ, start_response)
    if path == "/readyz" and not application.warm_up(timeout=1):
        return answer(start_response, "503 Service Unavailable", {"status": "no keys yet"})
    if path in ("/livez", "/readyz"):
        return answer(start_response, "200 OK", {"status": "ok"})
    told = {"user": environ["jwt_wsgi.payload"], "request": environ.get("HTTP_X_REQUEST_ID")}
    return answer(start_response, "200 OK", told)


def answer(start_response, status, told):
    body = json.dumps(told).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


def metrics_page():
    """The numbers of all workers where there are several, else those of this process."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return make_wsgi_app()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return make_wsgi_app(registry)


# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
# /metrics needs no token here, so what stands in front must not let strangers to it (nginx.conf).
application = JWTMiddleware(api, public_paths=["/livez", "/readyz", "/metrics"], on_event=metrics())
