"""The public API: what ``__init__`` exports and nothing more, as type checkers see it."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jwt_wsgi

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
API = Path(__file__).with_name("typing_api.py")
PROGRAMS = Path(sys.executable).parent
#: Modules that are imported by name: what only some need.
BY_NAME = ("jwt_wsgi.contrib", "jwt_wsgi.events", "jwt_wsgi.pytest_plugin", "jwt_wsgi.testing")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md")]


def imported(code: str) -> set[tuple[str, str]]:
    """``from MODULE import NAME`` of ours."""
    return {
        (node.module or "", alias.name)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jwt_wsgi")
        for alias in node.names
    }


def exported() -> set[str]:
    return {
        name
        for name, value in vars(jwt_wsgi).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


@pytest.mark.parametrize(
    "checker", [("mypy", "--strict"), ("basedpyright", "--level", "error")], ids=lambda c: c[0]
)
def test_both_type_checkers_accept_the_api(checker: tuple[str, ...]) -> None:
    """As its users write it; and each finds the mistakes that are marked as such."""
    program, *options = checker
    command = [str(PROGRAMS / program), *options, str(API)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}

    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_export_is_tried() -> None:
    """A new name is part of the API from its first day, and has its line in typing_api.py."""
    tried = {name for module, name in imported(API.read_text()) if module == "jwt_wsgi"}

    assert tried == exported()


def test_every_mistake_is_marked_for_both() -> None:
    """Else one of them would not be asked."""
    marked = [line for line in API.read_text().splitlines() if ": ignore[" in line]

    assert len(marked) == 6
    assert all(" type: ignore[" in line and " pyright: ignore[" in line for line in marked)


def test_nothing_else_is_told_of() -> None:
    """What the pages and the examples import is exported, or of a module that has its page."""
    told = [path.read_text() for path in ROOT.glob("examples/**/*.py")]
    for page in PAGES:
        told += re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    found = set().union(*map(imported, told))

    assert ("jwt_wsgi", "JWTMiddleware") in found
    allowed = exported() | {"events"}
    strange = {
        (module, name)
        for module, name in found
        if not (module.startswith(BY_NAME) or (module == "jwt_wsgi" and name in allowed))
    }
    assert strange == set()
