"""The bars of docs/explanation/performance.md: ``run.py --plot FILE.svg`` draws results.json."""

from pathlib import Path

from measure import Figure
from measure import short
from report import COLUMNS
from report import LINES
from report import load

from jwt_wsgi.cli.svg import box
from jwt_wsgi.cli.svg import picture
from jwt_wsgi.cli.svg import text

OURS = "jwt_wsgi"
ALGORITHM = "RS256"
#: Groups of bars: lines of that page's table.
SHOWN = (
    "the same token again",
    "every token new",
    "over HTTP, the same token",
    "over HTTP, every token new",
)
WIDTH, LEFT, BARS, LINE = 600, 258, 272, 24


def groups() -> dict[str, dict[str, Figure]]:
    """Line of the table -> whose figure -> the figure, the smallest first."""
    from run import SECTIONS

    rows = {row.what: row for section in load(list(SECTIONS)).values() for row in section.rows}
    found = {}
    for line in SHOWN:
        row = rows[f"{LINES[line]}, {ALGORITHM}"]
        assert isinstance(row.ours, Figure)
        peers = {name: row.peers[name] for name in COLUMNS if name in row.peers}
        figures = {OURS: row.ours, **peers}
        found[line] = dict(sorted(figures.items(), key=lambda pair: pair[1].median))
    return found


def drawn() -> str:
    """The SVG: a group of bars for each line, all on one scale."""
    found = groups()
    longest = max(figure.high for figures in found.values() for figure in figures.values())
    parts = [text(12, 28, "added to one request, in RS256 signature checks", kind="strong")]
    parts.append(text(12, 28 + LINE, "thin line: 10th to 90th percentile; less is better"))
    y, said = 28 + 2.5 * LINE, []
    for line, figures in found.items():
        parts.append(text(12, y + 16, line, kind="strong"))
        y += LINE
        said.append(
            f"{line}: " + ", ".join(f"{n} {short(fig.median)}" for n, fig in figures.items())
        )
        for name, figure in figures.items():
            low, median, high = (
                BARS * max(value, 0) / longest for value in (figure.low, figure.median, figure.high)
            )
            kind = "served" if name == OURS else "peer"
            parts.append(text(LEFT - 8, y + 17, name, "end", "strong" if name == OURS else ""))
            parts.append(box(kind, LEFT, y + 4, max(median, 1), LINE - 8))
            parts.append(box("spread", LEFT + low, y + LINE / 2 - 0.5, max(high - low, 1), 1))
            parts.append(text(LEFT + max(high, median) + 8, y + 17, short(figure.median)))
            y += LINE
        y += LINE / 2
    title = f"What authentication adds to one request, in {ALGORITHM} signature checks. "
    return picture(WIDTH, round(y), title + "; ".join(said) + ".", parts, size=16)


def write(file: Path) -> None:
    file.write_text(drawn(), encoding="utf-8")
