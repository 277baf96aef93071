"""Answers: no words of one caller for another, nothing foreign in a header, none can be lost."""

import copy
import importlib
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from typing import Self
from wsgiref.validate import validator

import pytest
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder

import jwt_wsgi
from jwt_wsgi import AuthError
from jwt_wsgi import ConfigurationError
from jwt_wsgi import InsufficientAuthError
from jwt_wsgi import InsufficientScopeError
from jwt_wsgi import InvalidTokenError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import KeysUnavailableError
from jwt_wsgi import MissingTokenError
from jwt_wsgi import Rule
from jwt_wsgi import errors
from jwt_wsgi.errors import TOKEN_ERRORS
from jwt_wsgi.errors import KeyNotKnownYetError
from jwt_wsgi.events import Event
from jwt_wsgi.events import FunctionFailed
from jwt_wsgi.events import Refused
from jwt_wsgi.responses import Responses
from jwt_wsgi.testing import FakeIssuer

Make = Callable[..., Client]
#: A whole challenge: RFC 9110 section 11.6.1, with the characters of RFC 6750 section 3.
CHALLENGE = re.compile(
    r'Bearer [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"(, [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*")*'
)


def raising(error: Callable[[Any], Exception]) -> Callable[[Any, float], None]:
    """A check that raises what ``error(claims)`` makes."""

    def check(claims: Any, _now: float) -> None:
        raise error(claims)

    return check


def detailed(text: object) -> InvalidTokenError:
    """An error of the library's with words of the application's."""
    error = InvalidTokenError("claim_invalid")
    error.details = text  # type: ignore[assignment]
    return error


# --- What is remembered --------------------------------------------------------------------------


def test_own_texts_about_one_user_are_sent_to_no_other_user(
    client: Make, issuer: FakeIssuer
) -> None:
    """Neither to the next user, nor for a token that was never verified."""
    visitor = client(checks=raising(lambda claims: detailed(f"{claims['sub']} is banned")))

    for sub in ("ada", "bob"):
        answer = visitor.get("/", headers=bearer(issuer.token(sub=sub)))
        assert answer.json["details"] == f"{sub} is banned"
    other = client(checks=raising(lambda _: detailed("secret")), claims={"org": "x"})
    other.get("/", headers=bearer(issuer.token(org="x")))
    answer = other.get("/", headers=bearer(issuer.token(org="y")))
    assert answer.json["details"] == TOKEN_ERRORS["claim_invalid"]


@pytest.mark.parametrize(
    "change",
    [
        {"details": "ada"},
        {"code": "ada"},
        {"code": "ada", "details": None},
        {"code": []},
        {"error": "ada"},
        {"status": 418},
        {"challenge_error": "ada"},
        {"challenge_members": {"scope": "ada"}},
        {"retry_after": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [MissingTokenError, lambda: InvalidTokenError("claim_invalid")])
def test_a_changed_error_changes_no_other_answer(
    change: dict[str, Any], make: Callable[[], AuthError]
) -> None:
    """Whatever was changed in an error of the library's, before or after the first standard one."""
    responses, fresh = Responses(realm="api"), Responses(realm="api").answer(make())
    for _ in range(2):
        changed = make()
        for name, value in change.items():
            setattr(changed, name, value)
        assert responses.answer(changed) == Responses(realm="api").answer(changed)
        assert responses.answer(make()) == fresh


def test_a_str_subclass_as_code_gets_no_standard_answer() -> None:
    """A code is compared as plain text: a subclass of str may say that it is equal to one."""

    class Alike(str):
        __slots__ = ()

        def __eq__(self, _other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return hash("claim_invalid")

    responses, error = Responses(realm="api"), InvalidTokenError("claim_invalid")
    error.code = Alike("ada")
    responses.answer(error)

    assert b"ada" not in responses.answer(InvalidTokenError("claim_invalid")).body


class Shared:
    """An error that is made once and raised for many requests."""

    def __init__(self) -> None:
        self.error: AuthError = InvalidTokenError("claim_invalid", "not today")

    def __call__(self, *_: object) -> Any:
        raise self.error


def options_of(where: str, function: Shared, issuer: FakeIssuer) -> dict[str, Any]:
    """Options that make this function decide about each request."""
    options: dict[str, Any] = {
        "checks": {"checks": function},
        "rule": {"rules": [Rule("/*", check=function)]},
        "revocation": {"revocation": function},
        "issuer": {"issuer": function},
        "keys": {"issuer": Issuer(issuer.issuer, keys=SimpleNamespace(candidates=function))},
    }[where]
    keys = {} if "issuer" in options else {"issuer": issuer.issuer, "jwks": issuer.jwks()}
    return {**keys, **options}


@pytest.mark.parametrize("where", ["checks", "rule", "revocation", "issuer", "keys"])
def test_an_error_that_is_raised_for_many_requests_keeps_no_data_of_them(
    where: str, app: EchoApp, issuer: FakeIssuer
) -> None:
    """Its traceback would grow with each request, and hold their tokens."""
    shared = Shared()
    visitor = Client(JWTMiddleware(app, **options_of(where, shared, issuer)))
    for sub in ("ada", "bob"):
        assert visitor.get("/", headers=bearer(issuer.token(sub=sub))).status_code == 401

    assert shared.error.__traceback__ is None
    assert vars(shared.error).keys() == vars(InvalidTokenError("claim_invalid")).keys()


class InSlotsError(AuthError):
    """Its answer is kept in slots, which ``vars`` does not show."""

    __slots__ = ("details", "status")
    code = "own"

    def __init__(self, status: int) -> None:
        super().__init__("why")
        self.status, self.details = status, "own words"


class NeedsArgumentsError(AuthError):
    """Neither made nor copied without arguments that ``args`` does not hold."""

    code, details, status = "own", "own words", 422

    def __new__(cls, *, why: str) -> Self:
        return super().__new__(cls, why)

    def __init__(self, *, why: str) -> None:
        super().__init__(why)


class NotCopiedError(AuthError):
    """It defends itself against copies and pickles, as what holds a connection does."""

    code, details, status = "own", "own words", 422

    def __copy__(self) -> "NotCopiedError":
        raise TypeError("not to be copied")

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("not to be pickled")


class NoCopyError(NotCopiedError):
    """What its ``__copy__`` returns is no error."""

    def __copy__(self) -> None:  # type: ignore[override]
        return None


class ReadOnlyError(AuthError):
    """Nothing of it can be set, and names of ours are properties of its own."""

    code, details, status = "own", "own words", 422
    scope = property(lambda _self: ("own",))  # type: ignore[assignment]
    claimed = property(lambda _self: (None, None, None))  # type: ignore[assignment]

    def __init__(self) -> None:
        vars(self)["detail"] = "why"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


class IsOSError(AuthError, OSError):
    """Its base is written in C and has fields of its own."""

    code, details, status = "own", "own words", 422


OWN_ERRORS: dict[str, Callable[[], AuthError]] = {
    "slots": lambda: InSlotsError(422),
    "arguments": lambda: NeedsArgumentsError(why="why"),
    "not copied": lambda: NotCopiedError("why"),
    "no copy": lambda: NoCopyError("why"),
    "read only": ReadOnlyError,
    "OSError": lambda: IsOSError("why"),
}


@pytest.mark.parametrize("make", OWN_ERRORS.values(), ids=OWN_ERRORS)
@pytest.mark.parametrize("where", ["checks", "rule", "revocation", "issuer", "keys"])
def test_an_error_of_any_class_keeps_its_answer(
    where: str, make: Callable[[], AuthError], app: EchoApp, issuer: FakeIssuer
) -> None:
    """Each request gets one of its own, however the class is made, copied or changed."""
    heard: list[Event] = []
    shared = Shared()
    shared.error = error = make()
    before = {**vars(error)}
    visitor = Client(JWTMiddleware(app, on_event=heard.append, **options_of(where, shared, issuer)))
    for sub in ("ada", "bob"):
        answer = visitor.get("/", headers=bearer(issuer.token(sub=sub)))
        assert (answer.status_code, answer.json) == (
            422, {"error": "Request refused", "details": "own words", "code": "own"}
        )  # fmt: skip

    refused = [event for event in heard if isinstance(event, Refused)]
    assert [(event.code, event.status, event.detail) for event in refused] == 2 * [
        ("own", 422, "why")
    ]
    assert app.environ is None
    assert error.__traceback__ is error.__cause__ is None
    assert vars(error) == before


def test_a_key_source_may_raise_the_same_429_again(issuer: FakeIssuer) -> None:
    """It is answered 429 each time, and the error never becomes its own cause."""
    shared = Shared()
    shared.error = KeyNotKnownYetError(1)
    keys: Any = SimpleNamespace(candidates=shared)
    middleware = JWTMiddleware(EchoApp(), issuer=Issuer(issuer.issuer, keys=keys))
    for _ in range(2):
        with pytest.raises(KeyNotKnownYetError) as refused:
            middleware.verifier.verify(issuer.token())
        assert refused.value.__cause__ is shared.error

    assert shared.error.__cause__ is shared.error.__traceback__ is None


def test_answers_are_remembered_within_bounds() -> None:
    """Errors with words of their own leave nothing behind."""
    responses = Responses(realm="api", resource_metadata="https://api.example/x")
    for number in range(1000):
        responses.answer(detailed(f"user {number}"))
        responses.answer(InsufficientScopeError(scope=[f"scope-{number}"]))
        responses.answer(InsufficientAuthError(acr_values=[f"acr-{number}"]))

    assert len(responses._made) <= 1


def test_the_same_refusal_of_two_requests_is_made_once(app: EchoApp, issuer: FakeIssuer) -> None:
    """What a request leaves on the error for the log, its rule among it, makes no new answer."""
    guarded = issuer.protect(app, rules=[Rule("/*")])
    client = Client(guarded)
    made = guarded._responses._made
    for count, header in enumerate(
        ({}, {"Authorization": "Bearer"}, bearer(issuer.token(exp=1)), bearer("a.b.c")), 1
    ):
        answers = {client.get("/", headers=header).data for _ in range(2)}
        assert len(answers) == 1
        assert len(made) == count


def test_standard_answers_are_made_once() -> None:
    """A flood of requests without a token costs no JSON."""
    responses = Responses(realm="api")

    assert responses.answer(MissingTokenError()) is responses.answer(MissingTokenError("why"))
    for code in TOKEN_ERRORS:
        first = responses.answer(InvalidTokenError(code))
        assert responses.answer(InvalidTokenError(code, "again")) is first


def test_the_scope_of_a_rule_stays_with_the_rule(client: Make) -> None:
    """The challenges of a published resource name what the request needs."""
    rules = [Rule("/a", scopes=["a"]), Rule("/b", scopes=["b"])]
    visitor = client(rules=rules, resource="https://api.example/mcp")

    for _ in range(2):
        for name in ("a", "b"):
            assert f'scope="{name}"' in visitor.get(f"/{name}").headers["WWW-Authenticate"]


# --- What may stand in a header ------------------------------------------------------------------

#: Text that a header cannot hold, or that would end a quoted string in it.
UNFIT = ['a", realm="evil', "a\r\nSet-Cookie: x=1", "a\nb", "b\\", "caf\xe9", "\u20ac", "\0",
         "\x7f", "\ud800", "a" * 100_000]  # fmt: skip


def challenge_of(error: AuthError, **options: Any) -> str:
    return dict(Responses(**{"realm": "api"} | options).answer(error).headers)["WWW-Authenticate"]


@pytest.mark.parametrize("text", UNFIT, ids=lambda text: ascii(text[:20]))
def test_text_that_does_not_fit_a_challenge_is_left_out(text: str) -> None:
    """The JSON body has it all the same."""
    answer = Responses(realm="api").answer(detailed(text))

    assert dict(answer.headers)["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'
    assert json.loads(answer.body)["details"] == text


class OddError(AuthError):
    """An error of the application's, with members of its own."""

    def __init__(self, **members: Any) -> None:
        super().__init__()
        vars(self).update(members)


@pytest.mark.parametrize("text", UNFIT, ids=lambda text: ascii(text[:20]))
@pytest.mark.parametrize(
    "make",
    [
        lambda text: InsufficientScopeError(scope=["read", text]),
        lambda text: InsufficientAuthError(acr_values=[text]),
        lambda text: OddError(challenge_error=text),
        lambda text: OddError(challenge_members={"realm": "evil", "Realm": "evil", "x": text}),
        lambda text: OddError(challenge_members={text: "value"}),
        lambda text: OddError(scope=("read", text)),
    ],
    ids=["scope", "acr_values", "error", "value", "name", "scope of the rule"],
)
def test_a_member_with_unfit_text_is_left_out_of_the_challenge(
    make: Callable[[str], AuthError], text: str
) -> None:
    """As a whole: half a list of scopes would say that the half is enough."""
    challenge = challenge_of(make(text), resource_metadata="https://api.example/x")

    assert CHALLENGE.fullmatch(challenge)
    assert "read" not in challenge
    assert "evil" not in challenge
    assert "x=1" not in challenge


@pytest.mark.parametrize("text", UNFIT, ids=lambda text: ascii(text[:20]))
def test_unfit_settings_are_left_out_of_the_challenge(text: str) -> None:
    """The frameworks' own realms are not read as settings are."""
    challenge = challenge_of(MissingTokenError(), realm=text, resource_metadata=text)

    assert challenge == 'Bearer realm="api"'


@pytest.mark.parametrize("scope", ["a  b", " a", "a ", ""])
def test_a_scope_in_a_challenge_has_the_grammar_of_a_scope(scope: str) -> None:
    """Scope tokens with one space between them (RFC 6750 section 3)."""
    assert challenge_of(OddError(challenge_members={"scope": scope})) == 'Bearer realm="api"'


def test_scopes_may_be_given_as_one_string() -> None:
    """As tokens have them. It is not split into letters."""
    assert 'scope="read write"' in challenge_of(InsufficientScopeError(scope="read write"))
    assert 'acr_values="mfa"' in challenge_of(InsufficientAuthError(acr_values="mfa"))


@pytest.mark.parametrize("age", [float("inf"), float("nan"), -5.0, 1e300, None])
def test_a_max_age_that_is_no_number_of_seconds_is_left_out(age: float | None) -> None:
    """RFC 9470 section 3: a non-negative integer."""
    assert "max_age" not in challenge_of(InsufficientAuthError(max_age=age))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "1"), (-5, "1"), (0.2, "1"), (1, "1"), (29.1, "30"), (float("nan"), "1"),
     (float("inf"), "86400"), (1e300, "86400"), (10**400, "86400")],
)  # fmt: skip
@pytest.mark.parametrize(
    "kind", [KeysUnavailableError, errors.RevocationUnavailableError, errors.UnavailableError]
)
def test_retry_after_is_whole_seconds_of_at_most_a_day(
    kind: Any, seconds: float, said: str
) -> None:
    """RFC 9110 section 10.2.3: 1*DIGIT, whatever a key source or a check computed."""
    headers = dict(Responses(realm="api").answer(kind(seconds)).headers)

    assert headers["Retry-After"] == said
    assert "WWW-Authenticate" not in headers


@pytest.mark.parametrize("seconds", ["soon", "1\r\nX: y", None, [], object()])
def test_retry_after_of_an_error_of_one_s_own_is_a_number(seconds: object) -> None:
    """A 503 has one in any case."""
    answer = Responses(realm="api").answer(OddError(status=503, retry_after=seconds))

    assert dict(answer.headers)["Retry-After"] == "1"


# --- Errors of one's own -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, "401 Unauthorized"),
        (429, "429 Too Many Requests"),
        (451, "451 Unavailable For Legal Reasons"),
        (499, "499 Unknown"),
        (200, "401 Unauthorized"),
        (302, "401 Unauthorized"),
        (600, "401 Unauthorized"),
        (-1, "401 Unauthorized"),
        ("403 Forbidden\r\nX: y", "401 Unauthorized"),
        (None, "401 Unauthorized"),
        (True, "401 Unauthorized"),
    ],
)
def test_a_status_that_is_not_an_error_is_answered_as_401(status: Any, line: str) -> None:
    """Also one that is not a number."""
    answer = Responses(realm="api").answer(OddError(status=status))

    assert answer.status == line
    assert "WWW-Authenticate" in dict(answer.headers)


def test_every_401_has_a_challenge() -> None:
    """Also one with Retry-After: RFC 9110 section 15.5.2."""
    headers = dict(Responses(realm="api").answer(OddError(status=401, retry_after=5)).headers)

    assert headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert headers["Retry-After"] == "5"


class Lazy:
    """Text that is made when it is asked for, as translations are."""

    def __str__(self) -> str:
        return "later"


@pytest.mark.parametrize(
    ("members", "body"),
    [
        ({}, {"error": "Request refused"}),
        ({"details": Lazy()}, {"error": "Request refused", "details": "later", "code": "refused"}),
        ({"error": Lazy()}, {"error": "later"}),
        ({"details": "x", "code": 5}, {"error": "Request refused", "details": "x", "code": 5}),
        ({"challenge_members": None}, {"error": "Request refused"}),
        ({"challenge_members": {"x": 5, 6: "y"}}, {"error": "Request refused"}),
    ],
)
def test_an_own_error_with_unusual_attributes_is_answered(
    members: dict[str, Any], body: dict[str, Any]
) -> None:
    """It never leads to a 500."""
    answer = Responses(realm="api").answer(OddError(**members))

    assert json.loads(answer.body) == body
    assert dict(answer.headers)["WWW-Authenticate"] == 'Bearer realm="api"'


def test_autherror_itself_can_be_raised(client: Make, issuer: FakeIssuer) -> None:
    """It is the name that people find first."""
    visitor = client(checks=raising(lambda _: AuthError("why")))

    answer = visitor.get("/", headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json) == (401, {"error": "Request refused"})


def _code_of(error: AuthError) -> object:
    return vars(error)["own"]


def _give_code(error: AuthError, code: object) -> None:
    vars(error)["own"] = code


class InPropertyError(AuthError):
    """Each of its instances has a code of its own, and its class has none."""

    code = property(_code_of, _give_code)  # type: ignore[assignment]


class CodeInSlotError(AuthError):
    """The same, in a slot."""

    __slots__ = ("code",)


@pytest.mark.parametrize("kind", [AuthError, InvalidTokenError, InPropertyError, CodeInSlotError])
def test_labels_of_events_are_bounded(client: Make, issuer: FakeIssuer, kind: Any) -> None:
    """A code that was made of a claim is for the caller; logs and metrics have the class's."""
    heard: list[Any] = []

    def made(claims: Any) -> AuthError:
        error: AuthError = kind("claim_invalid")
        error.code = claims["sub"]
        error.details = "x"
        return error

    visitor = client(checks=raising(made), on_event=heard.append)
    codes = [
        visitor.get("/", headers=bearer(issuer.token(sub=f"user {n}"))).json["code"]
        for n in range(3)
    ]

    assert codes == ["user 0", "user 1", "user 2"]
    bounded = kind.code if isinstance(kind.code, str) else AuthError.code
    assert {event.code for event in heard} == {bounded}
    visitor = client(checks=raising(made), error_details=False)
    assert visitor.get("/", headers=bearer(issuer.token())).json["code"] == bounded


@pytest.mark.parametrize("status", ["x", None, 200])
def test_the_status_of_an_event_is_that_of_the_answer(
    client: Make, issuer: FakeIssuer, status: Any
) -> None:
    """Also where the error's own is none."""
    heard: list[Any] = []
    visitor = client(checks=raising(lambda _: OddError(status=status)), on_event=heard.append)
    visitor.get("/", headers=bearer(issuer.token()))

    assert [event.status for event in heard] == [401]


# --- Without details -----------------------------------------------------------------------------


def test_without_details_no_code_tells_which_tenants_exist(issuer: FakeIssuer) -> None:
    """Every bad token has one answer: a forged one shows nothing about whose it claims to be."""
    stranger = FakeIssuer(issuer.issuer)
    tenants = {issuer.issuer: Issuer(issuer.issuer, jwks=issuer.jwks(), audience="api")}
    visitor = Client(
        JWTMiddleware(EchoApp(), issuer=tenants.get, error_details=False), use_cookies=False
    )
    tokens = {
        "unknown tenant": stranger.token(iss="https://nobody.example", aud="api"),
        "no tenant": stranger.token(iss=None),
        "forged": stranger.token(aud="api", header={"kid": issuer.kid}),
        "unknown key": stranger.token(aud="api", header={"kid": "x"}),
        "expired": stranger.token(aud="api", exp=1),
        "early": stranger.token(aud="api", nbf=9_999_999_999),
        "audience": stranger.token(aud="other"),
        "claim": stranger.token(aud="api", sub=5),
        "no exp": stranger.token(aud="api", exp=None),
        "type": stranger.token(aud="api", header={"typ": "dpop+jwt"}),
        "malformed": "x",
    }

    def told(token: str) -> tuple[Any, ...]:
        answer = visitor.get("/", headers=bearer(token))
        return answer.status, answer.data, tuple(answer.headers)

    assert len({told(token) for token in tokens.values()}) == 1
    answer = visitor.get("/", headers=bearer(tokens["forged"]))
    assert answer.json == {"error": "Invalid token", "code": "token_invalid"}
    assert visitor.get("/", headers=bearer(issuer.token(aud="api"))).status_code == 200


@pytest.mark.parametrize(
    ("error", "status"), [(OSError("down"), 503), (KeyNotKnownYetError(1), 429)], ids=str
)
def test_without_details_no_outage_and_no_flood_logs_users_out(
    error: Exception, status: int, issuer: FakeIssuer
) -> None:
    """The two answers that still differ for a tenant that exists, as the documentation says."""
    shared = Shared()
    shared.error = error  # type: ignore[assignment]
    keys: Any = SimpleNamespace(candidates=shared)
    tenants = {issuer.issuer: Issuer(issuer.issuer, keys=keys)}
    visitor = Client(JWTMiddleware(EchoApp(), issuer=tenants.get, error_details=False))
    answer = visitor.get("/", headers=bearer(issuer.token()))

    assert answer.status_code == status
    assert "WWW-Authenticate" not in answer.headers


def test_the_log_keeps_the_code_that_the_answer_hides(client: Make, issuer: FakeIssuer) -> None:
    """Events say why, for operators."""
    heard: list[Any] = []
    visitor = client(error_details=False, on_event=heard.append)
    visitor.get("/", headers=bearer(issuer.token(exp=1)))

    assert [event.code for event in heard] == ["token_expired"]


# --- A responder ---------------------------------------------------------------------------------


def whole(error: AuthError, status: int) -> Any:
    """A responder as the documentation has it."""
    return status, [("Content-Type", "text/plain"), ("X-Code", error.code)], b"no"


def test_a_responder_gives_status_headers_and_body(client: Make) -> None:
    """The challenge, the length and no-store are ours."""
    answer = client(responder=whole).get("/")

    assert answer.status == "401 Unauthorized"
    assert answer.data == b"no"
    assert answer.headers.to_wsgi_list() == [
        ("Content-Type", "text/plain"),
        ("X-Code", "token_missing"),
        ("Content-Length", "2"),
        ("Cache-Control", "no-store"),
        ("WWW-Authenticate", 'Bearer realm="api"'),
    ]


@pytest.mark.parametrize(
    ("error", "status", "challenge", "retry"),
    [
        (MissingTokenError(), 302, True, None),
        (MissingTokenError(), 404, True, None),
        (MissingTokenError(), 503, True, "1"),
        (KeysUnavailableError(7), 503, False, "7"),
        (KeysUnavailableError(7), 401, True, "7"),
        (KeysUnavailableError(7), 500, False, "7"),
        (InsufficientScopeError(), 200, True, None),
    ],
)
def test_a_responder_cannot_remove_required_headers(
    error: AuthError, status: int, challenge: bool, retry: str | None
) -> None:
    """A challenge with 401, Retry-After with 503, and never a remembered refusal."""
    theirs = [("cache-control", "public"), ("WWW-Authenticate", "Basic"), ("RETRY-AFTER", "0"),
              ("Content-length", "9"), ("Connection", "close"), ("Transfer-Encoding", "chunked"),
              ("Status", "200 OK"), ("Location", "/login")]  # fmt: skip
    responses = Responses(realm="api", responder=lambda _error, _status: (status, theirs, b"body"))
    answer = responses.answer(error)
    headers = dict(answer.headers)

    assert len(headers) == len(answer.headers)
    assert answer.status.startswith(f"{status} ")
    assert headers.pop("Location") == "/login"
    assert headers.pop("Content-Length") == "4"
    assert headers.pop("Cache-Control") == "no-store"
    assert headers.pop("WWW-Authenticate", "").startswith("Bearer ") is challenge
    assert headers.pop("Retry-After", None) == retry
    assert not headers


def raises(_error: AuthError, _status: int) -> Any:
    raise ZeroDivisionError("with words of a token")


def refuses(_error: AuthError, _status: int) -> Any:
    raise InvalidTokenError("token_expired")


NONSENSE: dict[str, Any] = {
    "raises": raises,
    "raises an AuthError": refuses,
    "of one argument": lambda _error: (401, [], b""),
    "None": lambda *_: None,
    "a pair": lambda *_: ("text/plain", b"no"),
    "text": lambda *_: (401, [], "no"),
    "bytearray": lambda *_: (401, [], bytearray(b"no")),
    "status as text": lambda *_: ("401", [], b""),
    "status True": lambda *_: (True, [], b""),
    "status 0": lambda *_: (0, [], b""),
    "status 100": lambda *_: (100, [], b""),
    "status 204": lambda *_: (204, [], b""),
    "status 304": lambda *_: (304, [], b""),
    "status 600": lambda *_: (600, [], b""),
    "no headers": lambda *_: (401, None, b""),
    "a header of one": lambda *_: (401, [("X",)], b""),
    "a name with a space": lambda *_: (401, [("X Y", "z")], b""),
    "an empty name": lambda *_: (401, [("", "z")], b""),
    "a name in bytes": lambda *_: (401, [(b"X", "z")], b""),
    "a number": lambda *_: (401, [("X", 5)], b""),
    "a line feed": lambda *_: (401, [("Content-Type", "text/plain\r\nX: y")], b""),
    "a letter beyond Latin-1": lambda *_: (401, [("X", "\u20ac")], b""),
    "a NUL": lambda *_: (401, [("X", "\0")], b""),
}


@pytest.mark.parametrize("responder", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("token", ["", "forged"])
def test_if_a_responder_fails_the_standard_answer_is_sent(
    responder: Any, token: str, client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """One ERROR names the function, without the text of its error."""
    headers = bearer(token) if token else {}
    expected = client().get("/", headers=headers)
    visitor = client(responder=responder)
    caplog.clear()
    for _ in range(3):
        answer = visitor.get("/", headers=headers)
        assert answer.status == expected.status
        assert answer.headers == expected.headers
        assert answer.data == expected.data

    loud = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(loud) == 1
    assert "test_answers." in loud[0]
    assert "words" not in loud[0]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_responder_s_answer_is_good_wsgi(method: str, issuer: FakeIssuer) -> None:
    """PEP 3333, as the standard library's validator reads it."""
    guarded = validator(
        JWTMiddleware(EchoApp(), issuer=issuer.issuer, jwks=issuer.jwks(), responder=whole)
    )
    body, status, _headers = _run(guarded, method)

    assert status == "401 Unauthorized"
    assert body == (b"no" if method == "GET" else b"")


def _run(guarded: Any, method: str) -> tuple[bytes, str, Any]:
    found: list[Any] = []
    builder = EnvironBuilder(method=method)
    answer = guarded(builder.get_environ(), lambda *given: found.extend(given))
    try:
        return b"".join(answer), found[0], found[1]
    finally:
        answer.close()
        builder.close()


# --- Functions of the application that raise -----------------------------------------------------


def looked_up(claims: Any, _now: float = 0) -> bool:
    return bool(claims["organisation"])


def typed(claims: Any, _now: float = 0) -> bool:
    return bool(claims["sub"] + 1)


def valued(claims: Any, _now: float = 0) -> bool:
    return int(claims["sub"]) > 0


def arithmetic(_claims: Any, _now: float = 0) -> bool:
    return 1 / 0 > 0


def offline(_claims: Any, _now: float = 0) -> bool:
    raise ConnectionError("db.internal: password hunter2")


class AnswerIsNoJSONError(OSError, ValueError):
    """As requests' JSONDecodeError: a service that is out of order."""


def out_of_order(_claims: Any, _now: float = 0) -> bool:
    raise AnswerIsNoJSONError("<html>hunter2</html>")


class Undecided:
    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


def undecided(_claims: Any, _now: float = 0) -> Any:
    return Undecided()


OVER_A_TOKEN = [
    (looked_up, "builtins.KeyError"),
    (typed, "builtins.TypeError"),
    (valued, "builtins.ValueError"),
    (undecided, "builtins.ValueError"),
]
OUTAGES = [
    (arithmetic, "builtins.ZeroDivisionError"),
    (offline, "builtins.ConnectionError"),
    (out_of_order, f"{__name__}.AnswerIsNoJSONError"),
]


@pytest.mark.parametrize(("check", "kind"), OVER_A_TOKEN)
@pytest.mark.parametrize("option", ["checks", "revocation"])
def test_a_function_that_cannot_read_a_token_refuses_it(
    option: str, check: Any, kind: str, client: Make, issuer: FakeIssuer
) -> None:
    """LookupError, TypeError, ValueError: a claim is missing, or of another type than expected."""
    heard: list[Any] = []
    visitor = client(**{option: check}, on_event=heard.append)
    answer = visitor.get("/", headers=bearer(issuer.token(sub="ada")))

    assert answer.status_code == 401
    assert answer.json["code"] == "claim_invalid"
    name = f"{__name__}.{check.__name__}"
    assert heard[0] == FunctionFailed(name, f"raised {kind}", "401 claim_invalid")
    assert isinstance(heard[1], Refused)
    assert heard[1].detail == f"{name} raised {kind}"


@pytest.mark.parametrize(("check", "kind"), OUTAGES)
def test_a_check_that_fails_for_another_reason_is_503(
    check: Any, kind: str, client: Make, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Its database is down: the client keeps its token and comes again."""
    visitor = client(checks=check)
    for _ in range(3):
        answer = visitor.get("/", headers=bearer(issuer.token(sub="ada")))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert "WWW-Authenticate" not in answer.headers
        assert answer.json == {
            "error": "Temporarily unavailable",
            "details": "It cannot be decided at the moment whether the request is permitted",
            "code": "temporarily_unavailable",
        }

    loud = [record.message for record in caplog.records if record.levelname == "ERROR"]
    name = f"{__name__}.{check.__name__}"
    assert loud == [f"{name} raised {kind}: 503 temporarily_unavailable"]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(("check", "kind"), OUTAGES)
def test_a_revocation_function_that_fails_is_503_or_passes(
    check: Any, kind: str, client: Make, issuer: FakeIssuer
) -> None:
    """As its option says: it may be an outage."""
    headers = bearer(issuer.token(sub="ada"))

    assert client(revocation=check).get("/", headers=headers).status_code == 503
    opened = client(revocation={"function": check, "fail_open": True})
    assert opened.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(("check", "kind"), OVER_A_TOKEN)
def test_a_token_that_the_revocation_function_cannot_read_does_not_pass_open(
    check: Any, kind: str, client: Make, issuer: FakeIssuer
) -> None:
    """That is no outage: such a token would pass unchecked for as long as it lives."""
    visitor = client(revocation={"function": check, "fail_open": True})

    assert visitor.get("/", headers=bearer(issuer.token(sub="ada"))).status_code == 401


class OwnKeys:
    """A key source that raises."""

    def __init__(self, error: Exception, *, late: bool) -> None:
        self.error, self.late = error, late

    def candidates(self, _header: Any) -> Any:
        if self.late:
            return iter(self)
        raise self.error

    def __iter__(self) -> Any:
        raise self.error
        yield


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (KeyError("kid"), 401, "key_not_found"),
        (ConnectionError("hunter2"), 503, "keys_unavailable"),
        (KeysUnavailableError(7), 503, "keys_unavailable"),
    ],
)
def test_a_key_source_that_raises(
    error: Exception, status: int, code: str, late: bool, caplog: pytest.LogCaptureFixture,
    issuer: FakeIssuer,
) -> None:  # fmt: skip
    """A lookup that finds nothing is a key that is not there; anything else is an outage."""
    keys = OwnKeys(error, late=late)
    visitor = Client(JWTMiddleware(EchoApp(), issuer=Issuer(issuer.issuer, keys=keys)))
    answer = visitor.get("/", headers=bearer(issuer.token()))

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert "hunter2" not in caplog.text
    loud = [record.message for record in caplog.records if record.levelname == "ERROR"]
    own = [] if isinstance(error, AuthError) else [f"{__name__}.OwnKeys raised {_kind(error)}"]
    assert [line.partition(":")[0] for line in loud] == own


def _kind(error: Exception) -> str:
    return f"builtins.{type(error).__name__}"


def test_a_check_may_say_itself_that_it_cannot_decide(client: Make, issuer: FakeIssuer) -> None:
    """With the seconds that a client should wait; nothing went wrong in the function."""
    heard: list[Event] = []
    visitor = client(checks=raising(lambda _: errors.UnavailableError(7)), on_event=heard.append)
    answer = visitor.get("/", headers=bearer(issuer.token()))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert [type(event) for event in heard] == [Refused]


def test_a_rule_that_only_reports_tells_of_the_function_too(
    app: EchoApp, client: Make, issuer: FakeIssuer
) -> None:
    """The request passes, and the failure is seen before it costs anything."""
    heard: list[Any] = []
    visitor = client(checks=arithmetic, on_event=heard.append, rules=[Rule("/*", token="report")])

    assert visitor.get("/", headers=bearer(issuer.token())).status_code == 200
    assert [type(event).__name__ for event in heard] == ["FunctionFailed", "Reported"]


# --- One line of the log -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["a' iss='evil", 'a" iss="evil', "a\\' iss='evil", "a\\\\' iss='evil", "'", "' iss='" * 20],
)
def test_a_value_in_the_log_cannot_look_like_another_field(
    name: str, client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the quoted strings, only our own text is left."""
    client().get("/", headers={"X-Request-ID": name})
    (line,) = [record.message for record in caplog.records if "refused" in record.message]

    assert re.sub(r"'(\\.|[^'\\])*'", "", line) == (
        "refused 401 token_missing method= request=; see jwt-wsgi explain --code token_missing"
    )


def test_the_detail_of_an_own_error_is_one_line(
    client: Make, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Text from a token that a check did not escape forges no second line."""
    forged = "x\nERROR all is well\x1b[2J\u2028" + "y" * 10_000
    visitor = client(checks=raising(lambda _: AuthError(forged)))
    visitor.get("/", headers=bearer(issuer.token()))
    (line,) = [record.message for record in caplog.records if "refused" in record.message]

    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 1000


# --- Pickling and copying ------------------------------------------------------------------------


def error_classes() -> list[type[Exception]]:
    """Every exception that a module of the package defines, found in its source."""
    root = Path(jwt_wsgi.__file__).parent
    found = []
    for file in sorted(root.rglob("*.py")):
        for name in re.findall(r"(?m)^class (\w+)\(.*(?:Error|Exception)\b.*\)", file.read_text()):
            module = ".".join(file.relative_to(root.parent).with_suffix("").parts)
            found.append(getattr(importlib.import_module(module), name))
    return found


#: Class -> an instance with all that can be given; the others take one text.
SAMPLES: dict[str, Callable[[Any], Exception]] = {
    "ConfigurationError": lambda cls: cls(["one", "two"]),
    "SeveralProblemsError": lambda cls: cls([("[0]", "one"), ("[1]", "two")]),
    "MalformedHeaderError": lambda cls: cls("why", bearer=True),
    "InvalidTokenError": lambda cls: cls("token_expired", "why"),
    "InsufficientScopeError": lambda cls: cls("why", scope=["a", "b"]),
    "InsufficientAuthError": lambda cls: cls("why", acr_values=["a"], max_age=5),
    "UnavailableError": lambda cls: cls(7.5, "why"),
    "KeysUnavailableError": lambda cls: cls(7.5, detail="why"),
    "RevocationUnavailableError": lambda cls: cls(retry_after=7.5, detail="why"),
    "FetchError": lambda cls: cls("http", "why", status=503, retry_after=7.5),
    "_NoAnswerError": lambda cls: cls("why", 7.5, first=True),
    "_DroppedError": lambda cls: cls("kid", "why", private=True),
    "ChallengedScopeError": lambda cls: cls("api", "a b"),
}


THROUGH: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
#: Of :data:`OWN_ERRORS`, those that have nothing against being copied.
PORTABLE = ("slots", "arguments", "read only", "OSError")


@pytest.mark.parametrize("cls", error_classes(), ids=lambda cls: cls.__qualname__)
@pytest.mark.parametrize("through", THROUGH.values(), ids=THROUGH)
def test_an_error_survives_pickling_and_copying(
    cls: type[Exception], through: Callable[[Exception], Exception]
) -> None:
    """Process pools, task queues and error reporters do both."""
    error = SAMPLES.get(cls.__qualname__, lambda cls: cls("why"))(cls)
    if isinstance(error, AuthError):
        error.scope, error.claimed = ("read",), ("https://issuer.example", "RS256", "k")

    again = through(error)

    assert type(again) is cls
    assert again.args == error.args
    assert vars(again) == vars(error)
    assert (str(again), repr(again)) == (str(error), repr(error))
    if isinstance(error, AuthError):
        responses = Responses(realm="api")
        assert responses.answer(again) == responses.answer(error)  # type: ignore[arg-type]


def test_an_error_of_one_s_own_survives_too() -> None:
    """Whatever its ``__init__`` takes."""
    error = OddError(details="x", retry_after=5)

    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


@pytest.mark.parametrize("make", [OWN_ERRORS[name] for name in PORTABLE], ids=PORTABLE)
@pytest.mark.parametrize("through", THROUGH.values(), ids=THROUGH)
def test_an_error_of_one_s_own_class_survives_with_its_slots(
    make: Callable[[], AuthError], through: Callable[[AuthError], AuthError]
) -> None:
    """Whatever :func:`vars` does not show, and whatever it takes to make one."""
    error = make()
    again = through(error)

    assert type(again) is type(error)
    assert (again.args, again.detail) == (error.args, error.detail)
    assert Responses(realm="api").answer(again) == Responses(realm="api").answer(error)


def test_a_copied_configuration_error_has_the_same_problems() -> None:
    """Copies once took the message for the list, so that each letter was a problem."""
    assert copy.copy(ConfigurationError(["one", "two"])).problems == ("one", "two")
