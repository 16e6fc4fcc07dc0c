"""Business time between moments, as ``datetime``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from app.sla.engine.calendar import Calendar
from app.sla.engine.timeline import timeline

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def to_second(moment: datetime) -> int:
    """Seconds since 1970, the fraction cut off downwards; ``ValueError`` for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return (moment - EPOCH) // SECOND


def from_second(second: int) -> datetime:
    """The moment, in UTC."""
    return EPOCH + timedelta(seconds=second)


def business_seconds(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Open seconds in [start, end); 0 when the end is not after the start.

    ``OutOfRangeError`` outside the years that are counted with.
    """
    return timeline(calendar).between(to_second(start), to_second(end))


def add(calendar: Calendar, start: datetime, seconds: int) -> datetime:
    """The deadline, in UTC: the earliest moment by which so many open seconds have passed.

    ``UnreachableTargetError`` when they never do, ``OutOfRangeError`` for a start too far away.
    """
    return from_second(timeline(calendar).add(to_second(start), seconds))


def intervals(
    calendar: Calendar, start: datetime, end: datetime, *, limit: int
) -> list[tuple[datetime, datetime]]:
    """The first ``limit`` open intervals in [start, end), in UTC."""
    found = timeline(calendar).open_times(to_second(start), to_second(end))
    return [(from_second(opens), from_second(closes)) for opens, closes in islice(found, limit)]
