"""The helper that adds the bearer scheme to a document; test_openapi.py has the real libraries."""

from types import SimpleNamespace
from typing import Any

from jwt_wsgi.contrib.openapi import add_bearer


def test_the_helper_needs_no_apispec() -> None:
    """It calls two members of the document that it is given, and keeps what stands there."""
    added: dict[str, Any] = {}
    spec = SimpleNamespace(
        components=SimpleNamespace(security_scheme=added.__setitem__),
        options={"security": [{"key": []}]},
    )

    add_bearer(spec)

    assert added == {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    assert spec.options == {"security": [{"key": []}, {"bearer": []}]}
