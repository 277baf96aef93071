"""What a script in a real browser sees of our answers: Debian's Chromium, headless, on loopback."""

import json
import re
import shutil
import subprocess
import tempfile
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.simple_server import WSGIServer

import pytest
from servers.running import in_a_thread

from jwt_wsgi.testing import FakeIssuer

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: chromium)"),
]

#: It calls the API of another origin, and then puts what it saw where --dump-dom shows it.
PAGE = """<!doctype html><html><body><pre id="seen"></pre><script>
fetch("{url}", {{credentials: "{credentials}"}})
  .then(async answer => ({{
      status: answer.status,
      body: await answer.json(),
      challenge: answer.headers.get("WWW-Authenticate"),
  }}))
  .catch(error => ({{error: String(error)}}))
  .then(seen => {{ document.getElementById("seen").textContent = JSON.stringify(seen); }});
</script></body></html>"""


class _Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def showing(html: str) -> Any:
    """An app that answers every request with this page."""

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [html.encode()]

    return app


def seen_by_a_script(credentials: str, cors_origins: str) -> dict[str, Any]:
    """What a page of one origin sees of a request without a token to a guarded API of another.

    ``cors_origins``: the option ``cors``, with ``{page}`` for the origin of the page.
    """
    pages, api = (_Threading(("127.0.0.1", 0), _Quiet) for _ in range(2))
    with in_a_thread(pages) as page, in_a_thread(api) as url:
        api.set_app(FakeIssuer().protect(lambda *_: [], cors=cors_origins.format(page=page)))
        pages.set_app(showing(PAGE.format(url=f"{url}/orders", credentials=credentials)))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            command = [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", f"--user-data-dir={home}",
                "--virtual-time-budget=10000", "--dump-dom", page,
            ]  # fmt: skip
            dom = subprocess.run(
                command, capture_output=True, text=True, timeout=60, check=True
            ).stdout
    (seen,) = re.findall(r'<pre id="seen">(.*?)</pre>', dom)
    found: dict[str, Any] = json.loads(seen)
    return found


@pytest.mark.parametrize("credentials", ["include", "omit"])
def test_a_script_of_a_named_origin_sees_our_401(credentials: str) -> None:
    """Body, status and challenge, so that it can send its user to the login."""
    assert seen_by_a_script(credentials, "{page}") == {
        "status": 401,
        "body": {"error": "No token provided"},
        "challenge": 'Bearer realm="api"',
    }


@pytest.mark.parametrize("cors_origins", ["*", "https://spa.example"])
def test_a_script_of_another_origin_does_not_see_it_with_credentials(cors_origins: str) -> None:
    """With credentials a browser does not accept ``*``: the script sees a network error."""
    assert seen_by_a_script("include", cors_origins) == {"error": "TypeError: Failed to fetch"}
