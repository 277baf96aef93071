"""The scenes of ``jwt-wsgi demo --outage`` for what Node has: jose and jwks-rsa. For information.

    python tests/benchmarks/outage_node.py

Needs node and npm, which installs the packages into a temporary directory.
"""

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jwt_wsgi.cli import outage
from jwt_wsgi.cli.demo import AUDIENCE
from jwt_wsgi.testing import FakeIssuer

SCRIPT = Path(__file__).with_name("outage.mjs")
PACKAGES = ("jose", "jwks-rsa")


def contestant(package: str, where: Path) -> outage.Contestant:
    """A Node server that verifies with this package, asked over loopback."""

    @contextmanager
    def open_(issuer: FakeIssuer, fresh: float | None, _folder: str | None) -> Iterator[outage.Ask]:
        command = ["node", str(SCRIPT), package, issuer.jwks_uri, issuer.issuer, AUDIENCE]
        command += [] if fresh is None else [str(fresh)]
        with subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, text=True) as node:
            assert node.stdout
            port = int(node.stdout.readline())
            local = threading.local()

            def ask(token: str) -> bool:
                if not hasattr(local, "connection"):
                    local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                local.connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
                response = local.connection.getresponse()
                response.read()
                return response.status == 200

            try:
                yield ask
            finally:
                node.terminate()

    return open_


def main() -> int:
    if not shutil.which("npm"):
        print("npm is missing", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", *PACKAGES]
        subprocess.run(install, cwd=where, check=True)
        found = {}
        for package in PACKAGES:
            told = json.loads((where / "node_modules" / package / "package.json").read_text())
            found[f"{package} {told['version']}"] = contestant(package, where)
        outage.logger.disabled = True
        table, _ = outage.compare(found)
    print(f"\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
