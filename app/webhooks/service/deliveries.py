"""The log of an endpoint's deliveries, and sending one of them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, text, true, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.events.constants import CHANNEL
from app.events.utils import Filters as EventFilters
from app.listing import Listed, Listing, any_of, within
from app.webhooks.constants import RETENTION, UNDELIVERED, DeliveryStatus
from app.webhooks.exceptions import DeliveryNotFoundError
from app.webhooks.models import WebhookDelivery, WebhookQueue
from app.webhooks.service import endpoints

DELIVERIES = Listing(WebhookDelivery, sorts={"created_at": WebhookDelivery.created_at}, default="-created_at")
Shown = tuple[WebhookDelivery, datetime | None]  # with the time of its next attempt

PURGE = text("""
delete from webhook_delivery where id in (
    select id from webhook_delivery d
    where id < :boundary and status in ('delivered', 'failed')
        and not exists (select from webhook_queue where delivery_id = d.id)
    order by id limit :batch
)
""")
NOTIFY = text("select pg_notify(:channel, '')")


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Any of the values of each; None and nothing are no filter."""

    events: EventFilters
    statuses: Sequence[DeliveryStatus] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


async def list_page(
    session: AsyncSession,
    endpoint_id: UUID,
    *,
    filters: Filters,
    limit: int,
    sort: str | None,
    cursor: str | None,
    total: bool,
) -> Listed[WebhookDelivery]:
    """One page, newest first unless sorted otherwise. ``WebhookNotFoundError``."""
    await endpoints.get(session, endpoint_id)
    statement: Select[Any] = select(WebhookDelivery).where(
        WebhookDelivery.endpoint_id == endpoint_id,
        any_of(WebhookDelivery.status, filters.statuses),
        *_matching(filters.events),
        within(WebhookDelivery.created_at, filters.created_after, filters.created_before),
    )
    return await DELIVERIES.fetch(
        session,
        statement,
        limit=limit,
        sort=sort,
        cursor=cursor,
        total=total,
        filters={"endpoint": endpoint_id} | asdict(filters),
    )


async def next_attempts(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """When those of the deliveries that are waited for come next; one under way is not among them."""
    statement = select(WebhookQueue.delivery_id, WebhookQueue.due_at).where(
        WebhookQueue.delivery_id.in_(ids), WebhookQueue.lease.is_(None)
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


def _matching(filters: EventFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.subjects:
        subject = tuple_(WebhookDelivery.subject_type, WebhookDelivery.subject_id)
        conditions.append(subject.in_(filters.subjects))
    if filters.types:
        conditions.append(or_(*map(_of_type, filters.types)))
    return conditions


def _of_type(wanted: str) -> ColumnElement[bool]:
    if wanted == "*":
        return true()
    if wanted.endswith(".*"):
        return WebhookDelivery.type.startswith(wanted[:-1], autoescape=True)
    return WebhookDelivery.type == wanted


async def get(session: AsyncSession, endpoint_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """One delivery of this endpoint; ``DeliveryNotFoundError``."""
    statement = select(WebhookDelivery).where(
        WebhookDelivery.id == delivery_id, WebhookDelivery.endpoint_id == endpoint_id
    )
    delivery = await session.scalar(statement, execution_options={"populate_existing": True})
    if delivery is None:
        raise DeliveryNotFoundError("The webhook has no such delivery.")
    return delivery


async def redeliver(session: AsyncSession, endpoint_id: UUID, delivery_id: UUID) -> Shown:
    """Attempt a delivery again now, with the same message id; one that is under way is left alone.

    What is delivered (or a test) gets one more attempt beside the others. What is not, keeps its place: it is
    tried now if it is the first of its subject. Errors: ``WebhookNotFoundError``, ``DeliveryNotFoundError``,
    ``WebhookDisabledError``.
    """
    endpoint = await endpoints.lock(session, endpoint_id)
    await get(session, endpoint_id, delivery_id)
    endpoints.refuse_disabled(endpoint)
    queue = await session.scalar(
        select(WebhookQueue).where(WebhookQueue.delivery_id == delivery_id).with_for_update()
    )
    # As it is now that nobody else settles it.
    delivery = await get(session, endpoint_id, delivery_id)
    if queue is not None:
        if queue.lease is None:
            queue.due_at = func.now()
    elif delivery.status not in UNDELIVERED:
        values = {"endpoint_id": endpoint_id, "delivery_id": delivery_id}
        await session.execute(insert(WebhookQueue).values(values).on_conflict_do_nothing())
    await session.flush()
    await wake(session)
    times = await next_attempts(session, [delivery_id])
    return delivery, times.get(delivery_id)


async def wake(session: AsyncSession) -> None:
    """Have the workers look at the queue once the transaction commits."""
    await session.execute(NOTIFY, {"channel": CHANNEL})


async def purge_deliveries(database: Database, *, keep: timedelta = RETENTION, batch: int = 1000) -> int:
    """Delete delivered messages (and tests) older than ``keep`` from the log: how many.

    A transaction a batch; may be cut off anywhere.
    """
    total = 0
    while True:
        async with database.session() as session:
            gone = await _purge(session, keep=keep, batch=batch)
        total += gone
        if gone < batch:
            return total


async def _purge(session: AsyncSession, *, keep: timedelta, batch: int) -> int:
    """One batch.

    Their ids begin with the time they were made (UUIDv7), which spares an index.
    """
    milliseconds = int((datetime.now(UTC) - keep).timestamp() * 1000)
    boundary = UUID(int=milliseconds << 80)
    gone = await session.execute(PURGE, {"boundary": boundary, "batch": batch})
    return int(gone.rowcount)  # type: ignore[attr-defined]  # of a DELETE it is there
