"""What the operator is warned of at start, because one provider does it differently."""

import pytest

from jwt_wsgi.settings.provider_hints import hint

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
