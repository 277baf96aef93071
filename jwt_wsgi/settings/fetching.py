"""Reads the options ``jwks_tls`` and ``jwks_snapshot``."""

import os
import ssl
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Final
from typing import NamedTuple

from jwt_wsgi.key_sources.saved_keys import MAX_AGE
from jwt_wsgi.key_sources.saved_keys import MIN_SECRET

from .reading import check_members
from .values import read_existing_file
from .values import read_if_json
from .values import read_seconds
from .values import read_secret
from .values import read_text

_TLS: Final = ("verify", "cert")
_SNAPSHOT: Final = ("path", "secret", "max_age")


class TLS(NamedTuple):
    """TLS of fetches.

    ``verify``: a file of CA certificates, which replaces the default ones. ``cert``: our client
    certificate: one file, or certificate and key.
    """

    verify: str | None = None
    cert: str | tuple[str, str] | None = None


class Snapshot(NamedTuple):
    """Where the last JWKS of each issuer is kept. ``max_age``: seconds that one may be used."""

    path: Path
    secret: bytes
    max_age: float = MAX_AGE


def read_tls(value: object) -> TLS:
    """Read a path, which is ``verify``, or a mapping (as text JSON) of ``verify`` and ``cert``."""
    value = read_if_json(value, dict)
    if not isinstance(value, Mapping):
        return TLS(verify=_read_ca_bundle(value))
    members = _members(value, _TLS)
    if not members:
        raise ValueError(f"give a path, or at least one of {', '.join(_TLS)}")
    return TLS(
        _member(members, "verify", _read_ca_bundle),
        _member(members, "cert", _read_cert),
    )


def read_snapshot(value: object) -> Snapshot:
    """Read a mapping (as text JSON) of ``path`` (a folder), ``secret`` and ``max_age``."""
    value = read_if_json(value, dict)
    if not isinstance(value, Mapping):
        raise ValueError("give a mapping of path and secret; as text a JSON object")  # noqa: TRY004
    members = _members(value, _SNAPSHOT)
    for name in ("path", "secret"):
        if name not in members:
            raise ValueError(f"it needs {name}")
    return Snapshot(
        _member(members, "path", _read_folder),
        _member(members, "secret", _read_long_secret),
        _member(members, "max_age", read_seconds, MAX_AGE),
    )


def _members(value: Mapping[Any, Any], known: tuple[str, ...]) -> dict[str, Any]:
    check_members(value, known)
    return {name: member for name, member in value.items() if member is not None}


def _member(members: Mapping[str, Any], name: str, read: Any, default: Any = None) -> Any:
    try:
        return read(members[name]) if name in members else default
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _read_ca_bundle(value: object) -> str:
    path = read_existing_file(value)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:  # the message of OpenSSL depends on its version
        raise ValueError(
            "it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); convert DER with"
            " openssl x509 -inform der -in FILE -out ca.pem"
        ) from error
    return path


def _read_cert(value: object) -> str | tuple[str, str]:
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    paths = [read_existing_file(path) for path in (value if several else [value])]  # type: ignore[attr-defined]
    if len(paths) not in (1, 2):
        raise ValueError("give one file with certificate and key, or the two files of them")
    return paths[0] if len(paths) == 1 else (paths[0], paths[1])


def _read_folder(value: object) -> Path:
    path = Path(read_text(os.fspath(value) if isinstance(value, os.PathLike) else value))
    if "-----BEGIN" in str(path):
        raise ValueError("it is PEM, not a path; give the path of a folder")
    if not path.is_dir():
        raise ValueError("give a folder that exists, and that this user may write to")
    return path.absolute()  # a server may change its working directory later


def _read_long_secret(value: object) -> bytes:
    secret = read_secret(value)
    if len(secret) < MIN_SECRET:
        raise ValueError(f"too short; {MIN_SECRET} bytes at least")
    return secret
