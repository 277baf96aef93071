"""Pyramid's security policy, against the real Pyramid."""

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi.testing import FakeIssuer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyramid's own imports: cgi, pkg_resources
    from pyramid.authorization import Allow
    from pyramid.authorization import Authenticated
    from pyramid.authorization import Deny
    from pyramid.authorization import Everyone
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPForbidden
    from pyramid.response import Response

    from jwt_wsgi.contrib.pyramid import JWTSecurityPolicy
    from jwt_wsgi.contrib.pyramid import principals


def told(request: Any) -> dict[str, Any]:
    return {"userid": request.authenticated_userid, "identity": request.identity}


def own(_request: Any) -> None:
    raise HTTPForbidden("not your order")


def in_acl(acl: Any) -> Callable[[Any], Any]:
    root = SimpleNamespace(__parent__=None, __acl__=acl)
    return lambda _request: SimpleNamespace(__parent__=root)


ACL = [
    (Deny, "user:https://issuer.example|eve", "edit"),
    (Allow, "scope:write", "edit"),
    (Allow, "user:https://issuer.example|bob", "edit"),
    (Allow, Authenticated, "see"),
    (Allow, Everyone, "glance"),
]


def config(**settings: str) -> Configurator:
    config = Configurator(settings=settings)
    config.include("jwt_wsgi.contrib.pyramid")
    routes = {"any": None, "open": None, "read": "read", "both": "read write", "secret": "read"}
    for name, permission in routes.items():
        config.add_route(name, f"/{name}")
        config.add_view(told, route_name=name, renderer="json", permission=permission)
    for permission in ("edit", "see", "glance", "read"):
        config.add_route(f"acl-{permission}", f"/acl/{permission}", factory=in_acl(ACL))
        config.add_view(
            told, route_name=f"acl-{permission}", renderer="json", permission=permission
        )
    config.add_route("own", "/own")
    config.add_view(own, route_name="own")
    return config


def client(issuer: FakeIssuer, app: Any) -> Client:
    return Client(issuer.protect(app, public_paths=["/open", "/secret"], optional=True))


@pytest.fixture(scope="module")
def pyramid(issuer: FakeIssuer) -> Client:
    return client(issuer, config().make_wsgi_app())


def test_identity_is_the_payload(pyramid: Client, issuer: FakeIssuer) -> None:
    """And the userid `iss|sub`; both are None where there is no token."""
    answer = pyramid.get("/any", headers=bearer(issuer.token(sub="ada", org=1)))

    assert answer.json is not None
    assert answer.json["userid"] == f"{issuer.issuer}|ada"
    assert answer.json["identity"]["org"] == 1
    assert pyramid.get("/open").json == {"userid": None, "identity": None}


def test_a_403_names_the_scopes_of_the_rule_as_well(issuer: FakeIssuer) -> None:
    """Else the client would come back without the one that the rule needs."""
    guarded = Client(issuer.protect(config().make_wsgi_app(), required_scopes="base"))
    answer = guarded.get("/both", headers=bearer(issuer.token(scope="base")))

    assert answer.headers["WWW-Authenticate"].endswith(', scope="base read write"')


@pytest.mark.parametrize(
    ("path", "scope", "status"),
    [
        ("/read", "read", 200),
        ("/read", "write read", 200),
        ("/read", "", 403),
        ("/read", "reader", 403),
        ("/both", "read write", 200),
        ("/both", "read", 403),
    ],
)
def test_a_permission_is_a_scope(
    pyramid: Client, issuer: FakeIssuer, path: str, scope: str, status: int
) -> None:
    """Several words: all of them. The 403 is the middleware's own, with its challenge."""
    answer = pyramid.get(path, headers=bearer(issuer.token(scope=scope)))

    assert answer.status_code == status
    if status == 403:
        needed = {"/read": "read", "/both": "read write"}[path]
        assert answer.json == {
            "error": "Insufficient scope",
            "details": "The token does not permit this request",
            "code": "insufficient_scope",
        }
        assert answer.headers["WWW-Authenticate"].endswith(f', scope="{needed}"')


def test_without_a_token_it_is_401(pyramid: Client) -> None:
    """Where the middleware lets nobody pass as nobody; Pyramid alone would say 403."""
    for path in ("/read", "/secret", "/acl/see"):
        answer = pyramid.get(path)
        assert (answer.status_code, answer.json) == (401, {"error": "No token provided"})
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize(
    ("path", "sub", "scope", "status"),
    [
        ("/acl/edit", "ada", "write", 200),
        ("/acl/edit", "ada", "", 403),
        ("/acl/edit", "bob", "", 200),
        ("/acl/edit", "eve", "write", 403),
        ("/acl/see", "ada", "", 200),
        # What the ACL does not name it denies, scope or not.
        ("/acl/read", "ada", "read", 403),
        # A sub that is called like a scope has none of it.
        ("/acl/edit", "scope:write", "", 403),
    ],
)
def test_an_acl_decides_where_there_is_one(
    pyramid: Client, issuer: FakeIssuer, path: str, sub: str, scope: str, status: int
) -> None:
    """Of the context or of a parent; with scopes and the user as principals."""
    answer = pyramid.get(path, headers=bearer(issuer.token(sub=sub, scope=scope)))

    assert answer.status_code == status
    if status == 403:
        assert answer.json is not None
        assert answer.json["code"] == "insufficient_scope"


def test_users_of_two_issuers_are_two_principals() -> None:
    """An ACL that names a user of one issuer says nothing of another issuer's."""
    ada, other = ({"iss": f"https://{name}.example", "sub": "ada"} for name in ("a", "b"))

    assert principals(ada) == {Everyone, Authenticated, "user:https://a.example|ada"}
    assert principals(ada) & principals(other) == {Everyone, Authenticated}


def test_everyone_is_a_principal_without_a_token(pyramid: Client) -> None:
    """Pyramid's own principals go on working."""
    assert pyramid.get("/acl/glance").status_code == 200
    assert principals(None) == {Everyone}
    assert principals({"scope": "a"}) == {Everyone, Authenticated, "scope:a"}


def test_an_apps_own_403_stays_its_own(pyramid: Client, issuer: FakeIssuer) -> None:
    """It has nothing to do with scopes, and says so."""
    for headers in ({}, bearer(issuer.token())):
        answer = pyramid.get("/own", headers=headers)
        assert (answer.status_code, "not your order" in answer.text) == (403, True)
        assert "WWW-Authenticate" not in answer.headers


def test_the_realm_is_a_setting(issuer: FakeIssuer) -> None:
    """As in the middleware."""
    app = config(**{"jwt_wsgi.realm": "shop"}).make_wsgi_app()

    assert client(issuer, app).get("/read").headers["WWW-Authenticate"] == 'Bearer realm="shop"'


def test_an_apps_own_policy_and_view_take_precedence(issuer: FakeIssuer) -> None:
    """They override those that are included."""

    class Own(JWTSecurityPolicy):
        def permits(self, request: Any, context: object, permission: str) -> Any:
            return False

    own_config = config()
    own_config.set_security_policy(Own())
    own_config.add_forbidden_view(lambda _request: Response("own", 418))
    answer = client(issuer, own_config.make_wsgi_app()).get(
        "/read", headers=bearer(issuer.token(scope="read"))
    )

    assert (answer.status_code, answer.text) == (418, "own")


def test_nothing_is_remembered() -> None:
    """A bearer token is sent with each request; there is no cookie to set or to forget."""
    policy = JWTSecurityPolicy()

    assert policy.remember(None, "ada") == policy.forget(None) == []
