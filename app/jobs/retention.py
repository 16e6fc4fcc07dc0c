"""What pgqueuer writes beside its queue and never takes away."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from app.database import Database

KEEP_LOG = timedelta(days=7)
KEEP_SECONDS = timedelta(hours=1)  # how long its statistics, by the second, stay apart
BATCH = 10_000  # rows a transaction

# Three rows a job. Those of a job that is still there say why it failed; what is not counted yet stays, too.
PURGE = text("""
delete from pgqueuer_log where id in (
    select log.id from pgqueuer_log log
    where log.created < now() - cast(:keep as interval) and log.aggregated
      and not exists (select from pgqueuer job where job.id = log.job_id)
    limit :batch
)
""")
# A row a second, entrypoint and status becomes one for all time, so that the sums only ever grow.
SUM_UP = text("""
with taken as (
    delete from pgqueuer_statistics where created < now() - cast(:keep as interval) and created > 'epoch'
    returning entrypoint, priority, status, count
)
insert into pgqueuer_statistics as old (entrypoint, priority, status, count, created)
select entrypoint, priority, status, sum(count), 'epoch' from taken group by 1, 2, 3
on conflict (priority, date_trunc('sec', timezone('UTC', created)), status, entrypoint)
do update set count = old.count + excluded.count
""")


async def tidy(database: Database) -> int:
    """Purge the queue's log and sum its statistics up; how many rows of the log went. For a schedule."""
    async with database.session() as session:
        await session.execute(SUM_UP, {"keep": KEEP_SECONDS})
    purged = 0
    while True:
        async with database.session() as session:
            result = await session.execute(PURGE, {"keep": KEEP_LOG, "batch": BATCH})
        gone = int(result.rowcount)  # type: ignore[attr-defined]  # a DELETE's result has it
        purged += gone
        if gone < BATCH:
            return purged
