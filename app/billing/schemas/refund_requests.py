"""Refund requests: asked for, decided, executed, shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.constants import NOTE_MAX, RefundReason, RefundStatus, RequestStatus
from app.billing.schemas.money import Amount, CurrencyCode, Exponent
from app.billing.schemas.refund_policies import ApprovalLimit
from app.identity.constants import Role

Note = Annotated[
    str,
    Meta(
        max_length=NOTE_MAX,
        pattern=r"^[^\x00]*$",
        description="Kept without card numbers; staff and its writer see it.",
        examples=["Charged twice on 3 November."],
    ),
]


class RefundRequestCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money of a payment that is to go back."""

    payment_id: UUID
    amount: Amount
    currency: Annotated[CurrencyCode, Meta(description="The payment's; said, so that a mix-up is found.")]
    reason: RefundReason
    note: Note = ""
    case_id: Annotated[UUID | None, Meta(description="The billing case that it belongs to.")] = None
    issue_id: Annotated[UUID | None, Meta(description="Staff only: the known issue behind it.")] = None


class RefundRequestUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a request that nobody has decided yet."""

    note: Note


class RefundDecision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the approver has to say to it."""

    note: Note = ""


class RequestedRefund(Struct, frozen=True, kw_only=True):
    """The refund that was made of a request."""

    id: UUID
    status: RefundStatus
    attempts: Annotated[int, Meta(description="Calls of the provider; 0 while none was made.")]
    called_at: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    external_id: Annotated[str | None, Meta(description="The provider's id; the staff's.")]
    failure_reason: Annotated[str | None, Meta(description="The provider's code; the staff's.")]


class RefundRequestView(Struct, frozen=True, kw_only=True):
    """A refund request. To customers, what is the staff's is null or empty."""

    id: UUID
    number: Annotated[str, Meta(description="What people call it.", examples=["REF-7"])]
    status: RequestStatus
    payment_id: UUID
    account_id: UUID | None
    case_id: UUID | None
    credit_note_id: UUID | None
    issue_id: Annotated[UUID | None, Meta(description="The known issue behind it; the staff's.")]
    amount: Amount
    currency: CurrencyCode
    exponent: Exponent
    reason: RefundReason
    note: Annotated[str | None, Meta(description="The staff's and its writer's.")]
    requested_by_id: Annotated[
        UUID | None, Meta(description="The person; null when a key without one asked.")
    ]
    policy_version: Annotated[int | None, Meta(description="By which it was approved; the staff's.")]
    limits: Annotated[
        list[ApprovalLimit],
        Meta(description="Who may approve how much in its currency, by that policy or the one in force."),
    ]
    decided_by_id: Annotated[UUID | None, Meta(description="The staff's.")]
    decided_role: Annotated[Role | None, Meta(description="The approver's, then; the staff's.")]
    decided_at: datetime | None
    decision_note: Annotated[str | None, Meta(description="The staff's.")]
    expires_at: Annotated[datetime | None, Meta(description="By when an approval must be executed.")]
    executed_at: Annotated[datetime | None, Meta(description="When the money was reserved.")]
    failure_reason: Annotated[str | None, Meta(description="The staff's.")]
    refund: RequestedRefund | None
    version: int
    created_at: datetime
    updated_at: datetime
