"""The query parameters that the list of refund requests takes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from app.billing.constants import RefundReason, RequestStatus
from app.billing.schemas.money import CurrencyCode
from app.listing import several

StatusFilter = Annotated[list[RequestStatus] | None, several("status", "Requests that stand there.")]
AccountFilter = Annotated[list[UUID] | None, several("account_id", "Of this account.")]
PaymentFilter = Annotated[list[UUID] | None, several("payment_id", "Of this payment.")]
InvoiceFilter = Annotated[list[UUID] | None, several("invoice_id", "Of payments of this invoice.")]
CaseFilter = Annotated[list[UUID] | None, several("case_id", "That belong to this case.")]
NoteFilter = Annotated[list[UUID] | None, several("credit_note_id", "That this credit note asks for.")]
IssueFilter = Annotated[list[UUID] | None, several("issue_id", "Staff only: behind which this issue is.")]
CurrencyFilter = Annotated[list[CurrencyCode] | None, several("currency", "In this currency.")]
ReasonFilter = Annotated[list[RefundReason] | None, several("reason", "For this reason.")]
NumberFilter = Annotated[list[str] | None, several("number", "With this number, such as `REF-7`.")]
