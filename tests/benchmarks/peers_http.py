"""Peers that are no WSGI apps: Fastify + @fastify/jwt, Apache with one of two modules."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from servers import HERE
from servers import Server
from servers import free_port
from servers import served
from tokens import AUDIENCE
from tokens import ISSUER
from tokens import KID
from tokens import Mint

MODULES = Path("/usr/lib/apache2/modules")


@contextmanager
def fastify(name: str, mint: Mint, kind: str) -> Iterator[Server]:
    """``kind``: bare, jwt or cache."""
    modules = os.environ.get("BENCH_NODE", "")
    if not modules:
        raise ModuleNotFoundError("node or npm", name="node")
    port = free_port()
    script = HERE / "node" / "fastify.mjs"
    command = ["node", script, modules, json.dumps(mint.jwk), mint.algorithm, ISSUER, AUDIENCE]
    with served(name, [*command, str(port), kind], port) as server:
        yield server


_APACHE = """
ServerRoot {root}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {root}/pid
ErrorLog {root}/error.log
LogLevel crit
KeepAlive On
MaxKeepAliveRequests 0
StartServers 1
ServerLimit 1
ThreadsPerChild 32
MaxRequestWorkers 32
User {user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
TypesConfig /dev/null
DocumentRoot {root}/www
DirectoryIndex index.html
<Directory {root}/www>
  {access}
</Directory>
{oauth}
"""
_CLAIMS = """AuthType {kind}
  <RequireAll>
    Require {claim} iss:{issuer}
    Require {claim} aud:{audience}
  </RequireAll>"""
#: Module -> its file, what its directives call it and a claim, and how it gets the key.
_MODULES = {
    "mod_auth_openidc": (
        "auth_openidc_module",
        {"kind": "oauth20", "claim": "claim"},
        "OIDCCryptoPassphrase benchmark\nOIDCOAuthVerifyCertFiles {kid}#{root}/certificate.pem",
    ),
    "mod_oauth2": (
        "oauth2_module",
        {"kind": "oauth2", "claim": "oauth2_claim"},
        "OAuth2TokenVerify jwk '{jwk}'",
    ),
}


@contextmanager
def apache(name: str, mint: Mint) -> Iterator[Server]:
    """Apache that serves a small file, bare or behind the module of that name (RSA only)."""
    file = MODULES / f"{name}.so"
    if not shutil.which("apache2") or (name in _MODULES and not file.exists()):
        raise ModuleNotFoundError("Debian's package of it", name=name)
    if mint.algorithm != "RS256":
        raise ValueError("its certificates are RSA's")
    with tempfile.TemporaryDirectory() as scratch:
        root, port = Path(scratch), free_port()
        root.chmod(0o755)
        (root / "www").mkdir()
        (root / "www" / "index.html").write_text("ok")
        (root / "certificate.pem").write_bytes(_certificate(mint))
        facts = {"root": root, "port": port, "modules": MODULES, "kid": KID}
        facts |= {"user": "www-data", "issuer": ISSUER, "audience": AUDIENCE}
        access, oauth = "Require all granted", ""
        if name in _MODULES:
            module, words, verify = _MODULES[name]
            access = _CLAIMS.format(**facts, **words)
            verify = verify.format(**facts, jwk=json.dumps(mint.jwk))
            oauth = f"LoadModule {module} {file}\n{verify}"
        configuration = root / "apache2.conf"
        configuration.write_text(_APACHE.format(**facts, access=access, oauth=oauth))
        command = ["apache2", "-D", "FOREGROUND", "-f", configuration]
        with served(name, command, port) as server:
            yield server


def _certificate(mint: Mint) -> bytes:
    """The issuer's key in a certificate, which is how mod_auth_openidc takes one."""
    called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "benchmark")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(mint.public_key)
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(rsa.generate_private_key(65537, 2048), hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
