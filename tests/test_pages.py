"""Every page is true: its blocks run or are checked, its settings exist, its links are alive."""

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pages
import pytest
import yaml
from pages import PAGES
from pages import ROOT
from pages import Block
from pages import blocks

from jwt_wsgi.__main__ import _parser
from jwt_wsgi.settings.options import OPTIONS
from jwt_wsgi.settings.options import PREFIX

#: Variables beside those of the options.
OTHER_VARIABLES = {"JWT_WSGI_APP", "JWT_WSGI_TEST_PROFILE"}
#: What is shown and not checked: output, whose long lines go on below, and drawings.
OUTPUT = {"text", "none"}


def every(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page, *languages)]


@pytest.fixture(scope="module")
def failures() -> dict[str, str]:
    """What became of the Python blocks of every page."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", pages.__file__, "--run"],
        capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
        env={**_without_settings(), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if pages.runnable(page)])
def test_the_python_blocks_of_a_page_run(page: str, failures: dict[str, str]) -> None:
    if failures[page].startswith(pages.NOT_INSTALLED) and not os.environ.get("CI"):
        pytest.skip(failures[page])
    assert failures[page] == ""


def test_a_block_that_is_run_elsewhere_is_run_there() -> None:
    """The test file exists and names the page."""
    for block in every("python"):
        if block.run_by:
            test = (ROOT / "tests" / block.run_by).read_text()
            names = {block.mark.removesuffix(".py"), Path(block.page).stem}
            assert any(name in test for name in names if name), block[:2]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh", "bash", "console")])
def test_shell_blocks_are_shell_and_their_commands_exist(page: str) -> None:
    """``bash -n`` reads them; what they say to jwt-wsgi, its parser accepts."""
    for block in blocks(page, "sh", "bash", "console"):
        code = typed(block)
        read = subprocess.run(
            ["bash", "-n"], input=code, capture_output=True, text=True, check=False
        )
        assert read.returncode == 0, (block, read.stderr)
        for words in commands(code):
            try:
                _parser().parse_args(words)
            except SystemExit as end:
                assert end.code == 0, words


def typed(block: Block) -> str:
    """What the reader types: in a console, the lines that begin with ``$``."""
    if block.language != "console":
        return block.code
    return "".join(re.findall(r"^\$ (.*\n)", block.code, re.MULTILINE))


def commands(code: str) -> Iterator[list[str]]:
    """The arguments of every ``jwt-wsgi`` and ``python -m jwt_wsgi``."""
    for line in code.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        for command in re.split(r"\0[|&;()]+", "\0".join(["", *lexer])):
            words = [word for word in re.split(r"\0[<>]+\0[^\0]*|\0", command) if word]
            for name, length in ((["jwt-wsgi"], 1), (["-m", "jwt_wsgi"], 2)):
                for start in range(len(words)):
                    if words[start : start + length] == name:
                        yield words[start + length :]


def test_other_blocks_parse() -> None:
    for block in every("json"):
        json.loads(block.code)
    for block in every("yaml"):
        assert list(yaml.safe_load_all(block.code))
    for block in every("toml"):
        tomllib.loads(block.code)
    for block in every("ini"):
        configparser.ConfigParser(interpolation=None).read_string(block.code)


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    checked = {"python", "sh", "bash", "console", "json", "yaml", "toml", "ini", *OUTPUT}
    checked |= {"promql"}  # by test_runbook.py
    for block in every():
        assert block.language in checked or block.run_by, block[:3]
    for page, text in PAGES.items():
        fences = len(re.findall(r"^```\{?[\w-]+", text, re.MULTILINE))
        directives = len(re.findall(r"^```\{(?:toctree|eval-rst)\}", text, re.MULTILINE))
        assert fences - directives == len(blocks(page)), page


@pytest.mark.parametrize("page", PAGES)
def test_the_settings_of_a_page_exist(page: str) -> None:
    for variable in re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]\b", PAGES[page]):
        option = variable.removeprefix(PREFIX).lower()
        known = option in OPTIONS or option.removesuffix("_file") in OPTIONS
        assert known or variable in OTHER_VARIABLES, variable


def slugs(page: str) -> set[str]:
    """The anchors of a page: its headings as GitHub and MyST name them."""
    text = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    """To a file of the repository, and to a heading where they name one."""
    text = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), target
        if anchor:
            assert anchor in slugs(found.resolve().relative_to(ROOT).as_posix()), target


def test_links_to_elsewhere_are_whole_addresses_over_https() -> None:
    """Nothing is fetched. The hosts of examples do not exist, so they are not links."""
    for page, text in PAGES.items():
        shown = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
        for link in re.findall(r"(?:\]\(|<)(https?:[^)>]*)[)>]", shown):
            parts = urlsplit(link)
            host = parts.hostname or ""
            assert parts.scheme == "https", (page, link)
            assert re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", host), (page, link)
            assert not host.endswith((".example", "example.com")), (page, link)
            assert not re.search(r"\s", link), (page, link)


def test_every_test_that_a_page_names_exists() -> None:
    """``test_file::test_name``, as in the table of when access ends."""
    for page, text in PAGES.items():
        for file, name in re.findall(r"`(test_\w+)::(test_\w+)`", text):
            assert f"def {name}(" in (ROOT / "tests" / f"{file}.py").read_text(), (page, file, name)


def test_nothing_tells_a_reader_to_install_us_from_an_index() -> None:
    """We are on none, and whoever registers the name there could be installed instead."""
    sources = [path.read_text() for path in (ROOT / "jwt_wsgi").rglob("*.py")]
    for text in (*PAGES.values(), *sources):
        assert re.findall(r"pip install [^\n`&;]*(?<![\w/])jwt[-_]wsgi\b", text) == []


@pytest.mark.parametrize("page", PAGES)
def test_the_generated_parts_of_a_page_are_up_to_date(page: str) -> None:
    """``python tests/pages.py`` writes them."""
    assert pages.generated(page) == PAGES[page]
