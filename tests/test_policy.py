"""One policy under gunicorn in front of Flask, Django and Pyramid: all answer alike.

``python tests/test_policy.py`` prints the table of requests and answers.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from servers.running import gunicorn

from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

APPS = Path(__file__).parent / "servers" / "apps"
FRAMEWORKS = ("told_flask", "told_django", "told_pyramid")
API = "https://api.example"

RULES = [
    {"path": "/health", "token": "ignored"},
    {"path": "/feed/*", "token": "optional"},
    {"path": "/orders/*", "methods": ["GET"], "scopes": ["orders:read"]},
    {"path": "/orders/*", "scopes": ["orders:read", "orders:write"]},
    {"path": "/reports/*", "any_scope": ["reports", "admin"]},
    {"path": "/admin/*", "claims": {"realm_access.roles": ["admin"]}},
    {"path": "/transfer", "acr_values": ["gold"], "max_age": "5m"},
    {"path": "/beta/*", "token": "report", "scopes": ["beta"]},
]


class Issuers(NamedTuple):
    """EdDSA found by discovery, ES256 at a jwks_uri, and a shared secret; each its audience."""

    staff: FakeIssuer
    partner: FakeIssuer
    legacy: FakeIssuer

    def as_json(self) -> str:
        return json.dumps(
            [
                {"issuer": self.staff.issuer, "audience": API},
                {
                    "issuer": self.partner.issuer,
                    "audience": "partners",
                    "jwks_uri": self.partner.jwks_uri,
                    "algorithms": "ES256",
                },
                {"issuer": self.legacy.issuer, "secret": self.legacy.secret},
            ]
        )


@contextmanager
def issuers() -> Iterator[Issuers]:
    with ExitStack() as stack:
        staff = stack.enter_context(FakeIssuer(aud=API).serve())
        partner = FakeIssuer("https://partner.example", algorithm="ES256", aud="partners")
        stack.enter_context(partner.serve())
        yield Issuers(staff, partner, FakeIssuer("legacy", algorithm="HS256"))


@contextmanager
def running(framework: str, who: Issuers, token_cache_size: int = 4096) -> Iterator[str]:
    env = {
        "JWT_WSGI_TOKEN_CACHE_SIZE": str(token_cache_size),
        "JWT_WSGI_ISSUER": who.as_json(),
        "JWT_WSGI_RULES": json.dumps(RULES),
        "JWT_WSGI_CLAIM_HEADERS": "unique|sub=X-User",
        "JWT_WSGI_TOKEN_FROM": '{"forward": false}',
    }
    with gunicorn(f"{framework}:application", cwd=APPS, env=env, workers=1) as url:
        yield url


class Row(NamedTuple):
    """A request, in words and as it is sent, and what must come of it."""

    method: str
    path: str
    who: str
    token: str | None
    status: int
    told: str  # sub, or the code of the refusal; "-": nobody


def rows(who: Issuers) -> list[Row]:
    staff, partner, legacy = who
    now = time.time()
    read, write, few = "orders:read", "orders:read orders:write", "insufficient_scope"
    users, admins = ({"roles": roles} for roles in (["user"], ["user", "admin"]))

    def ada(**claims: Any) -> str:
        return staff.token(sub="ada", **claims)

    gold = {"acr": "gold", "auth_time": now - 60}
    return [
        Row("GET", "/health", "nobody", None, 200, "-"),
        Row("GET", "/health", "rubbish", "rubbish", 200, "-"),
        Row("GET", "/", "nobody", None, 401, "token_missing"),
        Row("GET", "/", "staff", ada(), 200, "ada"),
        Row("GET", "/", "partner", partner.token(sub="bob"), 200, "bob"),
        Row("GET", "/", "legacy", legacy.token(sub="old"), 200, "old"),
        Row("GET", "/", "staff for partners", ada(aud="partners"), 401, "audience_mismatch"),
        Row("GET", "/", "partner for the API", partner.token(aud=API), 401, "audience_mismatch"),
        Row("GET", "/", "legacy with an audience", legacy.token(aud=API), 401, "audience_mismatch"),
        Row("GET", "/", "partner in staff's name", partner.token(iss=staff.issuer, aud=API), 401,
            "key_not_found"),
        Row("GET", "/", "another key", staff.wrong_key()(), 401, "signature_invalid"),
        Row("GET", "/", "legacy in staff's name", legacy.token(iss=staff.issuer, aud=API), 401,
            "algorithm_not_allowed"),
        Row("GET", "/", "staff in partner's name", ada(iss=partner.issuer, aud="partners"), 401,
            "algorithm_not_allowed"),
        Row("GET", "/", "a stranger", FakeIssuer().token(), 401, "issuer_not_trusted"),
        Row("GET", "/", "a slash more", ada(iss=staff.issuer + "/"), 401, "issuer_not_trusted"),
        Row("GET", "/", "staff, expired", ada(exp=1), 401, "token_expired"),
        Row("GET", "/feed/1", "nobody", None, 200, "-"),
        Row("GET", "/feed/1", "staff", ada(), 200, "ada"),
        Row("GET", "/feed/1", "staff, expired", ada(exp=1), 401, "token_expired"),
        Row("GET", "/orders/1", "staff", ada(), 403, few),
        Row("GET", "/orders/1", "staff, read", ada(scope=read), 200, "ada"),
        Row("HEAD", "/orders/1", "staff, read", ada(scope=read), 200, ""),
        Row("POST", "/orders/1", "staff, read", ada(scope=read), 403, few),
        Row("POST", "/orders/1", "staff, read write", ada(scope=write), 200, "ada"),
        Row("GET", "//orders/1", "staff", ada(), 403, few),
        Row("GET", "/x/../orders/1", "staff", ada(), 403, few),
        Row("GET", "/reports/1", "reports", partner.token(sub="bob", scp=["reports"]), 200, "bob"),
        Row("GET", "/reports/1", "partner", partner.token(), 403, few),
        Row("GET", "/admin", "staff, user", ada(realm_access=users), 403, few),
        Row("GET", "/admin", "staff, admin", ada(realm_access=admins), 200, "ada"),
        Row("GET", "/admin/..;/health", "nobody", None, 401, "token_missing"),
        Row("POST", "/transfer", "staff", ada(), 401, "insufficient_user_authentication"),
        Row("POST", "/transfer", "gold yesterday", ada(acr="gold", auth_time=now - 86400), 401,
            "insufficient_user_authentication"),
        Row("POST", "/transfer", "staff, gold now", ada(**gold), 200, "ada"),
        Row("GET", "/beta/1", "nobody (report)", None, 200, "- token_missing"),
        Row("GET", "/beta/1", "staff (report)", ada(), 200, "- insufficient_scope"),
        Row("GET", "/beta/1", "staff, beta (report)", ada(scope="beta"), 200, "ada"),
    ]  # fmt: skip


class Answer(NamedTuple):
    status: int
    told: str
    challenge: str


def ask(url: str, row: Row) -> Answer:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    headers = {"Connection": "close", "X-User": "root"}
    if row.token is not None:
        headers["Authorization"] = f"Bearer {row.token}"
    try:
        connection.request(row.method, row.path, headers=headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    challenge = response.getheader("WWW-Authenticate", "")
    return Answer(response.status, _told(json.loads(body) if body else None, challenge), challenge)


def _told(body: dict[str, Any] | None, challenge: str) -> str:
    if body is None:
        return ""
    if challenge:
        return str(body.get("code", "token_missing"))
    assert body["x_user"] == body["sub"]
    assert not body["authorization"]
    return f"{body['sub'] or '-'} {body['error'] or ''}".strip()


@pytest.fixture(scope="module")
def who() -> Iterator[Issuers]:
    with issuers() as served:
        yield served


@pytest.mark.parametrize("token_cache_size", [4096, 0])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_policy(framework: str, token_cache_size: int, who: Issuers) -> None:
    """Every request gets its answer, whatever framework stands behind, twice."""
    with running(framework, who, token_cache_size) as url:
        for row in rows(who) * 2:
            answer = ask(url, row)
            assert (answer.status, answer.told) == (row.status, row.told), row[:3]


def main() -> None:
    with ExitStack() as stack:
        served = stack.enter_context(issuers())
        urls = [stack.enter_context(running(name, served)) for name in FRAMEWORKS]
        print("| request | token | Flask | Django | Pyramid | told | challenge |")
        print("|---|---|---|---|---|---|---|")
        for row in rows(served):
            answers = [ask(url, row) for url in urls]
            statuses = " | ".join(str(answer.status) for answer in answers)
            (told,) = {answer.told for answer in answers}
            (challenge,) = {answer.challenge for answer in answers}
            print(f"| {row.method} {row.path} | {row.who} | {statuses} | {told} | {challenge} |")


if __name__ == "__main__":
    main()
