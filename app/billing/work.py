"""What the desk does beside the requests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from app.billing.desk import Desk
from app.billing.service.cases import closing
from app.billing.service.evidence import sending
from app.billing.service.provider import sandbox
from app.billing.service.refunds import recovery
from app.database import Database
from app.jobs import Schedule


def schedules(database: Database, desk: Desk) -> Sequence[Schedule]:
    """What is done again and again."""
    return [
        Schedule(
            "billing-close",
            timedelta(seconds=closing.CLOSE_SECONDS),
            partial(closing.close_due, database, desk),
        ),
        Schedule(
            "billing-sandbox",
            timedelta(seconds=sandbox.DELIVER_SECONDS),
            partial(sandbox.deliver, database),
        ),
        Schedule(
            "billing-evidence",
            timedelta(seconds=sending.SEND_SECONDS),
            partial(sending.send_waiting, database, desk.provider),
        ),
        Schedule(
            "billing-refunds",
            timedelta(seconds=recovery.SWEEP_SECONDS),
            partial(recovery.recover, database, desk.provider),
        ),
    ]
