"""Claim checks: exact, and never a crash whatever the types."""

from typing import Any

import pytest

from jwt_wsgi import ConfigurationError
from jwt_wsgi import InvalidTokenError
from jwt_wsgi import KeysUnavailableError
from jwt_wsgi import UnavailableError
from jwt_wsgi.claims import claim_checks
from jwt_wsgi.claims import find
from jwt_wsgi.claims import scopes
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.trusted_issuer import TrustedIssuer
from jwt_wsgi.verifier import Verifier

NOW = 1_000_000.0


def refused(claims: dict[str, Any], **terms: Any) -> str | None:
    """The code of the first check that refuses, or None."""
    try:
        for check in claim_checks(**{"leeway": 30.0} | terms):
            if check({"exp": NOW + 60} | claims, NOW) is False:
                return "claim_invalid"
    except InvalidTokenError as error:
        return error.code
    return None


#: The last second of the year 9999.
LAST = 253_402_300_799
NO_DATES = [
    True, False, "1000060", "", "2026-01-01T00:00:00Z", None, [NOW], {},
    float("nan"), float("inf"), float("-inf"), 10**400, 1e300, 2**53,
    1_800_000_000_000, 1.8e12, LAST + 1, LAST + 0.5, -LAST - 1, -1e15,
]  # fmt: skip


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", NO_DATES, ids=lambda value: f"{type(value)} {value!a:.9}")
def test_a_numeric_date_is_a_number_of_seconds(name: str, value: Any) -> None:
    """T25, T27: not a bool, not a string, not null; not in milliseconds, which would never end."""
    assert refused({name: value}) == "claim_invalid"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": LAST}, None),
        ({"exp": float(LAST)}, None),
        ({"nbf": LAST}, "token_not_yet_valid"),
        ({"nbf": -LAST}, None),
        ({"exp": -LAST}, "token_expired"),
        ({"exp": -0.0}, "token_expired"),
        ({"iat": LAST}, None),
        ({"iat": -1}, None),
        ({"iat": 0.5}, None),
    ],
)
def test_dates_up_to_the_year_9999_are_dates(claims: dict[str, Any], code: str | None) -> None:
    """One before 1970 is long ago, and that is all; when ``iat`` was is not judged here."""
    assert refused(claims) == code


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": NOW - 29.9}, None),
        ({"exp": NOW - 30}, "token_expired"),
        ({"exp": 0}, "token_expired"),
        ({"exp": -5}, "token_expired"),
        ({"exp": int(NOW) + 1}, None),
        ({"nbf": NOW + 30}, None),
        ({"nbf": NOW + 30.1}, "token_not_yet_valid"),
        ({"nbf": 0}, None),
        ({"iat": NOW + 9999}, None),
    ],
)
def test_the_leeway_is_exact(claims: dict[str, Any], code: str | None) -> None:
    """exp is exclusive, nbf inclusive; iat is not compared here."""
    assert refused(claims) == code


def test_exp_is_always_required() -> None:
    """T26."""
    with pytest.raises(InvalidTokenError) as caught:
        claim_checks(leeway=0)[0]({}, NOW)
    assert caught.value.code == "claim_missing"


@pytest.mark.parametrize(
    ("audience", "aud", "good"),
    [
        (["api"], "api", True),
        (["api"], ["x", "api"], True),
        (["api", "b"], "b", True),
        (["api"], "ap", False),
        (["api"], "apis", False),
        (["api"], "API", False),
        (["api"], "x api y", False),
        (["api"], [], False),
        (["api"], {"api": 1}, False),
        (["api"], ["api", 5], False),
        (["api"], [["api"]], False),
        (["api"], None, False),
        (["api"], 5, False),
        (["api"], True, False),
        (["https://a.example/*"], "https://a.example", True),
        (["https://a.example/*"], "https://a.example/", True),
        (["https://a.example/*"], "https://a.example/v1/x?y#z", True),
        (["https://a.example/*"], "https://a.example.evil/", False),
        (["https://a.example/*"], "https://a.example:8443/", False),
        (["https://a.example/*"], "https://a.example@evil/", False),
        (["https://a.example/*"], "http://a.example/x", False),
        (["https://a.example/*"], "HTTPS://a.example/x", False),
        (["https://a.example/v1/*"], "https://a.example/v1/../v2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/%2e%2e/v2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/%2E%2e%2Fv2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/..;/v2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/%2e%2e%3bx/v2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/%252e%252e/v2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/%E2%80%A5/v2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/\uff0e\uff0e\uff0fv2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/a;b/%20/caf%C3%A9/..c", True),
        (["https://a.example/v1/*"], "https://a.example/v1/..\\v2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/..%5cv2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/./x", False),
        (["https://a.example/v1/*"], "https://a.example/v1/.\t./v2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/.%0a./v2", False),
        (["https://a.example/v1/*"], "https://a.example/v1/\xe4%C3%A4?/../x#/..", True),
        (["https://a.example/v1/*"], "https://a.example/v10", False),
        (["https://a.example/v1/*"], "https://a.example/v1/*", True),
        (["*"], 5, True),
    ],
)
def test_the_audience_is_exact_or_below(audience: list[str], aud: Any, good: bool) -> None:
    """T29: never by substring, and a prefix cannot be escaped."""
    assert refused({"aud": aud}, audience=audience) == (None if good else "audience_mismatch")


def test_an_audience_pattern_that_is_no_url_causes_no_500() -> None:
    """It accepts that text, and everything below it."""
    audience = ["https://[x/*"]

    assert refused({"aud": "https://[x/y"}, audience=audience) is None
    assert refused({"aud": "https://[x/../y"}, audience=audience) == "audience_mismatch"


def test_without_a_configured_audience_a_token_with_aud_is_refused() -> None:
    """RFC 7519 section 4.1.3. A token without aud passes."""
    assert refused({"aud": "x"}) == "audience_mismatch"
    assert refused({"aud": None}) == "audience_mismatch"
    assert refused({}) is None


@pytest.mark.parametrize(
    ("expected", "claims", "code"),
    [
        ({"a": (1,)}, {"a": True}, "claim_invalid"),
        ({"a": (True,)}, {"a": 1}, "claim_invalid"),
        ({"a": (True,)}, {"a": True}, None),
        ({"a": (1,)}, {"a": 1.0}, None),
        ({"a": ("1",)}, {"a": 1}, "claim_invalid"),
        ({"a": ("x",)}, {"a": ["y", "x"]}, None),
        ({"a": ("x",)}, {"a": "xy"}, "claim_invalid"),
        ({"a": ("x",)}, {"a": {"x": 1}}, "claim_invalid"),
        ({"a": ("x",)}, {"a": None}, "claim_missing"),
        ({"a": ("x",)}, {}, "claim_missing"),
        ({"a.b": ("x",)}, {"a": {"b": ["x"]}}, None),
        ({"a.b": ("x",)}, {"a.b": "x", "a": {"b": "x"}}, "claim_invalid"),
        ({"a.b": ("x",)}, {"a.b": "x", "a": {"c": "x"}}, None),
        ({"https://e.example/roles": ("x",)}, {"https://e.example/roles": "x"}, None),
        ({"a.b": ("x",)}, {"a": ["b"]}, "claim_missing"),
        ({"a.b": ("x",)}, {"a": "b"}, "claim_missing"),
    ],
)
def test_expected_values(
    expected: dict[str, Any], claims: dict[str, Any], code: str | None
) -> None:
    """Equal or contained, where exactly one reading of a dotted name leads to a value."""
    assert refused(claims, expected=expected) == code


def test_required_claims_are_there_and_not_null() -> None:
    """Names or dotted paths."""
    assert refused({"sub": "x", "a": {"b": 0}}, required=["sub", "a.b"]) is None
    assert refused({"sub": "x"}, required=["sub", "a.b"]) == "claim_missing"
    assert refused({"org": None}, required=["org"]) == "claim_missing"


@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize("value", [5, None, True, [], {}])
def test_sub_and_jti_must_be_strings(name: str, value: Any) -> None:
    """RFC 7519 sections 4.1.2 and 4.1.7."""
    assert refused({name: value}) == "claim_invalid"


@pytest.mark.parametrize(
    ("claims", "granted"),
    [
        ({"scope": "a b"}, {"a", "b"}),
        ({"scope": " a  b "}, {"a", "b"}),
        ({"scope": "a\tb"}, {"a\tb"}),
        ({"scope": ["a", "b"]}, {"a", "b"}),
        ({"scp": "a"}, {"a"}),
        ({"scp": ["a"]}, {"a"}),
        ({"scope": "a", "scp": "b"}, {"a"}),
        ({"scope": 5}, set()),
        ({"scope": None}, set()),
        ({"scope": {"a": 1}}, set()),
        ({"scope": ["a", 5]}, set()),
        ({"scope": True}, set()),
        ({}, set()),
    ],
)
def test_scopes_of_a_wrong_type_grant_nothing(claims: dict[str, Any], granted: set[str]) -> None:
    """T33: they cause no error either."""
    assert scopes(claims) == granted


#: name -> claims in which exactly one reading of it leads to a value, 7.
ONE_READING: list[tuple[str, dict[str, Any]]] = [
    ("kubernetes.io.namespace", {"kubernetes.io": {"namespace": 7}}),
    ("resource_access.com.example.app.roles",
     {"resource_access": {"com.example.app": {"roles": 7}, "com": {"example": {"b": 1}}}}),
    ("own.https://e.example/app.roles", {"own": {"https://e.example/app.roles": 7}}),
    ("a.b.c", {"a": {"b": {"c": 7}}}),
    ("a.b.c", {"a.b": {"c": 7}, "a": {"b": {"d": 8}}}),
    ("a.b.c", {"a": {"b.c": 7, "b": []}}),
    ("a.b.c", {"a.b.c": 7}),
    ("a..b", {"a": {"": {"b": 7}}}),
    ('["a.b"]', {"a.b": 7, "a": {"b": 8}}),
    ('["a", "b.c"]', {"a": {"b.c": 7, "b": {"c": 8}}, "a.b.c": 9}),
    ('["a", "b", "c"]', {"a": {"b": {"c": 7}, "b.c": 8}}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "claims"), ONE_READING)
def test_a_dotted_name_has_one_reading(name: str, claims: dict[str, Any]) -> None:
    """Wherever the dots stand; a list of names is exact."""
    assert find(claims, name) == 7


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("a.b", {"a.b": 1, "a": {"b": 1}}),
        ("a.b", {"a.b": None, "a": {"b": 1}}),
        ("a.b", {"a": {"b": None}, "a.b": 1}),
        ("a.b.c", {"a": {"b.c": 1, "b": {"c": 2}}}),
        ("a.b.c", {"a.b": {"c": 1}, "a": {"b.c": 2}}),
    ],
)
def test_a_name_with_two_readings_is_refused(name: str, claims: dict[str, Any]) -> None:
    """A claim with dots in its name must not hide another reading, not even if it is null."""
    with pytest.raises(InvalidTokenError, match="can be read in two ways"):
        find(claims, name)
    assert refused(claims, required=[name]) == "claim_invalid"
    assert refused(claims, expected={name: (1,)}) == "claim_invalid"


@pytest.mark.parametrize("name", ["a.b", '["a", "b"]'])
def test_no_name_leads_into_a_list_or_a_text(name: str) -> None:
    """Of several objects in a list none is chosen."""
    for value in ([{"b": 1}], "b", {"c": 1}, None, 7):
        assert find({"a": value}, name) is None


class Counted(dict[str, Any]):
    """Counts how often it is asked for a member."""

    asked = 0

    def __contains__(self, name: object) -> bool:
        Counted.asked += 1
        return super().__contains__(name)


def tree(parts: int) -> Counted:
    """An object in which every reading of a.a.a... but the last leads on, and none to a value."""
    return Counted({".".join("a" * size): tree(parts - size) for size in range(1, parts)})


def size_of(value: Counted) -> int:
    return len(value) + sum(map(size_of, value.values()))


def test_the_cost_of_a_name_is_bounded_by_the_token() -> None:
    """Each object is asked once at most for each dot, however many readings a name has."""
    claims = tree(12)
    Counted.asked = 0

    assert find(claims, ".".join("a" * 12)) is None
    assert Counted.asked <= 12 * (size_of(claims) + 1)


def test_a_dotted_name_through_a_value_without_members_finds_nothing() -> None:
    """Whatever type the value has."""
    for claims in ({}, {"a": 5}, {"a": None}, {"a": []}, {"a": {"b": None}}):
        assert find(claims, "a.b.c") is None


def test_a_token_is_refused_if_an_own_check_returns_false() -> None:
    """They see verified claims, at every use. None and True pass."""

    def own(claims: Any, now: float) -> bool:
        return bool(claims.get("good"))

    issuer = TrustedIssuer("https://i", None, frozenset(), frozenset(), (), (own, lambda *_: None))  # type: ignore[arg-type]
    issuer.check_own({"good": 1}, 0.0)
    with pytest.raises(InvalidTokenError) as caught:
        issuer.check_own({}, 0.0)

    assert caught.value.code == "claim_invalid"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iat": NOW}, None),
        ({"iat": NOW - 600}, None),
        ({"iat": NOW - 630}, None),
        ({"iat": NOW - 630.1}, "token_too_old"),
        ({"iat": NOW + 30}, None),
        ({"iat": NOW + 30.1}, "token_not_yet_valid"),
        ({}, "claim_missing"),
        *(({"iat": value}, "claim_invalid") for value in NO_DATES),
    ],
    ids=lambda value: f"{value!a:.40} {type(value).__name__}",
)
def test_the_age_of_a_token(claims: dict[str, Any], code: str | None) -> None:
    """max_token_age, with the leeway at both ends, makes iat required."""
    assert refused(claims, max_age=600.0) == code


ISSUER = FakeIssuer()


def refused_by(token: str, *, now: float | None = None, **options: Any) -> str | None:
    """The code of a whole verifier, whose clock says ``now``."""
    issuers = ISSUER.protect(lambda *_: [], **options).verifier.issuers
    try:
        (Verifier(issuers, clock=lambda: now) if now else Verifier(issuers)).verify(token)
    except InvalidTokenError as error:
        return error.code
    return None


def test_the_age_by_the_verifiers_clock() -> None:
    """A long-lived token grows too old, and only then expires."""
    token = ISSUER.token(iat=NOW, exp=NOW + 9000)

    assert refused_by(token, now=NOW + 629, max_token_age="10m") is None
    assert refused_by(token, now=NOW + 631, max_token_age="10m") == "token_too_old"
    assert refused_by(token, now=NOW + 9031, max_token_age="10m") == "token_expired"
    assert refused_by(token, now=NOW + 631) is None


RFC9068 = {"aud": "api", "client_id": "c", "jti": "j"}


@pytest.mark.parametrize(
    ("header", "claims", "code"),
    [
        ({"typ": "at+jwt"}, {}, None),
        ({"typ": "application/at+JWT"}, {}, None),
        ({"typ": "JWT"}, {}, "token_type_not_allowed"),
        ({"typ": None}, {}, "token_type_not_allowed"),
        *(
            ({"typ": "at+jwt"}, {name: None}, code)
            for name, code in {
                "sub": "claim_missing",
                "client_id": "claim_missing",
                "iat": "claim_missing",
                "jti": "claim_missing",
                "exp": "claim_missing",
                "aud": "audience_mismatch",
                "iss": "issuer_not_trusted",
            }.items()
        ),
    ],
)
def test_the_profile_of_access_tokens(
    header: dict[str, Any], claims: dict[str, Any], code: str | None
) -> None:
    """RFC 9068 sections 2.1, 2.2 and 4."""
    token = ISSUER.token(header=header, **(RFC9068 | claims))

    assert refused_by(token, token_types="rfc9068", audience="api") == code


def test_the_profile_needs_an_audience_and_no_other_type() -> None:
    """Otherwise it does not start."""
    for options in ({"token_types": "rfc9068"}, {"audience": "api", "token_types": "rfc9068, JWT"}):
        with pytest.raises(ConfigurationError, match="rfc9068"):
            ISSUER.protect(lambda *_: [], **options)


def test_an_own_check_refuses_in_its_own_way() -> None:
    """False is claim_invalid; an AuthError is the answer; any other exception is no pass."""

    def unavailable(claims: Any, now: float) -> None:
        raise KeysUnavailableError(3)

    def revoked(claims: Any, now: float) -> None:
        raise InvalidTokenError("token_revoked")

    def broken(claims: Any, now: float) -> None:
        raise ZeroDivisionError

    assert refused_by(ISSUER.token(), checks=[lambda *_: None, lambda *_: False]) == "claim_invalid"
    assert refused_by(ISSUER.token(), checks=revoked) == "token_revoked"
    with pytest.raises(KeysUnavailableError):
        refused_by(ISSUER.token(), checks=unavailable)
    with pytest.raises(UnavailableError):
        refused_by(ISSUER.token(), checks=broken)


@pytest.mark.parametrize(
    "aud",
    [
        "https://a.example/v1/.\t./v2", "https://a.example/v1/\n../v2", "https://a.example/v1/..",
        "https://a.example/v1/%2e./v2", "https://a.example/v1//../../v2", "https://a.example\\v1/x",
        "https://a.example/v1%2f..", "https://a.example/V1/x", " https://a.example/v1/x",
        "https://a.example:443/v1/x", "https://a.example/v1/..%2F", "//a.example/v1/x", "/v1/x", "",
    ],
    ids=ascii,
)  # fmt: skip
def test_no_url_leaves_the_base_of_an_audience(aud: str) -> None:
    """Dot segments are refused, and nothing is normalised."""
    assert refused({"aud": [aud]}, audience=["https://a.example/v1/*"]) == "audience_mismatch"
