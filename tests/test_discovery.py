"""From an issuer's identifier to the URL of its keys: the order, what moves on, what fails."""

import json
import subprocess
import sys
from typing import Any

import pytest
from test_jwks import URI
from test_jwks import World
from test_jwks import document

from jwt_wsgi.events import KeysFound
from jwt_wsgi.events import RefreshFailed
from jwt_wsgi.key_sources.discovery import CONVENTION
from jwt_wsgi.key_sources.discovery import Located
from jwt_wsgi.key_sources.discovery import locate
from jwt_wsgi.key_sources.discovery import places
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.fetch import NotModified

ISSUER = "https://issuer.example"
OIDC = f"{ISSUER}/.well-known/openid-configuration"
RFC8414 = f"{ISSUER}/.well-known/oauth-authorization-server"
WELL_KNOWN = f"{ISSUER}/.well-known/jwks.json"
HTML = b"<!doctype html>"
MISSING = FetchError("http", "status 404", status=404)


def metadata(issuer: Any = ISSUER, jwks_uri: Any = URI) -> bytes:
    return json.dumps({"issuer": issuer, "jwks_uri": jwks_uri}).encode()


class Web:
    """URL -> body or error, and which URLs were asked for."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self.pages = pages
        self.asked: list[str] = []
        self.no_cache: list[bool] = []

    def __call__(self, url: str, *, etag: str | None, no_cache: bool, timeout: float) -> Fetched:
        assert timeout > 0
        self.asked.append(url)
        self.no_cache.append(no_cache)
        page = self.pages.get(url, MISSING)
        if isinstance(page, BaseException):
            raise page
        return Fetched(page, None, None) if isinstance(page, bytes) else page


def found(pages: dict[str, Any], issuer: str = ISSUER, **options: Any) -> tuple[Located, list[str]]:
    web = Web(pages)
    return locate(issuer, fetch=web, left=lambda: 1.0, **options), web.asked


def refusal(pages: dict[str, Any], issuer: str = ISSUER, **options: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        found(pages, issuer, **options)
    return caught.value


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        pytest.param(ISSUER, [OIDC, RFC8414, WELL_KNOWN], id="bare"),
        pytest.param(f"{ISSUER}/", [OIDC, RFC8414, WELL_KNOWN], id="final slash"),
        pytest.param(
            f"{ISSUER}/t/1",
            [
                f"{ISSUER}/t/1/.well-known/openid-configuration",
                f"{ISSUER}/.well-known/oauth-authorization-server/t/1",
                f"{ISSUER}/t/1/.well-known/jwks.json",
            ],
            id="path",
        ),
        pytest.param(
            f"{ISSUER}/t/1/",
            [
                f"{ISSUER}/t/1/.well-known/openid-configuration",
                f"{ISSUER}/.well-known/oauth-authorization-server/t/1",
                f"{ISSUER}/t/1/.well-known/jwks.json",
            ],
            id="path and slash",
        ),
    ],
)
def test_the_places_and_their_order(issuer: str, urls: list[str]) -> None:
    """RFC 8414 section 3.1: its well-known part comes before the issuer's path."""
    assert list(places(issuer).values()) == urls


def test_openid_discovery_first() -> None:
    """One GET, if the first place says it."""
    assert found({OIDC: metadata()}) == (Located(URI, "OpenID Connect discovery"), [OIDC])


@pytest.mark.parametrize(
    "elsewhere",
    [
        pytest.param(MISSING, id="404"),
        pytest.param(FetchError("http", "", status=405), id="405"),
        pytest.param(FetchError("http", "", status=410), id="410"),
        pytest.param(HTML, id="a page for people"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="no text"),
    ],
)
def test_the_next_place_is_asked_only_if_this_one_has_no_document(elsewhere: Any) -> None:
    """Other failures end the search."""
    assert found({OIDC: elsewhere, RFC8414: metadata()}) == (
        Located(URI, "RFC 8414 metadata"),
        [OIDC, RFC8414],
    )


def test_the_convention_comes_last_and_brings_the_keys_along() -> None:
    """No second GET is needed for what was read already."""
    body = document("a")
    located, asked = found({WELL_KNOWN: body})

    assert located == Located(WELL_KNOWN, CONVENTION, Fetched(body, None, None))
    assert asked == [OIDC, RFC8414, WELL_KNOWN]


@pytest.mark.parametrize(
    "trouble",
    [
        *(FetchError("http", f"status {n}", status=n) for n in (402, 406, 429, 500, 503)),
        *(FetchError(kind, "x") for kind in ("timeout", "dns", "tls", "connect")),
        NotModified(None),
        metadata(issuer="https://other.example"),
        metadata(issuer=f"{ISSUER}/"),
        metadata(issuer=ISSUER.upper()),
        metadata(issuer=5),
        metadata(issuer=None),
        metadata(jwks_uri=5),
        metadata(jwks_uri=None),
        metadata(jwks_uri=""),
        metadata(jwks_uri="/keys"),
        metadata(jwks_uri="http://issuer.example/keys"),
        metadata(jwks_uri="http://127.0.0.1/keys"),
        metadata(jwks_uri="file:///etc/passwd"),
        metadata(jwks_uri="https://u:p@issuer.example/keys"),
        metadata(jwks_uri="https://[/"),
        b"{}",
    ],
    ids=str,
)
def test_anything_else_fails_the_load_and_names_the_url(trouble: Any) -> None:
    """Trouble at the first place never moves the keys to another one."""
    pages = {OIDC: trouble, RFC8414: metadata(), WELL_KNOWN: document("a")}

    detail = refusal(pages).detail
    assert f"'{OIDC}'" in detail or "the metadata's jwks_uri is not https" in detail


REFUSALS = [
    *(FetchError("http", f"status {n}", status=n) for n in (400, 401, 403)),
    FetchError("redirect", "status 302, a redirect to 'login.example'", status=302),
]


@pytest.mark.parametrize("refusal_", REFUSALS, ids=str)
def test_a_refusal_at_a_place_of_metadata_moves_on_to_the_next(refusal_: FetchError) -> None:
    """A gateway in front of one path says nothing of another; MCP clients go on as well."""
    assert found({OIDC: refusal_, RFC8414: metadata()}) == (
        Located(URI, "RFC 8414 metadata"),
        [OIDC, RFC8414],
    )


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("refusal_", REFUSALS, ids=str)
def test_no_convention_after_a_refusal(refusal_: FetchError, number: int) -> None:
    """Nothing there states the issuer; what was refused is told, with its kind."""
    web = Web({(OIDC, RFC8414)[number]: refusal_, WELL_KNOWN: document("a")})
    with pytest.raises(FetchError) as caught:
        locate(ISSUER, fetch=web, left=lambda: 1.0)

    assert web.asked == [OIDC, RFC8414]
    assert (caught.value.kind, caught.value.status) == (refusal_.kind, refusal_.status)
    assert refusal_.detail in caught.value.detail


@pytest.mark.parametrize("refusal_", REFUSALS, ids=str)
def test_a_refusal_moves_nothing_that_is_remembered(refusal_: FetchError) -> None:
    """Neither metadata nor a convention: whoever answers for the first place must not choose."""
    for remembered in (Located(URI, "OpenID Connect discovery"), Located(WELL_KNOWN, CONVENTION)):
        web = Web({OIDC: refusal_, RFC8414: metadata(), WELL_KNOWN: document("a")})
        with pytest.raises(FetchError):
            locate(ISSUER, fetch=web, left=lambda: 1.0, remembered=remembered)
        assert web.asked == [OIDC]


@pytest.mark.parametrize("refusal_", REFUSALS, ids=str)
def test_a_convention_that_refuses_ends_the_search(refusal_: FetchError) -> None:
    """It is the last place."""
    assert refusal({WELL_KNOWN: refusal_}).kind == refusal_.kind


def test_every_place_that_was_tried_is_named() -> None:
    """With what each answered."""
    error = refusal({OIDC: HTML, RFC8414: FetchError("http", "status 405", status=405)})

    assert error.detail == (
        f"no metadata and no jwks.json found ('{OIDC}': it is an HTML page; '{RFC8414}': status"
        f" 405; '{WELL_KNOWN}': status 404); set jwks_uri to skip discovery"
    )


def test_the_place_that_failed_is_named() -> None:
    """Not only the issuer."""
    error = refusal({RFC8414: FetchError("http", "status 500", status=500)})

    assert error.detail == f"GET '{RFC8414}': status 500"


@pytest.mark.parametrize("broken", [b'{"issuer":"a","issuer":"b"}', b'{"issuer":', b"\xff", b"x"])
def test_metadata_that_cannot_be_read_is_called_that(broken: bytes) -> None:
    """Something is there: to look for it elsewhere would be the wrong way."""
    detail = refusal({OIDC: broken}).detail

    assert detail.startswith("the metadata is unreadable")
    assert f"'{OIDC}': it is unreadable: " in detail


@pytest.mark.parametrize(
    ("document_", "words"),
    [
        ({"issuer": "https://other.example", "jwks_uri": URI},
         f"the metadata at '{OIDC}' is that of 'https://other.example', not of '{ISSUER}'"),
        ({"issuer": f"{ISSUER}/"}, "differs in its final slash only"),
        ({"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"},
         "a template for many tenants: trust the issuer of one tenant"),
        ({"issuer": "https://fs.example/adfs", "access_token_issuer": ISSUER},
         f"(AD FS), which signs access tokens in the name of '{ISSUER}'"),
        ({}, "is an empty object"),
        ({"error": "x"}, "names no issuer"),
        ({"issuer": ISSUER}, f"the metadata at '{OIDC}' has no jwks_uri"),
    ],
    ids=["another", "slash", "template", "AD FS", "empty", "error", "no jwks_uri"],
)  # fmt: skip
def test_what_the_metadata_says_instead_is_told(document_: Any, words: str) -> None:
    """Its issuer is named, and providers with a habit are recognised."""
    assert words in refusal({OIDC: json.dumps(document_).encode()}).detail


def test_a_byte_order_mark_before_metadata() -> None:
    """RFC 8259 section 8.1."""
    assert found({OIDC: b"\xef\xbb\xbf" + metadata()})[0].jwks_uri == URI


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (HTML, "it is not a JWKS but an HTML page"),
        (b"-----BEGIN CERTIFICATE-----", "it is not a JWKS but a PEM file"),
        (b"{}", "it is not a JWKS but an empty object"),
        (b"", "it is not a JWKS but empty"),
        (b'{"a": "-----BEGIN CERTIFICATE-----"}', "it is not a JWKS but a map of certificates"),
        (b'{"error": "x"}', "it is not a JWKS but an error message"),
        (b"[]", "it is not a JWKS but a list"),
        (b"\x30\x82\x01\x0a", "it is not a JWKS but a key or certificate in DER"),
        (b"\x1f\x8b\x08", "it is not a JWKS but compressed"),
        (b"eyJhbGciOiJIUzI1NiJ9.e30.x", "it is not a JWKS but a JWT"),
        (metadata(), "it is not a JWKS but metadata; its jwks_uri says where the keys are"),
        (b'{"kty": "EC"}', "it is not a JWKS but one key"),
        (b'{"keys": [}', "it is not strict JSON with one object"),
        (b'{"keys": []}', "it has no usable key (it is empty)"),
    ],
    ids=range(14),
)
def test_a_document_that_is_no_jwks_is_recognised_in_the_log(body: bytes, words: str) -> None:
    """With its URL where discovery named it."""
    source, _ = world({OIDC: metadata(), URI: body})
    source.ask()

    (told,) = [str(e) for e in source.events if isinstance(e, RefreshFailed)]
    assert f"(document: GET '{URI}': {words}" in told


def test_the_url_of_the_keys_is_named_when_it_fails() -> None:
    """The issuer alone says too little."""
    source, _ = world({OIDC: metadata(), URI: FetchError("http", "status 403", status=403)})
    source.ask()

    (told,) = [str(e) for e in source.events if isinstance(e, RefreshFailed)]
    assert f"(http: GET '{URI}': status 403," in told


def test_status_and_retry_after_survive() -> None:
    """A discovery that asks us to wait is obeyed, too."""
    error = refusal({OIDC: FetchError("http", "busy", status=429, retry_after=60.0)})

    assert (error.kind, error.status, error.retry_after) == ("http", 429, 60.0)


@pytest.mark.parametrize("page", [HTML, b"{}", b'{"keys": 5}', MISSING])
def test_a_convention_that_is_no_jwks_fails(page: Any) -> None:
    """It is not remembered as the place of the keys."""
    error = refusal({WELL_KNOWN: page})

    assert error.kind == "discovery"
    assert "set jwks_uri" in error.detail


def test_http_issuers_on_loopback_need_no_https() -> None:
    """Development on one machine."""
    issuer = "http://127.0.0.1:8000"
    pages = {
        f"{issuer}/.well-known/openid-configuration": metadata(issuer, f"{issuer}/keys"),
    }

    assert found(pages, issuer)[0].jwks_uri == f"{issuer}/keys"


def test_http_elsewhere_needs_the_option() -> None:
    """`allow_http` is for a network somebody trusts."""
    issuer = "http://keycloak.internal"
    pages = {f"{issuer}/.well-known/openid-configuration": metadata(issuer, f"{issuer}/keys")}

    assert "allow_http" in refusal(pages, issuer).detail
    assert found(pages, issuer, allow_http=True)[0].jwks_uri == f"{issuer}/keys"


def test_https_stays_https_whatever_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Authlib's switch for insecure transport, set for its own server, is not ours."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    pages = {OIDC: metadata(jwks_uri="http://127.0.0.1/keys")}

    assert "not https" in refusal(pages).detail
    assert "not https" in refusal(pages, allow_http=True).detail


def test_an_issuer_with_a_query_is_refused() -> None:
    """RFC 8414 section 2; Authlib checks it."""
    issuer = f"{ISSUER}?tenant=1"
    (url, *_) = places(issuer).values()

    assert "query" in refusal({url: metadata(issuer)}, issuer).detail


@pytest.mark.parametrize("number", [0, 1])
def test_metadata_that_was_found_is_the_only_place_asked_again(number: int) -> None:
    """An outage that answers 404 cannot move the keys."""
    name, url = list(places(ISSUER).items())[number]
    remembered = Located(URI, name)

    located, asked = found({url: metadata(jwks_uri=f"{URI}/2")}, remembered=remembered)
    assert (located.jwks_uri, asked) == (f"{URI}/2", [url])
    for trouble in (MISSING, HTML):
        refusal({url: trouble, WELL_KNOWN: document("a")}, remembered=remembered)


def test_a_convention_is_looked_for_from_the_start_again() -> None:
    """Metadata that an issuer has added since is better than a convention."""
    remembered = Located(WELL_KNOWN, CONVENTION)
    located, _ = found({OIDC: metadata(), WELL_KNOWN: document("a")}, remembered=remembered)

    assert located == Located(URI, "OpenID Connect discovery")


def test_the_deadline_is_one_for_all_places() -> None:
    """What is left gets less with each GET, and ends the search."""
    left = iter([3.0, 2.0])

    def take() -> float:
        seconds = next(left, None)
        if seconds is None:
            raise FetchError("timeout", "the deadline is over")
        return seconds

    web = Web({WELL_KNOWN: document("a")})
    with pytest.raises(FetchError, match="deadline"):
        locate(ISSUER, fetch=web, left=take)
    assert web.asked == [OIDC, RFC8414]


# --- In the source -----------------------------------------------------------------------------


def world(pages: dict[str, Any]) -> tuple[World, Web]:
    web = Web(pages)
    return World(jwks_uri=None, fetch=web), web


def test_the_place_of_the_keys_is_searched_and_reported_once() -> None:
    """Later fetches remember it."""
    source, web = world({OIDC: metadata(), URI: document("a")})
    source.ask()
    source.now += 301
    source.ask()

    assert web.asked == [OIDC, URI, URI]
    (told,) = [e for e in source.events if isinstance(e, KeysFound)]
    assert str(told) == f"keys of {ISSUER} from {URI} (found by OpenID Connect discovery)"


def test_the_convention_costs_no_second_get() -> None:
    """Three GETs the first time, one from then on."""
    source, web = world({WELL_KNOWN: document("a")})

    assert source.ask().status == 200
    assert web.asked == [OIDC, RFC8414, WELL_KNOWN]
    source.now += 301
    source.ask()
    assert web.asked[3:] == [WELL_KNOWN]


def test_an_outage_at_first_finds_nothing_and_remembers_nothing() -> None:
    """After it the order is the same as ever."""
    source, web = world({OIDC: FetchError("http", "status 500", status=500), URI: document("a")})
    web.pages[WELL_KNOWN] = document("b")
    assert source.ask().status == 503
    web.pages[OIDC] = metadata()
    source.now += 40

    assert source.ask().status == 200


@pytest.mark.parametrize("status", [404, 410])
def test_a_jwks_that_is_gone_is_looked_for_again(status: int) -> None:
    """The issuer moved its keys: the fetch after the failed one follows."""
    source, web = world({OIDC: metadata(), URI: document("a")})
    source.ask()
    moved = f"{URI}/moved"
    web.pages |= {URI: FetchError("http", "", status=status), OIDC: metadata(jwks_uri=moved)}
    web.pages[moved] = document("ab")
    source.now += 301
    source.ask()
    source.now += 40

    assert source.ask("b").status == 200
    assert [e.jwks_uri for e in source.events if isinstance(e, KeysFound)] == [URI, moved]


def test_read_again_once_a_day() -> None:
    """In the same fetch, with at most three more GETs."""
    source, web = world({OIDC: metadata(), URI: document("a")})
    source.ask()
    web.asked.clear()
    for _ in range(300):
        source.now += 301
        source.ask()

    assert web.asked.count(OIDC) == 1
    assert web.asked.count(URI) == 300


@pytest.mark.parametrize("trouble", [MISSING, HTML, metadata(issuer="https://evil.example")])
def test_a_failed_reread_keeps_what_is_remembered(trouble: Any) -> None:
    """Keys go on being refreshed though their metadata is gone."""
    source, web = world({OIDC: metadata(), URI: document("a"), WELL_KNOWN: document("c")})
    source.ask()
    source.now += 86_399
    source.ask()
    web.pages[OIDC] = trouble
    web.pages[URI] = document("ab")
    source.now += 301

    source.ask()
    assert source.ask("b").status == 200
    assert source.ask("c").status == 401


def test_a_reread_that_hangs_leaves_time_for_the_keys() -> None:
    """The host of the metadata may be down while that of the keys is not."""
    source = World(jwks_uri=None)
    plain = source.fetch

    def fetch(url: str, **how: Any) -> Any:
        source.body = document("a") if url == URI else metadata()
        source.delay = 60.0 if url == OIDC and source.now > 80_000 else 0.1
        return plain(url, **how)

    source.keys._loader._fetch = fetch
    source.ask()
    source.now += 86_000
    source.ask()
    source.now += 500
    source.ask()
    source.run_until(source.now + 6)

    assert source.keys.health()["state"] == "FRESH"
    assert source.keys.health()["fails"] == 0


def test_a_forced_fetch_asks_the_convention_past_every_cache() -> None:
    """Else the new key would be looked for in yesterday's answer."""
    source, web = world({WELL_KNOWN: document("a")})
    source.ask()
    source.keys._loader._located = source.keys._loader._located[0], float("-inf")  # type: ignore[index]
    source.now += 1
    web.pages[WELL_KNOWN] = document("ab")

    assert source.ask("b").status == 200
    assert web.no_cache[-1]


@pytest.mark.slow
def test_authlib_comes_without_warning_and_without_its_jose() -> None:
    """`authlib.jose` is deprecated and warns; the JOSE library of this project is another."""
    code = (
        "import sys, jwt_wsgi.key_sources.discovery;"
        "sys.exit(any(name.startswith('authlib.jose') for name in sys.modules))"
    )

    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
