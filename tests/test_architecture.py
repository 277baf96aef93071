"""The import tower: who may import whom, held by reading the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jwt_wsgi

PACKAGE = Path(jwt_wsgi.__file__).parent

#: Each module imports only from modules before it.
TOWER = [
    "errors",
    "events",
    "key_sources.fetch",
    "claims",
    "jose",
    "keys",
    "key_sources.file",
    "key_sources.discovery",
    "key_sources.freshness",
    "key_sources.remote",
    "revocation.store",
    "revocation.redis",
    "revocation.revocations",
    "rules",
    "settings.shared_issuers",
    "trusted_issuer",
    "settings.issuer",
    "tenants",
    "verifier",
    "cache",
    "bearer",
    "injection",
    "responses",
    "metadata",
    "settings.values",
    "settings.table",
    "assembly",
    "upkeep",
    "current",
    "middleware",
    "testing",
    "pytest_plugin",
    "cli.terminal",
    "cli.times",
    "cli.thumbprint",
    "cli.key_report",
    "cli.remedies",
    "cli.refusals",
    "cli.pasted",
    "cli.witness",
    "cli.walk",
    "cli.explain",
    "cli.live_check",
    "cli.checks",
    "cli.doctor",
    "cli.keys",
    "cli.mint",
    "cli.revoke",
    "cli.demo",
    "cli.outage",
    "__main__",
]
#: Modules that never see a request.
CORE = TOWER[: TOWER.index("bearer")]
#: Beside the tower: what each module of contrib may import besides us and the standard library.
CONTRIB = {
    "authlib": {"authlib"},
    "django": {"django"},
    "drf": {"rest_framework"},
    "flask": {"flask", "werkzeug"},
    "paste": set(),  # Paste Deploy calls us
    "prometheus": {"prometheus_client"},
    "pyramid": {"pyramid"},
}
#: What is imported by its users only.
EXTRAS = {"bottle", "cachelib", "django", "falcon", "flask", "paste.deploy", "pyramid", "redis"}
EXTRAS |= {"prometheus_client", "rest_framework"}
#: The one module of the tower that needs an extra.
ALLOWED_EXTRAS = {"revocation.redis": {"redis"}}
#: The code that can let someone in, and how long it may be.
TRUSTED = [
    "bearer",
    "jose",
    "keys",
    "claims",
    "trusted_issuer",
    "verifier",
    "cache",
    "rules",
    "middleware",
]
TRUSTED_LINES = 1020
#: The code that hands over what was decided; nobody gets in by it, but he could be somebody else.
HANDING_OVER = ["injection", "current"]
HANDING_OVER_LINES = 100


def path_of(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def imports_of(module: str) -> set[str]:
    """Every absolute name that a module imports; of this package, the modules."""
    found = set()
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            room = ["jwt_wsgi", *module.split(".")][: -node.level] if node.level else []
            stem = ".".join([*room, *([node.module] if node.module else [])])
            named = {f"{stem}.{alias.name}" for alias in node.names}
            inside = {name for name in named if path_of(name.removeprefix("jwt_wsgi.")).is_file()}
            found |= inside if stem.startswith("jwt_wsgi") and inside else {stem}
    return found


def own_imports_of(module: str) -> set[str]:
    """The modules of this package that a module imports, named as the tower names them."""
    found = imports_of(module)
    return {name.removeprefix("jwt_wsgi.") for name in found if name.startswith("jwt_wsgi.")}


def lines_of_code(module: str) -> int:
    """Lines that hold code: no blank lines, comments, docstrings or imports."""
    tree = ast.parse(path_of(module).read_text())
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
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    modules = {".".join(path.parts) for path in paths if path.stem != "__init__"}

    assert modules - {"wsgi"} == {*TOWER, *(f"contrib.{name}" for name in CONTRIB)}


@pytest.mark.parametrize("module", TOWER)
def test_a_module_imports_only_from_above(module: str) -> None:
    """The tower has one direction."""
    assert own_imports_of(module) <= set(TOWER[: TOWER.index(module)])


@pytest.mark.parametrize("module", CONTRIB)
def test_contrib_knows_its_own_framework_only(module: str) -> None:
    """Of us it takes the tower, by absolute names: a sibling is called like a framework."""
    found = imports_of(f"contrib.{module}")
    roots = {name.partition(".")[0] for name in found}
    roots -= sys.stdlib_module_names | {"jwt_wsgi", "_typeshed"}

    assert roots == CONTRIB[module]
    assert own_imports_of(f"contrib.{module}") <= set(TOWER[: TOWER.index("testing")])
    assert "authlib.jose" not in found  # it warns, and goes away


@pytest.mark.parametrize("module", TOWER)
def test_the_tower_does_without_contrib(module: str) -> None:
    """A framework or a client library is imported by its users only, the commands by one module."""
    found = imports_of(module)

    assert not {name for name in found if "contrib" in name.split(".")}
    assert not {
        name
        for name in found
        if name.partition(".")[0] in EXTRAS - ALLOWED_EXTRAS.get(module, set())
    }
    if not module.startswith("cli."):
        assert module == "__main__" or not any("cli" in name.split(".") for name in found)


#: Forbids modules by name, imports the package, then each module of contrib in a child of its own.
BLOCKED = """
import importlib, os, sys

class Blocker:
    names = set(sys.argv[1].split())
    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Blocker())
import jwt_wsgi
import jwt_wsgi.testing
import jwt_wsgi.__main__
for line in sys.argv[2:]:
    module, *allowed = line.split()
    pid = os.fork()
    if not pid:
        Blocker.names -= set(allowed)
        importlib.import_module(f"jwt_wsgi.contrib.{module}")
        assert "authlib.jose" not in sys.modules
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, module
"""


def test_no_framework_needs_to_be_installed() -> None:
    """The package imports without any, and each module of contrib with its own alone."""
    usual = {"drf": "rest_framework django"}  # DRF stands on Django
    lines = [f"{module} {usual.get(module, ' '.join(CONTRIB[module]))}" for module in CONTRIB]
    command = [sys.executable, "-c", BLOCKED, " ".join(EXTRAS), *lines]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("module", TOWER)
def test_one_module_each_knows_a_library(module: str) -> None:
    """joserfc and cryptography are jose's, requests and urllib3 fetch's, authlib.jose nobody's.

    pytest is the plugin's, which nobody imports but who asks for it.
    """
    owners = {
        "joserfc": {"jose", "testing", "cli.demo"},
        "cryptography": {"jose", "testing", "cli.demo"},
        "requests": {"key_sources.fetch"},
        "urllib3": {"key_sources.fetch"},
        "authlib": {"key_sources.discovery", "cli.demo"},
        "pytest": {"pytest_plugin"},
    }
    roots = {name.partition(".")[0] for name in imports_of(module)}

    assert not {
        library for library, mine in owners.items() if library in roots and module not in mine
    }
    assert not {name for name in imports_of(module) if name.startswith("authlib.jose")}


@pytest.mark.parametrize("module", CORE)
def test_the_core_knows_no_request(module: str) -> None:
    """Nothing of WSGI or werkzeug above `bearer`."""
    assert "werkzeug" not in {name.partition(".")[0] for name in imports_of(module)}
    assert "environ" not in {
        node.id
        for node in ast.walk(ast.parse(path_of(module).read_text()))
        if isinstance(node, ast.Name)
    }


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_no_module_hides_one_of_the_standard_library(path: Path) -> None:
    """`python jwt_wsgi` puts the folder first on the path: a `token.py` there would be a trap."""
    assert path.stem not in sys.stdlib_module_names - {"__main__"}


def test_an_auditor_reads_about_a_thousand_lines() -> None:
    """The code that can let someone in stays small enough for an hour."""
    assert sum(map(lines_of_code, TRUSTED)) <= TRUSTED_LINES
    assert sum(map(lines_of_code, HANDING_OVER)) <= HANDING_OVER_LINES
