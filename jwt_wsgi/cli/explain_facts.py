"""The facts that explain a refusal: for each code, what the token says and what is expected.

The decision is the middleware's own. Values of a token are escaped. They are verified only if its
signature was verified.
"""

import difflib
import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Final

from jwt_wsgi import claims as claims_
from jwt_wsgi import jose
from jwt_wsgi.errors import AuthError
from jwt_wsgi.errors import InvalidTokenError
from jwt_wsgi.errors import name_of
from jwt_wsgi.errors import printable
from jwt_wsgi.rules import Rule
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.trusted_issuer import TrustedIssuer

from .explain_request import Request
from .times import duration
from .times import moment
from .times import utc

IN_THE_LOG: Final = "in the log: "
#: The beginning of every JWT: the base64url form of ``{"``.
JWT_START: Final = "eyJ"


@dataclass(frozen=True, slots=True)
class Case:
    """The data that explains one refusal.

    ``settings``: those for the issuer of the token, if it is known. ``request``: with the token
    that was read as its only credentials. ``now``: seconds since 1970.
    """

    error: AuthError
    settings: Settings
    rule: Rule
    request: Request
    token: jose.UnverifiedToken | None
    issuer: TrustedIssuer | None
    now: float

    def claim(self, name: str) -> Any:
        """A claim; None without a token."""
        return self.token.claims.get(name) if self.token else None

    def found(self, name: str) -> Any:
        """The claim that settings call ``name``. None if it is missing or ambiguous."""
        try:
            return claims_.find(self.token.claims, name) if self.token else None
        except InvalidTokenError:
            return None

    def header(self, name: str) -> Any:
        """A member of the JOSE header; None without a token."""
        return self.token.header.get(name) if self.token else None


def facts(case: Case) -> list[str]:
    """The facts that explain it, most important first. The last is the detail in the log."""
    detail = [IN_THE_LOG + case.error.detail] if case.error.detail else []
    return [*_FACTS.get(case.error.code, _nothing)(case), *detail]


def elsewhere(case: Case) -> Iterator[str]:
    """The headers and cookies that hold a JWT, but are not in ``token_from``."""
    looked_for = case.settings.token_from
    for key, value in case.request.environ.items():
        name = key.removeprefix("HTTP_").replace("_", "-").title()
        if not key.startswith("HTTP_") or JWT_START not in value:
            continue
        if key == "HTTP_COOKIE":
            pairs = [pair.strip().partition("=") for pair in value.split(";")]
            names = [name for name, _, text in pairs if text.startswith(JWT_START)]
            yield from (
                f"cookie {name[:80]}" for name in names if f"cookie:{name}" not in looked_for
            )
        elif value.removeprefix("Bearer ").startswith(JWT_START):
            yield f"header {name[:80]}"


def _missing_token(case: Case) -> Iterator[str]:
    if not any(key.startswith("HTTP_") for key in case.request.environ):
        yield "the input is empty: it holds no token and no header"
    yield f"looked for at: {', '.join(case.settings.token_from)}"
    if found := list(elsewhere(case)):
        yield f"a token is at: {', '.join(map(printable, found[:5]))}"


def _several(case: Case) -> Iterator[str]:
    yield f"tokens at: {', '.join(case.request.places)}"


def _nothing(_case: Case) -> Iterator[str]:
    yield from ()


def _malformed_header(case: Case) -> Iterator[str]:
    scheme, *pieces = case.request.sent.split()
    first = "the scheme is " + (printable(scheme, 20) if len(scheme) <= 20 else "missing")  # noqa: PLR2004
    yield f"{first}, followed by {len(pieces)} {'piece' if len(pieces) == 1 else 'pieces'}"


def _malformed(case: Case) -> Iterator[str]:
    parts = case.request.token.count(".") + 1
    count = "1 part" if parts == 1 else f"{parts} parts"
    yield f"{len(case.request.token)} characters in {count}"


def _issuer(case: Case) -> Iterator[str]:
    iss = case.claim("iss")
    yield f"the token's iss is {_shown(iss)}"
    known = [issuer.identifier for issuer in case.settings.issuers]
    yield f"configured: {', '.join(printable(name, 200) for name in known[:10]) or 'none'}"
    near = difflib.get_close_matches(iss[:500], known, n=1) if isinstance(iss, str) else []
    if near:
        yield f"nearest: {printable(near[0], 200)}{_difference(str(iss), near[0])}"


def _difference(iss: str, near: str) -> str:
    if iss.rstrip("/") == near.rstrip("/"):
        return ", which differs in its final slash only"
    if iss.lower() == near.lower():
        return ", which differs in upper and lower case only"
    same = next((i for i, (a, b) in enumerate(zip(iss, near, strict=False)) if a != b), -1)
    return f", which differs from character {same + 1} on" if same >= 0 else ""


def _algorithm(case: Case) -> Iterator[str]:
    yield f"the token's alg is {_shown(case.header('alg'))}"


def _type(case: Case) -> Iterator[str]:
    yield f"the token's typ is {_shown(case.header('typ'))}"


_TIMES: Final = {
    "token_expired": ("exp", "iat"),
    "token_not_yet_valid": ("nbf", "iat", "exp"),
    "token_too_old": ("iat",),
}


def _times(case: Case) -> Iterator[str]:
    for name in _TIMES[case.error.code]:
        if case.claim(name) is not None:
            yield moment(name, case.claim(name), case.now)
    yield f"our clock says {utc(case.now)}, the leeway is {duration(case.settings.leeway)}"
    if case.error.code == "token_too_old":
        yield f"max_token_age is {duration(case.settings.max_token_age or 0)}"


def _audience(case: Case) -> Iterator[str]:
    yield f"the token's aud is {_shown(case.claim('aud'))}"
    ours = case.settings.accepted_audience
    yield (
        f"ours: {', '.join(printable(aud, 200) for aud in ours[:10])}"
        if ours
        else "no audience is configured, and a token that has aud was issued for another API"
    )


def _missing(case: Case) -> Iterator[str]:
    name = case.error.detail.removesuffix(" is missing")
    names = list(case.token.claims)[:200] if case.token else []
    if near := difflib.get_close_matches(name, names, n=1):
        yield f"the token has {printable(near[0])}"


def _invalid(case: Case) -> Iterator[str]:
    for name, accepted in (case.settings.claims or {}).items():
        found = case.found(name)
        if found is not None and not claims_.has_one_of(found, accepted):
            wanted = ", ".join(map(_shown, accepted[:10]))
            yield f"{name} is {_shown(found)}; accepted: {wanted}"


def _key(case: Case) -> Iterator[str]:
    kid, alg = case.header("kid"), case.header("alg")
    yield f"the token names kid {_shown(kid)}, alg {_shown(alg)}"
    current = getattr(case.issuer.keys, "current", None) if case.issuer else None
    keyset = current() if current else None
    if keyset is None:
        return
    yield f"published: {', '.join(map(printable, keyset.kids[:20])) or 'keys without kid only'}"
    if fits := [name for name in jose.ALGORITHMS if keyset.candidates(_asked(kid, name))]:
        yield f"such a key is there for {', '.join(fits)}"
    for dropped in keyset.unusable()[:5]:
        yield f"skipped: {dropped.kid}, {dropped.reason}"


def _asked(kid: object, alg: str) -> dict[str, Any]:
    return {"alg": alg} if kid is None else {"alg": alg, "kid": kid}


def _bound(case: Case) -> Iterator[str]:
    cnf = case.claim("cnf")
    names = ", ".join(printable(name) for name in list(cnf)[:5]) if isinstance(cnf, dict) else "?"
    yield f"the token's cnf has {names} (jkt: DPoP, x5t#S256: mutual TLS)"


def _revoked(case: Case) -> Iterator[str]:
    for name in ("jti", "sub", "sid"):
        if case.claim(name) is not None:
            yield f"{name} is {_shown(case.claim(name))}"


def _scope(case: Case) -> Iterator[str]:
    rules, claims = case.rule.parts, case.token.claims if case.token else {}
    for rule in rules:
        if rule.scopes:
            yield f"the rule needs all of: {' '.join(sorted(rule.scopes))}"
        if rule.any_scope:
            yield f"the rule needs one of: {' '.join(sorted(rule.any_scope))}"
    if any(rule.scopes or rule.any_scope for rule in rules):
        granted = sorted(claims_.scopes(claims))
        yield f"the token has: {printable(' '.join(granted), 200) if granted else 'no scope'}"
    for name, values in (item for rule in rules for item in rule.claims.items()):
        if not claims_.has_one_of(found := case.found(name), values):
            wanted = ", ".join(printable(value) for value in list(values)[:10])
            yield f"{name} is {_shown(found)}; the rule needs: {wanted}"
    for rule in rules:
        if rule.check is not None:
            yield f"the rule also calls {name_of(rule.check)}, which must return True"


def _step_up(case: Case) -> Iterator[str]:
    for rule in case.rule.parts:
        if rule.acr_values:
            wanted = " ".join(sorted(rule.acr_values))
            yield f"the token's acr is {_shown(case.claim('acr'))}; the rule needs one of: {wanted}"
        if rule.max_age is not None:
            login = case.claim("auth_time")
            when = moment("auth_time", login, case.now)
            yield "the token has no auth_time" if login is None else when
            yield f"the rule needs a login of the last {duration(rule.max_age)}"


def _shown(value: object) -> str:
    """A text in quotes, any other value as JSON, so that 42 differs from '42'."""
    if value is None or isinstance(value, str):
        return "missing" if value is None else printable(value, 200)
    return printable(json.dumps(value, default=str), 200)[1:-1]


_FACTS: Final[Mapping[str, Callable[[Case], Iterator[str]]]] = {
    "token_missing": _missing_token,
    "tokens_multiple": _several,
    "header_malformed": _malformed_header,
    "token_malformed": _malformed,
    "issuer_not_trusted": _issuer,
    "algorithm_not_allowed": _algorithm,
    "token_type_not_allowed": _type,
    "token_expired": _times,
    "token_not_yet_valid": _times,
    "token_too_old": _times,
    "audience_mismatch": _audience,
    "claim_missing": _missing,
    "claim_invalid": _invalid,
    "key_not_found": _key,
    "signature_invalid": _key,
    "token_bound": _bound,
    "token_revoked": _revoked,
    "insufficient_scope": _scope,
    "insufficient_user_authentication": _step_up,
}
