"""Finds settings that are valid but seldom intended, for a warning at start."""

from collections.abc import Iterator
from typing import Final

from jwt_wsgi.errors import OFFLINE_ACCESS
from jwt_wsgi.errors import printable
from jwt_wsgi.rules import Token

from .options import Table


def open_paths(settings: Table) -> Iterator[str]:
    """Yield a sentence if no path needs a token. One rule that needs one shows intent."""
    closed = _METHODS
    for rule in settings.request_rules:
        if rule.token == Token.REQUIRED and not rule.headers:
            return
        if rule.path == "/*":
            closed = tuple(method for method in closed if not rule.takes(method))
        if not closed:
            shorthand = "optional" if settings.optional else "public_paths"
            option = "rules" if settings.rules else shorthand
            yield f"{option}: no path needs a token, because {_WHAT[Token(rule.token)]} on /*"
            return


#: A rule for all of these is for every request that an app serves.
_METHODS: Final[tuple[str, ...]] = ("GET", "POST", "PUT", "PATCH", "DELETE")
_WHAT = {
    Token.IGNORED: "no token is looked at",
    Token.OPTIONAL: "a token may be missing",
    Token.REPORT: "a refusal is only reported",
}


def useless_scopes(settings: Table) -> Iterator[str]:
    """Yield a sentence if something asks for ``offline_access``, which is about the client."""
    scopes = [scope for rule in settings.request_rules for scope in (*rule.scopes, *rule.any_scope)]
    published = settings.resource.scopes if settings.resource else ()
    options = (("rules" if settings.rules else "required_scopes", scopes), ("resource", published))
    for option, named in options:
        if OFFLINE_ACCESS in named:
            why = "a client asks its issuer for it by itself; no metadata and no challenge name it"
            yield f"{option}: {OFFLINE_ACCESS} is no scope of an API; {why}"


def open_audience(own: Table) -> Iterator[str]:
    """Yield a sentence if every audience is accepted. ``own``: the settings for one issuer."""
    if "*" in own.audience:
        names = [printable(issuer.identifier, 200)[1:-1] for issuer in own.issuers]
        of = ", ".join(names) or "each issuer that the function names"
        yield (
            f"audience: * accepts every token of {of}, whatever API it was issued for; name the"
            " audience of this API"
        )
