"""Reads the values of options, from text or from objects.

Each function takes a raw value and returns the checked one, or raises ValueError.
"""

import base64
import inspect
import json
import math
import os
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from typing import Final
from typing import TypeVar
from urllib.parse import urlsplit

from jwt_wsgi import jose
from jwt_wsgi.claims import MAX_LEEWAY
from jwt_wsgi.keys import DocumentError
from jwt_wsgi.keys import KeySet
from jwt_wsgi.strict_json import json_value
from jwt_wsgi.trusted_issuer import media_type

from .mistakes import check_filled_in
from .mistakes import check_jwks_uri
from .mistakes import check_quotes
from .mistakes import check_value
from .pem_texts import bare_key
from .pem_texts import public_key

KeyValue = TypeVar("KeyValue")


def read_text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give a text that is not empty, or leave it out")
    text = value.strip().removeprefix("\ufeff").strip()  # written by some editors
    check_quotes(text)
    return text


def read_identifier(value: object) -> str:
    """A URL or another identifier, without placeholders."""
    text = read_text(value)
    check_filled_in(text)
    return text


def read_jwks_uri(value: object) -> str:
    uri = read_text(value)
    check_jwks_uri(uri)
    return uri


def read_texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        check_quotes(value.strip())
        value = read_if_json(value, list)
        value = re.split(r"[,\s]+", value) if isinstance(value, str) else value
        value = [part for part in value if part != ""]
    is_list = isinstance(value, Iterable) and not isinstance(value, Mapping | bytes)
    parts = tuple(value) if is_list else ()
    if not parts or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(
            "give at least one text and no empty one, or leave it out; as a list"
            " with commas or white space, or as a JSON array"
        )
    for part in parts:
        check_quotes(part)
    return parts


_PAIRS: Final = "give name=value pairs, commas between them, or a JSON object"
#: A pair. Its name may be a JSON array, which may contain commas.
_PAIR: Final = re.compile(r"\s*(\[.*?\]|[^=]*?)\s*=\s*(.*?)\s*", re.DOTALL)


def read_name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("every name must be a text that is not empty")
    return value


def read_mapping(value: object, name: Callable[[object], str] = read_name) -> dict[str, Any]:
    """Read pairs or a mapping; ``name`` reads each name in it."""
    value = read_if_json(value, dict)
    pairs: list[tuple[object, Any]] = []
    if isinstance(value, str):
        for part in re.split(r",(?![^\[\]]*\])", value.strip()):
            pair = _PAIR.fullmatch(part)
            if part.strip() and (pair is None or re.match(r"\[.*,", pair[2])):
                raise ValueError(_PAIRS)
            for text in pair.groups() if pair else ():
                check_quotes(text)
            pairs += [(pair[1], pair[2])] if pair else []
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    if not pairs:
        raise ValueError(_PAIRS)
    named = {name(key): inner for key, inner in pairs}
    if len(named) < len(pairs):
        raise ValueError("a name is given twice; in a JSON object it may have a list of values")
    return named


#: The most dots in a claim's name: each dot adds ways in which the name can be read.
MAX_DOTS: Final = 16


def read_claim_name(value: object) -> str:
    """The name of a claim, or a list of names from the top down: its text is a JSON array."""
    value = read_if_json(value, list)
    if not isinstance(value, list | tuple):
        name = read_name(value)
        if name.count(".") > MAX_DOTS:
            raise ValueError(f"a name has at most {MAX_DOTS} dots; a list of names is exact")
        return name
    if not value or not all(isinstance(part, str) and part for part in value):
        raise ValueError("a claim is a name, or a list of names that are not empty")
    plain = len(value) == 1 and "." not in value[0] and not value[0].startswith("[")
    return str(value[0]) if plain else json.dumps(value)


def read_claim_names(value: Any) -> tuple[str, ...]:
    value = read_if_json(value, list)
    if isinstance(value, str):
        value = read_texts(value)
    is_list = isinstance(value, Iterable) and not isinstance(value, str | Mapping | bytes)
    return read_texts([read_claim_name(name) for name in value] if is_list else value)


#: How the JSON text of each kind begins.
_BEGINNINGS: Final[Mapping[type, str]] = {dict: "{", list: "["}


def read_if_json(value: object, *kinds: type) -> Any:
    """Read a text that begins like JSON of one of these kinds; return any other value as it is."""
    for kind in kinds:
        if isinstance(value, str) and value.lstrip().startswith(_BEGINNINGS[kind]):
            return read_json(value, kind)
    return value


def read_json(text: str, kind: type) -> Any:
    try:
        value = json_value(text.encode())
    except ValueError as error:
        raise ValueError(f"it looks like JSON but cannot be read: {error}") from error
    if not isinstance(value, kind):
        raise ValueError("it is JSON of another kind")  # noqa: TRY004  # a setting's value
    return value


def read_boolean(value: object) -> bool:
    words = {True: ("1", "true", "yes", "on"), False: ("0", "false", "no", "off")}
    for truth, spellings in words.items():
        if value is truth or (isinstance(value, str) and value.strip().lower() in spellings):
            return truth
    raise ValueError("give 1/true/yes/on or 0/false/no/off")


#: The name of a header or of a cookie (a token of RFC 9110 section 5.6.2).
FIELD_NAME: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
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


def read_age(value: object) -> float:
    age = read_seconds(value)
    if age < 1:
        raise ValueError("it is too short; give at least 1 s, or leave it out")
    return age


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
    if leeway > MAX_LEEWAY:
        most = f"at most {MAX_LEEWAY:g} s"
        raise ValueError(f"{most}, or expired tokens pass for too long; correct the clocks")
    return leeway


def read_some_of(*known: str) -> Callable[[object], tuple[str, ...]]:
    def parse(value: object) -> tuple[str, ...]:
        names = read_texts(value)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
        return names

    return parse


def read_audience(value: object) -> tuple[str, ...]:
    entries = read_texts(value)
    for entry in entries:
        check_filled_in(entry)
        base = entry.removesuffix("/*")
        urlsplit(base)  # raises ValueError now, and not later for a token
        plain_base = re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s*]+(/[^?#\s*]*)?", base)
        if entry != "*" and "*" in entry and not (entry.endswith("/*") and plain_base):
            raise ValueError('give "*" by itself, or as the last segment of a URL with a host')
    return entries


#: In ``token_types`` this is the whole profile of access tokens, not a ``typ``.
RFC9068: Final = "rfc9068"


def read_token_types(value: object) -> tuple[str, ...]:
    types = tuple(media_type(typ) for typ in read_texts(value))
    if RFC9068 in types and len(types) > 1:
        raise ValueError(f"{RFC9068} cannot be combined: its only typ is at+jwt")
    return types


def read_expected(value: object) -> dict[str, tuple[Any, ...]]:
    expected = {
        name: tuple(values) if isinstance(values, list | tuple | set | frozenset) else (values,)
        for name, values in read_mapping(value, read_claim_name).items()
    }
    if not all(values and None not in values for values in expected.values()):
        raise ValueError("every claim needs a value, or several, to compare with")
    for member in (member for values in expected.values() for member in values):
        check_value(member)
    return expected


def read_scopes(value: object) -> tuple[str, ...]:
    scopes = read_texts(value)
    # scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749 section 3.3)
    if not all(re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) for scope in scopes):
        raise ValueError('a scope is ASCII without white space, " and \\')
    return scopes


def read_keys(read: Callable[[Any], KeyValue]) -> Callable[[object], KeyValue]:
    def parse(value: object) -> KeyValue:
        try:
            return read(value)
        except (DocumentError, jose.UnusableKeyError) as error:
            raise ValueError(f"{error}") from error

    return parse


def read_jwks(value: object) -> KeySet | Path:
    """A JWKS, or the path of a file that holds one: such a file is read again when it changes."""
    if isinstance(value, Mapping):
        return KeySet.of(value)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return KeySet.parse(value)
    path = Path(read_existing_file(value))
    KeySet.parse(path.read_bytes())
    return path


def read_pem(value: object) -> KeySet:
    return KeySet.single(public_key(read_text(value)))


def read_existing_file(value: object) -> str:
    text = read_text(os.fspath(value) if isinstance(value, os.PathLike) else value)
    if "-----BEGIN" in text:
        raise ValueError("it is PEM, not a path; write it to a file and give the path of that")
    path = Path(text)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ValueError("it is not a regular file, so reading it might never end")
        path.read_bytes()
    except OSError as error:  # its own text would show the value, which may be a key
        raise ValueError(
            f"it cannot be read ({error.strerror}); give the path of a file"
        ) from error
    return str(path)


#: What is given for a secret by mistake: PEM, an OpenSSH key, the URL of one.
_PUBLIC: Final = re.compile(rb"\s*(-----BEGIN |ssh-|ecdsa-sha2-|https?://)")
#: A text that is in the public example secrets of jwt.io.
_EXAMPLE: Final = re.compile(rb"at-least-\d+-bits-long|your-\d+-bit-secret")


#: A secret with so few different bytes can be guessed. Of secrets of 32 random digits, one in ten
#: million has so few.
_FEW: Final = 5


def read_secret(value: object) -> bytes:
    text = read_text(value)
    try:
        encoded = text.startswith("base64:") and text.removeprefix("base64:")
        secret = base64.b64decode(encoded, validate=True) if encoded else text.encode()
    except ValueError as error:
        raise ValueError("what follows base64: is not base64") from error
    # With a public text as secret, anyone could sign (RFC 8725 section 2.1).
    if _PUBLIC.match(secret) or _is_json_object(secret) or bare_key(text):
        raise ValueError("a key file, JSON or a URL is not a secret; public_key and jwks take keys")
    if _EXAMPLE.search(secret):
        raise ValueError("it is a public example of jwt.io; use random bytes")
    size = len(secret)
    if any(secret == (secret[:n] * size)[:size] for n in range(1, min(16, size // 2) + 1)):
        raise ValueError("it repeats one short text, which can be guessed; use random bytes")
    if len(set(secret)) <= min(_FEW, size // 6):  # one that is too short is refused as such
        raise ValueError("it has five different bytes or fewer and can be guessed; use random ones")
    return secret


def _is_json_object(data: bytes) -> bool:
    """Whether it is a JWK or a JWKS. One random secret in 256 begins with ``{`` as well."""
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


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
        raise ValueError("it is async, and it would not be awaited; give a plain function")
    return value
