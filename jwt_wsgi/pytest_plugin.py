"""A fixture for the tests of your app. pytest loads it only if you name it.

.. code-block:: python

    # conftest.py, the one in the root of your tests
    pytest_plugins = ["jwt_wsgi.pytest_plugin"]


    # test_orders.py
    def test_orders(jwt_issuer):
        client = jwt_issuer.protect(app).test_client()
        token = jwt_issuer.token(sub="ada")
        assert client.get("/", headers={"Authorization": f"Bearer {token}"}).status_code == 200

An audience for all its tokens: override ``jwt_audience``, in a ``conftest.py`` or a test module.

.. code-block:: python

    @pytest.fixture
    def jwt_audience():
        return "https://api.example.com"
"""

import pytest

from .testing import FakeIssuer


@pytest.fixture
def jwt_audience() -> str | None:
    """The ``aud`` of the tokens of ``jwt_issuer``; None: they have none."""
    return None


@pytest.fixture
def jwt_issuer(jwt_audience: str | None) -> FakeIssuer:
    """An issuer of the test's own; where discovery matters, ``with jwt_issuer.serve():``."""
    return FakeIssuer(aud=jwt_audience)
