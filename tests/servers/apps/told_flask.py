"""What Flask makes of what the middleware tells it, on every path."""

import flask

from jwt_wsgi import JWTMiddleware

app = flask.Flask(__name__)


@app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@app.route("/<path:path>", methods=["GET", "POST"])
def told(path):
    request = flask.request
    payload = request.environ["jwt_wsgi.payload"]
    error = request.environ.get("jwt_wsgi.error")
    return {
        "sub": payload and payload["sub"],
        "user": request.remote_user,
        "x_user": request.headers.get("X-User"),
        "authorization": "Authorization" in request.headers,
        "error": error and error.code,
    }


application = JWTMiddleware(app.wsgi_app)
