"""Pyramid: a security policy whose ``identity`` is the payload, and whose permissions are scopes.

.. code-block:: python

    config.include("jwt_wsgi.contrib.pyramid")

    @view_config(route_name="orders", permission="orders:read")
    def orders(request):
        return {"orders of": request.identity["sub"]}

``permission="a b"`` needs both scopes. Where the context, or a parent of it, has an ``__acl__``,
that decides instead, with the principals ``scope:NAME`` and ``user:ISS|SUB`` besides Pyramid's
own. ``request.authenticated_userid`` is ``ISS|SUB`` as well.
"""

from typing import Any
from typing import Final

from pyramid.authorization import ACLHelper
from pyramid.authorization import Authenticated
from pyramid.authorization import Everyone
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden
from pyramid.location import lineage
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import Allowed
from pyramid.security import Denied

from jwt_wsgi.claims import scopes
from jwt_wsgi.errors import AuthError
from jwt_wsgi.errors import InsufficientScopeError
from jwt_wsgi.errors import MissingTokenError
from jwt_wsgi.injection import PAYLOAD
from jwt_wsgi.injection import needed_scopes
from jwt_wsgi.injection import user_id
from jwt_wsgi.responses import DEFAULT_REALM
from jwt_wsgi.responses import Responses

_ACLS: Final = ACLHelper()


class JWTSecurityPolicy:
    """Implements Pyramid's ``ISecurityPolicy``; subclass it to permit by something else."""

    def identity(self, request: Request) -> dict[str, Any] | None:
        """The verified payload: ``request.identity``."""
        payload: dict[str, Any] | None = request.environ.get(PAYLOAD)
        return payload

    def authenticated_userid(self, request: Request) -> str | None:
        """``iss|sub`` of the payload: :func:`~jwt_wsgi.user_id`."""
        return user_id(self.identity(request))

    def permits(self, request: Request, context: object, permission: str) -> Allowed | Denied:
        """Whether an ACL permits it, or, where there is none, the scopes of the token."""
        payload = self.identity(request)
        if any(hasattr(location, "__acl__") for location in lineage(context)):
            return _ACLS.permits(context, principals(payload), permission)
        if payload is None:
            return Denied("There is no verified token")
        if not scopes(payload).issuperset(permission.split()):
            return ScopeDenied("The token lacks the scope %s", permission)
        return Allowed("The token has the scope %s", permission)

    def remember(self, _request: Request, _userid: str, **_: object) -> list[tuple[str, str]]:
        """Nothing: a bearer token is sent with each request."""
        return []

    def forget(self, _request: Request, **_: object) -> list[tuple[str, str]]:
        """Nothing."""
        return []


class ScopeDenied(Denied):
    """Scopes are missing; ``args`` has the permission that names what is needed."""


def principals(payload: dict[str, Any] | None) -> set[str]:
    """The principals for ACLs. Prefixes separate a user from all other names."""
    if payload is None:
        return {Everyone}
    user = {f"user:{name}"} if (name := user_id(payload)) else set()
    return {Everyone, Authenticated, *user, *(f"scope:{scope}" for scope in scopes(payload))}


def forbidden(context: HTTPForbidden, request: Request) -> Response:
    """Answer as the middleware does: 401 without a payload, else 403, each with its challenge.

    An ``HTTPForbidden`` that a view raised itself is not changed.
    """
    denied = context.result
    if not isinstance(denied, Denied):
        return context
    error: AuthError = MissingTokenError()
    if request.environ.get(PAYLOAD) is not None:
        needed = denied.args[0].split() if isinstance(denied, ScopeDenied) else ()
        error = InsufficientScopeError(scope=needed_scopes(request.environ, needed))
    realm = request.registry.settings.get("jwt_wsgi.realm", DEFAULT_REALM)
    answer = Responses(realm=realm).answer(error)
    return Response(answer.body, answer.status, list(answer.headers))


def includeme(config: Configurator) -> None:
    """Set the policy and its forbidden view. Your own take precedence.

    The setting ``jwt_wsgi.realm`` names the realm of the challenges.
    """
    config.set_security_policy(JWTSecurityPolicy())
    config.add_forbidden_view(forbidden)
