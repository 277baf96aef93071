"""Headers of fetches whose values are read from files: credentials that another program renews."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from typing import NamedTuple

from .failures import FetchError

#: Bytes of a file that holds a header's value.
MAX_SIZE: Final = 16384


class HeaderFile(NamedTuple):
    """The value of a header: ``prefix`` and the content of a file.

    The file is read for each fetch, so that a token that Kubernetes renews is always the new one.
    """

    file: str
    prefix: str = ""

    def value(self) -> str:
        """The value now. Raises :class:`OSError` or :class:`ValueError`, without file content."""
        with Path(self.file).open("rb") as file:
            text = file.read(MAX_SIZE + 1).decode("utf-8-sig", "replace").strip()
        if not re.fullmatch(r"[\x20-\x7e]+", text) or len(text) > MAX_SIZE:
            raise ValueError(f"does not hold one line of printable ASCII, at most {MAX_SIZE} bytes")
        return self.prefix + text


def values_of(headers: Mapping[str, str | HeaderFile]) -> dict[str, str]:
    """The headers to send now. Raises :class:`FetchError` for a file without a value."""
    values = {}
    for name, value in headers.items():
        try:
            values[name] = value if isinstance(value, str) else value.value()
        except (OSError, ValueError) as error:
            why = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else error
            raise FetchError("file", f"jwks_headers: the file of {name} {why}") from error
    return values
