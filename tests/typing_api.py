"""The public API as its users write it: never run, and accepted by mypy and basedpyright.

Every name that ``jwt_wsgi`` exports is here. A line that says ``type: ignore`` and ``pyright:
ignore`` is a mistake that both must find: one that is not found is reported, too.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=error

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import assert_type

from flask import Flask

from jwt_wsgi import AuthError
from jwt_wsgi import Claims
from jwt_wsgi import ConfigurationError
from jwt_wsgi import Event
from jwt_wsgi import InsufficientAuthError
from jwt_wsgi import InsufficientScopeError
from jwt_wsgi import InvalidTokenError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import Key
from jwt_wsgi import KeySet
from jwt_wsgi import KeySource
from jwt_wsgi import KeysUnavailableError
from jwt_wsgi import MalformedHeaderError
from jwt_wsgi import MissingTokenError
from jwt_wsgi import MultipleTokensError
from jwt_wsgi import Rule
from jwt_wsgi import Settings
from jwt_wsgi import Store
from jwt_wsgi import Token
from jwt_wsgi import UnavailableError
from jwt_wsgi import current_payload
from jwt_wsgi import user_id
from jwt_wsgi import warm_up
from jwt_wsgi.contrib.flask import JWT
from jwt_wsgi.contrib.flask import require
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import authenticated

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

ISSUER = "https://login.example.com/"


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(environ["jwt_wsgi.payload"]).encode()]


# A guarded app is an app.
middleware = JWTMiddleware(app, issuer=ISSUER)
wsgi: "WSGIApplication" = middleware
wsgi = JWTMiddleware(JWTMiddleware(app))
assert_type(warm_up(wsgi, timeout=1), bool)

# Each kind of value an option takes.
JWTMiddleware(
    app,
    issuer=[ISSUER, Issuer("https://b.example", algorithms=["ES256"], leeway=5)],
    audience="https://api.example.com",
    jwks=Path("/etc/keys.json"),
    leeway=timedelta(seconds=10),
    jwks_max_age="10m",
    jwks_timeout=2.5,
    public_paths=("/healthz", "/docs/*"),
    required_scopes={"read"},
    claims={"realm_access.roles": ["admin"]},
    optional=False,
    token_cache_size=0,
    token_types="rfc9068",
    bound_tokens="refuse",
)
JWTMiddleware(app, rules=[Rule("/a/*", methods=["GET"], token="optional"), {"path": "/b"}])
JWTMiddleware(app, rules=[Rule("/a", token=Token.REPORT, scopes=("x",), max_age=300)])

# The mistakes that a type checker finds before the middleware does.
JWTMiddleware(app, leway=30)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
JWTMiddleware(app, audience=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
JWTMiddleware(app, bound_tokens="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
JWTMiddleware(app, "https://a.example")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Issuer(ISSUER, realm="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Rule("/a", scope="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


# Functions of the user's.
def tenant(iss: str) -> Issuer | None:
    return Issuer(iss) if iss.endswith(".example") else None


def tenant_of_request(iss: str, environ: Mapping[str, Any]) -> Issuer | None:
    return Issuer(iss) if environ["HTTP_HOST"] in iss else None


def owns(claims: Mapping[str, Any], environ: Mapping[str, Any]) -> bool:
    return bool(environ["PATH_INFO"] == claims["sub"])


def check(claims: Mapping[str, Any], now: float) -> bool:
    return bool(claims["iat"] > now - 60)


def revoked(claims: Mapping[str, Any]) -> bool:
    return "jti" not in claims


def responder(error: AuthError, status: int) -> tuple[int, list[tuple[str, str]], bytes]:
    return status, [("Content-Type", "text/plain")], error.code.encode()


def hook(event: Event) -> None:
    print(event)


JWTMiddleware(app, issuer=tenant, checks=[check], revocation=revoked, responder=responder)
JWTMiddleware(app, issuer=tenant_of_request, rules=[Rule("/*", check=owns)])
JWTMiddleware(app, on_event=hook)
JWTMiddleware(app, on_event=[hook, print])


# A key source of the user's: whatever has the method.
class Remembered:
    def __init__(self, source: KeySource) -> None:
        self.source = source

    def candidates(self, header: Mapping[str, Any]) -> Iterable[Any]:
        yield from self.source.candidates(header)


# A set that changes, as one object or another.
class Database:
    def __init__(self) -> None:
        self.held: KeySet = KeySet.of({"keys": []})

    def current(self) -> KeySet:
        return self.held

    def candidates(self, header: Mapping[str, Any]) -> Iterable[Key]:
        return self.current().candidates(header)

    candidates_are_current = candidates


assert_type(Issuer(ISSUER, keys=Database()), Issuer)


# A store of the user's.
class Table:
    def read_entries(self, keys: Sequence[str], /) -> list[bytes | None]:
        return [None for _ in keys]

    def write_entry(self, key: str, value: bytes, timeout: int | None, /) -> None:
        print(key, value, timeout)

    def add_entry(self, key: str, value: bytes, timeout: int | None, /) -> bool:
        return bool(timeout)


store: Store = Table()
JWTMiddleware(app, issuer=ISSUER, revocation=store)
assert_type(Claims.of({"iss": ISSUER}, {}).header, dict[str, Any])


def with_keys(source: KeySource) -> Issuer:
    return Issuer(ISSUER, keys=Remembered(source))


# Settings, once for several apps.
settings = Settings.load({"issuer": ISSUER})
JWTMiddleware(app, settings)
assert_type(settings.public_paths, tuple[str, ...])

# Without a request.
assert_type(middleware.verifier.verify("a.b.c")["sub"], Any)
assert_type(current_payload(), dict[str, Any] | None)
assert_type(user_id(current_payload()), str | None)
assert_type(middleware.warm_up(timeout=1), bool)
assert_type(middleware.health(), dict[str, Any])


def refusal(token: str) -> str | int | None:
    try:
        middleware.verifier.verify(token)
    except InvalidTokenError as error:
        return error.code
    except (KeysUnavailableError, UnavailableError) as error:
        return error.retry_after
    except (InsufficientScopeError, InsufficientAuthError) as error:
        return error.details
    except (MissingTokenError, MalformedHeaderError, MultipleTokensError) as error:
        return error.status
    except AuthError as error:
        return error.error
    return None


def problems() -> tuple[str, ...]:
    try:
        JWTMiddleware(app)
    except ConfigurationError as error:
        return error.problems
    return ()


# Tests of the user's.
issuer = FakeIssuer(aud="api")
wsgi = issuer.protect(app, audience="api", rules=[Rule("/*")])
wsgi = authenticated(app, {"sub": "ada"})
assert_type(issuer.token(sub="ada", header={"typ": "at+jwt"}), str)
with issuer.serve() as served, served.outage(), served.slow(0.5):
    served.rotate(keep=False)
    assert_type(served.wrong_key()(sub="eve"), str)


# Flask: a factory and a view need no word for the type checker.
jwt = JWT(audience="https://api.example.com")


@require(scopes=["read"], claims={"realm_access.roles": ["admin", "owner"]})
def orders(number: int) -> list[int]:
    return [number]


def create_app() -> Flask:
    flask_app = Flask(__name__)
    flask_app.config["JWT_WSGI_ISSUER"] = ISSUER
    flask_app.add_url_rule("/orders/<int:number>", view_func=orders)
    jwt.init_app(flask_app)
    return flask_app


FakeIssuer().protect(create_app()).test_client().get("/")
