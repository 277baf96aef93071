"""A TCP proxy on loopback that can lose, delay and reset what passes through it."""

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Final
from typing import Self

_CHUNK: Final = 65536
#: SO_LINGER on, with a time of zero: close() sends RST.
_RESET: Final = struct.pack("ii", 1, 0)


class TCPProxy:
    """Passes bytes between its own port and ``target``, another port on loopback.

    ``target`` may change: new connections go to the new one. Used as a context manager.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self._lock = threading.Lock()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._forgotten: set[socket.socket] = set()
        self._lost, self._delay = 0, 0.0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.reset()

    def lose_replies(self, number: int) -> None:
        """The next replies, so many, never arrive; their connections stay open."""
        self._lost = number

    def delay_reply(self, seconds: float) -> None:
        """The next reply arrives later."""
        self._delay = seconds

    def forget(self) -> None:
        """Lose what is sent on all open connections, as a firewall does that forgot them."""
        with self._lock:
            self._forgotten |= self._pairs.keys()

    def reset(self) -> None:
        """Reset all open connections (RST)."""
        with self._lock:
            pairs, self._pairs = self._pairs, {}
        for pair in pairs.items():
            for sock in pair:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    sock.shutdown(socket.SHUT_RD)  # the thread that reads it lets go
                sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.target), 2)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._pairs[client] = server
            for one, other, reply in ((client, server, False), (server, client, True)):
                arguments = (one, other, client, reply)
                threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, client: socket.socket, reply: bool
    ) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if client in self._forgotten or (reply and self._loses()):
                    continue
                if reply and self._delay:
                    delay, self._delay = self._delay, 0.0
                    time.sleep(delay)
                sink.sendall(data)
        if client not in self._forgotten:
            with self._lock:
                self._pairs.pop(client, None)
            source.close()
            sink.close()

    def _loses(self) -> bool:
        with self._lock:
            lost = self._lost > 0
            self._lost -= lost
            return lost
