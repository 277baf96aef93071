"""A real Redis on loopback: shared by processes, killed, and one that accepts and never answers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError
from servers.redis_server import RedisServer
from servers.redis_server import redis_server
from servers.running import free_port
from servers.tcp_proxy import TCPProxy
from test_store import Clock
from werkzeug.test import Client

from jwt_wsgi.__main__ import main
from jwt_wsgi.errors import RevocationUnavailableError
from jwt_wsgi.revocation.redis import RedisStore
from jwt_wsgi.revocation.revocations import LIFETIME
from jwt_wsgi.revocation.revocations import MARGIN
from jwt_wsgi.revocation.revocations import MAX_LEEWAY
from jwt_wsgi.revocation.revocations import Entry
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.revocation.store import BREAKER_FAILURES
from jwt_wsgi.revocation.store import BREAKER_MAX_PAUSE
from jwt_wsgi.settings.revocation import store_of
from jwt_wsgi.testing import FakeIssuer

ATTEMPT = 0.25  # seconds: half of the time-out of RedisStore.from_url
NOT_ASKED = "the store failed a moment ago and is not used"
TIMED_OUT = "the store did not answer in time"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Iterator[RedisServer]:
    """The server, with nothing in it."""
    with Redis.from_url(server.url) as client:
        client.flushall()
    yield server
    while CLIENTS:
        CLIENTS.pop().close()


#: The clients that a test has made, which are closed at its end.
CLIENTS: list[Redis] = []


class Worker:
    """A process of a server, as far as Redis can tell: connections and a breaker of its own."""

    def __init__(self, redis: RedisServer | TCPProxy, **options: Any) -> None:
        self.elapsed, self.asked = Clock(), 0
        store: Any = store_of(f"redis://127.0.0.1:{redis.port}/0")
        CLIENTS.append(store._client)
        self._read, store.read_entries = store.read_entries, self._count
        self.revocations = Revocations(store, elapsed=self.elapsed, **options)

    def _count(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked += 1
        found: list[bytes | None] = self._read(keys)
        return found

    def ask(self, claims: dict[str, Any]) -> tuple[bool | None, str]:
        """True, False or None for unavailable; and why it is unavailable."""
        try:
            return self.revocations.is_revoked(claims), ""
        except RevocationUnavailableError as error:
            return None, error.detail

    def rest(self) -> None:
        self.elapsed.now += BREAKER_MAX_PAUSE


@pytest.fixture
def claims(issuer: FakeIssuer) -> dict[str, Any]:
    """Of a token that was verified."""
    middleware = issuer.protect(lambda environ, start_response: [])
    token = issuer.token(jti="token-1", sub="ada", sid="session-1", iat=time.time() - 1)
    return dict(middleware.verifier.verify(token))


# --- Shared ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "revoke",
    [
        pytest.param(lambda r, c: r.revoke_token(c["iss"], c["jti"], c["exp"]), id="jti"),
        pytest.param(lambda r, c: r.revoke_subject(c["iss"], c["sub"]), id="sub"),
        pytest.param(lambda r, c: r.revoke_session(c["iss"], c["sid"]), id="sid"),
    ],
)
def test_a_revocation_by_one_process_counts_in_all(
    redis: RedisServer, claims: dict[str, Any], revoke: Any
) -> None:
    """At once, without any other contact between them."""
    one, other = Worker(redis), Worker(redis)
    assert not one.ask(claims)[0]
    assert not other.ask(claims)[0]

    revoke(one.revocations, claims)

    assert one.ask(claims)[0]
    assert other.ask(claims)[0]
    newer = claims | {"jti": "token-2", "sid": "session-2", "iat": time.time() + MARGIN + 1}
    assert not other.ask(newer)[0]


def test_what_stands_in_redis(redis: RedisServer) -> None:
    """JSON, for as long as the entry says; and add is one command with its time."""
    entry = Revocations(store_of(redis.url)).revoke_session("https://i", "s", lifetime=100.5)
    with Redis.from_url(redis.url) as client:
        assert client.keys() == [entry.key.encode()]
        assert json.loads(client.get(entry.key) or b"") == {"v": 1} | entry.as_json()
        assert 95 < client.ttl(entry.key) <= 101


def test_the_methods_of_the_store(redis: RedisServer) -> None:
    """As the protocol says: bytes, None for what is not there, whole seconds, atomic add."""
    store = RedisStore.from_url(redis.url)
    binary = bytes(range(256))

    assert store.read_entries(["a"]) == [None]
    assert store.add_entry("a", binary, 0.5)
    assert not store.add_entry("a", b"other", 10)
    store.write_entry("b", b"", None)
    store.write_entry("c", b"3", 1.5)
    assert store.read_entries(["a", "b", "d"]) == [binary, b"", None]
    assert sorted(store.scan_entries("")) == ["a", "b", "c"]
    assert list(store.scan_entries("b")) == ["b"]
    with Redis.from_url(redis.url) as client:
        assert client.ttl("a") == 1
        assert client.ttl("b") == -1
        assert client.ttl("c") == 2


def test_of_many_that_add_at_once_one_wins(redis: RedisServer) -> None:
    """Each over a connection of its own."""
    store = RedisStore.from_url(redis.url)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.add_entry("a", b"%d" % n, 10), range(32)))

    assert won.count(True) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # from Python 3.12 on
def test_a_connection_serves_a_worker_and_not_its_parent(
    redis: RedisServer, claims: dict[str, Any]
) -> None:
    """gunicorn --preload: what was connected before the fork is not shared after it."""
    worker = Worker(redis)
    worker.ask(claims)
    with Redis.from_url(redis.url) as client:
        before = client.info("clients")["connected_clients"]
        child = os.fork()
        if not child:  # pragma: no cover
            signal.alarm(5)
            answers = [worker.ask(claims)[0] for _ in range(20)]
            now = client.info("clients")["connected_clients"]
            os._exit(0 if not any(answers) and None not in answers and now > before else 1)
        mine = [worker.ask(claims)[0] for _ in range(20)]
        assert os.waitpid(child, 0)[1] == 0
    assert mine == [False] * 20


@pytest.mark.parametrize(
    ("options", "why"),
    [({"decode_responses": True}, "bytes"), ({"socket_timeout": None}, "no socket_timeout")],
    ids=["text", "no time-out"],
)
def test_a_client_that_would_hang_or_decode_is_refused(options: Any, why: str) -> None:
    """At start, not in the first outage."""
    with pytest.raises(ValueError, match=why):
        RedisStore(Redis(**options))


def test_a_url_cannot_make_text_of_bytes(redis: RedisServer) -> None:
    """Nor have redis-py try more often than the store does."""
    store = RedisStore.from_url(redis.url + "?decode_responses=True&retry_on_timeout=yes")
    store.write_entry("a", b"1", None)

    assert store.read_entries(["a"]) == [b"1"]
    connection = store._client.connection_pool.make_connection()
    assert connection.retry._retries == 0  # redis-py 5 has no name for it
    assert (connection.socket_timeout, connection.socket_connect_timeout) == (ATTEMPT, ATTEMPT)
    assert connection.socket_keepalive
    assert connection.socket_keepalive_options[socket.TCP_KEEPIDLE] == 60


# --- In trouble --------------------------------------------------------------------------------


def test_redis_killed_and_started_again(redis: RedisServer, claims: dict[str, Any]) -> None:
    """503, or let pass by option; and all is well by itself when it is back."""
    closed, opened = Worker(redis), Worker(redis, fail_open=True)
    closed.revocations.revoke_token(claims["iss"], "token-1")
    assert closed.ask(claims)[0]
    assert opened.ask(claims)[0]

    redis.kill()
    try:
        assert [closed.ask(claims)[0] for _ in range(5)] == [None] * 5
        assert [opened.ask(claims)[0] for _ in range(5)] == [False] * 5
    finally:
        redis.start()
    assert closed.ask(claims) == (None, NOT_ASKED)
    closed.rest()
    opened.rest()
    assert closed.ask(claims)[0] is False  # without persistence Redis has forgotten
    closed.revocations.revoke_token(claims["iss"], "token-1")
    assert closed.ask(claims)[0]
    assert opened.ask(claims)[0]


def test_connections_that_redis_closed_are_no_failure(
    redis: RedisServer, claims: dict[str, Any]
) -> None:
    """It closes idle ones by its own `timeout`, and all of them when it restarts."""
    worker = Worker(redis)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(worker.ask, [claims] * 32))
    redis.kill()
    redis.start()

    assert [worker.ask(claims)[0] for _ in range(16)] == [False] * 16


@pytest.mark.slow
def test_a_redis_that_never_answers(redis: RedisServer, claims: dict[str, Any]) -> None:
    """Three requests wait for its time-out, then one after each pause."""
    warm, cold = Worker(redis), Worker(redis)
    warm.ask(claims)
    with redis.silent():
        for worker, waits in ((warm, BREAKER_FAILURES), (cold, BREAKER_FAILURES), (warm, 1)):
            worker.rest()
            asked = worker.asked
            answers = [worker.ask(claims) for _ in range(101)]

            assert answers == [(None, TIMED_OUT)] * waits + [(None, NOT_ASKED)] * (101 - waits)
            assert worker.asked == asked + waits
    warm.rest()
    assert warm.ask(claims)[0] is False


@pytest.mark.slow
def test_a_crowd_at_a_redis_that_never_answers(redis: RedisServer, claims: dict[str, Any]) -> None:
    """No request waits longer than the time-out; after the third failure one waits at a time."""
    worker = Worker(redis)
    worker.ask(claims)
    with redis.silent(), ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(worker.ask, [claims] * 64))
        answers += [worker.ask(claims) for _ in range(BREAKER_FAILURES)]
        worker.rest()
        before = worker.asked
        answers += pool.map(worker.ask, [claims] * 64)

    assert worker.asked == before + 1
    assert set(answers) == {(None, TIMED_OUT), (None, NOT_ASKED)}


# --- A network in trouble ----------------------------------------------------------------------


@pytest.fixture
def proxy(redis: RedisServer) -> Iterator[TCPProxy]:
    """What stands between the workers and Redis."""
    with TCPProxy(redis.port) as proxy:
        yield proxy


def through(proxy: TCPProxy) -> Worker:
    """A worker with eight connections through the proxy."""
    worker = Worker(proxy)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(worker.ask, [{"iss": "https://i", "jti": "a"}] * 32))
    return worker


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda proxy: proxy.lose_replies(1), id="one reply is lost"),
        pytest.param(lambda proxy: proxy.delay_reply(2 * ATTEMPT), id="one reply is late"),
        pytest.param(TCPProxy.forget, id="a firewall forgot the connections"),
        pytest.param(TCPProxy.reset, id="the connections are reset"),
    ],
)
def test_a_fault_of_the_network_refuses_no_request(
    proxy: TCPProxy, redis: RedisServer, claims: dict[str, Any], fault: Any
) -> None:
    """The second attempt goes over a new connection; and what is revoked stays so."""
    worker = through(proxy)
    Worker(redis).revocations.revoke_token(claims["iss"], "token-1")

    fault(proxy)

    good = claims | {"jti": "token-2"}
    assert [worker.ask(good) for _ in range(20)] == [(False, "")] * 20
    assert worker.ask(claims)[0] is True


class FailsOnce:
    """A client, and its pool, whose first command gets no answer."""

    def __init__(self) -> None:
        self.connection_pool, self.connection_kwargs = self, {"socket_timeout": ATTEMPT}
        self.calls: list[str] = []

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        self.calls.append("mget")
        if len(self.calls) == 1:
            raise RedisTimeoutError
        return [None for _ in keys]

    def disconnect(self, *, inuse_connections: bool) -> None:
        self.calls.append("disconnect all" if inuse_connections else "disconnect idle")


def test_before_the_second_attempt_idle_connections_are_closed() -> None:
    """Another thread may take the one that was found out; the other idle ones are as old."""
    client = FailsOnce()

    assert RedisStore(client).read_entries(["a"]) == [None]
    assert client.calls == ["mget", "disconnect idle", "mget"]


def test_what_is_revoked_over_a_forgotten_connection_is_kept(
    proxy: TCPProxy, redis: RedisServer, claims: dict[str, Any]
) -> None:
    """Writing, too, is tried once more."""
    worker = through(proxy)
    proxy.forget()

    worker.revocations.revoke_token(claims["iss"], "token-1")

    assert Worker(redis).ask(claims)[0] is True


def test_a_new_primary_behind_the_same_address_refuses_nobody(
    proxy: TCPProxy, redis: RedisServer, claims: dict[str, Any], tmp_path: Path
) -> None:
    """The old one is gone without a word; the address leads to another one."""
    worker = through(proxy)
    with redis_server(tmp_path) as other:
        Worker(other).revocations.revoke_token(claims["iss"], "token-1")
        proxy.target = other.port
        proxy.forget()

        assert worker.ask(claims)[0] is True
        assert worker.ask(claims | {"jti": "token-2"}) == (False, "")


# --- The command -------------------------------------------------------------------------------


def test_the_command_revokes_and_lists(
    redis: RedisServer, claims: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """What it adds is refused by every worker, and told."""
    worker = Worker(redis)
    revoke = ["revoke", "--store", redis.url]
    who = ["--iss", claims["iss"]]

    assert main([*revoke, "list"]) == 0
    assert main([*revoke, "token", *who, "--jti", "token-1", "--for", "1h"]) == 0
    assert worker.ask(claims)[0]
    newer = claims | {"jti": "token-2"}
    assert not worker.ask(newer)[0]
    assert main([*revoke, "session", *who, "--sid", "session-1"]) == 0
    assert worker.ask(newer)[0]
    newer |= {"sid": "session-2"}
    assert not worker.ask(newer)[0]
    assert main([*revoke, "subject", *who, "--sub", "ada", "--not-before", "now"]) == 0
    assert worker.ask(newer)[0]
    assert not worker.ask(newer | {"iat": time.time() + MARGIN + 1})[0]
    assert main([*revoke, "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "nothing is revoked"
    assert lines[1].startswith("revoked: token 'token-1' of 'https://issuer.example', until 2")
    assert lines[2].startswith("revoked: session 'session-1' of 'https://issuer.example', until 2")
    assert "subject 'ada' of 'https://issuer.example', tokens issued before 2" in lines[3]
    assert lines[3].endswith(" (by the clock of the store, and 5 s more)")
    assert sorted(lines[4:]) == sorted(
        line.removeprefix("revoked: ").partition(" (by ")[0] for line in lines[1:4]
    )


@pytest.mark.parametrize("wrong", [-40, 3600], ids=["behind", "ahead"])
def test_a_host_whose_clock_is_wrong_revokes_what_there_is_now(
    redis: RedisServer, claims: dict[str, Any], wrong: float
) -> None:
    """By the clock of Redis: tokens until now, no later ones, and for as long as it should be."""
    host = Revocations(store_of(redis.url), clock=lambda: time.time() + wrong)
    worker = Worker(redis)

    entry = host.revoke_subject(claims["iss"], "ada")

    assert worker.ask(claims | {"iat": time.time() - 20})[0] is True
    assert worker.ask(claims | {"iat": time.time() + MARGIN + 1})[0] is False
    token = host.revoke_token(claims["iss"], "token-9", time.time() + 600)
    with Redis.from_url(redis.url) as client:
        assert abs(client.ttl(entry.key) - LIFETIME - MARGIN) < 60
        assert abs(client.ttl(token.key) - 600 - MAX_LEEWAY) < 60


def test_the_command_says_whose_clock_it_was(
    redis: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """For machines, too; a time of the caller's own is of no clock."""
    command = ["revoke", "--store", redis.url, "--json", "subject", "--iss", "https://i"]

    assert main([*command, "--sub", "a"]) == 0
    assert main([*command, "--sub", "b", "--not-before", "1800000000"]) == 0
    now, then = map(json.loads, capsys.readouterr().out.splitlines())
    assert now["clock"] == "store"
    assert abs(now["not_before"] - time.time() - MARGIN) < 60
    assert "clock" not in then


def test_the_command_for_machines(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON, the store from the environment, times of every form."""
    monkeypatch.setenv("JWT_WSGI_REVOCATION", redis.url)
    who = ["--iss", "https://i"]
    token = [*who, "--jti", "a", "--expires", "4000000000"]
    subject = [*who, "--sub", "b", "--not-before", "2026-01-31T12:00:00Z", "--for=7d"]

    assert main(["revoke", "token", *token, "--json"]) == 0
    assert main(["revoke", "--json", "subject", *subject]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"kind": "token", "iss": "https://i", "jti": "a", "expires": 4000000300}
    assert second["not_before"] == 1769860800
    assert abs(second["expires"] - time.time() - 7 * 86400) < 60
    assert main(["revoke", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [second, first]


def test_what_is_undone_is_good_again(redis: RedisServer, claims: dict[str, Any]) -> None:
    """For every worker, and only that entry."""
    worker, host = Worker(redis), Revocations(store_of(redis.url))
    host.revoke_token(claims["iss"], claims["jti"])
    host.revoke_session(claims["iss"], "another")
    assert worker.ask(claims)[0] is True

    assert host.undo("token", claims["iss"], claims["jti"])
    assert not host.undo("token", claims["iss"], claims["jti"])
    assert worker.ask(claims)[0] is False
    assert [entry.name for entry in host.entries() if entry] == ["another"]


def test_the_command_says_what_cannot_be_read(
    redis: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such an entry refuses its token with 503: exit code 1 sends somebody to look."""
    store = RedisStore.from_url(redis.url)
    store.write_entry(Entry("token", "https://i", "a", 0).key, b"?", 100)

    assert main(["revoke", "--store", redis.url, "list"]) == 1
    said = capsys.readouterr()
    assert said.out == "nothing is revoked\n"
    assert said.err == "jwt-wsgi revoke: 1 entries cannot be read\n"


def test_the_command_without_its_redis(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, one line, and never the URL: a password may stand in it."""
    url = f"redis://:hunter2@127.0.0.1:{free_port()}/0"

    assert main(["revoke", "--store", url, "session", "--iss", "https://i", "--sid", "a"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("jwt-wsgi revoke: the store failed: ")
    assert said.err.count("\n") == 1
    assert "hunter2" not in said.err


@pytest.mark.slow
def test_the_line_of_the_documentation(redis: RedisServer) -> None:
    """It revokes what it says, where a middleware with this store sees it."""
    page = (Path(__file__).parent.parent / "docs/how-to/revocation.md").read_text()
    (line,) = re.findall(r"^jwt-wsgi (revoke .*)$", page, re.MULTILINE)

    words = line.replace("redis://127.0.0.1:6379/0", redis.url).split()
    done = subprocess.run(
        [sys.executable, "-m", "jwt_wsgi", *words],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    issuer = FakeIssuer("https://login.example.com/")
    protected = Client(issuer.protect(EchoApp(), revocation=redis.url))
    ada, bob = (bearer(issuer.token(sub=name, iat=int(time.time()) - 5)) for name in ("ada", "bob"))
    assert protected.get("/", headers=ada).json == {
        "error": "Invalid token",
        "details": "The token has been revoked",
        "code": "token_revoked",
    }
    assert protected.get("/", headers=bob).status_code == 200
