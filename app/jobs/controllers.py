"""Routes of jobs: what an operator looks at when something was not done."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import NotFoundError
from app.identity import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.jobs import service
from app.jobs.constants import JobStatus
from app.jobs.exceptions import JobNotFailedError
from app.jobs.schemas import Job
from app.openapi import documented
from app.pagination import Cursor, Limit, Page, Position, page

ENTRYPOINT_MAX = 100  # characters
FILTER_MAX = 20  # values

# The routes say `str`: an address that is no number is this room's 400, behind its guards, not a lost route.
JobId = Annotated[int, PathParameter(name="job_id", ge=1, le=2**53 - 1)]  # what every JSON reader can hold
Statuses = Annotated[
    list[JobStatus] | None,
    QueryParameter(name="status", max_items=FILTER_MAX, description="Jobs of these standings."),
]
Entrypoints = Annotated[
    list[Annotated[str, Meta(max_length=ENTRYPOINT_MAX)]] | None,
    QueryParameter(name="entrypoint", max_items=FILTER_MAX, description="Jobs that do one of these."),
]


class JobController(Controller):
    """Jobs."""

    path = "/"
    guards = [require(Role.admin)]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_jobs")
    async def list_jobs(
        self,
        *,
        session: NamedDependency[AsyncSession],
        statuses: Statuses = None,
        entrypoints: Entrypoints = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[Job]:
        """List jobs that wait, run or have failed, newest first. Admins only."""
        rows = await service.list_jobs(
            session, limit=limit, cursor=cursor, statuses=statuses, entrypoints=entrypoints
        )
        return page(
            rows, limit=limit, show=service.show_job, position=lambda row: Position(key=row.id, id=row.id)
        )

    @get("/{job_id:str}", operation_id="get_job", opt=documented(raises=[NotFoundError]))
    async def get_job(self, job_id: JobId, session: NamedDependency[AsyncSession]) -> Job:
        """Get a job. Admins only."""
        return service.show_job(await service.get_job(session, job_id))

    @post(
        "/{job_id:str}/retry",
        operation_id="retry_job",
        status_code=200,
        opt=documented(raises=[NotFoundError, JobNotFailedError]),
    )
    async def retry_job(
        self, job_id: JobId, session: NamedDependency[AsyncSession], principal: NamedDependency[Principal]
    ) -> Job:
        """Queue a failed job again, with all of its attempts. Admins only."""
        return service.show_job(await service.retry_job(session, job_id, actor=principal))

    @delete(
        "/{job_id:str}",
        operation_id="discard_job",
        opt=documented(raises=[NotFoundError, JobNotFailedError]),
    )
    async def discard_job(
        self, job_id: JobId, session: NamedDependency[AsyncSession], principal: NamedDependency[Principal]
    ) -> None:
        """Take a failed job out of the queue for good. Admins only."""
        await service.discard_job(session, job_id, actor=principal)


router = Router(path="/v1/jobs", route_handlers=[JobController], tags=["jobs"])
