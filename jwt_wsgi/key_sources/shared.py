"""Remote keys that the settings of several requests share (``settings_from_request``)."""

import time
from collections.abc import Callable
from collections.abc import Hashable
from typing import Final

from jwt_wsgi.errors import KeysUnavailableError

from .remote import RemoteKeys

#: The most sources of keys. The configuration of a server names few issuers.
MAX_SOURCES: Final = 16
#: Seconds after which a source without keys may be replaced.
PATIENCE: Final = 30.0


class SharedKeys:
    """At most :data:`MAX_SOURCES` sources of keys, by everything that their fetches depend on.

    A source that has keys stays for ever. A source without keys, for instance of an issuer that a
    client made up, may be replaced after :data:`PATIENCE` seconds. ``clock``: monotonic seconds.
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
        """Start no more fetches. The keys that are held stay in use until they expire."""
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
        self._sources.pop(key, None)  # a middleware that still has it may go on using it
