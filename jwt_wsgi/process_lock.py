"""Locks and other values that each process makes for itself."""

import os
import threading
from collections.abc import Callable
from typing import Generic
from typing import TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that every process makes at its first use; after a fork, the child makes a new one.

    The pid is compared at each use, because uWSGI runs none of Python's fork hooks.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def __call__(self) -> T:
        """Return the value of this process."""
        pid = os.getpid()
        if (value := self._values.get(pid)) is not None:
            return value
        value = self._values.setdefault(pid, self._make())  # all threads use the first one
        for other in list(self._values):
            if other != pid:  # a later child may get the pid of a parent that has ended
                self._values.pop(other, None)
        return value

    def forget(self) -> None:
        """Make another value at the next use: for a fork hook, in the child."""
        self._values.clear()


class ProcessLock(PerProcess[threading.Lock]):
    """A lock for a few lines without I/O: ``with lock():``. Each process has one of its own.

    Another thread may hold a lock at the moment of a fork. That thread does not exist in the child,
    where a shared lock would never be released.
    """

    def __init__(self) -> None:
        super().__init__(threading.Lock)
