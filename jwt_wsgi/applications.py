"""Imports a WSGI application by its name, and checks that an object is one."""

import ast
import inspect
from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from .errors import ConfigurationError
from .errors import printable
from .settings.reading import did_you_mean

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_ASGI_ARGUMENTS: Final = 3  # scope, receive, send


def load_app(spec: str, option: str) -> "WSGIApplication":
    """Import the app that ``spec`` names, as gunicorn does.

    ``module:attribute``, ``module:factory()`` and ``module:factory("prod", debug=False)`` are
    understood; arguments are literals. ``option`` names where ``spec`` was given. Raises
    :class:`ConfigurationError` with the remedy, also if the app raises any other error when it is
    imported; a ConfigurationError of the app itself passes unchanged.
    """
    module, colon, expression = spec.partition(":")
    if not (module and colon and expression):
        raise _problem(option, spec, "give module:attribute or module:factory()")
    name, args, kwargs = _parsed(option, spec, expression)
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            if not hasattr(found, part):
                missing = printable(part) + did_you_mean(part, dir(found))
                raise _problem(option, spec, f"it has no {missing}")
            found = getattr(found, part)
        app = found if args is None else found(*args, **kwargs)
    except ConfigurationError:
        raise
    except ModuleNotFoundError as error:
        missing = printable(error.name or "")
        raise _problem(option, spec, f"there is no module {missing}") from error
    except Exception as error:  # the app's own, of whatever kind
        why = f"it cannot be imported: {type(error).__name__}: {printable(str(error), 200)}"
        raise _problem(option, spec, why) from error
    if problem := app_problem(app):
        raise _problem(option, spec, problem)
    wsgi_app: WSGIApplication = app
    return wsgi_app


def app_problem(app: object) -> str | None:
    """Say in a sentence why ``app`` is no WSGI application (PEP 3333), or return None.

    An app that takes two positional arguments passes, whatever it does with them.
    """
    if not callable(app):
        return f"it is {_kind(app)}, which cannot be called"
    call = app if inspect.isroutine(app) or inspect.isclass(app) else type(app).__call__
    if inspect.iscoroutinefunction(call):
        return "it is an ASGI application; give a WSGI application (a2wsgi makes one of it)"
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):  # a builtin may have no signature
        return None
    try:
        signature.bind({}, None)
    except TypeError:
        return _other_arguments(app, signature)
    return None


def _other_arguments(app: object, signature: inspect.Signature) -> str:
    needed = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) == _ASGI_ARGUMENTS:
        return "it takes three arguments as an ASGI application does; give a WSGI application"
    if len(needed) <= 1:
        return f"{_kind(app)} takes other arguments; is it a factory that must be called?"
    return f"{_kind(app)} takes other arguments than (environ, start_response)"


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = getattr(value, "__qualname__", None)
    return printable(name) if isinstance(name, str) else f"an object of {type(value).__name__}"


def _parsed(
    option: str, spec: str, expression: str
) -> tuple[str, list[Any] | None, dict[str, Any]]:
    """The name, and the positional and keyword arguments of the call; None if it is no call."""
    try:
        node = ast.parse(expression, mode="eval").body
        if not isinstance(node, ast.Call):
            return _dotted(node), None, {}
        if any(word.arg is None for word in node.keywords):  # **more
            raise ValueError("**")
        keywords = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
        return _dotted(node.func), [ast.literal_eval(arg) for arg in node.args], keywords
    except (SyntaxError, ValueError) as error:
        why = 'after the colon give a name, or a call with literals: create_app("prod")'
        raise _problem(option, spec, why) from error


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise ValueError(type(node).__name__)


def _problem(option: str, spec: str, why: str) -> ConfigurationError:
    return ConfigurationError([f"{option}: {printable(spec, 200)}: {why}"])
