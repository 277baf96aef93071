"""P14 and P16: memory of remembered tokens, memory of a gunicorn worker, and time to import."""

import gc
import subprocess
import sys
import tempfile
import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from resource import RUSAGE_CHILDREN
from resource import getrusage

from candidates import HAS_CACHE
from candidates import no_app
from candidates import protected
from gate import Verify
from goals import Bound
from goals import Row
from goals import Run
from measure import Figure
from measure import added
from measure import interleaved
from servers import Server
from servers import burst
from servers import gunicorn
from servers import missing_tools
from servers import processes
from tokens import Mint

TOKENS = 2000


def remembered(run: Run) -> list[Row]:
    """P14: bytes a remembered token takes, in tokens; and that they do not go on growing."""
    bounds = (
        ("after one use", Bound("<=", 0.8, "token")),
        ("when hot", Bound("<=", 2.2, "token")),
        ("3 x the entries / 2 x the entries", Bound("<=", 1.05, "")),
    )
    if not HAS_CACHE:
        return [Row("P14", f"memory, {what}", bound, "no cache here") for what, bound in bounds]
    mint, quick = Mint("RS256"), Mint("EdDSA")  # so many RS256 would take a minute to sign
    tokens, many = mint.tokens(TOKENS), quick.tokens(12 * 4096)
    verify, fill = (protected(no_app, each).verifier.verify for each in (mint, quick))
    verify(mint.token(-1))
    fill(quick.token(-1))
    size = sum(map(len, tokens))
    tracemalloc.start()
    once = _grown(verify, tokens) / size
    hot = once + _grown(verify, tokens * 2) / size
    two = _grown(fill, many[: 8 * 4096])
    three = two + _grown(fill, many[8 * 4096 :])
    tracemalloc.stop()
    figures = (once, hot, three / two)
    return [
        Row(
            "P14",
            f"memory, {what}",
            bound,
            one(f),
        )
        for (what, bound), f in zip(bounds, figures, strict=True)
    ]


def one(value: float) -> Figure:
    return Figure(value, value, value)


def _grown(verify: Verify, tokens: list[str]) -> int:
    """Bytes that are held after these tokens and were not before."""
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for token in tokens:
        verify(token)
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


_IMPORTS = {
    "nothing": "pass",
    "cryptography": "from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa",
    "ours": "import jwt_wsgi",
    "PyJWT + requests": "import jwt, requests; jwt.PyJWKClient",
    "joserfc + requests": "import joserfc.jwk, joserfc.jwt, requests",
    "flask_jwt_extended": "import flask_jwt_extended",
}


def imports(run: Run) -> list[Row]:
    """P16: what an import costs, above an interpreter that imports nothing."""
    timers = {name: lambda _, code=code: _child(code) for name, code in _IMPORTS.items()}
    times = interleaved(timers, max(9, run.rounds // 2))
    unit = {
        "cryptography'": [
            c - n for c, n in zip(times["cryptography"], times["nothing"], strict=True)
        ]
    }
    times |= unit
    figures = {n: added(times, n, "nothing", "cryptography'") for n in _IMPORTS}
    del figures["nothing"], figures["cryptography"]
    mine = figures.pop("ours")
    return [Row("P16", "import, that of cryptography's primitives = 1", None, mine, figures)]


def _child(code: str) -> float:
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def workers(run: Run) -> list[Row]:
    """P16: MiB of its own that a gunicorn worker has more than one with the bare app."""
    if missing := missing_tools():
        return [Row("P16", "memory of a worker", None, f"not installed: {missing}")]
    mint, rows = Mint("EdDSA"), []
    names = ("bare", "ours", "joserfc + requests", "PyJWT + requests")
    for way, options in {"plain": (), "--preload": ("--preload",)}.items():
        sizes = {name: _worker_memory(name, mint, options) for name in names}
        bare = sizes.pop("bare")
        grown = {name: one(size - bare) for name, size in sizes.items()}
        bound = Bound("<=", 2, "MiB") if options else None
        mine = grown.pop("ours")
        rows.append(Row("P16", f"MiB a gunicorn worker has more, {way}", bound, mine, grown))
    return rows


def _worker_memory(name: str, mint: Mint, options: tuple[str, ...]) -> float:
    """MiB that a worker shares with nobody, after some hundred requests."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "tokens").write_text("\n".join(mint.tokens(200)))
        options = ("--workers", "2", *options)
        server = stack.enter_context(gunicorn(name, mint, "sync", *options, app="footprint_app"))
        burst(server, folder / "tokens", start=0, seconds=1)
        return max(_private(pid) for pid in _workers(server)) / 2**20


def _workers(server: Server) -> list[int]:
    return [pid for pid in processes(server.pid) if pid != server.pid]


def _private(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
