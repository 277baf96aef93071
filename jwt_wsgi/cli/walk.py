"""The straight line of one request, walked step by step, and where it ended.

The verdict is that of a real :class:`~jwt_wsgi.middleware.JWTMiddleware`; a witness in the place
of its verifier only notes how far the token came.
"""

import time
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import cast

from jwt_wsgi import assembly
from jwt_wsgi import jose
from jwt_wsgi.errors import AuthError
from jwt_wsgi.errors import InvalidTokenError
from jwt_wsgi.errors import printable
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Rules
from jwt_wsgi.rules import Token
from jwt_wsgi.settings.table import Settings
from jwt_wsgi.trusted_issuer import TrustedIssuer

from .pasted import Pasted
from .pasted import pasted
from .refusals import IN_THE_LOG
from .refusals import Case
from .refusals import facts
from .remedies import remedy
from .terminal import FAIL
from .terminal import NONE
from .terminal import OK
from .terminal import Line
from .times import moment
from .witness import Witness

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

    from jwt_wsgi.verifier import Verifier

#: The straight line: each step, and what is asked there.
STEPS: Final[Mapping[str, str]] = {
    "rule": "which token does the request need?",
    "credentials": "is there one, and is it a bearer token?",
    "form": "is it a signed JWT?",
    "issuer": "is its iss trusted?",
    "header": "are its alg and typ accepted?",
    "claims": "is it for us, and in its time?",
    "key": "is its key there?",
    "signature": "did that key sign it?",
    "binding": "may it be used as a plain bearer token?",
    "checks": "do the app's own checks accept it?",
    "revocation": "is it revoked?",
    "access": "does it permit this request?",
}
_VERIFIED: Final = "signature"


@dataclass(frozen=True, slots=True)
class Walk:
    """The verdict on one request. ``error`` None: it passes. ``step``: where the line ended."""

    method: str
    path: str
    rule: Rule
    step: str
    case: Case | None
    lines: tuple[Line, ...]
    unavailable_status: int = 503

    @property
    def status(self) -> int:
        """Of the answer; 200 stands for the app's."""
        if self.error is None:
            return 200
        is_unavailable = self.error.status == HTTPStatus.SERVICE_UNAVAILABLE
        return self.unavailable_status if is_unavailable else self.error.status

    @property
    def error(self) -> AuthError | None:
        """Why it is refused, if it is."""
        return self.case.error if self.case else None

    @property
    def verified(self) -> bool:
        """Whether the signature is good: then what the token says is the issuer's word."""
        names = list(STEPS)
        return names.index(self.step) > names.index(_VERIFIED)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        told = {"accepted": self.error is None, "method": self.method, "path": self.path}
        if self.case is not None:
            told |= {
                "code": self.case.error.code,
                "status": self.status,
                "error": self.case.error.error,
                "details": self.case.error.details,
                "facts": facts(self.case),
                "remedy": remedy(self.case.error.code),
            }
        steps = [
            {"outcome": line.outcome, "step": line.name, "says": line.says} for line in self.lines
        ]
        return {**told, "step": self.step, "signature_verified": self.verified, "steps": steps}


def walk(settings: Settings, text: str, *, method: str = "GET", path: str = "/") -> Walk:
    """Walk the straight line with what was pasted: a token, or the lines of headers."""
    middleware = JWTMiddleware(_no_app, settings)
    bare = cast("Verifier", assembly.verifier(replace(settings, token_cache_size=0), _ignore))
    witness = Witness(bare)
    middleware.verifier = cast("Verifier", witness)
    request = pasted(settings, text, method, path)
    rule, case = _rule(settings, method, request.environ["PATH_INFO"]), None
    try:
        middleware.authenticate(request.environ, rule)
    except AuthError as error:
        case = _case(settings, witness, rule, request.of(witness.token), error)
    step = witness.ended_at(case.error.code if case else "")
    lines = tuple(_lines(step, _says(settings, witness, rule, request.of(witness.token)), case))
    return Walk(method, path, rule, step, case, lines, settings.unavailable_status)


def _rule(settings: Settings, method: str, path: str) -> Rule:
    """The rule of the request; our own metadata (RFC 9728) is there for everybody."""
    metadata = assembly.metadata(settings)
    if metadata is not None and path in metadata.paths:
        return Rule(path, token=Token.IGNORED)
    return Rules(settings.request_rules).find(method, path)


def _no_app(_environ: "WSGIEnvironment", _start: "StartResponse") -> Iterable[bytes]:
    return []


def _ignore(_event: object) -> None:
    pass


def _parsed(sent: str) -> jose.UnverifiedToken | None:
    try:
        return jose.parse(sent.partition(" ")[2])
    except InvalidTokenError:
        return None


def _trusted(witness: Witness, token: jose.UnverifiedToken | None) -> TrustedIssuer | None:
    iss = token.claims.get("iss") if token else None
    return witness.issuers.get(iss) if isinstance(iss, str) else None


def _case(
    settings: Settings, witness: Witness, rule: Rule, request: Pasted, error: AuthError
) -> Case:
    token = _parsed(request.sent)
    trusted = _trusted(witness, token)
    named = [
        issuer for issuer in settings.issuers if trusted and issuer.identifier == trusted.identifier
    ]
    own = settings.for_issuer(named[0]) if named else settings
    return Case(error, own, rule, request.sent, request.places, token, trusted, time.time())


# --- What is told ------------------------------------------------------------------------------


def _lines(step: str, says: Mapping[str, str], case: Case | None) -> Iterable[Line]:
    """Good up to ``step``, which is the last one unless the token was refused before."""
    names = list(STEPS)
    reached = names.index(step)
    for position, name in enumerate(names):
        if case is not None and position == reached:
            why = [fact.removeprefix(IN_THE_LOG) for fact in facts(case)[:1]]
            yield Line(FAIL, name, ": ".join([case.error.code, *why]))
        elif position <= reached:
            yield Line(OK, name, says.get(name, ""))
        else:
            yield Line(NONE, name, STEPS[name])


def _says(settings: Settings, witness: Witness, rule: Rule, request: Pasted) -> dict[str, str]:
    """What a step that was passed is told with; escaped, for it may not be verified."""
    place = "none is needed"
    if witness.token is not None:
        place = f"{request.places[0]}, {len(witness.token)} characters"
    form = "a compact JWS; nothing in it is verified before its signature is"
    said = {"rule": _needs(rule), "credentials": place, "form": form}
    token = _parsed(request.sent)
    trusted = _trusted(witness, token)
    if token is None or trusted is None:
        return said
    header, claims = token.header, token.claims
    shown = {name: printable(header[name]) for name in ("alg", "kid", "typ") if name in header}
    expires = claims.get("exp")
    return said | {
        "issuer": f"iss {printable(trusted.identifier, 200)} is trusted",
        "header": ", ".join(f"{name} {value}" for name, value in shown.items()),
        "claims": moment("exp", expires, time.time()),
        "key": "found",
        "signature": "good: from here on the token is the issuer's word",
        "binding": "a plain bearer token" if "cnf" not in claims else "accepted, though bound",
        "checks": "accepted" if trusted.own_checks else "none are configured",
        "revocation": "not revoked" if settings.store or settings.revoked else "not configured",
        "access": "permitted",
    }


def _needs(rule: Rule) -> str:
    """A rule in words."""
    told = {
        Token.REQUIRED: "a token is required",
        Token.OPTIONAL: "a token is optional",
        Token.REPORT: "a token is looked at, and everything passes",
        Token.IGNORED: "no token is looked at",
    }[Token(rule.token)]
    if rule.scopes:
        told += f", with the scopes {' '.join(sorted(rule.scopes))}"
    if rule.any_scope:
        told += f", with one of the scopes {' '.join(sorted(rule.any_scope))}"
    return f"{told} (rule {rule.path})"
