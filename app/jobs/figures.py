"""The queue in figures, the same in every process: read from the database when monitoring asks."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs.constants import JobStatus

STANDING = text("""
select entrypoint,
       case when status = 'picked' then 'running' when status = 'failed' then 'failed'
            when execute_after > now() then 'scheduled' else 'queued' end as standing,
       count(*) as jobs,
       extract(epoch from now() - min(greatest(created, execute_after))) as seconds
from pgqueuer group by 1, 2
""")
# What pgqueuer has summed up, and what it has not yet. Both are kept for good: `retention` sums further.
ENDED = text("""
select entrypoint, status::text as outcome, sum(count) as jobs
from (
    select entrypoint, status, count from pgqueuer_statistics
    union all
    select entrypoint, status, count(*) from pgqueuer_log where not aggregated group by 1, 2
) counted
where status in ('successful', 'failed', 'canceled', 'deleted')
group by 1, 2
""")
SCHEDULES = text("""
select name, extract(epoch from started_at) as started, failures
from job_schedule where started_at is not null
""")


async def job_figures(session: AsyncSession) -> list[Metric]:
    """Jobs by standing, how long the oldest has been ready, jobs ended so far, and the schedules' last runs.

    One snapshot of all processes: of several servers' answers take the greatest, not the sum.
    """
    jobs = GaugeMetricFamily(
        "tridesk_jobs", "Jobs in the queue, of all processes.", labels=["entrypoint", "status"]
    )
    oldest = GaugeMetricFamily(
        "tridesk_jobs_oldest_queued_seconds",
        "How long the oldest job that could run has been waiting.",
        labels=["entrypoint"],
    )
    ended = CounterMetricFamily(
        "tridesk_jobs_ended",
        "Jobs that came to an end, in all processes; deleted ones were discarded after they had failed.",
        labels=["entrypoint", "outcome"],
    )
    for row in await session.execute(STANDING):
        jobs.add_metric([row.entrypoint, row.standing], row.jobs)
        if row.standing == JobStatus.queued:
            oldest.add_metric([row.entrypoint], max(0.0, float(row.seconds)))
    for row in await session.execute(ENDED):
        ended.add_metric([row.entrypoint, row.outcome], float(row.jobs))
    return [jobs, oldest, ended, *await _schedule_figures(session)]


async def _schedule_figures(session: AsyncSession) -> list[Metric]:
    started = GaugeMetricFamily(
        "tridesk_schedule_last_start_timestamp_seconds", "When a schedule last ran.", labels=["schedule"]
    )
    failures = GaugeMetricFamily(
        "tridesk_schedule_failures", "Failed runs in a row; 0: the last was well.", labels=["schedule"]
    )
    for row in await session.execute(SCHEDULES):
        started.add_metric([row.name], float(row.started))
        failures.add_metric([row.name], row.failures)
    return [started, failures]
