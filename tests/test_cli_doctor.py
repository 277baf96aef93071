"""`jwt-wsgi doctor`: what may be wrong with an issuer, the way to it, and the way to the app."""

import base64
import json
import ssl
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import EchoApp
from fault_issuer import fault_server
from fault_issuer import says
from servers.redis_server import redis_server
from servers.running import in_a_thread
from test_fetch import certificates
from werkzeug.serving import make_server

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.doctor_checks import _failed
from jwt_wsgi.cli.doctor_live import Answer
from jwt_wsgi.cli.doctor_live import judge
from jwt_wsgi.cli.key_report import Report
from jwt_wsgi.events import logger
from jwt_wsgi.key_sources.tls import CERTIFI
from jwt_wsgi.testing import FakeIssuer

Doctor = Callable[..., tuple[int, dict[str, list[tuple[str, str]]]]]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Run the command; returns the exit code and, by name, each check's outcome and words."""

    def run(*arguments: str, **variables: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
        for name, value in variables.items():
            monkeypatch.setenv(f"JWT_WSGI_{name}", value)
        code = main(["doctor", *arguments, "--json"])
        told: dict[str, list[tuple[str, str]]] = {}
        for check in json.loads(capsys.readouterr().out)["checks"]:
            assert check["remedy"] or check["outcome"] in ("ok", "-") or code == 2, check
            said = f"{check['says']} -> {check['remedy']}"
            told.setdefault(check["name"], []).append((check["outcome"], said))
        return code, told

    return run


@contextmanager
def issuer_of(documents: Callable[[str], dict[str, Any]], **headers: str) -> Iterator[str]:
    """An issuer that serves just these documents, by path; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = documents(url).get(self.path)
            body = json.dumps(document).encode()
            self.send_response_only(404 if document is None else 200)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with in_a_thread(server) as url:
        yield url


def serving(jwks: dict[str, Any], issuer: str = "") -> Callable[[str], dict[str, Any]]:
    """Discovery and this JWKS; ``issuer``: what the metadata says, with the URL at its {}."""

    def documents(url: str) -> dict[str, Any]:
        named = (issuer or "{}").format(url)
        metadata = {"issuer": named, "jwks_uri": f"{url}/jwks"}
        return {"/.well-known/openid-configuration": metadata, "/jwks": jwks}

    return documents


def test_a_good_configuration_gives_exit_code_0(doctor: Doctor) -> None:
    """Every check says what it found."""
    with FakeIssuer().serve() as issuer:
        code, told = doctor(ISSUER=issuer.issuer, AUDIENCE="api")

    assert code == 0
    outcomes = {name: [outcome for outcome, _ in lines] for name, lines in told.items()}
    assert outcomes == {
        "settings": ["ok"], "audience": ["ok"], "keys": ["ok"], "clock": ["ok"], "app": ["-"]
    }  # fmt: skip
    assert "1 usable" in told["keys"][0][1]
    assert "found by OpenID Connect discovery" in told["keys"][0][1]


def test_a_resource_without_a_scope_or_an_origin(doctor: Doctor) -> None:
    """Clients of MCP ask for the scopes that they find, and pages of any website may ask."""
    with FakeIssuer().serve() as issuer:
        _, bare = doctor(ISSUER=issuer.issuer, RESOURCE="https://api.example/mcp")
        origins = "https://spa.example"
        named = '{"resource": "https://api.example/mcp", "scopes_supported": ["b", "a"]}'
        _, whole = doctor(ISSUER=issuer.issuer, RESOURCE=named, ALLOWED_ORIGINS=origins)

    ((outcome, said),) = bare["scopes"]
    assert outcome == "warn"
    assert "TypeScript SDK" in said
    assert "JWT_WSGI_REQUIRED_SCOPES" in said
    assert [outcome for outcome, _ in bare["origins"]] == ["warn"]
    assert [said.partition(" ->")[0] for _, said in whole["scopes"]] == ["the metadata name a, b"]
    assert "origins" not in whole


def test_ad_fs_signs_access_tokens_in_another_name(doctor: Doctor) -> None:
    """Its metadata says so; with the configured issuer no access token would be accepted."""
    jwks, signs = FakeIssuer().jwks(), "http://fs.example/adfs/services/trust"

    def documents(url: str) -> dict[str, Any]:
        found = serving(jwks)(url)
        found["/.well-known/openid-configuration"]["access_token_issuer"] = signs
        return found

    with issuer_of(documents) as url:
        code, told = doctor(ISSUER=url, AUDIENCE="api")

    assert code == 0
    ((outcome, says),) = told["issuer"]
    assert outcome == "warn"
    assert says == (
        f"AD FS: access tokens have the iss '{signs}', not the configured one -> Set"
        f" JWT_WSGI_ISSUER='{signs}' and JWT_WSGI_JWKS_URI={url}/jwks."
    )


def test_an_issuer_without_a_server(doctor: Doctor) -> None:
    """The line names what is wrong."""
    code, told = doctor(ISSUER="http://127.0.0.1:1")

    assert (code, told["keys"][0][0]) == (1, "fail")
    assert "connect" in told["keys"][0][1]


def test_an_outage(doctor: Doctor) -> None:
    """A status that is no answer."""
    with FakeIssuer().serve() as issuer, issuer.outage():
        code, told = doctor(ISSUER=issuer.issuer)

    assert code == 1
    assert "openid-configuration': status 500" in told["keys"][0][1]


def test_an_issuer_that_is_too_slow(doctor: Doctor) -> None:
    """No longer is waited than the middleware would."""
    with FakeIssuer().serve() as issuer, issuer.slow(1.0):
        code, told = doctor(ISSUER=issuer.issuer, JWKS_TIMEOUT="0.2")

    assert code == 1
    assert "timeout" in told["keys"][0][1]


def test_metadata_of_another_issuer(doctor: Doctor, issuer: FakeIssuer) -> None:
    """Both names are told."""
    with issuer_of(serving(issuer.jwks(), "https://evil.example")) as url:
        code, told = doctor(ISSUER=url)

    assert code == 1
    assert f"the metadata at {url!r} is that of 'https://evil.example'" in told["issuer"][0][1]


@pytest.mark.parametrize("jwks_uri", ["", "/jwks"])
@pytest.mark.parametrize(("configured", "named"), [("", "{}/"), ("/", "{}")])
def test_a_slash_too_many_or_too_few(
    doctor: Doctor, issuer: FakeIssuer, configured: str, named: str, jwks_uri: str
) -> None:
    """The right spelling is told, whether the keys are discovered or not."""
    with issuer_of(serving(issuer.jwks(), named)) as url:
        uri = {"JWKS_URI": url + jwks_uri} if jwks_uri else {}
        code, told = doctor(ISSUER=url + configured, **uri)

    assert code == 1
    assert "slash mismatch" in told["issuer"][0][1]
    assert f"Set JWT_WSGI_ISSUER={named.format(url)!r}:" in told["issuer"][0][1]


def test_headers_for_the_keys_are_not_sent_to_the_issuer(
    doctor: Doctor, issuer: FakeIssuer
) -> None:
    """The metadata are read without them, to compare the spelling of the issuer."""
    jwks = says("200 OK", json.dumps(issuer.jwks()).encode())
    with fault_server(jwks) as keys, fault_server(says("404 No")) as named:
        url = named.url.removesuffix("/jwks")
        doctor(ISSUER=url, JWKS_URI=keys.url, JWKS_HEADERS="X-Key=hush")

    assert "hush" in str(keys.heads)
    assert named.heads
    assert "hush" not in str(named.heads)


def test_a_certificate_of_an_unknown_ca(doctor: Doctor, tmp_path: Path) -> None:
    """The message of OpenSSL, and the variable for your own CA, which is the remedy."""
    ca, context = certificates(tmp_path)
    with fault_server(says("404 Not Found"), context) as server:
        url = server.url.removesuffix("/jwks")
        code, told = doctor(ISSUER=url)
        _, trusting = doctor(ISSUER=url, JWKS_TLS=str(ca))

    assert code == 1
    said = told["keys"][0][1]
    assert "tls:" in said
    assert "certificate" in said
    assert "JWT_WSGI_JWKS_TLS" in said
    assert "no metadata" in trusting["keys"][0][1]


def test_a_system_without_ca_certificates(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A minimal container: certifi's count, which is said; not where a setting names others."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    nowhere = ssl.get_default_verify_paths()._replace(cafile=None, capath=str(tmp_path))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    with FakeIssuer().serve() as issuer:
        ((outcome, words),) = doctor(ISSUER=issuer.issuer, AUDIENCE="api")[1]["tls"]
        assert (outcome, "certifi" in words) == ("warn", True)

        assert "tls" not in doctor(JWKS_TLS=str(CERTIFI))[1]
        monkeypatch.delenv("JWT_WSGI_JWKS_TLS")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFI))
        assert "tls" not in doctor()[1]


def test_a_private_key_is_published(doctor: Doctor, issuer: FakeIssuer) -> None:
    """It fails though the other key is good, and the private part is not printed."""
    private = {**issuer.jwks()["keys"][0], "kid": "leaked", "d": "c2VjcmV0LXBhcnQ"}
    with issuer_of(serving({"keys": [private, *issuer.jwks()["keys"]]})) as url:
        code, told = doctor(ISSUER=url)

    assert (code, told["keys"][0][0], told["private key"][0][0]) == (1, "ok", "fail")
    assert "leaked" in told["private key"][0][1]
    assert "c2VjcmV0" not in str(told)


def test_no_key_is_usable(doctor: Doctor, issuer: FakeIssuer) -> None:
    """Each key is told with its reason."""
    encrypts = {**issuer.jwks()["keys"][0], "use": "enc"}
    with issuer_of(serving({"keys": [encrypts]})) as url:
        code, told = doctor(ISSUER=url)

    assert code == 1
    assert "no usable key" in told["keys"][0][1]
    assert "its use is not sig" in told["key"][0][1]


def test_no_key_fits_the_accepted_algorithms(doctor: Doctor) -> None:
    """It is a failure, because every token would be refused. Keys and algorithms are named."""
    with FakeIssuer(algorithm="ES256").serve() as issuer:
        code, told = doctor(ISSUER=issuer.issuer, AUDIENCE="api", ALGORITHMS="RS256")
        keys = main(["keys"])

    assert (code, keys, told["keys"][0][0]) == (1, 1, "fail")
    assert "none of 1 keys fits the accepted algorithms (RS256)" in told["keys"][0][1]
    assert "key" not in told  # that there is nothing to do would be the wrong remedy
    assert "JWT_WSGI_ALGORITHMS" in told["keys"][0][1]


def test_a_proxy_that_asks_for_a_password(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """407 is the proxy's, not the issuer's, for http and for https."""
    with fault_server(says("407 Proxy Authentication Required")) as proxy:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/jwks"))
        for url in ("https://issuer.invalid", "http://issuer.invalid"):
            code, told = doctor(ISSUER=url, ALLOW_HTTP="true")
            assert (code, told["keys"][0][0]) == (1, "fail")
            assert "a proxy asks for a password (407)" in told["keys"][0][1]
            assert "HTTPS_PROXY" in told["keys"][0][1]


def test_407_elsewhere_in_an_error_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of connections hold ports and memory addresses, and 407 may be part of either."""
    error = ConnectionError("<SecurePool object at 0x7f4073>: port 40771 says 407 no more")
    report = Report("https://issuer.example", "https://issuer.example/jwks", cause=error)

    assert "407" not in _failed(report)[0]


PAGES = {
    "html": (b"<!DOCTYPE html><html>", "an HTML page"),
    "pem": (b"-----BEGIN PUBLIC KEY-----", "a PEM file"),
    "certificates": (b'{"a1": "-----BEGIN CERTIFICATE-----\\nMII"}', "a map of certificates"),
    "empty": (b"{}", "an empty object"),
    "jwk": (b'{"kty": "OKP", "crv": "Ed25519", "x": "a"}', "one key"),
    "metadata": (b'{"issuer": "https://x", "jwks_uri": "https://x/jwks"}', "metadata"),
    "nothing": (b"", "empty"),
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_jwks_that_is_something_else(doctor: Doctor, kind: str) -> None:
    """It is recognised, and the remedy names where the right document is."""
    body, words = PAGES[kind]
    with fault_server(says("200 OK", body)) as server:
        code, told = doctor(ISSUER="https://i.example", JWKS_URI=server.url, ALLOW_HTTP="true")

    assert (code, told["keys"][0][0]) == (1, "fail")
    assert words in told["keys"][0][1]
    assert " -> Set JWT_WSGI_" in told["keys"][0][1]
    assert "JWT_WSGI_JWKS_URI to the URL of the" in told["keys"][0][1]


def test_hints_for_a_provider(doctor: Doctor, issuer: FakeIssuer) -> None:
    """Amazon Cognito's access tokens have no aud."""
    pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC"
    code, told = doctor(ISSUER=pool, JWKS=json.dumps(issuer.jwks()), AUDIENCE="client")

    assert (code, told["provider"][0][0]) == (0, "warn")
    assert "Amazon Cognito" in told["provider"][0][1]


APP_WITHOUT_A_LOG = """
import logging.config
from jwt_wsgi import JWTMiddleware
app = JWTMiddleware(lambda environ, start: [], issuer="https://i.example", jwks={jwks})
logging.config.dictConfig({"version": 1})
"""


def test_a_logger_that_is_switched_off(
    doctor: Doctor, issuer: FakeIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """disable_existing_loggers is on unless the app's logging configuration says otherwise."""
    text = APP_WITHOUT_A_LOG.replace("{jwks}", repr(issuer.jwks()))
    (tmp_path / "app_without_a_log.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    try:
        code, told = doctor("--app", "app_without_a_log:app")
    finally:
        logger.disabled = False

    assert (code, told["log"][0][0]) == (0, "warn")
    assert "disable_existing_loggers" in told["log"][0][1]


@pytest.mark.parametrize(
    ("seconds", "outcome", "words"),
    [(-120, "fail", "ahead of"), (120, "fail", "behind"), (-10, "ok", "")],
)
def test_clocks_that_differ(
    doctor: Doctor, issuer: FakeIssuer, seconds: int, outcome: str, words: str
) -> None:
    """By more than the leeway of 30 s is too much; the direction is told."""
    date = formatdate(time.time() + seconds, usegmt=True)
    with issuer_of(serving(issuer.jwks()), Date=date) as url:
        code, told = doctor(ISSUER=url)

    assert (code, told["clock"][0][0]) == (int(outcome == "fail"), outcome)
    assert words in told["clock"][0][1]


def test_a_variable_that_is_no_setting_fails(doctor: Doctor, issuer: FakeIssuer) -> None:
    """The app would not start with it."""
    code, told = doctor(ISSUER=issuer.issuer, JWKS=json.dumps(issuer.jwks()), SHINY="1")

    assert code == 2
    assert told["settings"][0][0] == "fail"
    assert "JWT_WSGI_SHINY: no such setting" in str(told["settings"])


def test_an_audience_that_is_not_set_or_a_star_is_a_warning(
    doctor: Doctor, issuer: FakeIssuer
) -> None:
    """Exit code 0."""
    jwks = json.dumps(issuer.jwks())
    code, told = doctor(ISSUER=issuer.issuer, JWKS=jwks)
    _, everybody = doctor(AUDIENCE="*")

    assert code == 0
    assert told["audience"][0][0] == everybody["audience"][0][0] == "warn"
    assert "not set" in told["audience"][0][1]


@pytest.mark.parametrize(
    ("claims", "outcome"),
    [
        ({"client_id": "shop", "token_use": "access"}, "ok"),
        ({"azp": "https://shop.example"}, "ok"),
        ({"token_use": "access"}, "warn"),
    ],
)
def test_the_claim_of_the_client_stands_for_an_audience(
    claims: dict[str, str], outcome: str, doctor: Doctor, issuer: FakeIssuer
) -> None:
    """Amazon Cognito and Clerk write no aud: to ask for one would be wrong there."""
    jwks = json.dumps(issuer.jwks())
    _, told = doctor(ISSUER=issuer.issuer, JWKS=jwks, CLAIMS=json.dumps(claims))

    assert told["audience"][0][0] == outcome


def test_paths_that_are_open_to_everybody(doctor: Doctor, issuer: FakeIssuer) -> None:
    """What the log says at start is said here, too."""
    jwks = json.dumps(issuer.jwks())
    code, told = doctor(ISSUER=issuer.issuer, JWKS=jwks, PUBLIC_PATHS="/*")

    assert code == 0
    assert [outcome for outcome, _ in told["settings"]] == ["ok", "warn"]
    assert "public_paths: no path needs a token" in told["settings"][1][1]


def test_a_store_that_does_not_answer(doctor: Doctor, issuer: FakeIssuer) -> None:
    """Every token would be a 503."""
    jwks = json.dumps(issuer.jwks())
    code, told = doctor(ISSUER=issuer.issuer, JWKS=jwks, REVOCATION="redis://127.0.0.1:1")

    assert (code, told["store"][0][0]) == (1, "fail")
    assert "there is no connection to the store" in told["store"][0][1]


def test_a_store_that_answers(doctor: Doctor, issuer: FakeIssuer, tmp_path: Path) -> None:
    """It is asked for a token that nobody has."""
    with redis_server(tmp_path) as server:
        jwks = json.dumps(issuer.jwks())
        code, told = doctor(ISSUER=issuer.issuer, JWKS=jwks, REVOCATION=server.url)

    assert (code, told["store"][0][0]) == (0, "ok")


def test_several_issuers(doctor: Doctor) -> None:
    """Each is looked at for itself; one that is down does not hide the other."""
    with FakeIssuer().serve() as good, FakeIssuer().serve() as bad, bad.outage():
        urls = [good.issuer, bad.issuer]
        code, told = doctor(ISSUER=json.dumps([{"issuer": url} for url in urls]))

    assert code == 1
    assert [outcome for outcome, _ in told["keys"]] == ["ok", "fail"]
    assert [url in said for url, (_, said) in zip(urls, told["issuer"], strict=True)] == [True] * 2


def test_a_configuration_that_does_not_load(doctor: Doctor) -> None:
    """Exit code 2 and every problem."""
    code, told = doctor(LEEWAY="soon", ISSUR="x")

    assert code == 2
    assert [outcome for outcome, _ in told["settings"]] == ["fail"] * 3
    assert "did you mean JWT_WSGI_ISSUER?" in " ".join(said for _, said in told["settings"])


# --- The running app ---------------------------------------------------------------------------


@contextmanager
def running(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=False)
    server.log = lambda *_: None  # type: ignore[method-assign]
    with in_a_thread(server) as url:
        yield f"{url}/orders?x=1"


def swallowing(app: Any) -> Any:
    """As mod_wsgi without WSGIPassAuthorization."""

    def wrapped(environ: Any, start_response: Any) -> Any:
        environ.pop("HTTP_AUTHORIZATION", None)
        return app(environ, start_response)

    return wrapped


def mangling(app: Any) -> Any:
    def wrapped(environ: Any, start_response: Any) -> Any:
        environ["HTTP_AUTHORIZATION"] = "Basic Zm9v"
        return app(environ, start_response)

    return wrapped


@pytest.mark.parametrize("details", [True, False])
@pytest.mark.parametrize(
    ("between", "outcome", "words"),
    [
        pytest.param(lambda app: app, "ok", "arrives: refused with", id="through"),
        pytest.param(swallowing, "fail", "WSGIPassAuthorization On", id="swallowed"),
        pytest.param(mangling, "fail", "arrives changed", id="changed"),
    ],
)
def test_a_refusal_of_a_made_up_token_shows_that_it_arrived(
    doctor: Doctor,
    app: EchoApp,
    issuer: FakeIssuer,
    between: Any,
    outcome: str,
    words: str,
    details: bool,
) -> None:
    """It has passed every server and proxy."""
    guarded = issuer.protect(app, error_details=details)
    with running(between(guarded)) as url:
        code, told = doctor("--url", url, ISSUER=issuer.issuer, JWKS=json.dumps(issuer.jwks()))

    assert (code, told["app"][0][0]) == (int(outcome == "fail"), outcome)
    assert words in told["app"][0][1]
    if outcome == "ok":
        code = "issuer_not_trusted" if details else "token_invalid"
        assert f"refused with {code} " in told["app"][0][1]


@pytest.mark.parametrize("place", ["header:X-Token", "cookie:token"])
def test_a_token_is_sent_where_the_app_looks_for_it(
    doctor: Doctor, app: EchoApp, issuer: FakeIssuer, place: str
) -> None:
    """The first place of token_from."""
    with running(issuer.protect(app, token_from=place)) as url:
        _, told = doctor(
            "--url", url, ISSUER=issuer.issuer, JWKS=json.dumps(issuer.jwks()), TOKEN_FROM=place
        )

    assert told["app"][0][0] == "ok"


def test_an_app_that_lets_everything_through(
    doctor: Doctor, app: EchoApp, issuer: FakeIssuer
) -> None:
    """Without the middleware, or on a public path; and the configuration may be elsewhere."""
    public = JWTMiddleware(app, issuer="https://i.example", public_paths=["/orders"])
    with running(public) as url:
        code, told = doctor("--url", url)

    assert (code, told["app"][0][0]) == (2, "fail")
    assert "a made-up token is let through" in told["app"][0][1]


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (Answer(401, "", "", 'Bearer realm="x", error="invalid_token"', ""), "ok", "arrives"),
        (
            Answer(401, "", "\x1b[2J", 'Bearer error="invalid_token"', ""),
            "ok",
            "arrives: refused with invalid_token",
        ),
        (Answer(401, "", "", 'Bearer realm="x"', ""), "fail", "does not arrive"),
        (Answer(401, "", "", "Basic", ""), "fail", "not the middleware's"),
        (Answer(503, "Keys unavailable", "keys_unavailable", "", ""), "ok", "keys_unavailable"),
        (Answer(502, "", "", "", ""), "fail", "502"),
        (Answer(301, "", "", "", "https://x/\x1b"), "warn", "a redirect to 'https://x/\\x1b'"),
        (
            Answer(302, "", "", "", "https://x/in?state=s3cret"),
            "warn",
            "redirect to 'https://x/in'",
        ),
        (
            Answer(302, "", "", "", "https://x/oauth2/authorize?state=s3cret"),
            "fail",
            "a login page answers: 302, a redirect to 'https://x/oauth2/authorize'",
        ),
        (Answer(303, "", "", "", "/accounts/login/?next=/"), "fail", "a login page answers"),
        (Answer(407, "", "", "", ""), "fail", "407: a proxy before the app asks for a password"),
    ],
)
def test_what_an_answer_means(answer: Answer, outcome: str, words: str) -> None:
    """With a responder of the app's own the challenge says enough."""
    line = judge(answer, "Authorization")

    assert line.outcome == outcome
    assert words in line.says


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/", "127.0.0.1:1 refuses the connection"),
        ("http://nowhere.invalid/", "the host 'nowhere.invalid' has no address"),
        ("ftp://x/", "it is not a URL"),
        ("http://127.0.0.1:x/", "it is not a URL"),
        ("x", "it is not a URL"),
    ],
)
def test_an_app_that_cannot_be_asked(doctor: Doctor, url: str, words: str) -> None:
    """A sentence for each reason, and no name of a Python class."""
    _, told = doctor("--url", url)

    assert told["app"][0][0] == "fail"
    assert words in told["app"][0][1]
    assert "Error" not in told["app"][0][1]


def test_a_server_that_does_not_answer_in_http(doctor: Doctor) -> None:
    """Something listens at the port, and speaks no HTTP."""
    with fault_server(lambda connection: connection.close()) as server:
        _, told = doctor("--url", server.url)

    assert told["app"][0][0] == "fail"
    assert "it does not answer in HTTP" in told["app"][0][1]


@pytest.mark.parametrize(("limit", "outcome"), [(4096, "warn"), (20_000, "ok")])
def test_a_server_that_takes_no_long_headers(
    doctor: Doctor, app: EchoApp, issuer: FakeIssuer, limit: int, outcome: str
) -> None:
    """A token of the size that the middleware accepts gets 431 from what is in front of it."""

    def limited(environ: Any, start_response: Any) -> Any:
        if len(environ.get("HTTP_AUTHORIZATION", "")) > limit:
            start_response("431 Request Header Fields Too Large", [("Content-Length", "0")])
            return []
        return issuer.protect(app)(environ, start_response)

    with running(limited) as url:
        code, told = doctor("--url", url, ISSUER=issuer.issuer, JWKS=json.dumps(issuer.jwks()))

    assert (code, told["token size"][0][0]) == (0, outcome)
    words = (
        "of 16384 characters" if outcome == "ok" else "of 16384 characters gets 431, one of 2048"
    )
    assert words in told["token size"][0][1]


def test_an_app_behind_a_bad_certificate(doctor: Doctor, tmp_path: Path) -> None:
    """OpenSSL's own words."""
    _, context = certificates(tmp_path)
    with fault_server(says("200 OK"), context) as server:
        _, told = doctor("--url", server.url)

    assert told["app"][0][0] == "fail"
    assert "certificate" in told["app"][0][1]


def test_an_answer_of_any_size_and_kind(doctor: Doctor) -> None:
    """No more than 64 KiB of it is read, and it need not be JSON."""
    with fault_server(says("401 No", base64.b64encode(b"x" * 100_000))) as server:
        _, told = doctor("--url", server.url)

    assert "not the middleware's" in told["app"][0][1]
