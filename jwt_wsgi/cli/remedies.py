"""The general remedies: for each code of a refusal, and for each kind of failed fetch.

The causes that can be recognised, with remedies of their own, are in ``explain_causes``.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from typing import NamedTuple

#: For each code of an :class:`~jwt_wsgi.errors.AuthError`.
REFUSAL_REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "token_missing": "Send the token in {place}; if the client does and the app sees none,"
        " a server or proxy in front removes it: jwt-wsgi doctor --url URL.",
        "header_malformed": "Send the token in {place}: one piece, without quotes.",
        "tokens_multiple": "Send the token in one place only: {place}.",
        "token_malformed": "Send the access token itself, a signed JWT of three parts; ask the"
        " issuer for JWT access tokens if yours are opaque or encrypted.",
        "token_type_not_allowed": "Send an access token, not another kind of JWT; if yours are"
        " marked like this, add the typ to JWT_WSGI_TOKEN_TYPES.",
        "algorithm_not_allowed": "Have the issuer sign with an accepted algorithm, or add this one"
        " to JWT_WSGI_ALGORITHMS if you mean to accept it.",
        "issuer_not_trusted": "Get the token from a configured issuer, or set JWT_WSGI_ISSUER to"
        " the token's iss, byte for byte, if you trust that issuer.",
        "key_not_found": "Look at jwt-wsgi keys: either the token is from another environment of"
        " the issuer, or the issuer does not publish this key (yet, or any more).",
        "signature_invalid": "Get a fresh token from the issuer itself; this one was changed, cut"
        " when it was copied, or signed by another issuer.",
        "token_expired": "Get a fresh token; if new ones are expired, too, correct the clocks"
        " (jwt-wsgi doctor compares them).",
        "token_not_yet_valid": "Wait, or correct the clocks: jwt-wsgi doctor compares this one"
        " with the issuer's.",
        "token_too_old": "Get a fresh token, or raise JWT_WSGI_MAX_TOKEN_AGE.",
        "audience_mismatch": "Ask the issuer for a token for this API, or set JWT_WSGI_AUDIENCE to"
        " the name of this API at that issuer.",
        "claim_missing": "Have the issuer add the claim to its tokens, or no longer require it.",
        "claim_invalid": "Use a token whose claim has an accepted value, or change the"
        " expected values (JWT_WSGI_CLAIMS).",
        "token_bound": "Let a proxy in front verify that the client holds the key (DPoP or mutual"
        " TLS), and set JWT_WSGI_BOUND_TOKENS=accept; or get an unbound token.",
        "token_revoked": "Log in again for a new token; jwt-wsgi revoke list shows what is"
        " revoked, and until when.",
        "keys_unavailable": "Make the issuer reachable from this machine: jwt-wsgi doctor shows"
        " why it is not.",
        "revocation_unavailable": "Make the store of JWT_WSGI_REVOCATION reachable from this"
        " machine; with its fail_open tokens are accepted meanwhile.",
        "temporarily_unavailable": "Look for the ERROR of the same minute in the log: it names the"
        " function of the application that failed, and the type of its error.",
        "key_not_known_yet": "Try again after the seconds of Retry-After: too many tokens named"
        " unknown keys lately, and jwt-wsgi keys shows which ones the issuer publishes.",
        "origin_not_allowed": "Add the page's origin, or the name that requests are sent to, to"
        " JWT_WSGI_ALLOWED_ORIGINS if you trust it; the log says which one it was.",
        "insufficient_scope": "Ask the issuer for a token with the scopes, or the role, that this"
        " request needs.",
        "insufficient_user_authentication": "Have the user log in again, as strongly and as"
        " recently as this request needs (RFC 9470).",
    }
)

#: For the codes of the app's own checks.
OF_THE_APP: Final = "Ask the authors of the check that refused it."

#: For each ``kind`` of a ``FetchError``, and of a document or file.
FETCH_REMEDIES: Final[Mapping[str, str]] = {
    "dns": "Look at the spelling of the host's name, and at this machine's DNS.",
    "connect": "No server accepts the connection: look at the address, firewalls and proxies.",
    "timeout": "It does not answer in time: look at firewalls and proxies; JWT_WSGI_JWKS_TIMEOUT"
    " is the time limit.",
    "tls": "Have the issuer's certificate replaced; for a CA of your own set JWT_WSGI_JWKS_TLS to"
    " its bundle.",
    "own": "The app's own key source fails: look at its log, and at the service that it uses.",
    "http": "Open the URL yourself; if the issuer's metadata is elsewhere, set JWT_WSGI_JWKS_URI.",
    "redirect": "Redirects are not followed: set JWT_WSGI_JWKS_URI to the final URL of the keys.",
    "too_big": "It is larger than any JWKS: check the URL.",
    "encoding": "Configure the server to compress only if the request allows it.",
    "broken": "The HTTP answer is incomplete or invalid: look at the address and at proxies.",
    "lost": "The fetch never ended: look at this machine's DNS, and whether threads run (uWSGI:"
    " --enable-threads).",
    "url": "Correct the URL; http is accepted for loopback only, or with JWT_WSGI_ALLOW_HTTP=true.",
    "discovery": "Set JWT_WSGI_JWKS_URI to the URL of the keys, if you know it.",
    "document": "Have the issuer publish a public signature key (jwt-wsgi keys lists them all).",
    "file": "Make the file readable for the user who runs this.",
}


class FetchCause(NamedTuple):
    """A cause of a failed fetch that its detail tells. ``pattern``: found in ``KIND: DETAIL``."""

    name: str
    pattern: str
    sentence: str
    remedy: str


#: The first row that fits is used, before :data:`FETCH_REMEDIES`.
FETCH_CAUSES: Final = (
    FetchCause(
        "slash in metadata",
        "^discovery: .* differs in its final slash only",
        "The issuer's own name, in its metadata, differs in its final slash.",
        "Set JWT_WSGI_ISSUER to that name, if it is the iss of your tokens.",
    ),
    FetchCause(
        "metadata of many tenants",
        "^discovery: .* a template for many tenants",
        "The metadata is for all tenants, and has a placeholder in the place of the issuer.",
        "Set JWT_WSGI_ISSUER to the iss of your tokens, which has the ID of one tenant.",
    ),
    FetchCause(
        "metadata of another",
        "^discovery: .* is that of .*; set issuer to",
        "The metadata at this URL is that of another issuer.",
        "Set JWT_WSGI_ISSUER to the iss of your tokens; if it is that already, set"
        " JWT_WSGI_JWKS_URI to the URL of the keys.",
    ),
    FetchCause(
        "web page",
        "^(discovery|document): .*(it is|but) an HTML page",
        "A web page is served in the place of metadata or keys: by a login, by an app, or by a"
        " proxy.",
        "Set JWT_WSGI_ISSUER to the iss of your tokens, not to the URL of a login page; or set"
        " JWT_WSGI_JWKS_URI to the URL of the keys.",
    ),
    FetchCause(
        "no public key",
        "^document: .*but an empty object",
        "The issuer publishes no key, as one does that signs with a shared secret (HS256).",
        "Set JWT_WSGI_JWKS_URI to the URL of the JWKS, if it is another one; otherwise have the"
        " issuer sign with a private key (RSA, EC).",
    ),
    FetchCause(
        "another document",
        "^document: .*it is not a JWKS but",
        "Another document is served in the place of the keys.",
        "Set JWT_WSGI_JWKS_URI to the URL of the JWKS: it is the jwks_uri in the issuer's"
        " metadata.",
    ),
    FetchCause(
        "credentials",
        r"^http: .*status 40[13]\b",
        "The server asks for credentials, or refuses those that were sent.",
        "Set JWT_WSGI_JWKS_HEADERS to credentials for this server (jwt-wsgi doctor shows the form);"
        " if the keys are public elsewhere, set JWT_WSGI_JWKS_URI.",
    ),
)


def fetch_remedy(kind: str, problem: str) -> str:
    """The remedy for a failed fetch. ``problem``: ``KIND: DETAIL``, as the log has it."""
    found = (row.remedy for row in FETCH_CAUSES if re.search(row.pattern, problem))
    return next(found, FETCH_REMEDIES.get(kind, ""))


def remedy(code: str) -> str:
    """The remedy. A code that is not in the table comes from a check of the app itself."""
    return REFUSAL_REMEDIES.get(code, OF_THE_APP)
