"""Messages go from one conversation to another, and back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.models import Attachment, Conversation, Message
from app.conversations.service import conversations
from app.identity.principal import Principal

FRESH = {"populate_existing": True}


async def move(
    session: AsyncSession, message_ids: Sequence[UUID], *, to: Conversation, actor: Principal
) -> Sequence[Message]:
    """Move messages, with their attachments, to another conversation: for merging, splitting, undoing.

    They keep their times and so stand between the others; they get the next numbers there, and their own
    again when they come back to where they were posted. Participants stay. Ids of messages that do not exist
    are passed over; a desk checks what may be moved. Returns the moved, oldest first.
    """
    wanted = select(Message.conversation_id).where(Message.id.in_(message_ids)).distinct()
    places = await conversations.lock_all(session, [to.id, *(await session.scalars(wanted))])
    target = places[to.id]
    statement = select(Message).where(
        Message.id.in_(message_ids), Message.conversation_id.in_(set(places) - {target.id})
    )
    ordered = statement.order_by(Message.created_at, Message.id).with_for_update()
    messages = (await session.scalars(ordered, execution_options=FRESH)).all()
    number = target.last_number
    taken: dict[UUID, list[Message]] = {}
    for message in messages:
        taken.setdefault(message.conversation_id, []).append(message)
        number = _place(message, target, number)
    if not messages:
        return messages
    await session.flush()
    await conversations.change(session, target, last_number=number)
    ids = [each.id for each in messages]
    await session.execute(
        update(Attachment).where(Attachment.message_id.in_(ids)).values(conversation_id=target.id)
    )
    for conversation in (target, *(places[each] for each in taken)):
        await conversations.recount(session, conversation)
    for source, gone in taken.items():
        moved = {"message_ids": [each.id for each in gone], "from": source, "to": target.id}
        await conversations.record(session, "messages.moved", places[source], actor=actor, after=moved)
        await conversations.record(session, "messages.moved", target, actor=actor, after=moved)
    return messages


def _place(message: Message, target: Conversation, last_number: int) -> int:
    """Put one message into the target; returns the last number given there."""
    if message.origin_conversation_id is None:
        message.origin_conversation_id = message.conversation_id
        message.origin_number = message.number
    message.conversation_id = target.id
    message.version += 1
    if message.origin_conversation_id == target.id and message.origin_number is not None:
        message.number = message.origin_number
        message.origin_conversation_id = message.origin_number = None
        return last_number
    message.number = last_number + 1
    return last_number + 1
