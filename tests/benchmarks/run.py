"""The goals' table: this checkout beside its peers, every figure a ratio taken inside one run.

    python tests/benchmarks/run.py                  # everything, about a quarter of an hour
    python tests/benchmarks/run.py --quick          # the same with few rounds, some minutes
    python tests/benchmarks/run.py P1 P5 --quick    # some goals only
    python tests/benchmarks/run.py --save           # ... and keep it: results.json, RESULTS.md
    python tests/benchmarks/run.py --plot FILE.svg  # draw what is kept; nothing is measured

More is in README.md beside this file.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import environment

#: Function that measures -> its goals; imported late, for it needs the peers.
SECTIONS = {
    "library.cold": ("P1", "P2", "P3"),
    "library.warm": ("P4",),
    "wsgi.requests": ("P5", "P6", "P7"),
    "over_http.requests": ("P8", "P9"),
    "over_http.gateways": ("P18",),
    "over_http.beside_busy_threads": ("P99",),
    "growth.everything": ("P10",),
    "growth.sizes": ("P11",),
    "growth.rules": ("P12",),
    "growth.loading": ("P13",),
    "footprint.remembered": ("P14",),
    "refresh.rows": ("P15",),
    "footprint.processes_of_a_worker": ("P16",),
    "threads.rows": ("P17",),
}
GOALS = [goal for goals in SECTIONS.values() for goal in goals]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("goals", nargs="*", metavar="GOAL", help=f"of {' '.join(GOALS)}")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--save", action="store_true", help="into results.json and RESULTS.md")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw what is kept")
    parser.add_argument("--env", type=Path, default=environment.DEFAULT, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="with what is installed; no figures")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plot:
        import bars

        bars.write(options.plot)
        return 0
    goals = {goal.upper() for goal in options.goals} or set(GOALS)
    if unknown := goals - set(GOALS):
        parser.error(f"no such goal: {' '.join(sorted(unknown))}")
    if options.inside or options.smoke:
        measured(goals, options)
        return 0
    python, env = environment.prepared(options.env)
    command = [python, __file__, "--inside", *sys.argv[1:]]
    return subprocess.run(command, env=env, check=False).returncode


def measured(goals: set[str], options: argparse.Namespace) -> None:
    """Print the table, row by row. A goal that is not met is shown and is no failure."""
    import logging

    from goals import HEAD
    from goals import Run
    from report import Section
    from report import save

    logging.getLogger().addHandler(logging.NullHandler())  # no candidate's lines in the table
    rounds = (1, 2, 1) if options.smoke else (9, 60, 3) if options.quick else (21, 80, 5)
    notes: dict[str, None] = {}
    print(environment.described(), HEAD, sep="\n\n", flush=True)
    for name, names in SECTIONS.items():
        if goals.isdisjoint(names):
            continue
        run, began = Run(*rounds, quick=options.quick or options.smoke), time.time()
        where = environment.described()
        rows = _imported(name)(run)
        print(*rows, sep="\n", flush=True)
        print(f"{name}: {time.time() - began:.0f} s", file=sys.stderr)
        notes |= dict.fromkeys(run.notes)
        if options.save:
            save(name, Section(where, rows, run.notes))
    print("\n".join(["", *(f"- {note}" for note in notes)]))


def _imported(name: str) -> Callable:
    module, _, function = name.partition(".")
    return getattr(__import__(module), function)


if __name__ == "__main__":
    sys.exit(main())
