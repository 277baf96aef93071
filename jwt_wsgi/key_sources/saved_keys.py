"""The last JWKS of an issuer, on disk: for a process that starts while the issuer is down.

Each successful fetch is saved. A process reads the file only after its first fetch has failed. The
file has an HMAC: an attacker who can write to the folder, but does not know the secret, cannot add
keys. An attacker who knows the secret and can write as this user can mint tokens. A key that the
issuer has withdrawn can be used again until the saved keys are too old. Deleting the file prevents
that; the next successful fetch writes a new one.
"""

import hashlib
import hmac
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

from jwt_wsgi.events import logger

from .fetch import MAX_BYTES

#: The default of ``max_age``, in seconds.
MAX_AGE: Final = 3600.0
#: The least bytes of a secret, as for HS256 (RFC 7518 section 3.2).
MIN_SECRET: Final = 32
#: The HMAC covers this prefix first, in case the same secret has another use.
_PURPOSE: Final = b"jwt_wsgi JWKS snapshot 1\n"
#: The most bytes of the two lines before the JWKS.
_MAX_HEAD: Final = 16_384
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class SavedKeysError(Exception):
    """The file exists and cannot be used. The message is the reason."""


@dataclass(frozen=True, slots=True)
class SavedKeys:
    """A JWKS as it was fetched. ``saved``: when that fetch began, seconds since 1970."""

    jwks: bytes
    jwks_uri: str
    saved: float


class SavedKeysFile:
    """The file of one issuer in ``folder``, which must exist.

    ``secret``: 32 bytes at least, else ValueError. ``max_age``: seconds. ``clock``: seconds since
    1970. Errors of the disk are logged, never raised: the middleware also works without saved keys.
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
            raise ValueError(f"the secret of saved keys has {MIN_SECRET} bytes at least")
        self._issuer, self._secret = issuer, secret
        self.max_age, self.clock = max_age, clock
        #: The path. It holds a hash, so that no issuer can name a file outside of the folder.
        self.path = Path(folder) / f"jwks-{hashlib.sha256(issuer.encode()).hexdigest()[:32]}"
        self._failing = False

    def save(self, jwks: bytes, jwks_uri: str, began: float) -> None:
        """Save a fetched JWKS. Call it after each successful fetch, also after a 304.

        ``began``: when the fetch began, seconds since 1970. Keys that another process has saved
        from a later fetch are not replaced. The first of several failures is logged as a WARNING.
        """
        if len(jwks) > MAX_BYTES:
            return
        try:
            held = self._read()
        except (OSError, SavedKeysError):
            held = None  # an unusable file is replaced
        if held is not None and held.saved > began:
            return
        try:
            self._write(self._packed(SavedKeys(jwks, jwks_uri, began)))
        except OSError as error:
            if not self._failing:
                why = error.strerror or "the disk reports an error"
                logger.warning("jwks_snapshot: %s cannot be written: %s", self.path, why)
            self._failing = True
        else:
            self._failing = False

    def load(self, jwks_uri: str | None = None) -> SavedKeys | None:
        """Read the file. Call it after the first fetch has failed. None: there are no usable keys.

        ``jwks_uri``: the URL of the keys, if it is known; keys from another URL are not used. The
        caller must check the JWKS like any other. A WARNING is logged if the file exists but cannot
        be used.
        """
        try:
            found = self._read()
            if jwks_uri is not None and found.jwks_uri != jwks_uri:
                raise SavedKeysError("it is from another jwks_uri")
        except FileNotFoundError:
            return None
        except (OSError, SavedKeysError) as error:
            why = getattr(error, "strerror", None) or str(error)
            logger.warning("jwks_snapshot: %s is not used: %s", self.path, why)
            return None
        return found

    def _read(self) -> SavedKeys:
        """Read and check the file. Raises OSError and :class:`SavedKeysError`."""
        descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_LINK)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a path could be another file by now
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SavedKeysError("it is not a regular file")
            if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
                raise SavedKeysError("it belongs to another user")
            if os.name != "nt" and status.st_mode & 0o077:
                raise SavedKeysError("other users may read or write it; its mode must be 0600")
            data = file.read(_MAX_HEAD + MAX_BYTES + 1)
        if len(data) > _MAX_HEAD + MAX_BYTES:
            raise SavedKeysError("it is too large")
        return self._unpacked(data)

    def _packed(self, keys: SavedKeys) -> bytes:
        head = {"issuer": self._issuer, "jwks_uri": keys.jwks_uri, "saved": keys.saved}
        content = json.dumps(head).encode() + b"\n" + keys.jwks
        return self._mac(content) + b"\n" + content

    def _unpacked(self, data: bytes) -> SavedKeys:
        mac, _, content = data.partition(b"\n")
        if not hmac.compare_digest(mac, self._mac(content)):  # before the content is parsed
            raise SavedKeysError("it was not written with this secret")
        line, _, jwks = content.partition(b"\n")
        head: dict[str, Any] = json.loads(line)  # it is ours
        if head["issuer"] != self._issuer:
            raise SavedKeysError("it is of another issuer")
        age = self.clock() - head["saved"]
        if age < 0:
            raise SavedKeysError("it is from the future; check the clock")
        if age > self.max_age:
            raise SavedKeysError(f"it is {age:.0f} s old, more than {self.max_age:.0f} s")
        return SavedKeys(jwks, head["jwks_uri"], head["saved"])

    def _mac(self, content: bytes) -> bytes:
        return hmac.new(self._secret, _PURPOSE + content, "sha256").hexdigest().encode()

    def _write(self, data: bytes) -> None:
        """Replace the file as a whole or not at all. A link at its path is not followed."""
        descriptor, name = tempfile.mkstemp(".new", self.path.name, self.path.parent)  # mode 0600
        new = Path(name)
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
