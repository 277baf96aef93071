"""One fetch from its beginning to a key set: find the URL, GET the document, check it."""

from collections.abc import Callable
from typing import Final

from jwt_wsgi.events import Emit
from jwt_wsgi.events import KeysFound
from jwt_wsgi.events import logger
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.urls import shown_url

from .discovery import Located
from .discovery import locate
from .facts import NEVER
from .facts import Facts
from .facts import KeyFetch
from .facts import Loaded
from .facts import Snapshot
from .failures import FetchError
from .fetch import Fetch
from .fetch import Fetched
from .fetch import NotModified
from .saved_keys import SavedKeysFile

#: Seconds after which the issuer's metadata is read again.
REDISCOVER_AFTER: Final = 86400.0


class Loader:
    """Fetches the keys of one issuer, and remembers where they are.

    ``jwks_uri``: their URL; None: it is in the issuer's metadata. ``clock``: seconds, monotonic.
    """

    def __init__(
        self,
        issuer: str,
        jwks_uri: str | None,
        *,
        fetch: Fetch,
        emit: Emit,
        allow_http: bool,
        clock: Callable[[], float],
        saved: SavedKeysFile | None = None,
    ) -> None:
        self.source = source_name(jwks_uri or issuer)
        self._issuer, self._jwks_uri = issuer, jwks_uri
        self._fetch, self._emit, self._clock = fetch, emit, clock
        self._allow_http = allow_http
        self._saved = saved
        #: The URL of the keys, and when the metadata was read.
        self._located: tuple[Located, float] | None = None

    def result(
        self, run: KeyFetch, facts: Callable[[], Facts], timeout: float
    ) -> Loaded | FetchError:
        """As :meth:`load`, but an error is returned, of whatever type."""
        try:
            return self.load(run, facts, timeout)
        except FetchError as error:
            return error
        except MemoryError:
            return FetchError("broken", "this process has too little memory")
        except Exception as error:  # a bug in a fetch function must not end all fetches
            why = f"an unexpected error ended the fetch ({type(error).__name__}); please report it"
            return FetchError("broken", why)

    def load(self, run: KeyFetch, facts: Callable[[], Facts], timeout: float) -> Loaded:
        """Fetch within ``timeout`` seconds of the fetch's start.

        Raises :class:`FetchError`, also for a document that is not a usable JWKS.
        """

        def left(share: float = 1.0) -> float:
            seconds = run.start + share * timeout - self._clock()
            if seconds <= 0:
                raise FetchError("timeout", "no complete answer in time")
            return seconds

        located = self._locate(left, no_cache=run.is_lookup)
        now = facts()
        answer, held, etag = located.document, now.snapshot, None
        # After a failure no If-None-Match is sent: it may be the cause.
        conditional = not (run.is_lookup or now.fails)
        if held and held.uri == located.jwks_uri and conditional:
            etag = held.etag
        if answer is None:
            found = self._get(located.jwks_uri, etag, no_cache=run.is_lookup, timeout=left())
            if not isinstance(found, Fetched):
                if held is None or etag is None:
                    raise FetchError(
                        "http",
                        "status 304 (not modified) to a request without If-None-Match",
                        status=304,
                    )
                return Loaded(
                    held.keyset, etag, held.uri, found.date, confirms=held.keyset, body=held.body
                )
            answer = found
        try:
            keyset = KeySet.parse(answer.body)
        except DocumentError as error:
            raise self._named(FetchError("document", str(error)), located.jwks_uri) from error
        _ = keyset.digest  # made here, not later under the lock
        body = answer.body if self._saved is not None else b""
        return Loaded(keyset, answer.etag, located.jwks_uri, answer.date, body=body)

    def save(self, keys: Snapshot) -> None:
        """Save a set that was fetched or confirmed, if saving is configured."""
        if self._saved is not None:
            age = self._clock() - keys.start
            self._saved.save(keys.body, keys.uri, self._saved.clock() - age)

    def restore(self) -> Snapshot | None:
        """Return the saved keys, if saving is configured and they can be used."""
        where = self._jwks_uri or (self._located[0].jwks_uri if self._located else None)
        if self._saved is None or (found := self._saved.load(where)) is None:
            return None
        try:
            keyset = KeySet.parse(found.jwks)
        except DocumentError as error:
            logger.warning("jwks_snapshot: %s is not used: %s", self._saved.path, error)
            return None
        _ = keyset.digest
        age = self._saved.clock() - found.saved
        logger.warning(
            "the keys of %s are those saved %.0f s ago in %s, because no fetch of this process has"
            " succeeded yet",
            self.source,
            age,
            self._saved.path,
        )
        start = self._clock() - age
        lifetime = self._saved.max_age
        return Snapshot(keyset, start, start, None, found.jwks_uri, found.jwks, lifetime)

    def _get(
        self, url: str, etag: str | None, *, no_cache: bool, timeout: float
    ) -> Fetched | NotModified:
        try:
            return self._fetch(url, etag=etag, no_cache=no_cache, timeout=timeout)
        except FetchError as error:
            if error.status in (404, 410) and self._located is not None:
                self._located = self._located[0], NEVER  # ask again where the keys are
            raise self._named(error, url) from error

    def _named(self, error: FetchError, url: str) -> FetchError:
        """The error with the URL that failed, if the name of the source does not show it."""
        return error if self._jwks_uri is not None else error.at(shown_url(url, 256))

    def _locate(self, left: Callable[..., float], *, no_cache: bool) -> Located:
        if self._jwks_uri is not None:
            return Located(self._jwks_uri, "jwks_uri")
        remembered, read_at = self._located or (None, NEVER)
        if remembered is not None and self._clock() - read_at < REDISCOVER_AFTER:
            return remembered
        try:
            located = locate(
                self._issuer,
                fetch=self._fetch,
                # If only the metadata fails, half of the time remains for the keys.
                left=lambda: left(0.5 if remembered else 1.0),
                remembered=remembered,
                allow_http=self._allow_http,
                no_cache=no_cache,
            )
        except FetchError:
            if remembered is None:
                raise
            return remembered
        self._located = located._replace(document=None), self._clock()
        if remembered is None or remembered.jwks_uri != located.jwks_uri:
            where = source_name(located.jwks_uri)
            self._emit(KeysFound(self.source, where, located.found_by))
        return located


def source_name(url: str) -> str:
    """Return a URL for the log: without user-info, query and fragment."""
    return shown_url(url, 256)[1:-1]
