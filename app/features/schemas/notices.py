"""Notices, and how somebody wants them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.features.constants import Digest, FeatureStatus, NoticeKind
from app.features.schemas.releases import FeatureReleaseBrief
from app.features.schemas.requests import RequestBrief


class FeatureNoticeView(Struct, frozen=True, kw_only=True):
    """What the caller is told: that a release shipped, a status changed, or somebody commented."""

    id: UUID
    kind: NoticeKind
    request: Annotated[RequestBrief, Meta(description="Of a release one that the caller waited for.")]
    release: FeatureReleaseBrief | None
    before: Annotated[FeatureStatus | None, Meta(description="The status that it had.")]
    after: Annotated[FeatureStatus | None, Meta(description="The status that it came to.")]
    label: Annotated[str | None, Meta(description="What its board calls that status.")]
    comment_id: UUID | None
    read: bool
    version: int
    created_at: datetime


class FeatureNoticeChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mark a notice."""

    read: Annotated[bool, Meta(examples=[True])]


class FeatureNoticesRead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mark all as read, or those made before a time, so that none is lost that came meanwhile."""

    before: Annotated[datetime, Meta(examples=["2026-11-01T08:00:00Z"])] | None = None


class FeatureNoticesMarked(Struct, frozen=True, kw_only=True):
    """How many notices were marked."""

    marked: int


class FeatureNoticePreferences(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the caller wants notices; they are always on the web."""

    email: Annotated[bool, Meta(description="Also by mail.")] = True
    digest: Annotated[
        Digest, Meta(description="At once, every day at 08:00 UTC, or every Monday: all in one mail.")
    ] = Digest.immediate
