"""What gateways answer to wrong tokens, at a rotation and in an outage: ``gateways.py [--age]``.

Beside this middleware, Apache's mod_auth_openidc and mod_oauth2, and PyJWT by hand, with real
servers on loopback and an https issuer; half a minute. docs/explanation/gateway.md shows the table:
the exit code is 1 if it has another one. With ``--age`` also how long each holds keys, which takes
six minutes more. A script, not collected by pytest. Apache's columns need
``apt-get install apache2 libapache2-mod-auth-openidc libapache2-mod-oauth2``.
"""

import argparse
import functools
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import ExitStack
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import requests

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from servers import running  # noqa: E402
from servers.https_issuer import HTTPSIssuer  # noqa: E402
from servers.https_issuer import certified  # noqa: E402

AUDIENCE = "https://api.example.com"
PAGE = FOLDER.parents[1] / "docs/explanation/gateway.md"
KEYS = "/.well-known/jwks.json"
#: Seconds that mod_auth_openidc holds keys in the scene about their age: the least that it takes.
LEAST = 300
WATCHED = LEAST + 40
SECRET = "base64:" + b64encode(secrets.token_bytes(32)).decode()
MODULES = Path("/usr/lib/apache2/modules")
APACHE = """
ServerRoot {root}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {root}/pid
ErrorLog {root}/error.log
User www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule {module}
TypesConfig /dev/null
DocumentRoot {root}/www
DirectoryIndex index.html
{verify}
<Directory {root}/www>
  AuthType {kind}
  <RequireAll>
    Require {claim} iss:{issuer}
    Require {claim} aud:{audience}
  </RequireAll>
</Directory>
"""
#: mod_auth_openidc as a resource server, and mod_oauth2, which its log recommends instead.
OPENIDC = {
    "module": "auth_openidc_module {modules}/mod_auth_openidc.so",
    "kind": "oauth20",
    "claim": "claim",
    "verify": """OIDCCryptoPassphrase {secret}
OIDCOAuthVerifyJwksUri {jwks_uri}
OIDCCABundlePath {root}/ca.pem
OIDCJWKSRefreshInterval {seconds}""",
}
OAUTH2 = {
    "module": "oauth2_module {modules}/mod_oauth2.so",
    "kind": "oauth2",
    "claim": "oauth2_claim",
    "verify": "OAuth2TokenVerify jwks_uri {jwks_uri} jwks_uri.ssl_verify=false",
}

#: Starts a server for an issuer; a folder that outlives the server. Yields its URL.
Contestant = Callable[[HTTPSIssuer, Path], AbstractContextManager[str]]


@contextmanager
def ours(issuer: HTTPSIssuer, folder: Path, *, saved: bool = False) -> Iterator[str]:
    """This middleware with its defaults; ``saved``: its keys are kept in the folder."""
    env = {**issuer.environment, "JWT_WSGI_AUDIENCE": AUDIENCE}
    if saved:
        snapshot = {"path": str(folder), "secret": SECRET, "max_age": "1h"}
        env["JWT_WSGI_JWKS_SNAPSHOT"] = json.dumps(snapshot)
    with running.gunicorn("guarded:application", cwd=FOLDER, env=env, workers=1) as url:
        yield url


@contextmanager
def pyjwt(issuer: HTTPSIssuer, _: Path) -> Iterator[str]:
    """PyJWT with PyJWKClient, by hand."""
    facts = {"issuer": issuer.issuer, "jwks_uri": issuer.jwks_uri, "audience": AUDIENCE}
    env = {"GATEWAY_FACTS": json.dumps(facts | {"ca": str(certified()[0])})}
    folder = FOLDER.parent / "servers" / "apps"
    with running.gunicorn("pyjwt_by_hand:application", cwd=folder, env=env, workers=1) as url:
        yield url


@contextmanager
def apache(
    issuer: HTTPSIssuer, _: Path, *, module: dict[str, str], seconds: int = 3600
) -> Iterator[str]:
    """Apache with this module; ``seconds``: how long mod_auth_openidc holds keys."""
    port = running.free_port()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        root.chmod(0o755)
        (root / "www").mkdir()
        (root / "www" / "index.html").write_text("ok")
        shutil.copy(certified()[0], root / "ca.pem")
        facts = {"root": root, "port": port, "modules": MODULES, "secret": SECRET}
        facts |= {"issuer": issuer.issuer, "jwks_uri": issuer.jwks_uri, "audience": AUDIENCE}
        filled = {name: text.format(**facts, seconds=seconds) for name, text in module.items()}
        (root / "apache2.conf").write_text(APACHE.format(**facts, **filled))
        command = ["apache2", "-D", "FOREGROUND", "-f", str(root / "apache2.conf")]
        with running.running(command, port, cwd=root, env={}) as url:
            yield url


def installed(package: str) -> str:
    """The version of a Debian package; empty if it is not installed."""
    command = ["dpkg-query", "--show", "--showformat", "${Version}", package]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def short(number: str) -> str:
    """The first two parts of a version."""
    return ".".join(number.split(".")[:2])


def contestants(*, age: bool) -> dict[str, Contestant]:
    """Those that are installed."""
    found: dict[str, Contestant] = {"this middleware": ours}
    if not age:
        found["this middleware, keys on disk"] = functools.partial(ours, saved=True)
    if packaged := installed("libapache2-mod-auth-openidc"):
        name = f"mod_auth_openidc {short(packaged)}"
        openidc = functools.partial(apache, module=OPENIDC)
        least = functools.partial(openidc, seconds=LEAST)
        found |= {f"{name}, {LEAST} s": least} if age else {name: openidc}
    if packaged := installed("libapache2-mod-oauth2"):
        found[f"mod_oauth2 {short(packaged)}"] = functools.partial(apache, module=OAUTH2)
    found[f"PyJWT {short(version('pyjwt'))} by hand"] = pyjwt
    return found


def ask(url: str, token: str | None) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return session.get(url, headers=headers, timeout=30)


def said(answer: requests.Response) -> str:
    """Its status, and the error that its challenge names."""
    challenge = answer.headers.get("WWW-Authenticate", "")
    error = challenge.partition('error="')[2].partition('"')[0]
    retry = ", Retry-After" if "Retry-After" in answer.headers else ""
    return f"{answer.status_code}{' ' + error if error else ''}{retry}"


def scenes(open_: Contestant) -> Iterator[tuple[str, str]]:
    """What happens, and what is answered."""
    with ExitStack() as stack:
        issuer = stack.enter_context(HTTPSIssuer(algorithm="RS256", aud=AUDIENCE).serve())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with open_(issuer, folder) as url:
            old = issuer.token()
            yield "a good token", said(ask(url, old))
            yield "no token", said(ask(url, None))
            yield "the token of another API (`aud`)", said(ask(url, issuer.token(aud="other")))
            expired = issuer.token(exp=int(time.time()) - 3600)
            yield "an expired token", said(ask(url, expired))
            yield "a bad signature", said(ask(url, issuer.wrong_key()()))
            before = issuer.requests.count(KEYS)
            for number in range(50):
                ask(url, issuer.token(header={"kid": f"stranger-{number}"}))
            asked = issuer.requests.count(KEYS) - before
            yield "50 tokens with unknown keys: the issuer is asked", f"{asked} times"
        with open_(issuer, folder) as url:
            ask(url, old)
            issuer.rotate()
            yield "a new key, used right after a fetch", said(ask(url, issuer.token()))
            with issuer.outage():
                yield "the issuer fails, keys fetched lately", said(ask(url, old))
            time.sleep(1)  # what is saved is saved after the answer
        with issuer.outage(), open_(issuer, folder) as url:
            yield "a restart while the issuer fails", said(ask(url, old))


def ages(found: dict[str, Contestant]) -> Iterator[tuple[str, list[str]]]:
    """A withdrawn key, and keys that are due while the issuer fails; all at the same time."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        withdrawn, failing = (
            stack.enter_context(HTTPSIssuer(algorithm="RS256", aud=AUDIENCE).serve())
            for _ in range(2)
        )
        urls = {
            issuer: [stack.enter_context(open_(issuer, folder)) for open_ in found.values()]
            for issuer in (withdrawn, failing)
        }
        later = int(time.time()) + 3600
        # A token of the withdrawn key for each try: one that comes again may be remembered.
        tries = iter([withdrawn.token(exp=later, jti=str(n)) for n in range(2 * WATCHED)])
        good = failing.token(exp=later)
        for issuer, token in ((withdrawn, next(tries)), (failing, good)):
            for url in urls[issuer]:
                ask(url, token).raise_for_status()
        began = time.monotonic()
        withdrawn.rotate(keep=False)
        stack.enter_context(failing.outage())
        refused: dict[str, float] = {}
        served_: dict[str, str] = {}
        while (passed := time.monotonic() - began) < WATCHED:
            old = next(tries)
            for url in urls[withdrawn]:
                if url not in refused and ask(url, old).status_code != requests.codes.ok:
                    refused[url] = passed
            for url in urls[failing]:
                served_[url] = said(ask(url, good))
            time.sleep(1)
        yield (
            "a withdrawn key is refused after",
            [
                f"{refused[url]:.0f} s" if url in refused else f"over {WATCHED} s"
                for url in urls[withdrawn]
            ],
        )
        title = f"the issuer fails, keys fetched {WATCHED} s ago"
        yield title, [served_[url] for url in urls[failing]]


def table(rows: dict[str, list[str]]) -> list[str]:
    """As Markdown: the first row is the head."""
    lines = ["| " + " | ".join([title, *cells]) + " |" for title, cells in rows.items()]
    return [lines[0], "|" + "---|" * len(lines[0].split(" | ")), *lines[1:]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--age", action="store_true", help="also how long keys are held")
    options = parser.parse_args()
    found = contestants(age=False)
    columns = [dict(scenes(open_)) for open_ in found.values()]
    rows = {title: [column[title] for column in columns] for title in columns[0]}
    lines = table({"": [*found], **rows})
    print(*lines, sep="\n", flush=True)
    if options.age:
        found = contestants(age=True)
        more = table({"": [*found], **dict(ages(found))})
        print("", *more, sep="\n")
    missing = [line for line in lines if line not in PAGE.read_text()]
    for line in missing:
        print(f"not on the page: {line}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
