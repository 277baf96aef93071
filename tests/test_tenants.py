"""Issuers that a function names: strangers thrash nothing, and no tenant is kept out for long."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import InvalidTokenError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import KeysUnavailableError
from jwt_wsgi import tenants as module
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.remote import Policy
from jwt_wsgi.key_sources.remote import RemoteKeys
from jwt_wsgi.keys import KeySet
from jwt_wsgi.tenants import MAX_IDENTIFIER
from jwt_wsgi.tenants import MAX_LOADING
from jwt_wsgi.tenants import MAX_NAMED
from jwt_wsgi.tenants import Tenants
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.trusted_issuer import TrustedIssuer
from jwt_wsgi.verifier import Verifier

ISSUER = FakeIssuer("https://t.example")
JWKS = json.dumps(ISSUER.jwks()).encode()
HEADER = {"alg": "EdDSA", "kid": ISSUER.kid}


class World:
    """Tenants with a fake clock, and fetches that are counted, held back or made to fail."""

    def __init__(self, *, most: int = 4096) -> None:
        self.now = 1000.0
        self.fetches: Counter[str] = Counter()
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.broken: set[str] = set()
        self.tenants = Tenants(
            self.resolve, build=self.build, most=most, clock=lambda: self.now, cooldown=30.0
        )
        self.verifier = Verifier(self.tenants, on_verified=self.tenants.proven)

    def resolve(self, iss: str) -> Issuer | None:
        self.asked.append(iss)
        return Issuer(iss) if iss.startswith("https://") else None

    def build(self, issuer: Issuer) -> TrustedIssuer:
        def fetch(url: str, **_: Any) -> Fetched:
            self.fetches[issuer.identifier] += 1
            self.gate.wait(10)
            if issuer.identifier in self.broken:
                raise FetchError("http", "500", status=500)
            return Fetched(JWKS, None, None)

        keys = RemoteKeys(
            issuer.identifier,
            jwks_uri="https://keys.example",
            fetch=fetch,
            policy=Policy(),
            emit=lambda _: None,
            clock=lambda: self.now,
        )
        return TrustedIssuer(issuer.identifier, keys, frozenset({"EdDSA"}), frozenset(), ())

    def verify(self, name: str) -> None:
        """A real user's token."""
        self.verifier.verify(ISSUER.token(iss=f"https://{name}"))

    def forge(self, name: str) -> str | None:
        """A stranger's; the code of the refusal."""
        with pytest.raises((InvalidTokenError, KeysUnavailableError)) as caught:
            self.verifier.verify(ISSUER.wrong_key()(iss=f"https://{name}"))
        return caught.value.code


@pytest.fixture
def world() -> World:
    return World()


def test_strangers_never_push_out_a_proven_tenant(world: World) -> None:
    """Thousands of valid names later it answers without the function and without a fetch."""
    world.verify("real")
    for number in range(3 * MAX_NAMED):
        world.tenants.get(f"https://{number}")
    world.asked.clear()

    world.verify("real")

    assert world.asked == []
    assert world.fetches == {"https://real": 1}
    assert len(world.tenants._named) == MAX_NAMED


def test_the_memory_of_the_proven_is_bounded_and_keeps_those_in_use() -> None:
    """Two generations; who is used in the younger one stays, who is not makes room."""
    world = World(most=10)
    world.verify("busy")
    for number in range(100):
        world.verify(f"n{number}")
        world.verify("busy")

    held = {tenant.identifier for tenant in world.tenants.values()}
    assert len(held) <= 20
    assert "https://busy" in held
    assert world.fetches["https://busy"] == 1


def test_two_threads_that_turn_the_generation_lose_nobody() -> None:
    """Both have seen that it is full; the second must not push out what the first kept."""
    world = World(most=3)
    for name in ("a", "b", "c"):
        world.verify(name)

    class Full(dict[str, Any]):
        """While its length is looked at another thread does the same, and is faster."""

        def __len__(self) -> int:
            world.tenants._proven = old
            world.tenants.proven(other)
            return 3

    old = world.tenants._proven
    other, third = (
        TrustedIssuer(name, KeySet([]), frozenset(), frozenset(), ()) for name in ("o", "t")
    )
    world.tenants._proven = Full(old)
    world.tenants.proven(third)

    assert {"https://a", "https://b", "https://c", "t"} <= {
        *world.tenants._proven,
        *world.tenants._proven_before,
    }


def test_one_first_load_a_tenant_and_cooldown_even_across_eviction(world: World) -> None:
    """A stranger who pushes it out and names it again is told to wait, and nothing is fetched."""
    assert world.forge("t") == "signature_invalid"
    world.tenants._named.clear()

    with pytest.raises(KeysUnavailableError) as caught:
        world.verify("t")
    assert caught.value.retry_after == 30
    world.now += 29
    assert world.forge("t") == "keys_unavailable"
    assert world.fetches == {"https://t": 1}
    world.now += 1
    world.verify("t")
    assert world.fetches == {"https://t": 2}


def test_a_first_load_that_fails_counts_as_well(world: World) -> None:
    """Strangers do not make us knock at a broken issuer every second."""
    world.broken.add("https://t")
    for _ in range(29):
        assert world.forge("t") == "keys_unavailable"
        world.now += 1
    assert world.fetches == {"https://t": 1}

    world.broken.clear()
    world.now += 60
    world.verify("t")


def test_a_stranger_cannot_keep_a_tenant_out(world: World) -> None:
    """Who named it has loaded its keys for it: as long as it is remembered its users get in."""
    world.forge("t")
    world.verify("t")

    assert world.fetches == {"https://t": 1}
    world.tenants._named.clear()
    world.verify("t")


def test_few_tenants_load_at_once(world: World) -> None:
    """Over that 503 with Retry-After, and the next one when a place is free."""
    world.gate.clear()
    with ThreadPoolExecutor(MAX_LOADING) as pool:
        under_way = [pool.submit(world.verify, f"t{n}") for n in range(MAX_LOADING)]
        while len(world.fetches) < MAX_LOADING:
            time.sleep(0.001)
        with pytest.raises(KeysUnavailableError) as caught:
            world.verify("one-more")
        world.gate.set()
        for future in under_way:
            future.result()

    assert caught.value.retry_after == 1
    assert "https://one-more" not in world.fetches
    world.verify("one-more")


@pytest.mark.parametrize("failing", [False, True])
def test_no_place_is_lost(world: World, failing: bool) -> None:
    """However the loads end."""
    for number in range(3 * MAX_LOADING):
        world.broken |= {f"https://t{number}"} if failing else set()
        world.forge(f"t{number}")

    loading, _ = world.tenants._states()
    assert loading == {}


def test_a_hundred_threads_and_one_tenant(world: World) -> None:
    """One fetch, and everybody is served; slow functions make no difference."""
    barrier = threading.Barrier(100)
    resolve = world.tenants._resolve

    def slow(iss: str) -> Issuer | None:
        barrier.wait()
        return resolve(iss)

    world.tenants._resolve = slow
    world.gate.clear()
    with ThreadPoolExecutor(100) as pool:
        served = [pool.submit(world.verify, "t") for _ in range(100)]
        while len(world.asked) < 100:
            time.sleep(0.001)
        world.gate.set()
        for future in served:
            future.result()

    assert world.fetches == {"https://t": 1}


def test_who_is_late_finds_the_tenant_that_was_proven_meanwhile(world: World) -> None:
    """Its own key source would have to wait for the cooldown."""
    real = world.tenants._build

    def while_another_is_faster(issuer: Issuer) -> TrustedIssuer:
        world.tenants._build = real
        world.verify("t")
        return real(issuer)

    world.tenants._build = while_another_is_faster
    world.verify("t")

    assert world.fetches == {"https://t": 1}


def test_who_comes_second_waits_for_the_first_though_it_was_evicted(world: World) -> None:
    """One load, whatever strangers pushed out meanwhile."""
    world.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.verify, "t")
        while not world.fetches:
            time.sleep(0.001)
        world.tenants._named.clear()
        second = pool.submit(world.verify, "t")
        while len(world.asked) < 2:
            time.sleep(0.001)
        world.gate.set()
        first.result(), second.result()

    assert world.fetches == {"https://t": 1}


def test_a_fork_does_not_inherit_what_its_parent_was_loading(world: World) -> None:
    """The parent's loads and their cooldown are none of the child's."""
    world.gate.clear()
    with ThreadPoolExecutor(MAX_LOADING) as pool:
        under_way = [pool.submit(world.forge, f"t{n}") for n in range(MAX_LOADING)]
        while len(world.fetches) < MAX_LOADING:
            time.sleep(0.001)
        reader, writer = os.pipe()
        if not (child := os.fork()):
            try:
                world.gate = threading.Event()
                world.gate.set()
                world.verify("t0")
                world.verify("new")
                os.write(writer, b"served")
            finally:
                os._exit(0)
        os.close(writer)
        told = os.read(reader, 100)
        os.waitpid(child, 0)
        os.close(reader)
        world.gate.set()
        for future in under_way:
            future.result()
    assert told == b"served"


def test_the_memory_of_loads_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old ones are forgotten; while all are recent nobody new is loaded for."""
    monkeypatch.setattr(module, "MAX_LOADS", 3)
    assert [world.forge(f"t{n}") for n in range(4)] == [
        *["signature_invalid"] * 3,
        "keys_unavailable",
    ]
    world.now += 30
    assert world.forge("t3") == "signature_invalid"
    _, loads = world.tenants._states()
    assert len(loads) == 1


@pytest.mark.parametrize(
    "iss", ["", "x" * (MAX_IDENTIFIER + 1), "https://t\n", "https://\0", "https://t\x85", "https://\ud800"],
    ids=ascii,
)  # fmt: skip
def test_a_hostile_name_never_reaches_the_function(world: World, iss: str) -> None:
    """A database or a log of yours stands behind it."""
    assert world.tenants.get(iss) is None
    assert world.asked == []


def test_an_issuer_of_another_name_is_none(world: World) -> None:
    """The function's mistake makes nobody's keys load."""
    world.tenants._resolve = lambda _: Issuer("https://other.example")

    assert world.tenants.get("https://t") is None
    assert world.tenants._named == {}


# --- The function is asked again ------------------------------------------------------------------


def test_who_is_no_tenant_any_more_is_refused(world: World) -> None:
    """Ten minutes later at most, proven or only named; until then the function rests."""
    world.verify("proven")
    world.forge("named")
    world.tenants._resolve = lambda _: None

    world.now += 599
    world.verify("proven")
    assert world.forge("named") == "signature_invalid"
    world.now += 1
    for name in ("proven", "named"):
        with pytest.raises(InvalidTokenError) as caught:
            world.verify(name)
        assert caught.value.code == "issuer_not_trusted"
    assert not world.tenants._said


def test_who_is_one_still_keeps_his_keys(world: World) -> None:
    """Once in ten minutes it is asked, and nothing is fetched for that."""
    world.verify("t")
    tenant = world.tenants.get("https://t")
    for _ in range(5):
        world.now += 300
        assert world.tenants.get("https://t") is tenant

    assert world.asked == ["https://t"] * 3
    assert world.fetches == {"https://t": 1}


def test_an_outage_of_the_function_takes_nobody_away(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, without the error's text, and asked again after the cooldown only."""
    world.verify("t")
    resolve, calls = world.tenants._resolve, []

    def down(iss: str) -> Issuer:
        calls.append(iss)
        raise ConnectionError("postgres://user:secret@host")

    world.tenants._resolve = down
    world.now += 600
    for _ in range(60):
        world.verify("t")
        world.now += 1
    assert len(calls) == 2
    assert caplog.messages == [
        "tenant 'https://t' stays as it is: the function raised builtins.ConnectionError"
    ] * 2  # fmt: skip
    assert world.forge("stranger") == "keys_unavailable"
    world.tenants._resolve = resolve
    world.verify("t")


@pytest.mark.parametrize("proven", [True, False])
def test_other_terms_count_and_the_keys_serve_on(app: Any, *, proven: bool) -> None:
    """A token that was remembered under the old terms is none any more."""
    now, terms = 1000.0, {"audience": "old"}
    with FakeIssuer().serve() as issuer:

        def resolve(iss: str) -> Issuer:
            return Issuer(iss, jwks_uri=issuer.jwks_uri, **terms)

        middleware = JWTMiddleware(app, issuer=resolve)
        middleware.verifier.issuers._clock = lambda: now
        visitor = Client(middleware)
        old, new = issuer.token(aud="old"), issuer.token(aud="new")
        tokens = [old, old, new] if proven else [issuer.wrong_key()(aud="old")]
        assert [visitor.get("/", headers=bearer(t)).status_code for t in tokens] == (
            [200, 200, 401] if proven else [401]
        )

        now, terms["audience"] = 1600.0, "new"
        with issuer.outage():
            answers = [visitor.get("/", headers=bearer(t)).status_code for t in (old, new, new)]
    assert answers == [401, 200, 200]


def test_other_terms_that_are_wrong_are_a_503_for_everybody(app: Any) -> None:
    """Nobody goes on by the old ones meanwhile."""
    now, terms = 1000.0, {"leeway": "5s"}

    def resolve(iss: str) -> Issuer:
        return Issuer(iss, jwks=JWKS.decode(), **terms)

    middleware = JWTMiddleware(app, issuer=resolve)
    middleware.verifier.issuers._clock = lambda: now
    visitor, headers = Client(middleware), bearer(ISSUER.token())
    assert visitor.get("/", headers=headers).status_code == 200

    now, terms["leeway"] = 1600.0, "soon"
    assert [visitor.get("/", headers=headers).status_code for _ in range(3)] == [503, 503, 503]


def test_other_keys_are_loaded(world: World) -> None:
    """As those of a new tenant: what was held is of another place."""
    world.verify("t")
    held = world.tenants._proven["https://t"].keys
    world.tenants._resolve = lambda iss: Issuer(iss, jwks_uri="https://other.example")

    world.now += 600
    world.verify("t")

    assert world.tenants._proven["https://t"].keys is not held


def test_a_refusal_of_the_function_counts_at_once(world: World) -> None:
    """Any AuthError but a 503 is an answer, not an outage."""

    def refuse(_iss: str) -> Issuer:
        raise InvalidTokenError("claim_invalid")

    world.verify("t")
    world.tenants._resolve = refuse
    world.now += 600
    for _ in range(2):
        with pytest.raises(InvalidTokenError):
            world.verify("t")


def test_one_asks_again_and_the_others_are_served(world: World) -> None:
    """A function that takes its time delays one request."""
    world.verify("t")
    resolve, begun, gate = world.tenants._resolve, threading.Event(), threading.Event()

    def slow(iss: str) -> Issuer | None:
        begun.set()
        gate.wait(10)
        return resolve(iss)

    world.tenants._resolve = slow
    world.now += 600
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(world.verify, "t")
        assert begun.wait(10)
        for _ in range(10):
            world.verify("t")
        gate.set()
        one.result()


def test_what_was_said_is_forgotten_with_the_tenant() -> None:
    """Its memory is bounded by theirs."""
    world = World(most=10)
    for number in range(100):
        world.verify(f"n{number}")
    for number in range(2 * MAX_NAMED):
        world.tenants.get(f"https://stranger{number}")

    assert world.tenants._said.keys() == {
        *world.tenants._proven, *world.tenants._proven_before, *world.tenants._named
    }  # fmt: skip


# --- Through the middleware --------------------------------------------------------------------


def client(app: Any, resolve: Callable[[str], Any], **options: Any) -> Client:
    return Client(JWTMiddleware(app, issuer=resolve, **options))


def test_none_is_not_trusted(app: Any) -> None:
    """401 issuer_not_trusted, and an Issuer of another name is none."""
    for resolve in (lambda _: None, lambda _: Issuer("https://other.example", jwks=ISSUER.jwks())):
        answer = client(app, resolve).get("/", headers=bearer(ISSUER.token()))
        assert (answer.status_code, answer.json["code"]) == (401, "issuer_not_trusted")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda iss: Issuer(iss, leeway="soon"), id="value"),
        pytest.param(lambda iss: Issuer(iss, lee_way=5), id="name"),
        pytest.param(lambda iss: Issuer(iss, jwks={"keys": 5}), id="jwks"),
        pytest.param(lambda iss: Issuer(iss, secret="short"), id="secret"),
        pytest.param(lambda iss: Issuer(iss, keys=5), id="keys"),
        pytest.param(lambda iss: iss, id="no Issuer"),
    ],
)
def test_wrong_settings_of_a_tenant_are_our_trouble(
    app: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """503 with Retry-After for that tenant alone, and the log says what is wrong."""
    answer = client(app, make).get("/", headers=bearer(ISSUER.token()))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "settings of" in caplog.text or "neither an Issuer" in caplog.text
    assert "short" not in caplog.text.replace("too short", "")


def test_an_auth_error_of_the_function_is_the_answer(app: Any) -> None:
    """A data base that is down is a 503 that the function raises."""

    def down(_iss: str) -> None:
        raise KeysUnavailableError(7)

    answer = client(app, down).get("/", headers=bearer(ISSUER.token()))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")


def test_a_tenant_has_its_own_terms(app: Any) -> None:
    """What it does not say comes from the middleware's options."""

    def resolve(iss: str) -> Issuer:
        return Issuer(iss, jwks=ISSUER.jwks(), audience="a")

    visitor = client(app, resolve, required_claims="org")

    assert visitor.get("/", headers=bearer(ISSUER.token(aud="a", org=1))).status_code == 200
    assert visitor.get("/", headers=bearer(ISSUER.token(aud="b", org=1))).status_code == 401
    assert visitor.get("/", headers=bearer(ISSUER.token(aud="a"))).status_code == 401


def test_a_key_of_the_middleware_is_nobodys(app: Any) -> None:
    """Which tenant's would it be?"""
    with pytest.raises(ConfigurationError, match="as an option of Issuer"):
        client(app, lambda _: None, jwks=ISSUER.jwks())


def test_operators_see_the_verified_tenants(app: Any) -> None:
    """health, warm_up and close; after close no tenant is fetched for."""
    with FakeIssuer().serve() as served, FakeIssuer().serve() as late:
        middleware = JWTMiddleware(app, issuer=Issuer)
        visitor = Client(middleware)
        assert middleware.health() == {"ready": True, "issuers": {}}
        assert middleware.warm_up()

        assert visitor.get("/", headers=bearer(served.token())).status_code == 200
        assert middleware.health()["issuers"].keys() == {served.issuer}
        assert middleware.warm_up()

        middleware.close()
        assert middleware.health()["issuers"][served.issuer]["state"] == "CLOSED"
        assert visitor.get("/", headers=bearer(served.token())).status_code == 200
        assert visitor.get("/", headers=bearer(late.token())).status_code == 503
        assert late.requests == []


def test_a_function_that_raises_is_503_and_told(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Never a 500; the text of a foreign error may hold anything and stays out."""

    def broken(_iss: str) -> None:
        raise ZeroDivisionError("secret")

    answer = client(app, broken).get("/", headers=bearer(ISSUER.token()))

    assert (answer.status_code, answer.json["code"]) == (503, "keys_unavailable")
    assert "builtins.ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


def test_a_slash_is_explained_for_tenants_too(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """For those that are verified; names of others are not told."""

    def resolve(iss: str) -> Issuer | None:
        return Issuer(iss, jwks=ISSUER.jwks()) if iss == ISSUER.issuer else None

    visitor = client(app, resolve)
    visitor.get("/", headers=bearer(ISSUER.token()))
    visitor.get("/", headers=bearer(ISSUER.token(iss=ISSUER.issuer + "/")))
    visitor.get("/", headers=bearer(ISSUER.token(iss="https://who.example")))

    assert "in its final slash only" in caplog.text
