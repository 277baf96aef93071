"""Django REST framework: an authentication class and a permission by scope.

.. code-block:: python

    # settings.py
    REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["jwt_wsgi.contrib.drf.JWTAuthentication"]}

    # views.py
    class Orders(APIView):
        permission_classes = [HasScope("orders:read")]

``request.user`` is a :class:`~jwt_wsgi.contrib.django.TokenUser`, ``request.auth`` the verified
payload. No user is looked up in a database, and none is made.
"""

from collections.abc import Mapping
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission

from jwt_wsgi.claims import scopes as scopes_of
from jwt_wsgi.contrib.django import TokenUser
from jwt_wsgi.errors import InsufficientScopeError
from jwt_wsgi.errors import MissingTokenError
from jwt_wsgi.injection import PAYLOAD
from jwt_wsgi.injection import needed_scopes
from jwt_wsgi.responses import DEFAULT_REALM
from jwt_wsgi.responses import Responses


class JWTAuthentication(BaseAuthentication):
    """The payload that the middleware has verified; anonymous where there is none."""

    #: ``realm`` of the challenges; subclass to change it.
    realm = DEFAULT_REALM

    def authenticate(self, request: Any) -> tuple[TokenUser, dict[str, Any]] | None:
        """The user and the payload, or None, so that DRF tries the next class."""
        payload = request.META.get(PAYLOAD)
        return None if payload is None else (TokenUser(payload), payload)

    def authenticate_header(self, request: Any) -> str:  # noqa: ARG002
        """The challenge of a 401; without one DRF would answer 403."""
        return Responses(realm=self.realm).challenge(MissingTokenError())


def HasScope(*scopes: str) -> type[BasePermission]:  # noqa: N802  # it makes a class
    """A permission class: the token has all of ``scopes``.

    Alternatives are DRF's: ``HasScope("a") | HasScope("b")``. The 403 says what is missing, and
    its challenge what is needed (RFC 6750 section 3). Raises ValueError without a scope.
    """
    if not scopes:
        raise ValueError("HasScope: name a scope, or use IsAuthenticated")

    class HasScopes(BasePermission):
        code = InsufficientScopeError.code

        def has_permission(self, request: Any, view: Any) -> bool:
            if not isinstance(request.auth, Mapping):
                return False
            missing = [scope for scope in scopes if scope not in scopes_of(request.auth)]
            if missing:
                self.message = f"The token lacks the scope {' '.join(missing)}"
                view.headers["WWW-Authenticate"] = _challenge(request, scopes)
            return not missing

    return HasScopes


def _challenge(request: Any, scopes: tuple[str, ...]) -> str:
    realm = getattr(request.successful_authenticator, "realm", JWTAuthentication.realm)
    return Responses(realm=realm).challenge(
        InsufficientScopeError(scope=needed_scopes(request.META, scopes))
    )
