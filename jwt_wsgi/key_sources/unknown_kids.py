"""The unknown kids of recent requests: some wait for a look-up, others are known to be absent."""

from typing import Final

from jwt_wsgi.keys import KeySet

from .facts import NEVER
from .facts import KeyFetch

#: The most unknown kids that are remembered. Of more, the oldest are dropped.
MAX_KIDS: Final = 256


class UnknownKids:
    """Changed under the lock of its source only. Times in seconds of the source's clock.

    A kid *waits* from the first request that names it until a look-up starts. If that look-up does
    not bring it, the kid is *absent* for one cooldown from the look-up's start.
    """

    def __init__(self) -> None:
        #: Until when a kid is absent; NEVER while it waits.
        self._asked: dict[str, float] = {}

    def is_absent(self, kid: str, now: float) -> bool:
        """Whether a recent look-up has shown that the issuer does not publish this kid."""
        return now < self._asked.get(kid, NEVER)

    def ask(self, kid: str) -> None:
        """Remember that a request named this kid."""
        self._asked.pop(kid, None)
        self._asked[kid] = NEVER
        self._trim()

    def start_lookup(self, now: float) -> tuple[str, frozenset[str]]:
        """Return the kid that was named last, and all kids that a look-up started now will settle.

        These kids no longer wait.
        """
        waiting = [kid for kid, until in self._asked.items() if until == NEVER]
        self._asked = {kid: until for kid, until in self._asked.items() if now < until}
        return waiting[-1] if waiting else "", frozenset(waiting).union(self._asked)

    def settle(self, fetch: KeyFetch, keyset: KeySet, now: float, cooldown: float) -> bool:
        """Apply the set that a fetch has brought. True if kids still wait.

        Only a look-up makes kids absent: another fetch may have been answered by a cache.
        """
        until = fetch.start + cooldown
        absent = {kid: until for kid in fetch.kids if kid not in keyset and now < until}
        others = {
            kid: end
            for kid, end in self._asked.items()
            if kid not in keyset and (end == NEVER or (now < end and kid not in absent))
        }
        self._asked = {**absent, **others}  # in this order: kids that wait are dropped last
        self._trim()
        return NEVER in self._asked.values()

    def _trim(self) -> None:
        while len(self._asked) > MAX_KIDS:
            del self._asked[next(iter(self._asked))]

    def __len__(self) -> int:
        return len(self._asked)

    def __contains__(self, kid: object) -> bool:
        return kid in self._asked
