"""Calendars: made, changed, deleted; and what follows for the clocks that count by them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity.principal import Principal
from app.identity.utils import clean_name
from app.listing import Listed, Listing
from app.sla.constants import CALENDARS_MAX
from app.sla.engine import Calendar
from app.sla.exceptions import CalendarExistsError, CalendarInUseError, CalendarNotFoundError, TooManyError
from app.sla.models import SlaCalendar, SlaCalendarVersion, SlaClock, SlaPolicy
from app.sla.schemas import CalendarRules, Target
from app.sla.service.reapplying import reapply_all
from app.sla.service.rows import UNFINISHED, claim_rules
from app.sla.utils import as_calendar, check_reachable, check_rules, stored

CALENDARS = Listing(
    SlaCalendar, sorts={"created_at": SlaCalendar.created_at, "name": SlaCalendar.name}, default="-created_at"
)
Check = Callable[[int], None]  # raises unless the version is the one that the caller has seen


def rules_of(row: SlaCalendar) -> CalendarRules:
    """When it is open, as the API has it."""
    return msgspec.convert(row.rules, CalendarRules)


def calendar_of(row: SlaCalendar) -> Calendar:
    """When it is open, as the engine has it."""
    return as_calendar(rules_of(row))


async def create(session: AsyncSession, *, name: str, rules: CalendarRules, actor: Principal) -> SlaCalendar:
    """A new calendar. ``InvalidCalendarError``, ``CalendarExistsError``, ``TooManyError``."""
    check_rules(rules, now=datetime.now(UTC))
    await claim_rules(session)
    if (await session.scalar(select(func.count()).select_from(SlaCalendar)) or 0) >= CALENDARS_MAX:
        raise TooManyError(f"There may be {CALENDARS_MAX} calendars.", limit=CALENDARS_MAX)
    row = SlaCalendar(name=await _free_name(session, name), rules=stored(rules))
    session.add(row)
    await session.flush()
    await session.refresh(row)
    await _keep_version(session, row)
    await _record(session, "created", row, actor=actor, after={"name": row.name, **row.rules})
    return row


async def get(session: AsyncSession, calendar_id: UUID) -> SlaCalendar:
    """The calendar; ``CalendarNotFoundError``."""
    row = await session.get(SlaCalendar, calendar_id)
    if row is None:
        raise CalendarNotFoundError("There is no such calendar.")
    return row


async def list_page(
    session: AsyncSession, *, limit: int, sort: str | None, cursor: str | None, total: bool
) -> Listed[SlaCalendar]:
    """One page, newest first unless sorted otherwise."""
    return await CALENDARS.fetch(
        session, select(SlaCalendar), limit=limit, sort=sort, cursor=cursor, total=total
    )


async def change(
    session: AsyncSession,
    calendar_id: UUID,
    *,
    actor: Principal,
    check: Check,
    name: str | UnsetType = UNSET,
    **given: Any,
) -> SlaCalendar:
    """Change the name, and the members of its rules in ``given`` that are not UNSET.

    Clocks that count by it keep what they have consumed under the old rules and get a new deadline. Errors:
    ``CalendarNotFoundError``, those of ``create``, ``UnreachableTargetError`` for a policy's target that
    would take too long, and what ``check`` raises.
    """
    now = datetime.now(UTC)
    row = await _lock(session, calendar_id, check)
    changes = {key: value for key, value in given.items() if value is not UNSET}
    old, rules = rules_of(row), msgspec.structs.replace(rules_of(row), **changes)
    before, after = _differences(stored(old), stored(rules))
    if name is not UNSET and clean_name(name) != row.name:
        before["name"], after["name"] = row.name, await _free_name(session, name)
        row.name = after["name"]
    if not after:
        return row
    row.version += 1
    if rules != old:
        calendar = check_rules(rules, now=now)
        for targets in await session.scalars(
            select(SlaPolicy.targets).where(SlaPolicy.calendar_id == row.id)
        ):
            check_reachable(calendar, msgspec.convert(targets, list[Target]), now=now)
        row.rules, row.rules_version = stored(rules), row.version
        await _keep_version(session, row)
    await session.flush()
    await session.refresh(row)
    await _record(session, "updated", row, actor=actor, before=before, after=after)
    if rules != old:
        await reapply_all(session, at=now, actor=actor)
    return row


async def remove(session: AsyncSession, calendar_id: UUID, *, actor: Principal, check: Check) -> None:
    """Delete it; ``CalendarInUseError`` while policies or unfinished clocks need it."""
    row = await _lock(session, calendar_id, check)
    policies = await session.scalar(
        select(func.count()).select_from(SlaPolicy).where(SlaPolicy.calendar_id == row.id)
    )
    clocks = await session.scalar(
        select(func.count())
        .select_from(SlaClock)
        .where(SlaClock.calendar_id == row.id, SlaClock.state.in_(UNFINISHED))
    )
    if policies or clocks:
        raise CalendarInUseError(
            "Policies or running clocks use this calendar.", policies=policies, clocks=clocks
        )
    await _record(session, "deleted", row, actor=actor, before={"name": row.name})
    await session.delete(row)
    await session.flush()


async def _lock(session: AsyncSession, calendar_id: UUID, check: Check) -> SlaCalendar:
    await claim_rules(session)
    row = await session.get(SlaCalendar, calendar_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise CalendarNotFoundError("There is no such calendar.")
    check(row.version)
    return row


async def _free_name(session: AsyncSession, name: str) -> str:
    cleaned = clean_name(name)
    taken = await session.scalar(select(SlaCalendar.id).where(SlaCalendar.name == cleaned))
    if taken is not None:
        raise CalendarExistsError("Another calendar has this name.", id=taken)
    return cleaned


async def _keep_version(session: AsyncSession, row: SlaCalendar) -> None:
    session.add(SlaCalendarVersion(calendar_id=row.id, version=row.rules_version, rules=row.rules))
    await session.flush()


def _differences(old: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    keys = [key for key in new if old.get(key) != new[key]]
    return {key: old.get(key) for key in keys}, {key: new[key] for key in keys}


async def _record(session: AsyncSession, what: str, row: SlaCalendar, **told: Any) -> None:
    subject = Subject("sla_calendar", row.id)
    await events.record(session, f"sla_calendar.{what}", subject=subject, audit=True, **told)
