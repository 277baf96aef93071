"""What the operator is warned of at start, because one provider does it differently."""

import pytest
from werkzeug.test import Client

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.settings.provider_hints import entra_tenant
from jwt_wsgi.settings.provider_hints import hint
from jwt_wsgi.testing import FakeIssuer

POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123"


@pytest.mark.parametrize(
    "issuer",
    [
        POOL,
        "https://cognito-idp-fips.us-gov-west-1.amazonaws.com/us-gov-west-1_AbC",
        "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbC",
    ],
)
@pytest.mark.parametrize("audience", [["1example23456789"], ["*"]])
def test_an_audience_for_cognito_lets_the_wrong_token_in(issuer: str, audience: list[str]) -> None:
    """The warning names the issuer and the claims to set instead."""
    said = hint(issuer, audience=audience, expected_claims=["client_id"])

    assert said is not None
    assert said.startswith(f"issuer: {issuer} is an Amazon Cognito user pool")
    assert 'claims={"client_id": "…", "token_use": "access"}' in said


@pytest.mark.parametrize(
    ("issuer", "audience", "claims"),
    [
        (POOL, [], ["client_id", "token_use"]),
        (POOL, [], []),
        (POOL, ["https://api.example"], ["token_use"]),
        ("https://cognito-idp.eu-west-1.amazonaws.com.evil.example/p", ["api"], []),
        ("https://cognito-idp.eu-west-1.amazonaws.com/", ["api"], []),
        ("https://issuer.example", ["api"], []),
    ],
)
def test_nothing_is_said_where_nothing_is_wrong(
    issuer: str, audience: list[str], claims: list[str]
) -> None:
    """No audience, ID tokens kept out by their kind, or another issuer."""
    assert hint(issuer, audience=audience, expected_claims=claims) is None


TENANT = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"
KEYCLOAK = "https://sso.example/realms/shop"


@pytest.mark.parametrize(
    ("issuer", "audience", "said"),
    [
        (KEYCLOAK, ["account"], "every client of the realm has it; "),
        ("https://sso.example/auth/realms/shop", ["api", "account"], "every client of the realm"),
        (KEYCLOAK, ["orders"], None),
        ("https://issuer.example", ["account"], None),
        (TENANT, ["api://11111111-0000-0000-0000-000000000000"], "without api://; "),
        (TENANT, ["api://a", "11111111-0000-0000-0000-000000000000"], None),
        (TENANT, ["11111111-0000-0000-0000-000000000000"], None),
        (TENANT.replace("/v2.0", "/").replace("login.microsoftonline.com", "sts.windows.net"),
         ["api://a"], None),
    ],
)  # fmt: skip
def test_an_audience_that_means_something_else_there(
    issuer: str, audience: list[str], said: str | None
) -> None:
    """Keycloak's account, and api:// where Entra's v2 tokens have the bare application ID."""
    found = hint(issuer, audience=audience, expected_claims=[])

    assert found is None if said is None else said in (found or "")


def test_the_operator_is_warned_at_start(caplog: pytest.LogCaptureFixture) -> None:
    """Once for each issuer that is configured, as a WARNING; requests add none."""
    issuers = [
        Issuer(POOL, audience="client"),
        Issuer(POOL.replace("AbC", "Xyz"), claims={"token_use": "access"}, audience="client"),
        Issuer("https://issuer.example", audience="client"),
    ]
    guarded = JWTMiddleware(lambda *_: [], issuer=issuers)

    warned = [record for record in caplog.records if "Cognito" in record.getMessage()]
    assert [record.levelname for record in warned] == ["WARNING"]
    assert POOL in warned[0].getMessage()
    guarded.health()
    assert len([record for record in caplog.records if "Cognito" in record.getMessage()]) == 1


def test_the_answer_says_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    """The client is told that the token is for another API, as with any issuer."""
    issuer = FakeIssuer(POOL)
    client = Client(
        JWTMiddleware(lambda *_: [], issuer=POOL, jwks=issuer.jwks(), audience="client")
    )
    answer = client.get("/", headers={"Authorization": f"Bearer {issuer.token()}"})

    assert answer.json["code"] == "audience_mismatch"
    assert "ognito" not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    ("issuer", "tenant"),
    [
        ("https://sts.windows.net/11111111-2222-3333-4444-555555555555/", True),
        ("https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0", True),
        ("https://login.microsoftonline.com/common/v2.0", False),
        ("https://sts.windows.net.evil.example/11111111-2222-3333-4444-555555555555/", False),
        (7, False),
    ],
)
def test_the_tenant_of_an_entra_issuer(issuer: object, tenant: bool) -> None:
    """Both versions name it; nothing else does."""
    assert entra_tenant(issuer) == ("11111111-2222-3333-4444-555555555555" if tenant else "")
