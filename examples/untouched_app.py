"""An app that knows nothing of jwt_wsgi; it is wrapped by name, see README.md beside it."""

from flask import Flask
from flask import request

app = Flask(__name__)


@app.get("/protected")
def protected():
    return {"message": "Access granted", "user": request.environ.get("jwt_wsgi.payload")}


@app.get("/healthz")
def healthz():
    return {"status": "ok"}
