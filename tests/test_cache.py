"""Verified tokens that are remembered: never longer, for anybody else, or shared."""

import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import InvalidTokenError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import jose
from jwt_wsgi.assembly import trusted
from jwt_wsgi.cache import BYTES_PER_TOKEN
from jwt_wsgi.cache import CachingVerifier
from jwt_wsgi.cache import _Entry
from jwt_wsgi.claims import check_age
from jwt_wsgi.claims import check_times
from jwt_wsgi.claims import lifetime
from jwt_wsgi.keys import KeySet
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.verifier import Verifier


class World:
    """A caching verifier whose clock and keys can be set, and that counts signatures."""

    def __init__(self, size: int = 8, **options: Any) -> None:
        self.issuer = FakeIssuer("https://issuer.example")
        self.now = time.time()
        self.signatures = 0
        self.revoked: list[str] = []
        self.source = Source(KeySet.of(self.issuer.jwks()))
        settings = Settings.of(issuer=self.issuer.issuer, jwks=self.issuer.jwks(), **options)
        (own,) = settings.terms
        self.trusted = trusted(own, lambda _: None)
        object.__setattr__(self.trusted, "keys", self.source)
        self.issuers = {self.issuer.issuer: self.trusted}
        bare = Verifier(
            self.issuers,
            clock=lambda: self.now,
            revoked=lambda claims: claims["sub"] in self.revoked,
            on_verified=self.count,
        )
        self.verifier = CachingVerifier(bare, size)

    def count(self, _: object) -> None:
        self.signatures += 1

    def verify(self, token: str) -> Any:
        """The claims, or the code of the refusal."""
        try:
            return self.verifier.verify(token)
        except InvalidTokenError as error:
            return error.code

    @property
    def remembered(self) -> int:
        return len(self.verifier._young) + len(self.verifier._old)


class Source:
    """A key source whose set is replaced as a whole."""

    def __init__(self, keyset: KeySet) -> None:
        self.keyset = keyset

    def current(self) -> KeySet:
        return self.keyset

    def candidates(self, header: Any) -> tuple[jose.Key, ...]:
        return self.keyset.candidates(header)

    candidates_are_current = candidates


def test_a_token_is_verified_once() -> None:
    """Every use gets the same claims and header, as objects of its own."""
    world = World()
    token = world.issuer.token(aud=None, roles=["a"], address={"city": "x"})

    first, second, third = (world.verify(token) for _ in range(3))

    assert world.signatures == 1
    assert first == second == third
    assert first.header == third.header == {"alg": "EdDSA", "typ": "JWT", "kid": "key-1"}


@pytest.mark.parametrize(
    "claims",
    [
        {"roles": ["a", "b"], "address": {"city": "x"}},
        {"deep": {"list": [1, {"a": [2]}]}, "matrix": [[1], [2]]},
        {},
    ],
    ids=["shallow", "deep", "flat"],
)
def test_changes_of_the_app_to_claims_stay_in_its_request(claims: dict[str, Any]) -> None:
    """No later request with this token sees them, not even those in nested lists."""
    world = World()
    token = world.issuer.token(**claims)

    def spoil(value: Any) -> None:
        for member in list(value.values()) if isinstance(value, dict) else value:
            if isinstance(member, dict | list):
                spoil(member)
        value.clear()

    good = dict(world.verify(token))
    good = json.loads(json.dumps(good))
    for _ in range(4):
        mine = world.verify(token)
        assert mine == good
        assert mine.header["kid"] == "key-1"
        spoil(mine)
        spoil(mine.header)
    assert world.signatures == 1


@pytest.mark.parametrize(
    "claim",
    [
        ["a"],
        {"name": "a"},
        [["a"]],
        [{"name": "a"}],
        {"roles": ["a"]},
        {"city": {"name": "a"}},
        {"api": {"roles": ["a"]}, "name": "a"},
        [[["a"]]],
    ],
    ids=json.dumps,
)
def test_a_nested_claim_is_the_apps_own_whatever_its_shape(claim: Any) -> None:
    """What one request changes in it, however deep, no later request with that token sees."""

    def spoil(value: Any) -> None:
        for member in list(value.values()) if isinstance(value, dict) else value:
            if isinstance(member, dict | list):
                spoil(member)
        value.clear()

    world = World()
    token = world.issuer.token(nested=claim)
    for _ in range(4):
        mine = world.verify(token)["nested"]
        assert mine == claim
        spoil(mine)
    assert world.signatures == 1


def test_a_remembered_token_ends_when_it_expires() -> None:
    """To the second that the check of exp has, leeway included."""
    world = World()
    token = world.issuer.token(exp=int(world.now) + 100)
    assert world.verify(token)["sub"]

    world.now = int(world.now) + 129.999
    assert world.verify(token)["sub"]
    world.now += 0.001
    assert world.verify(token) == "token_expired"


def test_nbf_is_checked_at_every_use() -> None:
    """The clock may have been set back since the first use."""
    world = World()
    token = world.issuer.token(nbf=int(world.now), exp=int(world.now) + 1000)
    assert world.verify(token)["sub"]

    world.now -= 60
    assert world.verify(token) == "token_not_yet_valid"


def test_a_remembered_token_ends_with_max_token_age() -> None:
    """Whatever exp says."""
    world = World(max_token_age=60)
    token = world.issuer.token(iat=int(world.now), exp=int(world.now) + 1000)
    assert world.verify(token)["sub"]

    world.now += 91
    assert world.verify(token) == "token_too_old"


def test_a_remembered_token_ends_with_its_key() -> None:
    """If the key is in the new set as well, the token is still accepted."""
    world = World()
    token = world.issuer.token()
    assert world.verify(token)["sub"]

    world.issuer.rotate()
    world.source.keyset = KeySet.of(world.issuer.jwks())
    assert world.verify(token)["sub"]
    assert world.signatures == 2

    world.issuer.rotate(keep=False)
    world.source.keyset = KeySet.of(world.issuer.jwks())
    assert world.verifier._verifier.heads
    assert world.verify(token) == "key_not_found"
    assert not world.verifier._verifier.heads


def test_a_token_whose_key_goes_during_its_verification_is_not_remembered() -> None:
    """The key set that is current after the check of the signature counts."""
    world = World()
    token = world.issuer.token()
    world.issuer.rotate(keep=False)
    other = KeySet.of(world.issuer.jwks())
    world.verifier._verifier._on_verified = lambda _: setattr(world.source, "keyset", other)

    assert world.verify(token)["sub"]
    assert world.remembered == 0


def test_a_remembered_token_ends_when_it_is_revoked() -> None:
    """Revocation is asked at every use."""
    world = World()
    token = world.issuer.token(sub="ada")
    assert world.verify(token)["sub"] == "ada"

    world.revoked.append("ada")
    assert world.verify(token) == "token_revoked"
    world.revoked.clear()
    assert world.verify(token)["sub"] == "ada"
    assert world.signatures == 1


def test_own_checks_are_called_at_every_use() -> None:
    """Their result may change."""
    answers = [True, True, False, True]
    world = World(checks=[lambda claims, now: answers.pop(0)])
    token = world.issuer.token()

    assert [isinstance(world.verify(token), dict) for _ in range(4)] == [True, True, False, True]
    assert world.signatures == 1


def test_a_remembered_token_ends_when_its_issuer_is_no_longer_trusted() -> None:
    """A function that names issuers may return None later."""
    world = World()
    token = world.issuer.token()
    assert world.verify(token)["sub"]

    world.issuers.clear()
    assert world.verify(token) == "issuer_not_trusted"


def test_refused_tokens_are_not_remembered() -> None:
    """Only verified tokens take memory."""
    world = World()
    good = world.issuer.token()
    for number in range(50):
        world.verify(world.issuer.wrong_key()(n=number))
        world.verify(world.issuer.token(n=number, exp=1))
        world.verify(good[: -number - 2] + "A" * (number + 1))

    assert world.remembered == 0
    assert len(world.verifier._verifier.heads) == 0
    assert world.verify(good)["sub"]
    assert world.remembered == 1


def test_a_changed_token_is_not_taken_for_a_remembered_one() -> None:
    """A token that differs in one character, or has more of them, is verified itself."""
    world = World()
    token = world.issuer.token()
    assert world.verify(token)["sub"]

    for position in range(len(token)):
        changed = (
            token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        )
        assert isinstance(world.verify(changed), str)
    assert isinstance(world.verify(token + "A"), str)
    assert isinstance(world.verify(token[:-1]), str)
    assert isinstance(world.verify("\ud800" + token), str)


def test_a_token_that_is_too_long_is_not_even_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound of a token's size bounds this work, too; HTTP is not the only way in."""
    world = World()
    monkeypatch.setattr("jwt_wsgi.cache.sha256", None)

    assert world.verify("x" * 16385) == "token_malformed"


def test_memory_is_bounded_in_tokens() -> None:
    """What is used survives what comes once; the rest is forgotten."""
    world = World(size=8)
    hot = world.issuer.token(sub="hot")
    for number in range(100):
        world.verify(world.issuer.token(n=number))
        world.verify(hot)
        assert world.remembered <= 9

    assert world.signatures == 101


def test_memory_is_bounded_in_bytes() -> None:
    """A few large tokens take the place of many small ones."""
    world = World(size=1000)
    kept = []
    for number in range(450):
        world.verify(world.issuer.token(n=number, filling="x" * 9000))
        entries = [*world.verifier._young.values(), *world.verifier._old.values()]
        kept.append(sum(len(entry.payload) for entry in entries))

    assert 0.4 * 1000 * BYTES_PER_TOKEN < max(kept) <= 1000 * BYTES_PER_TOKEN


#: Claims of some 4 kB each that take much more memory than their JSON, or differ in each token.
SHAPES: dict[str, Callable[[int], dict[str, Any]]] = {
    "short strings": lambda n: {"x": [f"{n}.{i}" for i in range(500)]},
    "the same strings": lambda n: {"x": [str(i) for i in range(600)]},
    "one string many times": lambda n: {"x": ["ab"] * 800},
    "numbers": lambda n: {"x": list(range(1000, 1700))},
    "fractions": lambda n: {"x": [i + 0.5 for i in range(600)]},
    "empty lists": lambda n: {f"{n}.{i}": [] for i in range(300)},
    "short lists": lambda n: {f"{n}.{i}": [i] for i in range(300)},
    "short objects": lambda n: {f"{n}.{i}": {"a": i} for i in range(250)},
    "many claims": lambda n: {f"{n}.{i}": i for i in range(300)},
    "a large object": lambda n: {"x": {f"{n}.{i}": i for i in range(300)}},
    "deep": lambda n: {"x": [[[i]] for i in range(500)]},
    "one letter of four bytes": lambda n: {"x": "x" * 4000 + "\U0001f600"},
    "strings with it": lambda n: {"x": [f"\U0001f600{n}.{i}" for i in range(200)]},
    "strings of Latin-1": lambda n: {"x": [f"\xe9{n}.{i}" for i in range(300)]},
    "ordinary": lambda n: {"scope": "read write", "roles": ["a", "b"], "email": f"{n}@x.example"},
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_memory_is_bounded_by_what_is_really_kept(
    shape: Callable[[int], dict[str, Any]],
) -> None:
    """Lists and strings take many times the memory of their JSON, as soon as they are built."""
    size, held = 96, []
    world = World(size=size)
    tokens = [world.issuer.token(jti=str(n), **shape(n)) for n in range(size + 24)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for token in tokens:
            for _ in range(2):  # the second use builds the claims
                assert world.verify(token)["jti"]
            held.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()

    assert max(held) <= 1.25 * size * BYTES_PER_TOKEN, max(held) // size


def test_memory_of_headers_is_bounded() -> None:
    """A token whose header has many members is verified each time."""
    world = World()
    for members, times in ((13, 1), (14, 2)):  # beside alg, kid and typ
        token = world.issuer.token(header={f"h{n}": n for n in range(members)})
        world.signatures = 0
        assert world.verify(token) == world.verify(token)
        assert world.signatures == times


def test_ordinary_tokens_reach_the_bound_of_number_first() -> None:
    """The bound of bytes is for large tokens."""
    world = World(size=64)
    for n in range(64):
        mint = {"jti": f"8c1f7a52-35fb-4a7e-9d0f-{n:012d}", "scope": "openid profile read:orders"}
        mint |= {"client_id": "0oa2hl2inow5Uqc6c357", "email": "somebody@example.com"}
        token = world.issuer.token(roles=["customer", "manager"], groups=["a", "b"], **mint)
        world.verify(token)
        world.verify(token)

    assert world.remembered == 64


def test_a_token_used_once_takes_less_memory_than_its_text() -> None:
    """P14: its claims are built when it comes again."""
    world = World()
    world.verify(token := world.issuer.token(filling="x" * 600))
    (entry,) = world.verifier._young.values()

    assert entry.claims is None
    size = sys.getsizeof(entry) + sys.getsizeof(entry.payload) + sys.getsizeof(b"x" * 32)
    assert size + 2 * sys.getsizeof(1.0) < 0.95 * len(token)


def test_texts_that_tokens_have_in_common_are_kept_once() -> None:
    """Names, audience, roles; and not for longer than the tokens that have them."""
    world = World(size=8)
    roles = ["customer", "manager"]
    tokens = [world.issuer.token(jti=f"{n}", client="c" * 20, roles=roles) for n in range(2)]
    first, second = ([world.verify(token) for _ in range(2)][1] for token in tokens)

    assert first["client"] is second["client"]
    assert first["roles"] == roles
    assert first["roles"] is not second["roles"]
    assert first["roles"][0] is second["roles"][0]

    for number in range(100):
        for _ in range(2):
            world.verify(world.issuer.token(jti=f"x{number}"))
        assert len(world.verifier._texts) <= 4 * len(first)


def test_a_nested_header_is_not_shared() -> None:
    """An x5c chain is a list; such tokens are verified each time."""
    world = World()
    token = world.issuer.token(header={"x5c": ["abc"]})

    first = world.verify(token)
    first.header["x5c"].clear()

    assert world.verify(token).header["x5c"] == ["abc"]
    assert world.remembered == 0


def test_a_key_source_without_sets_is_asked_each_time() -> None:
    """An own KeySource need not know of sets."""
    world = World()
    token = world.issuer.token()
    keyset = world.source.keyset

    class Own:
        def candidates(self, header: Any) -> tuple[jose.Key, ...]:
            return keyset.candidates(header)

    object.__setattr__(world.trusted, "keys", Own())
    assert world.verify(token)["sub"]
    assert world.verify(token)["sub"]
    assert world.signatures == 2


@pytest.mark.parametrize("max_age", [None, 100.0])
def test_the_lifetime_is_what_the_checks_say(max_age: float | None) -> None:
    """The two ways to write it down agree at every second around the edges."""
    claims = {"nbf": 1000, "iat": 1010, "exp": 1200}
    checks = [check_times(30.0), *([check_age(max_age, 30.0)] if max_age else [])]
    starts, ends = lifetime(claims, leeway=30.0, max_age=max_age)
    for now in range(900, 1300):
        try:
            for check in checks:
                check(claims, float(now))
            passes = True
        except InvalidTokenError:
            passes = False
        # The age includes its last second; there the slow path decides.
        assert passes == (starts <= now < ends) or now == ends


def test_rules_are_applied_to_remembered_tokens(app: EchoApp) -> None:
    """The claims from memory must satisfy the rule of the path."""
    issuer = FakeIssuer("https://issuer.example")
    rules = [{"path": "/admin", "scopes": "admin"}]
    visitor = Client(JWTMiddleware(app, issuer=issuer.issuer, jwks=issuer.jwks(), rules=rules))
    token = bearer(issuer.token(scope="read"))

    assert [visitor.get(path, headers=token).status_code for path in ("/", "/admin", "/")] == [
        200, 403, 200,
    ]  # fmt: skip


def test_two_threads_may_build_the_claims_at_once() -> None:
    """The second finds the payload gone right after it saw that there are no claims yet."""

    class Late(_Entry):
        asked, built = False, None

        @property
        def claims(self) -> Any:
            if not self.asked:
                self.asked = True
                self.own_claims({})  # the other thread, from beginning to end
                return None
            return self.built

        @claims.setter
        def claims(self, value: Any) -> None:
            self.built = value

    world = World()
    issuer, _, token = world.verifier._verifier.authenticate(world.issuer.token(sub="ada"))

    assert Late(token, issuer, KeySet([])).own_claims({})["sub"] == "ada"
