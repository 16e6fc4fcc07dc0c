"""What the searchable side of the house knows of a ticket: its likeness, and its resolution note.

Likeness is the staff's, as the index has it: whose tickets a customer may compare with is asked of the
tickets themselves, in the same statement, so that it cannot be out of date.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import matching
from app.database import Database
from app.identity.principal import SYSTEM, Principal
from app.matching import Entry
from app.matching.models import Matchable
from app.technical.constants import Status
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.service import learning
from app.technical.service.changes import subject_of

logger = logging.getLogger(__name__)

AUDIENCE = ("staff",)
BATCH = 500
BACKFILL_SECONDS = 600.0  # between two looks for tickets that nobody has indexed


async def changed(session: AsyncSession, desk: Desk, ticket: Ticket) -> None:
    """A locked ticket was made, merged or unmerged, or its text changed: what is found follows.

    A merged one is found no more, nor is its note; both come back when that is undone.
    """
    if ticket.status == Status.merged:
        await matching.remove(session, subject_of(ticket.id))
    else:
        await matching.index_many(session, [entry(ticket)])
    await learning.follow(session, desk, ticket, actor=SYSTEM)


async def solved(session: AsyncSession, desk: Desk, ticket: Ticket, *, actor: Principal) -> None:
    """A ticket was solved: its problem and solution become a resolution note."""
    await learning.publish(session, desk, ticket, actor=actor)


async def reopened(session: AsyncSession, desk: Desk, ticket: Ticket, *, actor: Principal) -> None:
    """A ticket is solved no more: its note is withdrawn in this transaction."""
    await learning.retract(session, desk, ticket, actor=actor)


async def erased(session: AsyncSession, desk: Desk, ticket: Ticket, *, actor: Principal) -> None:
    """A locked ticket's texts are erased: neither its likeness nor its note remains."""
    await matching.remove(session, subject_of(ticket.id))
    await learning.retract(session, desk, ticket, actor=actor)


def entry(ticket: Ticket) -> Entry:
    """A ticket as it is found by likeness; for imports, ``matching.index_many`` takes many."""
    return Entry(
        subject=subject_of(ticket.id),
        title=ticket.subject,
        body=ticket.description,
        audience=AUDIENCE,
        created_at=ticket.created_at,
        signatures=ticket.signatures,
    )


async def backfill(database: Database) -> int:
    """Index the tickets that are not, as after an upgrade; how many there were. Bears being repeated."""
    done = 0
    while True:
        async with database.session() as session:
            found = await _missing(session)
            await matching.index_many(session, map(entry, found))
        done += len(found)
        if len(found) < BATCH:
            break
    if done:
        logger.info("%s tickets were indexed that had not been", done)
    return done


async def _missing(session: AsyncSession) -> Sequence[Ticket]:
    """A batch, kept from being merged or changed meanwhile; without those that have no text."""
    indexed = select(Matchable.id).where(Matchable.id == Ticket.id)
    statement = (
        select(Ticket)
        .where(Ticket.status != Status.merged, Ticket.description != "", ~indexed.exists())
        .order_by(Ticket.id)
        .limit(BATCH)
        .with_for_update(read=True, skip_locked=True, of=Ticket)
    )
    return (await session.scalars(statement)).all()
