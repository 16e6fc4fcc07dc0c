"""Chats: questions in a row, each understood in the light of the ones before."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import Principal
from app.pagination import after
from app.rag.evidence import Turn
from app.rag.exceptions import ChatNotFoundError
from app.rag.models import Answer, Chat
from app.rag.service import answers
from app.rag.visibility import answerable_to, owned

REMEMBERED = 3  # turns that a prompt shows
TITLE_LENGTH = 80  # characters of the first question


async def create(session: AsyncSession, *, title: str | None, principal: Principal) -> Chat:
    """A new chat of the caller's own."""
    chat = Chat(person_id=principal.person_id, key_id=principal.key_id, title=title)
    session.add(chat)
    await session.flush()
    await session.refresh(chat)
    return chat


async def get(session: AsyncSession, chat_id: UUID, *, principal: Principal, own: bool = False) -> Chat:
    """One chat: of the reader's own, or any for staff unless ``own``."""
    rule = owned(Chat, principal) if own else answerable_to(Chat, principal)
    chat = await session.scalar(select(Chat).where(Chat.id == chat_id, rule))
    if chat is None:
        raise ChatNotFoundError("No such chat.")
    return chat


async def list_page(
    session: AsyncSession, *, principal: Principal, cursor: str | None, limit: int
) -> Sequence[Chat]:
    """The reader's own chats, newest first, one row more than ``limit``."""
    statement = select(Chat).where(owned(Chat, principal))
    return (
        await session.scalars(after(statement, key=Chat.created_at, id=Chat.id, cursor=cursor, limit=limit))
    ).all()


async def messages_page(
    session: AsyncSession, chat_id: UUID, *, principal: Principal, cursor: str | None, limit: int
) -> Sequence[Answer]:
    """A chat's questions and answers, newest first, one row more than ``limit``."""
    await get(session, chat_id, principal=principal)
    statement = select(Answer).where(Answer.chat_id == chat_id)
    return (
        await session.scalars(
            after(statement, key=Answer.created_at, id=Answer.id, cursor=cursor, limit=limit)
        )
    ).all()


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
