"""The log of a noisy day is the one that docs/how-to/operations.md shows, line by line."""

import pytest
import story

#: What must be in it, in this order; the page has the whole.
TOLD = [
    "INFO    keys of https://login.example.com from",
    "INFO    keys of https://login.example.com loaded in 80 ms: 'key-1'",
    "WARNING refused 401 token_expired (6900 s ago)",
    "WARNING refused 401 audience_mismatch (aud names no accepted audience)",
    "token_expired; 37 more like it in the last 65 s",
    "INFO    a token names the unknown key 'admin-0'",
    "WARNING refused 401 key_not_found",
    "WARNING refused 429 key_not_known_yet",
    "INFO    a token names the unknown key 'key-2'",
    "INFO    keys of https://login.example.com changed: added 'key-2'",
    "INFO    a token names the unknown key 'admin-250'",
    "key_not_found; 3 more like it in the last 70 s",
    "WARNING keys of https://login.example.com could not be fetched (timeout:",
    "ERROR   a request was refused with 503",
    "WARNING refused 503 keys_unavailable",
    "INFO    keys of https://login.example.com can be fetched again, after",
    "INFO    keys of https://login.example.com changed: added 'key-3'",
]


@pytest.mark.slow
def test_ten_minutes_of_a_noisy_day_are_a_page() -> None:
    """Three hundred requests, a rotation, an attack, an outage: always the same lines."""
    lines = story.tell(story.Day())

    assert lines == story.tell(story.Day())
    assert len(lines) == len(TOLD)
    assert [told in line for told, line in zip(TOLD, lines, strict=True)] == [True] * len(TOLD)
