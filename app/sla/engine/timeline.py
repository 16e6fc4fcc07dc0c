"""A calendar laid out in UTC, a year at a time, and kept."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

from app.sla.constants import FIRST_YEAR, LAST_YEAR
from app.sla.engine.calendar import DAY, Calendar, Hours
from app.sla.engine.public_holidays import public_holidays
from app.sla.exceptions import OutOfRangeError, UnreachableTargetError

EPOCH_DAY = date(1970, 1, 1).toordinal()
# Offsets are looked at this far apart. No two changes of a zone since 1970 are nearer than 6.9 days, so two
# that undo each other cannot hide between two looks.
PROBE = DAY
KEPT_CALENDARS = 256
Seconds = tuple[int, int]


def year_start(year: int) -> int:
    """Its first second."""
    return (date(year, 1, 1).toordinal() - EPOCH_DAY) * DAY


class Year:
    """The open seconds of one UTC year: disjoint intervals, and how many seconds came before each."""

    def __init__(self, spans: list[Seconds]) -> None:
        self.starts = [start for start, _ in spans]
        self.ends = [end for _, end in spans]
        self.before = [0, *accumulate(end - start for start, end in spans)]
        self.total = self.before.pop()

    def until(self, moment: int) -> int:
        """Open seconds of the year before the moment."""
        index = bisect_right(self.starts, moment) - 1
        if index < 0:
            return 0
        return self.before[index] + min(moment, self.ends[index]) - self.starts[index]

    def after(self, seconds: int) -> int:
        """The earliest moment with so many open seconds of the year before it; 0 < seconds <= total."""
        index = bisect_left(self.before, seconds) - 1
        return self.starts[index] + seconds - self.before[index]


class Timeline:
    """One calendar's years, made when first asked for: about a millisecond each, then a binary search."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._zone = ZoneInfo(calendar.zone)
        self._overrides = dict(calendar.overrides)
        self._years: dict[int, Year] = {}

    def between(self, start: int, end: int) -> int:
        """Open seconds in [start, end); 0 when the end is not after the start."""
        if end <= start:
            return 0
        first, last = _year_of(start), _year_of(end)
        if first == last:
            year = self._year(first)
            return year.until(end) - year.until(start)
        whole = sum(self._year(number).total for number in range(first, last))
        return whole - self._year(first).until(start) + self._year(last).until(end)

    def add(self, start: int, seconds: int) -> int:
        """The earliest moment by which so many open seconds have passed since the start.

        ``UnreachableTargetError`` when they do not pass before the end of ``LAST_YEAR``.
        """
        first = _year_of(start)
        if seconds <= 0:
            return start
        wanted = seconds + self._year(first).until(start)
        for number in range(first, LAST_YEAR + 1):
            year = self._year(number)
            if wanted <= year.total:
                return year.after(wanted)
            wanted -= year.total
        raise UnreachableTargetError("So much business time does not pass in this calendar.")

    def open_times(self, start: int, end: int) -> Iterator[Seconds]:
        """The open intervals in [start, end), in order, each as long as it is."""
        held: Seconds | None = None
        for number in range(_year_of(start), _year_of(end) + 1):
            year = self._year(number)
            for index in range(bisect_right(year.ends, start), bisect_left(year.starts, end)):
                span = (max(year.starts[index], start), min(year.ends[index], end))
                if held is not None and held[1] == span[0]:
                    span = (held[0], span[1])  # over the turn of the year
                elif held is not None:
                    yield held
                held = span
        if held is not None:
            yield held

    def _year(self, number: int) -> Year:
        year = self._years.get(number)
        if year is None:
            year = self._years[number] = Year(self._lay_out(year_start(number), year_start(number + 1)))
        return year

    def _lay_out(self, start: int, end: int) -> list[Seconds]:
        """Open times of [start, end): the local ones, moved by each offset while it is in force."""
        local = self._local_times(start - 2 * DAY, end + 2 * DAY)
        ends = [until for _, until in local]
        spans: list[Seconds] = []
        for since, until, offset in _offsets(self._zone, start, end):
            for opens, closes in local[bisect_right(ends, since + offset) :]:
                if opens - offset >= until:
                    break
                span = (max(opens - offset, since), min(closes - offset, until))
                if spans and spans[-1][1] == span[0]:
                    span = (spans.pop()[0], span[1])
                spans.append(span)
        return spans

    def _local_times(self, start: int, end: int) -> list[Seconds]:
        """Open times on the wall clock, as seconds that count as if the zone were UTC."""
        merged: list[Seconds] = []
        for day in range(start // DAY, end // DAY + 1):
            for opens, closes in self._hours(date.fromordinal(EPOCH_DAY + day)):
                opened = day * DAY + opens
                if merged and merged[-1][1] == opened:
                    opened = merged.pop()[0]
                merged.append((opened, day * DAY + closes))
        return merged

    def _hours(self, day: date) -> Hours:
        overridden = self._overrides.get(day)
        if overridden is not None:
            return overridden
        if any(day in public_holidays(*each, day.year) for each in self.calendar.holidays):
            return ()
        return self.calendar.week[day.weekday()]


@lru_cache(maxsize=KEPT_CALENDARS)
def timeline(calendar: Calendar) -> Timeline:
    """The calendar laid out; equal calendars share one."""
    return Timeline(calendar)


def _year_of(moment: int) -> int:
    if not year_start(FIRST_YEAR) <= moment < year_start(LAST_YEAR + 1):
        raise OutOfRangeError(f"Clocks count from {FIRST_YEAR} to {LAST_YEAR}.")
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)).year


def _offsets(zone: ZoneInfo, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(since, until, offset in seconds) over [start, end), without gaps."""
    since, offset = start, _offset(zone, start)
    for probe in [*range(start + PROBE, end, PROBE), end]:
        if (other := _offset(zone, probe)) != offset:
            change = _change(zone, probe - PROBE, probe)
            if change < end:
                yield since, change, offset
                since, offset = change, other
    yield since, end, offset


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The first second of the new offset; the old one is in force at ``low``, the new one at ``high``."""
    old = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == old:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: ZoneInfo, moment: int) -> int:
    local = datetime.fromtimestamp(moment, zone)
    return int((local.utcoffset() or timedelta(0)).total_seconds())
