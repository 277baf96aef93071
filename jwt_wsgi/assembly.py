"""Build the verifier, the issuers and their key sources from settings. Fetches nothing."""

from collections.abc import Callable
from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final

from . import jose
from .cache import CachingVerifier
from .claims import Claims
from .claims import claim_checks
from .errors import ConfigurationError
from .events import Emit
from .events import logger
from .key_sources.arrival import arrived
from .key_sources.facts import Policy
from .key_sources.fetch import HTTPFetch
from .key_sources.file import FileKeys
from .key_sources.remote import RemoteKeys
from .key_sources.saved_keys import SavedKeysFile
from .key_sources.shared import SharedKeys
from .keys import DocumentError
from .keys import KeySet
from .keys import KeySource
from .metadata import Metadata
from .metadata import metadata_url
from .revocation.backchannel import LogoutReceiver
from .revocation.backchannel import check_no_logout
from .revocation.revocations import Revoked
from .revocation.revocations import checker
from .settings import provider_hints
from .settings.fetching import TLS
from .settings.loading import Settings
from .settings.revocation import Revocation
from .tenants import Tenants
from .tenants import verified_with
from .trusted_issuer import TrustedIssuer
from .verifier import Issuers
from .verifier import Verifier

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: RFC 9068 section 2.2: what an access token must have.
_RFC9068: Final = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")


def verifier(
    settings: Settings, emit: Emit, shared: SharedKeys | None = None
) -> Verifier | CachingVerifier:
    """The verifier of a middleware. With ``settings_from_request`` it trusts no issuer.

    ``shared``: the remote keys that the middlewares of single requests share.
    """
    if settings.settings_from_request:
        return Verifier({})
    issuers: dict[str, TrustedIssuer] | Tenants
    if isinstance(settings.issuer, tuple):
        for warning in filter(None, map(provider_hints.warning, settings.terms)):
            logger.warning("settings of an issuer: %s", warning)
        ready = [trusted(own, emit, shared, saves=True) for own in settings.terms]
        issuers = {issuer.identifier: issuer for issuer in ready}
        on_verified = None
    else:
        issuers = Tenants(
            settings.issuer.function,
            build=lambda issuer: trusted(settings.for_issuer(issuer), emit, shared),
            cooldown=settings.policy.cooldown,
            max_age=settings.jwks_max_age,
            most=settings.issuer.max_tenants,
            sees_request=settings.issuer.sees_request,
            emit=emit,
        )
        on_verified = issuers.proven
    bare = Verifier(
        issuers,
        max_token_size=settings.max_token_size,
        accept_bound_tokens=settings.bound_tokens == "accept",
        revoked=_revoked(settings.revocation, emit),
        on_verified=on_verified,
    )
    return CachingVerifier(bare, settings.token_cache_size) if settings.token_cache_size else bare


def of_request(settings: Settings, outer: object) -> Settings:
    """Return the settings for the middleware of one request.

    ``outer``: the verifier of the middleware with ``settings_from_request``. Raises
    :class:`~jwt_wsgi.errors.ConfigurationError` if it was replaced, because it is never called.
    """
    if type(outer) is not Verifier:
        problem = "settings_from_request: each request has its own verifier; do not replace it"
        raise ConfigurationError([problem])
    return replace(settings, settings_from_request=False)


def _revoked(revocation: Revocation | None, emit: Emit) -> Revoked | None:
    if revocation is None:
        return None
    return checker(revocation.function, revocation.store, fail_open=revocation.fail_open, emit=emit)


def around_verify(settings: Settings, issuers: Issuers) -> Callable[..., Claims] | None:
    """Return a function to call instead of ``verify(token)``; None if none is needed.

    It is needed if a function of issuers sees the request, or if scopes include others.
    """
    if not (settings.scope_includes or getattr(issuers, "sees_request", False)):
        return None
    return partial(verified_with, includes=settings.scope_includes)


def trusted(
    own: Settings, emit: Emit, shared: SharedKeys | None = None, *, saves: bool = False
) -> TrustedIssuer:
    """Build the one issuer of ``own``, which are the settings for this issuer.

    ``saves``: its keys are saved on disk, if that is configured.
    """
    (issuer,) = own.issuers
    return TrustedIssuer(
        issuer.identifier,
        key_source(own, emit, shared, saves=saves)[1],
        accepted_algorithms(own),
        frozenset(("at+jwt",) if own.is_rfc9068 else own.token_types),
        (
            check_no_logout,
            *claim_checks(
                leeway=own.leeway,
                max_age=own.max_token_age,
                audience=own.accepted_audience,
                required=(*own.required_claims, *(_RFC9068 if own.is_rfc9068 else ())),
                expected=own.claims or {},
            ),
        ),
        own.checks,
        own.leeway,
        own.max_token_age,
    )


def accepted_algorithms(own: Settings) -> frozenset[str]:
    """The values of ``alg`` that one issuer may use. ``own``: the settings for this issuer."""
    default = ("HS256",) if own.secret is not None else jose.DEFAULT_ALGORITHMS
    return frozenset(own.algorithms or default)


def key_source(
    own: Settings, emit: Emit, shared: SharedKeys | None = None, *, saves: bool = False
) -> tuple[str, KeySource]:
    """Build the key source of one issuer, for the middleware and for the commands.

    ``saves``: remote keys are saved on disk, if that is configured. The commands leave it out: they
    may run as another user, and report what the issuer answers now.

    Returns the name of the option that names the keys (empty if they are discovered), and the
    source. Raises :class:`~jwt_wsgi.errors.ConfigurationError` if a file with keys, which was
    readable when the settings were read, can no longer be read.
    """
    (issuer,) = own.issuers
    if issuer.keys is not None:
        return "keys", issuer.keys
    if own.secret is not None:
        return "secret", KeySet.single(jose.secret_key(own.secret))
    if isinstance(own.jwks, Path):
        try:
            return "jwks", FileKeys(own.jwks, emit=emit, algorithms=accepted_algorithms(own))
        except (OSError, DocumentError) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigurationError([f"jwks: {own.jwks}: {why}"]) from error
    if own.jwks is not None:
        for event in arrived(f"jwks of {issuer.identifier}", own.jwks, accepted_algorithms(own)):
            emit(event)
        return "jwks", own.jwks
    if own.public_key is not None:
        return "public_key", own.public_key
    option, make = "jwks_uri" if own.jwks_uri else "", partial(_remote, own, emit, saves=saves)
    return option, make() if shared is None else shared.get(_fetched_with(own), make)


def _remote(own: Settings, emit: Emit, *, saves: bool) -> RemoteKeys:
    (issuer,) = own.issuers
    return RemoteKeys(
        issuer.identifier,
        jwks_uri=own.jwks_uri,
        fetch=fetcher(own),
        policy=_policy(own),
        emit=emit,
        leeway=own.leeway,
        allow_http=own.allow_http,
        saved=_saved_keys(own) if saves else None,
    )


def _saved_keys(own: Settings) -> SavedKeysFile | None:
    if own.jwks_snapshot is None:
        return None
    path, secret, max_age = own.jwks_snapshot
    return SavedKeysFile(path, secret, own.issuers[0].identifier, max_age=max_age)


def _policy(own: Settings) -> Policy:
    return replace(own.policy, algorithms=accepted_algorithms(own))


def _fetched_with(own: Settings) -> Hashable:
    """Everything that fetches depend on: issuers with equal values share one source."""
    headers = frozenset((own.jwks_headers or {}).items())
    where = own.issuers[0].identifier, own.jwks_uri, own.allow_http
    return where, headers, own.jwks_tls, _policy(own), own.leeway


def fetcher(own: Settings) -> HTTPFetch:
    """The fetch function of an issuer. ``own``: the settings for this issuer."""
    tls = own.jwks_tls or TLS()
    return HTTPFetch(
        verify=tls.verify,
        cert=tls.cert,
        headers=own.jwks_headers or {},
        home=own.jwks_uri or own.issuers[0].identifier,
        allow_http=own.allow_http,
    )


def metadata(settings: Settings) -> Metadata | None:
    """The RFC 9728 document, if ``resource`` is set. Issuers that a function names are not in it.

    It lists the scopes of all rules, and those that the option itself names.
    """
    if settings.resource is None:
        return None
    rules = settings.request_rules
    return Metadata(
        settings.resource.url,
        issuers=[issuer.identifier for issuer in settings.issuers],
        scopes={scope for rule in rules for scope in (*rule.scopes, *rule.any_scope)},
        methods=[place for place in settings.token_from if place == "header"],
        more=settings.resource.members,
    )


def resource_metadata(settings: Settings) -> str | None:
    """The URL of the RFC 9728 document, for challenges; None without a resource."""
    return None if settings.resource is None else metadata_url(settings.resource.url)


def pages(settings: Settings, issuers: Issuers, emit: Emit) -> dict[str, "WSGIApplication"]:
    """What this package answers itself, before any rule: each ``PATH_INFO`` and its app.

    ``issuers``: those of the verifier, whose keys verify logout tokens as well.
    """
    found: dict[str, WSGIApplication] = {}
    if published := metadata(settings):
        found |= dict.fromkeys(published.paths, published)
    if path := logout_path(settings):
        found[path] = _logout_receiver(settings, issuers, emit)
    return found


def logout_path(settings: Settings) -> str | None:
    """The ``PATH_INFO`` where issuers send logouts; None if they do not."""
    revocation = settings.revocation
    logout = revocation.backchannel_logout if revocation is not None else None
    return None if logout is None or settings.settings_from_request else logout.path


def _logout_receiver(settings: Settings, issuers: Issuers, emit: Emit) -> LogoutReceiver:
    _, _, _, logout = revocation = settings.revocation or Revocation()
    assert revocation.store is not None  # noqa: S101  # checked when the option is read
    assert logout is not None  # noqa: S101
    return LogoutReceiver(
        logout.path,
        issuers.values(),
        logout.client_ids,
        revocation.store,
        details=settings.error_details,
        emit=emit,
        log_fields=settings.log_fields,
    )
