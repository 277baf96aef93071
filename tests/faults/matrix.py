"""Every framework beside every answer, under gunicorn: ``python tests/faults/matrix.py [NAME...]``.

Prints a table, and exits 1 if a cell is not what it should be. What is not installed is said.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

import requests

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from servers.running import gunicorn  # noqa: E402

from jwt_wsgi.testing import FakeIssuer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable


class App(NamedTuple):
    """A guarded app: ``/me`` says who asks, in the framework's own words."""

    needs: str
    code: str
    #: The path of its OpenAPI document.
    document: str = ""


SPEC = """
from apispec import APISpec
from apispec_webframeworks.{name} import {plugin}
from jwt_wsgi.contrib.openapi import add_bearer
spec = APISpec("Shop", "1", "3.0.3", plugins=[{plugin}()])
add_bearer(spec)
"""
DJANGO = """
import django
from django.conf import settings
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY="x", JWT_WSGI={{}},
    INSTALLED_APPS=["jwt_wsgi.contrib.django.JWTConfig", {apps}],
    MIDDLEWARE=["jwt_wsgi.contrib.django.request_user"], {more}
)
django.setup()
from django.http import JsonResponse
from django.urls import path
from jwt_wsgi.contrib.django import get_wsgi_application
"""
APPS = {
    "plain WSGI": App(
        "",
        """
import json
from jwt_wsgi import JWTMiddleware
def application(environ, start_response):
    found = environ["PATH_INFO"] == "/me"
    status = "200 OK" if found else "404 Not Found"
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps({"user": environ["jwt_wsgi.payload"]["sub"]}).encode()] if found else []
application = JWTMiddleware(application)
""",
    ),
    "Flask": App(
        "flask apispec_webframeworks",
        SPEC.format(name="flask", plugin="FlaskPlugin")
        + """
from flask import Flask
from jwt_wsgi.contrib.flask import JWT, current_payload
application = Flask(__name__)
JWT(application)
@application.get("/me")
def me():
    '''Me.
    ---
    get: {responses: {200: {description: Me}}}
    '''
    return {"user": current_payload["sub"]}
with application.test_request_context():
    spec.path(view=me)
application.add_url_rule("/openapi.json", "openapi", spec.to_dict)
""",
        "/openapi.json",
    ),
    "APIFlask": App(
        "apiflask",
        """
from apiflask import APIFlask
from jwt_wsgi.contrib.flask import JWT, current_payload
from jwt_wsgi.contrib.openapi import BEARER
application = APIFlask(__name__)
application.security_schemes = {"bearer": BEARER}
JWT(application)
@application.get("/me")
@application.doc(security="bearer")
def me():
    return {"user": current_payload["sub"]}
""",
        "/openapi.json",
    ),
    "Django": App(
        "django",
        DJANGO.format(apps="", more="")
        + """
urlpatterns = [path("me", lambda request: JsonResponse({"user": request.user.username}))]
application = get_wsgi_application()
""",
    ),
    "DRF": App(
        "rest_framework drf_spectacular",
        DJANGO.format(
            apps='"rest_framework", "drf_spectacular"',
            more="""REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["jwt_wsgi.contrib.drf.JWTAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        "UNAUTHENTICATED_USER": None,
    }, SPECTACULAR_SETTINGS={"SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"]}""",
        )
        + """
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import JSONOpenAPIRenderer
from rest_framework.response import Response
from rest_framework.views import APIView
class Me(APIView):
    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request):
        return Response({"user": request.user.username})
urlpatterns = [
    path("me", Me.as_view()),
    path("openapi.json", SpectacularAPIView.as_view(renderer_classes=[JSONOpenAPIRenderer])),
]
application = get_wsgi_application()
""",
        "/openapi.json",
    ),
    "Pyramid": App(
        "pyramid",
        """
from pyramid.config import Configurator
from jwt_wsgi import JWTMiddleware
config = Configurator()
config.include("jwt_wsgi.contrib.pyramid")
config.add_route("me", "/me")
config.add_view(lambda request: {"user": request.authenticated_userid}, "", route_name="me",
                renderer="json")
application = JWTMiddleware(config.make_wsgi_app())
""",
    ),
    "Bottle": App(
        "bottle apispec_webframeworks",
        SPEC.format(name="bottle", plugin="BottlePlugin")
        + """
import bottle
from jwt_wsgi import JWTMiddleware, current_payload
@bottle.get("/me")
def me():
    '''Me.
    ---
    get: {responses: {200: {description: Me}}}
    '''
    return {"user": current_payload()["sub"]}
spec.path(view=me)
bottle.get("/openapi.json", callback=spec.to_dict)
application = JWTMiddleware(bottle.default_app())
""",
        "/openapi.json",
    ),
    "Falcon": App(
        "falcon",
        """
import falcon
from jwt_wsgi import JWTMiddleware, current_payload
class Me:
    def on_get(self, request, response):
        response.media = {"user": current_payload()["sub"]}
application = falcon.App()
application.add_route("/me", Me())
application = JWTMiddleware(application)
""",
    ),
    "CherryPy": App(
        "cherrypy",
        """
import json
import cherrypy
from jwt_wsgi import JWTMiddleware, current_payload
class Root:
    @cherrypy.expose
    def me(self):
        cherrypy.response.headers["Content-Type"] = "application/json"
        return json.dumps({"user": current_payload()["sub"]}).encode()
cherrypy.config.update({"environment": "embedded"})
application = JWTMiddleware(cherrypy.Application(Root()))
""",
    ),
}

CLIENT = """
import sys
from application import application
from jwt_wsgi.testing import FakeIssuer
issuer = FakeIssuer("https://fake.example", aud="api")
client = issuer.protect(application).test_client()
headers = {"Authorization": "Bearer " + issuer.token(sub="ada")}
def user(answer):
    said = answer.json() if callable(answer.json) else answer.json
    return said["user"]
good, bad = client.get("/me", headers=headers), client.get("/me")
assert (good.status_code, bad.status_code) == (200, 401)
assert user(good) in ("ada", "https://fake.example|ada"), user(good)
names = [k.__name__ for k in type(client).__mro__ if k.__module__ != "jwt_wsgi.test_kit.protected"]
print(names[0])
"""
#: Functions of the app that fail for one user each; they cannot come from the environment.
FUNCTIONS = """
from jwt_wsgi import JWTMiddleware, UnavailableError
def revoked(claims):
    if claims["sub"] == "store-down":
        raise ConnectionError
    return claims["sub"] == "revoked"
def check(claims, now):
    if claims["sub"] == "check-down":
        raise UnavailableError
init = JWTMiddleware.__init__
def with_functions(self, app, **options):
    init(self, app, **options, revocation=revoked, checks=[check])
JWTMiddleware.__init__ = with_functions
from application import application
"""
RULES = [
    {"path": "/openapi.json", "token": "ignored"},
    {"path": "/orders", "scopes": ["read"]},
    {"path": "/pay", "max_age": 60},
]
#: Column -> what it should say.
EXPECTED = {
    "200": "200",
    "no token": "401",
    "Basic": "401",
    "expired": "401 token_expired",
    "forged": "401 signature_invalid",
    "audience": "401 audience_mismatch",
    "two tokens": "400",
    "scope": "403 insufficient_scope",
    "step-up": "401 insufficient_user_authentication",
    "keys down": "503 keys_unavailable",
    "kids made up": "429 key_not_known_yet",
    "revoked": "401 token_revoked",
    "revocation down": "503 revocation_unavailable",
    "own check down": "503 temporarily_unavailable",
    "user": "ada",
}


def asked(url: str, issuer: FakeIssuer, down: FakeIssuer) -> dict[str, str]:
    """What each request is answered."""

    def ask(path: str, token: str = "", **headers: str) -> requests.Response:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return requests.get(url + path, headers=headers, timeout=30)

    def say(answer: requests.Response) -> str:
        body = answer.json() if answer.status_code >= 400 else {}
        return f"{answer.status_code} {body.get('code', '')}".strip()

    def made_up() -> str:
        for number in range(100):
            said = say(ask("/me", issuer.token(header={"kid": f"made-up-{number}"})))
            if said.startswith("429"):
                break
        return said

    good = issuer.token(sub="ada")
    cells: dict[str, Callable[[], str]] = {
        "200": lambda: say(ask("/me", good)),
        "no token": lambda: say(ask("/me")),
        "Basic": lambda: say(ask("/me", Authorization="Basic eDp5")),
        "expired": lambda: say(ask("/me", issuer.token(exp=1))),
        "forged": lambda: say(ask("/me", issuer.wrong_key()())),
        "audience": lambda: say(ask("/me", issuer.token(aud="billing"))),
        "two tokens": lambda: say(ask("/me", good, Cookie=f"token={good}")),
        "scope": lambda: say(ask("/orders", good)),
        "step-up": lambda: say(ask("/pay", good)),
        "keys down": lambda: say(ask("/me", down.token(aud="api"))),
        "revoked": lambda: say(ask("/me", issuer.token(sub="revoked"))),
        "revocation down": lambda: say(ask("/me", issuer.token(sub="store-down"))),
        "own check down": lambda: say(ask("/me", issuer.token(sub="check-down"))),
        "user": lambda: ask("/me", good).json()["user"].removeprefix(f"{issuer.issuer}|"),
        "kids made up": made_up,
    }
    return {name: cells[name]() for name in sorted(EXPECTED, key=list(cells).index)}


def row(app: App) -> dict[str, str]:
    """The cells of one framework."""
    missing = [name for name in app.needs.split() if importlib.util.find_spec(name) is None]
    if missing:
        return {"200": f"{missing[0]} is not installed"}
    down = FakeIssuer("https://down.example")
    with tempfile.TemporaryDirectory() as name, FakeIssuer(aud="api").serve() as issuer:
        folder = Path(name)
        (folder / "application.py").write_text(app.code)
        (folder / "functions.py").write_text(FUNCTIONS)
        (folder / "client.py").write_text(CLIENT)
        issuers = [
            {"issuer": issuer.issuer},
            {"issuer": down.issuer, "jwks_uri": "http://127.0.0.1:1/keys"},
        ]
        env = {
            "PYTHONPATH": f"{folder}:{ROOT}",
            "JWT_WSGI_ISSUER": json.dumps(issuers),
            "JWT_WSGI_AUDIENCE": "api",
            "JWT_WSGI_RULES": json.dumps(RULES),
            "JWT_WSGI_TOKEN_FROM": "header,cookie:token",
        }
        with gunicorn("functions:application", cwd=folder, env=env, workers=1) as url:
            cells = asked(url, issuer, down)
            cells["OpenAPI"] = "-"
            if app.document:
                document = requests.get(url + app.document, timeout=30).json()
                scheme = document["components"]["securitySchemes"]["bearer"]
                cells["OpenAPI"] = f"{scheme['type']} {scheme['scheme']}"
        run = subprocess.run(
            [sys.executable, "client.py"], cwd=folder, env={"PATH": os.environ["PATH"], **env},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        cells["test client"] = run.stdout.strip() or run.stderr.strip().splitlines()[-1]
    return cells


def main(names: list[str]) -> int:
    columns = [*EXPECTED, "test client", "OpenAPI"]
    print("| framework |", " | ".join(columns), "|")
    print("|---" * (len(columns) + 1) + "|")
    wrong = 0
    for name in names or APPS:
        cells = row(APPS[name])
        print(
            f"| {name} |", " | ".join(cells.get(column, "") for column in columns), "|", flush=True
        )
        if len(cells) > 1:
            wrong += any(cells[column] != expected for column, expected in EXPECTED.items())
            wrong += not cells["test client"].endswith("Client")
            wrong += cells["OpenAPI"] != ("http bearer" if APPS[name].document else "-")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
