"""Settings that would start and that no token, URL or browser could ever match."""

from typing import Any

import pytest

from jwt_wsgi import ConfigurationError
from jwt_wsgi import Issuer
from jwt_wsgi import Settings
from jwt_wsgi.testing import FakeIssuer

ISSUER = "https://issuer.example"
META = "/.well-known/openid-configuration"
KEYS = FakeIssuer(ISSUER).jwks()


def problems(**options: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.of(**({"issuer": ISSUER} | options))
    return caught.value.problems


#: option, value, what the error says.
MISTAKES: list[tuple[str, Any, str]] = [
    ("issuer", "https://a.example,https://b.example", "a JSON array"),
    ("issuer", "https://a.example, https://b.example", "a JSON array"),
    ("issuer", "https://a.example https://b.example", "a JSON array"),
    ("issuer", "https://a.example;https://b.example", "a JSON array"),
    ("issuer", "https://a.example,", "a JSON array"),
    ("issuer", "https://${HOST}/", "${HOST} is a placeholder"),
    ("issuer", "https://$TENANT.auth0.com/", "$TENANT is a placeholder"),
    ("issuer", "https://login.example/<tenant>/v2.0", "<tenant> is a placeholder"),
    ("issuer", "https://login.microsoftonline.com/{tenantid}/v2.0", "{tenantid} is a placeholder"),
    ("issuer", "https://{{ domain }}/", "{{ domain }} is a placeholder"),
    ("issuer", "https://%TENANT%.example/", "%TENANT% is a placeholder"),
    ("issuer", "https://acme.eu.auth0.com", "ends with a slash"),
    ("issuer", "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dae", "v2.0"),
    ("issuer", "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dae", "ends with a slash"),
    ("issuer", "https://YOUR_DOMAIN/", "YOUR_DOMAIN is a placeholder"),
    ("issuer", "https://login.microsoftonline.com/common/v2.0", "no token has this iss"),
    ("issuer", "https://login.microsoftonline.com/organizations/v2.0", "no token has this iss"),
    ("issuer", "https://sts.windows.net/common/", "no token has this iss"),
    ("issuer", ISSUER + META, "its member 'issuer'"),
    (
        "issuer",
        "https://issuer.example/.well-known/oauth-authorization-server",
        "its member 'issuer'",
    ),
    ("issuer", "https://issuer.example/.well-known/jwks.json", "jwks_uri"),
    ("issuer", f'"{ISSUER}"', "quotes"),
    ("issuer", f"'{ISSUER}'", "quotes"),
    ("issuer", f"\u201c{ISSUER}\u201d", "quotes"),
    ("jwks_uri", ISSUER + META, "member jwks_uri"),
    ("jwks_uri", f"{ISSUER}/.well-known/oauth-authorization-server", "member jwks_uri"),
    ("jwks_uri", ISSUER, "the issuer itself"),
    ("jwks_uri", "https://<tenant>/keys", "<tenant> is a placeholder"),
    ("jwks_uri", f'"{ISSUER}/keys"', "quotes"),
    ("audience", '"api"', "quotes"),
    ("audience", ["'api'", "b"], "quotes"),
    ("audience", "api://${CLIENT_ID}", "${CLIENT_ID} is a placeholder"),
    ("audience", "<your-api>", "is a placeholder"),
    ("resource", "https://${HOST}/mcp", "${HOST} is a placeholder"),
    ("resource", '"https://api.example/mcp"', "quotes"),
    ("required_scopes", "'read'", "quotes"),
    ("required_claims", "'org'", "quotes"),
    ("claims", "org='acme'", "quotes"),
    ("claims", {"org": '"acme"'}, "quotes"),
    ("claims", {"azp": "<client-id>"}, "<client-id> is a placeholder"),
    ("claims", {"azp": ["a", "${CLIENT}"]}, "${CLIENT} is a placeholder"),
    ("claims", "azp={{CLIENT}}", "{{CLIENT}} is a placeholder"),
    ("jwks_headers", "X-Key='abc'", "quotes"),
    ("secret", '"abcdefghijklmnopqrstuvwxyz0123456789"', "quotes"),
    ("realm", "'my api'", "quotes"),
    ("public_paths", "/a?b=c", "no query"),
    ("public_paths", "https://api.example/healthz", "starts with /"),
    ("cors", "https://Spa.Example", "https://spa.example"),
    ("cors", "HTTPS://spa.example", "https://spa.example"),
    ("cors", "https://spa.example:443", "https://spa.example"),
    ("cors", "http://spa.example:80", "http://spa.example"),
    ("cors", "https://spa.example,https://${HOST}", "${HOST} is a placeholder"),
    ("cors", "https://m\u00fcller.example", "https://xn--mller-kva.example"),
    ("cors", "'https://spa.example'", "quotes"),
    ("cors", "https://*.example", "* cannot be a part of an origin"),
    ("max_token_age", 0, "leave it out"),
    ("rules", [{"path": "/a", "max_age": 0}], "leave it out"),
]


@pytest.mark.parametrize(
    ("option", "value", "remedy"), MISTAKES, ids=[f"{o}-{v!a}" for o, v, _ in MISTAKES]
)
def test_what_can_never_match_does_not_start(option: str, value: Any, remedy: str) -> None:
    """The error names the mistake."""
    (problem,) = problems(**{option: value})

    assert problem.startswith(option)
    assert remedy in problem


@pytest.mark.parametrize("form", ["keys of its own", "one of several", "an object"])
def test_an_issuer_is_looked_at_wherever_it_stands(form: str) -> None:
    """Also where its keys are given, so that it need not be a URL."""
    wrong = "https://login.microsoftonline.com/{tenantid}/v2.0"
    given: Any = {
        "keys of its own": Issuer(wrong, jwks=KEYS),
        "one of several": [Issuer("https://a.example"), Issuer(wrong)],
        "an object": [{"issuer": wrong, "jwks": KEYS}],
    }[form]

    (problem,) = problems(issuer=given)

    assert "{tenantid} is a placeholder" in problem


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("issuer", "https://my-api.zuplo.com/__zuplo/issuer"),
        ("issuer", "https://login.example/realms/your-company"),
        ("issuer", "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dae/v2.0"),
        ("jwks_uri", "https://login.example/.well-known/jwks.json"),
        ("jwks_uri", "https://login.example/keys?p=$1"),
        ("audience", "api://a$b"),
        ("audience", "it's"),
        ("claims", {"title": "<b>bold</b> {x}"}),
        ("claims", {"title": "O'Neill'"}),
        ("claims", {"n": 7, "t": True}),
        ("secret", "'bcdefghijklmnopqrstuvwxyz0123456789"),
        ("secret", "abc${def}ghijklmnopqrstuvwxyz0123456789"),
        ("cors", ["https://spa.example:8443", "http://localhost:3000", "capacitor://localhost"]),
        ("max_token_age", 1),
    ],
)  # fmt: skip
def test_what_may_match_starts(option: str, value: Any) -> None:
    """A value is refused only if it can never match."""
    Settings.of(**({"issuer": ISSUER} | {option: value}))


def test_all_problems_of_durations_at_once() -> None:
    """What can be read is judged, whatever is wrong with the others; each with its value."""
    assert problems(jwks_max_age="soon", jwks_timeout="0") == (
        "jwks_max_age: 'soon': give seconds (600) or a duration (90s, 10m, 1h)",
        "jwks_timeout: 0 s: from 0.1 s to 60 s, and below your server's time-out",
    )
    assert problems(jwks_max_age="0", jwks_max_stale="soon", jwks_timeout="2m", leeway="1h") == (
        "jwks_max_stale: 'soon': give seconds (600) or a duration (90s, 10m, 1h)",
        "leeway: '1h': at most 300 s, or expired tokens pass for too long; correct the clocks",
        "jwks_max_age: 0 s: at least 1 s",
        "jwks_timeout: 120 s: from 0.1 s to 60 s, and below your server's time-out",
    )
    assert len(problems(jwks_max_age="2d", jwks_max_stale="1h")) == 1


def test_all_problems_of_an_issuer_at_once() -> None:
    """Of a list, each with its place, and the other options beside them."""
    found = problems(
        issuer=["https://${A}", "https://b.example", ISSUER + META], audience="'x'", leeway="1h"
    )

    assert [problem.partition(": ")[0] for problem in found] == [
        "issuer[0]", "issuer[2]", "audience", "leeway",
    ]  # fmt: skip
