"""Tables of the rag room.

``chunk`` carries what changes (span, audience, validity); ``chunk_embedding`` is narrow, so that updating
a mutable column never re-inserts a vector into its HNSW index.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.identity.models import versioned
from app.models import Base, Identified, Timestamped


class Collection(Identified, Timestamped, Base):
    """A named set of documents that a search can be narrowed to."""

    __tablename__ = "collection"
    __table_args__ = (UniqueConstraint("name"), Index(None, "created_at", "id"))

    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    version: Mapped[int] = versioned()


class Document(Identified, Timestamped, Base):
    """A document as readers know it; its texts are its versions."""

    __tablename__ = "document"
    __table_args__ = (
        UniqueConstraint("collection_id", "source"),
        Index(None, "created_at", "id"),
        Index(None, "collection_id", "created_at", "id"),
        Index("ix_document_unfinished", "status", postgresql_where=text("status in ('queued', 'running')")),
    )

    collection_id: Mapped[UUID] = mapped_column(ForeignKey("collection.id"))
    title: Mapped[str]
    declared_title: Mapped[str | None]
    source: Mapped[str | None]
    filename: Mapped[str | None]
    media_type: Mapped[str]
    audience: Mapped[list[str]] = mapped_column(ARRAY(Text))
    language: Mapped[str | None]
    product: Mapped[str | None]
    product_version: Mapped[str | None]
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(server_default="queued")
    progress: Mapped[float] = mapped_column(server_default="0")
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    latest_version: Mapped[int] = mapped_column(server_default="1")
    served_version: Mapped[int | None]
    content_hash: Mapped[str]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    version: Mapped[int] = versioned()


class DocumentVersion(Base):
    """One uploaded content: the bytes as they came, and the text that citations point into."""

    __tablename__ = "document_version"

    document_id: Mapped[UUID] = mapped_column(ForeignKey("document.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(deferred=True)
    content_hash: Mapped[str]
    audience: Mapped[list[str]] = mapped_column(ARRAY(Text))
    text: Mapped[str | None] = mapped_column(deferred=True)
    pages: Mapped[int | None]
    chunks_embedded: Mapped[int | None]
    chunks_kept: Mapped[int | None]
    chunks_removed: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class NoteOfCase(Base):
    """A document that is the resolution note of a desk's case; its texts as they are in the document.

    ``given_hash``: of what the desk last handed over, so that the same once more is recognised.
    """

    __tablename__ = "resolution_note"
    __table_args__ = (UniqueConstraint("document_id"),)

    subject_type: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    document_id: Mapped[UUID] = mapped_column(ForeignKey("document.id", ondelete="CASCADE"))
    problem: Mapped[str]
    solution: Mapped[str]
    component: Mapped[str | None]
    given_hash: Mapped[str]


class EmbeddingModel(Base):
    """A model whose vectors the database holds; its id is the literal of its partial HNSW index."""

    __tablename__ = "embedding_model"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[int] = mapped_column(SmallInteger, Identity(always=True), primary_key=True)
    name: Mapped[str]
    dimensions: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Chunk(Identified, Base):
    """A citable passage: ``[start, end)`` in code points into its document version's text."""

    __tablename__ = "chunk"
    __table_args__ = (
        Index(None, "document_id"),
        Index("ix_chunk_tsv", "tsv", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )

    document_id: Mapped[UUID] = mapped_column(ForeignKey("document.id", ondelete="CASCADE"))
    version: Mapped[int]
    collection_id: Mapped[UUID]
    ordinal: Mapped[int]
    heading_path: Mapped[list[str]] = mapped_column(ARRAY(Text))
    header: Mapped[str]
    text: Mapped[str]
    span_start: Mapped[int]
    span_end: Mapped[int]
    hash: Mapped[str]
    tokens: Mapped[int]
    tsv: Mapped[Any] = mapped_column(TSVECTOR)
    length: Mapped[int]
    audience: Mapped[list[str]] = mapped_column(ARRAY(Text))
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]


class ChunkEmbedding(Base):
    """A chunk's vector under one model, with the columns that a filtered vector scan needs."""

    __tablename__ = "chunk_embedding"

    chunk_id: Mapped[UUID] = mapped_column(ForeignKey("chunk.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("embedding_model.id"), primary_key=True)
    collection_id: Mapped[UUID]
    audience: Mapped[list[str]] = mapped_column(ARRAY(Text))
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    embedding: Mapped[Any] = mapped_column(HALFVEC())


class LexemeStatistic(Base):
    """How many chunks contain a lexeme, up to the last fold; the rest is in ``lexeme_delta``."""

    __tablename__ = "lexeme_statistic"

    lexeme: Mapped[str] = mapped_column(primary_key=True)
    df: Mapped[int] = mapped_column(BigInteger)


class LexemeDelta(Base):
    """Changes of document frequencies since the last fold: appended by triggers, so writers never wait."""

    __tablename__ = "lexeme_delta"
    __table_args__ = (Index(None, "lexeme", postgresql_include=["df"]),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    lexeme: Mapped[str]
    df: Mapped[int] = mapped_column(BigInteger)


class CorpusDelta(Base):
    """Changes of the number of chunks and of their summed length; folded into one row."""

    __tablename__ = "corpus_delta"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    chunks: Mapped[int] = mapped_column(BigInteger)
    length: Mapped[int] = mapped_column(BigInteger)


class Chat(Identified, Timestamped, Base):
    """A conversation with the documents; only its owner and staff see it."""

    __tablename__ = "chat"
    __table_args__ = (Index(None, "created_at", "id"), Index(None, "person_id", "created_at", "id"))

    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    key_id: Mapped[UUID | None]
    title: Mapped[str | None]
    version: Mapped[int] = versioned()


class Answer(Identified, Base):
    """A question, its answer, and everything the answer was made of.

    ``asked``: of which collections, moment and account. ``stale_since``: when a passage that it cites was
    removed or replaced, as a trigger notes in that transaction.
    """

    __tablename__ = "answer"
    __table_args__ = (
        Index(None, "chat_id", "created_at", "id"),
        Index(None, "created_at", "id"),
        Index(None, "person_id"),
        Index(None, "evidence", postgresql_using="gin", postgresql_ops={"evidence": "jsonb_path_ops"}),
    )

    chat_id: Mapped[UUID | None] = mapped_column(ForeignKey("chat.id", ondelete="CASCADE"))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    key_id: Mapped[UUID | None]
    question: Mapped[str]
    standalone_question: Mapped[str]
    outcome: Mapped[str]
    reason: Mapped[str | None]
    text: Mapped[str]
    citations: Mapped[list[Any]] = mapped_column(JSONB)
    evidence: Mapped[list[Any]] = mapped_column(JSONB)
    confidence: Mapped[float]
    model: Mapped[str]
    extractive: Mapped[bool]
    prompt_hash: Mapped[str | None]
    asked: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    stale_since: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Feedback(Identified, Timestamped, Base):
    """One reader's verdict on an answer; a second one replaces the first."""

    __tablename__ = "feedback"
    __table_args__ = (
        UniqueConstraint("answer_id", "rater", postgresql_nulls_not_distinct=True),
        Index(None, "rater"),
    )

    answer_id: Mapped[UUID] = mapped_column(ForeignKey("answer.id", ondelete="CASCADE"))
    rater: Mapped[UUID | None]
    rating: Mapped[str]
    comment: Mapped[str | None]


class QuestionCluster(Identified, Base):
    """Questions that ask for the same and were not answered, or not well; it holds no word of them.

    ``document_id``: what was written since, and closes it.
    """

    __tablename__ = "question_cluster"
    __table_args__ = (
        CheckConstraint("status in ('open', 'closed')", name="status"),
        CheckConstraint("(status = 'closed') = (closed_at is not null)", name="closed"),
        Index(None, "created_at", "id"),
        Index(None, "document_id"),
    )

    status: Mapped[str] = mapped_column(server_default="open")
    document_id: Mapped[UUID | None] = mapped_column(ForeignKey("document.id", ondelete="SET NULL"))
    closed_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    closed_at: Mapped[datetime | None]
    version: Mapped[int] = versioned()
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class UnansweredQuestion(Base):
    """An answer that abstained or was disliked, with the vector of its question under one model."""

    __tablename__ = "unanswered_question"
    __table_args__ = (
        CheckConstraint("reason in ('abstained', 'disliked')", name="reason"),
        Index(None, "cluster_id", "created_at"),
    )

    answer_id: Mapped[UUID] = mapped_column(ForeignKey("answer.id", ondelete="CASCADE"), primary_key=True)
    cluster_id: Mapped[UUID] = mapped_column(ForeignKey("question_cluster.id", ondelete="CASCADE"))
    reason: Mapped[str]
    model_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("embedding_model.id"))
    embedding: Mapped[Any] = mapped_column(HALFVEC())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
