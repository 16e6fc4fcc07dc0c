"""A clock that looks at every second, to compare the engine with; it shares no code with it.

It asks the zone what a watch on the wall shows, paints each local day second by second as the calendar's text
says, and counts the seconds that are open while the clock runs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

import holidays
import numpy as np
from numpy.typing import NDArray

from app.sla.constants import LEAST_A_WEEK
from app.sla.engine import CalendarRef, Clock, Timeline
from app.sla.schemas import CalendarRules, DayHours, DayOverride, HolidayCalendar, WeeklyHours
from app.sla.utils import WEEKDAYS, as_calendar

DAY = 86_400
PROBE = 300  # no zone has changed twice in five minutes
WINDOW = 4 * DAY
# Both changes of the clock, half and three quarters of an hour, two hours, at midnight, a date left out.
ZONES = {
    "Europe/Berlin": (1995, 2037),
    "America/New_York": (1995, 2037),
    "America/St_Johns": (1990, 2037),
    "Australia/Lord_Howe": (1990, 2037),
    "Pacific/Chatham": (1990, 2037),
    "Pacific/Apia": (2010, 2012),
    "Pacific/Kwajalein": (1993, 1993),
    "Asia/Kathmandu": (1985, 1986),
    "Antarctica/Troll": (2006, 2030),
    "Africa/Casablanca": (2012, 2030),
    "America/Sao_Paulo": (2000, 2018),
    "Asia/Beirut": (2000, 2030),
    "Asia/Tehran": (2010, 2022),
    "Africa/Cairo": (2010, 2027),
    "Asia/Pyongyang": (2015, 2018),
    "UTC": (2020, 2021),
}
PLACES = (("DE", "BE"), ("US", "NY"), ("NP", None), ("BR", "SP"), ("MA", None), ("AU", "NSW"), ("WS", None))
Mask = NDArray[np.bool_]


def offset(zone: ZoneInfo, moment: int) -> int:
    shown = datetime.fromtimestamp(moment, zone)
    return int((shown.replace(tzinfo=UTC) - datetime.fromtimestamp(moment, UTC)).total_seconds())


@cache
def changes(name: str) -> tuple[int, ...]:
    """Days before which the zone's clock was changed."""
    zone, (first, last) = ZoneInfo(name), ZONES[name]
    start = int(datetime(first, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(last + 1, 1, 1, tzinfo=UTC).timestamp())
    days = range(start, end, DAY)
    return tuple(day for day in days if offset(zone, day) != offset(zone, day - DAY)) or (start,)


def wall(name: str, start: int, end: int) -> NDArray[np.int64]:
    """What the wall clock shows at each second, as seconds since 1970."""
    zone = ZoneInfo(name)
    shown = np.arange(start, end, dtype=np.int64)
    for since in range(start, end, PROBE):
        until = min(since + PROBE, end)
        here = offset(zone, since)
        shown[since - start : until - start] += here
        if offset(zone, until - 1) != here:
            for second in range(since, until):
                shown[second - start] = second + offset(zone, second)
    return shown


def seconds(text: str) -> int:
    return sum(int(part) * unit for part, unit in zip(text.split(":"), (3600, 60, 1), strict=False))


def painted(rules: CalendarRules, day: date) -> Mask:
    """Each second of a local day: open or not."""
    mask = np.zeros(DAY, dtype=bool)
    for override in rules.overrides:
        if override.date == day:
            for each in override.hours:
                mask[seconds(each.opens) : seconds(each.closes)] = True
            return mask
    for place in rules.holidays:
        if day in holidays.country_holidays(place.country, subdiv=place.subdivision, years=[day.year]):
            return mask
    yesterday = (day - timedelta(days=1)).strftime("%A").lower()
    for hours in rules.hours:
        opens, closes = seconds(hours.opens), seconds(hours.closes)
        if hours.weekday == day.strftime("%A").lower():
            mask[opens : closes if closes > opens else DAY] = True
        if hours.weekday == yesterday and closes < opens:
            mask[:closes] = True
    return mask


def open_mask(rules: CalendarRules, start: int, end: int) -> Mask:
    """Each second of [start, end): open or not."""
    shown = wall(rules.zone, start, end)
    days, within = shown // DAY, shown % DAY
    mask = np.zeros(end - start, dtype=bool)
    for day in range(int(days.min()), int(days.max()) + 1):
        here = days == day
        mask[here] = painted(rules, date(1970, 1, 1) + timedelta(days=day))[within[here]]
    return mask


def some_time(chance: random.Random) -> str:
    hour, minute = chance.randrange(24), chance.choice((0, 0, 15, 30, 59, chance.randrange(60)))
    return f"{hour:02}:{minute:02}" + chance.choice(("", "", f":{chance.randrange(60):02}"))


def some_hours(chance: random.Random) -> tuple[str, str]:
    while True:
        opens, closes = some_time(chance), chance.choice((some_time(chance), some_time(chance), "24:00"))
        if seconds(opens) != seconds(closes):
            return opens, closes


def some_rules(chance: random.Random, zone: str, around: int) -> CalendarRules:
    """A calendar that would be accepted: open for an hour a week."""
    while True:
        rules = any_rules(chance, zone, around)
        if as_calendar(rules).weekly_seconds >= LEAST_A_WEEK:
            return rules


def any_rules(chance: random.Random, zone: str, around: int) -> CalendarRules:
    """A calendar of up to 15 intervals a week or around the clock, with dates of its own near ``around``."""
    if chance.random() < 0.1:
        hours = [WeeklyHours(weekday=day, opens="00:00", closes="24:00") for day in WEEKDAYS]
    else:
        hours = [
            WeeklyHours(weekday=chance.choice(WEEKDAYS), opens=opens, closes=closes)
            for opens, closes in (some_hours(chance) for _ in range(chance.randrange(1, 16)))
        ]
    first = date(1970, 1, 1) + timedelta(days=around // DAY)
    overrides = []
    for shift in chance.sample(range(-1, 6), chance.choice((0, 0, 1, 2))):
        pairs = [sorted(some_hours(chance), key=seconds) for _ in range(chance.randrange(3))]
        given = [DayHours(opens=opens, closes=closes) for opens, closes in pairs]
        overrides.append(DayOverride(date=first + timedelta(days=shift), hours=given))
    places = chance.sample(PLACES, chance.choice((0, 0, 1, 2)))
    return CalendarRules(
        zone=zone,
        hours=hours,
        holidays=[HolidayCalendar(country=country, subdivision=part) for country, part in places],
        overrides=overrides,
    )


@dataclass
class Watch:
    """A running clock of both kinds, side by side."""

    start: int
    rules: list[CalendarRules]
    target: int
    masks: list[Mask] = field(init=False)
    timelines: dict[CalendarRef, Timeline] = field(init=False)

    def __post_init__(self) -> None:
        self.masks = [open_mask(each, self.start, self.start + WINDOW) for each in self.rules]
        self.refs = [CalendarRef(UUID(int=number), 1) for number in range(len(self.rules))]
        self.timelines = {
            ref: Timeline(as_calendar(each)) for ref, each in zip(self.refs, self.rules, strict=True)
        }
        self.clock = Clock.start(self.start, target=self.target, calendar=self.refs[0])
        self.current, self.running, self.at = 0, True, self.start
        self.counted = np.zeros(WINDOW, dtype=bool)  # seconds that were counted up to ``at``

    def step_to(self, moment: int) -> None:
        """Live through every second until then."""
        if self.running:
            here = slice(self.at - self.start, moment - self.start)
            self.counted[here] = self.masks[self.current][here]
        self.at = moment

    def deadline(self) -> int | None:
        """The first moment at which enough has been counted, or will have been; None: not in the window."""
        ahead = self.counted.copy()
        if self.running:
            here = slice(self.at - self.start, None)
            ahead[here] = self.masks[self.current][here]
        enough = int(np.searchsorted(np.cumsum(ahead), self.target))
        return None if enough == WINDOW else self.start + enough + 1

    def assert_same(self) -> None:
        spent = int(self.counted.sum())
        assert self.clock.consumed(self.at, self.timelines) == spent
        expected, found = self.deadline(), self.clock.deadline(self.timelines)
        if expected is not None:
            assert found == expected
        elif self.running:
            assert found is not None
            assert found > self.start + WINDOW - 1
        else:
            assert found is None

    def act(self, chance: random.Random) -> None:
        """One thing that happens to a clock, to both."""
        match chance.choice(("pause", "pause", "resume", "resume", "target", "calendar", "policy")):
            case "pause":
                self.clock, self.running = self.clock.pause(self.at), False
            case "resume":
                self.clock, self.running = self.clock.resume(self.at), True
            case "target":
                self._target(chance)
            case "calendar":
                self._calendar(chance)
            case _:
                self._target(chance)
                self._calendar(chance)

    def _target(self, chance: random.Random) -> None:
        self.target = some_target(chance)
        self.clock = self.clock.retarget(self.target)

    def _calendar(self, chance: random.Random) -> None:
        self.current = chance.randrange(len(self.rules))
        self.clock = self.clock.switch(self.refs[self.current], self.at)


def some_target(chance: random.Random) -> int:
    return chance.choice(
        (1, chance.randrange(1, 7200), chance.randrange(1, DAY), chance.randrange(1, 2 * DAY))
    )


def compare(chance: random.Random) -> None:
    """One random life of a clock: two calendars, up to eight changes, compared after each."""
    zones = chance.choices(list(ZONES), k=2)
    start = chance.choice(changes(zones[0])) - chance.randrange(WINDOW)
    rules = [some_rules(chance, zone, start) for zone in zones]
    watch = Watch(start=start, rules=rules, target=some_target(chance))
    watch.assert_same()
    for moment in sorted(start + chance.randrange(WINDOW) for _ in range(chance.randrange(9))):
        watch.step_to(moment)
        watch.assert_same()
        watch.act(chance)
        watch.assert_same()
    line, mask = watch.timelines[watch.refs[0]], watch.masks[0]
    first, last = sorted(chance.randrange(WINDOW) for _ in range(2))
    assert line.between(start + first, start + last) == int(mask[first:last].sum())
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.view(np.int8), [0]))))
    expected = [(start + int(a), start + int(b)) for a, b in edges.reshape(-1, 2)]
    assert list(line.open_times(start, start + WINDOW)) == expected
