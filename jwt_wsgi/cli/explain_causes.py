"""The table of recognised causes of refusals, each with a sentence and a remedy.

The first row of a code that applies is the cause. The last row of each code applies always and has
the code's general remedy. The middleware's answers to clients say none of this.
"""

from typing import Final

from jwt_wsgi import jose
from jwt_wsgi.trusted_issuer import OTHER_KINDS
from jwt_wsgi.trusted_issuer import media_type

from .explain_causes_of_keys import CAUSES_OF_KEYS
from .explain_causes_of_sending import CAUSES_OF_SENDING
from .explain_causes_of_sending import ODD_PATH
from .explain_facts import Case
from .explain_recognition import Cause
from .explain_recognition import always
from .explain_recognition import aud_without
from .explain_recognition import bare_app
from .explain_recognition import detail_starts
from .explain_recognition import has_cnf
from .explain_recognition import has_commas_in_scope
from .explain_recognition import has_no_scope
from .explain_recognition import header_is
from .explain_recognition import is_cut_signature
from .explain_recognition import is_der
from .explain_recognition import is_firebase_custom
from .explain_recognition import is_for_graph
from .explain_recognition import is_for_keycloak_account
from .explain_recognition import is_granted_in
from .explain_recognition import is_number_for_text
from .explain_recognition import is_odd_path
from .explain_recognition import is_of_cognito
from .explain_recognition import is_of_okta_org
from .explain_recognition import is_other_entra_version
from .explain_recognition import iss_without
from .explain_recognition import without_default_port
from .remedies import REFUSAL_REMEDIES
from .remedies import remedy

_NUMBER: Final = (
    "It is a number where a text is expected, or the other way round: in JSON 42 and '42' differ.",
    'Expect it as the token has it: as JSON, JWT_WSGI_CLAIMS={"org": [42]} or ["42"].',
)

CAUSES: Final = (
    *CAUSES_OF_SENDING,
    Cause(
        "issuer_not_trusted",
        "nothing configured",
        lambda case: getattr(case.settings.issuer, "function", None) is no_issuer,
        "No issuer is configured here, so the token is only decoded.",
        "Set JWT_WSGI_ISSUER (or give --issuer or --app) to have it verified.",
    ),
    Cause(
        "issuer_not_trusted",
        "iss no text",
        lambda case: not isinstance(case.claim("iss"), str | None),
        "The token's iss is not a string, so it names no issuer.",
        "Have the issuer write its identifier as a string (RFC 7519 section 4.1.1).",
    ),
    Cause(
        "issuer_not_trusted",
        "no iss",
        lambda case: case.claim("iss") is None,
        "The token has no iss, so its issuer is unknown.",
        "Configure the issuer to add iss to its tokens.",
    ),
    Cause(
        "issuer_not_trusted",
        "slash",
        iss_without(lambda iss: iss.rstrip("/")),
        "The token's iss differs in its final slash only.",
        "Set JWT_WSGI_ISSUER to the token's iss, with or without the slash as it is there.",
    ),
    Cause(
        "issuer_not_trusted",
        "case",
        iss_without(str.lower),
        "The token's iss differs in upper and lower case only.",
        "Set JWT_WSGI_ISSUER to the token's iss, byte for byte; if its host has upper case, set"
        " JWT_WSGI_JWKS_URI as well.",
    ),
    Cause(
        "issuer_not_trusted",
        "scheme",
        iss_without(lambda iss: iss.partition("://")[2]),
        "The token's iss differs in http and https only.",
        "Configure the issuer with its public URL (behind a TLS proxy: its hostname setting).",
    ),
    Cause(
        "issuer_not_trusted",
        "no scheme",
        iss_without(lambda iss: iss.removeprefix("https://")),
        "The token's iss is the configured one without https://, as some tokens of Google have it.",
        "Set JWT_WSGI_ISSUER to the token's iss as it is, and JWT_WSGI_JWKS_URI to the URL of the"
        " keys.",
    ),
    Cause(
        "issuer_not_trusted",
        "port",
        iss_without(without_default_port),
        "The token's iss differs in the default port only (443 for https, 80 for http).",
        "Set JWT_WSGI_ISSUER to the token's iss, with or without the port as it is there.",
    ),
    Cause(
        "issuer_not_trusted",
        "Entra version",
        is_other_entra_version,
        "It is a token of the same Entra tenant in its other version (v1: sts.windows.net, v2:"
        " login.microsoftonline.com/TENANT/v2.0).",
        "Set requestedAccessTokenVersion in the API's manifest to 2, or trust the iss that the"
        " token has.",
    ),
    Cause(
        "issuer_not_trusted",
        "Okta org",
        is_of_okta_org,
        "It is of Okta's org authorization server, whose access tokens are for Okta only.",
        "Have the client ask the configured authorization server; do not trust the other one.",
    ),
    Cause(
        "issuer_not_trusted",
        "Firebase custom token",
        is_firebase_custom,
        "It is a custom token of Firebase, with which an app signs in to get an ID token.",
        "Have the app sign in with it (signInWithCustomToken) and send the ID token.",
    ),
    Cause(
        "issuer_not_trusted",
        "AD FS",
        lambda case: str(case.claim("iss")).rstrip("/").endswith("/adfs/services/trust"),
        "AD FS signs access tokens in the name of its access_token_issuer, not of its issuer.",
        "Set JWT_WSGI_ISSUER to the token's iss, and JWT_WSGI_JWKS_URI to"
        " https://HOST/adfs/discovery/keys.",
    ),
    Cause(
        "algorithm_not_allowed",
        "none",
        lambda case: str(case.header("alg")).lower() == "none",
        "The token is not signed: anyone can write one.",
        "Have the issuer sign its tokens; an unsigned one is never accepted.",
    ),
    Cause(
        "algorithm_not_allowed",
        "shared secret",
        header_is("alg", *jose.SECRET_SIZES),
        "It is signed with a secret that issuer and API share, not with a private key.",
        "Have the issuer sign with RS256, ES256 or EdDSA; JWT_WSGI_SECRET is for a secret that you"
        " share with it.",
    ),
    Cause(
        "algorithm_not_allowed",
        "opt-in",
        lambda case: case.header("alg") in jose.ALGORITHMS and not case.settings.algorithms,
        "The algorithm is known, and accepted only where the settings name it.",
        "Set JWT_WSGI_ALGORITHMS to the one that the issuer uses.",
    ),
    Cause(
        "token_type_not_allowed",
        "another kind",
        lambda case: media_type(str(case.header("typ"))) in OTHER_KINDS,
        "Its typ says that it is another kind of JWT, not an access token.",
        "Send an access token.",
    ),
    Cause(
        "token_type_not_allowed",
        "not marked",
        lambda case: media_type(str(case.header("typ") or "JWT")) == "jwt",
        "The token is not marked as an access token (typ at+jwt, RFC 9068).",
        "Have the issuer mark its access tokens, or leave out JWT_WSGI_TOKEN_TYPES; an ID token"
        " may look the same.",
    ),
    Cause(
        "audience_mismatch",
        "Cognito",
        is_of_cognito,
        "Amazon Cognito's access tokens have client_id and no aud; the audience fits ID tokens.",
        'Leave out JWT_WSGI_AUDIENCE and set JWT_WSGI_CLAIMS={"client_id": "CLIENT",'
        ' "token_use": "access"}.',
    ),
    Cause(
        "audience_mismatch",
        "Keycloak account",
        is_for_keycloak_account,
        "Keycloak writes aud account unless the client's scopes have an audience mapper.",
        "Add an Audience mapper with this API's name to a client scope of the client, and set"
        " JWT_WSGI_AUDIENCE to that name; not to account, which every client of the realm has.",
    ),
    Cause(
        "audience_mismatch",
        "Microsoft Graph",
        is_for_graph,
        "The token was issued for Microsoft Graph.",
        "Have the client ask for a scope of this API: api://APP-ID/SCOPE or api://APP-ID/.default.",
    ),
    Cause(
        "audience_mismatch",
        "Entra",
        aud_without(bare_app),
        "It is the same app: in Entra's v1 tokens aud is api://APP-ID or APP-ID, as the client"
        " asked; in its v2 tokens it is APP-ID.",
        "Set JWT_WSGI_AUDIENCE to what the token has, or to both with a comma.",
    ),
    Cause(
        "audience_mismatch",
        "slash",
        aud_without(lambda aud: aud.rstrip("/").lower()),
        "The token's aud differs in its final slash or in upper and lower case only.",
        "Set JWT_WSGI_AUDIENCE to the token's aud, byte for byte.",
    ),
    Cause(
        "audience_mismatch",
        "no text",
        detail_starts("aud is not a string"),
        "The token's aud is a number or something else that names no API.",
        "Have the issuer write aud as a string or a list of strings (RFC 7519 section 4.1.3).",
    ),
    Cause(
        "audience_mismatch",
        "not configured",
        lambda case: not case.settings.accepted_audience,
        "No audience is configured.",
        "Set JWT_WSGI_AUDIENCE to the token's aud if that is this API's name at the issuer.",
    ),
    Cause(
        "audience_mismatch",
        "no aud",
        lambda case: case.claim("aud") in (None, []),
        "The token has no aud, so it names no API.",
        "Have the issuer put this API into aud (a parameter resource or audience, or a mapper).",
    ),
    Cause(
        "claim_missing",
        "exp",
        detail_starts("exp is missing"),
        "The token has no exp, so it would never expire.",
        "Have the issuer set exp; a token without an end is never accepted.",
    ),
    Cause(
        "claim_missing",
        "iat",
        detail_starts("iat is missing"),
        "The token does not say when it was issued, and max_token_age asks for it.",
        "Have the issuer set iat, or leave out JWT_WSGI_MAX_TOKEN_AGE.",
    ),
    Cause(
        "claim_invalid",
        "no text",
        lambda case: case.error.detail in ("sub is not a string", "jti is not a string"),
        "sub and jti are texts (RFC 7519 section 4.1); the token has a number or something else.",
        'Have the issuer write "42" instead of 42.',
    ),
    Cause(
        "claim_invalid",
        "milliseconds",
        lambda case: "are these milliseconds" in case.error.detail,
        "The token's times are in milliseconds.",
        "Have the issuer write seconds since 1970 (RFC 7519 section 2).",
    ),
    Cause(
        "claim_invalid",
        "no time",
        lambda case: case.error.detail.endswith("is not a number of seconds"),
        "A time in the token is not a number, for instance a text.",
        "Have the issuer write seconds since 1970 as a number (RFC 7519 section 2).",
    ),
    Cause(
        "claim_invalid",
        "two readings",
        lambda case: case.error.detail.endswith("can be read in two ways"),
        "A dotted name in the settings leads to two values of this token.",
        "Name the claim by a list, which is exact; as text it is a JSON array:"
        ' JWT_WSGI_CLAIMS=["own", "example.com/roles"]=admin.',
    ),
    Cause("claim_invalid", "number", is_number_for_text, *_NUMBER),
    Cause(
        "claim_invalid",
        "control characters",
        lambda case: "control characters" in case.error.detail,
        "A claim that becomes a header holds characters that no header can have.",
        "Leave the claim out of JWT_WSGI_CLAIM_HEADERS, or have the issuer write it without them.",
    ),
    Cause(
        "signature_invalid",
        "Microsoft Graph",
        header_is("nonce"),
        "Its header has nonce: it is a token for Microsoft Graph, which only Graph can verify.",
        "Have the client ask for a token for this API: scope api://APP-ID/.default.",
    ),
    Cause(
        "signature_invalid",
        "cut",
        is_cut_signature,
        "The signature is missing or shorter than its algorithm's: the token was cut.",
        "Copy the whole token, to the end of its third part.",
    ),
    Cause(
        "signature_invalid",
        "DER",
        is_der,
        "The ECDSA signature is in ASN.1 (DER), as OpenSSL and KMS write it; a JWT has R and S.",
        "Have the issuer convert it (RFC 7518 section 3.4).",
    ),
    Cause(
        "token_bound",
        "DPoP",
        has_cnf("jkt"),
        "It is bound to a key of the client (DPoP, RFC 9449).",
    ),
    Cause(
        "token_bound",
        "mutual TLS",
        has_cnf("x5t#S256"),
        "It is bound to a certificate of the client (mutual TLS, RFC 8705).",
    ),
    *CAUSES_OF_KEYS,
    Cause("insufficient_scope", "path", is_odd_path, *ODD_PATH),
    Cause(
        "insufficient_scope",
        "permissions",
        is_granted_in("permissions"),
        "The required scope is in permissions, as Auth0 writes it with RBAC, not in scope.",
        'Ask for it as a claim: the rule {"path": "/*", "claims": {"permissions": ["read:x"]}}.',
    ),
    Cause(
        "insufficient_scope",
        "roles",
        is_granted_in("roles"),
        "The required scope is in roles, as Entra writes it for apps without a user, not in scp.",
        'Ask for it as a claim: the rule {"path": "/*", "claims": {"roles": ["Read.All"]}}.',
    ),
    Cause(
        "insufficient_scope",
        "commas",
        has_commas_in_scope,
        "The scopes are separated by commas; RFC 8693 section 4.2 has spaces.",
        "Have the issuer separate them by spaces, or write a list.",
    ),
    Cause("insufficient_scope", "number", is_number_for_text, *_NUMBER),
    Cause(
        "insufficient_scope",
        "no scope",
        has_no_scope,
        "The token has no scope at all.",
        "Have the client ask the issuer for the scopes that the rule needs.",
    ),
    Cause(
        "insufficient_user_authentication",
        "no acr",
        lambda case: bool(case.rule.acr_values) and case.claim("acr") is None,
        "The token does not say how the user logged in.",
        "Have the client ask with acr_values, and the issuer put acr into access tokens.",
    ),
    Cause(
        "insufficient_user_authentication",
        "no auth_time",
        lambda case: case.rule.max_age is not None and case.claim("auth_time") is None,
        "The token does not say when the user logged in.",
        "Have the issuer put auth_time into access tokens.",
    ),
    *(Cause(code, "", always) for code in REFUSAL_REMEDIES),
)


def no_issuer(_iss: str) -> None:
    """The option ``issuer`` of ``explain`` where nothing is configured: no issuer is trusted."""


def cause_of(case: Case) -> Cause:
    """The first row of the case's code that applies."""
    rows = [row for row in CAUSES if row.code == case.error.code]
    return next((row for row in rows if row.applies(case)), Cause(case.error.code, "", always))


def remedy_of(cause: Cause, case: Case) -> str:
    """What to do, with the place where the app looks for a token."""
    text = cause.remedy or remedy(cause.code)
    return text.replace("{place}", " or ".join(map(_place, case.settings.token_from)))


def _place(spec: str) -> str:
    kind, _, name = spec.partition(":")
    if kind == "cookie":
        return f"the cookie {name}=TOKEN"
    return f"the header {name}: TOKEN" if name else "the header Authorization: Bearer TOKEN"
