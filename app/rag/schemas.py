"""What goes in and out of the rag routes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.datastructures import UploadFile
from msgspec import UNSET, Meta, UnsetType

from app.knowledge import Citation, Outcome
from app.problems import Problem
from app.rag.constants import DocumentStatus, Rating

AUDIENCE_PATTERN = r"^(public|customers|staff|account:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"
NO_CONTROL = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"
WORDS = r"^\s*[^\s\x00-\x1f][^\x00-\x08\x0b\x0c\x0e-\x1f]*$"  # the same, and not only white space

Title = Annotated[str, Meta(min_length=1, max_length=500, pattern=WORDS, examples=["Refund policy"])]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=WORDS, examples=["Handbook"])]
Question = Annotated[
    str,
    Meta(min_length=1, max_length=4000, pattern=WORDS, examples=["How long do I have to ask for a refund?"]),
]
Audience = Annotated[
    str,
    Meta(
        pattern=AUDIENCE_PATTERN,
        description="Who may read it: `public`, `customers`, `staff`, or `account:<account id>`.",
        examples=["public"],
    ),
]
Moment = Annotated[datetime, Meta(tz=True, description="With its offset from UTC.")]
Label = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_CONTROL)]
MediaType = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_CONTROL)]
Version = Annotated[int, Meta(ge=1, description="Counts the changes; the `ETag` of the answer.")]
Collections = Annotated[list[UUID], Meta(min_length=1, max_length=50)]


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Shown(msgspec.Struct, frozen=True):
    pass


class CollectionCreate(_Request, frozen=True, kw_only=True):
    """A new collection."""

    name: Name
    description: Annotated[str, Meta(max_length=2000, pattern=NO_CONTROL)] = ""


class CollectionView(_Shown, frozen=True, kw_only=True):
    """A named set of documents."""

    id: UUID
    name: str
    description: str
    version: Version
    created_at: datetime
    updated_at: datetime


class CollectionUpdate(_Request, frozen=True, kw_only=True):
    """What to change of a collection; what is left out stays."""

    name: Name | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=2000, pattern=NO_CONTROL)] | UnsetType = UNSET


class _DocumentFields(_Request, frozen=True, kw_only=True):
    collection_id: UUID
    title: Title | None = None
    audience: Audience = "staff"
    source: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=1000,
                pattern=NO_CONTROL,
                description="Your own name for it, a path or address. The same again is a new version.",
                examples=["handbook/refunds.md"],
            ),
        ]
        | None
    ) = None
    product: Label | None = None
    product_version: Label | None = None
    valid_from: Moment | None = None
    valid_until: Moment | None = None


class DocumentCreate(_DocumentFields, frozen=True, kw_only=True):
    """A document as text."""

    content: Annotated[
        str, Meta(min_length=1, description="The document's text.", examples=["# Refunds\n\nWithin 14 days."])
    ]
    media_type: Annotated[MediaType, Meta(examples=["text/markdown"])] = "text/markdown"


class DocumentForm(_DocumentFields, frozen=True, kw_only=True):
    """A document as a file, in a multipart form; an empty field counts as left out."""

    file: UploadFile
    media_type: Annotated[
        MediaType | None, Meta(description="Of the file; the default is what its part of the form says.")
    ] = None


class DocumentUpdate(_Request, frozen=True, kw_only=True):
    """What to change of a document; what is left out stays.

    Audience, validity and collection change at once. Title and product stand in the passages: they are taken
    in anew, and the document is searchable as it was until that is done.
    """

    collection_id: UUID | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    audience: Audience | UnsetType = UNSET
    product: Label | UnsetType | None = UNSET
    product_version: Label | UnsetType | None = UNSET
    valid_from: Moment | UnsetType | None = UNSET
    valid_until: Moment | UnsetType | None = UNSET


class DocumentProblem(_Shown, frozen=True, kw_only=True):
    """Why a document could not be taken in."""

    code: Annotated[str, Meta(examples=["file_encrypted"])]
    detail: str | None = None


class DocumentView(_Shown, frozen=True, kw_only=True):
    """A document and where it stands."""

    id: UUID
    collection_id: UUID
    title: str
    source: str | None
    filename: str | None
    media_type: str
    audience: str
    language: str | None
    product: str | None
    product_version: str | None
    valid_from: datetime | None
    valid_until: datetime | None
    status: DocumentStatus
    progress: Annotated[float, Meta(ge=0, le=1, description="Part of the chunks embedded.")]
    error: DocumentProblem | None
    version: Version
    latest_version: Annotated[int, Meta(ge=1, description="The newest version of its content.")]
    served_version: Annotated[
        int | None, Meta(description="The version of its content that searches and answers use.")
    ]
    content_hash: Annotated[str, Meta(description="SHA-256 of the newest version's bytes.")]
    created_at: datetime
    updated_at: datetime


class DocumentText(_Shown, frozen=True, kw_only=True):
    """The stored text that citations point into: `quote == text[start:end]`, in code points."""

    document_id: UUID
    version: int
    title: str
    text: str


class SearchFilters(_Request, frozen=True, kw_only=True):
    """Narrow a search; every filter given must hold."""

    as_of: Annotated[Moment | None, Meta(description="Use the documents valid then; the default is now.")] = (
        None
    )
    document_ids: Annotated[list[UUID], Meta(min_length=1, max_length=200)] | None = None
    product: Label | None = None
    product_version: Label | None = None
    language: Label | None = None


class SearchRequest(_Request, frozen=True, kw_only=True):
    """A search over chunks."""

    query: Question
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    collections: Collections | None = None
    filters: SearchFilters | None = None


class Scores(_Shown, frozen=True, kw_only=True):
    """Each arm's own figures. `share` is the part of the query's possible BM25 that the chunk reaches."""

    fused: float
    bm25: float
    share: float
    cosine: float
    rank_bm25: int | None
    rank_dense: int | None


class SearchItem(_Shown, frozen=True, kw_only=True):
    """A chunk that matches."""

    chunk_id: UUID
    document_id: UUID
    version: int
    collection_id: UUID
    title: str
    source: str | None
    heading_path: list[str]
    text: str
    start: int
    end: int
    scores: Scores


class SearchResults(_Shown, frozen=True, kw_only=True):
    """Chunks, best first."""

    items: list[SearchItem]


class AnswerRequest(_Request, frozen=True, kw_only=True):
    """A question to the documents."""

    question: Question
    collections: Collections | None = None
    as_of: Moment | None = None
    account_id: Annotated[
        UUID | None,
        Meta(description="Staff: the account whose invoices, payments and plan the question may be about."),
    ] = None


class AnswerSource(_Shown, frozen=True, kw_only=True):
    """A passage that was offered as evidence."""

    index: int
    document_id: UUID
    version: int
    chunk_id: UUID
    title: str
    heading_path: list[str]
    start: int
    end: int
    text: str


class AnswerView(_Shown, frozen=True, kw_only=True):
    """An answer; `[n]` in the text is the n-th citation."""

    id: UUID
    chat_id: UUID | None
    question: str
    outcome: Outcome
    reason: Annotated[
        str | None, Meta(description="Why it is not simply answered.", examples=["weak_evidence"])
    ]
    text: str
    citations: list[Citation]
    confidence: Annotated[float, Meta(ge=0, le=1)]
    model: Annotated[str, Meta(description="`extractive` when the sentences are quoted from the documents.")]
    extractive: bool
    stale_since: Annotated[
        datetime | None, Meta(description="When a passage that it cites was removed or replaced.")
    ]
    created_at: datetime


class AnswerNow(_Shown, frozen=True, kw_only=True):
    """What the same question is answered with now. It is not kept."""

    outcome: Outcome
    reason: str | None
    text: str
    citations: list[Citation]
    confidence: Annotated[float, Meta(ge=0, le=1)]
    model: str
    extractive: bool


class ReplayedPassage(_Shown, frozen=True, kw_only=True):
    """A passage that was evidence, or is now."""

    document_id: UUID
    version: int
    chunk_id: UUID


class AnswerDifference(StrEnum):
    """In what an answer of now differs from the one that was given."""

    OUTCOME = "outcome"
    TEXT = "text"
    CITATIONS = "citations"
    EVIDENCE = "evidence"
    MODEL = "model"


class AnswerReplay(_Shown, frozen=True, kw_only=True):
    """An answer beside what it would be now, for the one who asks for the replay."""

    answer: AnswerView
    now: AnswerNow
    differs: Annotated[list[AnswerDifference], Meta(description="In what; empty when it is all the same.")]
    evidence_gone: Annotated[
        list[ReplayedPassage], Meta(description="Evidence then, by its text, and not any more.")
    ]
    evidence_new: Annotated[list[ReplayedPassage], Meta(description="Evidence now, that was none then.")]


class UnansweredReason(StrEnum):
    """Why a question is among those that were not answered well."""

    ABSTAINED = "abstained"
    DISLIKED = "disliked"


class QuestionStatus(StrEnum):
    """Whether something was written that answers it."""

    OPEN = "open"
    CLOSED = "closed"


class AskedQuestion(_Shown, frozen=True, kw_only=True):
    """One question."""

    answer_id: UUID
    question: str
    reason: UnansweredReason
    asked_at: datetime


class UnansweredView(_Shown, frozen=True, kw_only=True):
    """Questions that ask for the same, and were not answered or not well."""

    id: UUID
    status: QuestionStatus
    asked: Annotated[int, Meta(ge=0, description="How often.")]
    people: Annotated[int, Meta(ge=0, description="By how many; keys of nobody are one each.")]
    disliked: Annotated[int, Meta(ge=0, description="How many were answered, and disliked.")]
    last_asked_at: datetime
    questions: Annotated[list[AskedQuestion], Meta(description="The latest five.")]
    document_id: Annotated[UUID | None, Meta(description="What closes it.")]
    closed_at: datetime | None
    version: Version
    created_at: datetime


class UnansweredClose(_Request, frozen=True, kw_only=True):
    """Close unanswered questions, with the document that answers them from now on."""

    document_id: Annotated[UUID, Meta(examples=[None])] | None = None


class FeedbackCreate(_Request, frozen=True, kw_only=True):
    """A verdict; a second one by the same reader replaces the first."""

    rating: Rating
    comment: Annotated[str, Meta(max_length=4000, pattern=NO_CONTROL)] | None = None


class FeedbackView(_Shown, frozen=True, kw_only=True):
    """The stored verdict."""

    answer_id: UUID
    rating: Rating
    comment: str | None
    updated_at: datetime


class ChatCreate(_Request, frozen=True, kw_only=True):
    """A new chat."""

    title: Annotated[str, Meta(max_length=200, pattern=NO_CONTROL)] | None = None


class ChatView(_Shown, frozen=True, kw_only=True):
    """A conversation with the documents."""

    id: UUID
    title: str | None
    version: Version
    created_at: datetime
    updated_at: datetime


class ChatMessageCreate(_Request, frozen=True, kw_only=True):
    """The next question of a chat."""

    question: Question
    collections: Collections | None = None
    as_of: Moment | None = None


class SourcesEvent(_Shown, frozen=True, kw_only=True):
    """First event of a stream: what was found."""

    items: list[AnswerSource]


class DeltaEvent(_Shown, frozen=True, kw_only=True):
    """One verified sentence with its markers."""

    text: str


class CitationEvent(_Shown, frozen=True, kw_only=True):
    """A marker's citation, sent before the sentence that uses it."""

    index: int
    citation: Citation


class DoneEvent(_Shown, frozen=True, kw_only=True):
    """The finished answer."""

    answer: AnswerView


class ErrorEvent(_Shown, frozen=True, kw_only=True):
    """What went wrong after the stream had begun; its last event."""

    problem: Problem
