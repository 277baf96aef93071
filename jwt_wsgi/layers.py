"""Finds the middleware in a stack of WSGI middlewares.

An app is often wrapped several times: ProxyFix, Sentry, WhiteNoise and OpenTelemetry outside,
a framework's object around its ``wsgi_app``, a dispatcher with mounts. These functions find the
:class:`~jwt_wsgi.JWTMiddleware` in such a stack.
"""

import inspect
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Final
from typing import NamedTuple

from .errors import ConfigurationError
from .middleware import JWTMiddleware

#: Attributes under which WSGI middlewares, frameworks and servers keep what they wrap.
_MOUNTS: Final = "mounts"
_INNER: Final = ("app", "application", "wsgi_app", "wsgi", "__wrapped__", _MOUNTS)
#: The most layers that are searched: an object may return a new layer at each access.
_MOST_LAYERS: Final = 256


class Layer(NamedTuple):
    """One layer of a stack, and what a request has passed before it.

    ``prefix``: the mounts above it, as they stand in the path. ``guards``: the middlewares above
    it, the outermost first, each with the part of ``prefix`` that it no longer sees in the path.
    """

    app: object
    prefix: str = ""
    guards: tuple[tuple[JWTMiddleware, str], ...] = ()


def layers(app: object) -> Iterator[Layer]:
    """Every layer of ``app`` and of what it wraps, the outermost first.

    ``app`` may be a :class:`Layer`, if the layers around it are known already. Mounts (werkzeug's
    ``DispatcherMiddleware``) are searched as well. The search ends at a layer that keeps the app
    that it wraps in a closure or under an unusual name.
    """
    seen: list[Layer] = []
    waiting = [app if isinstance(app, Layer) else Layer(app)]
    while waiting and len(seen) < _MOST_LAYERS:
        layer = waiting.pop(0)
        if any(_is_same(layer, other) for other in seen):
            continue
        seen.append(layer)
        yield layer
        guards_ = layer.guards
        if isinstance(layer.app, JWTMiddleware):
            guards_ = (*guards_, (layer.app, layer.prefix))
        waiting += [
            Layer(inner, layer.prefix + mount, guards_) for mount, inner in _below(layer.app)
        ]


def guards(app: object) -> list[JWTMiddleware]:
    """Every :class:`JWTMiddleware` in ``app`` and in what it wraps, the outermost first."""
    found: list[JWTMiddleware] = []
    for layer in layers(app):
        if isinstance(layer.app, JWTMiddleware) and layer.app not in found:
            found.append(layer.app)
    return found


def warm_up(app: object, timeout: float = 5.0, *, raises: bool = False) -> bool:
    """Load the keys of every middleware in ``app``, as :meth:`JWTMiddleware.warm_up` does.

    .. code-block:: python

        def post_worker_init(worker):  # gunicorn.conf.py, for any framework
            jwt_wsgi.warm_up(worker.wsgi)

    ``timeout``: seconds for each middleware. Returns True if all keys are loaded. Raises
    :class:`ConfigurationError` if no middleware is found, and with ``raises``
    :class:`~jwt_wsgi.KeysUnavailableError` instead of returning False.
    """
    middlewares = guards(app)
    if not middlewares:
        raise ConfigurationError(
            [
                (
                    f"warm_up: there is no JWTMiddleware in {type(app).__name__}; wrap the app, or"
                    " set JWT_WSGI_ISSUER if jwt_wsgi.contrib.flask.JWT found no setting at all"
                )
            ]
        )
    loaded = [middleware.warm_up(timeout, raises=raises) for middleware in middlewares]
    return all(loaded)


def inner_apps(layer: object) -> Iterator[tuple[str, object]]:
    """Yield what a layer wraps, each with the name of its attribute; mounts with their prefix."""
    if isinstance(layer, Mapping):
        yield from layer.items()
        return
    for name in _INNER:
        inner = _attribute(layer, name)
        if inner is not None and (name != _MOUNTS or isinstance(inner, Mapping)):
            yield name, inner


def _is_same(layer: Layer, other: Layer) -> bool:
    """Compare by identity: apps need not be hashable. Bound methods are new at each access."""
    one, two = layer.app, other.app
    is_method = inspect.ismethod(one) and inspect.ismethod(two)
    same = one is two or (is_method and one == two)
    return same and (layer.prefix, layer.guards) == (other.prefix, other.guards)


def _below(layer: object) -> Iterator[tuple[str, object]]:
    """What ``layer`` wraps, each with the prefix that it is mounted at."""
    for _, inner in inner_apps(layer):
        if isinstance(inner, Mapping):
            yield from ((str(prefix), mounted) for prefix, mounted in inner.items())
        else:
            yield "", inner


def _attribute(layer: object, name: str) -> object:
    try:
        return getattr(layer, name, None)
    except Exception:  # a property of a foreign object may raise anything
        return None
