"""Which certificates of servers are trusted, and the TLS context that a fetch uses.

The first of these that is set is the only one used: the option ``jwks_tls``
(its ``verify``); the environment's ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``; ``SSL_CERT_FILE``
and ``SSL_CERT_DIR``, which OpenSSL reads; the system's CA certificates; those of certifi, where the
system has none.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from requests.utils import DEFAULT_CA_BUNDLE_PATH

#: The file of certifi's certificates.
CERTIFI: Final = str(DEFAULT_CA_BUNDLE_PATH)
_OF_REQUESTS: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OF_OPENSSL: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def client_context(
    bundle: str | None = None, cert: str | tuple[str, str] | None = None
) -> ssl.SSLContext:
    """Make the context of one fetch. ``bundle``, ``cert``: ``verify`` and ``cert`` of ``jwks_tls``.

    It is made of the ``ssl`` module as it is now: gunicorn's gevent workers replace its classes
    after this module was imported, and a context of the old class fails in each worker.
    Raises OSError (``ssl.SSLError`` is one) for files that cannot be read or hold no certificate.
    """
    place = trusted_place(bundle, os.environ)
    if place is None:
        context = ssl.create_default_context()
    elif Path(place).is_dir():
        context = ssl.create_default_context(capath=place)
    else:
        context = ssl.create_default_context(cafile=place)
    if cert is not None:
        context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    return context


def trusted_place(bundle: str | None, environment: Mapping[str, str]) -> str | None:
    """The file or folder of CA certificates to use. None: OpenSSL finds them itself."""
    given = bundle or next(filter(None, map(environment.get, _OF_REQUESTS)), None)
    if given or any(map(environment.get, _OF_OPENSSL)) or system_has_certificates():
        return given
    return CERTIFI


def system_has_certificates() -> bool:
    """Whether OpenSSL's default paths hold certificates, or the system has its own store."""
    if os.name == "nt":
        return True
    paths = ssl.get_default_verify_paths()
    file, folder = paths.cafile, paths.capath  # None where there is no such file
    return bool(
        (file and Path(file).stat().st_size) or (folder and next(Path(folder).iterdir(), None))
    )
