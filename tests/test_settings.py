"""Every option from every place it may stand, and what a wrong one is told."""

import base64
import datetime as dt
import json
import logging
from pathlib import Path
from typing import Any
from typing import get_type_hints

import pytest
from conftest import EchoApp
from joserfc import jwk
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from jwt_wsgi import ConfigurationError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi import Settings
from jwt_wsgi import assembly
from jwt_wsgi import jose
from jwt_wsgi.keys import KeySet
from jwt_wsgi.revocation.redis import RedisStore
from jwt_wsgi.settings.options import OPTIONS
from jwt_wsgi.settings.options import Options
from jwt_wsgi.settings.revocation import Revocation
from jwt_wsgi.testing import FakeIssuer

ISSUER = {"JWT_WSGI_ISSUER": "https://issuer.example"}
ISSUER_OPTION: dict[str, Any] = {"issuer": "https://issuer.example"}
JWKS = json.dumps(FakeIssuer("https://issuer.example").jwks())


def load(environ: dict[str, str] | None = None, /, **options: Any) -> Settings:
    return Settings.load(options, environ=ISSUER | (environ or {}))


def problems(environ: dict[str, str] | None = None, /, **options: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, **options)
    return caught.value.problems


#: 32 bytes.
SECRET = base64.b64encode(bytes(range(32))).decode()
#: Some CA certificates.
CA = str(DEFAULT_CA_BUNDLE_PATH)

#: option -> (its text in the environment, what it means); options of Python objects have no text.
TEXTS: dict[str, tuple[str, Any]] = {
    "issuer": (
        '["https://a.example", {"issuer": "https://b.example"}]',
        ("https://a.example", "https://b.example"),
    ),
    "audience": ("a, https://b.example/*", ("a", "https://b.example/*")),
    "jwks_uri": ("https://issuer.example/keys", "https://issuer.example/keys"),
    "jwks": (JWKS, 1),
    "public_key": ("PEM", 1),
    "secret": ("base64:" + "QUJD" * 11 + "REVG", b"ABC" * 11 + b"DEF"),
    "algorithms": ("ES256 ES256K", ("ES256", "ES256K")),
    "leeway": ("1m", 60.0),
    "required_claims": ('["sub", "org"]', ("sub", "org")),
    "claims": ('{"org": ["a", "b"], "n": 3}', {"org": ("a", "b"), "n": (3,)}),
    "max_token_age": ("1h", 3600.0),
    "token_types": ("at+jwt application/JWT", ("at+jwt", "jwt")),
    "max_token_size": ("4096", 4096),
    "token_from": ("header, cookie:session", ("header", "cookie:session")),
    "optional": ("yes", True),
    "public_paths": ("/healthz,/docs/*", ("/healthz", "/docs/*")),
    "required_scopes": ("read write", ("read", "write")),
    "scope_includes": (
        '{"admin": ["write"], "write": "read list"}',
        {"admin": ("list", "read", "write"), "write": ("list", "read")},
    ),
    "rules": (
        (
            '[{"path": "/a/*", "methods": "GET POST", "scopes": ["read"]},'
            ' {"path": "/b", "max_age": "5m"}]'
        ),
        (
            Rule("/a/*", methods=frozenset({"GET", "POST"}), scopes=frozenset({"read"})),
            Rule("/b", max_age=300.0),
        ),
    ),
    "allowed_origins": (
        (
            '{"origins": ["https://spa.example"], "hosts": ["api.example", "[::1]:8000"],'
            ' "paths": ["/mcp", "/mcp/*"]}'
        ),
        (("https://spa.example",), ("api.example", "[::1]:8000"), ("/mcp", "/mcp/*")),
    ),
    "cors": (
        '{"origins": ["https://spa.example", "*"], "skip_preflight": true}',
        (("https://spa.example", "*"), True),
    ),
    "claim_headers": (
        "sub=X-User, realm_access.roles=X-Roles",
        {"sub": ("X-User",), "realm_access.roles": ("X-Roles",)},
    ),
    "realm": ("my api", "my api"),
    "error_details": ("false", False),
    "resource": (
        '{"resource": "https://api.example/v1", "resource_name": "Orders"}',
        ("https://api.example/v1", {"resource_name": "Orders"}),
    ),
    "bound_tokens": ("accept", "accept"),
    "revocation": ('{"store": "redis://:hunter2@127.0.0.1:6379/0", "fail_open": true}', True),
    "jwks_max_age": ("20m", 1200.0),
    "jwks_max_stale": ("1h", 3600.0),
    "jwks_timeout": ("2.5s", 2.5),
    "jwks_tls": (f'{{"verify": "{CA}", "cert": ["FILE", "FILE"]}}', (CA, ("FILE", "FILE"))),
    "jwks_snapshot": (
        f'{{"path": "/", "secret": "base64:{SECRET}", "max_age": "30m"}}',
        (Path("/"), base64.b64decode(SECRET), 1800.0),
    ),
    "jwks_headers": ("X-Key=abc", {"X-Key": "abc"}),
    "allow_http": ("1", True),
    "token_cache_size": ("0", 0),
    "settings_from_request": ("true", True),
    "log_fields": ("sub, jti path", ("sub", "jti", "path")),
}


@pytest.fixture
def filled(tmp_path: Path) -> Any:
    """Puts real files in the place of FILE and PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path = tmp_path / "keys.json"
    path.write_text(JWKS)
    pem = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("FILE", str(path)).replace("PEM", pem)
        if isinstance(value, tuple):
            return tuple(fill(member) for member in value)
        return value

    return fill


def shown(value: Any) -> Any:
    if isinstance(value, tuple) and value and isinstance(value[0], Issuer):
        return tuple(issuer.identifier for issuer in value)
    if isinstance(value, Revocation):
        return isinstance(value.store, RedisStore) and value.fail_open
    return len(value) if isinstance(value, KeySet) else value


@pytest.mark.parametrize("name", TEXTS)
def test_an_option_from_the_environment(name: str, filled: Any) -> None:
    """JWT_WSGI_<NAME> is read as the table says."""
    text, meant = map(filled, TEXTS[name])

    settings = load({f"JWT_WSGI_{name.upper()}": text})

    assert shown(getattr(settings, name)) == meant


@pytest.mark.parametrize("name", sorted(TEXTS.keys() - {"jwks"}))
def test_an_option_from_a_file(name: str, filled: Any, tmp_path: Path) -> None:
    """JWT_WSGI_<NAME>_FILE is read without the newline at its end: Docker secrets."""
    text, meant = map(filled, TEXTS[name])
    path = tmp_path / "secret"
    path.write_text(text + "\n")
    environ = {} if name == "issuer" else ISSUER

    settings = Settings.load({}, environ=environ | {f"JWT_WSGI_{name.upper()}_FILE": str(path)})

    assert shown(getattr(settings, name)) == meant


@pytest.mark.parametrize("name", TEXTS)
def test_an_option_as_a_keyword_and_from_a_request(name: str, filled: Any) -> None:
    """Keywords and server-supplied environ keys take the same texts; the keyword wins."""
    text, meant = map(filled, TEXTS[name])

    assert shown(getattr(load(**{name: text}), name)) == meant
    by_request = Settings.load({}, environ=ISSUER, request={name: text})
    assert shown(getattr(by_request, name)) == meant


def test_every_option_has_a_row_here() -> None:
    """The table of options, this table and the keywords' types name the same options."""
    assert TEXTS.keys() == {name for name, option in OPTIONS.items() if option.text}
    assert Options.__optional_keys__ == OPTIONS.keys()
    assert get_type_hints(Settings).keys() - {"sources"} == OPTIONS.keys()


@pytest.mark.parametrize(
    "data",
    [b"", b"\x30\x82\x01\x0a", b"-----BEGIN CERTIFICATE-----\n"],
    ids=["empty", "DER", "cut"],
)
def test_a_ca_bundle_without_a_certificate_does_not_start(data: bytes, tmp_path: Path) -> None:
    """It would refuse every fetch; the remedy converts DER."""
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(data)

    for given in (bundle, {"verify": str(bundle)}):
        with pytest.raises(ConfigurationError, match=r"jwks_tls: .*openssl x509 -inform der"):
            Settings.of(issuer="https://i.example", audience="a", jwks_tls=given)


def test_options_are_few() -> None:
    """Each one must be understood by whoever reads the table; one that goes is not missed."""
    assert len(OPTIONS) <= 40


@pytest.mark.parametrize("form", ["text", "path", "mapping", "environment", "file form", "object"])
def test_a_jwks_is_given_inline_or_as_a_file(form: str, tmp_path: Path) -> None:
    """Text that begins with { is the JWKS itself; any other text is a path, and stays one."""
    path = tmp_path / "jwks.json"
    path.write_text(JWKS)
    settings = {
        "text": lambda: load(jwks=f" {JWKS}"),
        "mapping": lambda: load(jwks=json.loads(JWKS)),
        "path": lambda: load(jwks=path),
        "environment": lambda: load({"JWT_WSGI_JWKS": str(path)}),
        "file form": lambda: load({"JWT_WSGI_JWKS_FILE": str(path)}),
        "object": lambda: load(issuer=[{"issuer": "https://i.example", "jwks": str(path)}]),
    }[form]()
    (own,) = settings.terms

    if form in ("text", "mapping"):
        assert own.jwks is not None
        assert own.jwks.kids == ("key-1",)
    else:
        assert own.jwks == path


def test_a_key_that_is_given_for_a_path_is_not_shown(tmp_path: Path) -> None:
    """Neither as a name that is too long, nor as one that is not there; a Path is shown."""
    for text in ("hunter2", "hunter2" * 1000, "hunter2\0"):
        (problem,) = problems(jwks=text)
        assert "hunter2" not in problem
    (problem,) = problems({"JWT_WSGI_JWKS_FILE": str(tmp_path / "none")})
    assert str(tmp_path / "none") in problem


def test_the_first_hit_wins() -> None:
    """Keyword, then request, then process environment."""
    environ = ISSUER | {"JWT_WSGI_REALM": "process"}

    assert Settings.load({}, environ=environ).realm == "process"
    assert Settings.load({}, environ=environ, request={"realm": "request"}).realm == "request"
    assert (
        Settings.load({"realm": "word"}, environ=environ, request={"realm": "request"}).realm
        == "word"
    )


def test_keywords_take_python_values_too() -> None:
    """Lists, numbers, timedeltas; None is as if not given."""
    settings = load(audience=["a"], leeway=dt.timedelta(minutes=1), jwks_timeout=3, realm=None)

    assert settings.audience == ("a",)
    assert (settings.leeway, settings.jwks_timeout, settings.realm) == (60.0, 3.0, "api")


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("audience", "", "leave it out"),
        ("audience", "a*", 'give "*" by itself'),
        ("audience", "https://*", 'give "*" by itself'),
        ("audience", "/*", 'give "*" by itself'),
        ("algorithms", "none", "unknown: none"),
        ("algorithms", "rs256", "known are EdDSA"),
        ("algorithms", "HS256", "need secret"),
        ("leeway", "301", "at most 300"),
        ("leeway", "-1", "give seconds"),
        ("leeway", "nan", "give seconds"),
        ("optional", "maybe", "1/true/yes/on"),
        ("public_paths", "healthz", "starts with /"),
        ("public_paths", "/docs*", "only in /*"),
        ("required_scopes", 'a"b', "scope is ASCII"),
        ("cors", "https://spa.example/", "scheme://host"),
        ("log_fields", "sub email", "unknown: email; known are sub, jti, client_id, act, path"),
        ("realm", 'a"b', "printable ASCII"),
        ("resource", "https://api.example/mcp#a", "fragment"),
        ("resource", "http://api.example/mcp", "https"),
        ("bound_tokens", "maybe", "refuse, accept"),
        ("jwks_uri", "http://issuer.example/keys", "https"),
        ("jwks_uri", "file:///etc/passwd", "https"),
        ("jwks", "{}", "not a JWKS but an empty object"),
        ("jwks", '{"keys": []}', "no usable key"),
        ("jwks", "/does/not/exist", "cannot be read (No such file or directory)"),
        ("public_key", "-----BEGIN PRIVATE KEY-----", "private"),
        ("public_key", "rubbish", "PEM"),
        ("secret", "short", "32 bytes at least"),
        ("secret", "base64:!", "is not base64"),
        ("max_token_size", "1", "whole number"),
        ("max_token_size", "many", "whole number"),
        ("claims", "account", "name=value"),
        ("claims", '{"a": []}', "needs a value"),
        ("claims", '{"a": ', "looks like JSON"),
        ("token_types", ",", "at least one"),
        ("jwks_headers", "A b=c", "HTTP token"),
        ("jwks_timeout", "1x", "give seconds"),
        ("issuer", "http://issuer.example", "https"),
    ],
)
def test_a_wrong_setting_is_told_what_to_do(name: str, text: str, remedy: str) -> None:
    """The problem names the variable or keyword and the remedy."""
    variable = f"JWT_WSGI_{name.upper()}"

    (by_environment,) = problems({variable: text})
    (by_keyword,) = problems(**{name: text})

    assert name in by_environment.lower()
    assert by_keyword.startswith(name)
    assert remedy in by_environment
    assert remedy in by_keyword


PATH = ("resource_access", "com.example.app", "roles")
EXACT = '["resource_access", "com.example.app", "roles"]'


@pytest.mark.parametrize(
    ("option", "given", "meant"),
    [
        ("required_claims", ["sub", PATH], ("sub", EXACT)),
        ("required_claims", ["sub", list(PATH)], ("sub", EXACT)),
        ("required_claims", f'["sub", {EXACT}]', ("sub", EXACT)),
        ("required_claims", [("org",)], ("org",)),
        ("required_claims", [("org.name",)], ('["org.name"]',)),
        ("claims", {PATH: "admin"}, {EXACT: ("admin",)}),
        ("claims", {EXACT: "admin"}, {EXACT: ("admin",)}),
        ("claims", json.dumps({EXACT: ["admin", "owner"]}), {EXACT: ("admin", "owner")}),
        ("claims", f"{EXACT}=admin, org=a=b", {EXACT: ("admin",), "org": ("a=b",)}),
        ("claim_headers", {PATH: "X-Roles"}, {EXACT: ("X-Roles",)}),
        ("claim_headers", f"sub=X-A, {EXACT} = X-B", {"sub": ("X-A",), EXACT: ("X-B",)}),
    ],
)  # fmt: skip
def test_a_claim_is_named_by_a_list(option: str, given: Any, meant: Any) -> None:
    """As a tuple, a list or a JSON array: names from the top down, whose dots are theirs."""
    assert getattr(load(**{option: given}), option) == meant


def test_a_claim_of_a_rule_is_named_by_a_list() -> None:
    """In objects of rules, and in those that are JSON."""
    rules = json.dumps([{"path": "/a", "claims": {EXACT: "admin"}}])

    assert load(rules=[Rule("/a", claims={PATH: "admin"})]).rules == load(rules=rules).rules
    assert load(rules=rules).rules[0].claims == {EXACT: ("admin",)}


@pytest.mark.parametrize(
    ("option", "given", "remedy"),
    [
        ("required_claims", [[]], "a list of names"),
        ("required_claims", [["a", 7]], "a list of names"),
        ("required_claims", [["a", ""]], "a list of names"),
        ("required_claims", ".".join("a" * 18), "a list of names"),
        ("claims", {".".join("a" * 18): 1}, "a list of names"),
        ("claims", {"[a": 1}, "looks like JSON"),
        ("claims", {("a", "b"): 1, '["a","b"]': 2}, "twice"),
        ("claims", "a=[x, y]", "JSON object"),
        ("claim_headers", {(): "X-A"}, "a list of names"),
        ("jwks_headers", {("X", "Y"): "a"}, "name"),
    ],
)
def test_a_wrong_name_of_a_claim_does_not_start(option: str, given: Any, remedy: str) -> None:
    """Nothing is guessed."""
    (problem,) = problems(**{option: given})

    assert remedy in problem


def test_all_problems_at_once() -> None:
    """A person mends them in one go."""
    found = problems({"JWT_WSGI_LEEWAY": "soon", "JWT_WSGI_OPTIONAL": ""}, realm='"', nonsense=1)

    assert len(found) == 4


def test_an_issuer_is_required() -> None:
    """Without it nothing starts, and the remedy names both places."""
    with pytest.raises(ConfigurationError, match="JWT_WSGI_ISSUER"):
        Settings.load({}, environ={})


def test_keys_come_from_one_place(filled: Any) -> None:
    """Two key options contradict each other, wherever they stand."""
    (problem,) = problems({"JWT_WSGI_JWKS": JWKS}, jwks_uri="https://issuer.example/keys")

    assert problem.startswith("jwks, jwks_uri: the keys come from one place")


def test_a_secret_is_never_shown() -> None:
    """Neither a short one nor one that cannot be read."""
    for text in ("hunter2", "base64:hunter2!"):
        assert "hunter2" not in "".join(problems({"JWT_WSGI_SECRET": text}))
    assert "hunter2" not in "".join(problems(secret="hunter2", jwks_headers="hunter2"))
    settings = load(secret="hunter2 and all the others of them")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in repr(assembly.verifier(settings, lambda _: None).issuers)
    assert "hunter2" not in repr(jose.secret_key(b"hunter2"))


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def test_shared_secrets_and_public_keys_do_not_mix() -> None:
    """HS* only with a secret that is long enough, and with it nothing else."""
    assert load(secret=LETTERS[:32]).algorithms == ()
    assert "64 bytes" in problems(secret=LETTERS[:32], algorithms="HS256 HS512")[0]
    assert "only HS256" in problems(secret=LETTERS + LETTERS.upper(), algorithms="HS256 RS256")[0]


def test_a_secret_and_its_file_are_one_too_many(tmp_path: Path) -> None:
    """Which of the two was meant is not ours to guess."""
    path = tmp_path / "realm"
    path.write_text("x")

    (problem,) = problems({"JWT_WSGI_REALM": "y", "JWT_WSGI_REALM_FILE": str(path)})

    assert problem.startswith("JWT_WSGI_REALM_FILE: JWT_WSGI_REALM is set as well")


def test_a_name_that_is_no_setting_is_an_error() -> None:
    """A typing error, or an option of another version, may be meant to protect something."""
    assert problems({"JWT_WSGI_AUDIENC": "x"}) == (
        "JWT_WSGI_AUDIENC: no such setting; did you mean JWT_WSGI_AUDIENCE?",
    )
    assert problems(audiense="x") == ("audiense: no such option; did you mean audience?",)
    assert problems(AUDIENCE="x") == ("AUDIENCE: no such option; did you mean audience?",)
    assert problems(JWT_WSGI_AUDIENCE="x") == (
        "JWT_WSGI_AUDIENCE: no such option; did you mean audience?",
    )
    assert problems(rules=[{"Path": "/x"} | {"path": "/x"}]) == (
        "rules[0].Path: '/x': no such member; did you mean path?",
    )
    assert problems({"JWT_WSGI_FLUX_CAPACITOR": "1"}) == (
        "JWT_WSGI_FLUX_CAPACITOR: no such setting; unset it",
    )


def test_what_kubernetes_injects_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """For a Service called jwt-wsgi."""
    load(
        {
            "JWT_WSGI_PORT": "tcp://10.0.0.1:80",
            "JWT_WSGI_PORT_80_TCP_ADDR": "10.0.0.1",
            "JWT_WSGI_SERVICE_HOST": "10.0.0.1",
            "JWT_WSGI_SERVICE_PORT": "80",
            "JWT_WSGI_SERVICE_PORT_HTTP": "80",
            "JWT_WSGI_APP": "module:app",
        }
    )

    assert not caplog.records


USUAL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
OPEN = {
    "audience": ({"audience": "*"}, "audience: * accepts every token of https://issuer.example"),
    "an issuer's": (
        {"issuer": [Issuer("https://a.example", audience="*"), "https://b.example"]},
        "audience: * accepts every token of https://a.example",
    ),
    "public_paths": ({"public_paths": ["/a", "/*"]}, "public_paths: no path needs a token"),
    "optional": ({"optional": True}, "optional: no path needs a token"),
    "rules": ({"rules": [{"path": "/*", "token": "ignored"}]}, "rules: no path needs a token"),
    "a report": ({"rules": [{"path": "/*", "token": "report"}]}, "rules: no path needs a token"),
    "every method by name": (
        {"rules": [{"path": "/*", "methods": USUAL_METHODS, "token": "ignored"}]},
        "rules: no path needs a token, because no token is looked at on /*",
    ),
    "method by method": (
        {"rules": [{"path": "/*", "methods": [m], "token": "optional"} for m in USUAL_METHODS]},
        "rules: no path needs a token, because a token may be missing on /*",
    ),
}


@pytest.mark.parametrize(("options", "told"), OPEN.values(), ids=OPEN)
def test_what_is_open_to_everybody_is_a_warning_at_start(
    options: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody means to leave it like that for good."""
    JWTMiddleware(EchoApp(), **(ISSUER_OPTION | options))

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.removeprefix("open to everybody: ").startswith(told)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"audience": "https://api.example/*"},
        {"public_paths": ["/docs/*"]},
        {"rules": [{"path": "/admin/*"}, {"path": "/*", "token": "ignored"}]},
        {"rules": [{"path": "/*", "token": "ignored", "methods": ["GET"]}]},
        {"rules": [{"path": "/*", "token": "ignored", "methods": USUAL_METHODS[:-1]}]},
    ],
    ids=["nothing", "a prefix", "a subtree", "all but one", "one method", "all methods but one"],
)
def test_what_is_not_open_to_everybody_is_no_warning(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A warning that is always there is not read."""
    JWTMiddleware(EchoApp(), **(ISSUER_OPTION | options))

    assert not caplog.records


def test_ages_fit_together() -> None:
    """refresh_after <= max_age <= max_stale; refresh_after is half of max_age, and 1 s at least."""
    assert load(jwks_max_age="20m").policy.refresh_after == 600.0
    assert load(jwks_max_age="1s").policy.refresh_after == 1.0
    assert load(jwks_max_stale=0).policy.expires_after == load().jwks_max_age


@pytest.mark.parametrize(
    "options",
    [
        {"jwks_max_age": "0.9s"},
        {"jwks_max_age": float("nan")},
        {"jwks_max_stale": "10m", "jwks_max_age": "20m"},
        {"jwks_max_stale": float("nan")},
        {"jwks_max_stale": float("inf")},
        {"jwks_timeout": 0},
        {"jwks_timeout": "61s"},
        {"jwks_timeout": float("nan")},
    ],
)
def test_an_age_that_does_not_fit_is_the_problem_of_its_option(options: dict[str, Any]) -> None:
    """The sentence begins with the option to change."""
    (problem,) = problems(**options)

    assert problem.startswith(f"{next(iter(options))}: ")


def test_an_issuer_need_not_be_a_url_if_its_keys_are_given() -> None:
    """Only discovery needs one."""
    assert load(issuer="accounts.example", jwks=JWKS).issuers[0].identifier == "accounts.example"
    assert "https" in problems(issuer="accounts.example")[0]


def test_http_is_for_loopback_or_by_consent() -> None:
    """allow_http is a decision somebody takes."""
    assert load(issuer="http://127.0.0.1:8001").issuer
    assert load(issuer="http://keycloak:8080", allow_http=True).issuer
    assert load(resource="http://api:8080/mcp", allow_http=True).resource


def test_a_private_key_given_for_a_public_one_is_not_told() -> None:
    """The refusal to start ends in a log, and a key in it would have to be changed."""
    private = jwk.OKPKey.generate_key("Ed25519")
    for name, text in (
        ("public_key", private.as_pem(private=True).decode()),
        ("jwks", json.dumps({"keys": [private.as_dict(private=True)]})),
        ("jwks", {"keys": [private.as_dict(private=True)]}),
    ):
        (problem,) = problems(**{name: text})
        assert problem.startswith(f"{name}: (a secret): ")
        assert "private" in problem


def test_what_is_no_utf_8_or_too_deep_is_a_problem_like_any_other() -> None:
    """A byte of latin-1 in the environment is a lone surrogate here (PEP 383)."""
    (latin,) = problems({"JWT_WSGI_PUBLIC_PATHS": b"/caf\xe9".decode("utf-8", "surrogateescape")})
    (deep,) = problems({"JWT_WSGI_AUDIENCE": "[" * 100_000})

    assert latin.endswith("it is not UTF-8")
    assert "looks like JSON" in deep


def test_a_duration_is_not_negative() -> None:
    """Not as a timedelta either."""
    (problem,) = problems(leeway=dt.timedelta(seconds=-5))

    assert "give seconds" in problem


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "it cannot be read (No such file or directory)"),
        (b"\xff\xfe", "it cannot be read (it is no UTF-8)"),
    ],
)
def test_why_the_file_of_a_variable_cannot_be_read(
    content: bytes | None, why: str, tmp_path: Path
) -> None:
    """In words, without a class of Python's."""
    path = tmp_path / "audience"
    if content is not None:
        path.write_bytes(content)
    environ = {"JWT_WSGI_AUDIENCE_FILE": str(path)}
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({"issuer": "https://issuer.example"}, environ=environ)

    assert why in str(caught.value)
