"""Conversations: opened by a desk, found by its subject, locked for a change, their times kept right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.conversations.constants import ParticipantRole
from app.conversations.exceptions import ConversationExistsError, ConversationNotFoundError
from app.conversations.models import Conversation, Participant
from app.conversations.service.access import conversations_of
from app.events import Subject
from app.identity.principal import Principal

FRESH = {"populate_existing": True}

# The times of a conversation from its messages, after some came or went.
RECOUNT = text("""
update conversation c set
    version = c.version + 1,
    updated_at = now(),
    last_message_at = s.last_message,
    last_customer_message_at = s.last_customer,
    last_staff_reply_at = s.last_reply,
    first_reply_at = s.first_reply,
    unanswered_since = (
        select min(m.created_at) from message m
        where m.conversation_id = c.id and m.kind = 'public' and m.speaker = 'customer' and not m.automatic
            and (s.last_reply is null or m.created_at > s.last_reply)
    )
from (
    select max(created_at) as last_message,
        max(created_at) filter (where counts and speaker = 'customer') as last_customer,
        max(created_at) filter (where counts and speaker = 'staff') as last_reply,
        min(created_at) filter (where counts and speaker = 'staff') as first_reply
    from (
        select created_at, speaker, kind = 'public' and not automatic as counts
        from message where conversation_id = :id
    ) each_message
) s
where c.id = :id
""")


async def open_conversation(
    session: AsyncSession,
    subject: Subject,
    *,
    actor: Principal,
    account_id: UUID | None = None,
    requester_id: UUID | None = None,
) -> Conversation:
    """The conversation of a new subject, whose requester takes part in it. Account and person must exist.

    ``ConversationExistsError`` when the subject has one.
    """
    values = {"subject_type": subject.type, "subject_id": subject.id, "account_id": account_id}
    statement = insert(Conversation).values(values | {"requester_id": requester_id}).on_conflict_do_nothing()
    made = (await session.scalars(statement.returning(Conversation))).one_or_none()
    if made is None:
        raise ConversationExistsError(
            "The subject has a conversation already.", id=await _id_of(session, subject)
        )
    if requester_id is not None:
        session.add(
            Participant(
                conversation_id=made.id,
                role=ParticipantRole.requester,
                person_id=requester_id,
                added_by=actor.person_id or actor.key_id,
            )
        )
        await session.flush()
    await record(session, "conversation.opened", made, actor=actor, after={"conversation_id": made.id})
    return made


async def get(session: AsyncSession, subject: Subject, *, principal: Principal) -> Conversation:
    """The subject's conversation; ``ConversationNotFoundError`` also when the caller may not see it."""
    statement = select(Conversation).where(
        Conversation.subject_type == subject.type, Conversation.subject_id == subject.id
    )
    found = await session.scalar(statement.where(conversations_of(principal)), execution_options=FRESH)
    if found is None:
        raise ConversationNotFoundError("There is no such conversation.")
    return found


async def lock(session: AsyncSession, conversation_id: UUID, *, principal: Principal) -> Conversation:
    """The conversation as it is now, kept from changing until the transaction ends; errors as ``get``."""
    statement = select(Conversation).where(Conversation.id == conversation_id, conversations_of(principal))
    found = await session.scalar(statement.with_for_update(of=Conversation), execution_options=FRESH)
    if found is None:
        raise ConversationNotFoundError("There is no such conversation.")
    return found


async def lock_all(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    """Those of the conversations that there are, locked in the order of their ids, by id."""
    statement = select(Conversation).where(Conversation.id.in_(ids)).order_by(Conversation.id)
    found = await session.scalars(statement.with_for_update(), execution_options=FRESH)
    return {each.id: each for each in found}


async def check_visible(session: AsyncSession, conversation_id: UUID, *, principal: Principal) -> None:
    """``ConversationNotFoundError`` unless the caller may see the conversation."""
    statement = select(func.count()).where(Conversation.id == conversation_id, conversations_of(principal))
    if not await session.scalar(statement):
        raise ConversationNotFoundError("There is no such conversation.")


async def change(session: AsyncSession, conversation: Conversation, **values: Any) -> Conversation:
    """Change a locked conversation, one version further."""
    statement = (
        update(Conversation)
        .where(Conversation.id == conversation.id)
        .values(version=Conversation.version + 1, **values)
        .returning(Conversation)
    )
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def give(
    session: AsyncSession, conversation: Conversation, account_id: UUID | None, *, actor: Principal
) -> Conversation:
    """Make it another account's, as its subject is now: who may see that account's things sees it, and who
    saw it as the former account's no longer does. The same account once more changes nothing."""
    locked = await lock(session, conversation.id, principal=actor)
    if locked.account_id == account_id:
        return locked
    changed = await change(session, locked, account_id=account_id)
    after = {"conversation_id": changed.id, "account_id": account_id}
    await record(session, "conversation.given", changed, actor=actor, after=after)
    return changed


async def recount(session: AsyncSession, conversation: Conversation) -> None:
    """Set the times of a locked conversation from the messages that are in it now."""
    await session.execute(RECOUNT, {"id": conversation.id})
    await session.refresh(conversation)


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    conversation: Conversation,
    *,
    actor: Principal,
    after: Mapping[str, Any],
    customer_visible: bool = False,
    audit: bool = False,
) -> None:
    """An event about the desk's own subject, so that it keeps its place among the desk's events."""
    await events.record(
        session,
        type,
        subject=Subject(conversation.subject_type, conversation.subject_id),
        actor=actor,
        after=after,
        account_id=conversation.account_id,
        person_id=conversation.requester_id,
        customer_visible=customer_visible,
        audit=audit,
    )


async def _id_of(session: AsyncSession, subject: Subject) -> UUID | None:
    statement = select(Conversation.id).where(
        Conversation.subject_type == subject.type, Conversation.subject_id == subject.id
    )
    return await session.scalar(statement)
