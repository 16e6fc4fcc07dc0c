"""What the jobs room refuses."""

from __future__ import annotations

from app.exceptions import ConflictError


class JobNotFailedError(ConflictError):
    """Only a job that has failed for good is retried or discarded; `status` says where this one stands."""

    code = "job_not_failed"
    title = "Job not failed"
