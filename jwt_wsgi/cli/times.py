"""Times and durations for people."""

from datetime import UTC
from datetime import datetime
from typing import Any

from jwt_wsgi.claims import MAX_DATE


def duration(seconds: float) -> str:
    """For people: the two largest units."""
    left, parts = round(abs(seconds)), []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or "0 s"


def moment(name: str, value: Any, now: float) -> str:
    """A NumericDate for people: how long ago or ahead, and when that is."""
    if not isinstance(value, int | float):
        return f"{name} is not a date"
    if not abs(value) <= MAX_DATE:
        return f"{name} is not a date; are these milliseconds?"
    distance = f"{duration(now - value)} ago" if value <= now else f"in {duration(value - now)}"
    try:
        when = utc(value)
    except (OverflowError, ValueError):
        when = "before the year 1"
    return f"{name} is {distance} ({when})"


def utc(seconds: float) -> str:
    """ISO 8601. Raises ValueError or OverflowError outside of the years 1 to 9999."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
