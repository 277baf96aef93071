"""Sessions of nox: ``nox`` checks the style and the types, and tests on every Python it finds."""

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import nox

OLDEST, NEWEST = 11, 19  # minor versions of Python 3 that are looked for
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
FAST = ("pytest", "-n", "2", "-m", "not slow")


def runs(python: str) -> bool:
    """Whether that interpreter starts: a shim of pyenv may be there for one that does not."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


for minor in range(OLDEST, NEWEST + 1):
    for folder in PYENV.glob(f"versions/3.{minor}.*/bin"):
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
PYTHONS = [f"3.{minor}" for minor in range(OLDEST, NEWEST + 1) if runs(f"python3.{minor}")]
THIS = f"3.{sys.version_info.minor}"

nox.options.sessions = ["lint", "types", "fast", "lowest"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    session.install("-e", ".[test]")
    session.run("mypy")


@nox.session(python=PYTHONS)
def fast(session: nox.Session) -> None:
    """The tests that are not marked slow; under a minute on two cores."""
    session.install("-e", ".[test]")
    session.run(*FAST, *session.posargs)


@nox.session(python=[python for python in PYTHONS if python != THIS])
def others(session: nox.Session) -> None:
    """As ``fast``, on each Python but the one that runs nox."""
    session.install("-e", ".[test]")
    session.run(*FAST, *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests, with coverage. In CI none may be skipped, so the servers are installed, too."""
    session.install("-e", ".[test,servers]" if os.environ.get("CI") else ".[test]")
    session.run("pytest", "-n", "2", "--dist", "loadfile", "--cov", *session.posargs)


@nox.session(python=f"3.{OLDEST}")
def lowest(session: nox.Session) -> None:
    """The fast tests on the oldest Python, with the lowest version of each direct dependency."""
    settings = ConfigParser()
    settings.read("setup.cfg")
    floors = settings["options"]["install_requires"].replace(">=", "==").split()
    session.install("-e", ".[test]", *floors)
    session.run(*FAST, *session.posargs)


@nox.session
def recipes(session: nox.Session) -> None:
    """The pages about other libraries. The plugin that Dash brings to pytest warns: not loaded."""
    session.install("-e", ".[test,recipes]")
    files = ("tests/test_recipes.py", "tests/test_openapi.py")
    session.run("pytest", "-p", "no:dash", "-rs", *files, *session.posargs)
    session.run("python", "tests/faults/matrix.py")


@nox.session
def docs(session: nox.Session) -> None:
    """The site, into the folder ``site``; a warning is an error, and so is a dead link."""
    session.install("-e", ".[test,docs]")
    session.run("sphinx-build", "-W", "-q", "docs", "site", *session.posargs)
    session.run("pytest", "-q", "tests/long/built_site.py")


@nox.session
def mutants(session: nox.Session) -> None:
    """One wrong line after the other; each must be noticed by the tests that are named for it."""
    session.install("-e", ".[test]")
    session.run("python", "tests/mutants.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """The parsers, a minute each."""
    session.install("-e", ".[test,fuzz]")
    session.run("python", "tests/fuzz/run.py", *(session.posargs or ["--seconds", "60"]))
