"""Settings that relax a check. Each may be intended; an audit should list them."""

from collections.abc import Iterator

from jwt_wsgi import assembly
from jwt_wsgi.claims import LEEWAY
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.settings.openings import open_audience
from jwt_wsgi.settings.openings import open_paths

from .rule_words import TOKENS


def relaxed_checks(settings: Settings) -> Iterator[str]:
    """Yield each setting that accepts more than a valid token for this API."""
    for rule in settings.request_rules:
        if rule.token != Token.REQUIRED:
            yield f"{_where(rule)}: {TOKENS[Token(rule.token)]}"
    metadata = assembly.metadata(settings)
    for path in metadata.paths if metadata else ():
        yield f"{path}: the metadata of the option resource (RFC 9728); it needs no token"
    if logout := assembly.logout_path(settings):
        yield f"{logout}: takes logout tokens of your issuers (revocation, backchannel_logout)"
    yield from open_paths(settings)
    for own in settings.terms or (settings,):
        yield from open_audience(own)
        if own.leeway > LEEWAY:
            issuer = own.issuers[0].identifier if own.issuers else "each issuer"
            yield f"leeway: tokens of {issuer} are accepted for {own.leeway:g} s after they expire"
    if settings.cors.skip_preflight:
        yield "cors: skip_preflight: an OPTIONS request in the form of a preflight needs no token"
    if settings.allow_http:
        yield "allow_http: keys may be fetched without TLS, so an attacker can replace them"
    if "*" in settings.cors.origins:
        yield "cors: * lets scripts of every website read refusals"
    if settings.bound_tokens == "accept":
        yield "bound_tokens: accept takes a bound token without proof of its key"
    if settings.revocation and settings.revocation.fail_open:
        yield "revocation: fail_open accepts revoked tokens while the store or function fails"
    if settings.settings_from_request:
        yield "settings_from_request: the server's environ keys jwt_wsgi.* change all of this"


def _where(rule: Rule) -> str:
    methods = "" if rule.methods is None else ",".join(sorted(rule.methods)) + " "
    return f"{methods}{rule.path}"
