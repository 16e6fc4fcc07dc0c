"""The timer that closes what has been resolved for long enough."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from app.billing.constants import CaseStatus, Mover
from app.billing.desk import Desk
from app.billing.models import Case
from app.billing.service.cases.transitions import move
from app.database import Database
from app.identity.principal import SYSTEM

CLOSE_SECONDS = 60
BATCH = 100


async def close_due(database: Database, desk: Desk, *, now: datetime | None = None) -> int:
    """Close every case that was resolved ``desk.close_after`` ago or earlier; returns how many.

    A transaction a batch: what a killed one had not committed the next finds again, and two that run at once
    pass each other's cases over.
    """
    now, closed = now or datetime.now(UTC), 0
    while True:
        async with database.session() as session:
            due = (
                select(Case)
                .where(Case.status == CaseStatus.resolved, Case.resolved_at <= now - desk.close_after)
                .order_by(Case.resolved_at, Case.id)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            cases = (await session.scalars(due)).all()
            for case in cases:
                await move(session, case, CaseStatus.closed, actor=SYSTEM, as_=Mover.timer, at=now)
        closed += len(cases)
        if len(cases) < BATCH:
            return closed
