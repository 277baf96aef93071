"""The events of a new key set: keys that are not used, and a set without any usable key."""

from collections.abc import Collection
from collections.abc import Iterator
from typing import Final

from jwt_wsgi.events import Event
from jwt_wsgi.events import KeyDropped
from jwt_wsgi.events import NoKeyFits
from jwt_wsgi.events import PrivateKeyPublished
from jwt_wsgi.jose import permitted
from jwt_wsgi.jwk_form import NOT_FOR_SIGNATURES
from jwt_wsgi.keys import KeySet

#: The most members of one set that are reported. ``jwt-wsgi keys`` lists all of them.
MAX_DROPPED_REPORTED: Final = 20


def fits_any(keyset: KeySet, algorithms: Collection[str]) -> bool:
    """Whether a key of the set can verify one of these values of ``alg``. Empty: every ``alg``."""
    names: list[dict[str, str]] = [{}, *({"kid": kid} for kid in keyset.kids)]
    found = (keyset.candidates({**name, "alg": alg}) for alg in algorithms for name in names)
    fitting = any(permitted(key, algorithms) for keys in found for key in keys)
    return fitting or not algorithms


def arrived(source: str, keyset: KeySet, algorithms: Collection[str]) -> Iterator[Event]:
    """Yield the events of a new set. ``algorithms``: the accepted values of ``alg``; empty: any.

    Every key is built here, so that an unusable key is reported now, and not when a token names
    it. Keys that are published for another purpose, for instance for encryption as Keycloak does,
    are no event. ``source``: the URL or path that the log shows.
    """
    unusable = sorted(keyset.unusable(), key=lambda dropped: not dropped.private)
    for kid, reason, private in unusable[:MAX_DROPPED_REPORTED]:
        if private:
            yield PrivateKeyPublished(source, kid)
        elif reason != NOT_FOR_SIGNATURES:
            yield KeyDropped(source, kid, reason)
    if not fits_any(keyset, algorithms):
        yield NoKeyFits(source, len(keyset), tuple(sorted(algorithms)))
