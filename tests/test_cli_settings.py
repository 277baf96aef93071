"""`jwt-wsgi settings`: every effective setting and where it comes from, for an auditor."""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi.__main__ import main
from jwt_wsgi.cli.relaxed_checks import relaxed_checks
from jwt_wsgi.keys import KeySet
from jwt_wsgi.settings.options import OPTIONS
from jwt_wsgi.testing import FakeIssuer

Report = Callable[..., tuple[int, str]]
SECRET = "a-secret-of-thirty-two-characters-at-least"


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Report:
    """Run the command; returns the exit code and all that it prints."""

    def run(*arguments: str, app: Any = None, **variables: str) -> tuple[int, str]:
        for name, value in variables.items():
            monkeypatch.setenv(f"JWT_WSGI_{name}", value)
        if app is not None:
            module = types.ModuleType("shop")
            module.__dict__["app"] = app() if callable(app) else app
            monkeypatch.setitem(sys.modules, "shop", module)
            monkeypatch.setattr(sys, "path", list(sys.path))
            arguments = ("--app", "shop:app", *arguments)
        code = main(["settings", *arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def only(out: str) -> Any:
    """What the JSON says of the one middleware."""
    (found,) = json.loads(out)["middlewares"]
    return found


def plain(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b""]


def test_every_option_with_its_source(report: Report, tmp_path: Path) -> None:
    """A flag, a variable, a file that a variable names, or the default."""
    file = tmp_path / "audience"
    file.write_text("https://api.example\n")
    code, out = report(
        "--issuer", "https://a.example", "--json", LEEWAY="5", AUDIENCE_FILE=str(file)
    )
    rows = {row["option"]: row for row in only(out)["settings"]}

    assert code == 0
    assert set(rows) == set(OPTIONS)
    assert rows["issuer"] == {
        "option": "issuer", "value": "https://a.example", "source": "command line"
    }  # fmt: skip
    assert rows["leeway"] == {"option": "leeway", "value": "5s", "source": "JWT_WSGI_LEEWAY"}
    assert rows["audience"]["source"] == "JWT_WSGI_AUDIENCE_FILE"
    assert rows["audience"]["value"] == "https://api.example"
    assert rows["jwks_max_age"] == {"option": "jwks_max_age", "value": "10m", "source": "default"}
    assert rows["algorithms"]["value"].startswith("EdDSA Ed25519 ES256 ")


def test_the_settings_of_an_app(report: Report) -> None:
    """With --app its own middleware is asked: keywords are seen, and variables below them."""

    def app() -> Any:
        return JWTMiddleware(plain, issuer="https://a.example", claims={"azp": "shop"})

    _, out = report("--json", app=app, LEEWAY="5")
    rows = {row["option"]: row for row in only(out)["settings"]}

    assert rows["issuer"]["source"] == "keyword"
    assert rows["claims"]["value"] == "azp shop"
    assert rows["leeway"]["source"] == "JWT_WSGI_LEEWAY"


def test_the_settings_of_every_middleware(report: Report) -> None:
    """An app may be guarded twice, or one mount otherwise than another: an auditor sees all."""

    def app() -> Any:
        inner = JWTMiddleware(plain, issuer="https://in.example", allow_http=True)
        outer = JWTMiddleware(plain, issuer="https://out.example", audience="*")
        return DispatcherMiddleware(outer, {"/admin": inner})

    code, out = report(app=app)
    assert code == 0
    outside, inside = out.split("JWTMiddleware 2 of 2, from the outside")
    assert outside.startswith("JWTMiddleware 1 of 2, from the outside")
    assert "https://out.example" in outside
    assert "open audience: *" in outside
    assert "https://in.example" in inside
    assert "open allow_http" in inside
    assert "open audience" not in inside
    _, out = report("--json", app=app)
    assert [len(one["relaxed_checks"]) for one in json.loads(out)["middlewares"]] == [1, 1]


def test_an_issuer_with_terms_of_its_own(report: Report) -> None:
    """Stands beside the common ones."""
    issuers = [
        Issuer("https://a.example", audience="a"),
        Issuer("https://b.example", secret=SECRET, audience="b"),
    ]
    _, out = report("--json", app=lambda: JWTMiddleware(plain, issuer=issuers, audience="c"))

    assert only(out)["issuers"] == [
        {"issuer": "https://a.example", "settings": {"audience": "a"}},
        {
            "issuer": "https://b.example",
            "settings": {"secret": "(set, not shown)", "audience": "b"},
        },
    ]


def test_no_secret_is_shown(report: Report) -> None:
    """Neither as text nor as JSON, whatever option it stands in."""
    given = {
        "ISSUER": "https://a.example",
        "SECRET": SECRET,
        "REVOCATION": f"redis://:{SECRET}@127.0.0.1:1/0",
    }
    for arguments in ((), ("--json",)):
        code, out = report(*arguments, **given)
        assert code == 0
        assert SECRET not in out
        assert "not shown" in out


def test_the_query_of_a_url_is_not_shown(report: Report) -> None:
    """It may hold a secret, so every message leaves it out."""
    for arguments in ((), ("--json",)):
        _, out = report(
            *arguments, ISSUER="https://a.example", JWKS_URI=f"https://a.example/jwks?key={SECRET}"
        )
        assert "https://a.example/jwks" in out
        assert SECRET not in out


def test_the_keys_of_an_issuer_are_named_by_their_class(report: Report) -> None:
    """An issuer without settings of its own has no entry."""
    keys = KeySet.of(FakeIssuer().jwks())
    one, two = Issuer("https://a.example", keys=keys), Issuer("https://b.example")

    _, out = report("--json", app=lambda: JWTMiddleware(plain, issuer=[one], audience="c"))
    (own,) = only(out)["issuers"]
    assert own["settings"] == {"keys": "jwt_wsgi.keys.KeySet"}
    _, out = report("--json", app=lambda: JWTMiddleware(plain, issuer=[two], audience="c"))
    assert only(out)["issuers"] == []


def test_a_warning_is_shown_once(report: Report) -> None:
    """A relaxed check that is also a warning at start is among the relaxed checks only."""
    _, out = report("--json", ISSUER="https://a.example", AUDIENCE="*")
    found = json.loads(out)
    assert [text for text in only(out)["relaxed_checks"] if "audience: *" in text]
    assert [text for text in found["warnings"] if "audience" in text] == []


def test_rules_that_leave_no_path_out(report: Report) -> None:
    """There is no line for everything else if a rule for all paths is there."""
    rules = [Rule("/*", scopes=["read"])]
    _, out = report(app=lambda: JWTMiddleware(plain, issuer="https://a.example", rules=rules))
    assert "  1  any /*: a token is required, with scope read" in out
    assert "everything else" not in out


def test_rules_and_relaxed_checks(report: Report) -> None:
    """The rules in their order, and all that lets in more than a good token of this API."""
    rules = [
        Rule("/healthz", token="ignored"),
        Rule("/orders/*", methods=["GET"], token="optional"),
        Rule("/orders/*", scopes=["write"]),
    ]
    code, out = report(
        app=lambda: JWTMiddleware(
            plain,
            issuer="http://a.example",
            rules=rules,
            audience="*",
            allow_http=True,
            cors={"skip_preflight": True},
        )
    )

    assert code == 0
    assert "  1  any /healthz: no token is looked at" in out
    assert "  3  any /orders/*: a token is required, with scope write" in out
    assert "  -  everything else: a token is required" in out
    for sentence in ("/healthz: no token is looked at", "GET /orders/*: a token is optional",
                 "audience: *", "allow_http", "skip_preflight"):  # fmt: skip
        assert sentence in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"public_paths": ["/healthz"]}, "/healthz: no token is looked at"),
        ({"optional": True}, "/*: a token is optional"),
        ({"rules": [Rule("/x", token="report")]}, "/x: a token is checked, and every request"),
        ({"audience": "*"}, "audience: *"),
        ({"allow_http": True}, "allow_http: "),
        ({"cors": {"skip_preflight": True}}, "cors: skip_preflight: "),
        ({"cors": "*"}, "cors: *"),
        ({"bound_tokens": "accept"}, "bound_tokens: "),
        ({"settings_from_request": True}, "settings_from_request: "),
        ({"revocation": {"function": lambda _: False, "fail_open": True}}, "revocation: "),
        ({"resource": "https://api.example/mcp"}, "/.well-known/oauth-protected-resource/mcp"),
        ({"leeway": 300}, "leeway: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_relaxed_check(options: Any, said: str) -> None:
    """Each setting that lets in more, and none without it."""
    strict = JWTMiddleware(plain, issuer="https://a.example").settings
    guarded = JWTMiddleware(plain, issuer="https://a.example", **options)
    found = list(relaxed_checks(guarded.settings))

    assert list(relaxed_checks(strict)) == []
    assert [sentence for sentence in found if said in sentence]


def test_a_wrong_setting(report: Report) -> None:
    """Exit code 2 with every problem, as the other commands have it."""
    code, out = report(LEEWAY="400", ISSUER="https://a.example")
    assert code == 2
    assert "jwt-wsgi settings: JWT_WSGI_LEEWAY" in out


def test_the_test_kit_has_no_source(report: Report) -> None:
    """Settings that are made and handed over say so."""
    issuer = FakeIssuer()
    settings = issuer.protect(plain).settings
    _, out = report("--json", app=lambda: JWTMiddleware(plain, settings))
    assert only(out)["settings"][0]["source"] in {"keyword", "default"}
