"""Replaces the middleware in an app, and keeps the layers around it.

For the test kit only. The app is copied, not changed, because other tests may use it.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING
from typing import Any

from jwt_wsgi.layers import guards
from jwt_wsgi.layers import inner_apps
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.settings.loading import Settings

from .protected import ProtectedApp

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment


class LayeredMiddleware(ProtectedApp):
    """An app in which a middleware with ``settings`` replaces ``guard``.

    ``app``: the outermost layer. Raises :class:`TypeError` for a layer that cannot be copied.
    """

    def __init__(self, app: "WSGIApplication", guard: JWTMiddleware, settings: Settings) -> None:
        super().__init__(guard.app, settings, app)
        self.replaces = outermost(app, guard)
        self._layers: WSGIApplication = replaced(app, guard, super().__call__)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Serve one request, through all layers."""
        return self._layers(environ, start_response)


def outermost(app: Any, guard: JWTMiddleware) -> tuple[Any, JWTMiddleware]:
    """Return ``app`` and ``guard``, or the originals if ``app`` is such a replacement."""
    return guard.replaces if app is guard and isinstance(guard, LayeredMiddleware) else (app, guard)


def guard_of(app: object) -> JWTMiddleware | None:
    """Return the middleware in any layer of ``app``. Raises TypeError if there are several."""
    found = guards(app)
    if len(found) > 1:
        raise TypeError(f"{len(found)} JWTMiddlewares are in it; wrap what each of them guards")
    return found[0] if found else None


def replaced(app: Any, guard: JWTMiddleware, by: "WSGIApplication") -> Any:
    """Return a copy of ``app`` that has ``by`` in the place of ``guard``; ``app`` is not changed.

    Raises :class:`TypeError` for a layer that cannot be copied, for instance a function.
    """
    return _replaced(*outermost(app, guard), by, ())


def _replaced(layer: Any, guard: JWTMiddleware, by: Any, above: tuple[object, ...]) -> Any:
    if layer is guard:
        return by
    if any(layer is other for other in above):  # two layers may refer to each other
        return layer
    new: Any = None
    for name, inner in inner_apps(layer):
        if not any(found is guard for found in guards(inner)):
            continue
        new = copy(layer) if new is None else new
        if new is layer:
            raise TypeError(f"{type(layer).__name__} {layer.__name__}: it cannot be copied")
        put = _put_item if isinstance(layer, Mapping) else setattr
        put(new, name, _replaced(inner, guard, by, (*above, layer)))
    return layer if new is None else new


def _put_item(mounts: Any, prefix: str, app: object) -> None:
    mounts[prefix] = app
