"""P8, P9, P18 and P99: what authentication adds to a request over HTTP, and how long one waits.

Added is CPU time, so that what else runs does not count: server on one CPU, wrk on the other.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from gate import LetsInError
from gate import check
from goals import Bound
from goals import Row
from goals import Run
from library import raw
from measure import Figure
from peers_http import apache
from peers_http import fastify
from requests import Session
from servers import Server
from servers import asking
from servers import burst
from servers import gunicorn
from servers import missing_tools
from tokens import Mint

#: More tokens than a cache holds, so that one that comes again is not remembered any more.
NEW_TOKENS = 10_000
WORKERS = ("sync", "gthread")
#: Under every kind of worker; the others under the first.
BOTH = ("ours", "ours, cache off", "oxyjwt by hand", "joserfc by hand")
ONCE = ("authlib.jose by hand", "PyJWT + PyJWKClient by hand")
FRAMEWORKS = ("Flask + ResourceProtector", "Flask-JWT-Extended", "DRF + simplejwt")
#: Never the best of anything: asked in one round of three.
SLOW = {f"{name} (sync)" for name in (*FRAMEWORKS, *ONCE)}
#: Seconds that a burst takes.
BURST = 0.5


class Scene:
    """Servers side by side, each guarded one with its bare one, and the tokens to ask them with."""

    def __init__(self, stack: ExitStack, mint: Mint, run: Run) -> None:
        self._stack, self.mint, self.run = stack, mint, run
        self.servers: dict[str, Server] = {}
        #: Guarded or bare server -> the bare one it is compared with.
        self.bare: dict[str, str] = {}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.same, self.new = folder / "same", folder / "new"
        self.same.write_text(mint.token())
        self.new.write_text("\n".join(mint.tokens(NEW_TOKENS)))
        self._asked: dict[str, int] = {}

    def add(self, name: str, bare: str, make) -> None:
        """Start a server; one that is not installed or does not pass the gate leaves a note."""
        try:
            server = self._stack.enter_context(make(name))
            if name != bare:
                check(lambda token: _get(server, token), self.mint)
        except ImportError as error:
            self.run.notes.append(f"{name}: not installed ({error})")
        except LetsInError as error:
            self.run.notes.append(f"{name}: REFUSED BY THE GATE, it accepts: {error}")
        except Exception as error:
            self.run.notes.append(f"{name}: does not serve {self.mint.algorithm} ({error!r:.200})")
        else:
            self.servers[name], self.bare[name] = server, bare

    def seconds_a_request(self, name: str, tokens: Path) -> float:
        """CPU seconds that the server uses for one request."""
        server, start = self.servers[name], self._asked.get(name, 0)
        before = server.cpu()
        seen = burst(server, tokens, start=start, seconds=BURST)
        while not seen.answers:  # wrk had no CPU for as long
            seen = burst(server, tokens, start=start, seconds=BURST)
        self._asked[name] = start + seen.answers + 100
        return (server.cpu() - before) / seen.answers

    def interleaved(self, tokens: Path) -> tuple[dict[str, Figure], dict[str, Figure]]:
        """For every guarded server: CPU kept (bare / guarded); CPU added, in raw verifications."""
        one = raw(self.mint, self.run)
        kept: dict[str, list[float]] = {}
        added: dict[str, list[float]] = {}
        for name in self.servers:
            self.seconds_a_request(name, tokens)  # until it is warm
        for number in range(self.run.http_rounds):
            asked = [name for name in self.servers if number % 3 == 0 or not self._is_slow(name)]
            took = {
                name: self.seconds_a_request(name, tokens)
                for name in random.sample(asked, len(asked))
            }
            unit = min(one(number) for _ in range(5))
            for name, bare in self.bare.items():
                if name in took and name != bare:
                    kept.setdefault(name, []).append(took[bare] / took[name])
                    added.setdefault(name, []).append((took[name] - took[bare]) / unit)
        return _figures(kept), _figures(added)

    def _is_slow(self, name: str) -> bool:
        return name.removeprefix("bare ") in SLOW


def _figures(values: dict[str, list[float]]) -> dict[str, Figure]:
    return {name: Figure.of(each) for name, each in values.items()}


def _get(server: Server, token: str) -> None:
    with Session() as session:
        session.trust_env = False
        answer = session.get(server.url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    answer.raise_for_status()


@contextmanager
def scene(algorithm: str, run: Run) -> Iterator[Scene]:
    """Every server there is, for one algorithm."""
    with ExitStack() as stack:
        made = Scene(stack, Mint(algorithm), run)
        mint = made.mint
        for worker in WORKERS:
            make = partial(gunicorn, mint=mint, worker=worker)
            for name in ("bare ours", *BOTH, *(ONCE if worker == "sync" else ())):
                made.add(f"{name} ({worker})", f"bare ours ({worker})", make)
            for name in FRAMEWORKS if worker == "sync" and not run.quick else ():
                made.add(f"bare {name} (sync)", f"bare {name} (sync)", make)
                made.add(f"{name} (sync)", f"bare {name} (sync)", make)
        for name, kind in {"": "bare", " + @fastify/jwt": "jwt", " + its cache": "cache"}.items():
            made.add(f"Fastify{name}", "Fastify", partial(fastify, mint=mint, kind=kind))
        for name in ("Apache", "mod_auth_openidc"):
            made.add(name, "Apache", partial(apache, mint=mint))
        yield made


def requests(run: Run) -> list[Row]:
    """P8 and P9."""
    if missing := missing_tools():
        return [Row("P8", "HTTP", None, f"not installed: {missing}")]
    rows: list[Row] = []
    for algorithm in ("RS256", "EdDSA"):
        with scene(algorithm, run) as made:
            rows += _same(made, algorithm)
            rows += _new(made, algorithm)
    return rows


def gateways(run: Run) -> list[Row]:
    """P18: the rows of docs/explanation/gateway.md. Few servers leave time for more rounds."""
    if missing := missing_tools():
        return [Row("P18", "HTTP", None, f"not installed: {missing}")]
    longer = replace(run, http_rounds=6 * run.http_rounds + 1)
    with ExitStack() as stack:
        made = Scene(stack, Mint("RS256"), longer)
        make = partial(gunicorn, mint=made.mint, worker="sync")
        for name in ("bare ours", "ours", "PyJWT + PyJWKClient by hand"):
            made.add(f"{name} (sync)", "bare ours (sync)", make)
        for name in ("Apache", "mod_auth_openidc", "mod_oauth2"):
            made.add(name, "Apache", partial(apache, mint=made.mint))
        kept, _ = made.interleaved(made.same)
        _, added = made.interleaved(made.new)
    rows = (("same token, CPU kept", kept), ("every token new, adds", added))
    return [
        Row("P18", f"gateways, {what}", None, figures["ours (sync)"], _peers(figures, "sync"))
        for what, figures in rows
    ]


def _peers(figures: dict[str, Figure], worker: str) -> dict[str, Figure]:
    """The others under this kind of worker, and those that are no WSGI servers."""
    elsewhere = tuple(f" ({other})" for other in WORKERS if other != worker)
    return {
        name.removesuffix(f" ({worker})"): figure
        for name, figure in figures.items()
        if not name.endswith(elsewhere) and name != f"ours ({worker})"
    }


def _same(made: Scene, algorithm: str) -> list[Row]:
    kept, added = made.interleaved(made.same)
    rows = []
    for worker, limit in zip(WORKERS, (0.94, 0.95), strict=True):
        ours, where = f"ours ({worker})", f"{worker}, {algorithm}"
        bound, beside = Bound(">=", limit, "of the bare app"), {"Fastify + its cache": 0.4}
        what = f"HTTP, same token, CPU kept: {where}"
        rows.append(Row("P8", what, bound, kept[ours], _peers(kept, worker)))
        what = f"HTTP, same token adds: {where}"
        rows.append(Row("P8", what, Bound("<=", 0.40, "raw"), added[ours], _peers(added, worker)))
        rows += _beside("P8", f"HTTP, same token: {where}", ours, added, beside)
    return rows


def _new(made: Scene, algorithm: str) -> list[Row]:
    _, added = made.interleaved(made.new)
    rows = []
    for worker in WORKERS:
        ours, where = f"ours ({worker})", f"{worker}, {algorithm}"
        what = f"HTTP, every token new, adds: {where}"
        rows.append(Row("P9", what, None, added[ours], _peers(added, worker)))
        limits = {"mod_auth_openidc": 1.1, "Fastify + @fastify/jwt": 1.25}
        limits[f"joserfc by hand ({worker})"] = 0.70
        rows += _beside("P9", f"HTTP, every token new: {where}", ours, added, limits)
    return rows


def _beside(
    goal: str, what: str, ours: str, added: dict[str, Figure], limits: dict[str, float]
) -> list[Row]:
    """What we add, in units of what a peer adds: a ratio of medians, for differences are noisy."""
    rows = []
    for name, limit in limits.items():
        if name in added:
            peer = name.partition(" (")[0]
            figure = Figure(*(value / added[name].median for value in added[ours]))
            rows.append(Row(goal, f"{what}, beside {peer}", Bound("<=", limit, peer), figure))
    return rows


def beside_busy_threads(run: Run) -> list[Row]:
    """How long a request waits while two others compute in the same gthread worker.

    A verification gives the GIL away and has to win it back; a cached hit does not.
    """
    if missing := missing_tools():
        return [Row("P99", "HTTP", None, f"not installed: {missing}")]
    rows: list[Row] = []
    for algorithm in ("RS256", "EdDSA"):
        with ExitStack() as stack:
            made = Scene(stack, Mint(algorithm), run)
            make = partial(gunicorn, mint=made.mint, worker="gthread")
            for name in ("bare ours", *BOTH):
                made.add(name, "bare ours", make)
            waits = _waits(made)
        for percent in ("median", "p99"):
            figures = {
                name: Figure.of(
                    a[percent] / b[percent] for a, b in zip(each, waits["bare ours"], strict=True)
                )
                for name, each in waits.items()
                if name != "bare ours"
            }
            what = f"gthread, 2 busy threads, same token: {percent} beside the bare app's"
            mine = figures.pop("ours")
            rows.append(Row("P99", f"{what}, {algorithm}", None, mine, figures))
    return rows


def _waits(made: Scene) -> dict[str, list[dict[str, float]]]:
    """Latencies of one connection while two others keep the worker computing."""
    times: dict[str, list[dict[str, float]]] = {name: [] for name in made.servers}
    for _ in range(max(2, made.run.http_rounds // 2)):
        for name in random.sample(list(made.servers), len(made.servers)):
            server = made.servers[name]
            with asking(server, made.same, connections=2, path="/busy"):
                time.sleep(0.3)
                seen = burst(server, made.same, seconds=2, connections=1)
            times[name].append({"median": seen.median, "p99": seen.p99})
    return times
