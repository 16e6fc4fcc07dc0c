"""Requests in files: from other systems, and for them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.exceptions import UnsupportedMediaError
from app.features.controllers.requests import BoardFilter, StatusFilter, TagFilter
from app.features.exceptions import BoardArchivedError, UnknownBoardError
from app.features.schemas.importing import FeatureImportForm, FeatureImportResult
from app.features.service import exporting, importing
from app.features.service.requests import listed
from app.features.utils import csv_requests
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.requests import decode_form
from app.streams import CSV, CsvStream, Spreadsheet

AnyRequest = Request[Any, Any, Any]
MULTIPART = "multipart/form-data"
FORM_OVERHEAD = 64 * 1024  # bytes around the file in a multipart body


class FeatureTransferController(Controller):
    """Import and export."""

    path = "/requests"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        "/import",
        operation_id="import_feature_requests",
        status_code=200,
        guards=[require(Role.lead)],
        request_max_body_size=importing.BYTES_MAX + FORM_OVERHEAD,
        opt=documented(
            raises=[UnknownBoardError, BoardArchivedError, UnsupportedMediaError],
            bodies={MULTIPART: FeatureImportForm},
        ),
    )
    async def import_feature_requests(
        self,
        request: AnyRequest,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureImportResult:
        """Import requests from CSV: title, body, status, tags, author_email, voter_emails, external_id,
        planned_for, created_at. Each row for itself; the same row once more is unchanged. For leads."""
        if request.content_type[0] != MULTIPART:
            raise UnsupportedMediaError(f"Send {MULTIPART}.")
        form = await decode_form(request, FeatureImportForm)
        content, now = await form.file.read(), datetime.now(UTC)
        rows = await asyncio.to_thread(csv_requests.read, content, maximum=importing.ROWS_MAX, now=now)
        return await importing.take(session, form.board_id, rows, actor=principal, dry_run=form.dry_run)

    @get(
        "/export",
        operation_id="export_feature_requests",
        guards=[require(Role.agent)],
        media_type=CSV,
    )
    async def export_feature_requests(
        self,
        *,
        database: NamedDependency[Database],
        principal: NamedDependency[Principal],
        board_id: BoardFilter = None,
        status: StatusFilter = None,
        tag: TagFilter = None,
        spreadsheet: Spreadsheet = True,
    ) -> Stream:
        """All requests that the filters want as CSV, oldest first; merged ones as their roots."""
        wanted = listed(principal=principal, boards=board_id, statuses=status, tags=tag)
        parts = exporting.as_csv(database, wanted, spreadsheet=spreadsheet)
        return CsvStream("requests.csv", await anext(parts), parts)
