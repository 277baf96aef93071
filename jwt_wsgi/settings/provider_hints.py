"""Warnings about settings that have an unexpected effect with some providers."""

import re
from collections.abc import Collection
from typing import Any
from typing import Final

#: https://docs.aws.amazon.com/cognito/latest/developerguide/
#: amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
_COGNITO: Final = re.compile(
    r"https://cognito-idp(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/[\w-]+"
)


#: https://www.keycloak.org/docs/latest/server_admin/#audience-support
_KEYCLOAK: Final = re.compile(r"https?://[^/]+(?:/[^/]+)*/realms/[^/]+")
_ENTRA_V2: Final = re.compile(r"https://login\.microsoftonline\.com/[0-9a-f-]{36}/v2\.0")


def hint(issuer: str, *, audience: Collection[str], expected_claims: Collection[str]) -> str | None:
    """A warning for the operator at start, with its remedy. None if there is none.

    Amazon Cognito: an access token has ``client_id`` and no ``aud``, an ID token has ``aud``. With
    an audience the access token is refused and the ID token is accepted. There is no warning where
    ``token_use`` is among ``expected_claims``, the names whose values are compared: then ID tokens
    are refused, and access tokens of clients that ask for a resource (RFC 8707) do have ``aud``.

    Keycloak writes ``account`` into the ``aud`` of nearly every token of a realm. Microsoft Entra
    ID writes the bare application ID into v2 tokens, and ``api://…`` only into v1 tokens.
    """
    if _COGNITO.fullmatch(issuer) and audience and "token_use" not in expected_claims:
        return (
            f"issuer: {issuer} is an Amazon Cognito user pool: its access tokens have client_id and"
            " no aud, so that audience fits its ID tokens; leave audience out and set"
            ' claims={"client_id": "…", "token_use": "access"}, or, where clients ask for a'
            ' resource, keep audience and set claims={"token_use": "access"}'
        )
    if _KEYCLOAK.fullmatch(issuer) and "account" in audience:
        return (
            f"issuer: {issuer} is a Keycloak realm, where account is not a name of your API: nearly"
            " every client of the realm has it; give the clients an audience mapper with this"
            " API's name, and set audience to that"
        )
    if (
        _ENTRA_V2.fullmatch(issuer)
        and audience
        and all(aud.startswith("api://") for aud in audience)
    ):
        return (
            f"issuer: {issuer} is Entra ID with v2 tokens: their aud is the application ID,"
            " without api://; set audience to that ID"
        )
    return None


def warning(own: Any) -> str | None:
    """As :func:`hint`, for the settings of one issuer."""
    audience, expected = own.accepted_audience, own.claims or ()
    return hint(own.issuers[0].identifier, audience=audience, expected_claims=expected)


#: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
_ENTRA: Final = re.compile(
    r"https://(?:sts\.windows\.net/([0-9a-f-]{36})/|"
    r"login\.microsoftonline\.com/([0-9a-f-]{36})/v2\.0)"
)


def entra_tenant(issuer: object) -> str:
    """The tenant of an issuer of Microsoft Entra ID, of either token version; empty for others."""
    found = _ENTRA.fullmatch(issuer) if isinstance(issuer, str) else None
    return found[found.lastindex or 0] if found else ""
