"""What the desk does beside the requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from app.database import Database
from app.features.desk import Desk
from app.features.service import clusters, drafts, notices
from app.features.service.notices import mailing
from app.jobs import JobHandler, Schedule


def schedules(database: Database, desk: Desk) -> Sequence[Schedule]:
    """What is done again and again."""
    return [
        Schedule(
            "features-announcements",
            timedelta(seconds=notices.TELL_SECONDS),
            partial(notices.tell_due, database),
        ),
        Schedule(
            "features-mail",
            timedelta(seconds=mailing.MAIL_SECONDS),
            partial(mailing.mail_due, database, desk),
        ),
        Schedule(
            "features-duplicates",
            timedelta(hours=clusters.REFRESH_HOURS),
            partial(clusters.refresh, database, desk),
        ),
    ]


def handlers(database: Database, desk: Desk) -> Mapping[str, JobHandler]:
    """Which coroutine runs which job."""
    return {
        drafts.DRAFTS_JOB: drafts.drafts_handler(database, desk),
        clusters.REFRESH_JOB: clusters.refresh_handler(database, desk),
    }
