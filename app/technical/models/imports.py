"""Imports: what was uploaded, how far it is taken in, and which rows could not be."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped

EMPTY_OBJECT, EMPTY_LIST = text("'{}'"), text("'[]'")


class TicketImport(Identified, Timestamped, Base):
    """One upload on its way in.

    ``offset_bytes`` and ``line`` are where the next row begins in the stored text; they and the counts are
    committed with the rows. ``layout``: what was found out of the file. ``rows_total``: null until counted.
    """

    __tablename__ = "ticket_import"
    __table_args__ = (
        CheckConstraint(
            "status in ('queued', 'running', 'done', 'canceled', 'failed')",
            name="status",
        ),
        CheckConstraint("unknown_people in ('create', 'skip', 'fail')", name="unknown_people"),
        Index(None, "created_at", "id"),
    )

    version: Mapped[int] = mapped_column(server_default=text("1"))
    status: Mapped[str] = mapped_column(server_default="queued")
    origin: Mapped[str]
    filename: Mapped[str | None]
    format: Mapped[str | None]
    encoding: Mapped[str | None]
    size_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    dry_run: Mapped[bool] = mapped_column(server_default=text("false"))
    unknown_people: Mapped[str] = mapped_column(server_default="create")
    zone: Mapped[str] = mapped_column(server_default="UTC")
    mapping: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=EMPTY_OBJECT)
    value_mapping: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=EMPTY_OBJECT)
    layout: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    offset_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    line: Mapped[int] = mapped_column(server_default=text("1"))
    rows_total: Mapped[int | None]
    rows_done: Mapped[int] = mapped_column(server_default=text("0"))
    created: Mapped[int] = mapped_column(server_default=text("0"))
    updated: Mapped[int] = mapped_column(server_default=text("0"))
    unchanged: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    messages: Mapped[int] = mapped_column(server_default=text("0"))
    warnings: Mapped[list[Any]] = mapped_column(JSONB, server_default=EMPTY_LIST)
    problem: Mapped[str | None]
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class TicketImportChunk(Base):
    """A piece of the text, as UTF-8; all but the last have the same size. Gone when the import is over."""

    __tablename__ = "ticket_import_chunk"

    import_id: Mapped[UUID] = mapped_column(
        ForeignKey("ticket_import.id", ondelete="CASCADE"), primary_key=True
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes]


class TicketImportError(Identified, Base):
    """What is wrong with a row, a field at a time; ``raw`` stands with the first of them."""

    __tablename__ = "ticket_import_error"
    __table_args__ = (Index(None, "import_id", "line", "id"),)

    import_id: Mapped[UUID] = mapped_column(ForeignKey("ticket_import.id", ondelete="CASCADE"))
    line: Mapped[int]
    external_id: Mapped[str | None]
    field: Mapped[str]
    message: Mapped[str]
    raw: Mapped[str | None] = mapped_column(Text)
