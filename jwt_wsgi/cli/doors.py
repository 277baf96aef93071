"""The open doors of a configuration: each may be right, and an auditor wants to know of it."""

from collections.abc import Iterator

from jwt_wsgi import assembly
from jwt_wsgi.claims import LEEWAY
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.settings.openings import open_audience
from jwt_wsgi.settings.openings import open_paths

from .rule_words import TOKENS


def doors(settings: Settings) -> Iterator[str]:
    """Everything that lets in more than a good token for this API; each with its option."""
    for rule in settings.request_rules:
        if rule.token != Token.REQUIRED:
            yield f"{_where(rule)}: {TOKENS[Token(rule.token)]}"
    metadata = assembly.metadata(settings)
    for path in metadata.paths if metadata else ():
        yield f"{path}: the metadata of the option resource (RFC 9728), which this package answers"
    yield from open_paths(settings)
    for own in settings.terms or (settings,):
        yield from open_audience(own)
        if own.leeway > LEEWAY:
            issuer = own.issuers[0].identifier if own.issuers else "each issuer"
            yield f"leeway: tokens of {issuer} are good for {own.leeway:g} s after they expire"
    if settings.skip_preflight:
        yield "skip_preflight: every OPTIONS that looks like a CORS preflight needs no token"
    if settings.allow_http:
        yield "allow_http: keys may be fetched without TLS; who is on the way can put in others"
    if "*" in settings.cors_origins:
        yield "cors_origins: * lets scripts of every website read refusals"
    if settings.bound_tokens == "accept":
        yield "bound_tokens: accept takes a token without the proof that it is bound to"
    if settings.revocation and settings.revocation.fail_open:
        yield "revocation: fail_open lets revoked tokens in while it cannot be asked"
    if settings.settings_from_request:
        yield "settings_from_request: the server's environ keys jwt_wsgi.* change all of this"


def _where(rule: Rule) -> str:
    methods = "" if rule.methods is None else ",".join(sorted(rule.methods)) + " "
    return f"{methods}{rule.path}"
