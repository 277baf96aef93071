"""Several issuers: each with its keys and its terms, and nothing of one is the other's."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import IN_A_DAY
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Settings
from jwt_wsgi.keys import KeySet
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.verifier import Verifier

A = FakeIssuer("https://a.example", exp=IN_A_DAY)
B = FakeIssuer("https://b.example", algorithm="ES256", exp=IN_A_DAY)
SHARED = FakeIssuer("https://s.example", algorithm="HS256", exp=IN_A_DAY)
SAME = FakeIssuer("https://same.example", exp=IN_A_DAY)  # EdDSA and key-1, as A


def code(options: Any, token: str) -> str | None:
    """The code of the refusal, None if it is let in."""
    app = EchoApp()
    answer = Client(JWTMiddleware(app, **options)).get("/", headers=bearer(token))
    return answer.json["code"] if answer.status_code != 200 else None


def listed(**more: Any) -> dict[str, Any]:
    return {
        "issuer": [
            Issuer(A.issuer, jwks=A.jwks(), audience="for-a", algorithms="EdDSA"),
            Issuer(B.issuer, jwks=B.jwks(), audience="for-b", algorithms="ES256"),
            Issuer(SHARED.issuer, secret=SHARED.secret),
            Issuer(SAME.issuer, jwks=SAME.jwks(), claims={"org": "acme"}, leeway=0),
        ]
    } | more


IMPOSTOR = FakeIssuer(A.issuer, algorithm="HS256", exp=IN_A_DAY)
#: token -> its code. Terms go with the issuer.
PAIRED = {
    "A": (A.token(aud="for-a"), None),
    "B": (B.token(aud="for-b"), None),
    "shared": (SHARED.token(), None),
    "A for B": (A.token(aud="for-b"), "audience_mismatch"),
    "B for A": (B.token(aud="for-a"), "audience_mismatch"),
    "A for nobody": (A.token(), "audience_mismatch"),
    "shared for A": (SHARED.token(aud="for-a"), "audience_mismatch"),
    "B as A": (B.token(iss=A.issuer, aud="for-a"), "algorithm_not_allowed"),
    "A as B": (A.token(iss=B.issuer, aud="for-b"), "algorithm_not_allowed"),
    "A as shared": (A.token(iss=SHARED.issuer), "algorithm_not_allowed"),
    "shared as A": (SHARED.token(iss=A.issuer, aud="for-a"), "algorithm_not_allowed"),
    "an HMAC as A": (IMPOSTOR.token(aud="for-a"), "algorithm_not_allowed"),
    "T30: the same kid": (SAME.token(iss=A.issuer, aud="for-a"), "signature_invalid"),
    "T30: and back": (A.token(iss=SAME.issuer, org="acme"), "signature_invalid"),
    "without its claim": (SAME.token(), "claim_missing"),
    "with its claim": (SAME.token(org="acme"), None),
    "a stranger": (A.token(iss="https://c.example"), "issuer_not_trusted"),
    "capitals": (A.token(iss="https://A.example", aud="for-a"), "issuer_not_trusted"),
    "a list": (A.token(iss=[A.issuer], aud="for-a"), "issuer_not_trusted"),
    "expired, told by its own": (A.token(aud="for-a", exp=1), "token_expired"),
}


@pytest.mark.parametrize(("token", "expected"), PAIRED.values(), ids=PAIRED)
def test_terms_are_paired_with_the_issuer(token: str, expected: str | None) -> None:
    """The error is that of the issuer that iss names; no other one is asked."""
    assert code(listed(), token) == expected


def test_what_an_issuer_does_not_say_comes_from_the_middleware() -> None:
    """Terms one by one, and keys as a whole."""
    options = {
        "issuer": [Issuer(A.issuer), Issuer(B.issuer)],
        "audience": "x",
        "required_claims": "org",
    }
    own = [Issuer(A.issuer, jwks=A.jwks()), Issuer(B.issuer, jwks=B.jwks(), audience="y")]
    options["issuer"] = own

    assert code(options, A.token(aud="x", org=1)) is None
    assert code(options, B.token(aud="x", org=1)) == "audience_mismatch"
    assert code(options, B.token(aud="y", org=1)) is None
    assert code(options, B.token(aud="y")) == "claim_missing"


def test_the_innermost_keys_hide_the_outer() -> None:
    """One Issuer beside the middleware's key option; its own is the one that counts."""
    for inner in ({"jwks": A.jwks()}, {"keys": KeySet.of(A.jwks())}):
        options = {"issuer": Issuer(A.issuer, **inner), "jwks": SAME.jwks()}
        assert code(options, A.token()) is None
        assert code(options, SAME.token(iss=A.issuer)) == "signature_invalid"
    assert code({"issuer": Issuer(A.issuer), "jwks": A.jwks()}, A.token()) is None


def test_keys_are_any_key_source() -> None:
    """An object with candidates(header)."""

    class Own:
        def candidates(self, header: Any) -> Any:
            return KeySet.of(A.jwks()).candidates(header)

    assert code({"issuer": Issuer(A.issuer, keys=Own())}, A.token()) is None


def test_an_empty_key_source_of_ones_own_is_not_replaced_by_discovery() -> None:
    """A set without keys is false in Python, and still the one that was given."""
    assert code({"issuer": Issuer(A.issuer, keys=KeySet(()))}, A.token()) == "key_not_found"


FORMS = [
    [A.issuer, B.issuer],
    [Issuer(A.issuer), B.issuer],
    [{"issuer": A.issuer}, Issuer(B.issuer)],
    json.dumps([A.issuer, {"issuer": B.issuer, "audience": ["y"]}]),
]


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_a_list_in_any_form(form: Any) -> None:
    """Identifiers, Issuers, objects, JSON."""
    names = [issuer.identifier for issuer in Settings.of(issuer=form).issuers]

    assert names == [A.issuer, B.issuer]


def test_json_in_the_environment_and_in_its_file(tmp_path: Path) -> None:
    """With the keys and terms of each, and a secret that is a Docker secret."""
    text = json.dumps(
        [
            {"issuer": A.issuer, "jwks": A.jwks(), "audience": "for-a"},
            {"issuer": SHARED.issuer, "secret": SHARED.secret},
        ]
    )
    path = tmp_path / "issuers.json"
    path.write_text(text + "\n")

    for environ in ({"JWT_WSGI_ISSUER": text}, {"JWT_WSGI_ISSUER_FILE": str(path)}):
        verifier = JWTMiddleware(EchoApp(), Settings.load({}, environ=environ)).verifier
        assert verifier.verify(A.token(aud="for-a"))["iss"] == A.issuer
        assert verifier.verify(SHARED.token())["iss"] == SHARED.issuer


HIDDEN = "hunter2-and-no-other"
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "two key sources": (
        {"issuer": [Issuer(A.issuer, jwks=A.jwks(), secret=SHARED.secret), B.issuer]},
        ["issuer[0]: jwks, secret: the keys come from one place"],
    ),
    "keys and a key option": (
        {"issuer": Issuer(A.issuer, keys=KeySet.of(A.jwks()), jwks=A.jwks())},
        ["jwks, keys: the keys come from one place"],
    ),
    "the middleware's beside several": (
        {"issuer": [A.issuer, B.issuer], "jwks": A.jwks()}, ["jwks: give it to the one issuer"],
    ),
    "the middleware's beside several with their own": (
        {"issuer": [Issuer(A.issuer, jwks=A.jwks()), Issuer(B.issuer, jwks=B.jwks())],
         "jwks_uri": "https://k.example"},
        ["jwks_uri: give it to the one issuer"],
    ),
    "one twice": ({"issuer": [A.issuer, A.issuer]}, ["issuer: "]),
    "none": ({"issuer": []}, ["issuer: "]),
    "no key source": ({"issuer": Issuer(A.issuer, keys=5)}, ["keys: give a key source"]),
    "a false one": ({"issuer": Issuer(A.issuer, keys=0)}, ["keys: give a key source"]),
    "HS256 beside public keys": (
        {"issuer": [Issuer(A.issuer, jwks=A.jwks(), algorithms="HS256 EdDSA"), B.issuer]},
        ["issuer[0]: algorithms: HS256 need secret"],
    ),
    "each problem of each": (
        {"issuer": [
            Issuer(A.issuer, leway=5, audience="", algorithms="none"),
            Issuer(B.issuer, jwks_url="https://k.example", leeway=999),
            {"issuer": "http://c.example", "identifier": "x"},
            Issuer("https://d.example", secret=HIDDEN),
        ]},
        ["issuer[0].leway: no such option of an issuer; did you mean leeway?",
         "issuer[0].audience: ", "issuer[0].algorithms: 'none': unknown: none",
         "issuer[1].jwks_url: no such option of an issuer; did you mean jwks_uri?",
         "issuer[1].leeway: ", "issuer[2].identifier: no such option", "issuer[2]: issuer: ",
         "issuer[3]: secret: (a secret): too short"],
    ),
    "a secret in a list": ({"issuer": [{"issuer": "a", "secret": HIDDEN}, 5]}, ["issuer[1]: "]),
    "a secret in an object": ({"issuer": {"issuer": A.issuer, "secret": HIDDEN}}, ["issuer: (obj"]),
    "a secret in JSON": (
        {"issuer": f'[{{"issuer": "https://a", "secret": "{HIDDEN}"}}, 5]'}, ["issuer[1]: "],
    ),
    "a secret in no JSON": ({"issuer": f'[{{"secret": "{HIDDEN}"'}, ["issuer: (JSON)"]),
    "an object without a name": ({"issuer": [{"secret": HIDDEN}]}, ["issuer: (objects)"]),
}  # fmt: skip


@pytest.mark.parametrize(("options", "places"), WRONG.values(), ids=WRONG)
def test_every_problem_is_told_at_start_with_its_place(
    options: dict[str, Any], places: list[str]
) -> None:
    """All at once; never a secret."""
    with pytest.raises(ConfigurationError) as caught:
        JWTMiddleware(EchoApp(), **options)

    problems = sorted(caught.value.problems)
    assert len(problems) == len(places), problems
    for place in places:
        assert any(problem.startswith(place) for problem in problems), (place, problems)
    assert HIDDEN not in str(caught.value)


def test_secrets_are_in_no_repr() -> None:
    """Of an Issuer, of settings, of a verifier's issuers."""
    issuer = Issuer(A.issuer, secret=f"{HIDDEN} and some more")
    settings = Settings.of(issuer=[issuer, B.issuer])
    verifier = JWTMiddleware(EchoApp(), settings).verifier

    texts = [repr(issuer), str(issuer), repr(settings), repr(verifier.issuers)]
    assert not any(HIDDEN in text for text in texts)


def test_if_one_issuer_is_down_the_others_work() -> None:
    """Its tokens are answered 503 with Retry-After, those of the others 200."""
    with FakeIssuer().serve() as up, FakeIssuer().serve() as down, down.outage():
        client = Client(JWTMiddleware(EchoApp(), issuer=[up.issuer, down.issuer]))

        for _ in range(2):
            assert client.get("/", headers=bearer(up.token())).status_code == 200
            answer = client.get("/", headers=bearer(down.token()))
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
        assert client.get("/", headers=bearer(up.token(exp=1))).json["code"] == "token_expired"
        assert up.requests
        assert len(up.requests) <= 2


@pytest.mark.parametrize("many", [1, 1000])
def test_a_slash_is_explained_at_the_same_cost(many: int, caplog: pytest.LogCaptureFixture) -> None:
    """Two look-ups, however many issuers there are; and the log stays short."""
    issuers = [Issuer(f"https://{n}.example/x", jwks=A.jwks()) for n in range(many)]
    middleware = JWTMiddleware(EchoApp(), issuer=issuers)
    trusted = middleware.verifier.issuers

    class Counting(dict[str, Any]):
        asked = 0

        def __contains__(self, name: object) -> bool:
            Counting.asked += 1
            return super().__contains__(name)

        def __iter__(self) -> Any:
            for name in super().__iter__():
                Counting.asked += 1
                yield name

    counting = Counting({name: trusted.get(name) for name in trusted})
    Counting.asked = 0
    middleware.verifier = Verifier(counting)
    client = Client(middleware)
    for path in ("x/", "y"):
        token = A.token(iss=f"https://0.example/{path}")
        assert client.get("/", headers=bearer(token)).json["code"] == "issuer_not_trusted"

    assert Counting.asked <= 2 + 2 + 5 + 1
    assert "differs from https://0.example/x in its final slash only" in caplog.text
    assert len(caplog.text) < 1000
