"""Well-known providers: with the settings of their documentation, who gets in and who does not.

``python tests/test_providers.py`` prints the table of what is accepted and refused.

Tokens, keys and metadata have the shape that each provider documents; signatures are real, and the
keys are found where the provider says, by the real discovery. Tokens of others are signed with the
very keys of the provider, so that only the settings keep them out.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import jose
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.fetch import HTTPFetch
from jwt_wsgi.settings.provider_hints import hint
from jwt_wsgi.test_kit.providers import PROVIDERS
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import FakeProvider

ISSUER, AUDIENCE, CLAIM = "issuer_not_trusted", "audience_mismatch", "claim_invalid"
MISSING, SCOPE = "claim_missing", "insufficient_scope"
#: What is accepted, and with which code everything else is refused.
OUTCOMES: dict[str, tuple[str, dict[str, str]]] = {
    "entra-v2": ("access", {"id token": SCOPE, "tenant": ISSUER, "app": AUDIENCE}),
    "entra-v1": ("access", {"id token": AUDIENCE, "tenant": ISSUER, "app": AUDIENCE}),
    "b2c": ("access", {"id token": SCOPE, "tenant": ISSUER, "app": AUDIENCE}),
    "adfs": ("access", {"id token": ISSUER, "tenant": ISSUER, "app": AUDIENCE}),
    "auth0": ("access", {"id token": AUDIENCE, "tenant": ISSUER, "app": AUDIENCE}),
    "okta": ("access", {"id token": AUDIENCE, "tenant": ISSUER, "app": AUDIENCE}),
    "cognito": ("access", {"id token": AUDIENCE, "tenant": ISSUER, "app": CLAIM}),
    "keycloak": ("access", {"id token": CLAIM, "tenant": ISSUER, "app": AUDIENCE}),
    "hydra": ("access", {"id token": AUDIENCE, "tenant": ISSUER, "app": AUDIENCE}),
    "zitadel": ("access", {"id token": MISSING, "tenant": ISSUER, "app": AUDIENCE}),
    "authentik": ("access", {"id token": MISSING, "tenant": ISSUER, "app": ISSUER}),
    "supabase": ("access", {"tenant": ISSUER}),
    "clerk": ("access", {"id token": AUDIENCE, "tenant": ISSUER, "app": CLAIM}),
    "google": ("id token", {"tenant": CLAIM, "app": AUDIENCE, "service account": CLAIM}),
    "google-iap": ("id token", {"tenant": AUDIENCE, "app": AUDIENCE}),
    "github-actions": ("id token", {"tenant": CLAIM, "app": AUDIENCE}),
    "gitlab": ("id token", {"tenant": CLAIM, "app": AUDIENCE}),
    "firebase": ("id token", {"tenant": ISSUER}),
    "apple": ("id token", {"app": AUDIENCE}),
    "cloudflare-access": ("id token", {"tenant": ISSUER, "app": AUDIENCE}),
    "kubernetes": ("access", {"tenant": ISSUER, "app": CLAIM, "audience": AUDIENCE}),
    "zuplo-identity": ("id token", {"tenant": CLAIM, "app": CLAIM, "audience": AUDIENCE}),
    "zuplo-jwt": ("access", {"tenant": ISSUER, "app": AUDIENCE}),
}
#: Terms that the documentation asks for, though another one keeps the same tokens out.
SPARE = {"entra-v1": {"required_scopes"}, "cognito": {"claims.token_use"}}
#: Where each finds its keys: by metadata, or because jwks_uri is set.
WITHOUT_DISCOVERY = {"b2c", "adfs", "google-iap", "cloudflare-access"}
#: Members of a JWK, ``kty`` and ``kid`` apart, and what makes up the key.
JWK_MEMBERS = {
    "entra-v2": "use x5t x5c issuer",
    "entra-v1": "use x5t x5c",
    "b2c": "use nbf",
    "adfs": "use alg x5t x5c",
    "auth0": "use alg x5t x5c",
    "keycloak": "use alg x5t x5c",
    "authentik": "use alg x5t x5t#S256 x5c",
    "supabase": "use alg key_ops ext",
    "github-actions": "use alg x5t x5c",
}
KINDS = {"supabase": "EC", "google-iap": "EC", "zuplo-jwt": "OKP"}

every_provider = pytest.mark.parametrize("name", OUTCOMES)
_made: dict[str, FakeProvider] = {}


def like(name: str) -> FakeProvider:
    """One of each: an RSA key takes its time."""
    if name not in _made:
        _made[name] = FakeIssuer.like(name)
    return _made[name]


class Internet:
    """Serves the documents of one provider by their URLs, and remembers what was asked for."""

    def __init__(self, provider: FakeProvider) -> None:
        self.provider = provider
        self.asked: list[str] = []

    def fetch(self, url: str) -> Fetched:
        self.asked.append(url)
        if (document := self.provider.documents.get(url)) is None:
            raise FetchError("http", "status 404", status=404)
        return Fetched(json.dumps(document).encode(), None, None)


@pytest.fixture
def internet(name: str, monkeypatch: pytest.MonkeyPatch) -> Internet:
    """Instead of the network; everything above one GET is real."""
    served = Internet(like(name))
    monkeypatch.setattr(HTTPFetch, "__call__", lambda _self, url, **_options: served.fetch(url))
    return served


def visit(middleware: JWTMiddleware, token: str) -> tuple[int, str]:
    """Status and code of a request that carries the token where the settings say."""
    (where,) = middleware.settings.token_from
    header = bearer(token) if where == "header" else {where.removeprefix("header:"): token}
    answer = Client(middleware).get("/", headers=header)
    return answer.status_code, (answer.get_json(silent=True) or {}).get("code", "")


def guard(provider: FakeProvider) -> JWTMiddleware:
    return JWTMiddleware(EchoApp(), **provider.settings)


@every_provider
def test_the_right_token_gets_in(name: str, internet: Internet) -> None:
    """The keys are where the provider documents them, and nobody else is asked."""
    provider = like(name)

    assert visit(guard(provider), provider.token()) == (200, "")
    metadata = provider.provider.metadata_uri.format_map(provider.values)
    discovery = [] if name in WITHOUT_DISCOVERY else [metadata]
    assert internet.asked == [*discovery, provider.values["jwks_uri"]]


@every_provider
def test_every_other_token_stays_outside(name: str, internet: Internet) -> None:
    """The ID token, another tenant's, another app's: rightly signed, each with its reason."""
    provider = like(name)
    middleware = guard(provider)

    told = {kind: visit(middleware, token) for kind, token in others_of(provider).items()}
    accepted, refused = OUTCOMES[name]
    assert told == {kind: (403 if code == SCOPE else 401, code) for kind, code in refused.items()}
    assert accepted == ("access" if provider.provider.access_token else "id token")


def others_of(provider: FakeProvider) -> dict[str, str]:
    """The tokens that must stay outside, by kind."""
    tokens = {kind: provider.other(kind).token() for kind in provider.provider.others}
    if provider.provider.access_token and provider.provider.id_token:
        tokens["id token"] = provider.id_token()
    return tokens


def weakened(settings: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The settings with one term less each."""
    for option in settings.keys() - {"issuer", "jwks_uri", "token_from", "claims"}:
        yield option, {name: value for name, value in settings.items() if name != option}
    for claim in settings.get("claims", {}):
        rest = {name: value for name, value in settings["claims"].items() if name != claim}
        yield f"claims.{claim}", settings | {"claims": rest}


def tells_apart(provider: FakeProvider, settings: dict[str, Any]) -> bool:
    """Whether these settings let the right token in, and no other."""
    try:
        middleware = JWTMiddleware(EchoApp(), **settings)
    except ConfigurationError:
        return False
    let_in = [visit(middleware, token)[0] == 200 for token in others_of(provider).values()]
    return visit(middleware, provider.token())[0] == 200 and not any(let_in)


@every_provider
def test_every_term_is_needed(name: str, internet: Internet) -> None:
    """Without it the right token is refused, another one gets in, or nothing starts."""
    provider = like(name)
    spare = {option for option, less in weakened(provider.settings) if tells_apart(provider, less)}

    assert spare == SPARE.get(name, set())


@pytest.mark.slow
@every_provider
def test_a_forged_signature_stays_outside(name: str, internet: Internet) -> None:
    """Under the provider's own kid."""
    provider = like(name)

    assert visit(guard(provider), provider.wrong_key()()) == (401, "signature_invalid")


@every_provider
def test_the_keys_have_the_shape_that_is_documented(name: str) -> None:
    """Each member, of each key; a kid is a text that the tokens name."""
    provider = like(name)
    keys = provider.jwks()["keys"]

    assert [key["kty"] for key in keys] == [KINDS.get(name, "RSA")] * (1 + (name == "keycloak"))
    numbers = {"kty", "kid", "n", "e", "crv", "x", "y"}
    assert keys[0].keys() - numbers == set(JWK_MEMBERS.get(name, "use alg").split())
    assert keys[0]["use"] == "sig"
    assert jose.parse(provider.token()).header["kid"] == keys[0]["kid"] == provider.kid


@every_provider
def test_nothing_is_left_to_be_filled_in(name: str) -> None:
    """In tokens, documents and settings of ours and of others."""
    ours = like(name)

    for provider in (ours, *(ours.other(kind) for kind in ours.provider.others)):
        token = jose.parse(provider.token())
        shown = [token.header, token.claims, provider.documents, provider.settings]
        assert _no_placeholder(shown)


def _no_placeholder(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_no_placeholder(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return all(map(_no_placeholder, value))
    return not (isinstance(value, str) and ("{" in value or "}" in value))


@every_provider
def test_every_row_cites_its_documentation(name: str) -> None:
    """Pages of the owner; where there is no access token a sentence says what is accepted."""
    row = PROVIDERS[name]

    assert row.sources
    assert all(source.startswith("https://") for source in row.sources)
    assert re.match(r"\d{4}-\d\d-\d\d: .+\(.+\)", row.checked), "compare it with its sources"
    assert row.title
    assert row.note
    assert row.access_token is not None or "accepted" in row.note
    options = row.settings
    assert (
        hint(
            like(name).issuer,
            audience=options.get("audience", ()),
            expected_claims=options.get("claims", {}),
        )
        is None
    )


def test_no_row_is_lost() -> None:
    """The names that people write, spelled out above."""
    assert list(PROVIDERS) == list(OUTCOMES)


def test_cognito_with_an_audience_lets_the_wrong_token_in() -> None:
    """What the hint at start warns of."""
    cognito = like("cognito")
    settings = {"issuer": cognito.issuer, "audience": cognito.values["app"]}
    middleware = JWTMiddleware(EchoApp(), jwks=cognito.jwks(), **settings)

    assert visit(middleware, cognito.token()) == (401, AUDIENCE)
    assert visit(middleware, cognito.id_token()) == (200, "")


def test_a_key_for_encryption_verifies_nothing() -> None:
    """Keycloak publishes one beside the other, of the same kind."""
    keycloak = like("keycloak")
    (_, other) = keycloak.jwks()["keys"]
    assert (other["use"], other["alg"]) == ("enc", "RSA-OAEP")
    middleware = keycloak.protect(EchoApp())

    assert visit(middleware, keycloak.token()) == (200, "")
    assert visit(middleware, keycloak.token(header={"kid": other["kid"]}))[1] == "key_not_found"


@pytest.mark.parametrize("name", ["entra-v2", "supabase", "zuplo-jwt"])
def test_a_rotation_is_followed(name: str, internet: Internet) -> None:
    """With a kid in the provider's form again."""
    provider = FakeIssuer.like(name)
    internet.provider = provider
    middleware = guard(provider)
    old = provider.token()
    assert visit(middleware, old) == (200, "")

    provider.rotate()

    assert visit(middleware, provider.token()) == (200, "")
    assert visit(middleware, old) == (200, "")


def test_it_guards_an_app_without_any_network() -> None:
    """With the settings that its documentation asks for, and yours on top of them."""
    cognito = FakeIssuer.like("cognito", app="my-client")
    middleware = cognito.protect(EchoApp(), required_scopes="orders/read")

    assert visit(middleware, cognito.token()) == (200, "")
    assert visit(middleware, cognito.token(scope="openid")) == (403, SCOPE)
    assert visit(middleware, cognito.token(client_id="1example23456789")) == (401, CLAIM)
    assert visit(middleware, cognito.id_token()) == (401, AUDIENCE)


def test_it_guards_an_app_that_has_settings_already() -> None:
    """They stay as they are; only the issuer and its keys are the provider's."""
    okta = like("okta")
    guarded = JWTMiddleware(EchoApp(), issuer="https://real.example", audience="api://default")

    assert visit(okta.protect(guarded), okta.token()) == (200, "")


def test_its_keys_are_served_on_loopback() -> None:
    """For an app in another process: the issuer is the real one, the keys are here."""
    with FakeIssuer.like("auth0").serve() as auth0:
        assert isinstance(auth0, FakeProvider)
        middleware = JWTMiddleware(EchoApp(), **auth0.settings, jwks_uri=auth0.jwks_uri)
        assert visit(middleware, auth0.token()) == (200, "")
        middleware.close()


def test_claims_and_header_may_be_changed() -> None:
    """As with any other issuer; a member that is None is left out."""
    okta = like("okta")
    token = jose.parse(okta.token(sub="eve", uid=None, header={"typ": "at+jwt"}))

    assert token.header["typ"] == "at+jwt"
    assert (token.claims["sub"], "uid" in token.claims) == ("eve", False)
    assert jose.parse(okta.id_token(sub="eve")).claims["sub"] == "eve"


def test_what_there_is_not_is_told() -> None:
    """With what there is."""
    with pytest.raises(ValueError, match=r"'Cognito': give one of entra-v2, .*zuplo-jwt"):
        FakeIssuer.like("Cognito")
    with pytest.raises(ValueError, match="realm: Keycloak has tenant, app, api"):
        FakeIssuer.like("keycloak", realm="acme")
    with pytest.raises(ValueError, match="Supabase Auth has no ID tokens"):
        like("supabase").id_token()


def table() -> str:
    """Each provider with what its settings accept and refuse, as the middleware answers now."""
    rows = ["| provider | accepted | refused |", "|---|---|---|"]
    for name in OUTCOMES:
        provider = like(name)
        kind = "access token" if provider.provider.access_token else "ID token"
        middleware = provider.protect(EchoApp())
        status, code = visit(middleware, provider.token())
        told = {other: visit(middleware, token) for other, token in others_of(provider).items()}
        refused = ", ".join(f"{other}: {status} `{code}`" for other, (status, code) in told.items())
        accepted = kind if status == 200 else f"{kind}: {status} {code}"
        rows.append(f"| {provider.provider.title} | {accepted} | {refused} |")
    return "\n".join(rows)


def test_the_table_shows_every_provider() -> None:
    """Every provider has a row, and the kinds of its tokens stand in it."""
    rows = table().splitlines()[2:]

    assert len(rows) == len(PROVIDERS)
    for row, (accepted, refused) in zip(rows, OUTCOMES.values(), strict=True):
        assert (
            f"| {accepted.replace('access', 'access token').replace('id token', 'ID token')} |"
            in row
        )
        assert all(f"{kind}: " in row and f"`{code}`" in row for kind, code in refused.items())


if __name__ == "__main__":
    print(table())
