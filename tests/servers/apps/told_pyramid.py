"""What Pyramid makes of what the middleware tells it, on every path."""

import warnings

from jwt_wsgi import JWTMiddleware

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyramid's own imports: cgi, pkg_resources
    from pyramid.config import Configurator
    from pyramid.security import Allowed


class RemoteUser:
    """A security policy as Pyramid 2 has them."""

    def identity(self, request):
        return request.environ["jwt_wsgi.payload"]

    def authenticated_userid(self, request):
        return request.remote_user

    def permits(self, request, context, permission):
        return Allowed("everything")

    def remember(self, request, userid, **kw):
        return []

    def forget(self, request, **kw):
        return []


def told(request):
    error = request.environ.get("jwt_wsgi.error")
    return {
        "sub": request.identity and request.identity["sub"],
        "user": request.authenticated_userid,
        "x_user": request.headers.get("X-User"),
        "authorization": "Authorization" in request.headers,
        "error": error and error.code,
    }


with Configurator() as config:
    config.set_security_policy(RemoteUser())
    config.add_route("all", "/*path")
    config.add_view(told, route_name="all", renderer="json")

application = JWTMiddleware(config.make_wsgi_app())
