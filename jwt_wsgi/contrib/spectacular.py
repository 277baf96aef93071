"""drf-spectacular: views of ``JWTAuthentication`` need the security scheme ``bearer``.

``jwt_wsgi.contrib.django.JWTConfig`` imports it where ``drf_spectacular`` is installed. Without
that, import it in the ``ready()`` of an app of yours. Subclasses of ``JWTAuthentication`` count.
"""

from typing import Any
from typing import Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from jwt_wsgi.contrib.openapi import BEARER
from jwt_wsgi.contrib.openapi import NAME


class BearerScheme(OpenApiAuthenticationExtension):
    """drf-spectacular registers each subclass of its extension when the class is defined."""

    target_class: Final = "jwt_wsgi.contrib.drf.JWTAuthentication"
    match_subclasses: Final = True
    name: Final = NAME

    def get_security_definition(self, auto_schema: object) -> dict[str, Any]:  # noqa: ARG002
        """Return the scheme."""
        return dict(BEARER)
