"""A small HTTP server of JSON documents on loopback, for tests."""

import json
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Answers GET with ``find(path)``, 404 where that is None; it runs until :meth:`stop`.

    ``port`` 0: any that is free. ``broken``: everything is 500. ``delay``: seconds before each
    answer. ``requests``: the paths of all requests.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, find: Callable[[str], Mapping[str, Any] | None], port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.find = find
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[str] = []
        self.broken = False
        self.delay = 0.0
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the server, and wait until its thread has ended."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: many tests close connections early."""

    def server_bind(self) -> None:
        """Bind without the reverse DNS look-up of http.server."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        time.sleep(self.server.delay)
        document = self.server.find(self.path)
        status = 500 if self.server.broken else 200 if document is not None else 404
        body = json.dumps(document if status == 200 else {"error": status}).encode()  # noqa: PLR2004
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        """Print nothing."""
