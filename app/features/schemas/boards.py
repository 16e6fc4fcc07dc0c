"""Boards: made, changed, shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.features.constants import ACCOUNTS_MAX, LABEL_MAX, BoardVisibility, FeatureStatus
from app.features.schemas.fields import ONE_LINE, Name, Slug, Text

Labels = Annotated[
    dict[FeatureStatus, Annotated[str, Meta(min_length=1, max_length=LABEL_MAX, pattern=ONE_LINE)]],
    Meta(
        description="What readers of this board call a status; the status itself, where there is none.",
        examples=[{"under_review": "Being considered"}],
    ),
]
Accounts = Annotated[
    list[UUID],
    Meta(max_length=ACCOUNTS_MAX, description="Whose customers see it, with the visibility `accounts`."),
]
Moderated = Annotated[bool, Meta(description="What customers write waits for the staff's approval.")]
Archived = Annotated[bool, Meta(description="It is still read, and nothing on it changes.")]
Position = Annotated[int, Meta(ge=0, le=10_000, description="Its place among the boards.")]


class FeatureBoardCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new board."""

    slug: Slug
    name: Name
    description: Text = ""
    visibility: BoardVisibility = BoardVisibility.customers
    account_ids: Accounts = []
    moderated: Moderated = False
    labels: Labels = {}
    position: Position = 0


class FeatureBoardChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a board; what is left out stays."""

    slug: Slug | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    visibility: BoardVisibility | UnsetType = UNSET
    account_ids: Accounts | UnsetType = UNSET
    moderated: Moderated | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    archived: Archived | UnsetType = UNSET


class FeatureBoardView(Struct, frozen=True, kw_only=True):
    """A board."""

    id: UUID
    slug: str
    name: str
    description: str
    visibility: BoardVisibility
    account_ids: Annotated[list[UUID], Meta(description="For the staff; empty for others.")]
    moderated: bool
    labels: dict[FeatureStatus, str]
    position: int
    archived: bool
    version: int
    created_at: datetime
    updated_at: datetime
