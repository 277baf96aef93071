"""Fuzz a parser, guided by coverage: ``python tests/fuzz/run.py [TARGET] --seconds N``.

Without a TARGET each of them has N seconds, one after the other. Needs ``pip install -e
'.[fuzz]'``. ``--corpus DIR`` keeps what was found to be interesting, for the next run. An input
that breaks a target is written to DIR/TARGET/crash-…, and the exit code is not 0; ``--replay
FILE`` runs it again. Each one becomes a row of ``tests/test_fuzz.py``.
"""

import argparse
import json
import logging
import random
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import Final

import atheris

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE))

with atheris.instrument_imports(include=["jwt_wsgi", "targets"]):
    from targets import MAX_SIZE
    from targets import TARGETS

#: What stands where another thing should: the values that parsers trip over.
ODD: Final[list[Any]] = [
    None, True, False, 0, -1, 2**31, 2**53, 2**64, 10**400, 0.5, -0.0, 1e308, "", "a", "none",
    "\x00", "\ud800", "\U0001f600", "A" * 300, [], {}, [[]], [None], {"": ""}, {"alg": "ES256"},
    float("nan"), float("inf"), "HS256", "EdDSA", "ES256", "RS256", "P-256", "AQAB", "AA", "sig",
]  # fmt: skip
NAMES: Final = [
    "alg", "kid", "typ", "crit", "b64", "iss", "exp", "nbf", "iat", "aud", "sub", "jti", "cnf",
    "scope", "keys", "kty", "crv", "x", "y", "n", "e", "d", "k", "use", "key_ops", "x5c", "",
]  # fmt: skip


def main() -> int:
    """Run one target in this process, or each in one of its own: libFuzzer never returns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--replay", type=Path)
    args = parser.parse_args()
    corpus = args.corpus or Path(tempfile.mkdtemp(prefix="jwt_wsgi_corpus_"))
    if args.target and args.replay:
        TARGETS[args.target].run(args.replay.read_bytes())
    elif args.target:
        fuzz(args.target, args.seconds, corpus / args.target)
    else:
        command = [sys.executable, __file__, "--seconds", str(args.seconds), "--corpus", corpus]
        codes = [subprocess.run([*command, name], check=False).returncode for name in TARGETS]
        return int(any(codes))
    return 0


def fuzz(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz until the time is over or an input breaks the target."""
    target = TARGETS[name]
    logging.getLogger("jwt_wsgi").setLevel(logging.CRITICAL)
    warnings.simplefilter("error")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={2 * MAX_SIZE}",
        f"-artifact_prefix={corpus}/",
        "-timeout=10",
        "-print_final_stats=1",
    ]
    custom = {} if target.json_from is None else {"custom_mutator": mutator(target.json_from)}
    atheris.Setup([f"fuzz-{name}", *options, str(corpus)], target.run, **custom)
    atheris.Fuzz()


def mutator(start: int) -> Any:
    """Half of the time change bytes, half of the time JSON as JSON, so that it still parses."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return atheris.Mutate(data, max_size)
        head, lines = data[:start], data[start:].split(b"\n")
        line = rng.randrange(len(lines))
        try:
            value = json.loads(lines[line])
            changed = change(value, rng)
            lines[line] = json.dumps(changed, ensure_ascii=rng.random() < 0.9).encode()
        except (ValueError, RecursionError):
            return atheris.Mutate(data, max_size)
        return (head + b"\n".join(lines))[:max_size]

    return mutate


def change(value: Any, rng: random.Random) -> Any:
    """One change somewhere in ``value``: a member replaced, removed, added, nested or swapped."""
    places = [(None, None), *containers(value)]
    holder, key = rng.choice(places)
    if holder is None:
        return rng.choice([value, [value], {"keys": [value]}, rng.choice(ODD)])
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = rng.choice(ODD)
    elif kind == 2:
        holder[key] = [holder[key]]
    elif kind == 3 and isinstance(holder, dict):
        holder[rng.choice(NAMES)] = rng.choice([*ODD, holder[key]])
    elif kind == 4 and isinstance(holder, list):
        holder.append(holder[key])
    else:
        other, other_key = rng.choice(places[1:])
        holder[key] = json.loads(json.dumps(other[other_key]))
    return value


def containers(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in ``value``: what holds it, and under which key."""
    if not isinstance(value, dict | list):
        return
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        yield from containers(value[key])


if __name__ == "__main__":
    sys.exit(main())
