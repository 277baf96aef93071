"""Settings from requests: bounded, whatever a client writes into the Host that they are made of."""

import logging
from typing import Any

import pytest
from conftest import EchoApp
from conftest import bearer
from werkzeug.test import Client

from jwt_wsgi import ConfigurationError
from jwt_wsgi import Issuer
from jwt_wsgi import JWTMiddleware
from jwt_wsgi import KeysUnavailableError
from jwt_wsgi.key_sources.shared import MAX_SOURCES
from jwt_wsgi.key_sources.shared import PATIENCE
from jwt_wsgi.key_sources.shared import SharedKeys
from jwt_wsgi.keys import KeySet
from jwt_wsgi.testing import FakeIssuer
from jwt_wsgi.variants import MAX_VARIANTS
from jwt_wsgi.variants import Variants


def guarded(app: EchoApp, **options: Any) -> JWTMiddleware:
    return JWTMiddleware(app, settings_from_request=True, **options)


def variants_of(middleware: JWTMiddleware) -> Variants:
    assert middleware._variants is not None
    return middleware._variants


def by_host(client: Client, host: str, token: str, **more: str) -> Any:
    """As behind a server with `uwsgi_param jwt_wsgi.audience https://$host`."""
    settings = {"jwt_wsgi.audience": f"https://{host}"} | more
    return client.get("/", headers=bearer(token), environ_overrides=settings)


def test_made_up_hosts_lock_no_user_out(app: EchoApp) -> None:
    """Neither earlier nor later users; and all settings share one fetch."""
    with FakeIssuer().serve() as issuer:
        client = Client(guarded(app, issuer=issuer.issuer))
        ours = issuer.token(aud="https://api.example", sub="ada")

        assert by_host(client, "api.example", ours).text == "ada"
        for number in range(3 * MAX_VARIANTS):
            answer = by_host(client, f"{number}.evil.example", ours)
            assert answer.json["code"] == "audience_mismatch"
        assert by_host(client, "api.example", ours).text == "ada"
        late = issuer.token(aud="https://late.example", sub="eve")
        assert by_host(client, "late.example", late).text == "eve"

        assert issuer.requests.count("/.well-known/jwks.json") == 1


def test_made_up_hosts_do_not_fill_the_log(
    app: EchoApp, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Refusals of one kind are one WARNING a minute, whatever settings they had."""
    client = Client(guarded(app, issuer=issuer.issuer, jwks=issuer.jwks()))
    for number in range(20):
        by_host(client, f"{number}.evil.example", issuer.token())

    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1


def test_settings_that_verified_a_token_keep_their_place(app: EchoApp, issuer: FakeIssuer) -> None:
    """Others push out their like only."""
    middleware = guarded(app, issuer=issuer.issuer, jwks=issuer.jwks())
    client, ours = Client(middleware), issuer.token(aud="https://api.example", sub="ada")
    by_host(client, "api.example", ours)
    held = dict(variants_of(middleware).used)
    for number in range(3 * MAX_VARIANTS):
        by_host(client, f"{number}.evil.example", ours)

    assert variants_of(middleware).used == held
    assert len(held) == 1
    assert len(variants_of(middleware).unused) == MAX_VARIANTS


def test_settings_that_verified_a_token_are_bounded_as_well(
    app: EchoApp, issuer: FakeIssuer
) -> None:
    """One good token and many realms: the oldest goes, and is made again when it is needed."""
    middleware = guarded(app, issuer=issuer.issuer, jwks=issuer.jwks())
    client, token = Client(middleware), issuer.token(sub="ada")
    for number in [*range(3 * MAX_VARIANTS), 0]:
        settings = {"jwt_wsgi.realm": f"r{number}"}
        answer = client.get("/", headers=bearer(token), environ_overrides=settings)
        assert answer.text == "ada"

    assert len(variants_of(middleware).used) == MAX_VARIANTS


def test_issuers_from_requests_are_bounded_with_a_503(
    app: EchoApp, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the issuer itself is made of the Host: the one whose keys are here goes on."""
    with FakeIssuer().serve() as issuer:
        client = Client(guarded(app))
        ours = issuer.token(sub="ada")

        def get(name: str, token: str) -> Any:
            settings = {"jwt_wsgi.issuer": name}
            return client.get("/", headers=bearer(token), environ_overrides=settings)

        assert get(issuer.issuer, ours).text == "ada"
        for number in range(MAX_SOURCES - 1):
            assert get(f"http://127.0.0.1:1/{number}", "x").status_code == 401
        answer = get("http://127.0.0.1:1/more", "x")
        assert (answer.status_code, answer.json["code"]) == (503, "keys_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert get(issuer.issuer, ours).text == "ada"

    assert f"more than {MAX_SOURCES} issuers in settings from requests" in caplog.text


class Source:
    """Keys that are here or not."""

    def __init__(self, *, ready: bool) -> None:
        self.ready = ready


def test_a_source_without_keys_gives_up_its_place_after_a_while() -> None:
    """The oldest first; one whose keys are here never does."""
    now = [1000.0]
    shared = SharedKeys(clock=lambda: now[0])
    made: list[Any] = [Source(ready=number == 0) for number in range(MAX_SOURCES + 2)]
    for number in range(MAX_SOURCES):
        assert shared.get(number, lambda n=number: made[n]) is made[number]
        now[0] += 1
    with pytest.raises(KeysUnavailableError) as caught:
        shared.get("more", lambda: made[-1])
    assert caught.value.retry_after == PATIENCE - (MAX_SOURCES - 1)

    now[0] += caught.value.retry_after
    assert shared.get("more", lambda: made[-1]) is made[-1]
    for number in (0, 2):
        assert shared.get(number, lambda: made[-2]) is made[number]
    with pytest.raises(KeysUnavailableError):
        shared.get(1, lambda: made[-2])


def test_close_ends_the_fetching_of_settings_yet_to_come(app: EchoApp) -> None:
    """As for every other middleware."""
    with FakeIssuer().serve() as issuer:
        middleware = guarded(app, issuer=issuer.issuer)
        middleware.close()
        answer = by_host(Client(middleware), "a", issuer.token(aud="https://a"))
        assert answer.status_code == 503
        assert issuer.requests == []


@pytest.mark.parametrize("audience", ["https://a", "https://else"], ids=["verified", "refused"])
def test_close_ends_key_sources_of_the_application_too(
    audience: str, app: EchoApp, issuer: FakeIssuer
) -> None:
    """They are not among the shared ones, whether the settings have verified a token or not."""
    closed: list[str] = []

    class OwnKeys:
        keys = KeySet.of(issuer.jwks())

        def candidates(self, header: Any) -> Any:
            return self.keys.candidates(header)

        def close(self) -> None:
            closed.append("own")

    middleware = guarded(app, issuer=Issuer(issuer.issuer, keys=OwnKeys()))
    by_host(Client(middleware), "a", issuer.token(aud=audience))
    closed.clear()
    middleware.close()

    assert closed


def test_a_wrong_setting_of_a_server_is_an_error(app: EchoApp, issuer: FakeIssuer) -> None:
    """It is the server's own configuration, and whoever wrote it must see it."""
    client = Client(guarded(app, issuer=issuer.issuer))

    with pytest.raises(ConfigurationError, match=r"jwt_wsgi\.leeway"):
        by_host(client, "a", "x", **{"jwt_wsgi.leeway": "soon"})
