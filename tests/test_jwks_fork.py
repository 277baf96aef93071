"""Remote keys and what Python does under a WSGI server: fork, gevent, the end of a process.

Everything runs in processes of its own, told to end if it does not.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jwt_wsgi.testing import FakeIssuer

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent

#: What every script begins with: a source, an issuer that counts, and one way to ask.
PRELUDE = """
import os, signal, sys, threading, time
sys.path.insert(0, {tests!r})
HOOKS = {hooks}
if not HOOKS:  # uWSGI runs none in its workers
    os.register_at_fork = lambda **_: None
from test_jwks import document
from jwt_wsgi.errors import KeyNotKnownYetError
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.key_sources.remote import RemoteKeys

gets, go = [], threading.Event()

def fetch(url, *, etag, no_cache, timeout):
    gets.append(os.getpid())
    if not go.wait(50):
        os.write(1, b"the fetch was waited for")
    return Fetched(document("a"), None, None)

def own_fetch(url, *, etag, no_cache, timeout):
    gets.append(os.getpid())
    return Fetched(document("ab"), None, None)

keys = RemoteKeys("https://i.example", jwks_uri="https://i.example/k", fetch=fetch,
                  emit=lambda event: None)

def ask(kid="a"):
    try:
        return len(list(keys.candidates({{"alg": "EdDSA", "kid": kid}})))
    except KeyNotKnownYetError:  # one unknown kid too many
        return 0

def child(serve):
    pid = os.fork()
    if not pid:
        signal.alarm(50)  # a hang is a death, not a wait
        try:
            serve()
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]
"""


def run(script: str, *, hooks: bool = True, timeout: float = 120.0) -> str:
    """What the script said; fails if it died or wrote to standard error."""
    code = PRELUDE.format(tests=str(TESTS), hooks=hooks) + script
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


BY = pytest.mark.parametrize("hooks", [True, False], ids=["by the hook", "by the pid"])


@BY
def test_a_fork_inside_a_fetch(*, hooks: bool) -> None:
    """The child fetches for itself at once; the parent is served by the fetch it has."""
    run(
        """
asker = threading.Thread(target=ask)
asker.start()
while not gets: time.sleep(0.001)

def serve():
    keys._loader._fetch = own_fetch
    assert ask("b") == 1, "not served"
    assert gets[1:] == [os.getpid()]
    assert keys.health()["stuck"] == 0 and not keys.health()["inline"]

assert child(serve) == 0
go.set()
asker.join()
assert ask() == 1 and len(gets) == 1
""",
        hooks=hooks,
    )


@BY
def test_a_fork_inside_the_critical_section(*, hooks: bool) -> None:
    """The lock that another thread holds at that moment stays locked in the child for ever."""
    run(
        """
go.set()
assert ask() == 1
keys._lock().acquire()

def serve():
    keys._loader._fetch = own_fetch
    assert ask("b") == 1, "not served"
    askers = [threading.Thread(target=ask, args=(f"x{n}",)) for n in range(8)]
    for asker in askers: asker.start()
    for asker in askers: asker.join()

assert child(serve) == 0
""",
        hooks=hooks,
    )


def test_many_threads_that_see_the_fork_at_once_are_one_process() -> None:
    """Without hooks the first of them makes the new lock, and there is one fetch."""
    run(
        """
def slow(url, *, etag, no_cache, timeout):
    gets.append(os.getpid())
    time.sleep(0.1)
    return Fetched(document("a"), None, None)

def serve():
    keys._loader._fetch = slow
    sys.setswitchinterval(1e-6)
    served = []
    askers = [threading.Thread(target=lambda: served.append(ask())) for _ in range(16)]
    for asker in askers: asker.start()
    for asker in askers: asker.join()
    assert served == [1] * 16, served
    assert len(gets) == 1, gets

for _ in range(20):
    assert child(serve) == 0
""",
        hooks=False,
    )


@BY
def test_forks_while_everything_runs(*, hooks: bool) -> None:
    """Floods and fetches in the parent, and no child hangs; each is served."""
    run(
        script="""
def quick(url, *, etag, no_cache, timeout):
    gets.append(os.getpid())
    time.sleep(0.002)
    return Fetched(document("a"), None, None)

from jwt_wsgi.key_sources.facts import Policy
keys._loader._fetch = quick
assert ask() == 1
keys.policy = Policy(refresh_after=0.01, cooldown=0.01, max_age=0.02)
keys._keep(keys._facts)
over = []

def flood():
    while not over:
        try:
            ask(os.urandom(4).hex()), ask()
        except Exception:
            pass

threads = [threading.Thread(target=flood, daemon=True) for _ in range(3)]
for thread in threads: thread.start()

def serve():
    for n in range(3):
        assert ask() == 1

until = time.monotonic() + 5
forks = 0
while forks < 150 and (time.monotonic() < until or forks < 20):
    assert child(serve) == 0
    forks += 1
over.append(True)
for thread in threads: thread.join()
""",
        hooks=hooks,
    )


def test_children_of_a_warm_parent_fetch_nothing() -> None:
    """gunicorn --preload, warmed up: one GET in all."""
    run(
        """
go.set()
assert keys.warm_up()

def serve():
    keys._loader._fetch = own_fetch
    assert ask() == 1
    assert len(gets) == 1

assert child(serve) == 0
assert child(lambda: child(serve)) == 0
"""
    )


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux shows its threads")
def test_rule_fork_may_follow_a_warm_up_at_once() -> None:
    """A thread that ends holds a lock of OpenSSL, which a child would inherit and never release."""
    run(
        """
looks, begun, may_end = [], [], threading.Event()

def start(run):
    def thread():
        begun.append(threading.get_native_id())
        run()
        may_end.wait(50)
    threading.Thread(target=thread, daemon=True).start()

really_sleep = time.sleep

def sleep(seconds):
    looks.append(seconds)
    may_end.set()
    really_sleep(seconds)

keys._start_thread, time.sleep = start, sleep
go.set()
assert keys.warm_up()
assert looks
assert str(begun[0]) not in os.listdir("/proc/self/task")
before = len(looks)
assert keys.warm_up()  # nothing more to wait for
assert len(looks) == before
"""
    )


def test_a_child_knows_at_once_that_its_parents_fetch_is_not_its_own() -> None:
    """Before it is asked for anything: a probe of its health sees the child, not the parent."""
    run(
        """
asking = threading.Thread(target=ask)
asking.start()
while not gets: time.sleep(0.001)
assert keys.health()["fetching"]

def look():
    health = keys.health()
    assert (health["fetching"], health["pid"]) == (False, os.getpid()), health

assert child(look) == 0
go.set()
asking.join()
"""
    )


# --- gevent ------------------------------------------------------------------------------------

GEVENT = """
import sys, threading, time
{before}
# gunicorn -k gevent --preload: the application is imported, and only then ...
from gevent import monkey
monkey.patch_all()
import gevent

tasks = [gevent.spawn(ask) for _ in range(10)]
gevent.joinall(tasks)
sys.stdout.write(" ".join(str(task.value) for task in tasks))
"""
OURS = """
from jwt_wsgi.key_sources.fetch import HTTPFetch
from jwt_wsgi.key_sources.remote import RemoteKeys

keys = RemoteKeys({issuer!r}, jwks_uri={uri!r}, fetch=HTTPFetch(), emit=lambda event: None)

def ask():
    return len(list(keys.candidates({{"alg": "EdDSA", "kid": {kid!r}}})))
"""
NAIVE = """
from jwt_wsgi.key_sources.fetch import HTTPFetch

lock, held = threading.Lock(), []

def ask():
    with lock:  # held across I/O
        if not held:
            held.append(HTTPFetch()({uri!r}, etag=None, no_cache=False, timeout=50.0))
    return len(held)
"""


def under_gevent(source: str, issuer: FakeIssuer, *, timeout: float) -> str:
    before = source.format(issuer=issuer.issuer, uri=issuer.jwks_uri, kid=issuer.kid)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GEVENT.format(before=before)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=timeout,
        check=True,
    ).stdout


@pytest.fixture
def slow_issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer().serve() as issuer, issuer.slow(0.3):
        yield issuer


def test_gevent_patched_after_the_source_was_made(slow_issuer: FakeIssuer) -> None:
    """Ten cold requests at once: one fetch, and everybody is served."""
    said = under_gevent(OURS, slow_issuer, timeout=60.0)

    assert said.split() == ["1"] * 10
    assert len(slow_issuer.requests) == 1


def test_the_test_of_the_test_a_lock_across_io_hangs(slow_issuer: FakeIssuer) -> None:
    """What the test above would look like if we held a lock across the fetch."""
    with pytest.raises(subprocess.TimeoutExpired):
        under_gevent(NAIVE, slow_issuer, timeout=3.0)


# --- The end of a process ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("", id="exit"),
        pytest.param("keys.close()", id="close"),
        pytest.param("del keys", id="forgotten"),
        pytest.param("sys.exit(0)", id="sys.exit"),
        pytest.param("import atexit; atexit.register(ask_anything)", id="asked at exit"),
        pytest.param(
            "class Last:\n    def __del__(self, ask=ask_anything): ask()\nsys.last = Last()",
            id="asked by a finaliser",
        ),
    ],
)
def test_the_end_of_a_process_during_a_fetch(end: str) -> None:
    """At once, without a word."""
    said = run(
        f"""
from jwt_wsgi.errors import KeysUnavailableError
keys_ = keys

def ask_anything(KeysUnavailableError=KeysUnavailableError, keys=keys_):
    keys._facts = keys._facts._replace(fetch=None)  # nothing keeps it from starting one
    try:
        keys.current()
    except KeysUnavailableError:
        pass

def asker():
    try: ask()
    except KeysUnavailableError: pass

threading.Thread(target=asker, daemon=True).start()
while not gets: time.sleep(0.001)
{end}
"""
    )

    assert said == ""


def test_a_fetch_after_the_end_has_begun_is_none() -> None:
    """A thread started while the interpreter is finalising hangs for ever on Python 3.11."""
    said = run(
        """
go.set()
ask()

class Last:
    def __del__(self, keys=keys, sys=sys, os=os):
        assert sys.is_finalizing()
        before = keys._facts.started
        keys._keep(keys._facts._replace(snapshot=None))
        keys.warm_up(0)
        assert keys._facts.started == before
        os.write(1, b"asked")

last = Last()
"""
    )

    assert said == "asked"
