"""Django, Django REST framework, and Authlib on Django, against the real ones."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import django
import pytest
import requests
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
from jwt_wsgi.contrib.django import TokenUser
from jwt_wsgi.contrib.django import check_application
from jwt_wsgi.contrib.django import check_options
from jwt_wsgi.contrib.django import check_project
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
    """`request.user` by issuer and `sub`, the payload as `request.auth`; else no user."""
    for url in ("/rest/any", "/rest/authenticated"):
        answer = client.get(url, headers=bearer(issuer.token(sub="ada", org=1)))
        assert answer.json is not None
        assert answer.json["user"] == f"{issuer.issuer}|ada"
        assert answer.json["auth"]["org"] == 1
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


def test_a_403_names_the_scopes_of_the_rule_as_well(issuer: FakeIssuer) -> None:
    """Else the client would come back without the one that the rule needs."""
    guarded = Client(issuer.protect(django_application(), required_scopes="base"))
    answer = guarded.get("/rest/both", headers=bearer(issuer.token(scope="base")))

    assert answer.headers["WWW-Authenticate"].endswith(', scope="base read write"')


def test_a_user_of_a_session_has_no_scopes(client: Client, issuer: FakeIssuer) -> None:
    """The scopes of a token in the same request are not the user's."""
    answer = client.get("/rest/session", headers=bearer(issuer.token(scope="read")))

    assert answer.status_code == 403
    assert "WWW-Authenticate" not in answer.headers


def test_a_permission_needs_a_scope() -> None:
    """An empty one would let everybody pass who has any token."""
    from jwt_wsgi.contrib.drf import HasScope

    with pytest.raises(ValueError, match="name a scope"):
        HasScope()


def test_a_token_user_is_what_rest_framework_expects() -> None:
    """Throttles count by `pk`; a token makes no user staff."""
    user = TokenUser({"iss": "https://a.example", "sub": "ada"})

    names = (user.pk, user.id, user.username, user.get_username(), str(user))
    assert names == ("https://a.example|ada",) * 5
    assert user.get_short_name() == user.get_full_name() == "ada"
    assert (user.is_authenticated, user.is_active) == (True, True)
    assert (user.is_anonymous, user.is_staff, user.is_superuser) == (False, False, False)


def test_a_token_user_has_no_rights_of_django_s() -> None:
    """What it may do is what its token says."""
    user = TokenUser({"sub": "ada"})

    assert not user.has_perm("shop.add_order")
    assert not user.has_perms(["shop.add_order"])
    assert not user.has_module_perms("shop")
    assert user.get_all_permissions() == user.get_group_permissions() == set()
    assert list(user.groups.all() if hasattr(user.groups, "all") else user.groups) == []


def test_an_empty_payload_is_an_anonymous_user() -> None:
    """One class for both, so that nothing of `django.contrib.auth` has to be installed."""
    user = TokenUser({})

    assert (user.is_authenticated, user.is_active, user.is_anonymous) == (False, False, True)
    assert (user.pk, user.get_username()) == (None, "")


def test_users_of_two_issuers_are_two() -> None:
    """`sub` is unique for one issuer only (RFC 7519 section 4.1.2)."""
    ada = TokenUser({"iss": "https://a.example", "sub": "ada"})
    other = TokenUser({"iss": "https://b.example", "sub": "ada"})

    for name in ("pk", "id", "username", "__str__", "get_username"):
        assert getattr(ada, name) != getattr(other, name)
    assert str(ada) != str(other)
    assert ada == TokenUser({"iss": "https://a.example", "sub": "ada", "jti": "other"})
    assert ada != TokenUser({"iss": "https://b.example", "sub": "ada"})
    assert len({ada, TokenUser({"iss": "https://b.example", "sub": "ada"})}) == 2


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
        pytest.param(
            {"ISSUER": "https://a.example", "JWT_WSGI_AUDIENCE": "api"},
            ["jwt_wsgi.E001"] * 3,
            "ISSUER: no such option; did you mean issuer?"
            "JWT_WSGI_AUDIENCE: no such option; did you mean audience?issuer: missing",
            id="names as the environment has them",
        ),
        pytest.param(["issuer"], ["jwt_wsgi.E002"], "JWT_WSGI is not a dict", id="a list"),
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


GOOD = {"issuer": "https://a.example"}


@pytest.mark.parametrize(
    ("application", "options", "ids"),
    [
        pytest.param("guarded", GOOD, [], id="guarded"),
        pytest.param("layered", GOOD, [], id="below other middlewares"),
        pytest.param("guarded", None, [], id="guarded, from the environment"),
        pytest.param("plain", GOOD, ["jwt_wsgi.E004"], id="not guarded"),
        pytest.param(None, GOOD, ["jwt_wsgi.E004"], id="not named"),
        pytest.param("plain", None, ["jwt_wsgi.W001"], id="not guarded, no options"),
        pytest.param("wrong", GOOD, ["jwt_wsgi.E001"] * 2, id="wrong options in wsgi.py"),
        pytest.param("nowhere", GOOD, ["jwt_wsgi.E003"], id="not there"),
    ],
)
def test_an_application_that_is_not_guarded_is_reported(
    issuer: FakeIssuer, application: str | None, options: Any, ids: list[str]
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
    with override_settings(WSGI_APPLICATION=named, JWT_WSGI=options):
        found = check_application(app_configs=None)

    assert [message.id for message in found] == ids
    if ids in (["jwt_wsgi.W001"], ["jwt_wsgi.E004"]):
        assert "get_wsgi_application" in str(found[0].hint)


REMOTE_USER = "django.contrib.auth.middleware.PersistentRemoteUserMiddleware"


@pytest.mark.parametrize(
    ("more", "ids"),
    [
        pytest.param({}, [], id="as documented"),
        pytest.param({"ASGI_APPLICATION": "x.asgi.application"}, ["jwt_wsgi.E005"], id="ASGI"),
        pytest.param({"MIDDLEWARE": []}, ["jwt_wsgi.W002"], id="no middleware"),
        pytest.param(
            {"MIDDLEWARE": [REMOTE_USER, "jwt_wsgi.contrib.django.request_user"]},
            ["jwt_wsgi.W003"],
            id="a session of two weeks",
        ),
        pytest.param({"JWT_WSGI": {"isuer": "x"}}, ["jwt_wsgi.E001"] * 2, id="options first"),
        pytest.param(
            {"JWT_WSGI": None, "ASGI_APPLICATION": "x", "MIDDLEWARE": []},
            ["jwt_wsgi.E005", "jwt_wsgi.W002"],
            id="guarded from the environment",
        ),
        pytest.param(
            {"JWT_WSGI": None, "MIDDLEWARE": [], "WSGI_APPLICATION": f"{__name__}.plain"},
            ["jwt_wsgi.W001"],
            id="not used",
        ),
    ],
)
def test_what_would_let_requests_in_is_reported(
    issuer: FakeIssuer, more: dict[str, Any], ids: list[str]
) -> None:
    """By `manage.py check`, not only with `--deploy`."""
    guarded = issuer.protect(django_application())
    APPLICATIONS.update(guarded=lambda: guarded, plain=django_application)
    usual = {"WSGI_APPLICATION": f"{__name__}.guarded", "JWT_WSGI": GOOD}
    with override_settings(**(usual | more)):
        found = check_project(app_configs=None)

    assert [message.id for message in found] == ids
    assert all(message.hint for message in found if message.id != "jwt_wsgi.E001")


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
            ["check"],
            1,
            "(jwt_wsgi.E004) WSGI_APPLICATION is not wrapped",
            id="check of an application that is not wrapped",
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


PROJECT = {
    "project/__init__.py": "",
    "project/settings.py": """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.staticfiles",
    "rest_framework",
    "jwt_wsgi.contrib.django.JWTConfig",
]
MIDDLEWARE = ["jwt_wsgi.contrib.django.request_user"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
ROOT_URLCONF = "project.urls"
STATIC_URL = "/static/"
WSGI_APPLICATION = "project.wsgi.application"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["jwt_wsgi.contrib.drf.JWTAuthentication"],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "3/day"},
}
""",
    "project/wsgi.py": """
from jwt_wsgi.contrib.django import get_wsgi_application

application = get_wsgi_application()
""",
    "project/asgi.py": """
from django.core.asgi import get_asgi_application

application = get_asgi_application()
""",
    "project/urls.py": """
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.http import HttpResponseRedirect
from django.http import StreamingHttpResponse
from django.template import engines
from django.urls import path
from django.views.decorators.csrf import csrf_protect
from rest_framework import permissions
from rest_framework.generics import ListCreateAPIView
from rest_framework.serializers import ModelSerializer


class GroupSerializer(ModelSerializer):
    class Meta:
        model = Group
        fields = ("name",)


class Groups(ListCreateAPIView):
    queryset = Group.objects.none()
    serializer_class = GroupSerializer
    permission_classes = (permissions.DjangoModelPermissions,)


class Orders(Groups):
    permission_classes = (permissions.IsAuthenticatedOrReadOnly,)


def me(request):
    template = engines["django"].from_string(
        "{{ user.username }} {{ user.is_authenticated }} "
        "{% if perms.auth.add_group %}may{% endif %}"
    )
    return HttpResponse(template.render({}, request))


def stream(request):
    return StreamingHttpResponse(iter([b"one", b"two"]))


urlpatterns = [
    path("moved", lambda request: HttpResponseRedirect("/me")),
    path("form", csrf_protect(lambda request: HttpResponse("taken"))),
    path("stream", stream),
    path("broken", lambda request: 1 / 0),
    path("groups", Groups.as_view()),
    path("orders", Orders.as_view()),
    path("me", me),
    path("open", me),
]
""",
    "test_project.py": """
from django import test
from django.test import SimpleTestCase
from project.wsgi import application
from rest_framework.test import APIClient

from jwt_wsgi.testing import FakeIssuer

ISSUER = FakeIssuer("https://fake.example", aud="https://api.example.com")
ADA = {"Authorization": "Bearer " + ISSUER.token(sub="ada")}


class ThroughTheGuard(SimpleTestCase):
    def test_django_s_own_client(self):
        client = ISSUER.protect(application).test_client(headers={"X-Mine": "1"})
        self.assertIs(type(client), test.Client)
        refused = client.get("/me")
        self.assertEqual(refused.json(), {"error": "No token provided"})
        self.assertEqual(refused.status_code, 401)
        self.assertIn("Bearer", refused.headers["WWW-Authenticate"])
        served = client.get("/me", headers=ADA)
        self.assertContains(served, "https://fake.example|ada True")
        self.assertEqual(served.wsgi_request.user.get_short_name(), "ada")
        self.assertEqual(served.wsgi_request.META["HTTP_X_MINE"], "1")
        self.assertEqual(served.resolver_match.route, "me")
        self.assertEqual(client.head("/me", headers=ADA).content, b"")

    def test_redirects_csrf_errors_and_streams(self):
        client = ISSUER.protect(application).test_client()
        moved = client.get("/moved", headers=ADA)
        self.assertRedirects(moved, "/me", fetch_redirect_response=False)
        self.assertEqual(client.post("/form", headers=ADA).content, b"taken")
        strict = ISSUER.protect(application).test_client(enforce_csrf_checks=True)
        self.assertEqual(strict.post("/form", headers=ADA).status_code, 403)
        stream = client.get("/stream", headers=ADA)
        self.assertEqual(b"".join(stream.streaming_content), b"onetwo")
        with self.assertRaises(ZeroDivisionError):
            client.get("/broken", headers=ADA)
        self.assertEqual(client.get("/me", headers=ADA).status_code, 200)

    def test_that_of_rest_framework(self):
        client = ISSUER.protect(application).test_client(client_class=APIClient)
        self.assertIs(type(client), APIClient)
        self.assertEqual(client.get("/orders").status_code, 401)
        self.assertEqual(client.get("/orders", headers=ADA).json(), [])


class WithoutAServer(SimpleTestCase):
    def test_the_test_client_is_let_through(self):
        self.assertEqual(self.client.get("/me").content, b" False ")
        answer = self.client.get("/me", **{"jwt_wsgi.payload": {"sub": "ada"}})
        self.assertEqual(answer.content, b"|ada True ")

    def test_that_of_rest_framework_is_let_through(self):
        payload = {"iss": "https://a.example", "sub": "ada"}
        answer = APIClient().get("/orders", **{"jwt_wsgi.payload": payload})
        self.assertEqual(answer.status_code, 200)
""",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Django project with REST framework, templates and `django.contrib.auth`."""
    folder = tmp_path_factory.mktemp("django")
    for name, text in PROJECT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def run_in(
    project: Path, issuer: FakeIssuer, *command: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    env = environment_of(project, issuer) | variables
    return subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def environment_of(project: Path, issuer: FakeIssuer) -> dict[str, str]:
    (project / "jwks.json").write_text(json.dumps(issuer.jwks()))
    options = {"issuer": issuer.issuer, "jwks_uri": "https://a.example/keys"}
    line = f"\nJWT_WSGI = {options!r}\n"
    (project / "project" / "settings.py").write_text(PROJECT["project/settings.py"] + line)
    return {
        "PYTHONPATH": ":".join([str(project), *filter(None, sys.path)]),
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "PATH": os.environ["PATH"],
    }


@pytest.mark.slow
def test_a_project_s_tests_run(project: Path, issuer: FakeIssuer) -> None:
    """Those of docs/how-to/testing.md, and what Django's own test client is let through for."""
    page = (Path(__file__).parent.parent / "docs" / "how-to" / "testing.md").read_text()
    (block,) = re.findall(r"^```python\n(import urllib.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (project / "test_page.py").write_text(block)
    audience = "https://api.example.com"  # that of the settings in the README
    run = run_in(project, issuer, "-m", "django", "test", JWT_WSGI_AUDIENCE=audience)

    assert run.returncode == 0, run.stderr
    assert "Ran 8 tests" in run.stderr


IN_THE_PROJECT = """
import json, sys
import django
django.setup()
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
from django.core.wsgi import get_wsgi_application
from werkzeug.test import Client
from jwt_wsgi.testing import FakeIssuer

issuer = FakeIssuer("https://a.example")
client = Client(issuer.protect(get_wsgi_application(), public_paths=["/open"]))

def ask(method, path, **options):
    headers = {"Authorization": f"Bearer {issuer.token(sub=options.pop('sub', 'ada'))}"}
    headers |= options.pop("headers", {})
    answer = client.open(path, method=method, headers=headers, **options)
    return [answer.status_code, answer.text, sorted(answer.headers.keys())]

html = {"Accept": "text/html"}
print(json.dumps({
    "model permissions": [ask("POST", "/groups", sub="x")[0], ask("GET", "/groups", sub="y")[0]],
    "browsable": [ask("GET", "/orders", sub="html", headers=html)[0]],
    "throttle": [ask("GET", "/orders", sub=sub)[0] for sub in ["bob"] * 4 + ["eve"]],
    "template": ask("GET", "/me"),
    "public": client.get("/open").text,
}))
"""


@pytest.mark.slow
def test_a_project_knows_the_user(project: Path, issuer: FakeIssuer) -> None:
    """Permissions of Django's are a 403, never a 500; no answer makes a session."""
    run = run_in(project, issuer, "-c", IN_THE_PROJECT)

    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["model permissions"] == [403, 200]
    assert found["browsable"] == [200]
    assert found["throttle"] == [200, 200, 200, 429, 200]
    assert found["template"][:2] == [200, "https://a.example|ada True "]
    assert "Set-Cookie" not in found["template"][2]
    assert found["public"] == " False "


@pytest.mark.slow
def test_an_asgi_server_serves_nothing(project: Path, issuer: FakeIssuer) -> None:
    """uvicorn runs `asgi.py`, around which there is no guard."""
    pytest.importorskip("uvicorn")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "project.asgi:application"]
    env = environment_of(project, issuer)
    log = project / "uvicorn.log"
    with (
        log.open("w") as file,
        subprocess.Popen(command, cwd=project, env=env, stdout=file, stderr=file) as server,
    ):
        try:
            answer = until_it_answers(f"http://127.0.0.1:{port}/me")
        finally:
            server.terminate()

    assert (answer.status_code, answer.json()["code"]) == (503, "not_guarded")
    assert log.read_text().count("without passing JWTMiddleware") == 1


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def until_it_answers(url: str) -> requests.Response:
    for _ in range(150):
        with suppress(requests.ConnectionError):
            return requests.get(url, timeout=5)
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")
