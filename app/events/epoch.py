"""Transaction numbers that go on growing when a database is restored where they count anew."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Whatever is committed has a number below the snapshot's xmax; a stored event at or above it was written
# under another count.
IS_BEHIND = text("""
select coalesce(max(transaction), -1) >= (
    select pg_snapshot_xmax(pg_current_snapshot())::text::bigint + shift from event_epoch
) from event
""")
# Waits for transactions that have recorded under the old shift; who records later reads the new one.
WAIT_FOR_WRITERS = text("lock table event in share row exclusive mode")
ADVANCE = text("""
update event_epoch
set shift = (select max(transaction) from event) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint
returning shift
""")


async def advance_epoch(connection: AsyncConnection) -> int | None:
    """See that new events come after all stored ones; as the owner, in the caller's transaction.

    Needed once after a restore from a dump into a cluster that has counted fewer transactions; the new shift,
    or None when nothing was to be done. Safe to repeat, and when two do it at once.
    """
    if not await connection.scalar(IS_BEHIND):
        return None
    await connection.execute(WAIT_FOR_WRITERS)
    if not await connection.scalar(IS_BEHIND):
        return None
    shift: int = (await connection.execute(ADVANCE)).scalar_one()
    return shift
