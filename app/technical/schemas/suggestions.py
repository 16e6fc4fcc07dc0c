"""What helps with a ticket: a cited draft, passages, similar tickets, duplicates, a known issue, facts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from app.knowledge import Citation, Outcome, Passage
from app.technical.constants import IssueStatus, Status
from app.technical.schemas.tickets import (
    Description,
    ProductName,
    ProductVersion,
    SubjectLine,
    TicketNumber,
    TicketView,
)

Confidence = Annotated[
    float, Meta(ge=0, le=1, description="Calibrated: how likely the two are about the same thing.")
]
Why = Annotated[list[str], Meta(description="The rarest words that both have, as this ticket spells them.")]


class NoDraft(StrEnum):
    """Why there is no draft: nothing that the requester may read answers it; it was not asked for; documents
    or models are away.
    """

    abstained = "abstained"
    left_out = "left_out"
    unavailable = "unavailable"


class SuggestedReply(Struct, frozen=True, kw_only=True):
    """A reply to be looked over and sent: each sentence is supported by what the requester may read."""

    text: Annotated[str, Meta(description="`[n]` in it is the n-th citation.")]
    citations: list[Citation]
    outcome: Annotated[Outcome, Meta(description="`caveat` when the evidence is thin.")]
    confidence: Annotated[float, Meta(ge=0, le=1)]
    model: Annotated[str, Meta(description="`extractive` when the sentences are quoted from the sources.")]
    extractive: bool
    sources: Annotated[list[Passage], Meta(description="The evidence; the requester may read it.")]


class SimilarWhy(Struct, frozen=True, kw_only=True):
    """What two tickets have in common."""

    terms: Why
    same_signatures: Annotated[list[str], Meta(description="Error signatures that both have.")]
    same_product: bool
    same_version: Annotated[bool, Meta(description="Of the same product.")]
    cosine: Annotated[
        float | None, Meta(description="Nearness in meaning, -1 to 1; null when compared by words alone.")
    ]


class SimilarTicket(Struct, frozen=True, kw_only=True):
    """A ticket like this one."""

    id: UUID
    number: TicketNumber
    subject: str
    status: Status
    product: str | None
    product_version: str | None
    created_at: datetime
    score: Annotated[float, Meta(description="For the order alone: greater is more alike.")]
    why: SimilarWhy
    resolution: Annotated[str | None, Meta(description="The solution in its resolution note.")]


class DuplicateTicket(Struct, frozen=True, kw_only=True):
    """A ticket that is likely the same as this one."""

    id: UUID
    number: TicketNumber
    subject: str
    status: Status
    created_at: datetime
    confidence: Confidence
    open: bool
    same_requester: bool
    same_account: bool
    why: SimilarWhy


class IssueHint(Struct, frozen=True, kw_only=True):
    """A known issue that is likely behind it."""

    id: UUID
    number: Annotated[str, Meta(examples=["ISS-7"])]
    title: str
    status: IssueStatus
    workaround: str
    reason: Annotated[
        str,
        Meta(description="`linked` when it is known; `same_signature`, `same_version`: what speaks for it."),
    ]


class FactPanel(Struct, frozen=True, kw_only=True):
    """What another desk knows of the account."""

    name: Annotated[str, Meta(examples=["billing"])]
    facts: Annotated[dict[str, Any] | None, Meta(description="Null when it could not be read.")]
    error: Annotated[str | None, Meta(description="The code of what kept it from being read.")] = None


class Suggestions(Struct, frozen=True, kw_only=True):
    """Everything that may help with a ticket. What cannot be had is empty; nothing here fails the rest."""

    ticket_id: UUID
    draft: SuggestedReply | None
    draft_missing: Annotated[NoDraft | None, Meta(description="Why there is no draft.")]
    hints: Annotated[list[Passage], Meta(description="Passages that the staff alone may read.")]
    similar: Annotated[list[SimilarTicket], Meta(description="Most alike first.")]
    duplicates: Annotated[
        list[DuplicateTicket],
        Meta(description="Unfinished ones of the same requester first, then of the account, then the rest."),
    ]
    issue: IssueHint | None
    account_facts: list[FactPanel]


class SimilarRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ticket that is about to be opened."""

    subject: SubjectLine
    description: Description
    product: ProductName | None = None
    product_version: ProductVersion | None = None


class LikelyDuplicate(Struct, frozen=True, kw_only=True):
    """A ticket, among those that the caller may see, that is likely about the same thing."""

    id: UUID
    number: TicketNumber
    subject: str
    status: Status
    created_at: datetime
    confidence: Confidence
    terms: Why


class PublicIssue(Struct, frozen=True, kw_only=True):
    """A known issue, and what helps until it is mended."""

    title: str
    workaround: str


class SimilarTickets(Struct, frozen=True, kw_only=True):
    """What may make a new ticket needless."""

    duplicates: list[LikelyDuplicate]
    issues: list[PublicIssue]


class TicketHit(Struct, frozen=True, kw_only=True):
    """A ticket that a search found."""

    ticket: TicketView
    score: Annotated[float, Meta(description="For the order alone.")]
    terms: Why
    excerpt: Annotated[str, Meta(description="A piece of its description around the words found.")]


class TicketHits(Struct, frozen=True, kw_only=True):
    """What a search found, best first; it has no further page."""

    items: list[TicketHit]
