"""The import tower: who may import whom, held by reading the source."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path

import pytest

import jwt_wsgi

PACKAGE = Path(jwt_wsgi.__file__).parent

#: Each module imports only from modules before it.
TOWER = [
    "process_lock",
    "portable",
    "errors",
    "urls",
    "strict_json",
    "events",
    "event_log",
    "key_sources.tls",
    "key_sources.failures",
    "key_sources.headers",
    "key_sources.content_encoding",
    "key_sources.fetch",
    "key_sources.saved_keys",
    "claims",
    "scope_hierarchy",
    "jwk_form",
    "key_sources.document_kind",
    "jose",
    "keys",
    "key_sources.arrival",
    "key_sources.file",
    "key_sources.discovery",
    "key_sources.facts",
    "key_sources.unknown_kids",
    "key_sources.freshness",
    "key_sources.reports",
    "key_sources.loading",
    "key_sources.system",
    "key_sources.remote",
    "key_sources.shared",
    "revocation.store",
    "revocation.redis",
    "revocation.revocations",
    "rules",
    "settings.shared_issuers",
    "settings.provider_hints",
    "trusted_issuer",
    "settings.mistakes",
    "settings.reading",
    "settings.pem_texts",
    "settings.values",
    "settings.header_values",
    "settings.fetching",
    "settings.issuer",
    "recent",
    "tenants",
    "verifier",
    "cache",
    "bearer",
    "origin_check",
    "header_rules",
    "injection",
    "responses",
    "metadata",
    "request_log",
    "revocation.backchannel",
    "settings.request_values",
    "settings.rule_texts",
    "settings.origins",
    "settings.resource",
    "settings.revocation",
    "settings.options",
    "settings.contradictions",
    "settings.openings",
    "settings.loading",
    "assembly",
    "upkeep",
    "current",
    "applications",
    "variants",
    "middleware",
    "layers",
    "test_kit.memory_store",
    "test_kit.own_keys",
    "test_kit.django_client",
    "test_kit.protected",
    "test_kit.signing",
    "test_kit.loopback",
    "test_kit.shape",
    "test_kit.microsoft",
    "test_kit.logins",
    "test_kit.services",
    "test_kit.providers",
    "test_kit.layered",
    "testing",
    "pytest_plugin",
    "cli.terminal",
    "cli.times",
    "cli.thumbprint",
    "cli.rule_words",
    "cli.relaxed_checks",
    "cli.settings",
    "cli.key_report",
    "cli.remedies",
    "cli.explain_request",
    "cli.explain_facts",
    "cli.explain_recognition",
    "cli.explain_causes_of_keys",
    "cli.explain_causes_of_sending",
    "cli.explain_causes",
    "cli.explain_code",
    "cli.explain_recorder",
    "cli.explain_steps",
    "cli.explain_decoded",
    "cli.hidden_input",
    "cli.explain",
    "cli.doctor_live",
    "cli.doctor_checks",
    "cli.doctor",
    "cli.keys",
    "cli.router_model",
    "cli.router_flask",
    "cli.router_django",
    "cli.router_pyramid",
    "cli.router_bottle",
    "cli.router_falcon",
    "cli.route_table",
    "cli.routes",
    "cli.mint",
    "cli.revoke",
    "cli.demo_gunicorn",
    "cli.demo_app",
    "cli.demo",
    "cli.outage",
    "cli.svg",
    "cli.outage_plot",
    "cli.demo_command",
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
    "openapi": set(),  # it is given what it adds to
    "paste": set(),  # Paste Deploy calls us
    "prometheus": {"prometheus_client"},
    "pyramid": {"pyramid"},
    "spectacular": {"drf_spectacular"},
}
#: What is imported by its users only.
EXTRAS = {"bottle", "cachelib", "django", "falcon", "flask", "paste.deploy", "pyramid", "redis"}
EXTRAS |= {"drf_spectacular", "prometheus_client", "rest_framework"}
#: The modules of the tower that need an extra: they are loaded only where it is in use.
ALLOWED_EXTRAS = {"revocation.redis": {"redis"}, "test_kit.django_client": {"django"}}
ALLOWED_EXTRAS |= {f"cli.router_{name}": {name} for name in ("bottle", "django", "falcon")}
ALLOWED_EXTRAS |= {f"cli.router_{name}": {name} for name in ("flask", "pyramid")}
#: What judges one request and one token, given keys and terms.
FIRST_RING = [
    "middleware",
    "bearer",
    "rules",
    "verifier",
    "cache",
    "claims",
    "trusted_issuer",
    "jose",
    "strict_json",
    "keys",
]
MOST_LINES_OF_FIRST_RING = 1200
#: Where keys and terms come from, and where the result goes.
SECOND_RING = [
    module
    for module in TOWER
    if module.partition(".")[0]
    in {
        *("jwk_form", "key_sources", "settings", "scope_hierarchy", "revocation", "recent"),
        *("tenants", "assembly", "errors", "urls", "metadata", "variants", "injection", "current"),
    }
]
MOST_LINES_OF_A_MODULE = 400  # of text, comments and all
PAGE = PACKAGE.parent / "docs" / "development" / "architecture.md"


def path_of(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


@cache
def imports_of(module: str) -> frozenset[str]:
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
    return frozenset(found)


def own_imports_of(module: str) -> set[str]:
    """The modules of this package that a module imports, named as the tower names them."""
    found = imports_of(module)
    return {name.removeprefix("jwt_wsgi.") for name in found if name.startswith("jwt_wsgi.")}


@cache
def lines_of_code(module: str) -> int:
    """Every line that holds code; imports and docstrings aside."""
    source = path_of(module).read_text()
    tree = ast.parse(source)
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= lines_of(node)
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            left_out |= lines_of(node.body[0])
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    held = (range(t.start[0], t.end[0] + 1) for t in tokens if t.type not in NO_CODE)
    return len({line for lines in held for line in lines} - left_out)


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def lines_of(node: ast.stmt) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def summary_of(module: str) -> str:
    """The first sentence of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path_of(module).read_text())) or ""
    return re.sub(":[a-z]+:`", "`", " ".join(text.partition("\n\n")[0].split()))


def generated() -> dict[str, str]:
    """The parts of the page that the code writes, by their names."""
    rings = ["| ring | lines of code | modules |", "|---|---|---|"]
    for name, ring in (("first", FIRST_RING), ("second", SECOND_RING)):
        size = sum(map(lines_of_code, ring))
        rings.append(f"| {name} | {size:,} | {', '.join(f'`{module}`' for module in ring)} |")
    tower = ["| module | what it is for |", "|---|---|"]
    tower += [f"| `{module}` | {summary_of(module)} |" for module in TOWER]
    return {"rings": "\n".join(rings), "tower": "\n".join(tower)}


def with_generated(page: str) -> str:
    for name, text in generated().items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n{text}\n\n{end}{rest.partition(end)[2]}"
    return page


def test_every_module_has_its_place_in_the_tower() -> None:
    """No module stands beside the tower, and the tower names none that is not there."""
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    modules = {".".join(path.parts) for path in paths if path.stem != "__init__"}

    assert modules - {"wsgi"} == {*TOWER, *(f"contrib.{name}" for name in CONTRIB)}


@pytest.mark.parametrize("module", TOWER)
def test_a_module_imports_only_modules_before_it_in_the_tower(module: str) -> None:
    """The order of TOWER is that of the imports."""
    assert own_imports_of(module) <= set(TOWER[: TOWER.index(module)])


@pytest.mark.parametrize("module", CONTRIB)
def test_contrib_knows_its_own_framework_only(module: str) -> None:
    """Of us it takes the tower, by absolute names: a sibling is called like a framework."""
    found = imports_of(f"contrib.{module}")
    roots = {name.partition(".")[0] for name in found}
    roots -= sys.stdlib_module_names | {"jwt_wsgi", "_typeshed"}

    assert roots == CONTRIB[module]
    # DRF stands on Django, and what is said of it on the scheme of every OpenAPI document.
    above = {"drf": {"contrib.django"}, "spectacular": {"contrib.openapi"}}.get(module, set())
    tower = TOWER[: TOWER.index("test_kit.memory_store")]
    assert own_imports_of(f"contrib.{module}") <= {*tower, *above}
    assert "authlib.jose" not in found  # it warns, and goes away


@pytest.mark.parametrize("module", TOWER)
def test_the_tower_imports_neither_contrib_nor_frameworks(module: str) -> None:
    """A framework or client library is imported by its own module, the commands by ``__main__``."""
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


@pytest.mark.slow
def test_no_framework_needs_to_be_installed() -> None:
    """The package imports without any, and each module of contrib with its own alone."""
    usual = {"drf": "rest_framework django"}  # DRF stands on Django
    lines = [
        f"{module} {usual.get(module, ' '.join(needed))}"
        for module, needed in CONTRIB.items()
        if module != "spectacular"  # drf-spectacular is imported in a Django project only
    ]
    command = [sys.executable, "-c", BLOCKED, " ".join(EXTRAS), *lines]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("module", TOWER)
def test_each_library_is_imported_by_its_own_modules_only(module: str) -> None:
    """joserfc and cryptography are jose's, requests and urllib3 fetch's, authlib.jose nobody's.

    pytest is the plugin's, which nobody imports but who asks for it.
    """
    owners = {
        "joserfc": {"jose", "test_kit.signing", "cli.demo"},
        "cryptography": {"jose", "test_kit.signing", "cli.demo"},
        "requests": {"key_sources.fetch", "key_sources.failures", "key_sources.tls"},
        "urllib3": {"key_sources.fetch", "key_sources.failures"},
        "authlib": {"key_sources.discovery", "cli.demo"},
        "pytest": {"pytest_plugin"},
    }
    roots = {name.partition(".")[0] for name in imports_of(module)}

    assert not {
        library for library, mine in owners.items() if library in roots and module not in mine
    }
    assert not {name for name in imports_of(module) if name.startswith("authlib.jose")}


@pytest.mark.parametrize("module", CORE)
def test_modules_before_bearer_use_neither_werkzeug_nor_an_environ(module: str) -> None:
    """The modules of the tower before `bearer` do not depend on requests."""
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


def test_the_first_ring_has_few_lines() -> None:
    """These modules judge a request and a token. They can be read in an hour."""
    assert sum(map(lines_of_code, FIRST_RING)) <= MOST_LINES_OF_FIRST_RING


@pytest.mark.parametrize("module", [*TOWER, *(f"contrib.{name}" for name in CONTRIB)])
def test_no_module_has_more_than_400_lines(module: str) -> None:
    """Move code to another module if it does not fit."""
    assert len(path_of(module).read_text().splitlines()) <= MOST_LINES_OF_A_MODULE


def test_the_page_says_what_the_code_is() -> None:
    """`python tests/test_architecture.py` writes the tables anew."""
    page = PAGE.read_text()

    assert page == with_generated(page)


def test_the_files_that_the_page_names_are_there() -> None:
    """Where a change goes, and what holds it."""
    rows = PAGE.read_text().partition("## Where does a change go?")[2]
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", rows)
    #: Files of the package, and those of tests/ by their path from the root.
    files = {
        name: (PACKAGE.parent if name.startswith("tests/") else PACKAGE) / name for name in named
    }

    assert len(named) > 15
    assert not [name for name, file in files.items() if not file.is_file()]
    for name, words in re.findall(r"`((?:\w+/)*\w+\.py)` \(((?:`\w+`(?:, )?)+)\)", rows):
        text = files[name].read_text()
        assert not [word for word in re.findall(r"`(\w+)`", words) if word not in text], name
    tests = re.findall(r"`(test_\w+)`", rows)
    assert not [name for name in tests if not (Path(__file__).parent / f"{name}.py").is_file()]


if __name__ == "__main__":
    PAGE.write_text(with_generated(PAGE.read_text()))
