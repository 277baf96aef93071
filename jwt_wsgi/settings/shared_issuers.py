"""Issuers that sign for everybody: what must be pinned before one of them may be trusted.

A signature of theirs says that somebody is their customer, not that he is yours. Most of them
let the caller choose the audience, too, so that issuer and audience together still let every
stranger in; what strangers cannot choose is a claim that names an account, a repository, a client.

An issuer of one tenant each has no row: a Zuplo project's own ``…/__zuplo/issuer``, an Entra
tenant, a self-hosted GitLab, ``https://securetoken.google.com/PROJECT``, a CircleCI
organization, a cluster's service accounts.
"""

from collections.abc import Collection
from collections.abc import Mapping
from typing import Final
from typing import NamedTuple


class SharedIssuer(NamedTuple):
    """One such issuer, under every spelling of its ``iss``."""

    identifiers: tuple[str, ...]
    #: Completes "it signs for …".
    whom: str
    #: Where its owner says so.
    source: str
    #: Claims no stranger can have with your value, the best first: one of them must be expected.
    #: None at all: the issuer itself assigns the audience, to one registered client or app each.
    claims: tuple[str, ...] = ()
    #: The audience it assigns to you.
    audience: str = ""


#: Names that a stranger could take for something of his own (Zuplo's ``project``, Buildkite's
#: ``pipeline_slug``, GitHub's ``environment`` or ``job_workflow_ref``) are no claims to pin.
TABLE: Final = (
    SharedIssuer(
        # Its identity tokens. The JWT service plugin's issuer is each project's own.
        ("https://dev.zuplo.com/v1/client-auth/auth_o8PUdhKxSTOiB794GWPwLQCD",),
        "every deployment of every Zuplo customer",
        "https://zuplo.com/docs/programmable-api/zuplo-id-token",
        claims=("account", "sub"),
    ),
    SharedIssuer(
        # An enterprise may have an issuer of its own below this one: no row.
        ("https://token.actions.githubusercontent.com",),
        "every repository on GitHub",
        "https://docs.github.com/en/actions/reference/security/oidc",
        claims=(
            "repository_owner_id",
            "repository_id",
            "enterprise_id",
            "repository_owner",
            "repository",
            "enterprise",
            "sub",
        ),
    ),
    SharedIssuer(
        ("https://gitlab.com",),
        "every project on GitLab.com",
        "https://docs.gitlab.com/ci/secrets/id_token_authentication/",
        claims=("namespace_id", "project_id", "namespace_path", "project_path", "sub"),
    ),
    SharedIssuer(
        # The aud of a user's token is a registered client, but any service account may ask for
        # any aud, your client included: azp tells the two apart.
        ("https://accounts.google.com", "accounts.google.com"),
        "every Google user and every service account",
        "https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/"
        "projects.serviceAccounts/generateIdToken",
        claims=(
            "azp",
            "sub",
            "email",
            "hd",
            "google.organization_number",
            "google.compute_engine.project_id",
        ),
    ),
    SharedIssuer(
        ("https://agent.buildkite.com",),
        "every organization on Buildkite",
        "https://buildkite.com/docs/apis/workload-identity-federation/buildkite-agents",
        claims=("organization_id", "organization_slug"),
    ),
    SharedIssuer(
        ("https://app.terraform.io",),
        "every organization on HCP Terraform",
        "https://developer.hashicorp.com/terraform/cloud-docs/workspaces/"
        "dynamic-provider-credentials/workload-identity-tokens",
        claims=(
            "terraform_organization_id",
            "terraform_project_id",
            "terraform_workspace_id",
            "terraform_organization_name",
            "sub",
        ),
    ),
    SharedIssuer(
        ("https://oidc.codefresh.io",),
        "every account on Codefresh",
        "https://codefresh.io/docs/docs/integrations/oidc-pipelines/",
        claims=("account_id", "pipeline_id", "sub"),
    ),
    SharedIssuer(
        ("https://api.pulumi.com/oidc/v2",),
        "every organization on Pulumi Cloud",
        "https://www.pulumi.com/docs/esc/guides/configuring-oidc/custom-audience/",
        claims=("https://pulumi.com/org_id", "https://pulumi.com/org"),
    ),
    SharedIssuer(
        ("https://cloud.google.com/iap",),
        "every app behind Google's Identity-Aware Proxy",
        "https://docs.cloud.google.com/iap/docs/signed-headers-howto",
        audience="your app's /projects/NUMBER/…",
    ),
    SharedIssuer(
        ("https://appleid.apple.com",),
        "every app with Sign in with Apple",
        "https://developer.apple.com/documentation/signinwithapple/verifying-a-user",
        audience="your client_id",
    ),
    SharedIssuer(
        ("https://www.facebook.com", "https://limited.facebook.com"),
        "every app with Facebook Login",
        "https://developers.facebook.com/documentation/facebook-login/ios/limited-login/token/"
        "validating",
        audience="your app ID",
    ),
    SharedIssuer(
        # The tenant of all personal accounts; any other tenant is one organization.
        ("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",),
        "every personal Microsoft account in every app",
        "https://learn.microsoft.com/en-us/entra/identity-platform/id-token-claims-reference",
        audience="your application ID",
    ),
    SharedIssuer(
        # The global issuer mode; in team mode the path names the team.
        ("https://oidc.vercel.com",),
        "every project on Vercel",
        "https://vercel.com/docs/oidc/api",
        audience="https://vercel.com/YOUR-TEAM",
    ),
    SharedIssuer(
        ("https://api.botframework.com",),
        "every bot of the Bot Framework",
        "https://learn.microsoft.com/en-us/azure/bot-service/rest-api/"
        "bot-framework-rest-connector-authentication",
        audience="your bot's Microsoft App ID",
    ),
)

_BY_IDENTIFIER: Final[Mapping[str, SharedIssuer]] = {
    identifier: row for row in TABLE for identifier in row.identifiers
}


def unsafe(
    issuer: str,
    *,
    audience: Collection[str],
    expected_claims: Collection[str],
    has_own_checks: bool,
) -> str | None:
    """Why ``issuer`` on these terms would let strangers in, and the remedy; None if it would not.

    ``expected_claims`` are the names whose values are compared; a claim that must merely be there
    pins nothing. Whoever brings checks of his own has taken the decision over.
    """
    row = _BY_IDENTIFIER.get(issuer.rstrip("/"))
    if row is None or has_own_checks:
        return None
    if row.claims:
        return None if set(row.claims) & set(expected_claims) else _claims_needed(row)
    return None if _names_one_client(audience) else _audience_needed(row)


def _names_one_client(audience: Collection[str]) -> bool:
    """Whether there is an audience, without ``*`` or ``/*`` (``https://vercel.com/*``)."""
    return bool(audience) and not any(value.endswith("*") for value in audience)


def _claims_needed(row: SharedIssuer) -> str:
    best, *others = row.claims
    return (
        f"issuer: {row.identifiers[0]} signs for {row.whom}, for any audience they like; set"
        f' claims={{"{best}": "…"}} with your value (or one of: {", ".join(others)}), or checks'
        " of your own"
    )


def _audience_needed(row: SharedIssuer) -> str:
    return (
        f"issuer: {row.identifiers[0]} signs for {row.whom}; set audience to {row.audience},"
        " exactly and without *, or checks of your own"
    )
