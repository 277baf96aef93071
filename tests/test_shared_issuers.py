"""Issuers that sign for everybody: trusted with too little, nothing starts."""

from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.settings.shared_issuers import TABLE
from jwt_wsgi.settings.shared_issuers import SharedIssuer
from jwt_wsgi.testing import FakeIssuer

JWKS = FakeIssuer("https://issuer.example").jwks()
GITHUB = "https://token.actions.githubusercontent.com"
IAP = "https://cloud.google.com/iap"

CHOSEN = [(row, iss) for row in TABLE if row.claims for iss in row.identifiers]
ASSIGNED = [(row, iss) for row in TABLE if not row.claims for iss in row.identifiers]
#: What the table must know, spelled out: a row that gets lost would let strangers in.
IDENTIFIERS = {
    "https://dev.zuplo.com/v1/client-auth/auth_o8PUdhKxSTOiB794GWPwLQCD",
    "https://token.actions.githubusercontent.com",
    "https://gitlab.com",
    "https://accounts.google.com",
    "accounts.google.com",
    "https://agent.buildkite.com",
    "https://app.terraform.io",
    "https://oidc.codefresh.io",
    "https://api.pulumi.com/oidc/v2",
    "https://cloud.google.com/iap",
    "https://appleid.apple.com",
    "https://www.facebook.com",
    "https://limited.facebook.com",
    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
    "https://oidc.vercel.com",
    "https://api.botframework.com",
}
#: Claims whose value a stranger's token can have as well: names that are unique only within an
#: account, states, and Buildkite's sub, which its caller composes.
OF_ANYBODY = {
    "https://dev.zuplo.com/v1/client-auth/auth_o8PUdhKxSTOiB794GWPwLQCD": (
        "project deployment environment_type"
    ),
    "https://token.actions.githubusercontent.com": (
        "environment ref workflow job_workflow_ref repository_visibility runner_environment"
    ),
    "https://gitlab.com": "ref ref_protected environment pipeline_source runner_environment",
    "https://accounts.google.com": "email_verified name google.compute_engine.instance_name",
    "https://agent.buildkite.com": "pipeline_slug build_branch step_key sub",
    "https://app.terraform.io": "terraform_workspace_name terraform_project_name",
    "https://oidc.codefresh.io": "pipeline_name scm_ref initiator",
    "https://api.pulumi.com/oidc/v2": "https://pulumi.com/current_env",
}
#: One tenant each: (issuer, what it is).
OF_ONE_TENANT = [
    ("https://my-api.zuplo.com/__zuplo/issuer", "a Zuplo project's own"),
    ("https://dev.zuplo.com/v1/client-auth/auth_another", "another one of Zuplo's"),
    ("https://token.actions.githubusercontent.com/octocat-inc", "a GitHub enterprise's own"),
    ("https://github.example/_services/token", "a GitHub Enterprise Server"),
    ("https://gitlab.example", "a self-hosted GitLab"),
    ("https://securetoken.google.com/my-project", "a Firebase project"),
    ("https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0", "Entra, v2"),
    ("https://sts.windows.net/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/", "Entra, v1"),
    ("https://oidc.circleci.com/org/2c3f7a0e-0000-4000-8000-000000000000", "CircleCI"),
    ("https://oidc.vercel.com/my-team", "Vercel's team mode"),
    ("https://accounts.google.com.evil.example", "a look-alike"),
]


def start(issuer: str, **options: Any) -> JWTMiddleware:
    return JWTMiddleware(EchoApp(), **{"issuer": issuer, "jwks": JWKS} | options)


def refusal(issuer: str, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        start(issuer, **options)
    (problem,) = caught.value.problems
    return problem


callers_choose_the_audience = pytest.mark.parametrize(
    ("row", "issuer"), CHOSEN, ids=[issuer for _, issuer in CHOSEN]
)
the_issuer_assigns_the_audience = pytest.mark.parametrize(
    ("row", "issuer"), ASSIGNED, ids=[issuer for _, issuer in ASSIGNED]
)


@callers_choose_the_audience
@pytest.mark.parametrize("audience", [None, "*", "https://api.example"])
def test_an_audience_that_callers_choose_keeps_nobody_out(
    row: SharedIssuer, issuer: str, audience: str | None
) -> None:
    """The refusal says who else gets in, and each claim that would keep them out."""
    problem = refusal(issuer, audience=audience)

    assert problem.startswith(f"issuer: {row.identifiers[0]} signs for {row.whom}")
    assert f'claims={{"{row.claims[0]}": "' in problem
    assert all(name in problem for name in row.claims)


@callers_choose_the_audience
def test_each_claim_of_a_row_makes_it_safe(row: SharedIssuer, issuer: str) -> None:
    """One is enough, whichever, and there is more than one."""
    assert len(row.claims) > 1
    for name in row.claims:
        assert start(issuer, claims={name: "ours"})


#: The claims as their issuers spell them, copied from their documents and not from the table.
NAMES = {
    "https://dev.zuplo.com/v1/client-auth/auth_o8PUdhKxSTOiB794GWPwLQCD": "account sub",
    "https://token.actions.githubusercontent.com": (
        "repository_owner_id repository_id enterprise_id repository_owner repository enterprise sub"
    ),
    "https://gitlab.com": "namespace_id project_id namespace_path project_path sub",
    "https://accounts.google.com": (
        "azp sub email hd google.organization_number google.compute_engine.project_id"
    ),
    "https://agent.buildkite.com": "organization_id organization_slug",
    "https://app.terraform.io": (
        "terraform_organization_id terraform_project_id terraform_workspace_id"
        " terraform_organization_name sub"
    ),
    "https://oidc.codefresh.io": "account_id pipeline_id sub",
    "https://api.pulumi.com/oidc/v2": "https://pulumi.com/org_id https://pulumi.com/org",
}


@pytest.mark.parametrize(
    ("issuer", "name"),
    [(issuer, name) for issuer, names in NAMES.items() for name in names.split()],
)
def test_a_claim_that_the_issuer_documents_pins_it(issuer: str, name: str) -> None:
    """A misspelt name in the table would refuse the right setting at start."""
    assert start(issuer, claims={name: "ours"})


@callers_choose_the_audience
def test_only_expected_values_pin_somebody(row: SharedIssuer, issuer: str) -> None:
    """Not that a claim is there, and neither a scope nor a kind of token."""
    refusal(issuer, required_claims=row.claims, required_scopes=["admin"], token_types=["JWT"])


@pytest.mark.parametrize("issuer", OF_ANYBODY)
def test_a_value_that_anybody_can_have_pins_nobody(issuer: str) -> None:
    """All of them together do not."""
    refusal(issuer, claims=dict.fromkeys(OF_ANYBODY[issuer].split(), "ours"))


@the_issuer_assigns_the_audience
@pytest.mark.parametrize("audience", [None, "*", ["ours", "*"], "https://vercel.com/*"])
def test_an_audience_that_the_issuer_assigns_must_be_given_exactly(
    row: SharedIssuer, issuer: str, audience: Any
) -> None:
    """Claims of the user do not replace it: any client of the issuer's collects such tokens."""
    problem = refusal(issuer, audience=audience, claims={"sub": "ada", "hd": "acme.example"})

    assert problem.startswith(f"issuer: {row.identifiers[0]} signs for {row.whom}")
    assert f"set audience to {row.audience}" in problem


@the_issuer_assigns_the_audience
def test_an_audience_that_the_issuer_assigns_is_enough(row: SharedIssuer, issuer: str) -> None:
    """A token names the one client it was made for."""
    assert row.audience
    assert start(issuer, audience="com.example.app")


@pytest.mark.parametrize("issuer", [issuer for _, issuer in CHOSEN + ASSIGNED])
def test_own_checks_take_the_decision_over(issuer: str) -> None:
    """They may know a rule that no table can."""
    assert start(issuer, checks=[lambda _claims, _now: True])


@pytest.mark.parametrize("issuer", [GITHUB, IAP])
def test_a_slash_at_the_end_is_no_way_around(issuer: str) -> None:
    """No token of theirs would verify; the person who wrote it hears the other problem now."""
    assert refusal(issuer + "/") == refusal(issuer)


@pytest.mark.parametrize("issuer", [issuer for issuer, _ in OF_ONE_TENANT])
def test_an_issuer_of_one_tenant_starts_as_it_is(issuer: str) -> None:
    """There the issuer alone says whose the token is."""
    assert start(issuer)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rule, wherever the settings come from."""
    monkeypatch.setenv("JWT_WSGI_ISSUER", GITHUB)
    monkeypatch.setenv("JWT_WSGI_AUDIENCE", "https://api.example")
    with pytest.raises(ConfigurationError, match="repository_owner_id"):
        JWTMiddleware(EchoApp())

    monkeypatch.setenv("JWT_WSGI_CLAIMS", "repository_owner_id=65")

    assert JWTMiddleware(EchoApp())


def test_a_claim_that_cannot_be_read_is_one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told to set the claims he has just set wrongly."""
    monkeypatch.setenv("JWT_WSGI_CLAIMS", "repository_owner_id")

    assert "name=value" in refusal(GITHUB)


def test_the_stranger_of_the_table_stays_outside() -> None:
    """With the remedy in place his token, for our audience and rightly signed, is refused."""
    github, app = FakeIssuer(GITHUB), EchoApp()
    client = Client(
        JWTMiddleware(
            app,
            issuer=GITHUB,
            jwks=github.jwks(),
            audience="https://api.example",
            claims={"repository_owner_id": "65"},
        )
    )
    ours = github.token(aud="https://api.example", sub="repo:acme/api", repository_owner_id="65")
    his = github.token(aud="https://api.example", sub="repo:evil/api", repository_owner_id="66")

    assert client.get("/", headers=bearer(ours)).status_code == 200
    response = client.get("/", headers=bearer(his))
    assert (response.status_code, (response.json or {})["code"]) == (401, "claim_invalid")


def test_every_row_cites_its_source() -> None:
    """The page of the issuer's owner."""
    assert all(row.source.startswith("https://") and row.whom for row in TABLE)


def test_no_row_is_lost() -> None:
    """Every identifier stands in one row, without a slash at its end."""
    identifiers = [identifier for row in TABLE for identifier in row.identifiers]

    assert sorted(identifiers) == sorted(IDENTIFIERS)
    assert {row.identifiers[0] for row in TABLE if row.claims} == OF_ANYBODY.keys()
    assert not [identifier for identifier in identifiers if identifier.endswith("/")]
