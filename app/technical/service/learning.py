"""What becomes of a ticket's resolution note when the ticket is solved, reopened, merged or erased.

A note is in the index exactly while its ticket is solved or closed: both change in one transaction. While
the index is out of reach (a server that is still starting), the row remembers what is left to do.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.principal import Principal
from app.technical.constants import UNFINISHED, Status
from app.technical.desk import Desk
from app.technical.models import Resolution, Ticket
from app.technical.service.changes import FRESH
from app.technical.service.composing import compose
from app.technical.service.noting import PUBLISHED, STAFF, settle
from app.technical.service.resolution import (
    SUSPENDED,
    WITHDRAWN,
    change_note,
    record_note,
    take_back,
)


async def publish(session: AsyncSession, desk: Desk, ticket: Ticket, *, actor: Principal) -> None:
    """A ticket was solved: what it taught is the staff's to find from this commit on.

    What solved a known issue for many tickets at once is told by the first one.
    """
    composed = await compose(session, ticket)
    if composed is None or await _is_told(session, ticket, composed.solution):
        return
    fresh: dict[str, Any] = {
        **asdict(composed),
        "state": PUBLISHED,
        "audience": STAFF,
        "reviewed_by_id": None,
        "reviewed_at": None,
    }
    statement = insert(Resolution).values(ticket_id=ticket.id, **fresh)
    again = fresh | {"version": Resolution.version + 1, "created_at": func.now(), "updated_at": func.now()}
    statement = statement.on_conflict_do_update(index_elements=["ticket_id"], set_=again)
    note = (await session.scalars(statement.returning(Resolution), execution_options=FRESH)).one()
    await settle(session, desk, ticket, note, actor=actor)
    await record_note(session, "resolution.published", ticket, note, actor=actor)


async def retract(session: AsyncSession, desk: Desk, ticket: Ticket, *, actor: Principal) -> None:
    """A locked ticket is solved no more, or erased: there is no note, and no trace of its texts."""
    note = await session.get(Resolution, ticket.id, with_for_update=True, populate_existing=True)
    if note is not None:
        await take_back(session, desk, ticket, note, WITHDRAWN, actor=actor)


async def follow(session: AsyncSession, desk: Desk, ticket: Ticket, *, actor: Principal) -> None:
    """A ticket was merged, or that was undone: its note goes out of the index, or comes back as it was."""
    if ticket.status in UNFINISHED:
        return
    note = await session.get(Resolution, ticket.id, with_for_update=True, populate_existing=True)
    if note is None:
        return
    if ticket.status == Status.merged:
        await take_back(session, desk, ticket, note, SUSPENDED, actor=actor)
    elif note.state == SUSPENDED and ticket.status in (Status.solved, Status.closed):
        changes = {"state": PUBLISHED}
        await change_note(session, desk, ticket, note, changes, actor=actor, type="resolution.published")


async def _is_told(session: AsyncSession, ticket: Ticket, solution: str) -> bool:
    """Whether another ticket of the same known issue has the same solution."""
    if ticket.issue_id is None:
        return False
    same = (
        select(Resolution.ticket_id)
        .join(Ticket, Ticket.id == Resolution.ticket_id)
        .where(
            Ticket.issue_id == ticket.issue_id,
            Ticket.id != ticket.id,
            Resolution.state == PUBLISHED,
            Resolution.solution == solution,
        )
    )
    return bool(await session.scalar(select(same.exists())))
