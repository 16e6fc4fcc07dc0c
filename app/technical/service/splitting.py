"""Splitting a ticket: some of its messages become one of their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations, sla
from app.conversations.constants import BODY_MAX_BYTES, BodyFormat, MessageKind, ParticipantRole, Speaker
from app.conversations.models import Conversation, Message
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected
from app.technical.constants import Relation, Source
from app.technical.desk import Desk
from app.technical.exceptions import InvalidSplitError, UnknownAssigneeError
from app.technical.models import Ticket
from app.technical.service import assigning, handing, linking, tickets, waiting
from app.technical.service.changes import lock_open, record, subject_of
from app.technical.service.replies import INHERITED


async def split(
    session: AsyncSession,
    desk: Desk,
    ticket_id: UUID,
    *,
    message_ids: Collection[UUID],
    subject: str,
    description: str | None = None,
    actor: Principal,
    expected: Expected = ANYTHING,
) -> Ticket:
    """Make a new ticket of some messages, of the same customer and about the same product; returns it.

    Its description is the text of the first public message among them, if no other is given; it is linked
    with the old one, and whoever takes part there takes part here. The first message of a ticket, which is
    its description, stays. The new one's clocks count since the oldest of the messages that waited for a
    reply, or from now; those of the old one follow what it is left with.

    Errors: ``TicketNotFoundError``, ``TicketMergedError``, ``TicketClosedError``, ``VersionMismatchError``,
    ``InvalidSplitError``, ``UnknownRequesterError`` (who has gone to another account since).
    """
    await assigning.lock_team_of(session, ticket_id)
    old = await lock_open(session, ticket_id, principal=actor)
    expected.check(old.version)
    room = (await handing.lock_conversations(session, [old.id]))[old.id]
    chosen = await _chosen(session, room, message_ids)
    text = description or _text_of(chosen)
    waited, at = room.unanswered_since, datetime.now(UTC)
    values = await _values(session, old) | {"subject": subject, "description": text}
    since = _waiting_since(chosen, waited) or at
    new = (await tickets.open_ticket(session, desk, values, actor=actor, message=None, at=since)).ticket
    there = await conversations.get(session, subject_of(new.id), principal=actor)
    await _copy_participants(session, room, there, actor=actor)
    await conversations.move(session, [each.id for each in chosen], to=there, actor=actor)
    if there.first_reply_at is not None:
        answered = {sla.ClockKind.first_response}
        await sla.satisfy(session, subject_of(new.id), answered, at=there.first_reply_at, actor=actor)
    new = await waiting.settle(session, new, there, at=at, actor=actor)
    room = await waiting.since_left(session, room, waited, after=waited)
    anew = room.unanswered_since != waited
    await waiting.settle(session, old, room, at=at, actor=actor, anew=anew)
    await linking.add(session, [linking.row_of(new.id, Relation.related, old.id)])
    await record(session, "ticket.split", old, actor=actor, after={"split_into_id": new.id})
    return new


async def _chosen(session: AsyncSession, room: Conversation, message_ids: Collection[UUID]) -> list[Message]:
    """The messages, oldest first."""
    wanted = set(message_ids)
    statement = select(Message).where(Message.conversation_id == room.id)
    ordered = statement.order_by(Message.created_at, Message.id)
    present = (await session.scalars(ordered, execution_options={"populate_existing": True})).all()
    if missing := wanted - {each.id for each in present}:
        raise InvalidSplitError("The ticket has no such messages.", message_ids=sorted(missing))
    first = min(present, key=lambda each: each.number)
    if first.id in wanted:
        raise InvalidSplitError("The first message, the ticket's description, stays.", message_ids=[first.id])
    return [each for each in present if each.id in wanted]


def _text_of(messages: Sequence[Message]) -> str:
    """What the customer may read of the first that they may read; notes are the staff's."""
    for each in messages:
        if each.kind == MessageKind.public and each.body_text.strip():
            text = each.body_text if each.body_format == BodyFormat.html else each.body_raw
            return text[:BODY_MAX_BYTES]
    raise InvalidSplitError(
        "No public message among these has a text: give a description.",
        message_ids=[each.id for each in messages],
    )


def _waiting_since(messages: Sequence[Message], waited: datetime | None) -> datetime | None:
    """When the oldest of them was written that no reply on the old ticket has followed."""
    if waited is None:
        return None
    asks = (
        each.created_at
        for each in messages
        if each.kind == MessageKind.public and each.speaker == Speaker.customer and not each.automatic
    )
    return min((each for each in asks if each >= waited), default=None)


async def _values(session: AsyncSession, ticket: Ticket) -> dict[str, Any]:
    """Columns of the new ticket; whoever works on the old one goes on, if they still do."""
    values = {name: getattr(ticket, name) for name in INHERITED}
    values |= {"source": Source.split_off, "assignee_id": ticket.assignee_id}
    try:
        await assigning.check_assignee(session, ticket.assignee_id)
    except UnknownAssigneeError:
        values["assignee_id"] = None
    return values


async def _copy_participants(
    session: AsyncSession, old: Conversation, new: Conversation, *, actor: Principal
) -> None:
    """The requester by e-mail, where the ticket has no person for one, and everybody besides."""
    for each in await conversations.participants.list_all(session, old):
        if each.role == ParticipantRole.requester and each.email is not None:
            await conversations.participants.add(
                session, new, actor=actor, role=ParticipantRole.requester, email=each.email
            )
    await handing.add_participants(session, old, new, actor=actor)
