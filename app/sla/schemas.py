"""What the routes of sla take and give, and what desks say of their subjects."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.identity.schemas import NAME_PATTERN
from app.sla.constants import (
    CODE_MAX,
    CONDITIONS_MAX,
    DAY_HOURS_MAX,
    HOLIDAY_CALENDARS_MAX,
    HOURS_MAX,
    NAME_MAX,
    OVERRIDES_MAX,
    POSITION_MAX,
    TAGS_MAX,
    TARGET_MAX,
    TARGETS_MAX,
    VALUES_MAX,
    WARNINGS_MAX,
    ClockKind,
    ClockState,
    Field,
    Operator,
    TargetKind,
    Weekday,
)

TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?"

Name = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["Office hours Berlin"])
]
Label = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["Christmas Eve"])
]
Opens = Annotated[
    str, Meta(pattern=rf"^{TIME}$", description="Local time, to the second.", examples=["09:00"])
]
Closes = Annotated[
    str,
    Meta(
        pattern=rf"^({TIME}|24:00(:00)?)$",
        description="Local time, the first that is closed again; `24:00` is the end of the day.",
        examples=["17:00"],
    ),
]
Value = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=r"^[^\x00]+$", examples=["urgent"])]
Percent = Annotated[int, Meta(ge=1, le=99, examples=[75])]
Zone = Annotated[
    str,
    Meta(min_length=1, max_length=64, description="Name in the IANA database.", examples=["Europe/Berlin"]),
]
Country = Annotated[str, Meta(min_length=2, max_length=3, description="ISO 3166-1 code.", examples=["DE"])]
Subdivision = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=CODE_MAX,
        description="ISO 3166-2 code without the country.",
        examples=["BE"],
    ),
]
Position = Annotated[
    int,
    Meta(
        ge=0,
        le=POSITION_MAX,
        description="The lowest that fits wins; of equal ones the older.",
        examples=[10],
    ),
]
Tag = Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]


class WeeklyHours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open every week. A `closes` before `opens` is on the next day, and belongs to that one."""

    weekday: Weekday
    opens: Opens
    closes: Closes


class DayHours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open on one date."""

    opens: Opens
    closes: Closes


class HolidayCalendar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Public holidays of a country or of a part of it; closed by local date."""

    country: Country
    subdivision: Subdivision | None = None


class DayOverride(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A date with hours of its own, whatever the week and the holidays say; without any it is closed."""

    date: Annotated[dt.date, Meta(examples=["2026-12-24"])]
    hours: Annotated[list[DayHours], Meta(max_length=DAY_HOURS_MAX)] = []
    label: Label | None = None


WeekHours = Annotated[
    list[WeeklyHours],
    Meta(
        min_length=1,
        max_length=HOURS_MAX,
        description="Several a day may overlap: together they are the open times.",
    ),
]
HolidayCalendars = Annotated[list[HolidayCalendar], Meta(max_length=HOLIDAY_CALENDARS_MAX)]
Overrides = Annotated[list[DayOverride], Meta(max_length=OVERRIDES_MAX)]


class CalendarRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a calendar is open."""

    zone: Zone
    hours: WeekHours
    holidays: HolidayCalendars = []
    overrides: Overrides = []


class SlaCalendarCreate(CalendarRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new calendar."""

    name: Name


class SlaCalendarUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a calendar; what is left out stays, a list that is given replaces the old one."""

    name: Name | UnsetType = UNSET
    zone: Zone | UnsetType = UNSET
    hours: WeekHours | UnsetType = UNSET
    holidays: HolidayCalendars | UnsetType = UNSET
    overrides: Overrides | UnsetType = UNSET


class SlaCalendarView(Struct, frozen=True, kw_only=True):
    """A business calendar."""

    id: UUID
    name: Name
    zone: Zone
    hours: WeekHours
    holidays: HolidayCalendars
    overrides: Overrides
    version: int
    created_at: datetime
    updated_at: datetime


class HolidayView(Struct, frozen=True, kw_only=True):
    """A public holiday in a calendar."""

    date: dt.date
    name: Annotated[str, Meta(examples=["Good Friday"])]
    country: Country
    subdivision: Subdivision | None
    overridden: Annotated[bool, Meta(description="The calendar has hours of its own for this date.")]


class HolidayList(Struct, frozen=True, kw_only=True):
    """The holidays of one year, by date."""

    year: int
    holidays: list[HolidayView]


class DeadlinePreviewCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So much business time, from when."""

    start: Annotated[datetime, Meta(tz=True, examples=["2026-11-20T15:00:00Z"])]
    seconds: Annotated[int, Meta(ge=0, le=TARGET_MAX, examples=[14400])]


class OpenInterval(Struct, frozen=True, kw_only=True):
    """A time in which the calendar is open."""

    start: datetime
    end: datetime


class DeadlinePreview(Struct, frozen=True, kw_only=True):
    """When so much business time has passed."""

    start: Annotated[datetime, Meta(description="To the second.")]
    seconds: int
    deadline: datetime
    intervals: Annotated[
        list[OpenInterval], Meta(description="The open times that it is made of, the first 500.")
    ]
    intervals_omitted: Annotated[bool, Meta(description="Whether there are more than these.")]


class Condition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`any_of`: the subject has one of the values at least; `none_of`: none; `all_of`: each (tags only)."""

    field: Field
    operator: Operator
    values: Annotated[list[Value], Meta(min_length=1, max_length=VALUES_MAX)]


class Target(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much business time a clock has; the one for the subject's priority goes before the one for all."""

    kind: TargetKind
    seconds: Annotated[int, Meta(ge=1, le=TARGET_MAX, examples=[14400])]
    priority: Value | None = None


Conditions = Annotated[
    list[Condition], Meta(max_length=CONDITIONS_MAX, description="All of them hold; none: every subject.")
]
Targets = Annotated[list[Target], Meta(min_length=1, max_length=TARGETS_MAX)]
Warnings = Annotated[
    list[Percent],
    Meta(
        max_length=WARNINGS_MAX, description="Warn when so much of a target is consumed.", examples=[[75, 90]]
    ),
]


class SlaPolicyCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new policy; without a `position` it comes last."""

    name: Annotated[
        str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["Enterprise"])
    ]
    calendar_id: UUID
    targets: Targets
    conditions: Conditions = []
    warn_at_percent: Warnings = []
    position: Position | None = None
    enabled: bool = True


class SlaPolicyUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a policy; what is left out stays, a list that is given replaces the old one."""

    name: Name | UnsetType = UNSET
    calendar_id: UUID | UnsetType = UNSET
    targets: Targets | UnsetType = UNSET
    conditions: Conditions | UnsetType = UNSET
    warn_at_percent: Warnings | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class SlaPolicyView(Struct, frozen=True, kw_only=True):
    """Targets for the subjects that its conditions fit; of several that fit the lowest position wins."""

    id: UUID
    name: Name
    position: int
    conditions: list[Condition]
    targets: list[Target]
    warn_at_percent: list[int]
    calendar_id: UUID
    enabled: bool
    version: int
    created_at: datetime
    updated_at: datetime


class Attributes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a desk says of a subject, for conditions to look at; None: it has no such thing."""

    desk: Value | None = None
    priority: Value | None = None
    severity: Value | None = None
    plan: Value | None = None
    account_id: UUID | None = None
    tags: Annotated[tuple[Tag, ...], Meta(max_length=TAGS_MAX)] = ()


class ClockView(Struct, frozen=True, kw_only=True):
    """A clock of a subject."""

    id: UUID
    kind: ClockKind
    cycle: Annotated[int, Meta(description="Counts from 1: each unanswered message has its own.")]
    state: ClockState
    policy_id: UUID | None
    target_seconds: Annotated[int | None, Meta(description="Business seconds; null: no target.")]
    consumed_seconds: Annotated[int, Meta(description="Business seconds until now.")]
    started_at: datetime
    due_at: Annotated[datetime | None, Meta(description="Null while paused, and without a target.")]
    breached_at: Annotated[datetime | None, Meta(description="The deadline that was missed.")]
    detected_at: Annotated[datetime | None, Meta(description="When the breach was noticed.")]
    ended_at: Annotated[datetime | None, Meta(description="When it was met or canceled.")]
