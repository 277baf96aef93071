"""The site that Sphinx makes of docs/: no warning, no dead link, nothing from elsewhere.

``nox -s docs`` runs this.
"""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parent.parent.parent
NEEDED = ("sphinx", "furo", "myst_parser")


class Page(HTMLParser):
    """``links``: what a reader may click; ``loaded``: what a browser fetches by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.anchors |= {said[name] for name in ("id", "name") if name in said}
        if tag == "a" and "href" in said:
            self.links.append(said["href"])
        elif tag == "link" and said.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(said["href"])
        elif "src" in said:
            self.loaded.append(said["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (pip install -e '.[docs]')")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", folder],
        cwd=ROOT,
        env=os.environ | {
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore:pkg_resources is deprecated",  # Pyramid still imports it
        },
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (built.returncode, built.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text()) for path in site.rglob("*.html")}


def test_no_link_of_the_site_is_dead(site: Path, pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (
                anchor and target in pages and anchor not in pages[target].anchors
            ):
                dead.append(f"{path.relative_to(site)}: {link}")

    assert dead == []


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    """Neither by a page nor by a style sheet or a script: the site works without a network."""
    loaded = {link for page in pages.values() for link in page.loaded}
    styles = [path.read_text() for path in site.rglob("*.css")]
    loaded |= {link for text in styles for link in re.findall(r"url\([\"']?([^\"')]+)", text)}

    assert [link for link in loaded if re.match(r"(https?:)?//", link)] == []
    assert any("searchindex" in path.name for path in site.iterdir())
