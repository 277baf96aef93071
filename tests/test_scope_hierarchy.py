"""scope_includes: a scope that includes others, wherever scopes are compared."""

from collections.abc import Callable
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import Rule
from jwt_wsgi import Settings
from jwt_wsgi.contrib.flask import require
from jwt_wsgi.scope_hierarchy import included
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import authenticated

Make = Callable[..., Client]
LEVELS = {"admin": ["write"], "write": ["read", "list"], "boss": "admin"}


@pytest.mark.parametrize(
    ("scope", "needed", "status"),
    [
        ("read", "read", 200),
        ("write", "read", 200),
        ("write", "list read", 200),
        ("admin", "read", 200),
        ("boss", "read list write admin boss", 200),
        ("read", "write", 403),
        ("list", "read", 403),
        ("write", "admin", 403),
        ("ADMIN", "read", 403),
        ("admin,write", "read", 403),
        ("administrator", "read", 403),
        ("", "read", 403),
        ("other", "read", 403),
        (["admin"], "read", 200),
        (["admin", 7], "read", 403),
        ({"admin": True}, "read", 403),
    ],
    ids=str,
)
def test_what_is_included_is_granted(
    client: Make, issuer: FakeIssuer, scope: Any, needed: str, status: int
) -> None:
    """Through any number of steps, downwards only; whole words, as everywhere."""
    token = bearer(issuer.token(scope=scope))
    rules = [Rule("/*", scopes=needed.split())]
    for options in ({"required_scopes": needed}, {"rules": rules}):
        answer = client(scope_includes=LEVELS, **options).get("/", headers=token)
        assert answer.status_code == status


def test_alternatives_and_odd_paths_count_as_well(client: Make, issuer: FakeIssuer) -> None:
    """any_scope, and a path for which the conditions of all rules count."""
    rules = [Rule("/a", any_scope=["read", "x"]), Rule("/b", scopes=["list"])]
    visitor = client(scope_includes=LEVELS, rules=rules)
    for scope, status in (("admin", 200), ("read", 403)):
        token = bearer(issuer.token(scope=scope))
        odd = visitor.get("/", environ_overrides={"PATH_INFO": "//a"}, headers=token)
        assert odd.status_code == status
    assert visitor.get("/a", headers=bearer(issuer.token(scope="boss"))).status_code == 200


def test_the_claims_and_the_challenge_stay_as_they_are(
    app: EchoApp, client: Make, issuer: FakeIssuer
) -> None:
    """The app gets the claims that were signed. The challenge names the scopes of the rule."""
    visitor = client(scope_includes=LEVELS, required_scopes="read")
    visitor.get("/", headers=bearer(issuer.token(scope="admin")))
    assert app.environ is not None
    assert app.environ["jwt_wsgi.payload"]["scope"] == "admin"

    answer = visitor.get("/", headers=bearer(issuer.token(scope="x")))
    assert answer.headers["WWW-Authenticate"].endswith('scope="read"')


def flask_app() -> Flask:
    app = Flask(__name__)

    @app.get("/")
    @require(scopes=["read"])
    def index() -> str:
        return "ok"

    return app


def test_a_view_knows_the_hierarchy_of_its_middleware(issuer: FakeIssuer) -> None:
    """Two middlewares may differ; that of the request counts, also from the cache."""
    token = bearer(issuer.token(scope="admin"))
    knows = Client(issuer.protect(flask_app(), scope_includes=LEVELS))
    does_not = Client(issuer.protect(flask_app()))
    for _ in range(3):
        assert knows.get("/", headers=token).status_code == 200
        assert does_not.get("/", headers=token).status_code == 403


def test_the_test_kit_knows_it(issuer: FakeIssuer) -> None:
    """authenticated() replaces the middleware, not its hierarchy."""
    guarded = issuer.protect(flask_app(), scope_includes=LEVELS)
    assert Client(authenticated(guarded, {"scope": "admin"})).get("/").status_code == 200
    assert Client(authenticated(guarded, {"scope": "list"})).get("/").status_code == 403


def test_pyramid_and_rest_framework_ask_the_same_function() -> None:
    """They compare what claims.scopes() grants."""
    from jwt_wsgi.claims import scopes
    from jwt_wsgi.scope_hierarchy import granting

    claims = granting({"scope": "write"}, included({"write": ["read"]}))
    assert scopes(claims) == {"write", "read"}
    assert claims == {"scope": "write"}


def test_a_verifier_of_the_app_may_return_any_mapping(app: EchoApp, issuer: FakeIssuer) -> None:
    """The hierarchy is that of the middleware, whoever verifies."""

    class Own:
        def verify(self, _token: str) -> dict[str, Any]:
            return {"sub": "ada", "scope": "admin"}

    guarded = issuer.protect(app, scope_includes=LEVELS, required_scopes="read")
    guarded.verifier = Own()
    assert Client(guarded).get("/", headers=bearer("x")).status_code == 200


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ({"a": ["a"]}, "a includes itself"),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, "includes itself"),
        ({"top": ["a"], "a": ["b"], "b": ["a"]}, "includes itself"),
        ("a=b, b=a", "includes itself"),
        ({}, "name=value"),
        ({"a": []}, "at least one"),
        ({"a": 7}, "at least one"),
        ({"a": ["b", 7]}, "at least one"),
        ({"a b": ["c"]}, "give one scope"),
        ({'a"': ["c"]}, "a scope is"),
        ({"a": ['c"']}, "a scope is"),
        ({7: ["c"]}, "at least one"),
        (["a"], "name=value"),
        ("a", "name=value"),
    ],
    ids=str,
)
def test_a_wrong_hierarchy_is_an_error_at_start(value: Any, remedy: str) -> None:
    """With its remedy."""
    with pytest.raises(ConfigurationError, match="scope_includes: ") as caught:
        Settings.of(issuer="https://a.example", scope_includes=value)
    assert remedy in str(caught.value)


NAMES = st.sampled_from("abcdefg")


@pytest.mark.slow
@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=4), max_size=7))
def test_it_is_transitive_or_an_error(hierarchy: dict[str, list[str]]) -> None:
    """Whatever is included includes what it includes."""
    try:
        found = included(hierarchy)
    except ValueError:
        return
    for top, below in found.items():
        assert top not in below
        assert {*hierarchy[top]} <= {*below}
        for one in below:
            assert {*found.get(one, ())} <= {*below}
