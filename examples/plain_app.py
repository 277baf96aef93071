import json

from jwt_wsgi import JWTMiddleware


def api(environ, start_response):
    routes = {
        "/protected": {"message": "Access granted", "user": environ["jwt_wsgi.payload"]},
        "/healthz": {"status": "ok"},
    }
    found = routes.get(environ["PATH_INFO"])
    body = json.dumps(found).encode()
    start_response(
        "200 OK" if found else "404 Not Found",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
app = JWTMiddleware(api, public_paths=["/healthz"])
