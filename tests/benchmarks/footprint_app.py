"""What a worker's memory is measured of: it imports what its own candidate needs, and no more."""

import json
import os

JWK = json.loads(os.environ["BENCH_JWK"])
ISSUER = "https://issuer.example.com/tenant"
AUDIENCE = "https://api.example.com"


def bare(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


def ours():
    from jwt_wsgi import JWTMiddleware

    return JWTMiddleware(bare, issuer=ISSUER, audience=AUDIENCE, jwks={"keys": [JWK]})


def pyjwt():
    import jwt
    import requests  # noqa: F401  # what fetches the keys; loaded, as in a real worker

    key, terms = jwt.PyJWK(JWK).key, {"audience": AUDIENCE, "issuer": ISSUER}

    def app(environ, start_response):
        jwt.decode(_token(environ), key, algorithms=[JWK["alg"]], **terms)
        return bare(environ, start_response)

    return app


def joserfc():
    import requests  # noqa: F401
    from joserfc import jwt
    from joserfc.jwk import import_key

    key = import_key(JWK)

    def app(environ, start_response):
        jwt.decode(_token(environ), key, algorithms=[JWK["alg"]])
        return bare(environ, start_response)

    return app


def flask_jwt_extended():
    """With Flask, which it cannot do without."""
    import flask
    from cryptography.hazmat.primitives import serialization
    from flask_jwt_extended import JWTManager
    from flask_jwt_extended import jwt_required
    from jwt import PyJWK

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = PyJWK(JWK).key.public_bytes(serialization.Encoding.PEM, form).decode()
    app = flask.Flask("benchmark")
    app.config |= {"JWT_ALGORITHM": JWK["alg"], "JWT_PUBLIC_KEY": pem}
    app.config |= {"JWT_DECODE_AUDIENCE": AUDIENCE, "JWT_DECODE_ISSUER": ISSUER}
    JWTManager(app)
    app.add_url_rule("/", "guarded", jwt_required()(lambda: "ok"))
    return app


def _token(environ):
    return environ["HTTP_AUTHORIZATION"].partition(" ")[2]


_MAKERS = {
    "bare": lambda: bare,
    "ours": ours,
    "PyJWT + requests": pyjwt,
    "joserfc + requests": joserfc,
    "Flask-JWT-Extended": flask_jwt_extended,
}
application = _MAKERS[os.environ["BENCH_APP"]]()
