"""Requests in a CSV file, as other systems export them. Pure functions."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from app.encodings import Sniffer, as_utf8
from app.exceptions import InvalidError
from app.features.constants import FeatureStatus
from app.features.schemas.fields import ExternalId, Tags, Text, Title

COLUMNS = (
    *("title", "body", "status", "tags", "author_email", "voter_emails"),
    *("external_id", "planned_for", "created_at"),
)
# Columns of our own export that an import does not take: they are made here.
PASSED_OVER = ("id", "number", "votes", "updated_at", "shipped_at")
DELIMITERS = ",;\t"
VOTERS_MAX = 5_000  # of one row
CELL_MAX = 500_000  # characters
csv.field_size_limit(max(csv.field_size_limit(), CELL_MAX))  # the module's own, and the process' only one
_LISTED = re.compile(r"[\s,;]+")
_TAGGED = re.compile(r"\s*[,;]\s*")


class ImportedRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row."""

    title: Title
    body: Text = ""
    status: FeatureStatus = FeatureStatus.open
    tags: Tags = []
    author_email: Annotated[str, Meta(max_length=320)] | None = None
    voter_emails: Annotated[list[str], Meta(max_length=VOTERS_MAX)] = []
    external_id: ExternalId | None = None
    planned_for: date | None = None
    created_at: datetime | None = None


class Row(Struct, frozen=True, kw_only=True):
    """Where a row begins, and what it says, or what is wrong with it."""

    line: int
    request: ImportedRequest | None = None
    problem: str | None = None


def read(content: bytes, *, maximum: int, now: datetime) -> list[Row]:
    """The rows of a file of UTF-8, UTF-16 or Latin letters, separated by commas, semicolons or tabs.

    ``InvalidError``: nothing in it, no title's column, columns that are none of ours, too many rows, or no
    CSV. A row that is wrong says so, and the others are read.
    """
    text = _decoded(content)
    header = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=lambda each: (header.count(each), -DELIMITERS.index(each)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        titles = [each.strip().lower() for each in next(reader, [])]
        _check(titles)
        rows = list(_rows(reader, titles, now))
    except csv.Error as error:
        raise _invalid(f"No CSV at line {reader.line_num}: {error}") from None
    if len(rows) > maximum:
        raise _invalid(f"{maximum} rows at most; split the file, nothing is imported twice")
    return rows


def _decoded(content: bytes) -> str:
    sniffer = Sniffer()
    sniffer.feed(content)
    text = b"".join(as_utf8([content], sniffer.result(), size=2**20)).decode()
    if not text.strip():
        raise _invalid("The file is empty")
    return text


def _check(titles: Sequence[str]) -> None:
    if unknown := sorted(set(titles) - {*COLUMNS, *PASSED_OVER}):
        raise _invalid(f"Unknown columns: {', '.join(each[:40] for each in unknown[:10])}; known: {_known()}")
    if "title" not in titles or len(set(titles)) < len(titles):
        raise _invalid(f"A column title is needed, each column once; known: {_known()}")


def _known() -> str:
    return ", ".join(COLUMNS)


def _rows(reader: Any, titles: Sequence[str], now: datetime) -> Iterator[Row]:
    line = reader.line_num + 1
    for cells in reader:
        if any(each.strip() for each in cells):
            yield _row(line, dict(zip(titles, cells, strict=False)), len(cells) > len(titles), now)
        line = reader.line_num + 1


def _row(line: int, cells: Mapping[str, str], too_many: bool, now: datetime) -> Row:  # noqa: FBT001 - of one caller
    if too_many:
        return Row(line=line, problem="More cells than columns")
    given: dict[str, Any] = {
        name: value.strip() for name, value in cells.items() if value.strip() and name in COLUMNS
    }
    if "tags" in given:
        given["tags"] = [each for each in _TAGGED.split(given["tags"]) if each]
    if "voter_emails" in given:
        given["voter_emails"] = [each for each in _LISTED.split(given["voter_emails"]) if each]
    if "status" in given:
        given["status"] = given["status"].lower().replace(" ", "_")
    if "title" in given:
        given["title"] = " ".join(given["title"].split())
    try:
        request = msgspec.convert(given, ImportedRequest, strict=False)
    except msgspec.ValidationError as error:
        place = str(error).rpartition(" - at `$.")[2].removesuffix("`")
        name = re.match(r"[a-z_]*", place)
        field = name.group() if name and name.group() in COLUMNS else "title"
        return Row(line=line, problem=f"{field}: not one that can be taken")
    at = request.created_at
    if at is not None and (at if at.tzinfo else at.replace(tzinfo=UTC)) > now:
        return Row(line=line, problem="created_at: in the future")
    return Row(line=line, request=request)


def _invalid(message: str) -> InvalidError:
    return InvalidError(f"file: {message}", errors=[{"field": "file", "message": message}])
