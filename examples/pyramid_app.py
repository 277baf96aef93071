from pyramid.config import Configurator
from pyramid.view import view_config

from jwt_wsgi import JWTMiddleware


@view_config(route_name="protected", renderer="json")
def protected(request):
    return {"message": "Access granted", "user": request.environ["jwt_wsgi.payload"]}


@view_config(route_name="healthz", renderer="json")
def healthz(_request):
    return {"status": "ok"}


def main():
    with Configurator() as config:
        config.add_route("protected", "/protected")
        config.add_route("healthz", "/healthz")
        config.scan(__name__)
        return config.make_wsgi_app()


# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
app = JWTMiddleware(main(), public_paths=["/healthz"])
