"""Logouts that an issuer sends (OpenID Connect Back-Channel Logout 1.0): which tokens they revoke.

The attack table of logout tokens is ``ATTACKS``; that of requests is ``REQUESTS``.
"""

import hashlib
import hmac
import io
import json
import logging
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from typing import NamedTuple
from urllib.parse import urlencode
from urllib.parse import urlsplit
from wsgiref.validate import validator

import pytest
from conftest import EchoApp
from conftest import bearer
from forge import part
from servers.redis_server import redis_server
from servers.running import gunicorn
from werkzeug.test import Client
from werkzeug.test import EnvironBuilder
from werkzeug.test import TestResponse
from werkzeug.test import run_wsgi_app

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.route_table import _own_rows
from jwt_wsgi.errors import KeyNotKnownYetError
from jwt_wsgi.errors import KeysUnavailableError
from jwt_wsgi.events import Event
from jwt_wsgi.events import LogoutArrived
from jwt_wsgi.events import Refused
from jwt_wsgi.revocation.backchannel import EVENT
from jwt_wsgi.revocation.backchannel import MAX_AGE
from jwt_wsgi.revocation.backchannel import MAX_BODY
from jwt_wsgi.revocation.revocations import LIFETIME
from jwt_wsgi.revocation.revocations import MARGIN
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.settings.issuer import Issuer
from jwt_wsgi.settings.revocation import BackchannelLogout
from jwt_wsgi.settings.revocation import read_revocation
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import MemoryStore

PATH = "/logout/backchannel"
FORM = "application/x-www-form-urlencoded"
LOGOUT = {"path": PATH, "client_id": "shop"}
Clients = Callable[..., Client]


class SharedStore(MemoryStore):
    """A store that several processes could share, as a Redis."""

    of_one_process = False


class Guarded:
    """An API with a store, what happened in it, and an issuer that may log its users out."""

    def __init__(self, issuer: FakeIssuer, app: Any, /, **options: Any) -> None:
        self.issuer, self.store, self.events = issuer, SharedStore(), list[Event]()
        revocation = {"store": self.store, "backchannel_logout": LOGOUT}
        self.options: dict[str, Any] = {
            "issuer": issuer.issuer,
            "jwks": issuer.jwks(),
            "audience": "api",
            "revocation": revocation,
            "on_event": self.events.append,
        } | options
        self.app = app
        self.client = self.worker()

    def worker(self) -> Client:
        """One more middleware with the same store."""
        return Client(JWTMiddleware(self.app, **self.options))

    def token(self, **claims: Any) -> str:
        """Make an access token that was issued a minute ago."""
        issued = time.time() - 60
        return self.issuer.token(**({"aud": "api", "sub": "ada", "iat": issued} | claims))

    def status(self, token: str, worker: Client | None = None) -> int:
        answer = (worker or self.client).get("/orders", headers=bearer(token))
        return answer.status_code

    def log_out(self, token: str, **request: Any) -> TestResponse:
        return self.client.post(PATH, **({"data": {"logout_token": token}} | request))

    @property
    def refusals(self) -> list[Refused]:
        return [event for event in self.events if isinstance(event, Refused)]

    @property
    def held(self) -> dict[str, Any]:
        return dict(self.store._entries)


@pytest.fixture
def guarded(issuer: FakeIssuer, app: EchoApp) -> Guarded:
    return Guarded(issuer, app)


def logout_token(issuer: FakeIssuer, **claims: Any) -> str:
    """Make a good logout token, but for ``claims``; None leaves a claim out."""
    return issuer.token(header={"typ": "logout+jwt"}, **logout_claims(**claims))


def logout_claims(**claims: Any) -> dict[str, Any]:
    usual = {
        "aud": "shop",
        "sub": "ada",
        "sid": "session-1",
        "jti": "logout-1",
        "events": {EVENT: {}},
        "exp": int(time.time()) + 120,
    }
    return usual | claims


# --- What a logout ends --------------------------------------------------------------------------


def test_a_logout_of_a_session_ends_its_tokens_in_every_worker(guarded: Guarded) -> None:
    """It revokes tokens of the session, and tokens of the subject without sid; no others."""
    workers = [guarded.client, guarded.worker()]
    ended = [guarded.token(sid="session-1"), guarded.token()]
    stays = [
        guarded.token(sid="session-2"),
        guarded.token(sub="eve"),
        guarded.token(sub="eve", sid="session-3"),
        guarded.token(iat=time.time() + MARGIN + 5),
    ]
    for worker in workers:
        assert {guarded.status(token, worker) for token in [*ended, *stays]} == {200}

    answer = guarded.log_out(logout_token(guarded.issuer))

    assert answer.status_code == 200
    for worker in workers:
        assert [guarded.status(token, worker) for token in ended] == [401] * 2
        assert [guarded.status(token, worker) for token in stays] == [200] * 4
    assert LogoutArrived(guarded.issuer.issuer, "session, sessionless") in guarded.events


def test_a_logout_of_a_subject_ends_all_its_sessions(guarded: Guarded) -> None:
    """A logout token without sid is for all sessions so far, and not for a later login."""
    ended = [guarded.token(sid="session-1"), guarded.token(sid="session-2"), guarded.token()]
    stays = [guarded.token(sub="eve", sid="session-1"), guarded.token(iat=time.time() + MARGIN + 5)]

    assert guarded.log_out(logout_token(guarded.issuer, sid=None)).status_code == 200
    assert [guarded.status(token) for token in ended] == [401] * 3
    assert [guarded.status(token) for token in stays] == [200] * 2


def test_a_logout_that_names_a_session_only_ends_that_one(guarded: Guarded) -> None:
    """A token without sid stays valid: it does not say to which session it belongs."""
    assert guarded.log_out(logout_token(guarded.issuer, sub=None)).status_code == 200
    assert guarded.status(guarded.token(sid="session-1")) == 401
    assert guarded.status(guarded.token()) == 200


def test_a_session_of_another_issuer_stays(guarded: Guarded) -> None:
    """An issuer can log out its own users only, not those of another issuer."""
    other = FakeIssuer("https://other.example", aud="api")
    guarded.options["issuer"] = [
        Issuer(issuer.issuer, jwks=issuer.jwks()) for issuer in (guarded.issuer, other)
    ]
    del guarded.options["jwks"]
    guarded.client = guarded.worker()
    theirs = other.token(sub="ada", sid="session-1", iat=time.time() - 60)

    assert guarded.log_out(logout_token(guarded.issuer)).status_code == 200
    assert guarded.status(guarded.token(sid="session-1")) == 401
    assert guarded.status(theirs) == 200
    assert guarded.log_out(logout_token(other)).status_code == 200
    assert guarded.status(theirs) == 401


def test_the_answers_are_those_of_the_specification(guarded: Guarded) -> None:
    """Section 2.8: 200 or 400, a JSON body, and a header that forbids caching."""
    good = guarded.log_out(logout_token(guarded.issuer))
    bad = guarded.log_out("x")

    assert (good.status_code, good.get_json()) == (200, {})
    assert (bad.status_code, bad.get_json()) == (
        400,
        {"error": "invalid_request", "error_description": "The token is malformed"},
    )
    for answer in (good, bad):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"] == "application/json"
        assert "WWW-Authenticate" not in answer.headers


def test_own_checks_are_for_access_tokens(issuer: FakeIssuer, app: EchoApp) -> None:
    """A logout token lacks what they look at, for instance a tenant."""

    def check(claims: Mapping[str, Any], _now: float) -> None:
        if claims["tenant"] != "a":
            raise KeyError

    guarded = Guarded(issuer, app, checks=check)
    assert guarded.status(guarded.token(sid="session-1", tenant="a")) == 200
    assert guarded.log_out(logout_token(issuer)).status_code == 200
    assert guarded.status(guarded.token(sid="session-1", tenant="a")) == 401


def test_without_details_an_answer_says_nothing_of_reasons(
    issuer: FakeIssuer, app: EchoApp
) -> None:
    guarded = Guarded(issuer, app, error_details=False)

    assert guarded.log_out("x").get_json() == {"error": "invalid_request"}
    assert guarded.refusals[0].code == "logout_token_malformed"


@pytest.mark.parametrize("typ", ["logout+jwt", "application/logout+jwt", "JWT", None])
def test_older_providers_name_no_type_of_their_own(guarded: Guarded, typ: str | None) -> None:
    """Section 2.4 recommends ``logout+jwt`` and does not require it."""
    token = guarded.issuer.token(header={"typ": typ}, **logout_claims())

    assert guarded.log_out(token).status_code == 200


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, LIFETIME),
        ({"max_token_age": "1h"}, LIFETIME),
        ({"max_token_age": "60d"}, 60 * 86400 + 600),
    ],
    ids=["unknown", "short", "long"],
)
def test_an_entry_outlives_the_tokens(
    issuer: FakeIssuer, app: EchoApp, options: Any, seconds: float
) -> None:
    """30 days, or as long as max_token_age lets a token live."""
    guarded = Guarded(issuer, app, **options)
    before = time.time()

    assert guarded.log_out(logout_token(issuer)).status_code == 200

    entries = list(Revocations(guarded.store).entries())
    assert {entry.kind for entry in entries if entry} == {"session", "sessionless"}
    for entry in entries:
        assert entry is not None
        assert before + seconds <= entry.expires <= time.time() + MARGIN + seconds + 1


# --- The attack table of logout tokens -----------------------------------------------------------


def unsigned(issuer: FakeIssuer) -> str:
    claims = {"iss": issuer.issuer, "iat": int(time.time())} | logout_claims()
    return f"{part({'alg': 'none', 'typ': 'logout+jwt'})}.{part(claims)}."


def hmac_with_the_public_key(issuer: FakeIssuer) -> str:
    claims = {"iss": issuer.issuer, "iat": int(time.time())} | logout_claims()
    signed = f"{part({'alg': 'HS256', 'kid': issuer.kid})}.{part(claims)}"
    key = json.dumps(issuer.jwks()["keys"][0]).encode()
    return f"{signed}.{part(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def other_payload(issuer: FakeIssuer) -> str:
    head, _, signature = logout_token(issuer).split(".")
    claims = {"iss": issuer.issuer, "iat": int(time.time())} | logout_claims(sub="eve", sid="other")
    return f"{head}.{part(claims)}.{signature}"


def id_token(issuer: FakeIssuer) -> str:
    return issuer.token(aud="shop", sub="ada", sid="session-1", nonce="n-1", jti="id-1")


def access_token(issuer: FakeIssuer) -> str:
    return issuer.token(header={"typ": "at+jwt"}, aud="shop", sub="ada", sid="session-1", jti="a")


def claimed(**claims: Any) -> Callable[[FakeIssuer], str]:
    return lambda issuer: logout_token(issuer, **claims)


def lacking(*names: str) -> Callable[[FakeIssuer], str]:
    return claimed(**dict.fromkeys(names))


def null(name: str) -> Callable[[FakeIssuer], str]:
    """Make a good token but for a claim that is there and null."""

    def make(issuer: FakeIssuer) -> str:
        now = int(time.time())
        claims = {"iss": issuer.issuer, "iat": now} | logout_claims() | {name: None}
        signed = f"{part({'alg': 'EdDSA', 'kid': issuer.kid})}.{part(claims)}"
        return f"{signed}.{part(issuer._keys[0].sign(signed.encode()))}"

    return make


def typed(typ: str) -> Callable[[FakeIssuer], str]:
    return lambda issuer: issuer.token(header={"typ": typ}, **logout_claims())


def ago(seconds: float, **claims: float) -> Callable[[FakeIssuer], str]:
    return lambda issuer: logout_token(
        issuer, iat=time.time() - seconds, exp=time.time() + claims.get("lasts", 120)
    )


ATTACKS: dict[str, tuple[Callable[[FakeIssuer], str], str]] = {
    # forged
    "alg none": (unsigned, "algorithm_not_allowed"),
    "the public key as a secret": (hmac_with_the_public_key, "algorithm_not_allowed"),
    "another key": (lambda issuer: issuer.wrong_key()(**logout_claims()), "signature_invalid"),
    "another payload": (other_payload, "signature_invalid"),
    "no token": (lambda _: "", "token_malformed"),
    "garbage": (lambda _: "a.b.c", "token_malformed"),
    "oversized": (claimed(filler="x" * 13_000), "malformed"),
    # foreign
    "another issuer": (
        lambda _: logout_token(FakeIssuer("https://evil.example")),
        "issuer_not_trusted",
    ),
    "no issuer": (lacking("iss"), "issuer_not_trusted"),
    "another client": (claimed(aud="other"), "audience_mismatch"),
    "the API's audience": (claimed(aud="api"), "audience_mismatch"),
    "no audience": (lacking("aud"), "audience_mismatch"),
    "null as the audience": (null("aud"), "audience_mismatch"),
    "an audience that begins alike": (claimed(aud="shop/admin"), "audience_mismatch"),
    # old
    "expired": (claimed(exp=1), "token_expired"),
    "no exp": (lacking("exp"), "claim_missing"),
    "no iat": (lacking("iat"), "claim_missing"),
    "of yesterday, without an end": (ago(86_400, lasts=86_400.0), "token_too_old"),
    "of tomorrow": (ago(-86_400, lasts=2 * 86_400.0), "token_not_yet_valid"),
    "milliseconds": (claimed(iat=time.time() * 1000), "claim_invalid"),
    # another kind of JWT
    "an ID token": (id_token, "claim_missing"),
    "an access token": (access_token, "token_type_not_allowed"),
    "an access token without its type": (
        lambda issuer: issuer.token(aud="shop", sid="session-1", jti="a"),
        "claim_missing",
    ),
    "a security event": (typed("secevent+jwt"), "token_type_not_allowed"),
    "an at+jwt with all the claims": (typed("at+jwt"), "token_type_not_allowed"),
    "a DPoP proof with all the claims": (typed("dpop+jwt"), "token_type_not_allowed"),
    "with nonce": (claimed(nonce="n-1"), "claim_invalid"),
    "with null as nonce": (null("nonce"), "claim_invalid"),
    "bound to a key": (claimed(cnf={"jkt": "x"}), "token_bound"),
    # events
    "no events": (lacking("events"), "claim_missing"),
    "null as events": (null("events"), "claim_missing"),
    "no event": (claimed(events={}), "claim_invalid"),
    "an event of another kind": (
        claimed(events={"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {}}),
        "claim_invalid",
    ),
    "the event as a text": (claimed(events=EVENT), "claim_invalid"),
    "the event in a list": (claimed(events=[EVENT]), "claim_invalid"),
    "the event without its object": (claimed(events={EVENT: True}), "claim_invalid"),
    # whom, and once
    "neither sub nor sid": (lacking("sub", "sid"), "claim_missing"),
    "an empty subject": (claimed(sub=""), "claim_invalid"),
    "an empty session": (claimed(sid=""), "claim_invalid"),
    "a number as a session": (claimed(sid=1), "claim_invalid"),
    "a list of sessions": (claimed(sid=["session-1"]), "claim_invalid"),
    "a list of subjects": (claimed(sub=["ada"]), "claim_invalid"),
    "null as a session": (null("sid"), "claim_invalid"),
    "no jti": (lacking("jti"), "claim_missing"),
    "an empty jti": (claimed(jti=""), "claim_invalid"),
    "a number as jti": (claimed(jti=7), "claim_invalid"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_with_a_logout_token_changes_nothing(guarded: Guarded, name: str) -> None:
    """400 as in section 2.8, an event with the reason, and nothing is revoked."""
    make, code = ATTACKS[name]
    users = [guarded.token(sid="session-1"), guarded.token(), guarded.token(sub="eve")]

    answer = guarded.log_out(make(guarded.issuer))

    assert answer.status_code == 400
    assert answer.get_json()["error"] == "invalid_request"
    assert answer.headers["Cache-Control"] == "no-store"
    assert [(event.code, event.status) for event in guarded.refusals] == [(f"logout_{code}", 400)]
    assert guarded.refusals[0].rule == f"'{PATH}'"
    assert guarded.held == {}
    assert guarded.app.environ is None
    assert [guarded.status(token) for token in users] == [200] * 3


def test_a_replayed_logout_token_is_refused_and_changes_nothing(guarded: Guarded) -> None:
    """Section 2.6, step 8. An entry that an operator has removed meanwhile does not come back."""
    token, theirs = logout_token(guarded.issuer), guarded.token(sid="session-1")
    assert guarded.log_out(token).status_code == 200
    held = guarded.held
    assert guarded.status(theirs) == 401

    answer = guarded.log_out(token)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert guarded.refusals[-1].code == "logout_replayed"
    assert guarded.held == held
    Revocations(guarded.store).undo("session", guarded.issuer.issuer, "session-1")
    Revocations(guarded.store).undo("sessionless", guarded.issuer.issuer, "ada")
    assert guarded.log_out(token).status_code == 400
    assert guarded.status(theirs) == 200


def test_a_message_that_comes_again_revokes_nothing_more(issuer: FakeIssuer) -> None:
    """Its own iat counts: a later login stays valid, also if the jti was not remembered."""
    revocations, issued = Revocations(SharedStore()), time.time() - 100
    for _ in range(2):
        revocations.log_out(issuer.issuer, subject="ada", sid=None, issued=issued, lifetime=60)

    (entry,) = revocations.entries()
    assert entry is not None
    assert entry.not_before == issued + MARGIN


def test_a_replay_in_another_worker_is_refused(guarded: Guarded) -> None:
    """The used jti is in the store, so every worker sees it."""
    token = logout_token(guarded.issuer)

    assert guarded.log_out(token).status_code == 200
    assert guarded.worker().post(PATH, data={"logout_token": token}).status_code == 400


def test_a_used_jti_is_remembered_until_its_token_is_too_old(guarded: Guarded) -> None:
    """However late its exp is; the leeway is added at both ends."""
    guarded.log_out(logout_token(guarded.issuer, exp=time.time() + 10**8))
    now = time.monotonic()

    (ends,) = [ends for key, (_, ends) in guarded.held.items() if "logout" in key]
    assert MAX_AGE + 600 - 60 < ends - now <= MAX_AGE + 600


def test_the_jti_of_one_issuer_is_not_that_of_another(guarded: Guarded) -> None:
    """Otherwise one issuer could prevent logouts of another one, by using their jti first."""
    other = FakeIssuer("https://other.example")
    guarded.options["issuer"] = [
        Issuer(issuer.issuer, jwks=issuer.jwks()) for issuer in (guarded.issuer, other)
    ]
    del guarded.options["jwks"]
    guarded.client = guarded.worker()

    assert guarded.log_out(logout_token(other)).status_code == 200
    assert guarded.log_out(logout_token(guarded.issuer)).status_code == 200


@pytest.mark.parametrize("audience", ["api", "shop", "*"])
@pytest.mark.parametrize("typ", ["logout+jwt", "JWT"])
@pytest.mark.parametrize("listens", [True, False], ids=["with logouts", "without"])
def test_a_logout_token_is_refused_as_an_access_token(
    issuer: FakeIssuer, app: EchoApp, audience: str, typ: str, listens: bool
) -> None:
    """Not even if the API's audience is the client id, or if the API takes no logouts."""
    guarded = Guarded(issuer, app, audience=audience)
    if not listens:
        guarded.options["revocation"] = guarded.store
        guarded.client = guarded.worker()
    token = issuer.token(header={"typ": typ}, **logout_claims())

    answer = guarded.client.get("/orders", headers=bearer(token))

    assert answer.status_code == 401
    assert answer.get_json()["code"] == "token_type_not_allowed"
    assert app.environ is None


# --- The request ---------------------------------------------------------------------------------


class Body(io.BytesIO):
    """A body that says how much of it was read, and gives it in small pieces."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[int | None] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.asked.append(size)
        return super().read(min(size or 0, 100))


class BrokenBody:
    def read(self, _size: int) -> bytes:
        raise ConnectionResetError


class Sent(NamedTuple):
    """A request: what differs from the good one, and whether its body may be read."""

    environ: Mapping[str, Any] = {}
    body: Callable[[str], bytes] = lambda token: f"logout_token={token}".encode()
    reads: bool = False


def environ_of(sent: Sent, token: str) -> dict[str, Any]:
    data = sent.body(token)
    environ = EnvironBuilder(path=PATH, method="POST", content_type=FORM).get_environ()
    environ |= {"CONTENT_LENGTH": str(len(data)), "wsgi.input": Body(data)} | dict(sent.environ)
    return {name: value for name, value in environ.items() if value is not None}


REQUESTS: dict[str, Sent] = {
    "no content type": Sent({"CONTENT_TYPE": None}),
    "JSON": Sent({"CONTENT_TYPE": "application/json"}, lambda t: json.dumps([t]).encode()),
    "multipart": Sent({"CONTENT_TYPE": "multipart/form-data; boundary=x"}),
    "text": Sent({"CONTENT_TYPE": "text/plain"}),
    "a form of another character set": Sent({"CONTENT_TYPE": f"{FORM}; charset=utf-7"}),
    "two content types": Sent({"CONTENT_TYPE": f"{FORM}, text/plain"}),
    "no length": Sent({"CONTENT_LENGTH": None}),
    "an empty length": Sent({"CONTENT_LENGTH": ""}),
    "nothing": Sent({"CONTENT_LENGTH": "0"}),
    "a negative length": Sent({"CONTENT_LENGTH": "-1"}),
    "a signed length": Sent({"CONTENT_LENGTH": "+500"}),
    "two lengths": Sent({"CONTENT_LENGTH": "500, 500"}),
    "digits of another script": Sent({"CONTENT_LENGTH": "\u0665\u0660\u0660"}),
    "digits with _": Sent({"CONTENT_LENGTH": "5_00"}),
    "a length of many digits": Sent({"CONTENT_LENGTH": "9" * 5000}),
    "one byte too many": Sent({"CONTENT_LENGTH": str(MAX_BODY + 1)}),
    "chunked": Sent({"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": None}),
    "chunked with a length": Sent({"HTTP_TRANSFER_ENCODING": "chunked"}),
    "compressed": Sent({"HTTP_CONTENT_ENCODING": "gzip"}),
    "shorter than it says": Sent({"CONTENT_LENGTH": str(MAX_BODY)}, reads=True),
    "cut off": Sent({"wsgi.input": BrokenBody()}, reads=True),
    "a part without =": Sent(body=lambda t: f"logout_token={t}&x".encode(), reads=True),
    "no member": Sent(body=lambda t: t.encode(), reads=True),
    "another member": Sent(body=lambda t: f"token={t}".encode(), reads=True),
    "another case": Sent(body=lambda t: f"Logout_Token={t}".encode(), reads=True),
    "twice": Sent(body=lambda t: f"logout_token={t}&logout_token={t}".encode(), reads=True),
    "twice, once escaped": Sent(
        body=lambda t: f"logout_token={t}&logout%5Ftoken={t}".encode(), reads=True
    ),
    "twice, once empty": Sent(
        body=lambda t: f"logout_token=&logout_token={t}".encode(), reads=True
    ),
    "with ; between": Sent(body=lambda t: f"a=b;logout_token={t}".encode(), reads=True),
    "very many members": Sent(
        body=lambda t: f"{'a=b&' * 500}logout_token={t}".encode(), reads=True
    ),
    "no ASCII": Sent(body=lambda t: f"logout_token={t}&a=é".encode(), reads=True),
    "no UTF-8": Sent(body=lambda t: f"logout_token={t}&a=%ff".encode(), reads=True),
    "in the query": Sent(
        {"QUERY_STRING": "logout_token=x"}, body=lambda _: b"a=b", reads=True
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_can_be_read_in_two_ways_changes_nothing(
    guarded: Guarded, name: str
) -> None:
    """Although the token is good. A body that is too long or has no length is not read."""
    sent = REQUESTS[name]
    environ = environ_of(sent, logout_token(guarded.issuer))

    body, status, headers = run_wsgi_app(guarded.client.application, environ)

    assert status == "400 Bad Request"
    assert json.loads(b"".join(body))["error"] == "invalid_request"
    assert headers["Cache-Control"] == "no-store"
    assert [event.code for event in guarded.refusals] == ["logout_malformed"]
    assert guarded.held == {}
    if not sent.reads:
        assert environ["wsgi.input"].asked == []


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(Sent(), id="plain"),
        pytest.param(Sent({"CONTENT_TYPE": f"{FORM};charset=UTF-8"}), id="charset"),
        pytest.param(Sent({"CONTENT_TYPE": FORM.upper()}), id="upper case"),
        pytest.param(
            Sent(body=lambda t: f"state=x&logout_token={t}&other=".encode()), id="other members"
        ),
        pytest.param(
            Sent(body=lambda t: ("logout_token=" + t.replace(".", "%2E")).encode()), id="escaped"
        ),
        pytest.param(
            Sent(body=lambda t: (f"logout_token={t}&pad=".ljust(MAX_BODY, "x")).encode()),
            id="as long as it may be",
        ),
    ],
)
def test_what_a_form_may_look_like(guarded: Guarded, sent: Sent) -> None:
    """Unknown members are ignored (section 2.5), and a body may arrive in pieces."""
    environ = environ_of(sent, logout_token(guarded.issuer))

    _, status, _ = run_wsgi_app(guarded.client.application, environ)

    assert status == "200 OK"
    asked = environ["wsgi.input"].asked
    assert max(asked) <= MAX_BODY
    assert guarded.status(guarded.token(sid="session-1")) == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"])
def test_only_post_is_served(guarded: Guarded, method: str) -> None:
    """The app never sees a request to this path, whatever its method is."""
    if method != "post":  # of which the validator of the standard library knows nothing
        guarded.client = Client(validator(guarded.client.application))
    answer = guarded.client.open(PATH, method=method, buffered=True)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.headers["Cache-Control"] == "no-store"
    assert (answer.data == b"") == (method == "HEAD")
    assert guarded.app.environ is None


def test_the_answers_follow_the_contract_of_wsgi(guarded: Guarded) -> None:
    """PEP 3333, by the validator of the standard library."""
    guarded.client = Client(validator(guarded.client.application))

    assert guarded.log_out(logout_token(guarded.issuer), buffered=True).status_code == 200
    assert guarded.log_out("x", buffered=True).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        f"{PATH}/",
        f"/{PATH}",
        f"/.{PATH}",
        f"/x/..{PATH}",
        "/logout//backchannel",
        "/Logout/backchannel",
        f"{PATH};v=1",
        f"{PATH}.json",
        f"{PATH}\n",
        f"{PATH}\0",
        "/logout%2fbackchannel",
        "/logout",
    ],
)
def test_another_spelling_of_the_path_needs_an_access_token(guarded: Guarded, path: str) -> None:
    """The path is compared byte for byte. Any other path is the app's, under its rules."""
    environ = environ_of(Sent(), logout_token(guarded.issuer)) | {"PATH_INFO": path}

    _, status, headers = run_wsgi_app(guarded.client.application, environ)

    assert status.startswith("401 ")
    assert "WWW-Authenticate" in headers
    assert (guarded.app.environ, guarded.held) == (None, {})


def test_no_rule_is_applied_to_the_logout_path(issuer: FakeIssuer, app: EchoApp) -> None:
    """The provider has no access token, so no rule is applied; the app does not get the path."""
    rules = json.dumps([{"path": PATH, "token": "ignored"}, {"path": "/*", "scopes": ["admin"]}])
    guarded = Guarded(issuer, app, rules=rules)

    assert guarded.log_out(logout_token(issuer)).status_code == 200
    assert guarded.client.get(PATH).status_code == 405
    assert app.environ is None


def test_backchannel_logout_is_off_by_default(issuer: FakeIssuer, app: EchoApp) -> None:
    """The app gets requests to the path."""
    guarded = Guarded(issuer, app)
    guarded.options["revocation"] = guarded.store
    guarded.client = guarded.worker()

    assert guarded.log_out(logout_token(issuer)).status_code == 401
    answer = guarded.log_out("x", headers=bearer(guarded.token()))
    assert answer.status_code == 200
    assert app.payload["sub"] == "ada"


# --- Failures ------------------------------------------------------------------------------------


class FailingStore(SharedStore):
    """A store whose next calls of one method raise."""

    def __init__(self, method: str, after: int) -> None:
        super().__init__()
        self.method, self.after, self.failing = method, after, True

    def _call(self, method: str) -> None:
        if self.failing and method == self.method:
            self.after -= 1
            if self.after < 0:
                raise TimeoutError("hunter2")

    def read_entries(self, keys: Sequence[str], /) -> list[bytes | None]:
        self._call("read")
        return super().read_entries(keys)

    def add_entry(self, key: str, value: bytes, timeout: float | None, /) -> bool:
        self._call("add")
        return super().add_entry(key, value, timeout)


@pytest.mark.parametrize("fail_open", [False, True])
@pytest.mark.parametrize(
    ("method", "after"),
    [("read", 0), ("read", 1), ("read", 2), ("add", 0), ("add", 1), ("add", 2)],
    ids=["read", "read of one", "read of the other", "session", "sessionless", "jti"],
)
def test_a_logout_is_503_if_the_store_fails(
    issuer: FakeIssuer, app: EchoApp, method: str, after: int, fail_open: bool
) -> None:
    """The same token is accepted later, because it was not marked as used."""
    guarded = Guarded(issuer, app)
    guarded.store = store = FailingStore(method, after)
    guarded.options["revocation"] = {
        "store": store, "backchannel_logout": LOGOUT, "fail_open": fail_open
    }  # fmt: skip
    guarded.client = guarded.worker()
    token = logout_token(issuer)

    answer = guarded.log_out(token)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.get_json()["error"] == "temporarily_unavailable"
    assert answer.headers["Cache-Control"] == "no-store"
    (refused,) = guarded.refusals
    assert (refused.code, refused.detail) == ("logout_unavailable", "builtins.TimeoutError")
    assert not any(isinstance(event, LogoutArrived) for event in guarded.events)

    store.failing = False
    assert guarded.log_out(token).status_code == 200
    assert guarded.status(guarded.token(sid="session-1")) == 401


def test_a_logout_is_503_if_the_store_does_not_keep_it(issuer: FakeIssuer, app: EchoApp) -> None:
    """A cache without room may confirm a write and not keep the value."""

    class Forgetful(SharedStore):
        def _put(self, key: str, value: bytes, timeout: float | None) -> None:
            pass

    guarded = Guarded(issuer, app)
    guarded.options["revocation"] = {"store": Forgetful(), "backchannel_logout": LOGOUT}
    guarded.client = guarded.worker()

    assert guarded.log_out(logout_token(issuer)).status_code == 503


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeysUnavailableError(7), 503), (KeyNotKnownYetError(7), 429)],
    ids=["no keys", "unknown key"],
)
def test_a_logout_is_503_or_429_if_keys_are_not_available(
    issuer: FakeIssuer, app: EchoApp, error: Exception, status: int
) -> None:
    """With Retry-After, so that the provider sends it again."""

    class Keys:
        def candidates(self, _header: Any) -> Iterator[Any]:
            raise error

    guarded = Guarded(issuer, app, issuer=Issuer(issuer.issuer, keys=Keys()), jwks=None)

    answer = guarded.log_out(logout_token(issuer))

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert answer.get_json()["error"] == "temporarily_unavailable"
    assert guarded.held == {}


def test_a_logout_token_is_verified_with_the_keys_that_requests_use(app: EchoApp) -> None:
    """One key source for both: a logout starts no fetch of its own."""
    with FakeIssuer().serve() as issuer:
        guarded = Guarded(issuer, app, jwks=None)
        assert guarded.status(guarded.token(sid="session-1")) == 200
        fetched = len(issuer.requests)

        assert guarded.log_out(logout_token(issuer)).status_code == 200
        assert guarded.status(guarded.token(sid="session-1")) == 401
        assert len(issuer.requests) == fetched


def test_nothing_of_a_token_is_in_the_log(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither claims of a good token nor claims of a bad one."""
    caplog.set_level(logging.DEBUG)
    names = {"sub": "the-subject", "sid": "the-session", "jti": "the-jti"}
    guarded.log_out(logout_token(guarded.issuer, **names))
    guarded.log_out(logout_token(guarded.issuer, **names))
    guarded.log_out(logout_token(guarded.issuer, **names, nonce="the-nonce"))

    said = caplog.text
    assert "a logout of https://issuer.example arrived" in said
    assert "refused 400 logout_replayed method='POST' rule='/logout/backchannel'" in said
    assert "the-" not in said


# --- Settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("/logout", "give {"),
        ({}, "path: give one path"),
        ({"path": PATH}, "client_id: give the client id"),
        ({"path": PATH, "client_id": []}, "client_id: give at least one"),
        ({"path": PATH, "client_id": ""}, "give a text that is not empty"),
        ({"path": PATH, "client_id": "*"}, "none with"),
        ({"path": PATH, "client_id": ["shop", "shop/*"]}, "none with"),
        ({"path": PATH, "client_id": {"a": "b"}}, "client_id: give the client id"),
        ({"path": PATH, "client": "shop"}, "its members are path, client_id"),
        ({"path": "logout", "client_id": "shop"}, "path: give one path"),
        ({"path": "/", "client_id": "shop"}, "path: give one path"),
        ({"path": "/logout/*", "client_id": "shop"}, "path: give one path"),
        ({"path": "/a/../b", "client_id": "shop"}, "path: give one path"),
        ({"path": "//logout", "client_id": "shop"}, "path: give one path"),
        ({"path": "/log%6fut", "client_id": "shop"}, "path: give one path"),
        ({"path": "/logout?x", "client_id": "shop"}, "path: give one path"),
        ({"path": "/logout#x", "client_id": "shop"}, "path: give one path"),
        ({"path": "/log out", "client_id": "shop"}, "path: give one path"),
        ({"path": "/logoüt", "client_id": "shop"}, "path: give one path"),
        ({"path": 7, "client_id": "shop"}, "path: give one path"),
        (
            {"path": "/.well-known/oauth-protected-resource/x", "client_id": "shop"},
            "metadata of the option resource",
        ),
    ],
    ids=range(21),
)
def test_wrong_members_are_configuration_errors(issuer: FakeIssuer, value: Any, why: str) -> None:
    """The error names the member and the remedy."""
    revocation = {"store": SharedStore(), "backchannel_logout": value}
    with pytest.raises(ConfigurationError, match=r"revocation: .*backchannel_logout: ") as caught:
        issuer.protect(lambda e, s: [], revocation=revocation)

    assert why in str(caught.value)


def test_backchannel_logout_needs_a_store(issuer: FakeIssuer) -> None:
    """A function alone cannot keep what was revoked."""
    revocation = {"function": lambda _: False, "backchannel_logout": LOGOUT}
    with pytest.raises(ConfigurationError, match="needs a store that all processes share"):
        issuer.protect(lambda e, s: [], revocation=revocation)


def test_backchannel_logout_needs_listed_issuers(issuer: FakeIssuer) -> None:
    """A function cannot say which client id belongs to which issuer, so it is refused."""
    revocation = {"store": SharedStore(), "backchannel_logout": LOGOUT}
    with pytest.raises(ConfigurationError, match="it needs issuers that are listed"):
        JWTMiddleware(lambda e, s: [], issuer=lambda _: None, revocation=revocation)


def test_the_text_of_the_option_is_json() -> None:
    """In the environment; one client id, or several."""
    text = {"store": "redis://127.0.0.1:1/0", "backchannel_logout": LOGOUT}
    read = read_revocation(json.dumps(text))
    assert read.backchannel_logout == BackchannelLogout(PATH, ("shop",))

    text["backchannel_logout"] = {"path": PATH, "client_id": ["shop", "app"]}
    read = read_revocation(json.dumps(text))
    assert read.backchannel_logout == BackchannelLogout(PATH, ("shop", "app"))


def test_each_client_of_the_api_may_be_logged_out(issuer: FakeIssuer, app: EchoApp) -> None:
    """An API may have several clients, and the issuer sends a logout for each of them."""
    guarded = Guarded(issuer, app)
    clients = {"path": PATH, "client_id": ["shop", "phone"]}
    guarded.options["revocation"] = {"store": guarded.store, "backchannel_logout": clients}
    guarded.client = guarded.worker()

    for number, aud in enumerate(["shop", "phone", ["phone", "other"]]):
        token = logout_token(issuer, aud=aud, jti=str(number))
        assert guarded.log_out(token).status_code == 200
    assert guarded.log_out(logout_token(issuer, aud="other")).status_code == 400


@pytest.mark.parametrize("store", [MemoryStore(), SharedStore()], ids=["memory", "shared"])
def test_a_store_of_one_process_causes_a_warning(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture, store: MemoryStore
) -> None:
    """With several workers a logout would reach one of them."""
    issuer.protect(lambda e, s: [], revocation={"store": store, "backchannel_logout": LOGOUT})

    warned = "a logout reaches this process only" in caplog.text
    assert warned == (type(store) is MemoryStore)


def test_settings_of_a_request_may_name_the_issuer(issuer: FakeIssuer, app: EchoApp) -> None:
    """The settings of the request decide who may post a logout."""
    guarded = Guarded(issuer, app, issuer=None, settings_from_request=True)
    environ = environ_of(Sent(), logout_token(issuer)) | {"jwt_wsgi.issuer": issuer.issuer}

    _, status, _ = run_wsgi_app(guarded.client.application, environ)

    assert status == "200 OK"
    assert {entry.kind for entry in Revocations(guarded.store).entries() if entry} == {
        "session", "sessionless",
    }  # fmt: skip


# --- Commands ------------------------------------------------------------------------------------

APP = """
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import MemoryStore

store = MemoryStore()
app = JWTMiddleware(
    lambda environ, start_response: [],
    issuer="https://issuer.example",
    jwks_uri="http://127.0.0.1:1/jwks",
    audience="api",
    revocation={
        "store": store,
        "backchannel_logout": {"path": "/logout/backchannel", "client_id": "shop"},
    },
)
"""


@pytest.fixture
def app_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    name = "backchannel_app"
    (tmp_path / f"{name}.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    return f"{name}:app"


def test_the_commands_know_the_path(app_path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is listed among the relaxed checks, because it needs no token."""
    assert main(["settings", "--app", app_path, "--json"]) == 0
    relaxed = json.loads(capsys.readouterr().out)["middlewares"][0]["relaxed_checks"]
    assert any(row.startswith(f"{PATH}: takes logout tokens") for row in relaxed)


def test_the_routes_of_an_app_name_the_path(issuer: FakeIssuer) -> None:
    """It has a row, although the app never gets the path."""
    store = {"store": SharedStore(), "backchannel_logout": LOGOUT}
    guard = JWTMiddleware(lambda e, s: [], issuer=issuer.issuer, revocation=store)

    (row,) = _own_rows(guard)
    assert (row.path, row.methods, row.framework) == (PATH, ("POST",), "jwt_wsgi")
    assert row.rule == Rule(PATH, token=Token.IGNORED)


def test_an_operator_sees_a_logout_and_takes_it_back(
    app_path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """``revoke list`` has both entries; ``subject --undo`` is for tokens without sid, too."""
    import backchannel_app  # type: ignore[import-not-found]

    revocations = Revocations(backchannel_app.store)
    iss = "https://issuer.example"
    revocations.log_out(iss, subject="ada", sid="s-1", issued=time.time(), lifetime=60)

    assert main(["revoke", "--app", app_path, "list"]) == 0
    said = capsys.readouterr().out
    assert "session 's-1' of" in said
    assert "sessionless 'ada' of 'https://issuer.example', tokens issued before" in said
    undo = ["revoke", "--app", app_path, "subject", "--iss", iss, "--sub", "ada", "--undo"]
    assert main(undo) == 0
    assert [entry.kind for entry in revocations.entries() if entry] == ["session"]
    assert main(undo) == 1


# --- Two workers and a Redis ---------------------------------------------------------------------

WORKER = """
import os

from jwt_wsgi import JWTMiddleware


def app(environ, start_response):
    start_response("200 OK", [("X-Worker", str(os.getpid()))])
    return [b"in"]


application = JWTMiddleware(app)
"""


@pytest.mark.slow
def test_a_user_is_out_in_every_worker_within_a_second(tmp_path: Path) -> None:
    """One worker takes the logout; then both refuse the token."""
    issuer = FakeIssuer("https://issuer.example", aud="api")
    (tmp_path / "guarded_worker.py").write_text(WORKER)
    with redis_server(tmp_path) as redis:
        env = {
            "JWT_WSGI_ISSUER": issuer.issuer,
            "JWT_WSGI_JWKS": json.dumps(issuer.jwks()),
            "JWT_WSGI_AUDIENCE": "api",
            "JWT_WSGI_REVOCATION": json.dumps({"store": redis.url, "backchannel_logout": LOGOUT}),
        }
        options = ("--worker-class", "gthread", "--threads", "4", "--keep-alive", "30")
        with gunicorn("guarded_worker", cwd=tmp_path, env=env, options=options) as url:
            _check_workers(urlsplit(url), issuer)


def _check_workers(url: Any, issuer: FakeIssuer) -> None:
    theirs = bearer(issuer.token(sub="ada", sid="session-1", iat=time.time() - 60))
    other = bearer(issuer.token(sub="ada", sid="session-2", iat=time.time() - 60))
    by_worker: dict[str, HTTPConnection] = {}

    def get(connection: HTTPConnection, headers: Mapping[str, str]) -> tuple[int, str]:
        connection.request("GET", "/", headers=dict(headers))
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("X-Worker", "")

    def meet_workers() -> None:
        """Many connections at once, so that one worker does not take all of them."""
        burst = [HTTPConnection(url.hostname, url.port, timeout=10) for _ in range(16)]
        for connection in burst:
            connection.connect()
        for connection in burst:
            status, worker = get(connection, theirs)
            assert status == 200
            if by_worker.setdefault(worker, connection) is not connection:
                connection.close()

    until = time.monotonic() + 30  # the second worker may start late on a busy machine
    while len(by_worker) < 2 and time.monotonic() < until:
        meet_workers()  # keep-alive: a connection stays with its worker
    assert len(by_worker) == 2

    with closing(HTTPConnection(url.hostname, url.port, timeout=10)) as provider:
        form = urlencode({"logout_token": logout_token(issuer)})
        provider.request("POST", PATH, form, {"Content-Type": FORM})
        answer = provider.getresponse()
        assert (answer.status, answer.read()) == (200, b"{}")
        for connection in by_worker.values():  # the very next request, in each of them
            assert get(connection, theirs)[0] == 401
            assert get(connection, other)[0] == 200
        provider.request("POST", PATH, form, {"Content-Type": FORM})
        assert provider.getresponse().status == 400
    for connection in by_worker.values():
        connection.close()
