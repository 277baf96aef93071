"""P5 to P7: what authentication adds to one WSGI call, in this process."""

from collections.abc import Callable
from collections.abc import Mapping

from gate import admitted
from goals import Bound
from goals import Row
from goals import Run
from library import raw
from measure import WARM_UP
from measure import Rounds
from measure import Timed
from measure import added
from measure import calls
from measure import interleaved
from middlewares import MIDDLEWARES
from middlewares import Pair
from middlewares import as_verify
from middlewares import ask
from tokens import Mint
from tokens import fresh

Inputs = Callable[[int], list[tuple[str | None]]]


def pairs(mint: Mint, run: Run) -> dict[str, Pair]:
    """Every middleware that is installed and passes the gate."""
    made: dict[str, Pair] = {}

    def guarded(name: str) -> Callable:
        def make(mint: Mint):
            made[name] = MIDDLEWARES[name](mint)
            return as_verify(made[name].guarded)

        return make

    passed = admitted({name: guarded(name) for name in MIDDLEWARES}, mint, run.notes)
    return {name: made[name] for name in passed}


def overhead(made: Mapping[str, Pair], inputs: Inputs, unit: Timed, rounds: int) -> Rounds:
    """Times of every bare and guarded app on the same requests."""
    timers: dict[str, Timed] = {"raw": unit}
    for name, pair in made.items():
        timers[f"bare {name}"] = calls(lambda token, app=pair.bare: ask(app, token), inputs)
        timers[name] = calls(lambda token, app=pair.guarded: ask(app, token), inputs)
    return interleaved(timers, rounds)


def requests(run: Run) -> list[Row]:
    """P5 to P7: the same token, every token new, and the four refusals."""
    rows: list[Row] = []
    for algorithm in ("RS256", "EdDSA"):
        mint = Mint(algorithm)
        made = pairs(mint, run)
        unit = raw(mint, run)
        for goal, what, subject, limit, inputs in _scenes(mint, run):
            times = overhead(made, inputs, unit, run.rounds)
            figures = {name: added(times, name, f"bare {name}", "raw") for name in made}
            others = {n: f for n, f in figures.items() if not n.startswith("ours")}
            bound = Bound("<=", limit, "raw") if algorithm == "RS256" else None
            rows.append(
                Row(goal, f"middleware adds: {what}, {algorithm}", bound, figures[subject], others)
            )
    return rows


def _scenes(mint: Mint, run: Run) -> list[tuple[str, str, str, float, Inputs]]:
    forged, token = mint.forgeries(), mint.token()
    # Each round its own tokens: one seen twice would come out of the cache.
    new = run.inputs(mint.tokens(run.batch * (run.rounds + WARM_UP)))

    def same(text: str | None) -> Inputs:
        return lambda _: fresh(text, run.batch) if text else [(None,)] * run.batch

    return [
        ("P5", "same token", "ours", 0.12, same(token)),
        ("P6", "every token new, cache on", "ours", 1.75, new),
        ("P6", "every token new, cache off", "ours, cache off", 1.58, new),
        ("P7", "bad signature", "ours", 1.45, same(forged["bad signature"])),
        ("P7", "expired", "ours", 1.65, same(forged["expired"])),
        ("P7", "unknown kid", "ours", 0.40, same(mint.unknown_kid())),
        ("P7", "no token", "ours", 0.02, same(None)),
    ]
