"""The import tower: who may import whom, held by reading the source."""

import ast
import sys
from pathlib import Path

import pytest

import jwt_wsgi

PACKAGE = Path(jwt_wsgi.__file__).parent

#: Each module imports only from modules before it.
TOWER = [
    "errors",
    "events",
    "fetch",
    "claims",
    "jose",
    "keys",
    "key_file",
    "discovery",
    "jwks",
    "store",
    "revocation",
    "rules",
    "shared_issuers",
    "issuer",
    "terms",
    "tenants",
    "verifier",
    "cache",
    "bearer",
    "injection",
    "responses",
    "metadata",
    "values",
    "settings",
    "assembly",
    "upkeep",
    "current",
    "middleware",
    "testing",
    "demo",
    "outage",
    "revoke",
    "__main__",
]
#: Beside the tower: what meets a framework or a client library, for its users only.
CONTRIB = sorted(path.stem for path in (PACKAGE / "contrib").glob("[!_]*.py"))
#: Modules that never see a request.
CORE = TOWER[: TOWER.index("bearer")]
#: The code that can let someone in, and how long it may be.
TRUSTED = [
    "bearer",
    "jose",
    "keys",
    "claims",
    "issuer",
    "verifier",
    "cache",
    "rules",
    "injection",
    "middleware",
]
TRUSTED_LINES = 1000


def imports_of(module: str) -> set[str]:
    """Every absolute name that a module imports, relative ones with a leading dot."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            stem = "." * node.level + (node.module or "")
            found |= {stem} if node.module else {f".{alias.name}" for alias in node.names}
    return found


def lines_of_code(module: str) -> int:
    """Lines that hold code: no blank lines, comments, docstrings or imports."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0])
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
    }
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.stmt) and id(node) not in docstrings:
            last = node.end_lineno or node.lineno
            lines |= set(
                range(node.lineno, last + 1 if not hasattr(node, "body") else node.lineno + 1)
            )
    return len(lines)


def test_every_module_has_its_place_in_the_tower() -> None:
    """No module stands beside the tower, and the tower names none that is not there."""
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "wsgi"}

    assert modules == set(TOWER)


@pytest.mark.parametrize("module", TOWER)
def test_a_module_imports_only_from_above(module: str) -> None:
    """The tower has one direction."""
    own = {name.lstrip(".") for name in imports_of(module) if name.startswith(".")}

    assert own <= set(TOWER[: TOWER.index(module)])


@pytest.mark.parametrize("module", TOWER)
def test_one_module_each_knows_a_library(module: str) -> None:
    """joserfc and cryptography are jose's, requests and urllib3 fetch's, authlib.jose nobody's."""
    owners = {
        "joserfc": {"jose", "testing", "demo"},
        "cryptography": {"jose", "testing", "demo"},
        "requests": {"fetch"},
        "urllib3": {"fetch"},
        "authlib": {"discovery", "demo"},
    }
    roots = {name.partition(".")[0] for name in imports_of(module)}

    assert not {
        library for library, mine in owners.items() if library in roots and module not in mine
    }
    assert not {name for name in imports_of(module) if name.startswith("authlib.jose")}


@pytest.mark.parametrize("module", CONTRIB)
def test_a_contrib_module_imports_from_the_tower_alone(module: str) -> None:
    """None needs another, and the tower needs none: `redis` is for who has the extra."""
    imports = imports_of(f"contrib/{module}")

    assert {name.lstrip(".") for name in imports if name.startswith(".")} <= set(TOWER)
    assert not {name for name in imports if name.startswith(".") and not name.startswith("..")}


@pytest.mark.parametrize("module", TOWER)
def test_the_tower_imports_nothing_of_contrib(module: str) -> None:
    """A framework or a client library is imported by its users only."""
    extras = {"contrib", "redis", "cachelib"}

    assert not extras & {name.lstrip(".").partition(".")[0] for name in imports_of(module)}


@pytest.mark.parametrize("module", CORE)
def test_the_core_knows_no_request(module: str) -> None:
    """Nothing of WSGI or werkzeug above `bearer`."""
    assert "werkzeug" not in {name.partition(".")[0] for name in imports_of(module)}
    assert "environ" not in {
        node.id
        for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text()))
        if isinstance(node, ast.Name)
    }


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_no_module_hides_one_of_the_standard_library(path: Path) -> None:
    """`python jwt_wsgi` puts the folder first on the path: a `token.py` there would be a trap."""
    assert path.stem not in sys.stdlib_module_names - {"__main__"}


def test_an_auditor_reads_at_most_a_thousand_lines() -> None:
    """The code that can let someone in stays small enough for an hour."""
    assert sum(map(lines_of_code, TRUSTED)) <= TRUSTED_LINES
