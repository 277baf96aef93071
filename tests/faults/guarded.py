"""An app for the scripts of this folder: it answers 200 to whoever the middleware lets in.

``JWT_WSGI_*`` configures it. ``/livez`` needs no token.
"""

from jwt_wsgi import JWTMiddleware


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


application = JWTMiddleware(app, public_paths=["/livez"])
