"""What the room knows about a person: handed out, or taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, delete, false, func, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.models import Attachment, Conversation, Message, Participant
from app.conversations.service import conversations
from app.identity.models import Person
from app.identity.principal import SYSTEM

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


class ConversationsData:
    """The room's share in a person's export and erasure."""

    name = "conversations"

    async def hold(self, session: AsyncSession, person_id: UUID) -> None:
        """Nothing: what the room has is locked after the person."""

    async def export(self, session: AsyncSession, person_id: UUID) -> Rows:
        """The conversations that the person asked for, what they wrote, sent and take part in.

        Files by their names and sizes: their contents are at ``/v1/attachments/{id}/content``.
        """
        address = await _email(session, person_id)
        return {
            "conversations": await _rows(
                session,
                select(
                    Conversation.id,
                    Conversation.subject_type,
                    Conversation.subject_id,
                    Conversation.created_at,
                ).where(Conversation.requester_id == person_id),
            ),
            "messages": await _rows(
                session,
                select(
                    Message.id,
                    Message.conversation_id,
                    Message.number,
                    Message.kind,
                    Message.channel,
                    Message.body_raw.label("body"),
                    Message.created_at,
                ).where(Message.author_person_id == person_id),
            ),
            "attachments": await _rows(
                session,
                select(
                    Attachment.id,
                    Attachment.message_id,
                    Attachment.name,
                    Attachment.media_type,
                    Attachment.size,
                    Attachment.sha256,
                    Attachment.created_at,
                ).where(Attachment.uploader_person_id == person_id),
            ),
            "participations": await _rows(
                session,
                select(
                    Participant.id,
                    Participant.conversation_id,
                    Participant.role,
                    Participant.email,
                    Participant.created_at,
                ).where(_is(person_id, address)),
            ),
        }

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """Remove the person's texts, files and participations, and their id from what remains.

        A message stays as a place without words and author. What others wrote stays, also where it quotes
        the person. One event a conversation says that it happened, not to whom.
        """
        address = await _email(session, person_id)
        touched = await conversations.lock_all(session, await _conversations_of(session, person_id, address))
        files = await session.execute(
            delete(Attachment).where(
                or_(
                    Attachment.uploader_person_id == person_id,
                    Attachment.message_id.in_(select(Message.id).where(_wrote(person_id, address))),
                )
            )
        )
        texts = await session.execute(
            update(Message)
            .where(_wrote(person_id, address))
            .values(
                author_person_id=None,
                author_key_id=None,
                author_email=None,
                email_message_id=None,
                body_raw="",
                body_html="",
                body_text="",
                redacted_at=func.coalesce(Message.redacted_at, func.now()),
                version=Message.version + 1,
            )
        )
        places = await session.execute(delete(Participant).where(_is(person_id, address)))
        await session.execute(
            update(Conversation).where(Conversation.requester_id == person_id).values(requester_id=None)
        )
        for each in touched.values():
            changed = await conversations.change(session, each)
            await conversations.record(
                session, "conversation.erased", changed, actor=SYSTEM, after={}, audit=True
            )
        return {
            "conversations": len(touched),
            "messages": _count(texts),
            "attachments": _count(files),
            "participations": _count(places),
        }


async def _email(session: AsyncSession, person_id: UUID) -> str | None:
    """The person's address, which may stand where they were not known as a person."""
    return await session.scalar(select(func.lower(Person.email)).where(Person.id == person_id))


async def _rows(session: AsyncSession, statement: Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
    found = await session.execute(statement.order_by(statement.selected_columns.created_at))
    return [msgspec.to_builtins(dict(row)) for row in found.mappings()]


async def _conversations_of(session: AsyncSession, person_id: UUID, address: str | None) -> list[UUID]:
    """Where something of the person is, to be locked before anything else."""
    found = await session.scalars(
        union(
            select(Conversation.id).where(Conversation.requester_id == person_id),
            select(Message.conversation_id).where(_wrote(person_id, address)),
            select(Participant.conversation_id).where(_is(person_id, address)),
            select(Message.conversation_id)
            .join(Attachment, Attachment.message_id == Message.id)
            .where(Attachment.uploader_person_id == person_id),
        )
    )
    return list(found)


def _wrote(person_id: UUID, address: str | None) -> ColumnElement[bool]:
    by_address = Message.author_email == address if address is not None else false()
    return or_(Message.author_person_id == person_id, by_address)


def _is(person_id: UUID, address: str | None) -> ColumnElement[bool]:
    by_address = Participant.email == address if address is not None else false()
    return or_(Participant.person_id == person_id, by_address)


def _count(result: Any) -> int:
    return int(result.rowcount)


CONVERSATIONS_DATA = ConversationsData()
