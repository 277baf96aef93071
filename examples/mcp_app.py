"""An MCP server in one route; its clients find the issuer by themselves (RFC 9728)."""

from flask import Flask
from flask import abort
from flask import request

from jwt_wsgi import JWTMiddleware

app = Flask(__name__)
# From the environment: JWT_WSGI_ISSUER, and JWT_WSGI_RESOURCE, which is the URL of /mcp.
app.wsgi_app = JWTMiddleware(app.wsgi_app, required_scopes=["greet"], public_paths=["/healthz"])


def greet(word):
    return f"{word}, {request.environ['jwt_wsgi.payload']['sub']}!"


GREET = {
    "name": "greet",
    "description": "Greets the user whose token it is.",
    "inputSchema": {
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
    },
}


def initialize(_params):
    return {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "greeter", "version": "1"},
    }


def call_tool(params):
    text = {"greet": greet}[params["name"]](**params["arguments"])
    return {"content": [{"type": "text", "text": text}]}


METHODS = {
    "initialize": initialize,
    "ping": lambda _params: {},
    "tools/list": lambda _params: {"tools": [GREET]},
    "tools/call": call_tool,
}


@app.post("/mcp")
def mcp():
    """JSON-RPC over the streamable HTTP transport, which permits plain JSON answers."""
    message = request.get_json()
    if not isinstance(message, dict):
        abort(400)
    if "id" not in message:
        return "", 202  # a notification
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    method = METHODS.get(message.get("method"))
    if method is None:
        return answer | {"error": {"code": -32601, "message": "Method not found"}}
    try:
        return answer | {"result": method(message.get("params", {}))}
    except (KeyError, TypeError):
        return answer | {"error": {"code": -32602, "message": "Invalid params"}}


@app.get("/healthz")
def healthz():
    return {"status": "ok"}
