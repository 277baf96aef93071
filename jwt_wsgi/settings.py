"""Every option, in one table: what it accepts, its default, its meaning, where it may stand.

The fields of :class:`Settings` are the table. It drives keywords, ``JWT_WSGI_*``,
``JWT_WSGI_*_FILE``, WSGI environ keys and the README's table of settings.
"""

import base64
import difflib
import json
import math
import os
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from typing import Final
from typing import Literal
from typing import NamedTuple
from typing import TypedDict
from typing import Unpack

from . import jose
from .claims import Check
from .claims import claim_checks
from .errors import AuthError
from .errors import ConfigurationError
from .events import Emit
from .events import Hook
from .events import logger
from .events import printable
from .fetch import HTTPFetch
from .fetch import check_url
from .issuer import TrustedIssuer
from .issuer import media_type
from .jwks import Policy
from .jwks import RemoteKeys
from .keys import DocumentError
from .keys import FileKeys
from .keys import KeySet
from .keys import KeySource
from .rules import Rule
from .rules import Token

PREFIX: Final = "JWT_WSGI_"
REQUEST_PREFIX: Final = "jwt_wsgi."
_NO_ISSUER: Final = (
    'issuer: missing; give issuer="https://…", the iss of the tokens, or set JWT_WSGI_ISSUER'
)


class Options(TypedDict, total=False):
    """The keywords of ``JWTMiddleware``, for type checkers; :class:`Settings` says the rest."""

    issuer: str
    audience: str | Iterable[str]
    jwks_uri: str
    jwks: str | Mapping[str, Any]
    jwks_file: str | os.PathLike[str]
    public_key: str
    secret: str
    algorithms: str | Iterable[str]
    leeway: "Seconds"
    required_claims: str | Iterable[str]
    claims: str | Mapping[str, Any]
    token_types: str | Iterable[str]
    checks: Iterable[Check]
    max_token_size: int | str
    optional: bool | str
    public_paths: str | Iterable[str]
    required_scopes: str | Iterable[str]
    skip_preflight: bool | str
    cors_origins: str | Iterable[str]
    realm: str
    error_details: bool | str
    responder: "Responder"
    bound_tokens: Literal["refuse", "accept"]
    jwks_max_age: "Seconds"
    jwks_refresh_after: "Seconds"
    jwks_max_stale: "Seconds"
    jwks_cooldown: "Seconds"
    jwks_timeout: "Seconds"
    jwks_max_bytes: int | str
    jwks_max_keys: int | str
    jwks_verify: str | os.PathLike[str]
    jwks_cert: str | Iterable[str]
    jwks_headers: str | Mapping[str, str]
    unavailable_status: int | str
    allow_http: bool | str
    settings_from_request: bool | str
    on_event: Hook | Iterable[Hook]


Seconds = float | str | timedelta
Responder = Callable[[AuthError], tuple[str, bytes]]


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


# --- How values are read. A ValueError says what is wanted. ---------------------------------


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give a text that is not empty, or leave it out")
    return value.strip()


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _json(value, list) if value.lstrip().startswith("[") else re.split(r"[,\s]+", value)
        value = [part for part in value if part != ""] if isinstance(value, list) else value
    is_list = isinstance(value, Iterable) and not isinstance(value, Mapping | bytes)
    parts = tuple(value) if is_list else ()
    if not parts or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(
            "give at least one text and no empty one, or leave it out; as a list"
            " with commas or white space, or as a JSON array"
        )
    return parts


def _mapping(value: object) -> dict[str, Any]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _json(value, dict)
    elif isinstance(value, str):
        pairs = [part.partition("=") for part in re.split(r"\s*,\s*", value.strip()) if part]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError("give name=value pairs, commas between them, or a JSON object")
        value = {name.strip(): text.strip() for name, _, text in pairs}
    if not isinstance(value, Mapping) or not value:
        raise ValueError("give name=value pairs, commas between them, or a JSON object")
    if not all(isinstance(name, str) and name for name in value):
        raise ValueError("every name must be a text that is not empty")
    return dict(value)


def _json(text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it looks like JSON but is none: {error}") from error
    if not isinstance(value, kind):
        raise ValueError("it is JSON of another kind")  # noqa: TRY004  # a setting's value
    return value


def _boolean(value: object) -> bool:
    words = {True: ("1", "true", "yes", "on"), False: ("0", "false", "no", "off")}
    for truth, spellings in words.items():
        if value is truth or (isinstance(value, str) and value.strip().lower() in spellings):
            return truth
    raise ValueError("give 1/true/yes/on or 0/false/no/off")


_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str) and (
        match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
    ):
        return float(match[1]) * _UNITS[match[2]]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and value >= 0:
        return float(value)
    raise ValueError("give seconds (600) or a duration (90s, 10m, 1h)")


def _integer(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"\s*\d{1,12}\s*", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return value

    return parse


def _one_of(*words: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in words:
            raise ValueError(f"give one of: {', '.join(words)}")
        return str(value)

    return parse


def _leeway(value: object) -> float:
    leeway = _seconds(value)
    if leeway > 300:  # noqa: PLR2004
        raise ValueError("at most 300 s: more would keep expired tokens alive; mend the clocks")
    return leeway


def _algorithms(value: object) -> tuple[str, ...]:
    names = _texts(value)
    unknown = [name for name in names if name not in jose.ALGORITHMS]
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(jose.ALGORITHMS)}")
    return names


def _audience(value: object) -> tuple[str, ...]:
    entries = _texts(value)
    for entry in entries:
        base = entry.removesuffix("/*")
        plain_base = re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s*]+(/[^?#\s*]*)?", base)
        if entry != "*" and "*" in entry and not (entry.endswith("/*") and plain_base):
            raise ValueError('"*" stands alone, or as the last segment of a URL with its host')
    return entries


def _token_types(value: object) -> tuple[str, ...]:
    return tuple(media_type(typ) for typ in _texts(value))


def _expected(value: object) -> dict[str, tuple[Any, ...]]:
    expected = {
        name: tuple(values) if isinstance(values, list | tuple | set | frozenset) else (values,)
        for name, values in _mapping(value).items()
    }
    if not all(values and None not in values for values in expected.values()):
        raise ValueError("every claim needs a value, or several, to compare with")
    return expected


def _paths(value: object) -> tuple[str, ...]:
    paths = _texts(value)
    for path in paths:
        if not path.startswith("/"):
            raise ValueError(f"{path}: a path starts with /")
        if "*" in path.removesuffix("/*"):
            raise ValueError(f"{path}: * stands only in /* at the end, for a whole subtree")
    return paths


def _scopes(value: object) -> tuple[str, ...]:
    scopes = _texts(value)
    # scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749 section 3.3)
    if not all(re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) for scope in scopes):
        raise ValueError('a scope is ASCII without white space, " and \\')
    return scopes


def _origins(value: object) -> tuple[str, ...]:
    origins = _texts(value)
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s*@]+", origin):
            raise ValueError(f"{origin}: an origin is scheme://host or scheme://host:port, or *")
    return origins


def _realm(value: object) -> str:
    realm = _text(value)
    if not re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", realm):
        raise ValueError('it stands in a header: printable ASCII without " and \\')
    return realm


def _keys(read: Callable[[Any], KeySet]) -> Callable[[object], KeySet]:
    def parse(value: object) -> KeySet:
        try:
            return read(value)
        except (DocumentError, jose.UnusableKeyError, OSError) as error:
            raise ValueError(f"{error}") from error

    return parse


def _jwks(value: object) -> KeySet:
    return KeySet.of(value) if isinstance(value, Mapping) else KeySet.parse(_text(value))


def _pem(value: object) -> KeySet:
    return KeySet.single(jose.import_pem(_text(value)))


def _existing_file(value: object) -> str:
    path = Path(_text(os.fspath(value)) if isinstance(value, str | os.PathLike) else _text(value))
    try:
        path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"it cannot be read ({error.strerror}); give the path of a file"
        ) from error
    return str(path)


def _jwks_path(value: object) -> str:
    path = _existing_file(value)
    _keys(lambda _: KeySet.parse(Path(path).read_bytes()))(None)
    return path


def _secret(value: object) -> bytes:
    text = _text(value)
    if not text.startswith("base64:"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("base64:"), validate=True)
    except ValueError as error:
        raise ValueError("what follows base64: is no base64") from error


def _cert(value: object) -> str | tuple[str, str]:
    paths = [_existing_file(path) for path in _texts(value)]
    if len(paths) > 2:  # noqa: PLR2004
        raise ValueError("give one file with certificate and key, or the two files of them")
    return paths[0] if len(paths) == 1 else (paths[0], paths[1])


def _headers(value: object) -> dict[str, str]:
    headers = _mapping(value)
    for name, text in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError("a header's name is an HTTP token")
        if not isinstance(text, str) or not re.fullmatch(r"[\x20-\x7e]*", text):
            raise ValueError("a header's value is printable ASCII")
    return headers


def _functions(value: object) -> tuple[Callable[..., object], ...]:
    functions = (value,) if callable(value) else value
    if not isinstance(functions, Iterable):
        raise ValueError("give a function or a list of functions")  # noqa: TRY004
    every = tuple(functions)
    if not all(callable(function) for function in every):
        raise ValueError("give a function or a list of functions")
    return every


def _function(value: object) -> Callable[..., object]:
    if not callable(value):
        raise ValueError("give a function")  # noqa: TRY004  # every problem is a ValueError
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a middleware does: every option read, checked and with its default.

    Made by :meth:`load` or :meth:`of`; both raise :class:`ConfigurationError` with all problems.
    """

    issuer: str = _option(
        _text,
        "Identifier of the issuer, compared byte for byte with `iss`.",
        "",
        shown="**required**",
    )
    audience: tuple[str, ...] = _option(
        _audience,
        "Accepted `aud` values, any of. An entry that ends in `/*` accepts that URL and all below"
        " it; `*`: not checked. Not set: a token that carries `aud` is refused.",
        (),
    )
    jwks_uri: str | None = _option(_text, "URL of the JWKS.", shown="discovered")
    jwks: KeySet | None = _option(_keys(_jwks), "A JWKS given inline.")
    jwks_file: str | None = _option(_jwks_path, "File with a JWKS; read again when it changes.")
    public_key: KeySet | None = _option(
        _keys(_pem), "One PEM public key or certificate, for tokens of any `kid`."
    )
    secret: bytes | None = _option(
        _secret,
        "Shared secret for HS256/384/512: text, or `base64:…`; 32, 48 or 64 bytes at least.",
        secret=True,
    )
    algorithms: tuple[str, ...] = _option(
        _algorithms,
        "Accepted `alg` values. `ES256K` and `Ed448` by opt-in; `HS*` only with `secret`.",
        (),
        shown=" ".join(jose.DEFAULT_ALGORITHMS) + "; with `secret` HS256",
    )
    leeway: float = _option(
        _leeway, "Clock tolerance for `exp` and `nbf`, at most 300 s.", 30.0, shown="30s"
    )
    required_claims: tuple[str, ...] = _option(
        _texts, "Claims a token must have, besides `exp`; names or dotted paths.", ()
    )
    claims: Mapping[str, tuple[Any, ...]] | None = _option(
        _expected,
        "Expected values: a claim is equal to one of them, or a list that holds one. Names or"
        " dotted paths (`realm_access.roles`).",
    )
    token_types: tuple[str, ...] = _option(
        _token_types,
        "Accepted `typ` values, without regard to case and `application/`.",
        (),
        shown="any but other kinds of JWT",
    )
    checks: tuple[Check, ...] = _option(
        _functions,
        "Own functions `(claims, now)`; one that returns `False` or raises an `AuthError` refuses.",
        (),
        text=False,
    )
    max_token_size: int = _option(_integer(256, 1_000_000), "Characters a token may have.", 16384)
    optional: bool = _option(
        _boolean, "A missing token passes (payload `None`); a bad one is still refused.", False
    )
    public_paths: tuple[str, ...] = _option(
        _paths, "Paths that need no token: exact (`/healthz`) or whole subtrees (`/docs/*`).", ()
    )
    required_scopes: tuple[str, ...] = _option(
        _scopes, "Scopes that every request with a token needs, all of them.", ()
    )
    skip_preflight: bool = _option(
        _boolean, "Let CORS preflights (`OPTIONS` with `Origin`) through without a token.", False
    )
    cors_origins: tuple[str, ...] = _option(
        _origins, "Origins (or `*`) whose scripts may read our own answers.", ()
    )
    realm: str = _option(_realm, "`realm` of every challenge.", "api")
    error_details: bool = _option(
        _boolean, "`false` leaves `details` and `error_description` out of answers.", True
    )
    responder: Responder | None = _option(
        _function,
        "Function `(error) -> (content_type, body)` for the body of our answers.",
        text=False,
    )
    bound_tokens: str = _option(
        _one_of("refuse", "accept"),
        "Tokens bound to a key (`cnf`): `accept` when something in front has checked the proof.",
        "refuse",
    )
    jwks_max_age: float = _option(
        _seconds, "Age at which held keys are confirmed before use.", 600.0, shown="10m"
    )
    jwks_refresh_after: float | None = _option(
        _seconds,
        "Age at which held keys are refreshed behind a request's back.",
        None,
        shown="half of `jwks_max_age`",
    )
    jwks_max_stale: float = _option(
        _seconds, "How long held keys serve while the issuer cannot be asked.", 86400.0, shown="24h"
    )
    jwks_cooldown: float = _option(
        _seconds, "Pause between two fetches for unknown `kid`s.", 30.0, shown="30s"
    )
    jwks_timeout: float = _option(
        _seconds, "Total time of one fetch, discovery included.", 5.0, shown="5s"
    )
    jwks_max_bytes: int = _option(
        _integer(1024, 64 * 1024 * 1024), "Size of a fetched document.", 1_048_576
    )
    jwks_max_keys: int = _option(_integer(1, 100_000), "Keys in a set.", 1024)
    jwks_verify: str | None = _option(
        _existing_file, "CA bundle for the issuer's TLS certificate.", shown="the system's"
    )
    jwks_cert: str | tuple[str, str] | None = _option(
        _cert, "Client certificate for fetches: one file, or certificate and key."
    )
    jwks_headers: Mapping[str, str] | None = _option(
        _headers, "Headers sent with every fetch.", secret=True
    )
    unavailable_status: int = _option(
        _integer(401, 503), "503, or 401 for gateways that insist on it.", 503
    )
    allow_http: bool = _option(_boolean, "Permit issuers and JWKS over `http` off loopback.", False)
    settings_from_request: bool = _option(
        _boolean,
        "Read settings from server-supplied WSGI environ keys `jwt_wsgi.<name>`, too.",
        False,
    )
    on_event: tuple[Hook, ...] = _option(
        _functions,
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
        values: dict[str, Any] = {}
        for name, (place, raw) in given.items():
            try:
                values[name] = OPTIONS[name].parse(raw)
            except ValueError as error:
                shown = "(a secret)" if OPTIONS[name].secret else printable(raw, 80)
                problems.append(f"{place}: {shown}: {error}")
        broken = given.keys() - values.keys()
        settings = cls(**values)
        later = settings.settings_from_request and request is None  # each request brings its own
        if not (settings.issuer or later or "issuer" in broken):
            problems.append(_NO_ISSUER)
        for names, problem in settings._contradictions():
            if broken.isdisjoint(names):  # otherwise it may only follow from the other problem
                problems.append(problem)
        if problems:
            raise ConfigurationError(problems)
        return settings

    @classmethod
    def of(cls, **options: Unpack[Options]) -> "Settings":
        """Make settings of keywords alone, without the process environment."""
        return cls.load(dict(options), environ={})

    def _contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What is wrong between options: the names that have a part in it, and the sentence."""
        slot = {"jwks_uri", "jwks", "jwks_file", "public_key", "secret"}
        given = sorted(name for name in slot if getattr(self, name) is not None)
        if len(given) > 1:
            yield (
                tuple(given),
                f"{', '.join(given)}: the keys come from one place; leave one of these",
            )
        if not given and self.issuer and (problem := self._url_problem(self.issuer)):
            yield ("issuer", *slot), f"issuer: {printable(self.issuer, 80)}: {problem}"
        if self.jwks_uri and (problem := self._url_problem(self.jwks_uri)):
            yield ("jwks_uri",), f"jwks_uri: {printable(self.jwks_uri, 80)}: {problem}"
        yield from self._algorithm_problems()
        for problem in self.policy.problems():
            yield ("jwks_max_age",), problem
        if self.unavailable_status not in (401, 503):
            yield ("unavailable_status",), "unavailable_status: give 503 or 401"

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

    def trusted_issuers(self, emit: Emit) -> list[TrustedIssuer]:
        """The issuers, ready for a verifier. Fetches nothing."""
        if self.settings_from_request:  # each request's settings make issuers of their own
            return []
        default = ("HS256",) if self.secret is not None else jose.DEFAULT_ALGORITHMS
        return [
            TrustedIssuer(
                self.issuer,
                self._key_source(emit),
                frozenset(self.algorithms or default),
                frozenset(self.token_types),
                claim_checks(
                    leeway=self.leeway,
                    audience=self.audience,
                    required=self.required_claims,
                    expected=self.claims or {},
                    own=self.checks,
                ),
            )
        ]

    def _key_source(self, emit: Emit) -> KeySource:
        if self.secret is not None:
            return KeySet.single(jose.secret_key(self.secret))
        if inline := self.jwks or self.public_key:
            return inline
        if self.jwks_file:
            return FileKeys(self.jwks_file, emit=emit, max_keys=self.jwks_max_keys)
        return RemoteKeys(
            self.issuer,
            jwks_uri=self.jwks_uri,
            fetch=HTTPFetch(
                max_bytes=self.jwks_max_bytes,
                verify=self.jwks_verify or True,
                cert=self.jwks_cert,
                headers=self.jwks_headers or {},
                allow_http=self.allow_http,
            ),
            policy=self.policy,
            emit=emit,
            leeway=self.leeway,
            allow_http=self.allow_http,
            max_keys=self.jwks_max_keys,
        )

    def rules(self) -> tuple[Rule, ...]:
        """What ``public_paths``, ``optional`` and ``required_scopes`` are shorthands for."""
        public = [Rule(path, token=Token.IGNORED) for path in self.public_paths]
        token = Token.OPTIONAL if self.optional else Token.REQUIRED
        return (*public, Rule("/*", token=token, scopes=frozenset(self.required_scopes)))


#: The table itself: name -> option.
OPTIONS: Final[Mapping[str, Option]] = {
    setting.name: setting.metadata["option"] for setting in fields(Settings)
}

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
            problems.append(f"{name}: no such option{_did_you_mean(name, OPTIONS)}")
        elif raw is not None:
            given[name] = name, raw
    for name, text in request.items():
        given.setdefault(name, (REQUEST_PREFIX + name, text))
    for name, place, text in _from_environment(environ, problems):
        given.setdefault(name, (place, text))
    return given, problems


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
    if hint := _did_you_mean(variable, known):
        problems.append(f"{variable}: no such setting{hint}")
    else:
        logger.warning("%s is set, but there is no such setting", ascii(variable))


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.85)
    return f"; did you mean {near[0]}?" if near else ""


def request_settings(environ: Mapping[str, Any]) -> dict[str, str]:
    """The options that the server set in a WSGI environ; clients cannot set such names."""
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
