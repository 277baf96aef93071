"""The general remedies: for each code of a refusal, and for each kind of failed fetch.

The causes that can be recognised, with remedies of their own, are in ``explain_causes``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: For each code of an :class:`~jwt_wsgi.errors.AuthError`.
REFUSAL_REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "token_missing": "Send the token in {place}; if the client does and the app sees none,"
        " something in front swallows it: jwt-wsgi doctor --url URL.",
        "header_malformed": "Send the token in {place}: one piece, without quotes.",
        "tokens_multiple": "Send the token in one place only: {place}.",
        "token_malformed": "Send the access token itself, a signed JWT of three parts; ask the"
        " issuer for JWT access tokens if yours are opaque or encrypted.",
        "token_type_not_allowed": "Send an access token, not another kind of JWT; if yours are"
        " marked like this, add the typ to JWT_WSGI_TOKEN_TYPES.",
        "algorithm_not_allowed": "Have the issuer sign with an accepted algorithm, or add this one"
        " to JWT_WSGI_ALGORITHMS if you mean to accept it.",
        "issuer_not_trusted": "Get the token from a configured issuer, or set JWT_WSGI_ISSUER to"
        " the token's iss, byte for byte, if you trust who that is.",
        "key_not_found": "Look at jwt-wsgi keys: either the token is of another environment of the"
        " issuer, or the issuer does not publish this key (yet, or any more).",
        "signature_invalid": "Get a fresh token from the issuer itself; this one was changed, cut"
        " when it was copied, or signed by somebody else.",
        "token_expired": "Get a fresh token; if a new one is expired at once, mend the clocks"
        " (jwt-wsgi doctor compares them).",
        "token_not_yet_valid": "Wait, or mend the clocks: jwt-wsgi doctor compares this machine's"
        " with the issuer's.",
        "token_too_old": "Get a fresh token, or raise JWT_WSGI_MAX_TOKEN_AGE.",
        "audience_mismatch": "Ask the issuer for a token for this API, or set JWT_WSGI_AUDIENCE to"
        " the value this API is known by there.",
        "claim_missing": "Have the issuer put the claim into its tokens, or no longer require it.",
        "claim_invalid": "Use a token whose claim has an accepted value, or change what is"
        " expected (JWT_WSGI_CLAIMS).",
        "token_bound": "The client must prove that it holds the key (DPoP or mutual TLS) to"
        " something in front, and then JWT_WSGI_BOUND_TOKENS=accept; or get an unbound token.",
        "token_revoked": "Log in again for a new token; jwt-wsgi revoke list shows what is"
        " revoked, and until when.",
        "keys_unavailable": "Make the issuer reachable from this machine: jwt-wsgi doctor tells"
        " what is in the way.",
        "revocation_unavailable": "Make the store of JWT_WSGI_REVOCATION reachable from this"
        " machine; with its fail_open tokens pass meanwhile.",
        "temporarily_unavailable": "Look for the ERROR of the same minute in the log: it names the"
        " function of the application that failed, and the type of its error.",
        "key_not_known_yet": "Try again after the seconds of Retry-After: too many tokens named"
        " unknown keys lately, and jwt-wsgi keys shows which ones the issuer publishes.",
        "insufficient_scope": "Ask the issuer for a token with the scopes, or the role, that this"
        " request needs.",
        "insufficient_user_authentication": "Have the user log in again, as strongly and as"
        " recently as this request needs (RFC 9470).",
    }
)

#: For each ``kind`` of a ``FetchError``, and of a document or file.
FETCH_REMEDIES: Final[Mapping[str, str]] = {
    "dns": "The host has no address here: look at its name, and at this machine's DNS.",
    "connect": "Nobody listens there: look at the address, firewalls and proxies.",
    "timeout": "It does not answer in time: look at firewalls and proxies; JWT_WSGI_JWKS_TIMEOUT"
    " says how long is waited.",
    "tls": "Have the issuer's certificate mended; for a CA of your own set JWT_WSGI_JWKS_TLS to"
    " its bundle.",
    "own": "The app's own key source fails: look at what it asks, and at its log.",
    "http": "Open the URL yourself; if the issuer's metadata is elsewhere, set JWT_WSGI_JWKS_URI.",
    "redirect": "Redirects are not followed: set JWT_WSGI_JWKS_URI to where the keys are.",
    "too_big": "It is larger than any JWKS; look whether the URL is the right one.",
    "encoding": "Have the server answer uncompressed where nothing else is asked for.",
    "broken": "It does not speak HTTP to the end: look at its address and at proxies in between.",
    "lost": "The fetch never ended: look at this machine's DNS, and whether threads run (uWSGI:"
    " --enable-threads).",
    "url": "Mend the URL; http off loopback needs JWT_WSGI_ALLOW_HTTP=true.",
    "discovery": "Set JWT_WSGI_JWKS_URI to where the keys are, if you know it.",
    "document": "Have the issuer publish a public signature key (jwt-wsgi keys lists them all).",
    "file": "Make the file readable for the user who runs this.",
}


def remedy(code: str) -> str:
    """What to do. A code that is not in the table is that of a check of the app's own."""
    return REFUSAL_REMEDIES.get(code, "Ask whoever wrote the check that refused it.")
