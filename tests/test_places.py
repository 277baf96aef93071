"""Where a token may stand: a header of any name, a cookie that only its own origin may use."""

from typing import Any

import pytest
from conftest import IN_A_DAY
from conftest import EchoApp
from conftest import bearer
from conftest import calls
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Settings
from jwt_wsgi.testing import FakeIssuer

ISSUER = FakeIssuer(exp=IN_A_DAY)
TOKEN = ISSUER.token(sub="ada")


def client(app: Any, places: Any, **options: Any) -> Client:
    return Client(ISSUER.protect(app, token_from=places, **options), use_cookies=False)


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"X-Upstream": TOKEN}, 200),
        ({"X-Upstream": f"Bearer {TOKEN}"}, 200),
        ({"x-upstream": f"bearer   {TOKEN}"}, 200),
        ({"X-Upstream": f"Basic {TOKEN}"}, "Invalid authorization header format"),
        ({"X-Upstream": f"{TOKEN},{TOKEN}"}, "Invalid authorization header format"),
        ({"X-Upstream": f"{TOKEN} {TOKEN}"}, "Invalid authorization header format"),
        ({"X-Upstream": "Bearer "}, "Invalid authorization header format"),
        ({"X-Upstream": "\xff"}, "Invalid authorization header format"),
        ({"X-Upstream": "x" * 20_000}, "Invalid token"),
        ({"X-Upstream": ""}, "No token provided"),
        ({"Authorization": f"Bearer {TOKEN}"}, "No token provided"),
        ({}, "No token provided"),
    ],
)
def test_a_header_of_another_name(app: EchoApp, headers: dict[str, str], answer: Any) -> None:
    """Bare or with Bearer; Authorization is no place then."""
    got = client(app, "header:X-Upstream").get("/", headers=headers)

    assert (got.status_code if got.status_code == 200 else got.json["error"]) == answer


COOKIE = {"Cookie": f"a=b; session={TOKEN}; c"}
OWN = {"Host": "api.example", "Origin": "https://api.example"}
#: What a browser or an attacker sends -> whether the cookie counts. The API is https://api.example.
ATTACKS: dict[str, tuple[str, dict[str, str], bool]] = {
    "GET": ("GET", {}, True),
    "HEAD": ("HEAD", {}, True),
    "OPTIONS": ("OPTIONS", {}, True),
    "GET from another site, a link": ("GET", {"Sec-Fetch-Site": "cross-site"}, True),
    "POST of our own page": ("POST", OWN, True),
    "POST, same-origin": ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
    "POST, same-origin behind a proxy": (
        "POST", {"Sec-Fetch-Site": "same-origin", "Origin": "https://public.example"}, True,
    ),
    "POST, Origin in capitals": ("POST", {"Origin": "HTTPS://API.EXAMPLE"}, True),
    "POST without a word": ("POST", {}, False),
    "POST of another site": ("POST", {"Origin": "https://evil.example"}, False),
    "POST of another site, fetch metadata": (
        "POST", {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, False,
    ),
    "POST, Origin null": ("POST", {"Origin": "null"}, False),
    "POST, Origin empty": ("POST", {"Origin": ""}, False),
    "POST, other port": ("POST", {"Origin": "https://api.example:8443"}, False),
    "POST, other scheme": ("POST", {"Origin": "http://api.example"}, False),
    "POST, subdomain": ("POST", {"Origin": "https://x.api.example"}, False),
    "POST, sibling": ("POST", {"Origin": "https://www.example"}, False),
    "POST, prefix": ("POST", {"Origin": "https://api.example.evil.example"}, False),
    "POST, two origins": ("POST", {"Origin": "https://api.example https://evil.example"}, False),
    "POST, same-site": ("POST", {"Sec-Fetch-Site": "same-site"}, False),
    "POST, none": ("POST", {"Sec-Fetch-Site": "none"}, False),
    "POST, cross-site": ("POST", {"Sec-Fetch-Site": "cross-site"}, False),
    "POST, our Origin, but cross-site": ("POST", OWN | {"Sec-Fetch-Site": "cross-site"}, False),
    "POST, our Origin, but same-site": ("POST", OWN | {"Sec-Fetch-Site": "same-site"}, False),
    "POST, our Origin, but none": ("POST", OWN | {"Sec-Fetch-Site": "none"}, False),
    "POST, our Origin, Sec-Fetch-Site empty": ("POST", OWN | {"Sec-Fetch-Site": ""}, False),
    "POST, our Origin, two Sec-Fetch-Site": (
        "POST", OWN | {"Sec-Fetch-Site": "same-origin, cross-site"}, False,
    ),
    "WebSocket, our Origin, but cross-site": (
        "GET", OWN | {"Upgrade": "websocket", "Sec-Fetch-Site": "cross-site"}, False,
    ),
    "POST, two Sec-Fetch-Site": ("POST", {"Sec-Fetch-Site": "same-origin, cross-site"}, False),
    "POST, only a Referer": ("POST", {"Referer": "https://api.example/"}, False),
    "PUT": ("PUT", {}, False),
    "DELETE": ("DELETE", {}, False),
    "CONNECT, a WebSocket over HTTP/2": ("CONNECT", {"Origin": "https://evil.example"}, False),
    "get in small letters": ("get", {}, False),
    "WebSocket of another site": (
        "GET", {"Upgrade": "websocket", "Origin": "https://evil.example"}, False,
    ),
    "WebSocket without a word": ("GET", {"Upgrade": "websocket"}, False),
    "WebSocket of our own": ("GET", OWN | {"Upgrade": "websocket"}, True),
    "GET that wants to be a POST": ("GET", {"X-HTTP-Method-Override": "POST"}, False),
    "GET that wants to be a PUT": ("GET", {"X-Method-Override": "PUT"}, False),
    "GET that wants to be a DELETE": ("GET", {"X-HTTP-Method": "DELETE"}, False),
    "the same of our own page": ("GET", OWN | {"X-HTTP-Method-Override": "POST"}, True),
    "POST that wants to be a GET": ("POST", {"X-HTTP-Method-Override": "GET"}, False),
    "GET whose query names DELETE": ("GET ?_method=DELETE", {}, False),
    "GET whose query names it in code": ("GET ?a=b&%5Fmethod=delete", {}, False),
    "HEAD whose query names an unknown method": ("HEAD ?_method=PURGE", {}, False),
    "the query names DELETE, our own page": ("GET ?_method=DELETE", OWN, True),
    "the query names DELETE, another site": (
        "GET ?_method=DELETE", OWN | {"Sec-Fetch-Site": "cross-site"}, False,
    ),
    "GET with a query": ("GET ?method=x&payment_method=card", {}, True),
}  # fmt: skip


@pytest.mark.parametrize(("method", "headers", "counts"), ATTACKS.values(), ids=ATTACKS)
def test_a_cookie_counts_for_its_own_origin(
    app: EchoApp, method: str, headers: dict[str, str], counts: bool
) -> None:
    """Cross-site request forgery: a cookie that does not count is no token at all."""
    method, _, query = method.partition(" ?")
    builder = EnvironBuilder(
        base_url="https://api.example", method=method, headers=headers | COOKIE, query_string=query
    )
    environ = builder.get_environ() | {"REQUEST_METHOD": method}

    answer = client(app, "cookie:session").open(environ)

    assert answer.status_code == (200 if counts else 401)
    assert (app.environ is not None) is counts


@pytest.mark.parametrize(
    "header",
    ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "X-Method", "Upgrade"],
)
def test_a_get_that_asks_for_something_else_needs_a_page_of_our_own(
    app: EchoApp, header: str
) -> None:
    """A router that obeys the header would run a POST for a page of another site."""
    foreign = COOKIE | {header: "POST", "Origin": "https://evil.example"}

    assert client(app, "cookie:session").get("/", headers=foreign).status_code == 401
    assert app.environ is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_a_cookie_counts_for_every_safe_method(app: EchoApp, method: str) -> None:
    """RFC 9110 section 9.2.1 names four; none of them changes anything, so any page may ask."""
    answer = client(app, "cookie:session").open(
        "/", method=method, headers=COOKIE | {"Sec-Fetch-Site": "cross-site"}
    )

    assert answer.status_code == 200


def test_an_http_page_of_our_host_cannot_use_the_cookie_behind_a_tls_proxy(app: EchoApp) -> None:
    """Behind the proxy our scheme is ``http``, so ``Origin: http://…`` looks like our own.

    Whoever can change the user's HTTP traffic can serve such a page; the browser calls it
    ``cross-site``, because the scheme differs.
    """
    headers = {"Origin": "http://api.example", "Sec-Fetch-Site": "cross-site"}
    builder = EnvironBuilder(base_url="http://api.example", method="POST", headers=headers | COOKIE)

    answer = client(app, "cookie:session").open(builder.get_environ())

    assert answer.status_code == 401
    assert app.environ is None


def test_a_request_without_a_host_has_no_origin(app: EchoApp) -> None:
    """HTTP/1.0."""
    environ = EnvironBuilder(method="POST", headers=COOKIE | {"Origin": "http://"}).get_environ()
    environ.pop("HTTP_HOST", None)

    _, status, _ = run_wsgi_app(ISSUER.protect(app, token_from="cookie:session"), environ)

    assert status == "401 Unauthorized"


@pytest.mark.parametrize(
    ("cookie", "status"),
    [
        pytest.param(f"session={TOKEN}", 200, id="alone"),
        pytest.param(f"session = {TOKEN} ", 200, id="spaces"),
        pytest.param(f"xsession=1;session={TOKEN};sessionx=2", 200, id="neighbours"),
        pytest.param(f"session={TOKEN}; session=", 400, id="twice, one empty"),
        pytest.param(f"session={TOKEN}; session={TOKEN}", 400, id="twice, equal"),
        pytest.param(f"session=evil; session={TOKEN}", 400, id="tossed by a neighbour"),
        pytest.param("session=", 401, id="empty"),
        pytest.param("session", 401, id="no value"),
        pytest.param(f"Session={TOKEN}", 401, id="another case"),
        pytest.param(f"\xa0session={TOKEN}", 401, id="no-break space in front"),
        pytest.param(f"\x85session={TOKEN}", 401, id="next line in front"),
        pytest.param(f"session\xa0={TOKEN}", 401, id="no-break space behind"),
        pytest.param(f"session=\xa0{TOKEN}", 401, id="no-break space in the value"),
        pytest.param(f"session={TOKEN}; \xa0session=x", 200, id="tossed beside ours"),
        pytest.param(f'session="{TOKEN}"', 401, id="quoted"),
        pytest.param(f"session={TOKEN},{TOKEN}", 401, id="comma"),
        pytest.param("session=\xff\xfe", 401, id="bytes"),
        pytest.param("session=\0", 401, id="NUL"),
        pytest.param(f"session=Bearer {TOKEN}", 401, id="scheme"),
        pytest.param("=" * 1000 + ";" * 1000, 401, id="signs"),
    ],
)
def test_hostile_cookies(app: EchoApp, cookie: str, status: int) -> None:
    """One b64token under exactly this name; two are a choice that is not ours.

    A browser keeps ``__Host-`` for cookies of this host alone. A neighbour under the same domain
    may still set one that only looks so once other white space than a browser's is taken off.
    """
    answer = client(app, "cookie:session").get("/", environ_overrides={"HTTP_COOKIE": cookie})

    assert answer.status_code == status


@pytest.mark.slow
@pytest.mark.parametrize(
    "cookie", ["a=b;" * 250_000, ";" * 1_000_000, "session=" + "x" * 1_000_000]
)
def test_a_megabyte_of_cookies(app: EchoApp, cookie: str) -> None:
    """Answered like any other, at a cost that grows no faster than the header."""
    visitor = client(app, "cookie:session")

    def get(header: str) -> None:
        answer = visitor.get("/", environ_overrides={"HTTP_COOKIE": header})
        assert answer.status_code == 401

    get(cookie)  # whatever is done once
    half = cookie[: len(cookie) // 2]
    assert calls(lambda: get(cookie)) <= 2.1 * calls(lambda: get(half))


TWO = "header, header:X-Token, cookie:session"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (bearer(TOKEN), 200),
        ({"X-Token": TOKEN}, 200),
        (COOKIE, 200),
        (bearer(TOKEN) | {"X-Token": TOKEN}, 400),
        (bearer(TOKEN) | COOKIE, 400),
        ({"X-Token": TOKEN} | COOKIE, 400),
        ({"Authorization": "Basic eDp5"} | COOKIE, 200),
        ({"Authorization": "Basic eDp5", "X-Token": TOKEN}, 200),
        ({"Authorization": "Bearer a b", "X-Token": TOKEN}, 401),
        ({"Authorization": "", "X-Token": TOKEN}, 200),
        ({"Authorization": "Basic eDp5"}, 401),
    ],
)
def test_one_place_at_a_time(app: EchoApp, headers: dict[str, str], status: int) -> None:
    """RFC 6750 section 2; another scheme is no token where another place is listed."""
    answer = client(app, TWO).get("/", headers=headers)

    assert answer.status_code == status
    if status == 400:
        assert answer.json == {"error": "Multiple tokens provided"}
        assert answer.headers["WWW-Authenticate"].endswith('error="invalid_request"')


def test_a_cookie_that_does_not_count_is_no_second_token(app: EchoApp) -> None:
    """A page of another site that sends its own token learns nothing of our cookie."""
    assert client(app, TWO).post("/", headers=bearer(TOKEN) | COOKIE).status_code == 200


@pytest.mark.parametrize("options", [{}, {"optional": True}, {"public_paths": "/*"}])
@pytest.mark.parametrize(
    ("headers", "left"),
    [
        (bearer(TOKEN), {}),
        ({"Authorization": f"bEARER  {TOKEN}"}, {}),
        ({"X-Token": f"Bearer {TOKEN}"}, {}),
        (COOKIE, {"HTTP_COOKIE": "a=b; c"}),
        ({"Cookie": f"session={TOKEN}"}, {}),
    ],
)
def test_a_token_that_is_not_forwarded(
    app: EchoApp, options: dict[str, Any], headers: dict[str, str], left: dict[str, str]
) -> None:
    """Nothing of it is in the environ; what else stands there stays."""
    client(app, {"places": TWO, "forward": False}, **options).get("/", headers=headers)

    assert app.environ is not None
    names = ("HTTP_AUTHORIZATION", "HTTP_X_TOKEN", "HTTP_COOKIE")
    assert {name: app.environ[name] for name in names if name in app.environ} == left
    assert TOKEN not in str({k: v for k, v in app.environ.items() if k.startswith("HTTP_")})


def test_a_neighbour_s_cookie_is_not_mended_for_the_app(app: EchoApp) -> None:
    """The app's own ``__Host-`` cookie cannot be made of one that has other white space."""
    sent = {"HTTP_COOKIE": f"session={TOKEN}; \xa0__Host-sid=x"}

    client(app, {"places": "cookie:session", "forward": False}).get("/", environ_overrides=sent)

    assert app.environ is not None
    assert app.environ["HTTP_COOKIE"] == "\xa0__Host-sid=x"


def test_a_bare_token_is_not_forwarded(app: EchoApp) -> None:
    """A header of its own may hold the token alone, and the app must not find it there."""
    visitor = client(app, {"places": "header:X-Token", "forward": False})

    assert visitor.get("/", headers={"X-Token": TOKEN}).status_code == 200
    assert app.environ is not None
    assert "HTTP_X_TOKEN" not in app.environ


@pytest.mark.parametrize("odd", [f"Bearer\t{TOKEN}", f" Bearer {TOKEN}", f"Bearer,{TOKEN}"])
def test_what_only_the_app_would_take_for_a_token_goes_too(app: EchoApp, odd: str) -> None:
    """It is no token for us, but `split()` would find one that nobody verified."""
    visitor = client(app, {"places": "header", "forward": False}, public_paths="/*")
    visitor.get("/", environ_overrides={"HTTP_AUTHORIZATION": odd})

    assert app.environ is not None
    assert "HTTP_AUTHORIZATION" not in app.environ


def test_basic_on_a_public_path_stays(app: EchoApp) -> None:
    """It is the app's."""
    visitor = client(app, {"places": "header", "forward": False}, public_paths="/*")
    visitor.get("/", headers={"Authorization": "Basic eDp5"})

    assert app.environ is not None
    assert app.environ["HTTP_AUTHORIZATION"] == "Basic eDp5"


@pytest.mark.parametrize(
    "spec", ["query", "header:", "header:A B", "header:Content-Type", "cookie:", "cookie:a=b",
             "header header:authorization", "header:X-A header:x-a", "cookie:a cookie:a"],
)  # fmt: skip
def test_an_invalid_place_is_a_configuration_error(spec: str) -> None:
    """Never the query string (RFC 9700 section 4.3.2), no place twice."""
    with pytest.raises(ConfigurationError, match="token_from"):
        Settings.of(issuer="https://issuer.example", token_from=spec)


def test_a_header_that_is_spelled_with_an_underscore_is_the_same_place() -> None:
    """PEP 3333: the environ does not tell them apart."""
    with pytest.raises(ConfigurationError, match="twice"):
        Settings.of(issuer="https://issuer.example", token_from="header:X-A header:X_A")


def test_a_claim_header_is_no_place_of_the_token() -> None:
    """It would be removed before it is read."""
    with pytest.raises(ConfigurationError, match="claim_headers: x_token holds the token"):
        JWTMiddleware(
            lambda *_: [], issuer="https://issuer.example", token_from="header:X-Token",
            claim_headers="sub=x_token",
        )  # fmt: skip
