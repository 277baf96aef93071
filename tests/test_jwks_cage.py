"""Whatever an issuer does, over real sockets: the keys that are held go on serving.

Each fault is met by a warm source, in all three ways a fetch can start, and is told in one line.
"""

import errno
import json
import logging
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fault_issuer import fault_server
from fault_issuer import says
from test_fetch import FAULTS
from test_fetch import PATIENCE
from test_fetch import TIMEOUT
from test_fetch import certificates
from test_fetch import get

from jwt_wsgi.errors import KeyNotKnownYetError
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.event_log import LogHook
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.key_sources.fetch import HTTPFetch
from jwt_wsgi.key_sources.remote import RemoteKeys
from jwt_wsgi.testing import FakeIssuer

ISSUER = FakeIssuer("https://issuer.example")
KNOWN = {"alg": "EdDSA", "kid": ISSUER.kid}
STRANGE = {"alg": "EdDSA", "kid": "strange"}
GOOD = says("200 OK", json.dumps(ISSUER.jwks()).encode())


def body(text: bytes, head: str = "200 OK") -> Any:
    return says(head, text)


def _deep(levels: int) -> bytes:
    return b'{"keys":' + b"[" * levels + b"]" * levels + b"}"


#: Bodies that come with 200 and are no JWKS, or a JWKS that must not be used.
DOCUMENTS = {
    "empty set": body(b'{"keys":[]}'),
    "no keys": body(b"{}"),
    "list": body(b"[]"),
    "null": body(b"null"),
    "string": body(b'"x"'),
    "number": body(b"5"),
    "page": body(b"<html>maintenance</html>", "200 OK\nContent-Type: text/html"),
    "empty": body(b""),
    "cut off": body(json.dumps(ISSUER.jwks()).encode()[:-20]),
    "two byte order marks": body(b"\xef\xbb\xbf" * 2 + json.dumps(ISSUER.jwks()).encode()),
    "UTF-16": body(json.dumps(ISSUER.jwks()).encode("utf-16")),
    "NaN": body(b'{"keys":[NaN]}'),
    "depth": body(_deep(100_000)),
    "digits": body(b'{"keys":[' + b"9" * 10_000 + b"]}"),
    "keys twice": body(b'{"keys":[],' + json.dumps(ISSUER.jwks()).encode()[1:]),
    "no objects": body(b'{"keys":[1,"x",null]}'),
    "shared secret": body(b'{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'),
    "for encryption": body(
        json.dumps({"keys": [{**ISSUER.jwks()["keys"][0], "use": "enc"}]}).encode()
    ),
    "unknown curve": body(b'{"keys":[{"kty":"EC","crv":"P-999","x":"AA","y":"AA"}]}'),
    "too many keys": body(json.dumps({"keys": [{"kty": "OKP"}] * 2000}).encode()),
}
#: An answer, and how long it is waited for: only what never ends is worth a short time.
TROUBLES = {
    name: (answer, TIMEOUT if kind == "timeout" else PATIENCE)
    for name, (answer, kind) in FAULTS.items()
} | {name: (answer, PATIENCE) for name, answer in DOCUMENTS.items()}


class Warm:
    """A source that has keys, whose clock stands still until it is set forward, and what it logs.

    ``timeout``: seconds of its next fetches; it may be set when the keys are there.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.ahead, self.url, self.timeout = 0.0, url, PATIENCE
        fetch = HTTPFetch(**options)
        policy = Policy(timeout=PATIENCE)
        self.keys = RemoteKeys(
            "https://issuer.example",
            jwks_uri=url,
            fetch=lambda url, **how: fetch(self.url, **how | {"timeout": self.timeout}),
            emit=LogHook(),
            policy=policy,
            clock=lambda: 1000.0 + self.ahead,
        )

    def warm_up(self) -> bool:
        return self.keys.warm_up(PATIENCE)

    def served(self) -> bool:
        """Whether a known kid finds its key, without waiting for a fetch."""
        waits = self.keys.stats().get("waits", 0)
        return any(True for _ in self.keys.candidates(KNOWN)) and (
            self.keys.stats().get("waits", 0) == waits
        )

    def settled(self) -> None:
        """Wait for the end of the fetch and of its thread, which reports it last."""
        until = time.monotonic() + PATIENCE
        while self.keys.health()["fetching"] and time.monotonic() < until:
            time.sleep(0.005)
        for thread in threading.enumerate():
            if thread.name == "jwt_wsgi.jwks" and not self.keys.health()["stuck"]:
                thread.join(PATIENCE)


#: A warm source, ports of servers that are no good, and how to set the environment.
Troubled = tuple[Warm, dict[str, int], Callable[[str, str], None]]


@pytest.fixture
def troubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Troubled]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    contexts = {}
    for name, days in {"tls": 1, "other": 1, "over": -1}.items():
        (tmp_path / name).mkdir()
        _, contexts[name] = certificates(tmp_path / name, days=days)
    trusted = tmp_path / "trusted.pem"
    trusted.write_text("".join((tmp_path / n / "ca.pem").read_text() for n in ("tls", "over")))
    with ExitStack() as stack:
        ports = {n: stack.enter_context(fault_server(GOOD, c)).port for n, c in contexts.items()}
        ports["bad"] = stack.enter_context(fault_server(says("502 Bad Gateway"))).port
        url = f"https://127.0.0.1:{ports['tls']}/jwks"
        yield Warm(url, verify=str(trusted), allow_http=True), ports, monkeypatch.setenv


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "timeout"), TROUBLES.values(), ids=TROUBLES)
def test_held_keys_survive(answer: Any, timeout: float, caplog: pytest.LogCaptureFixture) -> None:
    """Known kids are served before, during and after; the operator reads one line."""
    with fault_server(GOOD) as server:
        warm = Warm(server.url)
        assert warm.warm_up()
        held = warm.keys.health()["sha256"]
        server.answer, warm.timeout = answer, timeout
        caplog.clear()
        warm.ahead = 400.0  # due: the next known kid starts a refresh behind its back

        assert warm.served()
        assert warm.served()
        warm.settled()
        assert warm.served()
        with pytest.raises(KeysUnavailableError):
            list(warm.keys.candidates(STRANGE))

        health = warm.keys.health()
        assert (health["state"], health["fails"], health["sha256"]) == ("DEGRADED", 1, held)
        (told,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert re.fullmatch(
            r"keys of http://127\.0\.0\.1:\d+/jwks could not be fetched \(\w+: .*, after \d+ ms,"
            r" failure 1 in a row\); serving keys 400 s old, next attempt in [4-5] s",
            told,
        )
        server.answer, warm.timeout = GOOD, PATIENCE
        warm.ahead += 10
        assert warm.served()
        warm.settled()
        assert warm.keys.health()["state"] == "FRESH"


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "timeout"), TROUBLES.values(), ids=TROUBLES)
def test_an_unknown_kid_is_refused_in_time(answer: Any, timeout: float) -> None:
    """It cannot be known whether its key exists, and no request waits beyond the deadline."""
    with fault_server(GOOD) as server:
        warm = Warm(server.url)
        assert warm.warm_up()
        server.answer, warm.timeout = answer, timeout
        warm.ahead = 1.0
        with pytest.raises((KeysUnavailableError, KeyNotKnownYetError)):  # or it takes too long
            list(warm.keys.candidates(STRANGE))

        assert warm.served()


@pytest.mark.parametrize(
    ("url", "kind", "env"),
    [
        pytest.param("http://127.0.0.1:1/", "connect", {}, id="refused"),
        pytest.param("https://no-such-host.invalid/", "dns", {}, id="no such host"),
        pytest.param("https://127.0.0.1:{other}/", "tls", {}, id="certificate of another CA"),
        pytest.param("https://localhost:{tls}/", "tls", {}, id="certificate for another name"),
        pytest.param("https://127.0.0.1:{over}/", "tls", {}, id="certificate that is over"),
        pytest.param("https://127.0.0.1:{bad}/", "tls", {}, id="handshake cut"),
        pytest.param("http://i.test/", "http", {"HTTP_PROXY": "{bad}"}, id="proxy 502"),
        pytest.param("https://i.test/", "connect", {"HTTPS_PROXY": "{bad}"}, id="CONNECT 502"),
        pytest.param("https://i.test/", "connect", {"HTTPS_PROXY": "1"}, id="proxy down"),
    ],
)
def test_held_keys_survive_trouble_on_the_way(
    url: str, kind: str, env: dict[str, str], troubled: Troubled, caplog: pytest.LogCaptureFixture
) -> None:
    """The issuer is not even reached; the label in the one line is exact."""
    warm, ports, setenv = troubled
    assert warm.warm_up()
    caplog.clear()
    for name, port in env.items():
        setenv(name, f"http://ada:s3cret@127.0.0.1:{port.format(**ports)}")
    warm.ahead, warm.url = 400.0, url.format(**ports)

    assert warm.served()
    warm.settled()
    assert warm.served()
    assert warm.keys.health()["fails"] == 1
    (told,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert f"could not be fetched ({kind}: " in told
    assert "s3cret" not in told


def test_many_dead_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight addresses that never answer end at the deadline, not at eight times it."""
    with ExitStack() as stack:
        addresses = []
        for number in range(8):
            listener = stack.enter_context(socket.socket())
            listener.bind((f"127.0.0.{number + 2}", 0))
            listener.listen(0)
            for _ in range(3):  # its queue is full: what comes now is not answered
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                assert filler.connect_ex(listener.getsockname()) in (0, errno.EINPROGRESS)
            addresses.append(listener.getsockname())
        time.sleep(0.05)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        assert get("http://localhost:9/jwks", timeout=TIMEOUT).kind == "timeout"


def test_the_first_address_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of which one address is dead is no outage."""
    with fault_server(GOOD) as server, socket.socket() as closed:
        closed.bind(("127.0.0.9", 0))
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            for address in (closed.getsockname(), ("127.0.0.1", server.port))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        assert json.loads(get("http://localhost:9/jwks").body) == ISSUER.jwks()


def _child(code: str) -> str:
    """Run this in a process of its own, whose resolver or limits may be broken."""
    prelude = f"""
        import sys, time, threading, socket, resource
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_jwks_cage import *
    """
    program = textwrap.dedent(prelude) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_resolver_that_hangs() -> None:
    """The fetch is given up in the end; at most two threads hang, and the keys load again."""
    _child("""
        real, stalled, goes_on = socket.getaddrinfo, threading.Event(), threading.Event()
        def resolve(*args, **kwargs):
            if stalled.is_set():
                goes_on.wait()
            return real(*args, **kwargs)
        socket.getaddrinfo = resolve
        with fault_server(GOOD) as server:
            threads = threading.active_count()
            warm = Warm(server.url)
            assert warm.warm_up()
            stalled.set()
            warm.timeout = 0.3
            for _ in range(15):  # each is answered while the resolver hangs
                warm.ahead += 40
                try:
                    list(warm.keys.candidates(STRANGE))
                except (KeysUnavailableError, KeyNotKnownYetError):
                    pass
                assert warm.served()
                assert threading.active_count() - threads <= 3
            assert warm.keys.health()["stuck"] == 2, warm.keys.health()
            assert warm.keys.health()["last_error"].startswith("lost")
            stalled.clear()
            goes_on.set()
            until = time.monotonic() + PATIENCE  # the stuck ones come back late, all by themselves
            while warm.keys.health()["stuck"] and time.monotonic() < until:
                time.sleep(0.02)
            warm.ahead += 100
            assert list(warm.keys.candidates(KNOWN))  # it may wait: its keys are old by now
            warm.settled()
            health = warm.keys.health()
            assert (health["stuck"], health["fails"]) == (0, 0), health
            assert threading.active_count() <= threads + 1
    """)


@pytest.mark.slow
def test_no_file_descriptor_and_no_thread_left() -> None:
    """A process at its limits serves those whose keys it holds, and recovers."""
    _child("""
        start = threading.Thread.start
        def no_thread(self):
            if self.name == "jwt_wsgi.jwks":
                raise RuntimeError("can't start new thread")
            start(self)
        with fault_server(GOOD) as server:
            warm = Warm(server.url)
            assert warm.warm_up()
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
            warm.ahead = 400
            assert warm.served()
            warm.settled()
            assert warm.keys.health()["fails"] == 1
            assert warm.served()
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            warm.ahead += 10
            assert warm.served()
            warm.settled()
            assert warm.keys.health()["state"] == "FRESH"

            threading.Thread.start = no_thread
            warm.ahead += 400
            assert warm.served()  # by a refresh that this request ran itself
            assert warm.keys.health()["state"] == "FRESH"
            threading.Thread.start = start
    """)
