"""Every option, in one table: what it accepts, its default, its meaning, where it may stand.

The fields of :class:`Settings` are the table. It drives keywords, ``JWT_WSGI_*``,
``JWT_WSGI_*_FILE``, WSGI environ keys and the README's table of settings.
"""

import json
import os
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Final
from typing import Literal
from typing import NamedTuple
from typing import TypeAlias
from typing import Unpack

from jwt_wsgi import jose
from jwt_wsgi.bearer import environ_key
from jwt_wsgi.bearer import place
from jwt_wsgi.claims import Check
from jwt_wsgi.errors import AuthError
from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.errors import printable
from jwt_wsgi.events import Hook
from jwt_wsgi.events import logger
from jwt_wsgi.key_sources.facts import Policy
from jwt_wsgi.key_sources.fetch import check_url
from jwt_wsgi.key_sources.fetch import shown_url
from jwt_wsgi.keys import KeySet
from jwt_wsgi.metadata import audiences
from jwt_wsgi.metadata import resource_problem
from jwt_wsgi.revocation.revocations import Revoked
from jwt_wsgi.revocation.store import Store
from jwt_wsgi.revocation.store import store_of
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.rules import is_plain

from . import shared_issuers
from . import values
from .issuer import KEY_SLOT
from .issuer import Issuer
from .issuer import IssuerOptions
from .issuer import Seconds
from .values import SeveralProblemsError
from .values import did_you_mean
from .values import rule_as_json

PREFIX: Final = "JWT_WSGI_"
REQUEST_PREFIX: Final = "jwt_wsgi."
_NO_ISSUER: Final = (
    'issuer: missing; give issuer="https://…", the iss of the tokens, or set JWT_WSGI_ISSUER'
)


class Options(IssuerOptions, total=False):
    """The keywords of ``JWTMiddleware``, for type checkers; :class:`Settings` says the rest."""

    issuer: "str | Issuer | Iterable[str | Issuer] | Resolver"
    max_token_size: int | str
    token_from: str | Iterable[str]
    optional: bool | str
    public_paths: str | Iterable[str]
    required_scopes: str | Iterable[str]
    rules: "str | Iterable[Rule | Mapping[str, Any]]"
    skip_preflight: bool | str
    cors_origins: str | Iterable[str]
    remote_user_claim: str
    claim_headers: str | Mapping[str, str]
    forward_token: bool | str
    keep_token: bool | str
    realm: str
    error_details: bool | str
    responder: "Responder"
    resource: str
    bound_tokens: Literal["refuse", "accept"]
    revoked: Revoked
    store: str | Store
    revocation_fail_open: bool | str
    jwks_max_age: Seconds
    jwks_refresh_after: Seconds
    jwks_max_stale: Seconds
    jwks_cooldown: Seconds
    jwks_timeout: Seconds
    jwks_max_bytes: int | str
    jwks_max_keys: int | str
    jwks_verify: str | os.PathLike[str]
    jwks_cert: str | Iterable[str]
    jwks_headers: str | Mapping[str, str]
    unavailable_status: int | str
    allow_http: bool | str
    token_cache_size: int | str
    settings_from_request: bool | str
    on_event: Hook | Iterable[Hook]


Responder: TypeAlias = Callable[[AuthError], tuple[str, bytes]]
#: Names an issuer when it is asked: ``iss`` -> Issuer, or None if it is not trusted.
Resolver: TypeAlias = Callable[[str], Issuer | None]


class Option(NamedTuple):
    """How one option is read and told."""

    parse: Callable[[Any], object]
    meaning: str
    default: str
    #: False: a Python object, so by keyword only.
    text: bool = True
    #: Its value is told to nobody.
    secret: bool = False


def _option(
    parse: Callable[[Any], object],
    meaning: str,
    default: Any = None,
    *,
    shown: str = "",
    text: bool = True,
    secret: bool = False,
) -> Any:
    if not shown:
        shown = "-" if default in (None, (), {}) else str(default).lower()
    option = Option(parse, meaning, shown, text, secret)
    return field(default=default, repr=not secret, metadata={"option": option})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a middleware does: every option read, checked and with its default.

    Made by :meth:`load` or :meth:`of`; both raise :class:`ConfigurationError` with all problems.
    """

    issuer: tuple[Issuer, ...] | Resolver = _option(
        values.read_issuers,
        "Identifier of the issuer, compared byte for byte with `iss`; or an `Issuer`, several of"
        " either (as text a JSON array), or a function `iss -> Issuer` or None.",
        (),
        shown="**required**",
    )
    audience: tuple[str, ...] = _option(
        values.read_audience,
        "Accepted `aud` values, any of. An entry that ends in `/*` accepts that URL and all below"
        " it; `*`: not checked. Not set: a token that carries `aud` is refused.",
        (),
    )
    jwks_uri: str | None = _option(values.read_text, "URL of the JWKS.", shown="discovered")
    jwks: KeySet | None = _option(  # secret: it may be a private one by mistake
        values.read_keys(values.read_jwks), "A JWKS given inline.", secret=True
    )
    jwks_file: str | None = _option(
        values.read_jwks_path, "File with a JWKS; read again when it changes."
    )
    public_key: KeySet | None = _option(
        values.read_keys(values.read_pem),
        "One PEM public key or certificate, for tokens of any `kid`.",
        secret=True,  # it may be the private half by mistake
    )
    secret: bytes | None = _option(
        values.read_secret,
        "Shared secret for HS256/384/512: text, or `base64:…`; 32, 48 or 64 bytes at least.",
        secret=True,
    )
    algorithms: tuple[str, ...] = _option(
        values.read_algorithms,
        "Accepted `alg` values. `ES256K` and `Ed448` by opt-in; `HS*` only with `secret`.",
        (),
        shown=" ".join(jose.DEFAULT_ALGORITHMS) + "; with `secret` HS256",
    )
    leeway: float = _option(
        values.read_leeway, "Clock tolerance for `exp` and `nbf`, at most 300 s.", 30.0, shown="30s"
    )
    required_claims: tuple[str, ...] = _option(
        values.read_texts, "Claims a token must have, besides `exp`; names or dotted paths.", ()
    )
    claims: Mapping[str, tuple[Any, ...]] | None = _option(
        values.read_expected,
        "Expected values: a claim is equal to one of them, or a list that holds one. Names or"
        " dotted paths (`realm_access.roles`).",
    )
    max_token_age: float | None = _option(
        values.read_seconds, "Age from `iat`, which is then required, that a token may have."
    )
    token_types: tuple[str, ...] = _option(
        values.read_token_types,
        "Accepted `typ` values, without regard to case and `application/`.",
        (),
        shown="any but other kinds of JWT",
    )
    profile: str | None = _option(
        values.read_one_of("rfc9068"),
        "`rfc9068`: `typ` must be at+jwt; iss, exp, aud, sub, client_id, iat and jti are required.",
    )
    checks: tuple[Check, ...] = _option(
        values.read_functions,
        "Own functions `(claims, now)`; one that returns `False` or raises an `AuthError` refuses.",
        (),
        text=False,
    )
    max_token_size: int = _option(
        values.read_integer(256, 1_000_000), "Characters a token may have.", 16384
    )
    token_from: tuple[str, ...] = _option(
        values.read_places,
        "Where the token may stand, one place or several: `header`, `header:NAME` (bare, or with"
        " `Bearer`), `cookie:NAME`.",
        ("header",),
        shown="header",
    )
    optional: bool = _option(
        values.read_boolean,
        "A missing token passes (payload `None`); a bad one is still refused.",
        False,
    )
    public_paths: tuple[str, ...] = _option(
        values.read_paths,
        "Paths that need no token: exact (`/healthz`) or whole subtrees (`/docs/*`).",
        (),
    )
    required_scopes: tuple[str, ...] = _option(
        values.read_scopes, "Scopes that every request with a token needs, all of them.", ()
    )
    rules: tuple[Rule, ...] = _option(
        values.read_rules,
        "What requests need, by path and method: a list of `Rule` or a JSON array of objects;"
        " instead of `public_paths`, `optional` and `required_scopes`.",
        (),
    )
    skip_preflight: bool = _option(
        values.read_boolean,
        "Let CORS preflights (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) through"
        " without a token; the app must answer every `OPTIONS` without doing anything.",
        False,
    )
    cors_origins: tuple[str, ...] = _option(
        values.read_origins, "Origins (or `*`) whose scripts may read our own answers.", ()
    )
    remote_user_claim: str | None = _option(
        values.read_text, "Claim that becomes `REMOTE_USER`; an incoming one is removed."
    )
    claim_headers: Mapping[str, str] | None = _option(
        values.read_claim_headers,
        "Claims the app finds as request headers (`sub=X-User`); incoming ones are removed.",
    )
    forward_token: bool = _option(
        values.read_boolean, "`false` takes the token out of the request before the app runs.", True
    )
    keep_token: bool = _option(
        values.read_boolean, "Put the raw token into `jwt_wsgi.token`.", False
    )
    realm: str = _option(values.read_realm, "`realm` of every challenge.", "api")
    error_details: bool = _option(
        values.read_boolean,
        "`false` leaves `details` and `error_description` out of answers.",
        True,
    )
    responder: Responder | None = _option(
        values.read_function,
        "Function `(error) -> (content_type, body)` for the body of our answers.",
        text=False,
    )
    resource: str | None = _option(
        values.read_text,
        "RFC 9728 identifier of this API: publishes its metadata, names them in challenges, and is"
        " an accepted audience.",
    )
    bound_tokens: str = _option(
        values.read_one_of("refuse", "accept"),
        "Tokens bound to a key (`cnf`): `accept` when something in front has checked the proof.",
        "refuse",
    )
    revoked: Revoked | None = _option(
        values.read_function,
        "Function `(claims) -> bool`, asked for every verified token; one that raises is 503.",
        text=False,
    )
    store: Store | None = _option(
        store_of,
        "What is revoked, shared by processes: the URL of a Redis, or an object with `get`, `set`"
        " and `add` of bytes.",
        secret=True,
    )
    revocation_fail_open: bool = _option(
        values.read_boolean,
        "Where revocation cannot be checked, let the token pass instead of 503.",
        False,
    )
    jwks_max_age: float = _option(
        values.read_seconds, "Age at which held keys are confirmed before use.", 600.0, shown="10m"
    )
    jwks_refresh_after: float | None = _option(
        values.read_seconds,
        "Age at which held keys are refreshed behind a request's back.",
        None,
        shown="half of `jwks_max_age`",
    )
    jwks_max_stale: float = _option(
        values.read_seconds,
        "How long held keys serve while the issuer cannot be asked.",
        86400.0,
        shown="24h",
    )
    jwks_cooldown: float = _option(
        values.read_seconds,
        "Pause between two fetches for unknown `kid`s; four may come at once.",
        30.0,
        shown="30s",
    )
    jwks_timeout: float = _option(
        values.read_seconds, "Total time of one fetch, discovery included.", 5.0, shown="5s"
    )
    jwks_max_bytes: int = _option(
        values.read_integer(1024, 64 * 1024 * 1024), "Size of a fetched document.", 1_048_576
    )
    jwks_max_keys: int = _option(values.read_integer(1, 100_000), "Keys in a set.", 1024)
    jwks_verify: str | None = _option(
        values.read_existing_file,
        "CA bundle for the issuer's TLS certificate.",
        shown="the system's",
    )
    jwks_cert: str | tuple[str, str] | None = _option(
        values.read_cert, "Client certificate for fetches: one file, or certificate and key."
    )
    jwks_headers: Mapping[str, str] | None = _option(
        values.read_headers, "Headers sent with every fetch.", secret=True
    )
    unavailable_status: int = _option(
        values.read_integer(401, 503), "503, or 401 for gateways that insist on it.", 503
    )
    allow_http: bool = _option(
        values.read_boolean, "Permit issuers and JWKS over `http` off loopback.", False
    )
    token_cache_size: int = _option(
        values.read_integer(0, 1_000_000),
        "Verified tokens remembered in each process, about 2 KiB each; `0`: none.",
        4096,
    )
    settings_from_request: bool = _option(
        values.read_boolean,
        "Read settings from server-supplied WSGI environ keys `jwt_wsgi.<name>`, too.",
        False,
    )
    on_event: tuple[Hook, ...] = _option(
        values.read_functions,
        "Hooks that get every event, beside the log.",
        (),
        text=False,
    )

    @classmethod
    def load(
        cls,
        options: Mapping[str, object],
        *,
        environ: Mapping[str, str] = os.environ,
        request: Mapping[str, str] | None = None,
    ) -> "Settings":
        """Read settings: ``options``, then ``request``, then ``environ``; the first hit wins.

        ``request``: what a server set as ``jwt_wsgi.<name>``. Raises
        :class:`ConfigurationError` with every problem there is.
        """
        given, problems = _collect(options, request or {}, environ)
        read, wrong = _read(given)
        problems += wrong
        broken = given.keys() - read.keys()
        settings = cls(**read)
        later = settings.settings_from_request and request is None  # each request brings its own
        if not (settings.issuer or later or "issuer" in broken):
            problems.append(_NO_ISSUER)
        told = [*settings._problems()]
        if not settings.issuers:  # otherwise each of them is asked
            told += settings._term_problems()
        problems += [problem for names, problem in told if broken.isdisjoint(names)]
        for position, issuer in enumerate(settings.issuers):
            where = f"issuer[{position}]" if len(settings.issuers) > 1 else ""
            problems += settings._own(issuer, where, broken)[1]
        if problems:
            raise ConfigurationError(problems)
        return settings

    @classmethod
    def of(cls, **options: Unpack[Options]) -> "Settings":
        """Make settings of keywords alone, without the process environment."""
        return cls.load(dict(options), environ={})

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """The issuers that are known now; none of them where a function names them."""
        return self.issuer if isinstance(self.issuer, tuple) else ()

    def for_issuer(self, issuer: Issuer) -> "Settings":
        """These settings as they are for one issuer, whose own options come first.

        Raises :class:`ConfigurationError` with every problem of the issuer's options.
        """
        settings, problems = self._own(issuer, shown_url(issuer.identifier), frozenset())
        if problems:
            raise ConfigurationError(problems)
        return settings

    def _own(
        self, issuer: Issuer, where: str, broken: AbstractSet[str]
    ) -> tuple["Settings", list[str]]:
        prefix = f"{where}." if where else ""
        known = {name: raw for name, raw in issuer.options.items() if name in ISSUER_OPTIONS}
        given = {name: (prefix + name, raw) for name, raw in known.items() if raw is not None}
        read, problems = _read(given)
        problems += [
            f"{prefix}{name}: no such option of an issuer{did_you_mean(name, ISSUER_OPTIONS)}"
            for name in issuer.options.keys() - known.keys()
        ]
        hidden: dict[str, Any] = {}
        if issuer.keys is not None or not KEY_SLOT.isdisjoint(read):
            hidden = dict.fromkeys(KEY_SLOT)  # the innermost level that names keys hides the outer
        settings = replace(self, issuer=(issuer,), **(hidden | read))
        broken = broken | (given.keys() - read.keys())
        problems += [
            f"{where}: {problem}" if where else problem
            for names, problem in settings._term_problems()  # noqa: SLF001  # of this very class
            if broken.isdisjoint(names)  # otherwise it may only follow from the other problem
        ]
        return settings, problems

    def _problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What is wrong between options: the names that have a part in it, and the sentence."""
        several = len(self.issuers) > 1 or not isinstance(self.issuer, tuple)
        if several and (given := self._key_slot()):
            sentence = f"{', '.join(given)}: give it to the one issuer whose keys these are"
            yield ("issuer", *given), f"{sentence}, as an option of Issuer"
        for told in self.policy.problems():
            yield ("jwks_max_age",), told
        if self.unavailable_status not in (401, 503):
            yield ("unavailable_status",), "unavailable_status: give 503 or 401"
        if self.resource and (
            problem := resource_problem(self.resource, allow_http=self.allow_http)
        ):
            yield (
                ("resource",),
                f"resource: {shown_url(self.resource)}: {problem}",
            )
        yield from self._rule_problems()
        taken = {place(spec, 0).key for spec in self.token_from}
        for header in (self.claim_headers or {}).values():
            if environ_key(header) in taken:
                yield (
                    ("claim_headers", "token_from"),
                    f"claim_headers: the token stands in {header}",
                )

    def _rule_problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        shorthands = ("public_paths", "optional", "required_scopes")
        given = [name for name in shorthands if getattr(self, name)]
        if self.rules and given:
            written = json.dumps([rule_as_json(rule) for rule in self._shorthand_rules()])
            sentence = f"rules: they replace {', '.join(given)}, which as rules are {written}"
            yield ("rules", *shorthands), sentence
        for path in self.public_paths:
            if not is_plain(path.removesuffix("/*") or "/"):
                sentence = "such a path always needs a token; leave out //, dot segments, \\ and ;"
                yield ("public_paths",), f"public_paths: {path}: {sentence}"

    def _term_problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What is wrong with the keys and terms of one issuer."""
        given = self._key_slot()
        own_keys = any(issuer.keys is not None for issuer in self.issuers)
        if len(given) + own_keys > 1:
            listed = ", ".join([*given, *(["keys"] if own_keys else [])])
            yield tuple(given), f"{listed}: the keys come from one place; leave one of these"
        if any(not hasattr(issuer.keys or KeySet, "candidates") for issuer in self.issuers):
            yield ("keys",), "keys: give a key source: an object with candidates(header)"
        discovered = () if given or own_keys else self.issuers
        for issuer in discovered:
            if wrong := self._url_problem(issuer.identifier):
                told = shown_url(issuer.identifier)
                yield ("issuer", *KEY_SLOT), f"issuer: {told}: {wrong}"
        if self.jwks_uri and (wrong := self._url_problem(self.jwks_uri)):
            yield (
                ("jwks_uri",),
                f"jwks_uri: {shown_url(self.jwks_uri)}: {wrong}",
            )
        for issuer in self.issuers:
            if wrong := shared_issuers.unsafe(
                issuer.identifier,
                audience=self.accepted_audience,
                expected_claims=self.claims or (),
                has_own_checks=bool(self.checks),
            ):
                yield ("issuer", "audience", "claims", "checks"), wrong
        yield from self._algorithm_problems()
        if self.profile and not self.accepted_audience:
            yield ("profile", "audience", "resource"), "audience: profile rfc9068 needs it"
        if self.profile and set(self.token_types) - {"at+jwt"}:
            yield ("profile", "token_types"), "token_types: profile rfc9068 is at+jwt; leave it out"

    def _key_slot(self) -> list[str]:
        return sorted(name for name in KEY_SLOT if getattr(self, name) is not None)

    def _algorithm_problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        names = ("algorithms", "secret")
        symmetric = jose.SECRET_SIZES.keys() & set(self.algorithms)
        if self.secret is None:
            if symmetric:
                listed = ", ".join(sorted(symmetric))
                yield names, f"algorithms: {listed} need secret, and never go with public keys"
            return
        if len(symmetric) < len(self.algorithms):
            yield names, "algorithms: with secret only HS256, HS384 and HS512"
        needed = max(jose.SECRET_SIZES[name] for name in symmetric or {"HS256"})
        if len(self.secret) < needed:
            yield names, f"secret: (a secret): too short; {needed} bytes at least (RFC 7518 3.2)"

    def _url_problem(self, url: str) -> str | None:
        return check_url(url, allow_http=self.allow_http)

    @property
    def policy(self) -> Policy:
        """How remote keys are kept and refreshed."""
        soft = self.jwks_refresh_after
        return Policy(
            refresh_after=self.jwks_max_age / 2 if soft is None else soft,
            max_age=self.jwks_max_age,
            max_stale=self.jwks_max_stale,
            cooldown=self.jwks_cooldown,
            timeout=self.jwks_timeout,
        )

    @property
    def accepted_audience(self) -> tuple[str, ...]:
        """``audience``, and ``resource``, which is one (RFC 9728 section 3.3)."""
        return (*self.audience, *(audiences(self.resource) if self.resource else ()))

    @property
    def request_rules(self) -> tuple[Rule, ...]:
        """``rules``, or what its shorthands stand for."""
        return self.rules or self._shorthand_rules()

    def _shorthand_rules(self) -> tuple[Rule, ...]:
        public = tuple(Rule(path, token=Token.IGNORED) for path in self.public_paths)
        if not self.optional and not self.required_scopes:
            return public  # where no rule matches, a token is required anyway
        token = Token.OPTIONAL if self.optional else Token.REQUIRED
        return (*public, Rule("/*", token=token, scopes=frozenset(self.required_scopes)))


#: The table itself: name -> option.
OPTIONS: Final[Mapping[str, Option]] = {
    setting.name: setting.metadata["option"] for setting in fields(Settings)
}

#: What an :class:`~jwt_wsgi.trusted_issuer.Issuer` can say for itself.
ISSUER_OPTIONS: Final = frozenset(IssuerOptions.__optional_keys__)
#: What an outer instance may have put beside the options of a request.
_INJECTED: Final = frozenset({"payload", "header", "token", "error"})
#: Options whose file form would say something else: JWT_WSGI_JWKS_FILE is the option jwks_file.
_NO_FILE_FORM: Final = frozenset({"jwks", "jwks_file"})
#: What Kubernetes injects for a Service called jwt-wsgi, and what is read elsewhere.
_NOT_OPTIONS: Final = re.compile(r"APP|PORT(_.*)?|SERVICE_HOST|SERVICE_PORT(_.*)?")


def _collect(
    options: Mapping[str, object], request: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[dict[str, tuple[str, object]], list[str]]:
    """Every option that is set anywhere: name -> (place, raw value); and what is wrong so far."""
    problems: list[str] = []
    given: dict[str, tuple[str, object]] = {}
    for name, raw in options.items():
        if name not in OPTIONS:
            problems.append(f"{name}: no such option{did_you_mean(name, OPTIONS)}")
        elif raw is not None:
            given[name] = name, raw
    for name, text in request.items():
        given.setdefault(name, (REQUEST_PREFIX + name, text))
    for name, variable, text in _from_environment(environ, problems):
        given.setdefault(name, (variable, text))
    return given, problems


def _read(given: Mapping[str, tuple[str, object]]) -> tuple[dict[str, Any], list[str]]:
    """Checked values, and the problems of the others; ``given``: name -> (place, raw value)."""
    read: dict[str, Any] = {}
    problems: list[str] = []
    for name, (place_, raw) in given.items():
        try:
            values.check_utf8(raw)
            read[name] = OPTIONS[name].parse(raw)
        except SeveralProblemsError as error:
            problems += [f"{place_}{inside}: {problem}" for inside, problem in error.problems]
        except ValueError as error:
            problems.append(f"{place_}: {_shown(OPTIONS[name], raw)}: {error}")
    return read, problems


def _shown(option: Option, raw: Any) -> str:
    if option.secret:
        return "(a secret)"
    if isinstance(raw, str) and raw.lstrip().startswith(("[", "{")):
        return "(JSON)"  # it may hold a secret somewhere, and so may objects
    members = raw if isinstance(raw, list | tuple) else [raw]
    return "(objects)" if any(isinstance(m, Mapping) for m in members) else printable(raw, 80)


def _from_environment(
    environ: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[str, str, str]]:
    texts = {name for name, option in OPTIONS.items() if option.text}
    variables = {PREFIX + name.upper(): name for name in texts}
    files = {f"{PREFIX}{name.upper()}_FILE": name for name in texts - _NO_FILE_FORM}
    for variable in sorted(variable for variable in environ if variable.startswith(PREFIX)):
        if variable in variables:
            yield variables[variable], variable, environ[variable]
        elif variable in files:
            plain = variable.removesuffix("_FILE")
            if plain in environ:
                problems.append(f"{variable}: {plain} is set as well; unset one of the two")
            try:
                text = Path(environ[variable]).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                why = f"it cannot be read ({type(error).__name__})"
                problems.append(f"{variable}: {printable(environ[variable], 80)}: {why}")
            else:
                yield files[variable], variable, text.removesuffix("\n")
        elif not _NOT_OPTIONS.fullmatch(variable.removeprefix(PREFIX)):
            _unknown_variable(variable, [*variables, *files], problems)


def _unknown_variable(variable: str, known: list[str], problems: list[str]) -> None:
    """A near miss is a typing error; anything else may be a newer version's option."""
    if variable.removeprefix(PREFIX).lower() in OPTIONS:
        problems.append(f"{variable}: give it as a keyword; it is a Python object")
    elif hint := did_you_mean(variable, known):
        problems.append(f"{variable}: no such setting{hint}")
    else:
        logger.warning("%s is set, but there is no such setting", ascii(variable))


def request_settings(environ: Mapping[str, Any]) -> dict[str, str]:
    """The options that the server set in a WSGI environ; clients cannot set such names.

    Raises :class:`ConfigurationError` for a name that is nearly one of an option.
    """
    named = [key.removeprefix(REQUEST_PREFIX) for key in environ if key.startswith(REQUEST_PREFIX)]
    unknown = [name for name in named if name not in OPTIONS and name not in _INJECTED]
    hints = [(name, hint) for name in unknown if (hint := did_you_mean(name, OPTIONS))]
    if hints:
        raise ConfigurationError(
            f"{REQUEST_PREFIX}{name}: no such option{hint}" for name, hint in hints
        )
    return {
        name: str(environ[key])
        for name, option in OPTIONS.items()
        if option.text and (key := REQUEST_PREFIX + name) in environ
    }


def markdown_table() -> str:
    """The README's table of settings."""
    rows = ["| option | environment | default | meaning |", "|---|---|---|---|"]
    for name, option in OPTIONS.items():
        variable = f"`{PREFIX}{name.upper()}`" if option.text else "keyword only"
        rows.append(f"| `{name}` | {variable} | {option.default} | {option.meaning} |")
    return "\n".join(rows) + "\n"
