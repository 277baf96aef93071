"""Writes the claims into the application's environ, and the headers that options make of them.

Everything that is set here is removed first, on every path: the application must not mistake a
value of a client or of an outer instance for a result.
"""

import json
import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from .bearer import environ_key
from .claims import Claims
from .claims import find
from .errors import InvalidTokenError
from .rules import Rule

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PAYLOAD: Final = "jwt_wsgi.payload"
HEADER: Final = "jwt_wsgi.header"
ERROR: Final = "jwt_wsgi.error"
RULE: Final = "jwt_wsgi.rule"
#: What the middleware writes at every request, for the application.
RESULTS: Final = frozenset({PAYLOAD, HEADER, ERROR, RULE})
#: The CGI variable (RFC 3875 section 4.1.11), which is no header of a request.
REMOTE_USER: Final = "REMOTE_USER"
#: Prefix of a claim's name: the issuer and ``|`` are written before the value, so that users of two
#: issuers never have the same name.
WITH_ISSUER: Final = "iss|"
#: Prefix of a claim's name: the operator says that no two issuers give one value to two users.
UNIQUE: Final = "unique|"
#: Control characters, and what ends a line or paragraph. Some scripts need joiners, which may stay.
_CONTROLS: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")


def variable(name: str) -> str:
    """The environ key of a header; ``REMOTE_USER``, written like that, is the CGI variable."""
    return name if name == REMOTE_USER else environ_key(name)


def user_id(claims: Mapping[str, Any] | None) -> str | None:
    """Return ``iss|sub``: the user of a token, in one text that no other user has.

    A ``sub`` alone is unique for one issuer only (RFC 7519 section 4.1.2), so it must not be the
    key of a user. The text does not change when another issuer is added, and ``claim_headers``
    writes the same one for ``iss|sub``. None without claims (a public path) or without ``sub``.
    Raises :class:`InvalidTokenError` for an issuer with a ``|``, because the first ``|`` ends it.
    """
    if not claims or not claims.get("sub"):
        return None
    return f"{_issuer(claims)}{claims['sub']}"


def tells_issuers_apart(source: str) -> bool:
    """Whether a key of ``claim_headers`` is safe where there are several issuers."""
    return source == "iss" or source.startswith((WITH_ISSUER, UNIQUE))


class Injection:
    """Clears the environ of a request, and writes the claims of its token.

    ``claim_headers``: claim, as :func:`find` takes it -> names of the headers that get its value.
    A claim may have the prefix :data:`WITH_ISSUER` or :data:`UNIQUE`.
    """

    def __init__(self, claim_headers: Mapping[str, Iterable[str]]) -> None:
        self._written = [
            (claim, variable(name)) for claim, names in claim_headers.items() for name in names
        ]
        keys = [key for _, key in self._written]
        self._has_user = REMOTE_USER in keys
        self._cleared = (ERROR, *keys, *(["AUTH_TYPE"] if self._has_user else []))

    def clear(self, environ: "WSGIEnvironment", rule: Rule | None = None) -> None:
        """Remove the values of the keys that only we may set. ``rule``: that of the request."""
        for key in self._cleared:
            environ.pop(key, None)
        environ[PAYLOAD] = environ[HEADER] = None
        environ[RULE] = rule

    def inject(self, environ: "WSGIEnvironment", claims: Claims) -> None:
        """Write everything or nothing. Raises :class:`InvalidTokenError`.

        Raises TypeError if a replaced verifier has returned no mapping of claims: without it the
        app would treat the request as one without a token.
        """
        if type(claims) is not Claims and not isinstance(claims, Mapping):
            raise TypeError(f"the verifier returned no claims: {type(claims).__name__}")
        if self._written:
            written = {key: _value(claims, claim, key) for claim, key in self._written}
            if self._has_user:
                written["AUTH_TYPE"] = "Bearer"
            environ.update((key, value) for key, value in written.items() if value is not None)
        environ[PAYLOAD], environ[HEADER] = claims, getattr(claims, "header", None)


def needed_scopes(environ: Mapping[str, Any], scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes that a request needs in all: those of its rule, then those of a view."""
    rule: Rule | None = environ.get(RULE)
    return tuple(dict.fromkeys([*(rule.scope if rule else ()), *scopes]))


def _value(claims: Claims, source: str, key: str) -> str | None:
    """The value of a claim for ``key``. For ``REMOTE_USER`` it must be there, and be one name."""
    name = source.removeprefix(WITH_ISSUER if source.startswith(WITH_ISSUER) else UNIQUE)
    if key == REMOTE_USER and isinstance(find(claims, name), list):
        raise InvalidTokenError("claim_invalid", f"{name} is a list")
    text = _text_of(claims, name)
    if key == REMOTE_USER and not text:
        raise InvalidTokenError("claim_missing", f"{name} is missing")
    if text is None or not source.startswith(WITH_ISSUER):
        return text
    _issuer(claims)
    return f"{_text_of(claims, 'iss')}|{text}"


def _issuer(claims: Mapping[str, Any]) -> str:
    """The issuer and ``|``, which separates it from the claim.

    Payloads that a test makes, and those of a replaced verifier, may have no ``iss``.
    """
    issuer: str = claims.get("iss", "")
    if "|" in issuer:
        raise InvalidTokenError("claim_invalid", "iss has a |, the separator in iss|sub")
    return f"{issuer}|"


def _text_of(claims: Claims, name: str) -> str | None:
    """A claim as a header's value, as a server would put it into an environ (PEP 3333)."""
    value = find(claims, name)
    if value is None:
        return None
    members = value if isinstance(value, list) else [value]
    text = " ".join(_text(member, name, in_list=isinstance(value, list)) for member in members)
    if text != text.strip(" "):  # a proxy would remove it, and change the name (RFC 9110 5.5)
        raise InvalidTokenError("claim_invalid", f"{name} has a space at an end")
    return text.encode().decode("latin-1")


def _text(value: object, name: str, *, in_list: bool) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if not isinstance(value, str):
        raise InvalidTokenError("claim_invalid", f"{name} is or holds an object, a list or null")
    if _CONTROLS.search(value):
        raise InvalidTokenError("claim_invalid", f"{name} has control characters")
    if in_list and " " in value:
        raise InvalidTokenError("claim_invalid", f"{name} has a member with a space in it")
    return value
