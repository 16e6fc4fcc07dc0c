"""Resolution notes: read, corrected, reviewed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.technical.constants import NOTE_MAX, SUBJECT_MAX
from app.technical.schemas.tickets import ONE_LINE, TicketNumber

Title = Annotated[
    str,
    Meta(min_length=1, max_length=SUBJECT_MAX, pattern=ONE_LINE, examples=["Export stops with error 504"]),
]
Problem = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NOTE_MAX,
        pattern=r"^[^\x00]*\S[^\x00]*$",
        examples=["Exports of more than 10,000 rows stop with `504 Gateway Timeout`."],
    ),
]
Solution = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NOTE_MAX,
        pattern=r"^[^\x00]*\S[^\x00]*$",
        examples=["Switch on background exports under Settings > Exports; the file comes by e-mail."],
    ),
]
NoteAudience = Annotated[
    str,
    Meta(
        pattern=r"^(public|customers|staff|account:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$",
        description="Who may find it: `public`, `customers`, `staff`, or `account:<account id>`.",
        examples=["customers"],
    ),
]


class ResolutionUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a note; what is left out stays."""

    title: Title | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET
    solution: Solution | UnsetType = UNSET


class ResolutionReview(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom a note is fit, with corrections, if it needs any."""

    audience: NoteAudience
    title: Title | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET
    solution: Solution | UnsetType = UNSET


class ResolutionView(Struct, frozen=True, kw_only=True):
    """What a solved ticket taught, without names, addresses and secrets."""

    ticket_id: UUID
    number: TicketNumber
    title: str
    problem: str
    solution: str
    audience: NoteAudience
    document_id: Annotated[
        UUID | None,
        Meta(description="What searches and answers cite it as; null while it waits for the index."),
    ]
    reviewed_by_id: UUID | None
    reviewed_at: Annotated[datetime | None, Meta(description="Null until a lead has reviewed it.")]
    version: int
    created_at: datetime
    updated_at: datetime
