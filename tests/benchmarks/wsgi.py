"""P5 to P7, P10 and P12: what authentication adds to one WSGI call, in this process."""

import re
from collections.abc import Callable
from collections.abc import Mapping

from candidates import CACHE_OFF
from candidates import no_app
from gate import admitted
from goals import Bound
from goals import Row
from goals import Run
from library import many_keys
from library import raw
from measure import WARM_UP
from measure import Rounds
from measure import Timed
from measure import added
from measure import calls
from measure import interleaved
from measure import ratio
from middlewares import MIDDLEWARES
from middlewares import Pair
from middlewares import as_verify
from middlewares import ask
from tokens import AUDIENCE
from tokens import ISSUER
from tokens import Mint
from tokens import fresh

from jwt_wsgi import JWTMiddleware

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


def growth(run: Run) -> list[Row]:
    """P10: from 1 to 1,000 keys, issuers and path rules, each beside its own cost at 1."""
    mint = Mint("ES256")
    token = mint.token()

    def inputs(_: int) -> list[tuple[str]]:
        return fresh(token, run.batch)

    scenes = {
        "keys of a JWKS": lambda count: {"jwks": many_keys(mint, count)} | CACHE_OFF,
        "path rules": lambda count: {"public_paths": [f"/public/{n}/*" for n in range(count)]},
    }
    rows = []
    for what, options in scenes.items():
        timers = {str(n): calls(_guarded(mint, options(n)), inputs) for n in (1, 1000)}
        times = interleaved(timers, run.rounds)
        bound = Bound("<=", 1.10, "its cost at 1")
        rows.append(Row("P10", f"1 -> 1000 {what}", bound, ratio(times, "1000", "1")))
    return rows + _issuers(run)


def _guarded(mint: Mint, options: Mapping[str, object]) -> Callable[[str], str]:
    app = JWTMiddleware(no_app, issuer=ISSUER, audience=AUDIENCE, **({"jwks": mint.jwks} | options))
    return lambda token: ask(app, token)


def _issuers(run: Run) -> list[Row]:
    bound = Bound("<=", 1.10, "its cost at 1")
    try:
        from jwt_wsgi import Issuer
    except ImportError:
        return [Row("P10", "1 -> 1000 issuers", bound, "no several issuers in this checkout")]
    mint = Mint("ES256")
    token = mint.token()

    def app(count: int) -> Callable[[str], str]:
        names = [f"https://tenant-{n}.example.com" for n in range(count - 1)]
        trusted = [Issuer(name, jwks=mint.jwks, audience=AUDIENCE) for name in names]
        ours = Issuer(ISSUER, jwks=mint.jwks, audience=AUDIENCE)
        guarded = JWTMiddleware(no_app, issuer=[*trusted, ours], **CACHE_OFF)
        return lambda token: ask(guarded, token)

    timers = {str(n): calls(app(n), lambda _: fresh(token, run.batch)) for n in (1, 1000)}
    times = interleaved(timers, run.rounds)
    return [Row("P10", "1 -> 1000 issuers", bound, ratio(times, "1000", "1"))]


def rules(run: Run) -> list[Row]:
    """P12: one path rule decision among 1,000, beside what others do for routing."""
    from jwt_wsgi.rules import Rule
    from jwt_wsgi.rules import Rules

    count = 1000
    paths = [f"/area-{n}/public/*" for n in range(count)]
    joined = re.compile("|".join(f"(/area-{n}/public/.*)" for n in range(count)))
    find = Rules([Rule(path) for path in paths]).find
    batch = [("GET", f"/area-{n}/orders/{n}") for n in range(run.batch * 5)]
    timers = {
        "raw": raw(Mint("RS256"), run),
        "call": calls(lambda _method, _path: None, lambda _: batch),
        "ours": calls(find, lambda _: batch),
        "one joined regex": calls(lambda _, path: joined.match(path), lambda _: batch),
    }
    try:
        from werkzeug.routing import Map
        from werkzeug.routing import Rule as Route

    except ImportError:
        run.notes.append("werkzeug: not installed")
    else:
        routes = [Route(f"/area-{n}/orders/<rest>", endpoint=n) for n in range(count)]
        adapter = Map(routes).bind("example.com")
        hits = [("GET", f"/area-{n % count}/orders/{n}") for n in range(run.batch)]
        timers["werkzeug Map.match"] = calls(
            lambda method, path: adapter.match(path, method), lambda _: hits
        )

    times: Rounds = interleaved(timers, run.rounds)
    figures = {n: added(times, n, "call", "raw") for n in timers if n not in ("raw", "call")}
    figure = figures.pop("ours")
    bound = Bound("<=", 0.02, "raw")
    return [Row("P12", "a path rule decision among 1000", bound, figure, figures)]
