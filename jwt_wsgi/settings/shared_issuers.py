"""Issuers that sign for all their customers, and the claims that must be pinned for each.

A signature of such an issuer shows that the caller is one of its customers, but not which one. Most
of these issuers let the caller choose the audience. A check of issuer and audience alone then
accepts tokens of every customer. Customers cannot choose a claim that names an account, a
repository or a client, so its value must be checked.

An issuer that is for one tenant has no row: a Zuplo project's own ``…/__zuplo/issuer``, an Entra
tenant, a self-hosted GitLab, ``https://securetoken.google.com/PROJECT``, a CircleCI, Fly.io,
Semaphore or Trigger.dev organization, a Bitbucket workspace, an AWS account, a cluster's service
accounts.
"""

from collections.abc import Collection
from collections.abc import Mapping
from typing import Final
from typing import NamedTuple


class SharedIssuer(NamedTuple):
    """One such issuer, with every spelling of its ``iss``."""

    identifiers: tuple[str, ...]
    #: Completes "it signs for …".
    whom: str
    #: The page of its owner that documents this.
    source: str
    #: Claims that no other customer can have with your value. One of them must be expected. The
    #: best come first: ids, which are never reused, then names, which may be.
    #: Empty: the issuer itself assigns the audience, to one registered client or app each.
    claims: tuple[str, ...] = ()
    #: The audience it assigns to you.
    audience: str = ""
    #: What else to know about the claims, as the end of the remedy.
    note: str = ""


#: Claims that another customer can have with your value are not listed: names that are unique only
#: within an account (Zuplo's ``project``, Buildkite's ``pipeline_slug``, GitHub's ``environment``
#: or ``job_workflow_ref``), a public repository that any user may open (Cursor's ``repo_url``,
#: Gitpod's ``sub``), a container image that any user may run, and a ``sub`` that the caller
#: composes (Buildkite, Bitrise, Devin, Warp) or that changes with each run (Depot, Modal).
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
            # It begins with repo:OWNER@ID/NAME@ID for repositories that were made, renamed or
            # moved after 2026-07-15, and with repo:OWNER/NAME for the others. An owner may have
            # it composed of other claims: one that names no repository pins nothing.
            "sub",
        ),
        note="; a sub is repo:OWNER@ID/NAME@ID:… where the repository was made, renamed or moved"
        " after 2026-07-15, else repo:OWNER/NAME:…",
    ),
    SharedIssuer(
        ("https://gitlab.com",),
        "every project on GitLab.com",
        "https://docs.gitlab.com/ci/secrets/id_token_authentication/",
        claims=("namespace_id", "project_id", "namespace_path", "project_path", "sub"),
    ),
    SharedIssuer(
        # The aud of a user's token is a registered client, but any service account may ask for
        # any aud, your client included: azp distinguishes the two.
        ("https://accounts.google.com", "accounts.google.com"),
        "every Google user and every service account",
        "https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/"
        "projects.serviceAccounts/generateIdToken",
        claims=(
            "azp",
            "sub",
            "google.organization_number",
            "google.compute_engine.project_id",
            "hd",
            "email",
        ),
    ),
    SharedIssuer(
        ("https://agent.buildkite.com",),
        "every organization on Buildkite",
        "https://buildkite.com/docs/apis/workload-identity-federation/buildkite-agents",
        claims=("organization_id", "pipeline_id", "organization_slug"),
    ),
    SharedIssuer(
        # The second one is HCP Terraform in Europe, whose organizations are others:
        # https://developer.hashicorp.com/terraform/cloud-docs/europe
        ("https://app.terraform.io", "https://app.eu.terraform.io"),
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
        # The tokens that its login providers for clouds send. The aud is PLATFORM:ORGANIZATION;
        # no claim holds an id.
        ("https://api.pulumi.com/oidc",),
        "every organization on Pulumi Cloud",
        "https://www.pulumi.com/docs/esc/guides/configuring-oidc/",
        claims=("sub",),
    ),
    SharedIssuer(
        # In team mode the path names the team: no row. The aud is https://vercel.com/TEAM until
        # the caller exchanges the token for one with any other.
        ("https://oidc.vercel.com",),
        "every project on Vercel",
        "https://vercel.com/docs/oidc/reference",
        claims=("owner_id", "project_id", "owner", "sub"),
    ),
    SharedIssuer(
        # Access tokens have no aud at all. account.bss is the id of an account.
        ("https://iam.cloud.ibm.com/identity",),
        "every holder of an API key of IBM Cloud",
        "https://cloud.ibm.com/docs/iam?topic=iam-iamtoken_from_apikey",
        claims=("account.bss", "iam_id"),
    ),
    SharedIssuer(
        # All tokens have the same aud: oidc.modal.com.
        ("https://oidc.modal.com",),
        "every workspace on Modal",
        "https://modal.com/docs/guide/oidc-integration",
        claims=("workspace_id", "environment_id", "app_id", "function_id"),
    ),
    SharedIssuer(
        # All tokens have the same aud. An organization has one user for this, which sub names.
        ("https://login.app.env0.com/",),
        "every organization on env zero",
        "https://docs.envzero.com/guides/integrations/oidc-integrations",
        claims=("organizationId", "projectId", "environmentId", "templateId", "sub"),
    ),
    SharedIssuer(
        ("https://oidc.deno.com",),
        "every organization on Deno Deploy",
        "https://docs.deno.com/deploy/reference/oidc",
        claims=("org_id", "app_id", "context_id", "org_slug", "sub"),
    ),
    SharedIssuer(
        ("https://oidc.cirrus-ci.com",),
        "every repository on Cirrus CI",
        "https://cirrus-ci.org/guide/writing-tasks/#internals-of-openid-connect-tokens",
        claims=("owner_id", "repository_id", "owner", "sub"),
    ),
    SharedIssuer(
        # The repository of an app may be a public one of another owner.
        ("https://token.builds.bitrise.io",),
        "every workspace on Bitrise",
        "https://docs.bitrise.io/en/bitrise-platform/integrations/oidc-authentication/"
        "oidc-authentication-overview.html",
        claims=("app_slug",),
    ),
    SharedIssuer(
        # The sub is what the workspace was opened on, perhaps a public repository.
        ("https://api.gitpod.io/idp",),
        "every user of Gitpod",
        "https://www.gitpod.io/docs/configure/workspaces/oidc",
        claims=("org_id", "user_id"),
    ),
    SharedIssuer(
        ("https://federation.namespaceapis.com",),
        "every workspace on Namespace",
        "https://namespace.so/docs/federation/gcp",
        claims=("tenant_id",),
    ),
    SharedIssuer(
        # Of Confidential Space and of Confidential VMs.
        ("https://confidentialcomputing.googleapis.com",),
        "every confidential VM on Google Cloud",
        "https://cloud.google.com/confidential-computing/confidential-vm/docs/token-claims",
        claims=("submods.gce.project_number", "submods.gce.project_id", "google_service_accounts"),
    ),
    SharedIssuer(
        # The sub is the path of the identity: its organization's id comes first.
        ("https://issuer.enforce.dev",),
        "every identity on Chainguard",
        "https://edu.chainguard.dev/chainguard/chainctl/chainctl-docs/chainctl_auth_token/",
        claims=("sub",),
    ),
    SharedIssuer(
        ("https://identity.depot.dev",),
        "every organization on Depot",
        "https://depot.dev/docs/ci/oidc",
        claims=(
            "org_id",
            "repository_owner_id",
            "repository_id",
            "repository_owner",
            "repository",
        ),
    ),
    SharedIssuer(
        ("https://scalr.io",),
        "every account on Scalr",
        "https://docs.scalr.io/docs/aws",
        claims=("sub",),
    ),
    SharedIssuer(
        # Cloud agents, and agents that were deployed with its SDK. The second is an older one,
        # which is still served. A caller may have team_id:ID for sub.
        ("https://api.cursor.com", "https://api2.cursor.sh/cloud-agent/identity"),
        "every agent on Cursor",
        "https://cursor.com/docs/cloud-agent/identity",
        claims=("team_id", "owner_user_id", "owner_service_account_id", "sub"),
    ),
    SharedIssuer(
        # An enterprise's own deployment has an issuer of its own.
        ("https://app.devin.ai",),
        "every session of Devin",
        "https://docs.devin.ai/product-guides/oidc",
        claims=("org_id",),
    ),
    SharedIssuer(
        # teams is a list.
        ("https://app.warp.dev",),
        "every agent on Warp",
        "https://docs.warp.dev/agents/cli/oz-cli/federate/",
        claims=("teams",),
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
        ("https://access.line.me",),
        "every channel of LINE Login",
        "https://developers.line.biz/en/docs/line-login/verify-id-token/",
        audience="your channel ID",
    ),
    SharedIssuer(
        ("https://id.twitch.tv/oauth2",),
        "every app that logs in with Twitch",
        "https://dev.twitch.tv/docs/authentication/getting-tokens-oidc/",
        audience="your client ID",
    ),
    SharedIssuer(
        # With a project number as the audience. With a URL, accounts.google.com is the issuer.
        ("chat@system.gserviceaccount.com",),
        "every app in Google Chat",
        "https://developers.google.com/workspace/chat/verify-requests-from-chat",
        audience="your project number",
    ),
    SharedIssuer(
        # The tenant of all personal accounts; any other tenant is one organization.
        ("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",),
        "every personal Microsoft account in every app",
        "https://learn.microsoft.com/en-us/entra/identity-platform/id-token-claims-reference",
        audience="your application ID",
    ),
    SharedIssuer(
        ("https://api.botframework.com",),
        "every bot of the Bot Framework",
        "https://learn.microsoft.com/en-us/azure/bot-service/rest-api/"
        "bot-framework-rest-connector-authentication",
        audience="your bot's Microsoft App ID",
    ),
)


def _plain(issuer: str) -> str:
    """One form for all spellings of the same issuer."""
    return issuer.rstrip("/").casefold()


_BY_IDENTIFIER: Final[Mapping[str, SharedIssuer]] = {
    _plain(identifier): row for row in TABLE for identifier in row.identifiers
}


def why_unsafe(
    issuer: str,
    *,
    audience: Collection[str],
    expected_claims: Collection[str],
    has_own_checks: bool,
) -> str | None:
    """Why ``issuer`` with these settings would accept other customers, and the remedy; else None.

    ``expected_claims``: the claims whose values are compared. A claim that must only be present
    does not help. If there are checks of your own, nothing is reported.

    A final slash and the case of letters are ignored here. With a wrong one the settings would
    refuse every token; once that is corrected, they would be unsafe.
    """
    row = _BY_IDENTIFIER.get(_plain(issuer))
    if row is None or has_own_checks:
        return None
    if row.claims:
        return None if set(row.claims) & set(expected_claims) else _claims_needed(row)
    return None if _names_one_client(audience) else _audience_needed(row)


def _names_one_client(audience: Collection[str]) -> bool:
    """Whether there is an audience, and none is a pattern: ``*``, or one that ends in ``/*``."""
    return bool(audience) and not any(value.endswith("*") for value in audience)


def _claims_needed(row: SharedIssuer) -> str:
    best, *others = row.claims
    choice = f" (or one of: {', '.join(others)})" if others else ""
    return (
        f"issuer: {row.identifiers[0]} signs for {row.whom}, and an audience excludes none of them"
        f'; set claims={{"{best}": "…"}} with your value{choice}, or checks of your own'
        f"{row.note}"
    )


def _audience_needed(row: SharedIssuer) -> str:
    return (
        f"issuer: {row.identifiers[0]} signs for {row.whom}; set audience to {row.audience},"
        " exactly and without *, or checks of your own"
    )
