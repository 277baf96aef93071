"""One request through the middleware: who passes, what the app gets, what a refused one gets."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Settings
from jwt_wsgi.events import Accepted
from jwt_wsgi.events import Event
from jwt_wsgi.events import Refused
from jwt_wsgi.rules import Rule
from jwt_wsgi.testing import FakeIssuer

Make = Callable[..., Client]
PREFLIGHT = {"Origin": "https://spa.example", "Access-Control-Request-Method": "POST"}


def test_a_good_token_reaches_the_app_with_its_payload(
    app: EchoApp, client: Make, issuer: FakeIssuer
) -> None:
    """The app finds the verified claims and the JOSE header in its environ."""
    answer = client().get("/", headers=bearer(issuer.token(sub="ada", roles=["admin"])))

    assert (answer.status_code, answer.text) == (200, "ada")
    assert isinstance(app.payload, dict)
    assert app.payload["roles"] == ["admin"]
    assert app.environ is not None
    assert app.environ["jwt_wsgi.header"]["alg"] == "EdDSA"


def test_the_payload_is_the_apps_own(app: EchoApp, client: Make, issuer: FakeIssuer) -> None:
    """A handler may change what it got; the next request with the same token sees nothing of it."""
    token, visitor = issuer.token(sub="ada", roles=["user"]), client()
    visitor.get("/", headers=bearer(token))
    app.payload["roles"].append("admin")
    app.payload["sub"] = "mallory"

    visitor.get("/", headers=bearer(token))

    assert (app.payload["sub"], app.payload["roles"]) == ("ada", ["user"])


@pytest.mark.parametrize(
    ("header", "status", "body", "challenge"),
    [
        pytest.param(None, 401, {"error": "No token provided"}, "", id="absent"),
        pytest.param("", 401, {"error": "No token provided"}, "", id="empty"),
        pytest.param(
            "Basic dXNlcg==", 401, {"error": "Invalid authorization header format"}, "", id="basic"
        ),
        pytest.param(
            "Bearer a b",
            401,
            {"error": "Invalid authorization header format"},
            ', error="invalid_token"',
            id="two words",
        ),
        pytest.param(
            "Bearer not-a-jwt",
            401,
            {
                "error": "Invalid token",
                "details": "The token is malformed",
                "code": "token_malformed",
            },
            ', error="invalid_token", error_description="The token is malformed"',
            id="no JWT",
        ),
    ],
)
def test_what_a_refused_request_gets(
    app: EchoApp, client: Make, header: str | None, status: int, body: Any, challenge: str
) -> None:
    """The documented body and challenge, and the app is not called."""
    answer = client().get("/", headers={} if header is None else {"Authorization": header})

    assert (answer.status_code, answer.json) == (status, body)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"' + challenge
    assert answer.headers["Cache-Control"] == "no-store"
    assert app.environ is None


def test_an_expired_token_is_told_so(client: Make, issuer: FakeIssuer) -> None:
    """The reason stands in the body, in the challenge, and as a stable code."""
    answer = client().get("/", headers=bearer(issuer.token(exp=1)))

    assert answer.json == {
        "error": "Invalid token",
        "details": "The token has expired",
        "code": "token_expired",
    }
    assert 'error_description="The token has expired"' in answer.headers["WWW-Authenticate"]


def test_head_has_the_headers_and_no_body(client: Make) -> None:
    """RFC 9110 section 9.3.2."""
    answer = client().head("/")

    assert answer.headers["Content-Length"] == str(len('{"error": "No token provided"}'))
    assert answer.data == b""


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/docs/", "/docs/deep/page"])
def test_public_paths_need_no_token(app: EchoApp, client: Make, path: str) -> None:
    """Exact paths and whole subtrees pass, and not even a bad token is looked at."""
    answer = client(public_paths=["/healthz", "/docs/*"]).get(path, headers=bearer("rubbish"))

    assert answer.status_code == 200
    assert app.payload is None


@pytest.mark.parametrize(
    "path", ["/", "/healthz/", "/healthzz", "/docsx", "/docs//x", "/docs/../x"]
)
def test_other_paths_need_one(client: Make, path: str) -> None:
    """A pattern is no bare prefix, and a path that routers read differently is never public."""
    environ = EnvironBuilder().get_environ() | {"PATH_INFO": path}

    assert client(public_paths=["/healthz", "/docs/*"]).open(environ).status_code == 401


def test_optional_accepts_a_missing_token_and_refuses_a_bad_one(
    app: EchoApp, client: Make, issuer: FakeIssuer
) -> None:
    """Another scheme than Bearer counts as no token."""
    visitor = client(optional=True)

    assert visitor.get("/").status_code == 200
    assert app.payload is None
    assert visitor.get("/", headers={"Authorization": "Basic dXNlcg=="}).status_code == 200
    assert visitor.get("/", headers=bearer(issuer.token(exp=1))).status_code == 401
    assert visitor.get("/", headers=bearer(issuer.token(sub="ada"))).text == "ada"


def test_scopes_are_all_needed(client: Make, issuer: FakeIssuer) -> None:
    """A token without every required scope is answered 403, with the scopes in the challenge."""
    visitor = client(required_scopes="read write")

    answer = visitor.get("/", headers=bearer(issuer.token(scope="read")))

    assert answer.status_code == 403
    assert answer.json is not None
    assert answer.json["code"] == "insufficient_scope"
    assert 'scope="read write"' in answer.headers["WWW-Authenticate"]
    for good in (
        {"scope": "write read x"},
        {"scope": ["read", "write"]},
        {"scp": ["read", "write"]},
    ):
        assert visitor.get("/", headers=bearer(issuer.token(**good))).status_code == 200


def test_optional_with_scopes_asks_them_of_tokens_only(client: Make, issuer: FakeIssuer) -> None:
    """Anonymous passes; who comes with a token needs its scopes."""
    visitor = client(optional=True, required_scopes="read")

    assert visitor.get("/").status_code == 200
    assert visitor.get("/", headers=bearer(issuer.token())).status_code == 403


def test_a_preflight_passes_only_if_asked_for_and_whole(
    client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It lets OPTIONS with both headers through; a refused one is explained once."""
    assert client(cors={"skip_preflight": True}).options("/", headers=PREFLIGHT).status_code == 200
    only_origin = {"Origin": "https://spa.example"}
    assert (
        client(cors={"skip_preflight": True}).options("/", headers=only_origin).status_code == 401
    )
    assert client(cors={"skip_preflight": True}).get("/", headers=PREFLIGHT).status_code == 401

    visitor = client()
    assert [visitor.options("/", headers=PREFLIGHT).status_code for _ in range(3)] == [401] * 3
    assert sum("a CORS preflight was refused" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", PREFLIGHT),
        ("POST", PREFLIGHT),
        ("OPTIONS", {"Origin": "https://spa.example"}),
        ("OPTIONS", {"Access-Control-Request-Method": "POST"}),
        ("OPTIONS", {}),
    ],
    ids=["GET", "POST", "no method", "no origin", "neither"],
)
def test_what_lacks_one_sign_of_a_preflight_needs_a_token(
    app: EchoApp, client: Make, method: str, headers: dict[str, str]
) -> None:
    """Fetch standard section 3.2.2: OPTIONS with an Origin and the method that is asked for."""
    answer = client(cors={"skip_preflight": True}).open("/", method=method, headers=headers)

    assert (answer.status_code, app.environ) == (401, None)


def test_a_script_of_an_allowed_origin_can_read_our_answers(client: Make) -> None:
    """cors: our own 401 carries what a browser needs; the app's answers are untouched."""
    visitor = client(cors="https://spa.example")
    ours = visitor.get("/", headers={"Origin": "https://spa.example"})
    strange = visitor.get("/", headers={"Origin": "https://evil.example"})

    assert ours.headers["Access-Control-Allow-Origin"] == "https://spa.example"
    assert ours.headers["Access-Control-Expose-Headers"] == "WWW-Authenticate, Retry-After"
    assert ours.headers["Access-Control-Allow-Credentials"] == "true"
    assert not {name for name, _ in strange.headers if name.startswith("Access-Control-Allow")}
    assert ours.headers["Vary"] == strange.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://spa.example", ("https://spa.example", "true")),
        ("https://evil.example", ("*", None)),
        ("null", ("*", None)),
        ("", (None, None)),
    ],
)
def test_credentials_are_for_origins_that_are_named(
    client: Make, origin: str, allowed: tuple[str | None, str | None]
) -> None:
    """Fetch standard section 3.2.5: never for `*`, which may stand beside a name."""
    visitor = client(cors="https://spa.example *")
    headers = visitor.get("/", headers={"Origin": origin} if origin else {}).headers

    names = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials")
    assert tuple(headers.get(name) for name in names) == allowed
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("options", "claims", "header", "code"),
    [
        pytest.param({}, {"aud": "x"}, {}, "audience_mismatch", id="aud without audience"),
        pytest.param({"audience": "a"}, {}, {}, "audience_mismatch", id="no aud"),
        pytest.param({"audience": "a"}, {"aud": ["b"]}, {}, "audience_mismatch", id="other aud"),
        pytest.param({"audience": "a"}, {"aud": ["b", "a"]}, {}, None, id="one of aud"),
        pytest.param({"audience": "*"}, {"aud": "x"}, {}, None, id="aud unchecked"),
        pytest.param(
            {"audience": "https://a.example/*"},
            {"aud": "https://a.example/x"},
            {},
            None,
            id="below",
        ),
        pytest.param({"algorithms": "ES256"}, {}, {}, "algorithm_not_allowed", id="alg"),
        pytest.param({}, {"iss": "https://issuer.example/"}, {}, "issuer_not_trusted", id="iss"),
        pytest.param({}, {"iss": None}, {}, "issuer_not_trusted", id="no iss"),
        pytest.param({}, {"exp": None}, {}, "claim_missing", id="no exp"),
        pytest.param({}, {"nbf": 99999999999}, {}, "token_not_yet_valid", id="nbf"),
        pytest.param({"required_claims": "org"}, {}, {}, "claim_missing", id="required"),
        pytest.param({"required_claims": "org"}, {"org": 1}, {}, None, id="required is there"),
        pytest.param({"claims": "org=acme"}, {"org": "evil"}, {}, "claim_invalid", id="expected"),
        pytest.param({"claims": {"r.s": ["x"]}}, {"r": {"s": ["x"]}}, {}, None, id="dotted"),
        pytest.param({}, {}, {"typ": "dpop+jwt"}, "token_type_not_allowed", id="other kind"),
        pytest.param({"token_types": "at+jwt"}, {}, {}, "token_type_not_allowed", id="typ"),
        pytest.param(
            {"token_types": "at+jwt"}, {}, {"typ": "application/AT+JWT"}, None, id="typ any case"
        ),
        pytest.param({}, {"cnf": {"jkt": "x"}}, {}, "token_bound", id="bound"),
        pytest.param({"bound_tokens": "accept"}, {"cnf": {"jkt": "x"}}, {}, None, id="bound ok"),
        pytest.param({}, {}, {"kid": "strange"}, "key_not_found", id="kid"),
        pytest.param({"max_token_size": 256}, {"x": "y" * 300}, {}, "token_malformed", id="size"),
        pytest.param({"checks": [lambda c, _: "x" in c]}, {}, {}, "claim_invalid", id="own check"),
        pytest.param({"checks": lambda *_: None}, {}, {}, None, id="own check passes"),
    ],
)
def test_the_terms_of_a_token(
    client: Make,
    issuer: FakeIssuer,
    options: dict[str, Any],
    claims: dict[str, Any],
    header: dict[str, Any],
    code: str | None,
) -> None:
    """Each option refuses with its code what it should, and nothing else."""
    answer = client(**options).get("/", headers=bearer(issuer.token(header=header, **claims)))

    assert answer.status_code == (401 if code else 200)
    assert (answer.json["code"] if answer.json else None) == code


#: Every ``typ`` that is registered for a JWT that is no access token.
OTHER_KINDS = """
    dpop+jwt logout+jwt secevent+jwt token-introspection+jwt oauth-authz-req+jwt
    entity-statement+jwt trust-mark+jwt resolve-response+jwt trust-mark-delegation+jwt
    trust-mark-status-response+jwt explicit-registration-response+jwt jwk-set+jwt
    oauth-client-attestation+jwt oauth-client-attestation-pop+jwt client-authentication+jwt
    kb+jwt dc+sd-jwt vc+sd-jwt vc+jwt vp+jwt openid4vci-proof+jwt key-attestation+jwt
    statuslist+jwt passport txntoken+jwt oauth-id-jag+jwt rat+jwt
"""


@pytest.mark.parametrize("typ", OTHER_KINDS.split())
def test_other_kinds_of_jwts_are_refused(client: Make, issuer: FakeIssuer, typ: str) -> None:
    """RFC 8725 section 3.11: a proof or a logout token of the same issuer is not accepted."""
    visitor = client()
    for spelling in (typ, f"application/{typ}", typ.upper()):
        answer = visitor.get("/", headers=bearer(issuer.token(header={"typ": spelling})))
        assert (answer.status_code, answer.json["code"]) == (401, "token_type_not_allowed")


def test_the_leeway_applies_to_exp_and_nbf(client: Make, issuer: FakeIssuer) -> None:
    """A clock that is wrong by less than the leeway refuses no user."""
    import time

    now = time.time()
    late, early = issuer.token(exp=now - 20), issuer.token(nbf=now + 20)

    assert client().get("/", headers=bearer(late)).status_code == 200
    assert client().get("/", headers=bearer(early)).status_code == 200
    assert client(leeway=5).get("/", headers=bearer(late)).status_code == 401
    assert client(leeway=5).get("/", headers=bearer(early)).status_code == 401


def test_result_keys_are_cleared_on_every_path(app: EchoApp, client: Make) -> None:
    """What stands in the environ before us came from somebody else."""
    forged = {f"jwt_wsgi.{name}": {"sub": "root"} for name in ("payload", "header", "error")}

    client(public_paths="/", optional=True).get("/", environ_overrides=forged)
    assert app.environ is not None
    assert app.environ["jwt_wsgi.payload"] is None
    assert app.environ["jwt_wsgi.header"] is None
    assert "jwt_wsgi.error" not in app.environ


def test_the_apps_own_exception_passes_through(issuer: FakeIssuer) -> None:
    """Even an AuthError that the app raises is the app's, and not answered by us."""
    from jwt_wsgi import MissingTokenError

    def broken(_environ: Any, _start_response: Any) -> Any:
        raise MissingTokenError

    visitor = Client(JWTMiddleware(broken, issuer=issuer.issuer, jwks=issuer.jwks()))

    with pytest.raises(MissingTokenError):
        visitor.get("/", headers=bearer(issuer.token()))


def test_realm_and_details_are_settings(client: Make, issuer: FakeIssuer) -> None:
    """The realm stands in the challenge; error_details=False leaves the reason out."""
    answer = client(realm="my api", error_details=False).get(
        "/", headers=bearer(issuer.token(exp=1))
    )

    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="my api", error="invalid_token"'
    assert answer.json == {"error": "Invalid token", "code": "token_invalid"}


def test_a_responder_writes_the_body_of_a_refusal(client: Make, issuer: FakeIssuer) -> None:
    """It is an option of the middleware, and the challenge stays ours."""
    text = [("Content-Type", "text/plain")]
    visitor = client(responder=lambda error, status: (status, text, f"no: {error.code}".encode()))
    answer = visitor.get("/", headers=bearer(issuer.token(exp=1)))

    assert (answer.text, answer.headers["Content-Type"]) == ("no: token_expired", "text/plain")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_hooks_get_events(client: Make, issuer: FakeIssuer) -> None:
    """on_event gets Accepted and Refused; a hook that raises breaks nothing."""
    heard: list[Event] = []

    def broken(_event: Event) -> None:
        raise ZeroDivisionError

    visitor = client(on_event=[broken, heard.append])
    visitor.get("/", headers=bearer(issuer.token()))
    visitor.get("/", headers={"X-Request-ID": "r-1"})

    assert [type(event) for event in heard] == [Accepted, Refused]
    assert heard[1] == Refused("token_missing", 401, request_id="'r-1'", method="'GET'")


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/reset/s3cret", "method='GET' rule='/reset/*'"),
        ("POST", "/s3cret", "method='POST'"),
        ("GET", "//s3cret", "method='GET'"),
        ("GET", "/orders/s3cret.json", "method='GET'"),
        ("X' rule='/admin", "/s3cret", r"method='X\' rule=\'/admi...' rule='/*'"),
        ("M" * 5000, "/s3cret", "method='MMMMMMMMMMMMMMMM...'"),
    ],
    ids=[
        "a rule",
        "no rule",
        "an odd path",
        "a suffix",
        "a method that looks like a field",
        "long",
    ],
)
def test_a_refusal_names_the_method_and_the_rule_that_decided(
    method: str, path: str, told: str, client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """The rule as it is configured, and never the path: it may hold a secret."""
    rules = [Rule("/reset/*", scopes={"reset"}), Rule("/orders", scopes={"read"})]
    client(rules=rules).open(path, method=method)

    (line,) = [record.message for record in caplog.records if "token_missing" in record.message]
    line, _, _ = line.partition("; see ")
    assert line.replace("'/reset/*' and '/orders'", "'/*'").endswith(told)
    assert "s3cret" not in caplog.text


def test_a_refusal_is_one_line_with_what_finds_it_again(
    client: Make, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Code, iss, alg, kid, the request's id; loud the first time, then at INFO; no token."""
    caplog.set_level(logging.INFO, "jwt_wsgi")
    visitor, token = client(), issuer.token(exp=1, secret="s3cret")
    for number in range(3):
        visitor.get("/", headers=bearer(token) | {"X-Request-ID": f"r-{number}"})

    lines = [record for record in caplog.records if "token_expired" in record.message]
    assert [line.levelname for line in lines] == ["WARNING", "INFO", "INFO"]
    assert "iss='https://issuer.example' alg='EdDSA'" in lines[0].message
    assert "request='r-0'" in lines[0].message
    assert token not in caplog.text
    assert "s3cret" not in caplog.text


def test_a_refusal_without_a_request_id_is_found_by_its_trace(client: Make) -> None:
    """W3C Trace Context names each request; an X-Request-ID, where there is one, comes first."""
    heard: list[Event] = []
    visitor = client(on_event=heard.append)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    visitor.get("/", headers={"traceparent": trace})
    visitor.get("/", headers={"traceparent": trace, "X-Request-ID": "r-1"})
    visitor.get("/")

    asked = [event.request_id for event in heard if isinstance(event, Refused)]
    assert asked == [repr(trace), "'r-1'", ""]


def test_a_slash_only_mismatch_is_explained_in_the_log(
    client: Make, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused all the same, but the operator reads why."""
    client().get("/", headers=bearer(issuer.token(iss="https://issuer.example/")))

    assert "differs from https://issuer.example in its final slash only" in caplog.text


def test_a_wrong_setting_never_starts(app: EchoApp) -> None:
    """Every problem at once, each with its name."""
    with pytest.raises(ConfigurationError) as caught:
        JWTMiddleware(app, leeway="soon", realm='a"b')  # type: ignore[arg-type]

    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "leeway",
        "realm",
        "issuer",
    ]


def test_settings_may_be_given_ready_made(app: EchoApp, issuer: FakeIssuer) -> None:
    """A Settings object instead of keywords, never both."""
    settings = Settings.of(issuer=issuer.issuer, jwks=issuer.jwks())
    visitor = Client(JWTMiddleware(app, settings))

    assert visitor.get("/", headers=bearer(issuer.token(sub="ada"))).text == "ada"
    with pytest.raises(ConfigurationError, match="not both"):
        JWTMiddleware(app, settings, realm="x")


def test_the_verifier_serves_without_a_request(app: EchoApp, issuer: FakeIssuer) -> None:
    """For websockets and queues: claims, or an AuthError with its code."""
    from jwt_wsgi import InvalidTokenError

    verifier = JWTMiddleware(app, issuer=issuer.issuer, jwks=issuer.jwks()).verifier

    assert verifier.verify(issuer.token(sub="ada"))["sub"] == "ada"
    with pytest.raises(InvalidTokenError) as caught:
        verifier.verify(issuer.token(exp=1))
    assert caught.value.code == "token_expired"


def test_settings_from_the_server_make_their_own_verifier(app: EchoApp, issuer: FakeIssuer) -> None:
    """settings_from_request: WSGI environ keys decide, and without them nothing is served."""
    import json

    visitor = Client(JWTMiddleware(app, settings_from_request=True))
    server = {"jwt_wsgi.issuer": issuer.issuer, "jwt_wsgi.jwks": json.dumps(issuer.jwks())}
    good = bearer(issuer.token(sub="ada"))

    assert visitor.get("/", headers=good, environ_overrides=server).text == "ada"
    assert visitor.get("/", environ_overrides=server | {"jwt_wsgi.optional": "on"}).text == "None"
    assert visitor.get("/", environ_overrides=server).status_code == 401
    with pytest.raises(ConfigurationError, match="issuer: missing"):
        visitor.get("/", headers=good)


def test_close_ends_the_fetches_for_the_settings_of_requests_too(app: EchoApp) -> None:
    """Each of them has keys of its own; what is held goes on serving."""
    with FakeIssuer().serve() as issuer:
        middleware = JWTMiddleware(app, settings_from_request=True)
        server = {"jwt_wsgi.issuer": issuer.issuer}
        visitor, held = Client(middleware), bearer(issuer.token())
        assert visitor.get("/", headers=held, environ_overrides=server).status_code == 200
        asked = len(issuer.requests)
        middleware.close()
        issuer.rotate()

        new = bearer(issuer.token())
        assert visitor.get("/", headers=new, environ_overrides=server).status_code in (401, 503)
        assert visitor.get("/", headers=held, environ_overrides=server).status_code == 200
        assert len(issuer.requests) == asked


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda issuer: issuer.token(exp=1), id="expired"),
        pytest.param(lambda issuer: issuer.token(nbf=1e11), id="not yet valid"),
        pytest.param(lambda issuer: issuer.token(iss="https://else.example"), id="issuer"),
        pytest.param(lambda issuer: issuer.token(aud="https://else.example"), id="audience"),
        pytest.param(lambda issuer: issuer.token(header={"alg": "none"}), id="alg none"),
        pytest.param(lambda issuer: issuer.token(header={"typ": "logout+jwt"}), id="type"),
        pytest.param(lambda issuer: issuer.token(header={"kid": 5}), id="kid"),
        pytest.param(lambda issuer: issuer.token() + ".x", id="three dots"),
        pytest.param(lambda issuer: "x" * 20_000, id="too long"),
    ],
)
def test_tokens_that_are_refused_without_a_key_cause_no_fetch(
    app: EchoApp, make: Callable[[FakeIssuer], str]
) -> None:
    """A cold process fetches nothing for malformed tokens."""
    with FakeIssuer().serve() as issuer:
        visitor = Client(JWTMiddleware(app, issuer=issuer.issuer))

        assert visitor.get("/", headers=bearer(make(issuer))).status_code == 401
        assert issuer.requests == []
        assert visitor.get("/", headers=bearer(issuer.token())).status_code == 200
