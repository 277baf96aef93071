"""What single providers do differently, and settings that do not do there what they say.

Answers to clients say none of it.
"""

import re
from collections.abc import Collection
from typing import Any
from typing import Final

#: https://docs.aws.amazon.com/cognito/latest/developerguide/
#: amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
_COGNITO: Final = re.compile(
    r"https://cognito-idp(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/[\w-]+"
)


def hint(issuer: str, *, audience: Collection[str], expected_claims: Collection[str]) -> str | None:
    """What to warn the operator of at start, as a sentence with its remedy; None if nothing.

    Amazon Cognito: an access token has ``client_id`` and no ``aud``, an ID token has ``aud``. With
    an audience the access token is refused and the ID token is accepted. There is no warning where
    ``token_use`` is among ``expected_claims``, the names whose values are compared: then ID tokens
    are refused, and access tokens of clients that ask for a resource (RFC 8707) do have ``aud``.
    """
    if not _COGNITO.fullmatch(issuer) or not audience or "token_use" in expected_claims:
        return None
    return (
        f"issuer: {issuer} is an Amazon Cognito user pool: its access tokens have client_id and no"
        " aud, so that audience fits its ID tokens; leave audience out and set"
        ' claims={"client_id": "…", "token_use": "access"}, or, where clients ask for a resource,'
        ' keep audience and set claims={"token_use": "access"}'
    )


def warning(own: Any) -> str | None:
    """As :func:`hint`, for settings as they are for one issuer."""
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
