"""Requests: made, changed, moved, shown."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.features.constants import FeatureStatus, OnDuplicate, Origin
from app.features.schemas.fields import Body, ExternalId, RequestNumber, Tags, Text, Title

PlannedFor = Annotated[date, Meta(description="By when it is hoped for, as the roadmap shows.")]
AuthorId = Annotated[
    UUID, Meta(description="On whose behalf the staff write it; left out: the caller.", examples=[None])
]


class FeatureRequestCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new request. What only the staff may set, a customer leaves out."""

    board_id: UUID
    title: Title
    body: Text = ""
    author_id: AuthorId | None = None
    tags: Tags = []
    planned_for: PlannedFor | None = None
    external_id: ExternalId | None = None
    on_duplicate: Annotated[
        OnDuplicate,
        Meta(
            description="When it is likely one that there is already: `refuse` answers 409 with candidates,"
            " `vote` votes for the likeliest of them instead, `create` makes it all the same."
        ),
    ] = OnDuplicate.refuse


class FeatureRequestChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a request; what is left out stays. Authors change title and body while it is open,
    the rest is the staff's."""

    title: Title | UnsetType = UNSET
    body: Text | UnsetType = UNSET
    board_id: Annotated[UUID, Meta(description="What is merged into it goes along.")] | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    planned_for: PlannedFor | UnsetType | None = UNSET
    approved: Annotated[bool, Meta(description="Whether others than its author see it.")] | UnsetType = UNSET
    hidden: Annotated[bool, Meta(description="Out of sight of all customers.")] | UnsetType = UNSET
    locked: Annotated[bool, Meta(description="Customers neither vote nor comment.")] | UnsetType = UNSET


class FeatureRequestMove(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To which status; `answer` becomes the official answer."""

    to: FeatureStatus
    answer: Body | None = None


class RequestBrief(Struct, frozen=True, kw_only=True):
    """A request that another one names."""

    id: UUID
    number: RequestNumber
    title: str
    status: FeatureStatus
    votes: int


class FeatureRequestView(Struct, frozen=True, kw_only=True):
    """A request as the caller may see it."""

    id: UUID
    number: RequestNumber
    board_id: UUID
    title: str
    body: str
    body_html: Annotated[str, Meta(description="Safe to show.")]
    status: FeatureStatus
    label: Annotated[str, Meta(description="What its board calls the status.", examples=["Being considered"])]
    tags: list[str]
    votes: Annotated[int, Meta(description="Distinct voters, of what was merged into it as well.")]
    voted: Annotated[bool, Meta(description="Whether the caller is one of them.")]
    comments: Annotated[
        int, Meta(description="That the caller may read, of what was merged into it as well.")
    ]
    author_id: Annotated[UUID | None, Meta(description="For the staff and the author.")]
    account_id: Annotated[UUID | None, Meta(description="The author's; for the staff.")]
    origin: Origin
    external_id: Annotated[str | None, Meta(description="For the staff.")]
    planned_for: date | None
    approved: bool
    hidden: bool
    locked: bool
    merged_into: Annotated[RequestBrief | None, Meta(description="Where its votes count.")]
    merged_count: Annotated[int, Meta(description="How many requests were merged into it.")]
    split_from_id: UUID | None
    answer_id: Annotated[UUID | None, Meta(description="The comment that is the official answer.")]
    status_changed_at: datetime
    shipped_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
