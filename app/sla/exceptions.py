"""Errors of the sla room."""

from __future__ import annotations

from app.exceptions import ConflictError, InvalidError, NotFoundError, UnprocessableError


class CalendarNotFoundError(NotFoundError):
    """There is no such calendar."""

    code = "calendar_not_found"
    title = "Calendar not found"


class PolicyNotFoundError(NotFoundError):
    """There is no such policy."""

    code = "policy_not_found"
    title = "Policy not found"


class InvalidCalendarError(InvalidError):
    """The calendar fits its schema and makes no sense; `errors` names the field."""

    code = "invalid_calendar"
    title = "Invalid calendar"


class InvalidPolicyError(InvalidError):
    """The policy fits its schema and makes no sense; `errors` names the field."""

    code = "invalid_policy"
    title = "Invalid policy"


class CalendarExistsError(ConflictError):
    """Another calendar has this name."""

    code = "calendar_exists"
    title = "Calendar exists"


class PolicyExistsError(ConflictError):
    """Another policy has this name."""

    code = "policy_exists"
    title = "Policy exists"


class CalendarInUseError(ConflictError):
    """Policies or running clocks use the calendar; `policies` and `clocks` say how many."""

    code = "calendar_in_use"
    title = "Calendar in use"


class TooManyError(ConflictError):
    """There are as many calendars or policies as there may be."""

    code = "sla_limit_reached"
    title = "Limit reached"


class UnknownCalendarError(UnprocessableError):
    """The calendar that a policy names does not exist."""

    code = "unknown_calendar"
    title = "Unknown calendar"


class UnreachableTargetError(UnprocessableError):
    """So much business time does not pass in the years that are looked ahead."""

    code = "unreachable_target"
    title = "Unreachable target"


class OutOfRangeError(UnprocessableError):
    """The moment lies outside the years that clocks count with."""

    code = "moment_out_of_range"
    title = "Moment out of range"
