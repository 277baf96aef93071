"""From an issuer's identifier to the URL of its keys (OIDC Discovery, RFC 8414)."""

from collections.abc import Callable
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import urlsplit

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc8414 import get_well_known_url

from jwt_wsgi.errors import printable
from jwt_wsgi.strict_json import json_object
from jwt_wsgi.urls import check_url
from jwt_wsgi.urls import shown_url

from .document_kind import document_kind
from .failures import FetchError
from .fetch import Fetch
from .fetch import Fetched

#: The document is not at this URL. Other statuses mean that the issuer fails.
_ELSEWHERE: Final = frozenset({404, 405, 410})
#: A gateway or a login protects this URL. Another metadata URL may be public.
_NOT_FOR_US: Final = frozenset({400, 401, 403})
CONVENTION: Final = "convention"
_REMEDY: Final = "set jwks_uri to skip discovery"


class Located(NamedTuple):
    """The URL of the keys, and how it was found."""

    jwks_uri: str
    found_by: str
    #: The JWKS itself, if it was fetched while its URL was searched.
    document: Fetched | None = None


class NotHere(Exception):  # noqa: N818  # no error: the next place is tried
    """This URL has no metadata; ``why`` is the reason. ``refused``: the error of a refusal."""

    def __init__(self, why: str, refused: FetchError | None = None) -> None:
        super().__init__(why)
        self.why, self.refused = why, refused


def places(issuer: str) -> dict[str, str]:
    """The URLs where an issuer may publish its metadata or keys, by name, in order."""
    base = issuer.removesuffix("/")  # RFC 8414 section 3.1: the final slash is removed
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
    """Find the JWKS of ``issuer`` with at most three GETs, within ``left()`` seconds in all.

    If its metadata was found before (``remembered``), only that URL is fetched again, so that an
    outage cannot change where keys come from. Raises :class:`FetchError`.
    """
    asked, tried = places(issuer), []
    again = remembered is not None and remembered.found_by != CONVENTION
    if again and remembered is not None:
        asked = {remembered.found_by: asked[remembered.found_by]}
    refused: FetchError | None = None
    for found_by, url in asked.items():
        if found_by == CONVENTION and refused is not None:
            break  # a JWKS found by convention does not state its issuer
        try:
            first = remembered is None and found_by != CONVENTION
            document = _get(fetch, url, left, no_cache=no_cache, first=first)
            metadata = _object(document)
            if found_by == CONVENTION:
                return _convention(url, document, metadata)
            return Located(_jwks_uri(metadata, issuer, url, allow_http=allow_http), found_by)
        except NotHere as missing:
            tried.append(f"{_shown(url)}: {missing.why}")
            refused = refused or missing.refused
    nothing = "the metadata is gone" if again else "no metadata and no jwks.json found"
    if any(_UNREADABLE in place for place in tried):
        nothing = "the metadata is unreadable"
    kind, status = (refused.kind, refused.status) if refused else ("discovery", None)
    raise FetchError(kind, f"{nothing} ({'; '.join(tried)}); {_REMEDY}", status=status)


def _get(
    fetch: Fetch, url: str, left: Callable[[], float], *, no_cache: bool, first: bool
) -> Fetched:
    """GET one URL. ``first``: in the first search for metadata a refusal is not the end."""
    try:
        answer = fetch(url, etag=None, no_cache=no_cache, timeout=left())
    except FetchError as error:
        refuses = error.kind == "redirect" or error.status in _NOT_FOR_US
        if error.status in _ELSEWHERE or (refuses and first):
            raise NotHere(error.detail, error if refuses else None) from error
        raise error.at(_shown(url)) from error
    if not isinstance(answer, Fetched):
        why = "status 304 (not modified) to a request without If-None-Match"
        raise FetchError("http", why, status=304).at(_shown(url))
    return answer


#: What a message calls metadata that is not JSON.
_UNREADABLE: Final = "unreadable"


def _object(document: Fetched) -> dict[str, Any]:
    try:
        return json_object(document.body)
    except ValueError as error:  # a single-page app answers 200 with HTML for any path
        kind = document_kind(document.body)
        raise NotHere(f"it is {kind}" if kind else f"it is {_UNREADABLE}: {error}") from error


def _convention(url: str, document: Fetched, jwks: dict[str, Any]) -> Located:
    if not isinstance(jwks.get("keys"), list):
        kind = document_kind(document.body)
        what = f"is {kind}" if kind else "has no keys"
        raise _unusable(f"there is no metadata, and {_shown(url)} {what}, so it is not a JWKS")
    return Located(url, CONVENTION, document)


def _jwks_uri(metadata: dict[str, Any], issuer: str, url: str, *, allow_http: bool) -> str:
    """Return the metadata's ``jwks_uri`` after all checks (RFC 8414 section 3.3)."""
    jwks_uri = metadata.get("jwks_uri")
    if metadata.get("issuer") != issuer:
        raise FetchError("discovery", _other_issuer(metadata, issuer, url))
    if not isinstance(jwks_uri, str):
        raise _unusable(f"the metadata at {_shown(url)} has no jwks_uri")
    if problem := check_url(jwks_uri, allow_http=allow_http):
        raise _unusable(f"the jwks_uri of the metadata at {_shown(url)} is not usable: {problem}")
    if urlsplit(issuer).scheme == "https":
        _check_https(metadata, jwks_uri)
    return jwks_uri


def _other_issuer(metadata: dict[str, Any], issuer: str, url: str) -> str:
    """Describe the issuer that the metadata names, the known reasons for it, and the remedy."""
    named, signs = metadata.get("issuer"), metadata.get("access_token_issuer")
    if not isinstance(named, str):
        kind = "is an empty object" if not metadata else "names no issuer"
        return f"the metadata at {_shown(url)} {kind}; {_REMEDY}"
    why = f"the metadata at {_shown(url)} is that of {printable(named, 200)}"
    if "{" in named:
        return f"{why}, a template for many tenants: trust the issuer of one tenant"
    if isinstance(signs, str) and signs == issuer:
        name = printable(signs, 200)
        return f"{why} (AD FS), which signs access tokens in the name of {name}; {_REMEDY}"
    if named.rstrip("/") == issuer.rstrip("/"):
        return f"{why}, which differs in its final slash only: configure it as it is there"
    own = printable(issuer, 200)
    return f"{why}, not of {own}; set issuer to the iss of your tokens; if it is, set jwks_uri"


def _check_https(metadata: dict[str, Any], jwks_uri: str) -> None:
    # Authlib accepts http if AUTHLIB_INSECURE_TRANSPORT is set.
    if urlsplit(jwks_uri).scheme != "https":
        raise _unusable("the metadata's jwks_uri is not https, but the issuer is")
    try:
        AuthorizationServerMetadata(metadata).validate_issuer()
        AuthorizationServerMetadata(metadata).validate_jwks_uri()
    except ValueError as error:
        raise _unusable(f"the metadata is refused: {error}") from error


def _unusable(why: str) -> FetchError:
    return FetchError("discovery", f"{why}; {_REMEDY}")


def _shown(url: str) -> str:
    return shown_url(url, 256)
