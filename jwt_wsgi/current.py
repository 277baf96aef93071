"""The payload of the request that is being served, for code that has no environ at hand.

.. code-block:: python

    from jwt_wsgi import current_payload

    payload = current_payload()

It is in a context variable (PEP 567), so each thread and each greenlet has its own. It is set
while the app runs, and while the app's iterable makes a chunk or is closed; in between it is None.
It is also None for what a thread does after the request, and in tasks that outlive the request.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from .injection import PAYLOAD

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

_READY: Final = (list, tuple)
_NO_PAYLOAD: Final[list[dict[str, Any] | None]] = [None]
#: A list of one payload. Tasks that a request starts have the same list. When the request ends, the
#: payload in it is replaced by None.
_current: Final = ContextVar("jwt_wsgi.current", default=_NO_PAYLOAD)


def current_payload() -> dict[str, Any] | None:
    """The verified payload of this request; the same object as ``environ["jwt_wsgi.payload"]``.

    None where that is None (public paths, anonymous optional requests), outside of a request,
    and in one that did not come through the middleware.
    """
    return _current.get()[0]


def serve(
    app: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    """Call ``app`` with the payload of ``environ`` as the current one.

    A list, a tuple, a file and a result of ``wsgi.file_wrapper`` are returned as they are, because
    servers recognize these. Any other iterable may run the app's code for each chunk, so it is
    wrapped.
    """
    held = [environ[PAYLOAD]]
    token = _current.set(held)
    lazy = False
    try:
        answer = app(environ, start_response)
        lazy = not (isinstance(answer, _READY) or _is_file(answer, environ))
    finally:
        _current.reset(token)
        if not lazy:
            held[0] = None
    return _Lazy(answer, held) if lazy else answer


def _is_file(answer: object, environ: "WSGIEnvironment") -> bool:
    """Whether it is a file, which the server sends without running the app's code.

    PEP 3333 lets ``wsgi.file_wrapper`` be a class or any other callable, and hand the file
    itself back, as uWSGI's does.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    return (isinstance(wrapper, type) and isinstance(answer, wrapper)) or hasattr(answer, "read")


class _Lazy:
    """Wraps the app's iterable, and sets the current payload while the iterable's code runs."""

    __slots__ = ("_answer", "_chunks", "_held")

    def __init__(self, answer: Iterable[bytes], held: list[dict[str, Any] | None]) -> None:
        self._answer, self._held = answer, held
        self._chunks: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = _current.set(self._held)
        try:
            if self._chunks is None:
                self._chunks = iter(self._answer)
            return next(self._chunks)
        finally:
            _current.reset(token)

    def close(self) -> None:
        """Close the app's iterable, if it can be (PEP 3333); the request is over then."""
        token = _current.set(self._held)
        try:
            if hasattr(self._answer, "close"):
                self._answer.close()
        finally:
            _current.reset(token)
            self._held[0] = None
