"""Reads many lines from a terminal without showing them or passing any to the shell.

A terminal that edits lines itself (ICANON) cuts each at 4,095 characters, and the lines after the
first would be commands for the shell. So both that and the echo are switched off meanwhile.
"""

import getpass
import os
import select
import sys
from typing import Final

try:
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

_END: Final = b"\x04"  # Ctrl-D
_ERASE: Final = b"\x7f\x08"  # backspace
_PASTE_PAUSE: Final = 0.2  # seconds without input after which a paste is over


_PROMPT: Final = "token (not shown), then an empty line or Ctrl-D: "
_MOST: Final = 1_000_000  # characters; no server takes headers of that size


def read_token() -> str:
    """Read standard input; at a terminal without echo, so that a token is not on the screen."""
    if sys.stdin.isatty():
        return read_hidden(_PROMPT, _MOST)
    try:
        return sys.stdin.read(_MOST)
    except UnicodeDecodeError:
        return "\ufffd"


def read_hidden(prompt: str, limit: int) -> str:
    """Read to an empty line, Ctrl-D or ``limit`` bytes. The prompt goes to standard error.

    What was typed or pasted beyond the end is thrown away. Ctrl-C raises KeyboardInterrupt; the
    terminal is as before in any case.
    """
    if termios is None:
        return getpass.getpass(prompt)
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    quiet = termios.tcgetattr(terminal)
    quiet[3] &= ~(termios.ICANON | termios.ECHO)  # lflag
    quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(terminal, termios.TCSANOW, quiet)
        _show(prompt)
        data = _read(terminal, limit)
        while select.select([terminal], [], [], _PASTE_PAUSE)[0] and os.read(terminal, 65536):
            pass  # the rest of a paste
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)  # unread input is discarded
        _show("\n")
    return data.decode("utf-8", "replace")


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _read(terminal: int, limit: int) -> bytes:
    data = bytearray()
    while len(data) < limit:
        chunk = os.read(terminal, 65536)
        if not chunk:
            break
        for number in chunk.replace(b"\r", b"\n"):
            if number == _END[0]:
                return bytes(data)
            if number in _ERASE:
                del data[-1:]
                continue
            data.append(number)
            if data == b"\n" or data.endswith(b"\n\n"):
                return bytes(data)
    return bytes(data[:limit])
