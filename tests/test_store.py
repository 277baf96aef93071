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
from cachelib.serializers import BaseSerializer
from cachelib.serializers import JSONSerializer
from cachelib.serializers import RedisSerializer
from django.core.cache.backends.locmem import LocMemCache
from redis import Redis

from jwt_wsgi.revocation.redis import RedisStore
from jwt_wsgi.revocation.store import REST
from jwt_wsgi.revocation.store import Breaker
from jwt_wsgi.revocation.store import MemoryStore
from jwt_wsgi.revocation.store import StoreError
from jwt_wsgi.revocation.store import check_store
from jwt_wsgi.revocation.store import store_of


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class PassThrough:
    """What cachelib needs so that bytes stay what they are."""

    dumps = loads = staticmethod(lambda value: value)


def with_serializer(cache: Any, serializer: Any) -> Any:
    cache.serializer = serializer
    return cache


# --- In one process ----------------------------------------------------------------------------


def test_a_value_is_there_until_its_time_is_over() -> None:
    """Seconds, by the clock that was given; None is for ever."""
    clock = Clock()
    store = MemoryStore(clock=clock)
    store.set("a", b"1", 10)
    store.set("b", b"2", None)

    clock.now += 9.9
    assert (store.get("a"), store.get("b"), store.get("c")) == (b"1", b"2", None)
    clock.now += 0.1
    assert (store.get("a"), store.get("b")) == (None, b"2")


def test_add_puts_only_what_is_not_there() -> None:
    """And what has expired is not there."""
    clock = Clock()
    store = MemoryStore(clock=clock)

    assert store.add("a", b"1", 10)
    assert not store.add("a", b"2", 10)
    assert store.get("a") == b"1"
    clock.now += 10
    assert store.add("a", b"2", 10)
    assert store.get("a") == b"2"


def test_of_many_that_add_at_once_one_wins() -> None:
    """However the threads are scheduled."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(50):
                store = MemoryStore()
                won = list(pool.map(lambda n, s=store: s.add("a", b"%d" % n, 10), range(8)))
                assert won.count(True) == 1
                assert store.get("a") == b"%d" % won.index(True)
    finally:
        sys.setswitchinterval(interval)


def test_a_full_store_says_so_and_forgets_nothing() -> None:
    """To forget an entry would be to let a revoked token in again."""
    clock = Clock()
    store = MemoryStore(2, clock=clock)
    store.set("a", b"1", 10)
    store.set("b", b"2", 20)

    with pytest.raises(StoreError, match="full, with 2 entries"):
        store.set("c", b"3", 10)
    store.set("a", b"4", 10)  # in place of another there is room
    assert (store.get("a"), store.get("b")) == (b"4", b"2")


def test_what_has_expired_makes_room() -> None:
    """So memory is bounded by what is alive."""
    clock = Clock()
    store = MemoryStore(2, clock=clock)
    for number in range(100):
        clock.now += 6
        store.set(f"{number}", b"", 10)

    assert len(store._entries) <= 2
    assert store.get("99") == b""


def test_the_keys_are_found_by_what_they_begin_with() -> None:
    """For those who list."""
    store = MemoryStore()
    for key in ("a:1", "a:2", "b:1"):
        store.set(key, b"", None)

    assert sorted(store.scan("a:")) == ["a:1", "a:2"]


FORK = """
import os, signal, threading
from jwt_wsgi.revocation.store import Breaker, MemoryStore

store, breaker = MemoryStore(), Breaker(lambda: 0.0)
breaker.failed()
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
    store.set("a", b"1", 10)
    os._exit(0 if store.get("a") == b"1" and breaker.wait() and not breaker.failed() else 1)
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


def test_after_a_failure_the_store_rests_and_then_one_may_ask() -> None:
    """The others go on waiting for what that one finds."""
    clock = Clock()
    breaker = Breaker(clock)
    assert (breaker.wait(), breaker.answered()) == (0, None)

    assert breaker.failed()
    assert breaker.wait() == REST
    clock.now += REST - 1
    assert breaker.wait() == 1
    clock.now += 1
    assert breaker.wait() == 0  # this one asks
    assert breaker.wait() == REST
    assert not breaker.failed()  # it was in trouble before
    clock.now += REST
    assert breaker.wait() == 0
    assert breaker.answered() == 2 * REST
    assert (breaker.wait(), breaker.answered()) == (0, None)


def test_one_who_never_comes_back_is_replaced() -> None:
    """A worker's thread may be killed while it asks."""
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed()
    clock.now += REST
    assert breaker.wait() == 0

    clock.now += REST
    assert breaker.wait() == 0


# --- What may be a store -----------------------------------------------------------------------


class Inherits(BaseSerializer):
    """Passes strings of bytes through, but what it reads from a file it unpickles."""

    dumps = loads = staticmethod(lambda value: value)


class ReadsPickles:
    """Writes bytes as they are, and unpickles what begins with an exclamation mark."""

    dumps = staticmethod(lambda value: value)
    loads = RedisSerializer().loads


class WritesPickles:
    """Does not read its own values, but another may."""

    dumps = RedisSerializer().dumps
    loads = staticmethod(lambda value: value)


class Raises:
    """Cannot say."""


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(lambda _: object(), "it has no get, set, add", id="object"),
        pytest.param(lambda _: {}, "it has no set, add", id="dict"),
        pytest.param(lambda _: Redis(), "RedisStore(client)", id="redis-py"),
        pytest.param(lambda _: SimpleCache(), "serializer", id="cachelib SimpleCache"),
        pytest.param(lambda _: RedisCache(object()), "serializer", id="cachelib RedisCache"),
        pytest.param(lambda p: FileSystemCache(str(p)), "serializer", id="cachelib files"),
        pytest.param(lambda _: MemcachedCache(object()), "unpickles", id="cachelib memcached"),
        pytest.param(
            lambda _: with_serializer(RedisCache(object()), ReadsPickles()),
            "serializer",
            id="writes plainly, unpickles",
        ),
        pytest.param(
            lambda _: with_serializer(RedisCache(object()), WritesPickles()),
            "serializer",
            id="pickles, reads plainly",
        ),
        pytest.param(
            lambda _: with_serializer(RedisCache(object()), Raises()), "serializer", id="neither"
        ),
        pytest.param(
            lambda p: with_serializer(FileSystemCache(str(p)), Inherits()),
            "serializer",
            id="unpickles files",
        ),
        pytest.param(
            lambda _: with_serializer(RedisCache(object()), JSONSerializer()),
            "serializer",
            id="JSON, which has no bytes",
        ),
        pytest.param(lambda _: LocMemCache("x", {}), "unpickles", id="Django"),
    ],
)
def test_what_is_refused_as_a_store(make: Any, why: str, tmp_path: Path) -> None:
    """What lacks a method, and what runs code for who can write to it."""
    store = make(tmp_path)

    assert why in (check_store(store) or "")
    with pytest.raises(ValueError, match="it"):
        store_of(store)


@pytest.mark.parametrize(
    "store",
    [
        MemoryStore(),
        RedisStore.from_url("redis://127.0.0.1:1"),
        with_serializer(SimpleCache(), PassThrough()),
        with_serializer(RedisCache(object()), PassThrough()),
    ],
    ids=lambda store: type(store).__name__,
)
def test_what_is_taken_as_a_store(store: Any) -> None:
    """Ours, and cachelib's with a serializer that passes bytes through."""
    assert check_store(store) is None
    assert store_of(store) is store


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
        ("redis://:hun/ter2@redis.example", "no URL that redis-py takes"),
        ("redis://redis.example?sockettimeout=hunter2", "no URL that redis-py takes"),
        ("redis://redis.example?socket_timeout=hunter2", "no URL that redis-py takes"),
        ("redis://:hunter2@redis.example?socket_timeout=0", "no URL that redis-py takes"),
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

    with pytest.raises(ValueError, match=r"pip install 'jwt-wsgi\[redis\]'"):
        store_of("redis://127.0.0.1")
