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
PERSONAL = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"
ZUPLO = "https://dev.zuplo.com/v1/client-auth/auth_o8PUdhKxSTOiB794GWPwLQCD"
GOOGLE_PINS = "azp sub google.organization_number google.compute_engine.project_id hd email"
TERRAFORM_PINS = (
    "terraform_organization_id terraform_project_id terraform_workspace_id"
    " terraform_organization_name sub"
)
#: What the table must know, spelled out: a row that gets lost lets everybody in. For each issuer,
#: as it stands in tokens, the claims that keep others out, the best first.
PINS = {
    ZUPLO: "account sub",
    GITHUB: (
        "repository_owner_id repository_id enterprise_id repository_owner repository enterprise sub"
    ),
    "https://gitlab.com": "namespace_id project_id namespace_path project_path sub",
    "https://accounts.google.com": GOOGLE_PINS,
    "accounts.google.com": GOOGLE_PINS,
    "https://agent.buildkite.com": "organization_id pipeline_id organization_slug",
    "https://app.terraform.io": TERRAFORM_PINS,
    "https://app.eu.terraform.io": TERRAFORM_PINS,
    "https://oidc.codefresh.io": "account_id pipeline_id sub",
    "https://api.pulumi.com/oidc/v2": "https://pulumi.com/org_id https://pulumi.com/org",
    "https://api.pulumi.com/oidc": "sub",
    "https://oidc.vercel.com": "owner_id project_id owner sub",
    "https://iam.cloud.ibm.com/identity": "account.bss iam_id",
    "https://oidc.modal.com": "workspace_id environment_id app_id function_id",
    "https://login.app.env0.com/": "organizationId projectId environmentId templateId sub",
    "https://oidc.deno.com": "org_id app_id context_id org_slug sub",
    "https://oidc.cirrus-ci.com": "owner_id repository_id owner sub",
    "https://token.builds.bitrise.io": "app_slug",
    "https://api.gitpod.io/idp": "org_id user_id",
    "https://federation.namespaceapis.com": "tenant_id",
    "https://confidentialcomputing.googleapis.com": (
        "submods.gce.project_number submods.gce.project_id google_service_accounts"
    ),
    "https://issuer.enforce.dev": "sub",
    "https://identity.depot.dev": (
        "org_id repository_owner_id repository_id repository_owner repository"
    ),
    "https://scalr.io": "sub",
    "https://api.cursor.com": "team_id owner_user_id owner_service_account_id sub",
    "https://api2.cursor.sh/cloud-agent/identity": (
        "team_id owner_user_id owner_service_account_id sub"
    ),
    "https://app.devin.ai": "org_id",
    "https://app.warp.dev": "teams",
}
#: Issuers that assign the audience themselves.
ASSIGNED = (
    IAP,
    "https://appleid.apple.com",
    "https://www.facebook.com",
    "https://limited.facebook.com",
    "https://access.line.me",
    "https://id.twitch.tv/oauth2",
    "chat@system.gserviceaccount.com",
    PERSONAL,
    "https://api.botframework.com",
)
#: Claims whose value another customer's token can have as well: names that are unique only within
#: an account, states, public repositories and images that anybody may open or run, and subjects
#: that the caller composes.
OF_ANYBODY = {
    ZUPLO: "project deployment environment_type",
    GITHUB: (
        "environment ref workflow job_workflow_ref repository_visibility runner_environment"
        " repo_property_team actor"
    ),
    "https://gitlab.com": "ref ref_protected environment pipeline_source runner_environment",
    "https://accounts.google.com": "email_verified name google.compute_engine.instance_name",
    "https://agent.buildkite.com": "pipeline_slug build_branch step_key sub",
    "https://app.terraform.io": "terraform_workspace_name terraform_project_name",
    "https://oidc.codefresh.io": "pipeline_name scm_ref initiator",
    "https://api.pulumi.com/oidc/v2": "https://pulumi.com/current_env",
    "https://api.pulumi.com/oidc": "current_env root_env",
    "https://oidc.vercel.com": "project environment",
    "https://iam.cloud.ibm.com/identity": "client_id grant_type scope name account",
    "https://oidc.modal.com": "environment_name app_name function_name sub",
    "https://login.app.env0.com/": "apiKeyType projectName workspaceName env0Tag azp",
    "https://oidc.deno.com": "app_slug context_name",
    "https://oidc.cirrus-ci.com": "repository branch platform user_permission",
    "https://token.builds.bitrise.io": "sub repository_url repository_slug repository_owner",
    "https://api.gitpod.io/idp": "sub context repository scope name azp",
    "https://federation.namespaceapis.com": "jti",
    "https://confidentialcomputing.googleapis.com": (
        "swname hwmodel dbgstat submods.container.image_digest submods.container.image_reference"
        " submods.gce.instance_name"
    ),
    "https://issuer.enforce.dev": "act",
    "https://identity.depot.dev": "ref workflow workflow_ref actor event_name sub",
    "https://scalr.io": "jti",
    "https://api.cursor.com": "repo_url repo_urls branch_name source agent_runtime",
    "https://app.devin.ai": "sub repository_name",
    "https://app.warp.dev": "sub agent_name skill_spec host",
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
    ("https://oidc.fly.io/acme", "a Fly.io organization"),
    ("https://acme.semaphoreci.com", "a Semaphore organization"),
    ("https://oidc.trigger.dev/acme", "a Trigger.dev organization"),
    ("https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", "Bitbucket"),
    ("https://app.terraform.io.evil.example", "another look-alike"),
    ("https://iam.cloud.ibm.com", "no issuer of IBM's"),
    ("https://accounts.google.com.evil.example", "a look-alike"),
]


def start(issuer: str, **options: Any) -> JWTMiddleware:
    return JWTMiddleware(EchoApp(), **{"issuer": issuer, "jwks": JWKS} | options)


def refusal(issuer: str, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        start(issuer, **options)
    (problem,) = caught.value.problems
    return problem


callers_choose_the_audience = pytest.mark.parametrize("issuer", PINS)
the_issuer_assigns_the_audience = pytest.mark.parametrize("issuer", ASSIGNED)


def row_of(issuer: str) -> SharedIssuer:
    (row,) = (row for row in TABLE if issuer in row.identifiers)
    return row


@callers_choose_the_audience
@pytest.mark.parametrize("audience", [None, "*", "https://api.example"])
def test_an_audience_that_callers_choose_excludes_no_customer(
    issuer: str, audience: str | None
) -> None:
    """The error says whose tokens would be accepted, and lists the claims that prevent it."""
    problem = refusal(issuer, audience=audience)
    best, *others = PINS[issuer].split()

    row = row_of(issuer)
    assert problem.startswith(f"issuer: {row.identifiers[0]} signs for {row.whom}")
    assert f'set claims={{"{best}": "…"}} with your value' in problem
    assert ", ".join(others) in problem


@callers_choose_the_audience
def test_each_claim_of_a_row_makes_it_safe(issuer: str) -> None:
    """One is enough, whichever."""
    for name in PINS[issuer].split():
        assert start(issuer, claims={name: "ours"})


@callers_choose_the_audience
def test_only_expected_values_of_the_right_claims_count(issuer: str) -> None:
    """Not that a claim is present, and neither a scope nor a kind of token."""
    names = PINS[issuer].split()

    refusal(issuer, required_claims=names, required_scopes=["admin"], token_types=["JWT"])


@pytest.mark.parametrize("issuer", OF_ANYBODY)
def test_claims_that_every_customer_can_have_do_not_count(issuer: str) -> None:
    """Not even all of them together."""
    refusal(issuer, claims=dict.fromkeys(OF_ANYBODY[issuer].split(), "ours"))


@the_issuer_assigns_the_audience
@pytest.mark.parametrize("audience", [None, "*", ["ours", "*"], "https://vercel.com/*"])
def test_an_audience_that_the_issuer_assigns_must_be_given_exactly(
    issuer: str, audience: Any
) -> None:
    """Claims of the user do not replace it: any client of the issuer's collects such tokens."""
    problem = refusal(issuer, audience=audience, claims={"sub": "ada", "hd": "acme.example"})

    row = row_of(issuer)
    assert problem.startswith(f"issuer: {row.identifiers[0]} signs for {row.whom}")
    assert f"set audience to {row.audience}" in problem


@the_issuer_assigns_the_audience
def test_an_audience_that_the_issuer_assigns_is_enough(issuer: str) -> None:
    """A token names the one client it was made for."""
    assert start(issuer, audience="com.example.app")


@pytest.mark.parametrize("issuer", [*PINS, *ASSIGNED])
def test_own_checks_suppress_the_error(issuer: str) -> None:
    """They may implement a rule that is not in the table."""
    assert start(issuer, checks=[lambda _claims, _now: True])


@pytest.mark.parametrize("issuer", [*PINS, *ASSIGNED])
def test_another_spelling_of_the_issuer_is_an_error_as_well(issuer: str) -> None:
    """No token has it as its iss, but a correction would make the settings unsafe."""
    plain = issuer.rstrip("/")

    for spelling in (plain, f"{plain}/", f"{plain}//", plain.upper(), f"{plain.title()}/"):
        told = refusal(spelling)
        assert told == refusal(issuer) or "no token has this iss" in told


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


def test_an_unreadable_claim_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no second error that asks for claims."""
    monkeypatch.setenv("JWT_WSGI_CLAIMS", "repository_owner_id")

    assert "name=value" in refusal(GITHUB)


def test_another_customer_of_each_issuer_is_refused() -> None:
    """With the remedy in place, a token with our audience and a good signature is refused."""
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
    others = github.token(aud="https://api.example", sub="repo:evil/api", repository_owner_id="66")

    assert client.get("/", headers=bearer(ours)).status_code == 200
    response = client.get("/", headers=bearer(others))
    assert (response.status_code, (response.json or {})["code"]) == (401, "claim_invalid")


def test_another_project_of_vercel_with_our_audience_is_refused() -> None:
    """Vercel exchanges a token for one with any audience: its claims tell projects apart."""
    vercel = FakeIssuer("https://oidc.vercel.com", aud="https://api.example")
    keys = {"issuer": vercel.issuer, "jwks": vercel.jwks(), "audience": "https://api.example"}
    with pytest.raises(ConfigurationError, match="owner_id"):
        JWTMiddleware(EchoApp(), **keys)
    client = Client(JWTMiddleware(EchoApp(), **keys, claims={"owner_id": "team_1"}))

    assert client.get("/", headers=bearer(vercel.token(owner_id="team_1"))).status_code == 200
    assert client.get("/", headers=bearer(vercel.token(owner_id="team_2"))).status_code == 401


def test_a_claim_below_another_pins_an_account() -> None:
    """IBM Cloud's tokens have no audience; the account stands in an object."""
    ibm = FakeIssuer("https://iam.cloud.ibm.com/identity")
    options = {"issuer": ibm.issuer, "jwks": ibm.jwks(), "claims": {"account.bss": "ours"}}
    client = Client(JWTMiddleware(EchoApp(), **options))

    for account, status in (("ours", 200), ("theirs", 401)):
        token = ibm.token(account={"valid": True, "bss": account}, iam_id="IBMid-1")
        assert client.get("/", headers=bearer(token)).status_code == status


def test_the_remedy_says_how_github_writes_a_subject() -> None:
    """With ids for newer repositories: who pins the old form of one would refuse it."""
    assert "repo:OWNER@ID/NAME@ID" in refusal(GITHUB)


def test_every_row_cites_its_source() -> None:
    """The page of the issuer's owner."""
    assert all(row.source.startswith("https://") and row.whom for row in TABLE)


def test_no_row_is_lost() -> None:
    """Every identifier stands in one row, as it does in tokens, with its claims in their order."""
    identifiers = [identifier for row in TABLE for identifier in row.identifiers]

    assert sorted(identifiers) == sorted([*PINS, *ASSIGNED])
    assert {row.identifiers[0] for row in TABLE if row.claims} == OF_ANYBODY.keys()
    for issuer, names in PINS.items():
        assert row_of(issuer).claims == tuple(names.split())
    assert all(row_of(issuer).audience and not row_of(issuer).claims for issuer in ASSIGNED)
