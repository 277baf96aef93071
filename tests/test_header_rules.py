"""Rules with headers ask for more, and no header makes a request need less."""

from collections.abc import Callable
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Rule
from jwt_wsgi import Settings
from jwt_wsgi.cli.settings import _rule_lines
from jwt_wsgi.header_rules import matches_none
from jwt_wsgi.testing import FakeIssuer

Make = Callable[..., Client]
CALL = {"Mcp-Method": "tools/call"}
RULES = [
    Rule("/mcp", scopes=["use"]),
    Rule("/mcp", headers={**CALL, "Mcp-Name": ["delete_*", "purge"]}, scopes=["delete"]),
    Rule("/mcp", headers={**CALL, "Mcp-Name": "pay"}, scopes=["pay"], max_age=300),
]


def challenged(answer: Any) -> str:
    """The scopes that a 403 asks for; empty for a 200."""
    if answer.status_code == 200:
        return ""
    assert answer.status_code == 403, answer.text
    return str(answer.headers["WWW-Authenticate"]).partition('scope="')[2].rstrip('"')


@pytest.fixture
def ask(client: Make, issuer: FakeIssuer) -> Callable[..., str]:
    """Send these headers with a token of the scope ``use``; returns what is missing."""

    def ask(*pairs: tuple[str, str], path: str = "/mcp", method: str = "POST") -> str:
        token = bearer(issuer.token(scope="use"))
        headers = [*token.items(), *pairs]
        overrides = {"PATH_INFO": path}
        return challenged(
            client(rules=RULES).open(
                "/", method=method, headers=headers, environ_overrides=overrides
            )
        )

    return ask


@pytest.mark.parametrize(
    ("method", "name", "missing"),
    [
        ("tools/list", "", ""),
        ("tools/list", "delete_all", ""),
        ("server/discover", "", ""),
        ("tools/call", "greet", ""),
        ("tools/call", "delete", ""),
        ("tools/call", "purge_all", ""),
        ("tools/call", "delete_all", "delete use"),
        ("tools/call", "delete_", "delete use"),
        ("tools/call", "purge", "delete use"),
        ("tools/call", "pay", "pay use"),
    ],
)
def test_a_tool_has_its_own_scope(
    ask: Callable[..., str], method: str, name: str, missing: str
) -> None:
    """Its 403 names all scopes, so that the client comes back with both."""
    assert ask(("Mcp-Method", method), *([("Mcp-Name", name)] if name else [])) == missing


ODD = {
    "missing": [],
    "empty": [("Mcp-Name", "")],
    "two": [("Mcp-Name", "greet"), ("Mcp-Name", "greet")],
    "a comma": [("Mcp-Name", "greet,delete_all")],
    "a space": [("Mcp-Name", "greet delete_all")],
    "not ASCII": [("Mcp-Name", "gr\xfc\xdfe")],
    "RFC 2047": [("Mcp-Name", "=?utf-8?Q?delete_all?=")],
    "MCP's base64": [("Mcp-Name", "=?base64?ZGVsZXRlX2FsbA==?=")],
    "percent": [("Mcp-Name", "%64elete_all")],
    "quotes": [("Mcp-Name", '"delete_all"')],
    "a semicolon": [("Mcp-Name", "greet;x=delete_all")],
    "a control": [("Mcp-Name", "greet\x00delete_all")],
    "a tab": [("Mcp-Name", "greet\tdelete_all")],
    "long": [("Mcp-Name", "g" * 257)],
}


@pytest.mark.parametrize("pairs", ODD.values(), ids=ODD)
def test_an_odd_value_needs_what_every_rule_asks(
    ask: Callable[..., str], pairs: list[tuple[str, str]]
) -> None:
    """It cannot be read in one way only. The method of the message may still say enough."""
    assert ask(("Mcp-Method", "tools/call"), *pairs) == "delete pay use"
    assert ask(("Mcp-Method", "tools/list"), *pairs) == ""


def test_no_header_at_all_needs_what_every_rule_asks(ask: Callable[..., str]) -> None:
    """A client of an older revision sends none: its message may be any."""
    assert ask() == "delete pay use"
    assert ask(("Mcp-Name", "greet")) == ""


@pytest.mark.parametrize("name", ["DELETE_all", "Delete_All", "PURGE"])
def test_the_case_of_a_value_takes_nothing_away(ask: Callable[..., str], name: str) -> None:
    """An app may read it without regard to case."""
    assert ask(("Mcp-Method", "Tools/Call"), ("Mcp-Name", name)) == "delete use"


@pytest.mark.parametrize("path", ["//mcp", "/mcp/", "/mcp.json", "/x/../mcp", "/mcp;x"])
def test_every_reading_of_the_path_counts(ask: Callable[..., str], path: str) -> None:
    """As for every rule."""
    found = ask(("Mcp-Method", "tools/call"), ("Mcp-Name", "delete_all"), path=path)
    assert found in ("delete use", "delete")


def test_other_paths_and_methods_are_not_concerned(
    client: Make, issuer: FakeIssuer, ask: Callable[..., str]
) -> None:
    """Only requests of the rule's own path and method."""
    good = bearer(issuer.token())
    rules = [Rule("/mcp", methods=["POST"], headers={"X-Kind": "a"}, scopes=["x"])]
    visitor = client(rules=rules)

    assert ask(path="/other") == ""
    assert visitor.get("/mcp", headers=good).status_code == 200
    assert visitor.post("/mcp", headers=good).status_code == 403
    assert visitor.get("/mcp", headers=good | {"X-HTTP-Method-Override": "POST"}).status_code == 403
    assert visitor.get("/mcp?_method=POST", headers=good).status_code == 403


@pytest.mark.parametrize("token", ["ignored", "optional", "report"])
def test_a_header_adds_to_what_the_rule_of_the_path_asks(
    app: EchoApp, client: Make, issuer: FakeIssuer, token: str
) -> None:
    """Wherever it stands in the list, and also where no token is needed else."""
    base = Rule("/mcp", token=token)
    adding = Rule("/mcp", headers={"X-Kind": "a"}, scopes=["x"])
    for rules in ([base, adding], [adding, base]):
        visitor = client(rules=rules)
        for headers, status in (
            ({"X-Kind": "b"}, 200),
            ({"X-Kind": "a"}, 401),
            ({}, 401),
            (bearer(issuer.token()) | {"X-Kind": "a"}, 403),
            (bearer(issuer.token(scope="x")) | {"X-Kind": "a"}, 200),
        ):
            assert visitor.get("/mcp", headers=headers).status_code == status
    both = client(rules=[Rule("/mcp", scopes=["y"]), adding])
    poor = bearer(issuer.token(scope="x")) | {"X-Kind": "a"}
    assert challenged(both.get("/mcp", headers=poor)) == "x y"
    assert app.environ is not None


@pytest.mark.slow
@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=300))
def test_a_value_takes_a_rule_away_only_if_it_is_plain(value: str) -> None:
    """Whatever a client writes."""
    if matches_none(value, ["delete_*"]):
        assert value.isascii()
        assert not set(value) & set(', %=?"\\;\t\r\n')
        assert not value.lower().startswith("delete_")
        assert value


@pytest.mark.parametrize(
    ("members", "remedy"),
    [
        ({"headers": {}}, "name=value"),
        ({"headers": {"Mcp-Name": []}}, "at least one"),
        ({"headers": {"Mcp-Name": "*"}}, "a value has letters"),
        ({"headers": {"Mcp-Name": "a*b"}}, "a value has letters"),
        ({"headers": {"Mcp-Name": ["a%20b"]}}, "a value has letters"),
        ({"headers": {"Mcp-Name": ["gr\xfcn"]}}, "a value has letters"),
        ({"headers": {"Mcp Name": "a"}}, "HTTP token"),
        ({"headers": {"Content-Type": "a"}}, "not Content-*"),
        ({"headers": {"Mcp-Name": "a", "mcp_name": "b"}}, "named twice"),
        ({"headers": {"Mcp-Name": 7}}, "at least one"),
        ({"headers": {"Mcp-Name": "a"}, "token": "ignored"}, "can only ask for more"),
        ({"headers": {"Mcp-Name": "a"}, "token": "optional"}, "can only ask for more"),
    ],
    ids=str,
)
def test_wrong_headers_are_errors_at_start(members: dict[str, Any], remedy: str) -> None:
    """With the rule and the remedy."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.of(issuer="https://a.example", rules=[{"path": "/mcp", **members}])
    assert remedy in str(caught.value)
    assert "rules[0]" in str(caught.value)


def test_a_rule_with_headers_hides_no_other_and_is_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It may stand before or after the rule that decides, and opens nothing."""
    settings = Settings.of(
        issuer="https://a.example",
        rules='[{"path": "/mcp", "headers": {"Mcp-Name": "a*"}, "scopes": ["x"]},'
        ' {"path": "/mcp"}]',
    )
    assert [dict(rule.headers) for rule in settings.rules] == [{"Mcp-Name": ("a*",)}, {}]
    assert next(iter(_rule_lines(settings.rules))) == (
        "  1  any /mcp with Mcp-Name a*, in addition: a token is required, with scope x"
    )
    open_rules = [Rule("/x", headers={"X": "a"}), Rule("/*", token="ignored")]
    JWTMiddleware(EchoApp(), issuer="https://a.example", rules=open_rules)
    assert "no path needs a token" in caplog.text
