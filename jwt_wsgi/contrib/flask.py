"""Flask: the payload of the request, like ``flask.request``.

.. code-block:: python

    from jwt_wsgi.contrib.flask import current_payload

    app.wsgi_app = JWTMiddleware(app.wsgi_app)

    @app.get("/me")
    def me():
        return {"sub": current_payload["sub"]}

On public paths, and for anonymous optional requests, it stands for None: ask with
``if current_payload:``, for a proxy never *is* None. Nor is it a dict to JSON: return
``dict(current_payload)``. Outside of a request Flask raises its usual RuntimeError; in tests
without the middleware, give the test client ``environ_base={"jwt_wsgi.payload": {…}}``.
"""

from typing import Any

from flask import request
from werkzeug.local import LocalProxy


def _payload() -> Any:
    return request.environ.get("jwt_wsgi.payload")


#: The verified payload, or None.
current_payload: Any = LocalProxy(_payload)
