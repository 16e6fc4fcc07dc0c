"""The query parameters that the list of refund requests takes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from app.billing.constants import FILTERS_MAX, RefundReason, RequestStatus
from app.billing.schemas.money import CurrencyCode


def _several(name: str, description: str) -> QueryParameter:
    return QueryParameter(
        name=name, max_items=FILTERS_MAX, description=f"{description} Several: any of them."
    )


StatusFilter = Annotated[list[RequestStatus] | None, _several("status", "Requests that stand there.")]
AccountFilter = Annotated[list[UUID] | None, _several("account_id", "Of this account.")]
PaymentFilter = Annotated[list[UUID] | None, _several("payment_id", "Of this payment.")]
InvoiceFilter = Annotated[list[UUID] | None, _several("invoice_id", "Of payments of this invoice.")]
CaseFilter = Annotated[list[UUID] | None, _several("case_id", "That belong to this case.")]
NoteFilter = Annotated[list[UUID] | None, _several("credit_note_id", "That this credit note asks for.")]
IssueFilter = Annotated[list[UUID] | None, _several("issue_id", "Staff only: behind which this issue is.")]
CurrencyFilter = Annotated[list[CurrencyCode] | None, _several("currency", "In this currency.")]
ReasonFilter = Annotated[list[RefundReason] | None, _several("reason", "For this reason.")]
NumberFilter = Annotated[list[str] | None, _several("number", "With this number, such as `REF-7`.")]
