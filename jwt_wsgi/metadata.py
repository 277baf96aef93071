"""How clients find the issuer: protected resource metadata (RFC 9728) as a small WSGI app.

The document is public: it names the authorization servers and the scopes, and needs no token. It
is not the metadata of an authorization server (RFC 8414).
"""

import json
import re
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from urllib.parse import unquote
from urllib.parse import unquote_to_bytes
from urllib.parse import urlsplit

from .errors import OFFLINE_ACCESS
from .urls import DEFAULT_PORTS
from .urls import check_url

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
MAX_AGE: Final = 3600  # seconds
METHODS: Final = "GET, HEAD, OPTIONS"
SCOPES: Final = "scopes_supported"
#: The members that follow from the settings of the middleware.
WRITTEN: Final = ("resource", "authorization_servers", "bearer_methods_supported")
#: Scripts of every origin may read it. The headers are those that MCP clients always send.
_CORS: Final = (("Access-Control-Allow-Origin", "*"),)
_PREFLIGHT: Final = (
    ("Access-Control-Allow-Methods", METHODS),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, MCP-Protocol-Version"),
)
# RFC 3986 section 2 without "*": an audience that ends in "/*" accepts every URL below it.
_CHARACTERS: Final = re.compile(r"(?:[A-Za-z0-9._~:/?@!$&'()+,;=\[\]-]|%[0-9A-Fa-f]{2})+")


def resource_problem(resource: str, *, allow_http: bool = False) -> str | None:
    """Say what is wrong with a resource identifier, and the remedy; None if nothing is.

    RFC 9728 section 1.2: an https URL without a fragment. ``allow_http``: http as well, also off
    loopback. Resources are compared as strings, so it must have the form that clients send.
    """
    if problem := check_url(resource, allow_http=allow_http):
        return problem
    if "#" in resource:
        return "a resource has no fragment (RFC 9728 section 1.2); leave # and what follows out"
    if not _CHARACTERS.fullmatch(resource):
        return "percent-encode what RFC 3986 does not allow in a URL, and *"
    if not _is_normal(resource):
        return (
            "clients would send it in another form than this, and no audience would match; give"
            " scheme and host in lower case, no default port, and no . or .. in the path"
        )
    return None


def _is_normal(resource: str) -> bool:
    """Whether URL libraries leave it as it is (RFC 3986 sections 6.2.2 and 6.2.3)."""
    parts = urlsplit(resource)
    return (
        resource.startswith(f"{parts.scheme}://{parts.netloc.lower()}")
        and parts.port != DEFAULT_PORTS[parts.scheme]
        and not parts.netloc.endswith(":")
        and not any(unquote(segment) in (".", "..") for segment in parts.path.split("/"))
    )


def metadata_url(resource: str) -> str:
    """Where the metadata of ``resource`` is: what ``resource_metadata`` says in a challenge.

    RFC 9728 section 3: the well-known string goes between the host and the path or query, after
    a slash that is all of the path was removed; any other slash at the end stays.
    """
    parts = urlsplit(resource)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{_path(resource)}{query}"


def paths(resource: str) -> frozenset[str]:
    """Each ``PATH_INFO`` (PEP 3333: percent-decoded, latin-1) that the metadata is served at.

    There are up to three: with the path of the resource; without it, which clients ask for next;
    and without the slash at its end, which some clients remove, as RFC 8414 asks.
    """
    path = unquote_to_bytes(_path(resource)).decode("latin-1")
    return frozenset({WELL_KNOWN, WELL_KNOWN + path, WELL_KNOWN + path.removesuffix("/")})


def audiences(resource: str) -> tuple[str, ...]:
    """Each ``aud`` that means ``resource``: an empty path and ``/`` mean the same.

    RFC 3986 section 6.2.3. URL objects of browsers, and so many clients, always write the slash.
    """
    origin = resource.removesuffix("/")
    only_origin = not urlsplit(resource).query and not _path(resource)
    return (origin, f"{origin}/") if only_origin else (resource,)


def _path(resource: str) -> str:
    path = urlsplit(resource).path
    return "" if path == "/" else path


class Metadata:
    """The metadata of one resource (RFC 9728 section 2) as a WSGI app, prepared once.

    ``url``: where clients find it. ``paths``: each ``PATH_INFO`` that it answers, before any rule
    is applied. ``scopes``: those that requests need. ``methods``: how a bearer token may be sent
    (RFC 6750 section 2). ``more``: other members; their scopes are published beside ``scopes``,
    and ``offline_access`` never. ``max_age``: seconds that a client may keep it.
    """

    def __init__(
        self,
        resource: str,
        *,
        issuers: Iterable[str],
        scopes: Collection[str] = (),
        methods: Collection[str] = ("header",),
        more: Mapping[str, Any] = MappingProxyType({}),
        max_age: int = MAX_AGE,
    ) -> None:
        #: Where clients find it.
        self.url = metadata_url(resource)
        #: Each ``PATH_INFO`` to send here, before any rule is asked.
        self.paths = paths(resource)
        #: The scopes that it names, sorted.
        self.scopes = sorted({*scopes, *more.get(SCOPES, ())} - {OFFLINE_ACCESS})
        members = {
            **more,
            "resource": resource,
            "authorization_servers": list(issuers),
            SCOPES: self.scopes,
            "bearer_methods_supported": list(methods),
        }
        #: The document. What would be empty is left out, as section 3.2 asks.
        self.document = {
            name: value for name, value in members.items() if value not in ("", [], ())
        }
        found = _json(self.document)
        refused = _json({"error": "Method not allowed"})
        allow, keep = ("Allow", METHODS), ("Cache-Control", f"public, max-age={max_age}")
        get = ("200 OK", (*_headers(found), keep), found)
        age = ("Access-Control-Max-Age", str(max_age))
        options = ("204 No Content", (allow, *_PREFLIGHT, age), b"")
        self._answers = {"GET": get, "HEAD": get, "OPTIONS": options}
        self._otherwise = ("405 Method Not Allowed", (*_headers(refused), allow), refused)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        """Answer one request (PEP 3333); neither its path nor its query is looked at."""
        method = environ["REQUEST_METHOD"]
        status, headers, body = self._answers.get(method, self._otherwise)
        start_response(status, [*headers, *_CORS])
        return [body] if body and method != "HEAD" else []


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _headers(body: bytes) -> tuple[tuple[str, str], ...]:
    return ("Content-Type", "application/json"), ("Content-Length", str(len(body)))
