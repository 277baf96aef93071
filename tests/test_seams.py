"""What an application may put in: keys, a store, checks of claims and request, another verifier."""

import json
import threading
from collections.abc import Callable
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client

import jwt_wsgi
from jwt_wsgi import AuthError
from jwt_wsgi import Claims
from jwt_wsgi import ConfigurationError
from jwt_wsgi import InsufficientAuthError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import KeySet
from jwt_wsgi import Rule
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.events import Accepted
from jwt_wsgi.events import FunctionFailed
from jwt_wsgi.events import Refused
from jwt_wsgi.testing import FakeIssuer

Make = Callable[..., Client]


def test_every_type_of_a_seam_is_exported() -> None:
    """The names that an own key source, store, check or responder needs."""
    names = {"AuthError", "Claims", "Event", "Key", "KeySet", "KeySource", "Store"}

    assert names <= vars(jwt_wsgi).keys()


# --- Key sources ---------------------------------------------------------------------------------


class OwnSet:
    """A source that declares ``current()``, and raises in it if ``failing`` is set."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.keyset: Any = KeySet.of(issuer.jwks())
        self.error: Exception | None = None

    def current(self) -> Any:
        if self.error:
            raise self.error
        return self.keyset

    def candidates(self, header: Mapping[str, Any]) -> Any:
        return KeySet.candidates(self.keyset, header)

    candidates_are_current = candidates


@pytest.mark.parametrize("known", [False, True], ids=["a new token", "a remembered token"])
@pytest.mark.parametrize("error", [ConnectionError("hunter2"), KeyError("hunter2")], ids=repr)
def test_current_that_raises_is_503_and_names_the_source(
    error: Exception, known: bool, app: EchoApp, issuer: FakeIssuer,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """It is asked for no token in particular, so no error of it can mean that a token is bad."""
    keys = OwnSet(issuer)
    visitor = Client(JWTMiddleware(app, issuer=Issuer(issuer.issuer, keys=keys)))
    headers = bearer(issuer.token())
    if known:
        assert [visitor.get("/", headers=headers).status_code for _ in range(2)] == [200, 200]
    keys.error = error
    for _ in range(2):
        answer = visitor.get("/", headers=headers)
        assert (answer.status_code, answer.json["code"]) == (503, "keys_unavailable")

    loud = [record.message for record in caplog.records if record.levelname == "ERROR"]
    raised = f"{__name__}.OwnSet.current raised builtins.{type(error).__name__}"
    assert loud == [f"{raised}: 503 keys_unavailable"]
    assert "hunter2" not in caplog.text
    keys.error = None
    assert visitor.get("/", headers=headers).status_code == 200


def test_current_may_say_itself_that_it_has_no_keys_now(app: EchoApp, issuer: FakeIssuer) -> None:
    """With the seconds that a client should wait."""
    keys = OwnSet(issuer)
    visitor = Client(JWTMiddleware(app, issuer=Issuer(issuer.issuer, keys=keys)))
    keys.error = KeysUnavailableError(7)
    answer = visitor.get("/", headers=bearer(issuer.token()))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")


def test_of_a_source_whose_current_set_is_none_nothing_is_remembered(
    app: EchoApp, issuer: FakeIssuer
) -> None:
    """``current()`` returns no KeySet, so the token is verified at every request."""
    keys = OwnSet(issuer)
    keys.current = lambda: {"keys": []}  # type: ignore[method-assign]
    visitor = Client(JWTMiddleware(app, issuer=Issuer(issuer.issuer, keys=keys)))
    headers = bearer(issuer.token())

    assert [visitor.get("/", headers=headers).status_code for _ in range(2)] == [200, 200]


# --- Another verifier ----------------------------------------------------------------------------


class OwnVerifier:
    """Returns what it was given."""

    def __init__(self, claims: dict[str, Any]) -> None:
        self.claims = claims

    def verify(self, _token: str) -> Any:
        return self.claims


@pytest.mark.parametrize(
    ("claims", "accepted"),
    [
        ({"sub": "ada"}, Accepted("", "")),
        (Claims.of({"sub": "ada", "iss": "i"}, {}), Accepted("i", "")),
        (Claims.of({"iss": ["i"]}, {"alg": "X"}), Accepted("['i']", "X")),
    ],
    ids=["a dict", "no alg", "no text"],
)
def test_a_replaced_verifier_works_with_on_event(
    claims: dict[str, Any], accepted: Accepted, app: EchoApp, issuer: FakeIssuer
) -> None:
    """It may verify other things than a JWT, for instance by introspection."""
    heard: list[Any] = []
    guarded = JWTMiddleware(app, issuer=issuer.issuer, jwks=issuer.jwks(), on_event=heard.append)
    guarded.verifier = OwnVerifier(claims)  # type: ignore[assignment]

    assert Client(guarded).get("/", headers=bearer("a.b.c")).status_code == 200
    assert heard == [accepted]
    assert guarded.warm_up(timeout=0.1)
    assert guarded.health()["ready"]
    guarded.close()


def test_an_issuer_that_a_replaced_verifier_returns_is_one_line_in_the_log(
    app: EchoApp, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be any text, because it was not compared with a configured issuer."""
    guarded = JWTMiddleware(app, issuer=issuer.issuer, jwks=issuer.jwks(), log_fields=["sub"])
    forged = {"iss": "a\naccepted a token of b", "sub": "ada"}
    guarded.verifier = OwnVerifier(forged)  # type: ignore[assignment]

    with caplog.at_level("INFO", "jwt_wsgi"):
        Client(guarded).get("/", headers=bearer("a.b.c"))

    assert caplog.messages == ["accepted a token of a\\naccepted a token of b sub='ada'"]


@pytest.mark.parametrize("claims", [None, False, True, "ada", ["sub"]], ids=repr)
def test_a_replaced_verifier_that_returns_no_claims_is_refused(
    claims: Any, app: EchoApp, issuer: FakeIssuer
) -> None:
    """For instance True or None. Otherwise the app would take the client for anonymous."""
    guarded = JWTMiddleware(app, issuer=issuer.issuer, jwks=issuer.jwks())
    guarded.verifier = OwnVerifier(claims)  # type: ignore[assignment]

    with pytest.raises(TypeError, match="the verifier returned no claims"):
        Client(guarded).get("/", headers=bearer("a.b.c"))
    assert app.environ is None


def test_a_replaced_verifier_goes_with_no_settings_of_requests(
    app: EchoApp, issuer: FakeIssuer
) -> None:
    """Each request has a verifier of its own, so the replaced one would not be called."""
    jwks = json.dumps(issuer.jwks())
    guarded = JWTMiddleware(app, settings_from_request=True, jwks=jwks)
    guarded.verifier = OwnVerifier({})  # type: ignore[assignment]
    of_request = {"jwt_wsgi.issuer": issuer.issuer}

    with pytest.raises(ConfigurationError, match="verifier"):
        Client(guarded).get("/", headers=bearer(issuer.token()), environ_overrides=of_request)
    assert app.environ is None


# --- A check of claims and request ---------------------------------------------------------------


def owns(claims: Mapping[str, Any], environ: Mapping[str, Any]) -> bool:
    """Each user has a folder."""
    return bool(environ["PATH_INFO"].startswith(f"/home/{claims['sub']}/"))


def test_a_rule_may_ask_a_function_of_claims_and_request(client: Make, issuer: FakeIssuer) -> None:
    """Only True lets a request through."""
    visitor = client(rules=[Rule("/home/*", check=owns, scopes=["files"])])
    headers = bearer(issuer.token(sub="ada", scope="files"))

    assert visitor.get("/home/ada/x", headers=headers).status_code == 200
    answer = visitor.get("/home/eve/x", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    poor = visitor.get("/home/ada/x", headers=bearer(issuer.token(sub="ada")))
    assert poor.status_code == 403


NO_CONSENT: list[Any] = [False, None, 0, 1, "", "true", {"allow": False}, {"result": True}, [True]]


@pytest.mark.parametrize("verdict", NO_CONSENT, ids=repr)
def test_anything_but_true_refuses(verdict: object, client: Make, issuer: FakeIssuer) -> None:
    """A policy engine that has no decision returns None; an object may say allow: false."""
    visitor = client(rules=[Rule("/*", check=lambda _claims, _environ: verdict)])

    assert visitor.get("/", headers=bearer(issuer.token())).status_code == 403


async def later(_claims: Any, _environ: Any) -> bool:
    """Never awaited."""
    return True


def test_an_async_check_does_not_start() -> None:
    """Its coroutine would be taken for a verdict."""
    with pytest.raises(ConfigurationError, match=r"rules\[0\]\.check: .*async"):
        JWTMiddleware(EchoApp(), issuer="https://i.example", rules=[Rule("/*", check=later)])


def raising(error: Exception) -> Callable[..., bool]:
    def failing(_claims: Any, _environ: Any) -> bool:
        raise error

    return failing


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (KeyError("hunter2"), 403, "insufficient_scope"),
        (TypeError("hunter2"), 403, "insufficient_scope"),
        (ValueError("hunter2"), 403, "insufficient_scope"),
        (ConnectionError("hunter2"), 503, "temporarily_unavailable"),
        (ZeroDivisionError("hunter2"), 503, "temporarily_unavailable"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("beside", [[], [Rule("/*", scopes=["s"])]], ids=["alone", "of several"])
def test_a_check_of_a_rule_that_raises_never_lets_through(
    beside: list[Rule], error: Exception, status: int, code: str, client: Make,
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """What it cannot read is refused, an outage is 503, and one ERROR a minute names it."""
    check = raising(error)
    visitor = client(rules=[Rule("/a/*", check=check), *beside])
    for _ in range(3):
        odd = "/a//b" if beside else "/a/b"
        answer = visitor.get(odd, headers=bearer(issuer.token(scope="s")))
        assert (answer.status_code, answer.json["code"]) == (status, code)

    loud = [record.message for record in caplog.records if record.levelname == "ERROR"]
    raised = f"{__name__}.{check.__qualname__} raised builtins.{type(error).__name__}"
    assert loud == [f"{raised}: {status} {code}"]
    assert "hunter2" not in caplog.text


def test_a_check_of_a_rule_may_raise_an_answer_of_its_own(client: Make, issuer: FakeIssuer) -> None:
    """A step-up, for instance."""
    visitor = client(rules=[Rule("/*", check=raising(InsufficientAuthError(max_age=60)))])
    answer = visitor.get("/", headers=bearer(issuer.token()))

    assert answer.status_code == 401
    assert 'max_age="60"' in answer.headers["WWW-Authenticate"]


def test_each_check_of_rules_that_may_be_meant_is_asked(client: Make, issuer: FakeIssuer) -> None:
    """A path that routers read differently needs what every rule asks for."""
    asked: list[str] = []

    def check(name: str, claims: Mapping[str, Any], environ: Mapping[str, Any]) -> bool:
        asked.append(f"{name} {claims['sub']} {environ['PATH_INFO']}")
        return True

    one, two = partial(check, "one"), partial(check, "two")
    listed = [Rule("/a", check=one), Rule("/b", check=two), Rule("/c", check=two)]
    visitor = client(rules=listed)

    assert visitor.get("/x//y", headers=bearer(issuer.token(sub="ada"))).status_code == 200
    assert asked == ["one ada /x//y", "two ada /x//y"]
    asked.clear()
    assert visitor.get("/a.json", headers=bearer(issuer.token(sub="ada"))).status_code == 200
    assert asked == ["one ada /a.json"]


def test_a_check_is_no_excuse_for_ignoring_the_token() -> None:
    """Without a verified token there are no claims to check."""
    with pytest.raises(ConfigurationError, match="no conditions"):
        JWTMiddleware(
            EchoApp(), issuer="https://i.example", rules=[Rule("/a", token="ignored", check=owns)]
        )


def test_a_check_is_a_function_and_no_text() -> None:
    """JSON cannot hold one."""
    rules = json.dumps([{"path": "/a", "check": "module:function"}])
    with pytest.raises(ConfigurationError, match=r"rules\[0\]\.check: 'module:function': give a"):
        JWTMiddleware(EchoApp(), issuer="https://i.example", rules=rules)


# --- A function that names issuers, and sees the request -----------------------------------------


@pytest.mark.parametrize("what", ["audience", "jwks"])
def test_what_the_app_changes_in_place_counts_for_the_next_answer(
    app: EchoApp, issuer: FakeIssuer, what: str
) -> None:
    """The app removes an audience or a key from an object that the function returns each time."""
    terms: dict[str, Any] = {"jwks": issuer.jwks(), "audience": ["https://old.example"]}
    changed = {"jwks": FakeIssuer().jwks()["keys"], "audience": ["https://new.example"]}

    def named(iss: str, _environ: Mapping[str, Any]) -> Issuer:
        return Issuer(iss, **terms)

    visitor = Client(JWTMiddleware(app, issuer=named))
    headers = bearer(issuer.token(aud="https://old.example"))
    assert visitor.get("/", headers=headers).status_code == 200

    (terms["jwks"]["keys"] if what == "jwks" else terms["audience"])[:] = changed[what]

    assert visitor.get("/", headers=headers).status_code == 401


ADA, EVE = FakeIssuer("https://ada.example"), FakeIssuer("https://eve.example")
OWNERS = {"ada.test": ADA, "eve.test": EVE}


def made(owner: FakeIssuer, **options: Any) -> Issuer:
    return Issuer(owner.issuer, jwks=owner.jwks(), **options)


def of_host(iss: str, environ: Mapping[str, Any]) -> Issuer | None:
    """Each host trusts its own issuer."""
    owner = OWNERS.get(environ["HTTP_HOST"])
    return made(owner) if owner is not None and owner.issuer == iss else None


@pytest.mark.parametrize("size", [0, 4096], ids=["without a cache", "with a cache"])
def test_a_function_that_sees_the_request_decides_about_each_request(
    size: int, app: EchoApp
) -> None:
    """Its answer for one host is not used for another host, neither an issuer nor None."""
    visitor = Client(JWTMiddleware(app, issuer=of_host, token_cache_size=size))
    token = bearer(ADA.token())
    for host, status in [("ada.test", 200), ("eve.test", 401), ("x", 401), ("ada.test", 200)] * 2:
        assert visitor.get("/", base_url=f"http://{host}", headers=token).status_code == status


def test_a_no_for_one_request_takes_the_keys_of_no_other_away(app: EchoApp) -> None:
    """Otherwise a client that uses a wrong host would cause another fetch."""
    own = FakeIssuer()
    with own.serve():

        def resolve(iss: str, environ: Mapping[str, Any]) -> Issuer | None:
            return Issuer(iss) if environ["HTTP_HOST"] == "ada.test" else None

        visitor = Client(JWTMiddleware(app, issuer=resolve))
        token = bearer(own.token())
        for host, status in [("ada.test", 200), ("eve.test", 401), ("ada.test", 200)]:
            assert visitor.get("/", base_url=f"http://{host}", headers=token).status_code == status


def test_terms_may_differ_from_request_to_request(app: EchoApp) -> None:
    """Each request is judged by the terms that the function returned for it."""

    def resolve(iss: str, environ: Mapping[str, Any]) -> Issuer | None:
        return made(ADA, audience=environ["HTTP_HOST"]) if iss == ADA.issuer else None

    visitor = Client(JWTMiddleware(app, issuer=resolve))
    token = bearer(ADA.token(aud="a.test"))
    for host, status in [("a.test", 200), ("b.test", 401), ("a.test", 200)] * 2:
        assert visitor.get("/", base_url=f"http://{host}", headers=token).status_code == status


def test_terms_of_two_requests_at_once_do_not_mix(app: EchoApp) -> None:
    """Two threads build the terms of two answers; each request is judged by its own."""
    first, go_on = threading.Event(), threading.Event()
    statuses: dict[str, int] = {}

    def resolve(iss: str, environ: Mapping[str, Any]) -> Issuer | None:
        return made(ADA, audience=environ["HTTP_HOST"])

    visitor = JWTMiddleware(app, issuer=resolve)
    tenants: Any = visitor.verifier.issuers
    build = tenants._build

    def slow_build(issuer: Issuer) -> Any:
        if issuer.options["audience"] == "b.test":
            first.set()
            assert go_on.wait(20)
        return build(issuer)

    tenants._build = slow_build
    token = bearer(ADA.token(aud="a.test"))

    def get(host: str) -> None:
        answer = Client(visitor).get("/", base_url=f"http://{host}", headers=token)
        statuses[host] = answer.status_code

    slow = threading.Thread(target=get, args=["b.test"])
    slow.start()
    assert first.wait(20)
    get("a.test")
    go_on.set()
    slow.join(20)

    assert statuses == {"a.test": 200, "b.test": 401}


def test_a_function_that_sees_the_request_and_fails_decides_nothing(
    app: EchoApp, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer for an earlier request does not replace it."""
    up = [True]

    def resolve(iss: str, environ: Mapping[str, Any]) -> Issuer | None:
        if not up[0]:
            raise ConnectionError("hunter2")
        return of_host(iss, environ)

    visitor = Client(JWTMiddleware(app, issuer=resolve))
    get = partial(visitor.get, "/", base_url="http://ada.test", headers=bearer(ADA.token()))
    assert get().status_code == 200
    up[0] = False
    answer = get()

    assert (answer.status_code, answer.json["code"]) == (503, "keys_unavailable")
    loud = [record.message for record in caplog.records if record.levelname == "ERROR"]
    name = f"{__name__}.{resolve.__qualname__}"
    assert loud == [f"{name} raised builtins.ConnectionError: 503 keys_unavailable"]


def test_without_a_request_such_a_function_is_not_asked(app: EchoApp) -> None:
    """The environ of an earlier request is not used for this token."""
    guarded = JWTMiddleware(app, issuer=of_host)
    token = ADA.token()
    assert Client(guarded).get("/", base_url="http://ada.test", headers=bearer(token)).text

    with pytest.raises(KeysUnavailableError, match="no request"):
        guarded.verifier.verify(token)


def test_wrong_settings_for_one_request_are_a_503(app: EchoApp) -> None:
    """As for a function of the issuer alone."""
    visitor = Client(JWTMiddleware(app, issuer=lambda iss, _environ: Issuer(iss, leeway=-1)))

    assert visitor.get("/", headers=bearer(ADA.token())).status_code == 503


@pytest.mark.parametrize(
    "function",
    [
        lambda iss: made(ADA),
        lambda iss, table=None: made(ADA) if table is None else None,
        lambda iss, *others: made(ADA) if not others else None,
        lambda *args: made(ADA) if len(args) == 1 else None,
        {"https://ada.example": made(ADA)}.get,
        partial(lambda table, iss: table[iss], {"https://ada.example": made(ADA)}),
    ],
    ids=["one", "a default", "more", "any", "a builtin", "a partial"],
)
def test_a_function_that_can_do_without_the_request_gets_none(function: Any, app: EchoApp) -> None:
    """Its answer is for every request, so it is remembered."""
    visitor = Client(JWTMiddleware(app, issuer=function))

    assert visitor.get("/", headers=bearer(ADA.token())).status_code == 200


class Asked:
    """An object that is called like a function."""

    def __call__(self, iss: str, environ: Mapping[str, Any], /) -> Issuer | None:
        return made(ADA) if environ["HTTP_HOST"] == "ada.test" else None


def test_an_object_may_be_asked_with_the_request(app: EchoApp) -> None:
    """In the mapping with max_tenants, too."""
    for issuer in (Asked(), {"function": Asked(), "max_tenants": 8}):
        visitor = Client(JWTMiddleware(app, issuer=issuer))
        for host, status in [("ada.test", 200), ("x", 401)]:
            answer = visitor.get("/", base_url=f"http://{host}", headers=bearer(ADA.token()))
            assert answer.status_code == status


async def never(_iss: str) -> Issuer | None:
    """Never awaited."""


@pytest.mark.parametrize(
    ("function", "why"),
    [(never, "async"), (lambda: None, "arguments"), (lambda a, b, c: None, "arguments")],
    ids=["async", "none", "three"],
)
def test_a_function_that_cannot_be_asked_does_not_start(function: Any, why: str) -> None:
    """Every token would be answered 503."""
    with pytest.raises(ConfigurationError, match=f"issuer: .*{why}"):
        JWTMiddleware(EchoApp(), issuer=function)


def test_a_held_tenant_serves_on_and_the_log_names_the_function_that_raised(
    app: EchoApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One ERROR, as for every function of the app. The request is served."""
    up, heard = [True], list[Any]()

    def resolve(_iss: str) -> Issuer | None:
        if not up[0]:
            raise ConnectionError("hunter2")
        return made(ADA)

    guarded = JWTMiddleware(app, issuer=resolve, on_event=heard.append)
    visitor, headers = Client(guarded), bearer(ADA.token())
    assert visitor.get("/", headers=headers).status_code == 200
    up[0] = False
    tenants: Any = guarded.verifier.issuers
    monkeypatch.setattr(tenants, "_max_age", 0.0)
    for tenant in tenants._proven.all():
        tenant.until = 0.0
    assert visitor.get("/", headers=headers).status_code == 200

    failed = [event for event in heard if isinstance(event, FunctionFailed)]
    name = f"{__name__}.{resolve.__qualname__}"
    kept = f"tenant '{ADA.issuer}' stays as it is"
    assert failed == [FunctionFailed(name, "raised builtins.ConnectionError", kept)]


def test_a_function_that_raises_over_a_new_name_is_named_in_the_log(app: EchoApp) -> None:
    """The request gets 503, as before."""
    heard: list[Any] = []

    def resolve(_iss: str) -> Issuer | None:
        raise KeyError("hunter2")

    visitor = Client(JWTMiddleware(app, issuer=resolve, on_event=heard.append))
    assert visitor.get("/", headers=bearer(ADA.token())).status_code == 503
    name = f"{__name__}.{resolve.__qualname__}"
    raised = FunctionFailed(name, "raised builtins.KeyError", "503 keys_unavailable")
    assert heard[0] == raised
    assert isinstance(heard[1], Refused)


def test_a_responder_gets_the_error_and_the_final_status(client: Make) -> None:
    """It may give the whole answer; the challenge is added."""
    seen: list[tuple[str, int]] = []

    def responder(error: AuthError, status: int) -> tuple[int, list[tuple[str, str]], bytes]:
        seen.append((error.code, status))
        return 418, [("Content-Type", "text/html"), ("WWW-Authenticate", "Basic")], b"<p>no</p>"

    answer = client(responder=responder).get("/")

    assert seen == [("token_missing", 401)]
    assert (answer.status_code, answer.data) == (418, b"<p>no</p>")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


# --- Settings that are no longer there -----------------------------------------------------------


@pytest.mark.parametrize("name", ["STORE", "REVOKED", "REMOTE_USER_CLAIM", "SOMETHING_NEW"])
def test_a_variable_that_is_no_setting_does_not_start(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelled setting protects nothing: revoked tokens, for instance, would be accepted."""
    monkeypatch.setenv(f"JWT_WSGI_{name}", "x")
    with pytest.raises(ConfigurationError, match=f"^JWT_WSGI_{name}: no such setting"):
        JWTMiddleware(EchoApp(), issuer="https://i.example")


@pytest.mark.parametrize("name", ["DEMO_PORT", "DEMO_PORT_80_TCP", "DEMO_SERVICE_HOST", "APP"])
def test_a_variable_of_another_program_is_none_of_ours(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes sets these in every container beside a service called jwt-wsgi-demo."""
    monkeypatch.setenv(f"JWT_WSGI_{name}", "x")
    JWTMiddleware(EchoApp(), issuer="https://i.example")


def test_a_key_of_a_request_that_is_no_setting_is_an_error() -> None:
    """The server sets it, so it was meant to do something."""
    guarded = JWTMiddleware(EchoApp(), settings_from_request=True)
    with pytest.raises(ConfigurationError, match=r"jwt_wsgi\.store: no such option"):
        Client(guarded).get("/", environ_overrides={"jwt_wsgi.store": "redis://r"})
