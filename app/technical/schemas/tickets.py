"""Tickets: made, changed, moved, shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.conversations.constants import ATTACHMENTS_MAX, BODY_MAX_BYTES, BodyFormat
from app.conversations.schemas import MessageCreate, MessageView
from app.sla import ClockView
from app.technical.constants import (
    ENVIRONMENT_MAX,
    NAME_MAX,
    REASON_MAX,
    SUBJECT_MAX,
    TAGS_MAX,
    Priority,
    Severity,
    Source,
    Status,
)

# One line without controls; nor with what reorders the text around it, so that a name could pass for another.
ONE_LINE = r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*\S[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$"
NO_NUL = r"^[^\x00]*$"

TicketNumber = Annotated[str, Meta(description="What people call it.", examples=["TEC-42"])]
SubjectLine = Annotated[
    str,
    Meta(min_length=1, max_length=SUBJECT_MAX, pattern=ONE_LINE, examples=["Export stops with error 504"]),
]
Description = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=BODY_MAX_BYTES,
        pattern=NO_NUL,
        description="What happens, what was expected; Markdown, 64 KiB at most.",
        examples=["Exporting more than 10,000 rows stops after a minute with `504 Gateway Timeout`."],
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=ONE_LINE)]
ProductName = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=ONE_LINE, examples=["Exporter"])]
ComponentName = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=ONE_LINE, examples=["CSV"])]
ProductVersion = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=ONE_LINE, examples=["4.2.1"])]
Environment = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=ENVIRONMENT_MAX,
        pattern=r"^[^\x00]*\S[^\x00]*$",
        description="Where it happens: system, browser, plan, region.",
        examples=["Firefox 142 on Ubuntu 24.04"],
    ),
]
Tag = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NAME_MAX,
        pattern=ONE_LINE,
        description="Case does not matter: kept in lower case.",
        examples=["export"],
    ),
]
Tags = Annotated[list[Tag], Meta(max_length=TAGS_MAX)]
Custom = Annotated[
    dict[str, Any],
    Meta(
        max_length=100,
        description="Values of the custom fields that an admin has defined, by their keys; null clears one.",
        examples=[{}],
    ),
]
Reason = Annotated[
    str,
    Meta(
        max_length=REASON_MAX,
        pattern=r"^[^\x00]*$",
        description="For the staff, kept in the timeline.",
        examples=["Waiting for the vendor."],
    ),
]


class TicketCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new ticket. What only the staff may set, a customer leaves out."""

    subject: SubjectLine
    description: Description
    format: Annotated[BodyFormat, Meta(description="Of the description: `markdown` or `text`.")] = (
        BodyFormat.markdown
    )
    severity: Severity | None = None
    product: ProductName | None = None
    component: ComponentName | None = None
    product_version: ProductVersion | None = None
    environment: Environment | None = None
    custom: Custom = {}
    attachments: Annotated[
        list[UUID], Meta(max_length=ATTACHMENTS_MAX, description="Ids of the caller's own uploads.")
    ] = []
    priority: Annotated[Priority | None, Meta(description="Staff only; `normal` when left out.")] = None
    tags: Annotated[list[Tag], Meta(max_length=TAGS_MAX, description="Staff only.")] = []
    requester_id: Annotated[UUID | None, Meta(description="Staff only: the customer whose ticket it is.")] = (
        None
    )
    account_id: Annotated[UUID | None, Meta(description="Staff only; the requester's when left out.")] = None
    assignee_id: Annotated[UUID | None, Meta(description="Staff only.")] = None
    team_id: Annotated[
        UUID | None, Meta(description="Staff only; when left out, the team of the product, if there is one.")
    ] = None
    issue_id: Annotated[UUID | None, Meta(description="Staff only: the known issue behind it.")] = None


class TicketUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a ticket; what is left out stays. The status changes by a transition."""

    subject: SubjectLine | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    severity: Severity | UnsetType | None = UNSET
    product: ProductName | UnsetType | None = UNSET
    component: ComponentName | UnsetType | None = UNSET
    product_version: ProductVersion | UnsetType | None = UNSET
    environment: Environment | UnsetType | None = UNSET
    tags: Tags | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET
    requester_id: UUID | UnsetType | None = UNSET
    account_id: UUID | UnsetType | None = UNSET
    assignee_id: UUID | UnsetType | None = UNSET
    team_id: UUID | UnsetType | None = UNSET
    issue_id: UUID | UnsetType | None = UNSET


class TransitionCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the ticket goes."""

    to: Status
    reason: Reason | None = None


class TicketMessageCreate(MessageCreate, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new message on a ticket, with what becomes of the ticket when it is sent."""

    status: Annotated[
        Status | None,
        Meta(description="Staff only: move the ticket in the same act, such as to `pending` or `solved`."),
    ] = None


class TicketView(Struct, frozen=True, kw_only=True):
    """A ticket. To customers, what is the staff's is null or empty."""

    id: UUID
    number: TicketNumber
    subject: str
    description: Annotated[str, Meta(description="As it was written or last agreed, without card numbers.")]
    status: Status
    priority: Priority
    severity: Severity | None
    product: str | None
    component: str | None
    product_version: str | None
    environment: str | None
    tags: Annotated[list[str], Meta(description="The staff's.")]
    custom: Annotated[dict[str, Any], Meta(description="Custom fields that the caller may see.")]
    signatures: Annotated[list[str], Meta(description="Error signatures found in its text; the staff's.")]
    source: Source
    requester_id: UUID | None
    account_id: UUID | None
    assignee_id: Annotated[UUID | None, Meta(description="The staff's.")]
    team_id: Annotated[UUID | None, Meta(description="The staff's.")]
    issue_id: Annotated[UUID | None, Meta(description="The known issue behind it; the staff's.")]
    merged_into_id: Annotated[UUID | None, Meta(description="Where it goes on, if it was merged.")]
    reopens: int
    status_changed_at: datetime
    first_solved_at: datetime | None
    solved_at: Annotated[datetime | None, Meta(description="Null again when it is reopened.")]
    closed_at: datetime | None
    waiting_since: Annotated[
        datetime | None, Meta(description="When the customer wrote what has not been answered yet.")
    ]
    origin: Annotated[str | None, Meta(description="The system it was imported from; the staff's.")]
    external_id: Annotated[str | None, Meta(description="Its id there; the staff's.")]
    version: int
    created_at: datetime
    updated_at: datetime


class TicketMessage(Struct, frozen=True, kw_only=True):
    """A message that was posted, and the ticket as it is now.

    It is another ticket than the one written to when that is closed: then a follow-up was opened.
    """

    message: MessageView
    ticket: TicketView


class ClockList(Struct, frozen=True, kw_only=True):
    """The clocks of a ticket."""

    clocks: list[ClockView]
