"""The sweep: warnings and breaches that nobody's action has brought to light."""

from __future__ import annotations

import logging
from datetime import datetime

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.identity.principal import SYSTEM
from app.sla.constants import SWEEP_BATCH
from app.sla.models import SlaClock
from app.sla.service.rows import notice_breach, notice_warnings, whole

logger = logging.getLogger(__name__)


class SweepCounts(Struct, frozen=True, kw_only=True):
    """What a sweep has noticed."""

    warnings: int
    breaches: int


async def sweep(database: Database, *, now: datetime | None = None, batch: int = SWEEP_BATCH) -> SweepCounts:
    """Mark and tell every warning and breach that is due; ``now`` None: by the database's clock.

    Any number of sweeps may run at once: a clock is marked and its event written in one transaction under its
    lock, and a sweep passes over what another has locked. One that is killed leaves nothing half done.
    Clocks that somebody is changing just now are passed over too: that change notices itself.
    """
    warnings = breaches = 0
    while True:
        async with database.session() as session:
            moment = whole(now or (await session.execute(select(func.clock_timestamp()))).scalar_one())
            found, warned, breached = await _sweep_batch(session, moment, batch)
        warnings += warned
        breaches += breached
        if found < batch:
            return SweepCounts(warnings=warnings, breaches=breaches)


async def run_sweep(database: Database) -> None:
    """The schedule's turn."""
    counts = await sweep(database)
    if counts.breaches or counts.warnings:
        logger.info("sla: %s warnings, %s breaches", counts.warnings, counts.breaches)


async def _sweep_batch(session: AsyncSession, now: datetime, batch: int) -> tuple[int, int, int]:
    """(clocks looked at, warnings, breaches)."""
    statement = (
        select(SlaClock)
        .where(SlaClock.check_at <= now)
        .order_by(SlaClock.check_at, SlaClock.id)
        .limit(batch)
        .with_for_update(skip_locked=True)
    )
    rows = list(await session.scalars(statement))
    warnings = breaches = 0
    for row in rows:
        if await notice_breach(session, row, now, actor=SYSTEM):
            breaches += 1  # a warning that is late is none any more
        else:
            warnings += await notice_warnings(session, row, now, actor=SYSTEM)
    return len(rows), warnings, breaches
