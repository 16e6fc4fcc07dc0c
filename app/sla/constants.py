"""Names and limits of the sla room."""

from __future__ import annotations

from enum import StrEnum

NAME_MAX = 200  # characters
CODE_MAX = 40  # characters of a country or subdivision
HOURS_MAX = 100  # intervals a week
DAY_HOURS_MAX = 24  # intervals of one date
HOLIDAY_CALENDARS_MAX = 10
OVERRIDES_MAX = 500  # dates with hours of their own
CALENDARS_MAX = 200
POLICIES_MAX = 200
POSITION_MAX = 1_000_000
CONDITIONS_MAX = 20
VALUES_MAX = 100
TARGETS_MAX = 60
WARNINGS_MAX = 10
TAGS_MAX = 200
TARGET_MAX = 400 * 86_400  # business seconds

LEAST_A_WEEK = 3_600  # seconds: a calendar with no open hour is refused
LOOK_AHEAD_DAYS = 370  # a calendar must be open some time in these
REACH_YEARS = 10  # a policy's targets must be reached within

FIRST_YEAR, LAST_YEAR = 1970, 2199  # moments that are counted with
HOLIDAYS_FROM, HOLIDAYS_TO = 1990, 2100  # years that can be listed
PREVIEW_INTERVALS = 500

INLINE_SUBJECTS = 20  # recalculated in the transaction of the change; more of them by a job
REAPPLY_JOB = "sla.reapply"
SWEEP_BATCH = 100  # clocks a transaction
SWEEP_SECONDS = 5  # between two sweeps
CONFIGURATION_LOCK = 0x7472_6964_736C_6121  # shared by whoever moves clocks, exclusive for a change of rules


class Weekday(StrEnum):
    """Days in the order of ``date.weekday()``."""

    monday = "monday"
    tuesday = "tuesday"
    wednesday = "wednesday"
    thursday = "thursday"
    friday = "friday"
    saturday = "saturday"
    sunday = "sunday"


class ClockKind(StrEnum):
    """What a clock waits for. ``evidence`` has a fixed deadline; the others count business time."""

    first_response = "first_response"
    next_reply = "next_reply"
    resolution = "resolution"
    evidence = "evidence"


class TargetKind(StrEnum):
    """Kinds that a policy sets a target for."""

    first_response = "first_response"
    next_reply = "next_reply"
    resolution = "resolution"


UNANSWERED = frozenset({ClockKind.first_response, ClockKind.next_reply})


class ClockState(StrEnum):
    """``met`` also when it was late: that is ``breached_at``'s to say."""

    running = "running"
    paused = "paused"
    met = "met"
    canceled = "canceled"


class Field(StrEnum):
    """What of a subject a condition looks at."""

    desk = "desk"
    priority = "priority"
    severity = "severity"
    plan = "plan"
    account_id = "account_id"
    tags = "tags"


class Operator(StrEnum):
    """How a condition compares; a subject without the attribute has none of the values."""

    any_of = "any_of"
    none_of = "none_of"
    all_of = "all_of"


class SlaEvent(StrEnum):
    """Types of the events that are about a desk's subject."""

    started = "sla.started"
    paused = "sla.paused"
    resumed = "sla.resumed"
    retargeted = "sla.retargeted"
    met = "sla.met"
    canceled = "sla.canceled"
    moved = "sla.moved"
    restored = "sla.restored"
    reopened = "sla.reopened"
    warning = "sla.warning"
    breached = "sla.breached"
