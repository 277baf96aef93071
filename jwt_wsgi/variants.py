"""Middlewares with the settings of single requests: a bounded number, each made when needed."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Final
from typing import Protocol
from typing import TypeAlias

from .errors import AuthError
from .injection import PAYLOAD
from .key_sources.shared import SharedKeys
from .settings.loading import Given
from .settings.loading import Settings
from .settings.loading import request_settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

#: The settings of a request: names and texts.
Key: TypeAlias = frozenset[tuple[str, str]]
#: Different settings that have verified a token, and as many that have not.
MAX_VARIANTS: Final = 16


class Middleware(Protocol):
    """A WSGI application that can be closed."""

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse", /
    ) -> Iterable[bytes]: ...

    def close(self) -> None: ...


class Variants:
    """Serves requests by middlewares with the requests' own settings.

    ``given``: the options of keywords and environment. ``make(settings, keys)`` builds a
    middleware; all of them share ``keys``. ``refuse`` answers a request for which none can be made.

    A server may make a setting of what the client sends, a Host for instance. So settings that
    have verified a token are kept apart, and made-up settings never push them out. The oldest goes
    first, and is made again when it is needed. There is no lock: single operations of a dict are
    enough.
    """

    def __init__(
        self,
        given: Given,
        make: Callable[[Settings, SharedKeys], "Middleware"],
        refuse: Callable[[AuthError, "WSGIEnvironment", "StartResponse"], Iterable[bytes]],
    ) -> None:
        self._given, self._make, self._refuse = given, make, refuse
        self._shared = SharedKeys()
        #: The middlewares that have verified a token, and the others, the oldest first.
        self.used: dict[Key, Middleware] = {}
        self.unused: dict[Key, Middleware] = {}

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Serve one request with its own settings (PEP 3333).

        Raises :class:`~jwt_wsgi.errors.ConfigurationError` for settings that are wrong.
        """
        found = request_settings(environ)
        key = frozenset(found.items())
        try:
            middleware = self.used.get(key) or self.unused.get(key) or self._new(key, found)
        except AuthError as error:  # there is no place for the keys of another issuer
            return self._refuse(error, environ, start_response)
        answer = middleware(environ, start_response)
        if key not in self.used and environ.get(PAYLOAD) is not None:
            _put(self.used, key, middleware)
            self.unused.pop(key, None)
        return answer

    def close(self) -> None:
        """Close every middleware, and the keys that they share."""
        self._shared.close()
        for middleware in [*self.used.values(), *self.unused.values()]:
            middleware.close()

    def _new(self, key: Key, found: dict[str, str]) -> "Middleware":
        middleware = self._make(self._given.settings(found), self._shared)
        _put(self.unused, key, middleware)
        return middleware


def _put(held: dict[Key, "Middleware"], key: Key, middleware: "Middleware") -> None:
    surplus = max(0, len(held) - MAX_VARIANTS + 1)
    for oldest in list(held)[:surplus]:
        held.pop(oldest, None)
    held[key] = middleware
