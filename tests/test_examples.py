"""Every example runs under real gunicorn, with real HTTP and real signatures."""

import base64
import json
import socket
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from http.client import HTTPConnection
from http.client import HTTPException
from http.client import HTTPMessage
from pathlib import Path
from types import MappingProxyType
from typing import Any
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from conftest import bearer
from servers.running import ServerDied
from servers.running import gunicorn

from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent / "examples"
AUDIENCE = "https://api.example"


class Example(NamedTuple):
    """What gunicorn runs, how the framework words its own 404, what differs from the others."""

    app: str
    not_found: bytes
    settings: Mapping[str, str] = MappingProxyType({})
    head: int = 200
    #: The file's last part, and whether it has an /orders that needs the scope orders:read.
    kind: str = "py"
    scoped: bool = False


RUNS = {
    "flask_app": Example("flask_app:app", b"<title>404 Not Found</title>"),
    "django_app": Example("django_app:app", b"<title>Not Found</title>"),
    "pyramid_app": Example("pyramid_app:app", b"The resource could not be found."),
    "bottle_app": Example("bottle_app:app", b"<title>Error: 404 Not Found</title>"),
    # Falcon answers HEAD only where a resource has an on_head.
    "falcon_app": Example("falcon_app:app", b'{"title": "404 Not Found"}', head=405),
    "plain_app": Example("plain_app:app", b'{"error": "Not found"}'),
    "untouched_app": Example(
        "jwt_wsgi.wsgi:application",
        b"<title>404 Not Found</title>",
        {"JWT_WSGI_APP": "untouched_app:app", "JWT_WSGI_PUBLIC_PATHS": "/healthz"},
    ),
    "flask_authlib_app": Example(
        "flask_authlib_app:app", b"<title>404 Not Found</title>", scoped=True
    ),
    "django_rest_app": Example("django_rest_app:app", b"<title>Not Found</title>", scoped=True),
    "pyramid_policy_app": Example(
        "pyramid_policy_app:app", b"The resource could not be found.", scoped=True
    ),
    "paste": Example(
        "--paste=paste.ini", b"The resource could not be found.", kind="ini", scoped=True
    ),
}
SCOPED = [name for name, example in RUNS.items() if example.scoped]

#: Examples of another shape, and what runs them.
ELSEWHERE = {"mcp_app": "test_mcp.py"}


class Answer(NamedTuple):
    status: int
    headers: HTTPMessage
    body: bytes


class Running(NamedTuple):
    """One example behind its gunicorn."""

    example: Example
    url: str

    def ask(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        """GET without a proxy or a netrc of the developer's in between."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        try:
            connection.request("GET", path, headers={"Connection": "close"} | (headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def head(self, path: str, headers: dict[str, str] | None = None) -> tuple[str, bytes]:
        """HEAD, and every byte that comes back: HTTP clients never look for a body here."""
        where = urlsplit(self.url)
        told = {"Host": where.netloc, "Connection": "close"} | (headers or {})
        lines = [f"HEAD {path} HTTP/1.1", *(f"{name}: {v}" for name, v in told.items()), "", ""]
        with socket.create_connection((where.hostname, where.port), 10) as connection:
            connection.sendall("\r\n".join(lines).encode())
            start, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
        return start.decode(), body


@pytest.fixture(scope="module")
def served() -> Iterator[FakeIssuer]:
    """An issuer with an endpoint on loopback."""
    with FakeIssuer(algorithm="EdDSA", aud=AUDIENCE).serve() as issuer:
        yield issuer


@pytest.fixture(scope="module", params=RUNS)
def running(request: pytest.FixtureRequest, served: FakeIssuer) -> Iterator[Running]:
    """Each example under gunicorn, in turn."""
    example = RUNS[request.param]
    env = {"JWT_WSGI_ISSUER": served.issuer, "JWT_WSGI_AUDIENCE": AUDIENCE}
    with gunicorn(example.app, cwd=EXAMPLES, env={**env, **example.settings}) as url:
        yield Running(example, url)


def claims_of(token: str) -> dict[str, Any]:
    """What was signed, read without any code of ours."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_every_example_is_run_and_told_of() -> None:
    """A new file in examples/ needs its row here and its line in the README beside it."""
    readme = (EXAMPLES / "README.md").read_text()

    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    run = {f"{name}.{example.kind}" for name, example in RUNS.items()}
    assert files == run | {f"{name}.py" for name in ELSEWHERE}
    for name, test in ELSEWHERE.items():
        assert f"{name}:app" in readme
        assert f"{name}.py" in Path(__file__).with_name(test).read_text()
    for name, example in RUNS.items():
        assert f"{name}{':app' if example.kind == 'py' else '.ini'}" in readme
        assert example.app in readme
        assert all(f"{variable}={v}" in readme for variable, v in example.settings.items())


def test_a_good_token_is_granted_access_with_its_payload(
    running: Running, served: FakeIssuer
) -> None:
    """The protected route answers with exactly the claims that were signed."""
    token = served.token(sub="ada", roles=["a", "ä"], org={"id": 1, "none": [None, 1.5, True]})

    answer = running.ask("/protected", bearer(token))

    assert answer.status == 200, answer.body
    assert answer.headers.get_content_type() == "application/json"
    assert json.loads(answer.body) == {"message": "Access granted", "user": claims_of(token)}


BEARER = 'Bearer realm="api"'


@pytest.mark.parametrize(
    ("headers", "body", "challenge"),
    [
        pytest.param(lambda _: {}, '{"error": "No token provided"}', BEARER, id="no token"),
        pytest.param(
            lambda _: {"Authorization": "Basic x"},
            '{"error": "Invalid authorization header format"}',
            BEARER,
            id="another scheme",
        ),
        pytest.param(
            lambda issuer: bearer(issuer.token(exp=1)),
            '{"error": "Invalid token", "details": "The token has expired", '
            '"code": "token_expired"}',
            f'{BEARER}, error="invalid_token", error_description="The token has expired"',
            id="expired",
        ),
        pytest.param(
            lambda issuer: bearer(issuer.wrong_key()()),
            '{"error": "Invalid token", "details": "The signature of the token is invalid", '
            '"code": "signature_invalid"}',
            f'{BEARER}, error="invalid_token", '
            'error_description="The signature of the token is invalid"',
            id="forged",
        ),
    ],
)
def test_a_bad_request_is_refused_as_documented(
    running: Running,
    served: FakeIssuer,
    headers: Callable[[FakeIssuer], dict[str, str]],
    body: str,
    challenge: str,
) -> None:
    """401 with the documented body, byte for byte, and its one challenge."""
    answer = running.ask("/protected", headers(served))

    assert (answer.status, answer.body.decode()) == (401, body)
    assert answer.headers.get_all("WWW-Authenticate") == [challenge]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(body))
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_public_route_is_public(running: Running, served: FakeIssuer) -> None:
    """Without a token, and even with a bad one."""
    for headers in ({}, bearer(served.token(exp=1)), {"Authorization": "Basic x"}):
        answer = running.ask("/healthz", headers)
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "ok"})


def test_unknown_paths_need_a_token(running: Running, served: FakeIssuer) -> None:
    """Each path needs a token, so a 401 does not tell which paths exist. With one, it is a 404."""
    stranger = running.ask("/nowhere")
    known = running.ask("/nowhere", bearer(served.token()))

    assert (stranger.status, stranger.body) == (401, b'{"error": "No token provided"}')
    assert (known.status, known.headers["WWW-Authenticate"]) == (404, None)
    assert running.example.not_found in known.body


@pytest.mark.parametrize("running", SCOPED, indirect=True)
def test_a_scope_opens_its_route(running: Running, served: FakeIssuer) -> None:
    """With it 200; without it 403 and the challenge of RFC 6750, framework or not."""
    good = running.ask("/orders", bearer(served.token(sub="ada", scope="orders:read x")))
    poor = running.ask("/orders", bearer(served.token(scope="orders")))

    assert good.status == 200
    assert json.loads(good.body)["orders of"] in ("ada", f"{served.issuer}|ada")
    assert poor.status == 403
    challenge = (
        f'{BEARER}, error="insufficient_scope", '
        'error_description="The token does not permit this request", scope="orders:read"'
    )
    assert poor.headers.get_all("WWW-Authenticate") == [challenge]


def test_head_has_no_body(running: Running) -> None:
    """A refused HEAD has the length that GET would have, and not one byte of it on the wire.

    Newer gunicorns cut a body off by themselves; test_middleware.py holds that we send none.
    """
    start, body = running.head("/protected")

    assert start.startswith("HTTP/1.1 401 ")
    assert "Content-Length: 30" in start.splitlines()
    assert body == b""


def test_head_reaches_the_app_as_get_does(running: Running, served: FakeIssuer) -> None:
    """Where GET passes, the app's own answer to HEAD comes back."""
    wanted = f"HTTP/1.1 {running.example.head} "

    assert running.head("/healthz")[0].startswith(wanted)
    assert running.head("/protected", bearer(served.token()))[0].startswith(wanted)


# The others load their settings as these do; test_contrib_paste.py has the ini file.
@pytest.mark.parametrize("name", [*sorted(RUNS.keys() - set(SCOPED)), "django_rest_app"])
def test_a_wrong_setting_never_starts_serving(name: str) -> None:
    """gunicorn gives up, and its output names the setting."""
    example = RUNS[name]

    with (
        pytest.raises(ServerDied, match="JWT_WSGI_ISSUER: ''"),
        gunicorn(example.app, cwd=EXAMPLES, env={"JWT_WSGI_ISSUER": "", **example.settings}),
    ):
        pass


@pytest.mark.parametrize(
    ("env", "told"),
    [
        pytest.param({}, "set JWT_WSGI_ISSUER", id="none at all"),
        pytest.param(
            {"JWT_WSGI_ISSUER": "x", "JWT_WSGI_LEEWAY": "soon"}, "JWT_WSGI_LEEWAY: 'soon'"
        ),
        pytest.param({"JWT_WSGI_ISSUR": "https://x.example"}, "JWT_WSGI_ISSUR", id="near miss"),
    ],
)
def test_other_wrong_settings_are_named_too(env: dict[str, str], told: str) -> None:
    """What a person forgets or mistypes."""
    with pytest.raises(ServerDied, match=told), gunicorn("plain_app:app", cwd=EXAMPLES, env=env):
        pass


#: Answers with what the server made of its options; /end kills the server.
WITNESS = """
import json, os, signal, sys

imported_in = os.getpid()

def app(environ, start_response):
    if environ["PATH_INFO"] == "/end":
        os.kill(os.getppid(), signal.SIGKILL)
    patched = "gevent" in sys.modules and sys.modules["gevent.monkey"].is_module_patched("socket")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({
        "preloaded": imported_in == os.getppid(),
        "threads": environ["wsgi.multithread"],
        "workers": environ["wsgi.multiprocess"],
        "gevent": patched,
        "set": [name for name in os.environ if name.startswith("JWT_WSGI_")],
    }).encode()]
"""
USUAL = {
    "preloaded": False,
    "threads": False,
    "workers": True,
    "gevent": False,
    "set": ["JWT_WSGI_X"],
}


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        pytest.param({}, {}, id="sync"),
        pytest.param({"workers": 1}, {"workers": False}, id="one worker"),
        pytest.param({"preload": True}, {"preloaded": True}, id="preload"),
        # More than one thread makes gunicorn's sync workers gthread ones.
        pytest.param({"threads": 4}, {"threads": True}, id="threads"),
        pytest.param({"worker_class": "gthread"}, {"threads": True}, id="gthread"),
        pytest.param(
            {"worker_class": "gevent"}, {"gevent": True, "threads": True}, id="gevent"
        ),
    ],
)  # fmt: skip
def test_the_server_is_the_one_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], seen: dict[str, bool]
) -> None:
    """Tests of other kinds of servers stand on this; no setting of the developer's gets in."""
    monkeypatch.setenv("JWT_WSGI_OUTSIDE", "x")
    (tmp_path / "witness.py").write_text(WITNESS)

    with gunicorn("witness:app", cwd=tmp_path, env={"JWT_WSGI_X": "y"}, **options) as url:
        assert json.loads(Running(RUNS["plain_app"], url).ask("/").body) == USUAL | seen


def test_a_server_that_ends_too_early_fails_the_test(tmp_path: Path) -> None:
    """With its output, so that nobody has to guess."""
    (tmp_path / "witness.py").write_text(WITNESS)

    ended = []

    def end_it() -> None:
        with gunicorn("witness:app", cwd=tmp_path, env={}) as url:
            running = Running(RUNS["plain_app"], url)
            running.ask("/end")
            with pytest.raises((OSError, HTTPException)):  # refused, or cut off
                while True:
                    running.ask("/")
            ended.append(url)

    with pytest.raises(ServerDied, match="Booting worker"):
        end_it()
    assert ended


def test_a_failure_inside_comes_with_the_output(tmp_path: Path) -> None:
    """As a note, which pytest shows."""
    (tmp_path / "witness.py").write_text(WITNESS)

    def fail() -> None:
        with gunicorn("witness:app", cwd=tmp_path, env={}):
            raise AssertionError

    with pytest.raises(AssertionError) as caught:
        fail()
    assert "Booting worker" in caught.value.__notes__[0]
