"""Credit notes: asked for, previewed, shown."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.constants import (
    AMOUNT_MAX,
    LINES_MAX,
    CreditNoteStatus,
    Provider,
    RefundReason,
    RequestStatus,
)
from app.billing.schemas.money import CurrencyCode, Exponent
from app.billing.schemas.refund_requests import Note

Part = Annotated[int, Meta(ge=0, le=AMOUNT_MAX, description="In minor units.", examples=[0])]
Rate = Annotated[Decimal, Meta(description="Percent.", examples=["20.0000"])]


class CreditNoteLineCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of which line of the invoice is taken back."""

    line_id: Annotated[UUID, Meta(description="The invoice's line.")]
    amount: Annotated[
        Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)] | None,
        Meta(description="Net, in minor units, of the line's sign; null: all that is left.", examples=[5750]),
    ] = None


class CreditNoteCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A credit note. What its total exceeds the owed part by is the sum of the three parts, exactly."""

    invoice_id: UUID
    lines: Annotated[list[CreditNoteLineCreate], Meta(min_length=1, max_length=LINES_MAX)]
    refund_amount: Annotated[Part, Meta(description="To be refunded; refund requests are made of it.")] = 0
    credit_amount: Annotated[Part, Meta(description="To the account's credit.")] = 0
    out_of_band_amount: Annotated[Part, Meta(description="Settled outside the provider.")] = 0
    reason: RefundReason
    note: Note = ""
    case_id: Annotated[UUID | None, Meta(description="The billing case that it belongs to.")] = None
    issue_id: Annotated[UUID | None, Meta(description="The known issue behind it.")] = None


class CreditNoteLineView(Struct, frozen=True, kw_only=True):
    """A line of a credit note. ``amount``: net; its tax beside it."""

    position: int
    invoice_line_id: UUID | None
    label: Annotated[str | None, Meta(description="What it takes back.", examples=["invoice INV-12 line 2"])]
    description: str
    amount: int
    tax_rate: Rate
    tax_amount: int


class CreditNoteRefund(Struct, frozen=True, kw_only=True):
    """A refund request that a credit note made."""

    id: UUID
    number: str
    payment_id: UUID
    amount: int
    status: RequestStatus


class CreditNoteView(Struct, frozen=True, kw_only=True):
    """A credit note. ``total`` = ``reduces`` (of what was owed) and the three parts of the excess."""

    id: UUID
    number: Annotated[str | None, Meta(description="Rising; gaps may occur.", examples=["CN-000007"])]
    status: CreditNoteStatus
    provider: Annotated[Provider, Meta(description="`tridesk`: issued here.")]
    invoice_id: UUID
    account_id: UUID | None
    case_id: UUID | None
    issue_id: Annotated[UUID | None, Meta(description="The staff's.")]
    reason: str | None
    note: Annotated[str | None, Meta(description="The staff's.")]
    currency: CurrencyCode
    exponent: Exponent
    subtotal: int
    tax: int
    total: int
    reduces: int
    refund_amount: int
    credit_amount: int
    out_of_band_amount: int
    lines: list[CreditNoteLineView]
    refund_requests: list[CreditNoteRefund]
    issued_by_id: Annotated[UUID | None, Meta(description="The staff's.")]
    issued_at: datetime
    voided_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class CreditNotePreview(Struct, frozen=True, kw_only=True):
    """What a credit note would come to now."""

    invoice_id: UUID
    currency: CurrencyCode
    exponent: Exponent
    subtotal: int
    tax: int
    total: int
    reduces: Annotated[int, Meta(description="Of the total what is still owed: the invoice owes less.")]
    excess: Annotated[int, Meta(description="The rest: refund, credit and out of band must sum to it.")]
    refundable: Annotated[int, Meta(description="What the refund part may be at most.")]
    lines: list[CreditNoteLineView]
