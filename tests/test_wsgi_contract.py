"""PEP 3333: the middleware mounted twice between two validators, under a prefix."""

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from conftest import bearer
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import FakeIssuer


class Stream:
    """An iterable like a generator's, which remembers what was done to it."""

    def __init__(self) -> None:
        self.given, self.closed = 0, 0

    def __iter__(self) -> Iterator[bytes]:
        for number in range(3):
            self.given += 1
            yield b"%d" % number

    def close(self) -> None:
        self.closed += 1


def twice(app: Any, issuer: FakeIssuer) -> Any:
    """Validator, middleware, middleware, validator, app: all under /api."""
    options: dict[str, Any] = {
        "issuer": issuer.issuer,
        "jwks": issuer.jwks(),
        "public_paths": "/open",
    }
    inner = JWTMiddleware(validator(app), **options)
    stack = validator(JWTMiddleware(inner, **options))
    return DispatcherMiddleware(validator(lambda _e, _s: [b""]), {"/api": stack})


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    environ["wsgi.input"].read(4)
    return [str((environ["jwt_wsgi.payload"] or {}).get("sub")).encode()]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/x", "/api/open", "/api"])
@pytest.mark.parametrize("kind", ["good", "bad", "none"])
def test_both_validators_find_no_mistake(
    issuer: FakeIssuer, method: str, path: str, kind: str
) -> None:
    """Every method, public or not, with and without a token: both sides keep to PEP 3333."""
    headers = {"good": bearer(issuer.token(sub="ada")), "bad": bearer("x.y.z"), "none": {}}[kind]
    visitor = Client(twice(hello, issuer))

    answer = visitor.open(path, method=method, headers=headers, data=b"body", buffered=True)

    open_to_all = path == "/api/open" or kind == "good"
    assert answer.status_code == (200 if open_to_all else 401)


def test_nothing_is_asked_of_the_apps_iterable(issuer: FakeIssuer) -> None:
    """No buffer, and no chunk before the server asks; test_current.py has the rest."""
    stream = Stream()

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream

    middleware = JWTMiddleware(app, issuer=issuer.issuer, jwks=issuer.jwks())
    environ = EnvironBuilder(headers=bearer(issuer.token())).get_environ()
    answer: Any = middleware(environ, lambda *_: lambda _data: None)

    assert (stream.given, stream.closed) == (0, 0)
    assert next(iter(answer)) == b"0"
    assert (stream.given, stream.closed) == (1, 0)
    answer.close()
    assert (stream.given, stream.closed) == (1, 1)


def test_a_stream_stays_a_stream_and_is_closed(issuer: FakeIssuer) -> None:
    """Chunk by chunk through both instances, and close() arrives once."""
    stream = Stream()

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream

    environ = EnvironBuilder(path="/api/x", headers=bearer(issuer.token())).get_environ()
    chunks, _, _ = run_wsgi_app(
        DispatcherMiddleware(
            app, {"/api": JWTMiddleware(app, issuer=issuer.issuer, jwks=issuer.jwks())}
        ),
        environ,
    )

    assert b"".join(chunks) == b"012"
    chunks.close()  # type: ignore[attr-defined]
    assert stream.closed == 1


def test_a_refused_body_is_not_read(issuer: FakeIssuer) -> None:
    """wsgi.input belongs to the app; we never touch it."""

    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    middleware = JWTMiddleware(hello, issuer=issuer.issuer, jwks=issuer.jwks())
    environ = EnvironBuilder(method="POST").get_environ() | {"wsgi.input": Untouchable()}

    assert middleware(environ, lambda *_: lambda _data: None) == [b'{"error": "No token provided"}']


def test_headers_of_an_answer_are_its_own(issuer: FakeIssuer) -> None:
    """A server may change the list it was given; the next answer must not see that."""
    middleware = JWTMiddleware(hello, issuer=issuer.issuer, jwks=issuer.jwks())
    seen: list[list[tuple[str, str]]] = []
    for _ in range(2):
        environ = EnvironBuilder().get_environ()
        middleware(environ, lambda _status, headers, *_: seen.append(headers) or print)  # type: ignore[func-returns-value]
        seen[0].append(("X-Added", "by the server"))

    assert ("X-Added", "by the server") not in seen[1]
