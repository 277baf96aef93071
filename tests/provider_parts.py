"""The parts of docs/providers/*.md that the provider table generates.

Settings, decoded tokens, what is accepted and refused, and the message of the usual mistake: all of
it is made with ``FakeIssuer.like``, and every message is what ``jwt-wsgi explain`` prints.
"""

import io
import json
import os
import re
import textwrap
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import redirect_stderr
from contextlib import redirect_stdout
from functools import cache
from functools import partial
from types import MappingProxyType
from typing import Any
from typing import Final
from typing import NamedTuple
from unittest.mock import patch

from werkzeug.test import Client

from jwt_wsgi import jose
from jwt_wsgi.__main__ import main
from jwt_wsgi.events import logger
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import FetchError
from jwt_wsgi.key_sources.fetch import HTTPFetch
from jwt_wsgi.settings.options import PREFIX
from jwt_wsgi.test_kit.providers import PROVIDERS
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.testing import FakeProvider

#: Page -> the rows of the provider table that it shows.
PAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "entra": ("entra-v2", "entra-v1"),
    "b2c": ("b2c",),
    "adfs": ("adfs",),
    "auth0": ("auth0",),
    "okta": ("okta",),
    "cognito": ("cognito",),
    "keycloak": ("keycloak",),
    "hydra": ("hydra",),
    "zitadel": ("zitadel",),
    "authentik": ("authentik",),
    "supabase": ("supabase",),
    "clerk": ("clerk",),
    "google": ("google",),
    "google-iap": ("google-iap",),
    "github-actions": ("github-actions",),
    "gitlab": ("gitlab",),
    "firebase": ("firebase",),
    "apple": ("apple",),
    "cloudflare-access": ("cloudflare-access",),
    "kubernetes": ("kubernetes",),
    "zuplo": ("zuplo-jwt", "zuplo-identity"),
}
_NOW: Final = 1_800_000_000  # 2027-01-15; of the samples
_WIDTH: Final = 88


class Mistake(NamedTuple):
    """What people do wrong: settings that differ (None: left out), or another token."""

    changed: Mapping[str, Any] = MappingProxyType({})
    token: Callable[[FakeProvider], str] = FakeProvider.token


def _claims(**claims: Any) -> Callable[[FakeProvider], str]:
    return lambda provider: provider.token(**claims)


def _of_row(row: str) -> Callable[[FakeProvider], str]:
    return lambda _provider: like(row).token()


def _with_a_secret(provider: FakeProvider) -> str:
    return FakeIssuer(provider.issuer, algorithm="HS256").token(aud="authenticated")


#: Row -> the usual mistake with that provider.
MISTAKES: Final[Mapping[str, Mistake]] = {
    "entra-v2": Mistake(token=_of_row("entra-v1")),
    "entra-v1": Mistake({"audience": "6731de76-14a6-49ae-97bc-6eba6914391e"}),
    "b2c": Mistake({"jwks_uri": None}),
    "adfs": Mistake({"issuer": "https://fs.contoso.example/adfs"}),
    "auth0": Mistake({"issuer": "https://acme.eu.auth0.com"}),
    "okta": Mistake(token=_claims(iss="https://acme.okta.com", aud="https://acme.okta.com")),
    "cognito": Mistake({"audience": "1example23456789", "claims": None}),
    "keycloak": Mistake(token=_claims(aud="account")),
    "hydra": Mistake(token=lambda _: "ory_at_mkXAUpZrTVHiLMpdrYEhZgTdoHEzSBcVh0ZYsz2v1i4.Rx7V0"),
    "zitadel": Mistake(token=_claims(aud=["312909075211944042"])),
    "authentik": Mistake({"issuer": "https://id.acme.example/application/o/orders"}),
    "supabase": Mistake(token=_with_a_secret),
    "clerk": Mistake(token=_claims(azp="http://localhost:3000")),
    "google": Mistake(token=lambda _: "ya29.a0AfH6SMBx5Zk8mQv3pXw"),
    "google-iap": Mistake({"audience": "1234987819200.apps.googleusercontent.com"}),
    "github-actions": Mistake(token=_claims(aud="https://github.com/octo-org")),
    "gitlab": Mistake({"claims": {"namespace_id": 72}}),
    "firebase": Mistake(
        token=_claims(
            iss="firebase-adminsdk-x1y2z@acme-shop.iam.gserviceaccount.com",
            aud="https://identitytoolkit.googleapis.com/"
            "google.identity.identitytoolkit.v1.IdentityToolkit",
        )
    ),
    "apple": Mistake(token=_claims(aud="com.acme.shop.web")),
    "cloudflare-access": Mistake({"audience": "https://orders.acme.example"}),
    "kubernetes": Mistake(token=_claims(aud=["https://kubernetes.default.svc"])),
    "zuplo-jwt": Mistake(token=_of_row("zuplo-identity")),
    "zuplo-identity": Mistake(token=_of_row("zuplo-jwt")),
}


@cache
def like(row: str) -> FakeProvider:
    """One of each: an RSA key takes its time."""
    return FakeIssuer.like(row)


# --- The parts ---------------------------------------------------------------------------------


def parts() -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Each generated part: its page, its name, and who makes it."""
    yield "docs/providers/index.md", "providers", providers
    makers = {
        "settings": settings,
        "tokens": tokens,
        "judged": judged,
        "mistake": mistake,
        "sources": sources,
    }
    for page, rows in PAGES.items():
        for row in rows:
            for name, make in makers.items():
                yield f"docs/providers/{page}.md", f"{row} {name}", partial(make, row)


def providers() -> str:
    """A line for each row, with the names of the placeholders in capitals."""
    lines = ["| provider | issuer | audience to set |", "|---|---|---|"]
    for page, rows in PAGES.items():
        for row in rows:
            shape = PROVIDERS[row]
            issuer, audience = shape.issuer, shape.settings.get("audience", "")
            pinned = ", ".join(f"`{name}`" for name in shape.settings.get("claims", {}))
            known = f"`{_named(audience)}`" if audience else f"none: {pinned} instead"
            lines.append(f"| [{shape.title}]({page}.md) | `{_named(issuer)}` | {known} |")
    return "\n".join(lines) + "\n"


def _named(text: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), text)


def settings(row: str) -> str:
    """As keywords, and as variables."""
    options = like(row).settings
    keywords = "".join(f"    {name}={json.dumps(value)},\n" for name, value in options.items())
    code = f"app = JWTMiddleware(\n    app,\n{keywords})\n"
    exports = "".join(f"export {pair}\n" for pair in _exports(options))
    return f"```python\n{code}```\n\nThe same as variables:\n\n```sh\n{exports}```\n"


def variables(options: Mapping[str, Any]) -> dict[str, str]:
    """The variables that say the same as these keywords."""
    return {f"{PREFIX}{name.upper()}": _as_text(value) for name, value in options.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, list) else str(value)


def _exports(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in variables(options).items():
        yield f"{name}='{value}'" if set(value) & set(' "{') else f"{name}={value}"


def tokens(row: str) -> str:
    """What is in an access token and an ID token."""
    provider = like(row)
    with patch("time.time", return_value=_NOW):
        made = {"ID": provider.id_token()} if provider.provider.id_token is not None else {}
        if provider.provider.access_token is not None:
            made = {"access": provider.token(), **made}
    parsed = {kind: jose.parse(token) for kind, token in made.items()}
    (header,) = {json.dumps(token.header) for token in parsed.values()}
    shown = [
        f"{_A[kind]} token:\n\n```json\n{_packed(token.claims)}\n```\n"
        for kind, token in parsed.items()
    ]
    return "\n".join(shown).replace(" token:", f" token, with the header `{header}`:", 1)


def _packed(members: Mapping[str, Any], most: int = _WIDTH) -> str:
    """A JSON object with as many members on a line as fit."""
    lines: list[str] = []
    for name, value in members.items():
        member = f"{json.dumps(name)}: {json.dumps(value)}"
        if len(member) > most - 4 and isinstance(value, Mapping):
            member = f"{json.dumps(name)}: {_packed(value, most - 2)}"
        if lines and "\n" not in lines[-1] + member and len(f"{lines[-1]}, {member}") < most - 3:
            lines[-1] += f", {member}"
        else:
            lines.append(member)
    return "{\n" + textwrap.indent(",\n".join(lines), "  ") + "\n}"


def judged(row: str) -> str:
    """Which tokens are accepted with these settings, and why the others are refused."""
    provider = like(row)
    guarded = provider.protect(_app)
    accepted = "access" if provider.provider.access_token is not None else "ID"
    shown = {f"{_A[accepted]} token": provider.token()}
    if accepted == "access" and provider.provider.id_token is not None:
        shown["An ID token"] = provider.id_token()
    for kind in provider.provider.others:
        shown[f"{_A[accepted]} token {_OTHERS[kind]}"] = provider.other(kind).token()
    lines = ["| token | answer |", "|---|---|"]
    for name, token in shown.items():
        answer = _ask(guarded, provider, token)
        lines.append(f"| {name} | {answer} |")
    return "\n".join(lines) + "\n"


_A: Final = {"access": "An access", "ID": "An ID"}
_OTHERS: Final = {
    "tenant": "of another tenant",
    "app": "of another app",
    "audience": "for another audience",
    "service account": "of a service account, with your audience",
}


def _app(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return []


def _ask(guarded: Any, provider: FakeProvider, token: str) -> str:
    (where,) = provider.settings.get("token_from", ["header"])
    header = (
        {"Authorization": f"Bearer {token}"}
        if where == "header"
        else {where.removeprefix("header:"): token}
    )
    with patch.object(logger, "disabled", True):
        answer = Client(guarded).get("/", headers=header)
    if answer.status_code == 200:
        return "accepted"
    code = (answer.get_json(silent=True) or {}).get("code", "")
    return f"{answer.status_code} [`{code}`](../reference/refusals/{code}.md)"


def mistake(row: str) -> str:
    """What is wrong, as variables, and what ``explain`` says to it."""
    provider, made = like(row), MISTAKES[row]
    options = {**provider.settings, **made.changed}
    given = {name: value for name, value in options.items() if value is not None}
    typed = [f"$ unset {PREFIX}{n.upper()}" for n, value in options.items() if value is None]
    changed = {name: value for name, value in made.changed.items() if value is not None}
    typed += [f"$ export {pair}" for pair in _exports(changed)]
    said = explain(variables(given), made.token(provider), provider)
    lines = [*typed, "$ jwt-wsgi explain < token", *_verdict(said)]
    return "```console\n" + "\n".join(lines) + "\n```\n"


def _verdict(said: str) -> Iterator[str]:
    """The end of the output, from the verdict on; or what is wrong with the settings."""
    steps, refused, verdict = said.rpartition("\nrefused: ")
    assert refused or said.startswith("jwt-wsgi explain: "), said
    if steps:
        yield "…"
    for line in (refused[1:] + verdict).splitlines():
        if not line.startswith("warning: "):
            yield line


def sources(row: str) -> str:
    """The pages that the row was made from, and what was compared with them."""
    pages = "".join(f"* <{url}>\n" for url in PROVIDERS[row].sources)
    day, _, compared = PROVIDERS[row].checked.partition(": ")
    return f"{pages}\nCompared on {day}: {compared}.\n"


# --- Running explain ---------------------------------------------------------------------------


def explain(given: Mapping[str, str], token: str, *internet: FakeProvider) -> str:
    """What ``explain`` prints with these variables, while these providers are on the internet."""
    return run(["explain"], given, token, *internet)


def run(command: list[str], given: Mapping[str, str], typed: str, *internet: FakeProvider) -> str:
    """What a command prints."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with (
        patch.dict(os.environ, {**environ, **given}, clear=True),
        patch("sys.stdin", io.StringIO(typed)),
        published(*internet),
        redirect_stderr(io.StringIO()) as complaints,
        redirect_stdout(io.StringIO()) as output,
    ):
        main(command)
    return output.getvalue() or complaints.getvalue()


@contextmanager
def published(*internet: FakeProvider) -> Iterator[None]:
    """Instead of the network: the documents of these providers, by their URLs."""
    documents = {url: text for provider in internet for url, text in provider.documents.items()}

    def fetch(_self: HTTPFetch, url: str, **_options: Any) -> Fetched:
        if url not in documents:
            raise FetchError("http", "status 404", status=404)
        return Fetched(json.dumps(documents[url]).encode(), None, None)

    with patch.object(HTTPFetch, "__call__", fetch):
        yield
