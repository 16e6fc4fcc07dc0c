"""What joins tickets with each other, with people, and with other desks' things."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.conversations.constants import EMAIL_MAX
from app.conversations.schemas import EMAIL_PATTERN, ParticipantView
from app.technical.constants import SPLIT_MAX, Relation, Status
from app.technical.schemas.tickets import Description, Reason, SubjectLine, TicketNumber


class MergeCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a ticket goes on."""

    target_id: UUID
    reason: Reason | None = None


class SplitCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages become a ticket of their own."""

    message_ids: Annotated[
        list[UUID],
        Meta(min_length=1, max_length=SPLIT_MAX, description="Of this ticket, but its first message."),
    ]
    subject: SubjectLine
    description: Description | None = None


class LinkCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another ticket, and what it is to this one."""

    kind: Annotated[
        Relation,
        Meta(
            description="What the other is to this one: its `parent` or `child`, the one that it duplicates"
            " (`duplicate`) or that duplicates it, the one that it follows up or that follows it up."
        ),
    ]
    other_id: UUID


class LinkedTicket(Struct, frozen=True, kw_only=True):
    """The other end of a link."""

    id: UUID
    number: TicketNumber
    subject: str
    status: Status


class LinkView(Struct, frozen=True, kw_only=True):
    """A link as this ticket sees it."""

    kind: Annotated[Relation, Meta(description="What the other ticket is to this one.")]
    other: LinkedTicket
    created_at: datetime


class LinkList(Struct, frozen=True, kw_only=True):
    """The links of a ticket: all of them, to tickets that the caller sees."""

    links: list[LinkView]


class ReferenceCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something of another desk that the ticket is about."""

    subject_type: Annotated[
        str,
        Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Its kind.", examples=["feature_request"]),
    ]
    subject_id: UUID


class ReferenceView(Struct, frozen=True, kw_only=True):
    """Something of another desk that the ticket points to."""

    id: UUID
    subject_type: Annotated[str, Meta(examples=["feature_request"])]
    subject_id: UUID
    created_by: Annotated[UUID | None, Meta(description="Who of the staff said so.")]
    created_at: datetime


class ReferenceList(Struct, frozen=True, kw_only=True):
    """All that a ticket points to."""

    references: list[ReferenceView]


class WatcherRole(StrEnum):
    """As what somebody watches; mail shows who is in copy."""

    watcher = "watcher"
    cc = "cc"


class WatcherCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to watch: a person or an e-mail address; the caller, when both are left out."""

    role: WatcherRole = WatcherRole.watcher
    person_id: Annotated[UUID | None, Meta(description="For customers: only themselves.")] = None
    email: (
        Annotated[
            str,
            Meta(
                min_length=3,
                max_length=EMAIL_MAX,
                pattern=EMAIL_PATTERN,
                description="Staff only.",
                examples=["bo@example.com"],
            ),
        ]
        | None
    ) = None


class WatcherList(Struct, frozen=True, kw_only=True):
    """All who watch a ticket; to customers without the staff."""

    watchers: list[ParticipantView]
