"""Tables of the matching room.

``matchable_embedding`` is narrow, with the columns that a filtered vector scan reads.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, String, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base

NO_PENDING_LIST = {"fastupdate": "off"}


class Matchable(Base):
    """A desk's thing as it is found by likeness; ``id`` is the thing's own.

    ``title`` and ``body`` without boilerplate and card numbers, ``length`` in lexemes with repetitions.
    """

    __tablename__ = "matchable"
    __table_args__ = (
        Index(None, "tsv", postgresql_using="gin", postgresql_with=NO_PENDING_LIST),
        Index(None, "audience", postgresql_using="gin", postgresql_with=NO_PENDING_LIST),
        Index(
            None,
            "signatures",
            postgresql_using="gin",
            postgresql_with=NO_PENDING_LIST,
            postgresql_where=text("signatures <> '{}'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    subject_type: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    signatures: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    audience: Mapped[list[str]] = mapped_column(ARRAY(Text))
    tsv: Mapped[Any] = mapped_column(TSVECTOR)
    length: Mapped[int]
    text_hash: Mapped[str]
    created_at: Mapped[datetime]


class MatchableEmbedding(Base):
    """A thing's vector under one model, made of the text that ``text_hash`` names."""

    __tablename__ = "matchable_embedding"
    __table_args__ = (Index(None, "subject_type", "model_id"),)

    matchable_id: Mapped[UUID] = mapped_column(
        ForeignKey("matchable.id", ondelete="CASCADE"), primary_key=True
    )
    model_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("embedding_model.id"), primary_key=True)
    subject_type: Mapped[str]
    audience: Mapped[list[str]] = mapped_column(ARRAY(Text))
    text_hash: Mapped[str]
    embedding: Mapped[Any] = mapped_column(HALFVEC())


class MatchablePending(Base):
    """A thing whose text has no vector yet; ``claimed_at``: since when a worker is at it."""

    __tablename__ = "matchable_pending"
    __table_args__ = (Index(None, "queued_at"),)

    matchable_id: Mapped[UUID] = mapped_column(
        ForeignKey("matchable.id", ondelete="CASCADE"), primary_key=True
    )
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    claimed_at: Mapped[datetime | None]


class MatchableLexeme(Base):
    """How many things of a kind contain a lexeme, up to the last fold."""

    __tablename__ = "matchable_lexeme"

    lexeme: Mapped[str] = mapped_column(String(collation="C"), primary_key=True)
    subject_type: Mapped[str] = mapped_column(primary_key=True)
    df: Mapped[int] = mapped_column(BigInteger)


class MatchableLexemeDelta(Base):
    """Changes of document frequencies since the last fold: appended by triggers, so writers never wait."""

    __tablename__ = "matchable_lexeme_delta"
    __table_args__ = (Index(None, "lexeme", postgresql_include=["subject_type", "df"]),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    subject_type: Mapped[str]
    lexeme: Mapped[str] = mapped_column(String(collation="C"))
    df: Mapped[int] = mapped_column(BigInteger)


class MatchableCorpusDelta(Base):
    """Changes of a kind's number of things and of their summed length; folded into one row a kind."""

    __tablename__ = "matchable_corpus_delta"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    subject_type: Mapped[str]
    things: Mapped[int] = mapped_column(BigInteger)
    length: Mapped[int] = mapped_column(BigInteger)
