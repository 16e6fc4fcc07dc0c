"""Merging two subjects' clocks, and taking it back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.identity.principal import SYSTEM, Principal
from app.sla.constants import UNANSWERED, ClockKind, ClockState, SlaEvent
from app.sla.engine import CalendarRef, Clock, Span, to_second
from app.sla.models import SlaClock, SlaSubject
from app.sla.service.choosing import choose, follow
from app.sla.service.rows import (
    clock_of,
    clocks_of,
    ensure_subject,
    is_fixed,
    lay_down,
    lock_subjects,
    next_cycle,
    notice_breach,
    oldest,
    subject_of,
    tell,
    timelines_of,
    whole,
)


class ClockRecord(Struct, frozen=True, kw_only=True):
    """A clock before a merge touched it."""

    id: UUID
    subject_type: str
    subject_id: UUID
    cycle: int
    state: ClockState
    spans: tuple[Span, ...]
    target: int | None
    calendar: CalendarRef | None


class Transfer(Struct, frozen=True, kw_only=True):
    """What ``undo_transfer`` needs; the desk stores it with its record of the merge, as JSON by msgspec."""

    source_type: str
    source_id: UUID
    target_type: str
    target_id: UUID
    kept: UUID | None  # the clock that goes on for whatever was unanswered on either side
    clocks: tuple[ClockRecord, ...]


async def transfer(
    session: AsyncSession, source: Subject, target: Subject, *, at: datetime, actor: Principal = SYSTEM
) -> Transfer:
    """The source is merged into the target, whose clocks go on.

    Of all clocks that wait for an answer, on either side, the one that has waited longest is kept, and moved
    if it was the source's; the others are canceled, and so is the source's resolution. Evidence clocks stay
    where they are. Until it is undone nothing is applied to the source. ``ValueError`` when both are one.
    """
    if source == target:
        raise ValueError("a subject cannot be merged into itself")
    at = whole(at)
    owner = await _owners(session, source, target)
    rows = [row for row in await clocks_of(session, source, target) if not is_fixed(row)]
    for row in rows:
        await notice_breach(session, row, at, actor=actor)
    waiting = [row for row in rows if row.kind in UNANSWERED]
    kept = oldest(waiting)
    ending = [row for row in rows if row is not kept and (row in waiting or subject_of(row) == source)]
    touched = [row for row in rows if row in ending or (row is kept and subject_of(row) == source)]
    record = Transfer(
        source_type=source.type,
        source_id=source.id,
        target_type=target.type,
        target_id=target.id,
        kept=kept.id if kept else None,
        clocks=tuple(_record(row) for row in touched),
    )
    for row in ending:
        lay_down(row, clock_of(row).cancel(to_second(at)), {})
        row.ended_at = max(at, row.started_at)
        await tell(session, SlaEvent.canceled, row, actor=actor)
    if kept is not None and subject_of(kept) == source:
        cycle = await next_cycle(session, target, ClockKind(kept.kind))
        await _hand_over(session, kept, owner[target], cycle=cycle, at=at, actor=actor)
    await session.flush()
    return record


async def undo_transfer(
    session: AsyncSession, record: Transfer, *, at: datetime, actor: Principal = SYSTEM
) -> list[SlaClock]:
    """Give both sides back their clocks, as if they had never been merged: the time in between counts.

    What was answered while merged was answered on both sides. Returns the clocks that were restored.
    """
    at = whole(at)
    source = Subject(record.source_type, record.source_id)
    target = Subject(record.target_type, record.target_id)
    owner = await _owners(session, source, target)
    ids = {each.id for each in record.clocks} | ({record.kept} if record.kept else set())
    statement = select(SlaClock).where(SlaClock.id.in_(ids)).order_by(SlaClock.id).with_for_update()
    rows = {
        row.id: row for row in await session.scalars(statement, execution_options={"populate_existing": True})
    }
    kept = rows.get(record.kept) if record.kept else None
    answered_at = kept.ended_at if kept is not None and kept.state == ClockState.met else None
    restored = []
    for each in record.clocks:
        row = rows[each.id]
        back = owner[Subject(each.subject_type, each.subject_id)]
        if row is not kept:
            await _revive(session, row, each, answered_at if row.kind in UNANSWERED else None)
        await _hand_over(session, row, back, cycle=each.cycle, at=at, actor=actor)
        restored.append(row)
    await session.flush()
    return restored


async def _owners(session: AsyncSession, *subjects: Subject) -> dict[Subject, SlaSubject]:
    """Both rows, locked in the order of their ids, whoever merges what into what."""
    if len(found := await lock_subjects(session, *subjects)) < len(subjects):
        for subject in sorted(subjects, key=lambda each: (each.type, each.id)):
            await ensure_subject(session, subject)
        found = await lock_subjects(session, *subjects)
    return {subject_of(row): row for row in found}


async def _hand_over(
    session: AsyncSession, row: SlaClock, owner: SlaSubject, *, cycle: int, at: datetime, actor: Principal
) -> None:
    """The clock becomes another subject's: it runs or rests with that one's, under that one's policy."""
    before = {"subject_type": row.subject_type, "subject_id": row.subject_id, "state": row.state}
    row.subject_type, row.subject_id, row.cycle = owner.subject_type, owner.subject_id, cycle
    clock = clock_of(row)
    moved = clock.pause(to_second(at)) if owner.paused else clock.resume(to_second(at))
    lay_down(row, moved, await timelines_of(session, [row]))
    await session.flush()
    restored = before["subject_id"] == row.subject_id and before["subject_type"] == row.subject_type
    event = SlaEvent.restored if restored else SlaEvent.moved
    await tell(session, event, row, actor=actor, before=before)
    if not moved.finished:
        choice = await choose(session, owner)
        await follow(session, [row], choice, at=at, actor=actor)
        await notice_breach(session, row, at, actor=actor)


async def _revive(
    session: AsyncSession, row: SlaClock, record: ClockRecord, answered_at: datetime | None
) -> None:
    """The clock as it was, or met, if the answer came meanwhile."""
    clock = Clock(
        started=to_second(row.started_at),
        spans=record.spans,
        state=record.state,
        target=record.target,
        calendar=record.calendar,
    )
    timelines = await timelines_of(session, [row], *(each.calendar for each in record.spans))
    row.ended_at = None
    lay_down(row, clock, timelines)
    if answered_at is not None:
        await notice_breach(session, row, answered_at, actor=SYSTEM)
        lay_down(row, clock.meet(to_second(answered_at)), timelines)
        row.ended_at = answered_at


def _record(row: SlaClock) -> ClockRecord:
    clock = clock_of(row)
    return ClockRecord(
        id=row.id,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        cycle=row.cycle,
        state=clock.state,
        spans=clock.spans,
        target=clock.target,
        calendar=clock.calendar,
    )
