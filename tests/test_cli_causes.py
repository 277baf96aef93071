"""The table of causes: every row is recognised, with its sentence and its remedy."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import pytest

from jwt_wsgi import Issuer
from jwt_wsgi.cli.explain_causes import CAUSES
from jwt_wsgi.cli.explain_steps import verdict_on
from jwt_wsgi.cli.remedies import FETCH_CAUSES
from jwt_wsgi.cli.remedies import FETCH_REMEDIES
from jwt_wsgi.cli.remedies import REFUSAL_REMEDIES
from jwt_wsgi.cli.remedies import fetch_remedy
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.fetch import HTTPFetch
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.testing import FakeIssuer

Make = Callable[[FakeIssuer], str]
TENANT = "11111111-2222-3333-4444-555555555555"
V1, V2 = f"https://sts.windows.net/{TENANT}/", f"https://login.microsoftonline.com/{TENANT}/v2.0"
POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC"
KEYCLOAK = "https://sso.example/realms/shop"


class Example(NamedTuple):
    """A request that is refused for this cause, and the settings."""

    code: str
    name: str
    make: Make
    options: dict[str, Any] = {}  # noqa: RUF012  # read only
    method: str = "GET"
    issuer: str = "https://issuer.example"
    path: str = "/"
    algorithm: str = "ES256"


def of(**claims: Any) -> Make:
    return lambda issuer: issuer.token(**({"aud": "api"} | claims))


def head(**header: Any) -> Make:
    return lambda issuer: issuer.token(header=header, aud="api")


def text(sent: str) -> Make:
    return lambda issuer: sent.replace("TOKEN", issuer.token(aud="api"))


def part(members: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


def kid_seven(issuer: FakeIssuer) -> str:
    return ".".join([part({"alg": "ES256", "kid": 7}), *issuer.token().split(".")[1:]])


def with_header(members: Any) -> Make:
    return lambda issuer: ".".join([part(members), *issuer.token().split(".")[1:]])


def with_payload(data: bytes) -> Make:
    payload = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    return lambda issuer: f"{issuer.token().partition('.')[0]}.{payload}.AAAA"


def padded(issuer: FakeIssuer) -> str:
    return ".".join(f"{piece}==" for piece in issuer.token(aud="api").split("."))


def standard(issuer: FakeIssuer) -> str:
    return issuer.token(aud="api")[:-3] + "+/A"


def signed_as_der(issuer: FakeIssuer) -> str:
    signature = b"\x30\x44" + b"\x02\x20" + b"\x01" * 32 + b"\x02\x20" + b"\x01" * 32
    encoded = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    return issuer.token(aud="api").rpartition(".")[0] + "." + encoded


def other_key(issuer: FakeIssuer) -> str:
    return issuer.wrong_key()(aud="api")


def other_nonce(issuer: FakeIssuer) -> str:
    return issuer.wrong_key()(aud="api", header={"nonce": "abc"})


RULE = {"path": "/orders", "scopes": ["read"]}
ACR = {"rules": [{"path": "/*", "acr_values": ["gold"]}]}
RECENT = {"rules": [{"path": "/*", "max_age": 60}]}
ES = FakeIssuer(algorithm="ES256").jwks()["keys"][0]
ED = FakeIssuer().jwks()["keys"][0]
ED448 = FakeIssuer(algorithm="Ed448").jwks()["keys"][0] | {"kid": "key-1", "alg": "EdDSA"}

EXAMPLES = [
    Example("token_missing", "elsewhere", text("Host: x\nX-Auth-Token: TOKEN")),
    Example("token_missing", "elsewhere", text("Host: x\nCookie: a=b; session=TOKEN")),
    Example(
        "token_missing", "another site", text("Cookie: t=TOKEN\nSec-Fetch-Site: cross-site"),
        {"token_from": "cookie:t"}, "POST",
    ),
    Example(
        "token_missing", "another scheme", text("Authorization: Basic Zm9v"),
        {"token_from": "header,cookie:t"},
    ),
    Example("token_missing", "path", text(""), {"public_paths": ["/api/me"]}, path="//api/me"),
    Example("token_missing", "", text("")),
    Example(
        "origin_not_allowed", "", text("Authorization: Bearer TOKEN\nOrigin: https://b.example"),
        {"allowed_origins": "https://a.example"},
    ),
    Example(
        "tokens_multiple", "one cookie twice", text("Cookie: t=TOKEN; t=x"),
        {"token_from": "cookie:t"},
    ),
    Example(
        "tokens_multiple", "", text("Authorization: Bearer TOKEN\nCookie: t=TOKEN"),
        {"token_from": "header,cookie:t"},
    ),
    Example("header_malformed", "bearer twice", text("Bearer Bearer TOKEN")),
    Example("header_malformed", "JSON", text('{"access_token": "TOKEN", "expires_in": 300}')),
    Example("header_malformed", "JSON", text('Bearer {"payload":"x","signatures":[]}')),
    Example("header_malformed", "percent-encoded", lambda i: i.token().replace(".", "%2E")),
    Example("header_malformed", "percent-encoded", text("Bearer TOKEN%0A")),
    Example("header_malformed", "escaped line end", text("Bearer TOKEN\\n")),
    Example("header_malformed", "joined", text("Bearer TOKEN, Bearer TOKEN")),
    Example(
        "header_malformed", "joined",
        text("Authorization: Bearer TOKEN\nAuthorization: Bearer TOKEN"),
    ),
    Example("header_malformed", "nothing", text("Bearer [object Object]")),
    Example("header_malformed", "placeholder", text("Bearer $TOKEN_OF_MINE".replace("TOKEN_", ""))),
    Example("header_malformed", "placeholder", text("Authorization: Bearer ${ACCESS}")),
    Example("header_malformed", "placeholder", text("Bearer {{access_token}}")),
    Example("header_malformed", "placeholder", text("Bearer <your token>")),
    Example("header_malformed", "another scheme", text("Basic Zm9vOmJhcg==")),
    Example("header_malformed", "no scheme", text("Authorization: TOKEN")),
    Example("header_malformed", "quotes", text('"TOKEN"')),
    Example("header_malformed", "empty", text("Authorization: Bearer ")),
    Example("header_malformed", "pieces", text("Bearer TOKEN x")),
    Example("header_malformed", "", text("Authorization: something")),
    Example("token_malformed", "too long", of(groups=["x"] * 200), {"max_token_size": 500}),
    Example("token_malformed", "nothing", text("Bearer undefined")),
    Example("token_malformed", "nothing", text("Bearer null")),
    Example("token_malformed", "placeholder", text("Bearer YOUR_ACCESS_JWT")),
    Example("token_malformed", "kid", kid_seven),
    Example("token_malformed", "extension", head(crit=["b64"])),
    Example("token_malformed", "no alg", with_header({"kid": "key-1"})),
    Example("token_malformed", "no alg", with_header({"alg": 5})),
    Example("token_malformed", "typ", with_header({"alg": "ES256", "typ": 5})),
    Example("token_malformed", "twice", with_payload(b'{"iss":"a","iss":"b"}')),
    Example("token_malformed", "no JSON", with_payload(b"[1]")),
    Example("token_malformed", "no JSON", with_payload(b"hello")),
    Example("token_malformed", "no JSON", with_payload(b'{"a":"\xff"}')),
    Example("token_malformed", "no JSON", with_payload(b"{}{}")),
    Example("header_malformed", "padding", padded),
    Example("token_malformed", "padding", lambda i: i.token() + "="),
    Example("token_malformed", "base64", standard),
    Example("token_malformed", "opaque", text("mF_9.B5f-4.1JqM".replace(".", ""))),
    Example("token_malformed", "opaque", text("ya29.a0AfH6SMBx5Zk8mQv3pXw")),  # Google's
    Example("token_malformed", "cut", lambda i: i.token().rpartition(".")[0]),
    Example("token_malformed", "encrypted", text("e30.e30.e30.e30.e30")),
    Example("token_malformed", "", text("a.b.c.d")),
    Example("issuer_not_trusted", "no iss", of(iss=None)),
    Example("issuer_not_trusted", "iss no text", of(iss=5)),
    Example("issuer_not_trusted", "slash", of(iss="https://issuer.example/")),
    Example("issuer_not_trusted", "case", of(iss="https://Issuer.example")),
    Example("issuer_not_trusted", "scheme", of(iss="http://issuer.example")),
    Example("issuer_not_trusted", "no scheme", of(iss="issuer.example")),
    Example("issuer_not_trusted", "port", of(iss="https://issuer.example:443")),
    Example(
        "issuer_not_trusted", "port", of(iss="https://issuer.example/a"),
        issuer="https://issuer.example:443/a",
    ),
    Example("issuer_not_trusted", "Entra version", of(iss=V1), issuer=V2),
    Example("issuer_not_trusted", "Entra version", of(iss=V2), issuer=V1),
    Example(
        "issuer_not_trusted", "AD FS", of(iss="http://fs.example/adfs/services/trust"),
        issuer="https://fs.example/adfs",
    ),
    Example(
        "issuer_not_trusted", "Okta org", of(iss="https://acme.okta.com"),
        issuer="https://acme.okta.com/oauth2/default",
    ),
    Example(
        "issuer_not_trusted", "Firebase custom token",
        of(
            iss="firebase-adminsdk-x@acme.iam.gserviceaccount.com",
            aud="https://identitytoolkit.googleapis.com/"
            "google.identity.identitytoolkit.v1.IdentityToolkit",
        ),
    ),
    Example("issuer_not_trusted", "", of(iss="https://other.example")),
    Example("algorithm_not_allowed", "none", head(alg="none")),
    Example("algorithm_not_allowed", "shared secret", head(alg="HS256")),
    Example("algorithm_not_allowed", "opt-in", head(alg="ES256K")),
    Example("algorithm_not_allowed", "", of(), {"algorithms": "RS256"}),
    Example("token_type_not_allowed", "another kind", head(typ="logout+jwt")),
    Example("token_type_not_allowed", "not marked", of(), {"token_types": "at+jwt"}),
    Example("token_type_not_allowed", "", head(typ="x+jwt"), {"token_types": "at+jwt"}),
    Example("token_expired", "", of(exp=1)),
    Example("token_not_yet_valid", "", of(nbf=time.time() + 9000)),
    Example("token_too_old", "", of(iat=1), {"max_token_age": "5m"}),
    Example("audience_mismatch", "Cognito", of(aud=None, client_id="x"), issuer=POOL),
    Example("audience_mismatch", "Keycloak account", of(aud="account"), issuer=KEYCLOAK),
    Example("audience_mismatch", "Microsoft Graph", of(aud="https://graph.microsoft.com")),
    Example(
        "audience_mismatch", "Microsoft Graph", of(aud="00000003-0000-0000-c000-000000000000")
    ),
    Example("audience_mismatch", "Entra", of(aud=f"api://{TENANT}"), {"audience": TENANT}),
    Example("audience_mismatch", "Entra", of(aud=TENANT), {"audience": f"api://{TENANT}"}),
    Example("audience_mismatch", "slash", of(aud="https://A.example/"), {"audience": "https://a.example"}),
    Example("audience_mismatch", "not configured", of(), {"audience": None}),
    Example("audience_mismatch", "no aud", of(aud=None)),
    Example("audience_mismatch", "no text", of(aud=5)),
    Example("audience_mismatch", "no text", of(aud=[5])),
    Example("audience_mismatch", "", of(aud="other")),
    Example(
        "audience_mismatch", "no aud", of(aud=None), {"audience": "account"}, issuer=KEYCLOAK
    ),
    Example("claim_missing", "exp", of(exp=None)),
    Example("claim_missing", "iat", of(iat=None), {"max_token_age": "5m"}),
    Example("claim_missing", "", of(), {"required_claims": "org"}),
    Example("claim_invalid", "no text", of(sub=42)),
    Example("claim_invalid", "milliseconds", of(exp=1_800_000_000_000)),
    Example("claim_invalid", "no time", of(exp="2030-01-01")),
    Example(
        "claim_invalid", "two readings", of(**{"own.role": "a", "own": {"role": "a"}}),
        {"claims": {"own.role": "a"}},
    ),
    Example("claim_invalid", "number", of(org=42), {"claims": {"org": ["42"]}}),
    Example("claim_invalid", "number", of(org="42"), {"claims": {"org": [42]}}),
    Example(
        "claim_invalid", "control characters", of(sub="a\nb"), {"claim_headers": {"sub": "X-U"}}
    ),
    Example("claim_invalid", "", of(org="evil"), {"claims": {"org": ["acme"]}}),
    Example(
        "key_not_found", "skipped", head(kid="enc"),
        {"jwks": {"keys": [ES, {**ES, "kid": "enc", "use": "enc"}]}},
    ),
    Example(
        "key_not_found", "Ed448", of(), {"jwks": {"keys": [ED448]}}, algorithm="EdDSA"
    ),
    Example("key_not_found", "algorithm", of(), {"jwks": {"keys": [{**ED, "kid": "key-1"}]}}),
    Example(
        "key_not_found", "no kid is published", of(),
        {"jwks": {"keys": [{name: ED[name] for name in ED if name != "kid"}]}},
    ),
    Example("key_not_found", "", head(kid="other")),
    Example("signature_invalid", "Microsoft Graph", other_nonce),
    Example("signature_invalid", "DER", signed_as_der),
    Example("signature_invalid", "cut", lambda i: i.token(aud="api").rpartition(".")[0] + "."),
    Example("signature_invalid", "cut", lambda i: i.token(aud="api")[:-46]),
    Example("signature_invalid", "", other_key),
    Example("token_bound", "DPoP", of(cnf={"jkt": "x"})),
    Example("token_bound", "mutual TLS", of(cnf={"x5t#S256": "x"})),
    Example("token_bound", "", of(cnf={"kid": "x"})),
    Example(
        "insufficient_scope", "path", of(), {"rules": [RULE]}, path="//api/me"
    ),
    Example(
        "insufficient_scope", "permissions", of(permissions=["read"]), {"required_scopes": "read"}
    ),
    Example("insufficient_scope", "roles", of(roles=["read"]), {"required_scopes": "read"}),
    Example("insufficient_scope", "commas", of(scope="read,write"), {"required_scopes": "read"}),
    Example(
        "insufficient_scope", "number", of(org=42),
        {"rules": [{"path": "/*", "claims": {"org": ["42"]}}]},
    ),
    Example("insufficient_scope", "no scope", of(), {"required_scopes": "read"}),
    Example("insufficient_scope", "", of(scope="write"), {"required_scopes": "read"}),
    Example("insufficient_user_authentication", "no acr", of(), ACR),
    Example("insufficient_user_authentication", "", of(acr="tin"), ACR),
    Example("insufficient_user_authentication", "no auth_time", of(), RECENT),
    Example(
        "revocation_unavailable", "", of(jti="a"), {"revocation": "redis://127.0.0.1:1"},
    ),
]  # fmt: skip
#: Rows whose examples are elsewhere: a whole command, or a store or function that fails.
ELSEWHERE = {
    ("issuer_not_trusted", "nothing configured"),
    ("token_revoked", ""),
    ("temporarily_unavailable", ""),
    ("keys_unavailable", ""),
    ("key_not_known_yet", ""),
    *(("keys_unavailable", kind) for kind in FETCH_REMEDIES),
    *(("keys_unavailable", row.name) for row in FETCH_CAUSES),
}


def judged(example: Example) -> dict[str, Any]:
    issuer = FakeIssuer(example.issuer, algorithm=example.algorithm)
    options = {"issuer": issuer.issuer, "jwks": issuer.jwks(), "audience": "api"}
    settings = Settings.load(options | example.options, environ={})
    text = example.make(issuer)
    return verdict_on(settings, text, method=example.method, path=example.path).as_json()


@pytest.mark.parametrize(
    "example",
    EXAMPLES,
    ids=[f"{example.code}, {example.name or 'general'} {n}" for n, example in enumerate(EXAMPLES)],
)
def test_every_cause_is_recognised(example: Example) -> None:
    """By its sentence and its remedy; the general row has the code's remedy."""
    told = judged(example)
    row = next(row for row in CAUSES if (row.code, row.name) == (example.code, example.name))

    assert (told["code"], told["cause"]) == (example.code, example.name)
    assert told["says"] == row.sentence
    general = REFUSAL_REMEDIES[row.code].replace("{place}", "")
    assert (
        told["remedy"] in (row.remedy, general)
        or "{place}" in row.remedy + (REFUSAL_REMEDIES[row.code])
    )
    assert "{" not in told["remedy"].replace('{"', "")


def test_every_row_has_an_example() -> None:
    """And no example is of a row that is not there."""
    rows = [(row.code, row.name) for row in CAUSES]

    assert len(rows) == len(set(rows))
    assert {(e.code, e.name) for e in EXAMPLES} | ELSEWHERE == set(rows)


def test_every_row_is_a_sentence() -> None:
    """Whole sentences, ASCII, and no class of Python's or a test's in them."""
    for row in CAUSES:
        for words in (row.sentence, row.remedy):
            assert words.isascii()
            assert not words or words[-1] in ".)", words
            assert "Error" not in words.replace("ERROR", "")
        assert bool(row.sentence) or row.name in {"", *FETCH_REMEDIES}


@pytest.mark.parametrize("kind", [kind for kind in FETCH_REMEDIES if kind not in ("own", "file")])
@pytest.mark.parametrize("where", ["", "keys of https://issuer.example: "])
def test_why_keys_cannot_be_had(kind: str, where: str) -> None:
    """The remedy is that of the failed fetch, whatever its kind."""

    class Failing:
        def candidates(self, _header: Any) -> Any:
            error = FetchError(kind, "it is so")
            raise KeysUnavailableError(detail=f"{where}{error.kind}: {error.detail}")

    issuer = FakeIssuer()
    settings = Settings.of(issuer=Issuer(issuer.issuer, keys=Failing()))
    told = verdict_on(settings, issuer.token()).as_json()

    assert (told["code"], told["cause"]) == ("keys_unavailable", kind)
    assert told["remedy"] == FETCH_REMEDIES[kind]


WEB_PAGE = b"<!doctype html><title>Log in</title>"
TRUE = b'{"issuer": "https://issuer.example", "jwks_uri": "https://issuer.example/keys"}'


@pytest.mark.parametrize(
    ("metadata", "keys", "name"),
    [
        (b'{"issuer": "https://issuer.example/"}', b"", "slash in metadata"),
        (b'{"issuer": "https://x.example/{tenantid}/v2.0"}', b"", "metadata of many tenants"),
        (b'{"issuer": "https://front.example"}', b"", "metadata of another"),
        (WEB_PAGE, WEB_PAGE, "web page"),
        (TRUE, WEB_PAGE, "web page"),
        (TRUE, b"[]", "another document"),
        (TRUE, b'{"a": "-----BEGIN CERTIFICATE-----"}', "another document"),
        (TRUE, b"{}", "no public key"),
        (TRUE, FetchError("http", "status 401", status=401), "credentials"),
        (TRUE, FetchError("http", "status 403", status=403), "credentials"),
        (TRUE, FetchError("http", "status 500", status=500), "http"),
        (TRUE, b'{"keys": []}', "document"),
        (b'{"issuer": "https://issuer.example"}', b"", "discovery"),
    ],
)
def test_what_is_served_in_the_place_of_keys(
    monkeypatch: pytest.MonkeyPatch, metadata: bytes, keys: bytes | FetchError, name: str
) -> None:
    """Each is recognised by the words that a real fetch has for it, in explain and in doctor."""

    def fetch(_self: HTTPFetch, url: str, **_options: Any) -> Fetched:
        found = metadata if "/openid-configuration" in url or metadata is WEB_PAGE else keys
        if isinstance(found, FetchError):
            raise found
        return Fetched(found, None, None)

    monkeypatch.setattr(HTTPFetch, "__call__", fetch)
    issuer = FakeIssuer()
    settings = Settings.of(issuer=issuer.issuer, audience="api")
    verdict = verdict_on(settings, issuer.token(aud="api"))
    told = verdict.as_json()
    assert verdict.error is not None

    rows = {row.name: row.remedy for row in FETCH_CAUSES}
    assert (told["code"], told["cause"]) == ("keys_unavailable", name)
    assert told["remedy"] == (rows | FETCH_REMEDIES)[name]
    problem = verdict.error.detail.removeprefix("keys of https://issuer.example: ")
    assert fetch_remedy(problem.partition(":")[0], problem) == told["remedy"]


@pytest.mark.parametrize(
    ("url", "kind"), [("http://127.0.0.1:1", "connect"), ("https://name.invalid", "dns")]
)
def test_why_a_real_fetch_fails(url: str, kind: str) -> None:
    """The words are those of remote keys, not of a source that a test made."""
    issuer = FakeIssuer(url)
    told = verdict_on(Settings.of(issuer=url, audience="api"), issuer.token(aud="api")).as_json()

    assert (told["code"], told["cause"]) == ("keys_unavailable", kind)
    assert told["remedy"] == FETCH_REMEDIES[kind]


def test_a_number_and_a_text_look_different() -> None:
    """42 is not '42', and that is the cause."""
    told = judged(Example("", "", of(org="42"), {"claims": {"org": [42]}}))["facts"]
    assert told[0] == "org is '42'; accepted: 42"

    told = judged(Example("", "", of(org=[True, 42]), {"claims": {"org": ["42"]}}))["facts"]
    assert told[0] == "org is [true, 42]; accepted: '42'"


@pytest.mark.parametrize(
    ("token_from", "words"),
    [
        ("header", "the header Authorization: Bearer TOKEN"),
        ("header:X-Token", "the header X-Token: TOKEN"),
        ("cookie:t", "the cookie t=TOKEN"),
        ("header,cookie:t", "the header Authorization: Bearer TOKEN or the cookie t=TOKEN"),
    ],
)
def test_the_remedy_names_the_place(token_from: str, words: str) -> None:
    """That of the option token_from."""
    told = judged(Example("token_missing", "", text(""), {"token_from": token_from}))

    assert words in told["remedy"]
