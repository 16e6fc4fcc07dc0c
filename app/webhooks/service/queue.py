"""Whose turn it is: taking what is due for an attempt, and what an attempt's outcome leads to."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.events.models import Event
from app.identity.principal import SYSTEM
from app.webhooks.client import Outcome
from app.webhooks.constants import (
    LEASE,
    RETRIES,
    SENDS_PER_ENDPOINT,
    DeliveryError,
    DeliveryStatus,
    DisabledReason,
)
from app.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookQueue
from app.webhooks.service.endpoints import disable, live_secrets
from app.webhooks.utils import pause

logger = logging.getLogger(__name__)

GONE = 410

# Each endpoint's own oldest first, so that one with many waiting subjects leaves room for the others.
TAKE = text("""
update webhook_queue q set lease = :lease, due_at = now() + :duration
from (
    select waiting.id from webhook_endpoint e cross join lateral (
        select id, due_at from webhook_queue
        where endpoint_id = e.id and due_at <= now()
        order by due_at limit :share for update skip locked
    ) waiting
    where e.enabled and e.id <> all (CAST(:busy AS uuid[]))
    order by waiting.due_at limit :room
) taken
where q.id = taken.id
""")
NEXT_DUE = text("""
select extract(epoch from min(waiting.due_at) - now())::float8
from webhook_endpoint e cross join lateral (
    select due_at from webhook_queue where endpoint_id = e.id order by due_at limit 1
) waiting
where e.enabled and e.id <> all (CAST(:busy AS uuid[]))
""")

# The outcome, if the lease still holds. A redelivery or test is one attempt: its failure says nothing of the
# messages that wait in order.
NOTE = text("""
with held as (
    select subject_id is null as alone from webhook_queue where id = :queue_id and lease = :lease for update
)
update webhook_delivery d set
    attempts = attempts + 1,
    attempted_at = now() - CAST(:duration AS interval),
    duration_ms = :duration_ms,
    response_status = :response_status,
    response_body = :response_body,
    error = :error,
    status = case
        when CAST(:error AS text) is null then 'delivered'
        when not held.alone then 'failing'
        when status = 'pending' then 'failed'
        else status
    end,
    failures = case
        when CAST(:error AS text) is null then 0
        when held.alone then failures
        else failures + 1
    end,
    delivered_at = coalesce(delivered_at, case when CAST(:error AS text) is null then now() end)
from held where d.id = :delivery_id
returning failures
""")
# To the next message of the subject. The queue's row is locked, and this is a later statement: nothing that
# was added before is missed, and nothing can be added now. A redelivery has no subject and so no next.
GO_ON = text("""
with following as (
    select d.id from webhook_delivery d join webhook_queue q using (endpoint_id, subject_type, subject_id)
    where q.id = :queue_id and d.status in ('pending', 'failing') and d.type <> 'webhook.test'
    order by d.transaction, d.number limit 1
), moved as (
    update webhook_queue q set delivery_id = following.id, lease = null, due_at = now()
    from following where q.id = :queue_id
)
delete from webhook_queue where id = :queue_id and not exists (select from following)
""")
PUT_BACK = text("update webhook_queue set lease = null, due_at = now() + :wait where id = :queue_id")
DROP = text("delete from webhook_queue where id = :queue_id")


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One message, taken for one attempt. Its repr says nothing that is secret or personal."""

    queue_id: UUID
    lease: UUID
    delivery_id: UUID
    endpoint_id: UUID
    is_alone: bool
    was_failing: bool
    url: str
    secrets: list[str]
    event: Event

    def __repr__(self) -> str:
        return f"Attempt(delivery_id={self.delivery_id}, endpoint_id={self.endpoint_id})"


async def take(
    session: AsyncSession,
    *,
    room: int,
    busy: Collection[UUID] = (),
    share: int = SENDS_PER_ENDPOINT,
    lease: timedelta = LEASE,
) -> Sequence[Attempt]:
    """Up to ``room`` messages whose turn it is, ``share`` an endpoint, leased to the caller alone.

    Commit before sending: nothing is locked meanwhile. An attempt whose outcome does not come within
    ``lease`` is made again.
    """
    token = uuid4()
    values = {"lease": token, "duration": lease, "share": share, "busy": list(busy), "room": room}
    await session.execute(TAKE, values)
    statement = (
        select(WebhookQueue, WebhookEndpoint, Event, func.now())
        .join(WebhookDelivery, WebhookDelivery.id == WebhookQueue.delivery_id)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookQueue.endpoint_id)
        .join(Event, Event.id == WebhookDelivery.event_id)
        .where(WebhookQueue.lease == token)
    )
    found = (await session.execute(statement)).all()
    return [_attempt(queue, endpoint, event, now) for queue, endpoint, event, now in found]


def _attempt(queue: WebhookQueue, endpoint: WebhookEndpoint, event: Event, now: datetime) -> Attempt:
    assert queue.lease is not None
    return Attempt(
        queue_id=queue.id,
        lease=queue.lease,
        delivery_id=queue.delivery_id,
        endpoint_id=endpoint.id,
        is_alone=queue.subject_id is None,
        was_failing=endpoint.failing_since is not None,
        url=endpoint.url,
        secrets=[endpoint.secret, *(secret for secret, _ in live_secrets(endpoint, now))],
        event=event,
    )


async def next_due(session: AsyncSession, *, busy: Collection[UUID] = ()) -> float | None:
    """Seconds until a message or a lost lease is due, negative when one is; None when nothing waits."""
    seconds: float | None = await session.scalar(NEXT_DUE, {"busy": list(busy)})
    return seconds


async def settle(
    session: AsyncSession,
    attempt: Attempt,
    outcome: Outcome,
    *,
    retries: Sequence[timedelta] = RETRIES,
) -> None:
    """Write down how an attempt ended, and what comes next of its subject.

    Nothing, if the lease was lost: whoever took it over sends the same message again.
    """
    endpoint = None
    if outcome.error is not None or attempt.was_failing:  # the endpoint's own row may change: locked first
        endpoint = await session.get(
            WebhookEndpoint, attempt.endpoint_id, with_for_update={"key_share": True}, populate_existing=True
        )
        if endpoint is None:
            return
    failures = await session.scalar(NOTE, _noted(attempt, outcome))
    if failures is None:
        return
    if outcome.error is None:
        await session.execute(GO_ON, {"queue_id": attempt.queue_id})
        if endpoint is not None:
            await _recover(session, endpoint)
    elif endpoint is not None:
        last = False
        if attempt.is_alone:
            await session.execute(DROP, {"queue_id": attempt.queue_id})
        else:
            wait = pause(failures, retries, outcome.retry_after)
            last = wait is None
            values = {"queue_id": attempt.queue_id, "wait": wait or timedelta(0)}
            await session.execute(PUT_BACK, values)
            _note_failure(endpoint)
        await _consider(session, endpoint, gone=_is_gone(outcome), last=last)
    await session.flush()


def _noted(attempt: Attempt, outcome: Outcome) -> dict[str, Any]:
    return {
        "queue_id": attempt.queue_id,
        "lease": attempt.lease,
        "delivery_id": attempt.delivery_id,
        "duration": timedelta(milliseconds=outcome.duration_ms),
        "duration_ms": outcome.duration_ms,
        "response_status": outcome.status,
        "response_body": outcome.body,
        "error": outcome.error,
    }


async def _recover(session: AsyncSession, endpoint: WebhookEndpoint) -> None:
    """All is well again once nothing is left that failed."""
    failing = await session.scalar(
        select(WebhookDelivery.id)
        .where(WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.status == DeliveryStatus.FAILING)
        .limit(1)
    )
    if endpoint.failing_since is not None and failing is None:
        endpoint.failing_since = None
        endpoint.version += 1


def _note_failure(endpoint: WebhookEndpoint) -> None:
    if endpoint.failing_since is None:
        endpoint.failing_since = func.now()
        endpoint.version += 1


def _is_gone(outcome: Outcome) -> bool:
    return outcome.error is DeliveryError.STATUS and outcome.status == GONE


async def _consider(session: AsyncSession, endpoint: WebhookEndpoint, *, gone: bool, last: bool) -> None:
    """Disable an endpoint that said it is gone, or whose last retry failed."""
    if endpoint.enabled and (gone or last):
        logger.warning("webhook %s is disabled: %s", endpoint.id, "gone" if gone else "its last retry failed")
        await disable(session, endpoint, DisabledReason.GONE if gone else DisabledReason.FAILING, SYSTEM)
        endpoint.version += 1
