"""Imports: asked for, and told of."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar.datastructures import UploadFile
from msgspec import Meta, Struct

from app.technical.constants import ImportStatus, UnknownPeople
from app.technical.importing.records import Format

Origin = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="The system they come from. A ticket is known again by it and by its id there.",
        examples=["zendesk"],
    ),
]


class TicketImportForm(Struct, kw_only=True, forbid_unknown_fields=True):
    """A file of tickets, and how to read it."""

    file: UploadFile
    origin: Origin
    format: Annotated[Format | None, Meta(description="`csv` or `jsonl`; found out when left out.")] = None
    mapping: Annotated[
        str,
        Meta(
            max_length=20_000,
            description="JSON: their column to our field, or to null to leave it out. The names that Zendesk"
            " and Zammad use, and our own, need none. `custom.<key>` is a custom field.",
            examples=['{"Case no": "external_id", "Plan [list]": "custom.plan"}'],
        ),
    ] = "{}"
    values: Annotated[
        str,
        Meta(
            max_length=20_000,
            description="JSON: of `status`, `priority` and `severity` their values to ours.",
            examples=['{"status": {"waiting for vendor": "on_hold"}}'],
        ),
    ] = "{}"
    unknown_people: Annotated[
        UnknownPeople,
        Meta(
            description="What becomes of customers and accounts that nobody here knows: `create` them, `skip`"
            " them (the ticket comes without, an address stays), or `fail` the row."
        ),
    ] = UnknownPeople.create
    zone: Annotated[
        str,
        Meta(max_length=64, description="Of times that name none; in the IANA database.", examples=["UTC"]),
    ] = "UTC"
    dry_run: Annotated[bool, Meta(description="Check and count everything, and write nothing.")] = False


class ImportNotice(Struct, frozen=True, kw_only=True):
    """Something that was left out or changed, in how many rows, and the first of their lines."""

    field: Annotated[str, Meta(examples=["assignee"])]
    message: Annotated[str, Meta(examples=["Nobody of the staff is ada@example.com"])]
    rows: int
    line: int


class TicketImportView(Struct, frozen=True, kw_only=True):
    """An import and how far it is."""

    id: UUID
    status: ImportStatus
    origin: str
    filename: str | None
    format: Format | None
    encoding: Annotated[str | None, Meta(description="What the file was read as.", examples=["utf-8"])]
    size_bytes: Annotated[int, Meta(description="Of the text, as UTF-8.")]
    dry_run: bool
    unknown_people: UnknownPeople
    rows_total: Annotated[int | None, Meta(description="Null until they are counted.")]
    rows_done: int
    created: Annotated[int, Meta(description="Tickets that were made; in a dry run, that would be.")]
    updated: int
    unchanged: int
    failed: Annotated[int, Meta(description="Rows that could not be taken; see the errors.")]
    messages: Annotated[int, Meta(description="Messages that were new.")]
    warnings: list[ImportNotice]
    problem: Annotated[str | None, Meta(description="Why it failed as a whole.")]
    created_by_id: UUID | None
    version: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ImportErrorView(Struct, frozen=True, kw_only=True):
    """What is wrong with a row."""

    id: UUID
    line: Annotated[int, Meta(description="Of the file, from 1.")]
    external_id: str | None
    field: Annotated[str, Meta(examples=["created_at"])]
    message: Annotated[str, Meta(examples=["Lies in the future"])]
    raw: Annotated[
        str | None,
        Meta(description="The row as it came, to be mended and sent again; with its first error only."),
    ]
