"""The pages that lead here: before and after are run, and serve the same users."""

import json
import logging
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from cryptography.hazmat.primitives import serialization
from flask.testing import FlaskClient
from packaging.version import Version
from werkzeug.test import Client

from jwt_wsgi import Rule
from jwt_wsgi import jose
from jwt_wsgi.testing import FakeIssuer

PAGES = Path(__file__).parent.parent / "docs" / "how-to"
AUDIENCE = "https://api.example.com"


def page_text(page: str) -> str:
    return (PAGES / f"{page}.md").read_text()


def blocks(page: str, issuer: FakeIssuer) -> dict[str, str]:
    """What stands behind each mark of a page, for an issuer that is there."""
    pattern = r"<!-- ([\w ]+) -->\n```python\n(.*?)```"
    found = dict(re.findall(pattern, page_text(page), re.DOTALL))
    return {
        mark: code.replace("https://login.example.com", issuer.issuer)
        for mark, code in found.items()
    }


def pem(issuer: FakeIssuer) -> str:
    key: Any = jose.import_jwk(issuer.jwks()["keys"][0]).public_key
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_bytes(encoding, form).decode())


@pytest.mark.parametrize("page", ["migrate-from-pyjwt", "migrate-from-flask-jwt-extended"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_flask(page: str, when: str) -> None:
    """The same token opens the same doors."""
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        namespace: dict[str, Any] = {"__name__": "page", "PUBLIC_KEY": pem(issuer)}
        exec(blocks(page, issuer)[when], namespace)
        visitor = namespace["app"].test_client()
        good = bearer(issuer.token(sub="ada", scope="read", aud=AUDIENCE))
        expired = bearer(issuer.token(exp=1, scope="read", aud=AUDIENCE))
        other = bearer(issuer.token(scope="read", aud="https://other.example"))

        assert visitor.get("/orders", headers=good).json["user"] == "ada"
        assert visitor.get("/orders").status_code == 401
        assert visitor.get("/orders", headers=expired).status_code == 401
        assert visitor.get("/orders", headers=other).status_code in (401, 422)
        assert visitor.get("/news").status_code == 200


def flask_client(code: str) -> FlaskClient:
    namespace: dict[str, Any] = {"__name__": "page"}
    exec(code, namespace)
    client: FlaskClient = namespace["app"].test_client()
    return client


def statuses(client: FlaskClient, *tokens: str) -> list[int]:
    return [client.get("/orders", headers=bearer(token)).status_code for token in tokens]


@pytest.mark.parametrize(
    ("header", "claims", "code"),
    [
        ({}, {"exp": None}, "claim_missing"),
        ({"typ": "logout+jwt"}, {}, "token_type_not_allowed"),
        ({}, {"cnf": {"jkt": "x"}}, "token_bound"),
    ],
)
def test_what_is_stricter(header: dict[str, str], claims: dict[str, Any], code: str) -> None:
    """As the page says: the decorator lets it in."""
    with FakeIssuer(algorithm="RS256", aud=AUDIENCE).serve() as issuer:
        page = blocks("migrate-from-pyjwt", issuer)
        token = issuer.token(header=header, **claims)

        assert statuses(flask_client(page["before"]), token) == [200]
        refused: Any = flask_client(page["after"]).get("/orders", headers=bearer(token)).json
        assert refused["code"] == code


def test_a_route_that_nobody_thought_of() -> None:
    """Is open before, and needs a token after."""
    route = '\n@app.get("/new")\ndef new():\n    return {}\n'
    page = blocks("migrate-from-pyjwt", FakeIssuer())

    asked = [flask_client(page[when] + route).get("/new") for when in ("before", "after")]
    assert [answer.status_code for answer in asked] == [200, 401]


def test_an_outage_is_503_where_it_was_401_before() -> None:
    """Even if no keys are held; the answer has Retry-After."""
    with FakeIssuer(algorithm="RS256", aud=AUDIENCE).serve() as issuer, issuer.outage():
        page = blocks("migrate-from-pyjwt", issuer)
        asked = [
            flask_client(page[when]).get("/orders", headers=bearer(issuer.token()))
            for when in ("before", "after")
        ]

    assert [answer.status_code for answer in asked] == [401, 503]
    assert "Retry-After" in asked[1].headers


def test_first_beside_the_decorator(caplog: pytest.LogCaptureFixture) -> None:
    """The decorator's answers, and a line for what would be refused."""
    with FakeIssuer(algorithm="RS256", aud=AUDIENCE).serve() as issuer:
        page = blocks("migrate-from-pyjwt", issuer)
        client = flask_client(page["before"] + page["beside"])
        tokens = issuer.token(), issuer.token(exp=None), issuer.token(exp=1)
        with caplog.at_level(logging.WARNING, "jwt_wsgi"):
            assert statuses(client, *tokens) == [200, 200, 401]

    told = [record.getMessage() for record in caplog.records]
    assert [line.split(" (")[0] for line in told] == [
        "open to everybody: rules: no path needs a token, because a refusal is only reported on /*",
        "would have refused 401 claim_missing",
        "would have refused 401 token_expired",
    ]


#: The claims that RFC 9068 asks for, and the header.
PROFILE: dict[str, Any] = {
    "sub": "ada",
    "scope": "read",
    "aud": AUDIENCE,
    "client_id": "spa",
    "jti": "1",
    "header": {"typ": "at+jwt"},
}
#: What is sent to the pages about Authlib -> status before, after, and with the decorators kept.
AUTHLIB = {
    "a good token": ({}, (200, 200, 200)),
    "expired ten seconds ago": ({"exp": 10}, (401, 200, 200)),
    "expired a minute ago": ({"exp": 60}, (401, 401, 401)),
    "bound to a key": ({"cnf": {"jkt": "x"}}, (200, 401, 401)),
    "for another API": ({"aud": "https://other.example"}, (401, 401, 401)),
    "without the scope": ({"scope": "write"}, (403, 403, 403)),
    "without typ": ({"header": {"typ": None}}, (200, 401, 401)),
    "without a claim of RFC 9068": ({"client_id": None}, (401, 401, 401)),
}


#: Before 1.8 Authlib's validator knew no error of joserfc: a bad signature ended as a 500.
BAD_SIGNATURE_AT_AUTHLIB = 401 if Version(version("authlib")) >= Version("1.8") else 500


@pytest.mark.parametrize("case", AUTHLIB)
def test_authlib_on_flask(case: str) -> None:
    """Each row of the page's table that is about a token."""
    changed, expected = AUTHLIB[case]
    if "exp" in changed:
        changed = {"exp": int(time.time()) - changed["exp"]}
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        page = blocks("migrate-from-authlib", issuer)
        token = issuer.token(**{**PROFILE, **changed})
        found = [statuses(flask_client(page[when]), token) for when in ("before", "after", "kept")]

    assert found == [[status] for status in expected]


def test_authlib_and_the_routes_keys_and_outages_of_the_page() -> None:
    """The rows of its table that are not about a token."""
    route = '\n@app.get("/new")\ndef new():\n    return {}\n'
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        page = blocks("migrate-from-authlib", issuer)
        clients = [flask_client(page[when] + route) for when in ("before", "after", "kept")]
        assert [client.get("/new").status_code for client in clients] == [200, 401, 401]
        assert [client.get("/orders").status_code for client in clients] == [401, 401, 401]
        assert [client.get("/news").json for client in clients] == [{"user": None}] * 3
        first = issuer.token(**PROFILE)
        assert [statuses(client, first) for client in clients] == [[200]] * 3
        issuer.rotate()
        second = issuer.token(**PROFILE)
        found = [statuses(client, second) for client in clients]
        assert found == [[BAD_SIGNATURE_AT_AUTHLIB], [200], [200]]
        with issuer.outage():
            new = [flask_client(page[when]) for when in ("before", "after", "kept")]
            assert [statuses(client, first) for client in new] == [[500], [503], [503]]


@pytest.fixture
def issuing(monkeypatch: pytest.MonkeyPatch) -> str:
    """An app that goes on issuing with Flask-JWT-Extended."""
    monkeypatch.setenv("JWT_SECRET_KEY", "correct horse battery staple 1234")
    return blocks("migrate-from-flask-jwt-extended", FakeIssuer())["issuing"]


def test_an_app_goes_on_issuing(issuing: str) -> None:
    """Its access tokens open /orders, its refresh tokens open /refresh, and no other way round."""
    client = flask_client(issuing)
    tokens: Any = client.post("/login").json

    assert client.get("/orders", headers=bearer(tokens["access"])).json == {"user": "ada"}
    assert statuses(client, tokens["refresh"]) == [401]
    again: Any = client.post("/refresh", headers=bearer(tokens["refresh"])).json
    assert statuses(client, again["access"]) == [200]
    assert client.post("/refresh", headers=bearer(tokens["access"])).status_code == 422


@pytest.mark.parametrize(
    ("line", "kind", "status"),
    [
        (r' *claims=\{"type": "access"\},\n', "refresh", 200),
        (r'app.config\["JWT_ENCODE_ISSUER"\] = .*\n', "access", 401),
    ],
)
def test_what_the_page_says_not_to_leave_out(
    issuing: str, line: str, kind: str, status: int
) -> None:
    """Without `claims` a refresh token gets in; without an issuer nobody does."""
    careless, count = re.subn(line, "", issuing)
    client = flask_client(careless)
    tokens: Any = client.post("/login").json

    assert count == 1
    assert statuses(client, tokens[kind]) == [status]


def test_fresh_tokens(app: EchoApp) -> None:
    """The rule of the table."""
    issuer = FakeIssuer()
    (rule,) = re.findall(
        r"`(Rule\(path, claims=.*?\))`", page_text("migrate-from-flask-jwt-extended")
    )
    rules = [eval(rule, {"Rule": Rule, "path": "/transfer"})]
    client = Client(issuer.protect(app, rules=rules))

    for fresh, status in ((True, 200), (False, 403)):
        answer = client.get("/transfer", headers=bearer(issuer.token(fresh=fresh)))
        assert answer.status_code == status


DJANGO = """
import json, sys
from django.conf import settings
page = json.load(sys.stdin)
said = {}
exec(page["settings"], said)
said = {name: value for name, value in said.items() if name.isupper()}
base = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"]
said["INSTALLED_APPS"] = [*base, *said.get("INSTALLED_APPS", [])]
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="s" * 50,
    DEBUG_PROPAGATE_EXCEPTIONS=True, **said,
)
import django
from django.urls import path
from werkzeug.test import Client
if page["when"] == "before":
    from django.core.wsgi import get_wsgi_application
else:
    from jwt_wsgi.contrib.django import get_wsgi_application
application = get_wsgi_application()
views = {"__name__": "views"}
exec(page["views"], views)
view = views["Orders"].as_view() if "Orders" in views else views["orders"]
urlpatterns = [path("orders", view)]
visitor = Client(application)
for headers in page["requests"]:
    answer = visitor.get("/orders", headers=headers | {"Accept": "application/json"})
    print(json.dumps([answer.status_code, answer.json]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("page_name", "answer"),
    [
        ("migrate-from-simplejwt", {"user": "ada", "scope": "read"}),
        ("migrate-from-authlib", {"user": "ada"}),
    ],
)
def test_django(page_name: str, answer: dict[str, str], when: str) -> None:
    """In a process of its own, for Django's settings are made once."""
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        found = blocks(page_name, issuer)
        page = {
            "when": when,
            "settings": found.get(f"{when} settings", ""),
            "views": found[f"{when} views"],
            "requests": [
                bearer(issuer.token(**PROFILE)),
                bearer(issuer.token(**PROFILE | {"exp": 1})),
                bearer(issuer.token(**PROFILE | {"aud": "https://other.example"})),
                {},
            ],
        }
        told = subprocess.run(  # noqa: PLW1510
            [sys.executable, "-c", DJANGO],
            input=json.dumps(page),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert told.returncode == 0, told.stderr
    good, *bad = map(json.loads, told.stdout.splitlines())
    assert good == [200, answer]
    assert [status for status, _ in bad] == [401, 401, 401]


USERS = """
import sys
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"], USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
User.objects.create(username="ada")
User.objects.create(username="gone", is_active=False)
exec(sys.stdin.read())
class Request:
    META = {}
assert UserAuthentication().authenticate(Request) is None
for name in ("ada", "gone", "nobody"):
    Request.META = {"jwt_wsgi.payload": {"sub": name}}
    try:
        user, payload = UserAuthentication().authenticate(Request)
        print(user, payload["sub"])
    except AuthenticationFailed as error:
        print(error)
"""


@pytest.mark.slow
def test_users_of_django() -> None:
    """The class of the page finds who is there and active, and nobody else."""
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", USERS],
        input=blocks("migrate-from-simplejwt", FakeIssuer())["users"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == ["ada ada", "User not found", "User not found"]
