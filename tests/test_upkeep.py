"""Operators look after all issuers at once."""

import time

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.keys import KeySet
from jwt_wsgi.testing import FakeIssuer


def test_the_keys_of_all_issuers_are_waited_for_together() -> None:
    """Three that take 0.4 s each are here in less than a second, and each was asked once."""
    issuers = [FakeIssuer() for _ in range(3)]
    with issuers[0].serve(), issuers[1].serve(), issuers[2].serve():
        for issuer in issuers:
            issuer._running.delay = 0.4
        middleware = JWTMiddleware(
            lambda *_: [],
            issuer=[Issuer(issuer.issuer, jwks_uri=issuer.jwks_uri) for issuer in issuers],
        )

        began = time.monotonic()
        assert middleware.warm_up(timeout=5.0)

        assert time.monotonic() - began < 1.1
        assert [len(issuer.requests) for issuer in issuers] == [1, 1, 1]
        assert middleware.health()["ready"]


def test_one_issuer_that_is_down_makes_a_process_unready() -> None:
    """Within the time given, however many there are."""
    up, down = FakeIssuer(), FakeIssuer()
    with up.serve(), down.serve(), down.slow(3.0):
        middleware = JWTMiddleware(lambda *_: [], issuer=[up.issuer, down.issuer])

        began = time.monotonic()
        assert not middleware.warm_up(timeout=0.5)

        assert time.monotonic() - began < 1.5
        health = middleware.health()
        assert not health["ready"]
        assert [keys["ready"] for keys in health["issuers"].values()] == [True, False]
        middleware.close()


def test_a_key_source_of_your_own_is_asked_for_what_it_has() -> None:
    """Each of the three is optional."""
    asked = []

    class Vault(KeySet):
        def warm_up(self, timeout: float, *, raises: bool) -> bool:
            asked.append(("warm_up", raises))
            return timeout == 0 or not raises

        def health(self) -> dict[str, object]:
            return {"ready": False, "region": "north"}

    class Closing(KeySet):
        def close(self) -> None:
            asked.append(("close", True))

    jwks = FakeIssuer().jwks()["keys"]
    vault, closing = (kind.of({"keys": jwks}) for kind in (Vault, Closing))
    issuers = [Issuer("https://a.example", keys=vault), Issuer("https://b.example", keys=closing)]
    middleware = JWTMiddleware(lambda *_: [], issuer=issuers)

    assert middleware.warm_up(timeout=1.0)
    assert middleware.health() == {
        "ready": False,
        "issuers": {"https://a.example": {"ready": False, "region": "north"}},
    }
    middleware.close()
    assert asked == [("warm_up", False), ("warm_up", False), ("close", True)]
