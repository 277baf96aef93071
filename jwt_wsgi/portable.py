"""Errors that can be pickled and copied, whatever arguments their ``__init__`` takes."""

from typing import Any
from typing import TypeVar

_E = TypeVar("_E", bound="Portable")


def _rebuilt(cls: type[Any], args: tuple[object, ...]) -> Any:
    """Make an instance by the builtin base: the application's ``__new__`` may need arguments."""
    builtin: Any = cls
    while builtin.__module__ != "builtins":
        builtin = builtin.__base__
    bare = builtin.__new__(cls, *args)
    object.__setattr__(bare, "args", args)  # OSError sets them in ``__init__``, which is not called
    return bare


class Portable:
    """An exception that pickling and copying keep whole, whatever its ``__init__`` takes.

    By default Python calls ``__init__`` again with ``args``, which may hold the message only, and
    leaves out what is in ``__slots__``.
    """

    args: tuple[object, ...]

    def __setstate__(self, state: Any, /) -> None:
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        vars(self).update(attributes or {})
        for name, value in (slots or {}).items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (type(self), self.args), object.__getstate__(self)


def own_copy(error: _E) -> _E:
    """Return a copy. No method of the application's class is called, because it may raise.

    If the error cannot be copied, the error itself is returned.
    """
    try:
        own: _E = _rebuilt(type(error), error.args)
        Portable.__setstate__(own, object.__getstate__(error))
    except Exception:
        return error
    return own
