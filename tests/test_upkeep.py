"""Operators look after all issuers at once."""

import json
import threading
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from fault_issuer import fault_server
from fault_issuer import says

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import KeysUnavailableError
from jwt_wsgi import upkeep
from jwt_wsgi.key_sources.remote import RemoteKeys
from jwt_wsgi.keys import KeySet
from jwt_wsgi.testing import FakeIssuer


def test_the_keys_of_all_issuers_are_waited_for_together() -> None:
    """None of three issuers answers before all of them are asked; and each is asked once."""
    jwks = says("200 OK", json.dumps(FakeIssuer().jwks()).encode())
    together = threading.Barrier(3)

    def answer(connection: Any) -> None:
        together.wait(20)
        jwks(connection)

    with ExitStack() as stack:
        servers = [stack.enter_context(fault_server(answer)) for _ in range(3)]
        middleware = JWTMiddleware(
            lambda *_: [],
            issuer=[
                Issuer(f"https://{number}.example", jwks_uri=server.url)
                for number, server in enumerate(servers)
            ],
        )

        assert middleware.warm_up(timeout=20.0)
        assert [len(server.heads) for server in servers] == [1, 1, 1]
        assert middleware.health()["ready"]


def test_one_issuer_that_is_down_makes_a_process_unready() -> None:
    """And the others keep the keys that they have."""
    up, down = FakeIssuer(), FakeIssuer()
    with up.serve(), down.serve(), down.outage():
        middleware = JWTMiddleware(lambda *_: [], issuer=[up.issuer, down.issuer])

        assert not middleware.warm_up(timeout=20.0)

        health = middleware.health()
        assert not health["ready"]
        assert [keys["ready"] for keys in health["issuers"].values()] == [True, False]
        middleware.close()


def test_all_issuers_have_one_time_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first ones take is no longer there for the last."""
    now, waited = 100.0, list[float]()

    def wait(_keys: RemoteKeys, timeout: float, *, raises: bool = False) -> bool:
        nonlocal now
        waited.append(timeout)
        now += min(timeout, 0.2)
        return True

    monkeypatch.setattr(upkeep, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(RemoteKeys, "warm_up", wait)
    issuers = [f"https://{number}.example" for number in range(4)]
    JWTMiddleware(lambda *_: [], issuer=issuers).warm_up(timeout=0.5)

    assert waited == pytest.approx([0, 0, 0, 0, 0.5, 0.3, 0.1, 0.0])


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


@pytest.mark.parametrize("served", [True, False])
def test_keys_that_fit_no_accepted_algorithm_are_not_ready(served: bool) -> None:
    """Every token would be refused, so a server that asks first does not start."""
    with FakeIssuer(algorithm="ES256").serve() as issuer:
        source: dict[str, Any] = {} if served else {"jwks": issuer.jwks()}
        guarded = JWTMiddleware(lambda *_: [], issuer=issuer.issuer, algorithms="RS256", **source)

        assert not guarded.warm_up(timeout=20.0)
        with pytest.raises(KeysUnavailableError) as caught:
            guarded.warm_up(timeout=20.0, raises=True)
        assert "none of 1 keys fits the accepted algorithms (RS256)" in str(caught.value)
        good = JWTMiddleware(lambda *_: [], issuer=issuer.issuer, algorithms="ES256", **source)
        assert good.warm_up(timeout=20.0, raises=True)
