"""Reads the option ``revocation``: a store, a function, or both, and ``fail_open``."""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import cast

from jwt_wsgi.metadata import WELL_KNOWN
from jwt_wsgi.revocation.revocations import Revoked
from jwt_wsgi.revocation.store import Store
from jwt_wsgi.revocation.store import is_store
from jwt_wsgi.rules import is_plain

from .reading import check_members
from .values import read_boolean
from .values import read_function
from .values import read_identifier
from .values import read_if_json

_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_MEMBERS: Final = ("store", "function", "fail_open", "backchannel_logout")
_LOGOUT_MEMBERS: Final = ("path", "client_id")
_STORE_WANTED: Final = (
    f"give a URL that begins with {', '.join(_SCHEMES)}, or an object with the methods of a Store"
    " (read_entries, write_entry, add_entry); for a redis-py client RedisStore(client) of"
    " jwt_wsgi.revocation.redis"
)


class BackchannelLogout(NamedTuple):
    """Where issuers send their logouts, and the accepted ``aud`` values of their logout tokens."""

    path: str
    client_ids: tuple[str, ...]


class Revocation(NamedTuple):
    """A store, a function or both. ``fail_open``: tokens are accepted while these fail."""

    store: Store | None = None
    function: Revoked | None = None
    fail_open: bool = False
    backchannel_logout: BackchannelLogout | None = None

    @property
    def forgets_other_processes(self) -> bool:
        """Whether a logout reaches only the process that takes it."""
        return self.backchannel_logout is not None and getattr(self.store, "of_one_process", False)


def read_revocation(value: object) -> Revocation:
    """Read a URL, a store, a function, or a mapping (as text JSON) that names several of them."""
    value = read_if_json(value, dict)
    if isinstance(value, Mapping):
        return _read_members(value)
    if isinstance(value, str) or is_store(value):
        return Revocation(store=store_of(value))
    if callable(value):
        return Revocation(function=cast("Revoked", read_function(value)))
    raise ValueError(f"{_STORE_WANTED}; or a function (claims) -> bool")


def _read_members(members: Mapping[Any, Any]) -> Revocation:
    check_members(members, _MEMBERS)
    store, function = members.get("store"), members.get("function")
    if store is None and function is None:
        raise ValueError("it needs a store or a function")
    logout = members.get("backchannel_logout")
    if logout is not None and store is None:
        raise ValueError("backchannel_logout needs a store that all processes share: redis://…")
    return Revocation(
        None if store is None else store_of(store),
        None if function is None else cast("Revoked", read_function(function)),
        read_boolean(members.get("fail_open", False)),
        None if logout is None else _read_logout(logout),
    )


def _read_logout(members: object) -> BackchannelLogout:
    try:
        if not isinstance(members, Mapping):
            raise ValueError('give {"path": "/…", "client_id": "…"}')  # noqa: TRY004
        check_members(members, _LOGOUT_MEMBERS)
        return BackchannelLogout(
            _read_path(members.get("path")), _read_client_ids(members.get("client_id"))
        )
    except ValueError as error:
        raise ValueError(f"backchannel_logout: {error}") from error


def _read_path(value: object) -> str:
    """A path that every server and proxy hands on as it is: it is compared byte for byte."""
    good = isinstance(value, str) and value.isascii() and value.isprintable() and is_plain(value)
    path = cast("str", value)
    if not good or path == "/" or not {" ", "*", "%", "?", "#"}.isdisjoint(path):
        why = "give one path, /logout/backchannel, without *, dot segments, // and %XX"
        raise ValueError(f"path: {why}")
    if path.startswith(WELL_KNOWN):
        raise ValueError(f"path: the metadata of the option resource is below {WELL_KNOWN}")
    return path


def _read_client_ids(value: object) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, Iterable) or isinstance(given, Mapping | bytes):
        raise ValueError("client_id: give the client id that the issuer has for you, or a list")  # noqa: TRY004
    client_ids = tuple(map(read_identifier, given))
    if not client_ids or any("*" in client_id for client_id in client_ids):
        raise ValueError("client_id: give at least one, and none with *")
    return client_ids


def store_of(value: object) -> Store:
    """Return the store that ``value`` names: a URL of Redis, or an object that is a store.

    Connects to nothing. Raises ValueError with the remedy, without any part of the URL, which may
    hold a password.
    """
    if isinstance(value, str) and value.startswith(_SCHEMES):
        return _redis(value)
    if not is_store(value) or isinstance(value, type):
        raise ValueError(_STORE_WANTED)
    return value


def _redis(url: str) -> Store:
    try:
        from jwt_wsgi.revocation.redis import RedisStore  # noqa: PLC0415  # redis-py is an extra
    except ImportError as error:
        raise ValueError("it needs redis-py: pip install redis") from error
    try:
        return RedisStore.from_url(url)
    except Exception:  # its text may hold the password
        why = "it is not a URL that redis-py takes: redis://[[user]:password@]host[:port][/number]"
        raise ValueError(why) from None
