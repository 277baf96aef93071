"""OpenAPI: the security scheme of a guarded API, for apispec and what builds on it.

.. code-block:: python

    from apispec import APISpec
    from jwt_wsgi.contrib.openapi import add_bearer

    spec = APISpec("Orders", "1.0", "3.1.0")
    add_bearer(spec)

Then Swagger UI has its "Authorize" button, and sends the token that is entered there. Its page and
the document itself need ``public_paths``, because a browser opens them without a token.
For Django REST framework: :mod:`jwt_wsgi.contrib.spectacular`.
"""

from typing import Any
from typing import Final

#: The scheme's name in a document.
NAME: Final = "bearer"
#: The scheme (OpenAPI 3.1 section 4.8.27).
BEARER: Final = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def add_bearer(spec: Any) -> None:
    """Add the scheme ``bearer`` to an ``apispec.APISpec``, and ask for it in every operation.

    An operation that is public says ``security: []``. Raises apispec's DuplicateComponentNameError
    if the document has a scheme of that name.
    """
    spec.components.security_scheme(NAME, dict(BEARER))
    spec.options.setdefault("security", []).append({NAME: []})
