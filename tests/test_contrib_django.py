"""Django, Django REST framework, and Authlib on Django, against the real ones."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from conftest import bearer
from django.conf import settings
from django.core.wsgi import get_wsgi_application as django_application
from django.http import JsonResponse
from django.test import override_settings
from django.urls import path
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.contrib.authlib import VerifiedTokenValidator
from jwt_wsgi.contrib.django import check_application
from jwt_wsgi.contrib.django import check_options
from jwt_wsgi.contrib.django import get_wsgi_application
from jwt_wsgi.testing import FakeIssuer

urlpatterns: list[Any] = []
#: What WSGI_APPLICATION names.
APPLICATIONS: dict[str, Any] = {}
OPEN = ["/open", "/rest/open"]


@pytest.fixture(scope="module", autouse=True)
def _project() -> Iterator[None]:
    """Settings are made once a process: another module may have done it."""
    if not settings.configured:
        settings.configure(SECRET_KEY="x")
        django.setup()
    with override_settings(
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["jwt_wsgi.contrib.django.request_jwt"],
        REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
        ROOT_URLCONF=__name__,
    ):
        urlpatterns[:] = [*django_urls(), *rest_urls()]
        yield


def django_urls() -> list[Any]:
    from authlib.integrations.django_oauth2 import ResourceProtector

    require_oauth = ResourceProtector()
    require_oauth.register_token_validator(VerifiedTokenValidator(realm="shop"))

    def jwt(request: Any) -> JsonResponse:
        return JsonResponse({"jwt": request.jwt})

    def oauth(request: Any) -> JsonResponse:
        return JsonResponse({"token": request.oauth_token["sub"]})

    return [
        path("jwt", jwt),
        path("open", jwt),
        path("oauth", require_oauth("read write")(oauth)),
    ]


def rest_urls() -> list[Any]:
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.permissions import IsAuthenticated
    from rest_framework.renderers import JSONRenderer
    from rest_framework.response import Response
    from rest_framework.views import APIView

    from jwt_wsgi.contrib.drf import HasScope
    from jwt_wsgi.contrib.drf import JWTAuthentication

    class View(APIView):
        authentication_classes = (JWTAuthentication,)
        renderer_classes = (JSONRenderer,)

        def get(self, request: Any) -> Any:
            return Response({"user": str(request.user), "auth": request.auth})

    class Shop(JWTAuthentication):
        realm = "shop"

    class Session(BaseAuthentication):
        def authenticate(self, request: Any) -> Any:
            return "somebody", None

    def view(*permissions: Any, by: Any = JWTAuthentication) -> Any:
        return View.as_view(permission_classes=permissions, authentication_classes=(by,))

    return [
        path("rest/any", view()),
        path("rest/open", view()),
        path("rest/authenticated", view(IsAuthenticated)),
        path("rest/both", view(HasScope("read", "write"))),
        path("rest/either", view(HasScope("read") | HasScope("write"))),
        path("rest/not", view(~HasScope("read"))),
        path("rest/shop", view(HasScope("read"), by=Shop)),
        path("rest/session", view(HasScope("read"), by=Session)),
    ]


@pytest.fixture(scope="module")
def client(issuer: FakeIssuer) -> Client:
    return Client(issuer.protect(django_application(), public_paths=OPEN, optional=True))


def test_request_jwt_is_the_payload(client: Client, issuer: FakeIssuer) -> None:
    """None where there is no token, or nobody has looked at it."""
    answer = client.get("/jwt", headers=bearer(issuer.token(sub="ada")))

    assert answer.json is not None
    assert answer.json["jwt"]["sub"] == "ada"
    for url in ("/jwt", "/open"):
        assert client.get(url).json == {"jwt": None}
    assert client.get("/open", headers=bearer("x")).json == {"jwt": None}


def test_require_oauth_works_on_the_payload(client: Client, issuer: FakeIssuer) -> None:
    """With Authlib's answers, and the challenge that its 403 lacks."""
    good = client.get("/oauth", headers=bearer(issuer.token(sub="ada", scope="write read")))
    poor = client.get("/oauth", headers=bearer(issuer.token(scope="read")))

    assert (good.status_code, good.json) == (200, {"token": "ada"})
    assert (poor.status_code, (poor.json or {})["error"]) == (403, "insufficient_scope")
    assert poor.headers["WWW-Authenticate"] == (
        'Bearer realm="shop", error="insufficient_scope", '
        'error_description="The token does not permit this request", scope="read write"'
    )
    assert client.get("/oauth").status_code == 401


def test_rest_framework_knows_the_user(client: Client, issuer: FakeIssuer) -> None:
    """`request.user` by its `sub`, and the payload as `request.auth`; nobody otherwise."""
    for url in ("/rest/any", "/rest/authenticated"):
        answer = client.get(url, headers=bearer(issuer.token(sub="ada", org=1)))
        assert answer.json is not None
        assert (answer.json["user"], answer.json["auth"]["org"]) == ("ada", 1)
    assert client.get("/rest/any").json == {"user": "None", "auth": None}
    assert client.get("/rest/open", headers=bearer("x")).json == {"user": "None", "auth": None}


def test_a_401_of_rest_framework_stays_401(client: Client) -> None:
    """It would be 403 without the challenge."""
    for url in ("/rest/authenticated", "/rest/both", "/rest/either"):
        answer = client.get(url)
        assert answer.status_code == 401
        assert answer.headers.getlist("WWW-Authenticate") == ['Bearer realm="api"']


@pytest.mark.parametrize(
    ("url", "scope", "status"),
    [
        ("/rest/both", "read write", 200),
        ("/rest/both", "read", 403),
        ("/rest/either", "read", 200),
        ("/rest/either", "write", 200),
        ("/rest/either", "", 403),
        ("/rest/not", "write", 200),
        ("/rest/not", "read", 403),
        ("/rest/shop", "read", 200),
        ("/rest/shop", "", 403),
    ],
)
def test_has_scope_permits(
    client: Client, issuer: FakeIssuer, url: str, scope: str, status: int
) -> None:
    """All of its scopes; `|`, `&` and `~` are REST framework's."""
    answer = client.get(url, headers=bearer(issuer.token(scope=scope)))

    assert answer.status_code == status


def test_a_403_says_what_is_missing_and_what_is_needed(client: Client, issuer: FakeIssuer) -> None:
    """The body for people; the challenge (RFC 6750 section 3) for clients."""
    answer = client.get("/rest/both", headers=bearer(issuer.token(scope="read")))
    shop = client.get("/rest/shop", headers=bearer(issuer.token()))

    assert answer.json == {"detail": "The token lacks the scope write"}
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="api", error="insufficient_scope", '
        'error_description="The token does not permit this request", scope="read write"'
    )
    assert shop.headers["WWW-Authenticate"].startswith('Bearer realm="shop", error="ins')


def test_who_came_in_by_something_else_has_no_scope(client: Client, issuer: FakeIssuer) -> None:
    """A session's user does not borrow the scopes of a token beside it."""
    answer = client.get("/rest/session", headers=bearer(issuer.token(scope="read")))

    assert answer.status_code == 403
    assert "WWW-Authenticate" not in answer.headers


def test_a_permission_needs_a_scope() -> None:
    """An empty one would let everybody pass who has any token."""
    from jwt_wsgi.contrib.drf import HasScope

    with pytest.raises(ValueError, match="name a scope"):
        HasScope()


def test_a_token_user_is_what_rest_framework_expects() -> None:
    """Throttles count by `pk`; nobody is staff because of a token."""
    from jwt_wsgi.contrib.drf import TokenUser

    user = TokenUser({"sub": "ada"})

    assert (user.pk, str(user)) == ("ada", "ada")
    assert (user.is_authenticated, user.is_active) == (True, True)
    assert (user.is_anonymous, user.is_staff, user.is_superuser) == (False, False, False)


def test_the_setting_feeds_the_middleware(issuer: FakeIssuer) -> None:
    """Without it everything comes from the environment, which says nothing here."""
    options = {"issuer": issuer.issuer, "jwks": issuer.jwks()}
    with override_settings(JWT_WSGI=options):
        guarded = Client(get_wsgi_application())

    assert guarded.get("/jwt").status_code == 401
    assert guarded.get("/jwt", headers=bearer(issuer.token())).status_code == 200
    with pytest.raises(ConfigurationError, match="set JWT_WSGI_ISSUER"):
        get_wsgi_application()


@pytest.mark.parametrize(
    ("options", "ids", "told"),
    [
        pytest.param({"issuer": "https://a.example"}, [], "", id="good"),
        pytest.param({}, ["jwt_wsgi.E001"], "set JWT_WSGI_ISSUER", id="missing"),
        pytest.param(
            {"issuer": "https://a.example", "leeway": "soon", "optional": "perhaps"},
            ["jwt_wsgi.E001"] * 2,
            "leeway: 'soon'",
            id="one message for each",
        ),
        pytest.param(["issuer"], ["jwt_wsgi.E002"], "JWT_WSGI is no dict", id="a list"),
        pytest.param(None, [], "", id="not used"),
    ],
)
def test_wrong_options_are_reported(options: Any, ids: list[str], told: str) -> None:
    """As errors with an id, so that no command of Django's goes on."""
    with override_settings(JWT_WSGI=options):
        found = check_options(app_configs=None)

    assert [message.id for message in found] == ids
    assert told in "".join(message.msg for message in found)
    assert all(message.is_serious() for message in found)


def test_without_the_setting_the_options_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project may guard its application elsewhere, with options that Django does not see."""
    assert not hasattr(settings, "JWT_WSGI")
    monkeypatch.setenv("JWT_WSGI_LEEWAY", "soon")

    assert check_options(app_configs=None) == []


def broken() -> Any:
    raise ConfigurationError(["a: b", "c: d"])


class Layer:
    """WhiteNoise and werkzeug's middlewares keep what they wrap under these names."""

    def __init__(self, name: str, inner: Any) -> None:
        setattr(self, name, inner)


def __getattr__(name: str) -> Any:
    """WSGI_APPLICATION = "<this module>.<name>"."""
    if name not in APPLICATIONS:
        raise AttributeError(name)
    return APPLICATIONS[name]()


@pytest.mark.parametrize(
    ("application", "ids"),
    [
        pytest.param("guarded", [], id="guarded"),
        pytest.param("layered", [], id="below other middlewares"),
        pytest.param("plain", ["jwt_wsgi.W001"], id="not guarded"),
        pytest.param(None, ["jwt_wsgi.W001"], id="not set"),
        pytest.param("wrong", ["jwt_wsgi.E001"] * 2, id="wrong options in wsgi.py"),
        pytest.param("nowhere", ["jwt_wsgi.E003"], id="not there"),
    ],
)
def test_an_application_that_is_not_guarded_is_reported(
    issuer: FakeIssuer, application: str | None, ids: list[str]
) -> None:
    """With the remedy; what the server alone wraps cannot be seen from here."""
    plain = django_application()
    guarded: JWTMiddleware = issuer.protect(plain)
    APPLICATIONS.update(
        plain=lambda: plain,
        guarded=lambda: guarded,
        layered=lambda: Layer("application", Layer("app", guarded)),
        wrong=broken,
    )
    named = application and f"{__name__}.{application}"
    with override_settings(WSGI_APPLICATION=named):
        found = check_application(app_configs=None)

    assert [message.id for message in found] == ids
    if ids == ["jwt_wsgi.W001"]:
        assert "get_wsgi_application" in str(found[0].hint)


SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["jwt_wsgi.contrib.django.JWTConfig"]
JWT_WSGI = {options}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "arguments", "code", "told"),
    [
        pytest.param({}, ["check"], 1, "(jwt_wsgi.E001) issuer: missing", id="check"),
        pytest.param(
            {"issuer": "https://a.example"},
            ["check", "--deploy"],
            0,
            "(jwt_wsgi.W001) WSGI_APPLICATION is not wrapped",
            id="check --deploy",
        ),
    ],
)
def test_django_admin_runs_the_checks(
    tmp_path: Path, options: dict[str, str], arguments: list[str], code: int, told: str
) -> None:
    """Where the app is installed; other messages are Django's own."""
    (tmp_path / "project_settings.py").write_text(SETTINGS.format(options=options))
    command = [sys.executable, "-m", "django", *arguments, "--settings", "project_settings"]
    env = {"PYTHONPATH": ":".join([str(tmp_path), *filter(None, sys.path)])}
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    assert (run.returncode, told in run.stderr) == (code, True), run.stderr
