"""What was pasted into ``explain``, as the request that brings it.

A token goes to the first place that the app looks for one. Lines of headers, as a browser or
``curl -v`` shows them, stand in the request as they are, and nothing is added to them.
"""

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from jwt_wsgi.bearer import environ_key
from jwt_wsgi.settings.loading import Settings

#: field-name ":" OWS field-value (RFC 9112 section 5).
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)")
#: request-line (RFC 9112 section 3); what it asks for is said by flags.
_REQUEST_LINE: Final = re.compile(r"[A-Z]+ \S+ HTTP/[0-9.]+")


class Pasted(NamedTuple):
    """A request as a server would hand it over (PEP 3333), and what it brings.

    ``found``: each place of ``token_from`` that holds something, and what.
    """

    environ: dict[str, Any]
    found: tuple[tuple[str, str], ...]

    @property
    def sent(self) -> str:
        """The credentials, as an Authorization header has them; empty if there are none."""
        return credentials(self.found[0][1]) if self.found else ""

    @property
    def places(self) -> tuple[str, ...]:
        """Where something was found."""
        return tuple(place for place, _ in self.found)

    def of(self, token: str | None) -> "Pasted":
        """Leave out what is not ``token``, if one was looked at."""
        if token is None:
            return self
        return self._replace(found=tuple(one for one in self.found if one[1].endswith(token)))


def pasted(settings: Settings, text: str, method: str, path: str) -> Pasted:
    """Make a request of a token, with or without its scheme, or of the lines of its headers."""
    path, _, query = path.partition("?")
    decoded = unquote_to_bytes(path).decode("latin-1")
    line = {"REQUEST_METHOD": method, "PATH_INFO": decoded, "wsgi.url_scheme": "https"}
    line["QUERY_STRING"] = query
    if headers := _headers(text):
        return Pasted(headers | line, tuple(_credentials(settings, headers)))
    sent, place = credentials(text), settings.token_from[0]
    name, value = carried(place, sent)
    environ = {environ_key(name): value, "HTTP_SEC_FETCH_SITE": "same-origin"}
    return Pasted(environ | line, ((place, sent),) if sent else ())


def _headers(text: str) -> dict[str, str]:
    """Headers by their key in an environ; empty if there is a line that is none."""
    lines = _lines(text)
    lines = lines[1:] if lines and _REQUEST_LINE.fullmatch(lines[0]) else lines
    matches = [match for line in lines if (match := _HEADER.fullmatch(line))]
    found: dict[str, str] = {}
    for match in matches if len(matches) == len(lines) else ():
        key, value = environ_key(match[1]), match[2]
        joint = "; " if key == "HTTP_COOKIE" else ","  # RFC 9113 section 8.2.3, RFC 9110 5.3
        found[key] = f"{found[key]}{joint}{value}" if key in found else value
    return found


def _lines(text: str) -> list[str]:
    """The lines of a request: of all that ``curl -v`` says those it sent, and nothing of a body.

    Browsers may put a value below its name, and show HTTP/2's pseudo-headers (``:method``).
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    if any(line.startswith("> ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("> ")]
    if not all(map(_HEADER.fullmatch, filter(None, lines))):
        lines = list(takewhile(bool, lines))
    told: list[str] = []
    for line in filter(None, lines):
        below = told and told[-1].endswith(":") and ("://" in line or not _HEADER.fullmatch(line))
        if below and not line.startswith(":"):
            told[-1] += f" {line}"
        else:
            told.append(line)
    return [line for line in told if not line.startswith(":")]


def _credentials(settings: Settings, headers: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each place of ``token_from`` that holds something, and what."""
    for spec in settings.token_from:
        kind, _, name = spec.partition(":")
        if kind == "cookie":
            pairs = (pair.partition("=") for pair in headers.get("HTTP_COOKIE", "").split(";"))
            values = [value.strip() for other, _, value in pairs if other.strip() == name]
        else:
            values = [headers.get(environ_key(name or "Authorization"), "")]
        yield from ((spec, value) for value in values if value)


def credentials(text: str) -> str:
    """What was pasted, as an Authorization header has it: with its scheme, Bearer by default."""
    words = text.strip().removeprefix("Authorization:").strip()
    first, *rest = words.split() or [""]
    has_scheme = first.lower() == "bearer" or (rest and "." not in first)
    return words if has_scheme or not words else f"Bearer {words}"


def carried(spec: str, sent: str) -> tuple[str, str]:
    """The header that carries credentials in a place of ``token_from``: its name and value."""
    kind, _, name = spec.partition(":")
    bare = sent.partition(" ")[2] if sent.lower().startswith("bearer ") else sent
    if kind == "cookie":
        return "Cookie", f"{name}={bare}"
    return (name, bare) if name else ("Authorization", sent)
