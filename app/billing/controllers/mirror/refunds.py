"""Refunds, from their reserve on."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import RefundStatus
from app.billing.controllers.mirror.filters import (
    AccountFilter,
    AmountMax,
    AmountMin,
    CurrencyFilter,
    InvoiceFilter,
    PaymentFilter,
    ProviderFilter,
    ReasonFilter,
)
from app.billing.exceptions import RefundNotFoundError
from app.billing.models import Refund
from app.billing.schemas.mirror import RefundView
from app.billing.service.mirror import listing, showing
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

StatusFilter = Annotated[list[RefundStatus] | None, several("status", "Refunds that stand there.")]


class RefundController(Controller):
    """Refunds, from their reserve on."""

    path = "/refunds"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_refunds", opt=documented(listing=listing.REFUNDS))
    async def list_refunds(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        status: StatusFilter = None,
        provider: ProviderFilter = None,
        account_id: AccountFilter = None,
        payment_id: PaymentFilter = None,
        invoice_id: InvoiceFilter = None,
        reason: ReasonFilter = None,
        currency: CurrencyFilter = None,
        amount_min: AmountMin = None,
        amount_max: AmountMax = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[RefundView]:
        """List refunds, newest first. Customers list their account's, if they may."""
        asked = listing.MirrorFilter(
            status=status,
            provider=provider,
            account_id=account_id,
            payment_id=payment_id,
            invoice_id=invoice_id,
            reason=reason,
            currency=currency,
            amount_min=amount_min,
            amount_max=amount_max,
            created_after=created_after,
            created_before=created_before,
        )
        found = await listing.REFUNDS.fetch(
            session,
            listing.refunds(principal, asked),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters=structs.asdict(asked),
        )
        return found.page(lambda row: showing.show_refund(row, principal=principal))

    @get("/{refund_id:uuid}", operation_id="get_refund", opt=documented(raises=[RefundNotFoundError]))
    async def get_refund(
        self,
        refund_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> RefundView:
        """Get a refund."""
        row = await listing.get(session, Refund, refund_id, principal=principal, missing=RefundNotFoundError)
        return showing.show_refund(row, principal=principal)
