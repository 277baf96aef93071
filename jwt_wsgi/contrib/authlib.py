"""Authlib: ``@require_oauth`` and ``current_token`` on the payload that is verified already.

.. code-block:: python

    from authlib.integrations.flask_oauth2 import ResourceProtector  # or django_oauth2
    from jwt_wsgi.contrib.authlib import VerifiedTokenValidator

    require_oauth = ResourceProtector()
    require_oauth.register_token_validator(VerifiedTokenValidator(realm="api"))

    @app.get("/orders")
    @require_oauth("orders:read")
    def orders(): ...

``current_token`` (Flask) and ``request.oauth_token`` (Django) are the payload. What scopes mean
to Authlib:

=====================  ================================================
``"a"``                the scope ``a``
``"a b"``              both of them
``["a", "b"]``         **either** of them
``["a b", "c"]``       both ``a`` and ``b``, or ``c``
=====================  ================================================

Authlib reads ``Authorization`` by itself: a request without that header (``token_from`` a cookie,
or one that is not forwarded) is a 401 of Authlib's. A route of ``public_paths`` has no payload, so
``@require_oauth`` refuses every token there. The challenge of its 403 names the scopes of the
route alone, not those of a rule besides: Authlib does not hand the request on.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Final

from authlib.oauth2.rfc6749 import TokenValidator
from authlib.oauth2.rfc6750 import InsufficientScopeError
from authlib.oauth2.rfc6750 import InvalidTokenError

from jwt_wsgi import errors
from jwt_wsgi.claims import scopes as scopes_of
from jwt_wsgi.current import current_payload
from jwt_wsgi.portable import Portable
from jwt_wsgi.responses import DEFAULT_REALM
from jwt_wsgi.responses import Responses

#: The text of Authlib's 401 without a payload: why a valid token is refused there.
UNVERIFIED: Final = "The token was not verified on its way to this route"


class VerifiedTokenValidator(TokenValidator):
    """A token validator for Authlib's ``ResourceProtector``; ``realm`` is for challenges."""

    def __init__(self, realm: str = DEFAULT_REALM, **extra_attributes: str) -> None:
        super().__init__(realm, **extra_attributes)

    def authenticate_token(self, token_string: str) -> dict[str, Any] | None:  # noqa: ARG002
        """The payload of this request, whose token the middleware has verified."""
        return current_payload()

    def validate_token(
        self,
        token: Mapping[str, Any] | None,
        scopes: Iterable[str] | None,
        request: object,  # noqa: ARG002
    ) -> None:
        """Raise Authlib's errors, which its ``ResourceProtector`` answers: 401, 403."""
        if token is None:
            raise InvalidTokenError(
                UNVERIFIED, realm=self.realm, extra_attributes=self.extra_attributes
            )
        if self.scope_insufficient(list(scopes_of(token)), scopes):
            raise ChallengedScopeError(self.realm, next(iter(scopes or ())))


class ChallengedScopeError(Portable, InsufficientScopeError):
    """Authlib's 403 with the challenge that RFC 6750 section 3 demands of it.

    Of several alternatives, the challenge names the first.
    """

    def __init__(self, realm: str, scope: str) -> None:
        super().__init__()
        self._realm, self._scope = realm, scope

    def get_headers(self) -> list[tuple[str, str]]:
        """Authlib's headers and the challenge."""
        needed = errors.InsufficientScopeError(scope=self._scope.split())
        challenge = Responses(realm=self._realm).challenge(needed)
        return [*super().get_headers(), ("WWW-Authenticate", challenge)]
