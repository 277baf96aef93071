"""The goals' table: this checkout beside its peers, every figure a ratio taken inside one run.

    python tests/benchmarks/run.py                  # everything, about half an hour
    python tests/benchmarks/run.py --quick          # the same with few rounds, about ten minutes
    python tests/benchmarks/run.py P1 P5 --quick    # some goals only

It makes an environment of its own (``--env DIR``, by default in the user's cache) with this
checkout and the peers. What it cannot find there (Node, wrk, Apache with mod_auth_openidc) is
named under the table: ``apt install wrk nodejs npm libapache2-mod-auth-openidc`` brings it.
"raw" is one bare ``public_key.verify(...)`` of ``cryptography``, signature already decoded.
Shown is the median of the rounds, in brackets the 10th and the 90th percentile.
"""

import argparse
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import environment

#: Goals -> the function that measures them; imported late, for they need the peers.
SECTIONS = {
    ("P1", "P2", "P3"): "library.cold",
    ("P4",): "library.warm",
    ("P5", "P6", "P7"): "wsgi.requests",
    ("P8", "P9"): "over_http.requests",
    ("P99",): "over_http.beside_busy_threads",
    ("P10",): "wsgi.growth",
    ("P11",): "library.sizes",
    ("P12",): "wsgi.rules",
    ("P13",): "library.loading",
    ("P14",): "footprint.remembered",
    ("P15",): "refresh.rows",
    ("P16",): "footprint.imports footprint.workers",
    ("P17",): "threads.rows",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [goal for goals in SECTIONS for goal in goals]
    parser.add_argument("goals", nargs="*", metavar="GOAL", help=f"of {' '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--env", type=Path, default=environment.DEFAULT, metavar="DIR")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    goals = {goal.upper() for goal in options.goals} or set(known)
    if unknown := goals - set(known):
        parser.error(f"no such goal: {' '.join(sorted(unknown))}")
    if options.inside:
        measured(goals, quick=options.quick)
        return 0
    python, env = environment.prepared(options.env)
    command = [python, __file__, "--inside", *(["--quick"] if options.quick else []), *goals]
    return subprocess.run(command, env=env, check=False).returncode


def measured(goals: set[str], *, quick: bool) -> None:
    """Print the table, row by row. A goal that is not met is shown and is no failure."""
    from goals import HEAD
    from goals import Run

    run = Run(9, 60, 3, 1, quick=True) if quick else Run(31, 100, 9, 2)
    print(_versions(), HEAD, sep="\n\n", flush=True)
    for names, functions in SECTIONS.items():
        if goals.isdisjoint(names):
            continue
        for function in map(_imported, functions.split()):
            for row in function(run):
                print(row, flush=True)
    print("\n".join(["", *dict.fromkeys(f"- {note}" for note in run.notes)]))


def _imported(name: str) -> Callable:
    module, _, function = name.partition(".")
    return getattr(__import__(module), function)


def _versions() -> str:
    names = ["jwt-wsgi"]
    names += [peer.partition(">")[0].partition("[")[0] for peer in environment.PEERS]
    names += [wheel.partition(">")[0] for wheel in environment.WHEELS]
    told = []
    for name in names:
        try:
            told.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}; {', '.join(told)}"


if __name__ == "__main__":
    sys.exit(main())
