"""The keys of a fake issuer as a key source, without any network."""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Protocol

from jwt_wsgi import jose
from jwt_wsgi.keys import KeySet


class Publisher(Protocol):
    """The part of a fake issuer that provides keys."""

    #: The keys that it publishes; a new list with each rotation.
    _keys: Any

    def jwks(self) -> dict[str, Any]:
        """The public keys."""


class OwnKeys:
    """The current keys of ``issuer``, also after a rotation."""

    def __init__(self, issuer: Publisher) -> None:
        self._issuer = issuer
        self._made_of: object = None
        self._keyset = KeySet([])

    def current(self) -> KeySet:
        """The current set. It is the same object until the issuer rotates."""
        keys = self._issuer._keys  # noqa: SLF001  # a new list with each rotation
        if keys is not self._made_of:
            self._keyset, self._made_of = KeySet.of(self._issuer.jwks()), keys
        return self._keyset

    def candidates(self, header: Mapping[str, Any]) -> Iterable[jose.Key]:
        """As :class:`~jwt_wsgi.keys.KeySource`."""
        return self.current().candidates(header)

    candidates_are_current = candidates
