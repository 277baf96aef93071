"""The steps of one request: which of them a token passes, and at which one it is refused.

A real :class:`~jwt_wsgi.middleware.JWTMiddleware` decides. A recorder around its verifier notes the
last step that the token passed.
"""

import time
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import cast

from jwt_wsgi import assembly
from jwt_wsgi import jose
from jwt_wsgi.errors import AuthError
from jwt_wsgi.errors import InvalidTokenError
from jwt_wsgi.errors import OriginNotAllowedError
from jwt_wsgi.errors import printable
from jwt_wsgi.header_rules import rule_finder
from jwt_wsgi.middleware import JWTMiddleware
from jwt_wsgi.middleware import find_rule
from jwt_wsgi.origin_check import origin_check
from jwt_wsgi.responses import status_of
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.settings.loading import Settings

from .explain_causes import cause_of
from .explain_causes import remedy_of
from .explain_facts import IN_THE_LOG
from .explain_facts import Case
from .explain_facts import facts
from .explain_recognition import Cause
from .explain_recorder import Recorder
from .explain_request import Request
from .explain_request import request_of
from .rule_words import needs
from .terminal import FAIL
from .terminal import NONE
from .terminal import OK
from .terminal import Line
from .times import moment

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

    from jwt_wsgi.verifier import Verifier

#: The steps in their order, each as a question.
STEPS: Final[Mapping[str, str]] = {
    "rule": "which token does the request need?",
    "credentials": "is there one, and is it a bearer token?",
    "form": "is it a signed JWT?",
    "issuer": "is its iss trusted?",
    "header": "are its alg and typ accepted?",
    "claims": "is it for this API, and is its time right?",
    "key": "is its key there?",
    "signature": "did that key sign it?",
    "binding": "may it be used as a plain bearer token?",
    "checks": "do the app's own checks accept it?",
    "revocation": "is it revoked?",
    "access": "does it permit this request?",
}
_SIGNATURE: Final = "signature"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one request.

    ``step``: where it was refused, or the last step. ``case``: the data that explains the refusal;
    None for a request that passes. ``token``: parsed; None if it is no JWT, or there is none.
    """

    method: str
    path: str
    rule: Rule
    step: str
    case: Case | None
    lines: tuple[Line, ...]
    token: jose.UnverifiedToken | None

    @property
    def error(self) -> AuthError | None:
        """Why it is refused, if it is."""
        return self.case.error if self.case else None

    @property
    def status(self) -> int:
        """The status of the answer; 200 stands for the app's."""
        return 200 if self.error is None else status_of(self.error)

    @property
    def cause(self) -> Cause | None:
        """The most specific cause that is recognised."""
        return cause_of(self.case) if self.case else None

    @property
    def verified(self) -> bool:
        """Whether the signature was verified, so that the content is the issuer's."""
        names = list(STEPS)
        return names.index(self.step) > names.index(_SIGNATURE)

    def as_json(self, *, claims: bool = True) -> dict[str, Any]:
        """For machines; ``claims`` False: without those of the token."""
        found = {"accepted": self.error is None, "method": self.method, "path": self.path}
        if self.case is not None and self.cause is not None:
            found |= {
                "code": self.case.error.code,
                "status": self.status,
                "error": self.case.error.error,
                "details": self.case.error.details,
                "cause": self.cause.name,
                "says": self.cause.sentence,
                "facts": facts(self.case),
                "remedy": remedy_of(self.cause, self.case),
            }
        if self.token is not None:
            found |= {"header": self.token.header}
            found |= {"claims": self.token.claims} if claims else {}
        steps = [
            {"outcome": line.outcome, "step": line.name, "says": line.says} for line in self.lines
        ]
        return {**found, "step": self.step, "signature_verified": self.verified, "steps": steps}


def verdict_on(settings: Settings, text: str, *, method: str = "GET", path: str = "/") -> Verdict:
    """Take the request through the middleware. ``text``: a token, or the lines of headers."""
    middleware = JWTMiddleware(_no_app, replace(settings, token_cache_size=0))
    recorder = Recorder(cast("Verifier", middleware.verifier))
    middleware.verifier = cast("Verifier", recorder)
    request = request_of(settings, text, method, path)
    rule, case = _rule(settings, request.environ), None
    try:
        check = origin_check(settings.allowed_origins)
        if check is not None and (refusal := check(request.environ)) is not None:
            raise refusal
        middleware.authenticate(request.environ, rule)
    except AuthError as error:
        case = _case(settings, recorder, rule, request.of(recorder.token), error)
    step = recorder.step_of(case.error.code if case else "")
    if case is not None and isinstance(case.error, OriginNotAllowedError):
        step = "rule"
    says = _says(settings, recorder, rule, request.of(recorder.token))
    token = _parsed(request.of(recorder.token).token)
    return Verdict(method, path, rule, step, case, tuple(_lines(step, says, case)), token)


def _rule(settings: Settings, environ: "WSGIEnvironment") -> Rule:
    """The rule of the request; what this package answers itself needs no token."""
    metadata, path = assembly.metadata(settings), environ["PATH_INFO"]
    if (metadata is not None and path in metadata.paths) or path == assembly.logout_path(settings):
        return Rule(path, token=Token.IGNORED)
    return rule_finder(settings.request_rules, find_rule)(environ)


def _no_app(_environ: "WSGIEnvironment", _start: "StartResponse") -> Iterable[bytes]:
    return []


def _parsed(token: str) -> jose.UnverifiedToken | None:
    try:
        return jose.parse(token)
    except InvalidTokenError:
        return None


def _case(
    settings: Settings, recorder: Recorder, rule: Rule, request: Request, error: AuthError
) -> Case:
    token = _parsed(request.token)
    trusted = recorder.issuer
    terms = {own.issuers[0].identifier: own for own in settings.terms}
    own = terms.get(trusted.identifier, settings) if trusted else settings
    return Case(error, own, rule, request, token, trusted, time.time())


# --- The lines ---------------------------------------------------------------------------------


def _lines(step: str, says: Mapping[str, str], case: Case | None) -> Iterable[Line]:
    """One line a step; those after ``step`` were not reached."""
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


def _says(settings: Settings, recorder: Recorder, rule: Rule, request: Request) -> dict[str, str]:
    """The text for each passed step. It is escaped, because the token may not be verified."""
    where = "none is needed"
    if recorder.token is not None:
        where = f"{request.places[0]}, {len(recorder.token)} characters"
    form = "a compact JWS; nothing of it is verified yet"
    found = {"rule": f"{needs(rule)} (rule {rule.path})", "credentials": where, "form": form}
    token = _parsed(request.token)
    trusted = recorder.issuer
    if token is None or trusted is None:
        return found
    header, claims = token.header, token.claims
    shown = {name: printable(header[name]) for name in ("alg", "kid", "typ") if name in header}
    return found | {
        "issuer": f"iss {printable(trusted.identifier, 200)} is trusted",
        "header": ", ".join(f"{name} {value}" for name, value in shown.items()),
        "claims": moment("exp", claims.get("exp"), time.time()),
        "key": "found",
        "signature": "valid: the content of the token is the issuer's",
        "binding": "a plain bearer token" if "cnf" not in claims else "bound, and accepted",
        "checks": "accepted" if trusted.own_checks else "none are configured",
        "revocation": "not revoked" if settings.revocation else "not configured",
        "access": "permitted",
    }
