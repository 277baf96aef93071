"""Microsoft's: Entra ID in its two token versions, Azure AD B2C, AD FS."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .shape import Provider

_LEARN: Final = "https://learn.microsoft.com/en-us"
_TENANT: Final = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
_OTHER_TENANT: Final = "2c1f7a44-9d4e-4f0b-8b8e-0f5f5f5a7d10"
_APP: Final = "11112222-bbbb-3333-cccc-4444dddd5555"
_API: Final = "6731de76-14a6-49ae-97bc-6eba6914391e"
_OTHER_API: Final = "90c0fe63-bcf2-44d5-8fb7-b8bbc0b29dc6"
_MICROSOFT: Final = MappingProxyType({"tenant": _TENANT, "app": _APP, "api": _API})
_NOT_OURS: Final = MappingProxyType(
    {"tenant": {"tenant": _OTHER_TENANT}, "app": {"app": _OTHER_API, "api": _OTHER_API}}
)
_NO_SCOPE: Final = (
    "The API may log people in itself: the ID token then has the same aud and differs by having no"
    " scope only."
)

MICROSOFT: Final[Mapping[str, Provider]] = {
    "entra-v2": Provider(
        "Microsoft Entra ID, tokens of version 2.0",
        (
            f"{_LEARN}/entra/identity-platform/access-token-claims-reference",
            f"{_LEARN}/entra/identity-platform/id-token-claims-reference",
        ),
        "https://login.microsoftonline.com/{tenant}/v2.0",
        "https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys",
        {"issuer": "{issuer}", "audience": "{api}", "required_scopes": ["Orders.Read"]},
        _MICROSOFT,
        _NOT_OURS,
        access_token={
            "aud": "{api}",
            "nbf": "{now}",
            "aio": "AXQAi/8TAAAA",
            "azp": "{app}",
            "azpacr": "0",
            "name": "Ada Lovelace",
            "oid": "00000000-0000-0000-66f3-3332eca7ea81",
            "preferred_username": "ada@contoso.example",
            "rh": "0.AXQAEQ",
            "scp": "Orders.Read",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "tid": "{tenant}",
            "uti": "fqiBqXLPj0eQa82S",
            "ver": "2.0",
        },
        id_token={
            "aud": "{api}",
            "nbf": "{now}",
            "name": "Ada Lovelace",
            "nonce": "678910",
            "oid": "00000000-0000-0000-66f3-3332eca7ea81",
            "preferred_username": "ada@contoso.example",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "tid": "{tenant}",
            "ver": "2.0",
        },
        kid="nOo3ZDrODXEK1jKWhXslHR_Kt{number}E",
        jwk=("use", "x5t", "x5c", "issuer"),
        metadata={
            "token_endpoint": "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
            "cloud_instance_name": "microsoftonline.com",
        },
        checked="2026-11-28: access-token-claims-reference, id-token-claims-reference,"
        " access-tokens (header, aud, azp, scp, roles, ver, the metadata's place, issuer in JWKs)",
        note=f"{_NO_SCOPE} Apps without a user have roles instead of scp.",
    ),
    "entra-v1": Provider(
        "Microsoft Entra ID, tokens of version 1.0",
        (
            f"{_LEARN}/entra/identity-platform/access-token-claims-reference",
            f"{_LEARN}/entra/identity-platform/access-tokens",
        ),
        "https://sts.windows.net/{tenant}/",
        "https://login.microsoftonline.com/{tenant}/discovery/keys",
        {"issuer": "{issuer}", "audience": "api://{api}", "required_scopes": ["Orders.Read"]},
        _MICROSOFT,
        _NOT_OURS,
        access_token={
            "aud": "api://{api}",
            "nbf": "{now}",
            "acr": "1",
            "amr": ["pwd"],
            "appid": "{app}",
            "appidacr": "0",
            "ipaddr": "192.0.2.1",
            "name": "Ada Lovelace",
            "oid": "00000000-0000-0000-66f3-3332eca7ea81",
            "scp": "Orders.Read",
            "sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
            "tid": "{tenant}",
            "unique_name": "ada@contoso.example",
            "upn": "ada@contoso.example",
            "ver": "1.0",
        },
        id_token={
            "aud": "{app}",
            "nbf": "{now}",
            "amr": ["pwd"],
            "name": "Ada Lovelace",
            "nonce": "678910",
            "oid": "00000000-0000-0000-66f3-3332eca7ea81",
            "sub": "DUXpnLSgKzQ2l1xD2cAtNe8",
            "tid": "{tenant}",
            "ver": "1.0",
        },
        header={"typ": "JWT", "x5t": "{kid}"},
        kid="nOo3ZDrODXEK1jKWhXslHR_Kt{number}E",
        jwk=("use", "x5t", "x5c"),
        metadata_uri="{issuer}.well-known/openid-configuration",
        checked="2026-11-28: access-token-claims-reference, access-tokens (header with x5t, aud,"
        " appid, acr, ver; they name the metadata at login.microsoftonline.com only, and that it is"
        " at the issuer as well was seen in public programs)",
        note="An API gets tokens of this version unless its manifest asks for the other one.",
    ),
    "b2c": Provider(
        "Azure AD B2C",
        (
            f"{_LEARN}/azure/active-directory-b2c/tokens-overview",
            f"{_LEARN}/azure/active-directory-b2c/access-tokens",
        ),
        "https://{name}.b2clogin.com/{tenant}/v2.0/",
        "https://{name}.b2clogin.com/{name}.onmicrosoft.com/{policy}/discovery/v2.0/keys",
        {
            "issuer": "{issuer}",
            "jwks_uri": "{jwks_uri}",
            "audience": "{api}",
            "required_scopes": ["read"],
        },
        {**_MICROSOFT, "name": "contoso", "policy": "B2C_1_signupsignin1"},
        {**_NOT_OURS, "tenant": {"tenant": _OTHER_TENANT, "name": "fabrikam"}},
        access_token={
            "nbf": "{now}",
            "sub": "884408e1-2918-4cz0-b12d-3aa027d7563b",
            "aud": "{api}",
            "azp": "{app}",
            "tfp": "{policy}",
            "scp": "read",
            "ver": "1.0",
        },
        id_token={
            "nbf": "{now}",
            "sub": "884408e1-2918-4cz0-b12d-3aa027d7563b",
            "aud": "{api}",
            "tfp": "{policy}",
            "auth_time": "{now}",
            "nonce": "12345",
            "ver": "1.0",
        },
        kid="X5eXk4xyojNFum1kl2Ytv8dlNP4-c57dO6QGTVBwa{number}Q",
        jwk=("use", "nbf"),
        metadata_uri="https://{name}.b2clogin.com/{name}.onmicrosoft.com/{policy}/v2.0"
        "/.well-known/openid-configuration",
        checked="2026-11-28: tokens-overview (iss, aud, azp, tfp, scp, ver, header, places of the"
        " metadata and the keys)",
        note=f"Its metadata is below the user flow and not below the issuer: set jwks_uri."
        f" {_NO_SCOPE}",
    ),
    "adfs": Provider(
        "AD FS",
        (
            f"{_LEARN}/windows-server/identity/ad-fs/development/ad-fs-openid-connect-oauth-concepts",
            f"{_LEARN}/windows-server/identity/ad-fs/development/ad-fs-logout-openid-connect",
        ),
        "http://{tenant}/adfs/services/trust",
        "https://{tenant}/adfs/discovery/keys",
        {"issuer": "{issuer}", "jwks_uri": "{jwks_uri}", "audience": "{api}"},
        {"tenant": "fs.contoso.example", "app": _APP, "api": "https://orders.contoso.example"},
        {
            "tenant": {"tenant": "fs.fabrikam.example"},
            "app": {"app": _OTHER_API, "api": "https://bills.contoso.example"},
        },
        access_token={
            "aud": "{api}",
            "apptype": "Public",
            "appid": "{app}",
            "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
            "auth_time": "2026-11-27T10:00:00.000Z",
            "ver": "1.0",
            "scp": "openid",
        },
        id_token={
            "iss": "https://{tenant}/adfs",
            "aud": "{app}",
            "sub": "vtG+3ZvJ5wqP2C8RmS0nS1O7x8k=",
            "upn": "ada@contoso.example",
            "unique_name": "CONTOSO\\ada",
            "nonce": "678910",
        },
        header={"typ": "JWT", "x5t": "{kid}"},
        kid="jL4Ahn8B0zwkwVf0v2YMM_sDNz{number}",
        jwk=("use", "alg", "x5t", "x5c"),
        metadata_uri="https://{tenant}/adfs/.well-known/openid-configuration",
        metadata={"issuer": "https://{tenant}/adfs", "access_token_issuer": "{issuer}"},
        checked="2026-11-28: ad-fs-openid-connect-oauth-concepts (aud), ad-fs-logout-openid-connect"
        " (issuer, access_token_issuer, jwks_uri, RS256); no page of Microsoft lists the other"
        " claims of an access token (apptype, authmethod)",
        note="Access tokens have the access_token_issuer of its metadata, not the issuer: configure"
        " that one, which is http, with jwks_uri.",
    ),
}
