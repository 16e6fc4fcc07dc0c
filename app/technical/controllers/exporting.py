"""Tickets as CSV."""

from __future__ import annotations

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore
from app.openapi import documented
from app.streams import CSV, CsvStream, Spreadsheet
from app.technical.controllers import filters
from app.technical.exceptions import InvalidFieldError
from app.technical.service import customs, exporting, listing


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
        first = await anext(parts)  # what is wrong with the filters is answered as an error
        return CsvStream("tickets.csv", first, parts)
