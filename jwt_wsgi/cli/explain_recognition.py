"""How the causes of refusals are recognised: predicates that take a case."""

import json
import re
from collections.abc import Callable
from typing import Any
from typing import Final
from typing import NamedTuple

from jwt_wsgi import claims as claims_
from jwt_wsgi.rules import is_plain
from jwt_wsgi.settings.provider_hints import entra_tenant
from jwt_wsgi.settings.provider_hints import hint

from .explain_facts import JWT_START
from .explain_facts import Case


class Cause(NamedTuple):
    """One row of the table of causes. ``name``: unique in its code; empty: the general row.

    ``remedy`` empty: the general one. ``{place}`` in it becomes the app's place for the token.
    """

    code: str
    name: str
    applies: Callable[[Case], bool]
    sentence: str = ""
    remedy: str = ""


def always(_case: Case) -> bool:
    return True


def detail_starts(start: str) -> Callable[[Case], bool]:
    """Whether the detail of the log line begins with the text."""
    return lambda case: case.error.detail.startswith(start)


def detail_is(*details: str) -> Callable[[Case], bool]:
    """Whether the detail of the log line is one of these."""
    return lambda case: case.error.detail in details


def sent_like(pattern: str) -> Callable[[Case], bool]:
    """Whether the credentials, as sent, match the pattern."""
    found = re.compile(pattern, re.IGNORECASE)
    return lambda case: found.search(case.request.sent[:20_000]) is not None


def has_parts(number: int) -> Callable[[Case], bool]:
    return lambda case: case.request.token.count(".") + 1 == number


def is_opaque(case: Case) -> bool:
    """A token in one part, or in two with no header of a JWT, as Google's and Ory's are."""
    return has_parts(1)(case) or (
        has_parts(2)(case) and not case.request.token.startswith(JWT_START)
    )


def is_padded(case: Case) -> bool:
    """A JWT whose parts end with the padding of base64, which base64url in JWTs does not have."""
    return has_parts(3)(case) and "=" in case.request.token


def header_is(name: str, *values: object) -> Callable[[Case], bool]:
    """Whether the header has the member, with one of ``values`` if there are any."""

    def applies(case: Case) -> bool:
        found = case.header(name)
        return found is not None and (not values or found in values)

    return applies


def has_cnf(name: str) -> Callable[[Case], bool]:
    return lambda case: isinstance(case.claim("cnf"), dict) and name in case.claim("cnf")


def is_der(case: Case) -> bool:
    """An ECDSA signature as ASN.1 has it (RFC 3279 section 2.2.3), not R and S (RFC 7518 3.4)."""
    signature = case.token.signature if case.token else b""
    sequence = signature[:1] == b"\x30" and signature[1:2] == bytes([len(signature) - 2 & 0xFF])
    return sequence and str(case.header("alg")).startswith("ES")


#: Bytes of a signature that has one size only (RFC 7518 section 3.4, RFC 8032).
_SIGNATURE_SIZES: Final = {"ES256": 64, "ES384": 96, "ES512": 132, "ES256K": 64, "Ed25519": 64}
_SHORTEST_EDDSA: Final = 64
_SHORTEST_RSA: Final = 256


def is_cut_signature(case: Case) -> bool:
    """Whether the signature is shorter than any of its algorithm, and is not DER."""
    alg, size = str(case.header("alg")), len(case.token.signature) if case.token else 0
    shortest = _SHORTEST_RSA if alg[:2] in ("RS", "PS") else _SHORTEST_EDDSA
    return size < _SIGNATURE_SIZES.get(alg, shortest) and not is_der(case)


def is_failed_fetch(kind: str) -> Callable[[Case], bool]:
    """Whether the keys could not be fetched for this reason, as the error's detail says."""
    return failed_like(f"^{kind}: ")


def failed_like(pattern: str) -> Callable[[Case], bool]:
    """Whether the failure of the fetch, as ``KIND: DETAIL``, matches the pattern."""
    said = re.compile(pattern)
    return lambda case: said.search(_SOURCE.sub("", case.error.detail)) is not None


#: What remote keys put before the failure.
_SOURCE: Final = re.compile(r"^keys of \S+: ")


def configured(case: Case) -> list[str]:
    return [issuer.identifier for issuer in case.settings.issuers]


def iss_without(change: Callable[[str], str]) -> Callable[[Case], bool]:
    """Whether the iss is a configured one, apart from this difference."""

    def applies(case: Case) -> bool:
        iss = case.claim("iss")
        return isinstance(iss, str) and change(iss) in map(change, configured(case))

    return applies


def without_default_port(url: str) -> str:
    return re.sub(r"^(https://[^/]+):443(?=/|$)|^(http://[^/]+):80(?=/|$)", r"\1\2", url)


def is_of_okta_org(case: Case) -> bool:
    """Whether the issuer is only the host of a configured authorization server of Okta."""
    return any(name.startswith(f"{case.claim('iss')}/oauth2/") for name in configured(case))


def is_firebase_custom(case: Case) -> bool:
    """https://firebase.google.com/docs/auth/admin/create-custom-tokens."""
    return any("/google.identity.identitytoolkit." in aud for aud in _audiences(case))


def is_other_entra_version(case: Case) -> bool:
    tenant = entra_tenant(case.claim("iss"))
    return tenant != "" and tenant in map(entra_tenant, configured(case))


def _audiences(case: Case) -> list[str]:
    found = case.claim("aud")
    values = found if isinstance(found, list) else [found]
    return [value for value in values if isinstance(value, str)]


def aud_without(change: Callable[[str], str]) -> Callable[[Case], bool]:
    """Whether the aud is a configured one, apart from this difference."""

    def applies(case: Case) -> bool:
        ours = set(map(change, case.settings.accepted_audience))
        return not ours.isdisjoint(map(change, _audiences(case)))

    return applies


def bare_app(audience: str) -> str:
    return audience.removeprefix("api://").lower()


def is_for_graph(case: Case) -> bool:
    graph = {"https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"}
    return not graph.isdisjoint(aud.rstrip("/") for aud in _audiences(case))


def is_for_keycloak_account(case: Case) -> bool:
    return "/realms/" in str(case.claim("iss")) and _audiences(case) == ["account"]


def is_of_cognito(case: Case) -> bool:
    ours = case.settings.accepted_audience
    said = hint(str(case.claim("iss")), audience=ours, expected_claims=()) or ""
    return not _audiences(case) and "Cognito" in said


def _rule_claims(case: Case) -> dict[str, Any]:
    """The values of claims that the rule or the issuer's terms expect."""
    scope = case.error.code == "insufficient_scope"
    return dict(case.rule.claims if scope else (case.settings.claims or {}))


def is_number_for_text(case: Case) -> bool:
    """Whether the values are equal as text but not as JSON, for instance 42 and "42"."""
    for name, accepted in _rule_claims(case).items():
        found = case.found(name)
        members = found if isinstance(found, list) else [found]
        if not claims_.has_one_of(found, accepted) and set(map(_plain, members)) & set(
            map(_plain, accepted)
        ):
            return True
    return False


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def is_granted_in(name: str) -> Callable[[Case], bool]:
    """Whether another claim contains the scopes that the rule needs."""

    def applies(case: Case) -> bool:
        found = case.claim(name)
        needed = {*case.rule.scopes, *case.rule.any_scope}
        return isinstance(found, list) and any(value in needed for value in found)

    return applies


def has_commas_in_scope(case: Case) -> bool:
    scopes = claims_.scopes(case.token.claims if case.token else {})
    return any("," in scope for scope in scopes)


def has_no_scope(case: Case) -> bool:
    needed = case.rule.scopes or case.rule.any_scope
    return bool(needed) and not claims_.scopes(case.token.claims if case.token else {})


def is_odd_path(case: Case) -> bool:
    return not is_plain(case.request.environ["PATH_INFO"])


def is_key_of_other_algorithm(case: Case) -> bool:
    """Whether the key is published, but for other algorithms."""
    current = getattr(case.issuer.keys, "current", None) if case.issuer else None
    keyset = current() if current else None
    return keyset is not None and case.header("kid") in keyset.kids


def are_keys_nameless(case: Case) -> bool:
    """Whether keys are published, all without a kid, and the token has one."""
    current = getattr(case.issuer.keys, "current", None) if case.issuer else None
    keyset = current() if current else None
    return keyset is not None and not keyset.kids and case.header("kid") is not None


def is_key_on_ed448(case: Case) -> bool:
    """Whether it is EdDSA with a key on Ed448, which the settings must name."""
    current = getattr(case.issuer.keys, "current", None) if case.issuer else None
    keyset = current() if current else None
    if keyset is None or case.header("alg") != "EdDSA":
        return False
    named = {"kid": case.header("kid")} if case.header("kid") else {}
    return bool(keyset.candidates({**named, "alg": "Ed448"}))


def is_key_skipped(case: Case) -> bool:
    current = getattr(case.issuer.keys, "current", None) if case.issuer else None
    keyset = current() if current else None
    names = [dropped.kid.strip("'") for dropped in keyset.unusable()] if keyset else []
    return case.header("kid") in names
