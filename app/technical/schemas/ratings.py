"""Ratings of solved tickets (CSAT)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

COMMENT_MAX = 4_000

Score = Annotated[int, Meta(ge=1, le=5, description="From 1, very bad, to 5, very good.", examples=[5])]


class SatisfactionRatingCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the solution was; a second rating takes the first one's place."""

    score: Score
    comment: (
        Annotated[str, Meta(max_length=COMMENT_MAX, pattern=r"^[^\x00]*$", examples=["Quick and clear."])]
        | None
    ) = None


class SatisfactionRatingView(Struct, frozen=True, kw_only=True):
    """A ticket's rating."""

    ticket_id: UUID
    person_id: UUID | None
    score: Score
    comment: str | None
    solved_at: Annotated[datetime, Meta(description="The solve that was rated.")]
    version: int
    created_at: datetime
    updated_at: datetime
