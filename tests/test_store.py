"""What is shared goes through a store: bytes only, bounded, expiring, and never a pickle."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cachelib import FileSystemCache
from cachelib import MemcachedCache
from cachelib import RedisCache
from cachelib import SimpleCache
from django.core.cache.backends.locmem import LocMemCache
from redis import Redis

from jwt_wsgi.revocation.redis import RedisStore
from jwt_wsgi.revocation.store import BREAKER_FAILURES
from jwt_wsgi.revocation.store import BREAKER_MAX_PAUSE
from jwt_wsgi.revocation.store import BREAKER_PAUSE
from jwt_wsgi.revocation.store import Breaker
from jwt_wsgi.revocation.store import StoreError
from jwt_wsgi.settings.revocation import Revocation
from jwt_wsgi.settings.revocation import read_revocation
from jwt_wsgi.settings.revocation import store_of
from jwt_wsgi.testing import MemoryStore


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def read(store: Any, key: str) -> bytes | None:
    (value,) = store.read_entries([key])
    return value


# --- In one process ----------------------------------------------------------------------------


def test_a_value_is_there_until_its_time_is_over() -> None:
    """Seconds, by the clock that was given; None is for ever."""
    clock = Clock()
    store = MemoryStore(clock=clock)
    store.write_entry("a", b"1", 10)
    store.write_entry("b", b"2", None)

    clock.now += 9.9
    assert (read(store, "a"), read(store, "b"), read(store, "c")) == (b"1", b"2", None)
    clock.now += 0.1
    assert (read(store, "a"), read(store, "b")) == (None, b"2")


def test_add_puts_only_what_is_not_there() -> None:
    """And what has expired is not there."""
    clock = Clock()
    store = MemoryStore(clock=clock)

    assert store.add_entry("a", b"1", 10)
    assert not store.add_entry("a", b"2", 10)
    assert read(store, "a") == b"1"
    clock.now += 10
    assert store.add_entry("a", b"2", 10)
    assert read(store, "a") == b"2"


def test_of_many_that_add_at_once_one_wins() -> None:
    """However the threads are scheduled."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(50):
                store = MemoryStore()
                won = list(pool.map(lambda n, s=store: s.add_entry("a", b"%d" % n, 10), range(8)))
                assert won.count(True) == 1
                assert read(store, "a") == b"%d" % won.index(True)
    finally:
        sys.setswitchinterval(interval)


def test_a_full_store_raises_and_forgets_nothing() -> None:
    """If it forgot an entry, a revoked token would be accepted again."""
    clock = Clock()
    store = MemoryStore(2, clock=clock)
    store.write_entry("a", b"1", 10)
    store.write_entry("b", b"2", 20)

    with pytest.raises(StoreError, match="full, with 2 entries"):
        store.write_entry("c", b"3", 10)
    store.write_entry("a", b"4", 10)  # in place of another there is room
    assert (read(store, "a"), read(store, "b")) == (b"4", b"2")


def test_expired_entries_make_room() -> None:
    """So memory is bounded by the entries that are valid."""
    clock = Clock()
    store = MemoryStore(2, clock=clock)
    for number in range(100):
        clock.now += 6
        store.write_entry(f"{number}", b"", 10)

    assert len(store._entries) <= 2
    assert read(store, "99") == b""


def test_the_keys_are_found_by_what_they_begin_with() -> None:
    """For those who list."""
    store = MemoryStore()
    for key in ("a:1", "a:2", "b:1"):
        store.write_entry(key, b"", None)

    assert sorted(store.scan_entries("a:")) == ["a:1", "a:2"]


FORK = """
import os, signal, threading
from jwt_wsgi.revocation.store import Breaker
from jwt_wsgi.testing import MemoryStore

store, breaker = MemoryStore(), Breaker(lambda: 0.0)
for _ in range(3):
    breaker.failed(0.0)
held, go = threading.Event(), threading.Event()

def hold():
    with store._lock(), breaker._lock():
        held.set()
        go.wait(10)

threading.Thread(target=hold).start()
held.wait(10)
child = os.fork()
if not child:
    signal.alarm(2)  # a hang is a death, not a wait
    store.write_entry("a", b"1", 10)
    kept = store.read_entries("a") == [b"1"]
    os._exit(0 if kept and breaker.wait() and not breaker.failed(0.0) else 1)
status = os.waitpid(child, 0)[1]
go.set()
raise SystemExit(status)
"""


@pytest.mark.slow
def test_a_fork_leaves_no_lock_behind() -> None:
    """Another thread holds it in the moment of the fork; the child has its own."""
    # In a process of its own: from Python 3.12 on, to fork beside threads is a warning.
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert (done.returncode, done.stderr) == (0, "")


# --- The breaker -------------------------------------------------------------------------------


def opened(clock: Clock) -> Breaker:
    """A breaker that has seen three failures in a row, one a second, and is open."""
    breaker = Breaker(clock)
    for _ in range(BREAKER_FAILURES):
        clock.now += 1
        breaker.failed(breaker.now())
    return breaker


def test_the_third_failure_in_a_row_opens_the_breaker() -> None:
    """Until then the store is asked: one lost reply, or two, stop nothing."""
    clock = Clock()
    breaker = Breaker(clock)
    assert (breaker.wait(), breaker.answered()) == (0, None)

    assert [breaker.failed(breaker.now()) for _ in range(2)] == [True, False]
    assert breaker.wait() == 0
    assert not breaker.failed(breaker.now())
    assert breaker.wait() == BREAKER_PAUSE


def test_an_answer_between_failures_starts_the_count_again() -> None:
    """In a row: a reply lost each hour never adds up to three."""
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(10):
        clock.now += 3600
        assert breaker.failed(breaker.now())
        clock.now += 1
        assert breaker.wait() == 0
        assert breaker.answered() == 1
        assert breaker.answered() is None


def test_attempts_that_one_fault_breaks_together_are_one_failure() -> None:
    """Sixteen threads had begun before the first of them failed."""
    clock = Clock()
    breaker = Breaker(clock)
    began = [breaker.now() for _ in range(16)]

    firsts = []
    for moment in began:
        clock.now += 0.01
        firsts.append(breaker.failed(moment))
    assert firsts == [True] + [False] * 15
    assert breaker.wait() == 0


def test_the_pause_doubles_up_to_two_seconds() -> None:
    """After each pause one caller asks; its failure makes the next pause longer."""
    clock = Clock()
    breaker = opened(clock)
    pauses = []
    for _ in range(6):
        pauses.append(breaker.wait())
        clock.now += pauses[-1]
        assert breaker.wait() == 0  # this one asks
        assert breaker.wait() > 0  # nobody else
        breaker.failed(breaker.now())

    assert pauses == [0.25, 0.5, 1, 2, 2, 2]
    assert pauses[0] == BREAKER_PAUSE
    assert pauses[-1] == BREAKER_MAX_PAUSE


def test_an_answer_closes_the_breaker_and_says_how_long_it_was() -> None:
    """From the first failure on; and the next trouble begins with the short pause again."""
    clock = Clock()
    breaker = opened(clock)
    clock.now += BREAKER_PAUSE
    assert breaker.wait() == 0

    assert breaker.answered() == BREAKER_FAILURES - 1 + BREAKER_PAUSE
    assert (breaker.wait(), breaker.answered()) == (0, None)
    for _ in range(BREAKER_FAILURES):
        breaker.failed(breaker.now())
    assert breaker.wait() == BREAKER_PAUSE


def test_a_caller_that_never_comes_back_is_replaced() -> None:
    """A worker's thread may be killed while it asks."""
    clock = Clock()
    breaker = opened(clock)
    clock.now += BREAKER_PAUSE
    assert breaker.wait() == 0

    assert breaker.wait() == BREAKER_MAX_PAUSE
    clock.now += BREAKER_MAX_PAUSE
    assert breaker.wait() == 0


# --- What may be a store -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda _: object(), id="object"),
        pytest.param(lambda _: RedisStore, id="a class, not an object"),
        pytest.param(lambda _: Redis(), id="redis-py"),
        pytest.param(lambda _: SimpleCache(), id="cachelib SimpleCache"),
        pytest.param(lambda _: RedisCache(object()), id="cachelib RedisCache"),
        pytest.param(lambda p: FileSystemCache(str(p)), id="cachelib files"),
        pytest.param(lambda _: MemcachedCache(object()), id="cachelib memcached"),
        pytest.param(lambda _: LocMemCache("x", {}), id="Django"),
    ],
)
def test_what_another_library_has_is_never_a_store(make: Any, tmp_path: Path) -> None:
    """Caches may unpickle what they read: who can write to one could run code in every worker."""
    with pytest.raises(ValueError, match="read_entries, write_entry, add_entry"):
        store_of(make(tmp_path))


@pytest.mark.parametrize(
    "store", [MemoryStore(), RedisStore.from_url("redis://127.0.0.1:1")], ids=["memory", "Redis"]
)
def test_what_is_taken_as_a_store(store: Any) -> None:
    """Whatever has the three methods."""
    assert store_of(store) is store
    assert read_revocation(store) == Revocation(store)


def is_even(claims: Any) -> bool:
    return bool(claims["n"] % 2 == 0)


def test_what_the_option_may_be() -> None:
    """A URL, a store, a function, or a mapping of them; as text a URL or JSON."""
    store = MemoryStore()
    url = "redis://127.0.0.1:1"

    assert read_revocation(store) == (store, None, False, None)
    assert read_revocation(is_even) == (None, is_even, False, None)
    both = {"store": store, "function": is_even, "fail_open": True}
    assert read_revocation(both) == (store, is_even, True, None)
    for text in (f'{{"store": "{url}", "fail_open": true}}', {"store": url, "fail_open": "yes"}):
        found = read_revocation(text)
        assert isinstance(found.store, RedisStore)
        assert found.fail_open


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({}, "it needs a store or a function"),
        ({"fail_open": True}, "it needs a store or a function"),
        ({"store": "redis://x", "failopen": True}, "did you mean fail_open"),
        ({"store": "redis://x", "fail_open": "perhaps"}, "1/true/yes/on"),
        ('{"function": "shop:revoked"}', "give a function"),
        ('{"store": ', "looks like JSON"),
        (5, "or a function"),
    ],
)
def test_what_the_option_may_not_be(value: Any, why: str) -> None:
    """With the remedy."""
    with pytest.raises(ValueError, match=why):
        read_revocation(value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@127.0.0.1:6379/0",
        "rediss://user:hunter2@redis.example",
        "unix:///run/redis.sock?db=1",
        "redis://127.0.0.1?socket_timeout=0.1",
    ],
)
def test_a_url_is_a_redis_and_nothing_connects(url: str) -> None:
    """redis://, rediss:// and unix://."""
    assert isinstance(store_of(url), RedisStore)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://:hunter2@redis.example", "begins with redis://"),
        ("hunter2", "begins with redis://"),
        ("", "begins with redis://"),
        ("redis://:hun/ter2@redis.example", "not a URL that redis-py takes"),
        ("redis://redis.example?sockettimeout=hunter2", "not a URL that redis-py takes"),
        ("redis://redis.example?socket_timeout=hunter2", "not a URL that redis-py takes"),
        ("redis://:hunter2@redis.example?socket_timeout=0", "not a URL that redis-py takes"),
    ],
)
def test_a_wrong_url_is_refused_without_being_told(url: str, why: str) -> None:
    """A password may stand in it, also where it does not belong."""
    with pytest.raises(ValueError, match="redis") as caught:
        store_of(url)

    assert why in str(caught.value)
    assert "hun" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_redis_py_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, and imported for a URL only."""
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "jwt_wsgi.revocation.redis")

    with pytest.raises(ValueError, match=r"pip install redis"):
        store_of("redis://127.0.0.1")
