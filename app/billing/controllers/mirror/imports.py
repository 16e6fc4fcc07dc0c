"""Imports of the provider's things, or of those of a system that is not connected.

An item is the whole state of one thing, known again by its source and id. The same again changes nothing, and
neither does an earlier state than the one that is known; an item that cannot be taken fails alone.
"""

from __future__ import annotations

from typing import TypeVar

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import Provider
from app.billing.exceptions import (
    ContradictionError,
    CurrencyMismatchError,
    UnknownCurrencyError,
    UnknownReferenceError,
)
from app.billing.schemas.mirror_imports import (
    CreditNoteImport,
    DisputeImport,
    ImportItem,
    ImportOutcome,
    InvoiceImport,
    MirrorImport,
    PaymentImport,
    RefundImport,
    SubscriptionImport,
)
from app.billing.service import importing
from app.bulk import BulkResult, run_bulk
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented

Item = TypeVar("Item", bound=ImportItem)
BODY_MAX = 16 * 1024 * 1024  # 500 invoices of some 100 lines
IMPORT = documented(
    raises=[ContradictionError, CurrencyMismatchError, UnknownCurrencyError, UnknownReferenceError],
    idempotency_required=True,
)


class MirrorImportController(Controller):
    """Imports. Admins only."""

    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.admin)]  # noqa: RUF012 - likewise
    request_max_body_size = BODY_MAX

    @post("/subscriptions/import", operation_id="import_subscriptions", status_code=200, opt=IMPORT)
    async def import_subscriptions(
        self,
        data: JSONBody[MirrorImport[SubscriptionImport]],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BulkResult[ImportOutcome]:
        """Bring subscriptions in line with their source."""
        return await _take(session, data, actor=principal)

    @post("/invoices/import", operation_id="import_invoices", status_code=200, opt=IMPORT)
    async def import_invoices(
        self,
        data: JSONBody[MirrorImport[InvoiceImport]],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BulkResult[ImportOutcome]:
        """Bring invoices and their lines in line with their source."""
        return await _take(session, data, actor=principal)

    @post("/payments/import", operation_id="import_payments", status_code=200, opt=IMPORT)
    async def import_payments(
        self,
        data: JSONBody[MirrorImport[PaymentImport]],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BulkResult[ImportOutcome]:
        """Bring payments in line with their source."""
        return await _take(session, data, actor=principal)

    @post("/refunds/import", operation_id="import_refunds", status_code=200, opt=IMPORT)
    async def import_refunds(
        self,
        data: JSONBody[MirrorImport[RefundImport]],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BulkResult[ImportOutcome]:
        """Take refunds that were made elsewhere; those heard of count against their payment."""
        return await _take(session, data, actor=principal)

    @post("/disputes/import", operation_id="import_disputes", status_code=200, opt=IMPORT)
    async def import_disputes(
        self,
        data: JSONBody[MirrorImport[DisputeImport]],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BulkResult[ImportOutcome]:
        """Bring disputes in line with their source."""
        return await _take(session, data, actor=principal)

    @post("/credit-notes/import", operation_id="import_credit_notes", status_code=200, opt=IMPORT)
    async def import_credit_notes(
        self,
        data: JSONBody[MirrorImport[CreditNoteImport]],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BulkResult[ImportOutcome]:
        """Take credit notes that were issued elsewhere."""
        return await _take(session, data, actor=principal)


async def _take(
    session: AsyncSession, data: MirrorImport[Item], *, actor: Principal
) -> BulkResult[ImportOutcome]:
    provider = Provider(data.provider)

    async def take(item: Item) -> ImportOutcome:
        return await importing.take(session, item, provider=provider, actor=actor)

    return await run_bulk(session, data.items, take)
