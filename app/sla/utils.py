"""Pure rules: calendars and policies of the API, checked, and made into what the engine counts with."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from app.exceptions import InvalidError
from app.identity.utils import clean_text
from app.sla.constants import (
    FIRST_YEAR,
    LAST_YEAR,
    LEAST_A_WEEK,
    LOOK_AHEAD_DAYS,
    NAME_MAX,
    REACH_YEARS,
    Field,
    Operator,
    TargetKind,
    Weekday,
)
from app.sla.engine import (
    Calendar,
    add,
    business_seconds,
    day_hours,
    supported_countries,
    supported_subdivisions,
    weekly,
)
from app.sla.exceptions import InvalidCalendarError, InvalidPolicyError, UnreachableTargetError
from app.sla.schemas import (
    Attributes,
    CalendarRules,
    Condition,
    DayHours,
    DayOverride,
    HolidayCalendar,
    Target,
    WeeklyHours,
)

WEEKDAYS = list(Weekday)
NOT_PLACES = {"localtime", "Factory", "posixrules"}  # files beside the zones
FieldError = dict[str, str]


def seconds_of_day(time: str) -> int:
    """``HH:MM`` or ``HH:MM:SS``."""
    hours, minutes, *rest = map(int, time.split(":"))
    return hours * 3600 + minutes * 60 + sum(rest)


def as_calendar(rules: CalendarRules) -> Calendar:
    """What the engine counts with; the rules were checked."""
    return Calendar(
        zone=rules.zone,
        week=weekly(
            (WEEKDAYS.index(each.weekday), seconds_of_day(each.opens), seconds_of_day(each.closes))
            for each in rules.hours
        ),
        holidays=tuple(dict.fromkeys((each.country, each.subdivision) for each in rules.holidays)),
        overrides=tuple(
            (each.date, day_hours((seconds_of_day(h.opens), seconds_of_day(h.closes)) for h in each.hours))
            for each in sorted(rules.overrides, key=lambda each: each.date)
        ),
    )


def check_rules(rules: CalendarRules, *, now: datetime) -> Calendar:
    """The calendar; ``InvalidCalendarError`` with all that is wrong, field by field."""
    errors = [
        *_zone_errors(rules.zone),
        *_hours_errors(rules.hours),
        *_holiday_errors(rules.holidays),
        *_override_errors(rules.overrides),
    ]
    if not errors:
        calendar = as_calendar(rules)
        errors = list(_openness_errors(calendar, now))
        if not errors:
            return calendar
    raise InvalidCalendarError(_said(errors), errors=errors)


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    """Names of the IANA database."""
    return frozenset(zoneinfo.available_timezones() - NOT_PLACES)


def _zone_errors(zone: str) -> Iterator[FieldError]:
    if zone not in known_zones():
        yield _error("zone", f"{zone!r} is not a time zone of the IANA database")


def _hours_errors(hours: Sequence[WeeklyHours]) -> Iterator[FieldError]:
    for index, each in enumerate(hours):
        if seconds_of_day(each.opens) == seconds_of_day(each.closes):
            yield _error(f"hours[{index}].closes", "Same as `opens`; a whole day is 00:00 to 24:00")


def _holiday_errors(holidays: Sequence[HolidayCalendar]) -> Iterator[FieldError]:
    for index, each in enumerate(holidays):
        if each.country not in supported_countries():
            yield _error(f"holidays[{index}].country", f"No holidays are known of {each.country!r}")
        elif each.subdivision is not None:
            known = supported_subdivisions(each.country)
            if each.subdivision not in known:
                message = f"{each.country} has no holidays of {each.subdivision!r}"
                yield _error(f"holidays[{index}].subdivision", message)


def _override_errors(overrides: Sequence[DayOverride]) -> Iterator[FieldError]:
    seen = set()
    for index, each in enumerate(overrides):
        field = f"overrides[{index}]"
        if each.date in seen:
            yield _error(f"{field}.date", f"{each.date} occurs twice")
        seen.add(each.date)
        if not FIRST_YEAR <= each.date.year <= LAST_YEAR:
            yield _error(f"{field}.date", f"Not between {FIRST_YEAR} and {LAST_YEAR}")
        yield from _day_errors(each.hours, field)
        if each.label is not None:
            yield from _text_errors(each.label, f"{field}.label")


def _day_errors(hours: Sequence[DayHours], field: str) -> Iterator[FieldError]:
    for number, each in enumerate(hours):
        if seconds_of_day(each.closes) <= seconds_of_day(each.opens):
            message = "Not after `opens`; what lies after midnight belongs to the next date"
            yield _error(f"{field}.hours[{number}].closes", message)


def _text_errors(text: str, field: str) -> Iterator[FieldError]:
    try:
        clean_text(text, field=field, maximum=NAME_MAX)
    except InvalidError as error:
        yield from error.extra["errors"]


def _openness_errors(calendar: Calendar, now: datetime) -> Iterator[FieldError]:
    if calendar.weekly_seconds < LEAST_A_WEEK:
        yield _error("hours", "Less than an hour a week")
    elif not business_seconds(calendar, now, now + timedelta(days=LOOK_AHEAD_DAYS)):
        yield _error("overrides", f"The calendar is not open at all in the next {LOOK_AHEAD_DAYS} days")


def check_policy(
    *, conditions: Sequence[Condition], targets: Sequence[Target], warn_at_percent: Sequence[int]
) -> None:
    """``InvalidPolicyError`` with all that contradicts itself, field by field."""
    errors = [
        _error(f"conditions[{index}].operator", "`all_of` is for tags: the others have one value at most")
        for index, each in enumerate(conditions)
        if each.operator is Operator.all_of and each.field is not Field.tags
    ]
    seen: set[tuple[TargetKind, str | None]] = set()
    for index, target in enumerate(targets):
        if (target.kind, target.priority) in seen:
            errors.append(_error(f"targets[{index}]", "A second target for this kind and priority"))
        seen.add((target.kind, target.priority))
    if len(set(warn_at_percent)) < len(warn_at_percent):
        errors.append(_error("warn_at_percent", "A percentage occurs twice"))
    if errors:
        raise InvalidPolicyError(_said(errors), errors=errors)


def check_reachable(calendar: Calendar, targets: Sequence[Target], *, now: datetime) -> None:
    """``UnreachableTargetError`` when a target takes more than ``REACH_YEARS`` of the calendar."""
    longest = max((each.seconds for each in targets), default=0)
    if add(calendar, now, longest) > now + timedelta(days=366 * REACH_YEARS):
        raise UnreachableTargetError(
            f"{longest} business seconds take more than {REACH_YEARS} years of this calendar."
        )


def matches(conditions: Sequence[Condition], attributes: Attributes) -> bool:
    """Whether all conditions hold; none hold for everything."""
    return all(_holds(each, _values(attributes, each.field)) for each in conditions)


def _values(attributes: Attributes, field: Field) -> set[str]:
    value = getattr(attributes, field.value)
    if value is None:
        return set()
    return set(value) if isinstance(value, tuple) else {str(value)}


def _holds(condition: Condition, values: set[str]) -> bool:
    wanted = set(condition.values)
    match condition.operator:
        case Operator.any_of:
            return bool(wanted & values)
        case Operator.none_of:
            return not wanted & values
        case Operator.all_of:
            return wanted <= values


def targets_for(targets: Sequence[Target], priority: str | None) -> Mapping[TargetKind, int]:
    """Kind to business seconds; a target for the priority goes before one for all."""
    chosen = {each.kind: each.seconds for each in targets if each.priority is None}
    if priority is not None:
        chosen |= {each.kind: each.seconds for each in targets if each.priority == priority}
    return chosen


def stored(value: Any) -> Any:
    """A Struct, or a list of them, as JSON columns take it."""
    return msgspec.to_builtins(value)


def _error(field: str, message: str) -> FieldError:
    return {"field": field, "message": message}


def _said(errors: Sequence[FieldError]) -> str:
    return "; ".join(f"{each['field']}: {each['message']}" for each in errors[:5])
