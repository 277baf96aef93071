"""The grammar of the Authorization header (RFC 6750 section 2.1)."""

from typing import Any

import pytest

from jwt_wsgi import InvalidTokenError
from jwt_wsgi import MalformedHeaderError
from jwt_wsgi.bearer import place
from jwt_wsgi.bearer import reader

GOOD = {
    "Bearer abc": "abc",
    "bearer abc": "abc",
    "BEARER abc": "abc",
    "Bearer   abc": "abc",
    "Bearer a.b-c_d~e+f/g": "a.b-c_d~e+f/g",
    "Bearer abc==": "abc==",
}
#: header -> whether the scheme was right
BAD = {
    "Basic abc": False,
    "Bearer": True,
    "Bearer ": True,
    "Bearer  ": True,
    "Bearerabc": False,
    "Bearer,abc": False,
    " Bearer abc": False,
    "Bearer\tabc": False,
    "Bearer\x0babc": False,
    "Bearer\xa0abc": False,
    "Bearer\x85abc": False,
    "Bearer abc ": True,
    "Bearer abc def": True,
    "Bearer abc, Bearer def": True,
    "Bearer abc,def": True,
    'Bearer "abc"': True,
    "Bearer a=b": True,
    "Bearer =": True,
    "Bearer token=abc": True,
    "Bearer abc\n": True,
    "Bearer abc\r\nX: y": True,
    "Bearer abc\0": True,
    "Bearer \xff": True,
    "Bearer ab\x00c": True,
    "Bearer \ud800": True,
    "Basic \xff": False,
    "DPoP abc": False,
    "\0": False,
}


def read(value: str | None, *, lenient: bool = False) -> str | None:
    environ = {} if value is None else {"HTTP_AUTHORIZATION": value}
    return reader([place("header", 100)])(environ, lenient)


@pytest.mark.parametrize(("value", "token"), GOOD.items())
def test_one_bearer_token(value: str, token: str) -> None:
    """The scheme in any case, spaces, one b64token."""
    assert read(value) == token


@pytest.mark.parametrize(("value", "bearer"), BAD.items(), ids=map(ascii, BAD))
def test_anything_else_is_malformed(value: str, bearer: bool) -> None:
    """The challenge names an error only where a token was meant."""
    with pytest.raises(MalformedHeaderError) as caught:
        read(value)

    assert caught.value.challenge_error == ("invalid_token" if bearer else None)


@pytest.mark.parametrize("value", [None, ""])
def test_absent_and_empty_are_no_token(value: str | None) -> None:
    """None, not an error: whether that will do is the rule's business."""
    assert read(value) is None


def test_lenient_takes_other_schemes_for_no_token() -> None:
    """A malformed bearer token stays malformed."""
    assert read("Basic abc", lenient=True) is None
    with pytest.raises(MalformedHeaderError):
        read("Bearer a b", lenient=True)


def test_a_header_may_have_64_characters_beside_the_token() -> None:
    """Of a header of exactly that size nothing is cut; one space more is too long."""
    token = "a" * 99 + "b"  # 100 characters are allowed
    spaces = " " * (64 - len("Bearer"))

    assert read(f"Bearer{spaces}{token}") == token
    with pytest.raises(InvalidTokenError) as caught:
        read(f"Bearer {spaces}{token}")
    assert caught.value.code == "token_malformed"


class Unread(str):
    """A header whose length may be asked for, and a piece of it; nothing may go through it all."""

    __slots__ = ()

    def _refuse(self, *_: object) -> Any:
        raise AssertionError("all of a long header is looked at")

    partition = split = strip = lstrip = rstrip = lower = startswith = encode = _refuse
    replace = translate = find = index = count = isascii = __iter__ = __contains__ = _refuse


def test_a_token_over_the_limit_is_not_looked_at() -> None:
    """The limit is exact, and megabytes cost nothing."""
    assert read("Bearer " + "a" * 100) == "a" * 100
    for value in (
        "Bearer " + "a" * 101,
        Unread("Bearer " + "a" * 10_000_000),
        Unread("Bearer " + " " * 10_000_000),
    ):
        with pytest.raises(InvalidTokenError) as caught:
            read(value)
        assert caught.value.code == "token_malformed"


@pytest.mark.parametrize(
    ("spec", "before", "after"),
    [
        ("header", {}, {"HTTP_AUTHORIZATION": "Bearer a.b.c"}),
        ("header", {"HTTP_AUTHORIZATION": "Basic x"}, {"HTTP_AUTHORIZATION": "Bearer a.b.c"}),
        ("header:X-Token", {}, {"HTTP_X_TOKEN": "a.b.c"}),
        ("cookie:t", {}, {"HTTP_COOKIE": "t=a.b.c"}),
        ("cookie:t", {"HTTP_COOKIE": "a=b; t=old"}, {"HTTP_COOKIE": "a=b; t=a.b.c"}),
    ],
)
def test_a_token_is_written_as_a_client_sends_it(
    spec: str, before: dict[str, str], after: dict[str, str]
) -> None:
    """What is written is read again; what stood there is replaced, other cookies stay."""
    environ: dict[str, Any] = {**before, "REQUEST_METHOD": "GET"}
    where = place(spec, 100)
    where.write(environ, "a.b.c")

    assert environ == {**after, "REQUEST_METHOD": "GET"}
    assert where.read(environ, False) == "a.b.c"
    where.remove(environ)
    assert where.read(environ, False) is None


def test_all_values_in_a_place_are_returned() -> None:
    """Good or not, as they were sent: ``explain`` needs them."""
    environ = {"HTTP_COOKIE": "t=a; x=y; t=b", "HTTP_AUTHORIZATION": "Basic x"}

    assert place("cookie:t", 100).values(environ) == ["a", "b"]
    assert place("header", 100).values(environ) == ["Basic x"]
    assert place("header:X-Token", 100).values(environ) == []
