"""Endpoints: made, changed, switched on and off, their secrets renewed, tried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity.principal import Principal
from app.listing import Listed, Listing
from app.webhooks.constants import (
    SECRET_OVERLAP,
    SECRETS_MAX,
    SUBJECT,
    TEST_EVENT,
    UNDELIVERED,
    DisabledReason,
)
from app.webhooks.exceptions import WebhookDisabledError, WebhookNotFoundError
from app.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookQueue
from app.webhooks.utils import clean_url, new_secret, origin_of

WEBHOOKS = Listing(WebhookEndpoint, sorts={"created_at": WebhookEndpoint.created_at}, default="-created_at")
PLACE = text("select transaction, number from event where id = :id")

Check = Callable[[int], None]  # raises unless the version is the one that the caller has seen


def anything(version: int) -> None:
    """The check of who does not care which version is changed."""


async def create(
    session: AsyncSession,
    *,
    url: str,
    events: Sequence[str],
    description: str,
    enabled: bool,
    principal: Principal,
    allow_private: bool,
) -> WebhookEndpoint:
    """A new endpoint with a secret; ``WebhookURLError``.

    It begins at the horizon: every transaction that commits from now on lies above it. So do those under way
    and what was committed meanwhile beside a long one; the receiver gets these too, rather than missing one.
    """
    endpoint = WebhookEndpoint(
        url=clean_url(url, allow_private=allow_private),
        events=list(dict.fromkeys(events)),
        description=description,
        enabled=enabled,
        disabled_reason=None if enabled else DisabledReason.ADMIN,
        secret=new_secret(),
        cursor_transaction=await session.scalar(text("select event_horizon()")),
        created_by=principal.person_id or principal.key_id,
    )
    session.add(endpoint)
    await session.flush()
    await session.refresh(endpoint)
    await _record(session, "created", endpoint, actor=principal, after=_told(endpoint))
    return endpoint


async def get(session: AsyncSession, endpoint_id: UUID) -> WebhookEndpoint:
    """The endpoint; ``WebhookNotFoundError``."""
    endpoint = await session.get(WebhookEndpoint, endpoint_id)
    if endpoint is None:
        raise WebhookNotFoundError("There is no such webhook.")
    return endpoint


async def list_page(
    session: AsyncSession, *, limit: int, sort: str | None, cursor: str | None, total: bool
) -> Listed[WebhookEndpoint]:
    """One page, newest first unless sorted otherwise."""
    return await WEBHOOKS.fetch(
        session, select(WebhookEndpoint), limit=limit, sort=sort, cursor=cursor, total=total
    )


async def lock(session: AsyncSession, endpoint_id: UUID, check: Check = anything) -> WebhookEndpoint:
    """The endpoint, locked against other changes; ``WebhookNotFoundError``, and what ``check`` raises."""
    endpoint = await session.get(
        WebhookEndpoint, endpoint_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if endpoint is None:
        raise WebhookNotFoundError("There is no such webhook.")
    check(endpoint.version)
    return endpoint


async def change(
    session: AsyncSession,
    endpoint_id: UUID,
    *,
    principal: Principal,
    allow_private: bool,
    check: Check = anything,
    url: str | UnsetType = UNSET,
    events: Sequence[str] | UnsetType = UNSET,
    description: str | UnsetType = UNSET,
    enabled: bool | UnsetType = UNSET,
) -> WebhookEndpoint:
    """Change what is given; ``WebhookNotFoundError``, ``WebhookURLError``, and what ``check`` raises.

    Filters hold from the next event on that nobody has looked at yet. Enabled again, what is undelivered is
    tried at once and with all its attempts anew.
    """
    endpoint = await lock(session, endpoint_id, check)
    values: dict[str, Any] = {"description": description}
    if url is not UNSET:
        values["url"] = clean_url(url, allow_private=allow_private)
    if events is not UNSET:
        values["events"] = list(dict.fromkeys(events))
    changed = {
        name: value
        for name, value in values.items()
        if value is not UNSET and value != getattr(endpoint, name)
    }
    before = _told(endpoint)
    for name, value in changed.items():
        setattr(endpoint, name, value)
    if changed:
        told = _told(endpoint)
        await _record(
            session,
            "updated",
            endpoint,
            actor=principal,
            before={name: before[name] for name in changed},
            after={name: told[name] for name in changed},
        )
    switched = enabled is not UNSET and enabled != endpoint.enabled
    if switched:
        await (_enable if enabled else _switch_off)(session, endpoint, principal)
    if changed or switched:
        await _count_up(session, endpoint)
    return endpoint


async def remove(
    session: AsyncSession, endpoint_id: UUID, *, principal: Principal, check: Check = anything
) -> None:
    """Delete an endpoint with its log; ``WebhookNotFoundError``, and what ``check`` raises."""
    endpoint = await session.get(WebhookEndpoint, endpoint_id, with_for_update=True, populate_existing=True)
    if endpoint is None:
        raise WebhookNotFoundError("There is no such webhook.")
    check(endpoint.version)
    await _record(session, "deleted", endpoint, actor=principal, before=_told(endpoint))
    # In the order in which everybody locks them; the cascade has one of its own.
    await session.execute(delete(WebhookQueue).where(WebhookQueue.endpoint_id == endpoint.id))
    await session.delete(endpoint)
    await session.flush()


async def rotate(
    session: AsyncSession, endpoint_id: UUID, *, principal: Principal, check: Check = anything
) -> WebhookEndpoint:
    """Give the endpoint a new secret; each of the newest before it also signs for a day from its own end."""
    endpoint = await lock(session, endpoint_id, check)
    now = datetime.now(UTC)
    earlier = [(endpoint.secret, now + SECRET_OVERLAP), *live_secrets(endpoint, now)][: SECRETS_MAX - 1]
    endpoint.previous_secrets = [secret for secret, _ in earlier]
    endpoint.previous_secrets_until = [until for _, until in earlier]
    endpoint.secret = new_secret()
    await _count_up(session, endpoint)
    await _record(session, "secret_rotated", endpoint, actor=principal)
    return endpoint


def live_secrets(endpoint: WebhookEndpoint, now: datetime) -> list[tuple[str, datetime]]:
    """The earlier secrets that still sign, newest first, and until when."""
    earlier = zip(endpoint.previous_secrets, endpoint.previous_secrets_until, strict=True)
    return [(secret, until) for secret, until in earlier if until > now]


async def disable(
    session: AsyncSession, endpoint: WebhookEndpoint, reason: DisabledReason, actor: Principal
) -> None:
    """Send nothing more to a locked endpoint; its cursor and what is undelivered stay."""
    endpoint.enabled = False
    endpoint.disabled_reason = reason
    await _record(
        session,
        "disabled",
        endpoint,
        actor=actor,
        before={"enabled": True},
        after={"enabled": False, "disabled_reason": reason},
    )


async def _switch_off(session: AsyncSession, endpoint: WebhookEndpoint, principal: Principal) -> None:
    await disable(session, endpoint, DisabledReason.ADMIN, principal)


async def _enable(session: AsyncSession, endpoint: WebhookEndpoint, principal: Principal) -> None:
    before = {"enabled": False, "disabled_reason": endpoint.disabled_reason}
    endpoint.enabled = True
    endpoint.disabled_reason = None
    undelivered = WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.status.in_(UNDELIVERED)
    await session.execute(
        update(WebhookQueue)
        .where(WebhookQueue.endpoint_id == endpoint.id, WebhookQueue.lease.is_(None))
        .values(due_at=func.now())
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        update(WebhookDelivery)
        .where(*undelivered, WebhookDelivery.failures > 0)
        .values(failures=0)
        .execution_options(synchronize_session=False)
    )
    await _record(session, "enabled", endpoint, actor=principal, before=before, after={"enabled": True})


async def send_test(session: AsyncSession, endpoint_id: UUID, *, principal: Principal) -> WebhookDelivery:
    """Send ``webhook.test`` to this endpoint alone, whatever its filters; ``WebhookDisabledError``."""
    endpoint = await lock(session, endpoint_id)
    refuse_disabled(endpoint)
    event_id = await events.record(
        session, TEST_EVENT, subject=Subject(SUBJECT, endpoint.id), actor=principal, after={"ok": True}
    )
    event = (await session.execute(PLACE, {"id": event_id})).one()
    delivery = WebhookDelivery(
        endpoint_id=endpoint.id,
        event_id=event_id,
        transaction=event.transaction,
        number=event.number,
        type=TEST_EVENT,
        subject_type=SUBJECT,
        subject_id=endpoint.id,
    )
    session.add(delivery)
    await session.flush()
    session.add(WebhookQueue(endpoint_id=endpoint.id, delivery_id=delivery.id))
    await session.flush()
    await session.refresh(delivery)
    return delivery


def refuse_disabled(endpoint: WebhookEndpoint) -> None:
    """``WebhookDisabledError`` unless the endpoint is enabled."""
    if not endpoint.enabled:
        raise WebhookDisabledError("The webhook is disabled: nothing is sent to it.")


async def _count_up(session: AsyncSession, endpoint: WebhookEndpoint) -> None:
    endpoint.version += 1
    await session.flush()
    await session.refresh(endpoint)


def _told(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """What events tell of an endpoint: of its URL only the origin, since the rest is often a password."""
    return {
        "url": origin_of(endpoint.url),
        "events": endpoint.events,
        "description": endpoint.description,
        "enabled": endpoint.enabled,
    }


async def _record(
    session: AsyncSession, what: str, endpoint: WebhookEndpoint, *, actor: Principal, **fields: Any
) -> None:
    subject = Subject(SUBJECT, endpoint.id)
    await events.record(session, f"{SUBJECT}.{what}", subject=subject, actor=actor, audit=True, **fields)
