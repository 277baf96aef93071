"""Finds settings that accept every request or every audience, for a warning at start."""

from collections.abc import Iterator
from typing import Final

from jwt_wsgi.errors import printable
from jwt_wsgi.rules import Token

from .options import Table


def open_paths(settings: Table) -> Iterator[str]:
    """Yield a sentence if no path needs a token. One rule that needs one shows intent."""
    closed = _METHODS
    for rule in settings.request_rules:
        if rule.token == Token.REQUIRED:
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


def open_audience(own: Table) -> Iterator[str]:
    """Yield a sentence if every audience is accepted. ``own``: the settings for one issuer."""
    if "*" in own.audience:
        names = [printable(issuer.identifier, 200)[1:-1] for issuer in own.issuers]
        of = ", ".join(names) or "each issuer that the function names"
        yield (
            f"audience: * accepts every token of {of}, whatever API it was issued for; name the"
            " audience of this API"
        )
