"""Tickets as CSV."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import anyio
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream
from litestar.types import ASGIApp, Receive, Scope, Send
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore
from app.openapi import documented
from app.technical.controllers import filters
from app.technical.exceptions import InvalidFieldError
from app.technical.service import customs, exporting, listing

CSV = "text/csv"
HEADERS = {
    "Content-Disposition": 'attachment; filename="tickets.csv"',
    "Cache-Control": "private, no-store",
    "X-Accel-Buffering": "no",
}

Spreadsheet = Annotated[
    bool,
    QueryParameter(
        name="spreadsheet",
        description="Whether a spreadsheet will open it: with a byte order mark, and an apostrophe before"
        " cells that it would run as formulas. False gives every text as it is, as an import wants it.",
    ),
]


class CsvStream(Stream):
    """A CSV file that is made while it is read; its generator is closed when the response ends."""

    def __init__(self, first: bytes, further: AsyncGenerator[bytes, None]) -> None:
        self._further = further
        super().__init__(_joined(first, further), media_type=CSV, headers=HEADERS)

    def to_asgi_response(self, *args: Any, **options: Any) -> ASGIApp:  # type: ignore[override]  # callers want an app
        """The response as an ASGI app."""
        inner = super().to_asgi_response(*args, **options)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await inner(scope, receive, send)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._further.aclose()

        return app


class TicketExportController(Controller):
    """Tickets for other systems. Staff only."""

    path = "/tickets/export"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @get(
        operation_id="export_tickets",
        summary="Export tickets",
        guards=[require(Role.agent)],
        media_type=CSV,
        opt=documented(raises=[InvalidFieldError, PermissionDeniedError]),
    )
    async def export_tickets(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        database: NamedDependency[Database],
        status: filters.StatusFilter = None,
        priority: filters.PriorityFilter = None,
        severity: filters.SeverityFilter = None,
        source: filters.SourceFilter = None,
        assignee_id: filters.AssigneeFilter = None,
        unassigned: filters.UnassignedFilter = None,
        team_id: filters.TeamFilter = None,
        requester_id: filters.RequesterFilter = None,
        account_id: filters.AccountFilter = None,
        issue_id: filters.IssueFilter = None,
        product: filters.ProductFilter = None,
        component: filters.ComponentFilter = None,
        product_version: filters.VersionFilter = None,
        tag: filters.TagFilter = None,
        signature: filters.SignatureFilter = None,
        number: filters.NumberFilter = None,
        custom: filters.CustomFilter = None,
        waiting: filters.WaitingFilter = None,
        q: filters.QueryFilter = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        updated_after: filters.UpdatedAfter = None,
        updated_before: filters.UpdatedBefore = None,
        spreadsheet: Spreadsheet = True,
    ) -> Stream:
        """All tickets that the filters want as CSV, oldest first, in columns that the import understands.

        It is read some hundred tickets at a time: one that changes meanwhile is told as it is when its turn
        comes, each at most once. A transfer that ends without its last chunk is not whole. Messages are not
        in it. UTF-8, lines end with CR LF.
        """
        asked = listing.TicketFilter(
            status=status,
            priority=priority,
            severity=severity,
            source=source,
            assignee_id=assignee_id,
            unassigned=unassigned,
            team_id=team_id,
            requester_id=requester_id,
            account_id=account_id,
            issue_id=issue_id,
            product=product,
            component=component,
            product_version=product_version,
            tag=tag,
            signature=signature,
            number=number,
            custom=await customs.asked_for(session, custom, principal=principal),
            waiting=waiting,
            q=q,
            created_after=created_after,
            created_before=created_before,
            updated_after=updated_after,
            updated_before=updated_before,
        )
        parts = exporting.as_csv(database, asked, principal=principal, spreadsheet=spreadsheet)
        return CsvStream(await anext(parts), parts)  # what is wrong with the filters is answered as an error


async def _joined(first: bytes, further: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async with aclosing(further):
        async for part in further:
            yield part
