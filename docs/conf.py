"""How Sphinx builds the site: ``sphinx-build -W docs site``, or ``nox -s docs``.

Nothing is loaded from elsewhere: fonts, scripts and the search index are files of the site.
"""

import os
import re
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

project = "jwt_wsgi"
author = "the jwt_wsgi authors"
version = release = version_of("jwt-wsgi")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

# Headings get the anchors that GitHub gives them, so links work here and there.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
default_role = "py:obj"

html_theme = "furo"
html_title = "jwt_wsgi"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

#: Pages that stand elsewhere in the repository -> where they are in the site.
PAGES = {
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "development/contributing",
    "SECURITY.md": "development/security",
    "examples/README.md": "how-to/examples",
    "examples/deploy/README.md": "how-to/deploy",
    "tests/benchmarks/README.md": "development/benchmarks",
    "tests/benchmarks/RESULTS.md": "development/benchmark-results",
}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)#\s]+)")


def show_page(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the text of a page from elsewhere in its place, with links that work from there."""
    for name, page in PAGES.items():
        if page == docname:
            source[0] = LINK.sub(partial(moved, name, page), (ROOT / name).read_text())
    if docname == "reference/refusals":  # its pages are below it in the list of pages
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\nrefusals/*\n```\n"


def moved(name: str, page: str, link: re.Match[str]) -> str:
    """The target of a link of the file ``name``, as seen from ``page``."""
    target = os.path.relpath((ROOT / name).parent / link[0], ROOT)
    if target in PAGES:
        target = f"docs/{PAGES[target]}.md"
    return os.path.relpath(ROOT / target, (ROOT / "docs" / page).parent)


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", show_page)
