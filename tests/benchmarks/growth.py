"""P10 to P13: what grows and must not be felt: keys, issuers, rules, entries, tokens."""

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from copy import copy

from candidates import CACHE_OFF
from candidates import LIBRARIES
from candidates import no_app
from candidates import protected
from gate import Verify
from gate import admitted
from goals import Bound
from goals import Row
from goals import Run
from joserfc.jwk import ECKey
from library import raw
from library import timed
from measure import Figure
from measure import Rounds
from measure import Timed
from measure import added
from measure import calls
from measure import interleaved
from measure import ratio
from middlewares import ask
from tokens import AUDIENCE
from tokens import ISSUER
from tokens import Mint
from tokens import fresh

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi.keys import KeySet
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Rules

MANY = 1000
FLAT = Bound("<=", 1.10, "its cost at 1")
#: A shared secret: so many tokens of any other algorithm would take minutes to sign.
SECRET = "benchmark-" * 4


def everything(run: Run) -> list[Row]:
    """P10: from 1 to 1,000 keys, issuers and path rules, each beside its own cost at 1."""
    keys = [ECKey.generate_key("P-256").as_dict(private=False) for _ in range(MANY - 1)]
    rows: list[Row] = []
    for algorithm in ("RS256", "EdDSA"):
        mint = Mint(algorithm)
        rows += [_keys(mint, keys, run), *_issuers(mint, run), *_rules(mint, run)]
    return rows


def _keys(mint: Mint, others: list[dict], run: Run) -> Row:
    """The key set of ours among 999 others, last; every key a real one."""
    names = ("ours", "PyJWT + JWKS", "joserfc KeySet", "authlib.jose")
    timers: dict[str, Timed] = {}
    token = mint.token()
    for count in (1, MANY):
        published = copy(mint)
        published.jwks = many_keys(mint, others[: count - 1])
        verifiers = admitted({name: LIBRARIES[name] for name in names}, published, run.notes)
        for name, verify in verifiers.items():
            timers[f"{name} {count}"] = calls(verify, lambda _: fresh(token, run.batch))
    times = interleaved(timers, run.rounds)
    figures = {n: ratio(times, f"{n} {MANY}", f"{n} 1") for n in names if f"{n} 1" in times}
    what = f"every token new, 1 -> {MANY} keys of a JWKS, {mint.algorithm}"
    return Row("P10", what, FLAT, figures.pop("ours"), figures)


def many_keys(mint: Mint, others: list[dict]) -> dict[str, list]:
    named = [{**jwk, "kid": f"other-{n}", "use": "sig"} for n, jwk in enumerate(others)]
    return {"keys": [*named, mint.jwk]}


def _issuers(mint: Mint, run: Run) -> list[Row]:
    """The same keys for all, for it is the issuer that is looked for."""

    def verify(count: int, **options: object) -> Verify:
        names = [f"https://tenant-{n}.example.com" for n in range(count - 1)]
        trusted = [Issuer(name, jwks=mint.jwks, audience=AUDIENCE) for name in [*names, ISSUER]]
        return JWTMiddleware(no_app, issuer=trusted, **options).verifier.verify

    return [
        _flat(f"every token new, 1 -> {MANY} issuers", mint, run, lambda n: verify(n, **CACHE_OFF)),
        _flat(f"same token, 1 -> {MANY} issuers", mint, run, verify),
    ]


def _rules(mint: Mint, run: Run) -> list[Row]:
    """A whole call, and the decision alone."""

    def call(count: int) -> Verify:
        paths = [f"/public/{n}/*" for n in range(count)]
        app = protected(no_app, mint, public_paths=paths)
        return lambda token: ask(app, token)

    return [_flat(f"same token, 1 -> {MANY} path rules", mint, run, call)]


def _flat(what: str, mint: Mint, run: Run, make: Callable[[int], Verify]) -> Row:
    token, batch = mint.token(), run.batch * 4
    verifiers = {str(count): make(count) for count in (1, MANY)}
    timers = {n: calls(verify, lambda _: fresh(token, batch)) for n, verify in verifiers.items()}
    figure = ratio(interleaved(timers, run.rounds), str(MANY), "1")
    return Row("P10", f"{what}, {mint.algorithm}", FLAT, figure)


def sizes(run: Run) -> list[Row]:
    """P11: tokens of 9 KB, and hits among many remembered tokens."""
    rows = [row for algorithm in ("RS256", "EdDSA") for row in _long(Mint(algorithm), run)]
    return rows + [_many_entries(count, limit, run) for count, limit in _entries(run)]


def _entries(run: Run) -> list[tuple[int, float]]:
    return [(100_000, 0.12)] if run.quick else [(100_000, 0.12), (500_000, 0.15)]


def _long(mint: Mint, run: Run) -> list[Row]:
    padded = {"entitlements": [f"urn:example:{n:03d}:{'x' * 40}" for n in range(102)]}
    names = ("ours", "oxyjwt", "fast-jwt", "authlib.jose", "joserfc", "PyJWT")
    verifiers = admitted({name: LIBRARIES[name] for name in names}, mint, run.notes)
    verifiers["cached"] = protected(no_app, mint).verifier.verify
    long = mint.tokens(run.batch, **padded)
    timers = {name: timed(verify, run.inputs(long)) for name, verify in verifiers.items()}
    timers["cached"] = calls(verifiers["cached"], lambda _: fresh(long[0], run.batch))
    times = interleaved({"raw": raw(mint, run), **timers}, run.rounds)
    figures = {name: ratio(times, name, "raw") for name in timers}
    mine, cached = figures.pop("ours"), figures.pop("cached")
    bound = Bound("<=", 3.7, "raw") if mint.algorithm == "RS256" else None
    return [
        Row("P11", f"token of 9 kB, new, {mint.algorithm}", bound, mine, figures),
        Row("P11", f"token of 9 kB, the same again, {mint.algorithm}", None, cached),
    ]


def _many_entries(count: int, limit: float, run: Run) -> Row:
    """Hits on random tokens among so many that are remembered, each used twice before.

    Half of the cache's size is what is remembered for certain, so 500,000 is as many as there are.
    """
    keys = {"issuer": ISSUER, "audience": AUDIENCE, "secret": SECRET}
    app = JWTMiddleware(no_app, **keys, token_cache_size=2 * count)
    verify, tokens = app.verifier.verify, _signed(count)
    for token in [*tokens, *tokens]:
        verify(token)
    step = 7919  # a prime: hits are spread over the whole memory

    def inputs(number: int) -> list[tuple[str]]:
        first = number * run.batch
        asked = [tokens[(first + i) * step % count] for i in range(run.batch)]
        return [(str(token.encode(), "ascii"),) for token in asked]  # new strings, as requests have

    times = interleaved({"raw": raw(Mint("RS256"), run), "ours": calls(verify, inputs)}, run.rounds)
    what = f"a hit among {count} remembered tokens, HS256"
    return Row("P11", what, Bound("<=", limit, "raw RS256"), ratio(times, "ours", "raw"))


def _signed(count: int) -> list[str]:
    """So many tokens like those of a :class:`Mint`, but with a shared secret."""
    claims = Mint("EdDSA").claims()
    head = _base64(b'{"alg":"HS256"}')
    tokens = []
    for number in range(count):
        claims["jti"] = f"8c1f7a52-35fb-4a7e-9d0f-{number:012d}"
        signed = head + b"." + _base64(json.dumps(claims, separators=(",", ":")).encode())
        signature = hmac.digest(SECRET.encode(), signed, "sha256")
        tokens.append((signed + b"." + _base64(signature)).decode())
    return tokens


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def loading(run: Run) -> list[Row]:
    """P13: what a key set of 1,000 keys costs when it is loaded, beside joserfc and PyJWT."""
    import joserfc.jwk

    mint = Mint("EdDSA")
    keys = [ECKey.generate_key("P-256").as_dict(private=False) for _ in range(MANY - 1)]
    text = json.dumps(many_keys(mint, keys))
    timers: dict[str, Callable[[], object]] = {
        "ours": lambda: KeySet.parse(text),
        "whole": lambda: JWTMiddleware(no_app, issuer=ISSUER, audience=AUDIENCE, jwks=text),
        "joserfc": lambda: joserfc.jwk.KeySet.import_key_set(json.loads(text)),
    }
    try:
        import jwt
    except ImportError:
        run.notes.append("PyJWT: not installed")
    else:
        timers["PyJWT"] = lambda: jwt.PyJWKSet.from_json(text)
    once = {name: calls(make, lambda _: [()]) for name, make in timers.items()}
    times = interleaved(once, max(5, run.rounds // 3))
    peers = {"PyJWT": ratio(times, "PyJWT", "joserfc")} if "PyJWT" in times else {}
    bound = Bound("<=", 0.1, "joserfc import_key_set")
    return [
        Row("P13", f"load of a JWKS of {MANY} keys", bound, ratio(times, "ours", "joserfc"), peers),
        Row("P13", "... as an option of the middleware", None, ratio(times, "whole", "joserfc")),
    ]


def rules(run: Run) -> list[Row]:
    """P12: one path rule decision among 1,000 (and among 1), beside what others do for routing."""
    joined = re.compile("|".join(f"(/area-{n}/public/.*)" for n in range(MANY)))
    batch = [("GET", f"/area-{n}/orders/{n}") for n in range(run.batch * 5)]
    timers = {
        "raw": raw(Mint("RS256"), run),
        "call": calls(lambda _method, _path: None, lambda _: batch),
        "ours": calls(_finder(MANY), lambda _: batch),
        "ours, 1 rule": calls(_finder(1), lambda _: batch),
        "one joined regex": calls(lambda _, path: joined.match(path), lambda _: batch),
        "werkzeug Map.match": _werkzeug(run.batch),
    }
    times: Rounds = interleaved(timers, run.rounds)
    figures = {n: added(times, n, "call", "raw") for n in timers if n not in ("raw", "call")}
    figure = figures.pop("ours")
    beside = Figure.of(
        (a - c) / (b - c)
        for a, b, c in zip(times["ours"], times["ours, 1 rule"], times["call"], strict=True)
    )
    what = f"a path rule decision among {MANY}"
    return [
        Row("P12", what, Bound("<=", 0.02, "raw"), figure, figures),
        Row("P10", f"a path rule decision, 1 -> {MANY} rules", FLAT, beside),
    ]


def _finder(count: int) -> Callable:
    return Rules([Rule(f"/area-{n}/public/*") for n in range(count)]).find


def _werkzeug(batch: int) -> Timed:
    from werkzeug.routing import Map
    from werkzeug.routing import Rule as Route

    routes = [Route(f"/area-{n}/orders/<rest>", endpoint=n) for n in range(MANY)]
    adapter = Map(routes).bind("example.com")
    hits = [("GET", f"/area-{n % MANY}/orders/{n}") for n in range(batch)]
    return calls(lambda method, path: adapter.match(path, method), lambda _: hits)
