"""Nobody is timed who does not first accept a good token and refuse what must be refused."""

from collections.abc import Callable

from tokens import Mint

Verify = Callable[[str], object]


class RefusesGoodError(Exception):
    """It cannot do this at all; usually an algorithm it does not know."""


class LetsInError(Exception):
    """It accepted a forgery: a fast pass is no verification."""


def check(verify: Verify, mint: Mint) -> None:
    """Raise unless ``verify`` returns for a good token and raises for each forgery."""
    try:
        verify(mint.token())
    except Exception as error:
        raise RefusesGoodError(f"{type(error).__name__}: {error}"[:100]) from error
    for what, token in mint.forgeries().items():
        if _accepts(verify, token):
            raise LetsInError(what)


def _accepts(verify: Verify, token: str) -> bool:
    try:
        verify(token)
    except Exception:
        return False
    return True


def admitted(makers, mint: Mint, notes: list[str]) -> dict[str, Verify]:
    """Every candidate that can be made here and passes; the others leave a note."""
    passed = {}
    for name, make in makers.items():
        try:
            verify = make(mint)
            check(verify, mint)
        except ImportError as error:
            notes.append(f"{name}: not installed ({error.name or error})")
        except LetsInError as error:
            notes.append(f"{name}: REFUSED BY THE GATE, it accepts: {error}")
        except Exception as error:  # made for another algorithm
            notes.append(f"{name}: does not do {mint.algorithm} here ({error!r:.100})")
        else:
            passed[name] = verify
    return passed
