"""Which keys of an issuer would be used, and why one is skipped.

Each key is judged by :class:`~jwt_wsgi.keys.KeySet` itself, and found by the functions that find
it for the middleware, so both come to the same result.
"""

import time
from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Final
from typing import NamedTuple

from jwt_wsgi import assembly
from jwt_wsgi import jose
from jwt_wsgi.errors import printable
from jwt_wsgi.key_sources.arrival import fits_any
from jwt_wsgi.key_sources.discovery import Located
from jwt_wsgi.key_sources.discovery import locate
from jwt_wsgi.key_sources.failures import FetchError
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import HTTPFetch
from jwt_wsgi.key_sources.fetch import NotModified
from jwt_wsgi.key_sources.file import FileKeys
from jwt_wsgi.keys import MAX_KEYS
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.strict_json import json_object
from jwt_wsgi.urls import shown_url

from .thumbprint import thumbprint

#: A valid key (RFC 8037 appendix A.2). It is added to each key that is judged, because a set needs
#: one valid key.
_GOOD: Final = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "kid": "the good one of key_report",
}

_MOST_ROWS: Final = MAX_KEYS


class Row(NamedTuple):
    """One key: its members, escaped; ``reason`` says why it is skipped, empty if it is used."""

    kid: str
    kty: str = ""
    crv: str = ""
    alg: str = ""
    use: str = ""
    #: RFC 7638. For a key that is only a certificate: the SHA-256 of that.
    thumbprint: str = ""
    reason: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The keys of one issuer. ``problem`` and its ``kind``: why no key can be used."""

    issuer: str
    source: str
    found_by: str = ""
    rows: tuple[Row, ...] = ()
    #: False: the source is called for each token, so its keys are not known before.
    listed: bool = True
    kind: str = ""
    problem: str = ""
    #: The error of a library that caused ``problem``.
    cause: BaseException | None = None
    #: The issuer's clock, seconds since 1970, and ours when we read it.
    date: float | None = None
    asked: float = 0.0
    #: A URL of another origin, to which the configured headers and certificate are not sent.
    withheld: str = ""
    #: The fetched documents, by URL.
    documents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def used(self) -> tuple[Row, ...]:
        """The keys that verify tokens."""
        return tuple(row for row in self.rows if not row.reason)

    @property
    def usable(self) -> bool:
        """Whether tokens can be verified, as far as that is known."""
        return not self.problem and (bool(self.used) or not self.listed)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "issuer": self.issuer,
            "source": self.source,
            "found_by": self.found_by,
            "problem": self.problem,
            "listed": self.listed,
            "keys": [{**row._asdict(), "used": not row.reason} for row in self.rows],
        }


def report_of(own: Settings) -> Report:
    """Report the keys of one issuer from the source that the middleware uses.

    ``own``: the settings as they are for the issuer.
    """
    (issuer,) = own.issuers
    name, accepted = issuer.identifier, assembly.accepted_algorithms(own)
    option, source = assembly.key_source(own, lambda _event: None)
    if option == "keys":
        return _of_source(name, source, own.jwks_timeout, accepted)
    if option == "secret":
        return Report(name, option, rows=(Row("(any)", "oct"),))
    if isinstance(source, FileKeys):
        return of_file(name, source.path, accepted)
    if isinstance(source, KeySet):
        return Report(name, option, rows=of_keyset(source, accepted))
    return of_url(name, own, assembly.fetcher(own), own.jwks_uri, accepted)


def _of_source(name: str, source: Any, timeout: float, accepted: Collection[str]) -> Report:
    """Report the keys that a key source of the app lists, if it lists any."""
    shown_source = f"keys ({type(source).__module__}.{type(source).__qualname__})"
    try:
        if hasattr(source, "warm_up"):
            source.warm_up(timeout)
        keyset = source.current() if hasattr(source, "current") else None
    except Exception as error:  # the app's own, of whatever kind; its text may hold anything
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        return Report(name, shown_source, kind="own", problem=f"own: it raised {kind}")
    if not isinstance(keyset, KeySet):
        return Report(name, shown_source, listed=False)
    return Report(name, shown_source, rows=of_keyset(keyset, accepted))


def of_url(
    name: str, own: Settings, fetch: HTTPFetch, jwks_uri: str | None, accepted: Collection[str]
) -> Report:
    """Ask the issuer: discovery, unless ``jwks_uri`` is known, and the JWKS."""
    began, recorder = time.monotonic(), _Recorder(fetch)

    def left() -> float:
        return max(0.05, began + own.jwks_timeout - time.monotonic())

    try:
        located = Located(jwks_uri, "jwks_uri") if jwks_uri else None
        located = located or locate(name, fetch=recorder, left=left, allow_http=own.allow_http)
        recorder(located.jwks_uri, etag=None, no_cache=True, timeout=left())
    except FetchError as error:
        return recorder.failed(name, jwks_uri or name, error)
    found = of_document(name, recorder.last.body, accepted)
    return replace(
        found,
        source=shown_url(located.jwks_uri, 256)[1:-1],
        found_by=located.found_by,
        date=recorder.last.date,
        asked=recorder.asked,
        withheld=recorder.withheld,
        documents=recorder.documents,
    )


class _Recorder:
    """A fetch function that keeps the documents."""

    def __init__(self, fetch: HTTPFetch) -> None:
        self._fetch = fetch
        self.withheld = ""
        self.documents: dict[str, bytes] = {}
        self.last = Fetched(b"", None, None)
        self.asked = 0.0

    def __call__(
        self, url: str, *, etag: str | None, no_cache: bool, timeout: float
    ) -> Fetched | NotModified:
        if self._fetch.withholds(url):
            self.withheld = url
        answer = self._fetch(url, etag=etag, no_cache=no_cache, timeout=timeout)
        if isinstance(answer, Fetched):
            self.last, self.asked = answer, time.time()
            self.documents[url] = answer.body
        return answer

    def failed(self, name: str, source: str, error: FetchError) -> Report:
        return Report(
            name,
            shown_url(source, 256)[1:-1],
            kind=error.kind,
            problem=str(error),
            cause=error,
            date=self.last.date,
            asked=self.asked,
            withheld=self.withheld,
            documents=self.documents,
        )


def of_file(name: str, path: Path, accepted: Collection[str]) -> Report:
    """Read a JWKS, or one JWK, from a file."""
    try:
        body = path.read_bytes()
    except OSError as error:
        return Report(name, str(path), kind="file", problem=f"file: {error.strerror}")
    return replace(of_document(name, body, accepted), source=str(path))


def of_document(name: str, body: bytes, accepted: Collection[str]) -> Report:
    """Judge a whole document, and every key in it."""
    try:
        KeySet.parse(body)
    except DocumentError as error:
        rows = _rows(body, accepted)
        return Report(name, "", rows=rows, kind="document", problem=f"document: {error}")
    return Report(name, "", rows=_rows(body, accepted))


def _rows(body: bytes, accepted: Collection[str]) -> tuple[Row, ...]:
    try:
        listed = json_object(body).get("keys")
    except ValueError:
        listed = None
    members = listed[:_MOST_ROWS] if isinstance(listed, list) else ()
    return tuple(row_of(jwk, accepted) for jwk in members)


def row_of(jwk: object, accepted: Collection[str]) -> Row:
    """Judge one member of a JWKS."""
    members = jwk if isinstance(jwk, Mapping) else {}
    shown = {name: _shown(members.get(name)) for name in ("kid", "kty", "crv", "alg", "use")}
    dropped = KeySet.of({"keys": [_GOOD, jwk]}).unusable()
    fits = dropped or fits_any(KeySet.of({"keys": [jwk]}), accepted)
    reason = dropped[0].reason if dropped else "" if fits else NO_ALGORITHM
    return Row(
        **shown,
        thumbprint=thumbprint(members),
        reason=reason,
        private=any(drop.private for drop in dropped),
    )


def of_keyset(keyset: KeySet, accepted: Collection[str]) -> tuple[Row, ...]:
    """Report a set that was parsed before: inline, or one PEM key."""
    rows = []
    for kid in keyset.kids or (None,):
        named = {} if kid is None else {"kid": kid}
        found = [key for alg in jose.ALGORITHMS for key in keyset.candidates({**named, "alg": alg})]
        fitting = [key for alg in accepted for key in keyset.candidates({**named, "alg": alg})]
        fits = any(jose.permitted(key, accepted) for key in fitting)
        reason = "" if fits else NO_ALGORITHM
        for kty, crv in dict.fromkeys((key.kty, key.crv) for key in found):
            rows.append(Row(_shown(kid) or "(any)", kty, crv, reason=reason))
    skipped = (Row(d.kid, reason=d.reason, private=d.private) for d in keyset.unusable())
    return (*rows, *skipped)


NO_ALGORITHM: Final = "it fits none of the accepted algorithms"


def _shown(value: object) -> str:
    return "" if value is None else printable(value, 80)[1:-1]
