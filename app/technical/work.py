"""What the desk does beside the requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from app.database import Database
from app.jobs import JobHandler, Schedule
from app.technical.constants import UPDATE_JOB
from app.technical.desk import Desk
from app.technical.service import closing, importing, indexing, noting, sweeping
from app.technical.service.updates import update_handler


def schedules(database: Database, desk: Desk) -> Sequence[Schedule]:
    """What is done again and again."""
    return [
        Schedule(
            "technical-close",
            timedelta(seconds=closing.CLOSE_SECONDS),
            partial(closing.close_due, database, desk),
        ),
        Schedule(
            "technical-assign",
            timedelta(seconds=sweeping.ASSIGN_SECONDS),
            partial(sweeping.assign_waiting, database),
        ),
        Schedule(
            "technical-notes",
            timedelta(seconds=noting.SWEEP_SECONDS),
            partial(noting.sweep, database, desk),
        ),
        Schedule(
            "technical-likeness",
            timedelta(seconds=indexing.BACKFILL_SECONDS),
            partial(indexing.backfill, database),
        ),
        Schedule("import-log", timedelta(hours=importing.PURGE_HOURS), partial(importing.purge, database)),
    ]


def handlers(database: Database, desk: Desk) -> Mapping[str, JobHandler]:
    """Which coroutine runs which job."""
    return {
        UPDATE_JOB: update_handler(database, desk),
        importing.IMPORT_JOB: importing.Importer(database, desk).handle,
    }
