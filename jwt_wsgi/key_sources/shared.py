"""Remote keys that several middlewares share: those with the settings of single requests."""

import time
from collections.abc import Callable
from collections.abc import Hashable
from typing import Final

from jwt_wsgi.errors import KeysUnavailableError

from .remote import RemoteKeys

#: Issuers, each with its keys; a server's configuration names few.
MAX_SOURCES: Final = 16
#: Seconds for which a source keeps its place without any keys.
PATIENCE: Final = 30.0


class SharedKeys:
    """Sources of keys by what they are fetched from and with; a bounded number of them.

    A source whose keys are here keeps its place for ever. One that has none, because a client
    made its issuer up, gives it to a new one after :data:`PATIENCE` seconds. ``clock``: seconds
    from any moment on, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sources: dict[Hashable, tuple[RemoteKeys, float]] = {}
        self._closed = False

    def get(self, key: Hashable, make: Callable[[], RemoteKeys]) -> RemoteKeys:
        """Return the source for ``key``, made if it is new.

        Raises :class:`~jwt_wsgi.errors.KeysUnavailableError` if there is no place for a new one.
        """
        held = self._sources.get(key)
        if held is None:
            if len(self._sources) >= MAX_SOURCES:
                self._make_room()
            held = self._sources.setdefault(key, (make(), self._clock()))
            if self._closed:
                held[0].close()
        return held[0]

    def close(self) -> None:
        """Fetch nothing ever again; keys that are held go on serving."""
        self._closed = True
        for source, _ in list(self._sources.values()):
            source.close()

    def _make_room(self) -> None:
        now = self._clock()
        without_keys = [
            (since + PATIENCE - now, key)
            for key, (source, since) in list(self._sources.items())
            if not source.ready
        ]
        wait, key = min(without_keys, key=lambda found: found[0], default=(PATIENCE, None))
        if wait > 0:
            why = f"more than {MAX_SOURCES} issuers in settings from requests"
            raise KeysUnavailableError(wait, why)
        self._sources.pop(key, None)  # a middleware that still has it may go on with it
