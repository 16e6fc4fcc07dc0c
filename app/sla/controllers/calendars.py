"""Calendars, and what can be asked of them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.sla.constants import HOLIDAYS_FROM, HOLIDAYS_TO, PREVIEW_INTERVALS
from app.sla.engine import add, from_second, intervals, public_holidays, to_second
from app.sla.exceptions import (
    CalendarExistsError,
    CalendarInUseError,
    CalendarNotFoundError,
    InvalidCalendarError,
    OutOfRangeError,
    TooManyError,
    UnreachableTargetError,
)
from app.sla.models import SlaCalendar
from app.sla.schemas import (
    CalendarRules,
    DeadlinePreview,
    DeadlinePreviewCreate,
    HolidayList,
    HolidayView,
    OpenInterval,
    SlaCalendarCreate,
    SlaCalendarUpdate,
    SlaCalendarView,
)
from app.sla.service import calendars

LOCATION = {"Location": "Address of the calendar."}
OFFICE = {
    "name": "Office hours Berlin",
    "zone": "Europe/Berlin",
    "hours": [{"weekday": "monday", "opens": "09:00", "closes": "17:00"}],
    "holidays": [{"country": "DE", "subdivision": "BE"}],
}
Year = Annotated[
    int, QueryParameter(name="year", ge=HOLIDAYS_FROM, le=HOLIDAYS_TO, description="The year to list.")
]


class CalendarController(Controller):
    """Business calendars."""

    path = "/calendars"
    tags = ["sla"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_sla_calendar",
        guards=[require(Role.lead)],
        opt=documented(
            raises=[InvalidCalendarError, CalendarExistsError, TooManyError], headers=LOCATION, example=OFFICE
        ),
    )
    async def create_sla_calendar(
        self,
        data: JSONBody[SlaCalendarCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[SlaCalendarView]:
        """Make a calendar. Leads and admins.

        Open times are local: an hour that daylight saving skips counts nothing, one that comes twice counts
        twice. An interval whose `closes` is before its `opens` goes over midnight; the part after it belongs
        to the next date, and only that date's holidays close it. Intervals may overlap. A calendar must be
        open for an hour a week at least.
        """
        rules = CalendarRules(
            zone=data.zone, hours=data.hours, holidays=data.holidays, overrides=data.overrides
        )
        row = await calendars.create(session, name=data.name, rules=rules, actor=principal)
        return Response(_calendar(row), status_code=201, headers={"Location": f"/v1/sla/calendars/{row.id}"})

    @get(
        operation_id="list_sla_calendars",
        guards=[require(Role.agent)],
        opt=documented(listing=calendars.CALENDARS),
    )
    async def list_sla_calendars(
        self,
        *,
        session: NamedDependency[AsyncSession],
        sort: Sort = None,
        cursor: Cursor = None,
        limit: Limit = 20,
        total: Total = False,
    ) -> Page[SlaCalendarView]:
        """List calendars, newest first. Staff only."""
        found = await calendars.list_page(session, sort=sort, cursor=cursor, limit=limit, total=total)
        return found.page(_calendar)

    @get(
        "/{calendar_id:uuid}",
        operation_id="get_sla_calendar",
        guards=[require(Role.agent)],
        opt=documented(raises=[CalendarNotFoundError]),
    )
    async def get_sla_calendar(
        self, calendar_id: FromPath[UUID], session: NamedDependency[AsyncSession]
    ) -> SlaCalendarView:
        """Get a calendar. Staff only."""
        return _calendar(await calendars.get(session, calendar_id))

    @patch(
        "/{calendar_id:uuid}",
        operation_id="update_sla_calendar",
        guards=[require(Role.lead)],
        opt=documented(
            raises=[
                CalendarNotFoundError,
                InvalidCalendarError,
                CalendarExistsError,
                UnreachableTargetError,
            ],
            example={"zone": "Europe/Vienna"},
        ),
    )
    async def update_sla_calendar(
        self,
        *,
        calendar_id: FromPath[UUID],
        data: JSONBody[SlaCalendarUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> SlaCalendarView:
        """Change a calendar. Leads and admins.

        Running clocks keep what they have consumed under the old hours and get new deadlines.
        """
        row = await calendars.change(
            session, calendar_id, actor=principal, check=expected.check, **structs.asdict(data)
        )
        return _calendar(row)

    @delete(
        "/{calendar_id:uuid}",
        operation_id="delete_sla_calendar",
        guards=[require(Role.lead)],
        opt=documented(raises=[CalendarNotFoundError, CalendarInUseError]),
    )
    async def delete_sla_calendar(
        self,
        calendar_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Delete a calendar that neither a policy nor a running clock uses. Leads and admins."""
        await calendars.remove(session, calendar_id, actor=principal, check=expected.check)

    @post(
        "/{calendar_id:uuid}/preview",
        operation_id="preview_sla_deadline",
        guards=[require(Role.agent)],
        status_code=200,
        opt=documented(raises=[CalendarNotFoundError, UnreachableTargetError, OutOfRangeError]),
    )
    async def preview_sla_deadline(
        self,
        calendar_id: FromPath[UUID],
        data: JSONBody[DeadlinePreviewCreate],
        session: NamedDependency[AsyncSession],
    ) -> DeadlinePreview:
        """Work out when so much business time will have passed, and of which open times it is made.

        The deadline is the earliest such moment: at the end of a day 17:00, not the next morning's 09:00.
        """
        calendar = calendars.calendar_of(await calendars.get(session, calendar_id))
        deadline = add(calendar, data.start, data.seconds)
        found = intervals(calendar, data.start, deadline, limit=PREVIEW_INTERVALS + 1)
        return DeadlinePreview(
            start=from_second(to_second(data.start)),
            seconds=data.seconds,
            deadline=deadline,
            intervals=[OpenInterval(start=start, end=end) for start, end in found[:PREVIEW_INTERVALS]],
            intervals_omitted=len(found) > PREVIEW_INTERVALS,
        )

    @get(
        "/{calendar_id:uuid}/holidays",
        operation_id="list_sla_holidays",
        guards=[require(Role.agent)],
        opt=documented(raises=[CalendarNotFoundError]),
    )
    async def list_sla_holidays(
        self, calendar_id: FromPath[UUID], session: NamedDependency[AsyncSession], year: Year
    ) -> HolidayList:
        """List the public holidays on which a calendar is closed in a year. Staff only."""
        rules = calendars.rules_of(await calendars.get(session, calendar_id))
        overridden = {each.date for each in rules.overrides}
        found = [
            HolidayView(
                date=day,
                name=name,
                country=each.country,
                subdivision=each.subdivision,
                overridden=day in overridden,
            )
            for each in rules.holidays
            for day, name in public_holidays(each.country, each.subdivision, year).items()
        ]
        return HolidayList(year=year, holidays=sorted(found, key=lambda each: (each.date, each.country)))


def _calendar(row: SlaCalendar) -> SlaCalendarView:
    rules = calendars.rules_of(row)
    return SlaCalendarView(
        id=row.id,
        name=row.name,
        zone=rules.zone,
        hours=rules.hours,
        holidays=rules.holidays,
        overrides=rules.overrides,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
