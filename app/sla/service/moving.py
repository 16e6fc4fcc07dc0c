"""Starting clocks, and changing those of a subject: the two things that every action of a desk comes to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject
from app.identity.principal import Principal
from app.sla.constants import ClockKind, SlaEvent
from app.sla.engine import Clock, to_second
from app.sla.models import SlaClock, SlaSubject
from app.sla.service.choosing import Choice
from app.sla.service.rows import (
    clock_of,
    clocks_of,
    is_fixed,
    lay_down,
    lock_subjects,
    next_cycle,
    notice_breach,
    subject_of,
    tell,
    timelines_of,
    whole,
)


async def start(
    session: AsyncSession,
    owner: SlaSubject,
    kind: ClockKind,
    *,
    choice: Choice,
    at: datetime,
    due_at: datetime | None = None,
    actor: Principal,
) -> SlaClock:
    """A new clock of a locked subject; with ``due_at`` one that nothing but its end moves."""
    subject = subject_of(owner)
    fixed = due_at is not None
    clock = Clock.start(
        to_second(at),
        target=None if fixed else choice.target(kind),
        calendar=choice.calendar,
        paused=owner.paused and not fixed,
    )
    row = SlaClock(
        subject_type=subject.type,
        subject_id=subject.id,
        kind=kind,
        cycle=await next_cycle(session, subject, kind),
        policy_id=choice.policy_id,
        started_at=at,
        due_at=due_at,
        warn_steps=list(choice.warn_steps),
        warned_steps=[],
    )
    if fixed:
        clock = msgspec.structs.replace(clock, spans=())
    lay_down(row, clock, await timelines_of(session, (), choice.calendar))
    session.add(row)
    await session.flush()
    target = {"target_seconds": row.target_seconds, "policy_id": row.policy_id}
    await tell(session, SlaEvent.started, row, actor=actor, further=target)
    await notice_breach(session, row, at, actor=actor)
    await session.flush()
    return row


async def move(
    session: AsyncSession,
    subject: Subject,
    change: Callable[[Clock, int], Clock],
    event: SlaEvent,
    *,
    at: datetime,
    kinds: Collection[ClockKind] = (),
    paused: bool | None = None,
    actor: Principal,
) -> list[SlaClock]:
    """Change the unfinished clocks of a subject and tell it; returns those that changed."""
    at = whole(at)
    for owner in await lock_subjects(session, subject):
        owner.paused = owner.paused if paused is None else paused
    rows = await clocks_of(session, subject, kinds=kinds)
    if paused is not None:
        rows = [row for row in rows if not is_fixed(row)]
    timelines = await timelines_of(session, rows)
    changed = []
    for row in rows:
        await notice_breach(session, row, at, actor=actor)
        old = clock_of(row)
        new = change(old, to_second(at))
        if new == old:
            continue
        lay_down(row, new, timelines)
        if new.finished:
            row.ended_at = max(at, row.started_at)
        await tell(session, event, row, actor=actor)
        changed.append(row)
    await session.flush()
    return changed
