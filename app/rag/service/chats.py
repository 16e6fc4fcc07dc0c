"""Chats: questions in a row, each understood in the light of the ones before."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import Principal
from app.identity.service import hold_person
from app.listing import Listing, matching
from app.rag.evidence import Turn
from app.rag.exceptions import ChatNotFoundError
from app.rag.models import Answer, Chat
from app.rag.recording import record_chat
from app.rag.service import answers
from app.rag.visibility import answerable_to, owned
from app.redaction import redact

REMEMBERED = 3  # turns that a prompt shows
TITLE_LENGTH = 80  # characters of the first question

CHATS = Listing(
    Chat, sorts={"created_at": Chat.created_at, "updated_at": Chat.updated_at}, default="-created_at"
)
MESSAGES = Listing(Answer, sorts={"created_at": Answer.created_at}, default="-created_at")


async def create(session: AsyncSession, *, title: str | None, principal: Principal) -> Chat:
    """A new chat of the caller's own."""
    await hold_person(session, principal.person_id)
    chat = Chat(
        person_id=principal.person_id, key_id=principal.key_id, title=None if title is None else redact(title)
    )
    session.add(chat)
    await session.flush()
    await session.refresh(chat)
    await record_chat(session, chat, actor=principal)
    return chat


async def get(session: AsyncSession, chat_id: UUID, *, principal: Principal, own: bool = False) -> Chat:
    """One chat: of the reader's own, or any for staff unless ``own``."""
    rule = owned(Chat, principal) if own else answerable_to(Chat, principal)
    chat = await session.scalar(select(Chat).where(Chat.id == chat_id, rule))
    if chat is None:
        raise ChatNotFoundError("No such chat.")
    return chat


def owned_by(principal: Principal, *, text: str | None = None) -> Select[Chat]:
    """The reader's own chats."""
    return select(Chat).where(owned(Chat, principal), matching(text, Chat.title))


async def messages_of(session: AsyncSession, chat_id: UUID, *, principal: Principal) -> Select[Answer]:
    """A chat's questions and answers."""
    await get(session, chat_id, principal=principal)
    return select(Answer).where(Answer.chat_id == chat_id)


async def history(session: AsyncSession, chat_id: UUID, *, principal: Principal) -> list[Turn]:
    """The last turns of a chat that the caller may add to, oldest first."""
    await get(session, chat_id, principal=principal, own=True)
    newest = await session.scalars(
        select(Answer)
        .where(Answer.chat_id == chat_id)
        .order_by(Answer.created_at.desc(), Answer.id.desc())
        .limit(REMEMBERED)
    )
    turns = list(reversed(newest.all()))
    # What the reader may no longer see is not told to the model either.
    shown = await answers.show_to(session, turns, principal=principal)
    return [
        Turn(question=each.question, standalone=each.standalone_question, answer=view.text)
        for each, view in zip(turns, shown, strict=True)
    ]


async def name_after(session: AsyncSession, chat_id: UUID, question: str) -> None:
    """A chat without a title is called by its first question."""
    await session.execute(
        update(Chat)
        .where(Chat.id == chat_id, Chat.title.is_(None))
        .values(title=" ".join(question.split())[:TITLE_LENGTH])
    )
