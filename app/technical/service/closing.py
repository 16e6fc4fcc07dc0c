"""The timer that closes what has been solved for long enough."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from app.database import Database
from app.identity.principal import SYSTEM
from app.technical.constants import Mover, Status
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.service import transitions

CLOSE_SECONDS = 60
BATCH = 100


async def close_due(database: Database, desk: Desk, *, now: datetime | None = None) -> int:
    """Close every ticket that was solved ``desk.close_after`` ago or earlier; returns how many.

    A transaction a batch: what a killed one had not committed the next finds again, and two that run at once
    pass each other's tickets over.
    """
    now, closed = now or datetime.now(UTC), 0
    while True:
        async with database.session() as session:
            due = (
                select(Ticket)
                .where(Ticket.status == Status.solved, Ticket.solved_at <= now - desk.close_after)
                .order_by(Ticket.solved_at, Ticket.id)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            tickets = (await session.scalars(due)).all()
            for ticket in tickets:
                await transitions.move(
                    session, desk, ticket, Status.closed, actor=SYSTEM, as_=Mover.timer, at=now
                )
        closed += len(tickets)
        if len(tickets) < BATCH:
            return closed
