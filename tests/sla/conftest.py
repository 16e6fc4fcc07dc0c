"""Calendars, policies and subjects of the sla room; each test begins without any."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app import sla
from app.database import Database
from app.events import Subject
from app.identity.principal import SYSTEM
from app.sla.models import SlaCalendar, SlaClock, SlaPolicy
from app.sla.schemas import CalendarRules, Target, WeeklyHours
from app.sla.service import calendars, policies

HOUR = 3600
WORKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
TABLES = ("sla_clock", "sla_subject", "sla_policy", "sla_calendar")


def office_rules(zone: str = "UTC", opens: str = "09:00", closes: str = "17:00") -> CalendarRules:
    hours = [WeeklyHours(weekday=day, opens=opens, closes=closes) for day in WORKDAYS]
    return CalendarRules(zone=zone, hours=hours)


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A moment of November 2026: the 20th is a Friday, the 23rd a Monday."""
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def no_clocks(request: pytest.FixtureRequest) -> None:
    if "database" in request.fixturenames or "as_role" in request.fixturenames:
        database: Database = request.getfixturevalue("database")
        async with database.session() as session:
            for table in TABLES:
                await session.execute(text(f"delete from {table}"))


@pytest.fixture
def subject() -> Subject:
    return Subject("ticket", uuid4())


@pytest.fixture
def make_calendar(database: Database) -> Callable[..., Awaitable[SlaCalendar]]:
    async def make(rules: CalendarRules | None = None) -> SlaCalendar:
        async with database.session() as session:
            return await calendars.create(
                session, name=f"calendar {uuid4()}", rules=rules or office_rules(), actor=SYSTEM
            )

    return make


@pytest.fixture
def make_policy(database: Database, make_calendar: Any) -> Callable[..., Awaitable[SlaPolicy]]:
    async def make(calendar_id: UUID | None = None, **given: Any) -> SlaPolicy:
        if calendar_id is None:
            calendar_id = (await make_calendar()).id
        targets = given.pop("targets", None) or [
            Target(kind="first_response", seconds=2 * HOUR),
            Target(kind="next_reply", seconds=4 * HOUR),
            Target(kind="resolution", seconds=16 * HOUR),
        ]
        async with database.session() as session:
            return await policies.create(
                session,
                name=f"policy {uuid4()}",
                calendar_id=calendar_id,
                targets=targets,
                actor=SYSTEM,
                **given,
            )

    return make


class Desk:
    """A desk with one subject: each call a transaction of its own."""

    def __init__(self, database: Database, subject: Subject) -> None:
        self.database, self.subject = database, subject

    async def do(self, action: Callable[..., Awaitable[Any]], *further: Any, **given: Any) -> Any:
        async with self.database.session() as session:
            return await action(session, self.subject, *further, **given)

    async def open(self, moment: datetime, **attributes: Any) -> None:
        await self.do(sla.apply, sla.Attributes(**attributes), at=moment)

    async def clock(self, kind: str, moment: datetime | None = None) -> sla.ClockView:
        """The newest of its kind."""
        views = await self.do(sla.clocks, at=moment or datetime.now(UTC))
        return max((each for each in views if each.kind == kind), key=lambda each: each.cycle)

    async def events(self, *types: str) -> list[Any]:
        async with self.database.session() as session:
            rows = await session.execute(
                text(
                    "select type, before, after, customer_visible from event where subject_type = :type"
                    " and subject_id = :id order by transaction, number"
                ),
                {"type": self.subject.type, "id": self.subject.id},
            )
            return [row for row in rows if not types or row.type in types]

    async def row(self, kind: str) -> SlaClock:
        async with self.database.session() as session:
            found = await session.execute(
                text("select id from sla_clock where subject_id = :id and kind = :kind order by cycle desc"),
                {"id": self.subject.id, "kind": kind},
            )
            return await session.get_one(SlaClock, found.scalars().first())


@pytest.fixture
def desk(database: Database, subject: Subject) -> Desk:
    return Desk(database, subject)


@pytest.fixture
def other_desk(database: Database) -> Desk:
    return Desk(database, Subject("ticket", uuid4()))
