"""A cited draft reply to a ticket, and passages for the agent; without them when documents are away."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import Speaker
from app.conversations.models import Message
from app.database import Database
from app.exceptions import DatabaseUnavailableError, UnavailableError
from app.identity.models import Person
from app.identity.principal import Principal
from app.knowledge import Answers, Draft, Exchange, Outcome, Passage
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.schemas.suggestions import NoDraft, SuggestedReply
from app.technical.service.changes import subject_of
from app.technical.service.composing import last_messages
from app.technical.utils.pleasantries import essence

logger = logging.getLogger(__name__)

EXCHANGES = 3  # earlier questions and answers that a question is understood by


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be answered, and for whom."""

    ticket_id: UUID
    account_id: UUID | None  # of the requester: what they may read
    question: str = field(repr=False)
    history: tuple[Exchange, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """What the documents gave."""

    reply: SuggestedReply | None = None
    missing: NoDraft | None = None
    hints: Sequence[Passage] = ()


async def wanted(session: AsyncSession, ticket: Ticket) -> Wanted:
    """The customer's words since the last reply, as they were said; the ticket itself until there is one."""
    said = [each for each in reversed(await last_messages(session, ticket.id)) if each.body_text.strip()]
    requester = select(Person.account_id).where(Person.id == ticket.requester_id)
    exchanges = [_exchange(*each) for each in _turns(said)]
    first = f"{ticket.subject}\n\n{essence(ticket.description)}"
    return Wanted(
        ticket_id=ticket.id,
        account_id=await session.scalar(requester),
        question=exchanges[-1].question if len(exchanges) > 1 else first,
        history=tuple(exchanges[:-1][-EXCHANGES:]),
    )


async def draft(
    database: Database, desk: Desk, asked: Wanted, *, principal: Principal, write: bool, limit: int
) -> Help:
    """The draft, if it is to be written, and hints; no transaction is open while models work."""
    if desk.answers is None:
        return Help(missing=NoDraft.unavailable)
    try:
        return await _draft(database, desk.answers, asked, principal=principal, write=write, limit=limit)
    except DatabaseUnavailableError:
        raise
    except UnavailableError as error:
        logger.warning("a ticket is without a draft: %s", error.code)
        return Help(missing=NoDraft.unavailable)


async def _draft(
    database: Database, answers: Answers, asked: Wanted, *, principal: Principal, write: bool, limit: int
) -> Help:
    understood = await answers.understand(asked.question, history=asked.history)
    async with database.session() as session:
        found = await answers.retrieve(
            session,
            understood,
            principal=principal,
            account_id=asked.account_id,
            exclude=subject_of(asked.ticket_id),
            limit=limit,
        )
    if not write:
        return Help(missing=NoDraft.left_out, hints=found.hints)
    written = await answers.write(found)
    if written.outcome is Outcome.ABSTAINED or not written.text:
        return Help(missing=NoDraft.abstained, hints=found.hints)
    return Help(reply=_reply(written), hints=found.hints)


def _reply(written: Draft) -> SuggestedReply:
    return SuggestedReply(
        text=written.text,
        citations=written.citations,
        outcome=written.outcome,
        confidence=written.confidence,
        model=written.model,
        extractive=written.extractive,
        sources=written.sources,
    )


def _turns(said: Sequence[Message]) -> list[tuple[list[Message], list[Message]]]:
    """Runs of the customer's messages, each with the staff's that follow it; the last may have none yet.

    A last run that was answered stays the one to be answered: an agent asks for help with what was asked.
    """
    turns: list[tuple[list[Message], list[Message]]] = []
    for each in said:
        if each.speaker == Speaker.customer:
            if not turns or turns[-1][1]:
                turns.append(([], []))
            turns[-1][0].append(each)
        elif turns:
            turns[-1][1].append(each)
    return turns


def _exchange(asked: Sequence[Message], answered: Sequence[Message]) -> Exchange:
    return Exchange(
        question="\n\n".join(essence(each.body_text) for each in asked),
        answer="\n\n".join(essence(each.body_text) for each in answered),
    )
