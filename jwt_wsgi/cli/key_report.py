"""Which keys of an issuer would be used, and why one is skipped.

Each key is judged by :class:`~jwt_wsgi.keys.KeySet` itself, and found by the functions that find
it for the middleware: what is told here is what happens there.
"""

import time
from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import urlsplit

from jwt_wsgi import assembly
from jwt_wsgi import jose
from jwt_wsgi.errors import printable
from jwt_wsgi.key_sources.discovery import Located
from jwt_wsgi.key_sources.discovery import locate
from jwt_wsgi.key_sources.fetch import Fetch
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.fetch import NotModified
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.settings.issuer import Issuer
from jwt_wsgi.settings.table import Settings
from jwt_wsgi.strict_json import json_object

from .thumbprint import thumbprint

#: A good key (RFC 8037 appendix A.2): beside it even a set of one bad key can be judged.
_GOOD: Final = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "kid": "the good one of key_report",
}

_MOST_ROWS: Final = 1024


class Row(NamedTuple):
    """One key: its members, escaped; ``reason`` says why it is skipped, empty if it is used."""

    kid: str
    kty: str = ""
    crv: str = ""
    alg: str = ""
    use: str = ""
    #: RFC 7638; for a key that has only a certificate that one's SHA-256.
    thumbprint: str = ""
    reason: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The keys of one issuer. ``problem`` (and its ``kind``) if there are none to be used."""

    issuer: str
    source: str
    found_by: str = ""
    rows: tuple[Row, ...] = ()
    kind: str = ""
    problem: str = ""
    #: What underlies ``problem``, of a library's making.
    cause: BaseException | None = None
    #: The issuer's clock, seconds since 1970, and ours when we read it.
    date: float | None = None
    asked: float = 0.0
    #: What was fetched, by its URL.
    documents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def used(self) -> tuple[Row, ...]:
        """The keys that verify tokens."""
        return tuple(row for row in self.rows if not row.reason)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "issuer": self.issuer,
            "source": self.source,
            "found_by": self.found_by,
            "problem": self.problem,
            "keys": [{**row._asdict(), "used": not row.reason} for row in self.rows],
        }


def report_of(settings: Settings, issuer: Issuer) -> Report:
    """Look at the keys of one issuer, wherever its settings say they are."""
    own, name = settings.for_issuer(issuer), issuer.identifier
    accepted = assembly.trusted(settings, issuer, emit=lambda _event: None).algorithms
    if own.secret is not None:
        return Report(name, "secret", rows=(Row("(any)", "oct"),))
    if own.jwks_file:
        return of_file(name, Path(own.jwks_file), accepted, own.jwks_max_keys)
    if (keyset := own.jwks or own.public_key) is not None:
        return Report(name, "jwks" if own.jwks else "public_key", rows=of_keyset(keyset, accepted))
    return of_url(name, own, assembly.fetcher(own), own.jwks_uri, accepted)


def of_url(
    name: str, own: Settings, fetch: Fetch, jwks_uri: str | None, accepted: Collection[str]
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
    found = of_document(name, recorder.last.body, accepted, own.jwks_max_keys)
    return Report(
        name,
        shown(located.jwks_uri),
        located.found_by,
        found.rows,
        found.kind,
        found.problem,
        date=recorder.last.date,
        asked=recorder.asked,
        documents=recorder.documents,
    )


class _Recorder:
    """A fetch function that keeps what it brought."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.documents: dict[str, bytes] = {}
        self.last = Fetched(b"", None, None)
        self.asked = 0.0

    def __call__(
        self, url: str, *, etag: str | None, no_cache: bool, timeout: float
    ) -> Fetched | NotModified:
        answer = self._fetch(url, etag=etag, no_cache=no_cache, timeout=timeout)
        if isinstance(answer, Fetched):
            self.last, self.asked = answer, time.time()
            self.documents[url] = answer.body
        return answer

    def failed(self, name: str, source: str, error: FetchError) -> Report:
        return Report(
            name,
            shown(source),
            kind=error.kind,
            problem=str(error),
            cause=error,
            date=self.last.date,
            asked=self.asked,
            documents=self.documents,
        )


def of_file(name: str, path: Path, accepted: Collection[str], max_keys: int = 1024) -> Report:
    """Read a JWKS, or one JWK, from a file."""
    try:
        body = path.read_bytes()
    except OSError as error:
        return Report(name, str(path), kind="file", problem=f"file: {error.strerror}")
    found = of_document(name, body, accepted, max_keys)
    return Report(name, str(path), "", found.rows, found.kind, found.problem)


def of_document(name: str, body: bytes, accepted: Collection[str], max_keys: int = 1024) -> Report:
    """Judge a whole document, and every key in it."""
    try:
        KeySet.parse(body, max_keys=max_keys)
    except DocumentError as error:
        return Report(name, "", "", _rows(body, accepted), "document", f"document: {error}")
    return Report(name, "", "", _rows(body, accepted))


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
    told = {name: _told(members.get(name)) for name in ("kid", "kty", "crv", "alg", "use")}
    dropped = KeySet.of({"keys": [_GOOD, jwk]}).unusable()
    reason = dropped[0].reason if dropped else _unfit(KeySet.of({"keys": [jwk]}), jwk, accepted)
    return Row(
        **told,
        thumbprint=thumbprint(members),
        reason=reason,
        private=any(drop.private for drop in dropped),
    )


def of_keyset(keyset: KeySet, accepted: Collection[str]) -> tuple[Row, ...]:
    """What is known of a set that is no document any more: inline, or one PEM key."""
    rows = []
    for kid in keyset.kids or (None,):
        named = {} if kid is None else {"kid": kid}
        found = [key for alg in jose.ALGORITHMS for key in keyset.find({**named, "alg": alg})]
        fits = any(keyset.find({**named, "alg": alg}) for alg in accepted)
        reason = "" if fits else _NO_ALGORITHM
        for kty, crv in dict.fromkeys((key.kty, key.crv) for key in found):
            rows.append(Row(_told(kid) or "(any)", kty, crv, reason=reason))
    skipped = (Row(d.kid, reason=d.reason, private=d.private) for d in keyset.unusable())
    return (*rows, *skipped)


_NO_ALGORITHM: Final = "it fits none of the accepted algorithms"


def _unfit(keyset: KeySet, jwk: Any, accepted: Collection[str]) -> str:
    named = {"kid": jwk["kid"]} if "kid" in jwk else {}
    fits = any(keyset.find({**named, "alg": alg}) for alg in accepted)
    return "" if fits else _NO_ALGORITHM


def shown(url: str) -> str:
    """A URL for people: what stands in its query may be a secret."""
    parts = urlsplit(url)
    return parts._replace(query="..." if parts.query else "", fragment="").geturl()


def _told(value: object) -> str:
    return "" if value is None else printable(value, 80)[1:-1]
