"""What the rag room holds about a person: ``RAG_DATA``, as ``knowledge.PersonalData``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ColumnElement, Delete, Update

from app.rag.ingest import forget_words
from app.rag.models import Answer, Chat, Document, Feedback

CHAT_FIELDS = ("id", "title", "created_at", "updated_at")
ANSWER_FIELDS = ("id", "chat_id", "question", "outcome", "reason", "text", "citations", "created_at")
FEEDBACK_FIELDS = ("answer_id", "rating", "comment", "created_at", "updated_at")
DOCUMENT_FIELDS = ("id", "title", "source", "filename", "created_at")


class RagData:
    """Chats, questions with their answers, and verdicts are the person's; documents are the company's."""

    name = "rag"

    async def hold(self, session: AsyncSession, person_id: UUID) -> None:
        """Nothing: what the room has is locked after the person."""

    async def export(
        self, session: AsyncSession, person_id: UUID
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Chats, answers, feedback, and which documents they uploaded."""
        kinds: dict[str, tuple[Any, tuple[str, ...], ColumnElement[bool]]] = {
            "chats": (Chat, CHAT_FIELDS, Chat.person_id == person_id),
            "answers": (Answer, ANSWER_FIELDS, _asked_by(person_id)),
            "feedback": (Feedback, FEEDBACK_FIELDS, Feedback.rater == person_id),
            "documents": (Document, DOCUMENT_FIELDS, Document.created_by == person_id),
        }
        return {
            kind: await _rows(session, table, fields, rule) for kind, (table, fields, rule) in kinds.items()
        }

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """Delete all but documents, which forget who uploaded them. Questions have no stored vectors."""
        await forget_words(session)  # desks before this room have taken notes out of the index
        return {
            "feedback": await _count(session, delete(Feedback).where(Feedback.rater == person_id)),
            "answers": await _count(session, delete(Answer).where(_asked_by(person_id))),
            "chats": await _count(session, delete(Chat).where(Chat.person_id == person_id)),
            "documents_unlinked": await _count(
                session, update(Document).where(Document.created_by == person_id).values(created_by=None)
            ),
        }


RAG_DATA = RagData()


def _asked_by(person_id: UUID) -> ColumnElement[bool]:
    chats = select(Chat.id).where(Chat.person_id == person_id)
    return or_(Answer.person_id == person_id, Answer.chat_id.in_(chats))


async def _rows(
    session: AsyncSession, table: Any, fields: Sequence[str], rule: ColumnElement[bool]
) -> list[dict[str, Any]]:
    statement = select(*(getattr(table, name) for name in fields)).where(rule)
    found = await session.execute(statement.order_by(table.created_at, table.id))
    return [dict(row) for row in found.mappings()]


async def _count(session: AsyncSession, statement: Delete | Update) -> int:
    found = await session.execute(statement.execution_options(synchronize_session=False))
    return int(found.rowcount)  # type: ignore[attr-defined]  # a cursor's result
