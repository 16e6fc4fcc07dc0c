"""Requests from a file, and what came of each row."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from litestar.datastructures import UploadFile
from msgspec import Meta, Struct


class FeatureImportOutcome(StrEnum):
    """What came of a row."""

    created = "created"
    unchanged = "unchanged"  # it was imported before
    refused = "refused"


class FeatureImportForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A CSV file, in a multipart form."""

    file: UploadFile
    board_id: UUID
    dry_run: Annotated[bool, Meta(description="Say what would come of it, and do nothing.")] = False


class FeatureImportRow(Struct, frozen=True, kw_only=True):
    """What came of a row."""

    line: Annotated[int, Meta(description="Of the file, from 1, where the row begins.")]
    outcome: FeatureImportOutcome
    request_id: UUID | None
    problem: Annotated[str | None, Meta(description="Why it was refused.")]
    unknown_people: Annotated[
        list[str], Meta(description="Addresses of nobody who may see the board: no votes, no author.")
    ]


class FeatureImportResult(Struct, frozen=True, kw_only=True):
    """What came of the file."""

    rows: list[FeatureImportRow]
    created: int
    unchanged: int
    refused: int
    dry_run: bool
