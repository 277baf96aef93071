"""What examples/deploy/ has runs: each server with just its file, nginx in front, the manifests."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from conftest import bearer
from dockerfile_parse import DockerfileParser
from servers.https_issuer import HTTPSIssuer
from servers.running import as_user
from servers.running import free_port
from servers.running import running
from servers.uploading import upload

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parent.parent / "examples" / "deploy"
PROGRAMS = Path(sys.executable).parent
AUDIENCE = "https://api.example.com"
#: What the first lines of the files say is the reader's own.
API, FRONT, FOLDER = "127.0.0.1:8000", "127.0.0.1:8080", "/srv/api"


@pytest.fixture(scope="module")
def issuer() -> Iterator[HTTPSIssuer]:
    with HTTPSIssuer(aud=AUDIENCE).serve() as served:
        yield served


def written(name: str, scratch: Path, **mine: str) -> Path:
    """The file, with what is the reader's own changed, and nothing else."""
    text = (DEPLOY / name).read_text()
    for theirs, value in {
        API: mine["api"],
        FRONT: mine.get("front", ""),
        FOLDER: str(DEPLOY),
    }.items():
        text = text.replace(theirs, value)
    (scratch / name).write_text(text)
    return scratch / name


def serve(command: list[str], port: int, issuer: HTTPSIssuer) -> AbstractContextManager[str]:
    env = {"JWT_WSGI_AUDIENCE": AUDIENCE} | issuer.environment
    return running(command, port, cwd=DEPLOY, env=env)


@contextmanager
def gunicorn(scratch: Path, issuer: HTTPSIssuer, *options: str) -> Iterator[str]:
    port = free_port()
    conf = written("gunicorn.conf.py", scratch, api=f"127.0.0.1:{port}")
    command = [sys.executable, "-m", "gunicorn", "-c", str(conf), *options, "api:application"]
    with serve(command, port, issuer) as url:
        yield url


def preloading(scratch: Path, issuer: HTTPSIssuer) -> AbstractContextManager[str]:
    """With ``preload_app``, for which ``pre_fork`` is there."""
    return gunicorn(scratch, issuer, "--preload")


@contextmanager
def uwsgi(scratch: Path, issuer: HTTPSIssuer) -> Iterator[str]:
    port = free_port()
    conf = written("uwsgi.ini", scratch, api=f"127.0.0.1:{port}")
    with serve([str(PROGRAMS / "uwsgi"), "--ini", str(conf)], port, issuer) as url:
        yield url


#: What a distribution's own configuration of Apache has already.
APACHE = """
ServerRoot {scratch}
ServerName localhost
PidFile {scratch}/pid
ErrorLog /dev/stderr
{modules}
{mod_wsgi}
WSGISocketPrefix {scratch}/wsgi
Include {conf}
"""


@contextmanager
def apache(scratch: Path, issuer: HTTPSIssuer) -> Iterator[str]:
    port = free_port()
    conf = written("apache_mod_wsgi.conf", scratch, api=f"127.0.0.1:{port}")
    express = [str(PROGRAMS / "mod_wsgi-express"), "module-config"]
    names = ("mpm_event", "authz_core", "authz_host")
    modules = [f"LoadModule {n}_module /usr/lib/apache2/modules/mod_{n}.so" for n in names]
    whole = APACHE.format(
        scratch=scratch,
        modules="\n".join(modules),
        mod_wsgi=subprocess.run(express, capture_output=True, text=True, check=True).stdout,
        conf=conf,
    )
    (scratch / "apache2.conf").write_text(whole)
    command = ["apache2", "-f", str(scratch / "apache2.conf"), "-D", "FOREGROUND"]
    with serve(as_user(command), port, issuer) as url:
        yield url


def needs(*programs: str) -> None:
    """In CI all of them must be there."""
    missing = [p for p in programs if not ((PROGRAMS / p).exists() or shutil.which(p))]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="module", params=["gunicorn", "gunicorn --preload", "uwsgi", "apache"])
def url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, issuer: HTTPSIssuer
) -> Iterator[str]:
    """The API under each server, in turn."""
    server, program = {
        "gunicorn": (gunicorn, "gunicorn"),
        "gunicorn --preload": (preloading, "gunicorn"),
        "uwsgi": (uwsgi, "uwsgi"),
        "apache": (apache, "mod_wsgi-express"),
    }[request.param]
    needs(program)
    with server(tmp_path_factory.mktemp(program), issuer) as address:
        yield address


def test_a_server_guards_the_api(url: str, issuer: HTTPSIssuer) -> None:
    """A stranger gets the challenge, whoever has a token gets in, though it is a long one."""
    stranger = requests.get(f"{url}/orders", timeout=10)
    assert (stranger.status_code, stranger.text) == (401, '{"error": "No token provided"}')
    assert stranger.headers["WWW-Authenticate"] == 'Bearer realm="api"'

    token = issuer.token(sub="ada", groups=["g" * 20] * 500)
    assert 15_000 < len(token) < 16_384
    headers = bearer(token) | {"X-Request-ID": "r-1"}
    known = requests.get(f"{url}/orders", headers=headers, timeout=10)
    assert (known.status_code, known.json()["user"]["sub"]) == (200, "ada")
    assert known.json()["request"] == "r-1"


def test_a_server_answers_those_who_operate_it(url: str) -> None:
    """Probes and metrics, without a token."""
    for path in ("/livez", "/readyz"):
        assert requests.get(f"{url}{path}", timeout=10).json() == {"status": "ok"}
    assert "jwt_wsgi_refused_total" in requests.get(f"{url}/metrics", timeout=10).text


@contextmanager
def behind_nginx(
    scratch: Path, server: Callable[..., Any], issuer: HTTPSIssuer
) -> Iterator[tuple[str, str]]:
    """nginx before a server, each with its file; both URLs."""
    port = free_port()
    with server(scratch, issuer) as api:
        conf = written("nginx.conf", scratch, api=api[7:], front=f"127.0.0.1:{port}")
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = " ".join(f"{name}_temp_path {scratch}/{name};" for name in temporary)
        # Folders that a distribution keeps where only root may write.
        conf.write_text(conf.read_text().replace("http {", f"http {{ {paths}", 1))
        command = ["nginx", "-e", "stderr", "-c", str(conf), "-p", str(scratch)]
        command += ["-g", f"daemon off; pid {scratch}/nginx.pid;"]
        with running(as_user(command), port, cwd=scratch, env={}) as url:
            yield url, api


@pytest.fixture(scope="module")
def front(
    tmp_path_factory: pytest.TempPathFactory, issuer: HTTPSIssuer
) -> Iterator[tuple[str, str]]:
    """nginx before gunicorn."""
    needs("nginx")
    with behind_nginx(tmp_path_factory.mktemp("nginx"), gunicorn, issuer) as urls:
        yield urls


def test_nginx_passes_what_the_middleware_needs(
    front: tuple[str, str], issuer: HTTPSIssuer
) -> None:
    """The token, however long; the refusal, challenge included; and one name for the request."""
    token = issuer.token(sub="ada", groups=["g" * 20] * 500)
    known = requests.get(f"{front[0]}/orders", headers=bearer(token), timeout=10)
    stranger = requests.get(f"{front[0]}/orders", headers=bearer("x"), timeout=10)

    assert known.json()["user"]["sub"] == "ada"
    assert len(known.json()["request"]) == 32  # nginx's own name
    assert (stranger.status_code, stranger.json()["code"]) == (401, "token_malformed")
    assert 'error="invalid_token"' in stranger.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("name", "header", "kept"),
    [
        ("r-1.a_B", "X-Request-ID", True),
        ("two words", "X-Request-ID", False),
        ("r" * 65, "X-Request-ID", False),
        ("r-1", "X_Request_ID", False),
    ],
)
def test_nginx_names_the_request(
    front: tuple[str, str], issuer: HTTPSIssuer, name: str, header: str, *, kept: bool
) -> None:
    """As the client does, if it does so decently; a header with underscores is none."""
    headers = bearer(issuer.token()) | {header: name}

    told = requests.get(front[0], headers=headers, timeout=10).json()["request"]
    assert (told == name) is kept
    assert kept or len(told) == 32


@pytest.mark.parametrize("size", [20_000, 900_000, 10_000_000])
@pytest.mark.parametrize("expect", [False, True], ids=["", "Expect"])
def test_a_refused_upload_gets_its_refusal(
    front: tuple[str, str], size: int, *, expect: bool
) -> None:
    """Through nginx, which says 502 where the API resets the connection."""
    assert [upload(front[0], size, expect=expect) for _ in range(10)] == ["401"] * 10


def test_a_slow_upload_keeps_a_worker_for_a_bounded_time(front: tuple[str, str]) -> None:
    """A client of gunicorn itself that never sends its body: the connection ends all the same."""
    host, port = front[1][7:].split(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 1000000\r\n\r\nx")
        answer = b""
        while data := sock.recv(4096):  # its time-out is 10 s
            answer += data
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_nginx_shows_strangers_nothing_of_the_operators(front: tuple[str, str]) -> None:
    """Which the API itself shows."""
    for path in ("/metrics", "/livez", "/readyz"):
        assert requests.get(f"{front[0]}{path}", timeout=10).status_code == 404
        assert requests.get(f"{front[1]}{path}", timeout=10).status_code == 200


#: Kubernetes' names for what the manifests use: a name with the names inside, or what type it is.
SCHEMA: dict[str, dict[str, Any]] = {
    "Deployment": {
        "apiVersion": "apps/v1",
        "kind": str,
        "metadata": {"name": str},
        "spec": {
            "replicas": int,
            "selector": {"matchLabels": dict},
            "template": {
                "metadata": {"labels": dict},
                "spec": {
                    "automountServiceAccountToken": bool,
                    "securityContext": {"runAsNonRoot": bool, "runAsUser": int},
                    "containers": [
                        {
                            "name": str,
                            "image": str,
                            "command": list,
                            "env": [{"name": str, "value": str}],
                            "ports": [{"name": str, "containerPort": int}],
                            "readinessProbe": {
                                "httpGet": {"path": str, "port": str},
                                "timeoutSeconds": int,
                                "periodSeconds": int,
                            },
                            "livenessProbe": {
                                "httpGet": {"path": str, "port": str},
                                "timeoutSeconds": int,
                            },
                            "securityContext": {
                                "allowPrivilegeEscalation": bool,
                                "readOnlyRootFilesystem": bool,
                                "capabilities": {"drop": list},
                            },
                            "volumeMounts": [{"name": str, "mountPath": str}],
                        }
                    ],
                    "volumes": [{"name": str, "emptyDir": dict}],
                },
            },
        },
    },
    "Service": {
        "apiVersion": "v1",
        "kind": str,
        "metadata": {"name": str},
        "spec": {
            "selector": dict,
            "ports": [{"name": str, "port": int, "targetPort": str}],
        },
    },
}


def misfits(found: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """What of a manifest the schema does not know, or knows as something else."""
    if isinstance(wanted, str):
        yield from () if found == wanted else (f"{where}: {found!r}",)
    elif isinstance(wanted, type):
        yield from () if type(found) is wanted else (f"{where}: {found!r}",)
    elif isinstance(wanted, list):
        for member in found:
            yield from misfits(member, wanted[0], f"{where}[]")
    else:
        yield from (f"{where}.{name}" for name in found.keys() ^ wanted.keys())
        for name in found.keys() & wanted.keys():
            yield from misfits(found[name], wanted[name], f"{where}.{name}")


def test_the_manifests_of_kubernetes_fit_together() -> None:
    """Every field is one that Kubernetes knows, and every name in them leads somewhere."""
    deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    for manifest in (deployment, service):
        assert list(misfits(manifest, SCHEMA[manifest["kind"]])) == []

    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    assert pod["metadata"]["labels"] == service["spec"]["selector"]
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
        assert f'"{container[probe]["httpGet"]["path"]}"' in (DEPLOY / "api.py").read_text()
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_the_dockerfile_is_what_the_manifests_run(tmp_path: Path) -> None:
    """Read by a parser: known instructions, files that are there, the same user and command."""
    shutil.copy(DEPLOY / "Dockerfile", tmp_path / "Dockerfile")
    steps = [
        (step["instruction"], step["value"])
        for step in DockerfileParser(str(tmp_path)).structure
        if step["instruction"] != "COMMENT"
    ]
    deployment = next(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    pod = deployment["spec"]["template"]["spec"]

    told = dict(steps)
    assert [name for name, _ in steps] == [
        "FROM", "WORKDIR", "COPY", "RUN", "COPY", "USER", "EXPOSE", "CMD",
    ]  # fmt: skip
    assert yaml.safe_load(told["CMD"]) == pod["containers"][0]["command"]
    assert told["USER"] == str(pod["securityContext"]["runAsUser"])
    copied = [name for step, value in steps if step == "COPY" for name in value.split()[:-1]]
    assert {n for n in copied if not (DEPLOY / n).exists()} == {"requirements.txt"}


def test_every_file_is_told_of_and_run() -> None:
    """A new one needs its line in the README beside it."""
    told = (DEPLOY / "README.md").read_text()
    tests = (
        Path(__file__).read_text()
        + Path(__file__).with_name("test_contrib_prometheus.py").read_text()
    )

    files = {path.name for path in DEPLOY.iterdir() if path.is_file()} - {"README.md"}
    assert {name for name in files if f"`{name}`" not in told} == set()
    assert {name for name in files if name not in tests and name[:-3] not in tests} == set()
