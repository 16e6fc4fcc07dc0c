"""Business time: what is counted, where deadlines fall, across every kind of change of the clock."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from time import perf_counter
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sla.engine import (
    Calendar,
    CalendarRef,
    Clock,
    Timeline,
    add,
    business_seconds,
    intervals,
    to_second,
    weekly,
)
from app.sla.engine.timeline import year_start
from app.sla.exceptions import OutOfRangeError, UnreachableTargetError
from tests.sla.brute import compare

HOUR = 3600
OFFICE = weekly((day, 9 * HOUR, 17 * HOUR) for day in range(5))
ALWAYS = weekly((day, 0, 24 * HOUR) for day in range(7))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def in_zone(zone: str, *parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=10_000, max_value=2**40))  # below are the seeds of the full run
def test_a_clock_lives_like_one_that_looks_at_every_second(seed: int):
    compare(random.Random(seed))


class TestDeadlines:
    office = Calendar(zone="UTC", week=OFFICE)

    def test_a_deadline_at_the_end_of_a_day_is_that_end(self):
        assert add(self.office, utc(2026, 11, 20, 16), HOUR) == utc(2026, 11, 20, 17)

    def test_one_second_more_is_the_next_working_day(self):
        assert add(self.office, utc(2026, 11, 20, 16), HOUR + 1) == utc(2026, 11, 23, 9, 0, 1)

    def test_no_time_at_all_is_over_at_once_though_it_is_closed(self):
        assert add(self.office, utc(2026, 11, 21, 3), 0) == utc(2026, 11, 21, 3)

    def test_fractions_of_a_second_are_cut_off(self):
        start = utc(2026, 11, 20, 10) + timedelta(microseconds=999_999)
        assert add(self.office, start, 60) == utc(2026, 11, 20, 10, 1)
        assert business_seconds(self.office, start, start + timedelta(microseconds=1)) == 1

    def test_a_backward_interval_is_empty(self):
        assert business_seconds(self.office, utc(2026, 11, 20, 16), utc(2026, 11, 20, 10)) == 0

    def test_a_moment_without_a_zone_is_refused(self):
        with pytest.raises(ValueError, match="zone"):
            to_second(datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused

    @pytest.mark.parametrize("moment", [utc(1969, 12, 31), utc(2200, 1, 1), utc(9999, 12, 31)])
    def test_years_beyond_the_range_are_refused(self, moment):
        with pytest.raises(OutOfRangeError):
            add(self.office, moment, 1)

    def test_time_that_never_comes_is_refused(self):
        never = Calendar(zone="UTC", week=((),) * 7, overrides=((date(2026, 11, 20), ((0, 60),)),))
        assert add(never, utc(2026, 11, 20), 60) == utc(2026, 11, 20, 0, 1)
        with pytest.raises(UnreachableTargetError):
            add(never, utc(2026, 11, 20), 61)

    @given(st.integers(0, 50 * 365 * 86_400), st.integers(0, 400 * 86_400), st.integers(1, 60 * 86_400))
    def test_times_add_up_and_a_deadline_is_the_earliest(self, since, further, seconds):
        calendar = Calendar(zone="America/New_York", week=OFFICE, holidays=(("US", None),))
        line = Timeline(calendar) if since % 50 == 0 else _line(calendar)
        middle, end = since + further // 2, since + further
        assert line.between(since, end) == line.between(since, middle) + line.between(middle, end)
        due = line.add(since, seconds)
        assert line.between(since, due) == seconds
        assert line.between(since, due - 1) == seconds - 1


def _line(calendar: Calendar) -> Timeline:
    from app.sla.engine import timeline

    return timeline(calendar)


class TestClockChanges:
    def test_the_hour_that_spring_skips_counts_nothing(self):
        night = Calendar(zone="Europe/Berlin", week=weekly((day, HOUR, 4 * HOUR) for day in range(7)))
        assert business_seconds(night, utc(2026, 3, 28, 12), utc(2026, 3, 29, 12)) == 2 * HOUR
        assert add(night, utc(2026, 3, 29), HOUR + 1) == in_zone("Europe/Berlin", 2026, 3, 29, 3, 0, 1)

    def test_the_hour_that_autumn_repeats_counts_twice(self):
        night = Calendar(zone="Europe/Berlin", week=weekly((day, HOUR, 4 * HOUR) for day in range(7)))
        assert business_seconds(night, utc(2026, 10, 24, 12), utc(2026, 10, 25, 12)) == 4 * HOUR
        between = intervals(
            Calendar(zone="Europe/Berlin", week=weekly([(6, 2 * HOUR, 2 * HOUR + 1800)])),
            utc(2026, 10, 25),
            utc(2026, 10, 26),
            limit=9,
        )
        assert between == [
            (utc(2026, 10, 25, 0), utc(2026, 10, 25, 0, 30)),
            (utc(2026, 10, 25, 1), utc(2026, 10, 25, 1, 30)),
        ]

    def test_half_an_hour_is_skipped_and_repeated_on_lord_howe(self):
        always = Calendar(zone="Australia/Lord_Howe", week=ALWAYS)
        zone = always.zone
        assert business_seconds(always, in_zone(zone, 2026, 4, 5), in_zone(zone, 2026, 4, 6)) == 24.5 * HOUR
        assert business_seconds(always, in_zone(zone, 2026, 10, 4), in_zone(zone, 2026, 10, 5)) == 23.5 * HOUR

    def test_a_date_that_samoa_left_out_has_no_office_hours(self):
        samoa = Calendar(zone="Pacific/Apia", week=OFFICE)
        thursday = in_zone("Pacific/Apia", 2011, 12, 29, 9)
        assert business_seconds(samoa, thursday, in_zone("Pacific/Apia", 2012, 1, 1)) == 8 * HOUR
        assert add(samoa, thursday, 8 * HOUR + 1) == in_zone("Pacific/Apia", 2012, 1, 2, 9, 0, 1)

    def test_two_changes_within_a_week_are_both_seen(self):
        """Fernando de Noronha had summer time from 8 to 15 October 2000: no two changes are nearer."""
        noon = Calendar(zone="America/Noronha", week=weekly((day, 12 * HOUR, 13 * HOUR) for day in range(7)))
        found = intervals(noon, utc(2000, 10, 5), utc(2000, 10, 20), limit=20)
        assert [start for start, _ in found] == [
            in_zone(noon.zone, 2000, 10, day, 12) for day in range(5, 20)
        ]
        assert len({start.hour for start, _ in found}) == 2

    def test_kathmandu_is_five_hours_and_three_quarters_ahead(self):
        nepal = Calendar(zone="Asia/Kathmandu", week=OFFICE)
        assert add(nepal, utc(2026, 11, 20), 1) == utc(2026, 11, 20, 3, 15, 1)


class TestDates:
    night = weekly([(4, 22 * HOUR, 6 * HOUR)])  # Friday night

    def test_a_night_shift_is_two_parts_of_which_each_belongs_to_its_date(self):
        shift = Calendar(zone="UTC", week=self.night)
        assert intervals(shift, utc(2026, 11, 16), utc(2026, 11, 23), limit=9) == [
            (utc(2026, 11, 20, 22), utc(2026, 11, 21, 6))
        ]
        closed = Calendar(zone="UTC", week=self.night, overrides=((date(2026, 11, 20), ()),))
        assert business_seconds(closed, utc(2026, 11, 20), utc(2026, 11, 22)) == 6 * HOUR

    def test_an_override_opens_a_holiday(self):
        rules = {"zone": "Europe/Berlin", "week": OFFICE, "holidays": (("DE", None),)}
        christmas = utc(2026, 12, 25), utc(2026, 12, 26)
        assert business_seconds(Calendar(**rules), *christmas) == 0
        open_ = Calendar(**rules, overrides=((date(2026, 12, 25), ((10 * HOUR, 12 * HOUR),)),))
        assert business_seconds(open_, *christmas) == 2 * HOUR

    def test_a_holiday_is_a_local_date(self):
        auckland = Calendar(zone="Pacific/Auckland", week=ALWAYS, holidays=(("NZ", None),))
        waitangi = in_zone(auckland.zone, 2026, 2, 6)
        assert business_seconds(auckland, waitangi - timedelta(seconds=1), waitangi + timedelta(days=1)) == 1

    def test_a_holiday_of_a_part_of_the_country_is_one_there_only(self):
        day = utc(2026, 1, 6), utc(2026, 1, 7)  # Epiphany
        for place, hours in (("BY", 0), ("BE", 8)):
            calendar = Calendar(zone="UTC", week=OFFICE, holidays=(("DE", place),))
            assert business_seconds(calendar, *day) == hours * HOUR

    def test_overlapping_intervals_count_once(self):
        twice = Calendar(zone="UTC", week=weekly([(0, 9 * HOUR, 12 * HOUR), (0, 11 * HOUR, 17 * HOUR)]))
        assert business_seconds(twice, utc(2026, 11, 23), utc(2026, 11, 24)) == 8 * HOUR

    def test_open_times_over_the_turn_of_the_year_are_one(self):
        found = intervals(Calendar(zone="UTC", week=ALWAYS), utc(2025, 12, 1), utc(2027, 1, 2), limit=9)
        assert found == [(utc(2025, 12, 1), utc(2027, 1, 2))]

    def test_every_year_is_laid_out_without_overlap(self):
        line = _line(Calendar(zone="America/New_York", week=OFFICE, holidays=(("US", "NY"),)))
        spans = list(line.open_times(year_start(2020), year_start(2040)))
        assert all(left[1] < right[0] for left, right in pairwise(spans))


class TestClock:
    ref, other = CalendarRef(UUID(int=1), 1), CalendarRef(UUID(int=2), 1)

    @pytest.mark.parametrize("end", [Clock.meet, Clock.cancel])
    def test_nothing_moves_a_clock_that_has_ended(self, end):
        ended = end(Clock.start(100, target=60, calendar=self.ref), 200)
        for same in (
            ended.pause(300),
            ended.resume(300),
            ended.meet(300),
            ended.cancel(300),
            ended.retarget(5),
            ended.switch(self.other, 300),
        ):
            assert same == ended

    def test_a_pause_of_no_length_and_a_calendar_that_never_counted_leave_no_trace(self):
        clock = Clock.start(100, target=60, calendar=self.ref)
        assert clock.pause(100).spans == ()
        switched = clock.switch(self.other, 100)
        assert [span.calendar for span in switched.spans] == [self.other]

    def test_a_pause_after_the_deadline_leaves_it_where_it_was(self):
        lines = {self.ref: _line(Calendar(zone="UTC", week=ALWAYS))}
        late = Clock.start(1000, target=60, calendar=self.ref).pause(2000)
        assert late.deadline(lines) == 1060
        assert late.resume(3000).deadline(lines) == 1060


def test_a_deadline_a_year_ahead_takes_milliseconds_when_new_and_microseconds_when_known():
    add(Calendar(zone="America/New_York", week=OFFICE, holidays=(("US", "NY"),)), utc(2026, 1, 1), 1)
    cold = []
    for minute in range(20):
        calendar = Calendar(
            zone="America/New_York",
            week=weekly((day, 9 * HOUR + minute * 60, 17 * HOUR) for day in range(5)),
            holidays=(("US", "NY"),),
        )
        line = Timeline(calendar)
        started = perf_counter()
        line.add(to_second(utc(2026, 2, 1)), 250 * 7 * HOUR)
        cold.append(perf_counter() - started)
    assert min(cold) < 0.010
    started = perf_counter()
    for second in range(1000):
        line.add(to_second(utc(2026, 2, 1)) + second, 250 * 7 * HOUR)
    assert (perf_counter() - started) / 1000 < 0.001
