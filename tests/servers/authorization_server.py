"""Authlib's authorization server, with all that an MCP client asks of one, on Flask.

RFC 8414 metadata, dynamic client registration (RFC 7591), the authorization code grant with PKCE
(RFC 7636), JWT access tokens (RFC 9068) for the resource that was asked for (RFC 8707), JWKS.
Its one user consents to everything: for tests on loopback only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6749.errors import OAuth2Error
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask
from flask import request
from joserfc.jwk import ECKey
from joserfc.jwk import KeySet

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

USER = "ada"
SCOPES = ["greet", "profile"]


class User:
    def get_user_id(self) -> str:
        return USER


class Client(ClientMixin):  # type: ignore[misc]
    """What a client told of itself when it registered."""

    def __init__(self, info: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.info, self.metadata = info, metadata

    def get_client_id(self) -> str:
        return str(self.info["client_id"])

    def get_default_redirect_uri(self) -> str:
        return str(self.metadata["redirect_uris"][0])

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(word for word in (scope or "").split() if word in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.metadata["redirect_uris"]

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.info["client_secret"]

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.metadata["token_endpoint_auth_method"] and endpoint == "token"

    def check_response_type(self, response_type: str) -> bool:
        return response_type in self.metadata["response_types"]

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """An authorization code and what it stands for."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    resource: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]
    """RFC 8707 section 2."""

    error = "invalid_target"


class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")

    def validate_authorization_request(self) -> Any:
        if self.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with S256 is required")
        if "resource" not in self.request.payload.data:
            raise InvalidTargetError("name a resource")
        return super().validate_authorization_request()

    def save_authorization_code(self, code: str, oauth_request: Any) -> None:
        asked = oauth_request.payload.data
        self.server.codes[code] = Code(
            code,
            oauth_request.client.get_client_id(),
            asked.get("redirect_uri", ""),
            oauth_request.scope,
            asked["resource"],
            asked["code_challenge"],
            asked["code_challenge_method"],
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found: Code | None = self.server.codes.get(code)
        if found is None or found.client_id != client.get_client_id():
            return None
        if self.request.form.get("resource") != found.resource:
            raise InvalidTargetError("not the resource of the authorization")
        return found

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del self.server.codes[authorization_code.code]

    def authenticate_user(self, _authorization_code: Code) -> User:
        return User()


class Registration(ClientRegistrationEndpoint):  # type: ignore[misc]
    def authenticate_token(self, _request: Any) -> str:
        return "anybody"

    def get_server_metadata(self) -> dict[str, Any]:
        return self.server.metadata()

    def save_client(self, info: dict[str, Any], metadata: dict[str, Any], _request: Any) -> Client:
        self.server.clients[info["client_id"]] = client = Client(info, metadata)
        return client


class Generator(JWTBearerTokenGenerator):  # type: ignore[misc]
    """Access tokens for the resource that the client named."""

    def __init__(self, issuer: str, keys: KeySet) -> None:
        super().__init__(issuer, alg="ES256")
        self._keys = keys

    def get_jwks(self) -> KeySet:
        return self._keys

    def get_audiences(self, *_who_and_what: object) -> str:
        return request.form["resource"]  # that of the code: the grant has compared them


class Server(AuthorizationServer):  # type: ignore[misc]
    """What it knows is in ``clients`` and ``codes``."""

    def __init__(self, app: Flask, issuer: str) -> None:
        self.issuer = issuer
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Code] = {}
        self.keys = KeySet([ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})])
        super().__init__(app, self.clients.get, lambda *_: None)
        self.scopes_supported = SCOPES
        self.register_grant(Grant, [CodeChallenge(required=True)])
        self.register_endpoint(Registration)
        self.register_token_generator("default", Generator(issuer, self.keys))

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "jwks_uri": f"{self.issuer}/jwks.json",
            "scopes_supported": SCOPES,
            "response_types_supported": ["code"],
            # Clients register for both; refresh tokens are never issued.
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": [
                "none",
                "client_secret_basic",
                "client_secret_post",
            ],
            "code_challenge_methods_supported": ["S256"],
        }


def make_app(issuer: str) -> Flask:
    """The authorization server whose identifier and base URL is ``issuer``."""
    app = Flask(__name__)
    server = Server(app, issuer)

    @app.get("/.well-known/oauth-authorization-server")
    def metadata():
        return server.metadata()

    @app.get("/jwks.json")
    def jwks():
        return server.keys.as_dict(private=False)

    @app.post("/register")
    def register():
        return server.create_endpoint_response("client_registration")

    @app.get("/authorize")
    def authorize():
        try:
            grant = server.get_consent_grant(end_user=User())
        except OAuth2Error as error:  # told to the user, never sent to the client's redirect URI
            return dict(error.get_body()), 400
        return server.create_authorization_response(grant_user=User(), grant=grant)

    @app.post("/token")
    def token():
        return server.create_token_response()

    wsgi_app = app.wsgi_app

    def as_if_https(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # Authlib insists on https; this one speaks to loopback only.
        return wsgi_app({**environ, "wsgi.url_scheme": "https"}, start_response)

    app.wsgi_app = as_if_https
    return app
