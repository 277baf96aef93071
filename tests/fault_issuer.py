"""A server that may lie: raw sockets, one function an answer."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager

Answer = Callable[[socket.socket], None]


class FaultServer:
    """Answers each connection by a function of its own; remembers what it was asked."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.answer, self._context = answer, context
        self.heads: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}/jwks"
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(connection):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.add(connection)
            with contextlib.closing(connection):
                head = b""
                while b"\r\n\r\n" not in head and head[:1] != b"\x16":  # TLS begins by that
                    if not (data := connection.recv(65536)):
                        return
                    head += data
                self.heads.append(head.decode("latin-1"))
                self.answer(connection)

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        for connection in self._open:
            connection.close()


@contextmanager
def fault_server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[FaultServer]:
    server = FaultServer(answer, context)
    try:
        yield server
    finally:
        server.stop()


def says(head: str, body: bytes = b"") -> Answer:
    """Send this, with Content-Length unless the head has its own, and close."""

    def answer(connection: socket.socket) -> None:
        length = (
            ""
            if "Content-Length" in head or "chunked" in head
            else f"Content-Length: {len(body)}\n"
        )
        connection.sendall(f"HTTP/1.1 {head}\n{length}\n".replace("\n", "\r\n").encode() + body)

    return answer
