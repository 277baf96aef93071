"""A JWKS in a file, read again when it changes."""

import os
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
from jwt_wsgi.keys import MAX_KEYS
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
        path: str | Path,
        *,
        emit: Callable[[Event], None],
        max_keys: int = MAX_KEYS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file once. Raises :class:`OSError` or :class:`DocumentError`."""
        #: The file.
        self.path = Path(path)
        self._emit = emit
        self._max_keys = max_keys
        self._clock = clock
        self._looked = clock()
        #: Who looks now, by process: a forked child has none of its parent's threads.
        self._looking: dict[int, object] = {}
        self._seen = self._fingerprint()
        self._keyset = KeySet.parse(self.path.read_bytes(), max_keys=max_keys)

    def candidates(self, header: Mapping[str, Any]) -> tuple[Key, ...]:
        return self.current().candidates(header)

    candidates_are_current = candidates

    def current(self) -> KeySet:
        """The set in use now.

        One thread at a time looks at the file, so that a slow one brings back no keys that have
        been replaced meanwhile. The others go on with the set that is held.
        """
        now = self._clock()
        if now - self._looked >= self.LOOK_EVERY:
            pid, mine = os.getpid(), object()
            if self._looking.setdefault(pid, mine) is mine:
                self._looked = now
                try:
                    self._look()
                finally:
                    del self._looking[pid]
        return self._keyset

    def _look(self) -> None:
        try:
            seen = self._fingerprint()
            if seen == self._seen:
                return
            self._seen = seen
            fresh = KeySet.parse(self.path.read_bytes(), max_keys=self._max_keys)
        except (OSError, DocumentError) as error:
            self._emit(
                RefreshFailed(str(self.path), "file", str(error), 0, 1, 0.0, self.LOOK_EVERY)
            )
            return
        self._keyset, old = fresh, self._keyset
        added, removed = set(fresh.kids) - set(old.kids), set(old.kids) - set(fresh.kids)
        self._emit(
            KeysChanged(str(self.path), tuple(sorted(added)), tuple(sorted(removed)), fresh.digest)
        )

    def _fingerprint(self) -> tuple[int, int, int]:
        stat = self.path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
