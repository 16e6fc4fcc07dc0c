"""Full-text search over messages and the texts of their attachments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import QUERY_MAX
from app.conversations.models import Attachment, Conversation, Message
from app.conversations.service.access import conversations_of, messages_of
from app.identity.principal import Principal

EXCERPTED = 20_000  # characters of a message that an excerpt is looked for in
HEADLINE = 'StartSel="", StopSel="", MaxWords=30, MinWords=12, MaxFragments=1'


@dataclass(frozen=True, slots=True)
class Found:
    """A message that matches: in its text, or in an attachment's name or text."""

    subject_id: UUID
    conversation_id: UUID
    message_id: UUID
    number: int
    created_at: datetime
    excerpt: str  # plain text around the words, or the message's beginning


def subjects_matching(principal: Principal, query: str, *, subject_type: str) -> Select[UUID]:
    """Ids of the subjects with a message that matches and that the caller may read, as a sub-query.

    For a desk's list: ``where(Ticket.id.in_(subjects_matching(principal, q, subject_type="ticket")))``.
    """
    wanted, readable = _tsquery(query), messages_of(principal)
    # The messages' own conversations, not the messages: a common word has too many of those to go back to.
    in_texts = select(Message.conversation_id).where(Message.search.op("@@")(wanted), readable)
    in_files = (
        select(Message.conversation_id)
        .join(Attachment, Attachment.message_id == Message.id)
        .where(Attachment.search.op("@@")(wanted), readable)
    )
    return select(Conversation.subject_id).where(
        Conversation.id.in_(union(in_texts, in_files)),
        Conversation.subject_type == subject_type,
        conversations_of(principal),
    )


async def search(
    session: AsyncSession, principal: Principal, query: str, *, subject_type: str, limit: int = 20
) -> Sequence[Found]:
    """The newest messages that match and that the caller may read.

    ``query`` as people type it: words that all occur, ``"a phrase"``, ``or``, ``-not``; words whole, without
    regard to case, in any language.
    """
    excerpt = func.ts_headline("simple", func.left(Message.body_text, EXCERPTED), _tsquery(query), HEADLINE)
    columns = (
        Conversation.subject_id,
        Message.conversation_id,
        Message.id,
        Message.number,
        Message.created_at,
        excerpt,
    )
    newest = _matching(select(*columns), principal, query, subject_type).order_by(
        Message.created_at.desc(), Message.id.desc()
    )
    return [Found(*row) for row in await session.execute(newest.limit(limit))]


def _matching(statement: Select[Any], principal: Principal, query: str, subject_type: str) -> Select[Any]:
    wanted = _tsquery(query)
    in_texts = select(Message.id).where(Message.search.op("@@")(wanted))
    in_files = select(Attachment.message_id).where(
        Attachment.message_id.is_not(None), Attachment.search.op("@@")(wanted)
    )
    return (
        statement.select_from(Message)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Message.id.in_(union(in_texts, in_files)),
            Conversation.subject_type == subject_type,
            conversations_of(principal),
            messages_of(principal),
        )
    )


def _tsquery(query: str) -> ColumnElement[Any]:
    return func.websearch_to_tsquery("simple", query.replace("\0", " ")[:QUERY_MAX])
