"""From the log of events to deliveries: each endpoint has a cursor of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.webhooks.constants import FANOUT_BATCH, TEST_EVENT
from app.webhooks.models import WebhookEndpoint
from app.webhooks.utils import matches

# A statement of its own, before the one that reads: a horizon taken by the reading statement would be younger
# than what that statement sees, and the cursor would pass events that it never saw.
HORIZON = text("select event_horizon()")
BEHIND = text("""
select id from webhook_endpoint e
where enabled and exists (
    select from event
    where (transaction, number) > (e.cursor_transaction, e.cursor_number) and transaction < :horizon
)
""")
ABOVE = text("select exists (select from event where transaction >= :horizon)")
READ = text("""
select id, transaction, number, type from event
where (transaction, number) > (:transaction, :number) and transaction < :horizon
order by transaction, number limit :batch
""")
DELIVER = text("""
insert into webhook_delivery (endpoint_id, event_id, transaction, number, type, subject_type, subject_id)
select :endpoint_id, id, transaction, number, type, subject_type, subject_id from event
where id = any (CAST(:event_ids AS uuid[])) order by transaction, number
on conflict (endpoint_id, event_id) do nothing
""")
# A row that is there already is locked all the same: whoever empties a subject's queue holds the lock while
# looking for what comes next, and either sees these deliveries or leaves the row for us to make.
QUEUE = text("""
insert into webhook_queue (endpoint_id, subject_type, subject_id, delivery_id)
select distinct on (subject_type, subject_id) endpoint_id, subject_type, subject_id, id
from webhook_delivery where endpoint_id = :endpoint_id and event_id = any (CAST(:event_ids AS uuid[]))
order by subject_type, subject_id, transaction, number
on conflict (endpoint_id, subject_type, subject_id) do update set due_at = webhook_queue.due_at
""")


@dataclass(frozen=True, slots=True)
class FanOut:
    """What one round did; ``above``: events are there that may be read only when others have ended."""

    deliveries: int
    above: bool


async def fan_out(database: Database, *, batch: int = FANOUT_BATCH) -> FanOut:
    """Make the deliveries of all events that can be read by now, for every enabled endpoint.

    One transaction a batch; any number of workers may do it at once.
    """
    async with database.session() as session:
        horizon = (await session.execute(HORIZON)).scalar_one()
        behind = (await session.scalars(BEHIND, {"horizon": horizon})).all()
        above = bool(await session.scalar(ABOVE, {"horizon": horizon}))
    made = 0
    for endpoint_id in behind:
        more = True
        while more:
            async with database.session() as session:
                count, more = await advance(session, endpoint_id, horizon=horizon, batch=batch)
            made += count
    return FanOut(made, above)


async def advance(
    session: AsyncSession, endpoint_id: UUID, *, horizon: int, batch: int = FANOUT_BATCH
) -> tuple[int, bool]:
    """Make one batch of deliveries and move the cursor: (how many events matched, are there more)."""
    endpoint = await session.scalar(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.enabled)
        .with_for_update(key_share=True)
    )
    if endpoint is None:
        return 0, False
    events = await _read(session, endpoint, horizon=horizon, batch=batch)
    if not events:
        return 0, False
    wanted = [each.id for each in events if each.type != TEST_EVENT and matches(endpoint.events, each.type)]
    if wanted:
        values = {"endpoint_id": endpoint.id, "event_ids": wanted}
        await session.execute(DELIVER, values)
        await session.execute(QUEUE, values)
    await session.execute(
        MOVE, {"id": endpoint.id, "transaction": events[-1].transaction, "number": events[-1].number}
    )
    return len(wanted), len(events) == batch


# Not through the mapped row: an endpoint does not count as changed when it is served.
MOVE = text("""
update webhook_endpoint set cursor_transaction = :transaction, cursor_number = :number where id = :id
""")


async def _read(
    session: AsyncSession, endpoint: WebhookEndpoint, *, horizon: int, batch: int
) -> Sequence[Row[Any]]:
    values = {
        "transaction": endpoint.cursor_transaction,
        "number": endpoint.cursor_number,
        "horizon": horizon,
        "batch": batch,
    }
    return (await session.execute(READ, values)).all()
