"""The official MCP client, with nothing but a URL, gets past us (RFC 9728, and all it leads to)."""

import base64
import json
import os
import runpy
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs
from urllib.parse import urlsplit

import anyio
import httpx2
import mcp
import pytest
from conftest import EchoApp
from conftest import bearer
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult
from mcp.shared.auth import OAuthClientMetadata
from servers.authorization_server import USER
from servers.authorization_server import make_app
from werkzeug.serving import WSGIRequestHandler
from werkzeug.serving import make_server
from werkzeug.test import Client

from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi.testing import FakeIssuer

pytest.importorskip("a2wsgi")  # the example needs it

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

EXAMPLE = Path(__file__).parent.parent / "examples" / "mcp_app.py"
REDIRECT = "http://127.0.0.1:1/callback"  # nobody is there: the code is read from the Location
SECONDS = 20.0
REVISION = "2026-07-28"
META = {"protocolVersion": REVISION, "clientCapabilities": {}}
META["clientInfo"] = {"name": "a test", "version": "1"}
MCP_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": REVISION,
    "Mcp-Method": "tools/call",
    "Mcp-Name": "greet",
}


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def served(make: Callable[[str], "WSGIApplication"]) -> Iterator[str]:
    """What ``make`` makes of its own base URL, on a real socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        server = make_server(
            "127.0.0.1",
            port,
            make(url),
            threaded=True,
            request_handler=Quiet,
            fd=listener.fileno(),
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class Storage:
    """Where the client keeps what it was given: the SDK's ``TokenStorage``."""

    tokens: Any = None
    client_info: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client_info

    async def set_client_info(self, client_info: Any) -> None:
        self.client_info = client_info


class Browser:
    """The user's browser: follows the authorization URL, and hands over where it is sent."""

    def __init__(self) -> None:
        self.visited: list[dict[str, list[str]]] = []
        self._answer: dict[str, list[str]] = {}

    async def visit(self, url: str) -> None:
        self.visited.append(parse_qs(urlsplit(url).query))
        async with httpx2.AsyncClient(trust_env=False) as client:
            response = await client.get(url)
        assert response.status_code == 302, response.text
        self._answer = parse_qs(urlsplit(response.headers["Location"]).query)

    async def callback(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=self._answer["code"][0], state=self._answer["state"][0])


class Talk:
    """One MCP client with its own memory, and every request and answer of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.browser, self.storage = Browser(), Storage()
        self.seen: list[tuple[str, str, int]] = []

    async def _record(self, response: httpx2.Response) -> None:
        request = response.request
        self.seen.append((request.method, str(request.url), response.status_code))

    async def _call(self, word: str) -> tuple[list[str], Any]:
        provider = OAuthClientProvider(
            self.url,
            OAuthClientMetadata(client_name="a test", redirect_uris=[REDIRECT]),
            self.storage,
            self.browser.visit,
            self.browser.callback,
        )
        hooks = {"response": [self._record]}
        with anyio.fail_after(SECONDS):
            async with (
                httpx2.AsyncClient(auth=provider, trust_env=False, event_hooks=hooks) as http,
                mcp.Client(streamable_http_client(self.url, http_client=http)) as client,
            ):
                tools = await client.list_tools()
                result = await client.call_tool("greet", {"word": word})
        return [tool.name for tool in tools.tools], result

    def call(self, word: str) -> tuple[list[str], Any]:
        return anyio.run(self._call, word)


@pytest.fixture
def issuer() -> Iterator[str]:
    """Authlib's authorization server."""
    with served(make_app) as url:
        yield url


def example_app(issuer: str, resource: str) -> JWTMiddleware:
    """The app of examples/mcp_app.py, with these settings."""
    settings = {"JWT_WSGI_ISSUER": issuer, "JWT_WSGI_RESOURCE": resource}
    with patch.dict(os.environ, settings):
        app: JWTMiddleware = runpy.run_path(str(EXAMPLE))["app"]
    return app


@contextmanager
def example_of(issuer: str, resource: str = "/mcp") -> Iterator[str]:
    """The URL of examples/mcp_app.py, which knows its issuer and its own URL, and no more."""

    with served(lambda url: example_app(issuer, url + resource)) as url:
        yield url


@pytest.fixture
def example(issuer: str) -> Iterator[str]:
    """Where the example has its MCP endpoint."""
    with example_of(issuer) as url:
        yield f"{url}/mcp"


def claims_of(token: str) -> dict[str, Any]:
    """What was signed, read without any code of ours."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_the_official_client_finds_its_way_from_our_401(example: str, issuer: str) -> None:
    """Metadata, registration, consent, token, tool: all it was told is one URL."""
    talk = Talk(example)

    tools, result = talk.call("Good morning")

    assert tools == ["greet"]
    assert not result.is_error
    assert [part.text for part in result.content] == [f"Good morning, {USER}!"]
    assert talk.seen[:7] == [
        ("POST", example, 401),
        ("GET", example.replace("/mcp", "/.well-known/oauth-protected-resource/mcp"), 200),
        ("GET", f"{issuer}/.well-known/oauth-authorization-server", 200),
        ("POST", f"{issuer}/register", 201),
        ("POST", f"{issuer}/token", 200),
        ("POST", example, 200),  # the first request again, and from here on no 401
        ("POST", example, 200),
    ]
    assert {status for *_, status in talk.seen[5:]} == {200}


def test_the_client_need_not_guess(issuer: str) -> None:
    """The resource is the whole origin; by the challenge the client asks there at once."""
    with example_of(issuer, resource="") as url:
        talk = Talk(f"{url}/mcp")
        talk.call("Hello")

    assert talk.seen[:2] == [
        ("POST", f"{url}/mcp", 401),
        ("GET", f"{url}/.well-known/oauth-protected-resource", 200),
    ]
    assert [asked["resource"] for asked in talk.browser.visited] == [[url]]


def test_the_client_asks_for_this_resource_and_no_more_scopes_than_needed(example: str) -> None:
    """Both stand in our answers; the issuer has one scope more, which nobody asks for."""
    talk = Talk(example)

    talk.call("Hello")

    (asked,) = talk.browser.visited
    assert asked["resource"] == [example]
    assert asked["scope"] == ["greet"]
    assert asked["code_challenge_method"] == ["S256"]
    claims = claims_of(talk.storage.tokens.access_token)
    assert (claims["aud"], claims["scope"]) == (example, "greet")


def test_other_rules_scopes_are_not_asked_for(issuer: str) -> None:
    """The metadata has them all; the challenge those of this path, and the client goes by it."""
    inner = example_app(issuer, "http://127.0.0.1").app
    rules = [Rule("/mcp", scopes=["greet"]), Rule("/*", scopes=["profile"])]

    def make(url: str) -> JWTMiddleware:
        return JWTMiddleware(inner, issuer=issuer, resource=url, rules=rules)

    with served(make) as url:
        talk = Talk(f"{url}/mcp")
        talk.call("Hello")

    assert [asked["scope"] for asked in talk.browser.visited] == [["greet"]]


def test_a_token_that_is_there_serves_again(example: str) -> None:
    """The next client of the same user is let in without a question."""
    talk = Talk(example)
    talk.call("Hello")
    talk.seen.clear()

    talk.call("Hello again")

    assert len(talk.browser.visited) == 1
    assert {url for _, url, _ in talk.seen} == {example}


def test_a_token_for_another_resource_is_refused(example: str, issuer: str) -> None:
    """The same issuer, user and scope: what one API was given is no good at its neighbour's."""
    neighbour = Talk(example)
    neighbour.call("Hello")
    token = neighbour.storage.tokens.access_token

    def make(url: str) -> JWTMiddleware:
        return JWTMiddleware(EchoApp(), issuer=issuer, resource=f"{url}/mcp")

    with served(make) as url:
        answer = httpx2.post(f"{url}/mcp", headers=bearer(token), trust_env=False)

    assert (answer.status_code, answer.json()["code"]) == (401, "audience_mismatch")


def test_a_client_asks_for_the_scope_that_is_missing(issuer: str) -> None:
    """Our 403 says what it is; the client adds it to those it has, and asks the user again."""
    inner = example_app(issuer, "http://127.0.0.1").app
    apps: list[JWTMiddleware] = []

    def make(url: str) -> "WSGIApplication":
        for scope in ("profile", "greet"):
            options = {"resource": f"{url}/mcp", "required_scopes": [scope]}
            apps.append(JWTMiddleware(inner, issuer=issuer, **options))

        def first(environ: Any, start_response: Any) -> Any:
            return apps[0](environ, start_response)

        return first

    with served(make) as url:
        talk = Talk(f"{url}/mcp")
        talk.call("Hello")
        talk.seen.clear()
        del apps[0]
        _, result = talk.call("Hello again")

    assert [part.text for part in result.content] == [f"Hello again, {USER}!"]
    assert talk.seen[0] == ("POST", f"{url}/mcp", 403)
    assert [asked["scope"] for asked in talk.browser.visited] == [["profile"], ["profile greet"]]


def test_a_client_asks_for_the_scope_of_a_tool_when_it_calls_it(issuer: str) -> None:
    """A rule with headers: listing the tools needs one scope, calling this one needs another."""
    inner = example_app(issuer, "http://127.0.0.1").app
    call = {"Mcp-Method": "tools/call", "Mcp-Name": "gr*"}
    rules = [Rule("/mcp", scopes=["profile"]), Rule("/mcp", headers=call, scopes=["greet"])]

    def make(url: str) -> JWTMiddleware:
        return JWTMiddleware(inner, issuer=issuer, resource=f"{url}/mcp", rules=rules)

    with served(make) as url:
        talk = Talk(f"{url}/mcp")
        _, result = talk.call("Hello")

    assert [part.text for part in result.content] == [f"Hello, {USER}!"]
    assert [asked["scope"] for asked in talk.browser.visited] == [["profile"], ["profile greet"]]
    assert [status for _, path, status in talk.seen if path == f"{url}/mcp"].count(403) == 1


def test_the_example_in_the_test_kit() -> None:
    """As its author would test it, without an authorization server."""
    app = example_app("https://login.example.com", "https://api.example.com/mcp")
    issuer = FakeIssuer(aud="https://api.example.com/mcp")
    visitor = Client(issuer.protect(app))

    def call(token: str | None = None, **headers: str) -> Any:
        meta = {f"io.modelcontextprotocol/{name}": value for name, value in META.items()}
        params = {"name": "greet", "arguments": {"word": "Hello"}, "_meta": meta}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        sent = MCP_HEADERS | (bearer(token) if token else {}) | headers
        return visitor.post("/mcp", json=message, headers=sent, base_url="https://api.example.com")

    good = issuer.token(sub="ada", scope="greet")

    assert call(good).json["result"]["content"][0]["text"] == "Hello, ada!"
    assert call(good, Origin="https://api.example.com").status_code == 200
    assert call(issuer.token()).status_code == 403
    assert "resource_metadata" in call().headers["WWW-Authenticate"]
    for name, value in {"Origin": "https://evil.example", "Host": "evil.example"}.items():
        assert call(good, **{name: value}).json["code"] == "origin_not_allowed"
