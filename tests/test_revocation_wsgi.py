"""Revocation as a client and an operator see it: the whole way through the middleware."""

from collections.abc import Callable
from typing import Any

import pytest
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.events import Event
from jwt_wsgi.events import RevocationFailed
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import MemoryStore

#: What is revoked is refused at every use, whether or not its signature is remembered.
pytestmark = pytest.mark.usefixtures("with_and_without_a_cache")

Clients = Callable[..., Client]
NAMES: dict[str, Any] = {"jti": "token-1", "sub": "ada", "sid": "session-1", "iat": 1}


@pytest.mark.parametrize(
    "revoke",
    [
        pytest.param(lambda r, iss: r.revoke_token(iss, "token-1"), id="jti"),
        pytest.param(lambda r, iss: r.revoke_subject(iss, "ada"), id="sub"),
        pytest.param(lambda r, iss: r.revoke_session(iss, "session-1"), id="sid"),
    ],
)
def test_a_revoked_token_is_401_on_its_next_request(
    client: Clients, issuer: FakeIssuer, revoke: Any
) -> None:
    """In every middleware with that store, however often the token was good before."""
    store = MemoryStore()
    clients, header = (
        [client(revocation=store), client(revocation=store)],
        bearer(issuer.token(**NAMES)),
    )
    assert [c.get("/", headers=header).status_code for c in clients * 3] == [200] * 6

    revoke(Revocations(store), issuer.issuer)

    for each in clients:
        answer = each.get("/", headers=header)
        assert answer.status_code == 401
        assert answer.get_json() == {
            "error": "Invalid token",
            "details": "The token has been revoked",
            "code": "token_revoked",
        }
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("before", [0, 2], ids=["at its first use", "later"])
@pytest.mark.parametrize(
    ("option", "code"), [("revocation", "token_revoked"), ("checks", "claim_invalid")]
)
def test_the_log_says_whose_token_was_refused_after_its_signature(
    client: Clients,
    issuer: FakeIssuer,
    caplog: pytest.LogCaptureFixture,
    option: str,
    code: str,
    before: int,
) -> None:
    """The whole line: issuer, algorithm and key, as in that of any other refusal."""
    uses: list[object] = []

    def decide(*given: object) -> bool:
        uses.append(given)
        refused = len(uses) > before
        return refused if option == "revocation" else not refused

    it, header = client(**{option: decide}), bearer(issuer.token())
    statuses = [it.get("/", headers=header).status_code for _ in range(before + 1)]

    assert statuses == [200] * before + [401]
    (line,) = [record.getMessage() for record in caplog.records if code in record.getMessage()]
    assert line.startswith(f"refused 401 {code} ")
    assert " iss='https://issuer.example' alg='EdDSA' kid='key-1'; see " in line


class Broken(MemoryStore):
    def read_entries(self, keys: Any, /) -> list[bytes | None]:
        raise TimeoutError


def test_a_store_that_does_not_answer_is_503(client: Clients, issuer: FakeIssuer) -> None:
    """Our trouble, not the client's: no challenge, and when to come again."""
    answer = client(revocation=Broken()).get("/", headers=bearer(issuer.token(**NAMES)))

    assert answer.status_code == 503
    assert answer.get_json()["error"] == "Revocation check unavailable"
    assert answer.get_json()["code"] == "revocation_unavailable"
    assert answer.headers["Retry-After"] == "1"
    assert "WWW-Authenticate" not in answer.headers


def test_a_store_in_a_mapping_fails_closed(client: Clients, issuer: FakeIssuer) -> None:
    """Unless the mapping says otherwise."""
    answer = client(revocation={"store": Broken()}).get("/", headers=bearer(issuer.token(**NAMES)))

    assert answer.status_code == 503


def test_it_passes_by_option_and_is_told(client: Clients, issuer: FakeIssuer) -> None:
    """The operator chose; the event says it for each request."""
    events: list[Event] = []
    it = client(revocation={"store": Broken(), "fail_open": True}, on_event=events.append)

    assert it.get("/", headers=bearer(issuer.token(**NAMES))).status_code == 200
    assert next(type(event) for event in events) is RevocationFailed


def test_revocation_is_not_checked_for_a_token_that_is_refused_before(
    client: Clients, issuer: FakeIssuer
) -> None:
    """A made-up token costs no round trip, and cannot cause a 503."""
    asked: list[Any] = []
    it = client(revocation=lambda claims: asked.append(claims) or True)
    for token in (issuer.wrong_key()(), issuer.token(exp=1), issuer.token(cnf={"jkt": "x"}), "x"):
        answer = it.get("/", headers=bearer(token))
        assert answer.status_code == 401
        assert answer.get_json()["code"] != "token_revoked"
    assert asked == []

    answer = it.get("/", headers=bearer(issuer.token()))
    assert answer.get_json()["code"] == "token_revoked"
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"revocation": "memcached://:hunter2@x"}, "begins with redis://"),
        ({"revocation": {}}, "it needs a store or a function"),
    ],
    ids=["url", "mapping"],
)
def test_what_is_no_store_does_not_start(issuer: FakeIssuer, options: Any, why: str) -> None:
    """With the remedy, and without what may be a password."""
    with pytest.raises(ConfigurationError, match=why) as caught:
        JWTMiddleware(lambda e, s: [], issuer=issuer.issuer, jwks=issuer.jwks(), **options)

    assert "hunter2" not in str(caught.value)
