"""What most people write: nothing is fetched until somebody asks."""

import json
import os
from dataclasses import replace

from jwt_wsgi import JWTMiddleware


def echo(environ, start_response):
    user = environ["jwt_wsgi.payload"]["sub"]
    body = json.dumps({"user": user, "pid": os.getpid()}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


application = JWTMiddleware(echo)
if cooldown := os.environ.get("TEST_COOLDOWN"):  # a test does not wait for the usual 30 seconds
    for issuer in application.verifier.issuers.values():
        issuer.keys.policy = replace(issuer.keys.policy, cooldown=float(cooldown))
