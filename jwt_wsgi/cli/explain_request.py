"""Makes a request of the input of ``explain``.

A token is put where the app looks for it first. Headers, as a browser or ``curl -v`` shows them,
become the headers of the request as they are, and nothing is added to them.
"""

import re
from itertools import takewhile
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from jwt_wsgi.bearer import environ_key
from jwt_wsgi.bearer import place
from jwt_wsgi.settings.loading import Settings

#: field-name ":" OWS field-value (RFC 9112 section 5).
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)")
#: request-line (RFC 9112 section 3). Its method and path are given by options.
_REQUEST_LINE: Final = re.compile(r"[A-Z]+ \S+ HTTP/[0-9.]+")
#: One line of a token that was wrapped over several lines.
_PIECE: Final = re.compile(r"[A-Za-z0-9_.~+/=-]+")
_LONGEST_SCHEME: Final = 20  # characters
_PARTS: Final = 3  # of a signed JWT


class Request(NamedTuple):
    """A request as a server would pass it on (PEP 3333), and its credentials.

    ``found``: each place of ``token_from`` that has a value, and the value as it was sent.
    """

    environ: dict[str, Any]
    found: tuple[tuple[str, str], ...]

    @property
    def sent(self) -> str:
        """The credentials in the first place that has any; empty if there are none."""
        return self.found[0][1] if self.found else ""

    @property
    def token(self) -> str:
        """The same without its scheme."""
        scheme, _, rest = self.sent.partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else self.sent

    @property
    def places(self) -> tuple[str, ...]:
        """The places that hold credentials."""
        return tuple(spec for spec, _ in self.found)

    def of(self, token: str | None) -> "Request":
        """Return a request with ``token`` only, if one was read."""
        if token is None:
            return self
        return self._replace(found=tuple(one for one in self.found if one[1].endswith(token)))


def request_of(settings: Settings, text: str, method: str, path: str) -> Request:
    """Make a request of a token, with or without its scheme, or of the lines of its headers."""
    path, _, query = path.partition("?")
    decoded = unquote_to_bytes(path).decode("latin-1")
    line = {"REQUEST_METHOD": method, "PATH_INFO": decoded, "wsgi.url_scheme": "https"}
    line["QUERY_STRING"] = query
    places = {spec: place(spec, settings.max_token_size) for spec in settings.token_from}
    environ: dict[str, Any] = _headers(text) | line
    if environ == line and (token := token_in(text)):
        environ["HTTP_SEC_FETCH_SITE"] = "same-origin"
        if settings.allowed_origins is not None and settings.allowed_origins.hosts:
            environ["HTTP_HOST"] = settings.allowed_origins.hosts[0]
        places[settings.token_from[0]].write(environ, token)
    found = [(spec, value) for spec, where in places.items() for value in where.values(environ)]
    return Request(environ, tuple(one for one in found if one[1]))


def token_in(text: str) -> str:
    """The token without the scheme Bearer; one that was wrapped over lines is joined."""
    scheme, _, rest = " ".join(text.split()).partition(" ")
    joined = _joined(text.strip()[len(scheme) :] if scheme.lower() == "bearer" else text)
    return joined or (rest if scheme.lower() == "bearer" else f"{scheme} {rest}".strip())


def _joined(text: str) -> str:
    """The lines of one token in one piece; empty if they are something else."""
    lines = text.split("\n")
    pieces = [line.strip() for line in lines if line.strip()]
    whole = [piece for piece in pieces if piece.count(".") == _PARTS - 1]
    if all(map(_PIECE.fullmatch, pieces)) and (len(whole) < 2 or len(pieces) == 1):  # noqa: PLR2004
        return "".join(pieces)
    return ""


def _headers(text: str) -> dict[str, str]:
    """Headers by their key in an environ; empty if a line is not a header.

    Credentials with another scheme than Bearer are the header Authorization.
    """
    lines = _lines(text)
    lines = lines[1:] if lines and _REQUEST_LINE.fullmatch(lines[0]) else lines
    matches = [match for line in lines if (match := _HEADER.fullmatch(line))]
    found: dict[str, str] = {}
    for match in matches if len(matches) == len(lines) else ():
        key, value = environ_key(match[1]), match[2]
        joint = "; " if key == "HTTP_COOKIE" else ","  # RFC 9113 section 8.2.3, RFC 9110 5.3
        found[key] = f"{found[key]}{joint}{value}" if key in found else value
    return found or _other_scheme(lines)


def _other_scheme(lines: list[str]) -> dict[str, str]:
    """Credentials of another scheme, or the word Bearer without a token, unchanged."""
    scheme, _, rest = " ".join(lines).partition(" ")
    is_bearer = scheme.lower() == "bearer"
    other = len(lines) == 1 and len(scheme) <= _LONGEST_SCHEME and rest and scheme.isalnum()
    return (
        {"HTTP_AUTHORIZATION": f"{scheme} {rest}".strip()}
        if (other and not is_bearer) or (is_bearer and not rest)
        else {}
    )


def _lines(text: str) -> list[str]:
    """The header lines of a request: of the output of ``curl -v``, those that it sent.

    Browsers may put a value below its name, and show HTTP/2's pseudo-headers (``:method``). A
    token that is wrapped over lines is joined.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    if any(line.startswith("> ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("> ")]
    if not all(map(_HEADER.fullmatch, filter(None, lines))):
        lines = list(takewhile(bool, lines))
    found: list[str] = []
    for line in filter(None, lines):
        below = found and found[-1].endswith(":") and ("://" in line or not _HEADER.fullmatch(line))
        if below and not line.startswith(":"):
            found[-1] += f" {line}"
        elif found and _HEADER.fullmatch(found[-1]) and _PIECE.fullmatch(line):
            found[-1] += line
        else:
            found.append(line)
    return [line for line in found if not line.startswith(":")]
