"""P8 and P9: what authentication adds to a request over HTTP, in CPU time, so that noise stays out;
and how long a request waits beside busy threads."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from candidates import HAS_CACHE
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
NEW_TOKENS = 10_000 if HAS_CACHE else 2_000
OURS = ("ours", "ours, cache off")
BY_HAND = (
    "oxyjwt by hand",
    "authlib.jose by hand",
    "joserfc by hand",
    "PyJWT + PyJWKClient by hand",
)
FRAMEWORKS = ("Flask + ResourceProtector", "Flask-JWT-Extended", "DRF + simplejwt")
#: Never the best of anything: left out of a quick run.
SLOW = {*FRAMEWORKS, "authlib.jose by hand", "PyJWT + PyJWKClient by hand"}
#: Per round: seconds of CPU a request of the guarded server, of its bare one, of a verification.
Pairs = dict[str, list[tuple[float, float, float]]]
WORKERS = ("sync", "gthread")


class Scene:
    """Servers side by side, each guarded one with its bare one, and the tokens to ask them with."""

    def __init__(self, stack: ExitStack, mint: Mint, run: Run) -> None:
        self._stack, self.mint, self.run = stack, mint, run
        self.servers: dict[str, Server] = {}
        self.bare: dict[str, str] = {}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.same, self.new = folder / "same", folder / "new"
        self.same.write_text(mint.token())
        self.new.write_text("\n".join(mint.tokens(NEW_TOKENS)))
        self._asked: dict[str, int] = {}

    def add(self, name: str, bare: str, make) -> None:
        """Start a server; one that is not installed or does not pass the gate leaves a note."""
        if self.run.quick and name.removeprefix("bare ") in SLOW:
            return
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
        """CPU seconds that the server used for one request."""
        server, start = self.servers[name], self._asked.get(name, 0)
        before = server.cpu()
        seen = burst(server, tokens, start=start, seconds=self.run.http_seconds)
        self._asked[name] = start + seen.answers + 100
        return (server.cpu() - before) / seen.answers

    def interleaved(self, tokens: Path) -> Pairs:
        """Each guarded server right beside its bare one and a raw verification, in random order."""
        one = raw(self.mint, self.run)
        guarded = [name for name, bare in self.bare.items() if name != bare]
        times: Pairs = {name: [] for name in guarded}
        for number in range(self.run.http_rounds):
            for name in random.sample(guarded, len(guarded)):
                pair = random.sample([name, self.bare[name]], 2)
                seen = {each: self.seconds_a_request(each, tokens) for each in pair}
                unit = min(one(number) for _ in range(5))
                times[name].append((seen[name], seen[self.bare[name]], unit))
        return times


def _get(server: Server, token: str) -> None:
    with Session() as session:
        session.trust_env = False
        answer = session.get(server.url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    answer.raise_for_status()


@contextmanager
def scene(algorithm: str, worker: str, run: Run) -> Iterator[Scene]:
    """Every server there is, for one algorithm and one kind of gunicorn worker."""
    with ExitStack() as stack:
        made = Scene(stack, Mint(algorithm), run)
        mint, make = made.mint, partial(gunicorn, mint=made.mint, worker=worker)
        for name in ("bare ours", *OURS, *BY_HAND):
            made.add(name, "bare ours", make)
        if worker == "sync":
            for name in FRAMEWORKS:
                made.add(f"bare {name}", f"bare {name}", make)
                made.add(name, f"bare {name}", make)
        for name, kind in {"": "bare", " + @fastify/jwt": "jwt", " + its cache": "cache"}.items():
            made.add(f"Fastify{name}", "Fastify", partial(fastify, mint=mint, kind=kind))
        made.add("Apache", "Apache", partial(apache, mint=mint, guarded=False))
        made.add("mod_auth_openidc", "Apache", partial(apache, mint=mint, guarded=True))
        yield made


def requests(run: Run) -> list[Row]:
    """P8 and P9."""
    if missing := missing_tools():
        return [Row("P8", "HTTP", None, f"not installed: {missing}")]
    rows: list[Row] = []
    for algorithm in ("RS256", "EdDSA"):
        for worker in WORKERS:
            with scene(algorithm, worker, run) as made:
                rows += _same(made, f"{worker}, {algorithm}", worker)
                rows += _new(made, f"{worker}, {algorithm}")
    return rows


def _figures(pairs: Pairs) -> tuple[dict[str, Figure], dict[str, Figure]]:
    """For every guarded server: CPU kept (bare / guarded), and CPU added, in raw verifications."""
    kept, added = {}, {}
    for name, rounds in pairs.items():
        kept[name] = Figure.of(bare / guarded for guarded, bare, _ in rounds)
        added[name] = Figure.of((guarded - bare) / one for guarded, bare, one in rounds)
    return kept, added


def _others(figures: dict[str, Figure]) -> dict[str, Figure]:
    return {name: figure for name, figure in figures.items() if name not in OURS}


def _same(made: Scene, where: str, worker: str) -> list[Row]:
    kept, added = _figures(made.interleaved(made.same))
    kept_bound = Bound(">=", 0.94 if worker == "sync" else 0.95, "of the bare app")
    added_bound = Bound("<=", 0.40, "raw")
    return [
        Row("P8", f"HTTP, same token, CPU kept: {where}", kept_bound, kept["ours"], _others(kept)),
        Row("P8", f"HTTP, same token adds: {where}", added_bound, added["ours"], _others(added)),
        *_beside("P8", f"same token: {where}", "ours", added, {"Fastify + its cache": 0.4}),
    ]


def _new(made: Scene, where: str) -> list[Row]:
    _, added = _figures(made.interleaved(made.new))
    peers = {"mod_auth_openidc": 1.1, "Fastify + @fastify/jwt": 1.25, "joserfc by hand": 0.70}
    what = f"HTTP, every token new, adds: {where}"
    return [
        Row("P9", what, None, added["ours"], _others(added)),
        Row("P9", f"{what}, cache off", None, added["ours, cache off"]),
        *_beside("P9", f"every token new: {where}", "ours", added, peers),
    ]


def _beside(
    goal: str, what: str, ours: str, added: dict[str, Figure], limits: dict[str, float]
) -> list[Row]:
    """What we add, in units of what a peer adds: a ratio of medians, for differences are noisy."""
    return [
        Row(goal, f"beside {peer}, {what}", Bound("<=", limit, peer), _over(added, ours, peer))
        for peer, limit in limits.items()
        if peer in added
    ]


def _over(added: dict[str, Figure], ours: str, peer: str) -> Figure:
    return Figure(*(value / added[peer].median for value in added[ours]))


def beside_busy_threads(run: Run) -> list[Row]:
    """The p99 of a request while two others compute in the same gthread worker.

    A verification gives the GIL away and has to win it back; a cached hit does not.
    """
    if missing := missing_tools():
        return [Row("p99", "HTTP", None, f"not installed: {missing}")]
    rows: list[Row] = []
    for algorithm in ("RS256", "EdDSA"):
        with ExitStack() as stack:
            made = Scene(stack, Mint(algorithm), run)
            make = partial(gunicorn, mint=made.mint, worker="gthread")
            for name in ("bare ours", *OURS, "joserfc by hand", "oxyjwt by hand"):
                made.add(name, "bare ours", make)
            times = _waits(made)
        for percent in ("median", "p99"):
            figures = {
                name: Figure.of(
                    a[percent] / b[percent] for a, b in zip(waits, times["bare ours"], strict=True)
                )
                for name, waits in times.items()
            }
            others = {n: f for n, f in figures.items() if not n.endswith("ours")}
            what = f"{percent} beside 2 busy threads / that of the bare app, {algorithm}"
            rows.append(Row("p99", f"gthread, same token: {what}", None, figures["ours"], others))
    return rows


def _waits(made: Scene) -> dict[str, list[dict[str, float]]]:
    """Latencies of one connection while two others keep the worker computing."""
    times: dict[str, list[dict[str, float]]] = {name: [] for name in made.servers}
    seconds = max(2.0, made.run.http_seconds)
    for _ in range(made.run.http_rounds):
        for name in random.sample(list(made.servers), len(made.servers)):
            server = made.servers[name]
            busy = {"start": 0, "seconds": seconds + 1, "connections": 2, "path": "/busy"}
            with asking(server, made.same, **busy) as load:
                seen = burst(server, made.same, start=0, seconds=seconds, connections=1)
                load.communicate()
            times[name].append({"median": seen.median, "p99": seen.p99})
    return times
