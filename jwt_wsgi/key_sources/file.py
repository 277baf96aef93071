"""A JWKS in a file, read again when it changes."""

import time
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Final

from jwt_wsgi.events import Event
from jwt_wsgi.events import KeysChanged
from jwt_wsgi.events import RefreshFailed
from jwt_wsgi.jose import Key
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet


class FileKeys:
    """The JWKS of a file, read again within a second of its change.

    A change that leaves no usable set is an event; the keys read before stay in use.
    """

    #: Seconds between two looks at the file.
    LOOK_EVERY: Final = 1.0

    def __init__(
        self,
        path: str,
        *,
        emit: Callable[[Event], None],
        max_keys: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file once. Raises :class:`OSError` or :class:`DocumentError`."""
        self._path = Path(path)
        self._emit = emit
        self._max_keys = max_keys
        self._clock = clock
        self._looked = clock()
        self._seen = self._fingerprint()
        self._keyset = KeySet.parse(self._path.read_bytes(), max_keys=max_keys)

    def candidates(self, header: Mapping[str, Any]) -> tuple[Key, ...]:
        return self.current().find(header)

    candidates_are_current = candidates

    def current(self) -> KeySet:
        """The set in use now."""
        now = self._clock()
        if now - self._looked >= self.LOOK_EVERY:
            self._looked = now
            self._look()
        return self._keyset

    def _look(self) -> None:
        try:
            seen = self._fingerprint()
            if seen == self._seen:
                return
            self._seen = seen
            fresh = KeySet.parse(self._path.read_bytes(), max_keys=self._max_keys)
        except (OSError, DocumentError) as error:
            self._emit(
                RefreshFailed(str(self._path), "file", str(error), 0, 1, 0.0, self.LOOK_EVERY)
            )
            return
        self._keyset, old = fresh, self._keyset
        added, removed = set(fresh.kids) - set(old.kids), set(old.kids) - set(fresh.kids)
        self._emit(
            KeysChanged(str(self._path), tuple(sorted(added)), tuple(sorted(removed)), fresh.digest)
        )

    def _fingerprint(self) -> tuple[int, int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
