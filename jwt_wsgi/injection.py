"""What the application finds in its environ: the claims, and what options make of them.

Everything that is set here is removed first, on every path, so that nothing a client or an
outer instance put there passes for a result of ours.
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Final

from .bearer import environ_key
from .claims import Claims
from .claims import find
from .errors import InvalidTokenError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PAYLOAD: Final = "jwt_wsgi.payload"
HEADER: Final = "jwt_wsgi.header"
TOKEN: Final = "jwt_wsgi.token"  # noqa: S105  # the name of a key
ERROR: Final = "jwt_wsgi.error"
#: Controls, and what ends a line or paragraph. Joiners are letters' business in some scripts.
_CONTROLS: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")


class Injection:
    """Clears the environ of a request, and puts into it what its token says.

    ``claim_headers``: claim (name or dotted path) = header; ``remote_user_claim``: the claim that
    becomes ``REMOTE_USER``; ``keep_token``: the raw token goes into ``jwt_wsgi.token``.
    """

    def __init__(
        self,
        *,
        claim_headers: Mapping[str, str],
        remote_user_claim: str | None = None,
        keep_token: bool = False,
    ) -> None:
        self._headers = {claim: environ_key(name) for claim, name in claim_headers.items()}
        self._user = remote_user_claim
        self._keep_token = keep_token
        user = () if remote_user_claim is None else ("REMOTE_USER", "AUTH_TYPE")
        self._cleared = (TOKEN, ERROR, *self._headers.values(), *user)

    def clear(self, environ: "WSGIEnvironment") -> None:
        """Remove whatever stands where only we may write."""
        for key in self._cleared:
            environ.pop(key, None)
        environ[PAYLOAD] = environ[HEADER] = None

    def inject(self, environ: "WSGIEnvironment", claims: Claims, token: str) -> None:
        """Tell the application, all of it or nothing. Raises :class:`InvalidTokenError`."""
        told: dict[str, str | None] = {}
        for claim, key in self._headers.items():
            told[key] = _value(claims, claim)
        if self._user is not None:
            told |= {"REMOTE_USER": _user(claims, self._user), "AUTH_TYPE": "Bearer"}
        if self._keep_token:
            told[TOKEN] = token
        if told:
            environ.update((key, value) for key, value in told.items() if value is not None)
        environ[PAYLOAD], environ[HEADER] = claims, claims.header


def _user(claims: Claims, name: str) -> str | None:
    """One name, and never none: whoever asks for REMOTE_USER relies on it."""
    if isinstance(find(claims, name), list):
        raise InvalidTokenError("claim_invalid", f"{name} is a list")
    if not (user := _value(claims, name)):
        raise InvalidTokenError("claim_missing", f"{name} is missing")
    return user


def _value(claims: Claims, name: str) -> str | None:
    """A claim as a header's value, as a server would put it into an environ (PEP 3333)."""
    value = find(claims, name)
    if value is None:
        return None
    members = value if isinstance(value, list) else [value]
    text = " ".join(_text(member, name, in_list=isinstance(value, list)) for member in members)
    if text != text.strip(" "):  # a proxy would cut it off: another name (RFC 9110 section 5.5)
        raise InvalidTokenError("claim_invalid", f"{name} has a space at an end")
    return text.encode().decode("latin-1")


def _text(value: object, name: str, *, in_list: bool) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if not isinstance(value, str):
        raise InvalidTokenError("claim_invalid", f"{name} is or holds what no header can say")
    if _CONTROLS.search(value):
        raise InvalidTokenError("claim_invalid", f"{name} has control characters")
    if in_list and " " in value:
        raise InvalidTokenError("claim_invalid", f"{name} has a member with a space in it")
    return value
