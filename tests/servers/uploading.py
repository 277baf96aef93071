"""A client that uploads, over a plain socket."""

import socket
from urllib.parse import urlsplit


def upload(url: str, size: int, *, expect: bool) -> str:
    """POST so many bytes; the status of the answer, or what the connection did instead."""
    parts = urlsplit(url)
    head = f"POST /orders HTTP/1.1\r\nHost: api\r\nContent-Length: {size}\r\nConnection: close\r\n"
    head += "Expect: 100-continue\r\n\r\n" if expect else "\r\n"
    with socket.create_connection((parts.hostname or "", parts.port or 80), 30) as sock:
        try:
            sock.sendall(head.encode())
            answer = sock.recv(4096) if expect else b""
            if not expect or answer.startswith(b"HTTP/1.1 100"):
                sock.sendall(b"x" * size)
                answer = sock.recv(4096)
        except OSError as error:
            return type(error).__name__
    return answer[9:12].decode() or "closed"
