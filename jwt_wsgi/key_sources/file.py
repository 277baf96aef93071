"""A JWKS in a file, read again when it changes."""

import os
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Final

from jwt_wsgi.events import Event
from jwt_wsgi.events import KeysChanged
from jwt_wsgi.events import KeysConfirmed
from jwt_wsgi.events import Recovered
from jwt_wsgi.events import RefreshFailed
from jwt_wsgi.jose import Key
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet

from .arrival import arrived
from .arrival import fits_any


class FileKeys:
    """The JWKS of a file, read again within a second of its change.

    While the file is missing or has no usable set, the last keys stay in use. Each failed look is
    an event, like a failed fetch.
    """

    #: Seconds between two looks at the file.
    LOOK_EVERY: Final = 1.0

    def __init__(
        self,
        path: str | Path,
        *,
        emit: Callable[[Event], None],
        algorithms: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file once. ``algorithms``: the accepted values of ``alg``; empty: any.

        Raises :class:`OSError` or :class:`DocumentError`.
        """
        #: The file.
        self.path = Path(path)
        self._emit, self._algorithms = emit, algorithms
        self._clock = clock
        self._looked = self._read = clock()
        self._fails, self._failing_since = 0, 0.0
        #: A mark of the thread that looks now, by process: threads do not survive a fork.
        self._looking: dict[int, object] = {}
        self._seen = self._fingerprint()
        self._keyset = KeySet.parse(self.path.read_bytes())
        self._report(self._keyset)

    def candidates(self, header: Mapping[str, Any]) -> tuple[Key, ...]:
        return self.current().candidates(header)

    candidates_are_current = candidates

    def current(self) -> KeySet:
        """The set in use now.

        One thread at a time looks at the file, so that a slow thread cannot restore keys that have
        been replaced meanwhile. The other threads use the set that is held.
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
            fresh = self._keyset
            if seen != self._seen:
                fresh = KeySet.parse(self.path.read_bytes())
        except (OSError, DocumentError) as error:
            self._failed(getattr(error, "strerror", None) or str(error))
            return
        self._seen, self._read = seen, self._looked
        fails, self._fails = self._fails, 0
        if fails:
            self._emit(Recovered(str(self.path), self._looked - self._failing_since))
        self._take(fresh, confirms=bool(fails))

    def _failed(self, why: str) -> None:
        if not self._fails:
            self._failing_since = self._looked
        self._fails += 1
        age = self._looked - self._read
        self._emit(RefreshFailed(str(self.path), "file", why, 0, self._fails, age, self.LOOK_EVERY))

    def _take(self, fresh: KeySet, *, confirms: bool) -> None:
        """Use this set. ``confirms``: after failures, an equal set is reported by an event."""
        if fresh.digest == self._keyset.digest:  # the object stays: verified tokens belong to it
            if confirms:
                self._emit(KeysConfirmed(str(self.path)))
            return
        self._keyset, old = fresh, self._keyset
        added, removed = set(fresh.kids) - set(old.kids), set(old.kids) - set(fresh.kids)
        self._emit(
            KeysChanged(str(self.path), tuple(sorted(added)), tuple(sorted(removed)), fresh.digest)
        )
        self._report(fresh)

    def _report(self, keyset: KeySet) -> None:
        for event in arrived(str(self.path), keyset, self._algorithms):
            self._emit(event)

    def health(self) -> dict[str, Any]:
        """Return what is known of the keys in use, for JSON, without I/O."""
        keyset = self._keyset
        return {
            "ready": fits_any(keyset, self._algorithms),
            "keys": len(keyset),
            "kids": list(keyset.kids[:20]),
            "sha256": keyset.digest,
        }

    def _fingerprint(self) -> tuple[int, int, int]:
        stat = self.path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
