import json

from jwt_wsgi import JWTMiddleware


def api(environ, start_response):
    status = "200 OK"
    match environ["PATH_INFO"]:
        case "/protected":
            answer = {"message": "Access granted", "user": environ["jwt_wsgi.payload"]}
        case "/healthz":
            answer = {"status": "ok"}
        case _:
            status, answer = "404 Not Found", {"error": "Not found"}
    body = json.dumps(answer).encode()
    start_response(
        status,
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
app = JWTMiddleware(api, public_paths=["/healthz"])
