"""The payload of the request that is being served, for code that has no environ at hand.

.. code-block:: python

    from jwt_wsgi import current_payload

    payload = current_payload()

It lives in a context variable (PEP 567), so threads and greenlets each see their own. It is set
while the app runs, and while a lazy answer of the app's makes its next chunk or is closed; never
in between. So what a thread does next, and what a task does that outlives its request, sees None.
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
#: A list of one. Tasks that are started in a request inherit it; it is emptied with the request.
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

    What it returns is returned itself if it is ready: a list, a tuple, a file, what
    ``wsgi.file_wrapper`` made. Servers recognize these. Anything else may run code of the app's
    for each chunk, and is wrapped once.
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
    """Whether the server may send it without running any code of the app's.

    PEP 3333 lets ``wsgi.file_wrapper`` be a class or any other callable, and hand the file
    itself back, as uWSGI's does.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    return (isinstance(wrapper, type) and isinstance(answer, wrapper)) or hasattr(answer, "read")


class _Lazy:
    """An iterable of the app's, in whose code the payload is the current one."""

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
