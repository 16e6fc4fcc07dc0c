"""Subscriptions, as the provider has them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import SubscriptionStatus
from app.billing.controllers.mirror.filters import (
    AccountFilter,
    AmountMax,
    AmountMin,
    CurrencyFilter,
    PlanFilter,
    ProviderFilter,
    Words,
    moment,
)
from app.billing.exceptions import SubscriptionNotFoundError
from app.billing.models import Subscription
from app.billing.schemas.mirror import SubscriptionView
from app.billing.service.mirror import listing, showing
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

StatusFilter = Annotated[
    list[SubscriptionStatus] | None, several("status", "Subscriptions that stand there.")
]
EndsAfter = Annotated[datetime | None, moment("ends_after", "Whose period ends then or later.")]
EndsBefore = Annotated[datetime | None, moment("ends_before", "Whose period ends before.")]


class SubscriptionController(Controller):
    """Subscriptions, as the provider has them."""

    path = "/subscriptions"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_subscriptions", opt=documented(listing=listing.SUBSCRIPTIONS))
    async def list_subscriptions(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        status: StatusFilter = None,
        provider: ProviderFilter = None,
        account_id: AccountFilter = None,
        plan: PlanFilter = None,
        currency: CurrencyFilter = None,
        amount_min: AmountMin = None,
        amount_max: AmountMax = None,
        q: Words = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        ends_after: EndsAfter = None,
        ends_before: EndsBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[SubscriptionView]:
        """List subscriptions, newest first. Customers list their account's, if they may."""
        asked = listing.MirrorFilter(
            status=status,
            provider=provider,
            account_id=account_id,
            plan=plan,
            currency=currency,
            amount_min=amount_min,
            amount_max=amount_max,
            q=q,
            created_after=created_after,
            created_before=created_before,
            moment_after=ends_after,
            moment_before=ends_before,
        )
        found = await listing.SUBSCRIPTIONS.fetch(
            session,
            listing.subscriptions(principal, asked),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters=structs.asdict(asked),
        )
        return found.page(lambda row: showing.show_subscription(row, principal=principal))

    @get(
        "/{subscription_id:uuid}",
        operation_id="get_subscription",
        opt=documented(raises=[SubscriptionNotFoundError]),
    )
    async def get_subscription(
        self,
        subscription_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> SubscriptionView:
        """Get a subscription."""
        row = await listing.get(
            session, Subscription, subscription_id, principal=principal, missing=SubscriptionNotFoundError
        )
        return showing.show_subscription(row, principal=principal)
