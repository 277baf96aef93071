from bottle import Bottle
from bottle import request

from jwt_wsgi import JWTMiddleware

bottle = Bottle()


@bottle.get("/protected")
def protected():
    return {"message": "Access granted", "user": request.environ["jwt_wsgi.payload"]}


@bottle.get("/healthz")
def healthz():
    return {"status": "ok"}


# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
app = JWTMiddleware(bottle, public_paths=["/healthz"])
