"""Parts of SVG pictures: one file each, with an alternative text and colours for dark pages.

A kind of text or box is a class of the style sheet. The colours are those of GitHub's pages.
"""

from collections.abc import Iterable
from html import escape
from typing import Final

#: Class -> fill on a light page, fill on a dark one.
_FILLS: Final = {
    "text": ("#1f2328", "#f0f6fc"),
    ".page": ("#ffffff", "#0d1117"),
    ".outage": ("#f6e9c9", "#3d3215"),
    ".served": ("#1a7f37", "#3fb950"),
    ".refused": ("#d1242f", "#f85149"),
    ".peer": ("#818b98", "#656c76"),
    ".step": ("#ddf4ff", "#121d2f"),
    ".guard": ("#c4e7cd", "#0f3d1d"),
    ".outside": ("#f6f8fa", "#151b23"),
    ".spread": ("#1f2328", "#f0f6fc"),
    ".rule": ("#818b98", "#9198a1"),
}


def picture(width: int, height: int, title: str, parts: Iterable[str], size: int = 20) -> str:
    """A whole picture of ``parts``. ``title``: the alternative text. ``size``: of texts."""
    light = " ".join(f"{kind} {{ fill: {fill}; }}" for kind, (fill, _) in _FILLS.items())
    dark = " ".join(f"{kind} {{ fill: {fill}; }}" for kind, (_, fill) in _FILLS.items())
    style = [
        f"  text {{ font: {size}px system-ui, sans-serif; }} .strong {{ font-weight: 600; }}",
        f"  {light}",
        f"  @media (prefers-color-scheme: dark) {{ {dark} }}",
    ]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>",
        *style,
        "</style>",
        box("page", 0, 0, width, height),
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def box(kind: str, x: float, y: float, width: float, height: float, radius: int = 0) -> str:
    """A rectangle; ``radius`` of its corners."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    round_ = f' rx="{radius}"' if radius else ""
    return f'<rect class="{kind}" {place}{round_}/>'


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    """One line of text."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    named = f' class="{kind}"' if kind else ""
    return f"<text{named} {place}>{escape(words)}</text>"
