"""P1 to P4: the library alone, one token a call."""

from candidates import LIBRARIES
from candidates import REMEMBERING
from candidates import NodePeer
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
from tokens import Mint
from tokens import fresh

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
        rows.append(_isolation(verifiers, mint))
    return rows


def _isolation(verifiers: dict[str, Verify], mint: Mint) -> Row:
    """Whether one handler's change of the payload is seen by the next request, nested or not."""
    token = mint.token(acts={"for": ["nobody"]})
    seen = {"list": False, "dict": False, "list in a dict": False}
    for _ in range(4):
        claims = verifiers["ours"](token)
        seen["list"] |= "admin" in claims["roles"]
        seen["dict"] |= "admin" in claims["acts"]
        seen["list in a dict"] |= "admin" in claims["acts"]["for"]
        claims["roles"].append("admin")
        claims["acts"]["for"].append("admin")
        claims["acts"]["admin"] = True
    leaks = [what for what, leaked in seen.items() if leaked]
    told = f"SHARED: {', '.join(leaks)}" if leaks else "a payload of its own for each request"
    node = verifiers.get("fast-jwt + cache")
    if node is not None and node.shares(token):
        told += " (fast-jwt's cache: the same object for all)"
    return Row("P4", f"what one request changes in its payload, {mint.algorithm}", None, told)
