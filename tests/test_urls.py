"""URLs of issuers: which ones may be trusted, and what of a URL people see."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from urllib.parse import urlparse
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from urllib3.util import parse_url

import jwt_wsgi
from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.settings.issuer import Issuer
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.urls import check_discoverable
from jwt_wsgi.urls import check_issuer
from jwt_wsgi.urls import shown_url

PACKAGE = Path(jwt_wsgi.__file__).parent
GUID = "8a1f5e2c-0000-4b7d-9d35-7f1a2b3c4d5e"
#: Issuers as they are in use, and texts that are no URL.
REAL = [
    "https://x.auth0.com/",
    f"https://login.microsoftonline.com/{GUID}/v2.0",
    f"https://sts.windows.net/{GUID}/",
    "https://keycloak.example:8443/realms/My%20Realm",
    "https://keycloak.example/auth/realms/m%C3%BCnchen",
    "https://keycloak.example:443/auth/realms/x",
    "https://accounts.google.com",
    "https://securetoken.google.com/my-project-1",
    "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123",
    "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
    "https://kubernetes.default.svc.cluster.local",
    "https://token.actions.githubusercontent.com",
    "https://gitlab.example.com",
    "https://dev-1.okta.com/oauth2/default",
    "https://tenant.b2clogin.com/tfp/acme/B2C_1_sign-in/v2.0/",
    "https://my-api.zuplo.com/__zuplo/issuer",
    "https://xn--mnchen-3ya.example",
    "http://localhost:8080/realms/x",
    "http://my_keycloak:8080/realms/x",
    "http://127.0.0.1:5000",
    "http://[::1]:5000/x",
    "https://192.0.2.7/a(b)'c!d~e",
    "spiffe://trust.example/ns/default",
    "accounts.google.com",
    "kubernetes/serviceaccount",
    "testing@secure.istio.io",
    "urn:example:issuer",
    "did:web:example.com",
    "My Company?",
]


@pytest.mark.parametrize("issuer", REAL)
def test_issuers_that_are_in_use_are_accepted(issuer: str) -> None:
    """Whatever has no scheme is compared byte for byte, and nothing is fetched for it."""
    assert check_issuer(issuer) is None
    if issuer.startswith("http"):
        assert check_discoverable(issuer, allow_http=True) is None


BASE = "https://login.example.com/realms/"
ODD = {
    "a dot segment": f"{BASE}../uploads/eve",
    "a dot segment and a fragment": f"{BASE}../uploads/a.png#",
    "a query": f"{BASE}x?next=https://evil.example",
    "an empty query": f"{BASE}x?",
    "a fragment": f"{BASE}x#y",
    "an empty fragment": f"{BASE}x#",
    "user-info": "https://ada@login.example.com/x",
    "a password": "https://login.example.com:x@evil.example/",
    "empty user-info": "https://@login.example.com/",
    "a backslash": f"{BASE}x\\..\\y",
    "a backslash for the host": "https://login.example.com\\@evil.example/",
    "backslashes for slashes": "https:\\\\login.example.com\\x",
    "one slash": "https:/login.example.com/x",
    "three slashes": "https:///login.example.com/x",
    "no slash": "https:login.example.com/x",
    "no scheme": "//login.example.com/x",
    "no host": "https:///x",
    "nothing else": "https://",
    "a single dot": f"{BASE}./x",
    "a final dot segment": f"{BASE}..",
    "an encoded dot": f"{BASE}%2e%2e/uploads",
    "an encoded dot in capitals": f"{BASE}%2E%2E/uploads",
    "half of the dots encoded": f"{BASE}.%2e/uploads",
    "dots encoded twice": f"{BASE}%252e%252e/uploads",
    "dots and a path parameter": f"{BASE}..;/uploads",
    "a path parameter": f"{BASE}x;jsessionid=1",
    "an encoded semicolon": f"{BASE}..%3B/uploads",
    "an overlong dot": f"{BASE}%C0%AE%C0%AE/uploads",
    "an overlong slash": f"{BASE}..%C0%AFuploads",
    "dots and a space": f"{BASE}..%20/uploads",
    "three dots": f"{BASE}.../uploads",
    "a fullwidth slash": f"{BASE}..%EF%BC%8Fuploads",
    "a dot leader": f"{BASE}%E2%80%A5/uploads",
    "an encoded slash": f"{BASE}..%2Fuploads",
    "an encoded slash, lower case": f"{BASE}..%2fuploads",
    "an encoded backslash": f"{BASE}..%5Cuploads",
    "an encoded question mark": f"{BASE}x%3Fy",
    "an encoded hash": f"{BASE}x%23y",
    "an encoded NUL": f"{BASE}x%00y",
    "an encoded line end": f"{BASE}x%0Ay",
    "an encoded DEL": f"{BASE}x%7Fy",
    "an encoded direction mark": f"{BASE}x%E2%80%AEy",
    "an encoded zero-width space": f"{BASE}x%E2%80%8By",
    "an encoded letter": f"{BASE}%61cme",
    "an encoded tilde": f"{BASE}%7Eacme",
    "lower-case hexadecimal digits": f"{BASE}m%c3%bcnchen",
    "half an encoding": f"{BASE}x%2",
    "a percent sign": f"{BASE}100%",
    "a decomposed umlaut": f"{BASE}mu%CC%88nchen",
    "an empty segment": f"{BASE}/x",
    "two final slashes": f"{BASE}x//",
    "only slashes": "https://login.example.com//",
    "an upper-case scheme": "HTTPS://login.example.com/",
    "a capital in the scheme": "Https://login.example.com/",
    "an upper-case host": "https://Login.example.com/",
    "an upper-case host without a path": "https://LOGIN.EXAMPLE.COM",
    "a final dot of the host": "https://login.example.com./x",
    "an empty label": "https://login..example.com/x",
    "an encoded host": "https://login.example%2Ecom/x",
    "a host beyond ASCII": "https://lögin.example.com/",
    "a path beyond ASCII": f"{BASE}münchen",
    "a fullwidth host": "https://login.example.com\uff0fx",
    "a space": f"{BASE}my realm",
    "a space first": f" {BASE}x",
    "a space last": f"{BASE}x ",
    "a tab in the scheme": "ht\ttps://login.example.com/",
    "a line end": f"{BASE}x\n",
    "an empty port": "https://login.example.com:/x",
    "a port with a zero": "https://login.example.com:0443/x",
    "a port that is none": "https://login.example.com:65536/x",
    "port 0": "https://login.example.com:0/x",
    "a port of words": "https://login.example.com:https/x",
    "a short IPv4 address": "https://127.1/x",
    "an octal IPv4 address": "https://0177.0.0.1/x",
    "a hexadecimal IPv4 address": "https://0x7f000001/x",
    "an IPv4 address that is a number": "https://2130706433/x",
    "an IPv4 address that is none": "https://192.0.2.256/x",
    "an IPv6 address that is none": "https://[::1::]/x",
    "an IPv6 zone": "https://[fe80::1%25eth0]/x",
    "an IPv6 address in capitals": "https://[FE80::1]/x",
    "an IPv6 address with all its zeros": "https://[0:0:0:0:0:0:0:1]/x",
    "an IPv6 address with a zero in front": "https://[2001:db8::01]/x",
    "an IPv4 address as IPv6": "https://[::ffff:c000:201]/x",
    "a URL within a text": "issuer of https://login.example.com/",
    "a quote": f'{BASE}x"y',
    "an angle bracket": f"{BASE}<x>",
    "a brace": f"{BASE}{{tenantid}}",
    "a pipe": f"{BASE}a|b",
}


@pytest.mark.parametrize("issuer", ODD.values(), ids=ODD)
def test_issuers_that_are_not_in_normal_form_are_refused(issuer: str) -> None:
    """What two programs may read differently names no issuer."""
    assert "RFC 8414" in (check_issuer(issuer) or "")
    assert check_discoverable(issuer, allow_http=True) is not None


@pytest.mark.parametrize("issuer", ODD.values(), ids=ODD)
def test_such_an_issuer_cannot_be_configured_without_its_keys(issuer: str) -> None:
    """The problem has the name of the setting, its value and the remedy."""
    for wrong in (issuer, [issuer, "https://other.example"], Issuer(issuer)):
        with pytest.raises(ConfigurationError) as caught:
            Settings.of(issuer=wrong, allow_http=True)  # type: ignore[arg-type]
        (problem,) = caught.value.problems
        assert f": {shown_url(issuer)}: " in problem or "no white space around" in problem


KEYS: dict[str, dict[str, Any]] = {
    "jwks_uri": {"jwks_uri": "https://keys.example"},
    "jwks": {"jwks": FakeIssuer("https://a.example").jwks()},
    "secret": {"secret": "a secret of thirty-two characters"},
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize(
    "issuer", ["https://Login.example.com/?x", "testing@secure.istio.io", "accounts.google.com"]
)
def test_with_its_keys_any_text_may_be_configured(issuer: str, keys: dict[str, Any]) -> None:
    """It is compared byte for byte, and nothing is fetched by it."""
    loaded = Settings.of(issuer=issuer, claims={"azp": "me"}, **keys)
    assert loaded.issuers[0].identifier == issuer


def test_an_issuer_without_a_scheme_is_reported_with_the_remedy() -> None:
    """There is no place where its keys could be looked for."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.of(issuer=["testing@secure.istio.io", f"{BASE}x?key=s3cret"])
    remedy = "; or say where its keys are (jwks_uri, jwks, ...)"
    first, second = caught.value.problems

    assert first == (
        "issuer[0]: issuer: 'testing@secure.istio.io': give a URL with https:// and a host" + remedy
    )
    assert second.startswith("issuer[1]: issuer: 'https://login.example.com/realms/x': an issuer's")
    assert second.endswith(remedy)


# --- Whatever passes is read alike ----------------------------------------------------------------

ALPHABET = "aZ0.%/\\:@?#;[]~ -_%2e%2F%20\u00e4\uff0f\t"
URLS = st.one_of(
    st.text(ALPHABET, max_size=20).map(lambda rest: f"https://{rest}"),
    st.text(ALPHABET, max_size=20).map(lambda rest: f"https://login.example.com/{rest}"),
    st.from_regex(
        r"https?://([a-z0-9_-]{1,5}\.){0,3}[a-z0-9]{1,5}(:[0-9]{1,5})?(/[!-~]{0,5}){0,4}",
        fullmatch=True,
    ),
    st.from_regex(
        r"https?://([0-9]{1,3}\.){0,4}[0-9a-fx]{1,4}(/(%[0-9A-F]{2}|\.|%2[eE]|a){0,3}){0,3}/?",
        fullmatch=True,
    ),
    st.text(max_size=30),
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(url=URLS)
@example(url="https://x.auth0.com/")
@example(url="https://keycloak.example:8443/realms/My%20Realm")
@example(url="http://[::1]:5000/x")
def test_whatever_passes_is_read_alike_by_the_standard_library_urllib3_and_requests(
    url: str,
) -> None:
    """Host, port and path are the same texts for all, and none of them changes any."""
    if check_discoverable(url, allow_http=True) is not None:
        return
    parts, tolerant, theirs = urlsplit(url), urlparse(url), parse_url(url)
    sent = urlsplit(requests.Request("GET", url).prepare().url or "")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname

    assert (theirs.host, theirs.port) == (host, parts.port)
    assert tolerant[:3] == (parts.scheme, parts.netloc, parts.path)
    assert (theirs.path or "") == parts.path
    assert (sent.netloc, sent.path) == (parts.netloc, parts.path or "/")
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == url
    assert not (theirs.auth or theirs.query or theirs.fragment or tolerant.params)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(url=URLS)
def test_whatever_passes_has_the_same_segments_before_and_after_decoding(url: str) -> None:
    """Decoded once or twice, there are as many segments, and none of them is empty or dots."""
    if check_discoverable(url, allow_http=True) is not None:
        return
    path = urlsplit(url).path.removesuffix("/")
    segments = path.split("/")[1:]

    assert unquote(unquote(path)).split("/")[1:] == [unquote(segment) for segment in segments]
    assert not {"", ".", ".."} & {unquote(segment).strip() for segment in segments}


def test_the_time_for_a_name_grows_linearly() -> None:
    """Quadratic time would be 100 million steps, which is a minute."""
    for part in ("a", "a.", "a-", "%20", "/a", "/%20", "[", ":", "1.", ":a", "\\"):
        check_issuer("https://" + part * 100_000)
        check_issuer("https://a/" + part * 100_000 + "\n")
        shown_url("https://" + part * 100_000 + "@")


# --- For people -----------------------------------------------------------------------------------

SHOWN = {
    "https://issuer.example/keys": "https://issuer.example/keys",
    "https://issuer.example/keys?key=s3cret": "https://issuer.example/keys",
    "https://issuer.example/keys#s3cret": "https://issuer.example/keys",
    "https://issuer.example#s3cret?x": "https://issuer.example",
    "https://ada:s3cret@issuer.example/keys?x#y": "https://...@issuer.example/keys",
    "https://ada:s3/cret@issuer.example/keys": "https://...@issuer.example/keys",
    "https://ada:s3?cret@issuer.example/keys": "https://...@issuer.example/keys",
    "https://ada:s3#cret@issuer.example/keys": "https://...@issuer.example/keys",
    "https://ada:s3@cret@issuer.example/keys": "https://...@issuer.example/keys",
    "https:\\\\ada:s3cret@issuer.example": "https:\\\\\\\\...@issuer.example",
    "https:ada:s3cret@issuer.example": "https:...@issuer.example",
    "//ada:s3cret@issuer.example": "//...@issuer.example",
    "https://[::bad?s3cret": "https://[::bad",
    "testing@secure.istio.io": "testing@secure.istio.io",
    "accounts.google.com": "accounts.google.com",
    "": "",
    "https://x/\n\x1b[2J\u202e": "https://x/\\n\\x1b[2J\\u202e",
}


@pytest.mark.parametrize(("url", "expected"), SHOWN.items())
def test_how_a_url_is_shown(url: str, expected: str) -> None:
    """Without user-info, query and fragment, and as one line of ASCII."""
    assert shown_url(url) == f"'{expected}'"


def test_a_shown_url_is_of_bounded_length() -> None:
    """It may be an issuer's, who chooses it."""
    assert len(shown_url("https://x/" + "y" * 1000)) <= 80 + len("'...'")
    assert len(shown_url("https://x/" + "\u202e" * 1000, 20)) <= 20 + len("'...'")


@pytest.mark.slow
@given(
    user_info=st.text(min_size=1, max_size=10).map(lambda text: f"s3cret{text}s3cret"),
    end=st.sampled_from(["", "/x", "/x?s3cret", "#s3cret", "/x?a#s3cret"]),
)
def test_no_secret_of_a_url_is_ever_shown(user_info: str, end: str) -> None:
    """However the password is written."""
    assert "s3cret" not in shown_url(f"https://{user_info}@issuer.example{end}", 1000)


def test_there_is_one_way_to_show_a_url() -> None:
    """Nothing else in the package takes URLs apart to show them."""
    elsewhere = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"_replace\(.*(netloc|query|fragment)=", path.read_text())
    }
    assert elsewhere == set()
