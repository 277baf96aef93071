"""``demo --outage --plot FILE.svg``: the time line of one outage, measured and drawn.

Users send requests all the time. Each implementation has its own issuer, which answers 500 for a
while. Keys are fresh for one second, so that the plot takes seconds instead of minutes.
"""

import time
from collections.abc import Mapping
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final
from typing import NamedTuple

from jwt_wsgi.events import logger
from jwt_wsgi.testing import FakeIssuer

from . import outage
from .demo import AUDIENCE
from .demo import DemoError
from .outage import Contestant
from .svg import box
from .svg import picture
from .svg import text

LENGTH: Final = 6.0  # seconds that one contestant is watched
BEGIN: Final = 1.5  # seconds; the issuer fails from here
END: Final = 4.5  # seconds; and answers again from here
PAUSE: Final = 0.02  # seconds between two requests
BINS: Final = 30  # bars of a time line

_WIDTH: Final = 800
_LEFT: Final = 20
_BARS: Final = _WIDTH - 2 * _LEFT  # of all bars of a row together
_HEIGHT: Final = 70  # of a row's bars
_FIRST_ROW: Final = 96
_ROW: Final = 132  # from one row to the next


class Sample(NamedTuple):
    """One request: ``at``, in seconds since the start, and whether it was served."""

    at: float
    served: bool


def watch(contestant: Contestant, scale: float = 1.0) -> list[Sample]:
    """Send requests while the issuer works, fails and recovers. ``scale`` shortens all times."""
    samples: list[Sample] = []
    with (
        FakeIssuer(algorithm="ES256", aud=AUDIENCE).serve() as issuer,
        contestant(issuer, outage.FRESH * scale, None) as ask,
    ):
        token = issuer.token()
        if not ask(token):
            raise DemoError("a good token was refused; nothing can be compared")
        began = time.monotonic()

        def ask_until(end: float) -> None:
            while True:
                at = (time.monotonic() - began) / scale
                samples.append(Sample(at, ask(token)))
                if at >= end:
                    return
                time.sleep(PAUSE * scale)

        ask_until(BEGIN)
        with issuer.outage():
            ask_until(END)
        ask_until(LENGTH)
    return samples


def drawn(rows: Mapping[str, Sequence[Sample]]) -> str:
    """The SVG: a row for each name, with a bar for each fifth of a second."""
    height = _FIRST_ROW + _ROW * len(rows)
    served = "; ".join(f"{name}: {_percent(found)} of the users" for name, found in rows.items())
    title = f"Users served while the issuer is down for {END - BEGIN:.0f} seconds. {served}."
    parts = [
        box("outage", _x(BEGIN), 12, _x(END) - _x(BEGIN), height - 24),
        text(_x((BEGIN + END) / 2), 40, "the issuer answers 500", "middle"),
    ]
    for number, (name, samples) in enumerate(rows.items()):
        top = _FIRST_ROW + _ROW * number
        parts.append(text(_LEFT, top - 14, name))
        parts.append(text(_WIDTH - _LEFT, top - 14, f"{_percent(samples)} served", "end"))
        parts += _bars(samples, top)
    parts.append(text(_LEFT, height - 22, "0 s"))
    parts.append(text(_WIDTH - _LEFT, height - 22, f"{LENGTH:.0f} s", "end"))
    return picture(_WIDTH, height, title, parts)


def write(file: Path) -> None:
    """Play the outage for this middleware and for PyJWT, and draw both into ``file``."""
    peers: dict[str, Contestant] = {
        outage.OURS: outage.ours,
        f"PyJWT {version('pyjwt')}, PyJWKClient": outage.pyjwt,
    }
    logger.disabled = True  # the failed fetches are meant
    try:
        rows = {name: watch(contestant) for name, contestant in peers.items()}
    finally:
        logger.disabled = False
    file.write_text(drawn(rows), encoding="utf-8")


def _bars(samples: Sequence[Sample], top: float) -> list[str]:
    parts = []
    for number in range(BINS):
        begin, end = LENGTH * number / BINS, LENGTH * (number + 1) / BINS
        found = [sample.served for sample in samples if begin <= sample.at < end]
        if not found:
            continue
        served = _HEIGHT * sum(found) / len(found)
        x, width = _x(begin) + 1, _x(end) - _x(begin) - 2
        if served < _HEIGHT:
            parts.append(box("refused", x, top, width, _HEIGHT - served))
        if served:
            parts.append(box("served", x, top + _HEIGHT - served, width, served))
    return parts


def _percent(samples: Sequence[Sample]) -> str:
    return f"{100 * sum(sample.served for sample in samples) / len(samples):.0f} %"


def _x(seconds: float) -> float:
    return _LEFT + _BARS * seconds / LENGTH
