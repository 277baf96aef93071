"""Every way to refuse: status, challenge, body. An error without a row here fails."""

import json

import pytest

from jwt_wsgi import errors
from jwt_wsgi.responses import Responses

#: error, status, body, challenge behind the realm (None: no challenge at all)
ROWS = [
    (errors.MissingTokenError(), 401, {"error": "No token provided"}, ""),
    (
        errors.MalformedHeaderError(bearer=False),
        401,
        {"error": "Invalid authorization header format"},
        "",
    ),
    (
        errors.MalformedHeaderError(bearer=True),
        401,
        {"error": "Invalid authorization header format"},
        ', error="invalid_token"',
    ),
    (
        errors.MultipleTokensError(),
        400,
        {"error": "Multiple tokens provided"},
        ', error="invalid_request"',
    ),
    (
        errors.InsufficientScopeError(scope=["a", "b"]),
        403,
        {
            "error": "Insufficient scope",
            "details": "The token does not permit this request",
            "code": "insufficient_scope",
        },
        (
            ', error="insufficient_scope",'
            ' error_description="The token does not permit this request", scope="a b"'
        ),
    ),
    (
        errors.OriginNotAllowedError(),
        403,
        {
            "error": "Origin not allowed",
            "details": "Requests from this origin, or for this host, are not served here",
            "code": "origin_not_allowed",
        },
        None,
    ),
    (
        errors.InsufficientAuthError(acr_values=["mfa", "hwk"], max_age=300.0),
        401,
        {
            "error": "Insufficient authentication",
            "details": "A stronger or more recent login is needed",
            "code": "insufficient_user_authentication",
        },
        (
            ', error="insufficient_user_authentication",'
            ' error_description="A stronger or more recent login is needed",'
            ' acr_values="mfa hwk", max_age="300"'
        ),
    ),
    (
        errors.KeysUnavailableError(29.1),
        503,
        {
            "error": "Keys unavailable",
            "details": "The keys of the issuer cannot be had at the moment",
            "code": "keys_unavailable",
        },
        None,
    ),
    (
        errors.UnavailableError(29.1),
        503,
        {
            "error": "Temporarily unavailable",
            "details": "It cannot be decided at the moment whether the request is permitted",
            "code": "temporarily_unavailable",
        },
        None,
    ),
    (
        errors.KeyNotKnownYetError(29.1),
        429,
        {
            "error": "Key not known yet",
            "details": "The key of the token is not known yet; try again later",
            "code": "key_not_known_yet",
        },
        None,
    ),
    (
        errors.RevocationUnavailableError(29.1),
        503,
        {
            "error": "Revocation check unavailable",
            "details": "Whether the token has been revoked cannot be found out at the moment",
            "code": "revocation_unavailable",
        },
        None,
    ),
    *(
        (
            errors.InvalidTokenError(code),
            401,
            {"error": "Invalid token", "details": sentence, "code": code},
            f', error="invalid_token", error_description="{sentence}"',
        )
        for code, sentence in errors.TOKEN_ERRORS.items()
    ),
]


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*(subclasses(sub) for sub in cls.__subclasses__()))


@pytest.mark.parametrize(
    ("error", "status", "body", "challenge"),
    ROWS,
    ids=[f"{row[0].code}{row[3] and len(row[3])}" for row in ROWS],
)
def test_the_answer_of_an_error(
    error: errors.AuthError, status: int, body: dict[str, str], challenge: str | None
) -> None:
    """Status, JSON body and challenge are those of the table."""
    answer = Responses(realm="api").answer(error)
    headers = dict(answer.headers)

    assert answer.status.startswith(f"{status} ")
    assert json.loads(answer.body) == body
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(answer.body))
    assert headers["Cache-Control"] == "no-store"
    if challenge is None:
        assert "WWW-Authenticate" not in headers
        assert headers.get("Retry-After") == ("30" if status >= 429 else None)
    else:
        assert headers["WWW-Authenticate"] == 'Bearer realm="api"' + challenge


def test_every_error_has_a_row() -> None:
    """A new reason to refuse needs its documented answer."""
    rows = {type(row[0]) for row in ROWS}

    ours = {cls for cls in subclasses(errors.AuthError) if cls.__module__ == errors.__name__}
    assert rows == ours - {errors.AuthError}


def test_what_a_client_reads_may_stand_in_a_challenge() -> None:
    """RFC 6750 section 3: no quote, no backslash, only printable ASCII."""
    for error, *_ in ROWS:
        text = error.error + (error.details or "") + error.code
        assert text.isascii()
        assert text.isprintable()
        assert not {'"', "\\"} & set(text)


def test_without_details_only_the_code_of_the_class_stays() -> None:
    """error_details=false: neither details nor error_description, and one code for all tokens."""
    answer = Responses(realm="api", details=False).answer(errors.InvalidTokenError("token_expired"))

    assert json.loads(answer.body) == {"error": "Invalid token", "code": "token_invalid"}
    assert dict(answer.headers)["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'


@pytest.mark.parametrize(
    ("issued", "code"),
    [
        (969, "key_not_found"),
        (969.5, "key_not_found"),
        (970, "key_not_known_yet"),
        (1001, "key_not_known_yet"),
        (None, "key_not_known_yet"),
        ("1", "key_not_known_yet"),
    ],
)
def test_a_token_that_is_older_than_the_keys_is_refused_for_good(issued: object, code: str) -> None:
    """Trying again would bring it nothing; the leeway is 30 s."""
    error = errors.KeyNotKnownYetError(5, keys_as_of=1000.0)

    assert error.judged(issued, 30.0).code == code
