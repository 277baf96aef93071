"""What the README shows is what happens: commands are typed, and answer as shown.

What holds for every page, the README among them, is in test_pages.py.
"""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from pages import PAGES
from pages import ROOT
from pages import blocks
from servers.running import gunicorn
from werkzeug.test import Client

from jwt_wsgi.testing import FakeIssuer

#: What each app of the README is called with.
AUDIENCE = "https://api.example.com"


def app_of(mark: str, issuer: FakeIssuer) -> str:
    """The code of a marked block, with an issuer that is there."""
    (code,) = [block.code for block in blocks("README.md") if block.mark == mark]
    configured, count = re.subn(r'issuer="[^"]+"', f'issuer="{issuer.issuer}"', code)
    assert count == 1
    return configured


def test_the_readme_fits_on_two_screens() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 160


@pytest.mark.parametrize("mark", ["flask", "wsgi"])
def test_an_app_of_ten_lines_guards_everything(mark: str) -> None:
    """Nothing is public, a token for this API gets in, and one for another does not."""
    with FakeIssuer(aud=AUDIENCE).serve() as issuer:
        names: dict[str, Any] = {"__name__": "page"}
        exec(compile(app_of(mark, issuer), "README.md", "exec"), names)
        client = Client(names["app"])

        def ask(**claims: Any) -> Any:
            token = issuer.token(sub="ada", **claims)
            return client.get("/orders", headers={"Authorization": f"Bearer {token}"})

        assert ask().status_code == 200
        assert b"ada" in ask().data
        assert ask(aud="https://other.example").json["code"] == "audience_mismatch"
        assert {client.get(path).status_code for path in ("/", "/orders", "/healthz")} == {401}


@pytest.mark.slow
def test_the_curls_answer_as_shown(tmp_path: Path) -> None:
    """Each of them, against the Flask app of the README under gunicorn."""
    (shown,) = [block.code for block in blocks("README.md") if block.mark == "curl"]
    asked = re.findall(r"^\$ (curl .*)\n(.*)$", shown, re.MULTILINE)
    assert len(asked) == 3
    with FakeIssuer(aud=AUDIENCE).serve() as issuer:
        (tmp_path / "shop.py").write_text(app_of("flask", issuer))
        tokens = {
            "TOKEN": issuer.token(sub="ada"),
            "EXPIRED": issuer.token(exp=int(time.time()) - 60),
        }
        with gunicorn("shop:app", cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}) as url:
            for command, answer in asked:
                ran = subprocess.run(
                    ["sh", "-c", command.replace("http://127.0.0.1:8000", url)],
                    env=os.environ | tokens,
                    capture_output=True, text=True, check=True, timeout=30,
                )  # fmt: skip
                assert ran.stdout.strip() == answer


def test_the_setup_lines_are_those_that_are_run() -> None:
    """CI takes the test command from the README; the demo command differs in its end only."""
    marked = {block.mark: block.code.strip() for block in blocks("README.md")}
    venv, install, tests = marked["test-command"].split(" && ")
    demo_venv, demo_install, demo = marked["demo-command"].split(" && ")

    assert (venv, demo_venv) == ("python3 -m venv .venv",) * 2
    assert install.replace("test", "demo") == demo_install
    assert tests == ".venv/bin/pytest -n 2 --dist loadfile --cov"
    assert demo == ".venv/bin/python -m jwt_wsgi demo"
    assert "README.md" in (ROOT / ".ci" / "run").read_text()
