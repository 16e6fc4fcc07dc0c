"""Comments, and what customers said elsewhere: quotes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.features.constants import QUOTED_MAX, CommentKind
from app.features.schemas.fields import Body

Official = Annotated[bool, Meta(description="The staff's answer to the request; there is one at most.")]
CaseType = Annotated[
    str, Meta(min_length=1, max_length=64, pattern="^[a-z_]+$", examples=["ticket"], description="Of what.")
]


class FeatureCommentCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A comment, or with `parent_id` an answer to one. Customers leave out `kind` and `official`."""

    body: Body
    parent_id: UUID | None = None
    kind: CommentKind = CommentKind.public
    official: Official = False


class FeatureCommentChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a comment: its author the words, the staff the rest."""

    body: Body | UnsetType = UNSET
    approved: Annotated[bool, Meta(description="Whether others than its author read it.")] | UnsetType = UNSET
    hidden: Annotated[bool, Meta(description="Out of sight of all customers.")] | UnsetType = UNSET
    official: Official | UnsetType = UNSET


class FeatureCommentView(Struct, frozen=True, kw_only=True):
    """A comment as the caller may read it."""

    id: UUID
    request_id: Annotated[UUID, Meta(description="Where it was written: maybe what was merged.")]
    parent_id: Annotated[UUID | None, Meta(description="The comment that it answers.")]
    kind: CommentKind
    official: Official
    body: Annotated[str, Meta(description="Markdown; empty once it was removed.")]
    body_html: Annotated[str, Meta(description="Safe to show.")]
    by_staff: bool
    by_requester: Annotated[bool, Meta(description="By who wrote the request.")]
    mine: bool
    author_id: Annotated[UUID | None, Meta(description="For the staff, and of the staff.")]
    author_name: Annotated[str | None, Meta(description="For the staff, and of the staff.")]
    approved: bool
    hidden: bool
    erased: bool
    edited_at: datetime | None
    version: int
    created_at: datetime


class FeatureQuoteCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sentence of a customer's public message on a ticket or case, word for word."""

    type: CaseType
    id: UUID
    sentence: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=QUOTED_MAX,
            pattern=r"^[^\x00]*\S[^\x00]*$",
            examples=["Our accountant wants the monthly report as a spreadsheet."],
        ),
    ]


class FeatureQuoteView(Struct, frozen=True, kw_only=True):
    """What a customer said in other words; shown to who may read the message."""

    id: UUID
    request_id: UUID
    sentence: str
    said_at: datetime
    type: Annotated[str | None, Meta(description="Of the case it was said in; for the staff.")]
    case_id: Annotated[UUID | None, Meta(description="For the staff.")]
    message_id: Annotated[UUID | None, Meta(description="For the staff.")]


class FeatureLinkCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ticket or case in which this is asked for."""

    type: CaseType
    id: UUID
    vote: Annotated[bool, Meta(description="Also vote on behalf of who asked for it.")] = True


class FeatureLinkView(Struct, frozen=True, kw_only=True):
    """A ticket or case that points to the request, or to what was merged into it."""

    request_id: UUID
    type: str
    id: UUID
    number: Annotated[str, Meta(examples=["TEC-42"])]
    title: str
    status: str
    is_open: bool
    account_id: UUID | None
    issue_id: Annotated[UUID | None, Meta(description="The unresolved known issue behind it.")]


class FeatureLinked(Struct, frozen=True, kw_only=True):
    """What came of linking."""

    link: FeatureLinkView
    voted: Annotated[bool, Meta(description="Whether who asked for it is among the voters now.")]
    no_vote: Annotated[
        str | None, Meta(description="Why not, as a code.", examples=["request_closed", "no_requester"])
    ]
    quotes: Annotated[list[FeatureQuoteView], Meta(description="Sentences that were taken along.")]
