"""Requests that are alike: asked for while somebody types, and found at night."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.features.constants import BODY_MAX, ITEMS_MAX, TITLE_MAX, ClusterStatus
from app.features.schemas.fields import NO_NUL
from app.features.schemas.requests import FeatureRequestView, RequestBrief

Likelihood = Annotated[
    float, Meta(ge=0, le=1, description="That the two are one; likely from .8 on.", examples=[0.93])
]
Terms = Annotated[list[str], Meta(description="The weightiest words that both have.")]


class FeatureSimilarQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody is writing; as far as they have got."""

    title: Annotated[str, Meta(max_length=TITLE_MAX, pattern=NO_NUL, examples=["Export to Excel"])]
    body: Annotated[str, Meta(max_length=BODY_MAX, pattern=NO_NUL)] = ""
    board_id: Annotated[UUID, Meta(examples=[None])] | None = None
    limit: Annotated[int, Meta(ge=1, le=20)] = 5


class FeatureSimilar(Struct, frozen=True, kw_only=True):
    """A request that is like what somebody writes."""

    request: RequestBrief
    board_id: UUID
    confidence: Likelihood
    likely: Annotated[bool, Meta(description="Better voted for than asked again.")]
    terms: Terms
    voted: Annotated[bool, Meta(description="Whether the caller votes for it already.")]
    votable: Annotated[bool, Meta(description="Whether it takes votes.")]


class FeatureSimilars(Struct, frozen=True, kw_only=True):
    """The likest first."""

    items: list[FeatureSimilar]


class FeatureRequestHit(Struct, frozen=True, kw_only=True):
    """A request that a search found."""

    request: FeatureRequestView
    score: Annotated[float, Meta(description="For the order alone.")]
    terms: Terms


class FeatureRequestHits(Struct, frozen=True, kw_only=True):
    """The best first, without pages."""

    items: list[FeatureRequestHit]


class FeatureClusterMember(Struct, frozen=True, kw_only=True):
    """A request of a cluster."""

    request: RequestBrief
    confidence: Likelihood
    merged: Annotated[bool, Meta(description="Into whatever request.")]


class FeatureClusterView(Struct, frozen=True, kw_only=True):
    """Requests that are likely one."""

    id: UUID
    status: ClusterStatus
    board_id: UUID | None
    members: Annotated[list[FeatureClusterMember], Meta(description="Those with the most votes first.")]
    target_id: Annotated[UUID | None, Meta(description="What they were merged into.")]
    decided_by: UUID | None
    decided_at: datetime | None
    version: int
    created_at: datetime


class FeatureClusterMerge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to merge of a cluster: all into the one with the most votes, unless said otherwise."""

    into: Annotated[UUID, Meta(examples=[None])] | None = None
    request_ids: Annotated[list[UUID], Meta(min_length=1, max_length=ITEMS_MAX, examples=[None])] | None = (
        None
    )


class FeatureDuplicatesQueued(Struct, frozen=True, kw_only=True):
    """The search for duplicates was queued."""

    queued: bool
