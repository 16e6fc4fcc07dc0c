"""Billing cases: made, changed, moved, shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.billing.constants import CaseKind, CasePriority, CaseSource, CaseStatus
from app.billing.schemas.fields import NO_NUL, StaffReason, SubjectLine, Tag
from app.conversations.constants import ATTACHMENTS_MAX, BODY_MAX_BYTES, BodyFormat
from app.conversations.schemas import MessageCreate, MessageView
from app.sla import ClockView

TAGS_MAX = 30

CaseDescription = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=BODY_MAX_BYTES,
        pattern=NO_NUL,
        description="What it is about; Markdown, 64 KiB at most.",
        examples=["My card was charged twice for BW-2026-004711."],
    ),
]


class BillingCaseCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new case. What only the staff may set, a customer leaves out."""

    kind: Annotated[CaseKind, Meta(description="`dispute`: staff only; the provider opens those.")]
    subject: SubjectLine
    description: CaseDescription
    format: Annotated[BodyFormat, Meta(description="Of the description: `markdown` or `text`.")] = (
        BodyFormat.markdown
    )
    subscription_id: UUID | None = None
    invoice_id: UUID | None = None
    payment_id: UUID | None = None
    attachments: Annotated[
        list[UUID], Meta(max_length=ATTACHMENTS_MAX, description="Ids of the caller's own uploads.")
    ] = []
    dispute_id: Annotated[UUID | None, Meta(description="Staff only.")] = None
    priority: Annotated[CasePriority | None, Meta(description="Staff only; `normal` when left out.")] = None
    tags: Annotated[list[Tag], Meta(max_length=TAGS_MAX, description="Staff only.")] = []
    requester_id: Annotated[UUID | None, Meta(description="Staff only: the customer whose case it is.")] = (
        None
    )
    account_id: Annotated[
        UUID | None, Meta(description="Staff only; the requester's, or that of what it is about.")
    ] = None
    assignee_id: Annotated[UUID | None, Meta(description="Staff only.")] = None
    issue_id: Annotated[UUID | None, Meta(description="Staff only: the known issue behind it.")] = None


class BillingCaseUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a case; what is left out stays. The status changes by a transition."""

    kind: CaseKind | UnsetType = UNSET
    subject: SubjectLine | UnsetType = UNSET
    description: CaseDescription | UnsetType = UNSET
    priority: CasePriority | UnsetType = UNSET
    tags: Annotated[list[Tag], Meta(max_length=TAGS_MAX)] | UnsetType = UNSET
    requester_id: UUID | UnsetType | None = UNSET
    account_id: UUID | UnsetType | None = UNSET
    assignee_id: UUID | UnsetType | None = UNSET
    subscription_id: UUID | UnsetType | None = UNSET
    invoice_id: UUID | UnsetType | None = UNSET
    payment_id: UUID | UnsetType | None = UNSET
    dispute_id: UUID | UnsetType | None = UNSET
    issue_id: UUID | UnsetType | None = UNSET


class BillingTransitionCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the case goes."""

    to: CaseStatus
    reason: StaffReason | None = None


class BillingMessageCreate(MessageCreate, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new message on a case, with what becomes of the case when it is sent."""

    status: Annotated[
        CaseStatus | None,
        Meta(description="Staff only: move the case in the same act, such as to `awaiting_customer`."),
    ] = None


class BillingCaseView(Struct, frozen=True, kw_only=True):
    """A case. To customers, what is the staff's is null or empty."""

    id: UUID
    number: Annotated[str, Meta(description="What people call it.", examples=["BIL-7"])]
    kind: CaseKind
    subject: str
    description: Annotated[str, Meta(description="As it was written or last agreed, without card numbers.")]
    status: CaseStatus
    priority: CasePriority
    tags: Annotated[list[str], Meta(description="The staff's.")]
    source: CaseSource
    requester_id: UUID | None
    account_id: UUID | None
    assignee_id: Annotated[UUID | None, Meta(description="The staff's.")]
    subscription_id: UUID | None
    invoice_id: UUID | None
    payment_id: UUID | None
    dispute_id: UUID | None
    issue_id: Annotated[UUID | None, Meta(description="The known issue behind it; the staff's.")]
    follows_id: Annotated[UUID | None, Meta(description="The case that this one goes on with.")]
    reopens: int
    status_changed_at: datetime
    first_resolved_at: datetime | None
    resolved_at: Annotated[datetime | None, Meta(description="Null again when it is reopened.")]
    closed_at: datetime | None
    waiting_since: Annotated[
        datetime | None, Meta(description="When the customer wrote what has not been answered yet.")
    ]
    version: int
    created_at: datetime
    updated_at: datetime


class BillingMessage(Struct, frozen=True, kw_only=True):
    """A message that was posted, and the case as it is now.

    It is another case than the one written to when that is over: then a follow-up was opened.
    """

    message: MessageView
    case: BillingCaseView


class BillingClockList(Struct, frozen=True, kw_only=True):
    """The clocks of a case."""

    clocks: list[ClockView]


class SimilarCase(Struct, frozen=True, kw_only=True):
    """A case that is like another."""

    case: BillingCaseView
    score: Annotated[float, Meta(description="Words and meaning together; more is more alike.")]


class SimilarCases(Struct, frozen=True, kw_only=True):
    """Cases like one, most alike first."""

    items: list[SimilarCase]
