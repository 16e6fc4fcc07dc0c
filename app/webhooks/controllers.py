"""Routes of webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.datastructures import CacheControlHeader, State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.events.utils import read_filters
from app.identity import Principal, Role, require
from app.listing import CreatedAfter, CreatedBefore, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.webhooks.constants import DeliveryError, DeliveryStatus, DisabledReason
from app.webhooks.exceptions import (
    DeliveryNotFoundError,
    WebhookDisabledError,
    WebhookNotFoundError,
    WebhookURLError,
)
from app.webhooks.models import WebhookDelivery, WebhookEndpoint
from app.webhooks.schemas import (
    Delivery,
    DeliverySubject,
    Webhook,
    WebhookCreate,
    WebhookCreated,
    WebhookUpdate,
)
from app.webhooks.service import deliveries, endpoints

NO_STORE = CacheControlHeader(no_store=True)

StatusFilter = Annotated[
    list[DeliveryStatus] | None,
    QueryParameter(name="status", description="Deliveries that stand at any of these."),
]
SubjectFilter = Annotated[
    list[str] | None,
    QueryParameter(name="subject", description="About any of these: `person:<id>`, `document:<id>`."),
]
TypeFilter = Annotated[
    list[str] | None,
    QueryParameter(name="type", description="Of any of these types; `person.*` too."),
]


class WebhookController(Controller):
    """Endpoints and their deliveries; for admins."""

    path = "/v1/webhooks"
    tags = ["webhooks"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.admin)]  # noqa: RUF012 - likewise

    @post(
        operation_id="create_webhook",
        cache_control=NO_STORE,
        opt=documented(
            raises=[WebhookURLError],
            returns_secret=True,
            headers={"Location": "Address of the webhook."},
            example={"url": "https://hooks.example.com/tridesk", "events": ["person.*", "document.ready"]},
        ),
    )
    async def create_webhook(
        self,
        data: JSONBody[WebhookCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        state: State,
    ) -> Response[WebhookCreated]:
        """Make an endpoint; events from now on are sent to it. The answer is the only one with its secret.

        Messages are signed as [Standard Webhooks](https://www.standardwebhooks.com) says: verify
        `webhook-signature` with the secret and any of its libraries. Messages about the same subject come in
        order; each comes at least once, so remember `webhook-id`. Answer 2xx within ten seconds; anything
        else is tried again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, or later if
        `Retry-After` says so. Then, or after a 410, the endpoint is disabled until somebody enables it.
        """
        endpoint = await endpoints.create(
            session, principal=principal, allow_private=_allows_private(state), **structs.asdict(data)
        )
        return Response(
            _with_secret(endpoint), status_code=201, headers={"Location": f"/v1/webhooks/{endpoint.id}"}
        )

    @get(operation_id="list_webhooks", opt=documented(listing=endpoints.WEBHOOKS))
    async def list_webhooks(
        self,
        *,
        session: NamedDependency[AsyncSession],
        sort: Sort = None,
        cursor: Cursor = None,
        limit: Limit = 20,
        total: Total = False,
    ) -> Page[Webhook]:
        """List endpoints, newest first."""
        found = await endpoints.list_page(session, sort=sort, cursor=cursor, limit=limit, total=total)
        return found.page(_webhook)

    @get("/{webhook_id:uuid}", operation_id="get_webhook", opt=documented(raises=[WebhookNotFoundError]))
    async def get_webhook(
        self, webhook_id: FromPath[UUID], session: NamedDependency[AsyncSession]
    ) -> Webhook:
        """Get an endpoint, and how it does."""
        return _webhook(await endpoints.get(session, webhook_id))

    @patch(
        "/{webhook_id:uuid}",
        operation_id="update_webhook",
        opt=documented(raises=[WebhookNotFoundError, WebhookURLError], example={"enabled": False}),
    )
    async def update_webhook(
        self,
        *,
        webhook_id: FromPath[UUID],
        data: JSONBody[WebhookUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
        state: State,
    ) -> Webhook:
        """Change an endpoint, disable or enable it.

        While it is disabled nothing is sent and nothing is lost. Once enabled, what waits is tried at once,
        each with all its attempts anew, and then whatever happened meanwhile.
        """
        endpoint = await endpoints.change(
            session,
            webhook_id,
            principal=principal,
            allow_private=_allows_private(state),
            check=expected.check,
            **structs.asdict(data),
        )
        return _webhook(endpoint)

    @delete(
        "/{webhook_id:uuid}",
        operation_id="delete_webhook",
        opt=documented(raises=[WebhookNotFoundError]),
    )
    async def delete_webhook(
        self,
        webhook_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Delete an endpoint with its deliveries, also those that wait."""
        await endpoints.remove(session, webhook_id, principal=principal, check=expected.check)

    @post(
        "/{webhook_id:uuid}/rotate-secret",
        operation_id="rotate_webhook_secret",
        status_code=200,
        cache_control=NO_STORE,
        opt=documented(raises=[WebhookNotFoundError], returns_secret=True),
    )
    async def rotate_webhook_secret(
        self,
        webhook_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> WebhookCreated:
        """Make a new secret, shown this once. For a day messages are signed with the old one as well.

        Who lost the answer rotates again: the secret in use goes on signing (the newest four do).
        """
        endpoint = await endpoints.rotate(session, webhook_id, principal=principal, check=expected.check)
        return _with_secret(endpoint)

    @post(
        "/{webhook_id:uuid}/test",
        operation_id="test_webhook",
        status_code=202,
        opt=documented(raises=[WebhookNotFoundError, WebhookDisabledError]),
    )
    async def test_webhook(
        self,
        webhook_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Delivery:
        """Send a `webhook.test` event to this endpoint alone, once, whatever its filters."""
        return _delivery(await endpoints.send_test(session, webhook_id, principal=principal), None)

    @get(
        "/{webhook_id:uuid}/deliveries",
        operation_id="list_webhook_deliveries",
        opt=documented(raises=[WebhookNotFoundError], listing=deliveries.DELIVERIES),
    )
    async def list_webhook_deliveries(
        self,
        *,
        webhook_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        statuses: StatusFilter = None,
        subjects: SubjectFilter = None,
        types: TypeFilter = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        sort: Sort = None,
        cursor: Cursor = None,
        limit: Limit = 20,
        total: Total = False,
    ) -> Page[Delivery]:
        """List what was and is to be delivered, newest first; delivered messages are kept for 30 days."""
        found = await deliveries.list_page(
            session,
            webhook_id,
            filters=deliveries.Filters(
                statuses=statuses,
                events=read_filters(subjects, types),
                created_after=created_after,
                created_before=created_before,
            ),
            sort=sort,
            cursor=cursor,
            limit=limit,
            total=total,
        )
        times = await deliveries.next_attempts(session, [each.id for each in found.rows])
        return found.page(lambda row: _delivery(row, times.get(row.id)))

    @post(
        "/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/redeliver",
        operation_id="redeliver_webhook_delivery",
        status_code=202,
        opt=documented(raises=[WebhookNotFoundError, DeliveryNotFoundError, WebhookDisabledError]),
    )
    async def redeliver(
        self,
        webhook_id: FromPath[UUID],
        delivery_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
    ) -> Delivery:
        """Send a message again now, with the same `webhook-id`, also one that was delivered.

        One that is not delivered yet keeps its place: it is sent now if nothing of its subject is before it.
        """
        return _delivery(*await deliveries.redeliver(session, webhook_id, delivery_id))


def _allows_private(state: State) -> bool:
    return bool(state.settings.webhook_allow_private)


def _webhook(row: WebhookEndpoint) -> Webhook:
    return Webhook(**_shown(row))


def _with_secret(row: WebhookEndpoint) -> WebhookCreated:
    return WebhookCreated(**_shown(row), secret=row.secret)


def _shown(row: WebhookEndpoint) -> dict[str, Any]:
    others = {
        "disabled_reason": DisabledReason(row.disabled_reason) if row.disabled_reason else None,
        "previous_secret_until": next(iter(row.previous_secrets_until), None),
    }
    names = [each for each in Webhook.__struct_fields__ if each not in others]
    return {name: getattr(row, name) for name in names} | others


def _delivery(row: WebhookDelivery, next_attempt_at: datetime | None) -> Delivery:
    return Delivery(
        id=row.id,
        event_id=row.event_id,
        type=row.type,
        subject=DeliverySubject(type=row.subject_type, id=row.subject_id),
        status=DeliveryStatus(row.status),
        attempts=row.attempts,
        attempted_at=row.attempted_at,
        next_attempt_at=next_attempt_at,
        response_status=row.response_status,
        response_body=row.response_body,
        error=DeliveryError(row.error) if row.error else None,
        duration_ms=row.duration_ms,
        delivered_at=row.delivered_at,
        created_at=row.created_at,
    )
