"""Merging tickets, and taking it back.

One level: a merged ticket points to one that is not merged. What was merged into the source before goes along
and points to the new target, until undoing restores it. Undoing may come in any order; whatever has since
gone elsewhere (by a split, or by an earlier undoing) stays there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from msgspec import structs
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations, sla
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected
from app.redaction import redact
from app.sla import Transfer
from app.technical.constants import UNFINISHED, Status
from app.technical.desk import Desk
from app.technical.exceptions import (
    DifferentCustomersError,
    InvalidMergeError,
    TicketNotFoundError,
    UnknownTicketError,
)
from app.technical.models import Merge, Ticket
from app.technical.service import handing, indexing, linking, references, waiting
from app.technical.service.changes import change, check_open, lock_all, record, subject_of
from app.technical.service.handing import MergeRecord


async def merge(
    session: AsyncSession,
    desk: Desk,
    source_id: UUID,
    *,
    target_id: UUID,
    actor: Principal,
    reason: str | None = None,
    expected: Expected = ANYTHING,
) -> Ticket:
    """Merge a ticket into another; returns the source.

    Its messages, participants, links, references and clocks go on with the target, whose own fields stay.
    Errors: ``TicketNotFoundError``, ``UnknownTicketError`` (the target), ``VersionMismatchError`` (of the
    source), ``InvalidMergeError`` (into itself), ``TicketMergedError`` and ``TicketClosedError`` (of either),
    ``DifferentCustomersError``, ``TooManyParticipantsError``.
    """
    await linking.one_at_a_time(session)
    tickets = await _lock_family(session, source_id, target_id, actor=actor)
    source, target = tickets[source_id], tickets[target_id]
    expected.check(source.version)
    _check(source, target)
    at = datetime.now(UTC)
    rooms = await handing.lock_conversations(session, [source_id, target_id])
    mine, theirs = rooms[source_id], rooms[target_id]
    waited = mine.unanswered_since, theirs.unanswered_since
    messages = await handing.messages_in(session, mine)
    participant_ids = await handing.add_participants(session, mine, theirs, actor=actor)
    await conversations.move(session, list(messages), to=theirs, actor=actor)
    still = waited[0] if source.status in UNFINISHED else None  # nobody waits for what is solved
    theirs = await waiting.since_either(session, theirs, still, waited[1])
    taken, given = await handing.move_links(session, source, target)
    found = MergeRecord(
        status=Status(source.status),
        status_changed_at=source.status_changed_at,
        source_since=waited[0],
        target_since=waited[1],
        messages=tuple(messages.items()),
        participant_ids=tuple(participant_ids),
        links_taken=tuple(taken),
        links_given=tuple(given),
        reference_ids=tuple(await references.hand_over(session, source_id, target_id)),
        merges=tuple(await _merges_into(session, source_id)),
        transfer=await _transfer(session, source, target, at=at, actor=actor),
    )
    await waiting.ensure(session, target, theirs, actor=actor)
    await _point(session, tickets, source_id, target_id, actor=actor)
    values = {"status": Status.merged, "status_changed_at": at, "merged_into_id": target_id}
    told = {"reason": redact(reason)} if reason else None
    source = await waiting.note(session, source, mine)
    source = await change(session, source, values, actor=actor, type="ticket.merged", told=told)
    await session.execute(
        insert(Merge).values(
            source_id=source_id,
            target_id=target_id,
            record=msgspec.to_builtins(found),
            created_at=func.clock_timestamp(),  # after all that it waited for
        )
    )
    await record(session, "ticket.absorbed", target, actor=actor, after={"source_id": source_id})
    await indexing.changed(session, desk, source)
    return source


def _check(source: Ticket, target: Ticket) -> None:
    if source.id == target.id:
        raise InvalidMergeError("A ticket cannot be merged into itself.")
    check_open(source)
    check_open(target)
    owners = {linking.owner_of(each) for each in (source, target)} - {None}
    if len(owners) > 1:
        raise DifferentCustomersError(
            "The tickets are of different customers, who would read each other's messages; link them."
        )


async def _lock_family(
    session: AsyncSession, source_id: UUID, target_id: UUID, *, actor: Principal
) -> dict[UUID, Ticket]:
    """Both, and what was merged into the source, in the order of their ids."""
    earlier = select(Ticket.id).where(Ticket.merged_into_id == source_id)
    ids = [source_id, target_id, *(await session.scalars(earlier))]
    found = await lock_all(session, ids, principal=actor)
    if source_id not in found:
        raise TicketNotFoundError("There is no such ticket.")
    if target_id not in found:
        raise UnknownTicketError("There is no such ticket to merge into.", target_id=target_id)
    return found


async def _merges_into(session: AsyncSession, ticket_id: UUID) -> Sequence[UUID]:
    """Merges that hold and whose sources point to the ticket."""
    statement = (
        select(Merge.id)
        .join(Ticket, Ticket.id == Merge.source_id)
        .where(Ticket.merged_into_id == ticket_id, Merge.undone_at.is_(None))
    )
    return (await session.scalars(statement.order_by(Merge.id))).all()


async def _point(
    session: AsyncSession, tickets: dict[UUID, Ticket], old: UUID, new: UUID, *, actor: Principal
) -> None:
    """What was merged into the one points to the other."""
    for each in tickets.values():
        if each.merged_into_id == old:
            values = {"merged_into_id": new}
            await change(session, each, values, actor=actor, type="ticket.merged")


async def _transfer(
    session: AsyncSession, source: Ticket, target: Ticket, *, at: datetime, actor: Principal
) -> Transfer:
    """The clocks. On a target that is solved nobody waits, as on any other that is solved."""
    found = await sla.transfer(session, subject_of(source.id), subject_of(target.id), at=at, actor=actor)
    if target.status in UNFINISHED:
        return found
    canceled = await sla.cancel(session, subject_of(target.id), at=at, kinds=sla.UNANSWERED, actor=actor)
    return structs.replace(found, kept=None) if canceled else found
