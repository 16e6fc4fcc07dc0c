"""What a merged ticket hands over to its target, and what of it comes back: all but its clocks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.conversations.constants import ParticipantRole
from app.conversations.models import Conversation, Message, Participant
from app.conversations.service.conversations import lock_all
from app.identity.models import Person
from app.identity.principal import Principal
from app.sla import Transfer
from app.technical.constants import SUBJECT_TYPE, LinkKind, Status
from app.technical.models import Ticket
from app.technical.service import linking
from app.technical.service.linking import Row

# As what somebody takes part in the target, by what they were in the source.
BECOMES = {
    ParticipantRole.requester: ParticipantRole.cc,
    ParticipantRole.assignee: ParticipantRole.watcher,
    ParticipantRole.watcher: ParticipantRole.watcher,
    ParticipantRole.cc: ParticipantRole.cc,
}


class MergeRecord(Struct, frozen=True, kw_only=True):
    """What undoing a merge restores; stored with the merge as JSON."""

    status: Status
    status_changed_at: datetime
    source_since: datetime | None  # when they waited for a reply
    target_since: datetime | None
    messages: tuple[tuple[UUID, int], ...]  # that were the source's, with their numbers there
    participant_ids: tuple[UUID, ...]  # that the target got
    links_taken: tuple[Row, ...]  # that the source had
    links_given: tuple[Row, ...]  # that the target got
    reference_ids: tuple[UUID, ...]  # that the target got
    merges: tuple[UUID, ...]  # into the source, which point to the target since
    transfer: Transfer


async def lock_conversations(session: AsyncSession, ticket_ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    """The tickets' conversations by the tickets' ids, locked; those who take part are held before."""
    of_tickets = (Conversation.subject_type == SUBJECT_TYPE, Conversation.subject_id.in_(ticket_ids))
    ids = list(await session.scalars(select(Conversation.id).where(*of_tickets)))
    people = select(Participant.person_id).where(
        Participant.conversation_id.in_(ids), Participant.person_id.is_not(None)
    )
    held = select(Person.id).where(Person.id.in_(people)).order_by(Person.id)
    await session.execute(held.with_for_update(read=True, key_share=True))
    locked = await lock_all(session, ids)
    return {each.subject_id: each for each in locked.values()}


async def messages_in(session: AsyncSession, conversation: Conversation) -> dict[UUID, int]:
    """The messages in a conversation with their numbers, oldest first."""
    statement = select(Message.id, Message.number).where(Message.conversation_id == conversation.id)
    found = await session.execute(statement.order_by(Message.created_at, Message.id))
    return {message_id: number for message_id, number in found}  # noqa: C416 - rows, not pairs


async def return_messages(
    session: AsyncSession,
    record: MergeRecord,
    *,
    from_: Conversation,
    to: Conversation,
    actor: Principal,
) -> None:
    """Move those back that are still there, each to the number that it had: no other was given it."""
    here = await messages_in(session, from_)
    numbers = {each: number for each, number in record.messages if each in here}
    for message in await conversations.move(session, list(numbers), to=to, actor=actor):
        message.number = numbers[message.id]
    await session.flush()


async def add_participants(
    session: AsyncSession, source: Conversation, target: Conversation, *, actor: Principal
) -> list[UUID]:
    """Let whoever takes part in the source take part in the target as well; ids of those added.

    Who wants no mail about the one wants none about the other. ``TooManyParticipantsError``.
    """
    there = await conversations.participants.list_all(session, target)
    known = {(each.person_id, each.email) for each in there}
    added = []
    for each in await conversations.participants.list_all(session, source):
        if (each.person_id, each.email) in known:
            continue
        known.add((each.person_id, each.email))
        made = await conversations.participants.add(
            session,
            target,
            actor=actor,
            role=BECOMES[ParticipantRole(each.role)],
            person_id=each.person_id,
            email=each.email,
        )
        added.append(made.id)
        if each.unsubscribed:
            await conversations.participants.unsubscribe(
                session, target, actor=actor, person_id=each.person_id, email=each.email
            )
    return added


async def remove_participants(
    session: AsyncSession, ids: Sequence[UUID], conversation: Conversation, *, actor: Principal
) -> None:
    """Take those out who came with a merge and are still there."""
    for each in await conversations.participants.list_all(session, conversation):
        if each.id in ids:
            await conversations.participants.remove(session, conversation, each.id, actor=actor)


async def move_links(session: AsyncSession, source: Ticket, target: Ticket) -> tuple[list[Row], list[Row]]:
    """Links of the source become the target's; (those taken, those given).

    One to the target itself is dropped, and so is a parent that would be its own ancestor.
    """
    taken = await linking.rows_of(session, source.id)
    await linking.remove(session, taken)
    return taken, await _give(session, taken, source.id, target.id)


async def return_links(session: AsyncSession, record: MergeRecord, source_id: UUID) -> None:
    """The source has its links again, to where the others have been merged since, and the target has not."""
    await linking.remove(session, record.links_given)
    ends = {end for row in record.links_taken for end in (row.ticket_id, row.other_id)} - {source_id}
    statement = select(Ticket.id, Ticket.merged_into_id).where(Ticket.id.in_(ends))
    gone_on = {one: into for one, into in await session.execute(statement) if into is not None}
    for row in record.links_taken:
        other = row.other_id if row.ticket_id == source_id else row.ticket_id
        await _give(session, [row], other, gone_on.get(other, other))


async def _give(session: AsyncSession, rows: Sequence[Row], old: UUID, new: UUID) -> list[Row]:
    """Insert the rows with ``new`` in the place of ``old``; those that came to be."""
    given = []
    for row in rows:
        ends = tuple(new if end == old else end for end in (row.ticket_id, row.other_id))
        if ends[0] == ends[1]:
            continue
        if row.kind is LinkKind.related:
            ends = (min(ends), max(ends))
        elif row.kind is LinkKind.parent and await linking.is_ancestor(session, ends[0], of=ends[1]):
            continue
        moved = Row(ticket_id=ends[0], kind=row.kind, other_id=ends[1])
        given += await linking.add(session, [moved])
    return given
