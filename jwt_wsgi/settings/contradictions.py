"""Finds options that contradict each other, though each is valid by itself."""

import json
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from jwt_wsgi import jose
from jwt_wsgi.bearer import place
from jwt_wsgi.errors import printable
from jwt_wsgi.injection import UNIQUE
from jwt_wsgi.injection import WITH_ISSUER
from jwt_wsgi.injection import tells_issuers_apart
from jwt_wsgi.injection import variable
from jwt_wsgi.metadata import resource_problem
from jwt_wsgi.rules import is_plain
from jwt_wsgi.urls import check_discoverable
from jwt_wsgi.urls import check_url
from jwt_wsgi.urls import shown_url

from . import shared_issuers
from .issuer import FETCH_OPTIONS
from .issuer import KEY_SLOT
from .options import Table
from .rule_texts import rule_as_json


class Contradiction(NamedTuple):
    """A problem: a sentence, and the names of all options that cause it."""

    sentence: str
    names: tuple[str, ...]


def sentences(found: Iterator[Contradiction], broken: AbstractSet[str]) -> list[str]:
    """The sentences, without those that may only follow from an option in ``broken``."""
    return [problem.sentence for problem in found if broken.isdisjoint(problem.names)]


def problems(settings: Table) -> Iterator[Contradiction]:
    """Contradictions between a middleware's options, apart from those of single issuers."""
    several = len(settings.issuers) > 1 or settings.has_resolver
    if several and (given := _given(settings, KEY_SLOT)):
        sentence = f"{', '.join(given)}: give it to the one issuer whose keys these are"
        yield Contradiction(f"{sentence}, as an option of Issuer", ("issuer", *given))
    if several and (given := _given(settings, FETCH_OPTIONS)):
        sentence = f"{', '.join(given)}: give it to the one issuer whose server it is for"
        yield Contradiction(f"{sentence}, as an option of Issuer", ("issuer", *given))
    yield from _duration_problems(settings)
    yield from _snapshot_problems(settings)
    resource = settings.resource.url if settings.resource else ""
    if resource and (wrong := resource_problem(resource, allow_http=settings.allow_http)):
        yield Contradiction(f"resource: {shown_url(resource)}: {wrong}", ("resource",))
    yield from _origin_problems(settings)
    if settings.has_resolver and settings.revocation and settings.revocation.backchannel_logout:
        why = "it needs issuers that are listed, and a function names yours"
        yield Contradiction(f"revocation: backchannel_logout: {why}", ("revocation", "issuer"))
    yield from _rule_problems(settings)
    several = several or bool(settings.settings_from_request)
    yield from _subject_problems(settings) if several else ()
    yield from _claim_header_problems(settings, several=several)


def problems_of_terms(own: Table) -> Iterator[Contradiction]:
    """Contradictions in the keys and terms of one issuer. ``own``: the settings for it."""
    given = _given(own, KEY_SLOT)
    own_keys = any(issuer.keys is not None for issuer in own.issuers)
    if len(given) + own_keys > 1:
        listed = ", ".join([*given, *(["keys"] if own_keys else [])])
        yield Contradiction(
            f"{listed}: the keys come from one place; leave one of these", (*given,)
        )
    sources = [issuer.keys for issuer in own.issuers if issuer.keys is not None]
    if any(not hasattr(source, "candidates") for source in sources):
        yield Contradiction("keys: give a key source: an object with candidates(header)", ("keys",))
    for issuer in () if given or own_keys else own.issuers:  # their keys are discovered
        if wrong := check_discoverable(issuer.identifier, allow_http=own.allow_http):
            yield Contradiction(
                f"issuer: {shown_url(issuer.identifier)}: {wrong}", ("issuer", *KEY_SLOT)
            )
    if own.jwks_uri in [issuer.identifier for issuer in own.issuers]:
        why = "it is the issuer itself; leave it out, so that the keys are discovered"
        yield Contradiction(f"jwks_uri: {why}", ("jwks_uri", "issuer"))
    if own.jwks_uri and (wrong := check_url(own.jwks_uri, allow_http=own.allow_http)):
        yield Contradiction(f"jwks_uri: {shown_url(own.jwks_uri)}: {wrong}", ("jwks_uri",))
    for issuer in own.issuers:
        if wrong := shared_issuers.why_unsafe(
            issuer.identifier,
            audience=own.accepted_audience,
            expected_claims=own.claims or (),
            has_own_checks=bool(own.checks),
        ):
            yield Contradiction(wrong, ("issuer", "audience", "claims", "checks"))
    yield from _algorithm_problems(own)
    if own.is_rfc9068 and not own.accepted_audience:
        needed = ("token_types", "audience", "resource")
        yield Contradiction("audience: token_types rfc9068 needs it", needed)


def _claim_header_problems(settings: Table, *, several: bool) -> Iterator[Contradiction]:
    headers = settings.claim_headers or {}
    taken = {place(spec, 0).key for spec in settings.token_from}
    for header in [name for names in headers.values() for name in names]:
        if variable(header) in taken:
            yield Contradiction(
                f"claim_headers: {header} holds the token", ("claim_headers", "token_from")
            )
    for source in headers if several else ():
        if not tells_issuers_apart(source):
            yield Contradiction(
                f"claim_headers: {source}: two issuers may use the same value for two people; take"
                f" {WITH_ISSUER}{source}, which has the issuer in front, or {UNIQUE}{source} if all"
                " your issuers mean the same person by a value",
                ("claim_headers", "issuer", "settings_from_request"),
            )
    if any(source.startswith(WITH_ISSUER) for source in headers):
        for issuer in settings.issuers:
            if "|" in issuer.identifier:
                shown = printable(issuer.identifier, 80)
                why = f"has a |, which ends the issuer in {WITH_ISSUER}…; take {UNIQUE}…"
                yield Contradiction(f"claim_headers: {shown} {why}", ("claim_headers", "issuer"))


def _subject_problems(settings: Table) -> Iterator[Contradiction]:
    """Find permissions by ``sub`` alone, which two issuers may use for two people.

    RFC 7519 section 4.1.2.
    """
    asked = [("claims", "", settings.claims or {})]
    asked += [("rules", f"{printable(rule.path)}: ", rule.claims) for rule in settings.rules]
    for name, where, claims in asked:
        by_user = [claim for claim in ("sub", "act.sub") if claim in claims]
        if by_user and "iss" not in claims:
            yield Contradiction(
                f"{name}: {where}{by_user[0]}: two issuers may use the same value for two people;"
                " name iss beside it",
                (name, "issuer", "settings_from_request"),
            )


def _origin_problems(settings: Table) -> Iterator[Contradiction]:
    allowed = settings.allowed_origins
    if allowed is None or allowed.paths:
        return
    for origin in settings.cors.origins:
        if origin != "*" and origin not in allowed.origins:
            why = "allowed_origins refuses its requests; list it there as well"
            yield Contradiction(f"cors: {origin}: {why}", ("cors", "allowed_origins"))


def _duration_problems(settings: Table) -> Iterator[Contradiction]:
    """Durations of held keys and of fetches that are out of range, or contradict each other."""
    age, stale, timeout = settings.jwks_max_age, settings.jwks_max_stale, settings.jwks_timeout
    if age < 1:
        yield Contradiction(f"jwks_max_age: {age:g} s: at least 1 s", ("jwks_max_age",))
    if stale != 0 and stale < age:
        why = f"{stale:g} s: at least jwks_max_age; 0 for no stale keys at all"
        yield Contradiction(f"jwks_max_stale: {why}", ("jwks_max_stale", "jwks_max_age"))
    if not 0.1 <= timeout <= 60:  # noqa: PLR2004
        why = f"{timeout:g} s: from 0.1 s to 60 s, and below your server's time-out"
        yield Contradiction(f"jwks_timeout: {why}", ("jwks_timeout",))


def _snapshot_problems(settings: Table) -> Iterator[Contradiction]:
    if (snapshot := settings.jwks_snapshot) is None:
        return
    if snapshot.max_age > settings.jwks_max_stale:
        why = "max_age: at most jwks_max_stale, the age of any keys that are used"
        yield Contradiction(f"jwks_snapshot: {why}", ("jwks_snapshot", "jwks_max_stale"))
    if settings.has_resolver:
        why = "it is for configured issuers, and here a function names them; leave it out"
        yield Contradiction(f"jwks_snapshot: {why}", ("jwks_snapshot", "issuer"))
    if settings.settings_from_request:
        why = "it is for configured issuers, and here requests may name them; leave it out"
        yield Contradiction(f"jwks_snapshot: {why}", ("jwks_snapshot", "settings_from_request"))


def _given(settings: Table, names: AbstractSet[str]) -> list[str]:
    return sorted(name for name in names if getattr(settings, name) is not None)


def _rule_problems(settings: Table) -> Iterator[Contradiction]:
    shorthands = ("public_paths", "optional", "required_scopes")
    given = [name for name in shorthands if getattr(settings, name)]
    if settings.rules and given:
        written = json.dumps([rule_as_json(rule) for rule in settings.shorthand_rules()])
        yield Contradiction(
            f"rules: they replace {', '.join(given)}; written as rules, these are {written}",
            ("rules", *shorthands),
        )
    for path in settings.public_paths:
        if not is_plain(path.removesuffix("/*") or "/"):
            why = "such a path always needs a token; leave out //, dot segments, @@, %XX, \\ and ;"
            yield Contradiction(f"public_paths: {path}: {why}", ("public_paths",))


def _algorithm_problems(own: Table) -> Iterator[Contradiction]:
    names = ("algorithms", "secret")
    symmetric = jose.SECRET_SIZES.keys() & set(own.algorithms)
    if own.secret is None:
        if symmetric:
            listed = ", ".join(sorted(symmetric))
            why = "need secret, and never go with public keys"
            yield Contradiction(f"algorithms: {listed} {why}", names)
        return
    if len(symmetric) < len(own.algorithms):
        yield Contradiction("algorithms: with secret only HS256, HS384 and HS512", names)
    needed = max(jose.SECRET_SIZES[name] for name in symmetric or {"HS256"})
    if len(own.secret) < needed:
        why = f"too short; {needed} bytes at least (RFC 7518 3.2)"
        yield Contradiction(f"secret: (a secret): {why}", names)
