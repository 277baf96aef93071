"""Settings that the server puts into the WSGI environ of each request."""

import json

from jwt_wsgi import JWTMiddleware


def told(environ, start_response):
    payload = environ["jwt_wsgi.payload"]
    body = json.dumps({"sub": payload and payload["sub"]}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


application = JWTMiddleware(told, settings_from_request=True)
