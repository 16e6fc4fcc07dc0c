"""Imports of tickets from other systems."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Controller, Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.exceptions import UnsupportedMediaError
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import FILTERS_MAX, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.requests import decode_form, refuse_field
from app.technical.constants import ImportStatus
from app.technical.dependencies import provide_desk
from app.technical.exceptions import ImportNotFoundError, ImportOverError, InvalidImportError
from app.technical.schemas.imports import ImportErrorView, TicketImportForm, TicketImportView
from app.technical.service.importing import showing, uploads

AnyRequest = Request[Any, Any, Any]
MULTIPART = "multipart/form-data"
FORM_OVERHEAD = 64 * 1024  # bytes around the file in a multipart body
LONGEST_FILENAME = 255
NOT_FOUND = documented(raises=[ImportNotFoundError])

StatusFilter = Annotated[
    list[ImportStatus] | None,
    QueryParameter(
        name="status", max_items=FILTERS_MAX, description="Imports that stand here. Several: any of them."
    ),
]


class TicketImportController(Controller):
    """Tickets from other systems. Leads and admins only."""

    path = "/tickets/import"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.lead)]  # noqa: RUF012 - likewise

    @post(
        operation_id="import_tickets",
        summary="Import tickets",
        status_code=202,
        opt=documented(
            raises=[InvalidImportError, UnsupportedMediaError],
            bodies={MULTIPART: TicketImportForm},
            headers={"Location": "Address of the import."},
        ),
    )
    async def import_tickets(
        self,
        request: AnyRequest,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[TicketImportView]:
        """Store a CSV or JSON lines file, one ticket a row, and queue its import.

        Rows are known again by `origin` and their id there: what comes again is updated where it differs, and
        no ticket and no message is made twice. A ticket that was changed here since keeps its fields. A row
        that cannot be taken fails alone; its raw text is kept with its errors for 30 days.
        """
        if request.content_type[0] != MULTIPART:
            raise UnsupportedMediaError(f"Send {MULTIPART}.")
        row = await uploads.create(session, await _upload(request), actor=principal)
        address = f"/v1/technical/imports/{row.id}"
        return Response(showing.show(row), status_code=202, headers={"Location": address})


class ImportController(Controller):
    """How far imports are. Leads and admins only."""

    path = "/imports"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @get(
        operation_id="list_ticket_imports",
        summary="List imports",
        guards=[require(Role.lead)],
        opt=documented(listing=showing.IMPORTS),
    )
    async def list_imports(
        self,
        *,
        session: NamedDependency[AsyncSession],
        status: StatusFilter = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[TicketImportView]:
        """Imports, newest first."""
        found = await showing.page(session, status=status, sort=sort, total=total, limit=limit, cursor=cursor)
        return found.page(showing.show)

    @get(
        "/{import_id:uuid}",
        operation_id="get_ticket_import",
        summary="Get an import",
        guards=[require(Role.lead)],
        opt=NOT_FOUND,
    )
    async def get_import(
        self, import_id: FromPath[UUID], session: NamedDependency[AsyncSession]
    ) -> TicketImportView:
        """An import, how far it is, and what was left out."""
        return showing.show(await showing.get(session, import_id))

    @get(
        "/{import_id:uuid}/errors",
        operation_id="list_ticket_import_errors",
        summary="List an import's errors",
        guards=[require(Role.lead)],
        opt=NOT_FOUND,
    )
    async def list_errors(
        self,
        *,
        import_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[ImportErrorView]:
        """Rows that could not be taken and why, in the order of the file."""
        found = await showing.errors(session, import_id, limit=limit, cursor=cursor, total=total)
        return found.page(showing.show_error)

    @get(
        "/{import_id:uuid}/errors.csv",
        operation_id="download_ticket_import_errors",
        summary="Download an import's errors",
        guards=[require(Role.lead)],
        media_type="text/csv",
        opt=NOT_FOUND,
    )
    async def download_errors(
        self, import_id: FromPath[UUID], session: NamedDependency[AsyncSession], state: State
    ) -> Stream:
        """All errors as CSV; a cell that a spreadsheet would run as a formula begins with an apostrophe."""
        row = await showing.get(session, import_id)
        headers = {
            "Content-Disposition": f'attachment; filename="import-{row.id}-errors.csv"',
            "Cache-Control": "private, no-store",
        }
        return Stream(showing.as_csv(state.database, row.id), media_type="text/csv", headers=headers)

    @post(
        "/{import_id:uuid}/cancel",
        operation_id="cancel_ticket_import",
        summary="Cancel an import",
        guards=[require(Role.lead)],
        status_code=200,
        opt=documented(raises=[ImportNotFoundError, ImportOverError]),
    )
    async def cancel_import(
        self,
        import_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> TicketImportView:
        """End an import after the rows that are under way. What was taken in stays."""
        return showing.show(await showing.cancel(session, import_id, actor=principal))


def imports_router(settings: Settings) -> Router:
    """The routes, with the body limit that the largest import needs."""
    upload = Router(
        path="/",
        route_handlers=[TicketImportController],
        request_max_body_size=settings.import_max_bytes + FORM_OVERHEAD,
    )
    return Router(
        path="/v1/technical",
        route_handlers=[upload, ImportController],
        dependencies={"desk": Provide(provide_desk)},
    )


async def _upload(request: AnyRequest) -> uploads.Upload:
    form = await decode_form(request, TicketImportForm)
    try:
        ZoneInfo(form.zone)
    except (KeyError, ValueError, OSError):
        refuse_field("zone", "Not in the IANA database")
    return uploads.Upload(
        file=form.file.file,
        filename=form.file.filename.replace("\\", "/").rpartition("/")[2][-LONGEST_FILENAME:] or None,
        origin=form.origin,
        format=form.format,
        mapping=_decoded(form.mapping, dict[str, str | None], "mapping"),
        value_mapping=_decoded(form.values, dict[str, dict[str, str]], "values"),
        unknown_people=form.unknown_people,
        zone=form.zone,
        dry_run=form.dry_run,
    )


def _decoded(text: str, kind: Any, field: str) -> Any:
    try:
        decoded = msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError):
        refuse_field(field, "Expected a JSON object of texts")
    if "\\u0000" in text:
        refuse_field(field, "Contains the NUL character")
    return decoded
