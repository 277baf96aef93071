"""Operators look after all issuers at once."""

import json
import threading
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from fault_issuer import fault_server
from fault_issuer import says

from jwt_wsgi import ConfigurationError
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


def test_one_issuer_that_is_down_keeps_no_process_from_being_ready() -> None:
    """One is enough, if nothing else is set; health and warm_up say it issuer by issuer."""
    up, down = FakeIssuer(), FakeIssuer()
    with up.serve(), down.serve(), down.outage():
        both = [up.issuer, down.issuer]
        for ready, expected in {
            None: True,
            "any": True,
            "all": False,
            (up.issuer,): True,
            (down.issuer,): False,
            (up.issuer, down.issuer): False,
        }.items():
            given: Any = both if ready is None else {"issuers": both, "ready": ready}
            middleware = JWTMiddleware(lambda *_: [], issuer=given)

            assert middleware.warm_up(timeout=20.0) is expected
            middleware.verifier.issuers.get(up.issuer).keys.warm_up()  # type: ignore[union-attr]
            health = middleware.health()
            assert health["ready"] is expected
            assert [keys["ready"] for keys in health["issuers"].values()] == [True, False]
            if not expected:
                with pytest.raises(KeysUnavailableError) as caught:
                    middleware.warm_up(raises=True)
                assert (down.issuer in caught.value.detail) is True
                assert (up.issuer in caught.value.detail) is False
            middleware.close()


def test_an_issuer_that_never_answers_costs_no_probe_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is waited for: until one of them is there, in turn, and then nothing."""
    now, waited = 100.0, list[tuple[str, float]]()
    answers_at = {"https://0.example": 999.0, "https://1.example": 100.08}

    def wait(keys: RemoteKeys, timeout: float, *, raises: bool = False) -> bool:
        nonlocal now
        waited.append((keys._source, round(timeout, 3)))
        left = max(0.0, answers_at[keys._source] - now)
        now += min(timeout, left)
        return left <= timeout

    monkeypatch.setattr(upkeep, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(RemoteKeys, "warm_up", wait)
    first, second = answers_at
    middleware = JWTMiddleware(lambda *_: [], issuer=[first, second])

    assert middleware.warm_up(timeout=1.0)
    assert waited == [(first, 0), (second, 0), (first, 0.05), (second, 0.05)]
    waited.clear()
    assert middleware.warm_up(timeout=1.0)
    assert waited == [(first, 0), (second, 0)]


def test_warm_up_before_a_fork_confirms_old_keys() -> None:
    """A master of gunicorn serves no requests: without that a new worker's first user waits."""
    with FakeIssuer().serve() as issuer:
        master = JWTMiddleware(lambda *_: [], issuer=issuer.issuer)
        assert master.warm_up(timeout=20.0)
        keys: Any = master.verifier.issuers.get(issuer.issuer).keys  # type: ignore[union-attr]
        now = keys._clock
        keys._clock = keys._loader._clock = lambda: now() + 601
        assert keys.health()["state"] == "IDLE"

        assert master.warm_up(timeout=20.0)
        assert keys.health()["state"] == "FRESH"
        assert keys.health()["age"] < 600


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"issuers": ["https://a.example"], "ready": "none"}, "ready: give any, all"),
        ({"issuers": ["https://a.example"], "ready": []}, "ready: give any, all"),
        ({"issuers": ["https://a.example"], "ready": ["https://b.example"]}, "of these issuers"),
        ({"issuers": ["https://a.example"], "ready": [1]}, "ready: give any, all"),
        ({"issuers": lambda iss: None}, "issuers: give an identifier"),
        ({"issuers": {"issuers": ["https://a.example"]}}, "issuers: give an identifier"),
        ({"issuers": ["https://a.example"], "function": print}, "its members are"),
        ({"issuers": ["https://a.example"], "readdy": "all"}, "did you mean ready"),
        (
            '{"issuers": ["https://a.example", {"issuer": "https://b.example"}], "ready": 1}',
            "ready:",
        ),
    ],
)
def test_which_issuers_must_be_there_is_checked_at_the_start(given: Any, why: str) -> None:
    """An identifier with a typing error would make no process ready, or each one."""
    with pytest.raises(ConfigurationError, match=why):
        JWTMiddleware(lambda *_: [], issuer=given)


def test_all_issuers_have_one_time_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first ones take is no longer there for the others; each has its turn."""
    now, waited = 100.0, list[float]()

    def wait(_keys: RemoteKeys, timeout: float, *, raises: bool = False) -> bool:
        nonlocal now
        waited.append(timeout)
        now += min(timeout, 0.2)
        return False

    monkeypatch.setattr(upkeep, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(RemoteKeys, "warm_up", wait)
    issuers = [f"https://{number}.example" for number in range(4)]
    given = {"issuers": issuers, "ready": "all"}
    assert not JWTMiddleware(lambda *_: [], issuer=given).warm_up(timeout=0.5)

    assert waited[:8] == pytest.approx([0] * 4 + [0.05] * 4)
    assert sum(waited) == pytest.approx(0.5)


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
        "ready": True,  # the other one has keys
        "issuers": {"https://a.example": {"ready": False, "region": "north"}},
    }
    middleware.close()
    assert asked == [("warm_up", False), ("close", True)]


@pytest.mark.parametrize(
    ("required", "names"),
    [("any", "ab"), ("all", "ab"), (["https://b.example"], "b")],
    ids=["any", "all", "one"],
)
def test_a_source_that_has_failed_is_not_tried_again(required: Any, names: str) -> None:
    """Once without a wait, once with one. The error names the required issuers only."""
    asked = []

    class Failing:
        def candidates(self, _header: object) -> list[Any]:
            return []

        def warm_up(self, timeout: float, *, raises: bool) -> bool:
            asked.append((self, timeout > 0, raises))
            return False

    one, two = Failing(), Failing()
    issuers = [Issuer("https://a.example", keys=one), Issuer("https://b.example", keys=two)]
    middleware = JWTMiddleware(lambda *_: [], issuer={"issuers": issuers, "ready": required})

    with pytest.raises(KeysUnavailableError) as caught:
        middleware.warm_up(timeout=1.0, raises=True)
    assert [who for who, waits, _ in asked if waits] == [one, two][-len(names) :]
    assert str(caught.value) == "; ".join(
        f"'https://{name}.example': its key source has no keys" for name in names
    )


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
