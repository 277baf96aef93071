"""``explain --code CODE``: what a code of the log means, its causes and its remedies, offline.

The pages of ``docs/reference/refusals`` are written from the same table.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from typing import Final
from typing import NamedTuple

from jwt_wsgi import errors
from jwt_wsgi.revocation.backchannel import LogoutReplayedError
from jwt_wsgi.revocation.backchannel import LogoutRequestError
from jwt_wsgi.revocation.backchannel import LogoutUnavailableError

from .explain_causes import CAUSES
from .remedies import FETCH_REMEDIES
from .remedies import OF_THE_APP
from .remedies import REFUSAL_REMEDIES
from .terminal import EXIT_FINE
from .terminal import complain
from .terminal import say
from .terminal import show_json

#: The folder of the pages. They have no address in the web yet.
_PAGES: Final = "docs/reference/refusals"
_PLACE: Final = "the header Authorization: Bearer TOKEN"


#: Prefix of the codes of refused logout tokens. The rest is the code that an access token has.
_LOGOUT: Final = "logout_"


class Meaning(NamedTuple):
    """What a code means: the status of its answer, one sentence, and what to do."""

    status: int
    says: str
    remedy: str


def _meaning(kind: type[errors.AuthError], remedy: str) -> Meaning:
    return Meaning(kind.status, kind.details or kind.error, remedy)


#: Codes that ``explain`` never finds, because they do not depend on the token of a request.
_OTHERS: Final = {
    "token_invalid": Meaning(
        401,
        "The token is refused, and error_details=False hides the reason",
        "Look for the line of the same minute in the log: its code is the reason.",
    ),
    "refused": Meaning(
        401,
        "A check of the app refused the request, and gave no code of its own",
        OF_THE_APP,
    ),
    LogoutRequestError.code: _meaning(
        LogoutRequestError,
        "Look at the detail in the log; if the request came from the issuer, compare its back-"
        "channel logout with OpenID Connect Back-Channel Logout 1.0, section 2.5.",
    ),
    LogoutReplayedError.code: _meaning(
        LogoutReplayedError,
        "Do nothing if the issuer sent it again: the first one counted. If it did not, the token"
        " was read on its way.",
    ),
    LogoutUnavailableError.code: _meaning(
        LogoutUnavailableError,
        "Make the store of JWT_WSGI_REVOCATION reachable from this machine; the user stays logged"
        " in until the issuer sends the logout again.",
    ),
    "not_configured": Meaning(
        503,
        "This API has no issuer to trust",
        "Set JWT_WSGI_ISSUER (or app.config['JWT_WSGI_ISSUER'] in Flask) where the app is started.",
    ),
    "not_guarded": Meaning(
        503,
        "The server runs this application without its JWT middleware",
        "Serve the application of jwt_wsgi.contrib.django.get_wsgi_application, and not an"
        " ASGI application or that of django.core.wsgi.",
    ),
}


def _is_refusal(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, errors.AuthError)


def _meanings() -> Iterator[tuple[str, Meaning]]:
    kinds = {kind.code: kind for kind in vars(errors).values() if _is_refusal(kind)}
    for code, remedy in REFUSAL_REMEDIES.items():
        kind = kinds.get(code, errors.InvalidTokenError)
        meaning = _meaning(kind, remedy.replace("{place}", _PLACE))
        yield code, meaning._replace(says=errors.TOKEN_ERRORS.get(code, meaning.says))
    yield from _OTHERS.items()


#: Every code that an answer of ours, or a line of the log, can have.
CODES: Final[Mapping[str, Meaning]] = MappingProxyType(dict(_meanings()))


def causes(code: str) -> list[tuple[str, str]]:
    """The causes that are recognised: for each, a sentence and the remedy."""
    general = CODES[code].remedy
    found = [row for row in CAUSES if row.code == code and row.sentence]
    return [(row.sentence, (row.remedy or general).replace("{place}", _PLACE)) for row in found]


def page(code: str) -> str:
    """Where its page is, as a path in the source of this package."""
    return f"{_PAGES}/{code}.md"


def explain_code(code: str, *, as_json: bool) -> int:
    """Print what the code means. Exit code 2 if this package has no such code."""
    named = code if code in CODES else code.removeprefix(_LOGOUT)
    if named not in CODES:
        problem = f"--code: {errors.printable(code)} is misspelled, or a code of your app; ours are"
        return complain("explain", [f"{problem} {', '.join(CODES)}"], as_json=as_json)
    if as_json:
        show_json({**_as_json(named), "code": code})
    else:
        _show(named, of_logout=named != code)
    return EXIT_FINE


def _as_json(code: str) -> dict[str, Any]:
    rows = [{"says": says, "remedy": remedy} for says, remedy in causes(code)]
    return {"code": code, **CODES[code]._asdict(), "causes": rows, "page": page(code)}


def _show(code: str, *, of_logout: bool) -> None:
    meaning = CODES[code]
    if of_logout:
        say(f"A logout token of the issuer was refused, as an access token is with {code}:", 2)
    say(f"{meaning.status} {code}: {meaning.says}", 2)
    say(f"remedy: {meaning.remedy}", 8)
    for says, remedy in causes(code):
        say("")
        say(f"- {says}", 2)
        say(f"  remedy: {remedy}", 10)
    if code == "keys_unavailable":
        say("")
        say("By the kind of failure in the log:")
        for kind, remedy in FETCH_REMEDIES.items():
            say(f"  {kind.ljust(10)} {remedy}", 13)
    say("")
    if code not in _OTHERS:
        say("for one token: jwt-wsgi explain < token")
    say(f"page: {page(code)} (in the source of this package)")
