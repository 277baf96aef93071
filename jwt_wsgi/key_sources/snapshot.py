"""The last JWKS of an issuer, on disk: for a process that starts while the issuer is down.

Each successful fetch is written down; a process reads it only after its first fetch has failed.
The file is under an HMAC, so that who can write to the folder, and does not know the secret, puts
no keys in. Who knows the secret and can write as this user can mint tokens. A key that the issuer
has withdrawn can be used again for as long as the age of a snapshot may be, and no longer. To
delete the file is to forget it.
"""

import hashlib
import hmac
import json
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

from jwt_wsgi.events import logger
from jwt_wsgi.urls import shown_url

#: Seconds: the age that a snapshot may have, if nothing else is set.
MAX_AGE: Final = 3600.0
#: Bytes of the secret, at least, as for HS256 (RFC 7518 section 3.2).
MIN_SECRET: Final = 32
#: What the HMAC begins with: the same secret may serve for something else.
_PURPOSE: Final = b"jwt_wsgi JWKS snapshot 1\n"
#: Bytes of a JWKS, as of a fetch, and of the two lines before it.
_MAX_JWKS: Final = 1_048_576
_MAX_HEAD: Final = 16_384
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class SnapshotError(Exception):
    """The file is there and cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A JWKS as it was fetched. ``saved``: when that fetch began, seconds since 1970."""

    jwks: bytes
    jwks_uri: str
    saved: float


class SnapshotFile:
    """The file of one issuer in ``folder``, which must exist.

    ``secret``: 32 bytes at least, else ValueError. ``max_age``: seconds. ``clock``: seconds since
    1970. No method raises because of the disk: a snapshot is a help, and its loss stops nothing.
    """

    def __init__(
        self,
        folder: str | Path,
        secret: bytes,
        issuer: str,
        *,
        max_age: float = MAX_AGE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if len(secret) < MIN_SECRET:
            raise ValueError(f"the secret of a snapshot has {MIN_SECRET} bytes at least")
        self._issuer, self._secret = issuer, secret
        self._max_age, self._clock = max_age, clock
        #: Where it is: no name of an issuer can lead out of the folder.
        self.path = Path(folder) / f"jwks-{hashlib.sha256(issuer.encode()).hexdigest()[:32]}"
        self._failing = False

    def save(self, jwks: bytes, jwks_uri: str, began: float) -> None:
        """Write down what a fetch brought; to be called after each success, 304 included.

        ``began``: when the fetch began, seconds since 1970. A snapshot of a later fetch, which
        another process has written, stays. The first of several failures is a WARNING.
        """
        if len(jwks) > _MAX_JWKS:
            return
        try:
            held = self._read()
        except (OSError, SnapshotError):
            held = None  # what cannot be used is replaced
        if held is not None and held.saved > began:
            return
        try:
            self._write(self._packed(Snapshot(jwks, jwks_uri, began)))
        except OSError as error:
            if not self._failing:
                why = error.strerror or type(error).__name__
                logger.warning("the snapshot of keys %s cannot be written: %s", self.path, why)
            self._failing = True
        else:
            self._failing = False

    def load(self, jwks_uri: str | None = None) -> Snapshot | None:
        """Read it; to be called after a first fetch that failed. None: there is none to use.

        ``jwks_uri``: the one that is configured; a snapshot from elsewhere is not used. Its JWKS
        must be checked like any other. Its use is a WARNING, and so is the reason if the file is
        there and cannot be used.
        """
        try:
            found = self._read()
            if jwks_uri is not None and found.jwks_uri != jwks_uri:
                raise SnapshotError("it is from another jwks_uri")
        except FileNotFoundError:
            return None
        except (OSError, SnapshotError) as error:
            why = getattr(error, "strerror", None) or str(error)
            logger.warning("the snapshot of keys %s is not used: %s", self.path, why)
            return None
        age = self._clock() - found.saved
        logger.warning(
            "keys of %s are taken from a snapshot, %.0f s old, because its first fetch failed: %s",
            shown_url(self._issuer),
            age,
            self.path,
        )
        return found

    def _read(self) -> Snapshot:
        """Read and check the file. Raises OSError and :class:`SnapshotError`."""
        descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_LINK)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a path could be another file by now
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SnapshotError("it is not a regular file")
            if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
                raise SnapshotError("it belongs to another user")
            if os.name != "nt" and status.st_mode & 0o077:
                raise SnapshotError("other users may read or write it; its mode must be 0600")
            data = file.read(_MAX_HEAD + _MAX_JWKS + 1)
        if len(data) > _MAX_HEAD + _MAX_JWKS:
            raise SnapshotError("it is too large")
        return self._unpacked(data)

    def _packed(self, snapshot: Snapshot) -> bytes:
        head = {"issuer": self._issuer, "jwks_uri": snapshot.jwks_uri, "saved": snapshot.saved}
        content = json.dumps(head).encode() + b"\n" + snapshot.jwks
        return self._mac(content) + b"\n" + content

    def _unpacked(self, data: bytes) -> Snapshot:
        mac, _, content = data.partition(b"\n")
        if not hmac.compare_digest(mac, self._mac(content)):  # before anything of it is read
            raise SnapshotError("it was not written with this secret")
        line, _, jwks = content.partition(b"\n")
        head: dict[str, Any] = json.loads(line)  # it is ours
        if head["issuer"] != self._issuer:
            raise SnapshotError("it is of another issuer")
        age = self._clock() - head["saved"]
        if age < 0:
            raise SnapshotError("it is from the future; check the clock")
        if age > self._max_age:
            raise SnapshotError(f"it is {age:.0f} s old, more than {self._max_age:.0f} s")
        return Snapshot(jwks, head["jwks_uri"], head["saved"])

    def _mac(self, content: bytes) -> bytes:
        return hmac.new(self._secret, _PURPOSE + content, "sha256").hexdigest().encode()

    def _write(self, data: bytes) -> None:
        """Put the file in its place, whole or not at all. A link there is replaced."""
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        new.unlink(missing_ok=True)  # of a process of this number that was killed
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            new.replace(self.path)
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise
