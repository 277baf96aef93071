"""docs/how-to/audit.md and rules.md say what the commands `routes` and `settings` do."""

import re
import shlex
import sys
from pathlib import Path

import pages
import pytest
import yaml

from jwt_wsgi.__main__ import _parser
from jwt_wsgi.__main__ import main


def test_the_commands_of_the_page_on_audits_print_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`…` stands for lines that are left out."""
    (source,) = pages.blocks("docs/how-to/audit.md", "python")
    (tmp_path / "shop.py").write_text(source.code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for block in pages.blocks("docs/how-to/audit.md", "console"):
        monkeypatch.delitem(sys.modules, "shop", raising=False)
        first, _, shown = block.code.partition("\n")
        assert main(shlex.split(first.removeprefix("$ jwt-wsgi "))) == 0
        captured = capsys.readouterr()
        printed = captured.out or captured.err
        pattern = re.escape(shown).replace(re.escape("…\n"), "(?s:.*)")
        assert re.fullmatch(pattern, printed), printed
    assert main(["routes", "--app", "shop:app", "--check", "routes.txt"]) == 0


def test_the_workflow_of_the_page_on_audits_runs_our_commands() -> None:
    """It is YAML of about ten lines, and our parser accepts what it says."""
    (block,) = pages.blocks("docs/how-to/audit.md", "yaml")
    steps = yaml.safe_load(block.code)["jobs"]["routes"]["steps"]
    said = [shlex.split(step["run"].partition(">")[0]) for step in steps if "run" in step]
    ours = [words[1:] for words in said if words[0] == "jwt-wsgi"]

    assert [_parser().parse_args(words).app for words in ours] == ["shop:app", "shop:app"]
    assert len(block.code.splitlines()) <= 11


def test_the_page_on_rules_names_real_warnings() -> None:
    """Each warning in its table is a part of one that the command gives."""
    page = (pages.ROOT / "docs/how-to/rules.md").read_text()
    sources = ("route_table.py", "router_flask.py", "router_pyramid.py")
    code = "".join((pages.ROOT / "jwt_wsgi/cli" / name).read_text() for name in sources)
    code = re.sub(r'"\n\s*f?"', "", code)
    warnings_ = re.findall(r"^\| \*(.*?)\* \|", page, re.MULTILINE)

    assert len(warnings_) == 7
    for warning in warnings_:
        for part in warning.split(" … "):
            assert part.removesuffix(" …") in code, part
