"""Looking at the queue, and what an admin may do about a job that failed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from pgqueuer.domain.settings import db_settings
from sqlalchemy import (
    BigInteger,
    Row,
    Select,
    and_,
    case,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ColumnElement

from app import events
from app.events import Subject
from app.exceptions import NotFoundError
from app.identity.principal import Principal
from app.jobs import failures
from app.jobs.constants import JobStatus
from app.jobs.exceptions import JobNotFailedError
from app.jobs.schemas import Job
from app.listing import any_of
from app.pagination import after

PAYLOAD_MAX = 20  # members shown
SUBJECTS = uuid5(NAMESPACE_URL, "urn:tridesk:job")

QUEUE = table(
    "pgqueuer",
    column("id", BigInteger),
    column("entrypoint"),
    column("status"),
    column("attempts"),
    column("payload"),
    column("created"),
    column("updated"),
    column("execute_after"),
)
STATUS = case(
    (QUEUE.c.status == text("'failed'"), literal(JobStatus.failed.value)),
    (QUEUE.c.status == text("'picked'"), literal(JobStatus.running.value)),
    (QUEUE.c.execute_after > func.now(), literal(JobStatus.scheduled.value)),
    else_=literal(JobStatus.queued.value),
)
ERROR: ColumnElement[Any] = literal_column("""
(select log.traceback from pgqueuer_log log where log.job_id = pgqueuer.id and log.traceback is not null
 order by log.created desc, log.id desc limit 1)
""")

RETRY = text("""
with retried as (
    update pgqueuer set status = 'queued', attempts = 0, execute_after = now(), updated = now()
    where id = :id returning id, entrypoint, priority
)
insert into pgqueuer_log (job_id, status, entrypoint, priority)
select id, 'queued', entrypoint, priority from retried
""")
# pgqueuer's own trigger stands at statements, and so tells nobody of an update.
WAKE = text("""
select pg_notify(:channel, json_build_object(
    'channel', cast(:channel as text), 'operation', 'update', 'sent_at', now(), 'table', 'pgqueuer',
    'type', 'table_changed_event')::text)
""")
DISCARD = text("""
with discarded as (delete from pgqueuer where id = :id returning id, entrypoint, priority)
insert into pgqueuer_log (job_id, status, entrypoint, priority)
select id, 'deleted', entrypoint, priority from discarded
""")
LOCK = text("select entrypoint, status::text from pgqueuer where id = :id for update")
FAILED = text("select count(*) from pgqueuer where status = 'failed'")


async def list_jobs(
    session: AsyncSession,
    *,
    limit: int,
    cursor: str | None,
    statuses: Collection[JobStatus] | None = None,
    entrypoints: Collection[str] | None = None,
) -> Sequence[Row[Any]]:
    """Jobs, newest first, one more than ``limit``."""
    wanted = and_(any_of(STATUS, statuses), any_of(QUEUE.c.entrypoint, entrypoints))
    statement = after(_jobs().where(wanted), key=QUEUE.c.id, id=QUEUE.c.id, cursor=cursor, limit=limit)
    rows: Sequence[Row[Any]] = (await session.execute(statement)).all()
    return rows


async def get_job(session: AsyncSession, job_id: int) -> Row[Any]:
    """One job; ``NotFoundError`` for one that never was or has succeeded."""
    row: Row[Any] | None = (await session.execute(_jobs().where(QUEUE.c.id == job_id))).one_or_none()
    if row is None:
        raise NotFoundError("There is no such job; one that succeeded is gone.")
    return row


async def retry_job(session: AsyncSession, job_id: int, *, actor: Principal) -> Row[Any]:
    """Queue a failed job again, with all of its attempts; it runs after the commit.

    ``JobNotFailedError`` for any other, so of several who ask at once one has it queued.
    """
    entrypoint = await _lock_failed(session, job_id)
    await session.execute(RETRY, {"id": job_id})
    await session.execute(WAKE, {"channel": db_settings().channel})
    await events.record(
        session,
        "job.retried",
        subject=job_subject(job_id),
        actor=actor,
        before={"status": JobStatus.failed},
        after={"status": JobStatus.queued, "job_id": job_id, "entrypoint": entrypoint},
        audit=True,
    )
    return await get_job(session, job_id)


async def discard_job(session: AsyncSession, job_id: int, *, actor: Principal) -> None:
    """Take a failed job out of the queue for good; errors as ``retry_job``."""
    entrypoint = await _lock_failed(session, job_id)
    await session.execute(DISCARD, {"id": job_id})
    await events.record(
        session,
        "job.discarded",
        subject=job_subject(job_id),
        actor=actor,
        before={"status": JobStatus.failed, "job_id": job_id, "entrypoint": entrypoint},
        audit=True,
    )


async def count_failed(session: AsyncSession) -> int:
    """How many jobs have failed for good and wait for somebody."""
    return int((await session.execute(FAILED)).scalar_one())


def job_subject(job_id: int) -> Subject:
    """A job as the subject of events, which need a UUID: version 5 of its number, always the same."""
    return Subject("job", job_uuid(job_id))


def job_uuid(job_id: int) -> UUID:
    """See ``job_subject``."""
    return uuid5(SUBJECTS, str(job_id))


def show_job(row: Row[Any]) -> Job:
    """A row as the API shows it."""
    begun = row.status in {JobStatus.running, JobStatus.failed}
    return Job(
        id=row.id,
        entrypoint=row.entrypoint,
        status=JobStatus(row.status),
        attempts=row.attempts + begun,
        payload=_numbers(row.payload),
        error=failures.read(row.error),
        created_at=row.created,
        updated_at=row.updated,
        run_after=row.execute_after,
    )


def _jobs() -> Select[Any]:
    columns = [each for each in QUEUE.c if each.name != "status"]
    return select(*columns, STATUS.label("status"), ERROR.label("error"))


async def _lock_failed(session: AsyncSession, job_id: int) -> str:
    """The entrypoint of a failed job, locked."""
    row = (await session.execute(LOCK, {"id": job_id})).one_or_none()
    if row is None:
        raise NotFoundError("There is no such job; one that succeeded is gone.")
    if row.status != JobStatus.failed:
        raise JobNotFailedError("This job has not failed for good: it will run, or is running.")
    return str(row.entrypoint)


def _numbers(payload: bytes | None) -> dict[str, str | int]:
    """Members of a payload that are numbers or UUIDs. A text may be anybody's words."""
    try:
        members = msgspec.json.decode(payload or b"{}", type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
    shown: dict[str, str | int] = {}
    for name, value in members.items():
        if len(shown) < PAYLOAD_MAX and (type(value) is int or _is_uuid(value)):
            shown[name] = value
    return shown


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False
