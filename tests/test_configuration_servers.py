"""Settings in the configuration of a real server: Apache, uWSGI, and nginx in front of uWSGI.

Each serves three places with settings of their own: ``/`` needs a token, ``/open`` takes
anybody, and ``/other`` wants another audience and has a realm of its own.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from shutil import which
from urllib.parse import urlsplit

import pytest
from servers.running import as_user
from servers.running import free_port
from servers.running import running

from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

APPS = Path(__file__).parent / "servers" / "apps"
PROGRAMS = Path(sys.executable).parent
#: path -> what is set there besides the issuer
PLACES = {
    "/": {"audience": "api"},
    "/open": {"optional": "yes"},
    "/other": {"audience": "other", "realm": "elsewhere"},
}


def settings(issuer: FakeIssuer, path: str) -> dict[str, str]:
    return {"issuer": issuer.issuer, "jwks_uri": issuer.jwks_uri, **PLACES[path]}


def apache(issuer: FakeIssuer, scratch: Path) -> AbstractContextManager[str]:
    """``SetEnv jwt_wsgi.issuer …`` in a <Location>."""
    lines = []
    for path in PLACES:
        set_ = [f'SetEnv jwt_wsgi.{n} "{v}"' for n, v in settings(issuer, path).items()]
        unset = [] if path == "/" else ["UnsetEnv jwt_wsgi.audience"]
        lines += [f'<LocationMatch "^{path}$">', *unset, *set_, "</LocationMatch>"]
    include = scratch / "settings.conf"
    include.write_text("\n".join(lines) + "\n")
    port = free_port()
    command = [
        str(PROGRAMS / "mod_wsgi-express"), "start-server", "from_request.py", "--port", str(port),
        "--processes", "1", "--threads", "2", "--server-root", str(scratch / "apache"),
        "--include-file", str(include), "--log-to-terminal",
    ]  # fmt: skip
    return running(as_user(command), port, cwd=APPS, env={})


def uwsgi_command(*options: str) -> list[str]:
    command = [str(PROGRAMS / "uwsgi"), "--need-app", "--master", "--die-on-term"]
    command += ["--enable-threads", "--module", "from_request", "--disable-logging"]
    return [*command, *options]


def uwsgi(issuer: FakeIssuer, _scratch: Path) -> AbstractContextManager[str]:
    """``route = … addvar:jwt_wsgi.issuer=…``."""
    port = free_port()
    routes = []
    for path in PLACES:
        for name, value in settings(issuer, path).items():
            routes += ["--route", f"^{path}$ addvar:jwt_wsgi.{name}={value}"]
    command = uwsgi_command("--http-socket", f"127.0.0.1:{port}", *routes)
    return running(command, port, cwd=APPS, env={})


@contextmanager
def nginx(issuer: FakeIssuer, scratch: Path) -> Iterator[str]:
    """``uwsgi_param jwt_wsgi.issuer …`` in a location, uWSGI behind it."""
    port, behind = free_port(), free_port()
    standard = "QUERY_STRING REQUEST_METHOD CONTENT_TYPE CONTENT_LENGTH REQUEST_URI SERVER_NAME"
    params = [f"uwsgi_param {name} ${name.lower()};" for name in standard.split()]
    params += ["uwsgi_param PATH_INFO $document_uri;", "uwsgi_param SERVER_PORT $server_port;"]
    params += ["uwsgi_param SERVER_PROTOCOL $server_protocol;"]
    locations = [
        f"location = {path} {{ {' '.join(params)} uwsgi_pass 127.0.0.1:{behind};"
        + "".join(f'uwsgi_param jwt_wsgi.{n} "{v}";' for n, v in settings(issuer, path).items())
        + "}"
        for path in PLACES
    ]
    temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    conf = scratch / "nginx.conf"
    conf.write_text(
        f"daemon off; pid {scratch}/pid; error_log stderr; events {{}} http {{ access_log off;"
        + "".join(f"{name}_temp_path {scratch}/{name};" for name in temporary)
        + f"server {{ listen 127.0.0.1:{port}; {' '.join(locations)} }} }}"
    )
    with subprocess.Popen(
        uwsgi_command("--socket", f"127.0.0.1:{behind}"), cwd=APPS, stderr=subprocess.DEVNULL
    ) as server:
        try:
            # nginx answers 502 until uWSGI listens.
            command = as_user([str(which("nginx")), "-e", "stderr", "-c", str(conf)])
            with running(command, port, cwd=APPS, env={}) as url:
                until = time.monotonic() + 10
                while get(url, "/")[0] == 502 and time.monotonic() < until:
                    time.sleep(0.02)
                yield url
        finally:
            server.terminate()


def get(url: str, path: str, token: str | None = None, **headers: str) -> tuple[int, str, str]:
    """Status, body, challenge."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    told = {"Connection": "close", **headers}
    if token is not None:
        told["Authorization"] = f"Bearer {token}"
    try:
        connection.request("GET", path, headers=told)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    return response.status, body, response.getheader("WWW-Authenticate", "")


NEEDS = {"apache": ["mod_wsgi-express"], "uwsgi": ["uwsgi"], "nginx": ["uwsgi", "nginx"]}


@pytest.mark.parametrize("start", [apache, uwsgi, nginx])
def test_settings_in_the_configuration_of_a_server(
    start: Callable[[FakeIssuer, Path], AbstractContextManager[str]], tmp_path: Path
) -> None:
    """Each place has its own, and no client can say anything about them."""
    path = os.pathsep.join([str(PROGRAMS), os.environ.get("PATH", "")])
    if not os.environ.get("CI") and not all(which(p, path=path) for p in NEEDS[start.__name__]):
        pytest.skip("pip install -e '.[servers]', as CONTRIBUTING.md says")
    with FakeIssuer().serve() as issuer, start(issuer, tmp_path) as url:
        api, other = issuer.token(sub="ada", aud="api"), issuer.token(sub="ada", aud="other")

        assert get(url, "/", api)[:2] == (200, '{"sub": "ada"}')
        assert get(url, "/", other)[0] == 401
        assert get(url, "/")[0::2] == (401, 'Bearer realm="api"')
        assert get(url, "/other", other)[:2] == (200, '{"sub": "ada"}')
        assert get(url, "/other")[0::2] == (401, 'Bearer realm="elsewhere"')
        assert get(url, "/open")[:2] == (200, '{"sub": null}')
        assert get(url, "/open", issuer.token(sub="ada"))[:2] == (200, '{"sub": "ada"}')
        assert get(url, "/open", api)[0] == 401  # no audience is set there

        spoofs = {"jwt_wsgi.optional": "yes", "Jwt-Wsgi-Optional": "yes", "jwt_wsgi_optional": "1"}
        for name, value in spoofs.items():
            assert get(url, "/", None, **{name: value})[0] in (400, 401)
        keys = issuer.requests.count("/.well-known/jwks.json")
        assert keys == 1  # one verifier each, and the keys of the issuer are shared
