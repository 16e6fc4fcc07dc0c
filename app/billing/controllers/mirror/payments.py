"""Payments, and which of them look like one debt paid twice."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import PaymentStatus
from app.billing.controllers.mirror.filters import (
    AccountFilter,
    AmountMax,
    AmountMin,
    CurrencyFilter,
    InvoiceFilter,
    MethodFilter,
    ProviderFilter,
    SubscriptionFilter,
    Words,
    moment,
)
from app.billing.exceptions import BillingAccountNotFoundError, CaseNotFoundError, PaymentNotFoundError
from app.billing.models import Payment
from app.billing.schemas.duplicates import DuplicateCharges
from app.billing.schemas.mirror import PaymentView
from app.billing.service import cases, duplicates, facts
from app.billing.service.mirror import listing, showing
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

WINDOW = 72  # hours: a bank's weekend
WINDOW_MAX = 24 * 400  # more than a year

StatusFilter = Annotated[list[PaymentStatus] | None, several("status", "Payments that stand there.")]
PaidAfter = Annotated[datetime | None, moment("paid_after", "Paid then or later.")]
PaidBefore = Annotated[datetime | None, moment("paid_before", "Paid before.")]
DisputedFilter = Annotated[
    bool | None, QueryParameter(name="disputed", description="Whether a dispute of it is open.")
]
WindowHours = Annotated[
    int,
    QueryParameter(name="window_hours", ge=1, le=WINDOW_MAX, description="How far apart they may be."),
]
DuplicatesOf = Annotated[UUID, QueryParameter(name="account_id", description="Whose payments.")]


class PaymentController(Controller):
    """Payments, and which of them look like one debt paid twice."""

    path = "/payments"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_payments", opt=documented(listing=listing.PAYMENTS))
    async def list_payments(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        status: StatusFilter = None,
        provider: ProviderFilter = None,
        account_id: AccountFilter = None,
        invoice_id: InvoiceFilter = None,
        subscription_id: SubscriptionFilter = None,
        method: MethodFilter = None,
        disputed: DisputedFilter = None,
        currency: CurrencyFilter = None,
        amount_min: AmountMin = None,
        amount_max: AmountMax = None,
        q: Words = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        paid_after: PaidAfter = None,
        paid_before: PaidBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[PaymentView]:
        """List payments, newest first. Customers list their account's, if they may."""
        asked = listing.MirrorFilter(
            status=status,
            provider=provider,
            account_id=account_id,
            invoice_id=invoice_id,
            subscription_id=subscription_id,
            method=method,
            disputed=disputed,
            currency=currency,
            amount_min=amount_min,
            amount_max=amount_max,
            q=q,
            created_after=created_after,
            created_before=created_before,
            moment_after=paid_after,
            moment_before=paid_before,
        )
        found = await listing.PAYMENTS.fetch(
            session,
            listing.payments(principal, asked),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters=structs.asdict(asked),
        )
        shown = await showing.show_payments(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get(
        "/duplicates",
        operation_id="list_duplicate_charges",
        guards=[require(Role.agent)],
        opt=documented(raises=[BillingAccountNotFoundError]),
    )
    async def list_duplicate_charges(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        account_id: DuplicatesOf,
        window_hours: WindowHours = WINDOW,
    ) -> DuplicateCharges:
        """Find payments of an account that look like one debt paid twice.

        Succeeded payments of the same amount and currency that are not further apart than the window. One
        invoice paid twice is strong evidence; instalments of a subscription, one a period, are weak.
        """
        await facts.check_account(session, account_id, principal=principal)
        return await duplicates.find(session, account_id, window_hours=window_hours)

    @get("/{payment_id:uuid}", operation_id="get_payment", opt=documented(raises=[PaymentNotFoundError]))
    async def get_payment(
        self,
        payment_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> PaymentView:
        """Get a payment."""
        row = await listing.get(
            session, Payment, payment_id, principal=principal, missing=PaymentNotFoundError
        )
        return (await showing.show_payments(session, [row], principal=principal))[0]


class CaseDuplicateController(Controller):
    """Duplicate charges of a case's account."""

    path = "/cases/{case_id:uuid}/duplicates"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - likewise

    @get(operation_id="list_case_duplicates", opt=documented(raises=[CaseNotFoundError], etag=False))
    async def list_case_duplicates(
        self,
        *,
        case_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        window_hours: WindowHours = WINDOW,
    ) -> DuplicateCharges:
        """Find payments of the case's account that look like one debt paid twice; none without an account."""
        case = await cases.get(session, case_id, principal=principal)
        return await duplicates.find(session, case.account_id, window_hours=window_hours)
