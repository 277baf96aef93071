"""P17: four threads beside one; it needs two free CPUs, so read it on a quiet machine."""

import threading
from functools import partial
from time import perf_counter

from candidates import LIBRARIES
from candidates import REMEMBERING
from gate import Verify
from gate import admitted
from goals import Bound
from goals import Row
from goals import Run
from measure import interleaved
from measure import ratio
from tokens import Mint


def rows(run: Run) -> list[Row]:
    """The same token by four threads: rate beside that of one thread."""
    made: list[Row] = []
    for algorithm in ("RS256", "EdDSA"):
        mint = Mint(algorithm)
        makers = {"ours": REMEMBERING["ours"], "ours, cache off": LIBRARIES["ours"]}
        makers |= {name: LIBRARIES[name] for name in ("oxyjwt", "joserfc", "PyJWT")}
        verifiers = admitted(makers, mint, run.notes)
        token = mint.token()
        timers = {}
        for name, verify in verifiers.items():
            count = _calls_within(0.2, verify, token)  # many times the interpreter's 5 ms
            timers |= {f"{name} {k}": partial(_seconds, verify, token, k, count) for k in (1, 4)}
        times = interleaved(timers, max(5, run.rounds // 3))
        rates = {name: ratio(times, f"{name} 1", f"{name} 4") for name in verifiers}
        what = f"4 threads, same token: rate beside 1 thread, {algorithm}"
        bound = Bound(">=", 0.95, "of one thread")
        made.append(Row("P17", what, bound, rates.pop("ours"), rates))
    return made


def _calls_within(seconds: float, verify: Verify, token: str) -> int:
    """How many calls take about so long."""
    return int(seconds / _seconds(verify, token, 1, 1000, 0) * 1000)


def _seconds(verify: Verify, token: str, threads: int, count: int, _round: int) -> float:
    """Wall time of ``count`` calls in all."""

    def work() -> None:
        for _ in range(count // threads):
            verify(token)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    began = perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return perf_counter() - began
