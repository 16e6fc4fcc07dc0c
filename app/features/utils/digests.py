"""When a digest goes out. Pure functions."""

from __future__ import annotations

from datetime import datetime, time, timedelta

HOUR = time(8)  # UTC
MONDAY = 0


def next_daily(at: datetime) -> datetime:
    """The next 08:00 of ``at``'s clock after it."""
    today = at.replace(hour=HOUR.hour, minute=0, second=0, microsecond=0)
    return today if at < today else today + timedelta(days=1)


def next_weekly(at: datetime) -> datetime:
    """The next Monday 08:00 of ``at``'s clock after it."""
    day = next_daily(at)
    return day + timedelta(days=(MONDAY - day.weekday()) % 7)
