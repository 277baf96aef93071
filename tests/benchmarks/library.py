"""P1 to P4, P11 and P13: the library alone, one token a call."""

import json

from candidates import HAS_CACHE
from candidates import LIBRARIES
from candidates import REMEMBERING
from candidates import NodePeer
from candidates import no_app
from candidates import protected
from gate import Verify
from gate import admitted
from goals import Bound
from goals import Row
from goals import Run
from measure import Rounds
from measure import Timed
from measure import calls
from measure import interleaved
from measure import ratio
from tokens import AUDIENCE
from tokens import ISSUER
from tokens import Mint
from tokens import fresh

from jwt_wsgi import JWTMiddleware

ALGORITHMS = {"RS256": 1.50, "PS256": 1.48, "ES256": 1.20, "EdDSA": 1.16}


def timed(verify: Verify, inputs) -> Timed:
    """On Python's clock, or on Node's own."""
    if isinstance(verify, NodePeer):
        return lambda number: verify.timed([token for (token,) in inputs(number)])
    return calls(verify, inputs)


def raw(mint: Mint, run: Run) -> Timed:
    """One bare ``public_key.verify``, signature already decoded: the unit of most goals."""
    batch = [mint.raw(token) for token in mint.tokens(min(run.batch, 50))]
    return calls(mint.public_key.verify, lambda _: batch)


def cold(run: Run) -> list[Row]:
    """P1 to P3: every token new, nothing remembered."""
    rows: list[Row] = []
    for algorithm, limit in ALGORITHMS.items():
        mint = Mint(algorithm)
        verifiers = admitted(LIBRARIES, mint, run.notes)
        inputs = run.inputs(mint.tokens(run.batch * 4))
        timers = {name: timed(verify, inputs) for name, verify in verifiers.items()}
        times = interleaved({"raw": raw(mint, run), **timers}, run.rounds)
        peers = {name: ratio(times, name, "raw") for name in timers if name != "ours"}
        goal = "P1" if algorithm == "RS256" else "P2"
        what = f"library, every token new, {algorithm}"
        rows.append(Row(goal, what, Bound("<=", limit, "raw"), ratio(times, "ours", "raw"), peers))
        if algorithm in ("RS256", "EdDSA"):
            rows += _beside(times, algorithm)
    return rows


def _beside(times: Rounds, algorithm: str) -> list[Row]:
    limits = {"authlib.jose": 0.72, "joserfc KeySet": 0.58, "PyJWT + JWKS": 0.25, "fast-jwt": 1.05}
    return [
        Row(
            "P3",
            f"the same beside {peer}, {algorithm}",
            Bound("<=", limit, peer) if algorithm == "RS256" else None,
            ratio(times, "ours", peer),
        )
        for peer, limit in limits.items()
        if peer in times
    ]


def warm(run: Run) -> list[Row]:
    """P4: the same token again."""
    rows: list[Row] = []
    for algorithm in ("RS256", "EdDSA"):
        mint = Mint(algorithm)
        verifiers = admitted(REMEMBERING, mint, run.notes)
        token = mint.token()

        def inputs(_: int, token: str = token) -> list[tuple[str]]:
            return fresh(token, run.batch * 5)

        timers = {name: timed(verify, inputs) for name, verify in verifiers.items()}
        times = interleaved({"raw": raw(mint, run), **timers}, run.rounds)
        peers = {name: ratio(times, name, "raw") for name in timers if name != "ours"}
        bound = Bound("<=", 0.10, "raw") if algorithm == "RS256" else None
        what = f"library, same token again, {algorithm}"
        rows.append(Row("P4", what, bound, ratio(times, "ours", "raw"), peers))
        if "fast-jwt + cache" in times:
            figure = ratio(times, "ours", "fast-jwt + cache")
            bound = Bound("<=", 0.75, "fast-jwt + cache")
            rows.append(Row("P4", f"the same beside fast-jwt's cache, {algorithm}", bound, figure))
        rows.append(_isolation(mint))
    return rows


def _isolation(mint: Mint) -> Row:
    """Whether one handler's change of the payload is seen by the next request."""
    verify, token = protected(no_app, mint).verifier.verify, mint.token()
    for _ in range(4):
        claims = verify(token)
        seen = "seen by the next" if "admin" in claims["roles"] else "a fresh payload each time"
        claims["roles"].append("admin")
    return Row("P4", f"the payload that the application may change, {mint.algorithm}", None, seen)


def sizes(run: Run) -> list[Row]:
    """P11: tokens of 9 KB, and hits among many remembered tokens."""
    rows = []
    for algorithm in ("RS256", "EdDSA"):
        mint = Mint(algorithm)
        padded = {"entitlements": [f"urn:example:{n:03d}:{'x' * 40}" for n in range(102)]}
        names = ("ours", "oxyjwt", "authlib.jose", "joserfc", "PyJWT")
        verifiers = admitted({name: LIBRARIES[name] for name in names}, mint, run.notes)
        long = mint.tokens(run.batch, **padded)
        timers = {name: calls(v, run.inputs(long)) for name, v in verifiers.items()}
        times = interleaved({"raw": raw(mint, run), **timers}, run.rounds)
        peers = {name: ratio(times, name, "raw") for name in timers if name != "ours"}
        bound = Bound("<=", 3.7, "raw") if algorithm == "RS256" else None
        what = f"token of {len(long[0]) / 1000:.1f} kB, new, {algorithm}"
        rows.append(Row("P11", what, bound, ratio(times, "ours", "raw"), peers))
    return rows + (_many_entries(run) if HAS_CACHE else [])


def _many_entries(run: Run) -> list[Row]:
    """Hits on random tokens among 100,000; EdDSA, because so many RS256 take minutes to sign."""
    count, mint, unit = 100_000, Mint("EdDSA"), Mint("RS256")
    try:
        verify = protected(no_app, mint, token_cache_size=4 * count).verifier.verify
    except ValueError as error:
        return [Row("P11", "hit among 1e5 entries", Bound("<=", 0.12, "raw"), f"{error}"[:80])]
    tokens = mint.tokens(count)
    for token in [*tokens, *tokens]:
        verify(token)
    step = 7919  # a prime: hits are spread over the whole memory

    def inputs(number: int) -> list[tuple[str]]:
        first = number * run.batch
        return [(tokens[(first + i) * step % count],) for i in range(run.batch)]

    times = interleaved({"raw": raw(unit, run), "ours": calls(verify, inputs)}, run.rounds)
    figure = ratio(times, "ours", "raw")
    return [Row("P11", "hit among 1e5 entries", Bound("<=", 0.12, "raw RS256"), figure)]


def loading(run: Run) -> list[Row]:
    """P13: what a key set of 1,000 keys costs when it is loaded, beside joserfc and PyJWT."""
    from joserfc.jwk import KeySet

    document = many_keys(Mint("ES256"), 1000)
    text = json.dumps(document)
    timers = {
        "ours": lambda: JWTMiddleware(no_app, issuer=ISSUER, audience=AUDIENCE, jwks=text),
        "joserfc": lambda: KeySet.import_key_set(json.loads(text)),
    }
    try:
        import jwt

        timers["PyJWT"] = lambda: jwt.PyJWKSet.from_json(text)
    except ImportError:
        run.notes.append("PyJWT: not installed")
    once = {name: calls(make, lambda _: [()]) for name, make in timers.items()}
    times = interleaved(once, max(5, run.rounds // 3))
    peers = {
        name: ratio(times, name, "joserfc") for name in timers if name not in ("ours", "joserfc")
    }
    bound = Bound("<=", 0.1, "joserfc import_key_set")
    return [
        Row("P13", "load of a JWKS of 1,000 keys", bound, ratio(times, "ours", "joserfc"), peers)
    ]


def many_keys(mint: Mint, count: int) -> dict[str, list]:
    """The key set of ``mint`` among others, last; every key a real one."""
    from joserfc.jwk import ECKey

    others = [ECKey.generate_key("P-256").as_dict(private=False) for _ in range(count - 1)]
    named = [{**jwk, "kid": f"other-{n}", "use": "sig"} for n, jwk in enumerate(others)]
    return {"keys": [*named, mint.jwk]}
