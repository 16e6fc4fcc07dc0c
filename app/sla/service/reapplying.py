"""After a change of calendars or policies: every running clock gets the deadline it has now."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.database import Database
from app.identity.principal import SYSTEM, Principal
from app.jobs import JobHandler
from app.sla.constants import INLINE_SUBJECTS, REAPPLY_JOB, ClockKind
from app.sla.models import SlaClock, SlaSubject
from app.sla.service.choosing import choose, follow
from app.sla.service.rows import UNFINISHED, clocks_of, lock_subjects, subject_of, whole

FIRST = UUID(int=0)


class Reapply(msgspec.Struct, frozen=True, kw_only=True):
    """The job's payload: since when the rules are what they are."""

    at: datetime


async def reapply_all(session: AsyncSession, *, at: datetime, actor: Principal = SYSTEM) -> None:
    """Put every subject with running clocks under the current rules: at once when they are few, else by a
    job that begins after this transaction's commit."""
    ids = list(await session.scalars(_affected(FIRST).limit(INLINE_SUBJECTS + 1)))
    if len(ids) > INLINE_SUBJECTS:
        await jobs.enqueue(session, REAPPLY_JOB, Reapply(at=at))
        return
    for subject_id in ids:
        await _reapply(session, subject_id, at=at, actor=actor)


async def run_reapply(database: Database, payload: bytes) -> int:
    """The job: subject by subject, each in a transaction of its own, so that it never holds two locks.

    Repeating it, or a part of it, changes nothing further. Returns how many subjects it looked at.
    """
    at = msgspec.json.decode(payload, type=Reapply).at
    last, count = FIRST, 0
    while True:
        async with database.session() as session:
            following = await session.scalar(_affected(last).limit(1))
            if following is None:
                return count
            await _reapply(session, following, at=at, actor=SYSTEM)
        last, count = following, count + 1


def reapply_handler(database: Database) -> JobHandler:
    """For ``job_handlers``: ``{REAPPLY_JOB: reapply_handler(database)}``."""

    async def handle(payload: bytes, _: int) -> None:
        await run_reapply(database, payload)

    return handle


async def _reapply(session: AsyncSession, subject_id: UUID, *, at: datetime, actor: Principal) -> None:
    known = await session.get(SlaSubject, subject_id)
    if known is None:
        return
    for row in await lock_subjects(session, subject_of(known)):
        choice = await choose(session, row)
        await follow(session, await clocks_of(session, subject_of(row)), choice, at=whole(at), actor=actor)
    await session.flush()


def _affected(last: UUID) -> Select[UUID]:
    """Ids of subjects with clocks that a policy moves, in order, behind ``last``."""
    moving = exists().where(
        SlaClock.subject_type == SlaSubject.subject_type,
        SlaClock.subject_id == SlaSubject.subject_id,
        SlaClock.state.in_(UNFINISHED),
        SlaClock.kind != ClockKind.evidence,
    )
    return select(SlaSubject.id).where(moving, SlaSubject.id > last).order_by(SlaSubject.id)
