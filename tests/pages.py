"""The pages that people read, README.md and docs/**/*.md: code blocks, and what is generated.

``python tests/pages.py`` writes the generated parts anew. ``python tests/pages.py --run`` runs the
Python blocks of every page, each page in a process of its own, and prints what failed as JSON.
"""

import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from typing import NamedTuple

import page_parts as parts
import provider_parts

from jwt_wsgi import JWTMiddleware
from jwt_wsgi.testing import FakeIssuer

ROOT = Path(__file__).parent.parent

#: Every page by its path from the root of the repository.
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
#: Pages whose Python blocks are run by a test file of their own, which names the page.
RUN_ELSEWHERE = {
    "docs/how-to/migrate-from-authlib.md": "test_migrating.py",
    "docs/how-to/migrate-from-flask-jwt-extended.md": "test_migrating.py",
    "docs/how-to/migrate-from-pyjwt.md": "test_migrating.py",
    "docs/how-to/migrate-from-simplejwt.md": "test_migrating.py",
    "docs/tutorial.md": "test_tutorial.py",
}
#: What is said of a page that shows a library which is not here.
NOT_INSTALLED = "not installed:"
_BLOCK = re.compile(
    r"(?:<!-- ([^\n]*) -->\n\n?)?^```([\w-]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    """``mark``: the comment before it, which a test finds it by."""

    page: str
    mark: str
    language: str
    code: str

    @property
    def run_by(self) -> str:
        """The test file that runs it, if it cannot be run as the others are."""
        if (ROOT / "examples" / self.mark).is_file():  # the block is that file
            return "test_examples.py"
        named = re.fullmatch(r"run by (test_\w+\.py)", self.mark)
        return named[1] if named else RUN_ELSEWHERE.get(self.page, "")


def blocks(page: str, *languages: str) -> list[Block]:
    found = [Block(page, *parts) for parts in _BLOCK.findall(PAGES[page])]
    return [block for block in found if not languages or block.language in languages]


# --- Generated parts -------------------------------------------------------------------------

#: What stands between <!-- name --> and <!-- /name -->, on which page, and who makes it.
GENERATED: list[tuple[str, str, Callable[[], str]]] = [
    (
        "docs/development/architecture.md",
        "authenticate",
        lambda: f"```python\n{parts.authenticate()}```\n",
    ),
    ("docs/how-to/django.md", "django_rest_app.py", partial(parts.example, "django_rest_app.py")),
    ("docs/how-to/mcp.md", "mcp_app.py", partial(parts.example, "mcp_app.py")),
    ("docs/how-to/operations.md", "story", parts.day),
    (
        "docs/how-to/pyramid-and-wsgi.md",
        "pyramid_policy_app.py",
        partial(parts.example, "pyramid_policy_app.py"),
    ),
    ("docs/reference/command-line.md", "commands", parts.command_line),
    ("docs/reference/events.md", "events", parts.event_rows),
    ("docs/reference/metrics.md", "metrics", parts.metric_rows),
    ("docs/reference/refusals.md", "codes", parts.codes),
    *(
        (f"docs/reference/refusals/{code}.md", "refusal", partial(parts.refusal, code))
        for code in parts.CODES
    ),
    ("docs/reference/settings.md", "settings", parts.setting_rows),
    *provider_parts.parts(),
]


def generated(page: str) -> str:
    """The page with its generated parts as they should be."""
    text = PAGES[page]
    for where, name, make in GENERATED:
        if where == page:
            marks = rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)"
            part = f"\n{make()}\n"
            text, count = re.subn(
                marks, lambda found, part=part: found[1] + part + found[2], text, flags=re.DOTALL
            )
            assert count == 1, (page, name)
    return text


# --- Python blocks ---------------------------------------------------------------------------


def runnable(page: str) -> list[Block]:
    """The blocks that are run here, in the order of the page."""
    return [
        block
        for block in blocks(page, "python")
        if not block.run_by and block.mark != "authenticate"  # methods without their class
    ]


def run(page: str) -> None:
    """Run the blocks of a page one after the other, as a reader does, in an empty folder.

    They share their names; in the README each block stands by itself. At first there are an app, a
    token, and a middleware around the app.
    """
    os.environ.update(JWT_WSGI_ISSUER="https://issuer.example", JWT_WSGI_AUDIENCE="api")
    os.chdir(tempfile.mkdtemp())
    issuer = FakeIssuer("https://issuer.example", aud="api")
    decorators = ModuleType("uwsgidecorators")  # it exists inside uWSGI alone
    decorators.postfork = lambda function: function  # type: ignore[attr-defined]
    sys.modules["uwsgidecorators"] = decorators

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"orders"]

    names = {
        "__name__": "page",
        "JWTMiddleware": JWTMiddleware,
        "app": app,
        "application": issuer.protect(app),
        "middleware": issuer.protect(app),
        "token": issuer.token(),
    }
    sys.modules["page"] = module = ModuleType("page")  # where dataclasses and Flask look
    for number, block in enumerate(runnable(page)):
        if number == 0 or page == "README.md":
            module.__dict__.update(names)
        exec(compile(block.code, f"{page}, Python block {number}", "exec"), module.__dict__)


def run_all() -> dict[str, str]:
    """Page -> the traceback of the block that failed, or nothing."""
    return {page: _forked(page) for page in PAGES if runnable(page)}


def _forked(page: str) -> str:
    """Run a page in a child: Django's settings and Prometheus' registry exist once a process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(page)
            status = 0
        except ModuleNotFoundError as error:
            os.write(writer, f"{NOT_INSTALLED} {error.name}".encode())
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-60_000:])
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return told or ("" if status == 0 else f"the process ended with status {status}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--run"]:
        print(json.dumps(run_all()))
    else:
        for changed in PAGES:
            (ROOT / changed).write_text(generated(changed))
