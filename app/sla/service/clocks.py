"""What desks do with clocks. Each locks the subject, then its clocks, and records what it changed.

``at`` is when it happened, to the second; one before a clock's last change is taken as of that change. A
deadline that had passed by then and that no sweep had seen yet is noticed first: meeting a clock late is a
breach, however soon the sweep would have come.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity.principal import SYSTEM, Principal
from app.sla.constants import UNANSWERED, ClockKind, ClockState, SlaEvent
from app.sla.engine import Clock, to_second
from app.sla.models import SlaClock
from app.sla.schemas import Attributes, ClockView
from app.sla.service.choosing import Choice, choose, follow
from app.sla.service.moving import move, start
from app.sla.service.rows import (
    clock_of,
    clocks_of,
    ensure_subject,
    lay_down,
    lock_subjects,
    notice_breach,
    tell,
    timelines_of,
    whole,
)
from app.sla.utils import stored

FROM_THE_START = (ClockKind.first_response, ClockKind.resolution)


async def apply(
    session: AsyncSession,
    subject: Subject,
    attributes: Attributes,
    *,
    at: datetime,
    kinds: Collection[ClockKind] = FROM_THE_START,
    actor: Principal = SYSTEM,
) -> list[SlaClock]:
    """Put a subject under the policy that its attributes ask for; again whenever they change.

    Clocks of ``kinds`` that the subject never had are started, those that run keep the time they consumed and
    get their new targets. Returns what was started or changed. Without a policy, or without a target in it,
    a clock counts and never falls due. ``msgspec.ValidationError`` for attributes beyond their limits.
    """
    at = whole(at)
    checked = msgspec.convert(stored(attributes), Attributes)
    row = await ensure_subject(session, subject)
    row.attributes = stored(checked)
    choice = await choose(session, row)
    clocks = await clocks_of(session, subject, unfinished=False)
    known = {each.kind for each in clocks}
    unfinished = [each for each in clocks if not clock_of(each).finished]
    changed = await follow(session, unfinished, choice, at=at, actor=actor)
    for kind in kinds:
        if kind not in known:
            changed.append(await start(session, row, kind, choice=choice, at=at, actor=actor))
    await session.flush()
    return changed


async def start_next_reply(
    session: AsyncSession, subject: Subject, *, at: datetime, actor: Principal = SYSTEM
) -> list[SlaClock]:
    """A customer's message waits for a reply.

    Counted is the oldest unanswered one: a further message, or one while the first response is still due,
    starts nothing.
    """
    at = whole(at)
    for row in await lock_subjects(session, subject):
        if not await clocks_of(session, subject, kinds=UNANSWERED):
            choice = await choose(session, row)
            return [await start(session, row, ClockKind.next_reply, choice=choice, at=at, actor=actor)]
    return []


async def answered(
    session: AsyncSession,
    subject: Subject,
    *,
    at: datetime,
    public: bool,
    by_person: bool,
    actor: Principal = SYSTEM,
) -> list[SlaClock]:
    """The staff wrote something. Only what a person wrote and the customer can read is a reply."""
    if not (public and by_person):
        return []
    return await satisfy(session, subject, UNANSWERED, at=at, actor=actor)


async def satisfy(
    session: AsyncSession,
    subject: Subject,
    kinds: Collection[ClockKind],
    *,
    at: datetime,
    actor: Principal = SYSTEM,
) -> list[SlaClock]:
    """What these clocks waited for has come; those that are late are breached as well."""

    def meet(clock: Clock, second: int) -> Clock:
        return clock.meet(second)

    return await move(session, subject, meet, SlaEvent.met, at=at, kinds=kinds, actor=actor)


async def cancel(
    session: AsyncSession,
    subject: Subject,
    *,
    at: datetime,
    kinds: Collection[ClockKind] = (),
    actor: Principal = SYSTEM,
) -> list[SlaClock]:
    """What these clocks waited for need not come any more; ``kinds`` empty: all."""

    def drop(clock: Clock, second: int) -> Clock:
        return clock.cancel(second)

    return await move(session, subject, drop, SlaEvent.canceled, at=at, kinds=kinds, actor=actor)


async def pause(
    session: AsyncSession, subject: Subject, *, at: datetime, actor: Principal = SYSTEM
) -> list[SlaClock]:
    """Keep what remains of all targets. Already paused (pending → on hold): nothing happens."""

    def stop(clock: Clock, second: int) -> Clock:
        return clock.pause(second)

    return await move(session, subject, stop, SlaEvent.paused, at=at, paused=True, actor=actor)


async def resume(
    session: AsyncSession, subject: Subject, *, at: datetime, actor: Principal = SYSTEM
) -> list[SlaClock]:
    """Count on with what remained."""

    def go(clock: Clock, second: int) -> Clock:
        return clock.resume(second)

    return await move(session, subject, go, SlaEvent.resumed, at=at, paused=False, actor=actor)


async def reopen(
    session: AsyncSession,
    subject: Subject,
    *,
    at: datetime,
    new_cycle: bool = False,
    actor: Principal = SYSTEM,
) -> list[SlaClock]:
    """Count a reopening. The resolution stays what the first solve made it; ``new_cycle`` starts another."""
    at = whole(at)
    started = []
    for row in await lock_subjects(session, subject):
        row.reopens += 1
        await events.record(
            session, SlaEvent.reopened, subject=subject, actor=actor, after={"reopens": row.reopens}
        )
        if new_cycle and not await clocks_of(session, subject, kinds={ClockKind.resolution}):
            choice = await choose(session, row)
            kind = ClockKind.resolution
            started.append(await start(session, row, kind, choice=choice, at=at, actor=actor))
    await session.flush()
    return started


async def start_deadline(
    session: AsyncSession,
    subject: Subject,
    *,
    due_at: datetime,
    at: datetime,
    warn_before: Sequence[int] = (),
    actor: Principal = SYSTEM,
) -> SlaClock:
    """An evidence clock: due at a moment that somebody else has set, whatever the calendar.

    ``warn_before``: seconds before it. Again while it runs moves the deadline; after its end starts anew.
    """
    at = whole(at)
    row = await ensure_subject(session, subject)
    kind = ClockKind.evidence
    steps = sorted(set(warn_before), reverse=True)
    for clock in await clocks_of(session, subject, kinds={kind}):
        await notice_breach(session, clock, at, actor=actor)
        if (clock.due_at, list(clock.warn_steps)) != (whole(due_at), steps):
            before = {"due_at": clock.due_at}
            clock.due_at, clock.warn_steps = whole(due_at), steps
            lay_down(clock, clock_of(clock), {})
            await tell(session, SlaEvent.retargeted, clock, actor=actor, before=before)
            await notice_breach(session, clock, at, actor=actor)
        await session.flush()
        return clock
    choice = Choice(warn_steps=steps)
    return await start(session, row, kind, choice=choice, at=at, due_at=whole(due_at), actor=actor)


async def clocks(session: AsyncSession, subject: Subject, *, at: datetime) -> list[ClockView]:
    """All clocks of a subject, oldest first, as they stand at that moment."""
    statement = (
        select(SlaClock)
        .where(SlaClock.subject_type == subject.type, SlaClock.subject_id == subject.id)
        .order_by(SlaClock.started_at, SlaClock.id)
    )
    rows = list(await session.scalars(statement))
    timelines = await timelines_of(session, rows)
    second = to_second(at)
    return [_view(row, clock_of(row).consumed(second, timelines)) for row in rows]


def _view(row: SlaClock, consumed: int) -> ClockView:
    return ClockView(
        id=row.id,
        kind=ClockKind(row.kind),
        cycle=row.cycle,
        state=ClockState(row.state),
        policy_id=row.policy_id,
        target_seconds=row.target_seconds,
        consumed_seconds=consumed,
        started_at=row.started_at,
        due_at=row.due_at,
        breached_at=row.breached_at,
        detected_at=row.detected_at,
        ended_at=row.ended_at,
    )
