"""The cage around requests, against servers that lie; all on loopback."""

import datetime as dt
import gzip
import ipaddress
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fault_issuer import FaultServer
from fault_issuer import fault_server
from fault_issuer import says

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.key_sources import content_encoding
from jwt_wsgi.key_sources import tls as tls_module
from jwt_wsgi.key_sources.failures import FetchError
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.fetch import HTTPFetch
from jwt_wsgi.key_sources.fetch import NotModified
from jwt_wsgi.settings.loading import Settings
from jwt_wsgi.urls import check_url

#: Seconds of fetches that end for another reason, also on a slow machine.
PATIENCE = 20.0
#: Seconds of fetches that end because they are over.
TIMEOUT = 0.6


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, CA or netrc of the machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def get(
    url: str,
    *,
    etag: str | None = None,
    no_cache: bool = False,
    timeout: float = PATIENCE,
    **options: Any,
) -> Any:
    try:
        return HTTPFetch(**options)(url, etag=etag, no_cache=no_cache, timeout=timeout)
    except FetchError as error:
        return error


def drip(data: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    return answer


def forever(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)

    return answer


def reset(data: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return answer


def raw(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


def silent(_connection: socket.socket) -> None:
    time.sleep(TIMEOUT + 0.2)


OK = b"HTTP/1.1 200 OK\r\n"
FAULTS = {
    "header drip": (drip(OK + b"X: " + b"y" * 200), "timeout"),
    "body drip": (drip(OK + b"Content-Length: 100\r\n\r\n" + b" " * 100), "timeout"),
    "silence": (silent, "timeout"),
    "one byte, then silence": (lambda c: (c.sendall(b"H"), silent(c)), "timeout"),
    "drip, then silence": (lambda c: (drip(OK[:10])(c), silent(c)), "timeout"),
    "endless continue": (forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout"),
    "endless body": (forever(OK + b"\r\n", b" " * 65536), "too_big"),
    "endless chunks": (
        forever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 4096 + b"\r\n"),
        "too_big",
    ),
    "10 GiB promised": (
        forever(OK + b"Content-Length: 10737418240\r\n\r\n", b" " * 65536),
        "too_big",
    ),
    "endless header": (forever(OK + b"X: ", b"y" * 65536), "broken"),
    "1000 headers": (raw(OK + b"X: y\r\n" * 1000 + b"\r\n"), "broken"),
    "shorter than promised": (says("200 OK\nContent-Length: 99", b"{}"), "broken"),
    "no HTTP": (raw(b"hello\r\n\r\n"), "broken"),
    "HTTP/0.9": (raw(b"{}"), "broken"),
    "nothing": (raw(b""), "broken"),
    "reset at once": (reset(b""), "broken"),
    "reset in the body": (reset(OK + b"Content-Length: 99\r\n\r\n{"), "broken"),
    "gzip bomb": (
        says("200 OK\nContent-Encoding: gzip", gzip.compress(b" " * 50_000_000)),
        "too_big",
    ),
    "gzip that is none": (says("200 OK\nContent-Encoding: gzip", b"{}"), "encoding"),
    "gzip cut off": (says("200 OK\nContent-Encoding: gzip", gzip.compress(b"{}")[:-1]), "encoding"),
    "gzip twice in a row": (
        says("200 OK\nContent-Encoding: gzip", gzip.compress(b"{}") * 2),
        "encoding",
    ),
    "gzip that holds nothing, for ever": (
        forever(
            OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10],
            b"\x00\x00\x00\xff\xff" * 13107,
        ),
        "too_big",
    ),
    "deflate": (says("200 OK\nContent-Encoding: deflate", b"x"), "encoding"),
    "brotli": (says("200 OK\nContent-Encoding: br", b"x"), "encoding"),
    "two encodings": (says("200 OK\nContent-Encoding: gzip, gzip", b"x"), "encoding"),
    "304 nobody asked for": (says("304 Not Modified"), "http"),
    **{
        f"status {status}": (says(f"{status} X", b'{"keys":[]}'), "http")
        for status in (201, 203, 206, 300, 400, 401, 403, 404, 407, 410, 429, 500, 502, 503, 504)
    },
    "status 204": (says("204 No Content"), "http"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "kind"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_a_failure_within_the_deadline(answer: Any, kind: str) -> None:
    """Whatever the server does, and with a label that is bounded."""
    with fault_server(answer) as server:
        found = get(server.url, timeout=TIMEOUT if kind == "timeout" else PATIENCE)

    assert isinstance(found, FetchError), found
    assert found.kind == kind


@pytest.mark.parametrize(
    ("status", "location"),
    [
        *((status, "same") for status in (301, 302, 303, 307, 308)),
        (302, "other"),
        (302, "file:///etc/passwd"),
        (302, "http://[::bad"),
        (302, "http://169.254.169.254/latest"),
        (302, "//" + "x" * 300),
    ],
)
def test_redirects_are_not_followed(status: int, location: str) -> None:
    """Their target is never contacted, and their body is never read."""
    with fault_server(says("200 OK", b"{}")) as other:
        target = {"same": "/other", "other": other.url}.get(location, location)
        endless = forever(
            f"HTTP/1.1 {status} X\r\nLocation: {target}\r\n\r\n".encode(), b" " * 65536
        )
        with fault_server(endless) as server:
            found = get(server.url)

        assert (found.kind, found.status) == ("redirect", status)
        assert len(server.heads) == 1
        assert other.heads == []


def test_a_document_comes_whole_with_its_etag_and_date() -> None:
    """Date and Age together are the issuer's clock."""
    head = 'X: y\nETag: "a"\nDate: Tue, 24 Nov 2026 12:00:00 GMT\nAge: 7\nContent-Type: text/html'
    with fault_server(says(f"200 OK\n{head}", b'{"keys": []}')) as server:
        found = get(server.url)

    now = dt.datetime(2026, 11, 24, 12, 0, 7, tzinfo=dt.UTC).timestamp()
    assert found == Fetched(b'{"keys": []}', '"a"', now)


def test_a_condition_is_answered_by_304() -> None:
    """And sent as If-None-Match; a forced fetch asks past every cache."""
    with fault_server(says("304 Not Modified\nDate: rubbish")) as server:
        assert get(server.url, etag='"a"', no_cache=True) == NotModified(None)

    (head,) = server.heads
    assert 'If-None-Match: "a"' in head
    assert "Cache-Control: no-cache" in head
    assert "Accept-Encoding: identity" in head
    assert "User-Agent: jwt-wsgi" in head


@pytest.mark.parametrize(("size", "good"), [(1000, True), (1001, False)])
def test_the_size_is_capped_exactly(size: int, good: bool) -> None:
    """max_bytes is the largest that passes."""
    with fault_server(says("200 OK", b" " * size)) as server:
        assert isinstance(get(server.url, max_bytes=1000), Fetched) is good


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), ("999999999999999", 1e11), ("-1", None), ("soon", None), ("", None)],
)
def test_retry_after_is_read(text: str, seconds: float | None) -> None:
    """Of 429 and 503; what it means is the source's business."""
    with fault_server(says(f"429 X\nRetry-After: {text}")) as server:
        found = get(server.url).retry_after
    assert found == (None if seconds is None else pytest.approx(seconds, rel=10))


@pytest.mark.parametrize("name", ["endless body", "10 GiB promised", "gzip bomb", "endless header"])
def test_no_answer_fills_memory(name: str) -> None:
    """What is held of it at any time is a few times the most that a set may have."""
    with fault_server(FAULTS[name][0]) as server:
        get(server.url)
        tracemalloc.start()
        get(server.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 5 << 20


def test_other_headers_and_bytes_of_an_answer_are_ignored() -> None:
    """Cookies, a Location, a Refresh, and bytes after the body."""
    head = "200 OK\nSet-Cookie: a=b\nLocation: http://127.0.0.1:1/\nRefresh: 0; url=/x\n"
    answer = says(f"{head}Content-Type: text/html\nContent-Length: 12", b'{"keys": []}HTTP/1.1 2')
    with fault_server(answer) as server:
        assert get(server.url).body == b'{"keys": []}'
        assert len(server.heads) == 1


def test_retry_after_may_be_a_date() -> None:
    """One of the past means now."""
    with fault_server(says("503 X\nRetry-After: Mon, 01 Jan 2001 00:00:00 GMT")) as server:
        assert get(server.url).retry_after == 0.0


def test_passwords_of_netrc_are_not_sent(tmp_path: Path) -> None:
    """~/.netrc is for the tools of a person."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    with fault_server(says("200 OK\nSet-Cookie: a=b", b"{}")) as server:
        get(server.url)
        get(server.url)

    for head in server.heads:
        assert "Authorization" not in head
        assert "Cookie" not in head


def test_extra_headers_are_sent_but_do_not_break_the_cage() -> None:
    """jwks_headers."""
    with fault_server(says("200 OK", b"{}")) as server:
        get(server.url, home=server.url, headers={"X-Key": "abc", "Accept-Encoding": "gzip"})

    assert "X-Key: abc" in server.heads[0]
    assert "Accept-Encoding: identity" in server.heads[0]


@pytest.mark.parametrize(
    "encoding",
    ["identity", "none", "utf-8", "UTF-8", "", " ", "aws-chunked", "identity, aws-chunked"],
)
def test_an_encoding_that_compresses_nothing_is_plain(encoding: str) -> None:
    """Object stores and frameworks send such labels."""
    with fault_server(says(f"200 OK\nContent-Encoding: {encoding}", b"{}")) as server:
        assert get(server.url).body == b"{}"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "aws-chunked,gzip"])
def test_gzip_that_was_not_asked_for_is_inflated(encoding: str) -> None:
    """Some servers compress whatever they are asked for."""
    with fault_server(says(f"200 OK\nContent-Encoding: {encoding}", gzip.compress(b"{}"))) as s:
        assert get(s.url).body == b"{}"


@pytest.mark.parametrize(("size", "good"), [(5000, True), (5001, False)])
def test_the_cap_counts_what_is_inflated(size: int, good: bool) -> None:
    """And what came is capped, too."""
    answer = says("200 OK\nContent-Encoding: gzip", gzip.compress(b" " * size))
    with fault_server(answer) as server:
        found = get(server.url, max_bytes=5000)

    assert found.body == b" " * size if good else found.kind == "too_big"


def test_only_so_much_of_a_bomb_is_inflated() -> None:
    """The bound is given to zlib before it works: it makes one byte more than may be at most."""
    made: list[int] = []

    class Inflate:
        eof, unused_data = False, b""

        def decompress(self, _data: bytes, most: int) -> bytes:
            made.append(most)
            return b" " * most

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content_encoding, "_inflater", lambda _encoding: Inflate())
        with pytest.raises(FetchError, match="more than 1000 bytes"):
            content_encoding.whole(lambda _size: b"x" * 400, "gzip", 1000)
    assert made == [1001]


def test_the_type_of_a_jwks_is_asked_for_by_its_name() -> None:
    """Kubernetes answers 406 to a request that takes application/json alone."""
    with fault_server(says("200 OK", b"{}")) as server:
        get(server.url)

    asked = "Accept: application/jwk-set+json, application/json;q=0.9, */*;q=0.1"
    assert asked in server.heads[0].splitlines()


@pytest.mark.parametrize(("agent", "accept"), [("User-Agent", "Accept"), ("user-agent", "ACCEPT")])
def test_headers_of_the_settings_win(agent: str, accept: str) -> None:
    """Whatever their case; each is sent once."""
    own = {agent: "shop/1", accept: "application/json"}
    with fault_server(says("200 OK", b"{}")) as server:
        get(server.url, home=server.url, headers=own)

    sent = [line.partition(": ") for line in server.heads[0].splitlines()]
    named = [(name.lower(), value) for name, _, value in sent]
    assert [value for name, value in named if name == "user-agent"] == ["shop/1"]
    assert [value for name, value in named if name == "accept"] == ["application/json"]


@pytest.mark.parametrize("name", ["Accept-Encoding", "if-none-match", "RANGE", "Content-Length"])
def test_headers_that_a_fetch_depends_on_are_refused_at_start(name: str) -> None:
    """Ours would replace them in silence, or they would break the answer."""
    with pytest.raises(ConfigurationError, match="a fetch sets this header itself"):
        Settings.of(issuer="https://issuer.example", jwks_headers={name: "x"})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raw(b"hello\r\n\r\n"), "the answer is not a complete HTTP response"),
        (raw(b""), "the connection ended before the answer was complete"),
        (
            reset(b""),
            "the connection ended before the answer was complete (Connection reset by peer)",
        ),
        (says("200 OK\nContent-Length: 99", b"{}"), "the answer is not a complete HTTP response"),
    ],
    ids=["no HTTP", "nothing", "reset", "short"],
)
def test_a_failure_is_told_in_a_sentence(answer: Any, words: str) -> None:
    """No class of Python's or a library's is named."""
    with fault_server(answer) as server:
        assert get(server.url).detail == words


def test_openssl_and_the_system_say_why(tmp_path: Path) -> None:
    """Their words are those that a search finds."""
    ca, context = certificates(tmp_path, days=-1)
    with fault_server(says("200 OK", b"{}"), context) as server:
        expired, unknown = get(server.url, verify=str(ca)), get(server.url)
    with fault_server(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        plain = get(server.url.replace("http:", "https:"))
        port = server.port

    assert expired.detail == "the TLS handshake failed (certificate has expired)"
    assert "unable to get local issuer certificate" in unknown.detail
    assert "wrong version number" in plain.detail or "record layer" in plain.detail
    assert get(f"http://127.0.0.1:{port}/").detail == (
        "no connection to the host (Connection refused)"
    )
    assert get("https://name.invalid/").detail == "the host name cannot be resolved"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:1/", "connect"),
        ("https://no-such-host.invalid/", "dns"),
        ("file:///etc/passwd", "url"),
        ("http://issuer.example/", "url"),
        ("https://", "url"),
    ],
)
def test_what_cannot_be_reached(url: str, kind: str) -> None:
    """Each with its label."""
    assert get(url).kind == kind


def test_the_environments_proxy_is_used_and_its_password_never_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HTTP_PROXY and NO_PROXY are in force; a proxy's 502 is a failure like any other."""
    with (
        fault_server(says("502 Bad Gateway")) as proxy,
        fault_server(says("200 OK", b"{}")) as server,
    ):
        monkeypatch.setenv("HTTP_PROXY", f"http://ada:s3cret@127.0.0.1:{proxy.port}")
        found = get(server.url)
        assert (found.kind, found.status) == ("http", 502)
        assert "s3cret" not in f"{found} {found.detail}"
        assert proxy.heads[0].startswith(f"GET {server.url}")
        assert "Proxy-Authorization: Basic YWRhOnMzY3JldA==" in proxy.heads[0]

        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert isinstance(get(server.url), Fetched)
        assert "Authorization" not in server.heads[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://issuer.example/"])
def test_a_proxy_that_is_down(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is trouble with the connection, and nobody goes around it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://ada:s3cret@127.0.0.1:1")
    found = get(url)

    assert found.kind == "connect"
    assert "s3cret" not in found.detail


@pytest.mark.parametrize("status", [407, 502])
def test_a_proxy_that_refuses_to_connect(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to an https issuer ends at the proxy."""
    with fault_server(says(f"{status} X")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert get("https://issuer.example/").kind == "connect"


def test_a_proxy_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to CONNECT counts, too."""
    with fault_server(drip(b"HTTP/1.1 200 Connection established\r\n\r\n" * 9)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        found = get("https://issuer.example/", timeout=TIMEOUT)
        assert found.kind in ("timeout", "connect")


def certificates(folder: Path, *, days: int = 1) -> tuple[Path, ssl.SSLContext]:
    """A CA, and a server's context with a certificate of it for 127.0.0.1, good for so long."""
    now = dt.datetime.now(dt.UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])

    def certify(name: x509.Name, public: Any, *extensions: Any) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=2))
            .not_valid_after(now + dt.timedelta(days=days))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        builder = builder.add_extension(authority, critical=False)
        identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        builder = builder.add_extension(identifier, critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    authority = x509.BasicConstraints(ca=True, path_length=None)
    root = certify(ca, ca_key.public_key(), authority, usage)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    leaf = certify(leaf_name, key.public_key(), address)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(root.public_bytes(pem))
    (folder / "leaf.pem").write_bytes(
        leaf.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem")
    return folder / "ca.pem", context


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[FaultServer, Path, ssl.SSLContext]]:
    ca, context = certificates(tmp_path)
    with fault_server(says("200 OK", b"{}"), context) as server:
        yield server, ca, context


def test_a_certificate_of_an_unknown_ca_is_refused(tls: Any) -> None:
    """T65: verification is on; with the right CA bundle it succeeds."""
    server, ca, _ = tls

    assert get(server.url).kind == "tls"
    assert isinstance(get(server.url, verify=str(ca)), Fetched)


def test_the_wrong_name_is_refused(tls: Any) -> None:
    """The certificate is for 127.0.0.1."""
    server, ca, _ = tls

    assert get(server.url.replace("127.0.0.1", "localhost"), verify=str(ca)).kind == "tls"


def test_an_explicit_ca_bundle_wins_over_the_environments(
    tls: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """REQUESTS_CA_BUNDLE serves those who said nothing."""
    server, ca, _ = tls
    other = tmp_path / "other"
    other.mkdir()
    wrong, _ = certificates(other)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(wrong))
    assert isinstance(get(server.url, verify=str(ca)), Fetched)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    assert isinstance(get(server.url), Fetched)


@pytest.mark.parametrize(
    "trusted",
    [
        pytest.param({"verify": True}, id="jwks_tls"),
        pytest.param({"REQUESTS_CA_BUNDLE": True, "SSL_CERT_FILE": False}, id="REQUESTS_CA_BUNDLE"),
        pytest.param({"SSL_CERT_FILE": True}, id="SSL_CERT_FILE"),
        pytest.param({"verify": False, "REQUESTS_CA_BUNDLE": True}, id="jwks_tls, another CA"),
        pytest.param({"REQUESTS_CA_BUNDLE": False, "SSL_CERT_FILE": True}, id="bundle, another CA"),
        pytest.param({"SSL_CERT_FILE": False}, id="SSL_CERT_FILE, another CA"),
    ],
)
def test_the_first_place_that_is_given_counts_alone(
    tls: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trusted: dict[str, bool]
) -> None:
    """jwks_tls, REQUESTS_CA_BUNDLE, SSL_CERT_FILE; True: the issuer's CA, False: another."""
    server, ca, _ = tls
    (tmp_path / "other").mkdir()
    wrong, _ = certificates(tmp_path / "other")
    options = {}
    for name, right in trusted.items():
        place = str(ca if right else wrong)
        if name == "verify":
            options["verify"] = place
        else:
            monkeypatch.setenv(name, place)

    found = get(server.url, **options)
    assert isinstance(found, Fetched) is next(iter(trusted.values()))
    assert isinstance(found, Fetched) or found.kind == "tls"


def test_a_root_that_the_system_does_not_have_is_refused(
    tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though certifi has it: nothing adds certifi's certificates to the system's."""
    server, ca, _ = tls
    monkeypatch.setattr(tls_module, "CERTIFI", str(ca))
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(ca))
    monkeypatch.setattr(tls_module, "system_has_certificates", lambda: True)
    assert get(server.url).kind == "tls"

    monkeypatch.setattr(tls_module, "system_has_certificates", lambda: False)
    assert isinstance(get(server.url), Fetched)


GEVENT = """
from jwt_wsgi.key_sources.fetch import HTTPFetch
from gevent import monkey
monkey.patch_all()
import sys
found = HTTPFetch(verify=sys.argv[2])(sys.argv[1], etag=None, no_cache=False, timeout=5)
print(found.body.decode())
"""


@pytest.mark.slow
def test_a_fetch_works_though_gevent_patched_ssl_after_the_import(tls: Any) -> None:
    """As gunicorn's gevent workers do with preload_app."""
    pytest.importorskip("gevent")
    server, ca, _ = tls
    command = [sys.executable, "-W", "ignore", "-c", GEVENT, server.url, str(ca)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "{}\n", done.stderr[-2000:]


def test_a_client_certificate_is_shown_where_one_is_asked_for(tls: Any, tmp_path: Path) -> None:
    """mTLS with the cert of jwks_tls, and a failure without."""
    server, ca, context = tls
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca)

    shown = {"cert": str(tmp_path / "leaf.pem"), "home": server.url}
    assert isinstance(get(server.url, verify=str(ca), **shown), Fetched)
    # What the server says of it may be overtaken by the end of the connection.
    assert get(server.url, verify=str(ca)).kind in ("tls", "broken")


def test_a_proxy_does_not_get_the_client_certificate(
    tls: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that is reached by TLS itself may ask for one; it is for the issuer only."""
    server, ca, context = tls
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca)
    monkeypatch.setenv("HTTPS_PROXY", server.url)  # it refuses whoever shows no certificate

    options = {"verify": str(ca), "cert": str(tmp_path / "leaf.pem")}
    get("https://issuer.example/jwks", home="https://issuer.example", **options)
    assert server.heads == []


def test_a_tls_server_that_drips_is_cut_off(tls: Any) -> None:
    """The deadline is below TLS."""
    server, ca, _ = tls
    server.answer = drip(OK + b"Content-Length: 100\r\n\r\n" + b" " * 100)

    assert get(server.url, verify=str(ca), timeout=TIMEOUT).kind == "timeout"


def test_a_certificate_that_is_over_is_refused(tmp_path: Path) -> None:
    """Though it is the right one otherwise."""
    ca, context = certificates(tmp_path, days=-1)
    with fault_server(says("200 OK", b"{}"), context) as server:
        assert get(server.url, verify=str(ca)).kind == "tls"


def test_a_handshake_that_is_cut_off() -> None:
    """A server that speaks no TLS, or hangs up in the middle of it."""
    for answer in (raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), raw(b"\x16\x03\x03\x00\x7a\x02")):
        with fault_server(answer) as server:
            assert get(server.url.replace("http:", "https:")).kind == "tls"


def test_a_handshake_that_never_ends_is_cut_off() -> None:
    """A server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as quiet:
        url = f"https://127.0.0.1:{quiet.getsockname()[1]}/"
        assert get(url, timeout=TIMEOUT).kind == "timeout"


def test_nothing_is_left_behind() -> None:
    """No thread, and no socket (an unclosed one would be a warning, and so an error)."""
    before = threading.active_count()
    with fault_server(says("200 OK", b"{}")) as server:
        get(server.url)
        get(server.url)

    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://issuer.example", None),
        ("https://issuer.example:8443/a/b", None),
        ("http://localhost:8080/realms/x", None),
        ("http://127.0.0.9", None),
        ("http://[::1]:1", None),
        ("http://issuer.example", "allow_http"),
        ("http://localhost.evil.example", "allow_http"),
        ("http://127.0.0.1.evil.example", "allow_http"),
        ("ftp://issuer.example", "https://"),
        ("issuer.example", "https://"),
        ("https:///x", "https://"),
        ("https://ada:s3cret@issuer.example", "password"),
        ("https://issuer.example/ x", "percent-encoded"),
        ("https://issuer.example/\n", "percent-encoded"),
        ("https://issuer.example/ä", "percent-encoded"),
        ("https://[::bad", "not a URL"),
        ("https://issuer.example:99999", "not a URL"),
    ],
)
def test_the_rule_for_urls(url: str, problem: str | None) -> None:
    """https, or http on loopback or by consent; what is wrong comes with its remedy."""
    found = check_url(url, allow_http=False)

    assert found is None if problem is None else problem in (found or "")
    if problem == "allow_http":
        assert check_url(url, allow_http=True) is None
