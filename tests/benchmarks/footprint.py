"""P14 and P16: memory of remembered tokens; memory, imports and start-up of a gunicorn worker."""

import gc
import random
import subprocess
import sys
import tempfile
import tracemalloc
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN
from resource import getrusage

from candidates import no_app
from candidates import protected
from gate import Verify
from goals import Bound
from goals import Row
from goals import Run
from measure import Figure
from measure import added
from measure import exactly
from measure import interleaved
from servers import Server
from servers import burst
from servers import gunicorn
from servers import missing_tools
from servers import processes
from tokens import Mint

MIB = 2**20
#: What a middleware remembers at default configuration.
ENTRIES = 4096
#: The apps of footprint_app.
WORKERS = ("bare", "ours", "joserfc + requests", "PyJWT + requests", "Flask-JWT-Extended")


def remembered(run: Run) -> list[Row]:
    """P14: bytes a remembered token takes, in tokens; and that they do not go on growing."""
    rows = []
    for algorithm in ("RS256", "EdDSA"):
        once, hot = _a_token(Mint(algorithm))
        where = f"memory of a remembered token, {algorithm}"
        rows.append(Row("P14", f"{where}, after one use", Bound("<=", 0.8, "token"), once))
        rows.append(Row("P14", f"{where}, when hot", Bound("<=", 2.2, "token"), hot))
    mint = Mint("EdDSA")
    padding = {"entitlements": [f"urn:example:{n:03d}:{'x' * 40}" for n in range(102)]}
    return [*rows, *_bounded("1 kB", mint, {}), *_bounded("9 kB", mint, padding)]


def _a_token(mint: Mint) -> tuple[Figure, Figure]:
    """Bytes held for one token, in tokens: used once, and three times."""
    tokens = mint.tokens(ENTRIES // 2 - 1)
    verify, size = protected(no_app, mint).verifier.verify, sum(map(len, tokens))
    verify(mint.token(-1))
    tracemalloc.start()
    before = _held()
    _use(verify, tokens)
    once = _held() - before
    _use(verify, tokens * 2)
    hot = _held() - before
    tracemalloc.stop()
    return exactly(once / size), exactly(hot / size)


def _bounded(size: str, mint: Mint, claims: dict) -> list[Row]:
    """The most that is held while twice as many hot tokens come as may be remembered, and after."""
    tokens = mint.tokens(4 * ENTRIES, **claims)
    verify = protected(no_app, mint).verifier.verify
    verify(mint.token(-1))
    tracemalloc.start()
    before, peaks = _held(), []
    for first in (0, 2 * ENTRIES):
        tracemalloc.reset_peak()
        _use(verify, [token for token in tokens[first : first + 2 * ENTRIES] for _ in range(3)])
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    what = f"memory while {2 * ENTRIES} hot tokens of {size} come"
    bound = Bound("<=", 1.05, "its first")
    return [
        Row("P14", f"{what}: MiB", None, exactly(peaks[0] / MIB)),
        Row("P14", f"{what}, and as many again", bound, exactly(peaks[1] / peaks[0])),
    ]


def _use(verify: Verify, tokens: list[str]) -> None:
    for token in tokens:
        verify(token)


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


_PRIMITIVES = "cryptography.hazmat.primitives.asymmetric"
_IMPORTS = {
    "nothing": "pass",
    "cryptography": f"from {_PRIMITIVES} import ec, ed25519, padding, rsa",
    "ours": "import jwt_wsgi",
    "requests + werkzeug": "import requests, werkzeug.wrappers, werkzeug.http",
    "PyJWT + requests": "import jwt, requests; jwt.PyJWKClient",
    "joserfc + requests": "import joserfc.jwk, joserfc.jwt, requests",
    "Flask-JWT-Extended": "import flask_jwt_extended",
    "DRF + simplejwt": "import rest_framework, rest_framework_simplejwt, jwt, requests",
}


def processes_of_a_worker(run: Run) -> list[Row]:
    """P16: what it costs to have us: time to import, memory of a worker, CPU until it answers."""
    rows = [_imports(run)]
    if missing := missing_tools():
        return [*rows, Row("P16", "a worker", None, f"not installed: {missing}")]
    mint = Mint("EdDSA")
    for way, options in {"plain": (), "--preload": ("--preload",)}.items():
        sizes, starts = _workers(mint, options, 1 if run.quick else 5)
        bound = Bound("<=", 2, "MiB") if options else None
        what = f"MiB a gunicorn worker has more than a bare one, {way}"
        rows.append(Row("P16", what, bound, sizes.pop("ours"), sizes))
        what = f"CPU of gunicorn until its first answer, that of a bare one = 1, {way}"
        rows.append(Row("P16", what, None, starts.pop("ours"), starts))
    return rows


def _imports(run: Run) -> Row:
    """What an import costs, above an interpreter that imports nothing."""
    timers = {name: partial(_child, code) for name, code in _IMPORTS.items()}
    times = interleaved(timers, max(5, run.rounds // 3))
    unit = [c - n for c, n in zip(times["cryptography"], times["nothing"], strict=True)]
    times |= {"unit": unit}
    figures = {n: added(times, n, "nothing", "unit") for n in _IMPORTS}
    del figures["nothing"], figures["cryptography"]
    what = "CPU to import it, that of cryptography's primitives = 1"
    return Row("P16", what, None, figures.pop("ours"), figures)


def _child(code: str, _round: int) -> float:
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _workers(
    mint: Mint, options: tuple[str, ...], rounds: int
) -> tuple[dict[str, Figure], dict[str, Figure]]:
    """MiB of its own that a worker has more than a bare one, and CPU of its start beside it."""
    sizes: dict[str, list[float]] = {name: [] for name in WORKERS}
    starts: dict[str, list[float]] = {name: [] for name in WORKERS}
    for _ in range(rounds):
        seen = {name: _worker(name, mint, options) for name in random.sample(WORKERS, len(WORKERS))}
        for name, (size, start) in seen.items():
            sizes[name].append(size - seen["bare"][0])
            starts[name].append(start / seen["bare"][1])
    del sizes["bare"], starts["bare"]
    return (
        {name: Figure.of(each) for name, each in sizes.items()},
        {name: Figure.of(each) for name, each in starts.items()},
    )


def _worker(name: str, mint: Mint, options: tuple[str, ...]) -> tuple[float, float]:
    """MiB that a worker shares with nobody, after some thousand requests; CPU until the first."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "tokens").write_text("\n".join(mint.tokens(20)))
        options = ("--workers", "2", *options)
        server = stack.enter_context(gunicorn(name, mint, "sync", *options, app="footprint_app"))
        start = server.cpu()
        burst(server, folder / "tokens", seconds=0.5)
        return max(_private(pid) for pid in _children(server)) / MIB, start


def _children(server: Server) -> list[int]:
    return [pid for pid in processes(server.pid) if pid != server.pid]


def _private(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
