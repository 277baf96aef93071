"""How the value of an option is read, whether it came as text or as an object.

Each function takes a raw value and returns the checked one; its ValueError says what is wanted.
"""

import base64
import difflib
import inspect
import json
import math
import os
import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from typing import Final
from urllib.parse import urlsplit

from jwt_wsgi import jose
from jwt_wsgi.bearer import environ_key
from jwt_wsgi.errors import printable
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Token
from jwt_wsgi.rules import is_plain
from jwt_wsgi.strict_json import json_value
from jwt_wsgi.trusted_issuer import media_type

from .issuer import Issuer
from .issuer import settled


def check_utf8(value: object) -> None:
    """Bytes of the environment that are no UTF-8 are lone surrogates in Python (PEP 383)."""
    if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
        raise ValueError("it is not UTF-8")


def read_text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give a text that is not empty, or leave it out")
    return value.strip()


def read_texts(value: Any) -> tuple[str, ...]:
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


def read_mapping(value: object) -> dict[str, Any]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _json(value, dict)
    elif isinstance(value, str):
        pairs = [part.partition("=") for part in re.split(r"\s*,\s*", value.strip()) if part]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError("give name=value pairs, commas between them, or a JSON object")
        value = {name.strip(): text.strip() for name, _, text in pairs}
        if len(value) < len(pairs):
            raise ValueError("a name stands there twice; as a JSON object it may have a list")
    if not isinstance(value, Mapping) or not value:
        raise ValueError("give name=value pairs, commas between them, or a JSON object")
    if not all(isinstance(name, str) and name for name in value):
        raise ValueError("every name must be a text that is not empty")
    return dict(value)


def _json(text: str, kind: type) -> Any:
    try:
        value = json_value(text.encode())
    except ValueError as error:
        raise ValueError(f"it looks like JSON but is none: {error}") from error
    if not isinstance(value, kind):
        raise ValueError("it is JSON of another kind")  # noqa: TRY004  # a setting's value
    return value


def read_boolean(value: object) -> bool:
    words = {True: ("1", "true", "yes", "on"), False: ("0", "false", "no", "off")}
    for truth, spellings in words.items():
        if value is truth or (isinstance(value, str) and value.strip().lower() in spellings):
            return truth
    raise ValueError("give 1/true/yes/on or 0/false/no/off")


#: RFC 9110 section 5.6.2.
_NAME: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def read_seconds(value: Any) -> float:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, str) and (
        match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
    ):
        return float(match[1]) * _UNITS[match[2]]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and value >= 0:
        return float(value)
    raise ValueError("give seconds (600) or a duration (90s, 10m, 1h)")


def read_integer(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"\s*\d{1,12}\s*", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return value

    return parse


def read_one_of(*words: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in words:
            raise ValueError(f"give one of: {', '.join(words)}")
        return str(value)

    return parse


def read_leeway(value: object) -> float:
    leeway = read_seconds(value)
    if leeway > 300:  # noqa: PLR2004
        raise ValueError("at most 300 s: more would keep expired tokens alive; mend the clocks")
    return leeway


def read_algorithms(value: object) -> tuple[str, ...]:
    names = read_texts(value)
    unknown = [name for name in names if name not in jose.ALGORITHMS]
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(jose.ALGORITHMS)}")
    return names


def read_audience(value: object) -> tuple[str, ...]:
    entries = read_texts(value)
    for entry in entries:
        base = entry.removesuffix("/*")
        urlsplit(base)  # its ValueError now, and not at a token
        plain_base = re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s*]+(/[^?#\s*]*)?", base)
        if entry != "*" and "*" in entry and not (entry.endswith("/*") and plain_base):
            raise ValueError('"*" stands alone, or as the last segment of a URL with its host')
    return entries


def read_token_types(value: object) -> tuple[str, ...]:
    return tuple(media_type(typ) for typ in read_texts(value))


def read_expected(value: object) -> dict[str, tuple[Any, ...]]:
    expected = {
        name: tuple(values) if isinstance(values, list | tuple | set | frozenset) else (values,)
        for name, values in read_mapping(value).items()
    }
    if not all(values and None not in values for values in expected.values()):
        raise ValueError("every claim needs a value, or several, to compare with")
    return expected


def read_paths(value: object) -> tuple[str, ...]:
    return tuple(read_path(path) for path in read_texts(value))


def read_path(value: object) -> str:
    path = read_text(value)
    if not path.startswith("/"):
        raise ValueError(f"{path}: a path starts with /")
    if "*" in path.removesuffix("/*"):
        raise ValueError(f"{path}: * stands only in /* at the end, for a whole subtree")
    return path


def read_scopes(value: object) -> tuple[str, ...]:
    scopes = read_texts(value)
    # scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749 section 3.3)
    if not all(re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) for scope in scopes):
        raise ValueError('a scope is ASCII without white space, " and \\')
    return scopes


def read_origins(value: object) -> tuple[str, ...]:
    origins = read_texts(value)
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s*@]+", origin):
            raise ValueError(f"{origin}: an origin is scheme://host or scheme://host:port, or *")
    return origins


def read_realm(value: object) -> str:
    realm = read_text(value)
    if not re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", realm):
        raise ValueError('it stands in a header: printable ASCII without " and \\')
    return realm


def read_places(value: object) -> tuple[str, ...]:
    places = read_texts(value)
    for spec in places:
        # A header's and a cookie's name are RFC 9110 tokens; Content-* is no HTTP_* in WSGI.
        named = rf"(header:(?!(?i:content-))|cookie:){_NAME}"
        if spec != "header" and not re.fullmatch(named, spec):
            raise ValueError(f"{spec}: give header, header:NAME or cookie:NAME")
    spelled = {spec if spec != "header" else "header:authorization" for spec in places}
    if len({s if s.startswith("cookie") else environ_key(s) for s in spelled}) < len(places):
        raise ValueError("one place stands there twice")
    return places


def read_claim_headers(value: object) -> dict[str, str]:
    headers = read_mapping(value)
    for name in headers.values():
        allowed = rf"(?!(?i:content-|host$)){_NAME}"
        if not isinstance(name, str) or not re.fullmatch(allowed, name):
            raise ValueError("give claim=Header; a header is an HTTP token, no Host, no Content-*")
    if len({environ_key(name) for name in headers.values()}) < len(headers):
        raise ValueError("two claims would write one header; - and _ are the same in WSGI")
    return headers


def read_issuers(value: Any) -> "tuple[Issuer, ...] | Callable[[str], Issuer | None]":
    """An identifier, an Issuer, several of these, JSON objects, or a function."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json(value, list)
    if isinstance(value, str | Issuer):
        value = [value]
    if callable(value):
        return value  # type: ignore[no-any-return]
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise ValueError("give an identifier, an Issuer, a list of these, or a function")  # noqa: TRY004
    issuers = tuple(_issuer(member) for member in value)
    identifiers = {issuer.identifier for issuer in issuers}
    if not issuers or len(identifiers) < len(issuers):
        raise ValueError("give at least one issuer, and each of them once")
    return issuers


def _issuer(value: Any) -> Issuer:
    if isinstance(value, Mapping):
        options = dict(value)
        identifier = options.pop("issuer", None)
        if "keys" in options or not isinstance(identifier, str):
            raise ValueError('an object needs "issuer", and options of an issuer beside it')
        value = Issuer(identifier)
        value.options = settled(options)  # any names: what is no option is told with its place
    if isinstance(value, str):
        value = Issuer(value)
    if not isinstance(value, Issuer):
        raise ValueError("give an identifier or an Issuer")  # noqa: TRY004
    read_text(value.identifier)
    if value.identifier != value.identifier.strip():
        raise ValueError("an identifier has no white space around it")
    return value


def read_keys(read: Callable[[Any], KeySet]) -> Callable[[object], KeySet]:
    def parse(value: object) -> KeySet:
        try:
            return read(value)
        except (DocumentError, jose.UnusableKeyError, OSError) as error:
            raise ValueError(f"{error}") from error

    return parse


def read_jwks(value: object) -> KeySet:
    return KeySet.of(value) if isinstance(value, Mapping) else KeySet.parse(read_text(value))


def read_pem(value: object) -> KeySet:
    return KeySet.single(jose.import_pem(read_text(value)))


def read_existing_file(value: object) -> str:
    path = Path(
        read_text(os.fspath(value)) if isinstance(value, str | os.PathLike) else read_text(value)
    )
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError("it is no regular file, and reading it might never end")
    try:
        path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"it cannot be read ({error.strerror}); give the path of a file"
        ) from error
    return str(path)


def read_jwks_path(value: object) -> str:
    path = read_existing_file(value)
    read_keys(lambda _: KeySet.parse(Path(path).read_bytes()))(None)
    return path


#: What is given for a secret by mistake: PEM, an OpenSSH key, the URL of one.
_PUBLIC: Final = re.compile(rb"\s*(-----BEGIN |ssh-|ecdsa-sha2-|https?://)")
#: What the secrets that jwt.io shows have in common; everybody knows them.
_EXAMPLE: Final = re.compile(rb"at-least-\d+-bits-long|your-\d+-bit-secret")


def read_secret(value: object) -> bytes:
    text = read_text(value)
    try:
        encoded = text.startswith("base64:") and text.removeprefix("base64:")
        secret = base64.b64decode(encoded, validate=True) if encoded else text.encode()
    except ValueError as error:
        raise ValueError("what follows base64: is no base64") from error
    if _PUBLIC.match(secret) or _is_json_object(
        secret
    ):  # whoever knows it could sign (RFC 8725 section 2.1)
        raise ValueError("a key file, JSON or a URL is no secret; public_key and jwks take keys")
    if _EXAMPLE.search(secret):
        raise ValueError("it is an example of jwt.io, which everybody knows; use random bytes")
    size = len(secret)
    if any(secret == (secret[:n] * size)[:size] for n in range(1, min(16, size // 2) + 1)):
        raise ValueError("it repeats one short text, which can be guessed; use random bytes")
    return secret


def _is_json_object(data: bytes) -> bool:
    """A JWK or a JWKS; of random secrets one in 256 begins with ``{``, and is none."""
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def read_cert(value: object) -> str | tuple[str, str]:
    paths = [read_existing_file(path) for path in read_texts(value)]
    if len(paths) > 2:  # noqa: PLR2004
        raise ValueError("give one file with certificate and key, or the two files of them")
    return paths[0] if len(paths) == 1 else (paths[0], paths[1])


def read_headers(value: object) -> dict[str, str]:
    headers = read_mapping(value)
    for name, text in headers.items():
        if not re.fullmatch(_NAME, name):
            raise ValueError("a header's name is an HTTP token")
        if not isinstance(text, str) or not re.fullmatch(r"[\x20-\x7e]*", text):
            raise ValueError("a header's value is printable ASCII")
    return headers


def read_functions(value: object) -> tuple[Callable[..., object], ...]:
    functions = (value,) if callable(value) else value
    if not isinstance(functions, Iterable):
        raise ValueError("give a function or a list of functions")  # noqa: TRY004
    every = tuple(functions)
    if not all(callable(function) for function in every):
        raise ValueError("give a function or a list of functions")
    return tuple(read_function(function) for function in every)


def read_function(value: object) -> Callable[..., object]:
    if not callable(value):
        raise ValueError("give a function")  # noqa: TRY004  # every problem is a ValueError
    if any(map(inspect.iscoroutinefunction, (value, type(value).__call__))):
        raise ValueError("it is async, and nobody would await it; give a plain function")
    return value


def read_methods(value: object) -> frozenset[str]:
    return frozenset(method.upper() for method in read_texts(value))


def read_token(value: object) -> Token:
    if not isinstance(value, str) or value not in list(Token):
        raise ValueError(f"give one of: {', '.join(Token)}")
    return Token(value)


#: How each member of a rule is read.
_RULE: Final[Mapping[str, Callable[[Any], object]]] = {
    "path": read_path,
    "methods": read_methods,
    "token": read_token,
    "scopes": lambda value: frozenset(read_scopes(value)),
    "any_scope": read_scopes,
    "claims": read_expected,
    "acr_values": read_scopes,
    "max_age": read_seconds,
}


class SeveralProblemsError(ValueError):
    """Each with the place of its own that it is to be told with."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{place}: {problem}" for place, problem in self.problems))


def read_rules(value: Any) -> tuple[Rule, ...]:
    """Rules, or objects with the same members. Raises with all problems of all rules."""
    if isinstance(value, str):
        value = _json(value, list)
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise ValueError("give a list of rules, or a JSON array of objects")  # noqa: TRY004
    rules, told = [], []
    for position, raw in enumerate(value):
        members, wrong = _rule(raw)
        told += [(f"[{position}]{name}", problem) for name, problem in wrong]
        rules.append(Rule(**members))
    if not told:
        told = [(f"[{position}]", problem) for position, problem in rule_problems(rules)]
    if told:
        raise SeveralProblemsError(told)
    return tuple(rules)


def _rule(raw: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    if type(raw) is Rule:  # of a subclass nothing but these members would count
        given = {name: getattr(raw, name) for name in _RULE}
        unsaid: dict[str, tuple[object, ...]] = dict.fromkeys(_RULE, (None, (), {}, frozenset()))
        unsaid["methods"] = (None,)
        raw = {name: v for name, v in given.items() if v not in unsaid[name]}  # no method: not all
    if not isinstance(raw, Mapping) or "path" not in raw:
        return {"path": "/"}, [("", 'a rule is a Rule, or an object with "path" and more')]
    members: dict[str, Any] = {"path": "/"}
    wrong = []
    for name, value in raw.items():
        try:
            if name not in _RULE:
                raise ValueError(f"no such member{did_you_mean(str(name), _RULE)}")
            members[name] = _RULE[name](value)
        except ValueError as error:
            wrong.append((f".{name}", f"{printable(value, 80)}: {error}"))
    return members, wrong


def did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.85)
    return f"; did you mean {near[0]}?" if near else ""


def rule_as_json(rule: Rule) -> dict[str, Any]:
    """A rule as the JSON form of ``rules`` has it."""
    told = {name: getattr(rule, name) for name in _RULE if getattr(rule, name)}
    if rule.token is Token.REQUIRED:
        del told["token"]
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in told.items()
    }


def rule_problems(rules: Sequence[Rule]) -> Iterator[tuple[int, str]]:
    """Rules that contradict themselves or can never match: position and sentence."""
    for position, rule in enumerate(rules):
        base = rule.path.removesuffix("/*") or "/"
        hider = _hidden_by(rule, rules[:position])
        if rule.token is Token.IGNORED and _has_conditions(rule):
            yield position, f"{rule.path}: no token is looked at here, so it can have no conditions"
        if rule.token is not Token.REQUIRED and not is_plain(base):
            why = "//, a dot segment, a backslash, NUL, a line feed and ; always need a token"
            yield position, f"{rule.path}: it can never match; {why}"
        elif hider is not None:
            why = f"rule {hider} ({rules[hider].path}) decides first; put it above"
            yield position, f"{rule.path}: it can never match, because {why}"


def _hidden_by(rule: Rule, earlier: Sequence[Rule]) -> int | None:
    """The earlier rule that takes the last of what this one could match, if all of it is taken."""
    left = None if rule.methods is None else set(rule.methods)
    for position, other in enumerate(earlier):
        if not _covers(other.path, rule.path):
            continue
        if other.methods is None:
            return position
        if left is not None:
            left -= {*other.methods, *_included(other.methods)}
            if not left:
                return position
    return None


def _included(methods: Collection[str]) -> tuple[str, ...]:
    return ("HEAD",) if "GET" in methods else ()


def _covers(pattern: str, path: str) -> bool:
    """Whether every path that ``path``, exact or a subtree, stands for is the pattern's."""
    if not pattern.endswith("/*"):
        return pattern == path
    return f"{path.removesuffix('/*')}/".startswith(pattern[:-1])


def _has_conditions(rule: Rule) -> bool:
    named = rule.scopes or rule.any_scope or rule.claims or rule.acr_values
    return bool(named) or rule.max_age is not None
