"""The authorization server of the MCP tests answers wrong requests with 400, never with 500."""

from typing import Any

import pytest
from servers.authorization_server import make_app

ISSUER = "https://login.example.com"
REDIRECT = "https://client.example.com/callback"
ASKED = {
    "response_type": "code",
    "redirect_uri": REDIRECT,
    "scope": "greet",
    "resource": "https://api.example.com/mcp",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}


@pytest.fixture(params=["none", "client_secret_basic"])
def registered(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A visitor of the server, and the id of a client that is public or has a secret."""
    visitor = make_app(ISSUER).test_client()
    wish = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": request.param}
    wish |= {"grant_types": ["authorization_code"], "response_types": ["code"]}
    answer = visitor.post("/register", json=wish)
    assert answer.status_code == 201, answer.text
    return visitor, answer.json["client_id"]


@pytest.mark.parametrize("name", ["code_challenge", "code_challenge_method", "resource"])
def test_what_mcp_requires_cannot_be_left_out(registered: tuple[Any, str], name: str) -> None:
    """PKCE and a resource: also for a client with a secret (OAuth 2.1 section 7.5.1)."""
    visitor, client_id = registered
    asked = {key: value for key, value in ASKED.items() if key != name}

    answer = visitor.get("/authorize", query_string={"client_id": client_id, **asked})

    assert answer.status_code == 400
    assert "error" in answer.json


@pytest.mark.parametrize(
    "wrong",
    [{"code_challenge": ""}, {"code_challenge": "short"}, {"code_challenge_method": "plain"}],
    ids=["empty", "short", "plain"],
)
def test_an_invalid_code_challenge_is_refused(
    registered: tuple[Any, str], wrong: dict[str, str]
) -> None:
    """RFC 7636 section 4.2: 43 characters at least; only S256 is accepted."""
    visitor, client_id = registered

    answer = visitor.get("/authorize", query_string={"client_id": client_id, **ASKED, **wrong})

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [{"client_id": "unknown"}, {"redirect_uri": "https://evil.example"}, {"response_type": "x"}],
    ids=["client", "redirect", "type"],
)
def test_other_mistakes_are_400_as_well(registered: tuple[Any, str], wrong: dict[str, str]) -> None:
    """No code is sent to a redirect URI that the client did not register."""
    visitor, client_id = registered

    answer = visitor.get("/authorize", query_string={"client_id": client_id, **ASKED, **wrong})

    assert answer.status_code in (400, 401)
    assert "Location" not in answer.headers


def test_a_redirect_uri_may_be_left_out(registered: tuple[Any, str]) -> None:
    """The client registered one only, so that one is meant (RFC 6749 section 3.1.2.3)."""
    visitor, client_id = registered
    asked = {key: value for key, value in ASKED.items() if key != "redirect_uri"}

    answer = visitor.get("/authorize", query_string={"client_id": client_id, **asked})

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{REDIRECT}?code=")


def test_a_token_request_without_anything_is_400(registered: tuple[Any, str]) -> None:
    """The token endpoint answers wrong requests as RFC 6749 section 5.2 says."""
    visitor, client_id = registered
    for form in ({}, {"grant_type": "authorization_code", "client_id": client_id, "code": "x"}):
        assert visitor.post("/token", data=form).status_code in (400, 401)
    assert visitor.post("/register", data="{", content_type="application/json").status_code == 400
