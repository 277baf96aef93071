"""`jwt-wsgi explain`: every reason to refuse, at its step, without ever printing the token."""

import io
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import EchoApp
from servers.redis_server import redis_server
from werkzeug.test import Client

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import errors
from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.explain_facts import facts
from jwt_wsgi.cli.explain_steps import STEPS
from jwt_wsgi.cli.explain_steps import verdict_on
from jwt_wsgi.cli.remedies import FETCH_REMEDIES
from jwt_wsgi.cli.remedies import REFUSAL_REMEDIES
from jwt_wsgi.errors import AuthError
from jwt_wsgi.events import Event
from jwt_wsgi.events import Refused
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.revocation.redis import RedisStore
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.testing import FakeIssuer

Explain = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def explain(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Explain:
    """Run the command on a token and with variables; returns the exit code and the JSON."""

    def run(text: str, *arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
        own = {"ISSUER": issuer.issuer, "JWKS": json.dumps(issuer.jwks()), "AUDIENCE": "api"}
        for name, value in (own | variables).items():
            if value:
                monkeypatch.setenv(f"JWT_WSGI_{name}", value)
        for flag in ([], ["--json"]):
            monkeypatch.setattr("sys.stdin", io.StringIO(text))
            code = main(["explain", *arguments, *flag])
            said = capsys.readouterr()
            assert said.err == ""
            assert said.out.isascii()
            assert all(line.isprintable() for line in said.out.split("\n"))
            assert_no_token(text, said.out)
        return code, json.loads(said.out)

    return run


def assert_no_token(text: str, said: str) -> None:
    """No part of the token stands there, not even the beginning of one."""
    for part in re.split(r"[\s.=]", text):
        assert part[:24] not in said or len(part) < 24


def cut(token: str) -> str:
    return token.rpartition(".")[0]


def tampered(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


RULES = json.dumps(
    [
        {"path": "/public", "token": "ignored"},
        {"path": "/optional", "token": "optional"},
        {"path": "/report", "token": "report"},
        {"path": "/write", "methods": ["POST"], "scopes": ["write"]},
        {"path": "/any", "any_scope": ["a", "b"]},
        {"path": "/admin", "claims": {"role": ["admin"]}},
        {"path": "/acr", "acr_values": ["gold"]},
        {"path": "/recent", "max_age": 60},
    ]
)

Make = Callable[[FakeIssuer], str]
SIGNS = FakeIssuer().jwks()["keys"][0]

CASES = [
    pytest.param(
        "token_missing", lambda _: "", {}, [],
        "credentials", False, "the input is empty", id="nothing",
    ),
    pytest.param(
        "token_missing", lambda _: "Host: api.example", {"TOKEN_FROM": "header,cookie:t"}, [],
        "credentials", False, "looked for at: header, cookie:t", id="headers without",
    ),
    pytest.param(
        "token_missing", lambda i: f"Cookie: t={i.token(aud='api')}\nHost: api.example",
        {"TOKEN_FROM": "cookie:t"}, ["--method", "POST"],
        "credentials", False, "the page of another site", id="cookie of another site",
    ),
    pytest.param(
        "tokens_multiple", lambda i: "> Authorization: Bearer {0}\n> Cookie: t={0}\n".format(
            i.token(aud="api")
        ), {"TOKEN_FROM": "header,cookie:t"}, [],
        "credentials", False, "tokens at: header, cookie:t", id="two places",
    ),
    pytest.param(
        "tokens_multiple", lambda i: f"Cookie: t={i.token(aud='api')}\nCookie: a=b; t=c",
        {"TOKEN_FROM": "cookie:t"}, [],
        "credentials", False, "tokens at: cookie:t, cookie:t", id="two cookies",
    ),
    pytest.param(
        "token_expired", lambda i: f"Authorization: Basic Zm9v\nCookie: t={i.token(exp=1)}",
        {"TOKEN_FROM": "header,cookie:t"}, [],
        "claims", False, "exp is", id="a cookie beside another scheme",
    ),
    pytest.param(
        "header_malformed", lambda _: "Basic Zm9vOmJhcg==", {}, [],
        "credentials", False, "the scheme is 'Basic'", id="another scheme",
    ),
    pytest.param(
        "header_malformed", lambda i: '"' + i.token(aud="api") + '"', {}, [],
        "credentials", False, "Quotes", id="quotes",
    ),
    pytest.param(
        "header_malformed", lambda i: f"{i.token(aud='api')} x", {}, [],
        "credentials", False, "followed by 2 pieces", id="two pieces",
    ),
    pytest.param(
        "token_malformed", lambda i: cut(i.token()), {}, [], "form", False, "cut when", id="cut"
    ),
    pytest.param(
        "token_malformed", lambda _: "c2VjcmV0LW9wYXF1ZS10b2tlbi1vZi10aGUtaXNzdWVy", {}, [],
        "form", False, "an opaque token", id="opaque",
    ),
    pytest.param(
        "token_malformed", lambda _: "e30.e30.e30.e30.e30", {}, [], "form", False, "JWE", id="JWE"
    ),
    pytest.param(
        "token_malformed", lambda i: i.token(x="x" * 400), {"MAX_TOKEN_SIZE": "300"}, [],
        "credentials", False, "longer than 300", id="too long",
    ),
    pytest.param(
        "issuer_not_trusted", lambda i: i.token(iss="https://issuer.example/"), {}, [],
        "issuer", False, "differs in its final slash only", id="slash",
    ),
    pytest.param(
        "issuer_not_trusted", lambda i: i.token(iss="https://Issuer.example"), {}, [],
        "issuer", False, "upper and lower case", id="case",
    ),
    pytest.param(
        "issuer_not_trusted", lambda i: i.token(iss="https://issuer.exomple"), {}, [],
        "issuer", False, "differs from character 18 on", id="near",
    ),
    pytest.param(
        "issuer_not_trusted", lambda i: i.token(iss=None), {}, [],
        "issuer", False, "the token's iss is missing", id="no iss",
    ),
    pytest.param(
        "algorithm_not_allowed", lambda i: i.token(header={"alg": "none"}), {}, [],
        "header", False, "alg is 'none'", id="none",
    ),
    pytest.param(
        "token_type_not_allowed", lambda i: i.token(header={"typ": "logout+jwt"}), {}, [],
        "header", False, "typ is 'logout+jwt'", id="logout token",
    ),
    pytest.param(
        "token_expired", lambda i: i.token(exp=time.time() - 200), {}, [],
        "claims", False, "exp is 3 min 20 s ago", id="expired",
    ),
    pytest.param(
        "token_expired", lambda i: i.token(exp=-1e11, iat=1), {}, [],
        "claims", False, "before the year 1", id="an absurd date",
    ),
    pytest.param(
        "token_not_yet_valid", lambda i: i.token(nbf=time.time() + 3601), {}, [],
        "claims", False, "nbf is in 1 h", id="nbf",
    ),
    pytest.param(
        "claim_invalid", lambda i: i.token(aud="api", nbf=1_800_000_000_000), {}, [],
        "claims", False, "are these milliseconds?", id="milliseconds",
    ),
    pytest.param(
        "token_too_old", lambda i: i.token(iat=time.time() - 700), {"MAX_TOKEN_AGE": "5m"}, [],
        "claims", False, "iat is 11 min 40 s ago", id="old",
    ),
    pytest.param(
        "audience_mismatch", lambda i: i.token(aud=["other\x1b[2J"]), {}, [],
        "claims", False, "ours: 'api'", id="audience",
    ),
    pytest.param(
        "audience_mismatch", lambda i: i.token(aud="other"), {"AUDIENCE": ""}, [],
        "claims", False, "no audience is configured", id="no audience",
    ),
    pytest.param(
        "claim_missing", lambda i: i.token(aud="api", organisation="x"),
        {"REQUIRED_CLAIMS": "organization"}, [],
        "claims", False, "the token has 'organisation'", id="missing",
    ),
    pytest.param(
        "claim_invalid", lambda i: i.token(aud="api", org="evil"), {"CLAIMS": "org=acme"}, [],
        "claims", False, "org is 'evil'; accepted: 'acme'", id="invalid",
    ),
    pytest.param(
        "claim_invalid", lambda i: i.token(aud="api", sub="a\nb"), {"CLAIM_HEADERS": "sub=X-U"}, [],
        "access", True, "control characters", id="no header",
    ),
    pytest.param(
        "key_not_found", lambda i: i.token(aud="api", header={"kid": "key-9"}), {}, [],
        "key", False, "published: 'key-1'", id="kid",
    ),
    pytest.param(
        "key_not_found", lambda i: i.token(aud="api", header={"kid": "enc"}),
        {"JWKS": json.dumps({"keys": [SIGNS, {**SIGNS, "kid": "enc", "use": "enc"}]})}, [],
        "key", False, "skipped: 'enc', its use is not sig", id="skipped",
    ),
    pytest.param(
        "signature_invalid", lambda i: tampered(i.token(aud="api")), {}, [],
        "signature", False, "keys tried: 1", id="tampered",
    ),
    pytest.param(
        "signature_invalid", lambda i: i.wrong_key()(aud="api"), {}, [],
        "signature", False, "such a key is there for EdDSA", id="another key",
    ),
    pytest.param(
        "token_bound", lambda i: i.token(aud="api", cnf={"jkt": "abc"}), {}, [],
        "binding", True, "cnf has 'jkt'", id="bound",
    ),
    pytest.param(
        "revocation_unavailable", lambda i: i.token(aud="api", jti="a"),
        {"REVOCATION": "redis://127.0.0.1:1"}, [], "revocation", True, "no connection to the store",
        id="no store",
    ),
    pytest.param(
        "keys_unavailable", lambda i: i.token(aud="api"),
        {"JWKS": "", "JWKS_URI": "http://127.0.0.1:1/jwks"}, [],
        "key", False, "connect", id="no keys",
    ),
    pytest.param(
        "insufficient_scope", lambda i: i.token(aud="api", scope="read"), {"RULES": RULES},
        ["--path", "/write?x=1", "--method", "post"],
        "access", True, "the token has: 'read'", id="scope",
    ),
    pytest.param(
        "insufficient_scope", lambda i: i.token(aud="api"), {"RULES": RULES}, ["--path", "/any"],
        "access", True, "the rule needs one of: a b", id="any scope",
    ),
    pytest.param(
        "insufficient_scope", lambda i: i.token(aud="api", role="user"), {"RULES": RULES},
        ["--path", "/admin"], "access", True, "role is 'user'; the rule needs: 'admin'", id="role",
    ),
    pytest.param(
        "insufficient_user_authentication", lambda i: i.token(aud="api", acr="tin"),
        {"RULES": RULES}, ["--path", "/acr"],
        "access", True, "acr is 'tin'; the rule needs one of: gold", id="acr",
    ),
    pytest.param(
        "insufficient_user_authentication",
        lambda i: i.token(aud="api", auth_time=time.time() - 90), {"RULES": RULES},
        ["--path", "/recent"], "access", True, "auth_time is 1 min 30 s ago", id="login",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "make", "variables", "arguments", "step", "verified", "fact"), CASES
)
def test_every_refusal_is_explained(
    explain: Explain,
    issuer: FakeIssuer,
    code: str,
    make: Make,
    variables: dict[str, str],
    arguments: list[str],
    step: str,
    verified: bool,
    fact: str,
) -> None:
    """Its code, its step, whether the signature was verified by then, a fact and a remedy."""
    exit_code, told = explain(make(issuer), *arguments, **variables)

    assert exit_code == 1
    assert (told["accepted"], told["code"], told["step"]) == (False, code, step)
    assert told["signature_verified"] is verified
    assert fact in "; ".join([told["says"], *told["facts"]])
    assert told["remedy"]
    outcomes = [line["outcome"] for line in told["steps"]]
    at = list(STEPS).index(step)
    assert outcomes == ["ok"] * at + ["fail"] + ["-"] * (len(STEPS) - at - 1)
    assert all(part.isascii() and part.isprintable() for part in told["facts"])


def test_a_revoked_token(explain: Explain, issuer: FakeIssuer, tmp_path: Path) -> None:
    """In the store that the variable names, as every process of the app sees it."""
    with redis_server(tmp_path) as server:
        Revocations(RedisStore.from_url(server.url)).revoke_token(issuer.issuer, "a")
        exit_code, told = explain(issuer.token(aud="api", jti="a"), REVOCATION=server.url)
        good, _ = explain(issuer.token(aud="api", jti="b"), REVOCATION=server.url)
        answer = answer_of(issuer.token(aud="api", jti="a"))

    assert (exit_code, told["code"], told["step"]) == (1, "token_revoked", "revocation")
    assert answer == (told["status"], "token_revoked")
    assert told["signature_verified"]
    assert "jti is 'a'" in told["facts"]
    assert good == 0


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\ud800\r\n\x9b\"'<script>\0" + "x" * 5000


@pytest.mark.parametrize(
    ("header", "claims", "variables"),
    [
        ({"kid": HOSTILE[:200]}, {}, {}),
        ({"typ": HOSTILE}, {}, {}),
        ({"alg": HOSTILE}, {}, {}),
        ({}, {"iss": HOSTILE}, {}),
        ({}, {"iss": f"https://issuer.example{HOSTILE}"}, {}),
        ({}, {"aud": HOSTILE}, {}),
        ({}, {"aud": [HOSTILE, {HOSTILE: [HOSTILE]}, 5]}, {}),
        ({}, {"exp": HOSTILE}, {}),
        ({}, {"exp": -(2.0**52)}, {}),
        ({}, {"nbf": 10**400}, {}),
        ({}, {"cnf": {HOSTILE: HOSTILE}}, {}),
        ({}, {"org": HOSTILE}, {"CLAIMS": "org=acme"}),
        ({}, {f"acme{HOSTILE}"[:64]: 1}, {"REQUIRED_CLAIMS": "acme"}),
        ({}, {"scope": HOSTILE}, {"REQUIRED_SCOPES": "read"}),
        ({}, {"sub": HOSTILE}, {"CLAIM_HEADERS": "sub=X-U"}),
    ],
)
def test_control_characters_in_a_token_are_escaped(
    explain: Explain,
    issuer: FakeIssuer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    header: dict[str, Any],
    claims: dict[str, Any],
    variables: dict[str, str],
) -> None:
    """Each value is one escaped line of bounded length."""
    token = issuer.token(header=header, **{"aud": "api", **claims})
    exit_code, _ = explain(token, **variables)
    monkeypatch.setattr("sys.stdin", io.StringIO(token))
    main(["explain", "--path", "/\x1b[2J"])
    lines = capsys.readouterr().out.splitlines()

    assert exit_code == 1
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert max(map(len, lines)) < 700


@pytest.mark.parametrize("text", ["\x1b[2J", "Basic \x1b[2J", "\x1b: \x1b", "\0" * 99, ". . ."])
def test_control_characters_in_other_input_are_escaped(explain: Explain, text: str) -> None:
    """Also if the input is not a token."""
    assert explain(text)[0] == 1


def test_a_key_that_is_not_known_yet_is_429(
    explain: Explain, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The issuer cannot be asked now; the client may try again."""
    real = KeySet.candidates

    def candidates(keyset: KeySet, header: Any) -> Any:
        if "typ" not in header:  # of no token
            return real(keyset, header)
        raise errors.KeyNotKnownYetError(7)

    monkeypatch.setattr(KeySet, "candidates", candidates)
    exit_code, told = explain(issuer.token(aud="api"))

    assert exit_code == 1
    assert (told["code"], told["status"]) == ("key_not_known_yet", 429)
    assert told["step"] == "key"


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda _iss: 1 / 0, id="of iss"),
        pytest.param(lambda _iss, _environ: 1 / 0, id="of iss and environ"),
    ],
)
def test_an_issuer_that_cannot_be_asked_for_is_where_it_ends(function: Any) -> None:
    """No later step passes: a function that names the issuers has failed."""
    settings = Settings.of(issuer=function, audience="api")
    found = verdict_on(settings, FakeIssuer("https://issuer.example").token(aud="api")).as_json()

    assert (found["code"], found["step"]) == ("keys_unavailable", "issuer")
    assert [row["step"] for row in found["steps"] if row["outcome"] == "ok"][-1] == "form"


def test_a_function_that_sees_the_request_is_asked_once() -> None:
    """What the steps say of the issuer is its answer for this request."""
    issuer, asked = FakeIssuer("https://issuer.example"), []

    def function(iss: str, environ: Any) -> Issuer:
        asked.append(environ["PATH_INFO"])
        return Issuer(iss, jwks=issuer.jwks(), audience="api")

    settings = Settings.of(issuer=function)
    found = verdict_on(settings, issuer.token(aud="api", header={"kid": "key-9"}), path="/a")

    assert (found.step, asked) == ("key", ["/a"])
    assert [line.says for line in found.lines if line.name == "issuer"] == [
        "iss 'https://issuer.example' is trusted"
    ]


def test_no_code_is_without_a_case_and_a_remedy() -> None:
    """The 14 of the table, and every other class; the others have tests of their own."""
    ours = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    refusals = {kind for kind in ours if issubclass(kind, AuthError)} - {AuthError}
    others = {kind.code for kind in refusals - {errors.InvalidTokenError}}
    codes = {*errors.TOKEN_ERRORS, *others}

    assert len(codes) == len(errors.TOKEN_ERRORS) + len(refusals) - 1
    assert set(REFUSAL_REMEDIES) == codes
    elsewhere = {"token_revoked", "temporarily_unavailable", "key_not_known_yet"}
    elsewhere |= {"origin_not_allowed"}  # explain is asked about a token
    assert {case.values[0] for case in CASES} | elsewhere == codes


def test_no_failure_of_a_fetch_is_without_a_remedy() -> None:
    """Each kind that FetchError names, and what can be wrong with a key source of the app's own."""
    kinds = re.search(r"one of these labels: ([a-z_,\s]+)\.", FetchError.__doc__ or "")
    assert kinds is not None

    assert set(FETCH_REMEDIES) == {*kinds[1].replace(",", "").split(), "own"}


@pytest.mark.parametrize(
    "spell",
    [
        "{}",
        "Bearer {}",
        "  bearer   {}\n",
        "Authorization: Bearer {}\r\n",
        "* To x\n> GET / HTTP/1.1\n> Authorization: Bearer {}\n>\n< HTTP/1.1 401\n<\n{{ [2 b]",
        ":authority: x\n:method: GET\nauthorization: Bearer {}\nreferer: https://x/",
        ":authority:\nx\nauthorization:\nBearer {}\nreferer:\nhttps://x/\nhost:\nx",
        'POST / HTTP/1.1\nHost: x\nAuthorization: Bearer {}\n\n{{"a": 1}}\n',
    ],
    ids=["bare", "scheme", "spaces", "header", "curl -v", "HTTP/2", "names above", "a body"],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_good_token_however_it_was_pasted(
    explain: Explain, issuer: FakeIssuer, spell: str, wrapped: bool
) -> None:
    """Every step is good, and so is the exit code; also if the token was wrapped over lines."""
    token = issuer.token(aud="api")
    if wrapped and "> " not in spell:  # curl -v never wraps
        token = "\r\n".join(token[at : at + 60] for at in range(0, len(token), 60))
    exit_code, told = explain(spell.format(token))

    assert (exit_code, told["accepted"], told["step"]) == (0, True, "access")
    assert told["signature_verified"]
    assert {line["outcome"] for line in told["steps"]} == {"ok"}


@pytest.mark.parametrize("place", ["header:X-Token", "cookie:token"])
def test_a_token_is_put_where_the_app_looks_for_it(
    explain: Explain, issuer: FakeIssuer, place: str
) -> None:
    """Where the app looks for it, there it is put."""
    exit_code, told = explain(issuer.token(aud="api"), "--method", "POST", TOKEN_FROM=place)

    assert (exit_code, told["accepted"]) == (0, True)


@pytest.mark.parametrize(
    ("path", "passes", "step"),
    [
        ("/public", True, "credentials"),
        ("/optional", True, "credentials"),
        ("/other", False, "credentials"),
    ],
)
def test_the_rule_decides_whether_a_token_is_needed(
    explain: Explain, path: str, passes: bool, step: str
) -> None:
    """Nothing pasted is no token."""
    exit_code, told = explain("\n", "--path", path, RULES=RULES)

    assert (exit_code == 0, told["accepted"], told["step"]) == (passes, passes, step)
    assert not told["signature_verified"]


def test_our_own_metadata_needs_no_token(explain: Explain) -> None:
    """As the middleware answers them (RFC 9728), before any rule."""
    path = "/.well-known/oauth-protected-resource"
    exit_code, told = explain("", "--path", path, RESOURCE="https://api.example")
    other, _ = explain("", "--path", "/x", RESOURCE="https://api.example")

    assert (exit_code, told["step"], other) == (0, "credentials", 1)


def test_the_path_of_an_issuers_logouts_needs_no_token(explain: Explain) -> None:
    """It is answered by this package, before any rule."""
    logout = {"path": "/logout/backchannel", "client_id": "shop"}
    revocation = json.dumps({"store": "redis://127.0.0.1:1/0", "backchannel_logout": logout})
    exit_code, told = explain("", "--path", "/logout/backchannel", REVOCATION=revocation)
    other, _ = explain("", "--path", "/logout", REVOCATION=revocation)

    assert (exit_code, told["step"], other) == (0, "credentials", 1)


def test_a_rule_that_only_reports(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The token is bad all the same, and the reader is told that the request passes."""
    monkeypatch.setenv("JWT_WSGI_RULES", RULES)
    monkeypatch.setenv("JWT_WSGI_JWKS", json.dumps(issuer.jwks()))
    monkeypatch.setattr("sys.stdin", io.StringIO(issuer.token(exp=1)))

    assert main(["explain", "--issuer", issuer.issuer, "--path", "/report"]) == 1
    assert "reaches the app all the same" in capsys.readouterr().out


def test_a_check_that_cannot_decide(issuer: FakeIssuer) -> None:
    """The function and the type are named, and where to look for more."""

    def offline(_claims: Any, _now: float) -> None:
        raise ConnectionError("a secret")

    settings = Settings.of(issuer=issuer.issuer, jwks=issuer.jwks(), checks=[offline])
    found = verdict_on(settings, issuer.token()).as_json()

    assert (found["status"], found["code"]) == (503, "temporarily_unavailable")
    assert found["step"] == "checks"
    assert found["facts"][-1].endswith("offline raised builtins.ConnectionError")
    assert found["remedy"] == REFUSAL_REMEDIES["temporarily_unavailable"]


def test_header_and_claims_are_shown(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Times as dates and distances; a heading says whether they are verified."""
    monkeypatch.setenv("JWT_WSGI_ISSUER", issuer.issuer)
    monkeypatch.setenv("JWT_WSGI_JWKS", json.dumps(issuer.jwks()))
    shown = []
    for token in (issuer.token(sub="ada", iat=1), issuer.token(sub="ada", exp=1)):
        for flags in ([], ["--no-claims"]):
            monkeypatch.setattr("sys.stdin", io.StringIO(token))
            main(["explain", *flags])
            shown.append(capsys.readouterr().out)

    good, good_without, bad, bad_without = shown
    assert "header (verified)" in good
    assert '  sub         "ada"' in good
    assert "  iat         1, " in good
    assert "ago (1970-01-01T00:00:01Z)" in good
    assert "claims (not verified)" in bad
    assert "ada" not in good_without + bad_without
    assert "header (not verified)" in bad_without


def test_without_any_configuration_the_token_is_decoded(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused, since no issuer is trusted, and that is what the output says."""
    monkeypatch.setattr("sys.stdin", io.StringIO(issuer.token(sub="ada")))

    assert main(["explain", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["code"], told["cause"]) == ("issuer_not_trusted", "nothing configured")
    assert told["claims"]["sub"] == "ada"
    assert told["header"]["alg"] == "EdDSA"


def test_a_check_of_the_apps_own(issuer: FakeIssuer) -> None:
    """It comes after the signature, whatever code it refuses with."""

    def tired(_claims: Any, _now: float) -> None:
        raise errors.InvalidTokenError("token_expired", "it is late")

    settings = Settings.of(issuer=issuer.issuer, jwks=issuer.jwks(), checks=[tired])
    found = verdict_on(settings, issuer.token())

    assert (found.step, found.verified) == ("checks", True)


def test_a_method_that_the_request_names(issuer: FakeIssuer) -> None:
    """It counts as it does in the middleware, in a header or in the query; so does a suffix."""
    settings = Settings.of(
        issuer=issuer.issuer,
        jwks=issuer.jwks(),
        rules=[
            {"path": "/users/*", "methods": "GET", "token": "optional"},
            {"path": "/users/*", "scopes": ["write"]},
            {"path": "/*", "scopes": ["read"]},
        ],
    )
    bearer = f"Authorization: Bearer {issuer.token(scope='read')}\n"

    assert verdict_on(settings, bearer, path="/users").status == 200
    assert (
        verdict_on(settings, bearer + "X-HTTP-Method-Override: PUT\n", path="/users").status == 403
    )
    assert verdict_on(settings, bearer, path="/users?_method=PUT").status == 403
    found = verdict_on(settings, bearer, method="POST", path="/users.json")
    assert found.lines[0].says == (
        "a token is required, with scope read, with scope write (rule /* and /users/*)"
    )
    assert facts(found.case)[0] == "the rule needs all of: read"


def environ_of(text: str) -> dict[str, str]:
    """What a server would make of the request that brings what is pasted."""
    scheme = "" if text.startswith("Basic") else "Bearer "
    bare = {"HTTP_AUTHORIZATION": scheme + text.replace("\n", " ")} if text else {}
    lines = re.findall(r"^(?:> )?([A-Z][a-z]+): (.*)$", text, re.MULTILINE)
    found: dict[str, list[str]] = {}
    for name, value in lines:
        found.setdefault(f"HTTP_{name.upper()}", []).append(value)
    return {key: "; ".join(values) for key, values in found.items()} if lines else bare


def answer_of(text: str, path: str = "/", method: str = "GET") -> tuple[int, str]:
    """Status and code of a real middleware's answer to the request."""
    refused: list[Refused] = []

    def note(event: Event) -> None:
        refused.extend([event] if isinstance(event, Refused) else [])

    guarded = JWTMiddleware(EchoApp(), on_event=note)
    answer = Client(guarded, use_cookies=False).open(
        path, method=method, environ_overrides=environ_of(text)
    )
    return answer.status_code, "".join(event.code for event in refused)


@pytest.mark.parametrize(
    ("code", "make", "variables", "arguments"),
    [pytest.param(*case.values[:4], id=str(case.id)) for case in CASES],
)
def test_explain_and_the_middleware_give_the_same_code(
    explain: Explain,
    issuer: FakeIssuer,
    code: str,
    make: Make,
    variables: dict[str, str],
    arguments: list[str],
) -> None:
    """Status and code are those of the middleware's answer to this request."""
    text = make(issuer)
    _, told = explain(text, *arguments, **variables)
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    path, method = given.get("--path", "/"), given.get("--method", "GET").upper()

    assert answer_of(text, path, method) == (told["status"], code)


@pytest.mark.parametrize(
    ("text", "method", "token_from", "accepted"),
    [
        ("> GET /x HTTP/1.1\n> Authorization: Bearer {}\n> \n", "GET", "header", True),
        ("authorization: bearer {}\r\nhost: api.example\r\n", "GET", "header", True),
        ("X-Token: {}", "GET", "header:X-Token", True),
        ("Authorization: Bearer {}", "GET", "header:X-Token", False),
        ("Cookie: a=b; t={}", "GET", "cookie:t", True),
        ("Cookie: a=b\nCookie: t={}", "GET", "cookie:t", True),
        ("Authorization: Bearer {}\nAuthorization: Bearer x", "GET", "header", False),
        ("Cookie: t={}\nSec-Fetch-Site: same-origin", "POST", "cookie:t", True),
        ("Cookie: t={}\nSec-Fetch-Site: cross-site", "POST", "cookie:t", False),
        ("Authorization: Basic Zm9v\nCookie: t={}", "GET", "header,cookie:t", True),
    ],
)
def test_headers_stand_in_the_request_as_they_were_pasted(
    explain: Explain, issuer: FakeIssuer, text: str, method: str, token_from: str, accepted: bool
) -> None:
    """A whole request from a browser or from curl -v, whatever the app looks for."""
    pasted = text.format(issuer.token(aud="api"))
    exit_code, told = explain(pasted, "--method", method, TOKEN_FROM=token_from)

    assert (exit_code, told["accepted"]) == (int(not accepted), accepted)
    assert told["steps"][1]["outcome"] == ("ok" if accepted else "fail")


def test_a_token_on_the_command_line(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is taken, and --help says where it ends up."""
    monkeypatch.setenv("JWT_WSGI_JWKS", json.dumps(issuer.jwks()))
    assert main(["explain", "--issuer", issuer.issuer, issuer.token()]) == 0
    capsys.readouterr()

    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    assert "history" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["explain", "keys", "doctor"])
def test_a_wrong_configuration_is_exit_code_two(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every problem is told, not only the first."""
    monkeypatch.setenv("JWT_WSGI_LEEWAY", "soon")
    monkeypatch.setenv("JWT_WSGI_AUDIENC", "x")

    assert main([command]) == 2
    said = capsys.readouterr()
    for name in ("JWT_WSGI_LEEWAY", "JWT_WSGI_AUDIENC:", "issuer: missing"):
        assert name in said.out + said.err


def test_settings_that_only_requests_bring(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no issuer to explain with; the remedy is the flag."""
    monkeypatch.setenv("JWT_WSGI_SETTINGS_FROM_REQUEST", "true")

    assert main(["explain", "x"]) == 2
    assert "give --issuer" in capsys.readouterr().err


def test_a_url_in_the_place_of_a_path_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A path starts with a slash."""
    assert main(["explain", "x", "--issuer", "https://i.example", "--path", "https://x/"]) == 2
    assert "--path" in capsys.readouterr().err


APP = """
from werkzeug.middleware.proxy_fix import ProxyFix
from jwt_wsgi import JWTMiddleware

def bare(environ, start_response):
    return []

def tired(claims, now):
    return claims["sub"] != "tired"

guarded = JWTMiddleware(bare, issuer="https://issuer.example", jwks={jwks}, checks=[tired])
behind = ProxyFix(guarded)

class Flask:
    wsgi_app = guarded

    def __call__(self, environ, start_response):
        return self.wsgi_app(environ, start_response)

def factory():
    return Flask()

def broken():
    raise LookupError("no such \x1b[2J")
"""


@pytest.mark.parametrize("name", ["guarded", "behind", "factory()"])
def test_the_settings_of_an_app(
    issuer: FakeIssuer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """What it gives by keyword, its own checks too, through the layers around it."""
    (tmp_path / "of_an_app.py").write_text(APP.replace("{jwks}", repr(issuer.jwks())))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    told = []
    for sub in ("ada", "tired"):
        monkeypatch.setattr("sys.stdin", io.StringIO(issuer.token(sub=sub)))
        code = main(["explain", "--app", f"of_an_app:{name}", "--json"])
        told.append((code, json.loads(capsys.readouterr().out)["step"]))

    assert told == [(0, "access"), (1, "checks")]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["of_an_app:bare"], "there is no JWTMiddleware in it"),
        (["of_an_app:nothing"], "it has no 'nothing'"),
        (["no_such_module:app"], "there is no module 'no_such_module'"),
        (["of_an_app:broken()"], "no such \\x1b[2J"),
        (["of_an_app:guarded", "--issuer", "https://i.example"], "give no others"),
    ],
)
def test_an_app_without_settings(
    issuer: FakeIssuer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    why: str,
) -> None:
    """Exit code 2, whatever the app raises."""
    (tmp_path / "of_an_app.py").write_text(APP.replace("{jwks}", repr(issuer.jwks())))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])

    assert main(["explain", "x", "--app", *arguments]) == 2
    assert why in capsys.readouterr().err
