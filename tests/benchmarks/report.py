"""What is kept of a run: results.json, RESULTS.md and the table of docs/explanation/performance.md.

``python tests/benchmarks/report.py`` writes the two pages anew.
"""

import json
from pathlib import Path
from typing import NamedTuple

from goals import Row
from goals import table
from measure import short

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results.json", HERE / "RESULTS.md"
SHOWN = HERE.parents[1] / "docs/explanation/performance.md"
MARKS = ("<!-- performance -->\n", "<!-- /performance -->")


class Section(NamedTuple):
    """What one function measured, when and where, and whom it left out."""

    where: str
    rows: list[Row]
    notes: list[str]


def load(names: list[str]) -> dict[str, Section]:
    """The sections that are kept, in the order of ``names``."""
    saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {
        name: Section(where, [Row.of(row) for row in rows], notes)
        for name in names
        if name in saved
        for where, rows, notes in [saved[name]]
    }


def save(name: str, section: Section) -> None:
    """Keep a section in place of the one of its name; the others stay as they are."""
    saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(saved | {name: section}, indent=1, sort_keys=True) + "\n")
    write()


def write() -> None:
    """The pages that say what is kept."""
    PAGE.write_text(page())
    SHOWN.write_text(updated(SHOWN.read_text()))


def updated(text: str) -> str:
    """The page about performance with the table of what is kept between its two marks."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{summary()}\n{MARKS[1]}{after}"


def page() -> str:
    """RESULTS.md: the whole table."""
    from run import SECTIONS

    sections = load(list(SECTIONS))
    wheres = dict.fromkeys(section.where for section in sections.values())
    notes = dict.fromkeys(note for section in sections.values() for note in section.notes)
    rows = [row for section in sections.values() for row in section.rows]
    parts = ["# Results", "Made by `run.py --save`; how to read them is in [README.md](README.md)."]
    parts += [*wheres, table(rows), "\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


#: Columns of that page's table: whose figures they are, in rows of one process and over HTTP.
COLUMNS = (
    "oxyjwt by hand",
    "joserfc by hand",
    "PyJWT + PyJWKClient by hand",
    "Flask + ResourceProtector",
    "DRF + simplejwt",
    "Flask-JWT-Extended",
)
#: Rows of that page's table: what it says -> what the row is called here.
LINES = {
    "the same token again": "middleware adds: same token",
    "every token new": "middleware adds: every token new, cache on",
    "a bad signature": "middleware adds: bad signature",
    "an expired token": "middleware adds: expired",
    "over HTTP, the same token": "HTTP, same token adds: sync",
    "over HTTP, every token new": "HTTP, every token new, adds: sync",
}


def summary() -> str:
    """The table of that page: what authentication adds to a request, ours and the peers'."""
    from run import SECTIONS

    sections = load(list(SECTIONS))
    rows = {row.what: row for section in sections.values() for row in section.rows}
    lines = [
        "| added to one request by | " + " | ".join(["`jwt_wsgi`", *COLUMNS]) + " |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for told, what in LINES.items():
        for algorithm in ("EdDSA", "RS256"):
            row = rows.get(f"{what}, {algorithm}")
            if row and not isinstance(row.ours, str):
                peers = [row.peers.get(name) for name in COLUMNS]
                figures = [row.ours, *peers]
                cells = [short(figure.median) if figure else "-" for figure in figures]
                lines.append(f"| {told}, {algorithm} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write()
