"""`current_payload()`: right in threads, greenlets, streams and nests; never of another request."""

import io
import json
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextvars import copy_context
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.handlers import BaseHandler
from wsgiref.util import FileWrapper

import gevent
import pytest
from conftest import bearer
from servers.running import free_port
from servers.running import gunicorn
from servers.running import running
from werkzeug.test import EnvironBuilder

from jwt_wsgi import JWTMiddleware
from jwt_wsgi import current_payload
from jwt_wsgi.testing import FakeIssuer


def sub() -> Any:
    return (current_payload() or {}).get("sub")


def ask(app: Any, issuer: FakeIssuer, sub: str = "ada", **environ: Any) -> Iterable[bytes]:
    """What ``app`` returns, not yet iterated over."""
    request = EnvironBuilder(headers=bearer(issuer.token(sub=sub))).get_environ()
    answer: Iterable[bytes] = app(request | environ, lambda *_: lambda _data: None)
    return answer


class Stream:
    """Three chunks and a close(), which say whose payload is the current one."""

    def __init__(self) -> None:
        self.closed: list[Any] = []

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(3):
            yield str(sub()).encode()

    def close(self) -> None:
        self.closed.append(sub())


def test_current_payload_is_the_payload_of_the_request(issuer: FakeIssuer) -> None:
    """The same object that stands in the environ; None before and after."""
    seen: list[Any] = []

    def app(environ: Any, _start: Any) -> list[bytes]:
        seen.extend((current_payload(), environ["jwt_wsgi.payload"]))
        return []

    assert current_payload() is None
    ask(issuer.protect(app), issuer)
    assert seen[0] is seen[1]
    assert seen[0]["sub"] == "ada"
    assert current_payload() is None


def test_current_payload_is_none_after_the_app_has_failed(issuer: FakeIssuer) -> None:
    """The next request of this thread may not come through the middleware."""

    def app(_environ: Any, _start: Any) -> list[bytes]:
        raise KeyError(sub())

    with pytest.raises(KeyError, match="ada"):
        ask(issuer.protect(app), issuer)
    assert current_payload() is None


@pytest.mark.parametrize("kind", ["generator function", "generator", "object"])
def test_a_stream_sees_it_in_each_chunk(issuer: FakeIssuer, kind: str) -> None:
    """And code that runs between two chunks does not."""

    def generator_function(_environ: Any, _start: Any) -> Iterator[bytes]:
        yield from Stream()

    app = {
        "generator function": generator_function,
        "generator": lambda _e, _s: (chunk for chunk in Stream()),
        "object": lambda _e, _s: Stream(),
    }[kind]
    between = [(chunk, current_payload()) for chunk in ask(issuer.protect(app), issuer)]

    assert between == [(b"ada", None)] * 3


def test_close_arrives_and_sees_it(issuer: FakeIssuer) -> None:
    """Also where not one chunk was asked for; afterwards nothing sees it."""
    stream = Stream()
    answer: Any = ask(issuer.protect(lambda _e, _s: stream), issuer)

    answer.close()

    assert stream.closed == ["ada"]
    assert current_payload() is None


def test_a_close_that_fails_ends_the_request_too(issuer: FakeIssuer) -> None:
    """Its error is the server's; a context of the request's is empty from here on."""
    contexts = []

    class Failing(Stream):
        def close(self) -> None:
            contexts.append(copy_context())
            raise KeyError

    answer: Any = ask(issuer.protect(lambda _e, _s: Failing()), issuer)

    with pytest.raises(KeyError):
        answer.close()
    assert contexts[0].run(current_payload) is None
    assert current_payload() is None


def test_streams_that_take_turns_see_their_own(issuer: FakeIssuer) -> None:
    """A server may have several requests open in one thread."""
    app = issuer.protect(lambda _e, _s: Stream())
    answers = [ask(app, issuer, name) for name in ("ada", "bob", "eve")]

    assert list(zip(*answers, strict=True)) == [(b"ada", b"bob", b"eve")] * 3


def test_nested_middlewares_see_their_own(issuer: FakeIssuer) -> None:
    """The inner one hides the outer one's, even with nobody; then the outer one's is back."""
    inner_issuer = FakeIssuer("https://inner.example")
    seen = []
    named = inner_issuer.protect(lambda _e, _s: Stream())
    public = inner_issuer.protect(lambda _e, _s: Stream(), public_paths=["/*"])

    def outer(environ: Any, start_response: Any) -> Iterator[bytes]:
        for app in (named, public):
            token = bearer(inner_issuer.token(sub="inner"))["Authorization"]
            answer: Any = app(environ | {"HTTP_AUTHORIZATION": token}, start_response)
            seen.append(list(answer))
            answer.close()
        yield str(sub()).encode()

    assert list(ask(issuer.protect(outer), issuer)) == [b"ada"]
    assert seen == [[b"inner"] * 3, [b"None"] * 3]


@pytest.mark.parametrize("ready", [list, tuple, iter], ids=["list", "tuple", "lazy"])
def test_a_task_that_outlives_its_request_sees_none(
    issuer: FakeIssuer, ready: Callable[[list[bytes]], Iterable[bytes]]
) -> None:
    """Pools that are started in a request inherit its context, and then work for everybody."""
    contexts = []

    def app(_environ: Any, _start: Any) -> Iterable[bytes]:
        contexts.append(copy_context())
        assert contexts[0].run(sub) == "ada"
        return ready([b"x"])

    answer = ask(issuer.protect(app), issuer)
    if hasattr(answer, "close"):
        answer.close()

    assert contexts[0].run(current_payload) is None


def in_threads(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_greenlets(work: list[Callable[[], None]]) -> None:
    gevent.joinall([gevent.spawn(job) for job in work], raise_error=True)


@pytest.mark.parametrize(
    ("run", "pause"),
    [
        pytest.param(in_threads, threading.Barrier(4, timeout=10).wait, id="threads"),
        pytest.param(in_greenlets, lambda: gevent.sleep(0), id="gevent"),
    ],
)
def test_requests_at_once_see_their_own(
    issuer: FakeIssuer, run: Callable[[list[Any]], None], pause: Callable[[], Any]
) -> None:
    """In the app and in every chunk, with all the others at the same place."""
    told: dict[str, list[bytes]] = {}

    def app(_environ: Any, _start: Any) -> Iterator[bytes]:
        for _ in range(3):
            pause()
            yield str(sub()).encode()

    guarded = issuer.protect(app)

    def request(name: str) -> None:
        told[name] = [*ask(guarded, issuer, name), str(current_payload()).encode()]

    names = ["ada", "bob", "eve", "joe"]
    run([lambda name=name: request(name) for name in names])  # type: ignore[misc]

    assert told == {name: [name.encode()] * 3 + [b"None"] for name in names}


@pytest.mark.parametrize(
    ("answer", "wrapper"),
    [
        pytest.param([b"x"], FileWrapper, id="list"),
        pytest.param((b"x",), None, id="tuple"),
        pytest.param(FileWrapper(io.BytesIO(b"x")), FileWrapper, id="of the server's class"),
        pytest.param(io.BytesIO(b"x"), lambda file: file, id="the file, as uWSGI"),
    ],
)
def test_an_answer_that_is_ready_is_returned_itself(
    issuer: FakeIssuer, answer: Any, wrapper: Any
) -> None:
    """Servers look at its type: length, sendfile."""
    environ = {"wsgi.file_wrapper": wrapper}

    assert ask(issuer.protect(lambda _e, _s: answer), issuer, **environ) is answer


def test_wsgiref_knows_a_file_through_the_middleware(issuer: FakeIssuer) -> None:
    """Its handlers send a file in their own way only if `result_is_file`."""

    class Handler(BaseHandler):
        wsgi_multithread = wsgi_multiprocess = wsgi_run_once = False
        files: list[bool] = []  # noqa: RUF012

        def add_cgi_vars(self) -> None:
            request = EnvironBuilder(headers=bearer(issuer.token())).get_environ()
            self.environ |= {name: v for name, v in request.items() if name[:4] != "wsgi"}

        def finish_response(self) -> None:
            self.files.append(self.result_is_file())
            self.close()

        def get_stderr(self) -> Any:
            return sys.stderr

        def get_stdin(self) -> Any:
            return io.BytesIO()

    def app(environ: Any, _start: Any) -> Any:
        return environ["wsgi.file_wrapper"](io.BytesIO(b"x"))

    Handler().run(issuer.protect(app))

    assert Handler.files == [True]


#: A file that says something else when it is read than what its descriptor has.
FILES = """
import io, os, json
from jwt_wsgi import JWTMiddleware

class Liar(io.FileIO):
    def read(self, size=-1):
        return b"read" if super().read(1) else b""

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](Liar("plain.txt"))

app = JWTMiddleware(app, issuer="https://issuer.example", jwks=os.environ["KEYS"])
"""
UWSGI = (
    "uwsgi", "--need-app", "--master", "--die-on-term", "--disable-logging",
    "--http-socket", "127.0.0.1:{port}", "--module", "files:app",
)  # fmt: skip
WAITRESS = ("waitress-serve", "--listen=127.0.0.1:{port}", "files:app")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "sendfile"),
    [
        pytest.param((), True, id="gunicorn"),
        pytest.param(UWSGI, True, id="uWSGI"),
        # It reads the file, whose length it can say beforehand.
        pytest.param(WAITRESS, False, id="waitress"),
    ],
)
def test_servers_send_files_as_without_us(
    tmp_path: Path, issuer: FakeIssuer, command: tuple[str, ...], *, sendfile: bool
) -> None:
    """The kernel sends it from its descriptor, or the server knows its length."""
    (tmp_path / "plain.txt").write_bytes(b"from the descriptor")
    (tmp_path / "files.py").write_text(FILES)
    env = {"KEYS": json.dumps(issuer.jwks()), "PYTHONPATH": ":".join(filter(None, sys.path))}
    port = free_port()
    program = [part.format(port=port) for part in command]
    if program:
        program[0] = str(Path(sys.executable).parent / program[0])
        if not Path(program[0]).exists():
            pytest.skip("pip install -e '.[servers]', as CONTRIBUTING.md says")
        server = running(program, port, cwd=tmp_path, env=env)
    else:
        server = gunicorn("files:app", cwd=tmp_path, env=env, workers=1)
    with server as url:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request("GET", "/", headers=bearer(issuer.token()) | {"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()

    if sendfile:
        assert body == b"from the descriptor"
    else:
        assert (answer.headers["Content-Length"], body[:4]) == ("19", b"read")


def test_a_middleware_without_a_payload_says_none(issuer: FakeIssuer) -> None:
    """On public paths, and for nobody where a token is optional."""
    app = JWTMiddleware(
        lambda _e, _s: Stream(), issuer=issuer.issuer, jwks=issuer.jwks(), public_paths="/*"
    )

    assert list(ask(app, issuer)) == [b"None"] * 3
