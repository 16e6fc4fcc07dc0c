"""Invoices with their lines."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import InvoiceStatus
from app.billing.controllers.mirror.filters import (
    AccountFilter,
    AmountMax,
    AmountMin,
    CurrencyFilter,
    NumberFilter,
    ProviderFilter,
    SubscriptionFilter,
    Words,
    moment,
)
from app.billing.exceptions import InvoiceNotFoundError
from app.billing.models import Invoice
from app.billing.schemas.mirror import InvoiceView
from app.billing.service.mirror import listing, showing
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

StatusFilter = Annotated[list[InvoiceStatus] | None, several("status", "Invoices that stand there.")]
IssuedAfter = Annotated[datetime | None, moment("issued_after", "Issued then or later.")]
IssuedBefore = Annotated[datetime | None, moment("issued_before", "Issued before.")]
OverdueFilter = Annotated[
    bool | None, QueryParameter(name="overdue", description="Whether it is open, owed and past its date.")
]


class InvoiceController(Controller):
    """Invoices with their lines."""

    path = "/invoices"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_invoices", opt=documented(listing=listing.INVOICES))
    async def list_invoices(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        status: StatusFilter = None,
        provider: ProviderFilter = None,
        account_id: AccountFilter = None,
        subscription_id: SubscriptionFilter = None,
        number: NumberFilter = None,
        overdue: OverdueFilter = None,
        currency: CurrencyFilter = None,
        amount_min: AmountMin = None,
        amount_max: AmountMax = None,
        q: Words = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        issued_after: IssuedAfter = None,
        issued_before: IssuedBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[InvoiceView]:
        """List invoices, newest first. Customers list their account's, if they may."""
        asked = listing.MirrorFilter(
            status=status,
            provider=provider,
            account_id=account_id,
            subscription_id=subscription_id,
            number=number,
            overdue=overdue,
            currency=currency,
            amount_min=amount_min,
            amount_max=amount_max,
            q=q,
            created_after=created_after,
            created_before=created_before,
            moment_after=issued_after,
            moment_before=issued_before,
        )
        found = await listing.INVOICES.fetch(
            session,
            listing.invoices(principal, asked),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters=structs.asdict(asked),
        )
        shown = await showing.show_invoices(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get("/{invoice_id:uuid}", operation_id="get_invoice", opt=documented(raises=[InvoiceNotFoundError]))
    async def get_invoice(
        self,
        invoice_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> InvoiceView:
        """Get an invoice."""
        row = await listing.get(
            session, Invoice, invoice_id, principal=principal, missing=InvoiceNotFoundError
        )
        return (await showing.show_invoices(session, [row], principal=principal))[0]
