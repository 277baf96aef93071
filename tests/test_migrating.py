"""The pages that lead here: before and after are run, and serve the same users."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import bearer
from cryptography.hazmat.primitives import serialization

from jwt_wsgi import jose
from jwt_wsgi.testing import FakeIssuer

PAGES = Path(__file__).parent.parent / "examples" / "migrating"
AUDIENCE = "https://api.example.com"


def blocks(page: str, issuer: FakeIssuer) -> dict[str, str]:
    """What stands behind each mark of a page, for an issuer that is there."""
    text = (PAGES / f"{page}.md").read_text()
    found = dict(re.findall(r"<!-- ([\w ]+) -->\n```python\n(.*?)```", text, re.DOTALL))
    return {
        mark: code.replace("https://login.example.com", issuer.issuer)
        for mark, code in found.items()
    }


def pem(issuer: FakeIssuer) -> str:
    key: Any = jose.import_jwk(issuer.jwks()["keys"][0]).public_key
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_bytes(encoding, form).decode())


@pytest.mark.parametrize("page", ["from_pyjwt", "from_flask_jwt_extended"])
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


DJANGO = """
import json, sys
from django.conf import settings
page = json.load(sys.stdin)
said = {}
exec(page["settings"], said)
said = {name: value for name, value in said.items() if name.isupper()}
base = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"]
said["INSTALLED_APPS"] = [*base, *said.get("INSTALLED_APPS", [])]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="s" * 50, **said)
import django
from django.urls import path
from werkzeug.test import Client
if page["when"] == "before":
    from django.core.wsgi import get_wsgi_application
else:
    from jwt_wsgi.contrib.django import get_wsgi_application
application = get_wsgi_application()
views = {}
exec(page["views"], views)
urlpatterns = [path("orders", views["Orders"].as_view())]
visitor = Client(application)
for headers in page["requests"]:
    answer = visitor.get("/orders", headers=headers | {"Accept": "application/json"})
    print(json.dumps([answer.status_code, answer.json]))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_django_rest_framework(when: str) -> None:
    """In a process of its own, for Django's settings are made once."""
    with FakeIssuer(algorithm="RS256").serve() as issuer:
        found = blocks("from_simplejwt", issuer)
        page = {
            "when": when,
            "settings": found[f"{when} settings"],
            "views": found[f"{when} views"],
            "requests": [
                bearer(issuer.token(sub="ada", scope="read", aud=AUDIENCE)),
                bearer(issuer.token(sub="ada", exp=1, aud=AUDIENCE)),
                bearer(issuer.token(sub="ada", aud="https://other.example")),
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
    assert good == [200, {"user": "ada", "scope": "read"}]
    assert [status for status, _ in bad] == [401, 401, 401]
