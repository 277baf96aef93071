"""The hook that writes events to the log, and a function that calls all hooks."""

import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from .errors import MAX_DETAIL
from .errors import escaped
from .errors import printable
from .events import MOST_LISTED
from .events import Emit
from .events import Event
from .events import Hook
from .events import logger

#: Prefix of our attributes of a log record. No attribute of ``LogRecord`` begins like this.
PREFIX: Final = "jwt_wsgi_"


class LogHook:
    """The default hook: one line for each event, to the logger ``jwt_wsgi``.

    For ``event.quiet`` seconds after a line, repetitions of its event have ``event.quiet_level``,
    which is normally switched off. The next line after that says how many there were.
    """

    #: The most events whose repetitions are counted at a time, so that memory stays bounded.
    MOST_KEYS: Final = 1024

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[Hashable, tuple[float, int]] = {}

    def __call__(self, event: Event) -> None:
        level, repeated, seconds = self._loudness(event)
        if not logger.isEnabledFor(level):
            return
        more = f"; {repeated} more like it in the last {seconds:.0f} s" if repeated else ""
        words = {**event.words(), "more": more}
        logger.log(level, event.template + "%(more)s", words, extra=record_fields(event, repeated))

    def passes_over(self, kind: type[Event], key: Hashable) -> bool:
        """Whether the log would not show this event. Then it is counted, and need not be made."""
        if logger.isEnabledFor(kind.quiet_level):
            return False
        since, silent = self._last.get(key, (float("-inf"), 0))
        if self._clock() - since >= kind.quiet:
            return False
        self._last[key] = since, silent + 1
        return True

    def _loudness(self, event: Event) -> tuple[int, int, float]:
        """The event's level, its repetitions since the last shown line, and seconds since then."""
        if not event.quiet:
            return event.loudness, 0, 0.0
        now = self._clock()
        since, silent = self._last.get(event.key, (float("-inf"), 0))
        if now - since < event.quiet and not event.is_first:
            self._last[event.key] = since, silent + 1
            return event.quiet_level, 0, 0.0
        if len(self._last) >= self.MOST_KEYS:
            self._last.clear()
        self._last[event.key] = now, 0
        return event.loudness, silent, now - since


def record_fields(event: Event, repeated: int = 0) -> dict[str, object]:
    """The attributes of an event's log record: the event's own, each with :data:`PREFIX`.

    ``jwt_wsgi_event`` is the name of its class. Empty values are left out. Every text is one ASCII
    line of bounded length, and a list has at most :data:`MOST_LISTED` texts.
    """
    known = {name: value for name, value in event.fields().items() if value not in (None, "", ())}
    known |= {"event": type(event).__name__} | ({"repeated": repeated} if repeated else {})
    return {PREFIX + name: _field(value) for name, value in known.items()}


def _field(value: object) -> object:
    if isinstance(value, tuple):
        return [printable(kid) for kid in value[:MOST_LISTED]]
    return escaped(value, MAX_DETAIL) if isinstance(value, str) else value


def fan_out(hooks: Sequence[Hook]) -> Emit:
    """Return one function that calls every hook; the first error of a hook is logged."""
    broken: set[int] = set()

    def emit(event: Event) -> None:
        for number, hook in enumerate(hooks):
            try:
                hook(event)
            except Exception:
                if number not in broken:
                    broken.add(number)
                    with suppress(Exception):  # the log handler may be what failed
                        logger.exception(
                            "the event hook %r raised; further errors are silent", hook
                        )

    return emit
