"""What the routes of jobs give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from app.jobs.constants import JobStatus
from app.jobs.failures import JobError


class Job(Struct, frozen=True, kw_only=True):
    """A job that is waiting, under way, or has failed. One that succeeded is gone."""

    id: Annotated[int, Meta(description="Grows with every job.", examples=[4711])]
    entrypoint: Annotated[str, Meta(description="What is to be done.", examples=["ingest"])]
    status: Annotated[
        JobStatus,
        Meta(description="`scheduled` waits for its time, as after a failed attempt; `failed` is final."),
    ]
    attempts: Annotated[
        int, Meta(description="How often it was begun, without those a worker died of.", examples=[6])
    ]
    payload: Annotated[
        dict[str, str | int],
        Meta(description="Ids and numbers of its subject; no texts.", examples=[{"version": 2}]),
    ]
    error: Annotated[JobError | None, Meta(description="Why the last attempt failed.")]
    created_at: datetime
    updated_at: datetime
    run_after: Annotated[datetime, Meta(description="It does not run before.")]
