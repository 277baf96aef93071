"""Causes in the keys: the token's key is not found, or no keys can be had."""

from typing import Final

from .explain_recognition import Cause
from .explain_recognition import are_keys_nameless
from .explain_recognition import failed_like
from .explain_recognition import is_failed_fetch
from .explain_recognition import is_key_of_other_algorithm
from .explain_recognition import is_key_on_ed448
from .explain_recognition import is_key_skipped
from .remedies import FETCH_CAUSES
from .remedies import FETCH_REMEDIES

CAUSES_OF_KEYS: Final = (
    Cause(
        "key_not_found",
        "skipped",
        is_key_skipped,
        "The key is published, but it is not used here.",
        "Have the issuer publish it as a public signature key (jwt-wsgi keys says what is wrong).",
    ),
    Cause(
        "key_not_found",
        "Ed448",
        is_key_on_ed448,
        "The key is on the curve Ed448, which is accepted only where the settings name it.",
        "Set JWT_WSGI_ALGORITHMS=EdDSA,Ed448.",
    ),
    Cause(
        "key_not_found",
        "algorithm",
        is_key_of_other_algorithm,
        "The key is published, but for other algorithms.",
        "Have the issuer sign with an algorithm that its key says (alg, kty, crv of the JWK).",
    ),
    Cause(
        "key_not_found",
        "no kid is published",
        are_keys_nameless,
        "The token names its key (kid), and the issuer publishes its keys without names.",
        "Have the issuer publish kid in its keys, or leave it out of its tokens; for one key that"
        " does not change set JWT_WSGI_PUBLIC_KEY.",
    ),
    *(
        Cause("keys_unavailable", row.name, failed_like(row.pattern), row.sentence, row.remedy)
        for row in FETCH_CAUSES
    ),
    *(
        Cause("keys_unavailable", kind, is_failed_fetch(kind), "", text)
        for kind, text in FETCH_REMEDIES.items()
    ),
)
