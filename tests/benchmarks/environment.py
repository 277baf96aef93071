"""The benchmark's own environment: this checkout and the peers, outside the repository."""

import configparser
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib import metadata
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
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one installation at a time
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"installing into {folder} ...", file=sys.stderr)
            _install(python)
            stamp.write_text(wanted)
    env = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    env = {name: value for name, value in env.items() if not name.startswith("JWT_WSGI_")}
    modules = _node(folder / "node")
    return python, env | ({"BENCH_NODE": str(modules)} if modules else {})


def _fingerprint() -> str:
    metadata_ = configparser.ConfigParser()
    metadata_.read(REPOSITORY / "setup.cfg")
    lists = repr((PEERS, WHEELS, sys.version, metadata_["options"]["install_requires"]))
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


def described() -> str:
    """Which machine, when, and every version there is."""
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    cpus, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    machine = f"{when} UTC, {_cpu()}, {cpus} CPUs, load {load:.1f}"
    names = ("jwt-wsgi", *map(_name, PEERS), *map(_name, WHEELS))
    told = [_version(name) for name in names] + _node_versions() + _apache_versions()
    return f"{machine}. Python {platform.python_version()}, {', '.join(filter(None, told))}"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "?")


def _name(requirement: str) -> str:
    return requirement.partition(">")[0].partition("[")[0]


def _version(name: str) -> str:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return ""


def _node_versions() -> list[str]:
    folder = Path(os.environ.get("BENCH_NODE", "/nowhere")) / "node_modules"
    names = [peer.rpartition("@")[0] for peer in NODE_PEERS]
    found = {name: folder / name / "package.json" for name in names}
    versions = [
        f"{name} {json.loads(path.read_text())['version']}"
        for name, path in found.items()
        if path.exists()
    ]
    return [f"Node {_output('node', '--version')}", *versions] if versions else []


def _apache_versions() -> list[str]:
    module = "libapache2-mod-auth-openidc"
    found = {"Apache": "apache2-bin", "mod_auth_openidc": module}
    found |= {"mod_oauth2": "libapache2-mod-oauth2", "wrk": "wrk"}
    return [
        f"{name} {version}"
        for name, package in found.items()
        if (version := _output("dpkg-query", "--show", "--showformat", "${Version}", package))
    ]


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
