"""What the events of the rag room say: of documents who may read them, of answers no word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity import Principal
from app.rag.models import Answer, Chat, Collection, Document, Feedback
from app.rag.visibility import audience_name

DOCUMENT_FIELDS = (
    "collection_id",
    "title",
    "audience",
    "product",
    "product_version",
    "valid_from",
    "valid_until",
    "latest_version",
)


def fields_of(document: Document) -> dict[str, Any]:
    """The fields of a document that its events tell; the audience as people name it."""
    values = {name: getattr(document, name) for name in DOCUMENT_FIELDS}
    return values | {"audience": audience_name(document.audience)}


async def record_collection(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type
    collection: Collection,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """For staff: a collection by itself is nobody else's matter."""
    subject = Subject("collection", collection.id)
    await events.record(session, type, subject=subject, actor=actor, before=before, after=after)


async def record_document(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type
    document: Document,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """For staff: who of the customers may read a document changes, and what it was called is not for all."""
    subject = Subject("document", document.id)
    await events.record(session, type, subject=subject, actor=actor, before=before, after=after)


async def record_change(
    session: AsyncSession, document: Document, *, actor: Principal, before: Mapping[str, Any]
) -> None:
    """``document.version_added`` or ``document.updated`` with what differs from ``before``; else nothing."""
    after = fields_of(document)
    changed = [name for name, value in after.items() if before[name] != value]
    if changed:
        added = "latest_version" in changed
        await record_document(
            session,
            "document.version_added" if added else "document.updated",
            document,
            actor=actor,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )


async def record_chat(session: AsyncSession, chat: Chat, *, actor: Principal) -> None:
    """For its owner and for staff; a title may quote a question, so it is not told."""
    await events.record(
        session,
        "chat.created",
        subject=Subject("chat", chat.id),
        actor=actor,
        after={},
        person_id=chat.person_id,
        customer_visible=True,
    )


async def record_answer(session: AsyncSession, answer: Answer, *, actor: Principal) -> None:
    """For who asked and for staff: how it ended, not what was asked and answered."""
    await events.record(
        session,
        "answer.created",
        subject=Subject("answer", answer.id),
        actor=actor,
        after={"chat_id": answer.chat_id, "outcome": answer.outcome, "reason": answer.reason},
        person_id=answer.person_id,
        customer_visible=True,
    )


async def record_feedback(
    session: AsyncSession, feedback: Feedback, *, actor: Principal, before: str | None
) -> None:
    """For its giver and for staff: the verdict, not the comment."""
    await events.record(
        session,
        "feedback.given",
        subject=Subject("answer", feedback.answer_id),
        actor=actor,
        before=None if before is None else {"rating": before},
        after={"rating": feedback.rating},
        person_id=actor.person_id,
        customer_visible=True,
    )
