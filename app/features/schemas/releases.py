"""Releases: drafted, shipped, shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.features.constants import ITEMS_MAX, LABEL_MAX, ReleaseStatus
from app.features.schemas.fields import ONE_LINE, Text, Title
from app.features.schemas.requests import RequestBrief

ReleaseLabel = Annotated[
    str,
    Meta(min_length=1, max_length=LABEL_MAX, pattern=ONE_LINE, description="Its version.", examples=["4.2"]),
]
RequestIds = Annotated[
    list[UUID],
    Meta(max_length=ITEMS_MAX, description="What it ships, in this order; what was merged as its root."),
]
ReleaseNumber = Annotated[str, Meta(description="What people call it.", examples=["REL-3"])]


class FeatureReleaseCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new release, as a draft."""

    board_id: UUID
    title: Title
    body: Text = ""
    label: ReleaseLabel | None = None
    request_ids: RequestIds = []


class FeatureReleaseChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a release; what is left out stays. Of a shipped one the words alone."""

    title: Title | UnsetType = UNSET
    body: Text | UnsetType = UNSET
    label: ReleaseLabel | UnsetType | None = UNSET
    request_ids: RequestIds | UnsetType = UNSET


class FeatureReleaseBrief(Struct, frozen=True, kw_only=True):
    """A release in a few words."""

    id: UUID
    number: ReleaseNumber
    title: str
    label: str | None


class FeatureReleaseView(Struct, frozen=True, kw_only=True):
    """A release as the caller may see it."""

    id: UUID
    number: ReleaseNumber
    board_id: UUID
    title: str
    body: str
    body_html: Annotated[str, Meta(description="Safe to show.")]
    label: str | None
    status: ReleaseStatus
    requests: Annotated[list[RequestBrief], Meta(description="That the caller may see, in its order.")]
    shipped_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
