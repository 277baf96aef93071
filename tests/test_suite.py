"""The tests and the files of the project: what holds for all of them."""

import re
import time
from collections import Counter
from functools import cache
from typing import Any

import pytest
from conftest import AGE_OF_IMPORTS
from conftest import ROOT
from conftest import project_files
from mutants import MUTANTS
from mutants import Mutant

from jwt_wsgi import InvalidTokenError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import FakeIssuer

ISSUER = FakeIssuer()
#: Hosts of package registries. No file needs one: a package is named, and its installer is
#: configured elsewhere.
REGISTRY = re.compile(
    rb"pypi\.org|pythonhosted\.org|npmjs\.(com|org)|crates\.io|rubygems\.org|proxy\.golang\.org"
)
MADE_AT_IMPORT = ISSUER.token()
IMPORTED_AT = time.time()


def verify(token: str) -> Any:
    middleware = JWTMiddleware(lambda *_: [], issuer=ISSUER.issuer, jwks=ISSUER.jwks())
    return middleware.verifier.verify(token)


def test_what_a_test_file_makes_at_its_import_is_an_hour_old_in_its_tests() -> None:
    """So a token that is made at import and lives for minutes fails at once, not by chance."""
    assert time.time() - IMPORTED_AT >= AGE_OF_IMPORTS
    with pytest.raises(InvalidTokenError) as refused:
        verify(MADE_AT_IMPORT)
    assert refused.value.code == "token_expired"
    assert verify(ISSUER.token())["iss"] == ISSUER.issuer


@cache
def names_in(file: str) -> set[str]:
    """The names of the tests in one file of tests."""
    return set(re.findall(r"^def (test_\w+)\(", (ROOT / file).read_text("utf-8"), re.MULTILINE))


def wrong(mutant: Mutant) -> list[str]:
    """Why ``tests/mutants.py`` could not run it, or would have a wrong result."""
    module = ROOT / "jwt_wsgi" / mutant.module
    if not module.is_file():
        return [f"there is no module {mutant.module}"]
    found = []
    text = module.read_text(encoding="utf-8")
    if (times := text.count(mutant.old)) != 1:
        found.append(f"its text occurs {times} times")
    elif mutant.old == mutant.new:
        found.append("it changes nothing")
    for killer in mutant.killers:
        file, _, test = killer.partition("::")
        if not (ROOT / file).is_file() or (test and test.split("[")[0] not in names_in(file)):
            found.append(f"there is no {killer}")
    return found


def test_every_mutant_can_be_run() -> None:
    """Its text is in the package once, and the tests that must notice it are there."""
    assert {mutant.name: why for mutant in MUTANTS if (why := wrong(mutant))} == {}


def test_every_mutant_has_a_name_of_its_own() -> None:
    """``python tests/mutants.py NAME`` runs one of them."""
    assert [name for name, times in Counter(m.name for m in MUTANTS).items() if times > 1] == []


def test_whatever_takes_long_is_run_by_ci_full() -> None:
    """pytest does not find these files by itself."""
    runs = (ROOT / ".ci/full").read_text() + (ROOT / "noxfile.py").read_text()

    files = [*(ROOT / "tests/long").glob("*.py"), *(ROOT / "tests/faults").glob("*.py")]
    scripts = [path.relative_to(ROOT).as_posix() for path in files if path.name != "guarded.py"]
    assert [script for script in scripts if script not in runs] == []


def test_the_hook_at_each_commit_finds_its_tests() -> None:
    """pytest that finds no test is an error, and no commit would be possible."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    ((file, word),) = re.findall(r"pytest -q (\S+) -k (\w+)", hooks)

    assert any(word in name for name in names_in(file))


def test_no_file_names_the_host_of_a_package_registry() -> None:
    """There are no exceptions: a link to a registry is a link to whoever owns the name there."""
    files = project_files()
    assert "jwt_wsgi/settings/shared_issuers.py" in files  # it cites a page for each of its rows

    assert [name for name in files if REGISTRY.search((ROOT / name).read_bytes())] == []


#: A number that a table of this repository gives: a threat, a bound, a goal of the benchmarks.
TABLES = {
    "T": "docs/development/threats.md",
    "B": "docs/development/keys.md",
    "P": "tests/benchmarks/RESULTS.md",
}


def foreign_references(source: str) -> list[str]:
    """The numbers of tables in docstrings and test names that no page of this repository has."""
    cited = re.findall(r'"""([A-Z])(\d{1,2})\b', source)
    cited += [(a.upper(), b) for a, b in re.findall(r"\bdef test_([a-z])(\d{1,2})_", source)]
    pages = {letter: (ROOT / page).read_text() for letter, page in TABLES.items()}
    unknown = [a + b for a, b in cited if f"| {a}{b} |" not in pages.get(a, "")]
    return unknown + re.findall(r"\bKEYS \d[\d.]*", source)


def test_no_test_cites_a_table_that_is_not_in_the_repository() -> None:
    found = {
        path.name: foreign_references(path.read_text()) for path in (ROOT / "tests").glob("*.py")
    }

    assert {name: cited for name, cited in found.items() if cited} == {}


@pytest.mark.parametrize(
    "text", ['"""' + "C3: a fact.", "def " + "test_k4_a_fact()", "KEYS" + " 7.4"]
)
def test_a_number_of_a_table_elsewhere_is_found(text: str) -> None:
    assert foreign_references(text)
