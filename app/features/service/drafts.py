"""Shipping drafts a reply on each linked ticket and case, once: a note for whoever answers it.

A release plans its drafts in the transaction that ships it. The job writes one a transaction, which also says
that it is written: however often it is killed, none is lost and none comes twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.database import Database
from app.events import Subject
from app.exceptions import DatabaseUnavailableError, TrideskError
from app.features.desk import Desk
from app.features.models import Release, ReplyDraft, Request
from app.features.service.links import linked
from app.features.utils.numbers import RELEASES, REQUESTS
from app.identity.principal import SYSTEM, Principal
from app.jobs import JobHandler
from app.knowledge import Pointing

DRAFTS_JOB = "features-drafts"
BODY = """**Proposed reply**, since {release} shipped {number}:

Hello,

what you asked for is there: “{title}” is part of {name}, which has just been released.

Is there anything else that we can do for you?"""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """The job."""

    release_id: UUID


async def plan_drafts(
    session: AsyncSession, desk: Desk, release_id: UUID, request_ids: Sequence[UUID], *, actor: Principal
) -> int:
    """Note which tickets and cases are to get a draft, in the transaction that ships the release; how many.

    What points to several of its requests gets one.
    """
    pointing = await linked(session, desk, request_ids, principal=actor)
    rows = {
        (each.type, each.id): {"request_id": root_id, "subject_type": each.type, "subject_id": each.id}
        for root_id, items in sorted(pointing.items(), reverse=True)
        for each in items
    }
    if not rows:
        return 0
    values = [{"release_id": release_id} | each for each in rows.values()]
    await session.execute(insert(ReplyDraft).values(values).on_conflict_do_nothing())
    await jobs.enqueue(session, DRAFTS_JOB, Planned(release_id=release_id))
    return len(rows)


def drafts_handler(database: Database, desk: Desk) -> JobHandler:
    """The job that writes a release's drafts."""

    async def handle(payload: bytes, attempts: int) -> None:
        planned = msgspec.json.decode(payload, type=Planned)
        while await write_one(database, desk, planned.release_id):
            pass

    return handle


async def write_one(database: Database, desk: Desk, release_id: UUID) -> bool:
    """Write one draft that is waiting, unless somebody else does; whether there was one."""
    waiting = select(ReplyDraft).where(ReplyDraft.release_id == release_id, ReplyDraft.state == "queued")
    claim = waiting.order_by(ReplyDraft.subject_id).limit(1).with_for_update(skip_locked=True)
    async with database.session() as session:
        draft = await session.scalar(claim)
        if draft is None:
            return False
        reason = await _tried(session, desk, draft)
        mine = (ReplyDraft.release_id == release_id, ReplyDraft.subject_type == draft.subject_type)
        done = update(ReplyDraft).where(*mine, ReplyDraft.subject_id == draft.subject_id)
        state = {"state": "drafted"} if reason is None else {"state": "skipped", "reason": reason}
        await session.execute(done.values(state))
    return True


async def _tried(session: AsyncSession, desk: Desk, draft: ReplyDraft) -> str | None:
    """Why it could not be written: one case that cannot take a note keeps no other from getting one."""
    try:
        async with session.begin_nested():
            outcome = await _write(session, desk, draft)
    except DatabaseUnavailableError:
        raise
    except TrideskError as error:
        return error.code
    return None if outcome is Pointing.done else outcome


async def _write(session: AsyncSession, desk: Desk, draft: ReplyDraft) -> Pointing:
    release = await session.get_one(Release, draft.release_id)
    request = await session.get_one(Request, draft.request_id)
    body = BODY.format(
        release=RELEASES.shown(release.number),
        number=REQUESTS.shown(request.number),
        title=request.title,
        name=" ".join(filter(None, [release.title, release.label])),
    )
    case = Subject(draft.subject_type, draft.subject_id)
    for work in desk.open_work:
        outcome = await work.draft_reply(session, case, body, principal=SYSTEM)
        if outcome is not Pointing.unknown:
            return outcome
    return Pointing.unknown
