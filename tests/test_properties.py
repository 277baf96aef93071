"""What holds for every token, header, document and path, over thousands of made ones.

Two readers that are not ours, PyJWT and joserfc, are asked about each token that we accept; each
grammar is compared with a reference that is written down another way.
"""

import base64
import itertools
import json
import re
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt as pyjwt
import pytest
from conftest import IN_A_DAY
from conftest import EchoApp
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from joserfc import jwk
from joserfc import jws
from joserfc import jwt as joserfc_jwt
from werkzeug.test import EnvironBuilder
from werkzeug.test import run_wsgi_app

from jwt_wsgi import AuthError
from jwt_wsgi import InsufficientScopeError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import MalformedHeaderError
from jwt_wsgi import jose
from jwt_wsgi import strict_json
from jwt_wsgi.bearer import place
from jwt_wsgi.bearer import reader
from jwt_wsgi.rules import REQUIRE_TOKEN
from jwt_wsgi.rules import Rule
from jwt_wsgi.rules import Rules
from jwt_wsgi.rules import Token
from jwt_wsgi.testing import FakeIssuer

#: The same cases in every run; what others may find belongs to tests/fuzz.
MANY = settings(derandomize=True, deadline=None, database=None, max_examples=600)

ALGORITHMS = list(jose.ALGORITHMS)
LEEWAY = 30
APP = EchoApp()
ISSUERS = {name: FakeIssuer("https://i.example", algorithm=name, aud="api") for name in ALGORITHMS}
MIDDLEWARE = {
    name: issuer.protect(APP, audience="api", token_types=["JWT", "at+jwt"])
    for name, issuer in ISSUERS.items()
}


def code_of(middleware: JWTMiddleware, token: str) -> str | None:
    """Why the token is refused, or None; whatever is no ``AuthError`` fails the test."""
    try:
        middleware.verifier.verify(token)
    except AuthError as error:
        assert error.status == 401
        return error.code
    return None


def ask(middleware: JWTMiddleware, token: str) -> int:
    """The status of a request with that token, as a server would hand it over (PEP 3333)."""
    environ = EnvironBuilder().get_environ() | {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    APP.environ = None
    _, status, headers = run_wsgi_app(middleware, environ, buffered=True)
    refused = status.startswith("401")
    assert ("WWW-Authenticate" in headers) is refused
    assert (APP.environ is None) is refused
    return int(status[:3])


# --- Accepted tokens: others agree ----------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
#: Seconds from now; nearer to the edges of the leeway the readers' roundings would disagree.
DATES = st.sampled_from([-(10**9), -300, -34, -26, 0, 26, 34, 300, 10**9])
ODD_DATES = st.sampled_from(["1", None, True, [], 1e300, -1e300, 2**53, 0.5, "", {}])
NAMES = st.sampled_from(["somebody", "", "\x00", "\U0001f600", 5, None, True, ["a"], {"a": 1}])
AUDIENCES = st.sampled_from(
    ["api", "ap", "", None, 5, [], ["api"], ["x", "api"], [["api"]], {"api": 1}, ["api", 5]]
)
ISS = st.sampled_from(["https://i.example", "https://i.example/", "", None, ["https://i.example"]])
HEADER = st.fixed_dictionaries(
    {"typ": st.sampled_from(["JWT", "jwt", "at+jwt", "application/AT+JWT", "dpop+jwt", ""])},
    optional={"nonce": JSON, "jku": st.just("https://evil.example"), "x5t": st.text(max_size=9)},
)


WHEN = DATES.map(lambda seconds: timedelta(seconds=seconds)) | ODD_DATES
#: Of the registered claims a few at a time; the rest is as FakeIssuer makes it.
CLAIMS = st.one_of(
    st.fixed_dictionaries({}, optional={"exp": WHEN, "nbf": WHEN}),
    st.fixed_dictionaries({}, optional={"sub": NAMES, "jti": NAMES, "nbf": WHEN}),
    st.fixed_dictionaries({}, optional={"aud": AUDIENCES, "iss": ISS}),
    st.dictionaries(st.text(max_size=3).map("x{}".format), JSON, max_size=3),
)


def pyjwt_reads(issuer: FakeIssuer, token: str) -> dict[str, Any]:
    algorithm = "EdDSA" if issuer.algorithm in ("Ed25519", "Ed448") else issuer.algorithm
    key = secret_of(issuer) if algorithm.startswith("HS") else pyjwt.PyJWK(public(issuer)).key
    return pyjwt.decode(
        token,
        key,
        algorithms=[algorithm],
        issuer="https://i.example",
        audience="api",
        leeway=LEEWAY,
        options={"require": ["exp"], "verify_iat": False},  # iat is not looked at by default
    )


def joserfc_reads(issuer: FakeIssuer, token: str) -> dict[str, Any]:
    hs = issuer.algorithm.startswith("HS")
    key = jwk.OctKey.import_key(secret_of(issuer)) if hs else jwk.import_key(public(issuer))
    registry = jws.JWSRegistry(algorithms=[issuer.algorithm], strict_check_header=False)
    registry.max_header_length = jose.MAX_HEADER_SIZE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns at every EdDSA
        claims = joserfc_jwt.decode(token, key, registry=registry).claims
    terms: Any = {
        "iss": {"essential": True, "value": "https://i.example"},
        "aud": {"essential": True, "value": "api"},
        "exp": {"essential": True},
    }
    checked = {name: value for name, value in claims.items() if name != "iat"}
    joserfc_jwt.JWTClaimsRegistry(leeway=LEEWAY, **terms).validate(checked)
    return claims


def public(issuer: FakeIssuer) -> dict[str, Any]:
    """Its JWK; without ``alg``, because the readers do not know every name of EdDSA."""
    return {name: value for name, value in issuer.jwks()["keys"][0].items() if name != "alg"}


def secret_of(issuer: FakeIssuer) -> bytes:
    return base64.b64decode(issuer.secret.removeprefix("base64:"))


#: Names that PyJWT does not know: it has one for all of EdDSA, and reads it in the header.
UNKNOWN_TO_PYJWT = {"Ed25519", "Ed448"}


@pytest.mark.slow
def test_what_we_accept_others_accept() -> None:
    """PyJWT and joserfc, given the key and the terms, read the same claims."""
    accepted: Counter[str] = Counter()

    @settings(MANY, max_examples=1500)
    @given(algorithm=st.sampled_from(ALGORITHMS), claims=CLAIMS, header=HEADER)
    def agree(algorithm: str, claims: dict[str, Any], header: dict[str, Any]) -> None:
        issuer, middleware = ISSUERS[algorithm], MIDDLEWARE[algorithm]
        dated = {
            name: value.total_seconds() + time.time() if isinstance(value, timedelta) else value
            for name, value in claims.items()
        }
        token = issuer.token(header=header, **dated)
        if code_of(middleware, token):
            return
        accepted[algorithm] += 1
        ours = middleware.verifier.verify(token)
        assert joserfc_reads(issuer, token) == ours
        if algorithm not in UNKNOWN_TO_PYJWT:
            assert pyjwt_reads(issuer, token) == ours

    agree()
    assert min(accepted[algorithm] for algorithm in ALGORITHMS) >= 10, accepted


# --- Mutations: none passes -----------------------------------------------------------------

SUBSTITUTES = ("A", "=", ".", "+", " ", "\x00", "\xe9", "\u212a")


def mutants(token: str) -> Iterator[str]:
    """Every byte replaced, removed and doubled, in the case of the other, cut off there."""
    for at, sign in enumerate(token):
        before, after = token[:at], token[at + 1 :]
        flipped = (chr(ord(sign) ^ (1 << bit)) for bit in (0, 1, 3, 5, 7))
        for other in (*flipped, SUBSTITUTES[at % len(SUBSTITUTES)], sign.swapcase(), ""):
            yield before + other + after
        yield before + sign + sign + after
        yield before
        yield after


def rearranged(token: str, other: str) -> Iterator[str]:
    """Segments swapped, left out, emptied, doubled, and taken from another good token."""
    parts, others = token.split("."), other.split(".")
    for size in range(6):
        for chosen in itertools.product((*parts, ""), repeat=min(size, 3)):
            yield ".".join((*chosen, *parts[: max(0, size - 3)]))
    for chosen in itertools.product(*zip(parts, others, strict=True)):
        if ".".join(chosen) != other:
            yield ".".join(chosen)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_mutation_of_an_accepted_token_passes(algorithm: str) -> None:
    """Each position of a good token, changed in every way: 401, never a 500, never let in."""
    issuer, middleware = ISSUERS[algorithm], MIDDLEWARE[algorithm]
    token, other = issuer.token(iat=None), issuer.token(iat=None, sub="somebody else")
    assert ask(middleware, token) == ask(middleware, other) == 200
    tried = 0

    for tried, mutant in enumerate(itertools.chain(mutants(token), rearranged(token, other))):
        if mutant == token:
            continue
        assert code_of(middleware, mutant), mutant
        if tried % 20 == 0:
            assert ask(middleware, mutant) == 401
    assert tried > 2000


EDITS = st.lists(
    st.tuples(st.integers(0, 600), st.integers(0, 30), st.text(max_size=3)), min_size=1, max_size=4
)


@pytest.mark.slow
@MANY
@given(algorithm=st.sampled_from(ALGORITHMS), edits=EDITS)
def test_no_splicing_of_an_accepted_token_passes(
    algorithm: str, edits: list[tuple[int, int, str]]
) -> None:
    """Several pieces cut out and any text of Unicode put in their places."""
    token = spliced = TOKENS[algorithm]
    for at, length, text in edits:
        start = at % (len(spliced) + 1)
        spliced = spliced[:start] + text + spliced[start + length :]

    assert bool(code_of(MIDDLEWARE[algorithm], spliced)) is (spliced != token)


TOKENS = {name: issuer.token(exp=IN_A_DAY) for name, issuer in ISSUERS.items()}


# --- Base64url and JSON ---------------------------------------------------------------------

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def canonical(segment: bytes) -> bytes | None:
    """What RFC 7515 section 2 decodes it to, by encoding again; None if it is not that."""
    if not set(segment.decode("latin-1")) <= set(ALPHABET) or len(segment) % 4 == 1:
        return None
    decoded = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    return decoded if base64.urlsafe_b64encode(decoded).rstrip(b"=") == segment else None


def ours(segment: bytes) -> bytes | None:
    try:
        return jose._base64url(segment)
    except ValueError:
        return None


@pytest.mark.slow
def test_every_short_segment_is_canonical_or_refused() -> None:
    """All strings of two bytes, alone and after others, and all of eight of the worst ones."""
    pairs = [bytes(pair) for pair in itertools.product(range(256), repeat=2)]
    ends = (before + pair for before in (b"", b"A", b"_-") for pair in pairs)
    worst = (bytes(many) for size in range(9) for many in itertools.product(b"A-\n=", repeat=size))

    for segment in itertools.chain(ends, worst):
        assert ours(segment) == canonical(segment), segment


@pytest.mark.slow
@MANY
@given(st.binary(max_size=24) | st.text(ALPHABET + "+/= \n.", max_size=24).map(str.encode))
def test_base64url_is_canonical_or_refused(segment: bytes) -> None:
    """No padding, no white space, no other alphabet, no spare bits."""
    assert ours(segment) == canonical(segment)
    assert ours(base64.urlsafe_b64encode(segment).rstrip(b"=")) == segment


def test_base64url_of_every_length() -> None:
    """Whatever is encoded is decoded; whatever stands after it is refused."""
    for size in range(200):
        data = bytes(range(256))[:size]
        segment = base64.urlsafe_b64encode(data).rstrip(b"=")
        assert ours(segment) == data
        assert ours(segment + b"=" * (-len(segment) % 4)) == (None if size % 3 else data)


def strict(data: bytes) -> Any:
    """RFC 8259 with RFC 8725 section 3.7, by the standard library's general reader.

    One byte order mark in front is read over (RFC 8259 section 8.1).
    """

    def refuse(text: object) -> None:
        raise ValueError(text)

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(pairs) if len({name for name, _ in pairs}) == len(pairs) else refuse(pairs)

    value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=members, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")  # 1e999, lone surrogates
    return value if isinstance(value, dict) else refuse(value)


VALUES = ["0", "-0", "01", ".5", "1.", "1E+5", "1e999", "-1e999", "9" * 5000, "NaN", "-Infinity"]
VALUES += ["true", "True", "null", "", "//", "[]", "[1,]", '{"a":1,"a":1}', '[{"b":[NaN]}]']
VALUES += ['"x"', "'x'", '"', '"\\ud800"', '"\\uDC00"', '"\\ud83d\\ude00"', '"\\ude00\\uD83d"']
VALUES += ['"\x1f"', '"\x7f"', '"\ud800"', '"\\x41"', '"\\u00e9"', '"\\"', '"\n"', '"\U0001f600"']
MEMBERS = st.tuples(
    st.sampled_from(['"a"', '"b"', '"\\u0061"', '"\\uD800"', "a", ""]),
    st.sampled_from(VALUES) | JSON.map(json.dumps),
)
AROUND = st.sampled_from(["", "", "", " ", "\n", "\t\r\n", "\xa0", "\ufeff", "\x00", ",", "{}"])
TEXTS = st.builds(
    lambda before, members, after: f"{before}{{{','.join(map(':'.join, members))}}}{after}",
    AROUND,
    st.lists(MEMBERS, max_size=3),
    AROUND,
)


def agree_on_json(data: bytes) -> None:
    try:
        expected = strict(data)
    except ValueError:
        with pytest.raises(ValueError):
            strict_json.json_object(data)
    else:
        assert repr(strict_json.json_object(data)) == repr(expected)


@pytest.mark.slow
@MANY
@given(TEXTS)
def test_json_is_what_the_strict_reader_reads(text: str) -> None:
    """We accept exactly what it accepts (nothing here is deep), and read the same of it."""
    agree_on_json(text.encode("utf-8", "surrogatepass"))


@pytest.mark.slow
@settings(MANY, max_examples=300)
@given(
    st.binary(max_size=40) | st.text("{} \xe9", max_size=9).map(lambda text: text.encode("utf-16"))
)
def test_bytes_are_json_in_utf_8_or_refused(data: bytes) -> None:
    """By one kind of error."""
    agree_on_json(data)


@pytest.mark.parametrize("depth", [1, 31, 32, 33, 34, 100, 990, 5000, 100_000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_the_depth_of_json_has_one_bound(depth: int, brackets: str) -> None:
    """On this side it is read, on that side refused, however the reader would have failed."""
    start, end = brackets[:-1], brackets[-1]
    data = ('{"a":' + start * (depth - 1) + "0" + end * (depth - 1) + "}").encode()

    if depth <= strict_json.MAX_DEPTH:
        assert strict_json.json_object(data) == json.loads(data)
    else:
        with pytest.raises(ValueError):
            strict_json.json_object(data)


# --- The Authorization header ---------------------------------------------------------------

#: RFC 6750 section 2.1 with RFC 9110 section 11: the scheme in any case.
CREDENTIALS = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")
HEADER_PLACE = [place("header", 100)]
SCHEMES = st.sampled_from(["Bearer", "bearer", "BEARER", "beArer", "Bearer\t", "Bear", "", "Basic"])
SPACES = st.sampled_from(["", " ", "  ", "\t", "\xa0", "\u2003", " \n", "\x0b"])
BODIES = st.text("a=", max_size=4) | st.text("Z9-._~+/=", max_size=9) | st.text(max_size=9)
TAILS = st.sampled_from(["", "=", "==", " ", "\n", "\r\n", ",", "\x00", "\u212a", " x"])


@pytest.mark.slow
@MANY
@given(parts=st.tuples(SCHEMES, SPACES, BODIES, TAILS))
def test_the_header_is_of_the_language_or_malformed(parts: tuple[str, ...]) -> None:
    """Any text of Unicode, though a server gives us latin-1 (PEP 3333)."""
    value = "".join(parts)
    expected = CREDENTIALS.fullmatch(value)
    try:
        token = reader(HEADER_PLACE)({"HTTP_AUTHORIZATION": value}, False)
    except MalformedHeaderError:
        assert not expected
    else:
        assert token == (expected[1] if expected else None)
        assert expected or not value


def test_every_character_of_a_token() -> None:
    """At its start, inside, at its end, and in the scheme; beside latin-1 what folds to ASCII."""
    for sign in map(chr, [*range(0x180), 0x212A, 0x2028, 0xD800, 0xFF41]):
        for value in (
            f"Bearer {sign}aa",
            f"Bearer a{sign}a",
            f"Bearer aa{sign}",
            f"Beare{sign} aa",
        ):
            expected = CREDENTIALS.fullmatch(value)
            try:
                token = reader(HEADER_PLACE)({"HTTP_AUTHORIZATION": value}, False)
            except MalformedHeaderError:
                token = None
            assert token == (expected[1] if expected else None), ascii(value)


# --- Rules ----------------------------------------------------------------------------------

SEGMENTS = ["", "a", "b", ".", "..", "...", "a;b", "\\", "\x00", "\xc3\xa9", "\xe9"]
PLAIN = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/\xc3\xa9", "/\xc3\xa9/b", "/A"]
PLAIN += ["/a.json", "/a.json/", "/a/.json", "/a/b.c", "/.a", "/a.b-c", "/a.", "/b.1/a", "/a.b.c"]
PATHS = (
    st.sampled_from(PLAIN)
    | st.lists(st.sampled_from(SEGMENTS), max_size=4).map(lambda parts: "/" + "/".join(parts))
    | st.sampled_from(["", "a", "a/b", "*", "/*", "/a/*"])
)
PATTERNS = ["/", "/*", "/a", "/a/", "/a/*", "/a/b", "/a/b/*", "/ab/*", "/b/*", "/\xe9", "/\xe9/*"]
METHODS = st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "get"])
RULES = st.builds(
    Rule,
    st.sampled_from(PATTERNS),
    st.none() | st.frozensets(METHODS, min_size=1),
    st.sampled_from(list(Token)),
    st.frozensets(st.sampled_from("abc"), max_size=2),
)


def in_order(rules: Iterable[Rule], method: str, path: str) -> Rule:
    """The first in the list whose path and method fit."""
    for rule in rules:
        of_method = rule.methods is None or method in rule.methods
        of_method = of_method or (method == "HEAD" and "GET" in rule.methods)
        if of_method and fits(rule, path):
            return rule
    return REQUIRE_TOKEN


def fits(rule: Rule, path: str) -> bool:
    pattern = rule.path.encode().decode("latin-1")
    return path == pattern or (pattern.endswith("/*") and f"{path}/".startswith(pattern[:-1]))


def all_that_count(rules: list[Rule], method: str, path: str) -> list[Rule]:
    """The rule of the path, and of what a router takes it for: no final slash, no suffix."""
    found = [in_order(rules, method, path)]
    if found[0].path.encode().decode("latin-1") == path:
        return found
    bases = [path.removesuffix("/")]
    bases += [match[1].removesuffix("/")] if (match := SUFFIX.fullmatch(bases[0])) else []
    for reading in [other for base in bases for other in (base, f"{base}/")]:
        rule = in_order(rules, method, reading)
        if rule.token is Token.REQUIRED and not fits(rule, path) and rule not in found:
            found.append(rule)
    return found


SUFFIX = re.compile(r"(.*)\.[a-zA-Z0-9]+")


def plain(path: str) -> bool:
    """Whether every router reads it alike."""
    first, *segments = path.split("/")
    odd = {".", ".."} & set(segments) or set("\\\x00;") & set(path)
    utf8 = path.encode("latin-1").decode("utf-8", "replace")
    return (
        first == ""
        and bool(segments)
        and not odd
        and "" not in segments[:-1]
        and "\ufffd" not in utf8
    )


@pytest.mark.slow
@MANY
@given(listed=st.lists(RULES, max_size=20), method=METHODS, path=PATHS)
def test_the_index_of_rules_finds_the_first_match(
    listed: list[Rule], method: str, path: str
) -> None:
    """As a walk through the list would; an odd path or method meets the conditions of all."""
    found = Rules(listed).find(method, path)
    if plain(path) and method.isupper():
        meant = all_that_count(listed, method, path)
        asking = [rule for rule in meant if rule.token in ("required", "optional")]
        if len(meant) == 1:
            assert found == meant[0]
            return
        asked = {scope for rule in asking for scope in rule.scopes}
        assert found.token is Token.REQUIRED
        assert set(found.scope) == asked
        _needs_all_of(found, asked)
        return

    # Any rule may be meant, so a token is needed, with what any of them asks for.
    assert found.token is Token.REQUIRED
    assert found.scope == ()
    asked = {scope for rule in listed if rule.token is not Token.REPORT for scope in rule.scopes}
    _needs_all_of(found, asked)


def _needs_all_of(rule: Rule, asked: set[str]) -> None:
    rule.authorize({"scope": " ".join(asked)})
    for scope in asked:
        with pytest.raises(InsufficientScopeError):
            rule.authorize({"scope": " ".join(asked - {scope})})
