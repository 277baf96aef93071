"""Platforms that sign for their users, workloads and projects. Most issue one kind of token."""

from collections.abc import Mapping
from typing import Final

from .shape import Provider

_ONE_KIND: Final = "It issues one kind of token, an ID token, and that is accepted."
_OPAQUE: Final = "Its access tokens are opaque: the ID token is accepted."

SERVICES: Final[Mapping[str, Provider]] = {
    "google": Provider(
        "Google",
        (
            "https://developers.google.com/identity/openid-connect/openid-connect",
            "https://developers.google.com/identity/sign-in/web/backend-auth",
        ),
        "https://accounts.google.com",
        "https://www.googleapis.com/oauth2/v3/certs",
        {
            "issuer": "{issuer}",
            "audience": "{app}",
            "claims": {"azp": "{azp}", "hd": "{tenant}"},
        },
        {
            "tenant": "acme.example",
            "app": "1234987819200.apps.googleusercontent.com",
            "azp": "1234987819200.apps.googleusercontent.com",
        },
        {
            "tenant": {"tenant": "evil.example"},
            "app": {
                "app": "999.apps.googleusercontent.com",
                "azp": "999.apps.googleusercontent.com",
            },
            "service account": {"azp": "115050000000000000000"},
        },
        id_token={
            "azp": "{azp}",
            "aud": "{app}",
            "sub": "10769150350006150715113082367",
            "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
            "hd": "{tenant}",
            "email": "ada@acme.example",
            "email_verified": True,
            "nonce": "0394852-3190485-2490358",
        },
        kid="c8ab71530972bba20b49f78a09c9852c43ff9{number}18",
        checked="2026-11-28: sign-in/web/backend-auth, openid-connect/reference (both spellings of"
        " iss, aud, discovery), TokenPayload of google-auth-library (azp, at_hash, email_verified)",
        note=f"{_OPAQUE} Any service account may ask for a token with your audience; azp differs.",
    ),
    "google-iap": Provider(
        "Google Identity-Aware Proxy",
        ("https://docs.cloud.google.com/iap/docs/signed-headers-howto",),
        "https://cloud.google.com/iap",
        "https://www.gstatic.com/iap/verify/public_key-jwk",
        {
            "issuer": "{issuer}",
            "jwks_uri": "{jwks_uri}",
            "audience": "/projects/{tenant}/global/backendServices/{app}",
            "token_from": ["header:X-Goog-IAP-JWT-Assertion"],
        },
        {"tenant": "123456789", "app": "987654321"},
        {"tenant": {"tenant": "666666666"}, "app": {"app": "555555555"}},
        id_token={
            "aud": "/projects/{tenant}/global/backendServices/{app}",
            "azp": "/projects/{tenant}/global/backendServices/{app}",
            "email": "ada@acme.example",
            "google": {"access_levels": ["accessPolicies/1/accessLevels/x"]},
            "hd": "acme.example",
            "identity_source": "GOOGLE",
            "sub": "accounts.google.com:10769150350006150715113082367",
        },
        algorithm="ES256",
        kid="0oeLc{number}",
        metadata_uri="",
        checked="2026-11-28: signed-headers-howto (ES256, kid, the forms of aud)",
        note="It publishes no metadata: set jwks_uri. It signs one assertion for each request, and"
        " that is accepted.",
    ),
    "github-actions": Provider(
        "GitHub Actions",
        ("https://docs.github.com/en/actions/reference/security/oidc",),
        "https://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/.well-known/jwks",
        {
            "issuer": "{issuer}",
            "audience": "{api}",
            "claims": {"repository_owner_id": "{tenant}"},
        },
        {
            "tenant": "123456",
            "owner": "octo-org",
            "repository": "456789",
            "api": "https://orders.acme.example",
        },
        {
            "tenant": {"tenant": "666666", "owner": "evil-org", "repository": "666667"},
            "app": {"api": "https://bills.acme.example"},
        },
        id_token={
            "jti": "6f4762ed-0758-4ccb-808d-ee3af5d723a8",
            "sub": "repo:{owner}@{tenant}/octo-repo@{repository}:ref:refs/heads/main",
            "aud": "{api}",
            "ref": "refs/heads/main",
            "sha": "example-sha",
            "repository": "{owner}/octo-repo",
            "repository_id": "{repository}",
            "repository_owner": "{owner}",
            "repository_owner_id": "{tenant}",
            "run_id": "9876543210",
            "repository_visibility": "private",
            "actor": "octocat",
            "workflow": "release",
            "event_name": "push",
            "ref_type": "branch",
            "job_workflow_ref": "{owner}/octo-repo/.github/workflows/release.yml@refs/heads/main",
            "runner_environment": "github-hosted",
            "nbf": "{now}",
        },
        header={"typ": "JWT", "x5t": "{kid}"},
        kid="38826b17-6a30-5f9b-b169-8beb8202f72{number}",
        jwk=("use", "alg", "x5t", "x5c"),
        checked="2026-11-28: reference/security/oidc (the standard claims, alg, kid and typ)",
        note=f"{_ONE_KIND} It signs for every repository: a claim of yours is pinned.",
    ),
    "gitlab": Provider(
        "GitLab.com CI/CD",
        ("https://docs.gitlab.com/ci/secrets/id_token_authentication/",),
        "https://gitlab.com",
        "https://gitlab.com/oauth/discovery/keys",
        {"issuer": "{issuer}", "audience": "{api}", "claims": {"namespace_id": "{tenant}"}},
        {"tenant": "72", "project": "20", "group": "acme", "api": "https://orders.acme.example"},
        {
            "tenant": {"tenant": "66", "project": "67", "group": "evil"},
            "app": {"api": "https://bills.acme.example"},
        },
        id_token={
            "namespace_id": "{tenant}",
            "namespace_path": "{group}",
            "project_id": "{project}",
            "project_path": "{group}/orders",
            "user_id": "1",
            "user_login": "ada",
            "pipeline_id": "574",
            "pipeline_source": "push",
            "job_id": "302",
            "ref": "main",
            "ref_type": "branch",
            "ref_protected": "true",
            "runner_environment": "gitlab-hosted",
            "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
            "sub": "project_path:{group}/orders:ref_type:branch:ref:main",
            "aud": "{api}",
            "nbf": "{now}",
        },
        kid="4i3sFE7sxqNPOT7FdvcGA1ZVGGI_r-tsDXnEuYT4Zq{number}",
        checked="2026-11-28: ci/secrets/id_token_authentication (RS256, every member)",
        note=f"{_ONE_KIND} It signs for every project: a claim of yours is pinned.",
    ),
    "firebase": Provider(
        "Firebase Authentication",
        ("https://firebase.google.com/docs/auth/admin/verify-id-tokens",),
        "https://securetoken.google.com/{tenant}",
        "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
        {"issuer": "{issuer}", "audience": "{tenant}"},
        {"tenant": "acme-shop"},
        {"tenant": {"tenant": "evil-shop"}},
        id_token={
            "aud": "{tenant}",
            "auth_time": "{now}",
            "user_id": "xyzABC123",
            "sub": "xyzABC123",
            "email": "ada@acme.example",
            "email_verified": False,
            "firebase": {
                "identities": {"email": ["ada@acme.example"]},
                "sign_in_provider": "password",
            },
        },
        kid="3f9a0508f1a7b2c3d4e5f60718293a4b5c6d7e8{number}",
        checked="2026-11-28: FirebaseIdToken (every member)",
        note=f"{_ONE_KIND} A project is one app; all projects have the same keys.",
    ),
    "apple": Provider(
        "Sign in with Apple",
        ("https://developer.apple.com/documentation/signinwithapple/verifying-a-user",),
        "https://appleid.apple.com",
        "https://appleid.apple.com/auth/keys",
        {"issuer": "{issuer}", "audience": "{app}"},
        {"app": "com.acme.shop"},
        {"app": {"app": "com.evil.shop"}},
        id_token={
            "aud": "{app}",
            "sub": "001999.1a2b3c4d5e6f.0102",
            "c_hash": "qsqRyUE5",
            "email": "ada@acme.example",
            "email_verified": True,
            "auth_time": "{now}",
            "nonce_supported": True,
        },
        header={},
        kid="E6q83RB15{number}",
        checked="2026-11-28: signinwithapplejs/authorizationi/id_token, fetch Apple's public key"
        " (claims, the place of the keys, kid); the header is that of a token in Apple's forum"
        " (thread 124175)",
        note=f"{_OPAQUE} All customers share one issuer: an app of another team is another app.",
    ),
    "cloudflare-access": Provider(
        "Cloudflare Access",
        (
            (
                "https://developers.cloudflare.com/cloudflare-one/access-controls/applications/"
                "http-apps/authorization-cookie/validating-json/"
            ),
        ),
        "https://{tenant}.cloudflareaccess.com",
        "https://{tenant}.cloudflareaccess.com/cdn-cgi/access/certs",
        {
            "issuer": "{issuer}",
            "jwks_uri": "{jwks_uri}",
            "audience": "{app}",
            "token_from": ["header:Cf-Access-Jwt-Assertion"],
        },
        {
            "tenant": "acme",
            "app": "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228",
        },
        {
            "tenant": {"tenant": "evil"},
            "app": {"app": "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"},
        },
        id_token={
            "aud": ["{app}"],
            "email": "ada@acme.example",
            "nbf": "{now}",
            "type": "app",
            "identity_nonce": "6ei69kawdKzMIAPF",
            "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
            "country": "US",
        },
        kid="9338abe1baf2fe492f646a736f25afbf7b025e35c627be4f60c414d4c73069b{number}",
        jwks={"public_cert": {"kid": "{kid}", "cert": "-----BEGIN CERTIFICATE-----"}},
        metadata_uri="",
        checked="2026-11-28: application-token (header and payload, every member)",
        note="It publishes no metadata for a team: set jwks_uri. It signs one token for each"
        " application, and that is accepted.",
    ),
    "kubernetes": Provider(
        "Kubernetes service accounts, on Amazon EKS",
        (
            (
                "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/"
                "#serviceaccount-token-volume-projection"
            ),
            "https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html",
        ),
        "https://oidc.eks.eu-west-1.amazonaws.com/id/{tenant}",
        "https://oidc.eks.eu-west-1.amazonaws.com/id/{tenant}/keys",
        {
            "issuer": "{issuer}",
            "audience": "{api}",
            "claims": {"sub": "system:serviceaccount:shop:{app}"},
        },
        {
            "tenant": "EXAMPLED539D4633E53DE1B71EXAMPLE",
            "app": "frontend",
            "api": "https://orders.acme.example",
        },
        {
            "tenant": {"tenant": "EXAMPLE0000000000000000000EXAMPLE"},
            "app": {"app": "batch"},
            "audience": {"api": "https://kubernetes.default.svc"},
        },
        access_token={
            "aud": ["{api}"],
            "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a",
            "kubernetes.io": {
                "namespace": "shop",
                "node": {"name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
                "pod": {"name": "frontend-0", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
                "serviceaccount": {"name": "{app}", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
            },
            "nbf": "{now}",
            "sub": "system:serviceaccount:shop:{app}",
        },
        header={},
        kid="d2a1f3b4c5d6e7f8091a2b3c4d5e6f708192a3b{number}",
        checked="2026-11-28: service-accounts-admin (payload, every member), and the issuer and"
        " header of a token of EKS that was published decoded (the place of its keys was not seen)",
        note="One kind of token, projected into the pod for an audience.",
    ),
    "zuplo-identity": Provider(
        "Zuplo, identity tokens of a deployment",
        ("https://zuplo.com/docs/programmable-api/zuplo-id-token",),
        "https://dev.zuplo.com/v1/client-auth/auth_o8PUdhKxSTOiB794GWPwLQCD",
        "https://dev.zuplo.com/v1/client-auth/auth_o8PUdhKxSTOiB794GWPwLQCD/.well-known/jwks.json",
        {
            "issuer": "{issuer}",
            "audience": "{api}",
            "claims": {"account": "{tenant}", "project": "{app}"},
        },
        {"tenant": "my-account", "app": "my-project", "api": "https://orders.acme.example"},
        {
            "tenant": {"tenant": "evil-account"},
            "app": {"app": "other-project"},
            "audience": {"api": "https://bills.acme.example"},
        },
        id_token={
            "account": "{tenant}",
            "project": "{app}",
            "deployment": "copper-bedbug-main-53c4947",
            "environment_type": "production",
            "sub": "atcl_8GLgIDYRw38Jqg0tHR8tiZfh",
            "aud": "{api}",
        },
        kid="atky_8gLGDfmHkNEZNvy7PDnmr2g{number}",
        checked="2026-11-28: zuplo-id-token (RS256, kid, account, project, deployment)",
        note=f"{_ONE_KIND} It signs for every customer: the account is pinned.",
    ),
    "zuplo-jwt": Provider(
        "Zuplo, the JWT service plugin of a project",
        ("https://zuplo.com/docs/programmable-api/jwt-service-plugin",),
        "https://{tenant}.zuplo.com/__zuplo/issuer",
        "https://{tenant}.zuplo.com/__zuplo/issuer/.well-known/jwks.json",
        {"issuer": "{issuer}", "audience": "{api}"},
        {"tenant": "my-api", "api": "https://orders.acme.example"},
        {
            "tenant": {"tenant": "evil-api"},
            "app": {"api": "https://bills.acme.example"},
        },
        access_token={"sub": "user-123", "aud": "{api}"},
        algorithm="EdDSA",
        checked="2026-11-28: jwt-service-plugin (EdDSA, issuer, places of metadata and keys)",
        note="One kind of token, whose claims the project chooses; the issuer is the project's"
        " own.",
    ),
}
