"""An MCP server of the official SDK, as a WSGI app; clients find the issuer by themselves."""

import asyncio
import os
from threading import Event
from urllib.parse import urlsplit

from a2wsgi import ASGIMiddleware
from mcp.server.mcpserver import Context
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ToolAnnotations

from jwt_wsgi import JWTMiddleware

server = MCPServer("greeter", version="1")


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def greet(word: str, context: Context) -> str:
    """Greet the user whose token it is."""
    environ = context.request_context.request.scope["wsgi_environ"]
    return f"{word}, {environ['jwt_wsgi.payload']['sub']}!"


asgi = ASGIMiddleware(
    server.streamable_http_app(
        stateless_http=True,  # any process may get the next request
        json_response=True,  # no thread waits for a stream
        # The middleware below checks Origin and Host.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
)


async def run(started):
    """Run the server's tasks in the event loop of a2wsgi, which starts no lifespan."""
    async with server.session_manager.run():
        started.set()
        await asyncio.Event().wait()


started = Event()
running = asyncio.run_coroutine_threadsafe(run(started), asgi.loop)
started.wait(30)

# From the environment: JWT_WSGI_ISSUER, and JWT_WSGI_RESOURCE, which is the URL of /mcp.
own = urlsplit(os.environ["JWT_WSGI_RESOURCE"])
app = JWTMiddleware(
    asgi,
    required_scopes=["greet"],
    allowed_origins={"origins": [f"{own.scheme}://{own.netloc}"], "hosts": [own.netloc]},
)
