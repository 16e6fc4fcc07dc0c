"""Votes and subscriptions; merges and splits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.features.constants import ITEMS_MAX
from app.features.schemas.fields import Text, Title


class VoteSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ticket or case in which somebody asked for it."""

    type: Annotated[str, Meta(min_length=1, max_length=64, pattern="^[a-z_]+$", examples=["ticket"])]
    id: UUID


class VoteGiven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vote on somebody's behalf."""

    source: VoteSource | None = None


class VoteView(Struct, frozen=True, kw_only=True):
    """How a request stands after a vote was given or taken back."""

    request_id: Annotated[UUID, Meta(description="Where it counts: what the request was merged into, if so.")]
    person_id: UUID
    voted: bool
    votes: Annotated[int, Meta(description="Distinct voters.")]


class FeatureVoterView(Struct, frozen=True, kw_only=True):
    """A voter. For the staff."""

    person_id: UUID
    account_id: Annotated[UUID | None, Meta(description="The person's at present.")]
    voted_at: Annotated[datetime, Meta(description="Their earliest vote, with those on what was merged.")]
    added_by: Annotated[UUID | None, Meta(description="Who of the staff gave it on their behalf.")]
    source: VoteSource | None


class FeatureSubscription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the caller wants to hear of a request."""

    status: Annotated[bool, Meta(description="When its status changes, and when it ships.")] = True
    comments: Annotated[bool, Meta(description="When somebody comments.")] = False


class FeatureMerge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Into which request."""

    into: UUID


class FeatureSplit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new request out of a part of another one."""

    title: Title
    body: Text = ""
    comment_ids: Annotated[
        list[UUID], Meta(max_length=ITEMS_MAX, description="Comments that move, with their answers.")
    ] = []
    person_ids: Annotated[
        list[UUID], Meta(max_length=ITEMS_MAX, description="Voters who want this, rather than the other.")
    ] = []
    keep_votes: Annotated[bool, Meta(description="They want both.")] = False
