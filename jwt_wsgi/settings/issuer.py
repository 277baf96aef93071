"""An issuer as it is configured: its identifier, where its keys are, and on what terms."""

import os
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from typing import Final
from typing import Literal
from typing import TypeAlias
from typing import TypedDict
from typing import Unpack

from jwt_wsgi.claims import Check
from jwt_wsgi.keys import KeySource

Seconds: TypeAlias = float | str | timedelta
#: Where the keys of an issuer come from: one of these, else discovery.
KEY_SLOT: Final = frozenset({"jwks_uri", "jwks", "jwks_file", "public_key", "secret"})


class IssuerOptions(TypedDict, total=False):
    """The keywords of :class:`Issuer`, which are also options of the middleware."""

    audience: str | Iterable[str]
    jwks_uri: str
    jwks: str | Mapping[str, Any]
    jwks_file: str | os.PathLike[str]
    public_key: str
    secret: str
    algorithms: str | Iterable[str]
    leeway: Seconds
    required_claims: str | Iterable[str]
    claims: str | Mapping[str, Any]
    max_token_age: Seconds
    token_types: str | Iterable[str]
    profile: Literal["rfc9068"]
    checks: Iterable[Check]


class Issuer:
    """One of several issuers to trust: its identifier, and what differs from the middleware's.

    .. code-block:: python

        issuers = [Issuer("https://a.example", audience="https://api.example"),
                   Issuer("https://b.example", jwks_uri="https://keys.example/b")]

    The identifier is compared byte for byte with ``iss``. ``keys``: a key source of your own.
    Wrong options are told by the middleware, all at once.
    """

    __slots__ = ("identifier", "keys", "options")

    def __init__(
        self, identifier: str, *, keys: KeySource | None = None, **options: Unpack[IssuerOptions]
    ) -> None:
        self.identifier = identifier
        self.keys = keys
        self.options: Mapping[str, object] = settled(options)

    def __repr__(self) -> str:
        return f"Issuer({self.identifier!r})"


def settled(options: Mapping[str, object]) -> dict[str, object]:
    """Options that may be read again: an iterator would be empty then, a check without effect."""
    return {
        name: tuple(value) if isinstance(value, Iterator) else value
        for name, value in options.items()
    }
