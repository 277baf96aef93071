"""The benchmark's own environment: this checkout and the peers, outside the repository."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DEFAULT = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "jwt-wsgi-benchmarks"
PEERS = (
    "authlib>=1.9",  # the last line that has authlib.jose
    "cryptography>=50",
    "django>=5.2",
    "djangorestframework>=3.16",
    "djangorestframework-simplejwt>=5.5",
    "flask>=3.1",
    "flask-jwt-extended>=4.7",
    "gevent>=25",
    "gunicorn>=23",
    "joserfc>=1.8",
    "jwcrypto>=1.5.6",
    "pyjwt>=2.13",
    "python-jose[cryptography]>=3.5",
    "requests>=2.32.4",
)
#: Only as wheels: nobody wants a Rust tool chain for a benchmark. Left out if there is none.
WHEELS = ("oxyjwt>=0.9",)
NODE_PEERS = ("fast-jwt@6", "jose@6", "fastify@5", "@fastify/jwt@10")


def prepared(folder: Path) -> tuple[Path, dict[str, str]]:
    """The Python of the environment, installed if need be, and the variables to run it with."""
    python = folder / "venv" / "bin" / "python"
    stamp, wanted = folder / "installed", _fingerprint()
    if not stamp.exists() or stamp.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        print(f"installing into {folder} ...", file=sys.stderr)
        _install(python)
        stamp.write_text(wanted)
    env = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    env = {name: value for name, value in env.items() if not name.startswith("JWT_WSGI_")}
    modules = _node(folder / "node")
    return python, env | ({"BENCH_NODE": str(modules)} if modules else {})


def _fingerprint() -> str:
    lists = repr((PEERS, WHEELS, sys.version)) + (REPOSITORY / "setup.cfg").read_text()
    return hashlib.sha256(lists.encode()).hexdigest()


def _install(python: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", python.parents[1]], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", REPOSITORY, *PEERS], check=True)
    for wheel in WHEELS:
        if subprocess.run([*pip, "--only-binary", ":all:", wheel], check=False).returncode:
            print(f"no wheel of {wheel} for this Python; left out", file=sys.stderr)


def _node(folder: Path) -> Path | None:
    """Node's peers; None where there is no Node."""
    if not (shutil.which("node") and shutil.which("npm")):
        return None
    if not (folder / "node_modules" / "fast-jwt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error", *NODE_PEERS]
        if subprocess.run(command, cwd=folder, check=False).returncode:
            print("npm could not install Node's peers; left out", file=sys.stderr)
            return None
    return folder
