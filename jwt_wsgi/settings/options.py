"""Every option, in one table: how it is read, its default, its meaning.

The fields of :class:`Table` and of :class:`~.issuer.Terms` are the table. It drives keywords,
``JWT_WSGI_*``, ``JWT_WSGI_*_FILE``, WSGI environ keys and the documentation's table of settings.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Final
from typing import Literal

from jwt_wsgi.events import LOG_FIELDS
from jwt_wsgi.events import Hook
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.metadata import audiences
from jwt_wsgi.origin_check import AllowedOrigins
from jwt_wsgi.responses import DEFAULT_REALM
from jwt_wsgi.responses import Responder
from jwt_wsgi.revocation.revocations import Revoked
from jwt_wsgi.revocation.store import Store
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.scope_hierarchy import Included
from jwt_wsgi.verifier import MAX_TOKEN_SIZE

from . import request_values
from . import values
from .fetching import Snapshot
from .fetching import read_snapshot
from .issuer import ByClaim
from .issuer import Issuer
from .issuer import IssuerList
from .issuer import IssuerOptions
from .issuer import Required
from .issuer import Resolver
from .issuer import Seconds
from .issuer import TenantFunction
from .issuer import Terms
from .issuer import read_issuers
from .origins import CORS
from .origins import read_allowed_origins
from .origins import read_cors
from .reading import Option
from .reading import option
from .reading import options_of
from .resource import Resource
from .resource import read_resource
from .revocation import Revocation
from .revocation import read_revocation
from .rule_texts import read_rules

PREFIX: Final = "JWT_WSGI_"
#: The defaults.
_POLICY: Final = Policy()


class Options(IssuerOptions, total=False):
    """The keywords of ``JWTMiddleware``, for type checkers; :class:`Table` explains them."""

    issuer: str | Issuer | Iterable[str | Issuer] | Resolver | Mapping[str, Any]
    max_token_size: int | str
    token_from: str | Iterable[str] | Mapping[str, Any]
    optional: bool | str
    public_paths: str | Iterable[str]
    required_scopes: str | Iterable[str]
    scope_includes: str | Mapping[str, str | Iterable[str]]
    rules: str | Iterable[Rule | Mapping[str, Any]]
    allowed_origins: str | Iterable[str] | Mapping[str, Any]
    cors: str | Iterable[str] | Mapping[str, Any]
    claim_headers: str | ByClaim
    realm: str
    error_details: bool | str
    responder: Responder
    resource: str | Mapping[str, Any]
    bound_tokens: Literal["refuse", "accept"]
    revocation: str | Store | Revoked | Mapping[str, Any]
    jwks_max_age: Seconds
    jwks_max_stale: Seconds
    jwks_timeout: Seconds
    jwks_snapshot: str | Mapping[str, Any]
    allow_http: bool | str
    token_cache_size: int | str
    settings_from_request: bool | str
    on_event: Hook | Iterable[Hook]
    log_fields: str | Iterable[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Terms):
    """What a middleware does: the value of every option."""

    issuer: tuple[Issuer, ...] | TenantFunction = option(
        read_issuers,
        "Identifier of the issuer, compared byte for byte with `iss`; or an `Issuer`, several of"
        " either (as text a JSON array), or a function `(iss)` or `(iss, environ)` that returns an"
        " `Issuer` or None. Or a mapping: of `issuers` and `ready` (`any`, `all` or identifiers:"
        " whose keys make a process ready), or of `function` and `max_tenants`.",
        (),
        shown="**required**",
    )
    max_token_size: int = option(
        values.read_integer(256, 1_000_000), "The most characters of a token.", MAX_TOKEN_SIZE
    )
    token_from: tuple[str, ...] = option(
        request_values.read_token_from,
        "Where the token may stand, one place or several: `header`, `header:NAME` (bare, or with"
        " `Bearer`), `cookie:NAME`. Or a mapping of `places` and `forward`: false takes the token"
        " out of the request before the app runs.",
        ("header",),
        shown="header",
    )
    optional: bool = option(
        values.read_boolean,
        "A missing token passes (payload `None`); a bad one is still refused.",
        False,
    )
    public_paths: tuple[str, ...] = option(
        request_values.read_paths,
        "Paths that need no token: exact (`/healthz`) or whole subtrees (`/docs/*`).",
        (),
    )
    required_scopes: tuple[str, ...] = option(
        values.read_scopes, "Scopes that every request with a token needs, all of them.", ()
    )
    scope_includes: Included | None = option(
        request_values.read_scope_includes,
        "Which scope includes which: a token with `admin` needs no `read` if `admin` includes it"
        " (`admin=write, write=read`). It counts wherever scopes are compared.",
    )
    rules: tuple[Rule, ...] = option(
        read_rules,
        "What requests need, by path and method: a list of `Rule` or a JSON array of objects;"
        " instead of `public_paths`, `optional` and `required_scopes`.",
        (),
    )
    allowed_origins: AllowedOrigins | None = option(
        read_allowed_origins,
        "Origins whose pages may send requests; any other `Origin` is 403 before anything else. Or"
        " a mapping of `origins`, `hosts` (what `Host` may be, against DNS rebinding) and `paths`"
        " (default: all).",
    )
    cors: CORS = option(
        read_cors,
        "Origins (or `*`) whose scripts may read our own answers; with credentials, those that are"
        " named. Or a mapping of `origins` and `skip_preflight`: true lets preflights (`OPTIONS`"
        " with `Origin` and `Access-Control-Request-Method`) through without a token; the app must"
        " answer every `OPTIONS` without doing anything.",
        CORS(),
        shown="-",
    )
    claim_headers: Mapping[str, tuple[str, ...]] | None = option(
        request_values.read_claim_headers,
        "Claims the app finds as request headers (`sub=X-User`); incoming ones are removed. The"
        " name `REMOTE_USER` stands for the CGI variable; a token without its claim is refused. For"
        " several issuers: `iss\\|sub` (the issuer, `\\|` and the claim), or `unique\\|sub` if all"
        " of them mean the same person by one value.",
    )
    realm: str = option(request_values.read_realm, "`realm` of every challenge.", DEFAULT_REALM)
    error_details: bool = option(
        values.read_boolean,
        "`false` leaves `details` and `error_description` out of answers, and the code of every"
        " invalid token is `token_invalid`.",
        True,
    )
    responder: Responder | None = option(
        values.read_function,
        "Function `(error, status) -> (status, headers, body)`: the answer without its challenge.",
        text=False,
    )
    resource: Resource | None = option(
        read_resource,
        "RFC 9728 identifier of this API. It is an accepted audience, its metadata is published,"
        " and challenges have its URL. Or a mapping of `resource` and other members, such"
        " as `resource_name`, `resource_documentation` and `scopes_supported` (besides the scopes"
        " that rules need).",
    )
    bound_tokens: str = option(
        values.read_one_of("refuse", "accept"),
        "Tokens bound to a key (`cnf`): `accept` them if a proxy in front has checked the proof.",
        "refuse",
    )
    revocation: Revocation | None = option(
        read_revocation,
        "Which tokens are revoked: the URL of a Redis, a `Store`, a function `(claims) -> bool`, or"
        " a mapping of `store`, `function`, `fail_open` and `backchannel_logout` (`path` and"
        " `client_id`: where your issuer posts logouts). If store or function fail, the answer is"
        " 503; with `fail_open` the token passes.",
        secret=True,
    )
    jwks_max_age: float = option(
        values.read_seconds, "Age at which held keys are confirmed before use.", _POLICY.max_age
    )
    jwks_max_stale: float = option(
        values.read_seconds,
        "How long held keys are used while the issuer cannot be reached.",
        _POLICY.max_stale,
    )
    jwks_timeout: float = option(
        values.read_seconds, "Total time of one fetch, discovery included.", _POLICY.timeout
    )
    jwks_snapshot: Snapshot | None = option(
        read_snapshot,
        "Keep the last JWKS of each issuer on disk, for a process that starts while the issuer is"
        " down: a mapping of `path` (a folder), `secret` (32 bytes at least) and `max_age` (1h).",
        secret=True,
    )
    allow_http: bool = option(
        values.read_boolean, "Permit `http` for issuers and JWKS, also off loopback.", False
    )
    token_cache_size: int = option(
        values.read_integer(0, 1_000_000),
        "Verified tokens remembered in each process, about 2 KiB each, on average 4 KiB at most;"
        " `0`: none.",
        4096,
    )
    settings_from_request: bool = option(
        values.read_boolean,
        "Read settings from server-supplied WSGI environ keys `jwt_wsgi.<name>`, too.",
        False,
    )
    on_event: tuple[Hook, ...] = option(
        values.read_functions,
        "Hooks that get every event, beside the log.",
        (),
        text=False,
    )
    log_fields: tuple[str, ...] = option(
        values.read_some_of(*LOG_FIELDS),
        "Further fields of requests in the log: some of `sub`, `jti`, `client_id`, `act` (verified"
        " claims, on an INFO line for each accepted request) and `path` (of refusals, too).",
        (),
    )

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """The configured issuers; empty if a function names the issuers."""
        return self.issuer if isinstance(self.issuer, tuple) else ()

    @property
    def ready(self) -> Required:
        """Which issuers must have keys before a process is ready; none if a function names them."""
        if isinstance(self.issuer, IssuerList):
            return self.issuer.ready
        return "any" if isinstance(self.issuer, tuple) else frozenset()

    @property
    def has_resolver(self) -> bool:
        """Whether a function names the issuers, when their tokens come."""
        return isinstance(self.issuer, TenantFunction)

    @property
    def forward_token(self) -> bool:
        """Whether the app finds the token in the request."""
        return getattr(self.token_from, "forward", True)

    @property
    def policy(self) -> Policy:
        """How remote keys are kept and refreshed: in the background at half of their age."""
        return Policy(
            refresh_after=max(1.0, self.jwks_max_age / 2),
            max_age=self.jwks_max_age,
            max_stale=self.jwks_max_stale,
            timeout=self.jwks_timeout,
        )

    @property
    def accepted_audience(self) -> tuple[str, ...]:
        """``audience``, and ``resource``, which is one (RFC 9728 section 3.3)."""
        return (*self.audience, *(audiences(self.resource.url) if self.resource else ()))

    @property
    def request_rules(self) -> tuple[Rule, ...]:
        """``rules``, or what its shorthands stand for."""
        return self.rules or self.shorthand_rules()

    def shorthand_rules(self) -> tuple[Rule, ...]:
        public = tuple(Rule(path, token=Token.IGNORED) for path in self.public_paths)
        if not self.optional and not self.required_scopes:
            return public  # where no rule matches, a token is required anyway
        token = Token.OPTIONAL if self.optional else Token.REQUIRED
        return (*public, Rule("/*", token=token, scopes=frozenset(self.required_scopes)))


#: The table itself: name -> option, the issuer first.
OPTIONS: Final[Mapping[str, Option]] = dict(
    sorted(options_of(Table).items(), key=lambda row: row[0] != "issuer")
)
