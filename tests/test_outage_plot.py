"""The picture of an outage: what is measured is drawn, and in a form that a browser shows."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from jwt_wsgi.__main__ import main
from jwt_wsgi.cli import outage
from jwt_wsgi.cli import outage_plot
from jwt_wsgi.cli.outage_plot import BEGIN
from jwt_wsgi.cli.outage_plot import END
from jwt_wsgi.cli.outage_plot import Sample
from jwt_wsgi.cli.outage_plot import drawn
from jwt_wsgi.cli.outage_plot import watch

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "outage.svg"


def test_what_was_served_and_refused_is_drawn() -> None:
    """Half of the requests of one bar: half of its height in each colour."""
    first = [Sample(0.1, True), Sample(0.1, False), Sample(0.3, True)]
    svg = drawn({"a": first, "<b>": [Sample(1, False)]})
    root = ET.fromstring(svg)
    boxes = [
        (box.get("class"), float(box.get("height", 0)))
        for box in root.iter("{http://www.w3.org/2000/svg}rect")
    ]

    assert boxes[2:4] == [("refused", 35), ("served", 35)]
    assert boxes[4:] == [("served", 70), ("refused", 70)]
    assert "a: 67 % of the users; &lt;b&gt;: 0 % of the users." in svg


def test_it_has_a_title_and_colours_for_dark_pages() -> None:
    """It is one file, and refers to no other."""
    svg = drawn({"a": [Sample(0, True)]})

    assert "<title>Users served while the issuer is down for 3 seconds." in svg
    assert "@media (prefers-color-scheme: dark)" in svg
    assert re.findall(r"(?:href|url|src)", svg) == []


@pytest.mark.slow
def test_an_outage_is_watched() -> None:
    """Ours serves all the time, PyJWT before and after."""
    ours, theirs = watch(outage.ours, 0.5), watch(outage.pyjwt, 0.5)

    assert all(sample.served for sample in ours)
    assert theirs[0].served
    assert not any(sample.served for sample in theirs if BEGIN + 1.5 < sample.at < END)
    assert theirs[-1].served


def test_plot_writes_the_picture_after_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The exit code is that of the table."""
    done: list[object] = []
    monkeypatch.setattr(outage, "run", lambda *, as_json: done.append(as_json) or True)
    monkeypatch.setattr(outage_plot, "write", done.append)
    file = tmp_path / "outage.svg"

    assert main(["demo", "--outage", "--plot", str(file)]) == 1
    assert done == [False, file]


def test_plot_without_outage_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise the other demo would start, and write no picture."""
    assert main(["demo", "--plot", "outage.svg"]) == 2
    assert "--plot needs --outage" in capsys.readouterr().err


def test_the_picture_of_the_page_is_made_by_the_command() -> None:
    """`jwt-wsgi demo --outage --plot docs/pictures/outage.svg`."""
    svg = PICTURE.read_text()
    title = re.findall(r"<title>(.*)</title>", svg)[0]

    assert svg.startswith(drawn({"a": [Sample(0, True)]})[:48])
    assert "jwt_wsgi: 100 % of the users" in title
    assert svg.count("<rect") > 60
