"""Tickets."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app import sla
from app.conversations.exceptions import (
    EmptyMessageError,
    MessageTooLargeError,
    TooManyAttachmentsError,
    TooManyParticipantsError,
    UnknownAttachmentError,
)
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.exceptions import PersonDeactivatedError, UnknownAccountError
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.technical.controllers import filters
from app.technical.desk import Desk
from app.technical.exceptions import (
    InvalidFieldError,
    InvalidTransitionError,
    MissingFieldsError,
    TicketClosedError,
    TicketMergedError,
    TicketNotFoundError,
    UnknownAssigneeError,
    UnknownIssueError,
    UnknownRequesterError,
    UnknownTeamError,
)
from app.technical.schemas.tickets import ClockList, TicketCreate, TicketUpdate, TicketView, TransitionCreate
from app.technical.service import changes, customs, listing, showing, tickets, transitions

UNKNOWN = (
    UnknownRequesterError,
    UnknownAccountError,
    UnknownAssigneeError,
    UnknownTeamError,
    UnknownIssueError,
    InvalidFieldError,
)
OVER = (TicketNotFoundError, TicketMergedError, TicketClosedError)


class TicketController(Controller):
    """Technical tickets."""

    path = "/tickets"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_ticket",
        opt=documented(
            raises=[
                PermissionDeniedError,
                *UNKNOWN,
                MissingFieldsError,
                EmptyMessageError,
                MessageTooLargeError,
                UnknownAttachmentError,
                TooManyAttachmentsError,
                PersonDeactivatedError,
            ]
        ),
    )
    async def create_ticket(
        self,
        data: JSONBody[TicketCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
    ) -> TicketView:
        """Open a ticket. A customer opens their own; the staff may open one for a customer."""
        ticket = await tickets.create(session, desk, actor=principal, **structs.asdict(data))
        return await showing.show(session, ticket, principal=principal)

    @get(
        operation_id="list_tickets",
        opt=documented(raises=[InvalidFieldError, PermissionDeniedError], listing=listing.TICKETS),
    )
    async def list_tickets(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
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
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[TicketView]:
        """List tickets, newest first. Customers list their own, and their account's if they may."""
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
        return await showing.page(
            session, asked, principal=principal, sort=sort, total=total, limit=limit, cursor=cursor
        )

    @get(
        "/{ticket_id:uuid}",
        operation_id="get_ticket",
        opt=documented(raises=[TicketNotFoundError], conditional=False),
    )
    async def get_ticket(
        self,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> TicketView:
        """Get a ticket."""
        ticket = await changes.get(session, ticket_id, principal=principal)
        return await showing.show(session, ticket, principal=principal)

    @patch(
        "/{ticket_id:uuid}",
        operation_id="update_ticket",
        guards=[require(Role.agent)],
        opt=documented(raises=[*OVER, *UNKNOWN, TooManyParticipantsError, PersonDeactivatedError]),
    )
    async def update_ticket(
        self,
        *,
        ticket_id: FromPath[UUID],
        data: JSONBody[TicketUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> TicketView:
        """Change a ticket. Clocks keep the time they consumed when its priority or policy changes."""
        ticket = await tickets.update_ticket(
            session, desk, ticket_id, actor=principal, expected=expected, **structs.asdict(data)
        )
        return await showing.show(session, ticket, principal=principal)

    @post(
        "/{ticket_id:uuid}/transitions",
        operation_id="move_ticket",
        status_code=200,
        opt=documented(raises=[TicketNotFoundError, InvalidTransitionError, MissingFieldsError]),
    )
    async def move_ticket(
        self,
        *,
        ticket_id: FromPath[UUID],
        data: JSONBody[TransitionCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> TicketView:
        """Move a ticket to another status.

        The staff move it between `open`, `pending` and `on_hold` and to `solved`, and a lead on to `closed`;
        its requester solves what is being worked on. Merging has a route of its own.
        """
        ticket = await changes.lock(session, ticket_id, principal=principal)
        expected.check(ticket.version)
        moved = await transitions.move(session, desk, ticket, data.to, actor=principal, reason=data.reason)
        return await showing.show(session, moved, principal=principal)

    @get(
        "/{ticket_id:uuid}/clocks",
        operation_id="list_ticket_clocks",
        opt=documented(raises=[TicketNotFoundError]),
    )
    async def list_ticket_clocks(
        self,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ClockList:
        """The clocks of a ticket, oldest first."""
        ticket = await changes.get(session, ticket_id, principal=principal)
        found = await sla.clocks(session, changes.subject_of(ticket.id), at=datetime.now(UTC))
        return ClockList(clocks=found)
