"""Disputes, as the provider has them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import DisputeStatus
from app.billing.controllers.mirror.filters import (
    AccountFilter,
    AmountMax,
    AmountMin,
    CurrencyFilter,
    InvoiceFilter,
    PaymentFilter,
    ProviderFilter,
    ReasonFilter,
    moment,
)
from app.billing.exceptions import DisputeNotFoundError
from app.billing.models import Dispute
from app.billing.schemas.mirror import DisputeView
from app.billing.service.mirror import listing, showing
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

StatusFilter = Annotated[list[DisputeStatus] | None, several("status", "Disputes that stand there.")]
EvidenceDueAfter = Annotated[
    datetime | None, moment("evidence_due_after", "Whose evidence is due then or later.")
]
EvidenceDueBefore = Annotated[datetime | None, moment("evidence_due_before", "Whose evidence is due before.")]


class DisputeController(Controller):
    """Disputes, as the provider has them."""

    path = "/disputes"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_disputes", opt=documented(listing=listing.DISPUTES))
    async def list_disputes(
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
        evidence_due_after: EvidenceDueAfter = None,
        evidence_due_before: EvidenceDueBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[DisputeView]:
        """List disputes, newest first. Customers list their account's, if they may."""
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
            moment_after=evidence_due_after,
            moment_before=evidence_due_before,
        )
        found = await listing.DISPUTES.fetch(
            session,
            listing.disputes(principal, asked),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters=structs.asdict(asked),
        )
        return found.page(lambda row: showing.show_dispute(row, principal=principal))

    @get("/{dispute_id:uuid}", operation_id="get_dispute", opt=documented(raises=[DisputeNotFoundError]))
    async def get_dispute(
        self,
        dispute_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> DisputeView:
        """Get a dispute."""
        row = await listing.get(
            session, Dispute, dispute_id, principal=principal, missing=DisputeNotFoundError
        )
        return showing.show_dispute(row, principal=principal)
