"""The checks of ``jwt-wsgi doctor``: each gives one line, with its remedy."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from jwt_wsgi import assembly
from jwt_wsgi.errors import RevocationUnavailableError
from jwt_wsgi.errors import printable
from jwt_wsgi.events import logger
from jwt_wsgi.jwk_form import NOT_FOR_SIGNATURES
from jwt_wsgi.key_sources.tls import CERTIFI
from jwt_wsgi.key_sources.tls import trusted_place
from jwt_wsgi.revocation.revocations import Revocations
from jwt_wsgi.revocation.store import Store
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.settings.provider_hints import warning as provider_warning
from jwt_wsgi.strict_json import json_object
from jwt_wsgi.urls import shown_url

from .doctor_live import live_checks
from .key_report import NO_ALGORITHM
from .key_report import Report
from .key_report import of_url
from .key_report import report_of
from .remedies import fetch_remedy
from .remedies import remedy
from .terminal import FAIL
from .terminal import NONE
from .terminal import OK
from .terminal import WARN
from .terminal import Line
from .terminal import progress
from .times import duration

#: What urllib3 (https) and our own fetch (http) say of a proxy that asks for a password.
_PROXY_ASKS: Final = re.compile(r"(Tunnel connection failed:|http: status) 407\b")
#: Claims that name the client a token was issued to (RFC 8693 section 4.3, OpenID Connect Core 2).
_CLIENTS: Final = frozenset({"azp", "client_id"})
_CLOCK_SLACK: Final = 1.0  # a Date has whole seconds (RFC 9110 section 5.6.7)


def examine(
    settings: Settings, unknown: list[str], url: str | None, *, quiet: bool
) -> Iterator[Line]:
    """Make every check, one after the other; ``quiet``: show no progress."""
    issuers = ", ".join(shown_url(issuer.identifier, 200) for issuer in settings.issuers)
    yield Line(OK, "settings", f"they load; issuer {issuers}")
    yield from (_unknown(message) for message in unknown)
    if logger.disabled:
        says = f"the logger {logger.name} is switched off: refusals and outages are not logged"
        remedy_ = 'Set "disable_existing_loggers": False in the app\'s logging configuration.'
        yield Line(WARN, "log", says, remedy_)
    if settings.revocation is not None and settings.revocation.store is not None:
        yield _store(settings.revocation.store)
    if settings.resource is not None:
        yield from _resource(settings)
    yield from _certificates(settings)
    for own in settings.terms:
        name = shown_url(own.issuers[0].identifier, 200)
        if len(settings.issuers) > 1:
            yield Line(NONE, "issuer", name)
        yield _audience(own, name)
        yield from _provider(own)
        progress(f"asking {name} ...", as_json=quiet)
        yield from _keys(own)
    if url is None:
        yield Line(
            NONE,
            "app",
            "not asked",
            "jwt-wsgi doctor --url URL sends it a made-up token and checks whether it"
            " arrives (mod_wsgi without WSGIPassAuthorization removes it)",
        )
    else:
        progress("asking the app ...", as_json=quiet)
        yield from live_checks(url, settings.token_from[0], settings.max_token_size)


def _unknown(message: str) -> Line:
    remedy = "Look for its name in docs/reference/settings.md; correct it, or unset it."
    return Line(WARN, "settings", message, remedy)


def _store(store: Store) -> Line:
    """Send the store the query for one token, with the middleware's own time-out."""
    try:
        Revocations(store).is_revoked({"iss": "https://doctor.invalid", "jti": "doctor"})
    except RevocationUnavailableError as error:
        return Line(FAIL, "store", f"it does not answer ({error.detail})", remedy(error.code))
    return Line(OK, "store", "it answers")


def _resource(settings: Settings) -> Iterator[Line]:
    """Warn of what clients that go by the metadata, such as those of MCP, will miss."""
    metadata = assembly.metadata(settings)
    scopes = metadata.scopes if metadata else ()
    if scopes:
        yield Line(OK, "scopes", f"the metadata name {', '.join(scopes)}")
    else:
        yield Line(
            WARN,
            "scopes",
            "the metadata of the resource and the challenges name no scope: clients such as the"
            " TypeScript SDK of MCP then ask for none, and some authorization servers refuse that",
            "Name those that requests need in JWT_WSGI_REQUIRED_SCOPES or JWT_WSGI_RULES, or"
            " scopes_supported in JWT_WSGI_RESOURCE.",
        )
    if settings.allowed_origins is None:
        yield Line(
            WARN,
            "origins",
            "pages of every website may send requests; MCP requires that Origin is checked",
            "Set JWT_WSGI_ALLOWED_ORIGINS to the origins of your pages, and to the hosts.",
        )


def _certificates(settings: Settings) -> Iterator[Line]:
    """Warn if the system has no CA certificates, so that those of certifi are used."""
    fetched = [own for own in settings.terms if own.jwks_tls is None or own.jwks_tls.verify is None]
    if fetched and trusted_place(None, os.environ) == CERTIFI:
        yield Line(
            WARN,
            "tls",
            "this system has no CA certificates: those of the Python package certifi are trusted,"
            " and a company's own CA is not",
            "Install them (Debian: ca-certificates), or set JWT_WSGI_JWKS_TLS to a file of them.",
        )


def _audience(own: Settings, name: str) -> Line:
    accepted = own.accepted_audience
    if not accepted and (clients := sorted(_CLIENTS.intersection(own.claims or ()))):
        return Line(OK, "audience", f"not set: the claim {clients[0]} says whose token it is")
    if not accepted:
        return Line(
            WARN,
            "audience",
            "not set: a token with aud is refused, and any token of"
            f" {name} without aud is accepted",
            "Set JWT_WSGI_AUDIENCE to the name of this API at the issuer.",
        )
    if "*" in accepted:
        says = "*: a token for another API is accepted as well"
        return Line(WARN, "audience", says, "Set JWT_WSGI_AUDIENCE to this API's own value.")
    return Line(OK, "audience", ", ".join(printable(value, 200) for value in accepted[:10]))


def _provider(own: Settings) -> Iterator[Line]:
    """Warn of settings that have an unexpected effect with this provider."""
    if warning := provider_warning(own):
        says, _, remedy_ = warning.partition("; ")
        yield Line(WARN, "provider", says.removeprefix("issuer: "), remedy_)


def _keys(own: Settings) -> Iterator[Line]:
    report = report_of(own)
    named = _metadata_issuer(report)
    if report.kind == "discovery" and named is not None and named != report.issuer:
        yield _other_issuer(report.issuer, named)
    elif report.problem:
        yield Line(FAIL, "keys", *_failed(report, has_headers=bool(own.jwks_headers)))
    elif not report.listed:
        says = f"{report.source} is called for each token; it lists no keys"
        yield Line(NONE, "keys", says, "Add current(), which returns a KeySet, to see its keys.")
    elif not report.used:
        yield _no_key_fits(own, report)
    else:
        by = f" (found by {report.found_by})" if report.found_by else ""
        yield Line(OK, "keys", f"{len(report.used)} usable, from {report.source}{by}")
    if report.withheld:
        yield Line(
            WARN,
            "headers",
            f"jwks_headers and the certificate of jwks_tls are not sent to"
            f" {shown_url(report.withheld)}: discovery names another origin than the issuer's",
            "Set JWT_WSGI_JWKS_URI to that URL if they are meant for it; otherwise leave them out.",
        )
    yield from _ad_fs(report)
    if report.found_by == "jwks_uri":
        yield from _slash(own, report.issuer)
    yield from _skipped(report)
    yield from _clock(report, own.leeway)


def _no_key_fits(own: Settings, report: Report) -> Line:
    """Every token would be refused: with key_not_found, or for its algorithm."""
    accepted = ", ".join(sorted(assembly.accepted_algorithms(own)))
    return Line(
        FAIL,
        "keys",
        f"none of {len(report.rows)} keys fits the accepted algorithms ({accepted}), from"
        f" {report.source}",
        "Set JWT_WSGI_ALGORITHMS to what the issuer signs with, or leave it out (jwt-wsgi keys"
        " lists the keys).",
    )


def _slash(own: Settings, name: str) -> Iterator[Line]:
    """Read the metadata also if ``jwks_uri`` is set, to find a wrong slash in the issuer.

    Headers and certificates are for the host of ``jwks_uri``, so they are not sent.
    """
    bare = replace(assembly.fetcher(own), headers={}, cert=None)
    named = _metadata_issuer(of_url(name, own, bare, None, ()))
    if named is not None and named != name and named.rstrip("/") == name.rstrip("/"):
        yield _other_issuer(name, named)


def _failed(report: Report, *, has_headers: bool = False) -> tuple[str, str]:
    """The problem with the keys, and its remedy."""
    causes = list(_causes(report.cause))
    if any(_PROXY_ASKS.search(str(error)) for error in causes):
        return (
            f"{report.source}: a proxy asks for a password (407)",
            "Look at the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY of this process.",
        )
    if any(re.search(r"\bstatus 40[13]\b", str(said)) for said in (report.problem, *causes)):
        return f"{report.source}: {report.problem}", _credentials(
            sent=has_headers and not report.withheld
        )
    return f"{report.source}: {report.problem}", fetch_remedy(report.kind, report.problem)


def _credentials(*, sent: bool) -> str:
    """The remedy for a server that refuses missing or wrong credentials."""
    if sent:
        return (
            "The server refuses the credentials in JWT_WSGI_JWKS_HEADERS: check them and their age."
        )
    return (
        'Set JWT_WSGI_JWKS_HEADERS={"Authorization": {"file": PATH, "prefix": "Bearer "}} to a file'
        " with a token for this server; in Kubernetes PATH is"
        " /var/run/secrets/kubernetes.io/serviceaccount/token."
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


def _ad_fs(report: Report) -> Iterator[Line]:
    """Warn of AD FS, whose access tokens have another ``iss`` than its metadata and ID tokens."""
    signs = _in_metadata(report, "access_token_issuer")
    if signs is not None and signs != report.issuer:
        yield Line(
            WARN,
            "issuer",
            f"AD FS: access tokens have the iss {printable(signs, 200)}, not the configured one",
            f"Set JWT_WSGI_ISSUER={printable(signs, 200)} and JWT_WSGI_JWKS_URI={report.source}.",
        )


def _metadata_issuer(report: Report) -> str | None:
    """Return the ``issuer`` of the last metadata document that was read."""
    return _in_metadata(report, "issuer")


def _in_metadata(report: Report, name: str) -> str | None:
    """Return a text member of the last metadata document that was read."""
    for body in reversed([*report.documents.values()]):
        try:
            metadata = json_object(body)
        except ValueError:
            continue
        if "keys" not in metadata and isinstance(metadata.get("issuer"), str):
            found = metadata.get(name)
            return found if isinstance(found, str) else None
    return None


def _other_issuer(configured: str, named: str) -> Line:
    ours, theirs = printable(configured, 200), printable(named, 200)
    if configured.rstrip("/") == named.rstrip("/"):
        return Line(
            FAIL,
            "issuer",
            f"slash mismatch: configured is {ours}, its metadata says {theirs}",
            f"Set JWT_WSGI_ISSUER={theirs}: tokens have exactly this iss.",
        )
    return Line(
        FAIL,
        "issuer",
        f"the metadata at {ours} is that of {theirs}",
        "Set JWT_WSGI_ISSUER to that if you trust it, or JWT_WSGI_JWKS_URI to skip discovery.",
    )


def _skipped(report: Report) -> Iterator[Line]:
    for row in report.rows:
        if row.private:
            yield Line(
                FAIL,
                "private key",
                f"{row.kid or '(without kid)'} is published with its private part: anyone can"
                " sign as the issuer",
                "Have the issuer withdraw it and sign with a new key, now; it is not used here.",
            )
        elif row.reason and (report.used or row.reason != NO_ALGORITHM):
            says = f"{row.kid or '(without kid)'} is skipped: {row.reason}"
            remedy_ = "Nothing to do, unless tokens are signed with it."
            harmless = row.reason == NOT_FOR_SIGNATURES
            yield Line(OK, "key", says) if harmless else Line(WARN, "key", says, remedy_)


def _clock(report: Report, leeway: float) -> Iterator[Line]:
    if report.date is None:
        return
    off = report.asked - report.date
    says = f"{duration(off)} {'ahead of' if off > 0 else 'behind'} the issuer's"
    if abs(off) > max(leeway, _CLOCK_SLACK):
        remedy = (
            "Correct the clock that is wrong (NTP): good tokens are refused, or old ones accepted."
        )
        yield Line(FAIL, "clock", f"{says}, more than the leeway of {duration(leeway)}", remedy)
    else:
        same = "the same as the issuer's, to the second"
        yield Line(OK, "clock", same if abs(off) <= _CLOCK_SLACK else says)
