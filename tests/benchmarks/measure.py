"""Ratios taken inside one run: candidates interleaved in random order, many short rounds.

A machine that slows down slows every candidate of a round down, so what is kept of a round is
the ratio to the others in it. CPU time, not wall time: what else runs does not count.
"""

import gc
import random
import statistics
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from time import process_time
from typing import NamedTuple

#: Seconds of CPU that one call took in that round.
Timed = Callable[[int], float]
Rounds = dict[str, list[float]]
#: Rounds before those that count.
WARM_UP = 2


class Figure(NamedTuple):
    """A median and its spread: the 10th and the 90th percentile of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Figure":
        ordered = sorted(values)
        last = len(ordered) - 1
        return cls(
            statistics.median(ordered), ordered[round(last * 0.1)], ordered[round(last * 0.9)]
        )

    def __str__(self) -> str:
        return f"**{short(self.median)}** ({short(self.low)}..{short(self.high)})"


def exactly(value: float) -> Figure:
    """A figure that has no spread."""
    return Figure(value, value, value)


def short(value: float) -> str:
    """Three digits that count, no more: the rest is noise."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{2 if abs(value) >= 0.2 else 3}f}"


def interleaved(candidates: Mapping[str, Timed], rounds: int) -> Rounds:
    """Time each candidate once a round, in an order drawn anew; the first rounds do not count."""
    times: Rounds = {name: [] for name in candidates}
    gc.collect()
    gc.freeze()  # what the benchmark itself holds is nobody's garbage
    for number in range(rounds + WARM_UP):
        for name in random.sample(list(candidates), len(candidates)):
            seconds = candidates[name](number)
            if number >= WARM_UP:
                times[name].append(seconds)
    return times


def ratio(times: Rounds, name: str, to: str) -> Figure:
    """What ``name`` takes, in units of ``to``."""
    return Figure.of(a / b for a, b in zip(times[name], times[to], strict=True))


def added(times: Rounds, name: str, bare: str, unit: str) -> Figure:
    """What ``name`` takes more than ``bare``, in units of ``unit``."""
    return Figure.of(
        (a - b) / one for a, b, one in zip(times[name], times[bare], times[unit], strict=True)
    )


def calls(function: Callable[..., object], inputs: Callable[[int], Sequence[tuple]]) -> Timed:
    """``function(*input)`` for every input of a round; ``inputs`` are made off the clock."""

    def timed(number: int) -> float:
        batch = inputs(number)
        began = process_time()
        for arguments in batch:
            function(*arguments)
        return (process_time() - began) / len(batch)

    return timed
