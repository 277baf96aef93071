"""From an issuer's identifier to the URL of its keys (OIDC Discovery, RFC 8414)."""

from collections.abc import Callable
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import urlsplit

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc8414 import get_well_known_url

from jwt_wsgi.strict_json import json_object
from jwt_wsgi.urls import check_url

from .failures import FetchError
from .fetch import Fetch
from .fetch import Fetched

#: The document is not here, as opposed to: the issuer is in trouble.
_ELSEWHERE: Final = frozenset({404, 405, 410})
CONVENTION: Final = "convention"
_REMEDY: Final = "set jwks_uri to skip discovery"


class Located(NamedTuple):
    """Where the keys are, and how that was found out."""

    jwks_uri: str
    found_by: str
    #: The JWKS itself, if finding it was fetching it.
    document: Fetched | None = None


class NotHere(Exception):  # noqa: N818  # no error: the next place is tried
    """There is no such document at this place."""


def places(issuer: str) -> dict[str, str]:
    """Where an issuer may say where its keys are, by name, in the order they are asked."""
    base = issuer.removesuffix("/")  # RFC 8414 section 3.1: the final slash goes first
    return {
        "OpenID Connect discovery": f"{base}/.well-known/openid-configuration",
        "RFC 8414 metadata": get_well_known_url(base, external=True),
        CONVENTION: f"{base}/.well-known/jwks.json",
    }


def locate(
    issuer: str,
    *,
    fetch: Fetch,
    left: Callable[[], float],
    remembered: Located | None = None,
    allow_http: bool = False,
    no_cache: bool = False,
) -> Located:
    """Find the JWKS of ``issuer`` with at most three GETs, in ``left()`` seconds altogether.

    Metadata that was ``remembered`` is the only place asked again, so that an outage cannot
    change where keys come from. Raises :class:`FetchError`.
    """
    asked = places(issuer)
    again = remembered is not None and remembered.found_by != CONVENTION
    if again and remembered is not None:
        asked = {remembered.found_by: asked[remembered.found_by]}
    for found_by, url in asked.items():
        try:
            document = _get(fetch, url, left, no_cache=no_cache)
            metadata = _object(document)
            if found_by == CONVENTION:
                return _convention(url, document, metadata)
            return Located(_jwks_uri(metadata, issuer, allow_http=allow_http), found_by)
        except NotHere:
            continue
    raise _unusable("the metadata is gone" if again else "no metadata and no jwks.json found")


def _get(fetch: Fetch, url: str, left: Callable[[], float], *, no_cache: bool) -> Fetched:
    try:
        answer = fetch(url, etag=None, no_cache=no_cache, timeout=left())
    except FetchError as error:
        if error.status in _ELSEWHERE:
            raise NotHere from error
        detail = f"{error.detail} in discovery; {_REMEDY}"
        raise FetchError(
            error.kind, detail, status=error.status, retry_after=error.retry_after
        ) from error
    if not isinstance(answer, Fetched):
        raise _unusable("status 304 without a condition")
    return answer


def _object(document: Fetched) -> dict[str, Any]:
    try:
        return json_object(document.body)
    except ValueError as error:  # a single-page app answers 200 with HTML for any path
        raise NotHere from error


def _convention(url: str, document: Fetched, jwks: dict[str, Any]) -> Located:
    if not isinstance(jwks.get("keys"), list):
        raise _unusable("there is no metadata, and jwks.json is no JWKS")
    return Located(url, CONVENTION, document)


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
        _check_https(metadata, jwks_uri)
    return jwks_uri


def _check_https(metadata: dict[str, Any], jwks_uri: str) -> None:
    # Authlib alone would let http pass where AUTHLIB_INSECURE_TRANSPORT is set.
    if urlsplit(jwks_uri).scheme != "https":
        raise _unusable("the metadata's jwks_uri is not https, the issuer is")
    try:
        AuthorizationServerMetadata(metadata).validate_issuer()
        AuthorizationServerMetadata(metadata).validate_jwks_uri()
    except ValueError as error:
        raise _unusable(f"the metadata is refused: {error}") from error


def _unusable(why: str) -> FetchError:
    return FetchError("discovery", f"{why}; {_REMEDY}")
