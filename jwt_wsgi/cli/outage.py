"""``python -m jwt_wsgi demo --outage``: one issuer rotated, attacked and killed under load.

The same scenes for this middleware and for PyJWT with its PyJWKClient, on loopback, in real time
and with real sockets. The claims about this middleware are checked; those of PyJWT are only shown.
"""

import json
import sys
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextlib import contextmanager
from hashlib import sha256
from hmac import digest
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import TextIO

from werkzeug.test import create_environ
from werkzeug.test import run_wsgi_app

from jwt_wsgi.events import logger
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.key_sources.fetch import HTTPFetch
from jwt_wsgi.key_sources.remote import RemoteKeys
from jwt_wsgi.key_sources.saved_keys import SavedKeysFile
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.settings.issuer import Issuer
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.test_kit.signing import base64url
from jwt_wsgi.test_kit.signing import token_part
from jwt_wsgi.testing import FakeIssuer

from .demo import AUDIENCE
from .demo import DemoError
from .demo import echo
from .terminal import counted

CROWD: Final = 50  # requests at once
UNKNOWN_KIDS: Final = 10_000
USERS: Final = 1_000
CONNECTIONS: Final = 8
FRESH: Final = 1.0  # seconds that keys are fresh, for both, in scenes about old keys
STALL: Final = 3.0  # seconds that a slow issuer takes to answer

#: Sends one request with this token, and returns whether it was accepted.
Ask = Callable[[str], bool]
#: A compared implementation. From an issuer, the seconds that keys are fresh (None: the default),
#: and a folder for saved keys (None: keys are not saved), it makes an :data:`Ask`.
Contestant = Callable[[FakeIssuer, float | None, str | None], AbstractContextManager[Ask]]


class Crowd(NamedTuple):
    """Results of many requests: the number accepted, the slowest in seconds, the issuer's GETs."""

    let_in: int
    slowest: float
    fetches: int


class Fact(NamedTuple):
    """One row of the table. ``claim``: the value that ours must have; ``holds`` checks it."""

    name: str
    value: float
    claim: str
    holds: Callable[[float], bool]
    unit: str = ""

    @property
    def shown(self) -> str:
        return f"{self.value:,.2f} s" if self.unit == "s" else f"{self.value:,.0f}{self.unit}"


# --- Who is compared ---------------------------------------------------------------------------


@contextmanager
def ours(issuer: FakeIssuer, fresh: float | None, folder: str | None) -> Iterator[Ask]:
    """This middleware, called as a server calls a WSGI app."""
    policy = Policy() if fresh is None else Policy(refresh_after=fresh)
    secret = sha256(issuer.issuer.encode()).digest()  # for a demonstration
    keys = RemoteKeys(
        issuer.issuer,
        fetch=HTTPFetch(),
        policy=policy,
        emit=lambda _event: None,
        saved=None if folder is None else SavedKeysFile(folder, secret, issuer.issuer),
    )
    settings = Settings.of(issuer=Issuer(issuer.issuer, keys=keys), audience=AUDIENCE)
    app = JWTMiddleware(echo, settings)  # without the variables of the shell

    def ask(token: str) -> bool:
        environ = create_environ("/orders", headers={"Authorization": f"Bearer {token}"})
        _, status, _ = run_wsgi_app(app, environ)
        return status.startswith("200")

    yield ask
    app.close()


@contextmanager
def pyjwt(issuer: FakeIssuer, fresh: float | None, _folder: str | None) -> Iterator[Ask]:
    """PyJWT with PyJWKClient, used as in its documentation."""
    import jwt  # noqa: PLC0415  # of the extra `demo`

    lifespan: Any = {} if fresh is None else {"lifespan": fresh}
    client = jwt.PyJWKClient(issuer.jwks_uri, **lifespan)

    def ask(token: str) -> bool:
        try:
            key = client.get_signing_key_from_jwt(token)
            jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=issuer.issuer)
        except jwt.PyJWTError:
            return False
        return True

    yield ask


# --- The scenes --------------------------------------------------------------------------------


def scenes(open_: Contestant, progress: Callable[[str], None]) -> Iterator[Fact]:
    """Play every scene, each with its own issuer, and yield the measured facts."""

    @contextmanager
    def stage(title: str, *, fresh: float | None = None) -> Iterator[tuple[FakeIssuer, Ask]]:
        progress(title)
        with (
            FakeIssuer(algorithm="ES256", aud=AUDIENCE).serve() as issuer,
            open_(issuer, fresh, None) as ask,
        ):
            yield issuer, ask

    with stage(f"cold start, {CROWD} at once") as (issuer, ask), issuer.slow(0.2):
        crowd = _send(ask, issuer, [issuer.token()] * CROWD, CROWD)
        yield Fact("cold start: refused", CROWD - crowd.let_in, "0", lambda n: n == 0)
        yield Fact("cold start: GETs", _keys(issuer), "1", lambda n: n == 1)

    with stage(f"a new key, used at once by {CROWD}") as (issuer, ask), issuer.slow(0.2):
        _warm(issuer, ask)
        issuer.rotate()
        crowd = _send(ask, issuer, [issuer.token()] * CROWD, CROWD)
        yield Fact("rotation, used at once: refused", CROWD - crowd.let_in, "0", lambda n: n == 0)
        yield Fact("rotation, used at once: GETs", crowd.fetches, "1", lambda n: n == 1)

    with stage("an unknown kid at a rotation") as (issuer, ask):
        _warm(issuer, ask)
        ask(issuer.token(header={"kid": "unknown"}))
        issuer.rotate()
        ask(issuer.token(header={"kid": "another-unknown"}))
        crowd = _send(ask, issuer, [issuer.token()] * CROWD, CROWD)
        refused = CROWD - crowd.let_in
        yield Fact("an unknown kid at a rotation: refused", refused, "0", lambda n: n == 0)

    with stage(f"{UNKNOWN_KIDS:,} unknown kids, among them {USERS:,} users") as (issuer, ask):
        _warm(issuer, ask)
        tokens = [issuer.token(header={"kid": f"unknown-{n}"}) for n in range(UNKNOWN_KIDS)]
        for position in range(0, UNKNOWN_KIDS, UNKNOWN_KIDS // USERS):
            tokens.insert(position, issuer.token())
        crowd = _send(ask, issuer, tokens, CONNECTIONS)
        yield Fact("many unknown kids: users served", _percent(crowd), "100 %", _all, " %")
        yield Fact("many unknown kids: GETs", crowd.fetches, "at most 8 a minute", lambda n: n <= 8)  # noqa: PLR2004

    with stage(f"an issuer that takes {STALL:.0f} s", fresh=FRESH) as (issuer, ask):
        _warm(issuer, ask)
        time.sleep(FRESH + 0.1)
        with issuer.slow(STALL):
            crowd = _send(ask, issuer, [issuer.token()] * USERS, CONNECTIONS)
        yield Fact("slow issuer: users served", _percent(crowd), "100 %", _all, " %")
        yield Fact("slow issuer: slowest user", crowd.slowest, "below 1 s", lambda s: s < 1, "s")

    with stage("a dead issuer", fresh=FRESH) as (issuer, ask):
        _warm(issuer, ask)
        time.sleep(FRESH + 0.1)
        with issuer.outage():
            crowd = _send(ask, issuer, [issuer.token()] * USERS, CONNECTIONS)
        yield Fact("dead issuer: users served", _percent(crowd), "100 %", _all, " %")
        yield Fact("dead issuer: GETs", crowd.fetches, "at most 5 a minute", lambda n: n <= 5)  # noqa: PLR2004

    yield _restarted(open_, progress)

    with stage("forgeries") as (issuer, ask):
        _warm(issuer, ask)
        forged = list(forgeries(issuer))
        let_in = sum(ask(token) for token in forged)
        yield Fact(f"forgeries let in, of {len(forged)}", let_in, "0", lambda n: n == 0)


def _restarted(open_: Contestant, progress: Callable[[str], None]) -> Fact:
    """Play a process that ends, and another one that starts during an outage."""
    progress("a restart during an outage")
    with (
        FakeIssuer(algorithm="ES256", aud=AUDIENCE).serve() as issuer,
        TemporaryDirectory() as folder,
    ):
        with open_(issuer, None, folder) as ask:
            _warm(issuer, ask)
            _wait_for_a_file(folder)
        with issuer.outage(), open_(issuer, None, folder) as ask:
            crowd = _send(ask, issuer, [issuer.token()] * USERS, CONNECTIONS)
        return Fact("restart in an outage: users served", _percent(crowd), "100 %", _all, " %")


def _warm(issuer: FakeIssuer, ask: Ask) -> None:
    if not ask(issuer.token()):
        raise DemoError("a good token was refused; nothing can be compared")


def _wait_for_a_file(folder: str, seconds: float = 2.0) -> None:
    """Wait for the saved keys, if there will be any: they are saved after the request."""
    until = time.monotonic() + seconds
    while not list(Path(folder).glob("jwks-*[0-9a-f]")) and time.monotonic() < until:
        time.sleep(0.01)


def forgeries(issuer: FakeIssuer) -> Iterator[str]:
    """Tokens that the issuer did not sign, and tokens that it signed for another API."""
    (public,) = issuer.jwks()["keys"]
    claims = issuer.token().split(".")[1]
    for alg in ("none", "None", "NONE"):
        yield f"{token_part({'alg': alg, 'kid': public['kid']})}.{claims}."
    for secret in (public["x"].encode(), json.dumps(public).encode(), b"", b"secret"):
        signed = f"{token_part({'alg': 'HS256', 'kid': public['kid']})}.{claims}"
        yield f"{signed}.{base64url(digest(secret, signed.encode(), sha256))}"
    impostor = FakeIssuer(issuer.issuer, algorithm="ES256", aud=AUDIENCE)
    (other,) = impostor.jwks()["keys"]
    yield impostor.token(header={"kid": issuer.kid})
    yield impostor.token(header={"kid": issuer.kid, "jwk": other})
    yield issuer.wrong_key()()
    good = issuer.token()
    yield good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB")
    yield good.rpartition(".")[0] + "."
    yield issuer.token(exp=int(time.time()) - 3600)
    yield issuer.token(iss="https://other.example")
    yield issuer.token(aud="https://other.example")


def _send(ask: Ask, issuer: FakeIssuer, tokens: Iterable[str], connections: int) -> Crowd:
    def one(token: str) -> tuple[bool, float]:
        began = time.perf_counter()
        return ask(token), time.perf_counter() - began

    before = _keys(issuer)
    with ThreadPoolExecutor(connections) as pool:
        answers = list(pool.map(one, tokens))
    let_in = sum(answer[0] for answer in answers)
    return Crowd(let_in, max(answer[1] for answer in answers), _keys(issuer) - before)


def _keys(issuer: FakeIssuer) -> int:
    return issuer.requests.count("/.well-known/jwks.json")


def _percent(crowd: Crowd) -> float:
    """Percent of the users. It is over 100 if a token with an unknown kid was accepted."""
    return 100 * crowd.let_in / USERS


def _all(percent: float) -> bool:
    return percent == 100  # noqa: PLR2004


# --- The table ---------------------------------------------------------------------------------


OURS: Final = "jwt_wsgi"


def compare(others: dict[str, Contestant]) -> tuple[str, list[str]]:
    """Play all scenes for every implementation; return the table, and our failed claims."""
    columns = _played(others, sys.stdout)
    rows = [["", *columns, "we claim"], ["---"] * (len(columns) + 2)]
    rows += [
        [facts[0].name, *(fact.shown for fact in facts), facts[0].claim]
        for facts in zip(*columns.values(), strict=True)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows), _failed(columns)


def _played(others: dict[str, Contestant], progress_to: TextIO) -> dict[str, list[Fact]]:
    """The facts of each implementation, by scene; ours first."""
    columns = {}
    for name, contestant in {OURS: ours, **others}.items():

        def progress(title: str, name: str = name) -> None:
            print(f"  {name}: {title} ...", file=progress_to, flush=True)

        columns[name] = list(scenes(contestant, progress))
    return columns


def _failed(columns: dict[str, list[Fact]]) -> list[str]:
    return [
        f"{fact.name}: {fact.shown}, not {fact.claim}"
        for fact in columns[OURS]
        if not fact.holds(fact.value)
    ]


def _as_json(columns: dict[str, list[Fact]], seconds: float) -> str:
    facts = [
        {"name": row[0].name, "claim": row[0].claim, "holds": row[0].holds(row[0].value)}
        | {"measured": {name: fact.value for name, fact in zip(columns, row, strict=True)}}
        for row in zip(*columns.values(), strict=True)
    ]
    return json.dumps({"facts": facts, "seconds": round(seconds, 1)})


def run(*, as_json: bool = False) -> list[str]:
    """Print the table beside PyJWT; the claims that failed. Raises :class:`DemoError`.

    ``as_json``: the result as JSON, and progress on standard error.
    """
    if find_spec("jwt") is None:
        raise DemoError("PyJWT is missing; run: pip install pyjwt")
    began = time.monotonic()
    peers: dict[str, Contestant] = {f"PyJWT {version('pyjwt')}, PyJWKClient": pyjwt}
    logger.disabled = True  # thousands of refusals are meant
    try:
        if as_json:
            columns = _played(peers, sys.stderr)
            print(_as_json(columns, time.monotonic() - began))
            return _failed(columns)
        table, failed = compare(peers)
    finally:
        logger.disabled = False
    print(f"\n{table}\n")
    for claim in failed:
        print(f"FAILED: {claim}")
    holds = "every claim holds" if not failed else f"{counted(len(failed), 'claim')} failed"
    print(f"{holds}; {time.monotonic() - began:.0f} s")
    return failed
