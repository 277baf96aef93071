"""Every seed of the fuzzer, and all that it has found, through the targets it fuzzes.

The fuzzing itself is ``python tests/fuzz/run.py``; this needs no fuzzer.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

from targets import TARGETS

#: What came out as another exception than the documented one, before it was mended.
FINDINGS = {
    "a path of latin-1": ("settings", b"public_paths=/caf\xe9"),
    "deep JSON": ("settings", b"audience=" + b"[" * 5000),
}


@pytest.mark.parametrize(("name", "data"), FINDINGS.values(), ids=FINDINGS)
def test_what_was_found_stays_mended(name: str, data: bytes) -> None:
    """Each crash of a run, once."""
    TARGETS[name].run(data)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_the_targets_hold_for_their_seeds(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """And for each seed with any one byte cut away: what a run starts from is in order."""
    caplog.set_level("CRITICAL", "jwt_wsgi")
    target = TARGETS[name]
    seeds = list(target.seeds())

    for seed in seeds:
        target.run(seed)
        for place in range(0, len(seed), 1 + len(seed) // 50):
            target.run(seed[:place] + seed[place + 1 :])
    assert len(seeds) > 5
