"""Between stored clocks and the engine's: locking, reading, laying down, telling."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity.principal import Principal
from app.sla.constants import CONFIGURATION_LOCK, ClockKind, ClockState, SlaEvent
from app.sla.engine import CalendarRef, Clock, Span, Timeline, from_second, timeline, to_second
from app.sla.models import SlaCalendarVersion, SlaClock, SlaSubject
from app.sla.schemas import CalendarRules
from app.sla.utils import as_calendar, stored

SHARE = text("select pg_advisory_xact_lock_shared(:key)")
CLAIM = text("select pg_advisory_xact_lock(:key)")
UNFINISHED = (ClockState.running, ClockState.paused)
SECOND = timedelta(seconds=1)
Timelines = dict[CalendarRef, Timeline]


async def share_rules(session: AsyncSession) -> None:
    """Policies and calendars do not change until this transaction ends. Taken before any subject's lock.

    Otherwise a clock started beside a change of its policy would keep the old target: neither sees the other.
    """
    await session.execute(SHARE, {"key": CONFIGURATION_LOCK})


async def claim_rules(session: AsyncSession) -> None:
    """Policies and calendars are this transaction's alone; waits for those that move clocks by them."""
    await session.execute(CLAIM, {"key": CONFIGURATION_LOCK})


async def lock_subjects(session: AsyncSession, *subjects: Subject) -> list[SlaSubject]:
    """Those that are known, locked, in the order of their ids."""
    keys = [(each.type, each.id) for each in subjects]
    statement = (
        select(SlaSubject)
        .where(tuple_(SlaSubject.subject_type, SlaSubject.subject_id).in_(keys))
        .order_by(SlaSubject.id)
        .with_for_update()
    )
    await share_rules(session)
    return list(await session.scalars(statement, execution_options={"populate_existing": True}))


async def ensure_subject(session: AsyncSession, subject: Subject) -> SlaSubject:
    """The subject's row, made if new, locked."""
    await share_rules(session)
    statement = insert(SlaSubject).values(subject_type=subject.type, subject_id=subject.id)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["subject_type", "subject_id"]))
    return (await lock_subjects(session, subject))[0]


async def clocks_of(
    session: AsyncSession, *subjects: Subject, unfinished: bool = True, kinds: Collection[ClockKind] = ()
) -> list[SlaClock]:
    """Their clocks, locked in the order of their ids; ``kinds`` empty: of every kind."""
    keys = [(each.type, each.id) for each in subjects]
    statement = select(SlaClock).where(tuple_(SlaClock.subject_type, SlaClock.subject_id).in_(keys))
    if unfinished:
        statement = statement.where(SlaClock.state.in_(UNFINISHED))
    if kinds:
        statement = statement.where(SlaClock.kind.in_(kinds))
    statement = statement.order_by(SlaClock.id).with_for_update()
    return list(await session.scalars(statement, execution_options={"populate_existing": True}))


async def next_cycle(session: AsyncSession, subject: Subject, kind: ClockKind) -> int:
    """The number of the next clock of this kind, from 1."""
    last = await session.scalar(
        select(func.max(SlaClock.cycle)).where(
            SlaClock.subject_type == subject.type, SlaClock.subject_id == subject.id, SlaClock.kind == kind
        )
    )
    return (last or 0) + 1


async def timelines_of(
    session: AsyncSession, rows: Iterable[SlaClock], *further: CalendarRef | None
) -> Timelines:
    """What is needed to count these clocks: the calendars of their spans, as they were."""
    refs = {each for each in further if each is not None}
    for row in rows:
        clock = clock_of(row)
        refs.update(each.calendar for each in clock.spans if each.calendar is not None)
        refs.update({clock.calendar} if clock.calendar else ())
    if not refs:
        return {}
    key = tuple_(SlaCalendarVersion.calendar_id, SlaCalendarVersion.version)
    statement = select(SlaCalendarVersion).where(key.in_([(each.id, each.version) for each in refs]))
    return {
        CalendarRef(each.calendar_id, each.version): timeline(
            as_calendar(msgspec.convert(each.rules, CalendarRules))
        )
        for each in await session.scalars(statement)
    }


def is_fixed(row: SlaClock) -> bool:
    """Whether its deadline is a given moment: no calendar, no pause, no policy."""
    return row.kind == ClockKind.evidence


def subject_of(row: SlaClock | SlaSubject) -> Subject:
    """Whose it is."""
    return Subject(row.subject_type, row.subject_id)


def clock_of(row: SlaClock) -> Clock:
    """As the engine has it."""
    ref = None
    if row.calendar_id is not None and row.calendar_version is not None:
        ref = CalendarRef(row.calendar_id, row.calendar_version)
    return Clock(
        started=to_second(row.started_at),
        spans=msgspec.convert(row.spans, tuple[Span, ...]),
        state=ClockState(row.state),
        target=row.target_seconds,
        calendar=ref,
    )


def lay_down(row: SlaClock, clock: Clock, timelines: Timelines) -> None:
    """Store the clock, and what the sweep will look at. A finished one keeps the deadline that it had."""
    row.state = clock.state
    row.spans = stored(clock.spans)
    row.target_seconds = clock.target
    row.calendar_id = clock.calendar.id if clock.calendar else None
    row.calendar_version = clock.calendar.version if clock.calendar else None
    if clock.finished:
        row.check_at = None
        return
    if is_fixed(row):
        due = row.due_at or row.started_at
        row.warn_times = [due - timedelta(seconds=step) for step in row.warn_steps]
    else:
        row.due_at = _moment(clock.deadline(timelines))
        row.warn_times = [_moment(clock.warns(step, timelines)) for step in row.warn_steps]
    row.check_at = next_check(row)


def next_check(row: SlaClock) -> datetime | None:
    """The first moment at which there is something to notice. After a breach there is nothing any more."""
    if row.breached_at is not None:
        return None
    moments = [
        moment
        for step, moment in zip(row.warn_steps, row.warn_times, strict=True)
        if moment is not None and step not in row.warned_steps
    ]
    if row.due_at is not None:
        moments.append(row.due_at + SECOND)  # kept by what happens at that second
    return min(moments, default=None)


async def notice_breach(session: AsyncSession, row: SlaClock, at: datetime, *, actor: Principal) -> bool:
    """Whether the deadline was passed and nobody had seen it: marked and told, once a clock."""
    if row.breached_at is not None or row.due_at is None or row.due_at >= at:
        return False
    row.breached_at, row.detected_at, row.check_at = row.due_at, at, None
    further = {"breached_at": row.breached_at, "detected_at": row.detected_at}
    await tell(session, SlaEvent.breached, row, actor=actor, further=further)
    return True


async def notice_warnings(session: AsyncSession, row: SlaClock, at: datetime, *, actor: Principal) -> int:
    """How many warnings have come due: each marked and told, once a clock."""
    due = [
        step
        for step, moment in zip(row.warn_steps, row.warn_times, strict=True)
        if moment is not None and moment <= at and step not in row.warned_steps
    ]
    unit = "seconds_before" if is_fixed(row) else "percent"
    for step in due:
        await tell(session, SlaEvent.warning, row, actor=actor, further={unit: step})
    row.warned_steps = [*row.warned_steps, *due]
    row.check_at = next_check(row)
    return len(due)


async def tell(
    session: AsyncSession,
    type: SlaEvent,  # noqa: A002 - as `events.record` calls it
    row: SlaClock,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write the event, about the desk's subject."""
    after = {
        "clock_id": row.id,
        "kind": row.kind,
        "cycle": row.cycle,
        "state": row.state,
        "due_at": row.due_at,
        **(further or {}),
    }
    await events.record(session, type, subject=subject_of(row), actor=actor, before=before, after=after)


def whole(at: datetime) -> datetime:
    """The moment without its fraction of a second, in UTC."""
    return from_second(to_second(at))


def _moment(second: int | None) -> datetime | None:
    return None if second is None else from_second(second)


def oldest(rows: Sequence[SlaClock]) -> SlaClock | None:
    """The one that has waited longest."""
    return min(rows, key=lambda row: (row.started_at, row.id), default=None)
