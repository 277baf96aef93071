"""Public scanners against the MCP example: ``python tests/faults/mcp_scanners.py``.

``examples/mcp_app.py`` runs under gunicorn gthread, with the authorization server of the tests.
PyPI's ``mcp-authlab`` and ``jbt-mcpcheck`` scan it with a token, and with a token for another
resource; npm's ``@modelcontextprotocol/conformance`` runs its scenarios about transport, for which
a small door adds the token, since that suite sends none. Prints all that they say; the exit code is
1 if a MUST is not met. Needs npm. ``MCP_SCANNERS``: a folder where the scanners are kept; else they
are installed into a temporary one. A script, not collected by pytest.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs
from urllib.parse import urlsplit

import requests
from werkzeug.serving import WSGIRequestHandler
from werkzeug.serving import make_server

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from servers.authorization_server import make_app  # noqa: E402
from servers.running import free_port  # noqa: E402
from servers.running import in_a_thread  # noqa: E402
from servers.running import running  # noqa: E402

CALLBACK = "http://127.0.0.1:1/callback"  # nothing is there: the code is read from the Location
PYTHON_SCANNERS = ("mcp-authlab", "jbt-mcpcheck")
NODE_SCANNERS = ("node@22", "@modelcontextprotocol/conformance")
#: The scenarios of the official suite about transport; those about authorization test clients.
SCENARIOS = ("server-initialize", "ping", "tools-list", "dns-rebinding-protection")
#: What only a test on loopback without TLS cannot meet.
EXPECTED_WARNINGS = {"TLS-01", "ASM-06"}
DOOR = """
import os

from mcp_app import app as guarded


def app(environ, start_response):
    environ.setdefault("HTTP_AUTHORIZATION", "Bearer " + os.environ["TOKEN"])
    return guarded(environ, start_response)
"""


class Quiet(WSGIRequestHandler):
    def log(self, *_args: object) -> None:
        """Say nothing."""


def token(issuer: str, resource: str) -> str:
    """Register a client, log in with PKCE, and return an access token for ``resource``."""
    wish = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    wish |= {"grant_types": ["authorization_code"], "response_types": ["code"]}
    client = requests.post(f"{issuer}/register", json=wish, timeout=10).json()["client_id"]
    verifier = "of-this-run-only-" * 3
    digest = hashlib.sha256(verifier.encode()).digest()
    common = {"client_id": client, "redirect_uri": CALLBACK, "resource": resource}
    asked = common | {"response_type": "code", "scope": "greet", "code_challenge_method": "S256"}
    asked["code_challenge"] = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    said = requests.get(f"{issuer}/authorize", params=asked, allow_redirects=False, timeout=10)
    code = parse_qs(urlsplit(said.headers["Location"]).query)["code"][0]
    form = common | {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    granted = requests.post(f"{issuer}/token", data=form, timeout=10)
    granted.raise_for_status()
    return str(granted.json()["access_token"])


def installed(folder: Path) -> tuple[Path, Path]:
    """The folders with the programs of both kinds of scanners; installs what is not there."""
    python, node = folder / "venv" / "bin", folder / "node_modules" / ".bin"
    if not (python / "mcpcheck").exists():
        venv.create(folder / "venv", with_pip=True)
        subprocess.run([python / "pip", "install", "-q", *PYTHON_SCANNERS], check=True)
    if not (node / "conformance").exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, *NODE_SCANNERS]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return python, node


@contextmanager
def example(app: str, folder: Path, issuer: str, **more: str) -> Iterator[str]:
    """The URL of the MCP endpoint of ``app`` under gunicorn, with threads."""
    port = free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    path = os.pathsep.join([str(folder), str(TESTS.parent / "examples"), *sys.path])
    env = {"JWT_WSGI_ISSUER": issuer, "JWT_WSGI_RESOURCE": resource, "PYTHONPATH": path, **more}
    if "TOKEN" in more:
        env["TOKEN"] = token(issuer, resource)
    command = [sys.executable, "-m", "gunicorn", app, "--worker-class", "gthread"]
    command += ["--threads", "8", "--graceful-timeout", "2", "--bind", f"127.0.0.1:{port}"]
    with running(command, port, cwd=folder, env=env):
        yield resource


def run(*command: object, **env: str) -> int:
    """Run a scanner and show what it says."""
    print("\n$", *[part if len(str(part)) < 200 else "TOKEN" for part in command], flush=True)
    code = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        env=os.environ | env,
        check=False,
        timeout=300,
    ).returncode
    print(f"exit code {code}", flush=True)
    return code


def failed_musts(report: Path) -> list[str]:
    """The checks of mcp-authlab that failed or warn, without those that are expected."""
    checks = json.loads(report.read_text())["results"]
    bad = {check["id"] for check in checks if check["status"] in ("fail", "warn", "error")}
    return sorted(bad - EXPECTED_WARNINGS)


def main() -> int:
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        python, node = installed(Path(os.environ.get("MCP_SCANNERS") or folder))
        (folder / "door.py").write_text(DOOR)
        port = free_port()
        issuer = f"http://127.0.0.1:{port}"
        server = make_server("127.0.0.1", port, make_app(issuer), threaded=True,
                             request_handler=Quiet)  # fmt: skip
        with in_a_thread(server):
            with example("mcp_app:app", folder, issuer) as url:
                good, foreign = token(issuer, url), token(issuer, "https://other.example")
                scan = [python / "mcp-authlab", "scan", "--no-login", "--no-color", url]
                scan += ["--token", good, "--foreign-token", foreign, "--fail-under", "A"]
                wrong += ["mcp-authlab"] if run(*scan) else []
                report = folder / "report.json"
                run(*scan, "--format", "json", "--output", report)
                wrong += failed_musts(report)
                check = [python / "mcpcheck", "--no-color", "--strict", "--token", good, url]
                wrong += ["mcpcheck"] if run(*check) else []
            with example("door:app", folder, issuer, TOKEN="") as url:
                path = os.pathsep.join([str(node), os.environ["PATH"]])
                for scenario in SCENARIOS:
                    asked = ["server", "--url", url, "--scenario", scenario]
                    asked += ["--output-dir", folder / "results"]
                    if run(node / "conformance", *asked, PATH=path):
                        wrong.append(f"conformance {scenario}")
    print("\nNot met:", ", ".join(wrong) or "nothing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
