"""What single pages show is what happens: commands are typed, tables are tried.

What holds for every page is in test_pages.py.
"""

import inspect
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from conftest import bearer
from pages import PAGES
from pages import ROOT
from pages import blocks
from servers.running import gunicorn
from werkzeug.test import Client

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import FakeIssuer

GATEWAY = "docs/explanation/gateway.md"


def test_the_table_of_the_test_kit_says_what_works() -> None:
    """Every piece of code in it runs, on an issuer that is served."""
    (table,) = re.findall(
        r"\| you want \| say \|\n\|.*?\n(.*?)\n\n", PAGES["docs/reference/test-kit.md"], re.DOTALL
    )
    cells = [row.split("|")[2] for row in table.split("\n")]
    pieces = [code for cell in cells for code in re.findall(r"`(.*?)`", cell)]
    guarded = JWTMiddleware(lambda *_: [], issuer="https://issuer.example")
    with FakeIssuer().serve() as issuer:
        names = {"issuer": issuer, "guarded_app": guarded, "FakeIssuer": FakeIssuer}
        for code in pieces:
            if code == "with issuer.serve():":  # as we do
                continue
            exec(code + (" pass" if code.endswith(":") else ""), names)

    assert len(pieces) == 11
    assert issuer.kid == "key-3"  # it was rotated twice


@pytest.mark.slow
def test_the_commands_say_what_is_shown(tmp_path: Path) -> None:
    """As a reader would type them; … stands for whatever comes there."""
    (shown,) = [block.code for block in blocks("docs/reference/command-line.md", "console")]
    command = tmp_path / "jwt-wsgi"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m jwt_wsgi "$@"\n')
    command.chmod(0o755)
    typed = "\n".join(re.findall(r"^\$ (.*)$", shown, re.MULTILINE))
    ran = subprocess.run(
        ["sh", "-c", typed], cwd=tmp_path, text=True, timeout=30, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    said = re.sub(r"^\$ .*\n", "", shown, flags=re.MULTILINE)

    assert ran.returncode == 1
    assert re.fullmatch(re.escape(said).replace("…", ".*?"), ran.stdout, re.DOTALL), ran.stdout


@pytest.mark.slow
def test_an_app_is_wrapped_by_name(tmp_path: Path) -> None:
    """The line of docs/how-to/pyramid-and-wsgi.md, under gunicorn."""
    page = "docs/how-to/pyramid-and-wsgi.md"
    (line,) = [block.code for block in blocks(page) if block.mark == "wrapped-by-name"]
    (tmp_path / "myproject").mkdir()
    (tmp_path / "myproject" / "wsgi.py").write_text(
        "from jwt_wsgi.cli.demo import echo as application"
    )
    with FakeIssuer().serve() as issuer:
        env = dict(re.findall(r"(\w+)=(\S+)", line)) | {
            "JWT_WSGI_ISSUER": issuer.issuer,
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
        }
        with gunicorn(line.split()[-1], cwd=tmp_path, env=env) as url:
            good = requests.get(f"{url}/protected", headers=bearer(issuer.token()), timeout=10)
            assert good.json()["message"] == "Access granted"
            assert requests.get(f"{url}/protected", timeout=10).status_code == 401


@pytest.mark.slow
def test_the_probes_for_kubernetes() -> None:
    """Unready without keys, ready with them, and still ready when the issuer is gone."""
    page = "docs/how-to/operations.md"
    (code,) = [block.code for block in blocks(page) if block.mark == "readiness"]
    (probes,) = [block.code for block in blocks(page, "yaml")]
    paths = re.findall(r"path: (\S+?)[,}]", probes)
    assert f"public_paths={json.dumps(paths)}" in PAGES[page]

    with FakeIssuer().serve() as issuer:
        namespace: dict[str, Any] = {}
        exec(compile(code, page, "exec"), namespace)
        probed = JWTMiddleware(namespace["readyz"], issuer=issuer.issuer, public_paths=paths)
        namespace["middleware"] = probed
        client = Client(probed)
        with issuer.outage():
            assert client.get("/readyz").status_code == 503
            asked = len(issuer.requests)
            assert client.get("/readyz").status_code == 503
            assert len(issuer.requests) == asked  # the back-off holds
        time.sleep(1.3)
        assert client.get("/readyz").status_code == 200
        with issuer.outage():
            assert client.get("/readyz").status_code == 200


def test_the_variables_that_publish_a_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    """The challenge and the metadata lead a client to the issuer."""
    line = blocks("docs/how-to/mcp.md", "sh")[0].code
    for name, value in re.findall(r"(\w+)=(\S+)", line):
        monkeypatch.setenv(name, value)
    client = Client(JWTMiddleware(lambda *_: []))

    challenge = client.get("/mcp").headers["WWW-Authenticate"]
    metadata = client.get("/.well-known/oauth-protected-resource/mcp").json

    assert "https://api.example.com/.well-known/oauth-protected-resource/mcp" in challenge
    assert metadata["authorization_servers"] == ["https://login.example.com"]


def test_the_figures_of_the_page_about_gateways_are_those_of_the_results() -> None:
    """Each row: its share of requests that are kept, and its cost of a new token, with spreads."""
    saved = json.loads((ROOT / "tests/benchmarks/results.json").read_text())
    rows = {row[1]: row for _, found, _ in saved.values() for row in found}
    kept, added = "gateways, same token, CPU kept", "gateways, every token new, adds"
    named = {
        "this middleware": "",
        "Apache's mod_auth_openidc": "mod_auth_openidc",
        "Apache's mod_oauth2": "mod_oauth2",
        "PyJWT with": "PyJWT + PyJWKClient by hand",
    }
    shown = re.findall(
        r"^\| (.*?) \| (.*?) \((.*?) to (.*?)\) \| (.*?) \((.*?) to (.*?)\) \|$",
        PAGES[GATEWAY],
        re.MULTILINE,
    )

    assert len(shown) == len(named)
    for (title, *figures), (start, name) in zip(shown, named.items(), strict=True):
        assert title.startswith(start)
        measured = [
            number
            for row in (rows[kept], rows[added])
            for number in (row[4][name] if name else row[3])
        ]
        assert [float(figure) for figure in figures] == pytest.approx(measured, abs=0.0051)


def test_the_page_about_gateways_says_how_long_pyjwt_holds_keys() -> None:
    default = inspect.signature(jwt.PyJWKClient).parameters["lifespan"].default

    assert f"| PyJWT 2.15, `PyJWKClient` | {default} s |" in PAGES[GATEWAY]


def test_every_row_of_when_access_ends_names_its_tests() -> None:
    """That they exist is tested for every page."""
    (table,) = re.findall(
        r"\| what happens \| a request is refused \| test \|\n\|.*?\n(.*?)\n\n",
        PAGES["docs/how-to/revocation.md"],
        re.DOTALL,
    )
    rows = table.splitlines()

    assert len(rows) == 12
    assert all(re.search(r"`test_\w+::test_\w+` \|$", row) for row in rows)
