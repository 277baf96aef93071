"""Django REST framework: an authentication class and a permission by scope.

.. code-block:: python

    # settings.py
    REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["jwt_wsgi.contrib.drf.JWTAuthentication"]}

    # views.py
    class Orders(APIView):
        permission_classes = [HasScope("orders:read")]

``request.user`` is a :class:`TokenUser`, ``request.auth`` the verified payload. No user of
Django's is looked up or made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission

from jwt_wsgi.claims import scopes as scopes_of
from jwt_wsgi.errors import InsufficientScopeError
from jwt_wsgi.errors import MissingTokenError
from jwt_wsgi.responses import Responses


@dataclass(frozen=True)
class TokenUser:
    """Who the token speaks of, with what DRF asks of a user; ``payload`` says all the rest."""

    payload: dict[str, Any]
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    @property
    def pk(self) -> str | None:
        """The ``sub``: what DRF's throttles count by."""
        return self.payload.get("sub")

    def __str__(self) -> str:
        return str(self.pk)


class JWTAuthentication(BaseAuthentication):
    """The payload that the middleware has verified; anonymous where there is none."""

    #: ``realm`` of the challenges; subclass to change it.
    realm = "api"

    def authenticate(self, request: Any) -> tuple[TokenUser, dict[str, Any]] | None:
        """The user and the payload, or None, so that the next class is asked."""
        payload = request.META.get("jwt_wsgi.payload")
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
    return Responses(realm=realm).challenge(InsufficientScopeError(scope=scopes))
