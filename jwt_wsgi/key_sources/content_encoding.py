"""Reads a document that is plain or gzip, and never more than a given number of bytes.

Requests say ``Accept-Encoding: identity``. Some servers still label a plain document with a
``Content-Encoding``, and some send gzip.
"""

import zlib
from collections.abc import Callable
from typing import Final

from jwt_wsgi.errors import printable

from .failures import FetchError

#: What servers call a document that is not compressed; ``aws-chunked`` is how it was uploaded.
_PLAIN: Final = frozenset({"", "identity", "none", "utf-8", "utf8", "aws-chunked"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})  # RFC 9110 section 8.4.1.3
_CHUNK: Final = 65536
_WINDOW_OF_GZIP: Final = 31


def whole(read: Callable[[int], bytes], encoding: str, most: int) -> bytes:
    """Read a document of at most ``most`` bytes, compressed or not.

    ``read(size)`` returns the next bytes of the response, and none at the end. ``most`` limits
    both the bytes that are read and the bytes that are inflated. Raises :class:`FetchError`.
    """
    inflate = _inflater(encoding)
    body, came = bytearray(), 0
    while chunk := read(_CHUNK):
        came += len(chunk)
        if came <= most:
            body += chunk if inflate is None else _inflated(inflate, chunk, most - len(body) + 1)
        if max(came, len(body)) > most:
            raise FetchError("too_big", f"the document has more than {most} bytes")
    if inflate is not None and (not inflate.eof or inflate.unused_data):
        raise FetchError("encoding", "the answer's gzip is incomplete, or more bytes follow it")
    return bytes(body)


def _inflater(encoding: str) -> "zlib._Decompress | None":
    names = [name.strip().lower() for name in encoding.split(",")]
    compressed = [name for name in names if name not in _PLAIN]
    if not compressed:
        return None
    if len(compressed) == 1 and compressed[0] in _GZIP:
        return zlib.decompressobj(_WINDOW_OF_GZIP)
    shown = printable(", ".join(compressed))
    raise FetchError(
        "encoding", f"the answer is compressed ({shown}), but the request asked for a plain one"
    )


def _inflated(inflate: "zlib._Decompress", chunk: bytes, most: int) -> bytes:
    try:
        return inflate.decompress(chunk, most)
    except zlib.error as error:
        raise FetchError("encoding", "the answer is labelled gzip and is not gzip") from error
