"""The pages of providers: what they say is what happens.

Settings, tokens and messages are generated (``provider_parts``), and test_pages.py compares them.
Here the pages are followed: their variables are typed, their commands are run.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pages
import provider_parts
import pytest
from pages import ROOT
from pages import blocks
from provider_parts import like

from jwt_wsgi.test_kit.providers import PROVIDERS

HEADINGS = [
    "Create",
    "Settings",
    "Tokens",
    "See it work",
    "The usual mistake",
    "Sources",
]
every_page = pytest.mark.parametrize("page", provider_parts.PAGES)
every_row = pytest.mark.parametrize("row", PROVIDERS)


def text_of(page: str) -> str:
    return pages.PAGES[f"docs/providers/{page}.md"]


def page_of(row: str) -> str:
    return next(page for page, rows in provider_parts.PAGES.items() if row in rows)


def part(row: str, name: str) -> str:
    """A generated part, as it stands on the page."""
    found = re.search(
        rf"<!-- {row} {name} -->\n(.*?)<!-- /{row} {name} -->", text_of(page_of(row)), re.DOTALL
    )
    assert found, (row, name)
    return found[1]


def exported(shell: str) -> dict[str, str]:
    """The variables that these lines export."""
    words = re.findall(r"^(?:\$ )?export (.*)$", shell, re.MULTILINE)
    return dict(shlex.split(word)[0].split("=", 1) for word in words)


def test_every_provider_has_a_page_and_every_page_a_provider() -> None:
    shown = [row for rows in provider_parts.PAGES.values() for row in rows]
    assert sorted(shown) == sorted(PROVIDERS) == sorted(provider_parts.MISTAKES)
    written = {path.stem for path in (ROOT / "docs" / "providers").glob("*.md")}
    assert written == {*provider_parts.PAGES, "index"}


@every_page
def test_all_pages_have_the_same_headings(page: str) -> None:
    assert re.findall(r"^## (.*)$", text_of(page), re.MULTILINE) == HEADINGS


@every_page
def test_a_page_says_which_sources_were_read_and_when(page: str) -> None:
    assert re.search(r"^Read on \d{4}-\d\d-\d\d: .*\.$", text_of(page), re.MULTILINE)


@every_row
def test_with_the_variables_of_the_page_the_token_is_accepted(row: str) -> None:
    """``explain`` finds the keys where the provider publishes them."""
    provider, typed = like(row), exported(part(row, "settings"))

    said = provider_parts.explain(typed, provider.token(), provider)

    assert said.splitlines()[-1] == "accepted: the request reaches the app"


@every_row
def test_the_doctor_finds_nothing_wrong_with_the_settings_of_the_page(row: str) -> None:
    """Nothing contradicts the page."""
    provider, typed = like(row), exported(part(row, "settings"))

    said = provider_parts.run(["doctor"], typed, "", provider)

    outcomes = [line.split(maxsplit=2) for line in said.splitlines() if line[:1] not in " -"]
    assert outcomes
    assert [outcome for outcome in outcomes if outcome[0] != "ok"] == []


@every_row
def test_the_usual_mistake_is_recognised(row: str) -> None:
    """The message of the page names the cause, or both the value that is there and ours."""
    said = part(row, "mistake")

    assert "\nremedy: " in said or row == "auth0"  # refused at start, with the reason
    assert "explain < token\n" in said


@pytest.mark.slow
@pytest.mark.parametrize("row", ["cognito", "keycloak"])
def test_a_page_is_followed_to_its_end(row: str, tmp_path: Path) -> None:
    """Command by command, with the program of the index page as the provider."""
    (settings,) = re.findall(r"```sh\n(.*?)```", part(row, "settings"), re.DOTALL)
    (check,) = [block.code for block in blocks("docs/providers/index.md", "sh")]
    (program,) = [block.code for block in blocks("docs/providers/index.md", "python")]
    (tmp_path / "provider.py").write_text(program.replace("cognito", row))
    mistaken, expected = typed_and_shown(part(row, "mistake"))

    with running_provider(tmp_path) as (printed, environ):
        (tmp_path / "mistaken").write_text(provider_parts.MISTAKES[row].token(like(row)))
        script = f"{settings}{printed}{check}echo -----\nmv mistaken token\n{mistaken}"
        ran = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False,
            cwd=tmp_path, env=environ,
        )  # fmt: skip
    right, _, wrong = ran.stdout.partition("-----\n")

    assert right.endswith("accepted: the request reaches the app\n"), ran
    assert not re.search("^(fail|warn)", right, re.MULTILINE), right
    for line in expected:
        assert line in wrong.splitlines(), (line, wrong)


@contextmanager
def running_provider(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """``python provider.py`` in a terminal of its own: the line it prints; and the environment."""
    (folder / "jwt-wsgi").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jwt_wsgi "$@"\n')
    (folder / "jwt-wsgi").chmod(0o755)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {"PATH": path, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        ["python", "provider.py"], cwd=folder, env=environ, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline(), environ
        finally:
            process.stdin.write("\n")
            process.stdin.close()
    assert process.returncode == 0


def typed_and_shown(block: str) -> tuple[str, list[str]]:
    """The commands of a console, and what it shows, without the dots for what is left out."""
    (console,) = re.findall(r"```console\n(.*?)```", block, re.DOTALL)
    lines = console.splitlines()
    typed = "".join(f"{line[2:]}\n" for line in lines if line.startswith("$ "))
    return typed, [line for line in lines if not line.startswith(("$ ", "…"))]
