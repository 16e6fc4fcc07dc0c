"""What a calendar is: a value, equal to every other of the same rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from msgspec import Struct

DAY = 86_400
Hours = tuple[tuple[int, int], ...]  # [start, end) in seconds of a local day, in order, disjoint


class Calendar(Struct, frozen=True, kw_only=True):
    """Open times by local date in one zone; see the package's text for what they mean.

    ``week``: seven ``Hours``, Monday first. ``holidays``: (country, subdivision) pairs. ``overrides``: (date,
    its hours) pairs; no hours: closed.
    """

    zone: str
    week: tuple[Hours, ...]
    holidays: tuple[tuple[str, str | None], ...] = ()
    overrides: tuple[tuple[date, Hours], ...] = ()

    @property
    def weekly_seconds(self) -> int:
        """Open seconds of a week without holidays, overrides and changes of the clock."""
        return sum(end - start for hours in self.week for start, end in hours)


def weekly(intervals: Iterable[tuple[int, int, int]]) -> tuple[Hours, ...]:
    """The week of (weekday, opens, closes) with Monday 0; ``closes <= opens`` goes over midnight."""
    days: list[list[tuple[int, int]]] = [[] for _ in range(7)]
    for weekday, opens, closes in intervals:
        if closes > opens:
            days[weekday].append((opens, closes))
        else:
            days[weekday].append((opens, DAY))
            days[(weekday + 1) % 7].append((0, closes))
    return tuple(day_hours(day) for day in days)


def day_hours(intervals: Iterable[tuple[int, int]]) -> Hours:
    """The same seconds in order, with what overlaps or touches made one; empty intervals vanish."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:
            merged.append((start, end))
    return tuple(merged)
