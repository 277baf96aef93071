"""The goals' table: what a row is, and how it is printed."""

import operator
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import NamedTuple

from measure import Figure
from measure import short

_SIGNS = {"<=": operator.le, ">=": operator.ge}


class Bound(NamedTuple):
    """What the median must be: ``Bound("<=", 1.5, "raw")``."""

    sign: str
    value: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g} {self.unit}".rstrip()


class Row(NamedTuple):
    """One line: a figure of ours beside its goal and beside the peers' figures."""

    goal: str
    what: str
    bound: Bound | None
    ours: Figure | str
    peers: Mapping[str, Figure] = {}

    @classmethod
    def of(cls, saved: Sequence) -> "Row":
        """What JSON made of a row."""
        goal, what, bound, ours, peers = saved
        return cls(
            goal,
            what,
            Bound(*bound) if bound else None,
            ours if isinstance(ours, str) else Figure(*ours),
            {name: Figure(*figure) for name, figure in peers.items()},
        )

    @property
    def met(self) -> str:
        if self.bound is None:
            return "shown"
        if isinstance(self.ours, str):
            return "-"
        return "yes" if _SIGNS[self.bound.sign](self.ours.median, self.bound.value) else "**NO**"

    def __str__(self) -> str:
        peers = sorted(self.peers.items(), key=lambda peer: peer[1].median)
        told = ", ".join(f"{short(figure.median)} {name}" for name, figure in peers) or "-"
        goal = self.bound or "-"
        return f"| {self.goal} | {self.what} | {goal} | {self.ours} | {told} | {self.met} |"


@dataclass
class Run:
    """What the goals share: how long to measure, and what was left out."""

    rounds: int
    batch: int
    http_rounds: int
    #: Leave out what takes long and is never the best of anything.
    quick: bool = False
    notes: list[str] = field(default_factory=list)

    def inputs(self, tokens: list[str]) -> Callable[[int], list[tuple[str]]]:
        """A batch of tokens for every round; no token twice while there are enough of them."""
        batches = max(1, len(tokens) // self.batch)

        def batch(number: int) -> list[tuple[str]]:
            first = (number % batches) * self.batch
            # Strings of their own, as requests bring them: neither hashed nor in a CPU's cache.
            return [(str(token.encode(), "ascii"),) for token in tokens[first : first + self.batch]]

        return batch


HEAD = """| # | what | goal | ours: median (p10..p90) | peers, best first | met? |
|---|---|---|---|---|---|"""


def table(rows: Iterable[Row]) -> str:
    return "\n".join([HEAD, *map(str, rows)])
