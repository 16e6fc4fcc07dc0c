"""Where a sentence comes from, as the API says it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta


class Outcome(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    CAVEAT = "caveat"
    ABSTAINED = "abstained"


class ChunkCitation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="chunk"):
    """A place in a document: `quote == text[start:end]` of that document version's stored text."""

    document_id: UUID
    version: int
    chunk_id: UUID
    start: int
    end: int
    quote: str
    title: str
    heading_path: list[str]


class RecordCitation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="record"):
    """A stored record, such as an invoice line, with the fields that the answer uses."""

    type: Annotated[str, Meta(examples=["invoice_line"])]
    id: UUID
    label: Annotated[str, Meta(examples=["invoice INV-12 line 2"])]
    fields: dict[str, str]


Citation = ChunkCitation | RecordCitation
