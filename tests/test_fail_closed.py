"""What the operator wrote must count: no way of writing it down may quietly let somebody in."""

import base64
import json
import os
import re
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import AuthError
from jwt_wsgi import ConfigurationError
from jwt_wsgi import InsufficientAuthError
from jwt_wsgi import InsufficientScopeError
from jwt_wsgi import InvalidTokenError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi import Settings
from jwt_wsgi import jose
from jwt_wsgi.key_sources.file import FileKeys
from jwt_wsgi.keys import KeySet
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import MemoryStore
from jwt_wsgi.trusted_issuer import TrustedIssuer
from jwt_wsgi.verifier import Verifier


def refuse(_claims: Any, _now: float) -> bool:
    return False


# --- Options are read once ----------------------------------------------------------------------


class CountedJWKS(dict[str, Any]):
    """A JWKS that counts how often it is read."""

    reads = 0

    def get(self, *args: Any) -> Any:
        self.reads += 1
        return super().get(*args)


@pytest.mark.parametrize("form", ["Issuer", "object", "keywords", "requests"])
def test_each_option_is_read_once(form: str, app: EchoApp, issuer: FakeIssuer) -> None:
    """At the check of settings, for the issuer's terms and for each request's own settings."""
    jwks = CountedJWKS(issuer.jwks())
    keys: Any = {"jwks": jwks, "checks": iter([refuse])}
    options: Any = {
        "Issuer": lambda: {"issuer": Issuer(issuer.issuer, **keys)},
        "object": lambda: {"issuer": [{"issuer": issuer.issuer, **keys}]},
        "keywords": lambda: {"issuer": issuer.issuer, **keys},
        "requests": lambda: {"issuer": issuer.issuer, "settings_from_request": True, **keys},
    }[form]()
    visitor = Client(JWTMiddleware(app, **options))
    for realm in ("a", "b"):
        answer = visitor.get(
            "/",
            headers=bearer(issuer.token()),
            environ_overrides={"jwt_wsgi.realm": realm} if form == "requests" else {},
        )
        assert answer.json["code"] == "claim_invalid"  # the check counts

    assert jwks.reads == 1


def test_ready_made_settings_do_not_go_with_those_of_requests() -> None:
    """Keywords come before what a request brings; ready-made settings would be lost."""
    settings = Settings.of(
        issuer="https://issuer.example", required_scopes="admin", settings_from_request=True
    )
    with pytest.raises(ConfigurationError, match="give keywords"):
        JWTMiddleware(EchoApp(), settings)


# --- Paths that routers read in two ways --------------------------------------------------------


def test_a_line_feed_at_the_end_of_a_path_makes_it_not_public(
    app: EchoApp, issuer: FakeIssuer
) -> None:
    """Pyramid's routes end in ``$``, which also matches before a last line feed."""
    rules = [Rule("/admin", scopes=["admin"]), Rule("/*", token="ignored")]
    visitor = Client(JWTMiddleware(app, issuer=issuer.issuer, jwks=issuer.jwks(), rules=rules))

    assert visitor.get("/admin%0A").status_code == 401
    assert visitor.get("/admin%0A", headers=bearer(issuer.token())).status_code == 403
    assert re.compile("/admin$").match("/admin\n")  # as pyramid.urldispatch compiles a route


# --- Settings that say less than they seem to ---------------------------------------------------


def test_a_name_twice_in_text_does_not_start(issuer: FakeIssuer) -> None:
    """The first of two headers would be neither written nor removed: a client could send it."""
    with pytest.raises(ConfigurationError, match=r"claim_headers: .*twice"):
        Settings.of(issuer=issuer.issuer, claim_headers="sub=X-User, sub=X-Login")
    with pytest.raises(ConfigurationError, match=r"claims: .*twice"):
        Settings.of(issuer=issuer.issuer, claims="role=admin, role=auditor")


@pytest.mark.parametrize("methods", [(), frozenset(), set(), []], ids=repr)
def test_a_rule_for_no_method_does_not_start(methods: Any, issuer: FakeIssuer) -> None:
    """A set that came out empty must not open the path for every method."""
    rules = [Rule("/docs/*", methods=methods, token="ignored")]

    with pytest.raises(ConfigurationError, match=r"rules\[0\].methods"):
        Settings.of(issuer=issuer.issuer, rules=rules)


class OfficeHours(Rule):
    """A rule with a condition of its own."""

    def authorize(self, claims: Any, clock: Any = None) -> None:
        raise InsufficientScopeError


def test_a_rule_of_another_class_does_not_start(issuer: FakeIssuer) -> None:
    """Rules are read anew by their members; what a subclass adds would be lost."""
    with pytest.raises(ConfigurationError, match=r"rules\[0\]: a rule is a Rule"):
        Settings.of(issuer=issuer.issuer, rules=[OfficeHours("/*")])


@pytest.mark.parametrize(
    "public",
    [
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE",
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "Gb9ECWmEzf6FQbrBZ9w7lshQhqow"}]}',
        "https://issuer.example/.well-known/jwks.json",
    ],
    ids=["pem", "ssh", "jwks", "url"],
)
@pytest.mark.parametrize("encoded", [False, True], ids=["text", "base64"])
def test_a_public_text_is_refused_as_a_secret(public: str, encoded: bool) -> None:
    """With it anyone could sign tokens with HS256 (RFC 8725 section 2.1)."""
    text = f"base64:{base64.b64encode(public.encode()).decode()}" if encoded else public

    with pytest.raises(ConfigurationError, match="is not a secret") as refused:
        Settings.of(issuer="https://issuer.example", secret=text)

    assert "Gb9E" not in str(refused.value)


async def refuse_later(_claims: Any, _now: float = 0) -> bool:
    return False


class RefuseLater:
    """Callable, and only its call is asynchronous."""

    async def __call__(self, _claims: Any, _now: float) -> bool:
        return False


@pytest.mark.parametrize("check", [refuse_later, RefuseLater(), partial(refuse_later)])
def test_a_coroutine_function_is_refused_as_a_check(check: Any, issuer: FakeIssuer) -> None:
    """It returns a coroutine, which is not awaited and not False."""
    with pytest.raises(ConfigurationError, match=r"checks: .*async"):
        Settings.of(issuer=issuer.issuer, checks=check)
    with pytest.raises(ConfigurationError, match=r"revocation: .*async"):
        Settings.of(issuer=issuer.issuer, revocation=check)


def refuse_with_yield(_claims: Any, _now: float) -> Any:
    yield False


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("check", [refuse_later, refuse_with_yield])
def test_a_check_that_has_not_run_refuses(check: Any, app: EchoApp, issuer: FakeIssuer) -> None:
    """Behind a decorator nobody sees at the start what a function will return."""
    trusted = {"issuer": issuer.issuer, "jwks": issuer.jwks()}
    visitor = Client(JWTMiddleware(app, checks=lambda *given: check(*given) or None, **trusted))

    assert visitor.get("/", headers=bearer(issuer.token())).status_code == 401


@pytest.mark.parametrize("verdict", [False, 0, [], "", {}], ids=repr)
def test_a_check_that_returns_an_empty_value_refuses(
    verdict: object, app: EchoApp, issuer: FakeIssuer
) -> None:
    """``claims.get("roles", []) and …`` is an empty list, which must not permit the request."""
    trusted = {"issuer": issuer.issuer, "jwks": issuer.jwks()}
    visitor = Client(JWTMiddleware(app, checks=lambda _claims, _now: verdict, **trusted))

    assert visitor.get("/", headers=bearer(issuer.token())).status_code == 401


@pytest.mark.parametrize("name", ["CHECKS", "RESPONDER", "ON_EVENT"])
def test_a_variable_for_what_is_keyword_only_does_not_start(name: str) -> None:
    """It is no setting of a newer version: somebody relies on a check that is not made."""
    environ = {"JWT_WSGI_ISSUER": "https://issuer.example", f"JWT_WSGI_{name}": "shop:check"}

    with pytest.raises(ConfigurationError, match=rf"JWT_WSGI_{name}: .*keyword"):
        Settings.load({}, environ=environ)


def test_a_typing_error_in_a_request_s_settings_does_not_serve(
    app: EchoApp, issuer: FakeIssuer
) -> None:
    """``SetEnv jwt_wsgi.required_scope admin`` would ask for no scope at all."""
    trusted = {"issuer": issuer.issuer, "jwks": issuer.jwks()}
    visitor = Client(JWTMiddleware(app, settings_from_request=True, **trusted))

    with pytest.raises(ConfigurationError, match="did you mean required_scopes"):
        visitor.get(
            "/",
            headers=bearer(issuer.token()),
            environ_overrides={"jwt_wsgi.required_scope": "admin"},
        )


# --- Key sources of one's own -------------------------------------------------------------------


class Blocking:
    """A key source around another: passes on what it does not do itself."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.inner, self.blocked = KeySet.of(issuer.jwks()), False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def candidates(self, header: Any) -> Any:
        return () if self.blocked else self.inner.candidates(header)


class BlockingProxy(Blocking):
    """One that says it is what it wraps, as proxies and mocks do."""

    @property
    def __class__(self) -> Any:
        return KeySet

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise TypeError(value)


class BlockingFile(FileKeys):
    """The same by inheritance."""

    blocked = False

    def candidates(self, header: Any) -> Any:
        return () if self.blocked else super().candidates(header)


@pytest.mark.parametrize("kind", [Blocking, BlockingProxy, BlockingFile])
def test_what_a_key_source_refuses_is_refused_at_every_use(
    kind: Any,
    app: EchoApp,
    issuer: FakeIssuer,
    tmp_path: Path,
) -> None:
    """A remembered token must not pass by the ``candidates`` that somebody put before a set."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(issuer.jwks()))
    keys: Any = kind(str(file), emit=print) if kind is BlockingFile else kind(issuer)
    visitor = Client(JWTMiddleware(app, issuer=Issuer(issuer.issuer, keys=keys)))
    token = bearer(issuer.token())

    assert visitor.get("/", headers=token).status_code == 200
    keys.blocked = True
    assert visitor.get("/", headers=token).status_code == 401


class Revocable:
    """A key source without sets, which may refuse a key that it has yielded before."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.keyset, self.blocked = KeySet.of(issuer.jwks()), False

    def candidates(self, header: Any) -> Any:
        return () if self.blocked else self.keyset.candidates(header)


class RevocableWithASet(Revocable):
    """A subclass that adds ``current()``: what it inherits still decides."""

    def current(self) -> KeySet:
        return self.keyset


@pytest.mark.parametrize("kind", [Revocable, RevocableWithASet])
def test_a_set_beside_candidates_of_another_class_lets_nothing_be_remembered(
    kind: Any, app: EchoApp, issuer: FakeIssuer
) -> None:
    """Only a class that has both itself says that its set is all that it yields."""
    keys = kind(issuer)
    visitor = Client(JWTMiddleware(app, issuer=Issuer(issuer.issuer, keys=keys)))
    token = bearer(issuer.token())

    assert [visitor.get("/", headers=token).status_code for _ in range(2)] == [200, 200]
    keys.blocked = True
    assert visitor.get("/", headers=token).status_code == 401


# --- Answers ------------------------------------------------------------------------------------


class BannedError(AuthError):
    """An error of the user's own, whose words are about one caller."""

    error = "Banned"
    code = "banned"

    def __init__(self, who: str) -> None:
        self.details = f"{who} is banned"
        super().__init__()


def test_an_error_of_one_s_own_answers_its_own_caller(app: EchoApp, issuer: FakeIssuer) -> None:
    """Answers are kept for errors of ours only, whose words are the same for everybody."""

    def ban(claims: Any, _now: float) -> None:
        raise BannedError(claims["sub"])

    trusted = {"issuer": issuer.issuer, "jwks": issuer.jwks()}
    visitor = Client(JWTMiddleware(app, checks=ban, **trusted))
    told = [
        visitor.get("/", headers=bearer(issuer.token(sub=sub))).json["details"]
        for sub in ("ada", "bob")
    ]

    assert told == ["ada is banned", "bob is banned"]


# --- Times in milliseconds ----------------------------------------------------------------------


def test_a_login_in_the_future_is_refused() -> None:
    """An ``auth_time`` in milliseconds would be recent for ever (RFC 9470)."""
    now = 1_800_000_000.0
    rule = Rule("/*", max_age=60)

    with pytest.raises(InsufficientAuthError):
        rule.authorize({"auth_time": now * 1000}, clock=lambda: now)
    rule.authorize({"auth_time": now + 10}, clock=lambda: now)  # clocks differ


def test_a_token_issued_in_the_far_future_is_revoked_with_its_subject() -> None:
    """An ``iat`` in milliseconds is later than any revocation."""
    revocations = Revocations(MemoryStore())
    revocations.revoke_subject("https://issuer.example", "ada")

    assert revocations.is_revoked(
        {"iss": "https://issuer.example", "sub": "ada", "iat": time.time() * 1000}
    )


# --- Guards that no other test would miss -------------------------------------------------------


class AnyIssuer(dict[str, TrustedIssuer]):
    """Issuers that are found by a name that is not quite theirs."""

    def get(self, identifier: str, _default: object = None) -> TrustedIssuer | None:  # type: ignore[override]
        return super().get(identifier.lower())


def test_an_issuer_that_is_called_otherwise_is_not_trusted(issuer: FakeIssuer) -> None:
    """``iss`` is compared byte for byte, however loosely issuers are looked up."""
    keys = KeySet.of(issuer.jwks())
    trusted = TrustedIssuer(issuer.issuer, keys, frozenset({"EdDSA"}), frozenset(), ())
    verifier = Verifier(AnyIssuer({issuer.issuer: trusted}))

    assert verifier.verify(issuer.token())["iss"] == issuer.issuer
    with pytest.raises(InvalidTokenError) as refused:
        verifier.verify(issuer.token(iss=issuer.issuer.upper()))
    assert refused.value.code == "issuer_not_trusted"


def test_remembered_headers_are_bounded(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An issuer may put into each header what it likes."""
    monkeypatch.setattr("jwt_wsgi.verifier.MAX_HEADS", 4)
    keys = KeySet.of(issuer.jwks())
    trusted = TrustedIssuer(issuer.issuer, keys, frozenset({"EdDSA"}), frozenset(), ())
    verifier = Verifier({issuer.issuer: trusted})

    for number in range(10):
        verifier.verify(issuer.token(header={"nonce": number}))
        assert 1 <= len(verifier.heads) <= 4


def test_several_headers_are_remembered_and_none_that_is_long(issuer: FakeIssuer) -> None:
    """An issuer has one header for each of its keys; a long one would only take memory."""
    keys = KeySet.of(issuer.jwks())
    trusted = TrustedIssuer(issuer.issuer, keys, frozenset({"EdDSA"}), frozenset(), ())
    verifier = Verifier({issuer.issuer: trusted})
    for number in range(512):
        verifier.verify(issuer.token(header={"nonce": number}))
        assert len(verifier.heads) == number + 1
    verifier.verify(issuer.token(header={"nonce": "one more"}))
    assert len(verifier.heads) <= 512

    verifier.heads.clear()
    lengths = []
    for size in range(600, 900):
        token = issuer.token(header={"nonce": "x" * size})
        verifier.verify(token)
        lengths.append(len(token.partition(".")[0]))
    assert min(lengths) < 1024 < max(lengths)
    kept = {len(head) for head in verifier.heads}
    assert kept == {length for length in lengths if length <= 1024}


@pytest.mark.parametrize("token_cache_size", [0, 10])
def test_the_verifier_itself_has_the_limit_of_a_token_exactly(
    token_cache_size: int, issuer: FakeIssuer
) -> None:
    """A queue or a WebSocket hands tokens to it that no HTTP server has bounded."""
    token = issuer.token(filling="x" * 500)
    for spare, code in ((0, None), (1, None), (-1, "token_malformed")):
        verifier = JWTMiddleware(
            EchoApp(),
            issuer=issuer.issuer,
            jwks=issuer.jwks(),
            max_token_size=len(token) + spare,
            token_cache_size=token_cache_size,
        ).verifier
        for _ in range(3):
            try:
                verifier.verify(token)
            except InvalidTokenError as error:
                assert error.code == code
            else:
                assert code is None


def test_made_up_kids_fill_no_memory() -> None:
    """A key without a name is found for every ``kid``, which anybody can make up unverified."""
    single = KeySet.single(jose.secret_key(b"s" * 32))

    for number in range(10):
        assert single.candidates({"alg": "HS256", "kid": f"made up {number}"})
    assert not single._found


@pytest.mark.parametrize("option", ["issuer", "jwks_uri", "resource"])
def test_a_password_in_a_url_is_not_told(option: str) -> None:
    """The message that warns of it would be where it ends up."""
    options: Any = {"issuer": "https://issuer.example", option: "https://ada:hunter2@host.example"}
    with pytest.raises(ConfigurationError, match="password") as caught:
        JWTMiddleware(EchoApp(), **options)
    assert "hunter2" not in str(caught.value)
    assert "@host.example" in str(caught.value)


def test_a_pipe_is_no_file_of_keys(tmp_path: Path) -> None:
    """Nobody would ever write into it, and the server would never start."""
    os.mkfifo(tmp_path / "jwks.json")
    with pytest.raises(ConfigurationError, match="not a regular file"):
        JWTMiddleware(EchoApp(), issuer="https://issuer.example", jwks=str(tmp_path / "jwks.json"))


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("x" * 32, "one short text"),
        ("x" * 64, "one short text"),
        ("base64:" + base64.b64encode(bytes(32)).decode(), "one short text"),
        ("secret" * 6, "one short text"),
        ("secret" * 6 + "sec", "one short text"),
        ("0123456789abcdef" * 2, "one short text"),
        ("a-string-secret-at-least-256-bits-long", "jwt.io"),
        ("a-valid-string-secret-that-is-at-least-384-bits-long", "jwt.io"),
        ("a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long", "jwt.io"),
        ("your-256-bit-secret-your-256-bit-secret", "jwt.io"),
        ("my-secret-is-at-least-256-bits-long-too", "jwt.io"),
        (bytes(range(32)).hex(), None),
        ("0123456789abcdefg" * 2, None),
        ("x" * 31 + "y", "five different"),
        ("00000000-0000-0000-0000-000000000000", "one short text|five different"),
        (base64.b64encode(bytes(32)).decode(), "five different"),
        ("abcde-" * 5 + "-edcba-abcde", None),
        ("abcd-" * 5 + "-dcba--abcda", "five different"),
    ],
)
def test_a_secret_that_everybody_can_guess_does_not_start(secret: str, why: str | None) -> None:
    """Of the right length, and the first that a list of secrets tries."""
    if why is None:
        assert Settings.of(issuer="https://issuer.example", secret=secret).secret
        return
    with pytest.raises(ConfigurationError, match=why) as refused:
        Settings.of(issuer="https://issuer.example", secret=secret)
    assert secret not in str(refused.value)


def test_a_random_secret_may_begin_with_a_brace() -> None:
    """One in 256 does."""
    secret = "base64:" + base64.b64encode(b"{" + bytes(range(31))).decode()

    JWTMiddleware(EchoApp(), issuer="https://issuer.example", secret=secret)
