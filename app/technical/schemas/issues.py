"""Known issues: made, changed, told to their tickets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.conversations.constants import BODY_MAX_BYTES, MessageKind
from app.technical.constants import IssueStatus, Severity, Status
from app.technical.schemas.tickets import (
    NO_NUL,
    ComponentName,
    Description,
    ProductName,
    ProductVersion,
    SubjectLine,
    TicketNumber,
)

ITEMS_MAX = 100

Signature = Annotated[str, Meta(min_length=1, max_length=400, pattern=NO_NUL, examples=["code:HTTP 504"])]
Signatures = Annotated[
    list[Signature],
    Meta(max_length=50, description="Error signatures, as tickets have them, that tell of this issue."),
]
Workaround = Annotated[
    str,
    Meta(
        max_length=BODY_MAX_BYTES,
        pattern=NO_NUL,
        description="What customers may be told to do until it is resolved; Markdown.",
        examples=["Export at most 5,000 rows at once."],
    ),
]
UpdateBody = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=BODY_MAX_BYTES,
        pattern=NO_NUL,
        description="What each ticket is told; Markdown.",
        examples=["We have found the cause and are working on it."],
    ),
]


class IssueCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new known issue."""

    title: SubjectLine
    description: Description
    workaround: Workaround = ""
    status: IssueStatus = IssueStatus.investigating
    severity: Severity | None = None
    product: ProductName | None = None
    component: ComponentName | None = None
    product_version: ProductVersion | None = None
    signatures: (
        Annotated[
            list[Signature],
            Meta(max_length=50, description="Those found in title and description, when left out."),
        ]
        | None
    ) = None
    owner_id: UUID | None = None


class IssueChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a known issue; what is left out stays."""

    title: SubjectLine | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    workaround: Workaround | UnsetType = UNSET
    status: IssueStatus | UnsetType = UNSET
    severity: Severity | UnsetType | None = UNSET
    product: ProductName | UnsetType | None = UNSET
    component: ComponentName | UnsetType | None = UNSET
    product_version: ProductVersion | UnsetType | None = UNSET
    signatures: Signatures | UnsetType = UNSET
    owner_id: UUID | UnsetType | None = UNSET


class IssueView(Struct, frozen=True, kw_only=True):
    """A known issue. For the staff."""

    id: UUID
    number: Annotated[str, Meta(examples=["ISS-7"])]
    title: str
    description: str
    workaround: str
    status: IssueStatus
    severity: Severity | None
    product: str | None
    component: str | None
    product_version: str | None
    signatures: list[str]
    owner_id: UUID | None
    resolved_at: datetime | None
    tickets: Annotated[int, Meta(description="How many are linked.")]
    open_tickets: Annotated[int, Meta(description="How many of them are neither solved nor closed.")]
    version: int
    created_at: datetime
    updated_at: datetime


class TicketIds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tickets to link."""

    ticket_ids: Annotated[list[UUID], Meta(min_length=1, max_length=ITEMS_MAX)]


class IssueTicket(Struct, frozen=True, kw_only=True):
    """A ticket that is linked to the issue now."""

    id: UUID
    number: TicketNumber
    status: Status


class IssueUpdateCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to tell every ticket that is linked."""

    body: UpdateBody
    kind: Annotated[MessageKind, Meta(description="`public`, or `note` for the staff alone.")] = (
        MessageKind.public
    )
    status: Annotated[IssueStatus | None, Meta(description="The issue's new status, with it.")] = None


class IssueResolve(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to end a known issue."""

    body: Annotated[UpdateBody | None, Meta(description="What each linked ticket is told, if anything.")] = (
        None
    )
    solve_tickets: Annotated[bool, Meta(description="Also solve each linked ticket that can be.")] = True


class IssueUpdateView(Struct, frozen=True, kw_only=True):
    """An update, and how far it has come: a job writes on one ticket after the other."""

    id: UUID
    issue_id: UUID
    body: str
    kind: MessageKind
    status: Annotated[IssueStatus, Meta(description="The issue's by then.")]
    solve: bool
    author_person_id: UUID | None
    total: Annotated[int, Meta(description="Tickets linked by then that still changed.")]
    delivered: int
    skipped: Annotated[int, Meta(description="Merged or closed meanwhile, or not to be solved.")]
    created_at: datetime
