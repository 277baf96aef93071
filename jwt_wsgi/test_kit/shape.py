"""The shape of one provider: what it publishes, what it signs, and the settings that go with it.

All of it is data, made from the provider's public documentation. Texts hold placeholders: ``{app}``
stands for the value of that name, ``{issuer}`` for the issuer, and a text that is ``{now}`` for the
time, in seconds since 1970.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from typing import Final
from typing import NamedTuple

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Provider(NamedTuple):
    """One provider. ``iss``, ``iat`` and ``exp`` are added to every token."""

    title: str
    #: The pages of its documentation that this was made from.
    sources: tuple[str, ...]
    issuer: str
    jwks_uri: str
    #: Keyword options of ``JWTMiddleware`` that its documentation calls for.
    settings: Mapping[str, Any]
    #: The values of the placeholders.
    values: Mapping[str, str]
    #: What differs in the tokens of others, by kind: of another ``tenant``, of another ``app``.
    others: Mapping[str, Mapping[str, str]]
    #: Claims of an access token; None: it issues none that can be verified.
    access_token: Mapping[str, Any] | None = None
    #: Claims of an ID token; None: it issues none. Without access tokens this one is accepted.
    id_token: Mapping[str, Any] | None = None
    #: Members of the JOSE header besides ``alg`` and ``kid``.
    header: Mapping[str, Any] = MappingProxyType({"typ": "JWT"})
    algorithm: str = "RS256"
    #: The form of a ``kid``; ``{number}`` counts the keys.
    kid: str = "key-{number}"
    #: Members of a JWK besides ``kid`` and those that make up the key.
    jwk: tuple[str, ...] = ("use", "alg")
    #: The JWKS holds a key for encryption, too.
    encrypts: bool = False
    #: Members of the JWKS besides ``keys``.
    jwks: Mapping[str, Any] = _NOTHING
    #: Where its metadata is; empty: it publishes none.
    metadata_uri: str = "{issuer}/.well-known/openid-configuration"
    #: Members of the metadata besides ``issuer`` and ``jwks_uri``.
    metadata: Mapping[str, Any] = _NOTHING
    #: When the shape was compared with which pages, what of it, and what could not be compared.
    checked: str = ""
    #: Notes on the accepted tokens, in one or two sentences.
    note: str = ""


def fill(value: Any, values: Mapping[str, str], now: int) -> Any:
    """Replace placeholders by their values, also in keys of objects."""
    if isinstance(value, str):
        return now if value == "{now}" else value.format_map(values)
    if isinstance(value, Mapping):
        return {fill(k, values, now): fill(v, values, now) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [fill(member, values, now) for member in value]
    return value


def filled_values(provider: Provider, changed: Mapping[str, str]) -> dict[str, str]:
    """The values of a provider with some of them changed, and ``issuer`` and ``jwks_uri``.

    Raises :class:`ValueError` for a value that the provider does not have.
    """
    if unknown := sorted(changed.keys() - provider.values.keys()):
        known = ", ".join(provider.values)
        raise ValueError(f"{', '.join(unknown)}: {provider.title} has {known}")
    values = {**provider.values, **changed}
    values["issuer"] = provider.issuer.format_map(values)
    values["jwks_uri"] = provider.jwks_uri.format_map(values)
    return values
