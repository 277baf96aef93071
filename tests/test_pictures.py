"""The pictures of the documents are what their programs draw, and can be read in dark and light."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pictures
import pytest
from pages import PAGES
from pages import ROOT

from jwt_wsgi.cli.explain_code import CODES
from jwt_wsgi.cli.explain_recorder import STEP_OF_CODE
from jwt_wsgi.cli.explain_steps import STEPS
from jwt_wsgi.cli.remedies import REFUSAL_REMEDIES
from jwt_wsgi.cli.svg import text

FILES = sorted(pictures.FOLDER.iterdir())
#: Of a wide font (DejaVu Sans), on average, in parts of its size.
WIDTH_OF_A_LETTER = 0.55


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_diagram_is_what_the_program_draws(name: str) -> None:
    """``python tests/pictures.py`` draws them anew."""
    assert (pictures.FOLDER / name).read_text() == pictures.PICTURES[name]()


def test_the_bars_are_those_of_the_kept_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """``python tests/benchmarks/run.py --plot docs/pictures/performance.svg`` draws them anew."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "benchmarks"))
    import bars

    assert (pictures.FOLDER / "performance.svg").read_text() == bars.drawn()
    sys.modules.pop("bars")


def test_the_way_has_every_step_and_every_code() -> None:
    """What a token or a request can be refused with, and nothing else."""
    codes = {code for exits in pictures.EXITS.values() for code in exits}

    assert list(pictures.EXITS) == list(STEPS)
    assert codes == set(REFUSAL_REMEDIES)
    assert all(f"{CODES[code].status} {code}" in pictures.way() for code in codes)


def test_the_way_leaves_where_explain_says() -> None:
    """The steps of the verifier, as the picture and as ``jwt-wsgi explain`` have them."""
    steps = [*STEPS][2:9]  # from the form of a token to its binding
    drawn = {code: step for step in steps for code in pictures.EXITS[step]}

    assert drawn == {code: STEP_OF_CODE.get(code, "claims") for code in drawn}
    assert drawn.keys() >= STEP_OF_CODE.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_picture_says_in_words_what_it_shows(path: Path) -> None:
    """A title for screen readers, colours for dark pages, and nothing from elsewhere."""
    svg = path.read_text()
    root = ET.fromstring(svg)

    assert re.search(r"<title>.{40,}</title>", svg)
    assert "@media (prefers-color-scheme: dark)" in svg
    assert root.get("role") == "img"
    assert re.findall(r"(?:href|url|src)", svg) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_text_is_inside_of_its_picture(path: Path) -> None:
    """As wide as its letters are on average."""
    svg = path.read_text()
    root = ET.fromstring(svg)
    width = float(root.get("viewBox", "").split()[2])
    (size,) = re.findall(r"font: (\d+)px", svg)
    for element in root.iter("{http://www.w3.org/2000/svg}text"):
        words, x = element.text or "", float(element.get("x", 0))
        length = len(words) * float(size) * WIDTH_OF_A_LETTER
        share = {"start": 0.0, "middle": 0.5, "end": 1.0}[str(element.get("text-anchor"))]
        left = x - share * length

        assert left >= 0, words
        assert left + length <= width, words


def test_a_text_is_escaped() -> None:
    assert "&lt;b&gt;" in text(0, 0, "<b>")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_picture_is_shown_with_words(path: Path) -> None:
    """On one page at least, and with an alternative text wherever it is."""
    shown = re.findall(rf"!\[(.*?)\]\(\S*pictures/{path.name}\)", "".join(PAGES.values()))

    assert shown
    assert all(len(words) > 40 for words in shown)
