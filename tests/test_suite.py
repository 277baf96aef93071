"""The tests themselves: what holds for every file of them."""

import time
from typing import Any

import pytest
from conftest import AGE_OF_IMPORTS

from jwt_wsgi import InvalidTokenError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import FakeIssuer

ISSUER = FakeIssuer()
MADE_AT_IMPORT = ISSUER.token()
IMPORTED_AT = time.time()


def verify(token: str) -> Any:
    middleware = JWTMiddleware(lambda *_: [], issuer=ISSUER.issuer, jwks=ISSUER.jwks())
    return middleware.verifier.verify(token)


def test_what_a_test_file_makes_at_its_import_is_an_hour_old_in_its_tests() -> None:
    """So a token that is made at import and lives for minutes fails at once, not by chance."""
    assert time.time() - IMPORTED_AT >= AGE_OF_IMPORTS
    with pytest.raises(InvalidTokenError) as refused:
        verify(MADE_AT_IMPORT)
    assert refused.value.code == "token_expired"
    assert verify(ISSUER.token())["iss"] == ISSUER.issuer
