"""What most people write: nothing is fetched until somebody asks."""

import json
import os

from jwt_wsgi import JWTMiddleware


def echo(environ, start_response):
    user = environ["jwt_wsgi.payload"]["sub"]
    body = json.dumps({"user": user, "pid": os.getpid()}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


application = JWTMiddleware(echo)
