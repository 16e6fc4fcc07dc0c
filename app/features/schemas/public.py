"""What anybody may read, without a key: nothing here tells of a person, an account or another system."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.features.constants import FeatureStatus
from app.features.schemas.fields import RequestNumber

Html = Annotated[str, Meta(description="Safe to show.", examples=["<p>Every month.</p>"])]
Label = Annotated[str, Meta(description="What its board calls the status.", examples=["Being considered"])]


class PublicBoardView(Struct, frozen=True, kw_only=True):
    """A board that everybody may read."""

    slug: str
    name: str
    description: str
    labels: Annotated[
        dict[FeatureStatus, str],
        Meta(description="What its readers call a status; the status itself, where there is none."),
    ]
    archived: Annotated[bool, Meta(description="It is still read, and nothing on it changes.")]


class PublicRequestView(Struct, frozen=True, kw_only=True):
    """A request that everybody may read."""

    id: Annotated[UUID, Meta(description="What a signed-in reader votes for it with.")]
    number: RequestNumber
    title: str
    body_html: Html
    status: FeatureStatus
    label: Label
    tags: list[str]
    votes: Annotated[int, Meta(description="Distinct voters, of what was merged into it as well.")]
    comments: Annotated[int, Meta(description="That everybody may read, of what was merged into it as well.")]
    planned_for: date | None
    created_at: datetime
    status_changed_at: datetime
    shipped_at: datetime | None


class PublicCommentView(Struct, frozen=True, kw_only=True):
    """A comment that everybody may read."""

    id: UUID
    parent_id: Annotated[UUID | None, Meta(description="The comment that it answers.")]
    by_staff: bool
    official: Annotated[bool, Meta(description="The staff's answer to the request.")]
    body_html: Html
    erased: Annotated[bool, Meta(description="Its words are gone, its place remains.")]
    edited: bool
    created_at: datetime


class PublicRequestDetail(Struct, frozen=True, kw_only=True):
    """A request with its board, its official answer and the first of its comments."""

    board: PublicBoardView
    request: PublicRequestView
    answer: Annotated[PublicCommentView | None, Meta(description="The staff's answer.")]
    comments: Annotated[
        list[PublicCommentView], Meta(description="The first hundred, oldest first; all are listed below it.")
    ]


class PublicRoadmapColumn(Struct, frozen=True, kw_only=True):
    """Requests of one status."""

    status: FeatureStatus
    label: Label
    items: Annotated[list[PublicRequestView], Meta(description="A hundred at most; see `total`.")]
    total: Annotated[int, Meta(description="Requests of this status on the board.")]


class PublicRoadmapView(Struct, frozen=True, kw_only=True):
    """A board's plans: what is planned and in progress, soonest first, and what shipped, latest first."""

    board: PublicBoardView
    columns: list[PublicRoadmapColumn]


class PublicRequestBrief(Struct, frozen=True, kw_only=True):
    """A request that a release shipped."""

    number: RequestNumber
    title: str


class PublicReleaseView(Struct, frozen=True, kw_only=True):
    """An entry of a board's changelog."""

    number: Annotated[str, Meta(description="What people call it.", examples=["REL-3"])]
    title: str
    label: Annotated[str | None, Meta(description="Its version.", examples=["4.2"])]
    body_html: Html
    shipped_at: datetime
    requests: list[PublicRequestBrief]
