"""A bounded memory of values by name, which is read without a lock."""

from collections.abc import Iterable
from typing import Generic
from typing import TypeVar

_Value = TypeVar("_Value")


class Recent(Generic[_Value]):
    """Values by name: the newest ``half`` of them, and at most as many older ones.

    Reading takes no lock. The caller holds a lock while it writes.
    """

    def __init__(self, half: int) -> None:
        self._half = half
        self.young: dict[str, _Value] = {}
        self.old: dict[str, _Value] = {}

    def get(self, name: str) -> _Value | None:
        return self.young.get(name) or self.old.get(name)

    def put(self, name: str, value: _Value) -> None:
        """Keep the value as the newest. When there are too many, all the older ones go."""
        if name not in self.young and len(self.young) >= self._half:
            self.old, self.young = self.young, {}
        self.young[name] = value
        self.old.pop(name, None)

    def swap(self, name: str, value: _Value) -> None:
        """Replace the value of a name that is there."""
        (self.young if name in self.young else self.old)[name] = value

    def pop(self, name: str) -> None:
        self.young.pop(name, None)
        self.old.pop(name, None)

    def all(self) -> Iterable[_Value]:
        return {**self.old, **self.young}.values()
