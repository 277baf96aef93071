"""Issuers that a function names: strangers thrash nothing, and no tenant is kept out for long."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait
from contextlib import suppress
from typing import Any

import pytest
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import InvalidTokenError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import KeysUnavailableError
from jwt_wsgi import Settings
from jwt_wsgi import assembly
from jwt_wsgi import tenants as module
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.remote import RemoteKeys
from jwt_wsgi.settings.issuer import MAX_TENANTS
from jwt_wsgi.tenants import MAX_IDENTIFIER
from jwt_wsgi.tenants import MAX_LOADING
from jwt_wsgi.tenants import MAX_NAMED
from jwt_wsgi.tenants import REFUSED_FOR
from jwt_wsgi.tenants import Tenants
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.trusted_issuer import TrustedIssuer
from jwt_wsgi.verifier import Verifier

ISSUER = FakeIssuer("https://t.example")
JWKS = json.dumps(ISSUER.jwks()).encode()
HEADER = {"alg": "EdDSA", "kid": ISSUER.kid}


class World:
    """Tenants with a fake clock, and fetches that are counted, held back or made to fail."""

    def __init__(self, *, most: int = MAX_TENANTS) -> None:
        self.now = 1000.0
        self.fetches: Counter[str] = Counter()
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.broken: set[str] = set()
        self.loads: dict[str, float] = {}
        self.tenants = Tenants(
            self.resolve,
            build=self.build,
            cooldown=30.0,
            max_age=600.0,
            most=most,
            sees_request=False,
            emit=lambda _: None,
            clock=lambda: self.now,
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

    def push_out(self) -> None:
        """What strangers do who name many other tenants."""
        asked = self.asked.copy()
        for number in range(MAX_NAMED):
            self.tenants.get(f"https://stranger{number}")
        self.asked[:] = asked

    def verify(self, name: str) -> None:
        """A real user's token."""
        self.verifier.verify(ISSUER.token(iss=f"https://{name}"))

    def forge(self, name: str) -> str | None:
        """A stranger's; the code of the refusal."""
        with pytest.raises((InvalidTokenError, KeysUnavailableError)) as caught:
            self.verifier.verify(ISSUER.wrong_key()(iss=f"https://{name}"))
        return caught.value.code


def names(memory: Any) -> set[str]:
    """Who is in it."""
    return {*memory.young, *memory.old}


def source_of(tenant: Any) -> Any:
    """The key source below the first load."""
    return tenant.keys.source


@pytest.fixture
def world() -> World:
    return World()


def test_made_up_tokens_never_push_out_a_verified_tenant(world: World) -> None:
    """Thousands of valid names later it answers without the function and without a fetch."""
    world.verify("real")
    for number in range(3 * MAX_NAMED):
        world.tenants.get(f"https://n{number}")
    world.asked.clear()

    world.verify("real")

    assert world.asked == []
    assert world.fetches == {"https://real": 1}
    assert MAX_NAMED // 2 <= len(names(world.tenants._named)) <= MAX_NAMED


def test_the_memory_of_verified_tenants_is_bounded_and_keeps_those_in_use() -> None:
    """There are two generations: tenants that are not used while others come are dropped."""
    world = World(most=10)
    world.verify("busy")
    for number in range(100):
        world.verify(f"n{number}")
        world.verify("busy")

    held = {tenant.identifier for tenant in world.tenants.values()}
    assert len(held) <= 20
    assert "https://busy" in held
    assert world.fetches["https://busy"] == 1


def test_the_tenants_that_were_used_last_are_kept() -> None:
    """As many as the limit says, for sure: whoever was used again outlives the others."""
    world = World(most=10)
    for number in range(10):
        world.verify(f"used{number}")
    for number in range(200):
        if number % 5 == 0:
            for other in range(5):
                world.verify(f"used{other}")
        world.verify(f"n{number}")

    assert [world.fetches[f"https://used{number}"] for number in range(5)] == [1] * 5


def limit(issuer: Any) -> int:
    app = JWTMiddleware(lambda environ, start_response: [], issuer=issuer, audience="api")
    tenants: Any = app.verifier.issuers
    return int(tenants._proven._half)


def test_how_many_tenants_are_kept_can_be_set() -> None:
    """Beside the function; without it the documented number."""
    assert limit(Issuer) == MAX_TENANTS
    assert limit({"function": Issuer}) == MAX_TENANTS
    assert limit({"function": Issuer, "max_tenants": 20_000}) == 20_000


@pytest.mark.parametrize(
    ("issuer", "why"),
    [
        ({"function": Issuer, "max_tenants": 0}, "max_tenants: give a whole number from 1 to"),
        ({"function": Issuer, "max_tenant": 5}, "did you mean max_tenants"),
        ({"max_tenants": 5}, "give a function"),
    ],
)
def test_a_wrong_limit_does_not_start(issuer: Any, why: str) -> None:
    """With the remedy."""
    with pytest.raises(ConfigurationError, match=why):
        limit(issuer)


def test_more_tenants_than_the_default_load_and_stay() -> None:
    """No first load is refused because others were loaded lately, and none is made twice."""
    world = World(most=20_000)
    for number in range(20_000):
        world.tenants._note_load(f"https://n{number}", world.loads)

    assert len(world.loads) == 20_000


def test_one_first_load_a_tenant_and_cooldown_even_across_eviction(world: World) -> None:
    """A stranger who pushes it out and names it again is told to wait, and nothing is fetched."""
    assert world.forge("t") == "signature_invalid"
    world.push_out()

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


def test_a_made_up_token_does_not_delay_the_users_of_its_tenant(world: World) -> None:
    """It has loaded the tenant's keys, and users get in while the tenant is remembered."""
    world.forge("t")
    world.verify("t")

    assert world.fetches == {"https://t": 1}
    world.push_out()
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
def test_every_load_frees_its_place(world: World, failing: bool) -> None:
    """However it ends."""
    for number in range(3 * MAX_LOADING):
        world.broken |= {f"https://t{number}"} if failing else set()
        world.forge(f"t{number}")

    loading, _ = world.tenants._loads()
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


def test_a_late_request_uses_the_tenant_that_was_verified_meanwhile(world: World) -> None:
    """Its own key source would have to wait for the cooldown."""
    real = world.tenants._build

    def while_another_is_faster(issuer: Issuer) -> TrustedIssuer:
        world.tenants._build = real
        world.verify("t")
        return real(issuer)

    world.tenants._build = while_another_is_faster
    world.verify("t")

    assert world.fetches == {"https://t": 1}


def test_a_second_request_waits_for_the_load_of_an_evicted_tenant(world: World) -> None:
    """There is one load, even if made-up tokens have pushed the tenant out meanwhile."""
    world.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.verify, "t")
        while not world.fetches:
            time.sleep(0.001)
        world.push_out()
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


def test_the_memory_of_loads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old ones are forgotten; while all are recent nobody new is loaded for."""
    monkeypatch.setattr(module, "MAX_LOADS", 3)
    world = World(most=0)
    assert [world.forge(f"t{n}") for n in range(4)] == [
        *["signature_invalid"] * 3,
        "keys_unavailable",
    ]
    world.now += 30
    assert world.forge("t3") == "signature_invalid"
    _, loads = world.tenants._loads()
    assert len(loads) == 1


@pytest.mark.parametrize(
    "iss", ["", "x" * (MAX_IDENTIFIER + 1), "https://t\n", "https://\0", "https://t\x85", "https://\ud800"],
    ids=ascii,
)  # fmt: skip
def test_an_iss_in_a_wrong_form_never_reaches_the_function(world: World, iss: str) -> None:
    """The function may pass it on to a database or a log."""
    assert world.tenants.get(iss) is None
    assert world.asked == []


def test_an_issuer_with_another_identifier_is_not_trusted(world: World) -> None:
    """No keys are loaded for a mistake of the function."""
    world.tenants._resolve = lambda _: Issuer("https://other.example")

    assert world.tenants.get("https://t") is None
    assert not names(world.tenants._named)


# --- The function is asked again ------------------------------------------------------------------


def test_a_removed_tenant_is_refused_after_max_age(world: World) -> None:
    """After ten minutes at most. Until then the function is not asked again."""
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
    assert not names(world.tenants._proven) | names(world.tenants._named)


def test_a_confirmed_tenant_keeps_its_keys(world: World) -> None:
    """The function is asked once in ten minutes, and no keys are fetched for it."""
    world.verify("t")
    tenant = world.tenants.get("https://t")
    for _ in range(5):
        world.now += 300
        assert world.tenants.get("https://t") is tenant

    assert world.asked == ["https://t"] * 3
    assert world.fetches == {"https://t": 1}


def test_an_outage_of_the_function_removes_no_tenant(world: World) -> None:
    """It is reported, without the error's text, and asked again after the cooldown only."""
    heard: list[Any] = []
    world.tenants._emit = heard.append
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
    name = f"{__name__}.{down.__qualname__}"
    why = f"{name} raised builtins.ConnectionError: tenant 'https://t' stays as it is"
    assert [str(event) for event in heard] == [why] * 2
    assert world.forge("stranger") == "keys_unavailable"
    world.tenants._resolve = resolve
    world.verify("t")


@pytest.mark.parametrize("proven", [True, False])
def test_new_terms_apply_and_the_keys_stay(app: Any, *, proven: bool) -> None:
    """A token that was remembered under the old terms is verified again."""
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


def test_new_terms_that_are_wrong_are_a_503(app: Any) -> None:
    """The old terms are no longer used."""
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
    held = world.tenants._held("https://t").trusted.keys
    world.tenants._resolve = lambda iss: Issuer(iss, jwks_uri="https://other.example")

    world.now += 600
    world.verify("t")

    assert world.tenants._held("https://t").trusted.keys is not held


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


def test_one_request_asks_again_and_the_others_are_served(world: World) -> None:
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


# --- Who writes late ------------------------------------------------------------------------------


class Replaced:
    """A tenant whose keys the function replaces; ``answer`` is what it returns now."""

    OLD = FakeIssuer("https://t.example", kid="old")
    NEW = FakeIssuer("https://t.example", kid="new")

    def __init__(self) -> None:
        self.now = 1000.0
        self.answer: Issuer | None = Issuer(self.OLD.issuer, jwks=self.OLD.jwks())
        settings = Settings.of(issuer=lambda _: self.answer)
        self.tenants = Tenants(
            lambda _: self.answer,
            build=lambda issuer: assembly.trusted(settings.for_issuer(issuer), lambda _: None),
            cooldown=30.0,
            max_age=600.0,
            most=8,
            sees_request=False,
            emit=lambda _: None,
            clock=lambda: self.now,
        )
        self.verifier = Verifier(self.tenants, on_verified=self.tenants.proven)

    def replace(self) -> None:
        """Let the function return the new keys, and be asked again."""
        self.answer = Issuer(self.NEW.issuer, jwks=self.NEW.jwks())
        self.now += 600

    def trusted(self) -> list[str]:
        """Whose tokens are accepted."""
        found = []
        for name, issuer in (("old", self.OLD), ("new", self.NEW)):
            with suppress(InvalidTokenError):
                self.verifier.verify(issuer.token())
                found.append(name)
        return found


def test_a_request_in_flight_does_not_bring_replaced_keys_back() -> None:
    """Its signature was good when it was looked at, but the keys have been replaced since."""
    world = Replaced()
    old = world.tenants.get("https://t.example")
    assert old is not None
    world.replace()
    assert world.tenants.get("https://t.example") is not old

    world.tenants.proven(old)

    assert world.trusted() == ["new"]


def test_a_request_in_flight_does_not_bring_a_removed_tenant_back() -> None:
    """The function has said that it is none any more."""
    world = Replaced()
    old = world.tenants.get("https://t.example")
    assert old is not None
    world.answer = None
    world.now += 600
    assert world.tenants.get("https://t.example") is None

    world.tenants.proven(old)

    assert world.tenants.get("https://t.example") is None


@pytest.mark.slow
def test_two_threads_of_ordinary_traffic_never_bring_replaced_keys_back() -> None:
    """Twenty replacements while two threads verify tokens of the old key without a pause."""
    wrong = []
    for _ in range(20):
        world = Replaced()
        ready = threading.Barrier(3)
        token = world.OLD.token()

        def traffic(world: Replaced = world, ready: Any = ready, token: str = token) -> None:
            for number in range(60):
                if number == 5:
                    ready.wait(10)
                with suppress(InvalidTokenError):
                    world.verifier.verify(token)

        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(traffic) for _ in range(2)]
            ready.wait(10)
            world.replace()
            for future in both:
                future.result()
        if (found := world.trusted()) != ["new"]:
            wrong.append(found)

    assert wrong == []


class Interleaved:
    """Runs ``other`` in the moment before the lock is taken for the ``step``-th time."""

    def __init__(self, tenants: Tenants, step: int, other: Callable[[], object]) -> None:
        self._lock, self._left, self._other = tenants._lock, step, other
        self.ran = False
        tenants._lock = self  # type: ignore[assignment]

    def __call__(self) -> Any:
        if not self.ran:
            if self._left:
                self._left -= 1
            else:
                self.ran = True
                self._other()
        return self._lock()


@pytest.mark.parametrize("due", [False, True], ids=["first answer", "asked again"])
@pytest.mark.parametrize("removed", [False, True], ids=["replaced", "removed"])
def test_no_interleaving_brings_back_what_was_replaced(*, due: bool, removed: bool) -> None:
    """The other request comes in between at every place where something is written."""
    for step in range(10):
        world = Replaced()
        if due:
            assert world.trusted() == ["old"]
            world.now += 600

        def other(world: Replaced = world) -> None:
            world.replace()
            if removed:
                world.answer = None
            world.trusted()

        interleaved = Interleaved(world.tenants, step, other)
        with suppress(InvalidTokenError):
            world.verifier.verify(world.OLD.token())
        if not interleaved.ran:
            break
        assert world.trusted() == ([] if removed else ["new"]), step
    assert step >= 2


def test_an_answer_that_took_long_does_not_replace_a_later_one() -> None:
    """The function takes longer than the cooldown, and another request has asked meanwhile."""
    world = Replaced()
    assert world.trusted() == ["old"]
    resolve, old = world.tenants._resolve, world.answer

    def slow(iss: str) -> Issuer | None:
        world.tenants._resolve = resolve
        world.replace()
        assert world.trusted() == ["new"]
        return old

    world.tenants._resolve = slow
    world.now += 600
    with suppress(InvalidTokenError):
        world.verifier.verify(world.OLD.token())

    assert world.trusted() == ["new"]


def test_of_requests_that_come_at_once_one_asks_again() -> None:
    """The second has seen that it is time to ask, too, but the first is faster."""
    world = Replaced()
    world.trusted()
    asked = []
    world.tenants._resolve = lambda iss: asked.append(iss) or world.answer
    world.now += 600
    Interleaved(world.tenants, 0, world.trusted)

    world.trusted()

    assert asked == ["https://t.example"]


def test_a_tenant_that_strangers_pushed_out_while_it_loaded_is_proven_all_the_same(
    world: World,
) -> None:
    """Otherwise a flood of names would keep its users out for the cooldown, again and again."""
    tenant = world.tenants.get("https://t")
    assert tenant is not None
    list(tenant.keys.candidates(HEADER))
    world.push_out()
    assert world.tenants._held("https://t") is None

    world.tenants.proven(tenant)
    world.push_out()
    world.verify("t")

    assert world.fetches == {"https://t": 1}
    assert world.asked == ["https://t"]


@pytest.mark.slow
@pytest.mark.parametrize("answer", [None, Issuer("https://t", jwks_uri="https://new.example")])
def test_a_replaced_tenant_does_not_come_back_when_the_new_one_was_pushed_out(
    world: World, answer: Issuer | None
) -> None:
    """Nothing is held under its name then, as if only strangers had pushed it out."""
    tenant = world.tenants.get("https://t")
    assert tenant is not None
    resolve = world.tenants._resolve
    world.tenants._resolve = lambda _: answer
    world.now += 600
    world.tenants.get("https://t")
    world.tenants._resolve = resolve
    world.push_out()

    world.tenants.proven(tenant)

    assert world.tenants._held("https://t") is None


def test_a_tenant_that_was_pushed_out_while_it_was_asked_for_is_held(world: World) -> None:
    """As a new one."""
    world.forge("t")
    resolve = world.tenants._resolve

    def meanwhile(iss: str) -> Issuer | None:
        world.tenants._resolve = resolve
        world.push_out()
        return resolve(iss)

    world.tenants._resolve = meanwhile
    world.now += 600

    assert world.tenants.get("https://t") is world.tenants.get("https://t")


def test_keys_that_were_replaced_while_they_loaded_are_not_those_of_the_new_answer(
    world: World,
) -> None:
    """A request that comes second waits for the first one's load, but not of other keys."""
    old = world.tenants.get("https://t")
    assert old is not None
    world.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        loading = pool.submit(lambda: list(old.keys.candidates(HEADER)))
        while not world.fetches:
            time.sleep(0.001)
        world.push_out()
        world.tenants._resolve = lambda iss: Issuer(iss, jwks_uri="https://new.example")
        new = world.tenants.get("https://t")
        assert new is not None
        second = pool.submit(lambda: list(new.keys.candidates(HEADER)))
        wait([second], timeout=0.2)
        world.gate.set()
        loading.result()
        with suppress(KeysUnavailableError):
            second.result()

    assert source_of(new) is not source_of(old)


# --- Names that the function refuses -------------------------------------------------------------


def test_a_name_that_is_refused_is_not_asked_for_again_for_some_seconds(world: World) -> None:
    """A stranger's tokens cost the function one call in five seconds, not one each."""
    world.tenants._resolve = world.asked.append  # type: ignore[func-returns-value]
    for _ in range(10):
        for _ in range(100):
            assert world.tenants.get("https://nobody.example") is None
        world.now += 1

    assert len(world.asked) == 2


def test_a_tenant_that_was_made_a_moment_ago_gets_in(world: World) -> None:
    """Five seconds after the function has refused it at the latest."""
    resolve = world.tenants._resolve
    world.tenants._resolve = lambda _: None
    assert world.tenants.get("https://t") is None
    world.tenants._resolve = resolve
    world.now += REFUSED_FOR

    world.verify("t")


def test_what_is_remembered_of_refused_names_is_bounded(world: World) -> None:
    """Strangers can make up as many as they like."""
    world.tenants._resolve = lambda _: None
    for number in range(3 * MAX_NAMED):
        world.tenants.get(f"https://nobody{number}")

    assert MAX_NAMED // 2 <= len(names(world.tenants._refused)) <= MAX_NAMED


def test_names_that_are_refused_push_out_no_tenant(world: World) -> None:
    """They have a memory of their own."""
    world.forge("t")
    resolve = world.tenants._resolve
    world.tenants._resolve = lambda _: None
    for number in range(3 * MAX_NAMED):
        world.tenants.get(f"https://nobody{number}")
    world.tenants._resolve = resolve

    world.verify("t")

    assert world.fetches == {"https://t": 1}


# --- Through the middleware --------------------------------------------------------------------


def client(app: Any, resolve: Callable[[str], Any], **options: Any) -> Client:
    return Client(JWTMiddleware(app, issuer=resolve, **options))


def test_an_issuer_for_which_the_function_returns_none_is_not_trusted(app: Any) -> None:
    """401 issuer_not_trusted. So is an Issuer with another identifier."""
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
def test_wrong_settings_of_a_tenant_are_a_503(
    app: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Only for that tenant, with Retry-After, and the log says what is wrong."""
    answer = client(app, make).get("/", headers=bearer(ISSUER.token()))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "settings of" in caplog.text or "neither an Issuer" in caplog.text
    assert "short" not in caplog.text.replace("too short", "")


NO_URLS = ["testing@secure.istio.io", "accounts.google.com", "kubernetes/serviceaccount"]


@pytest.mark.parametrize("iss", NO_URLS)
def test_an_iss_without_a_scheme_needs_keys_of_its_own(
    app: Any, iss: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing could be fetched by it. The function is asked, and the log has the remedy."""
    issuer = FakeIssuer(iss)
    token = bearer(issuer.token(azp="me"))

    bare = client(app, lambda iss: Issuer(iss, claims={"azp": "me"})).get("/", headers=token)
    assert (bare.status_code, bare.headers["Retry-After"]) == (503, "60")
    assert f"settings of tenant '{iss}' are wrong" in caplog.text
    assert "say where its keys are (jwks_uri, jwks, ...)" in caplog.text

    with_keys = client(app, lambda iss: Issuer(iss, jwks=issuer.jwks(), claims={"azp": "me"}))
    assert with_keys.get("/", headers=token).status_code == 200


def test_the_log_says_why_an_iss_is_not_in_normal_form(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator of a real issuer finds out what is wrong with it."""
    caplog.set_level("INFO")
    issuer = FakeIssuer("https://Login.example.com/")
    answer = client(app, lambda iss: Issuer(iss, jwks=issuer.jwks())).get(
        "/", headers=bearer(issuer.token())
    )
    assert (answer.status_code, answer.json["code"]) == (401, "issuer_not_trusted")
    assert "an issuer's URL has a scheme and a host in lower case" in caplog.text


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


def test_key_options_beside_a_function_of_issuers_are_an_error(app: Any) -> None:
    """It would not be clear which tenant they are for."""
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


@pytest.mark.parametrize("pushed_out", [False, True])
def test_after_close_nothing_is_refreshed_either(world: World, *, pushed_out: bool) -> None:
    """Neither for a tenant that was only named, nor for one that was loading."""
    world.forge("named")
    world.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(world.verify, "loading")
        while not world.fetches["https://loading"]:
            time.sleep(0.001)
        if pushed_out:
            world.push_out()
        world.tenants.close()
        world.gate.set()
        loading.result()
    before = world.fetches.copy()

    world.now += 100
    for name in ("named", "loading"):
        with pytest.raises((InvalidTokenError, KeysUnavailableError)):
            world.verifier.verify(ISSUER.token(iss=f"https://{name}", header={"kid": "unknown"}))

    assert world.fetches == before


def test_a_function_that_raises_leads_to_503_and_a_log_line(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Never to a 500. The text of the error is not shown, because it may hold anything."""

    def broken(_iss: str) -> None:
        raise ZeroDivisionError("secret")

    answer = client(app, broken).get("/", headers=bearer(ISSUER.token()))

    assert (answer.status_code, answer.json["code"]) == (503, "keys_unavailable")
    assert "builtins.ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


def test_a_wrong_slash_is_explained_for_verified_tenants(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The names of other tenants are not shown."""

    def resolve(iss: str) -> Issuer | None:
        return Issuer(iss, jwks=ISSUER.jwks()) if iss == ISSUER.issuer else None

    visitor = client(app, resolve)
    visitor.get("/", headers=bearer(ISSUER.token()))
    visitor.get("/", headers=bearer(ISSUER.token(iss=ISSUER.issuer + "/")))
    visitor.get("/", headers=bearer(ISSUER.token(iss="https://who.example")))

    assert "in its final slash only" in caplog.text
