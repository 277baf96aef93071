"""Authlib's require_oauth and current_token, on the payload that the middleware has verified."""

from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.integrations.flask_oauth2 import current_token
from flask import Flask

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.contrib.authlib import VerifiedTokenValidator
from jwt_wsgi.contrib.flask import current_payload

app = Flask(__name__)
# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
app.wsgi_app = JWTMiddleware(app.wsgi_app, public_paths=["/healthz"])

require_oauth = ResourceProtector()
require_oauth.register_token_validator(VerifiedTokenValidator())


@app.get("/protected")
def protected():
    return {"message": "Access granted", "user": dict(current_payload)}


@app.get("/orders")
@require_oauth("orders:read")
def orders():
    return {"orders of": current_token["sub"]}


@app.get("/healthz")
def healthz():
    return {"status": "ok"}
