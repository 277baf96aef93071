"""Django's own test client, whose requests pass the guard."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import Client
from werkzeug.test import run_wsgi_app

from jwt_wsgi.layers import layers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment


def handler_in(app: object) -> WSGIHandler | None:
    """Return Django's WSGI application below the layers of ``app``, or None."""
    found = [layer.app for layer in layers(app) if isinstance(layer.app, WSGIHandler)]
    return found[-1] if found else None


def django_client(
    guard: "WSGIApplication",
    handler: WSGIHandler,
    *args: Any,
    client_class: Callable[..., Any] = Client,
    **options: Any,
) -> Any:
    """Make a client of ``client_class`` that asks ``guard``, in which ``handler`` is."""
    client = client_class(*args, **options)
    client.handler = _Handler(guard, handler, client.handler.enforce_csrf_checks)
    return client


class _Handler:
    """Replaces the handler of a client, which would call Django's middlewares and views alone.

    The answer of a request that reaches Django is the view's own response, so ``context``,
    ``templates`` and ``assertRedirects`` work. A refusal is an ``HttpResponse``.
    """

    def __init__(self, guard: "WSGIApplication", handler: WSGIHandler, csrf: object) -> None:
        self._guard, self._handler, self.enforce_csrf_checks = guard, handler, csrf

    def __call__(self, environ: "WSGIEnvironment") -> Any:
        served: list[tuple[WSGIRequest, Any]] = []
        inner = self._handler.get_response

        def get_response(request: WSGIRequest) -> Any:
            vars(request)["_dont_enforce_csrf_checks"] = not self.enforce_csrf_checks
            served.append((request, inner(request)))
            return served[-1][1]

        self._handler.get_response = get_response
        try:
            body, status, headers = run_wsgi_app(self._guard, environ, buffered=True)
        finally:
            vars(self._handler).pop("get_response", None)
        request, response = (
            served[-1] if served else (WSGIRequest(environ), HttpResponse(status=int(status[:3])))
        )
        content = b"" if environ["REQUEST_METHOD"] == "HEAD" else b"".join(body)
        if response.streaming:
            response.streaming_content = [content]
        else:
            response.content = content
        for name, value in headers:
            if name.lower() != "set-cookie":
                response[name] = value
        response.wsgi_request = request
        return response
