"""An issuer that is served by https, with a CA of its own."""

import atexit
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from test_fetch import certificates

from jwt_wsgi.testing import FakeIssuer


@cache
def certified() -> tuple[Path, ssl.SSLContext]:
    """The file of a CA, and a context of a server on 127.0.0.1; for the time of the process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return certificates(folder)


class HTTPSIssuer(FakeIssuer):
    """A FakeIssuer whose metadata and JWKS are at https URLs while it is served.

    gunicorn's gevent workers replace the classes of ``ssl`` after the app was loaded, and each
    server forks and starts threads in its own way: only an https issuer shows that a fetch works.
    """

    @contextmanager
    def serve(self, port: int = 0) -> Iterator["HTTPSIssuer"]:
        with super().serve(port):
            server = self._running
            _, context = certified()
            # Each connection's own thread does the handshake, at its first read.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            server.url = server.url.replace("http:", "https:")
            yield self

    @property
    def environment(self) -> dict[str, str]:
        """The environment of an app that trusts this issuer and its CA."""
        return {"JWT_WSGI_ISSUER": self.issuer, "JWT_WSGI_JWKS_TLS": str(certified()[0])}
