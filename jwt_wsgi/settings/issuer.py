"""An issuer as it is configured: its identifier, its keys, and the terms of its tokens."""

import inspect
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from typing import Final
from typing import Literal
from typing import TypeAlias
from typing import TypedDict
from typing import Unpack

from jwt_wsgi import jose
from jwt_wsgi.claims import LEEWAY
from jwt_wsgi.claims import Check
from jwt_wsgi.key_sources.headers import HeaderFile
from jwt_wsgi.keys import KeySet
from jwt_wsgi.keys import KeySource
from jwt_wsgi.urls import shown_url

from . import values
from .fetching import TLS
from .fetching import read_tls
from .header_values import read_headers
from .mistakes import check_issuer_text
from .reading import Option
from .reading import Reading
from .reading import SeveralProblemsError
from .reading import did_you_mean
from .reading import option
from .reading import options_of
from .reading import read

#: Values by the name of a claim, or by a tuple of names from the top down.
ByClaim: TypeAlias = Mapping[str, Any] | Mapping[str | tuple[str, ...], Any]
Seconds: TypeAlias = float | str | timedelta
#: Where the keys of an issuer come from: one of these options, else discovery.
KEY_SLOT: Final = frozenset({"jwks_uri", "jwks", "public_key", "secret"})
#: Credentials and TLS of fetches: they are for the server of one issuer only.
FETCH_OPTIONS: Final = frozenset({"jwks_tls", "jwks_headers"})


class IssuerOptions(TypedDict, total=False):
    """The keywords of :class:`Issuer`, which are also options of the middleware."""

    audience: str | Iterable[str]
    jwks_uri: str
    jwks: str | os.PathLike[str] | Mapping[str, Any]
    public_key: str
    secret: str
    jwks_tls: str | os.PathLike[str] | Mapping[str, Any]
    jwks_headers: str | Mapping[str, str | Mapping[str, str]]
    algorithms: str | Iterable[str]
    leeway: Seconds
    required_claims: str | Iterable[str | Sequence[str]]
    claims: str | ByClaim
    max_token_age: Seconds
    token_types: str | Iterable[str]
    checks: Iterable[Check]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The options that can be given for one issuer, with their defaults."""

    audience: tuple[str, ...] = option(
        values.read_audience,
        "Accepted `aud` values; a token needs one of them. An entry that ends in `/*` accepts that"
        " URL and all below it; `*`: not checked. Not set: a token that has `aud` is refused.",
        (),
    )
    jwks_uri: str | None = option(values.read_jwks_uri, "URL of the JWKS.", shown="discovered")
    jwks: KeySet | Path | None = option(
        values.read_keys(values.read_jwks),
        "A JWKS: as JSON (what begins with `{`) or a mapping; or the path of a file that holds it,"
        " which is read again when it changes.",
        secret=True,  # it may be a private one by mistake
    )
    public_key: KeySet | None = option(
        values.read_keys(values.read_pem),
        "One PEM public key or certificate, or its base64, for tokens of any `kid`.",
        secret=True,  # it may be the private half by mistake
    )
    secret: bytes | None = option(
        values.read_secret,
        "Shared secret for HS256/384/512: text, or `base64:…`; 32, 48 or 64 bytes at least.",
        secret=True,
    )
    jwks_tls: TLS | None = option(
        read_tls,
        "A file of CA certificates (PEM) for the issuer's TLS certificate, in place of"
        " `REQUESTS_CA_BUNDLE`, `SSL_CERT_FILE` and the system's; or a mapping of `verify`, which"
        " is that file, and `cert`: our own certificate, one file, or certificate and key. It goes"
        " to the origin of `jwks_uri`, else of the issuer, only.",
        shown="the system's",
    )
    jwks_headers: Mapping[str, str | HeaderFile] | None = option(
        read_headers,
        "Headers sent with fetches, to the origin of `jwks_uri`, else of the issuer, only. A value"
        ' `{"file": PATH, "prefix": "Bearer "}` is read from the file for each fetch.',
        secret=True,
    )
    algorithms: tuple[str, ...] = option(
        values.read_some_of(*jose.ALGORITHMS),
        "Accepted `alg` values. `ES256K` and `Ed448` by opt-in (with `Ed448`, `EdDSA` takes keys of"
        " both curves); `HS*` only with `secret`.",
        (),
        shown=" ".join(jose.DEFAULT_ALGORITHMS) + "; with `secret` HS256",
    )
    leeway: float = option(
        values.read_leeway, "Clock tolerance for `exp` and `nbf`, at most 300 s.", LEEWAY
    )
    required_claims: tuple[str, ...] = option(
        values.read_claim_names,
        "Claims a token must have, besides `exp`; names as in `claims`.",
        (),
    )
    claims: Mapping[str, tuple[Any, ...]] | None = option(
        values.read_expected,
        "Expected values: a claim is equal to one of them, or a list that holds one. Names, dotted"
        " paths (`realm_access.roles`) that can be read in one way, or lists of names (as text a"
        ' JSON array: `["own", "example.com/roles"]`).',
    )
    max_token_age: float | None = option(
        values.read_age, "The most time since `iat`, which is then required."
    )
    token_types: tuple[str, ...] = option(
        values.read_token_types,
        "Accepted `typ` values, without regard to case and `application/`. `rfc9068` by itself is"
        " that profile: `typ` at+jwt; iss, exp, aud, sub, client_id, iat and jti are required.",
        (),
        shown="any but other kinds of JWT",
    )
    checks: tuple[Check, ...] = option(
        values.read_functions,
        "Your own functions `(claims, now)`. A token is refused if one returns `False` or raises.",
        (),
        text=False,
    )

    @property
    def is_rfc9068(self) -> bool:
        """Whether tokens must follow the profile of RFC 9068."""
        return self.token_types == (values.RFC9068,)


#: The options of one issuer: name -> option.
ISSUER_OPTIONS: Final[Mapping[str, Option]] = options_of(Terms)


class Issuer:
    """One of several issuers to trust: its identifier, and what differs from the middleware's.

    .. code-block:: python

        issuers = [Issuer("https://a.example", audience="https://api.example"),
                   Issuer("https://b.example", jwks_uri="https://keys.example/b")]

    The identifier is compared byte for byte with ``iss``. ``keys``: a key source of your own.
    Options are read here. Nothing is raised: the middleware reports all wrong options together.
    """

    __slots__ = ("identifier", "keys", "options", "reading")

    def __init__(
        self, identifier: str, *, keys: KeySource | None = None, **options: Unpack[IssuerOptions]
    ) -> None:
        self.identifier = identifier
        self.keys = keys
        #: The options as they were given: two issuers with equal ones are configured alike. Lists
        #: and dicts are copies: the app may change its own, which must not change this.
        self.options: Mapping[str, object] = _copied(options)
        self.reading = _read(options)

    @classmethod
    def of(cls, members: Mapping[str, object]) -> "Issuer":
        """Make one of a JSON object: ``issuer``, and options beside it. Raises ValueError."""
        options = dict(members)
        identifier = options.pop("issuer", None)
        if "keys" in options or not isinstance(identifier, str):
            raise ValueError('an object needs "issuer", and options of an issuer beside it')
        issuer = cls(identifier)
        issuer.options, issuer.reading = _copied(options), _read(options)
        return issuer

    def __repr__(self) -> str:
        return f"Issuer({self.identifier!r})"


#: A function that returns the Issuer for an ``iss``, or for ``iss`` and the WSGI environ.
#: None: this ``iss`` is not trusted.
Resolver: TypeAlias = (
    Callable[[str], Issuer | None] | Callable[[str, Mapping[str, Any]], Issuer | None]
)


#: The most tenants with a verified token whose keys each process keeps.
MAX_TENANTS: Final = 4096
#: The members of the two mappings that ``issuer`` may be.
_OF_ISSUERS: Final = ("issuers", "ready")
_OF_FUNCTION: Final = ("function", "max_tenants")
#: Which issuers must have keys before a process is ready: "any", "all", or identifiers.
Required: TypeAlias = Literal["any", "all"] | frozenset[str]


@dataclass(frozen=True, slots=True)
class TenantFunction:
    """A function for the option ``issuer``. ``max_tenants``: the most tenants that are kept.

    ``sees_request``: the function takes the WSGI environ as its second argument.
    """

    function: Resolver
    max_tenants: int = MAX_TENANTS
    sees_request: bool = False


class IssuerList(tuple[Issuer, ...]):  # noqa: SLOT001  # a subclass of tuple cannot have slots
    """The configured issuers. ``ready``: which must have keys before a process is ready."""

    ready: Required = "any"


def read_issuers(value: Any) -> IssuerList | TenantFunction:
    """Read an identifier, an Issuer, a JSON object, several of these, or a function.

    A function may stand in a mapping, with ``max_tenants`` beside it, and so may several issuers,
    with ``ready``.
    """
    value = values.read_if_json(value, dict, list)
    if isinstance(value, str | Issuer):
        value = [value]
    if isinstance(value, TenantFunction):
        return value
    if callable(value):
        return _tenant_function(value, MAX_TENANTS)
    if isinstance(value, Mapping):
        return _read_members(value)
    if not isinstance(value, Iterable) or isinstance(value, bytes):
        raise ValueError("give an identifier, an Issuer, a list of these, or a function")  # noqa: TRY004
    issuers = IssuerList(_each(list(value)))
    identifiers = {issuer.identifier for issuer in issuers}
    if not issuers or len(identifiers) < len(issuers):
        raise ValueError("give at least one issuer, and each of them once")
    return issuers


def _read_members(members: Mapping[Any, Any]) -> IssuerList | TenantFunction:
    known = _OF_FUNCTION if members.keys().isdisjoint(_OF_ISSUERS) else _OF_ISSUERS
    for name in members:
        if name not in known:
            hint = did_you_mean(str(name), known)
            both = "issuers and ready, or function and max_tenants"
            raise ValueError(f"its members are {both}{hint}")
    if "issuers" in members:
        return _read_list(members["issuers"], members.get("ready", "any"))
    most = members.get("max_tenants", MAX_TENANTS)
    try:
        most = values.read_integer(1, 1_000_000)(most)
    except ValueError as error:
        raise ValueError(f"max_tenants: {error}") from error
    return _tenant_function(members.get("function"), most)


def _tenant_function(value: object, max_tenants: int) -> TenantFunction:
    """Read a function of ``iss``, or of ``iss`` and the environ: one that needs two arguments.

    A function that can be called with ``iss`` only does not get the environ: its answer is then
    used for every request.
    """
    function: Any = values.read_function(value)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return TenantFunction(function, max_tenants)
    takes = [number for number in (1, 2) if _takes(signature, number)]
    if not takes:
        raise ValueError("the function takes other arguments than (iss) or (iss, environ)")
    return TenantFunction(function, max_tenants, sees_request=takes == [2])


def _takes(signature: inspect.Signature, number: int) -> bool:
    try:
        signature.bind(*[None] * number)
    except TypeError:
        return False
    return True


def _each(members: list[Any]) -> tuple[Issuer, ...]:
    """Read every issuer. Raises with the problems of all of them."""
    issuers, wrong = [], []
    for position, member in enumerate(members):
        try:
            issuers.append(_issuer(member))
        except ValueError as error:
            if len(members) == 1 and not isinstance(member, Issuer):
                raise
            name = member.identifier if isinstance(member, Issuer) else member
            shown = f"{shown_url(name)}: " if isinstance(name, str) else ""
            place = f"[{position}]" if len(members) > 1 else ""
            wrong.append((place, f"{shown}{error}"))
    if wrong:
        raise SeveralProblemsError(wrong)
    return tuple(issuers)


def _read_list(members: object, ready: Any) -> IssuerList:
    issuers = read_issuers(members)
    if not isinstance(issuers, IssuerList) or isinstance(members, Mapping):
        raise ValueError("issuers: give an identifier, an Issuer, or a list of these")  # noqa: TRY004
    known = {issuer.identifier for issuer in issuers}
    if ready not in ("any", "all"):
        named = {ready} if isinstance(ready, str) else {*ready} if _is_list(ready) else set()
        if not named or not named <= known:
            raise ValueError("ready: give any, all, or identifiers of these issuers")
        ready = frozenset(named)
    issuers.ready = ready
    return issuers


def _is_list(value: object) -> bool:
    is_list = isinstance(value, list | tuple | set | frozenset)
    return is_list and all(isinstance(member, str) for member in value)  # type: ignore[attr-defined]


def _issuer(value: object) -> Issuer:
    issuer = Issuer(value) if isinstance(value, str) else value
    issuer = Issuer.of(issuer) if isinstance(issuer, Mapping) else issuer
    if not isinstance(issuer, Issuer):
        raise ValueError("give an identifier or an Issuer")  # noqa: TRY004
    if values.read_text(issuer.identifier) != issuer.identifier:
        raise ValueError("an identifier has no white space around it")
    check_issuer_text(issuer.identifier)
    return issuer


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(member) for name, member in value.items()}
    if isinstance(value, list | set):
        return type(value)(map(_copied, value))
    return value


def _read(options: Mapping[str, Any]) -> Reading:
    given = {name: (name, raw) for name, raw in options.items() if raw is not None}
    known = {name: place for name, place in given.items() if name in ISSUER_OPTIONS}
    reading = read(ISSUER_OPTIONS, known)
    for name in options.keys() - ISSUER_OPTIONS.keys():
        hint = did_you_mean(name, ISSUER_OPTIONS)
        reading.problems[name] = [f"{name}: no such option of an issuer{hint}"]
    return reading
