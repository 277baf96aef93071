"""Keys on disk: used only if this secret wrote them, for this issuer, and not long ago."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_store import Clock

from jwt_wsgi import ConfigurationError
from jwt_wsgi import Settings
from jwt_wsgi import assembly
from jwt_wsgi.key_sources.saved_keys import MAX_AGE
from jwt_wsgi.key_sources.saved_keys import SavedKeys
from jwt_wsgi.key_sources.saved_keys import SavedKeysFile
from jwt_wsgi.testing import FakeIssuer

ISSUER, URI = "https://issuer.example", "https://issuer.example/jwks"
SECRET = b"s" * 32
JWKS = b'{"keys": [\n]}\n'
NOW = 1_800_000_000.0


class Disk:
    """A folder, and processes that use it at a time of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Clock(NOW)

    def file(self, **changed: Any) -> SavedKeysFile:
        options = {"secret": SECRET, "issuer": ISSUER, "clock": self.clock} | changed
        return SavedKeysFile(self.folder, **options)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_what_one_process_fetched_another_one_reads(disk: Disk) -> None:
    """With the same bytes, URL and time."""
    disk.file().save(JWKS, URI, NOW - 5)
    disk.clock.now += 60

    for _ in range(2):
        assert disk.file().load(URI) == SavedKeys(JWKS, URI, NOW - 5)


def test_without_a_file_there_is_nothing_to_say(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """Deleting the file is how an operator withdraws saved keys, so it is no warning."""
    file = disk.file()
    file.save(JWKS, URI, NOW)
    file.path.unlink()

    assert file.load() is None
    assert caplog.records == []


def test_the_file_is_for_this_user_only_and_leaves_nothing_beside_it(disk: Disk) -> None:
    """Mode 0600, whatever the umask is."""
    before = os.umask(0)
    try:
        disk.file().save(JWKS, URI, NOW)
    finally:
        os.umask(before)

    (found,) = disk.folder.iterdir()
    assert found.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("age", "used"), [(0, True), (MAX_AGE, True), (MAX_AGE + 1, False), (-1, False)]
)
def test_the_age_is_bounded_on_both_sides(disk: Disk, age: float, used: bool) -> None:
    """Old keys may be withdrawn; a time in the future would make the file valid for too long."""
    disk.file().save(JWKS, URI, NOW)
    disk.clock.now = NOW + age

    assert (disk.file().load() is not None) is used


@pytest.mark.parametrize(
    ("reader", "why"),
    [
        pytest.param({"secret": b"t" * 32}, "not written with this secret", id="another secret"),
        pytest.param({"max_age": 10}, "60 s old, more than 10 s", id="too old"),
    ],
)
def test_what_is_not_used_is_a_warning(
    disk: Disk, caplog: pytest.LogCaptureFixture, reader: Any, why: str
) -> None:
    """The warning has the reason, and no content of the file."""
    disk.file().save(JWKS, URI, NOW)
    disk.clock.now += 60

    assert disk.file(**reader).load() is None
    assert why in caplog.text
    assert 'keys": [' not in caplog.text


def test_a_snapshot_from_another_address_is_not_used(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """jwks_uri may have been changed because the old one was taken over."""
    disk.file().save(JWKS, URI, NOW)

    assert disk.file().load("https://elsewhere.example/jwks") is None
    assert "another jwks_uri" in caplog.text


def test_the_file_of_another_issuer_is_not_used(disk: Disk) -> None:
    """Although it was written with the same secret and renamed."""
    other = disk.file(issuer="https://other.example")
    other.save(JWKS, URI, NOW)
    other.path.rename(disk.file().path)

    assert disk.file().load() is None


@pytest.mark.parametrize("at", [0, 70, 100, -1], ids=["the HMAC", "the head", "issuer", "a key"])
def test_a_changed_byte_makes_it_useless(disk: Disk, at: int) -> None:
    """An attacker who can write to the folder cannot add a key."""
    file = disk.file()
    file.save(JWKS, URI, NOW)
    data = bytearray(file.path.read_bytes())
    data[at] ^= 1
    file.path.write_bytes(data)

    assert file.load() is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not written with this secret"),
        (b"\n", "not written with this secret"),
        (b"\n\n", "not written with this secret"),
        (b"x" * 2_000_000, "it is too large"),
    ],
    ids=["empty", "one line", "two lines", "too large"],
)
def test_a_file_with_other_content_is_not_used(
    disk: Disk, caplog: pytest.LogCaptureFixture, data: bytes, why: str
) -> None:
    """The size is checked before the HMAC is computed."""
    path = disk.file().path
    path.write_bytes(data)
    path.chmod(0o600)

    assert disk.file().load() is None
    assert why in caplog.text


def test_a_link_is_neither_read_nor_followed_when_written(disk: Disk, tmp_path: Path) -> None:
    """It could lead to a file of another user; writing replaces the link, not its target."""
    file = disk.file()
    file.save(JWKS, URI, NOW)
    target = file.path.rename(disk.folder / "target")
    file.path.symlink_to(target)
    assert file.load() is None

    file.save(b"{}", URI, NOW)
    assert not file.path.is_symlink()
    assert target.read_bytes().endswith(JWKS)
    assert file.load() == SavedKeys(b"{}", URI, NOW)


def test_what_others_may_write_or_what_is_no_file_is_not_used(disk: Disk) -> None:
    """A pipe would hang whoever reads it."""
    file = disk.file()
    file.save(JWKS, URI, NOW)
    file.path.chmod(0o620)
    assert file.load() is None

    file.path.unlink()
    os.mkfifo(file.path, 0o600)
    assert file.load() is None


def test_a_slow_process_does_not_bring_old_keys_back(disk: Disk) -> None:
    """It does not replace keys of a later fetch; a file from the future is replaced."""
    disk.file().save(b"new", URI, NOW)
    disk.file().save(b"old", URI, NOW - 1)
    found = disk.file().load()
    assert found is not None
    assert found.jwks == b"new"

    disk.clock.now = NOW - 3600  # the clock was an hour ahead, and was set right
    disk.file().save(b"right", URI, NOW - 3600)
    found = disk.file().load()
    assert found is not None
    assert found.jwks == b"right"


def test_a_disk_that_cannot_be_written_is_one_warning(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """``save`` raises nothing, so no request fails."""
    disk.folder /= "none"
    file = disk.file()
    for _ in range(3):
        file.save(JWKS, URI, NOW)

    assert len(caplog.records) == 1
    assert "cannot be written: No such file" in caplog.text
    assert file.load() is None


def test_a_short_secret_is_refused(disk: Disk) -> None:
    """An attacker who guesses it could write keys."""
    with pytest.raises(ValueError, match="32 bytes"):
        disk.file(secret=b"s" * 31)


def test_the_content_of_the_file(disk: Disk) -> None:
    """Three parts: the HMAC, a line of JSON, and the bytes of the JWKS."""
    file = disk.file()
    file.save(JWKS, URI, NOW)

    mac, head, jwks = file.path.read_bytes().split(b"\n", 2)
    assert len(mac) == 64
    assert json.loads(head) == {"issuer": ISSUER, "jwks_uri": URI, "saved": NOW}
    assert jwks == JWKS


# --- The option jwks_snapshot --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"path": "/not/there"}, "path: give a folder that exists"),
        ({"path": __file__}, "path: give a folder that exists"),
        ({"path": None}, "it needs path"),
        ({"secret": None}, "it needs secret"),
        ({"secret": "hunter2-hunter2"}, "secret: too short; 32 bytes"),
        ({"secret": "ab" * 32}, "secret: it repeats one short text"),
        ({"max_age": "soon"}, "max_age: give seconds"),
        ({"max_age": "25h"}, "max_age: at most jwks_max_stale"),
        ({"max_ages": 1}, "its members are path, secret, max_age; did you mean max_age"),
    ],
)
def test_a_wrong_setting_does_not_start_and_shows_no_secret(
    tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    """The error has its name and the remedy."""
    given = {"path": str(tmp_path), "secret": "hunter2 " + SECRET.decode() + "x9"} | changed
    with pytest.raises(ConfigurationError, match="jwks_snapshot") as caught:
        Settings.of(issuer=ISSUER, audience="a", jwks_snapshot=given)

    assert why in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ({"issuer": lambda iss: None}, "here a function names them"),
        ({"settings_from_request": True, "issuer": ISSUER}, "here requests may name them"),
        ({"issuer": ISSUER, "jwks_max_stale": 0}, "max_age: at most jwks_max_stale"),
    ],
)
def test_it_is_for_configured_issuers_only(
    tmp_path: Path, option: dict[str, Any], why: str
) -> None:
    """Issuers that a request or a function names are never saved."""
    given = {"path": tmp_path, "secret": "0123456789" * 2 + "abcdefghijkl"}
    with pytest.raises(ConfigurationError, match=why):
        Settings.of(audience="a", jwks_snapshot=given, **option)


def test_tenants_of_a_function_are_not_saved(tmp_path: Path) -> None:
    """Only the verifier of the configured issuers saves keys; no command does."""
    given = {"path": tmp_path, "secret": "0123456789" * 2 + "abcdefghijkl"}
    settings = Settings.of(issuer=ISSUER, audience="a", jwks_snapshot=given)
    assert "0123456789" not in repr(settings)
    (own,) = settings.terms

    for_requests = assembly.trusted(own, print).keys
    configured = assembly.trusted(own, print, saves=True).keys
    assert for_requests._loader._saved is None  # type: ignore[attr-defined]
    saved = configured._loader._saved  # type: ignore[attr-defined]
    assert (saved.path.parent, saved.max_age) == (tmp_path, 3600.0)


# --- Real processes ------------------------------------------------------------------------------

PROCESS = """
import os, sys, time
from werkzeug.test import Client
from jwt_wsgi import JWTMiddleware

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]

guarded = Client(JWTMiddleware(app, audience="api"))
answer = guarded.get("/", headers={"Authorization": "Bearer " + sys.argv[1]})
until = time.monotonic() + 20  # it is saved behind the back of the request
while answer.status_code == 200 and len(sys.argv) > 2 and time.monotonic() < until:
    if any(not name.endswith(".new") for name in os.listdir(sys.argv[2])):
        break
    time.sleep(0.01)
print(answer.status_code)
"""
LONG = "x" + base64.b64encode(bytes(range(32))).decode()


def start(
    issuer: str, token: str, *wait: str, folder: Path | None, secret: str = LONG
) -> "subprocess.Popen[str]":
    """A process that serves one request; with ``wait`` until something is in that folder."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("JWT_WSGI_")}
    env |= {"JWT_WSGI_ISSUER": issuer}
    if folder is not None:
        given = {"path": str(folder), "secret": secret}
        env["JWT_WSGI_JWKS_SNAPSHOT"] = json.dumps(given)
    command = [sys.executable, "-W", "error", "-c", PROCESS, token, *wait]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True)


def status(process: Any) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    return int(out), err


@pytest.mark.slow
def test_processes_that_start_during_an_outage(tmp_path: Path) -> None:
    """One starts while the issuer is up; then others while it is down.

    Every reason why a file is not used has a test of its own above, without processes.
    """
    with FakeIssuer(aud="api").serve() as issuer:
        up, tampered = tmp_path / "up", tmp_path / "tampered"
        up.mkdir()
        assert status(start(issuer.issuer, issuer.token(), str(up), folder=up))[0] == 200
        (saved,) = up.iterdir()
        assert saved.stat().st_mode & 0o777 == 0o600
        shutil.copytree(up, tampered)
        (tampered / saved.name).write_bytes(saved.read_bytes().replace(b'"kid"', b'"kiD"'))

        with issuer.outage():
            started = {
                "no setting": start(issuer.issuer, issuer.token(), folder=None),
                "as it is": start(issuer.issuer, issuer.token(), folder=up),
                "tampered": start(issuer.issuer, issuer.token(), folder=tampered),
                "another secret": start(
                    issuer.issuer, issuer.token(), folder=up, secret=LONG.replace("x", "y")
                ),
            }
            found = {name: status(process) for name, process in started.items()}

    assert {name: code for name, (code, _) in found.items()} == {
        "no setting": 503, "as it is": 200, "tampered": 503, "another secret": 503,
    }  # fmt: skip
    refused = [name for name, (_, err) in found.items() if "is not used" in err]
    assert refused == ["tampered", "another secret"]
    story = found["as it is"][1]
    assert story.index("are those saved") < story.index("could not be fetched")
    assert "no keys held" not in story
