"""Pyramid, whose permissions are the scopes of the token; paste.ini serves it, too."""

from pyramid.config import Configurator
from pyramid.view import view_config

from jwt_wsgi import JWTMiddleware


@view_config(route_name="protected", renderer="json")
def protected(request):
    return {"message": "Access granted", "user": request.identity}


@view_config(route_name="orders", renderer="json", permission="orders:read")
def orders(request):
    return {"orders of": request.authenticated_userid}


@view_config(route_name="healthz", renderer="json")
def healthz(_request):
    return {"status": "ok"}


def main(_global_config=None, **settings):
    with Configurator(settings=settings) as config:
        config.include("jwt_wsgi.contrib.pyramid")
        config.add_route("protected", "/protected")
        config.add_route("orders", "/orders")
        config.add_route("healthz", "/healthz")
        config.scan(__name__)
        return config.make_wsgi_app()


# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
app = JWTMiddleware(main(), public_paths=["/healthz"])
