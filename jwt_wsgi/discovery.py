"""From an issuer's identifier to the URL of its keys (OIDC Discovery, RFC 8414)."""

from collections.abc import Callable
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import urlsplit

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc8414 import get_well_known_url

from . import jose
from .fetch import Fetch
from .fetch import Fetched
from .fetch import FetchError
from .fetch import check_url

#: The document is not here, as opposed to: the issuer is in trouble.
_ELSEWHERE: Final = frozenset({404, 405, 410})


class Located(NamedTuple):
    """Where the keys are, and how that was found out."""

    jwks_uri: str
    found_by: str
    #: The JWKS itself, if finding it was fetching it.
    document: Fetched | None = None


class NotHere(Exception):  # noqa: N818  # no error: the next place is tried
    """There is no such document at this place."""


def locate(
    issuer: str, *, fetch: Fetch, left: Callable[[], float], first: bool, allow_http: bool
) -> Located:
    """Find the JWKS of ``issuer`` with at most three GETs, in ``left()`` seconds altogether.

    ``first``: nothing was ever found, so a missing document means: try the next place. After
    that only the metadata that said so can move the keys. Raises :class:`FetchError`.
    """
    base = issuer.removesuffix("/")  # RFC 8414 section 3.1: the final slash goes first
    places: tuple[tuple[str, str], ...] = (
        ("OpenID Connect discovery", f"{base}/.well-known/openid-configuration"),
        ("RFC 8414 metadata", get_well_known_url(base, external=True)),
    )
    try:
        for found_by, url in places:
            try:
                document = _get(fetch, url, left)
                metadata = _metadata(document, first=first)
            except NotHere:
                continue
            return Located(_jwks_uri(metadata, issuer, allow_http=allow_http), found_by)
        keys = f"{base}/.well-known/jwks.json"
        return Located(keys, "convention", _get(fetch, keys, left))
    except NotHere as error:
        raise _unusable("no discovery document and no /.well-known/jwks.json") from error


def _get(fetch: Fetch, url: str, left: Callable[[], float]) -> Fetched:
    try:
        answer = fetch(url, etag=None, no_cache=False, timeout=left())
    except FetchError as error:
        if error.status in _ELSEWHERE:
            raise NotHere from error
        raise
    if not isinstance(answer, Fetched):
        raise _unusable("304 without a condition")
    return answer


def _metadata(document: Fetched, *, first: bool) -> dict[str, Any]:
    try:
        return jose.json_object(document.body)
    except ValueError as error:
        if first:  # a single-page app answers 200 with HTML for any path
            raise NotHere from error
        raise _unusable("the metadata is no JSON object") from error


def _jwks_uri(metadata: dict[str, Any], issuer: str, *, allow_http: bool) -> str:
    """Check what the metadata says before it is believed (RFC 8414 section 3.3)."""
    jwks_uri = metadata.get("jwks_uri")
    if metadata.get("issuer") != issuer:
        raise _unusable(f"the metadata is that of another issuer than {issuer!a}")
    if not isinstance(jwks_uri, str):
        raise _unusable("the metadata has no jwks_uri")
    if problem := check_url(jwks_uri, allow_http=allow_http):
        raise _unusable(f"the metadata's jwks_uri is not usable: {problem}")
    if urlsplit(issuer).scheme == "https":
        try:
            AuthorizationServerMetadata(metadata).validate_jwks_uri()
        except ValueError as error:
            raise _unusable("the metadata's jwks_uri is not https") from error
    return jwks_uri


def _unusable(why: str) -> FetchError:
    return FetchError("discovery", f"{why}; set jwks_uri to skip discovery")
