"""Every block of docs/how-to/recipes.md and fastapi.md runs, and does what its page says.

What is not installed is skipped: ``pip install -e '.[recipes]'`` installs all of it.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "docs" / "how-to" / f"{name}.md" for name in ("recipes", "fastapi")]
#: Heading -> the program under it, in one block or in several.
BLOCKS = {
    heading: "\n\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    for page in PAGES
    for heading, text in re.findall(
        r"^#{1,2} ([^\n]+)\n(.*?)(?=^#{1,2} |\Z)", page.read_text(), re.DOTALL | re.MULTILINE
    )
    if "```python" in text
}


class Recipe(NamedTuple):
    """``check``: what is run after the block, with ``get`` and the headers ``ADA``, ``BOB``."""

    needs: str
    check: str


GRAPHQL = """
def ask(query, headers):
    answer = post(app, "/graphql", headers, json={"query": query})
    assert answer.status_code == 200, answer.text
    return answer.json
assert post(app, "/graphql", {}, json={"query": "{me}"}).status_code == 401
assert ask("{me}", ADA)["data"] == {"me": "ada"}
assert ask("{orders}", ADA)["data"] == {"orders": [1, 2]}
denied = ask("{orders}", BOB)
assert "lacks the scope orders:read" in str(denied["errors"]), denied
assert (denied["data"] or {}).get("orders") is None
"""

LIMITS = """
assert [get({app}, "/orders", ADA).status_code for _ in range(3)] == [200, 200, 429]
assert get({app}, "/orders", BOB).status_code == 200
assert get({app}, "/orders", OTHER_ADA).status_code == 200
assert get({app}, "/orders", {{}}).status_code == 401
"""

RECIPES = {
    "CherryPy": Recipe(
        "cherrypy",
        """
assert get(application, "/orders/", {}).status_code == 401
assert get(application, "/orders/", ADA).text == "orders of ada"
""",
    ),
    "APIFlask": Recipe(
        "apiflask",
        """
assert get(app, "/orders", {}).status_code == 401
assert get(app, "/orders", ADA).json == {"orders of": "ada"}
assert get(app, "/orders", BOB).status_code == 403
assert get(app, "/docs", {}).status_code == 200
spec = get(app, "/openapi.json", {}).json
assert spec["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
assert spec["paths"]["/orders"]["get"]["security"] == [{"bearer": []}]
""",
    ),
    "Dash": Recipe(
        "dash",
        """
asked = {
    "output": "greeting.children",
    "outputs": {"id": "greeting", "property": "children"},
    "inputs": [{"id": "name", "property": "value", "value": "eve"}],
    "changedPropIds": ["name.value"],
}
for path in ("/", "/_dash-layout"):
    assert get(app, path, {}).status_code == 401
    assert get(app, path, ADA).status_code == 200
assert post(app, "/_dash-update-component", {}, json=asked).status_code == 401
answer = post(app, "/_dash-update-component", ADA, json=asked)
assert "ada says hello to eve" in answer.text, answer.text
""",
    ),
    "GraphQL with graphene": Recipe("graphene", GRAPHQL),
    "GraphQL with strawberry": Recipe("strawberry", GRAPHQL),
    "Flask-Limiter, by user": Recipe("flask_limiter", LIMITS.format(app="app")),
    "DRF throttling, by user": Recipe("rest_framework", LIMITS.format(app="application")),
    "Celery": Recipe(
        "celery",
        """
celery.conf.task_always_eager = True
celery.conf.task_store_eager_result = True
celery.conf.result_backend = "cache+memory://"
assert post(app, "/export", {}).status_code == 401
answer = post(app, "/export", ADA)
assert answer.status_code == 202
done = celery.AsyncResult(answer.json["task"]).get()
assert done == f"exported the orders of {os.environ['ISSUER']}|ada"
""",
    ),
    "Flask-SocketIO": Recipe(
        "flask_socketio",
        """
HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
assert get(app, HANDSHAKE, {}).status_code == 401
opened = get(app, HANDSHAKE, ADA)
assert opened.status_code == 200
url = HANDSHAKE + "&sid=" + __import__("json").loads(opened.text[1:])["sid"]
assert post(app, url, ADA, data="40").status_code == 200
assert get(app, url, ADA).text.startswith("40")
assert post(app, url, ADA, data='421["order",7]').status_code == 200
assert get(app, url, ADA).text == '431["ada orders 7"]'

# The wrong order, as the page says: the socket is open to everybody.
wrong = Flask("wrong")
JWT(wrong)
SocketIO(wrong, async_mode="threading")
assert get(wrong, "/orders", {}).status_code == 401
assert get(wrong, HANDSHAKE, {}).status_code == 200
""",
    ),
    "AWS Lambda with serverless-wsgi": Recipe(
        "serverless_wsgi",
        """
def event(headers):
    return {
        "version": "2.0", "rawPath": "/orders", "rawQueryString": "", "headers": headers,
        "requestContext": {"http": {"method": "GET", "sourceIp": "127.0.0.1"}},
    }
assert handler(event({}), None)["statusCode"] == 401
answer = handler(event({"authorization": ADA["Authorization"]}), None)
assert (answer["statusCode"], "ada" in answer["body"]) == (200, True), answer
""",
    ),
    "An ASGI server in front: a2wsgi": Recipe(
        "a2wsgi",
        """
from a2wsgi import ASGIMiddleware
app = ASGIMiddleware(asgi)
assert get(app, "/orders", {}).status_code == 401
assert get(app, "/orders", ADA).json == {"orders of": "ada"}
""",
    ),
    "An ASGI app behind the middleware: a2wsgi": Recipe(
        "a2wsgi",
        """
assert get(application, "/orders", {}).status_code == 401
assert get(application, "/orders", ADA).text == "orders of ada"
""",
    ),
    "FastAPI: the verifier alone": Recipe(
        "fastapi a2wsgi",
        """
from a2wsgi import ASGIMiddleware
app, api = ASGIMiddleware(app), app
for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
    answer = get(app, "/orders", headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
assert get(app, "/orders", ADA).json == {"orders of": "ada"}
api.get("/plain")(lambda: "plain")
assert (get(app, "/plain", {}).status_code, get(app, "/plain", ADA).json) == (401, "plain")
assert get(app, "/openapi.json", {}).json["components"]["securitySchemes"]["HTTPBearer"] == {
    "type": "http", "scheme": "bearer"}
""",
    ),
}

#: The clients of every check. The recipe is a module, as Django and Flask expect.
AROUND = """
import json, os, sys
from werkzeug.test import Client

ADA, BOB, OTHER_ADA = (
    {"Authorization": "Bearer " + os.environ[name]} for name in ("ADA", "BOB", "OTHER_ADA")
)

def get(app, path, headers):
    return Client(app).get(path, headers=headers)

def post(app, path, headers, **options):
    return Client(app).post(path, headers=headers, **options)

import recipe
globals().update({k: v for k, v in vars(recipe).items() if not k.startswith("__")})
"""


def test_every_recipe_is_tried() -> None:
    assert set(BLOCKS) == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_works(name: str, tmp_path: Path, issuer: FakeIssuer) -> None:
    """In a process of its own: frameworks keep settings for a whole process."""
    for module in RECIPES[name].needs.split():
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed; pip install -e '.[recipes]'")
    (tmp_path / "recipe.py").write_text(BLOCKS[name])
    (tmp_path / "check.py").write_text(AROUND + RECIPES[name].check)
    other = FakeIssuer("https://other.example")
    (tmp_path / "jwks.json").write_text(json.dumps(issuer.jwks()))
    (tmp_path / "other.json").write_text(json.dumps(other.jwks()))
    issuers = [
        {"issuer": issuer.issuer, "jwks": str(tmp_path / "jwks.json")},
        {"issuer": other.issuer, "jwks": str(tmp_path / "other.json")},
    ]
    usual = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    env = usual | {
        "PYTHONPATH": str(ROOT),
        "JWT_WSGI_ISSUER": json.dumps(issuers),
        "JWT_WSGI_AUDIENCE": "api",
        "ISSUER": issuer.issuer,
        "OTHER_ADA": other.token(sub="ada", aud="api"),
        "ADA": issuer.token(sub="ada", aud="api", scope="orders:read"),
        "BOB": issuer.token(sub="bob", aud="api"),
    }
    run = subprocess.run(
        [sys.executable, "check.py"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_verifier_in_fastapi_takes_fifteen_lines() -> None:
    """What guards every route is the first block of its page."""
    text = (ROOT / "docs" / "how-to" / "fastapi.md").read_text()
    first = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[0]

    assert "dependencies=[Depends(claims)]" in first
    assert len(first.splitlines()) <= 15
