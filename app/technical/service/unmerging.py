"""Undoing a merge, in any order; whatever has since gone elsewhere stays there."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from msgspec import structs
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import sla
from app.conversations.models import Conversation
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected
from app.sla import ClockKind, ClockState, Transfer
from app.technical.constants import UNFINISHED
from app.technical.desk import Desk
from app.technical.exceptions import NotMergedError, TicketNotFoundError
from app.technical.models import Merge, Ticket
from app.technical.service import handing, indexing, linking, references, waiting
from app.technical.service.changes import change, lock_all, record, subject_of
from app.technical.service.handing import MergeRecord


async def unmerge(
    session: AsyncSession,
    desk: Desk,
    source_id: UUID,
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
) -> Ticket:
    """Undo the merge of a ticket, which is then as it was; returns it.

    Its messages return, but for those that were split off since; what was written after the merge stays with
    the target. What was answered meanwhile was answered on both sides. Errors: ``TicketNotFoundError``,
    ``VersionMismatchError``, ``NotMergedError``.
    """
    await linking.one_at_a_time(session)
    merged = await _merge_of(session, source_id)
    found = msgspec.convert(merged.record, MergeRecord)
    tickets = await _lock_undone(session, source_id, merged, found, actor=actor)
    source = tickets[source_id]
    expected.check(source.version)
    if source.merged_into_id is None:
        raise NotMergedError("This ticket is not merged into another one.")
    at, target = datetime.now(UTC), tickets[source.merged_into_id]
    mine, theirs = await _return_messages(session, source, target, merged, found, actor=actor)
    await handing.return_links(session, found, source_id)
    holders = [target.id, merged.target_id]
    await references.hand_back(session, found.reference_ids, source_id, holders=holders)
    await _return_clocks(session, source, target, found.transfer, at=at, actor=actor)
    values = {"status": found.status, "status_changed_at": found.status_changed_at, "merged_into_id": None}
    source = await change(session, source, values, actor=actor, type="ticket.unmerged")
    await _restore_pointers(session, tickets, found, source, target, actor=actor)
    for ticket, room in ((source, mine), (target, theirs)):
        await _revive_first_response(session, ticket, room, at=at, actor=actor)
        await waiting.settle(session, ticket, room, at=at, actor=actor)
    merged.undone_at = func.now()
    await session.flush()
    await record(session, "ticket.released", target, actor=actor, after={"source_id": source_id})
    await indexing.changed(session, desk, source)
    return source


async def _merge_of(session: AsyncSession, source_id: UUID) -> Merge:
    """The merge that holds; nobody else undoes it while ``one_at_a_time`` is held."""
    statement = select(Merge).where(Merge.source_id == source_id, Merge.undone_at.is_(None))
    found = (await session.scalars(statement)).one_or_none()
    if found is None:
        if await session.get(Ticket, source_id) is None:
            raise TicketNotFoundError("There is no such ticket.")
        raise NotMergedError("This ticket is not merged into another one.")
    return found


async def _lock_undone(
    session: AsyncSession, source_id: UUID, merged: Merge, found: MergeRecord, *, actor: Principal
) -> dict[UUID, Ticket]:
    """The source, where it points and first pointed, and what pointed to it, in the order of their ids."""
    statement = select(Ticket.merged_into_id).where(
        Ticket.id == source_id, Ticket.merged_into_id.is_not(None)
    )
    points_to = await session.scalars(statement)
    sources = await session.scalars(select(Merge.source_id).where(Merge.id.in_(found.merges)))
    ids = [source_id, merged.target_id, *points_to, *sources]
    tickets = await lock_all(session, ids, principal=actor)
    if source_id not in tickets:
        raise TicketNotFoundError("There is no such ticket.")
    return tickets


async def _return_messages(
    session: AsyncSession,
    source: Ticket,
    target: Ticket,
    merged: Merge,
    found: MergeRecord,
    *,
    actor: Principal,
) -> tuple[Conversation, Conversation]:
    """The conversations of both, each with its own messages and participants again."""
    rooms = await handing.lock_conversations(session, [source.id, target.id, merged.target_id])
    mine, theirs = rooms[source.id], rooms[target.id]
    waited = theirs.unanswered_since
    await handing.return_messages(session, found, from_=theirs, to=mine, actor=actor)
    first = rooms[merged.target_id]
    await handing.remove_participants(session, found.participant_ids, first, actor=actor)
    if _is_answered(merged, theirs):
        mine = await waiting.since_left(session, mine, after=None)
        own = None
    else:
        mine = await waiting.since_left(session, mine, found.source_since, after=found.source_since)
        own = found.target_since
    others = await _others_since(session, merged.id, target, theirs)
    after = own or merged.created_at
    return mine, await waiting.since_left(session, theirs, waited, own, *others, after=after)


def _is_answered(merged: Merge, room: Conversation) -> bool:
    """Whether there was a reply since: on the target, for the source as well."""
    return room.last_staff_reply_at is not None and room.last_staff_reply_at > merged.created_at


async def _others_since(
    session: AsyncSession, merged_id: UUID, target: Ticket, room: Conversation
) -> list[datetime]:
    """Since when those waited that were merged into the target too and had no reply since."""
    statement = (
        select(Merge)
        .join(Ticket, Ticket.id == Merge.source_id)
        .where(Ticket.merged_into_id == target.id, Merge.undone_at.is_(None), Merge.id != merged_id)
    )
    unanswered = [each for each in await session.scalars(statement) if not _is_answered(each, room)]
    records = [msgspec.convert(each.record, MergeRecord) for each in unanswered]
    return [each.source_since for each in records if each.source_since is not None]


async def _return_clocks(
    session: AsyncSession,
    source: Ticket,
    target: Ticket,
    transfer: Transfer,
    *,
    at: datetime,
    actor: Principal,
) -> None:
    """The source's clocks that are still within reach, and exactly the target's if nothing came between."""
    held = {
        each.id: each
        for ticket in (source, target)
        for each in await sla.clocks(session, subject_of(ticket.id), at=at)
    }
    kept = held.get(transfer.kept) if transfer.kept is not None else None
    untouched = target.id == transfer.target_id and kept is not None and kept.state != ClockState.canceled
    clocks = tuple(
        each for each in transfer.clocks if each.id in held and (each.subject_id == source.id or untouched)
    )
    # One that was met was met for both; one that still runs is given back as it was taken.
    answered = transfer.kept if kept is not None and kept.state == ClockState.met else None
    within_reach = structs.replace(transfer, kept=answered, clocks=clocks)
    await sla.undo_transfer(session, within_reach, at=at, actor=actor)


async def _revive_first_response(
    session: AsyncSession, ticket: Ticket, room: Conversation, *, at: datetime, actor: Principal
) -> None:
    """Who never had a reply waits for the first one, though a merge canceled that clock.

    Undone in another order than they came, merges leave it behind: the one that it gave way to has gone.
    """
    if ticket.status not in UNFINISHED or room.unanswered_since is None or room.first_reply_at is not None:
        return
    if await waiting.running(session, ticket, at=at):
        return
    canceled = {
        each.id
        for each in await sla.clocks(session, subject_of(ticket.id), at=at)
        if each.kind == ClockKind.first_response and each.state == ClockState.canceled
    }
    statement = select(Merge.record).where(or_(Merge.source_id == ticket.id, Merge.target_id == ticket.id))
    for each in await session.scalars(statement.order_by(Merge.id)):
        known = msgspec.convert(each, MergeRecord).transfer
        own = [clock for clock in known.clocks if clock.id in canceled and clock.subject_id == ticket.id]
        if own:
            revived = structs.replace(known, kept=None, clocks=tuple(own[:1]))
            await sla.undo_transfer(session, revived, at=at, actor=actor)
            return


async def _restore_pointers(
    session: AsyncSession,
    tickets: dict[UUID, Ticket],
    found: MergeRecord,
    source: Ticket,
    target: Ticket,
    *,
    actor: Principal,
) -> None:
    """What had been merged into the source points to it again, if that merge still holds."""
    statement = select(Merge.source_id).where(Merge.id.in_(found.merges), Merge.undone_at.is_(None))
    for each in await session.scalars(statement):
        earlier = tickets[each]
        if earlier.merged_into_id == target.id:
            values = {"merged_into_id": source.id}
            await change(session, earlier, values, actor=actor, type="ticket.merged")
