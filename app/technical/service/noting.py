"""Bringing the index in line with resolution notes, in their transaction or, after an outage, soon after."""

from __future__ import annotations

import logging
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.exceptions import DatabaseUnavailableError, UnavailableError
from app.identity.principal import SYSTEM, Principal
from app.knowledge import Answers, ResolutionNote
from app.technical.desk import Desk
from app.technical.models import Resolution, Ticket
from app.technical.service.changes import subject_of
from app.technical.utils.numbers import TICKETS

logger = logging.getLogger(__name__)

STAFF = "staff"
PUBLISHED = "published"
BATCH = 100
SWEEP_SECONDS = 60.0  # between two looks at what an outage has left undone


async def settle(
    session: AsyncSession, desk: Desk, ticket: Ticket, note: Resolution, *, actor: Principal
) -> bool:
    """Put a locked note into the index as it is now, or take it out; whether that could be done.

    Without an index within reach it waits for ``sweep``: a ticket is not kept from being solved by that.
    """
    if desk.answers is None:
        return False
    try:
        async with session.begin_nested():
            document_id = await _settled(session, desk.answers, ticket, note, actor=actor)
    except DatabaseUnavailableError:
        raise
    except UnavailableError as error:
        logger.warning("a resolution note waits for the index: %s", error.code)
        return False
    # Its version counts what people change, and this is none of it.
    statement = update(Resolution).where(Resolution.ticket_id == ticket.id).values(document_id=document_id)
    await session.execute(statement)
    await session.refresh(note)
    return True


async def sweep(database: Database, desk: Desk) -> int:
    """Settle what an outage has left; how many notes that were. Any number of sweeps may run at once."""
    done = 0
    while True:
        async with database.session() as session:
            settled = await _settle_batch(session, desk)
        done += settled
        if settled < BATCH:
            return done


async def _settle_batch(session: AsyncSession, desk: Desk) -> int:
    """Tickets first, as everybody locks; one that somebody is changing settles its note itself."""
    pending = select(Resolution.ticket_id).where(
        (Resolution.state == PUBLISHED) == Resolution.document_id.is_(None)
    )
    statement = select(Ticket).where(Ticket.id.in_(pending)).order_by(Ticket.id).limit(BATCH)
    found = await session.scalars(statement.with_for_update(skip_locked=True))
    return sum([await _settle_one(session, desk, each) for each in found.all()])


async def _settle_one(session: AsyncSession, desk: Desk, ticket: Ticket) -> bool:
    note = await session.get(Resolution, ticket.id, with_for_update=True, populate_existing=True)
    return note is not None and await settle(session, desk, ticket, note, actor=SYSTEM)


async def _settled(
    session: AsyncSession, answers: Answers, ticket: Ticket, note: Resolution, *, actor: Principal
) -> UUID | None:
    """What the index has it as; None: nothing."""
    thread = subject_of(ticket.id)
    if note.state != PUBLISHED:
        await answers.withdraw(session, thread, actor=actor)
        return None
    document_id = await answers.publish(session, _note(ticket, note), actor=actor)
    if note.audience == STAFF and note.document_id is None:
        return document_id
    # The same text once more is published as it was, with the audience that it had.
    return await answers.review(session, thread, audience=note.audience, actor=actor)


def _note(ticket: Ticket, note: Resolution) -> ResolutionNote:
    return ResolutionNote(
        thread=subject_of(ticket.id),
        number=TICKETS.shown(ticket.number),
        title=note.title,
        problem=note.problem,
        solution=note.solution,
        product=ticket.product,
        component=ticket.component,
        product_version=ticket.product_version,
    )
