"""A fixture for the tests of your app. It is asked for, and never loads itself.

.. code-block:: python

    # conftest.py, the one in the root of your tests
    pytest_plugins = ["jwt_wsgi.pytest_plugin"]


    # test_orders.py
    def test_orders(jwt_issuer):
        client = Client(jwt_issuer.protect(app))
        token = jwt_issuer.token(sub="ada")
        assert client.get("/", headers={"Authorization": f"Bearer {token}"}).status_code == 200
"""

import pytest

from .testing import FakeIssuer


@pytest.fixture
def jwt_issuer() -> FakeIssuer:
    """An issuer of the test's own; where discovery matters, ``with jwt_issuer.serve():``."""
    return FakeIssuer()
