"""Strict JSON: every bound holds before the work that it bounds."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from jwt_wsgi import strict_json

#: Bytes of the smallest stack: what musl gives a thread, and what ``threading`` takes everywhere.
SMALL = 128 * 1024
#: Reads documents of 12,000 levels in a thread with a small stack.
READERS = """
import sys
import threading
from base64 import urlsafe_b64encode

from jwt_wsgi import jose
from jwt_wsgi.key_sources import discovery
from jwt_wsgi.key_sources.fetch import Fetched
from jwt_wsgi.keys import KeySet
from jwt_wsgi.revocation.revocations import Entry
from jwt_wsgi.settings import values

size, kind, openings = int(sys.argv[1]), sys.argv[2], sys.argv[3:]

def part(text, size):
    return urlsafe_b64encode(text[:size].encode()).rstrip(b"=").decode()

readers = {
    "payload": lambda deep: jose.parse(f"eyJhbGciOiJFUzI1NiJ9.{part(deep, 12000)}.AAAA"),
    "header": lambda deep: jose.parse(f"{part(deep, 6000)}.e30.AAAA"),
    "jwks": lambda deep: KeySet.parse(deep),
    "metadata": lambda deep: discovery._object(Fetched(deep.encode(), None, None)),
    "setting": lambda deep: values.read_mapping(deep),
    "revocation": lambda deep: Entry.from_bytes("key", deep.encode()),
}

def work():
    for opening in openings:
        try:
            readers[kind]('{"a":' + opening * 12_000)
        except Exception as error:
            print(type(error).__name__)

threading.stack_size(size)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
#: The parser alone, without any dependency, so that every Python can run it.
ALONE = """
import importlib.util
import sys
import threading

spec = importlib.util.spec_from_file_location("strict_json", sys.argv[2])
strict_json = importlib.util.module_from_spec(spec)
spec.loader.exec_module(strict_json)
levels = strict_json.MAX_DEPTH - 1

def work():
    print(strict_json.json_object(b'{"a":' + b"[" * levels + b"]" * levels + b"}")["a"] != 0)
    for deep in (b'{"a":' + b"[" * 12_000, b'{"a":' * 12_000, b'{"a":["[",' * 12_000):
        try:
            strict_json.json_object(deep)
        except ValueError:
            print("refused")

threading.stack_size(int(sys.argv[1]))
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def ran(python: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [python, "-W", "ignore", "-c", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def pythons() -> list[str]:
    """This Python, and the others on the path that the package supports."""
    names = [f"python3.{minor}" for minor in range(11, 20) if minor != sys.version_info.minor]
    found = [path for name in names if (path := shutil.which(name))]
    return [sys.executable, *(path for path in found if ran(path, "").returncode == 0)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        ("payload", "InvalidTokenError"),
        ("header", "InvalidTokenError"),
        ("jwks", "DocumentError"),
        ("metadata", "NotHere"),
        ("setting", "ValueError"),
        ("revocation", "MalformedError"),
    ],
)
def test_deep_json_ends_no_thread_with_a_small_stack(kind: str, refusal: str) -> None:
    """Whoever reads it refuses it. A parser that calls itself so often ends the process."""
    told = ran(sys.executable, READERS, SMALL, kind, "[", '{"a":', r'["\"[",{"a":')

    assert (told.returncode, told.stdout.split()) == (0, [refusal] * 3), told.stderr


@pytest.mark.parametrize("python", pythons())
def test_no_python_needs_more_than_a_small_stack(python: str) -> None:
    """What is deep is refused, and what is just not too deep is read."""
    told = ran(python, ALONE, SMALL, strict_json.__file__)

    assert (told.returncode, told.stdout.split()) == (0, ["True", *["refused"] * 3]), told.stderr


def depth_of(value: Any) -> int:
    members = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, members), default=0) if isinstance(value, dict | list) else 0


#: Text whose quotes, backslashes and brackets are in the way of counting.
TRICKY = st.text('[]{}"\\,:a\u00e9', max_size=12)
VALUES = st.recursive(
    TRICKY | st.just(0),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TRICKY, inner, max_size=4),
    max_leaves=30,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(VALUES, st.integers(0, 40), st.booleans())
def test_the_depth_is_that_of_the_parsed_value(value: Any, more: int, ascii_: bool) -> None:
    """Brackets inside of strings do not count, whatever is escaped how."""
    for _ in range(more):
        value = [value, "]"]
    document = {"a": value, "filling": "[{" * 20}
    data = json.dumps(document, ensure_ascii=ascii_).encode()

    if depth_of(document) <= strict_json.MAX_DEPTH:
        assert strict_json.json_object(data) == document
    else:
        with pytest.raises(strict_json.MalformedError, match="deeper than 32"):
            strict_json.json_object(data)


#: Openings of 64 levels that a careless count takes for less.
HIDDEN = {
    "after an escaped quote": rb'{"a\"":' + b"[" * 64,
    "after an escaped backslash": rb'{"a\\":' + b"[" * 64,
    "after three backslashes and a quote": rb'{"a\\\"":' + b"[" * 64,
    "two kinds": b'{"a":' + b'[{"a":' * 32,
    "with pairs between": b'{"a":' + b"[[]," * 64,
    "before an open string": b'{"a":' + b"[" * 64 + b'"',
    "before a backslash": b'{"a":' + b"[" * 64 + b"\\",
    "before a wrong bracket": b'{"a":' + b"[" * 64 + b"}" * 65,
    "before many strings": b'{"a":' + b"[" * 64 + b'"[",' * 64,
    "closed": b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
}


@pytest.mark.parametrize("data", HIDDEN.values(), ids=HIDDEN)
def test_the_parser_never_sees_what_is_deep(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a document that breaks off, too: the parser would go down before it finds the end."""
    monkeypatch.setattr(strict_json, "_decoder", None)
    monkeypatch.setattr(strict_json, "_counting_decoder", None)
    with pytest.raises(strict_json.MalformedError):
        strict_json.json_object(data)


@pytest.mark.parametrize(
    ("number", "good"),
    [
        ("9" * 4300, True),
        ("-" + "9" * 4299, True),
        ("9" * 4301, False),
        ("9" * 12_000, False),
        ("1e308", True),
        ("1e309", False),
        ("-1e400", False),
        ("1" * 400 + ".0", False),
        ("0." + "0" * 400 + "1", True),
        ("1e-400", True),
    ],
)
def test_numbers_have_a_bound(number: str, good: bool) -> None:
    """An integer has so many digits at most; any other number is one that a float can hold."""
    data = f'{{"n":{number}}}'.encode()
    if good:
        assert strict_json.json_object(data) == json.loads(data)
    else:
        with pytest.raises(strict_json.MalformedError):
            strict_json.json_object(data)


def test_long_numbers_are_refused_before_they_are_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An app may switch Python's own limit off; a million digits would take seconds."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    monkeypatch.setitem(vars(strict_json), "int", None)  # to call it would be a TypeError
    try:
        with pytest.raises(strict_json.MalformedError):
            strict_json.json_object(b'{"n":' + b"9" * 12_000 + b"}")
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.parametrize(("text", "value"), [("[1]", [1]), (' "a"\n', "a"), ("null", None)])
def test_a_value_need_not_be_an_object(text: str, value: object) -> None:
    """Settings may be arrays; a document that must be an object may not."""
    assert strict_json.json_value(text.encode()) == value
    with pytest.raises(ValueError):
        strict_json.json_object(text.encode())
