"""The mutants that must die (KEYS 9.9): ``python tests/mutants.py [NAME...]``.

Each is one wrong line in a copy of the package; the tests named beside it have to notice. Prints
a table; the exit code is 1 if one survives or its text is no longer found exactly once. A script,
not collected by pytest.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("jwt_wsgi", "tests", "pyproject.toml")
TIME_LIMIT = 20.0  # seconds for the tests of one mutant
GREEN, RED = 0, 1  # exit codes of pytest; others mean that it could not do its work


class Mutant(NamedTuple):
    """Its text is replaced, wherever that is, once; ``killers``: files of tests or single ones."""

    name: str
    module: str
    old: str
    new: str
    killers: tuple[str, ...]


def killers(file: str, *tests: str) -> tuple[str, ...]:
    return tuple(f"tests/{file}.py::{test}" for test in tests) or (f"tests/{file}.py",)


MUTANTS = (
    # cooldown, ages, jitter
    Mutant(
        "cooldown from success only",
        "key_sources/freshness.py",
        "forced_end=at if flight.forced else facts.forced_end",
        "forced_end=facts.forced_end",
        killers("test_jwks", "test_row_11_the_cooldown_counts_from_failures_too"),
    ),
    Mutant(
        "cooldown removed",
        "key_sources/freshness.py",
        "barred=penalised or now - facts.forced_end < policy.cooldown",
        "barred=penalised",
        killers("test_jwks", "test_row_11_cooldown", "test_b4_ten_thousand_random_kids"),
    ),
    Mutant(
        "> on soft",
        "key_sources/freshness.py",
        "(now >= snapshot.soft or facts.fails)",
        "(now > snapshot.soft or facts.fails)",
        killers("test_jwks", "test_row_19_failed", "test_row_22_degraded_known"),
    ),
    Mutant(
        "> on hard",
        "key_sources/freshness.py",
        "now - snapshot.start >= policy.max_age and",
        "now - snapshot.start > policy.max_age and",
        killers("test_jwks", "test_b11_a_removed_key_dies"),
    ),
    Mutant(
        "> on dead",
        "key_sources/freshness.py",
        "if snapshot and now - snapshot.start < policy.dead_after",
        "if snapshot and now - snapshot.start <= policy.dead_after",
        killers("test_jwks", "test_row_25_dead"),
    ),
    Mutant(
        "stale never dead",
        "key_sources/freshness.py",
        "return max(self.max_stale, self.max_age)",
        "return math.inf",
        killers("test_jwks", "test_row_25_dead"),
    ),
    Mutant(
        "no jitter",
        "key_sources/freshness.py",
        "    soft = flight.start + policy.refresh_after * (0.8 + 0.2 * luck)",
        "    soft = flight.start + policy.refresh_after",
        killers("test_jwks", "test_row_12_fresh_becomes_due"),
    ),
    Mutant(
        "no jitter after a fork",
        "key_sources/freshness.py",
        "    soft = snapshot.start + policy.refresh_after * (0.8 + 0.2 * luck)",
        "    soft = snapshot.soft",
        killers("test_jwks", "test_row_26_a_child_draws_a_soft_age_of_its_own"),
    ),
    Mutant(
        "no jitter in the back-off",
        "key_sources/freshness.py",
        "backoff(fails, warm=warm) * (0.8 + 0.4 * luck)",
        "backoff(fails, warm=warm) * 1.0",
        killers("test_jwks", "test_row_6_the_issuer_may_ask_for_patience_within_reason"),
    ),
    # the set in hand
    Mutant(
        "failed fetch clears S",
        "key_sources/freshness.py",
        "        flight=None,\n        fails=fails,",
        "        snapshot=None,\n        flight=None,\n        fails=fails,",
        killers("test_jwks", "test_row_19_failed"),
    ),
    Mutant(
        "swap before validation",
        "key_sources/remote.py",
        'result = FetchError("document", str(error))',
        'result = Loaded(KeySet(()), None, "")',
        killers("test_jwks", "test_a_document_without_keys_replaces_nothing"),
    ),
    Mutant(
        "late failure applied",
        "key_sources/freshness.py",
        "    if not in_time:  # it was counted when it was lost\n        return facts\n",
        "",
        killers("test_jwks", "test_row_21_a_late_failure_is_ignored"),
    ),
    Mutant(
        "late older success applied",
        "key_sources/freshness.py",
        "if isinstance(result, Loaded) and flight.serial <= facts.accepted:",
        "if isinstance(result, Loaded) and flight.serial < 0:",
        killers("test_jwks", "test_row_21_an_older_result_never_replaces_a_newer_one"),
    ),
    Mutant(
        "penalty not cleared on change",
        "key_sources/remote.py",
        "            if facts.generation != before.generation:\n"
        "                self._penalties.clear()\n",
        "",
        killers("test_jwks", "test_row_16_a_changed_set_is_swapped_and_clears_penalties"),
    ),
    Mutant(
        "a set that came meanwhile not looked at",
        "key_sources/remote.py",
        "                known = known or not kid or kid in snapshot.keyset\n",
        "                pass\n",
        killers("test_jwks", "test_a_flight_that_lands_while_a_request_looks_is_not_repeated"),
    ),
    # who waits, and for how long
    Mutant(
        "lock held across fetch",
        "key_sources/remote.py",
        "            result = self._load(flight)\n",
        "            with self._lock():\n                result = self._load(flight)\n",
        killers("test_jwks", "test_row_1_cold_a_request_starts_a_flight_and_waits"),
    ),
    Mutant(
        "hooks called with the lock held",
        "key_sources/remote.py",
        "            self._keep(facts)\n        self._count_miss(",
        "            self._keep(facts)\n"
        "            for event in news(self._source, before, facts, now, self.policy):\n"
        "                self._emit(event)\n"
        "        self._count_miss(",
        killers("test_jwks", "test_row_25_dead"),
    ),
    Mutant(
        "wait counted from arrival",
        "key_sources/remote.py",
        "flight.ended.wait(max(0.0, flight.start + patience - began))",
        "flight.ended.wait(patience)",
        killers("test_jwks", "test_row_5_cold_flight_wait_over", "test_row_15_too_late_to_wait"),
    ),
    Mutant(
        "wait without time-out",
        "key_sources/remote.py",
        "flight.ended.wait(max(0.0, flight.start + patience - began))",
        "flight.ended.wait(threading.TIMEOUT_MAX)",
        killers("test_jwks", "test_row_10_waits_two_seconds_at_most"),
    ),
    Mutant(
        "waiting on a hopeless flight",
        "key_sources/freshness.py",
        "return Then.WAIT if hopeful else Then.UNAVAILABLE",
        "return Then.WAIT",
        killers("test_jwks", "test_row_1_cold_not_hopeful_is_503_at_once"),
    ),
    Mutant(
        "never hopeful again",
        "key_sources/freshness.py",
        "return not facts.fails or now - earliest(facts) >= HOPE_AFTER",
        "return not facts.fails",
        killers("test_jwks", "test_row_13u_hopeful_again"),
    ),
    Mutant(
        "idle wait also when fails >= 1",
        "key_sources/freshness.py",
        "now - snapshot.start >= policy.max_age and not facts.fails",
        "now - snapshot.start >= policy.max_age",
        killers("test_jwks", "test_row_24_degraded_becomes_due_never_idle"),
    ),
    Mutant(
        "event shared between flights",
        "key_sources/remote.py",
        "self._start_thread, self._make_event = start_thread, make_event",
        "one = make_event()\n"
        "        self._start_thread, self._make_event = start_thread, lambda: one",
        killers("test_jwks", "test_row_10_unknown_kid_forces_a_flight"),
    ),
    Mutant(
        "Retry-After slept",
        "key_sources/remote.py",
        "        except FetchError as error:\n            result = error\n",
        "        except FetchError as error:\n"
        "            time.sleep(max(0.0, min(error.retry_after or 0.0, MAX_RETRY_AFTER)))\n"
        "            result = error\n",
        killers("test_jwks", "test_row_6_the_issuer_may_ask_for_patience_within_reason"),
    ),
    # processes and threads
    Mutant(
        "pid check removed",
        "key_sources/remote.py",
        "        if pid == self._pid:\n            return self._locks[pid]\n",
        "        if self._pid:  # the hook sets it to 0\n"
        "            return self._locks[self._pid]\n",
        killers("test_jwks_fork", "test_a_fork_inside_the_critical_section"),
    ),
    Mutant(
        "hook removed",
        "key_sources/remote.py",
        "os.register_at_fork(after_in_child=_after_fork)\n",
        "",
        killers(
            "test_jwks_fork",
            "test_a_child_knows_at_once_that_its_parents_flight_is_not_its_own",
        ),
    ),
    Mutant(
        "lease removed",
        "key_sources/freshness.py",
        "return self.timeout + LEASE_SLACK",
        "return math.inf",
        killers("test_jwks", "test_row_20_a_lost_flight_counts_as_failed_at_its_lease"),
    ),
    # 401 and 503
    Mutant(
        "401 for 503 in an outage",
        "key_sources/freshness.py",
        "            (Start.NOTHING, Then.UNAVAILABLE)\n            if early\n",
        "            (Start.NOTHING, Then.ABSENT)\n            if early\n",
        killers("test_jwks", "test_row_23_degraded_unknown"),
    ),
    Mutant(
        "401 for 503 after a failed forced fetch",
        "key_sources/remote.py",
        "then = Then.SERVE if self._wait(flight, patience) else Then.UNAVAILABLE",
        "then = Then.SERVE if self._wait(flight, patience) else Then.ABSENT",
        killers("test_jwks", "test_row_19_failed"),
    ),
    Mutant(
        "503 for 401",
        "key_sources/freshness.py",
        "return Start.NOTHING, Then.ABSENT\n",
        "return Start.NOTHING, Then.UNAVAILABLE\n",
        killers("test_jwks", "test_row_11_cooldown"),
    ),
    # what a token can make us fetch, and how
    Mutant(
        "fetch on bad signature",
        "key_sources/remote.py",
        "                if kid is not None:\n                    return\n",
        "",
        killers("test_jwks", "test_a_bad_signature_under_a_known_kid_fetches_nothing_more"),
    ),
    Mutant(
        "a token without kid gives up",
        "key_sources/remote.py",
        'if found and "kid" in header:',
        "if found:",
        killers("test_jwks", "test_a_token_without_kid_finds_a_new_key"),
    ),
    Mutant(
        "fetch before claim checks",
        "verifier.py",
        "            issuer.check_claims(claims, self.clock())"
        "  # before keys: costs no fetch, no crypto\n"
        "            key = self._check_signature(unverified, issuer)\n",
        "            key = self._check_signature(unverified, issuer)\n"
        "            issuer.check_claims(claims, self.clock())\n",
        killers("test_middleware", "test_what_needs_no_key_to_be_refused_costs_no_fetch"),
    ),
    Mutant(
        "forced fetch conditional",
        "key_sources/remote.py",
        "held.uri == located.jwks_uri and _is_routine(flight) and not facts.fails:",
        "held.uri == located.jwks_uri and not facts.fails:",
        killers("test_jwks", "test_row_10_unknown_kid_forces_a_flight"),
    ),
    Mutant(
        "conditional after a failure",
        "key_sources/remote.py",
        "held.uri == located.jwks_uri and _is_routine(flight) and not facts.fails:",
        "held.uri == located.jwks_uri and _is_routine(flight):",
        killers("test_jwks_scenes", "test_an_issuer_that_breaks_on_conditions"),
    ),
    Mutant(
        "hooks before the flight",
        "key_sources/remote.py",
        "        if flight is not None and not facts.inline:\n            self._launch(flight)\n"
        "        for event in news(self._source, before, facts, now, self.policy):\n"
        "            self._emit(event)\n"
        "        if flight is not None and flight.forced:\n"
        "            self._emit(events.KeyMissed(self._source, printable(flight.kid)))\n",
        "        for event in news(self._source, before, facts, now, self.policy):\n"
        "            self._emit(event)\n"
        "        if flight is not None and flight.forced:\n"
        "            self._emit(events.KeyMissed(self._source, printable(flight.kid)))\n"
        "        if flight is not None and not facts.inline:\n            self._launch(flight)\n",
        killers("test_jwks_scenes", "test_e8_a_hook_that_blocks"),
    ),
    Mutant(
        "forced fetch out of a cache",
        "key_sources/remote.py",
        "url, etag=etag, no_cache=not _is_routine(flight), timeout",
        "url, etag=etag, no_cache=False, timeout",
        killers("test_jwks", "test_row_10_unknown_kid_forces_a_flight"),
    ),
    # the cage
    Mutant(
        "redirect allowed",
        "key_sources/fetch.py",
        "    def get_redirect_target(self, resp: requests.Response) -> None:\n",
        "    def get(self, url, **options):\n"
        '        return super().get(url, **options | {"allow_redirects": True})\n\n'
        "    def not_called(self, resp):\n",
        killers("test_fetch", "test_redirects_are_not_followed"),
    ),
    Mutant(
        "size check after read",
        "key_sources/fetch.py",
        "            body += chunk\n"
        "            if len(body) > self.max_bytes:\n"
        '                raise FetchError("too_big", f"more than {self.max_bytes} bytes")\n',
        "            body += chunk\n"
        "        if len(body) > self.max_bytes:\n"
        '            raise FetchError("too_big", f"more than {self.max_bytes} bytes")\n',
        killers("test_fetch", "test_a_fault_is_a_failure_within_the_deadline"),
    ),
    Mutant(
        "decoded size unchecked",
        "key_sources/fetch.py",
        '        if response.headers.get("Content-Encoding", "identity").lower() != "identity":\n'
        '            raise FetchError("encoding", '
        '"the answer is compressed, though we asked for it plain")\n'
        "        body = bytearray()\n"
        "        while chunk := response.raw.read(_CHUNK, decode_content=False):\n"
        "            body += chunk\n"
        "            if len(body) > self.max_bytes:\n",
        "        body = bytearray()\n"
        "        while chunk := response.raw.read(_CHUNK, decode_content=True):\n"
        "            body += chunk\n"
        "            if response.raw.tell() > self.max_bytes:  # as it was sent\n",
        killers("test_fetch", "test_a_fault_is_a_failure_within_the_deadline"),
    ),
    Mutant(
        "netrc allowed",
        "key_sources/fetch.py",
        "self.auth = _no_auth",
        "self.auth = None",
        killers("test_fetch", "test_nobodys_password_is_sent"),
    ),
    # documents
    Mutant(
        "one bad key fails all",
        "keys.py",
        "dropped.append(error.dropped)",
        "raise DocumentError(str(error)) from error",
        killers("test_keys", "test_a_bad_member_spoils_nothing_and_is_never_used"),
    ),
    Mutant(
        "oct accepted",
        "keys.py",
        "        if not _PRIVATE.isdisjoint(jwk):\n",
        '        if kty == "oct":\n'
        '            secret = jose.Key("oct", "", str(jwk.get("k")).encode())\n'
        '            return cls(kid, "oct", "", alg, None, secret)\n'
        "        if not _PRIVATE.isdisjoint(jwk):\n",
        killers("test_keys", "test_a_bad_member_spoils_nothing_and_is_never_used"),
    ),
    Mutant(
        "a long certificate is decoded",
        "jose.py",
        "if len(text) > MAX_CERTIFICATE_SIZE:",
        "if False:",
        killers("test_keys", "test_a_long_member_is_refused_before_it_is_decoded"),
    ),
    Mutant(
        "RSA keys as large as OpenSSL has them",
        "jose.py",
        "range(2048, 8193)",
        "range(2048, 16385)",
        killers("test_keys", "test_an_rsa_key_has_a_size_at_which_verifying_is_cheap"),
    ),
    Mutant(
        "the parser runs before the depth is known",
        "strict_json.py",
        "    check_depth(data)\n    text",
        "    text",
        killers("test_strict_json", "test_the_parser_never_sees_what_is_deep"),
    ),
    Mutant(
        "brackets inside of strings count",
        "strict_json.py",
        """.split(b'"')[::2]""",
        """.split(b'"')""",
        killers("test_strict_json", "test_the_depth_is_that_of_the_parsed_value"),
    ),
    Mutant(
        "integers of any length",
        "strict_json.py",
        "if len(digits) > MAX_DIGITS:",
        "if False:",
        killers("test_strict_json", "test_long_numbers_are_refused_before_they_are_computed"),
    ),
    # dates
    Mutant(
        "iat of any type",
        "claims.py",
        '        numeric_date(claims, "iat")\n',
        "",
        killers("test_claims", "test_a_numeric_date_is_a_number_of_seconds"),
    ),
    Mutant(
        "milliseconds are a date",
        "claims.py",
        "MAX_DATE: Final = 253_402_300_799",
        "MAX_DATE: Final = 2**53",
        killers("test_claims", "test_a_numeric_date_is_a_number_of_seconds"),
    ),
    # remembered tokens
    Mutant(
        "claims that are built take no more memory",
        "cache.py",
        "self.size += _size(self.claims) + getsizeof(nested) - len(payload)",
        "pass",
        killers("test_cache", "test_memory_is_bounded_by_what_is_really_kept[numbers]"),
    ),
    Mutant(
        "headers with many members are remembered",
        "verifier.py",
        "len(token.head) <= MAX_HEAD and few and not nested",
        "len(token.head) <= MAX_HEAD and not nested",
        killers("test_cache", "test_memory_of_headers_is_bounded"),
    ),
    Mutant(
        "a token is hashed, however long",
        "cache.py",
        "if len(token) > self._verifier.max_token_size:",
        "if False:",
        killers("test_cache", "test_a_token_that_is_too_long_is_not_even_hashed"),
    ),
    # secrets
    Mutant(
        "an example is a secret",
        "settings/values.py",
        "if _EXAMPLE.search(secret):",
        "if False:",
        killers("test_fail_closed", "test_a_secret_that_everybody_can_guess_does_not_start"),
    ),
    Mutant(
        "a repeated text is a secret",
        "settings/values.py",
        "range(1, min(16, size // 2) + 1)",
        "range(0)",
        killers("test_fail_closed", "test_a_secret_that_everybody_can_guess_does_not_start"),
    ),
)


class Result(NamedTuple):
    """``code`` is pytest's, or None if its time was over; ``what``: the first test that failed."""

    code: int | None
    what: str
    seconds: float


@contextmanager
def copied() -> Iterator[Path]:
    """The project in a directory of its own, without compiled files."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        for part in COPIED:
            if (ROOT / part).is_dir():
                shutil.copytree(
                    ROOT / part, Path(name, part), ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(ROOT / part, name)
        yield Path(name)


def python(copy: Path, *args: str, seconds: float) -> tuple[int | None, str]:
    """Exit code (None if the time was over) and output; whatever it started ends with it."""
    process = subprocess.Popen(
        [sys.executable, *args],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return None, said
    return process.returncode, said


def run_tests(copy: Path, tests: Iterable[str], seconds: float) -> Result:
    began = time.monotonic()
    options = ("-x", "-q", "-p", "no:cacheprovider", "--no-cov", "--tb=no")
    code, said = python(copy, "-m", "pytest", *options, *tests, seconds=seconds)
    seconds = time.monotonic() - began
    if code is None:
        return Result(code, "time-out", seconds)
    failed = re.search(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", said, re.MULTILINE)
    return Result(code, failed[1] if failed else said[-500:], seconds)


def kill(mutant: Mutant) -> tuple[bool, str, float]:
    """Whether it died, by what (or why not), and after how many seconds."""
    with copied() as copy:
        module = copy / "jwt_wsgi" / mutant.module
        text = module.read_text()
        if (times := text.count(mutant.old)) != 1:
            return False, f"**STALE**: its text occurs {times} times", 0.0
        changed = text.replace(mutant.old, mutant.new)
        compile(changed, mutant.name, "exec")
        module.write_text(changed)
        result = run_tests(copy, mutant.killers, TIME_LIMIT)
    if result.code in (RED, None):
        return True, result.what, result.seconds
    why = "**SURVIVED**" if result.code == GREEN else f"**NO RUN** (pytest: {result.code})"
    return False, why, result.seconds


def check_unmutated(mutants: Iterable[Mutant]) -> None:
    """Refuse to go on unless the copy is what is tested, and its tests are green."""
    with copied() as copy:
        _, where = python(copy, "-c", "import jwt_wsgi; print(jwt_wsgi.__file__)", seconds=60.0)
        if not Path(where.strip()).resolve().is_relative_to(copy.resolve()):
            sys.exit(f"not the copy is imported: {where}")
        tests = dict.fromkeys(test for mutant in mutants for test in mutant.killers)
        files = {test for test in tests if "::" not in test}
        chosen = [test for test in tests if test in files or test.split("::")[0] not in files]
        result = run_tests(copy, chosen, 10 * TIME_LIMIT)
    if result.code != GREEN:
        sys.exit(f"the tests are not green without a mutant: {result.what}")


def main() -> int:
    names = {mutant.name: mutant for mutant in MUTANTS}
    parser = argparse.ArgumentParser(description="Run the mutants that must die.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}")
    asked = parser.parse_args().names
    if unknown := set(asked) - set(names):
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
    mutants = [names[name] for name in asked or names]
    check_unmutated(mutants)
    print("| mutant | module | killed by | seconds |\n|---|---|---|---|", flush=True)
    alive = 0
    for mutant in mutants:
        dead, what, seconds = kill(mutant)
        alive += not dead
        what = what.replace("|", "\\|")
        print(f"| {mutant.name} | {mutant.module} | {what} | {seconds:.1f} |", flush=True)
    print(f"\n{len(mutants) - alive} of {len(mutants)} killed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
