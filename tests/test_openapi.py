"""OpenAPI documents name the bearer scheme, and Swagger UI's "Authorize" works in a real browser.

The programs are the blocks of docs/how-to/openapi.md.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jwt_wsgi.testing import FakeIssuer

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "how-to" / "openapi.md").read_text()
FLASK, REST = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
CHROMIUM = shutil.which("chromium")
#: The program, what it needs, the path of its document and of its Swagger UI.
APPS = {
    "apispec": (FLASK, "apispec_webframeworks swagger_ui_bundle", "/openapi.json", "/docs/"),
    "drf-spectacular": (
        REST,
        "drf_spectacular drf_spectacular_sidecar",
        "/schema/openapi?format=json",
        "/schema/docs/",
    ),
}

#: Serves the program, with a script of ours in its HTML pages: a user who clicks.
SERVE = """
import sys, threading
from werkzeug.serving import make_server
import program

app = getattr(program, "application", None) or program.app
if hasattr(program, "application"):
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    app.app = StaticFilesHandler(app.app)
SCRIPT = open("user.js", "rb").read()

def with_a_user(environ, start_response):
    answers = []
    def start(status, headers, exc_info=None):
        answers.append((status, headers))
        return lambda chunk: None
    body = app(environ, start)
    chunks = b"".join(body)
    getattr(body, "close", lambda: None)()
    (status, headers), = answers
    if ("Content-Type", "text/html; charset=utf-8") in headers:
        chunks += b"<pre id=seen></pre><script>" + SCRIPT + b"</script>"
        headers = [pair for pair in headers if pair[0].lower() != "content-length"]
        headers.append(("Content-Length", str(len(chunks))))
    start_response(status, headers)
    return [chunks]

server = make_server("127.0.0.1", 0, with_a_user, threaded=True)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""

#: What a user does: tries without a token, authorizes, tries again.
USER = """
const find = async (selector, fits = () => true) => {
  for (;;) {
    const found = document.querySelector(selector);
    if (found && fits(found)) return found;
    await new Promise(next => setTimeout(next, 50));
  }
};
const seen = document.getElementById("seen");
const click = async selector => {
  seen.textContent = selector;  // where it waits, if it does not end
  (await find(selector)).click();
};
const answer = async fits => {
  await click("button.execute");
  return (await find(".live-responses-table tbody .response-col_status", fits)).textContent.trim();
};
(async () => {
  await click(".opblock-summary-control");
  await click(".try-out__btn");
  const before = await answer(() => true);
  await click(".btn.authorize");
  const input = await find(".auth-container input");
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  set.call(input, "TOKEN");
  input.dispatchEvent(new Event("input", {bubbles: true}));
  await click(".auth-btn-wrapper .authorize");
  await click(".auth-btn-wrapper .btn-done");
  const after = await answer(cell => !cell.textContent.includes("401"));
  const body = (await find(".live-responses-table .microlight")).textContent;
  seen.textContent = JSON.stringify({before, after, body});
})();
"""


@contextmanager
def served(name: str, folder: Path, issuer: FakeIssuer) -> Iterator[str]:
    """The origin of a program of the page, in a process of its own."""
    program, needs, *_ = APPS[name]
    for module in needs.split():
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed; pip install -e '.[recipes]'")
    token = issuer.token(sub="ada", aud="api", scope="orders:read")
    (folder / "program.py").write_text(program)
    (folder / "serve.py").write_text(SERVE)
    (folder / "user.js").write_text(USER.replace("TOKEN", token))
    (folder / "jwks.json").write_text(json.dumps(issuer.jwks()))
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "JWT_WSGI_ISSUER": issuer.issuer,
        "JWT_WSGI_AUDIENCE": "api",
        "JWT_WSGI_JWKS_FILE": str(folder / "jwks.json"),
    }
    with subprocess.Popen(
        [sys.executable, "serve.py"],
        cwd=folder, env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            port = process.stdout.readline().strip()
            if not port:
                pytest.fail(process.stderr.read())
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def get(url: str) -> tuple[int, bytes]:
    import requests

    answer = requests.get(url, timeout=30)
    return answer.status_code, answer.content


@pytest.mark.slow
@pytest.mark.parametrize("name", APPS)
def test_a_document_names_the_scheme(name: str, tmp_path: Path, issuer: FakeIssuer) -> None:
    with served(name, tmp_path, issuer) as origin:
        status, body = get(origin + APPS[name][2])
        refused, _ = get(f"{origin}/orders")

    assert (status, refused) == (200, 401)
    document = json.loads(body)
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    orders = document["paths"]["/orders"]["get"]
    assert orders.get("security", document.get("security")) == [{"bearer": []}]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: chromium)")
@pytest.mark.parametrize("name", APPS)
def test_authorize_works_in_chromium(name: str, tmp_path: Path, issuer: FakeIssuer) -> None:
    """Without a token 401; with the token that was entered the user's own answer."""
    with (
        served(name, tmp_path, issuer) as origin,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
    ):
        command = [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", f"--user-data-dir={home}",
            "--virtual-time-budget=30000", "--dump-dom", origin + APPS[name][3],
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    (seen,) = re.findall(r'<pre id="seen">(.*?)</pre>', run.stdout)
    assert seen.startswith("{"), f"the script waits for {seen}"
    found = json.loads(seen)
    assert found["before"].startswith("401")
    assert found["after"].startswith("200")
    assert json.loads(found["body"]) == {"orders of": "ada"}
