from flask import Flask
from flask import request

from jwt_wsgi import JWTMiddleware

app = Flask(__name__)
# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
app.wsgi_app = JWTMiddleware(app.wsgi_app, public_paths=["/healthz"])


@app.get("/protected")
def protected():
    return {"message": "Access granted", "user": request.environ["jwt_wsgi.payload"]}


@app.get("/healthz")
def healthz():
    return {"status": "ok"}
