"""Where events go: the hook that writes them to the log, and one function that calls all hooks."""

import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from .events import Emit
from .events import Event
from .events import Hook
from .events import logger


class LogHook:
    """The default hook: one line an event to the logger ``jwt_wsgi``, never a flood.

    Within ``event.quiet`` seconds of a line, its repetitions go to ``event.quiet_level``
    (normally switched off), and the next loud line says how many they were.
    """

    #: More kinds of repetition than this at a time are forgotten, so memory stays bounded.
    MOST_KEYS: Final = 1024

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[Hashable, tuple[float, int]] = {}

    def __call__(self, event: Event) -> None:
        level, before = self._loudness(event)
        if logger.isEnabledFor(level):
            logger.log(level, "%s%s", event, before)

    def passes_over(self, kind: type[Event], key: Hashable) -> bool:
        """Count an event that no log line would show. True if so: then it need not be made."""
        if logger.isEnabledFor(kind.quiet_level):
            return False
        since, silent = self._last.get(key, (float("-inf"), 0))
        if self._clock() - since >= kind.quiet:
            return False
        self._last[key] = since, silent + 1
        return True

    def _loudness(self, event: Event) -> tuple[int, str]:
        """Its level, and what to say of its silent repetitions since the last loud line."""
        if not event.quiet:
            return event.level, ""
        now = self._clock()
        since, silent = self._last.get(event.key, (float("-inf"), 0))
        if now - since < event.quiet and not event.is_first:
            self._last[event.key] = since, silent + 1
            return event.quiet_level, ""
        if len(self._last) >= self.MOST_KEYS:
            self._last.clear()
        self._last[event.key] = now, 0
        more = f"; {silent} more like it in the last {now - since:.0f} s"
        return event.level, more if silent else ""


def fan_out(hooks: Sequence[Hook]) -> Emit:
    """One function that tells every hook; a hook that raises is logged once and breaks nothing."""
    broken: set[int] = set()

    def emit(event: Event) -> None:
        for number, hook in enumerate(hooks):
            try:
                hook(event)
            except Exception:
                if number not in broken:
                    broken.add(number)
                    with suppress(Exception):  # of a handler: the log itself may be what broke
                        logger.exception(
                            "the event hook %r raised; further errors are silent", hook
                        )

    return emit
