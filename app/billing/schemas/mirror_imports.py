"""The provider's things, as they are imported: each item the whole state of one thing."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.constants import (
    AMOUNT_MAX,
    EXTERNAL_ID_MAX,
    IMPORT_ITEMS_MAX,
    LINES_MAX,
    NAME_MAX,
    NOTE_MAX,
    CreditNoteStatus,
    DisputeStatus,
    Interval,
    InvoiceStatus,
    PaymentStatus,
    RefundStatus,
    SubscriptionStatus,
)
from app.billing.schemas.fields import NO_NUL, ONE_LINE, ExternalId
from app.billing.schemas.money import CurrencyCode

T = TypeVar("T")
QUANTITY_MAX = 10**9

Moment = Annotated[datetime, Meta(tz=True, examples=["2026-11-02T09:30:00Z"])]
Units = Annotated[int, Meta(ge=0, le=AMOUNT_MAX, description="Minor units.", examples=[4900])]
Signed = Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="Minor units.", examples=[4900])]
Taken = Annotated[int, Meta(ge=1, le=AMOUNT_MAX, description="Minor units.", examples=[4900])]
Label = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=ONE_LINE, examples=["business"])]
Words = Annotated[str, Meta(max_length=NOTE_MAX, pattern=NO_NUL)]
Rate = Annotated[
    str, Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?$", description="Percent.", examples=["20", "7.7"])
]


class ImportedFrom(StrEnum):
    """Where imported things come from; what is issued here is not imported."""

    manual = "manual"
    sandbox = "sandbox"
    stripe = "stripe"


class ImportResult(StrEnum):
    """What came of an imported item."""

    created = "created"
    updated = "updated"
    unchanged = "unchanged"


class ImportItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every item has: its id at the source, and as of when this is its state."""

    external_id: ExternalId
    at: Annotated[Moment | None, Meta(description="As of when this is its state; null: now.")] = None
    currency: CurrencyCode


class OwnedImport(ImportItem, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item that says whose it is."""

    account_id: Annotated[UUID | None, Meta(description="The account.")] = None
    account: Annotated[
        Annotated[str, Meta(min_length=1, max_length=EXTERNAL_ID_MAX, pattern=NO_NUL)] | None,
        Meta(description="The account by its own external id, instead of `account_id`."),
    ] = None
    customer: Annotated[ExternalId | None, Meta(description="The source's customer.")] = None


class SubscriptionImport(OwnedImport, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subscription."""

    plan: Label
    plan_name: Annotated[Label | None, Meta(description="Null: as `plan`.")] = None
    status: SubscriptionStatus
    quantity: Annotated[int, Meta(ge=0, le=QUANTITY_MAX)] = 1
    unit_amount: Units
    interval: Interval
    interval_count: Annotated[int, Meta(ge=1, le=1000)] = 1
    started_at: Moment | None = None
    current_period_start: Moment | None = None
    current_period_end: Moment | None = None
    cancel_at: Moment | None = None
    canceled_at: Moment | None = None
    ended_at: Moment | None = None


class InvoiceLineImport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line; its tax is reckoned on the sums of each rate where any line leaves it out."""

    description: Words
    amount: Annotated[Signed, Meta(description="Net, in minor units.")]
    tax_rate: Rate = "0"
    tax_amount: Signed | None = None
    quantity: Annotated[int, Meta(ge=0, le=QUANTITY_MAX)] = 1
    unit_amount: Signed | None = None
    external_id: ExternalId | None = None
    period_start: Moment | None = None
    period_end: Moment | None = None


class InvoiceImport(OwnedImport, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invoice. Sums that are left out follow from the lines; those that are given must agree."""

    status: InvoiceStatus
    number: Label | None = None
    subscription: ExternalId | None = None
    lines: Annotated[list[InvoiceLineImport], Meta(max_length=LINES_MAX)] | None = None
    subtotal: Signed | None = None
    tax: Signed | None = None
    total: Signed | None = None
    paid: Units = 0
    credit_applied: Units = 0
    description: Words | None = None
    issued_at: Moment | None = None
    due_at: Moment | None = None
    paid_at: Moment | None = None
    voided_at: Moment | None = None


class PaymentImport(OwnedImport, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A payment. `captured`: null is the whole amount of one that succeeded."""

    status: PaymentStatus
    amount: Units
    captured: Units | None = None
    invoice: ExternalId | None = None
    charge: ExternalId | None = None
    method: Label | None = None
    failure_code: Label | None = None
    description: Words | None = None
    paid_at: Moment | None = None


class RefundImport(ImportItem, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refund that was made elsewhere; whose it is follows from its payment."""

    payment: ExternalId
    status: RefundStatus
    amount: Taken
    reason: Label | None = None
    failure_reason: Label | None = None


class DisputeImport(OwnedImport, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dispute of a payment."""

    payment: ExternalId
    status: DisputeStatus
    amount: Units
    reason: Label | None = None
    opened_at: Moment | None = None
    evidence_due_at: Moment | None = None
    closed_at: Moment | None = None


class CreditNoteImport(OwnedImport, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A credit note that was issued elsewhere. What the parts leave of the total was settled elsewhere."""

    invoice: ExternalId
    status: CreditNoteStatus
    number: Label | None = None
    reason: Label | None = None
    subtotal: Units
    tax: Units = 0
    reduces: Annotated[Units, Meta(description="Of what the invoice still owed.")] = 0
    refund_amount: Units = 0
    credit_amount: Units = 0
    issued_at: Moment | None = None
    voided_at: Moment | None = None


class MirrorImport(Struct, Generic[T], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 500 items of one source. Ids are unique a source and kind."""

    provider: ImportedFrom = ImportedFrom.manual
    items: Annotated[list[T], Meta(min_length=1, max_length=IMPORT_ITEMS_MAX)]


class ImportOutcome(Struct, frozen=True, kw_only=True):
    """An item that was taken."""

    id: UUID
    external_id: str
    result: Annotated[ImportResult, Meta(description="`unchanged`: known already, or a later state is.")]
