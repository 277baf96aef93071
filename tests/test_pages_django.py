"""The Django projects of the README and of docs/how-to/django.md, each as a project of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT
from pages import blocks

from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

SETTINGS = """
SECRET_KEY = "s" * 50
ROOT_URLCONF = "project.urls"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = []
MIDDLEWARE = []
"""
URLS = """
from django.http import JsonResponse
from django.urls import path
urlpatterns = [path("orders", lambda request: JsonResponse({"sub": request.jwt["sub"]}))]
"""
TRY = """
import json, sys
from werkzeug.test import Client
from project.wsgi import application
from django.core.checks import run_checks
client = Client(application)
good, other = sys.argv[1:]
tell = lambda answer: [answer.status_code, answer.json]
ask = lambda token: tell(client.get("/orders", headers={"Authorization": f"Bearer {token}"}))
complaints = list(map(str, run_checks()))
print(json.dumps([ask(good), ask(other), tell(client.get("/orders")), complaints]))
"""


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/django.md"])
def test_the_project_of_a_page_is_guarded(page: str, tmp_path: Path) -> None:
    """The right token gets in, one for another API does not, and no check complains."""
    wsgi, settings, *_ = [
        block.code for block in blocks(page, "python") if block.run_by == Path(__file__).name
    ]
    with FakeIssuer(aud="https://api.example.com").serve() as issuer:
        project = tmp_path / "project"
        project.mkdir()
        settings = settings.replace("https://login.example.com/", issuer.issuer)
        assert issuer.issuer in settings
        for name, text in (("settings", SETTINGS + settings), ("wsgi", wsgi), ("urls", URLS)):
            (project / f"{name}.py").write_text(text)
        tried = subprocess.run(
            [sys.executable, "-W", "error", "-c", TRY, issuer.token(sub="ada"),
             issuer.token(aud="https://other.example")],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert tried.returncode == 0, tried.stderr
    good, other, none, complaints = json.loads(tried.stdout)
    answer: Any = other[1]

    assert good == [200, {"sub": "ada"}]
    assert (other[0], answer["code"]) == (401, "audience_mismatch")
    assert none == [401, {"error": "No token provided"}]
    assert complaints == []
