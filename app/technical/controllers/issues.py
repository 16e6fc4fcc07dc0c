"""Known issues. For the staff alone."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.bulk import BulkResult, run_bulk
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import FILTERS_MAX, Listing, Search, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.technical.constants import IssueStatus, Severity, Status
from app.technical.controllers.filters import ProductFilter
from app.technical.desk import Desk
from app.technical.exceptions import (
    IssueNotFoundError,
    IssueResolvedError,
    TicketNotFoundError,
    UnknownAssigneeError,
)
from app.technical.models import IssueUpdate
from app.technical.schemas.issues import (
    IssueChange,
    IssueCreate,
    IssueResolve,
    IssueTicket,
    IssueUpdateCreate,
    IssueUpdateView,
    IssueView,
    TicketIds,
)
from app.technical.schemas.tickets import TicketView
from app.technical.service import changes, issues, listing, showing, tickets, updates
from app.technical.utils.numbers import TICKETS

StatusFilter = Annotated[
    list[IssueStatus] | None,
    QueryParameter(name="status", max_items=FILTERS_MAX, description="Of this status. Several: any of them."),
]
SeverityFilter = Annotated[
    list[Severity] | None,
    QueryParameter(
        name="severity", max_items=FILTERS_MAX, description="Of this severity. Several: any of them."
    ),
]
UPDATES = Listing(IssueUpdate, sorts={"created_at": IssueUpdate.created_at}, default="-created_at")


class IssueController(Controller):
    """Known issues."""

    path = "/issues"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @post(operation_id="create_issue", opt=documented(raises=[UnknownAssigneeError]))
    async def create_issue(
        self,
        data: JSONBody[IssueCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> IssueView:
        """Make a known issue. Tickets that show one of its error signatures are told of it."""
        issue = await issues.create(session, actor=principal, **structs.asdict(data))
        return await issues.show(session, issue)

    @get(operation_id="list_issues", opt=documented(listing=issues.ISSUES))
    async def list_issues(
        self,
        *,
        session: NamedDependency[AsyncSession],
        status: StatusFilter = None,
        severity: SeverityFilter = None,
        product: ProductFilter = None,
        q: Search = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[IssueView]:
        """List known issues, newest first."""
        found = await issues.ISSUES.fetch(
            session,
            issues.listed(statuses=status, severities=severity, products=product, text=q),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"status": status, "severity": severity, "product": product, "q": q},
        )
        shown = await issues.show_all(session, found.rows)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get("/{issue_id:uuid}", operation_id="get_issue", opt=documented(raises=[IssueNotFoundError]))
    async def get_issue(self, issue_id: FromPath[UUID], session: NamedDependency[AsyncSession]) -> IssueView:
        """Get a known issue."""
        return await issues.show(session, await issues.get(session, issue_id))

    @patch(
        "/{issue_id:uuid}",
        operation_id="update_issue",
        opt=documented(raises=[IssueNotFoundError, UnknownAssigneeError]),
    )
    async def update_issue(
        self,
        *,
        issue_id: FromPath[UUID],
        data: JSONBody[IssueChange],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> IssueView:
        """Change a known issue. Nobody is told: an update does that."""
        issue = await issues.change(
            session, issue_id, actor=principal, expected=expected, **structs.asdict(data)
        )
        return await issues.show(session, issue)

    @post(
        "/{issue_id:uuid}/tickets",
        operation_id="link_issue_tickets",
        status_code=200,
        opt=documented(raises=[IssueNotFoundError]),
    )
    async def link_issue_tickets(
        self,
        *,
        issue_id: FromPath[UUID],
        data: JSONBody[TicketIds],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
    ) -> BulkResult[IssueTicket]:
        """Link tickets to a known issue, each with its own result; it takes the place of another one."""
        await issues.lock(session, issue_id)

        async def link(ticket_id: UUID) -> IssueTicket:
            ticket = await changes.lock_open(session, ticket_id, principal=principal)
            linked = await tickets.apply(session, desk, ticket, {"issue_id": issue_id}, actor=principal)
            return IssueTicket(
                id=linked.id, number=TICKETS.shown(linked.number), status=Status(linked.status)
            )

        return await run_bulk(session, sorted(set(data.ticket_ids)), link)

    @delete(
        "/{issue_id:uuid}/tickets/{ticket_id:uuid}",
        operation_id="unlink_issue_ticket",
        opt=documented(raises=[IssueNotFoundError, TicketNotFoundError]),
    )
    async def unlink_issue_ticket(
        self,
        *,
        issue_id: FromPath[UUID],
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
    ) -> None:
        """Take a ticket off a known issue; one that is not on it stays as it is."""
        await issues.lock(session, issue_id)
        ticket = await changes.lock(session, ticket_id, principal=principal)
        if ticket.issue_id == issue_id:
            await tickets.apply(session, desk, ticket, {"issue_id": None}, actor=principal)

    @get(
        "/{issue_id:uuid}/tickets",
        operation_id="list_issue_tickets",
        opt=documented(raises=[IssueNotFoundError], listing=listing.TICKETS),
    )
    async def list_issue_tickets(
        self,
        *,
        issue_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[TicketView]:
        """List the tickets of a known issue, newest first."""
        await issues.get(session, issue_id)
        asked = listing.TicketFilter(issue_id=[issue_id])
        return await showing.page(
            session, asked, principal=principal, sort=sort, total=total, limit=limit, cursor=cursor
        )

    @post(
        "/{issue_id:uuid}/updates",
        operation_id="create_issue_update",
        opt=documented(raises=[IssueNotFoundError]),
    )
    async def create_issue_update(
        self,
        issue_id: FromPath[UUID],
        data: JSONBody[IssueUpdateCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> IssueUpdateView:
        """Tell every ticket that is linked now, as a reply of the caller's; a job writes them, each once."""
        made = await updates.announce(session, issue_id, actor=principal, **structs.asdict(data))
        return (await updates.show_all(session, [made]))[0]

    @get(
        "/{issue_id:uuid}/updates",
        operation_id="list_issue_updates",
        opt=documented(raises=[IssueNotFoundError], listing=UPDATES),
    )
    async def list_issue_updates(
        self,
        *,
        issue_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[IssueUpdateView]:
        """What was told to the tickets of a known issue, newest first, and how far that has come."""
        await issues.get(session, issue_id)
        found = await UPDATES.fetch(
            session,
            updates.of_issue(issue_id),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"issue": issue_id},
        )
        shown = await updates.show_all(session, found.rows)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @post(
        "/{issue_id:uuid}/resolve",
        operation_id="resolve_issue",
        status_code=200,
        opt=documented(raises=[IssueNotFoundError, IssueResolvedError]),
    )
    async def resolve_issue(
        self,
        *,
        issue_id: FromPath[UUID],
        data: JSONBody[IssueResolve],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> IssueUpdateView:
        """Resolve a known issue; its tickets are told and solved by a job, each once."""
        expected.check((await issues.lock(session, issue_id)).version)
        made = await updates.resolve(session, issue_id, actor=principal, **structs.asdict(data))
        return (await updates.show_all(session, [made]))[0]
