"""How the option ``revocation`` is read: a store, a function, or both, and what a failure means."""

from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import cast

from jwt_wsgi.revocation.revocations import Revoked
from jwt_wsgi.revocation.store import Store
from jwt_wsgi.revocation.store import is_store

from .reading import check_members
from .values import read_boolean
from .values import read_function
from .values import read_if_json

_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_MEMBERS: Final = ("store", "function", "fail_open")
_STORE_WANTED: Final = (
    f"give a URL that begins with {', '.join(_SCHEMES)}, or an object with the methods of a Store"
    " (read_entries, write_entry, add_entry); for a redis-py client RedisStore(client) of"
    " jwt_wsgi.revocation.redis"
)


class Revocation(NamedTuple):
    """Who is asked whether a token is revoked. ``fail_open``: tokens pass while that fails."""

    store: Store | None = None
    function: Revoked | None = None
    fail_open: bool = False


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
    return Revocation(
        None if store is None else store_of(store),
        None if function is None else cast("Revoked", read_function(function)),
        read_boolean(members.get("fail_open", False)),
    )


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
        why = "it is no URL that redis-py takes: redis://[[user]:password@]host[:port][/number]"
        raise ValueError(why) from None
